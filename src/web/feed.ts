/** Readings that are asked for while somebody looks: counters and their rates, probes, the pair as it is now. One question at a time for each, however many show it. */
import type { LiveStore } from './store.js'

const EVERY_MS = 2000

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

  constructor (private readonly path: string, private readonly store: LiveStore, private readonly onValue: (value: T) => void = () => undefined) {}

  /** What it returns ends that. */
  readonly use = (): (() => void) => {
    if (this.users++ === 0) void this.ask()
    return () => { if (--this.users === 0) clearTimeout(this.timer) }
  }

  private async ask (): Promise<void> {
    clearTimeout(this.timer)
    if (document.visibilityState === 'visible') {
      try {
        const response = await fetch(this.path, { cache: 'no-store', signal: AbortSignal.timeout(8000) })
        if (!response.ok) throw new Error((await response.text()).trim())
        const { value, at } = await response.json() as { value: T, at: number }
        this.reading = { value, at, problem: '' }
        this.onValue(value)
      } catch (error) {
        this.reading = { ...this.reading, problem: error instanceof Error ? error.message : String(error) }
      }
      this.store.touch()
    }
    if (this.users > 0) this.timer = window.setTimeout(() => { void this.ask() }, EVERY_MS)
  }
}
