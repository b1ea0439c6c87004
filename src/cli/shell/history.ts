/** Lines of the shell from one time to the next, in a file of this user's alone. Oldest first in the file; shells that run beside each other add to the same one. */
import { appendFileSync, chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { replaceFile } from '../../lib/replace-file.js'

/** Lines that are kept; the file grows to twice as many before it is cut. */
export const HISTORY_MAX = 1000
const LINE_MAX = 4096

export function historyPath (env: Readonly<Record<string, string | undefined>>): string {
  const state = env.XDG_STATE_HOME ?? ''
  return join(state.startsWith('/') ? state : join(env.HOME ?? homedir(), '.local/state'), 'lockstep/shell-history')
}

/** One that begins with a blank, or stands there already, is not kept. */
export const isKept = (line: string, before: string | undefined): boolean => line !== '' && !/^\s/.test(line) && line.length <= LINE_MAX && line !== before

export class History {
  /** Oldest first. */
  readonly lines: string[] = []
  private inFile = 0
  private constructor (private readonly path: string, private readonly failed: (error: NodeJS.ErrnoException) => void) {}

  /** `failed` is told when the file cannot be used; the shell goes on without. */
  static async open (path: string, failed: (error: NodeJS.ErrnoException) => void): Promise<History> {
    const history = new History(path, failed)
    try {
      const text = readFileSync(path, 'utf8')
      chmodSync(path, 0o600)
      const lines = text.split('\n').filter((line, i, all) => isKept(line, all[i - 1]))
      history.inFile = lines.length
      history.lines.push(...lines.slice(-HISTORY_MAX))
      await history.cut()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failed(error as NodeJS.ErrnoException)
    }
    return history
  }

  async add (line: string): Promise<void> {
    if (!isKept(line, this.lines.at(-1))) return
    this.lines.push(line)
    if (this.lines.length > HISTORY_MAX) this.lines.shift()
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 })
      appendFileSync(this.path, `${line}\n`, { mode: 0o600 })
      this.inFile++
      await this.cut()
    } catch (error) {
      this.failed(error as NodeJS.ErrnoException)
    }
  }

  private async cut (): Promise<void> {
    if (this.inFile <= 2 * HISTORY_MAX) return
    await replaceFile(this.path, this.lines.map(line => `${line}\n`).join(''))
    this.inFile = this.lines.length
  }
}
