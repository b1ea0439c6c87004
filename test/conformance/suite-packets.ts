/**
 * Packets through the whole stack: frames in from capture files, frames out to capture files, compared byte for byte with frames
 * that packets.ts builds from scratch. What the userspace backend does here is the definition for the others.
 */
import { join } from 'node:path'
import type { Test } from 'tap'
import type { RgRole } from '../../src/contract/dataplane.js'
import { drop } from '../../src/generated/codes.js'
import { eth, hex, icmp, ip, ipBytes, macBytes, readPcap, tcp, tcpFlags, u16, u32, udp, writePcap, type FrameSpec } from './packets.js'
import { desiredOf, never, type Rig } from './rig.js'
import type { WithRig } from './suite.js'
import { until } from '../until.js'

const A = { mac: '02:00:00:00:0a:01', peer: '02:00:00:00:0a:02' }
const B = { mac: '02:00:00:00:0b:01', peer: '02:00:00:00:0b:02' }
const C = { mac: '02:00:00:00:0c:01', peer: '02:00:00:00:0c:02' }
/** Fields of a frame on either side, in either direction. */
const intoA = (from: string, to: string, more: Partial<FrameSpec> = {}): FrameSpec => ({ from, to, smac: A.peer, dmac: A.mac, ...more })
const outOfA = (from: string, to: string, more: Partial<FrameSpec> = {}): FrameSpec => ({ from, to, smac: A.mac, dmac: A.peer, ttl: 63, ...more })
const intoB = (from: string, to: string, more: Partial<FrameSpec> = {}): FrameSpec => ({ from, to, smac: B.peer, dmac: B.mac, ...more })
const outOfB = (from: string, to: string, more: Partial<FrameSpec> = {}): FrameSpec => ({ from, to, smac: B.mac, dmac: B.peer, ttl: 63, ...more })

interface Case {
  readonly name: string
  /** Replaces `policies: [permit all]`. */
  readonly policies?: string
  readonly yaml?: string
  /** VLAN of the interface on side a. */
  readonly vlan?: number
  readonly a?: readonly Uint8Array[]
  /** Played after what came in on side a has left. */
  readonly b?: readonly Uint8Array[]
  readonly outA?: readonly Uint8Array[]
  readonly outB?: readonly Uint8Array[]
  /** Both zones are of group 1, interface c is the fabric. Frames by the id of zone inside. */
  readonly fabric?: { readonly role: RgRole, readonly in?: (zone: number) => readonly Uint8Array[], readonly out?: (zone: number) => readonly Uint8Array[] }
  /** Drop reasons and how often. */
  readonly drops?: Readonly<Record<string, number>>
  readonly sessions?: number
}

const config = (c: Case): string => `
interfaces:
  a: {port: "pcap:a.in,a.out", ${c.vlan === undefined ? '' : `vlan: ${c.vlan}, `}mac: "${A.mac}", zone: inside, addresses: [10.0.0.1/24, "2001:db8:a::1/64"], neighbours: {10.0.0.2: "${A.peer}", "2001:db8:a::2": "${A.peer}"}}
  b: {port: "pcap:b.in,b.out", mac: "${B.mac}", zone: outside, addresses: [10.0.1.1/24, "2001:db8:b::1/64"], neighbours: {10.0.1.2: "${B.peer}", "2001:db8:b::2": "${B.peer}"}}
${c.fabric === undefined ? '' : `  c: {port: "pcap:c.in,c.out", mac: "${C.mac}", role: fabric}\nredundancy-groups: {1: {}}`}
zones: {inside: {host-inbound: [ping]${c.fabric === undefined ? '' : ', redundancy-group: 1'}}, outside: {${c.fabric === undefined ? '' : 'redundancy-group: 1'}}}
policies: ${c.policies ?? '[{name: all, action: permit}]'}
${c.yaml ?? ''}
`
const data = [...Buffer.from('lockstep')]
const syn = { flags: tcpFlags.syn, seq: 0x01020304 }
/** A packet of zone inside as it crosses the fabric (docs/design/0012-fabric.md). */
const crossing = (to: string, from: string, zone: number, frame: Uint8Array, version = 1): Buffer =>
  eth({ from: '', to: '', smac: from, dmac: to }, 0x88b5, [version, 1, 1, 0, ...u16(zone), ...u16(0), 0, 0, ...frame.subarray(12)])
