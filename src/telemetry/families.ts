/** Families that are emptied and filled again at each scrape, so that a series ends with the object it is about. */
import { Counter, Gauge, type Registry } from 'prom-client'

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
