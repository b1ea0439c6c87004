/** Messages as JSON: 64-bit counters as numbers while they are exact, as strings above 2^53; absent fields are left out. */
export function toJson (value: unknown, indent?: number): string {
  return JSON.stringify(value, (_key, v: unknown) => {
    if (typeof v === 'bigint') return v <= BigInt(Number.MAX_SAFE_INTEGER) && v >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(v) : String(v)
    return v
  }, indent)
}
