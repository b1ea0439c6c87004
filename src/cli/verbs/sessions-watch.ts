/** sessions watch: changes as they happen, one line each. */
import type { Command } from 'commander'
import { type SessionChange } from '../../generated/proto/lockstep/v1/session.js'
import { messages } from '../client.js'
import { withAgent } from '../agent-link.js'
import { exitCode } from '../exit-codes.js'
import { addFilterOptions, filterMessage, type FilterOptions } from '../filter-options.js'
import { bytes, endpoint, parseCount, parseWait, printable, protocolName, time } from '../format.js'
import { enumWord, toJson } from '../json.js'
import { action, onlineVerb, type Cli, type CommonOptions } from '../verb.js'

interface WatchOptions extends CommonOptions, FilterOptions { readonly count?: number, readonly for?: number }

export function addWatch (sessions: Command, cli: Cli): void {
  addFilterOptions(onlineVerb(sessions, {
    usage: 'watch',
    summary: 'Show changes as they happen',
    about: 'Ends with Ctrl-C. A reader that is too slow loses changes and is told how many. --json prints one object a line.',
    examples: ['sessions watch --vip web', 'sessions watch --json --count 10', 'sessions watch --for 30s --protocol udp']
  }))
    .option('--count <n>', 'end after this many changes', parseCount)
    .option('--for <duration>', 'end after this time', parseWait)
    .action(action(cli, async (options: WatchOptions) => await watch(cli, options)))
}

async function watch ({ io }: Cli, options: WatchOptions): Promise<number> {
  const over = new AbortController()
  const stop = (): void => over.abort()
  io.signal.addEventListener('abort', stop, { once: true })
  const timer = options.for === undefined ? null : setTimeout(stop, options.for)
  let left = options.count ?? Infinity
  try {
    return await withAgent(io, options, async ({ sessions }) => {
      let first = true
      for await (const { changes, lost } of messages(sessions.watch({ filter: filterMessage(options) }), over.signal)) {
        if (first) io.err('watching; Ctrl-C ends\n')
        first = false
        if (lost > 0n) await lostLine(io, lost, options.json === true)
        for (const change of changes) {
          if (left-- <= 0) return exitCode.ok
          await io.out(options.json === true ? jsonLine(change) : textLine(change))
        }
        if (left <= 0) return exitCode.ok
      }
      return exitCode.ok
    })
  } catch (error) {
    if (over.signal.aborted) return exitCode.ok
    throw error
  } finally {
    if (timer !== null) clearTimeout(timer)
    io.signal.removeEventListener('abort', stop)
  }
}

async function lostLine (io: Cli['io'], lost: bigint, json: boolean): Promise<void> {
  if (json) await io.out(`${toJson({ lost })}\n`)
  else io.err(`${lost} changes lost: this reader or the ring was too slow\n`)
}

const kindWord = (change: SessionChange): string => enumWord('SESSION_CHANGE_KIND', change.kind)

function jsonLine (change: SessionChange): string {
  return `${toJson({ time: new Date().toISOString(), kind: kindWord(change), closeReason: change.closeReason.toLowerCase(), session: change.session })}\n`
}

function textLine (change: SessionChange): string {
  const s = change.session
  if (s === undefined) return ''
  const words = [
    time(Date.now()).slice(11), kindWord(change).padEnd(8), protocolName(s.protocol).padEnd(5),
    endpoint(s.source, s.sourcePort).padEnd(21), '>', endpoint(s.destination, s.destinationPort).padEnd(21), s.phase.padEnd(15)
  ]
  if (s.vip !== '') words.push(`${s.vip} ${s.real}`)
  if (change.closeReason !== 'NONE') words.push(`${change.closeReason.toLowerCase()}, ${bytes(s.bytesForward)}B sent, ${bytes(s.bytesReply)}B received`)
  return `${printable(words.join(' ').trimEnd())}\n`
}
