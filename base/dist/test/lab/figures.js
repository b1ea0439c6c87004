/** Summaries of measured values. Pure. */
/** Nearest rank; zeros when there is nothing. */
export function quantiles(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (q) => round(sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0);
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: round(sorted.at(-1) ?? 0) };
}
export const round = (value, digits = 3) => Number(value.toFixed(digits));
/** How often each value occurs, most frequent first. */
export function tally(values) {
    const counts = new Map();
    for (const v of values)
        counts.set(v, (counts.get(v) ?? 0) + 1);
    return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}
/** Share of each name, 0 to 1. */
export function shares(counts) {
    const all = Object.values(counts).reduce((a, b) => a + b, 0);
    return Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, all === 0 ? 0 : n / all]));
}
//# sourceMappingURL=figures.js.map