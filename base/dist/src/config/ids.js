import { limits } from '../generated/layout.js';
import { interfacesBehindNat } from './build/checks.js';
import { ConfigError } from './issues.js';
export const idKinds = ['zone', 'policy', 'vip', 'real', 'pool', 'app', 'interface', 'domain', 'nat'];
/** First and last id of a kind; lower ones have fixed meanings. */
const spaces = {
    zone: [1, limits.LS_ZONES_MAX - 1],
    policy: [1, limits.LS_POLICIES_MAX - 1],
    vip: [1, limits.LS_VIPS_MAX - 1],
    real: [1, limits.LS_REALS_MAX - 1],
    pool: [1, limits.LS_POOLS_MAX - 1],
    app: [1, limits.LS_APPS_MAX - 1],
    interface: [1, limits.LS_IFACES_MAX - 1],
    domain: [1, 65535],
    nat: [1, 65535],
};
/** Id 0 of a kind. */
export const fixedNames = {
    zone: 'none', policy: 'default', vip: 'none', real: 'none', pool: 'none', app: 'any', interface: 'none', domain: 'default', nat: 'none',
};
export const emptyIds = { zone: {}, policy: {}, vip: {}, real: {}, pool: {}, app: {}, interface: {}, domain: { default: 0 }, nat: {} };
/** Pool id name of one redundancy group's share. */
export const poolIdName = (pool, group) => pool.ranges.length === 1 ? pool.name : `${pool.name}@${group}`;
export const interfacePoolName = (name, family) => `@${name}.${family}`;
export const realIdName = (vip, real) => `${vip}/${real}`;
/** Every name that needs an id, by kind. */
export function namesOf(d) {
    return {
        zone: d.zones.map(z => z.name),
        policy: d.policies.map(p => p.name),
        vip: d.vips.map(v => v.name),
        real: d.vips.flatMap(v => v.pools.flatMap(p => p.reals.map(r => realIdName(v.name, r.name)))),
        pool: [
            ...d.nat.pools.flatMap(p => p.ranges.map(range => poolIdName(p, range.redundancyGroup))),
            ...interfacesBehindNat(d).flatMap(i => [interfacePoolName(i.name, 4), interfacePoolName(i.name, 6)]),
        ],
        app: d.applications.filter(a => !a.inline).map(a => a.name),
        interface: d.interfaces.map(i => i.name),
        domain: d.domains.filter(name => name !== 'default'),
        nat: [...d.nat.source, ...d.nat.destination, ...d.nat.static].map(rule => rule.name),
    };
}
export const withIds = (desired, book) => ({ ...desired, ids: book.table() });
const holdNothing = () => new Set();
export class IdBook {
    ids;
    warnings;
    constructor(ids, warnings = []) {
        this.ids = ids;
        this.warnings = warnings;
    }
    static empty() {
        return new IdBook(Object.fromEntries(idKinds.map(kind => [kind, new Map()])));
    }
    /** Accepts what toJSON gave; anything malformed is refused as `null`. */
    static fromJSON(json) {
        if (json === null || typeof json !== 'object')
            return null;
        const ids = {};
        for (const kind of idKinds) {
            const part = json[kind] ?? {};
            if (typeof part !== 'object' || part === null)
                return null;
            const map = new Map();
            const used = new Set();
            for (const [name, id] of Object.entries(part)) {
                if (typeof id !== 'number' || !Number.isInteger(id) || id < spaces[kind][0] || id > spaces[kind][1] || used.has(id))
                    return null;
                used.add(id);
                map.set(name, id);
            }
            ids[kind] = map;
        }
        return new IdBook(ids);
    }
    toJSON() {
        return Object.fromEntries(idKinds.map(kind => [kind, Object.fromEntries([...this.ids[kind]].sort(([, x], [, y]) => x - y))]));
    }
    /** All names, vanished ones too: sessions may still carry their ids. */
    table() {
        const table = this.toJSON();
        return { ...table, domain: { default: 0, ...table.domain } };
    }
    id(kind, name) {
        return this.ids[kind].get(name) ?? (fixedNames[kind] === name ? 0 : null);
    }
    /** `#7` for an id that no name has. */
    name(kind, id) {
        if (id === 0)
            return fixedNames[kind];
        for (const [name, own] of this.ids[kind])
            if (own === id)
                return name;
        return `#${id}`;
    }
    /** The book in which every name of `desired` has an id. Throws ConfigError (`exhausted`) when a kind runs out. */
    assign(desired, held = holdNothing) {
        const wanted = namesOf(desired);
        const warnings = [];
        const out = {};
        for (const kind of idKinds) {
            const names = kind === 'app' ? applicationsWithIds(desired, warnings) : wanted[kind];
            out[kind] = allocate(kind, this.ids[kind], names, held);
        }
        return new IdBook(out, warnings);
    }
}
/** Applications beyond the last id share row 0, as long as they have no timeouts of their own. */
function applicationsWithIds(d, warnings) {
    const [first, last] = spaces.app;
    const room = last - first + 1;
    const named = d.applications.filter(a => !a.inline);
    if (named.length <= room)
        return named.map(a => a.name);
    const special = named.filter(a => Object.keys(a.timeouts).length > 0);
    const plain = named.filter(a => Object.keys(a.timeouts).length === 0);
    const shown = [...special, ...plain].slice(0, Math.max(room, special.length)).map(a => a.name);
    warnings.push(`${named.length} applications, ${room} ids: sessions of ${named.length - shown.length} of them show application any`);
    return shown;
}
function allocate(kind, known, names, held) {
    const out = new Map(known);
    const wanted = new Set(names);
    const missing = [...wanted].filter(name => !out.has(name)).sort();
    if (missing.length === 0)
        return out;
    const used = new Set(out.values());
    const [first, last] = spaces[kind];
    let next = first;
    let reusable = null;
    for (const name of missing) {
        while (used.has(next))
            next++;
        if (next <= last) {
            used.add(next);
            out.set(name, next);
            continue;
        }
        if (reusable === null) {
            const busy = held(kind);
            reusable = [...known].filter(([old, id]) => !wanted.has(old) && !busy.has(id)).sort(([, x], [, y]) => x - y);
        }
        const free = reusable.shift();
        if (free === undefined) {
            throw new ConfigError([{ path: '', line: null, column: null, code: 'LS_C_LIMIT', message: `no ${kind} id is free`, found: `${wanted.size} names`, expected: `at most ${last - first + 1}, those of names that left while sessions hold them included; wait or delete these sessions` }], 'exhausted', 'LS_C_IDS');
        }
        out.delete(free[0]);
        out.set(name, free[1]);
    }
    return out;
}
//# sourceMappingURL=ids.js.map