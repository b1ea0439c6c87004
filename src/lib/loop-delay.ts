/** How late an event loop is: 99th percentile since the start, in milliseconds. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Of the sampling timer: what it waits for anyway is not delay. Each sample wakes the thread, also of an idle host. */
export const RESOLUTION_MS = 50

export interface LoopDelay { readonly p99Ms: () => number, readonly stop: () => void }

export function watchLoopDelay (): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  return { p99Ms: () => Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS), stop: () => { histogram.disable() } }
}
