/** Frames and capture files, byte by byte, with sums of their own: nothing here is shared with the code under test. */
import { readFileSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
export const u16 = (v) => [v >> 8 & 255, v & 255];
export const u32 = (v) => [v >>> 24, v >>> 16 & 255, v >>> 8 & 255, v & 255];
export const macBytes = (text) => text.split(':').map(part => parseInt(part, 16));
/** `2001:db8::1` or `192.0.2.1` on the wire. */
export function ipBytes(text) {
    if (!isIPv6(text))
        return text.split('.').map(Number);
    const [head = '', tail] = text.split('::');
    const groups = (part) => part === undefined || part === '' ? [] : part.split(':').map(g => parseInt(g, 16));
    const left = groups(head);
    const right = groups(tail);
    return [...left, ...Array(8 - left.length - right.length).fill(0), ...right].flatMap(u16);
}
/** RFC 1071. */
export function checksum(bytes) {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2)
        sum += (bytes[i] ?? 0) << 8 | (bytes[i + 1] ?? 0);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >>> 16);
    return ~sum & 0xffff;
}
export function eth(s, type, payload) {
    return Buffer.from([...macBytes(s.dmac), ...macBytes(s.smac), ...(s.vlan === undefined ? [] : [0x81, 0x00, ...u16(s.vlan)]), ...u16(type), ...payload]);
}
/** An IP packet of either family in an Ethernet frame. */
export function ip(s, protocol, payload) {
    const ttl = s.ttl ?? 64;
    if (isIPv6(s.from))
        return eth(s, 0x86dd, [0x60, 0, 0, 0, ...u16(payload.length), protocol, ttl, ...ipBytes(s.from), ...ipBytes(s.to), ...payload]);
    const head = (sum) => [0x45, s.tos ?? 0, ...u16(payload.length + 20), ...u16(s.id ?? 0), s.df === false ? 0 : 0x40, 0, ttl, protocol, ...u16(sum), ...ipBytes(s.from), ...ipBytes(s.to)];
    return eth(s, 0x0800, [...head(checksum(head(0))), ...payload]);
}
const pseudo = (s, protocol, length) => isIPv6(s.from) ? [...ipBytes(s.from), ...ipBytes(s.to), ...u32(length), 0, 0, 0, protocol] : [...ipBytes(s.from), ...ipBytes(s.to), 0, protocol, ...u16(length)];
/** `sum: false`: without a checksum (IPv4 only, RFC 768). */
export function udp(s, sport, dport, data = [], sum = true) {
    const body = (value) => [...u16(sport), ...u16(dport), ...u16(8 + data.length), ...u16(value), ...data];
    return ip(s, 17, body(sum ? checksum([...pseudo(s, 17, 8 + data.length), ...body(0)]) || 0xffff : 0));
}
export const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 };
export function tcp(s, sport, dport, t) {
    const data = t.data ?? [];
    const body = (value) => [...u16(sport), ...u16(dport), ...u32(t.seq ?? 0), ...u32(t.ack ?? 0), 0x50, t.flags, ...u16(t.window ?? 65535), ...u16(value), 0, 0, ...data];
    return ip(s, 6, body(checksum([...pseudo(s, 6, 20 + data.length), ...body(0)])));
}
/** ICMP or ICMPv6 by the family of the addresses; `rest` is the second word. */
export function icmp(s, type, code, rest, data = []) {
    const v6 = isIPv6(s.from);
    const body = (value) => [type, code, ...u16(value), ...rest, ...data];
    const length = 8 + data.length;
    return ip(s, v6 ? 58 : 1, body(checksum(v6 ? [...pseudo(s, 58, length), ...body(0)] : body(0))));
}
export const hex = (frame) => Buffer.from(frame).toString('hex').replace(/(..)(?=.)/g, '$1 ');
/** Classic pcap, microseconds. Frames without a time are at time 0: they are played at once and in order. */
export function writePcap(path, packets) {
    const head = Buffer.alloc(24);
    head.writeUInt32LE(0xa1b2c3d4, 0);
    head.writeUInt16LE(2, 4);
    head.writeUInt16LE(4, 6);
    head.writeUInt32LE(65535, 16);
    head.writeUInt32LE(1, 20);
    writeFileSync(path, Buffer.concat([head, ...packets.map(packet => {
            const { atMs, frame } = packet instanceof Uint8Array ? { atMs: 0, frame: packet } : packet;
            const record = Buffer.alloc(16);
            record.writeUInt32LE(Math.floor(atMs / 1000), 0);
            record.writeUInt32LE(atMs % 1000 * 1000, 4);
            record.writeUInt32LE(frame.length, 8);
            record.writeUInt32LE(frame.length, 12);
            return Buffer.concat([record, frame]);
        })]));
}
/** Frames of a capture; a record still being written is left out. */
export function readPcap(path) {
    const bytes = readFileSync(path);
    const frames = [];
    for (let at = 24; at + 16 <= bytes.length;) {
        const length = bytes.readUInt32LE(at + 8);
        if (at + 16 + length > bytes.length)
            break;
        frames.push(bytes.subarray(at + 16, at + 16 + length));
        at += 16 + length;
    }
    return frames;
}
//# sourceMappingURL=packets.js.map