/** What both halves of the sync engine share: its surroundings, and the small structs of peer.h. */
import { layout, limits } from '../../generated/layout.js'
import type { NativeReplica } from '../../native/binding.js'

export const groups = limits.LS_RGS_MAX
export const frameType = {
  hello: limits.LS_FRAME_HELLO, stream: limits.LS_FRAME_STREAM, ack: limits.LS_FRAME_ACK, cellsWant: limits.LS_FRAME_CELLS_WANT, cells: limits.LS_FRAME_CELLS,
  need: limits.LS_FRAME_NEED, cutWant: limits.LS_FRAME_CUT_WANT, bulkWant: limits.LS_FRAME_BULK_WANT, bye: limits.LS_FRAME_BYE, move: limits.LS_FRAME_MOVE, config: limits.LS_FRAME_CONFIG, configAck: limits.LS_FRAME_CONFIG_ACK, rings: limits.LS_FRAME_RINGS, upserts: limits.LS_FRAME_UPSERTS,
  deletes: limits.LS_FRAME_DELETES, activity: limits.LS_FRAME_ACTIVITY, bulkBegin: limits.LS_FRAME_BULK_BEGIN, bulkEnd: limits.LS_FRAME_BULK_END,
  cut: limits.LS_FRAME_CUT
} as const

export type SyncEventName =
  | 'sync.connected' | 'sync.resumed' | 'sync.lost' | 'sync.refused' | 'sync.differs' | 'sync.overrun' | 'sync.protocol'
  | 'group.proven' | 'group.differs' | 'group.repaired' | 'group.bulk' | 'group.bulk-done'

/** What the engine needs of the world. It has no clock, no socket and no randomness of its own, so that a simulator can drive it. */
export interface Surroundings {
  readonly replica: NativeReplica
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly event: (name: SyncEventName, fields: Readonly<Record<string, string | number | null>>) => void
}

/** What each group's sketch is counted under, whoever owns the group; null: nothing yet. One for both halves: a role changes, the sketch stays. */
export type SketchKeys = Array<Uint8Array | null>

export interface SyncTimes {
  /** Between two cuts of a group. */
  readonly cutMs: number
  /** Between two passes of activity. */
  readonly activityMs: number
  /** One pass of the audit over the whole table. */
  readonly auditMs: number
  /** A peer that says nothing for so long is gone, whatever TCP thinks (H50). Something is said at least four times as often. */
  readonly silenceMs: number
  /** A sketch key is drawn anew by the owner: what somebody learned of one is of no use for longer. */
  readonly keyMs: number
}
export const defaultTimes: SyncTimes = { cutMs: 1000, activityMs: 10_000, auditMs: 5000, silenceMs: 5000, keyMs: 24 * 3_600_000 }

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** struct ls_frame_stream and ls_frame_ack: a stream and a place in it. */
export function placeOf (stream: bigint, seq: number): Uint8Array {
  const out = new Uint8Array(layout.ls_frame_ack.size)
  viewOf(out).setBigUint64(layout.ls_frame_ack.stream.offset, stream, true)
  viewOf(out).setBigUint64(layout.ls_frame_ack.seq.offset, BigInt(seq), true)
  return out
}
export function readPlace (body: Uint8Array): { readonly stream: bigint, readonly seq: number } | null {
  if (body.length < layout.ls_frame_ack.size) return null
  return { stream: viewOf(body).getBigUint64(layout.ls_frame_ack.stream.offset, true), seq: Number(viewOf(body).getBigUint64(layout.ls_frame_ack.seq.offset, true)) }
}

const cells = layout.ls_frame_cells
export interface CellsRange { readonly cut: number, readonly items: number, readonly from: number, readonly n: number }
export function cellsRange ({ cut, items, from, n }: CellsRange, packed: Uint8Array | null = null): Uint8Array {
  const out = new Uint8Array(cells.size + (packed?.length ?? 0))
  const view = viewOf(out)
  view.setBigUint64(cells.cut.offset, BigInt(cut), true)
  view.setBigUint64(cells.items.offset, BigInt(items), true)
  view.setUint32(cells.from.offset, from, true)
  view.setUint32(cells.n.offset, n, true)
  if (packed !== null) out.set(packed, cells.size)
  return out
}
export function readCells (body: Uint8Array): CellsRange & { readonly packed: Uint8Array } | null {
  if (body.length < cells.size) return null
  const view = viewOf(body)
  return {
    cut: Number(view.getBigUint64(cells.cut.offset, true)), items: Number(view.getBigUint64(cells.items.offset, true)), from: view.getUint32(cells.from.offset, true),
    n: view.getUint32(cells.n.offset, true), packed: body.subarray(cells.size)
  }
}

const cut = layout.ls_frame_cut
export const cutBytes = cut.size
const never = 0xffff_ffff_ffff_ffffn
export const setAuditAge = (body: Uint8Array, ageMs: number | null): void => { viewOf(body).setBigUint64(cut.audit_age_ns.offset, ageMs === null ? never : BigInt(Math.round(ageMs * 1e6)), true) }
export function readCut (body: Uint8Array): { readonly items: number, readonly cells: number, readonly auditAgeMs: number | null, readonly proof: Uint8Array, readonly key: Uint8Array } | null {
  if (body.length < cutBytes) return null
  const view = viewOf(body)
  const age = view.getBigUint64(cut.audit_age_ns.offset, true)
  return {
    items: Number(view.getBigUint64(cut.items.offset, true)), cells: view.getUint32(cut.cells.offset, true), auditAgeMs: age === never ? null : Number(age) / 1e6,
    proof: body.subarray(cut.items.offset, cut.cells.offset), key: body.slice(cut.key.offset, cut.key.offset + keyBytes)
  }
}

export function wantOf (cellsWanted: number): Uint8Array {
  const out = new Uint8Array(layout.ls_frame_want.size)
  viewOf(out).setUint32(layout.ls_frame_want.cells.offset, cellsWanted, true)
  return out
}
export const readWant = (body: Uint8Array): number => (body.length < layout.ls_frame_want.size ? 0 : viewOf(body).getUint32(layout.ls_frame_want.cells.offset, true))

export const idBytes = layout.ls_session_id.size
export const sketchCells = limits.LS_SKETCH_CELLS
/** Cells in one frame. */
export const cellsMax = 32_768
/** Bytes of a packed cell, at most and as a rule (native/sketch). */
export const packedCellMax = 42
export const packedCell = 34
export const keyBytes = 16
