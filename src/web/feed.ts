/** Readings that are asked for while somebody looks: counters and their rates, probes, the pair as it is now. One question at a time for each, however many show it. */
import type { LiveStore } from './store.js'

const EVERY_MS = 2000
const SILENCE_MS = 8000

export interface Reading<T> {
  readonly value: T | null
  /** Unix ms of the gateway; 0: never. */
  readonly at: number
  readonly problem: string
}

export class Feed<T> {
  reading: Reading<T> = { value: null, at: 0, problem: '' }
  private users = 0
  private timer = 0
  private askedAt = 0
  private call = new AbortController()

  constructor (private readonly path: string, private readonly store: LiveStore, private readonly onValue: (value: T) => void = () => undefined) {}

  /** What it returns ends that. */
  readonly use = (): (() => void) => {
    if (this.users++ === 0) void this.ask()
    return () => { if (--this.users === 0) clearTimeout(this.timer) }
  }

  /** The gateway is back: what was asked of it before may never be answered. */
  again (): void {
    if (this.users === 0 || Date.now() - this.askedAt < EVERY_MS / 2) return
    this.call.abort()
    void this.ask()
  }

  private async ask (): Promise<void> {
    clearTimeout(this.timer)
    this.askedAt = Date.now()
    const call = this.call = new AbortController()
    if (document.visibilityState === 'visible') {
      try {
        const response = await fetch(this.path, { cache: 'no-store', signal: AbortSignal.any([call.signal, AbortSignal.timeout(SILENCE_MS)]) })
        if (!response.ok) throw new Error((await response.text()).trim())
        const { value, at } = await response.json() as { value: T, at: number }
        this.reading = { value, at, problem: '' }
        this.onValue(value)
      } catch (error) {
        if (call !== this.call) return
        this.reading = { ...this.reading, problem: error instanceof Error ? error.message : String(error) }
      }
      this.store.touch()
    }
    if (call !== this.call) return
    if (this.users > 0) this.timer = window.setTimeout(() => { void this.ask() }, EVERY_MS)
  }
}
