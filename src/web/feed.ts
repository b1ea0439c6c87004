/** Readings that are asked for while somebody looks: counters and their rates, probes, the pair as it is now. One question at a time for each, however many show it. */
import type { Counters } from './model.js'
import type { LiveStore } from './store.js'

const EVERY_MS = 2000
export const KEPT = 90

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

export interface Series { readonly at: number[], readonly values: Array<number | null> }

/** Few enough to keep of each what it was. */
const isPlotted = (key: string): boolean => /^(global|iface_rx|iface_tx)\//.test(key) || /^vip\/.*\/packets$/.test(key)

/** Rates of counters by `block/row/field`, from two readings; a counter that went back (its agent restarted) has none. */
export class Rates {
  private before: { readonly ns: number, readonly values: Map<string, number> } | null = null
  readonly now = new Map<string, number>()
  readonly totals = new Map<string, number>()
  readonly series = new Map<string, Series>()

  take ({ timeNs, blocks }: Counters): void {
    const ns = Number(timeNs)
    const values = new Map<string, number>()
    for (const { name, fields, rows } of blocks) for (const row of rows) fields.forEach((field, i) => { values.set(`${name}/${row.name}/${field}`, Number(row.values[i] ?? 0)) })
    const { before } = this
    this.before = { ns, values }
    this.totals.clear()
    this.now.clear()
    for (const [key, value] of values) {
      this.totals.set(key, value)
      const last = before?.values.get(key)
      const rate = before === null || last === undefined || value < last || ns <= before.ns ? null : (value - last) / ((ns - before.ns) / 1e9)
      if (rate !== null) this.now.set(key, rate)
      if (before !== null && isPlotted(key)) this.remember(key, rate)
    }
    for (const key of this.series.keys()) if (!values.has(key)) this.series.delete(key)
  }

  private remember (key: string, rate: number | null): void {
    const one = this.series.get(key) ?? { at: [], values: [] }
    one.at.push(Date.now() / 1000)
    one.values.push(rate)
    if (one.at.length > KEPT) {
      one.at.shift()
      one.values.shift()
    }
    this.series.set(key, one)
  }
}
