/** Families that are emptied and filled again at each scrape, so that a series ends with the object it is about. */
import { Counter, Gauge, Histogram, type MetricValueWithName, type Registry } from 'prom-client'

export type Series = readonly [labels: Readonly<Record<string, string>>, value: number]

/** `name` without its prefix: lockstep, unless it says otherwise. */
export interface Family { readonly prefix?: string, readonly name: string, readonly help: string, readonly labelNames: readonly string[], readonly series: () => readonly Series[] }

export function addGauge (registry: Registry, { prefix = 'lockstep', name, help, labelNames, series }: Family): void {
  new Gauge({
    name: `${prefix}_${name}`, help, labelNames, registers: [registry],
    collect () {
      this.reset()
      for (const [labels, value] of series()) this.set(labels, value)
    }
  })
}

/** Its name gets the ending `_total`. */
export function addCounter (registry: Registry, { prefix = 'lockstep', name, help, labelNames, series }: Family): void {
  new Counter({
    name: `${prefix}_${name}_total`, help, labelNames, registers: [registry],
    collect () {
      this.reset()
      for (const [labels, value] of series()) this.inc(labels, value)
    }
  })
}

/** 1 for the state that it is in. */
export const states = (labels: Series[0], name: string, all: readonly string[], now: string): Series[] => all.map((state) => [{ ...labels, [name]: state }, state === now ? 1 : 0])

/** How many were at most each bound, and beyond the last one: `counts` has one more than `bounds`, and is not cumulative. */
export interface Distribution { readonly bounds: readonly number[], readonly counts: readonly number[], readonly sum: number }
export interface DistributionFamily extends Omit<Family, 'series' | 'prefix'> { readonly series: () => ReadonlyArray<readonly [labels: Series[0], Distribution]> }

/** What somebody else counted. */
class GivenHistogram extends Histogram {
  constructor (private readonly family: DistributionFamily, registry: Registry) { super({ name: `lockstep_${family.name}`, help: family.help, labelNames: family.labelNames, registers: [registry] }) }

  getForPromString = async (): Promise<{ readonly name: string, readonly help: string, readonly type: 'histogram', readonly values: readonly MetricValueWithName<string>[] }> => {
    const name = `lockstep_${this.family.name}`
    const values = this.family.series().flatMap(([labels, { bounds, counts, sum }]): Array<MetricValueWithName<string>> => {
      let below = 0
      const buckets = counts.map((count, i) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: bounds[i] === undefined ? '+Inf' : String(bounds[i]) }, value: below += count }))
      return [...buckets, { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: below }]
    })
    return await Promise.resolve({ name, help: this.family.help, type: 'histogram', values })
  }
}

export function addHistogram (registry: Registry, family: DistributionFamily): void { void new GivenHistogram(family, registry) }
