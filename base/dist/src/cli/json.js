/** Messages as JSON: 64-bit counters as numbers while they are exact, as strings above 2^53; absent fields are left out. */
export function toJson(value, indent) {
    return JSON.stringify(value, (_key, v) => {
        if (typeof v === 'bigint')
            return v <= BigInt(Number.MAX_SAFE_INTEGER) && v >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(v) : String(v);
        return v;
    }, indent);
}
/** `GENERATION_STATE_ROLLED_BACK` -> `rolled-back`: enumerations as people and scripts write them. */
export function enumWord(prefix, value) {
    return value.startsWith(prefix) ? value.slice(prefix.length + 1).toLowerCase().replaceAll('_', '-') : value.toLowerCase();
}
//# sourceMappingURL=json.js.map