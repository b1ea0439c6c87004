/** How busy an event loop was since somebody looked last: 0 to 1. */
import type { EventLoopUtilityFunction } from 'node:perf_hooks'

export function loopUse (of: { readonly eventLoopUtilization: EventLoopUtilityFunction }): () => number {
  let last = of.eventLoopUtilization()
  return () => {
    const now = of.eventLoopUtilization()
    const { utilization } = of.eventLoopUtilization(now, last)
    last = now
    return Number.isFinite(utilization) ? utilization : 0
  }
}
