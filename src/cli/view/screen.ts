/** The whole terminal: the alternate screen, redrawn in place, and the terminal as it was afterwards, however the process ends. */
import { LockstepError } from '../../contract/errors.js'
import type { CliIo, Terminal } from '../io.js'

/** Without a cursor, and a line that is too long ends at the edge. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l'

export type Key = 'up' | 'down' | 'page-up' | 'page-down' | 'top' | 'quit'
const keys: Readonly<Record<string, Key>> = {
  q: 'quit', Q: 'quit', '\x03': 'quit', k: 'up', '\x1b[A': 'up', '\x1bOA': 'up', j: 'down', '\x1b[B': 'down', '\x1bOB': 'down', '\x1b[5~': 'page-up', b: 'page-up', '\x1b[6~': 'page-down', ' ': 'page-down', g: 'top', '\x1b[H': 'top'
}

const oneKey = /\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|[^]/g

/** @throws unsupported: it is no terminal that can be drawn on */
export function drawable ({ terminal, env }: CliIo): Terminal {
  if (terminal !== null && env.TERM !== 'dumb') return terminal
  throw new LockstepError('unsupported', 'LS_U_TERMINAL', 'a view needs a terminal', { found: terminal === null ? 'standard input or output is none' : 'TERM=dumb', expected: 'a terminal that can move its cursor', next: 'watch without --view prints lines, and --json objects' })
}

export class Screen {
  private readonly onData = (data: Buffer): void => { for (const [key] of String(data).matchAll(oneKey)) this.onKey(keys[key] ?? null) }
  private readonly onResize = (): void => { this.onKey(null) }
  private readonly restore = (): void => { this.terminal.output.write(leave) }
  private open = false

  /** `onKey` is called for keys, and with `null` when all is to be drawn anew. */
  constructor (private readonly terminal: Terminal, private readonly onKey: (key: Key | null) => void) {}

  get rows (): number { return this.terminal.output.rows || 24 }
  get columns (): number { return this.terminal.output.columns || 80 }

  start (): void {
    const { input, output } = this.terminal
    this.open = true
    process.on('exit', this.restore)
    output.write(enter)
    output.on('resize', this.onResize)
    input.setRawMode(true)
    input.on('data', this.onData)
    input.resume()
  }

  draw (lines: readonly string[]): void {
    if (!this.open) return
    this.terminal.output.write(`\x1b[H${lines.slice(0, this.rows).map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
  }

  stop (): void {
    if (!this.open) return
    this.open = false
    const { input, output } = this.terminal
    input.off('data', this.onData)
    input.pause()
    input.setRawMode(false)
    output.off('resize', this.onResize)
    this.restore()
    process.off('exit', this.restore)
  }
}
