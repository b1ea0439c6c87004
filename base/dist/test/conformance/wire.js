/** Packed wire records (struct ls_wire_record) and deletes, written by name from the generated layout. */
import { layout } from '../../src/generated/layout.js';
import { addressBytes, parseAddress } from '../../src/lib/address.js';
import { phase } from '../../src/generated/codes.js';
const record = layout.ls_wire_record;
const key = layout.ls_key;
export const RECORD = record.size;
export const DELETE = layout.ls_wire_delete.size;
export const reversed = (k) => ({ ...k, src: k.dst, dst: k.src, sport: k.dport, dport: k.sport });
function writeKey(out, base, k) {
    const view = new DataView(out.buffer, out.byteOffset);
    const address = (text) => {
        const value = parseAddress(text);
        if (value === null)
            throw new Error(`${text} is not an address`);
        return addressBytes(value);
    };
    out.set(address(k.src), base + key.src.offset);
    out.set(address(k.dst), base + key.dst.offset);
    view.setUint16(base + key.sport_be.offset, k.sport, false);
    view.setUint16(base + key.dport_be.offset, k.dport, false);
    view.setUint8(base + key.proto.offset, k.proto);
    view.setUint8(base + key.family.offset, k.src.includes(':') ? 6 : 4);
    view.setUint16(base + key.domain.offset, k.domain ?? 0, true);
}
export const ORIGIN = 0x1122334455667788n;
let serials = 1n;
export function wireRecord(s) {
    const out = new Uint8Array(RECORD);
    const view = new DataView(out.buffer);
    view.setUint8(record.version.offset, s.version ?? 1);
    view.setUint8(record.kind.offset, s.kind ?? 0);
    view.setUint8(record.phase.offset, phase.findIndex(p => p.name === (s.phase ?? (s.key.proto === 6 ? 'tcp_established' : 'udp_stream'))));
    view.setUint8(record.close_reason.offset, s.closeReason ?? 0);
    view.setUint8(record.rg.offset, s.rg ?? 0);
    view.setUint8(record.app.offset, s.app ?? 0);
    view.setUint16(record.flow.offset, s.flow ?? 1, true);
    view.setBigUint64(record.id.offset, s.origin ?? ORIGIN, true);
    view.setBigUint64(record.id.offset + 8, s.serial ?? serials++, true);
    writeKey(out, record.key.offset, s.key);
    writeKey(out, record.reply.offset, s.reply ?? reversed(s.key));
    view.setUint32(record.flags.offset, s.flags ?? 0, true);
    view.setUint16(record.zone_in.offset, s.zoneIn ?? 1, true);
    view.setUint16(record.zone_out.offset, s.zoneOut ?? 2, true);
    view.setUint16(record.policy.offset, s.policy ?? 1, true);
    view.setUint16(record.vip.offset, s.vip ?? 0, true);
    view.setUint16(record.real.offset, s.real ?? 0, true);
    view.setBigUint64(record.idle_ns.offset, BigInt(s.idleMs ?? 0) * 1000000n, true);
    view.setBigUint64(record.age_ns.offset, BigInt(s.ageMs ?? 1000) * 1000000n, true);
    for (const d of [0, 1]) {
        view.setBigUint64(record.packets.offset + 8 * d, s.packets?.[d] ?? 0n, true);
        view.setBigUint64(record.bytes.offset + 8 * d, s.bytes?.[d] ?? 0n, true);
    }
    return out;
}
export function wireDelete(s) {
    const shape = layout.ls_wire_delete;
    const out = new Uint8Array(DELETE);
    const view = new DataView(out.buffer);
    view.setBigUint64(shape.id.offset, s.origin ?? ORIGIN, true);
    view.setBigUint64(shape.id.offset + 8, s.serial, true);
    writeKey(out, shape.key.offset, s.key);
    view.setUint8(shape.reason.offset, s.reason ?? 4);
    return out;
}
export function concat(parts) {
    return new Uint8Array(Buffer.concat(parts));
}
/** As SessionRow.id. */
export const idText = (serial, origin = ORIGIN) => origin.toString(16).padStart(16, '0') + serial.toString(16).padStart(16, '0');
/** `n` tuples that differ in address and port. */
export const tuples = (n, proto = 6) => Array.from({ length: n }, (_, i) => ({ src: `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`, dst: '192.0.2.80', sport: 1024 + i % 60000, dport: 443, proto }));
//# sourceMappingURL=wire.js.map