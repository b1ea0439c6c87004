/**
 * What failed monitors take off a group's priority, damped: a loss counts after `worseAfterMs`, a return after `betterAfterMs`, so a
 * flapping link moves ownership once. Level-triggered: `settle` may be called at any time and late.
 */
import type { HaTimers } from './limits.js'

export interface Weight {
  /** What monitors say now. */
  readonly measured: number
  /** What counts. */
  readonly counted: number
  /** Since when the two differ in this direction; null: equal. */
  readonly sinceMs: number | null
}

export const noWeight: Weight = { measured: 0, counted: 0, sinceMs: null }

type Damping = Pick<HaTimers, 'worseAfterMs' | 'betterAfterMs'>

const afterMs = (w: Weight, damping: Damping): number => w.measured > w.counted ? damping.worseAfterMs : damping.betterAfterMs

export function measure (w: Weight, measured: number, damping: Damping, nowMs: number): Weight {
  const direction = Math.sign(measured - w.counted)
  const sinceMs = direction === 0 ? null : direction === Math.sign(w.measured - w.counted) ? w.sinceMs : nowMs
  return settleWeight({ ...w, measured, sinceMs }, damping, nowMs)
}

export function settleWeight (w: Weight, damping: Damping, nowMs: number): Weight {
  return w.sinceMs !== null && nowMs >= w.sinceMs + afterMs(w, damping) ? { measured: w.measured, counted: w.measured, sinceMs: null } : w
}

/** When `settleWeight` will change something; Infinity: never by itself. */
export const weightDueMs = (w: Weight, damping: Damping): number => w.sinceMs === null ? Infinity : w.sinceMs + afterMs(w, damping)

export const effectivePriority = (priority: number, w: Weight): number => Math.max(0, priority - w.counted)
