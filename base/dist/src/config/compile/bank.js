/** A configuration bank as bytes: little-endian stores at the offsets of layout.ts. Ports marked `_be` lie in network order. */
import { layout } from '../../generated/layout.js';
import { addressBytes, parseAddress } from '../../lib/address.js';
export const config = layout.ls_config;
export class Bank {
    bytes;
    view;
    constructor(bytes = new Uint8Array(config.size)) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    u8(at, value) { this.view.setUint8(at, value); }
    u16(at, value) { this.view.setUint16(at, value, true); }
    be16(at, value) { this.view.setUint16(at, value, false); }
    u32(at, value) { this.view.setUint32(at, value >>> 0, true); }
    u64(at, value) { this.view.setBigUint64(at, value, true); }
    /** 16 bytes, network order, IPv4 as v4-mapped. */
    addr(at, value) { this.bytes.set(addressBytes(value), at); }
    copy(at, bytes) { this.bytes.set(bytes, at); }
}
/** Offset of element `i` of an array member of ls_config. */
export function at(member, i) {
    if (i < 0 || i >= member.count)
        throw new RangeError(`element ${i} of ${member.count}`);
    return member.offset + i * member.stride;
}
/** Of text that parse.ts made canonical. */
export function address(text) {
    const slash = text.indexOf('/');
    const value = parseAddress(slash === -1 ? text : text.slice(0, slash));
    if (value === null)
        throw new TypeError(`not an address: ${text}`);
    return value;
}
export function macBytes(mac) {
    const parts = mac.split(':').map(part => parseInt(part, 16));
    return Uint8Array.from({ length: 6 }, (_, i) => parts[i] ?? 0);
}
//# sourceMappingURL=bank.js.map