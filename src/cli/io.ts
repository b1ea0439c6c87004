/** What a verb may touch of its process: streams, environment, terminal. Tests pass their own. */
import { constants as osConstants } from 'node:os'
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
  readonly stdin: () => Promise<string>
  /** Aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

/** A terminal, npm and a supervisor may each pass the same signal on: what comes within this time is one. A later one means "at once". */
const VOLLEY_MS = 1000

/** The real process. Colour only on a terminal, never under NO_COLOR (no-color.org). */
export function processIo (): CliIo {
  const { stdout, stderr, env } = process
  const colorWanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  const abort = new AbortController()
  let first: number | null = null
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
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
    width: stdout.isTTY ? stdout.columns || 80 : null,
    // Undefined off a terminal, and to picocolors that means "look at CI and FORCE_COLOR".
    color: stdout.isTTY === true && colorWanted,
    errColor: stderr.isTTY === true && colorWanted,
    stdin: async () => {
      const parts: Buffer[] = []
      abort.signal.addEventListener('abort', () => { process.stdin.destroy(abort.signal.reason as Error) }, { once: true })
      for await (const part of process.stdin) parts.push(part as Buffer)
      return Buffer.concat(parts).toString('utf8')
    },
    signal: abort.signal
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
