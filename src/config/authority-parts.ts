/** Mechanisms of the authority: taking turns, remembering requests, a deadline that survives failing. */
import { LockstepError } from '../contract/errors.js'

export interface AuthorityClock {
  /** Unix milliseconds. */
  readonly now: () => number
  /** Returns the function that cancels. */
  readonly after: (ms: number, run: () => void) => () => void
}

export const systemClock: AuthorityClock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => { clearTimeout(timer) }
  },
}

/** Tasks one after another, in order of arrival; at most `max` wait. */
export class OneAtATime {
  private last: Promise<unknown> = Promise.resolve()
  private waiting = 0

  constructor (private readonly max: number) {}

  async run<T> (signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.waiting >= this.max) throw new LockstepError('exhausted', 'LS_C_BUSY', 'too many configuration changes wait', { object: 'config', found: String(this.waiting), expected: `fewer than ${this.max}`, next: 'try again later' })
    this.waiting++
    const before = this.last
    const mine = (async () => {
      await before
      this.waiting--
      signal.throwIfAborted()
      return await task()
    })()
    this.last = mine.catch(() => undefined)
    return await mine
  }
}

/** The result of a request is given again to whoever repeats its id within `ttlMs`. Failures are forgotten: they may be retried. */
export class RequestMemory<T> {
  private readonly known = new Map<string, { readonly content: string, readonly at: number, readonly result: Promise<T> }>()

  constructor (private readonly clock: Pick<AuthorityClock, 'now'>, private readonly ttlMs: number, private readonly max: number) {}

  async once (id: string, content: string, run: () => Promise<T>): Promise<T> {
    const now = this.clock.now()
    for (const [key, { at }] of this.known) if (now - at > this.ttlMs || this.known.size > this.max) this.known.delete(key)
    const earlier = this.known.get(id)
    if (earlier !== undefined) {
      if (earlier.content !== content) throw new LockstepError('invalid', 'LS_C_REQUEST_ID', 'the request id was used for something else', { object: `request ${id}`, next: 'use a new id for a new request' })
      return await earlier.result
    }
    const result = run()
    this.known.set(id, { content, at: now, result })
    result.catch(() => { if (this.known.get(id)?.result === result) this.known.delete(id) })
    return await result
  }
}

const sleepMsMax = 2 ** 31 - 1
const retryMs = [1000, 2000, 5000, 15_000, 60_000]

/** Runs `expire` at a point of Unix time, and again with growing pauses until it succeeds. */
export class DeadlineTimer {
  private stop: (() => void) | null = null
  private serial = 0

  constructor (private readonly clock: AuthorityClock, private readonly expire: () => Promise<void>, private readonly failed: (error: unknown, againMs: number) => void, private readonly done: () => void = () => undefined) {}

  /** Infinity: never. */
  set (at: number): void {
    this.cancel()
    if (at !== Infinity) this.arm(at, this.serial, 0)
  }

  cancel (): void {
    this.serial++
    this.stop?.()
    this.stop = null
    this.done()
  }

  private arm (at: number, serial: number, failures: number): void {
    const wait = Math.max(0, at - this.clock.now())
    this.stop = this.clock.after(Math.min(wait, sleepMsMax), () => {
      if (serial !== this.serial) return
      if (this.clock.now() < at) this.arm(at, serial, failures)
      else void this.fire(serial, failures)
    })
  }

  private async fire (serial: number, failures: number): Promise<void> {
    try {
      await this.expire()
      this.done()
    } catch (error) {
      const wait = retryMs[Math.min(failures, retryMs.length - 1)] ?? 60_000
      this.failed(error, wait)
      if (serial === this.serial) this.arm(this.clock.now() + wait, serial, failures + 1)
    }
  }
}
