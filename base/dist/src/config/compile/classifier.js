import { layout, limits } from '../../generated/layout.js';
import { addressBytes, max128, mergeSpans } from '../../lib/address.js';
import { ConfigError } from '../issues.js';
import { mergePorts } from '../units.js';
class Rows {
    words;
    path;
    all;
    known = new Map();
    constructor(words, path) {
        this.words = words;
        this.path = path;
        this.all = [new Uint32Array(words)];
        this.known.set(this.key(new Uint32Array(words)), 0);
    }
    key(bits) { return Buffer.from(bits.buffer, bits.byteOffset, bits.byteLength).toString('latin1'); }
    /** Index of these bits; they are copied when new. */
    of(bits) {
        const key = this.key(bits);
        const found = this.known.get(key);
        if (found !== undefined)
            return found;
        if (this.all.length >= limits.LS_CLASS_ROWS)
            refuse(this.path, 'the rules are too varied', `more than ${limits.LS_CLASS_ROWS} different sets of rules`, 'fewer rules, or fewer different addresses and ports (LS_CLASS_ROWS)');
        this.known.set(key, this.all.length);
        this.all.push(bits.slice());
        return this.all.length - 1;
    }
    /** Bits of the rules that `accepts` holds for. */
    where(rules, accepts) {
        const bits = new Uint32Array(this.words);
        rules.forEach((rule, i) => { if (accepts(rule))
            setBit(bits, i); });
        return this.of(bits);
    }
}
const setBit = (bits, i) => { bits[i >>> 5] = (bits[i >>> 5] ?? 0) | 1 << (i & 31); };
function refuse(path, message, found, expected) {
    throw new ConfigError([{ path, line: null, column: null, code: 'LS_C_LIMIT', message, found, expected }], 'exhausted', 'LS_C_LIMIT');
}
/** Row per elementary interval. Ranges of one rule are disjoint and not adjacent, so each cut toggles a rule once. */
function intervals(rules, ranges, axis, rows, path, what) {
    const cuts = new Map();
    const toggle = (value, rule) => {
        const list = cuts.get(value);
        if (list === undefined)
            cuts.set(value, [rule]);
        else
            list.push(rule);
    };
    for (let rule = 0; rule < rules; rule++) {
        for (const { from, to } of ranges(rule)) {
            toggle(from, rule);
            if (to !== axis.max)
                toggle(axis.next(to), rule);
        }
    }
    if (!cuts.has(axis.zero))
        cuts.set(axis.zero, []);
    const starts = [];
    const rowOf = [];
    const bits = new Uint32Array(rows.words);
    for (const [start, toggled] of [...cuts].sort(([x], [y]) => x < y ? -1 : x > y ? 1 : 0)) {
        for (const rule of toggled)
            bits[rule >>> 5] = (bits[rule >>> 5] ?? 0) ^ 1 << (rule & 31);
        const row = rows.of(bits);
        if (row === rowOf.at(-1))
            continue;
        starts.push(start);
        rowOf.push(row);
    }
    if (starts.length > limits.LS_CLASS_BOUNDS)
        refuse(path, `the rules name too many different ${what}`, `${starts.length} intervals`, `at most ${limits.LS_CLASS_BOUNDS} (LS_CLASS_BOUNDS)`);
    return { starts, rows: rowOf };
}
const addressAxis = { zero: 0n, max: max128, next: (value) => value + 1n };
const portAxis = { zero: 0, max: 65535, next: (value) => value + 1 };
const anyAddress = [{ from: 0n, to: max128 }];
const anyPort = [{ from: 0, to: 65535 }];
export function buildClassifier(rules, kind) {
    const { path } = kind;
    if (rules.length > limits.LS_RULES_MAX)
        refuse(path, 'too many rules', `${rules.length}, one per rule and application term`, `at most ${limits.LS_RULES_MAX} (LS_RULES_MAX)`);
    const rows = new Rows(Math.max(1, Math.ceil(rules.length / 64)) * 2, path);
    const spans = (pick) => (i) => {
        const rule = rules[i];
        const list = rule === undefined ? [] : pick(rule);
        return list.length === 0 ? anyAddress : mergeSpans(list);
    };
    const ports = (pick) => (i) => {
        const rule = rules[i];
        const list = rule === undefined ? [] : pick(rule);
        return list.length === 0 ? anyPort : mergePorts(list);
    };
    const zoneIn = new Uint16Array(limits.LS_ZONES_MAX);
    const zoneOut = new Uint16Array(limits.LS_ZONES_MAX);
    for (const zone of kind.zones) {
        zoneIn[zone] = rows.where(rules, rule => rule.from === null || rule.from.includes(zone));
        zoneOut[zone] = rows.where(rules, rule => rule.to === null || rule.to.includes(zone));
    }
    if (!kind.zoneOutKnown)
        zoneOut.fill(rows.where(rules, () => true));
    const proto = new Uint16Array(256);
    const named = new Set(rules.flatMap(rule => rule.protocols));
    proto.fill(rows.where(rules, rule => rule.protocols.length === 0));
    for (const p of named)
        proto[p] = rows.where(rules, rule => rule.protocols.length === 0 || rule.protocols.includes(p));
    return {
        rules: rules.length, rows: rows.all, zoneIn, zoneOut, proto,
        source: intervals(rules.length, spans(r => r.source), addressAxis, rows, path, 'source addresses'),
        destination: intervals(rules.length, spans(r => r.destination), addressAxis, rows, path, 'destination addresses'),
        sourcePorts: intervals(rules.length, ports(r => r.sourcePorts), portAxis, rows, path, 'source ports'),
        destinationPorts: intervals(rules.length, ports(r => r.destinationPorts), portAxis, rows, path, 'destination ports'),
    };
}
const shape = layout.ls_classifier;
/** Stores it as struct ls_classifier at `base`. `active` are the rules in force. */
export function writeClassifier(bank, base, c, active) {
    bank.u32(base + shape.rules.offset, c.rules);
    bank.u32(base + shape.words.offset, Math.ceil(c.rules / 64));
    const u16s = (offset, values) => { values.forEach((value, i) => { bank.u16(base + offset + 2 * i, value); }); };
    u16s(shape.zone_in.offset, c.zoneIn);
    u16s(shape.zone_out.offset, c.zoneOut);
    u16s(shape.proto.offset, c.proto);
    for (const [member, dimension] of [[shape.src, c.source], [shape.dst, c.destination]]) {
        const { count, start, row } = layout.ls_class_addr;
        bank.u32(base + member.offset + count.offset, dimension.starts.length);
        dimension.starts.forEach((value, i) => { bank.copy(base + member.offset + start.offset + i * start.stride, addressBytes(value)); });
        u16s(member.offset + row.offset, dimension.rows);
    }
    for (const [member, dimension] of [[shape.sport, c.sourcePorts], [shape.dport, c.destinationPorts]]) {
        const { count, start, row } = layout.ls_class_port;
        bank.u32(base + member.offset + count.offset, dimension.starts.length);
        u16s(member.offset + start.offset, dimension.starts);
        u16s(member.offset + row.offset, dimension.rows);
    }
    bank.copy(base + shape.active.offset, active);
    c.rows.forEach((bits, i) => { bank.copy(base + shape.row.offset + i * shape.row.stride, new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength)); });
}
/** struct ls_row with the bits of these rule indices. */
export function rowOf(rules) {
    const out = new Uint8Array(layout.ls_row.size);
    for (const rule of rules)
        out[rule >>> 3] = (out[rule >>> 3] ?? 0) | 1 << (rule & 7);
    return out;
}
//# sourceMappingURL=classifier.js.map