import { screen } from '../generated/codes.js';
import { layout } from '../generated/layout.js';
import { native } from './errors.js';
const shape = layout.ls_counters;
const blocks = Object.entries(shape).flatMap(([name, field]) => typeof field === 'number' ? [] : [{ name, offset: field.offset, count: field.size / 8 }]);
export function createTelemetry(table) {
    return {
        snapshot: () => {
            const bytes = new Uint8Array(shape.size);
            const timeNs = native(() => table.counters(bytes));
            return { timeNs, generation: table.info().generation, blocks: Object.fromEntries(blocks.map(b => [b.name, doubles(bytes, b.offset, b.count)])) };
        },
        readFloodCounters: (zone) => {
            const rates = native(() => table.rates(zone), { object: `zone ${zone}` });
            return Object.fromEntries(screen.map((s, i) => [s.name, rates[i] ?? 0]));
        },
        natUsage: async () => await table.natUsage()
    };
}
/** Counters as doubles: exact to 2^53. */
function doubles(bytes, offset, count) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count * 2);
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++)
        out[i] = (words[2 * i] ?? 0) + (words[2 * i + 1] ?? 0) * 2 ** 32;
    return out;
}
//# sourceMappingURL=telemetry.js.map