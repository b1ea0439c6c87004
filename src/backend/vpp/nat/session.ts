/**
 * A session of VPP's NAT as a record of the session table, and back. The record has the flow as packets show it: inside to external host one way, external
 * host to outside the other. Pure. Of one FIB, the first: VPP names others by a place that is not the same on two nodes.
 */
import { notice, phase, type Phase } from '../../../generated/codes.js'
import { layout, limits } from '../../../generated/layout.js'
import type { SessionId } from '../../../native/session-ids.js'
import { addressBytes, formatAddress, parseAddress } from '../../../lib/address.js'
import type { HaEvent } from './ha-wire.js'

const shape = layout.ls_wire_record
const keyShape = layout.ls_key
const deleteShape = layout.ls_wire_delete
const [ICMP, TCP, UDP] = [1, 6, 17]
const IP4 = 4
export const FIB = 0

const phaseNamed = (name: Phase): number => phase.findIndex(p => p.name === name)
const phases = new Map([[TCP, phaseNamed('tcp_established')], [UDP, phaseNamed('udp_stream')], [ICMP, phaseNamed('icmp_echo')]])
const otherPhase = phaseNamed('other_stream')
const CREATED = notice.findIndex(n => n.name === 'create')

export function recordOf (event: HaEvent, id: SessionId, rg: number): Uint8Array {
  const out = new Uint8Array(shape.size)
  const view = new DataView(out.buffer)
  view.setUint8(shape.version.offset, limits.LS_WIRE_VERSION)
  view.setUint8(shape.kind.offset, CREATED)
  view.setUint8(shape.phase.offset, phases.get(event.protocol) ?? otherPhase)
  view.setUint8(shape.rg.offset, rg)
  view.setUint16(shape.flow.offset, limits.LS_FLOW_REPLIED, true)
  view.setBigUint64(shape.id.offset, id.origin, true)
  view.setBigUint64(shape.id.offset + 8, id.serial, true)
  const echo = event.protocol === ICMP // the identifier is the source of a request and the destination of its reply (R19)
  writeKey(view, shape.key.offset, event.protocol, event.insideAddress, event.insidePort, event.externalNatAddress, echo ? 0 : event.externalNatPort)
  writeKey(view, shape.reply.offset, event.protocol, event.externalAddress, echo ? 0 : event.externalPort, event.outsideAddress, event.outsidePort)
  view.setUint32(shape.flags.offset, limits.LS_SF_SNAT | limits.LS_SF_PROGRAM | (event.static ? limits.LS_SF_STATIC : 0), true)
  view.setBigUint64(shape.packets.offset, BigInt(event.packets), true)
  view.setBigUint64(shape.bytes.offset, event.bytes, true)
  return out
}

/** As the event that makes it. */
export function eventOf (view: DataView, base: number): HaEvent {
  const [key, reply] = [base + shape.key.offset, base + shape.reply.offset]
  return {
    kind: 'add', protocol: view.getUint8(key + keyShape.proto.offset), static: (view.getUint32(base + shape.flags.offset, true) & limits.LS_SF_STATIC) !== 0,
    insideAddress: addressAt(view, key + keyShape.src.offset), insidePort: view.getUint16(key + keyShape.sport_be.offset, false),
    outsideAddress: addressAt(view, reply + keyShape.dst.offset), outsidePort: view.getUint16(reply + keyShape.dport_be.offset, false),
    externalAddress: addressAt(view, reply + keyShape.src.offset), externalPort: view.getUint16(reply + keyShape.sport_be.offset, false), externalNatAddress: addressAt(view, key + keyShape.dst.offset), externalNatPort: view.getUint16(key + keyShape.dport_be.offset, false), fibIndex: FIB,
    packets: Number(view.getBigUint64(base + shape.packets.offset, true) & 0xffffffffn), bytes: view.getBigUint64(base + shape.bytes.offset, true)
  }
}

export const idOf = (view: DataView, base: number): SessionId => ({ origin: view.getBigUint64(base + shape.id.offset, true), serial: view.getBigUint64(base + shape.id.offset + 8, true) })

/** struct ls_wire_delete of a record. */
export function deletionOf (event: HaEvent, id: SessionId, reason: number): Uint8Array {
  const record = recordOf(event, id, 0)
  const out = new Uint8Array(deleteShape.size)
  out.set(record.subarray(shape.id.offset, shape.id.offset + shape.id.size), deleteShape.id.offset)
  out.set(record.subarray(shape.key.offset, shape.key.offset + shape.key.size), deleteShape.key.offset)
  out[deleteShape.reason.offset] = reason
  return out
}

/** Two events of one key translate the same: the external host is the first that was talked to, and does not count (RFC 4787, endpoint-independent mapping). */
export const sameSession = (a: HaEvent, b: HaEvent): boolean => a.insideAddress === b.insideAddress && a.insidePort === b.insidePort && a.static === b.static

function writeKey (view: DataView, at: number, protocol: number, source: string, sourcePort: number, destination: string, destinationPort: number): void {
  const bytes = new Uint8Array(view.buffer)
  bytes.set(addressBytes(parseAddress(source) ?? 0n), at + keyShape.src.offset)
  bytes.set(addressBytes(parseAddress(destination) ?? 0n), at + keyShape.dst.offset)
  view.setUint16(at + keyShape.sport_be.offset, sourcePort, false)
  view.setUint16(at + keyShape.dport_be.offset, destinationPort, false)
  view.setUint8(at + keyShape.proto.offset, protocol)
  view.setUint8(at + keyShape.family.offset, IP4)
  view.setUint16(at + keyShape.domain.offset, FIB, true)
}

const addressAt = (view: DataView, at: number): string => formatAddress(view.getBigUint64(at, false) << 64n | view.getBigUint64(at + 8, false))
