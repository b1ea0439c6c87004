/**
 * The datagrams by which VPP's NAT44-EI plugin tells a peer of its sessions: a header of 12 bytes, then events of 44 bytes each, all big-endian, over
 * UDP/IPv4. Pure. Two layers: a record has the fields as they stand on the wire, all of them, so that bytes come back as they were; an event is what a record
 * means. What arrives is never a reason to throw: each way in which a datagram can be wrong has a name.
 *
 * Where the two layers differ:
 * - protocols: VPP numbers udp, tcp and icmp itself and calls the rest other. Of those the IANA number stands where ports would be, as they have none
 *   (not seen live; both byte orders are read, as no number is more than 255);
 * - the external host has two places for address and port, before and behind a second translation that NAT44-EI does not have. Releases fill one port or the
 *   other, and the second address not at all: read, both places have what one had; written, both are filled.
 *
 * Source: datagrams recorded from VPP 26.10 (test/fixtures/vpp/transcripts/nat44_ei_ha.json).
 */
import { isIPv4 } from 'node:net'
import { LockstepError } from '../../../contract/errors.js'

export const HA_VERSION = 1
export const HA_HEADER_BYTES = 12
export const HA_EVENT_BYTES = 44

/**
 * Events in a datagram that VPP itself can send again whole: its resend keeps the low 8 bits of the length of the IP packet, and 20 + 8 + 12 + 4 * 44 = 216 is
 * the most below 256. To make VPP keep to it, its path_mtu has to be HA_PATH_MTU. What we send again is whole at any length.
 */
export const HA_EVENTS_RESENDABLE = 4
/** Any of 255 to 259; 259 was seen to give 4 events. */
export const HA_PATH_MTU = 259
/** Of VPP: how long it waits for an ACK, and how often it sends again; then it counts the events as missed and forgets them. */
export const HA_RESEND_MS = 2000
export const HA_RESENDS = 3

/** By their number on the wire, from 1. */
const kinds = ['add', 'delete', 'refresh'] as const
export type HaKind = typeof kinds[number]

export interface HaEvent {
  readonly kind: HaKind
  /** IANA number, 1 to 255. */
  readonly protocol: number
  /** Of a static mapping. */
  readonly static: boolean
  /** IPv4. VPP leaves the inside of `delete` and `refresh` at 0.0.0.0 and 0: the outside is the key. */
  readonly insideAddress: string
  /** Of icmp the identifier; 0 of protocols that have no ports. */
  readonly insidePort: number
  readonly outsideAddress: string
  readonly outsidePort: number
  readonly externalAddress: string
  readonly externalPort: number
  /** Behind a second translation; without one, as externalAddress and externalPort. */
  readonly externalNatAddress: string
  readonly externalNatPort: number
  /** Place of the FIB in VPP, not the number of its table: equal on two nodes only if both made their tables in the same order. */
  readonly fibIndex: number
  /** Since the session began, 0 to 2^32 - 1. */
  readonly packets: number
  readonly bytes: bigint
}

/** Fields as they stand on the wire; addresses as numbers. */
export interface HaRecord {
  readonly type: number
  readonly proto: number
  readonly flags: number
  readonly inAddr: number
  readonly outAddr: number
  readonly inPort: number
  readonly outPort: number
  readonly ehAddr: number
  readonly ehnAddr: number
  readonly ehPort: number
  readonly ehnPort: number
  readonly fibIndex: number
  readonly totalPkts: number
  readonly totalBytes: bigint
}

/** Which datagram: VPP answers with the same. `thread`: of VPP, which sends or which shall receive. */
export interface HaPlace { readonly thread: number, readonly sequence: number }

export type HaDatagram =
  /** Less than a header: `length` bytes. */
  | { readonly kind: 'short', readonly length: number }
  | { readonly kind: 'version', readonly version: number }
  | HaPlace & { readonly kind: 'ack' }
  /** `count` events by its header, of which only `present` are whole. None is told: nobody knows what the rest was. */
  | HaPlace & { readonly kind: 'truncated', readonly count: number, readonly present: number }
  /** `unknown`: events of a type or a protocol that have no name here, left out. `trailing`: bytes behind the last event, ignored. */
  | HaPlace & { readonly kind: 'events', readonly events: readonly HaEvent[], readonly unknown: number, readonly trailing: number }

