import { layout, limits } from '../../generated/layout.js';
import { networkOf, parsePrefix } from '../../lib/address.js';
import { at } from './bank.js';
import { localKey } from './hash.js';
export function compileStatics(d) {
    return d.nat.static.flatMap(mapping => {
        const outside = parsePrefix(mapping.outside);
        const inside = parsePrefix(mapping.inside);
        if (outside === null || inside === null)
            return [];
        const count = 2 ** ((outside.family === 4 ? 32 : 128) - outside.length);
        return Array.from({ length: Math.min(count, limits.LS_STATIC_HASH) }, (_, i) => ({
            outside: networkOf(outside) + BigInt(i), inside: networkOf(inside) + BigInt(i),
            domain: d.ids.domain[mapping.domain] ?? 0, id: d.ids.nat[mapping.name] ?? 0, redundancyGroup: mapping.redundancyGroup,
        }));
    });
}
export const staticTable = (entries, side) => ({ name: `static NAT by ${side} address`, size: limits.LS_STATIC_HASH, keys: entries.map(e => localKey(e[side], e.domain)) });
export function writeStatics(bank, member, entries, places) {
    const shape = layout.ls_static_nat;
    places.forEach((n, i) => {
        const entry = entries[n];
        if (entry === undefined)
            return;
        const base = at(member, i);
        bank.addr(base + shape.outside.offset, entry.outside);
        bank.addr(base + shape.inside.offset, entry.inside);
        bank.u16(base + shape.domain.offset, entry.domain);
        bank.u16(base + shape.id.offset, entry.id);
        bank.u8(base + shape.rg.offset, entry.redundancyGroup);
    });
}
//# sourceMappingURL=statics.js.map