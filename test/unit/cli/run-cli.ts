/** The command line in this process, with captured streams. */
import { Readable } from 'node:stream'
import type { CliIo } from '../../../src/cli/io.js'
import { cliMain } from '../../../src/cli/program.js'

export interface CliResult { readonly code: number, readonly out: string, readonly err: string }

export interface CliSetup {
  readonly env?: Record<string, string>
  readonly width?: number | null
  readonly color?: boolean
  readonly stdin?: string
  readonly signal?: AbortSignal
  /** Standard error is a terminal. */
  readonly errTerminal?: boolean
}

/** Of a process without a terminal. */
export function testIo ({ env = {}, width = null, color = false, stdin = '', signal = new AbortController().signal, errTerminal = false }: CliSetup, streams: Pick<CliIo, 'out' | 'err'>): CliIo {
  return {
    ...streams, env: { PATH: '', ...env }, width, color, errColor: color, errTerminal, stdin: async () => stdin, input: Readable.from(stdin === '' ? [] : [stdin]), terminal: null, signal, onInterrupt: () => () => { /* nobody presses Ctrl-C */ }
  }
}

export async function runCli (argv: readonly string[], setup: CliSetup = {}): Promise<CliResult> {
  let out = ''
  let err = ''
  const code = await cliMain(argv, testIo(setup, { out: async (text) => { out += text }, err: (text) => { err += text } }))
  return { code, out, err }
}
