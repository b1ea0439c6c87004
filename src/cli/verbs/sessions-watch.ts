/** sessions watch: changes as they happen, one line each. */
import type { Command } from 'commander'
import { type SessionChange } from '../../generated/proto/lockstep/v1/session.js'
import { addFilterOptions, filterMessage, type FilterOptions } from '../filter-options.js'
import { formatEndpoint } from '../../lib/address.js'
import { bytes, printable, protocolName, time } from '../format.js'
import { enumWord } from '../../client/index.js'
import { toJson } from '../../lib/json.js'
import { action, onlineVerb, type Cli } from '../verb.js'
import { addWatchOptions, watching, type WatchOptions } from '../watching.js'

export function addWatch (sessions: Command, cli: Cli): void {
  addWatchOptions(addFilterOptions(onlineVerb(sessions, {
    usage: 'watch',
    summary: 'Show changes as they happen',
    about: 'Ends with Ctrl-C. A reader that is too slow loses changes and is told how many. --json prints one object a line.',
    examples: ['sessions watch --vip web', 'sessions watch --json --count 10', 'sessions watch --for 30s --protocol udp']
  })), 'changes')
    .action(action(cli, async (options: WatchOptions & FilterOptions) => await watch(cli, options)))
}

async function watch ({ io }: Cli, options: WatchOptions & FilterOptions): Promise<number> {
  return await watching(io, options, ({ sessions }) => sessions.watch({ filter: filterMessage(options), columns: [], snapshot: false }), async ({ changes, lost }) => {
    if (lost > 0n) await lostLine(io, lost, options.json === true)
    return changes.map(options.json === true ? jsonLine : textLine)
  })
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
    formatEndpoint(s.source, s.sourcePort).padEnd(21), '>', formatEndpoint(s.destination, s.destinationPort).padEnd(21), s.phase.padEnd(15)
  ]
  if (s.vip !== '') words.push(`${s.vip} ${s.real}`)
  if (change.closeReason !== 'NONE') words.push(`${change.closeReason.toLowerCase()}, ${bytes(s.bytesForward)}B sent, ${bytes(s.bytesReply)}B received`)
  return `${printable(words.join(' ').trimEnd())}\n`
}
