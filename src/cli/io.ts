/** What a verb may touch of its process: streams, environment, terminal. Tests pass their own. */
import { constants as osConstants } from 'node:os'
import type { Readable } from 'node:stream'
import type { ReadStream, WriteStream } from 'node:tty'
import type { Channel } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'

export interface CliIo {
  /** Resolves when the text is taken; rejects with EPIPE when the reader has gone, with a LockstepError when it cannot be written. */
  readonly out: (text: string) => Promise<void>
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Columns of the terminal; `null` when standard output is not one: then nothing is cut. */
  readonly width: number | null
  readonly color: boolean
  /** The same for standard error, which may go elsewhere. */
  readonly errColor: boolean
  /** Standard error is a terminal: what is under way may be told there. */
  readonly errTerminal: boolean
  readonly stdin: () => Promise<string>
  /** Standard input as it comes, for whoever takes lines. */
  readonly input: Readable
  /** Both ends; `null` unless standard input and output are one. */
  readonly terminal: Terminal | null
  /** Aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** From now on SIGINT calls this, and does not end the process; what it returns ends that. */
  readonly onInterrupt: (handler: () => void) => () => void
  /** The connection that a shell keeps open for its verbs. */
  readonly kept?: { readonly path: string, readonly channel: Channel }
}

export interface Terminal { readonly input: ReadStream, readonly output: WriteStream }

/** A terminal, npm and a supervisor may each pass the same signal on: what comes within this time is one. A later one means "at once". */
const VOLLEY_MS = 1000

/** The real process. Colour only on a terminal, never under NO_COLOR (no-color.org). */
export function processIo (): CliIo {
  const { stdout, stderr, env } = process
  const colorWanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  const abort = new AbortController()
  let first: number | null = null
  let interrupt: (() => void) | null = null
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (name === 'SIGINT' && interrupt !== null) { interrupt(); return }
      const code = 128 + osConstants.signals[name]
      if (first === null) abort.abort(new Interrupted(code))
      else if (performance.now() - first > VOLLEY_MS) process.exit(code)
      first ??= performance.now()
    })
  }
  return {
    out: async (text) => await new Promise<void>((resolve, reject) => {
      stdout.write(text, (error) => { if (error instanceof Error) reject(outputError(error)); else resolve() })
    }),
    err: (text) => { stderr.write(text) },
    env,
    // Some terminals say 0.
    get width () { return stdout.isTTY ? stdout.columns || 80 : null },
    // Undefined off a terminal, and to picocolors that means "look at CI and FORCE_COLOR".
    color: stdout.isTTY === true && colorWanted,
    errColor: stderr.isTTY === true && colorWanted,
    errTerminal: stderr.isTTY === true,
    stdin: async () => {
      const parts: Buffer[] = []
      abort.signal.addEventListener('abort', () => { process.stdin.destroy(abort.signal.reason as Error) }, { once: true })
      for await (const part of process.stdin) parts.push(part as Buffer)
      return Buffer.concat(parts).toString('utf8')
    },
    get input () { return process.stdin },
    get terminal () { return stdout.isTTY && process.stdin.isTTY ? { input: process.stdin, output: stdout } : null },
    signal: abort.signal,
    onInterrupt: (handler) => {
      interrupt = handler
      return () => { interrupt = null }
    }
  }
}

function outputError (cause: NodeJS.ErrnoException): Error {
  return cause.code === 'EPIPE' ? cause : new LockstepError('unavailable', 'LS_U_OUTPUT', 'standard output cannot be written', { found: cause.code ?? cause.message }, cause)
}

export class Interrupted extends Error {
  readonly exitCode: number
  constructor (exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}
