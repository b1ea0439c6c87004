/** Runs the lines of a shell: each is a command line of the program without its name, over the connection that `io.kept` holds. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { createColors } from 'picocolors'
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import { placeOf } from '../context.js'
import { exitCode } from '../exit-codes.js'
import { Interrupted, type CliIo } from '../io.js'
import { whyAlone } from '../verb.js'
import { helpAt } from './help.js'
import { parseLine, type Line } from './words.js'

/** A command line of the program; rejects with EPIPE alone. */
export type RunLine = (argv: readonly string[], io: CliIo) => Promise<number>

const INTERRUPTED = 130

export class Shell {
  constructor (readonly program: Command, readonly io: CliIo, private readonly run: RunLine) {}

  /** Its exit code; `null`: it ends the shell. @throws EPIPE when standard output has gone */
  async execute (text: string): Promise<number | null> {
    const line = this.parse(text)
    if (line === null) return exitCode.usage
    const words = line.words.map(word => word.text)
    if (words[0] === 'lockstep') words.shift()
    if (words.length === 0) return line.pipe === null ? exitCode.ok : this.refuse('nothing stands before the |')
    if (words.length === 1 && (words[0] === 'exit' || words[0] === 'quit')) return null
    if (words.at(-1) === '?') {
      await this.io.out(await helpAt(this.program, { ...line, words: line.words.slice(0, -1), inWord: false }, this.io))
      return exitCode.ok
    }
    const { command } = placeOf(this.program, words, '')
    const why = words.includes('--help') ? null : whyAlone(command)
    if (why !== null) return this.refuse(`${command.name()} does not run in this shell: ${why}; in another terminal: lockstep ${words.join(' ')}`)
    const abort = new AbortController()
    // Of a script Ctrl-C ends all.
    const release = this.io.terminal === null ? null : this.io.onInterrupt(() => { abort.abort(new Interrupted(INTERRUPTED)) })
    const io: CliIo = { ...this.io, signal: AbortSignal.any([this.io.signal, abort.signal]), onInterrupt: () => () => { /* it is the shell's */ }, stdin: noStdin }
    try {
      return line.pipe === null ? await this.run(words, io) : await this.piped(words, line.pipe, io)
    } finally {
      release?.()
    }
  }

  private parse (text: string): Line | null {
    try {
      const line = parseLine(text)
      if (line.open === null) return line
      this.refuse(line.open === '\\' ? 'a backslash ends the line' : `a quote is open: ${line.open}`)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.refuse(error.message.replace(/^LS_U_\w+: /, ''))
    }
    return null
  }

  private refuse (text: string): number {
    this.io.err(`${createColors(this.io.errColor).red('error:')} ${text}\n`)
    return exitCode.usage
  }

  /** What it prints goes to a command of the host, as a pager or grep; that may end first. */
  private async piped (words: readonly string[], command: string, io: CliIo): Promise<number> {
    if (command === '') return this.refuse('nothing stands behind the |')
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', io.terminal === null ? 'pipe' : 'inherit', 'inherit'] }) as ChildProcessByStdio<Writable, Readable | null, null>
    const ended = once(child, 'exit') as Promise<[number | null]>
    ended.catch(() => { /* it is awaited below */ })
    const { stdin, stdout } = child
    stdin.on('error', () => { /* told to whoever writes */ })
    const forwarded = stdout === null ? null : (async () => { for await (const part of stdout) await io.out(String(part)) })()
    const out = async (text: string): Promise<void> => await new Promise((resolve, reject) => { stdin.write(text, (error) => { if (error instanceof Error) reject(new ReaderGone(error)); else resolve() }) })
    const code = await this.run(words, { ...io, out, width: null, color: false, errTerminal: false, terminal: null }).catch((error: unknown) => {
      if (!(error instanceof ReaderGone)) throw error
      return exitCode.ok
    })
    stdin.end()
    await forwarded
    const [piped] = await ended
    return code === exitCode.ok ? piped ?? exitCode.failed : code
  }
}

/** However the stream says it. */
class ReaderGone extends Error {
  readonly code = 'EPIPE'
  constructor (cause: Error) { super('the reader has gone', { cause }) }
}

const noStdin = async (): Promise<string> => {
  throw new LockstepError('invalid', 'LS_U_USAGE', 'standard input is the shell\'s own', { found: '-', expected: 'the name of a file' })
}