const everybody = 'ff:ff:ff:ff:ff:ff'
/** LLDP: every side says something first, so that a side without packets has a file to play. */
const nothing = eth({ from: '', to: '', smac: A.peer, dmac: '01:80:c2:00:00:0e' }, 0x88cc, Array<number>(46).fill(0))

/** Payload word for which the datagram's sum is zero, so that it must be sent as all ones (RFC 768). */
function zeroSumWord (s: FrameSpec, sport: number, dport: number): number[] {
  for (let word = 0; word < 65536; word++) {
    const frame = udp(s, sport, dport, u16(word))
    if (frame.readUInt16BE(14 + 20 + 6) === 0xffff) return u16(word)
  }
  throw new Error('no such word')
}

const pool = 'nat: {pools: {p: {addresses: 203.0.113.9, ports: 5000-5000}}, source: [{name: hide, from: inside, to: outside, translate: pool, pool: p}]}'
const vip = (mode: string, more = ''): string => `vips: {web: {address: 198.51.100.80, port: 80, mode: ${mode}, ring-size: 13, pools: [{reals: [{name: one, address: 10.0.1.2${more}}]}]}}`
/** A full segment to the VIP as it left in a tunnel of this header, and what a router quotes of it. */
const full = (family: 4 | 6, ttl: number): number[] => {
  const s = family === 4 ? { ...intoA('10.0.0.2', '198.51.100.80'), ttl } : { ...intoA('2001:db8:a::2', '2001:db8:80::80'), ttl }
  return [...tcp(s, 4000, 80, { flags: tcpFlags.ack, data: Array.from({ length: 1400 }, (_, i) => i & 255) }).subarray(14)]
}
const tunnelled = (from: string, to: string, protocol: number, inner: readonly number[], bytes: number): number[] => [...ip({ ...outOfB(from, to), ttl: 60 }, protocol, inner).subarray(14, 14 + bytes)]
const wordAfterNat = zeroSumWord(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53)
const embedded = (frame: Buffer): number[] => [...frame.subarray(14, 14 + 28)]

