/** Ids that live sessions carry, by walking one or two id columns (R11). Asked only when a kind runs out of fresh numbers. */
import { column } from '../generated/codes.js';
import { packFilter } from './filter.js';
const ROWS = 32768;
const columnsOf = {
    zone: ['zone_in', 'zone_out'], policy: ['policy'], vip: ['vip'], real: ['real'], app: ['app'], domain: ['domain']
};
export function heldIds(table, kind) {
    const held = new Set();
    const all = packFilter({});
    for (const name of columnsOf[kind] ?? []) {
        const i = column.findIndex(c => c.name === name);
        const bytes = column[i]?.bytes ?? 2;
        const out = new Uint8Array(ROWS * bytes);
        const ids = bytes === 1 ? out : new Uint16Array(out.buffer);
        for (let cursor = 0; cursor !== null;) {
            const step = table.scanColumns(all, 1 << i, cursor, out, ROWS, 1_000_000_000);
            for (let row = 0; row < step.rows; row++)
                held.add(ids[row] ?? 0);
            cursor = step.cursor;
        }
    }
    return held;
}
//# sourceMappingURL=held-ids.js.map