const ACK = 1
const STATIC = 1
const UNKNOWN_PROTOCOL = 2
/** IANA numbers by the numbers of VPP. */
const protocols = [null, 17, 6, 1]

/** What came in a datagram. Never throws. */
export function decodeHa (bytes: Buffer): HaDatagram {
  if (bytes.length < HA_HEADER_BYTES) return { kind: 'short', length: bytes.length }
  const version = bytes.readUInt8(0)
  if (version !== HA_VERSION) return { kind: 'version', version }
  const place = { sequence: bytes.readUInt32BE(4), thread: bytes.readUInt32BE(8) }
  if ((bytes.readUInt8(1) & ACK) !== 0) return { kind: 'ack', ...place }
  const count = bytes.readUInt16BE(2)
  const records = haRecords(bytes)
  if (records.length < count) return { kind: 'truncated', ...place, count, present: records.length }
  const events = records.map(haEventOf).filter(event => event !== null)
  return { kind: 'events', ...place, events, unknown: count - events.length, trailing: bytes.length - HA_HEADER_BYTES - count * HA_EVENT_BYTES }
}

/** Those that are whole, at most as many as the header says. */
export function haRecords (bytes: Buffer): HaRecord[] {
  if (bytes.length < HA_HEADER_BYTES) return []
  const whole = Math.min(bytes.readUInt16BE(2), Math.floor((bytes.length - HA_HEADER_BYTES) / HA_EVENT_BYTES))
  return Array.from({ length: whole }, (_, i) => readRecord(bytes, HA_HEADER_BYTES + i * HA_EVENT_BYTES))
}

/** `null`: it has a type or a protocol that has no name here. */
export function haEventOf (record: HaRecord): HaEvent | null {
  const kind = kinds[record.type - 1]
  const { protocol, ports } = protocolOf(record)
  if (kind === undefined || protocol === null) return null
  const [ehAddr, ehnAddr] = [record.ehAddr || record.ehnAddr, record.ehnAddr || record.ehAddr]
  return {
    kind, protocol, static: (record.flags & STATIC) !== 0,
    insideAddress: formatIp4(record.inAddr), insidePort: ports ? record.inPort : 0, outsideAddress: formatIp4(record.outAddr), outsidePort: ports ? record.outPort : 0,
    externalAddress: formatIp4(ehAddr), externalPort: record.ehPort || record.ehnPort, externalNatAddress: formatIp4(ehnAddr), externalNatPort: record.ehnPort || record.ehPort,
    fibIndex: record.fibIndex, packets: record.totalPkts, bytes: record.totalBytes
  }
}

/** @throws invalid LS_V_VALUE naming the field */
export function haRecordOf (event: HaEvent): HaRecord {
  const proto = protocols.indexOf(within('protocol', event.protocol, 1, 255))
  const ports = proto !== -1
  return {
    type: kinds.indexOf(event.kind) + 1, proto: ports ? proto : 0, flags: (event.static ? STATIC : 0) | (ports ? 0 : UNKNOWN_PROTOCOL),
    inAddr: parseIp4('insideAddress', event.insideAddress), inPort: ports ? within('insidePort', event.insidePort, 0, 0xffff) : event.protocol,
    outAddr: parseIp4('outsideAddress', event.outsideAddress), outPort: ports ? within('outsidePort', event.outsidePort, 0, 0xffff) : event.protocol,
    ehAddr: parseIp4('externalAddress', event.externalAddress), ehPort: within('externalPort', event.externalPort, 0, 0xffff),
    ehnAddr: parseIp4('externalNatAddress', event.externalNatAddress), ehnPort: within('externalNatPort', event.externalNatPort, 0, 0xffff),
    fibIndex: within('fibIndex', event.fibIndex, 0, 0xffffffff), totalPkts: within('packets', event.packets, 0, 0xffffffff),
    totalBytes: event.bytes >= 0n && event.bytes <= 0xffffffffffffffffn ? event.bytes : refuse('bytes', event.bytes, 'a bigint of 64 bits')
  }
}

/** The session: events of one key have an order among each other. */
export const haKeyOf = ({ protocol, outsideAddress, outsidePort }: HaEvent): string => `${protocol} ${outsideAddress}:${outsidePort}`

