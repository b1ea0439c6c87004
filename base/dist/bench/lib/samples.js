/** Samples of a bench program, its medians, and what a suite makes of them. */
/** Lines `{"sample":name,"value":number}` and `{"note":name,"text":string}`; anything else is an error of the program. */
export function parseSamples(text) {
    const values = new Map();
    const notes = {};
    for (const line of text.split('\n')) {
        if (line.trim() === '')
            continue;
        const row = JSON.parse(line);
        if (typeof row.sample === 'string' && typeof row.value === 'number') {
            const list = values.get(row.sample) ?? [];
            list.push(row.value);
            values.set(row.sample, list);
        }
        else if (typeof row.note === 'string' && typeof row.text === 'string')
            notes[row.note] = row.text;
        else
            throw new Error(`not a sample: ${line}`);
    }
    return { values, notes };
}
export function merge(parts) {
    const values = new Map();
    const notes = {};
    for (const part of parts) {
        for (const [name, list] of part.values)
            values.set(name, [...(values.get(name) ?? []), ...list]);
        Object.assign(notes, part.notes);
    }
    return { values, notes };
}
/** The value below which the share `p` of the values lies, interpolated; NaN for none. */
export function quantile(values, p) {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (sorted.length - 1) * p;
    const low = sorted[Math.floor(at)] ?? NaN;
    const high = sorted[Math.ceil(at)] ?? NaN;
    return low + (high - low) * (at - Math.floor(at));
}
export const median = (values) => quantile(values, 0.5);
/** Median of one sample; null when it was not taken (its peer was skipped). */
export function medianOf({ values }, name) {
    const list = values.get(name);
    return list === undefined || list.length === 0 ? null : median(list);
}
export function spreadOf({ values }) {
    const spread = {};
    for (const [name, list] of values) {
        if (list.length > 1)
            spread[name] = { n: list.length, q1: significant(quantile(list, 0.25)), median: significant(median(list)), q3: significant(quantile(list, 0.75)) };
    }
    return spread;
}
/** Four significant digits: more would be noise. */
export const significant = (value) => (Number.isInteger(value) && Math.abs(value) < 1e15 ? value : Number(value.toPrecision(4)));
/** Drops what could not be measured. */
export function figuresOf(figures) {
    return Object.fromEntries(Object.entries(figures).flatMap(([name, value]) => (value === null || Number.isNaN(value) ? [] : [[name, significant(value)]])));
}
export const ratio = (peer, ours) => (peer === null || ours === null || ours === 0 ? null : peer / ours);
//# sourceMappingURL=samples.js.map