/** How busy an event loop is: 0 to 1 of the latest LEAST_MS or more, the same for all that look. */
import type { EventLoopUtilityFunction } from 'node:perf_hooks'

const LEAST_MS = 2000

/** Of this thread, or of a worker without asking it: one that hangs is seen. */
export function loopUse (of: { readonly eventLoopUtilization: EventLoopUtilityFunction }, nowMs: () => number = () => performance.now()): () => number {
  let last = of.eventLoopUtilization()
  let lastAt = nowMs()
  let measured: number | null = null
  return () => {
    const whole = nowMs() - lastAt >= LEAST_MS
    if (!whole && measured !== null) return measured
    const now = of.eventLoopUtilization()
    const { utilization } = of.eventLoopUtilization(now, last)
    const busy = Number.isFinite(utilization) ? utilization : 0
    if (whole) {
      measured = busy
      last = now
      lastAt = nowMs()
    }
    return busy
  }
}
