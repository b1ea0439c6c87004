import { layout, limits } from '../../generated/layout.js';
import { parsePrefix, prefixSpan, spansOverlap } from '../../lib/address.js';
import { address, at, config } from './bank.js';
import { localKey } from './hash.js';
/** The first that claims an address keeps it, so the host's own come first; a pool only adds its index. */
export function compileLocals(d, bound, pools, statics) {
    const all = new Map();
    const claim = (local) => {
        const key = `${local.domain} ${local.address}`;
        const known = all.get(key);
        if (known === undefined)
            all.set(key, local);
        else if (known.poolAddress === 0 && local.poolAddress > 0)
            all.set(key, { ...known, poolAddress: local.poolAddress });
        // One link-local address on several interfaces is none's in particular.
        else if (known.kind === local.kind && known.iface !== local.iface)
            all.set(key, { ...known, iface: 0 });
    };
    for (const { wanted, id, addresses } of bound) {
        const common = { domain: d.ids.domain[wanted.domain] ?? 0, iface: id, redundancyGroup: wanted.redundancyGroup, poolAddress: 0 };
        for (const text of addresses)
            claim({ ...common, address: address(text), kind: limits.LS_LOCAL_HOST });
        for (const text of wanted.floating)
            claim({ ...common, address: address(text), kind: limits.LS_LOCAL_FLOAT });
    }
    for (const vip of d.vips) {
        const prefix = parsePrefix(vip.address);
        if (prefix === null || prefix.length !== (prefix.family === 4 ? 32 : 128))
            continue;
        claim({ address: prefix.address, domain: d.ids.domain[vip.domain] ?? 0, kind: limits.LS_LOCAL_VIP, iface: 0, redundancyGroup: vip.redundancyGroup, poolAddress: 0 });
    }
    for (const pool of pools) {
        pool.addresses.forEach((value, i) => {
            claim({ address: value, domain: pool.domain, kind: limits.LS_LOCAL_POOL, iface: pool.iface, redundancyGroup: pool.redundancyGroup, poolAddress: pool.first + i + 1 });
        });
    }
    for (const entry of statics)
        claim({ address: entry.outside, domain: entry.domain, kind: limits.LS_LOCAL_STATIC, iface: 0, redundancyGroup: entry.redundancyGroup, poolAddress: 0 });
    for (const local of translated(d, bound))
        claim(local);
    return [...all.values()];
}
/** Destination NAT of one address on the very subnet it is asked for: nobody else would answer there. */
function translated(d, bound) {
    return d.nat.destination.flatMap(rule => {
        if (rule.translate === null || rule.from.length === 0)
            return [];
        return rule.destination.flatMap(text => {
            const prefix = parsePrefix(text);
            if (prefix === null || prefix.length !== (prefix.family === 4 ? 32 : 128))
                return [];
            const link = bound.find(b => rule.from.includes(b.wanted.zone) && [...b.addresses, ...b.wanted.floating].some(a => {
                const subnet = parsePrefix(a);
                return subnet !== null && spansOverlap(prefixSpan(subnet), prefixSpan(prefix));
            }));
            return link === undefined
                ? []
                : [{ address: prefix.address, domain: d.ids.domain[link.wanted.domain] ?? 0, kind: limits.LS_LOCAL_STATIC, iface: 0, redundancyGroup: link.wanted.redundancyGroup, poolAddress: 0 }];
        });
    });
}
export const localTable = (locals) => ({ name: 'own addresses', size: limits.LS_LOCALS_HASH, keys: locals.map(l => localKey(l.address, l.domain)) });
export function writeLocals(bank, locals, places) {
    const shape = layout.ls_local;
    places.forEach((n, i) => {
        const local = locals[n];
        if (local === undefined)
            return;
        const base = at(config.local, i);
        bank.addr(base + shape.addr.offset, local.address);
        bank.u16(base + shape.domain.offset, local.domain);
        bank.u16(base + shape.iface.offset, local.iface);
        bank.u8(base + shape.kind.offset, local.kind);
        bank.u8(base + shape.rg.offset, local.redundancyGroup);
        bank.u16(base + shape.pool_addr.offset, local.poolAddress);
    });
}
//# sourceMappingURL=locals.js.map