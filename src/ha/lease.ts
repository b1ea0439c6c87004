/**
 * Lease arithmetic (R23). The owner stamps a deadline; a dataplane past it forwards no more. The lease must end before a peer that heard
 * nothing takes over: the last heartbeat heard may have left just before the last stamp but one interval, so lease < detection - interval.
 * 1.5 intervals are taken off; stamps come every half interval, so three may be late before a healthy owner stops.
 */
import { clusterDefaults } from '../contract/cluster-limits.js'
import { LockstepError } from '../contract/errors.js'
import { haLimits } from './limits.js'

export interface Timing { readonly intervalMs: number, readonly count: number }

export const defaultTiming: Timing = clusterDefaults.timing
export const fastTiming: Timing = { intervalMs: 10, count: 5 }

/** @throws invalid LS_H_TIMING */
export function checkTiming ({ intervalMs, count }: Timing): void {
  const check = (what: string, found: number, min: number, max: number): void => {
    if (!Number.isInteger(found) || found < min || found > max) throw new LockstepError('invalid', 'LS_H_TIMING', 'out of range', { object: what, found: String(found), expected: `${min} to ${max}` })
  }
  check('heartbeat interval', intervalMs, haLimits.intervalMsMin, haLimits.intervalMsMax)
  check('heartbeat count', count, haLimits.countMin, haLimits.countMax)
}

/** Silence after which a peer is lost. */
export const detectionMs = ({ intervalMs, count }: Timing): number => intervalMs * count
export const leaseMs = (timing: Timing): number => detectionMs(timing) - 1.5 * timing.intervalMs
export const stampMs = ({ intervalMs }: Timing): number => intervalMs / 2

/** The longest lease that any legal timing gives: what a node without state listens for (R24). */
export const maxLeaseMs = leaseMs({ intervalMs: haLimits.intervalMsMax, count: haLimits.countMax })

/** In ownership's terms: who could contradict an owner. */
export interface Surroundings {
  readonly peers: 'none' | 'alive' | 'lost'
  /** `none`: no witness is configured. */
  readonly witness: 'none' | 'seen' | 'lost'
}

/** Nobody answers and the witness is gone: this node may be the one that is cut off. */
export const isolated = ({ peers, witness }: Surroundings): boolean => peers === 'lost' && witness === 'lost'

/** Deadline to stamp: Infinity without a peer, 0 (no lease) when isolated. */
export function leaseDeadlineMs (nowMs: number, timing: Timing, around: Surroundings): number {
  if (around.peers === 'none') return Infinity
  return isolated(around) ? 0 : nowMs + leaseMs(timing)
}

export const leaseForeverNs = 2n ** 64n - 1n

/** The u64 of shared memory: nanoseconds of CLOCK_MONOTONIC. */
export const leaseStampNs = (deadlineMs: number): bigint => deadlineMs === Infinity ? leaseForeverNs : BigInt(Math.round(deadlineMs * 1e6))
