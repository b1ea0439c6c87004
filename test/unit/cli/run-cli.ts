/** The command line in this process, with captured streams. */
import type { CliIo } from '../../../src/cli/io.js'
import { cliMain } from '../../../src/cli/program.js'

export interface CliResult { readonly code: number, readonly out: string, readonly err: string }

export interface CliSetup {
  readonly env?: Record<string, string>
  readonly width?: number | null
  readonly color?: boolean
  readonly stdin?: string
  readonly signal?: AbortSignal
}

export async function runCli (argv: readonly string[], { env = {}, width = null, color = false, stdin = '', signal = new AbortController().signal }: CliSetup = {}): Promise<CliResult> {
  let out = ''
  let err = ''
  const io: CliIo = {
    out: async (text) => { out += text },
    err: (text) => { err += text },
    env: { PATH: '', ...env },
    width,
    color,
    errColor: color,
    stdin: async () => stdin,
    signal
  }
  const code = await cliMain(argv, io)
  return { code, out, err }
}
