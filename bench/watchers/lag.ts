/** Lag of the pair between two readings of the metrics page: quantiles interpolated in its histogram. */
import { call, type AgentConnection } from '../../src/cli/client.js'

/** Frames up to each bound, in ms, from the lowest bound. */
export type LagReading = ReadonlyArray<readonly [boundMs: number, count: number]>

const LINE = /^lockstep_cluster_sync_acknowledge_seconds_bucket\{.*le="([^"]+)".*\} (\d+)$/gm

export const lagOf = (page: string): LagReading => [...page.matchAll(LINE)].map(([, le = '', count = '0']) => [le === '+Inf' ? Infinity : Number(le) * 1000, Number(count)] as const)

export async function readLag ({ telemetry }: AgentConnection): Promise<LagReading> { return lagOf((await call(telemetry, telemetry.metrics, { names: '' })).text) }

/** NaN: nothing was measured in between; beyond the last bound: that bound. */
export function lagQuantile (from: LagReading, to: LagReading, p: number): number {
  const grown = to.map(([bound, count], i) => [bound, count - (from[i]?.[1] ?? 0)] as const)
  const all = grown.at(-1)?.[1] ?? 0
  if (all === 0) return NaN
  let [low, below] = [0, 0]
  for (const [bound, count] of grown) {
    if (count >= p * all) return bound === Infinity ? low : low + (bound - low) * (p * all - below) / (count - below)
    ;[low, below] = [bound, count]
  }
  return low
}
