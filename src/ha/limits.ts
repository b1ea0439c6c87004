/** Bounds and defaults of ownership: those that an operator sets are in the contract. Durations are in milliseconds. */
import { clusterDefaults, clusterLimits } from '../contract/cluster-limits.js'

export const haLimits = {
  ...clusterLimits,
  /** A signed 64-bit counter of epochs holds 2^55 - 1 of them. */
  epochCounterMax: 2n ** 55n - 1n,
  /** Boots of a peer that are over; their heartbeats are replays. */
  retiredBootsMax: 16,
  /** An epoch that is not confirmed is written again. */
  askEpochAgainMs: 1000,
} as const

export interface HaTimers {
  /** From "nobody owns and the best node is not ready" to its promotion all the same. */
  readonly degradedAfterMs: number
  /** How long a peer waits for an agent whose dataplane goes on without it. */
  readonly restartHoldMs: number
  /** After giving ownership up without a successor: time in which the other may take it. */
  readonly resignGuardMs: number
  /** The giver of a planned move returns to owner after this; the taker gives up after half of it. */
  readonly moveTimeoutMs: number
  readonly moveResendMs: number
  /** Between two moves that nobody asked for (preempt, giving way). */
  readonly moveRetryMs: number
  /** A monitor's loss counts after this … */
  readonly worseAfterMs: number
  /** … and its return after this. */
  readonly betterAfterMs: number
}

export const defaultTimers: HaTimers = {
  ...clusterDefaults.timers,
  resignGuardMs: 2000, moveResendMs: 100, moveRetryMs: 5000,
}
