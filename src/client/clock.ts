/** Time and chance of the client, so that tests bring their own. */
import { setTimeout as sleepFor } from 'node:timers/promises'
import type { Waits } from '../lib/back-off.js'

export interface Clock {
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number
  /** Rejects with the reason of the signal as soon as it fires. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** 0 to 1. */
  readonly random: () => number
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  sleep: async (ms, signal) => {
    signal.throwIfAborted()
    await sleepFor(ms, undefined, { signal }).catch(() => { signal.throwIfAborted() })
  },
  random: Math.random
}

export interface Backoff extends Waits {
  /** A connection that lasted so long was a good one: after it the first wait is short again. */
  readonly healthyMs: number
}

export const defaultBackoff: Backoff = { leastMs: 100, mostMs: 30_000, healthyMs: 10_000 }
