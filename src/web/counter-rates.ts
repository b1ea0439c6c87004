/** Rates of counters, from one reading to the next, and of some what they were over the last minutes. */
import type { Counters } from './model.js'

/** Readings. */
export const KEPT = 90

export interface Series { readonly at: number[], readonly values: Array<number | null> }

/** Few enough to keep of each what it was. */
const isPlotted = (key: string): boolean => /^(global|iface_rx|iface_tx)\//.test(key) || /^vip\/.*\/packets$/.test(key)

/** By `block/row/field`; a counter that went back (its agent restarted) has none. */
export class CounterRates {
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
