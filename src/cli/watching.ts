/** What every watch has in common: it ends by Ctrl-C, after some lines or some time, and each is a normal end. */
import type { ClientReadableStream } from '@grpc/grpc-js'
import { Option, type Command } from 'commander'
import { withAgent } from './agent-link.js'
import { messages, type AgentConnection } from './client.js'
import { exitCode } from './exit-codes.js'
import { parseCount, parseWait } from './format.js'
import type { CliIo } from './io.js'
import { addStreamOutput, type CommonOptions } from './verb.js'

export interface WatchOptions extends CommonOptions { readonly count?: number, readonly for?: number }

export function addWatchOptions (command: Command, what: string): Command {
  return addStreamOutput(command).option('--count <n>', `end after this many ${what}`, parseCount).option('--for <duration>', 'end after this time', parseWait)
}

export const viewOption = (): Option => new Option('--view', 'a table on the whole terminal, redrawn in place; q ends').conflicts(['json', 'output', 'count'])

/** Prints what `linesOf` makes of each message. */
export async function watching<Message> (io: CliIo, options: WatchOptions, open: (agent: AgentConnection) => ClientReadableStream<Message>, linesOf: (message: Message) => Promise<readonly string[]> | readonly string[]): Promise<number> {
  const over = new AbortController()
  const stop = (): void => over.abort()
  io.signal.addEventListener('abort', stop, { once: true })
  const timer = options.for === undefined ? null : setTimeout(stop, options.for)
  let left = options.count ?? Infinity
  try {
    return await withAgent(io, options, async (agent) => {
      let first = true
      for await (const message of messages(open(agent), over.signal)) {
        if (first) io.err('watching; Ctrl-C ends\n')
        first = false
        for (const line of await linesOf(message)) {
          if (left-- <= 0) return exitCode.ok
          await io.out(line)
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
