/** Summaries of measured values. Pure. */

export interface Quantiles { readonly p50: number, readonly p90: number, readonly p99: number, readonly max: number }

/** Nearest rank; zeros when there is nothing. */
export function quantiles (values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (q: number): number => round(sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0)
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: round(sorted.at(-1) ?? 0) }
}

export const round = (value: number, digits = 3): number => Number(value.toFixed(digits))

/** How often each value occurs, most frequent first. */
export function tally (values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const v of values) counts.set(v, (counts.get(v) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]))
}

/** Share of each name, 0 to 1. */
export function shares (counts: Readonly<Record<string, number>>): Record<string, number> {
  const all = Object.values(counts).reduce((a, b) => a + b, 0)
  return Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, all === 0 ? 0 : n / all]))
}
