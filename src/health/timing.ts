/** When a target is probed next. Pure: chance comes in as a number of 0 up to 1. */
import type { HealthCheck } from '../contract/health.js'
import { inDoubt, type Health } from './machine.js'

type Intervals = Pick<HealthCheck, 'intervalMs' | 'fastIntervalMs' | 'downIntervalMs' | 'jitterPct' | 'rise' | 'fall'>

/** From the start of one probe to the start of the next. */
export function intervalOf (health: Health, check: Intervals): number {
  if (inDoubt(health, check)) return check.fastIntervalMs
  return health.state === 'down' ? check.downIntervalMs : check.intervalMs
}

/** Up to jitterPct per cent earlier or later. */
export function nextInterval (health: Health, check: Intervals, chance: number): number {
  return intervalOf(health, check) * (1 + check.jitterPct / 100 * (2 * chance - 1))
}

/** Probes that begin together are spread over one interval, but what nobody knows is not kept waiting for more than this. */
export const SPREAD_MAX_MS = 2000
export const firstDelay = (check: Intervals, chance: number): number => chance * Math.min(check.intervalMs, SPREAD_MAX_MS)
