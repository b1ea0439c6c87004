/**
 * One copy of something far away, for all who read it. Who asks while it is fresh gets the copy; who asks later shares one fetch, which belongs to nobody: it has a
 * deadline of its own, and a reader that leaves takes nothing from the others. While fetches fail the copy serves up to an age, and tries are spaced.
 */
import { causeOf } from '../../lib/cause-of.js'
import { backOff, type Waits } from '../../lib/back-off.js'
import { cutShort, within, type Clock } from './clock.js'

export interface FetcherLog { warn (text: string): void, info (text: string): void, debug (text: string): void }

export interface FetcherOptions<T> {
  /** For messages: `users of ledger`. */
  readonly what: string
  readonly fetch: (signal: AbortSignal) => Promise<T>
  readonly ttlMs?: number
  readonly deadlineMs?: number
  readonly staleMaxMs?: number
  readonly backOff?: Waits
  readonly clock: Clock
  readonly random: () => number
  readonly log: FetcherLog
  /** Each fetch, when it ends. `stale`: it failed, and there is a copy that may still serve. */
  readonly onFetch?: (result: 'success' | 'stale' | 'failed', tookMs: number) => void
}

export interface Fetched<T> { readonly value: T, readonly ageMs: number }

export class CachingFetcher<T> {
  private copy: { readonly value: T, readonly at: number } | null = null
  private flight: Promise<void> | null = null
  private error: Error | null = null
  private failures = 0
  private failingSince = 0
  private staleReads = 0
  private notBefore = 0
  private readonly ending = new AbortController()

  constructor (private readonly options: FetcherOptions<T>) {}

  /** @throws the error of the fetch when no copy may serve, the reason of `signal` when that comes first. */
  async get (signal?: AbortSignal): Promise<Fetched<T>> {
    const { clock, ttlMs = 5000 } = this.options
    if (signal?.aborted === true) return await cutShort(signal)
    if (this.copy !== null && this.error === null && clock.now() - this.copy.at < ttlMs) return this.served(this.copy)
    if (clock.now() >= this.notBefore) {
      const flight = this.flight ??= this.run()
      await (signal === undefined ? flight : Promise.race([flight, left(signal, flight)]))
    }
    if (this.error === null && this.copy !== null) return this.served(this.copy)
    if (this.copy !== null && this.mayServe(this.copy)) {
      this.staleReads++
      if (this.staleReads > 1) this.options.log.debug(`${this.options.what}: a copy of ${this.ageText(this.copy)} serves again: ${causeOf(this.error)}`)
      else this.options.log.warn(`${this.options.what}: cannot be read, a copy of ${this.ageText(this.copy)} serves for now: ${causeOf(this.error)}`)
      return this.served(this.copy)
    }
    throw this.error ?? new Error(`${this.options.what}: nothing was read`)
  }

  /** The copy as it is, whatever its age. */
  get peek (): T | null { return this.copy?.value ?? null }

  /** The copy is not taken as fresh any more. */
  expire (): void { if (this.copy !== null) this.copy = { value: this.copy.value, at: Math.min(this.copy.at, this.options.clock.now() - (this.options.ttlMs ?? 5000)) } }

  /** Age of a copy that serves although fetches fail; 0: it is fresh, or there is none. */
  get staleMs (): number { return this.error === null || this.copy === null ? 0 : this.options.clock.now() - this.copy.at }

  stop (): void { this.ending.abort(new Error(`${this.options.what}: it stops`)) }

  private served ({ value, at }: { readonly value: T, readonly at: number }): Fetched<T> { return { value, ageMs: this.options.clock.now() - at } }
  private mayServe ({ at }: { readonly at: number }): boolean { return this.options.clock.now() - at <= (this.options.staleMaxMs ?? 300_000) }
  private ageText ({ at }: { readonly at: number }): string { return `${Math.round((this.options.clock.now() - at) / 1000)} s` }

  /** Never rejects: how it went is in the fields, for all who wait. */
  private async run (): Promise<void> {
    const { what, fetch, clock, random, log, onFetch, deadlineMs = 30_000, backOff: waits = { leastMs: 1000, mostMs: 30_000 } } = this.options
    const began = clock.now()
    try {
      const value = await within(clock, deadlineMs, this.ending.signal, what, fetch)
      this.copy = { value, at: clock.now() }
      if (this.error !== null) log.info(`${what}: read again after ${Math.round((clock.now() - this.failingSince) / 1000)} s, ${this.staleReads} reads were served by a copy`)
      this.error = null
      this.failures = this.staleReads = this.notBefore = 0
      onFetch?.('success', clock.now() - began)
    } catch (error) {
      if (this.error === null) this.failingSince = began
      this.error = error instanceof Error ? error : new Error(String(error))
      this.notBefore = clock.now() + backOff(waits, this.failures++, random())
      onFetch?.(this.copy !== null && this.mayServe(this.copy) ? 'stale' : 'failed', clock.now() - began)
    } finally {
      this.flight = null
    }
  }
}

/** Rejects when the reader leaves; forgets its signal when the fetch ends, so that a signal that lives long collects nothing. */
function left (signal: AbortSignal, flight: Promise<void>): Promise<never> {
  return new Promise((_resolve, reject) => {
    const leave = (): void => { reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason))) }
    signal.addEventListener('abort', leave, { once: true })
    void flight.then(() => { signal.removeEventListener('abort', leave) })
  })
}
