/** How far long work is, in one line on standard error while that is a terminal; nowhere otherwise. What takes less than a second says nothing. */
import { count, duration } from './format.js'
import type { CliIo } from './io.js'

const FIRST_MS = 1000
const EVERY_MS = 200
const erase = '\r\x1b[K'

export class Progress {
  private readonly beganMs: number
  private drawnMs = -Infinity

  constructor (private readonly io: Pick<CliIo, 'err' | 'errTerminal'>, private readonly what: string, private readonly nowMs: () => number = () => performance.now()) { this.beganMs = nowMs() }

  /** Somebody sees it. */
  get seen (): boolean { return this.io.errTerminal }

  /** `done` null: only the time is known; `total` null: how many there are is not. */
  show (done: number | null, total: number | null): void {
    const now = this.nowMs()
    const ms = now - this.beganMs
    if (!this.seen || ms < FIRST_MS || now - this.drawnMs < EVERY_MS) return
    this.drawnMs = now
    const of = total === null || total === 0 ? '' : ` of ${count(total)} (${Math.min(100, Math.floor(100 * (done ?? 0) / total))} %)`
    this.io.err(`${erase}${this.what}${done === null ? `, ${duration(ms)}` : `: ${count(done)}${of}, ${count(1000 * done / ms)}/s`}`)
  }

  /** The line is gone, for what is printed next. */
  end (): void {
    if (this.drawnMs !== -Infinity) this.io.err(erase)
  }
}

/** Of work that does not tell: `measure`, if any, is asked now and then. */
export async function withProgress<T> (io: CliIo, what: string, work: () => Promise<T>, measure?: () => Promise<readonly [done: number, total: number]>): Promise<T> {
  const progress = new Progress(io, what)
  if (!progress.seen) return await work()
  let asking = false
  const timer = setInterval(() => {
    if (measure === undefined) progress.show(null, null)
    else if (!asking) {
      asking = true
      measure().then(([done, total]) => { if (!ended) progress.show(done, total) }, () => { /* the work itself says what is wrong */ }).finally(() => { asking = false })
    }
  }, FIRST_MS / 2)
  let ended = false
  try {
    return await work()
  } finally {
    ended = true
    clearInterval(timer)
    progress.end()
  }
}
