import { counter, drop, screen } from '../generated/codes.js';
import { layout } from '../generated/layout.js';
const traffic = ['packets', 'bytes'];
const screens = screen.map((s) => s.name);
export const counterBlocks = [
    { name: 'global', fields: ['value'], stride: 1, codes: counter, kind: null },
    { name: 'drops', fields: ['packets'], stride: 1, codes: drop, kind: null },
    { name: 'zone_in', fields: traffic, stride: layout.ls_counters.zone_in.dims[1], codes: null, kind: 'zone' },
    { name: 'zone_out', fields: traffic, stride: layout.ls_counters.zone_out.dims[1], codes: null, kind: 'zone' },
    { name: 'zone_drops', fields: ['packets'], stride: 1, codes: null, kind: 'zone' },
    { name: 'screens', fields: screens, stride: layout.ls_counters.screens.dims[1], codes: null, kind: 'zone' },
    { name: 'iface_rx', fields: traffic, stride: layout.ls_counters.iface_rx.dims[1], codes: null, kind: 'interface' },
    { name: 'iface_tx', fields: traffic, stride: layout.ls_counters.iface_tx.dims[1], codes: null, kind: 'interface' },
    { name: 'policy', fields: traffic, stride: layout.ls_counters.policy.dims[1], codes: null, kind: 'policy' },
    { name: 'vip', fields: ['packets', 'bytes', 'new_sessions', 'no_real'], stride: layout.ls_counters.vip.dims[1], codes: null, kind: 'vip' },
    { name: 'real', fields: ['packets', 'bytes', 'new_sessions'], stride: layout.ls_counters.real.dims[1], codes: null, kind: 'real' }
];
/** The name of a configured object; `null` when the running configuration has none. Policy 0 is the default policy. */
export function objectName(names, kind, id) {
    const name = names.name(kind, id);
    if (name !== '' && !name.startsWith('#'))
        return name;
    return kind === 'policy' && id === 0 ? 'default' : null;
}
/** Rows of one block. `known`: of objects that exist; `counted`: those and any that counted; `all`: codes at zero, too. */
export function blockRows(snapshot, shape, names, which) {
    const block = snapshot.blocks[shape.name];
    if (block === undefined)
        return [];
    const out = [];
    const rows = shape.codes?.length ?? Math.floor(block.length / shape.stride);
    for (let id = 0; id < rows; id++) {
        const at = id * shape.stride;
        let counted = false;
        for (let f = 0; f < shape.fields.length; f++)
            if ((block[at + f] ?? 0) !== 0) {
                counted = true;
                break;
            }
        const code = shape.codes?.[id];
        const name = shape.kind === null ? code?.name ?? null : objectName(names, shape.kind, id);
        if (!counted && (name === null || (which === 'counted' && code !== undefined)))
            continue;
        if (name === null && which === 'known')
            continue;
        out.push({ id, name: name ?? `#${id}`, text: code?.text ?? '', values: Array.from(block.subarray(at, at + shape.fields.length)) });
    }
    return out;
}
//# sourceMappingURL=counter-blocks.js.map