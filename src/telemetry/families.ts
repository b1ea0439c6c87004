/** Families that are emptied and filled again at each scrape, so that a series ends with the object it is about. */
import { Counter, Gauge, Histogram, type MetricValueWithName, type Registry } from 'prom-client'
import type { Times } from '../lib/tally-of-times.js'

export type Series = readonly [labels: Readonly<Record<string, string>>, value: number]

/** `name` without its prefix: lockstep, unless it says otherwise. */
export interface Family { readonly prefix?: string, readonly name: string, readonly help: string, readonly labelNames: readonly string[], readonly series: () => readonly Series[] }

type Rendered = Promise<{ readonly name: string, readonly help: string, readonly type: string, readonly values: readonly MetricValueWithName<string>[] }>

/** Rendered from what is there: thousands of series need not be kept by label first. */
class GivenGauge extends Gauge {
  constructor (private readonly family: Family, registry: Registry) { super({ name: nameOf(family), help: family.help, labelNames: family.labelNames, registers: [registry] }) }

  getForPromString = async (): Rendered => await rendered(this.family, nameOf(this.family), 'gauge')
}
class GivenCounter extends Counter {
  constructor (private readonly family: Family, registry: Registry) { super({ name: `${nameOf(family)}_total`, help: family.help, labelNames: family.labelNames, registers: [registry] }) }

  getForPromString = async (): Rendered => await rendered(this.family, `${nameOf(this.family)}_total`, 'counter')
}
const nameOf = ({ prefix = 'lockstep', name }: Pick<Family, 'prefix' | 'name'>): string => `${prefix}_${name}`
const rendered = async ({ help, series }: Family, name: string, type: string): Rendered => await Promise.resolve({ name, help, type, values: series().map(([labels, value]) => ({ labels, value })) })

export function addGauge (registry: Registry, family: Family): void { void new GivenGauge(family, registry) }

/** Its name gets the ending `_total`. */
export function addCounter (registry: Registry, family: Family): void { void new GivenCounter(family, registry) }

/** 1 for the state that it is in. */
export const states = (labels: Series[0], name: string, all: readonly string[], now: string): Series[] => all.map((state) => [{ ...labels, [name]: state }, state === now ? 1 : 0])

export interface DistributionFamily extends Omit<Family, 'series'> { readonly series: () => ReadonlyArray<readonly [labels: Series[0], Times]> }

/** What somebody else counted. */
class GivenHistogram extends Histogram {
  constructor (private readonly family: DistributionFamily, registry: Registry) { super({ name: nameOf(family), help: family.help, labelNames: family.labelNames, registers: [registry] }) }

  getForPromString = async (): Rendered => {
    const name = nameOf(this.family)
    const values = this.family.series().flatMap(([labels, { bounds, counts, sum }]): Array<MetricValueWithName<string>> => {
      let below = 0
      const buckets = counts.map((count, i) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: bounds[i] === undefined ? '+Inf' : String(bounds[i]) }, value: below += count }))
      return [...buckets, { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: below }]
    })
    return await Promise.resolve({ name, help: this.family.help, type: 'histogram', values })
  }
}

export function addHistogram (registry: Registry, family: DistributionFamily): void { void new GivenHistogram(family, registry) }
