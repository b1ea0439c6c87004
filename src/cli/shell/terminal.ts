/** The shell on a terminal: one line at a time, with completion (Tab), help (?) and history. While a command runs the terminal is the command's. */
import { createInterface, type Interface } from 'node:readline'
import type { ObjectsConnection } from '../../client/index.js'
import { exitCode, exitCodeOf } from '../exit-codes.js'
import type { Terminal as Tty } from '../io.js'
import { completions, helpAt } from './help.js'
import { History, HISTORY_MAX, historyPath, isKept } from './history.js'
import { followPrompt, type Prompt } from './prompt.js'
import type { Shell } from './shell.js'
import { parseLine, type Line } from './words.js'

const PROMPT_MS = 500

export class Terminal {
  private readonly typed: string[] = []
  private wake: () => void = () => { /* nobody waits */ }
  private closed = false
  private asking = false

  constructor (private readonly shell: Shell, private readonly tty: Tty, private readonly objects: ObjectsConnection) {}

  async run (): Promise<number> {
    const { io } = this.shell
    io.err('Tab completes, ? helps at any place, Ctrl-D ends\n')
    const prompt = await followPrompt(this.objects, io.color)
    let told = false
    const history = await History.open(historyPath(io.env), (error) => {
      if (!told) io.err(`lines are not kept: ${error.message}\n`)
      told = true
    })
    const rl = this.open(history)
    const shown = setInterval(() => { this.show(rl, prompt) }, PROMPT_MS)
    const stop = (): void => { rl.close() }
    io.signal.addEventListener('abort', stop, { once: true })
    if (io.signal.aborted) stop()
    try {
      for (let text = await this.ask(rl, prompt); text !== null; text = await this.ask(rl, prompt)) {
        await history.add(text.trimEnd())
        if (await this.command(rl, text) === null) break
      }
      return io.signal.aborted ? exitCodeOf(io.signal.reason) : exitCode.ok
    } finally {
      clearInterval(shown)
      io.signal.removeEventListener('abort', stop)
      rl.close()
      await prompt.close()
    }
  }

  private open (history: History): Interface {
    const { input, output } = this.tty
    const rl = createInterface({
      input, output, terminal: true, historySize: HISTORY_MAX, history: [...history.lines].reverse(),
      completer: (text: string, done: (error: Error | null, result: [string[], string]) => void) => {
        void this.complete(text).then(result => { done(null, result) })
      }
    })
    rl.on('history', (lines) => { if (lines[0] !== undefined && !isKept(lines[0], undefined)) lines.shift() })
    rl.on('line', (text) => { this.typed.push(text); this.wake() })
    rl.on('SIGINT', () => { this.discard(rl) })
    const help = (key: string | undefined): void => { if (key === '?') void this.help(rl) }
    input.on('keypress', help)
    rl.on('close', () => {
      input.off('keypress', help)
      if (this.asking) output.write('\n')
      this.closed = true
      this.wake()
    })
    return rl
  }

  /** `null`: there is no more. */
  private async ask (rl: Interface, prompt: Prompt): Promise<string | null> {
    if (this.typed.length === 0 && !this.closed) {
      rl.setPrompt(prompt.text())
      rl.prompt()
      this.asking = true
      await new Promise<void>(resolve => { this.wake = resolve })
      this.asking = false
    }
    return this.typed.shift() ?? null
  }

  /** Ctrl-C is a signal meanwhile, and a pager may read keys. */
  private async command (rl: Interface, text: string): Promise<number | null> {
    if (this.closed) return await this.shell.execute(text)
    const { input } = this.tty
    const listeners = input.listeners('keypress') as Array<(key: string | undefined) => void>
    rl.pause()
    input.removeAllListeners('keypress')
    input.setRawMode(false)
    try {
      return await this.shell.execute(text)
    } finally {
      if (!this.closed) {
        for (const listener of listeners) input.on('keypress', listener)
        input.setRawMode(true)
        rl.resume()
      }
    }
  }

  private show (rl: Interface, prompt: Prompt): void {
    const text = prompt.text()
    if (!this.asking || text === rl.getPrompt()) return
    rl.setPrompt(text)
    rl.prompt(true)
  }

  private discard (rl: Interface): void {
    rl.write(null, { ctrl: true, name: 'e' })
    this.tty.output.write('^C\r\n')
    rl.write(null, { ctrl: true, name: 'u' })
  }

  private async complete (text: string): Promise<[string[], string]> {
    const line = lineOf(text)
    if (line === null) return [[], text]
    const { hits, current } = await completions(this.shell.program, line, this.shell.io)
    return [hits.map(hit => `${hit} `), text.endsWith(current) ? current : text]
  }

  /** A quoted one is part of its word. */
  private async help (rl: Interface): Promise<void> {
    if (!this.asking || rl.line[rl.cursor - 1] !== '?') return
    const line = lineOf(rl.line.slice(0, rl.cursor - 1))
    if (line === null || line.open !== null || line.pipe !== null) return
    rl.write(null, { name: 'backspace' })
    const text = await helpAt(this.shell.program, line, this.shell.io)
    if (!this.asking) return
    this.tty.output.write(`\r\n${text}`)
    rl.prompt(true)
  }
}

/** `null`: it cannot be one as far as it goes. */
function lineOf (text: string): Line | null {
  try {
    return parseLine(text)
  } catch {
    return null
  }
}
