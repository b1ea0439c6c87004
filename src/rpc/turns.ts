/**
 * Who works when many ask at once. All calls share one thread, and the addon's threads are shared with the disk: work that walks
 * the session table therefore stands in line, and a line has an end. What is beyond it is refused at once with RESOURCE_EXHAUSTED,
 * so ten thousand callers cost the agent neither its memory nor its other work. Thread: the server's.
 */
import { LockstepError } from '../contract/errors.js'

function tooMany (what: string, found: number, max: number): LockstepError {
  return new LockstepError('exhausted', 'LS_R_TOO_MANY', 'too many at once', { object: what, found: String(found), expected: `at most ${max}`, next: 'try again later' })
}

/** Places for calls that last: no line, a place is free or it is not. */
export class Seats {
  readonly #what: string
  readonly #max: number
  #taken = 0

  constructor (what: string, max: number) {
    this.#what = what
    this.#max = max
  }

  /** @throws exhausted LS_R_TOO_MANY */
  async hold<T> (work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#max) throw tooMany(this.#what, this.#taken, this.#max)
    this.#taken++
    try {
      return await work()
    } finally {
      this.#taken--
    }
  }
}

/** Lets `atOnce` work and `waitingMax` wait, first come first served; who cancels leaves the line. */
export class Turnstile {
  readonly #what: string
  readonly #atOnce: number
  readonly #waitingMax: number
  readonly #line = new Set<() => void>()
  #working = 0

  constructor (what: string, atOnce: number, waitingMax: number) {
    this.#what = what
    this.#atOnce = atOnce
    this.#waitingMax = waitingMax
  }

  /** @throws exhausted LS_R_TOO_MANY */
  async run<T> (signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#working >= this.#atOnce) await this.#wait(signal)
    else this.#working++
    try {
      signal.throwIfAborted()
      return await work()
    } finally {
      const [next] = this.#line
      if (next === undefined) this.#working--
      else next()
    }
  }

  /** Resolves with the place of somebody who is done. */
  async #wait (signal: AbortSignal): Promise<void> {
    if (this.#line.size >= this.#waitingMax) throw tooMany(this.#what, this.#line.size, this.#waitingMax)
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#line.delete(enter)
        reject(signal.reason as Error)
      }
      const enter = (): void => {
        this.#line.delete(enter)
        signal.removeEventListener('abort', leave)
        resolve()
      }
      this.#line.add(enter)
      if (signal.aborted) leave()
      else signal.addEventListener('abort', leave, { once: true })
    })
  }
}

/** One step over the table in each turn of the event loop, whoever takes it: however many listings run, what else the agent does
 * waits for one step at most. */
export class TableTurns {
  readonly #line: Array<() => void> = []

  async next (signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#line.push(resolve)
      if (this.#line.length === 1) this.#schedule()
    })
    signal.throwIfAborted()
  }

  #schedule (): void {
    setImmediate(() => {
      this.#line.shift()?.()
      if (this.#line.length > 0) this.#schedule()
    })
  }
}
