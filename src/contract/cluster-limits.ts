/** Bounds and defaults of a pair: what the configuration takes and ownership relies on. Durations are in milliseconds. */
import type { ClusterSettings } from './cluster.js'

export const clusterLimits = {
  nodes: 2,
  heartbeatPathsMax: 4, syncPathsMax: 4,
  intervalMsMin: 10, intervalMsMax: 1000,
  /** Below three a lease of detection minus 1.5 intervals would be shorter than an interval. */
  countMin: 3, countMax: 10,
  /** An epoch's low byte. */
  nodeIndexMax: 255,
  priorityMax: 255, weightMax: 255,
  restartHoldMsMax: 300_000,
  /** Half of it is the taker's: room for a few messages, a grace and a write to disk. */
  moveTimeoutMsMin: 500, moveTimeoutMsMax: 60_000,
  degradedAfterMsMin: 1000, degradedAfterMsMax: 3_600_000,
  dampingMsMax: 3_600_000,
  scriptMsMin: 100, scriptMsMax: 3_600_000,
} as const

export const clusterDefaults = {
  timing: { intervalMs: 100, count: 3 },
  timers: { degradedAfterMs: 120_000, restartHoldMs: 30_000, moveTimeoutMs: 2000, worseAfterMs: 0, betterAfterMs: 5000 },
  priority: 100,
  script: { intervalMs: 5000, timeoutMs: 2000 },
} as const satisfies Pick<ClusterSettings, 'timing' | 'timers'> & Record<string, unknown>

/** Of the histogram of lag on the metrics page. */
export const lagBoundsMs = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000, 5000] as const