const cases: readonly Case[] = [
  {
    name: 'a datagram is forwarded: TTL one less, both MACs, header sum; ID, TOS and payload as they came; the answer comes back',
    a: [udp(intoA('10.0.0.2', '10.0.1.2', { id: 0x4711, tos: 0xb8 }), 4000, 53, data)], outB: [udp(outOfB('10.0.0.2', '10.0.1.2', { id: 0x4711, tos: 0xb8 }), 4000, 53, data)],
    b: [udp(intoB('10.0.1.2', '10.0.0.2', { ttl: 255 }), 53, 4000, data)], outA: [udp(outOfA('10.0.1.2', '10.0.0.2', { ttl: 254 }), 53, 4000, data)], sessions: 1
  },
  {
    name: 'IPv6 likewise, by its hop limit',
    a: [tcp(intoA('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn)], outB: [tcp(outOfB('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn)],
    b: [tcp(intoB('2001:db8:b::2', '2001:db8:a::2', { ttl: 2 }), 443, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })],
    outA: [tcp(outOfA('2001:db8:b::2', '2001:db8:a::2', { ttl: 1 }), 443, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })], sessions: 1
  },
  {
    name: 'a VLAN tag goes at the way in and comes at the way out', vlan: 7,
    a: [udp(intoA('10.0.0.2', '10.0.1.2', { vlan: 7 }), 4000, 53, data), udp(intoA('10.0.0.2', '10.0.1.2'), 4001, 53, data)], outB: [udp(outOfB('10.0.0.2', '10.0.1.2'), 4000, 53, data)],
    b: [udp(intoB('10.0.1.2', '10.0.0.2'), 53, 4000)], outA: [udp(outOfA('10.0.1.2', '10.0.0.2', { vlan: 7 }), 53, 4000)], drops: { unknown_iface: 2 }, sessions: 1 /* LLDP of side a has no tag either */
  },
  {
    name: 'source NAT and back: addresses, ports and both sums', yaml: pool,
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data)], outB: [udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53, data)],
    b: [udp(intoB('10.0.1.2', '203.0.113.9'), 53, 5000, data)], outA: [udp(outOfA('10.0.1.2', '10.0.0.2'), 53, 4000, data)], sessions: 1
  },
  {
    name: 'a datagram without a sum stays without one; a sum that becomes zero is sent as all ones', yaml: pool,
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, wordAfterNat), udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data, false)],
    outB: [udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53, wordAfterNat), udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53, data, false)], sessions: 1
  },
  {
    name: 'one port, two clients: the second finds none and is counted', yaml: pool,
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53), udp(intoA('10.0.0.2', '10.0.1.2'), 4001, 53)], outB: [udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53)], drops: { snat_exhausted: 1 }, sessions: 1
  },
  {
    name: 'ping through source NAT: the identifier is the port', yaml: pool,
    a: [icmp(intoA('10.0.0.2', '10.0.1.2'), 8, 0, [...u16(0x1234), ...u16(1)], data)], outB: [icmp(outOfB('203.0.113.9', '10.0.1.2'), 8, 0, [...u16(5000), ...u16(1)], data)],
    b: [icmp(intoB('10.0.1.2', '203.0.113.9'), 0, 0, [...u16(5000), ...u16(1)], data)], outA: [icmp(outOfA('10.0.1.2', '10.0.0.2'), 0, 0, [...u16(0x1234), ...u16(1)], data)], sessions: 1
  },
  {
    name: 'an ICMP error about a translated datagram is translated, its quotation too', yaml: pool,
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data)], outB: [udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53, data)],
    b: [icmp(intoB('10.0.1.2', '203.0.113.9'), 3, 3, u32(0), embedded(udp(outOfB('203.0.113.9', '10.0.1.2'), 5000, 53, data)))],
    outA: [icmp(outOfA('10.0.1.2', '10.0.0.2'), 3, 3, u32(0), embedded(udp({ ...outOfB('10.0.0.2', '10.0.1.2') }, 4000, 53, data)))], sessions: 1
  },
  {
    name: 'destination NAT to another address and port, and back', yaml: 'nat: {destination: [{name: d, from: inside, destination: 198.51.100.7, applications: tcp/80, translate: {address: 10.0.1.2, port: 8080}}]}',
    a: [tcp(intoA('10.0.0.2', '198.51.100.7'), 4000, 80, syn)], outB: [tcp(outOfB('10.0.0.2', '10.0.1.2'), 4000, 8080, syn)],
    b: [tcp(intoB('10.0.1.2', '10.0.0.2'), 8080, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })],
    outA: [tcp(outOfA('198.51.100.7', '10.0.0.2'), 80, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })], sessions: 1
  },
  {
    name: 'static NAT, out and in', yaml: 'nat: {static: [{name: s, outside: 198.51.100.2, inside: 10.0.0.2}]}',
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data)], outB: [udp(outOfB('198.51.100.2', '10.0.1.2'), 4000, 53, data)],
    b: [udp(intoB('10.0.1.2', '198.51.100.2'), 6000, 7000, data)], outA: [udp(outOfA('10.0.1.2', '10.0.0.2'), 6000, 7000, data)], sessions: 2
  },
  {
    name: 'a VIP with mode nat', yaml: vip('nat', ', port: 8080'),
    a: [tcp(intoA('10.0.0.2', '198.51.100.80'), 4000, 80, syn)], outB: [tcp(outOfB('10.0.0.2', '10.0.1.2'), 4000, 8080, syn)],
    b: [tcp(intoB('10.0.1.2', '10.0.0.2'), 8080, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })],
    outA: [tcp(outOfA('198.51.100.80', '10.0.0.2'), 80, 4000, { flags: tcpFlags.syn | tcpFlags.ack, ack: 0x01020305 })], sessions: 1
  },
  {
    name: 'a standby carries what is not its own to the owner, as it came: nothing of it is here',
    a: [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data), tcp(intoA('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn), tcp(intoA('10.0.0.2', '10.0.1.2'), 4000, 80, { flags: tcpFlags.ack })],
    fabric: {
      role: 'standby',
      out: zone => [udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data), tcp(intoA('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn), tcp(intoA('10.0.0.2', '10.0.1.2'), 4000, 80, { flags: tcpFlags.ack })].map(frame => crossing(everybody, C.mac, zone, frame))
    },
    drops: {}, sessions: 0
  },
  {
    name: 'the owner forwards what came by the fabric, and what answers leaves by its own interface',
    fabric: {
      role: 'owner',
      in: zone => [crossing(everybody, C.peer, zone, udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data)), crossing(C.mac, C.peer, zone, tcp(intoA('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn))]
    },
    outB: [udp(outOfB('10.0.0.2', '10.0.1.2'), 4000, 53, data), tcp(outOfB('2001:db8:a::2', '2001:db8:b::2'), 4000, 443, syn)],
    b: [udp(intoB('10.0.1.2', '10.0.0.2'), 53, 4000, data)], outA: [udp(outOfA('10.0.1.2', '10.0.0.2'), 53, 4000, data)], sessions: 2
  },
  {
    name: 'over the fabric once: not back, not in another version, not by another interface',
    a: [crossing(A.mac, A.peer, 1, udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data))],
    fabric: {
      role: 'standby',
      in: zone => [crossing(everybody, C.peer, zone, udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data)), crossing(C.mac, C.peer, zone, udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 53, data), 2)]
    },
    drops: { rg_not_owner: 1, fabric_header: 1, fabric_iface: 1 }, sessions: 0
  },
  { name: 'a VIP with mode l2: the MAC of the server, and the packet as it came', yaml: vip('l2'), a: [tcp(intoA('10.0.0.2', '198.51.100.80'), 4000, 80, syn)], outB: [tcp(outOfB('10.0.0.2', '198.51.100.80'), 4000, 80, syn)], sessions: 1 },
  {
    name: 'a VIP with mode ipip: wrapped for the server (RFC 2003)', yaml: vip('ipip'), a: [tcp(intoA('10.0.0.2', '198.51.100.80', { tos: 0x10 }), 4000, 80, syn)],
    outB: [ip(outOfB('10.0.1.1', '10.0.1.2', { ttl: 64, tos: 0x10 }), 4, [...tcp(outOfB('10.0.0.2', '198.51.100.80', { tos: 0x10 }), 4000, 80, syn).subarray(14)])], sessions: 1
  },
  {
    name: 'a VIP with mode gre (RFC 2784)', yaml: vip('gre'), a: [tcp(intoA('10.0.0.2', '198.51.100.80'), 4000, 80, syn)],
    outB: [ip(outOfB('10.0.1.1', '10.0.1.2', { ttl: 64 }), 47, [0, 0, 8, 0, ...tcp(outOfB('10.0.0.2', '198.51.100.80'), 4000, 80, syn).subarray(14)])], sessions: 1
  },
  {
    name: 'too big for the path of a tunnel: the client is told, whichever node the error comes to and however little it quotes (RFC 2003 5.1)', yaml: vip('ipip'),
    a: [tcp(intoA('10.0.0.2', '198.51.100.80'), 4000, 80, syn)],
    outB: [ip(outOfB('10.0.1.1', '10.0.1.2', { ttl: 64 }), 4, [...tcp(outOfB('10.0.0.2', '198.51.100.80'), 4000, 80, syn).subarray(14)])],
    b: [
      icmp(intoB('10.0.1.9', '10.0.1.1'), 3, 4, u32(1400), tunnelled('10.0.1.1', '10.0.1.2', 4, full(4, 63), 548)), // to the node that wrapped it
      icmp(intoB('10.0.1.9', '10.0.1.7'), 3, 4, u32(1300), tunnelled('10.0.1.7', '10.0.1.2', 4, full(4, 63), 20 + 28)), // to its peer
      icmp(intoB('10.0.1.9', '10.0.1.7'), 3, 4, u32(1300), tunnelled('10.0.1.7', '10.0.1.3', 4, full(4, 63), 548)) // of no session's real
    ],
    outA: [
      icmp(outOfA('10.0.0.1', '10.0.0.2', { ttl: 64, tos: 0xc0, df: false }), 3, 4, u32(1380), full(4, 63).slice(0, 528)),
      icmp(outOfA('10.0.0.1', '10.0.0.2', { ttl: 64, tos: 0xc0, df: false }), 3, 4, u32(1280), full(4, 63).slice(0, 28))
    ],
    drops: { mtu_exceeded: 2, icmp_unmatched: 1 }, sessions: 1
  },
  {
    name: 'likewise for IPv6 in IPv6 by GRE, and a client of IPv6 is never told less than 1280', yaml: vip('gre').replace('198.51.100.80', '"2001:db8:80::80"').replace('10.0.1.2', '"2001:db8:b::2"'),
    a: [tcp(intoA('2001:db8:a::2', '2001:db8:80::80'), 4000, 80, syn)],
    outB: [ip(outOfB('2001:db8:b::1', '2001:db8:b::2', { ttl: 64 }), 47, [0, 0, 0x86, 0xdd, ...tcp(outOfB('2001:db8:a::2', '2001:db8:80::80'), 4000, 80, syn).subarray(14)])],
    b: [
      icmp(intoB('2001:db8:b::9', '2001:db8:b::1'), 2, 0, u32(1400), tunnelled('2001:db8:b::1', '2001:db8:b::2', 47, [0, 0, 0x86, 0xdd, ...full(6, 63)], 1232)),
      icmp(intoB('2001:db8:b::9', '2001:db8:b::7'), 2, 0, u32(1290), tunnelled('2001:db8:b::7', '2001:db8:b::2', 47, [0, 0, 0x86, 0xdd, ...full(6, 63)], 40 + 4 + 48)),
      icmp(intoB('2001:db8:b::9', '2001:db8:b::7'), 2, 0, u32(1504), tunnelled('2001:db8:b::7', '2001:db8:b::2', 47, [0, 0, 0x86, 0xdd, ...full(6, 63)], 1232)) // it was not that long
    ],
    outA: [
      icmp(outOfA('2001:db8:a::1', '2001:db8:a::2', { ttl: 64 }), 2, 0, u32(1356), full(6, 63).slice(0, 1188)),
      icmp(outOfA('2001:db8:a::1', '2001:db8:a::2', { ttl: 64 }), 2, 0, u32(1280), full(6, 63).slice(0, 48))
    ],
    drops: { mtu_exceeded: 2, icmp_unmatched: 1 }, sessions: 1
  },
  {
    name: 'likewise for IPv6 in IPv4', yaml: vip('ipip').replace('198.51.100.80', '"2001:db8:80::80"'),
    a: [tcp(intoA('2001:db8:a::2', '2001:db8:80::80'), 4000, 80, syn)],
    outB: [ip(outOfB('10.0.1.1', '10.0.1.2', { ttl: 64 }), 41, [...tcp(outOfB('2001:db8:a::2', '2001:db8:80::80'), 4000, 80, syn).subarray(14)])],
    b: [icmp(intoB('10.0.1.9', '10.0.1.1'), 3, 4, u32(1400), tunnelled('10.0.1.1', '10.0.1.2', 41, full(6, 63), 548))],
    outA: [icmp(outOfA('2001:db8:a::1', '2001:db8:a::2', { ttl: 64 }), 2, 0, u32(1380), full(6, 63).slice(0, 528))], drops: { mtu_exceeded: 1 }, sessions: 1
  },
  {
    name: 'and for IPv4 in IPv6 by GRE', yaml: vip('gre').replace('10.0.1.2', '"2001:db8:b::2"'),
    a: [tcp(intoA('10.0.0.2', '198.51.100.80'), 4000, 80, syn)],
    outB: [ip(outOfB('2001:db8:b::1', '2001:db8:b::2', { ttl: 64 }), 47, [0, 0, 8, 0, ...tcp(outOfB('10.0.0.2', '198.51.100.80'), 4000, 80, syn).subarray(14)])],
    b: [icmp(intoB('2001:db8:b::9', '2001:db8:b::1'), 2, 0, u32(1400), tunnelled('2001:db8:b::1', '2001:db8:b::2', 47, [0, 0, 8, 0, ...full(4, 63)], 1232))],
    outA: [icmp(outOfA('10.0.0.1', '10.0.0.2', { ttl: 64, tos: 0xc0, df: false }), 3, 4, u32(1356), full(4, 63).slice(0, 548))], drops: { mtu_exceeded: 1 }, sessions: 1
  },
  {
    name: 'TTL 1: time exceeded from the interface it came in on, quoting the packet as it came',
    a: [udp(intoA('10.0.0.2', '10.0.1.2', { ttl: 1, id: 9 }), 4000, 33434, data)],
    outA: [icmp(outOfA('10.0.0.1', '10.0.0.2', { ttl: 64, tos: 0xc0, df: false }), 11, 0, u32(0), [...udp(intoA('10.0.0.2', '10.0.1.2', { ttl: 1, id: 9 }), 4000, 33434, data).subarray(14)])], drops: { ttl_expired: 1 }, sessions: 0
  },
  {
    name: 'hop limit 1: likewise with ICMPv6 and its pseudo-header',
    a: [udp(intoA('2001:db8:a::2', '2001:db8:b::2', { ttl: 1 }), 4000, 33434, data)],
    outA: [icmp(outOfA('2001:db8:a::1', '2001:db8:a::2', { ttl: 64 }), 3, 0, u32(0), [...udp(intoA('2001:db8:a::2', '2001:db8:b::2', { ttl: 1 }), 4000, 33434, data).subarray(14)])], drops: { ttl_expired: 1 }, sessions: 0
  },
  { name: 'what no policy permits is dropped in silence', policies: '[]', a: [udp(intoA('10.0.0.2', '10.0.1.2'), 1, 2)], drops: { policy_default: 1 }, sessions: 0 },
  {
    name: 'reject answers TCP with a reset and the rest with ICMP', policies: '[{name: no, action: reject}]',
    a: [tcp(intoA('10.0.0.2', '10.0.1.2'), 4000, 23, syn), udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 23, data)],
    outA: [
      tcp(outOfA('10.0.1.2', '10.0.0.2', { ttl: 64 }), 23, 4000, { flags: tcpFlags.rst | tcpFlags.ack, ack: 0x01020305, window: 0 }),
      icmp(outOfA('10.0.0.1', '10.0.0.2', { ttl: 64, tos: 0xc0, df: false }), 3, 13, u32(0), [...udp(intoA('10.0.0.2', '10.0.1.2'), 4000, 23, data).subarray(14)])
    ],
    drops: { policy_reject: 2 }, sessions: 0
  },
  { name: 'a segment of no session that is no SYN is dropped (R19)', a: [tcp(intoA('10.0.0.2', '10.0.1.2'), 4000, 80, { flags: tcpFlags.ack })], drops: { tcp_not_syn: 1 }, sessions: 0 },
  {
    name: 'ARP for a VIP is answered (D2)', yaml: vip('nat').replace('198.51.100.80', '10.0.0.80'),
    a: [eth({ from: '', to: '', smac: A.peer, dmac: 'ff:ff:ff:ff:ff:ff' }, 0x0806, [...u16(1), ...u16(0x800), 6, 4, ...u16(1), ...macBytes(A.peer), ...ipBytes('10.0.0.2'), 0, 0, 0, 0, 0, 0, ...ipBytes('10.0.0.80')])],
    outA: [eth({ from: '', to: '', smac: A.mac, dmac: A.peer }, 0x0806, [...u16(1), ...u16(0x800), 6, 4, ...u16(2), ...macBytes(A.mac), ...ipBytes('10.0.0.80'), ...macBytes(A.peer), ...ipBytes('10.0.0.2')])], sessions: 0
  },
  {
    name: 'frames that end early or lie about their length are dropped, each for its reason',
    a: [
      udp(intoA('10.0.0.2', '10.0.1.2'), 1, 2).subarray(0, 30), Buffer.from(udp(intoA('10.0.0.2', '10.0.1.2'), 1, 2).map((v, i) => i === 24 ? v ^ 1 : v)),
      udp({ ...intoA('10.0.0.2', '10.0.1.2'), dmac: '02:00:00:00:ff:ff' }, 1, 2), eth(intoA('', ''), 0x1234, data), Buffer.from([1, 2, 3])
    ],
    sessions: 0
  }
]

async function play (t: Test, rig: Rig, c: Case): Promise<void> {
  const { dataplane, directory } = rig
  const carried = (frames: readonly Uint8Array[] = []): Uint8Array[] => frames.filter(frame => frame.length >= rig.shortest)
  const zone = desiredOf(config(c)).ids.zone['inside'] ?? 0
  const [inA, inB, inC] = [carried(c.a), carried(c.b), carried(c.fabric?.in?.(zone))]
  writePcap(join(directory, 'a.in'), [nothing, ...inA])
  // the first packet starts the clock; the rest follows when side a is long through
  writePcap(join(directory, 'b.in'), [nothing, ...inB.map(frame => ({ atMs: 80, frame }))])
  if (c.fabric !== undefined) {
    writePcap(join(directory, 'c.in'), [nothing, ...inC])
    dataplane.ha.setRole(1, c.fabric.role, 1n)
  }
  await dataplane.config.apply(rig.desired(config(c)), 1, never)
  await until('every packet to be received', () => rig.received() === inA.length + inB.length + inC.length + (c.fabric === undefined ? 2 : 3))
  const out = (side: string): string[] => readPcap(join(directory, `${side}.out`)).map(hex)
  const wanted = { a: (c.outA ?? []).map(hex), b: (c.outB ?? []).map(hex), c: (c.fabric?.out?.(zone) ?? []).map(hex) }
  const found = (): typeof wanted => ({ a: out('a'), b: out('b'), c: c.fabric === undefined ? [] : out('c') })
  await until('the output files', () => found().a.length >= wanted.a.length && found().b.length >= wanted.b.length && found().c.length >= wanted.c.length).catch(() => undefined)
  await dataplane.close()
  t.same(found().b, wanted.b, 'out of side b')
  t.same(found().a, wanted.a, 'out of side a')
  t.same(found().c, wanted.c, 'over the fabric')
  const counted = dataplane.telemetry.snapshot().blocks['drops'] ?? new Float64Array()
  const reasons = Object.fromEntries(drop.flatMap((d, i) => (counted[i] ?? 0) > 0 ? [[d.name, counted[i]]] : []))
  if (c.drops !== undefined) t.same(reasons, c.drops, 'drops')
  else if (c.sessions !== 0) t.same(reasons, {}, 'no drops')
  t.equal(await dataplane.sessions.count({}), c.sessions)
  const v = await dataplane.sessions.verify()
  t.same([v.ok, v.faults, v.entries], [true, [], 2 * (c.sessions ?? 0)])
}

export function packetSuite (withRig: WithRig): void {
  for (const c of cases) withRig(`packets: ${c.name}`, async (t, rig) => { await play(t, rig, c) })
}