/** What VPP translates in one way at a time; `null`: the event does not say. */
export const haInsideOf = ({ protocol, insideAddress, insidePort }: HaEvent): string | null => insideAddress === '0.0.0.0' ? null : `${protocol} ${insideAddress}:${insidePort} in`

export const encodeHaAck = ({ thread, sequence }: HaPlace): Buffer => header(ACK, 0, thread, sequence)

/** `events`: each as haEventBytes() gives it, at most 65535. */
export const encodeHa = ({ thread, sequence }: HaPlace, events: readonly Buffer[]): Buffer => Buffer.concat([header(0, events.length, thread, sequence), ...events])

/** @throws invalid LS_V_VALUE naming the field */
export const haEventBytes = (event: HaEvent): Buffer => haRecordBytes(haRecordOf(event))

export function haRecordBytes (record: HaRecord): Buffer {
  const out = Buffer.alloc(HA_EVENT_BYTES)
  out.writeUInt8(record.type, 0)
  out.writeUInt8(record.proto, 1)
  out.writeUInt16BE(record.flags, 2)
  out.writeUInt32BE(record.inAddr, 4)
  out.writeUInt32BE(record.outAddr, 8)
  out.writeUInt16BE(record.inPort, 12)
  out.writeUInt16BE(record.outPort, 14)
  out.writeUInt32BE(record.ehAddr, 16)
  out.writeUInt32BE(record.ehnAddr, 20)
  out.writeUInt16BE(record.ehPort, 24)
  out.writeUInt16BE(record.ehnPort, 26)
  out.writeUInt32BE(record.fibIndex, 28)
  out.writeUInt32BE(record.totalPkts, 32)
  out.writeBigUInt64BE(record.totalBytes, 36)
  return out
}

function readRecord (bytes: Buffer, at: number): HaRecord {
  return {
    type: bytes.readUInt8(at), proto: bytes.readUInt8(at + 1), flags: bytes.readUInt16BE(at + 2), inAddr: bytes.readUInt32BE(at + 4), outAddr: bytes.readUInt32BE(at + 8),
    inPort: bytes.readUInt16BE(at + 12), outPort: bytes.readUInt16BE(at + 14), ehAddr: bytes.readUInt32BE(at + 16), ehnAddr: bytes.readUInt32BE(at + 20),
    ehPort: bytes.readUInt16BE(at + 24), ehnPort: bytes.readUInt16BE(at + 26), fibIndex: bytes.readUInt32BE(at + 28), totalPkts: bytes.readUInt32BE(at + 32), totalBytes: bytes.readBigUInt64BE(at + 36)
  }
}

function header (flags: number, count: number, thread: number, sequence: number): Buffer {
  const out = Buffer.alloc(HA_HEADER_BYTES)
  out.writeUInt8(HA_VERSION, 0)
  out.writeUInt8(flags, 1)
  out.writeUInt16BE(count, 2)
  out.writeUInt32BE(sequence, 4)
  out.writeUInt32BE(thread, 8)
  return out
}

/** `ports`: whether they are any. */
function protocolOf ({ proto, flags, outPort }: HaRecord): { readonly protocol: number | null, readonly ports: boolean } {
  if (proto !== 0 && (flags & UNKNOWN_PROTOCOL) === 0) return { protocol: protocols[proto] ?? null, ports: true }
  const number = (outPort & 0xff) === 0 ? outPort >> 8 : outPort
  return { protocol: number >= 1 && number <= 255 ? number : null, ports: false }
}

/** @throws invalid LS_V_VALUE */
const refuse = (object: string, value: unknown, expected: string): never => { throw new LockstepError('invalid', 'LS_V_VALUE', 'a value does not fit into an event of VPP', { object, found: String(value).slice(0, 80), expected }) }
const within = (object: string, value: number, least: number, most: number): number => Number.isInteger(value) && value >= least && value <= most ? value : refuse(object, value, `an integer from ${least} to ${most}`)

const formatIp4 = (value: number): string => `${value >>> 24}.${value >>> 16 & 0xff}.${value >>> 8 & 0xff}.${value & 0xff}`
const parseIp4 = (object: string, text: string): number => isIPv4(text) ? text.split('.').reduce((value, part) => (value << 8 | Number(part)) >>> 0, 0) : refuse(object, text, 'an IPv4 address')
