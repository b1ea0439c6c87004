/** Addresses of columns as text, many at a time: without numbers of 128 bits on the way. */

/** 16 bytes in network order -> text, v4-mapped as dotted quad, IPv6 as RFC 5952 wants it. */
export function addressText (data: Uint8Array, at: number): string {
  const byte = (i: number): number => data[at + i] ?? 0
  let mapped = byte(10) === 0xff && byte(11) === 0xff
  for (let i = 0; i < 10 && mapped; i++) mapped = byte(i) === 0
  if (mapped) return `${byte(12)}.${byte(13)}.${byte(14)}.${byte(15)}`
  const groups = Array.from({ length: 8 }, (_, i) => (byte(2 * i) << 8) | byte(2 * i + 1))
  const gap = longestZeroRun(groups)
  const hex = groups.map((g) => g.toString(16))
  return gap === null ? hex.join(':') : `${hex.slice(0, gap.from).join(':')}::${hex.slice(gap.to).join(':')}`
}

function longestZeroRun (groups: readonly number[]): { from: number, to: number } | null {
  let best: { from: number, to: number } | null = null
  for (let from = 0; from < groups.length; from++) {
    let to = from
    while (to < groups.length && groups[to] === 0) to++
    if (to - from >= 2 && (best === null || to - from > best.to - best.from)) best = { from, to }
    from = Math.max(from, to)
  }
  return best
}
