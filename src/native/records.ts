/** Packed wire records (struct ls_wire_record) as rows for people; deletions as rows for the table. Pure. */
import { LockstepError } from '../contract/errors.js'
import type { NewSession, SessionChange, SessionRow, SessionTuple } from '../contract/session.js'
import { closeReason, notice, phase } from '../generated/codes.js'
import { layout, limits } from '../generated/layout.js'
import { addressBytes, familyOf, formatAddress, parseAddress } from '../lib/address.js'
import { sessionIdAt } from '../lib/session-id.js'

const shape = layout.ls_wire_record
const key = layout.ls_key
export const recordBytes = shape.size
export const deleteBytes = layout.ls_wire_delete.size

const flagNames: ReadonlyArray<readonly [number, string]> = [
  [limits.LS_SF_SNAT, 'snat'], [limits.LS_SF_DNAT, 'dnat'], [limits.LS_SF_VIP, 'vip'], [limits.LS_SF_HALF, 'half'], [limits.LS_SF_HOST, 'host'],
  [limits.LS_SF_HAIRPIN, 'hairpin'], [limits.LS_SF_PEER, 'peer'], [limits.LS_SF_NO_SYNC, 'no-sync'], [limits.LS_SF_STATIC, 'static'], [limits.LS_SF_LATE, 'late'], [limits.LS_SF_PROGRAM, 'program']
]

function address (view: DataView, at: number): string {
  return formatAddress(view.getBigUint64(at, false) << 64n | view.getBigUint64(at + 8, false))
}

/** `timeoutMs` of the phase, when known, gives expiresMs. */
export function rowOf (view: DataView, base: number, timeoutMs: (app: number, phase: number) => number): SessionRow {
  const at = (offset: number): number => base + offset
  const k = at(shape.key.offset)
  const r = at(shape.reply.offset)
  const flags = view.getUint32(at(shape.flags.offset), true)
  const phaseId = view.getUint8(at(shape.phase.offset))
  const app = view.getUint8(at(shape.app.offset))
  const idleMs = Number(view.getBigUint64(at(shape.idle_ns.offset), true) / 1000000n)
  return {
    id: sessionIdAt(view, at(shape.id.offset)),
    slot: view.getUint32(at(shape.slot.offset), true),
    family: view.getUint8(k + key.family.offset) === 6 ? 6 : 4,
    protocol: view.getUint8(k + key.proto.offset),
    domain: view.getUint16(k + key.domain.offset, true),
    source: address(view, k + key.src.offset),
    sourcePort: view.getUint16(k + key.sport_be.offset, false),
    destination: address(view, k + key.dst.offset),
    destinationPort: view.getUint16(k + key.dport_be.offset, false),
    replySource: address(view, r + key.src.offset),
    replySourcePort: view.getUint16(r + key.sport_be.offset, false),
    replyDestination: address(view, r + key.dst.offset),
    replyDestinationPort: view.getUint16(r + key.dport_be.offset, false),
    zoneIn: view.getUint16(at(shape.zone_in.offset), true),
    zoneOut: view.getUint16(at(shape.zone_out.offset), true),
    policy: view.getUint16(at(shape.policy.offset), true),
    vip: view.getUint16(at(shape.vip.offset), true),
    real: view.getUint16(at(shape.real.offset), true),
    rg: view.getUint8(at(shape.rg.offset)),
    app,
    phase: phase[phaseId]?.name ?? `#${phaseId}`,
    flags: flagNames.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name),
    packetsForward: view.getBigUint64(at(shape.packets.offset), true),
    packetsReply: view.getBigUint64(at(shape.packets.offset) + 8, true),
    bytesForward: view.getBigUint64(at(shape.bytes.offset), true),
    bytesReply: view.getBigUint64(at(shape.bytes.offset) + 8, true),
    idleMs,
    ageMs: Number(view.getBigUint64(at(shape.age_ns.offset), true) / 1000000n),
    expiresMs: Math.max(0, timeoutMs(app, phaseId) - idleMs)
  }
}

