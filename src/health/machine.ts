/**
 * The state of a target under a check: one transition table, and a counter of 0 to rise + fall - 1 that is what decides while probes run. Up from `rise` on.
 * A change of state takes the counter to its end, so that a server that has just come up needs `fall` failures to go, and one that went needs `rise`
 * passes to come back. Pure.
 *
 * A target of which nothing is known comes up with its first pass and is down with its first failure: whoever waits for it waits for one probe.
 */
import type { HealthInput, HealthState } from '../contract/health.js'

/** What each input does in each state; `count`: the counter decides. Absent: nothing, the answer came too late. */
export const transitions = {
  unknown: { pass: 'up', fail: 'down', pause: 'paused', disable: 'disabled' },
  up: { pass: 'count', fail: 'count', pause: 'paused', disable: 'disabled' },
  down: { pass: 'count', fail: 'count', pause: 'paused', disable: 'disabled' },
  paused: { resume: 'unknown', disable: 'disabled' },
  disabled: { enable: 'unknown' },
} as const satisfies Record<HealthState, Partial<Record<HealthInput, HealthState | 'count'>>>

export interface Thresholds { readonly rise: number, readonly fall: number }
export interface Health { readonly state: HealthState, readonly count: number }

export const unknown: Health = { state: 'unknown', count: 0 }
const highest = ({ rise, fall }: Thresholds): number => rise + fall - 1

/** A state that has just begun, or of which only that is known: its counter is at the end. */
export const ofState = (state: HealthState, t: Thresholds): Health => ({ state, count: state === 'up' ? highest(t) : 0 })

/** With other thresholds than before. */
export function restored ({ state, count }: Health, t: Thresholds): Health {
  if (state === 'up') return { state, count: Math.min(Math.max(count, t.rise), highest(t)) }
  if (state === 'down') return { state, count: Math.min(Math.max(count, 0), t.rise - 1) }
  return { state, count: 0 }
}

export function step (health: Health, input: HealthInput, t: Thresholds): Health {
  const to = (transitions[health.state] as Partial<Record<HealthInput, HealthState | 'count'>>)[input]
  if (to === undefined) return health
  if (to !== 'count') return ofState(to, t)
  const count = Math.min(Math.max(health.count + (input === 'pass' ? 1 : -1), 0), highest(t))
  if (health.state === 'up') return count < t.rise ? ofState('down', t) : { state: 'up', count }
  if (count >= t.rise) return ofState('up', t)
  return { state: 'down', count: input === 'pass' ? count : 0 }
}

/** The counter is at neither end: the next probe comes sooner. */
export function inDoubt ({ state, count }: Health, t: Thresholds): boolean {
  return state === 'unknown' || (state === 'up' && count < highest(t)) || (state === 'down' && count > 0)
}

export const probed = ({ state }: Health): boolean => state !== 'paused' && state !== 'disabled'