/** struct ls_key. @throws invalid LS_F_TUPLE */
export function keyOf (t: SessionTuple): Uint8Array {
  const [source, destination] = [parseAddress(t.source), parseAddress(t.destination)]
  if (source === null || destination === null || familyOf(source) !== familyOf(destination)) {
    throw new LockstepError('invalid', 'LS_F_TUPLE', 'not the two ends of a flow', { object: 'tuple', found: `${t.source} ${t.destination}`, expected: 'two addresses of one family' })
  }
  const out = new Uint8Array(key.size)
  const view = new DataView(out.buffer)
  out.set(addressBytes(source), key.src.offset)
  out.set(addressBytes(destination), key.dst.offset)
  view.setUint16(key.sport_be.offset, t.sourcePort, false)
  view.setUint16(key.dport_be.offset, t.destinationPort, false)
  view.setUint8(key.proto.offset, t.protocol)
  view.setUint8(key.family.offset, familyOf(source))
  view.setUint16(key.domain.offset, t.domain, true)
  return out
}

/** The id of a packed record with just these tuples, each a struct ls_key; `null`: it has others. */
export function idIfSame (record: Uint8Array, forward: Uint8Array, reply: Uint8Array): string | null {
  const same = ([[shape.key.offset, forward], [shape.reply.offset, reply]] as const).every(([at, wanted]) => Buffer.compare(record.subarray(at, at + key.size), wanted) === 0)
  return same ? sessionIdAt(new DataView(record.buffer, record.byteOffset), shape.id.offset) : null
}

const kinds = ['update', 'create', 'update', 'recreate', 'delete'] as const

export function changesOf (records: Uint8Array, timeoutMs: (app: number, phase: number) => number): SessionChange[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  const out: SessionChange[] = []
  for (let base = 0; base + recordBytes <= records.length; base += recordBytes) {
    const kind = view.getUint8(base + shape.kind.offset)
    out.push({
      kind: kinds[kind] ?? 'update',
      closeReason: closeReason[view.getUint8(base + shape.close_reason.offset)]?.name ?? 'none',
      session: rowOf(view, base, timeoutMs)
    })
  }
  return out
}

/** Kinds are positions in notice.def; a test holds them together. */
export const changeKinds: readonly string[] = notice.map((n, i) => n.name === 'none' ? 'update' : kinds[i] ?? n.name)

/** Its packed record: flags say what the two tuples say. @throws invalid LS_F_TUPLE */
export function packSession (s: NewSession, id: { readonly origin: bigint, readonly serial: bigint }): Uint8Array {
  const out = new Uint8Array(recordBytes)
  const view = new DataView(out.buffer)
  const [snat, dnat] = [s.reply.destination !== s.tuple.source || s.reply.destinationPort !== s.tuple.sourcePort, s.reply.source !== s.tuple.destination || s.reply.sourcePort !== s.tuple.destinationPort]
  view.setUint8(shape.version.offset, limits.LS_WIRE_VERSION)
  view.setUint8(shape.kind.offset, limits.LS_NOTICE_CREATE)
  view.setUint8(shape.phase.offset, s.phase)
  view.setUint8(shape.rg.offset, s.rg)
  view.setUint8(shape.app.offset, s.app)
  view.setUint16(shape.flow.offset, s.replied ? limits.LS_FLOW_REPLIED : 0, true)
  view.setBigUint64(shape.id.offset, id.origin, true)
  view.setBigUint64(shape.id.offset + 8, id.serial, true)
  out.set(keyOf(s.tuple), shape.key.offset)
  out.set(keyOf(s.reply), shape.reply.offset)
  view.setUint32(shape.flags.offset, (snat ? limits.LS_SF_SNAT : 0) | (dnat ? limits.LS_SF_DNAT : 0) | (s.vip === 0 ? 0 : limits.LS_SF_VIP), true)
  view.setUint16(shape.zone_in.offset, s.zoneIn, true)
  view.setUint16(shape.zone_out.offset, s.zoneOut, true)
  view.setUint16(shape.policy.offset, s.policy, true)
  view.setUint16(shape.vip.offset, s.vip, true)
  view.setUint16(shape.real.offset, s.real, true)
  view.setBigUint64(shape.idle_ns.offset, BigInt(Math.round(s.idleMs)) * 1_000_000n, true)
  view.setBigUint64(shape.age_ns.offset, BigInt(Math.round(s.ageMs)) * 1_000_000n, true)
  return out
}
