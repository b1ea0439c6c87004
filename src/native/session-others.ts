/** Rows of a listing as rows of a deletion (struct ls_wire_delete): of those sessions that somebody who knows them all did not name. Pure. */
import type { SessionColumns } from '../contract/session.js'
import { layout } from '../generated/layout.js'
import { sessionIdAt } from '../lib/session-id.js'

const shape = layout.ls_wire_delete
const key = layout.ls_key

/** What othersOf reads. */
export const columnsOfOthers: readonly string[] = ['id', 'src', 'dst', 'sport', 'dport', 'proto', 'family', 'domain', 'age_ms']

/** Packed rows to delete: of the sessions that are not in `keep` and at least `minAgeMs` old. */
export function othersOf ({ rows, columns }: SessionColumns, keep: ReadonlySet<string>, minAgeMs: number, reason: number): Uint8Array {
  const bytes = (name: string): Uint8Array => columns.get(name) ?? new Uint8Array()
  const view = (name: string): DataView => new DataView(bytes(name).buffer, bytes(name).byteOffset, bytes(name).byteLength)
  const [ids, ages, sports, dports, domains] = [view('id'), view('age_ms'), view('sport'), view('dport'), view('domain')]
  const out = new Uint8Array(rows * shape.size)
  const to = new DataView(out.buffer)
  let at = 0
  for (let i = 0; i < rows; i++) {
    if (ages.getUint32(4 * i, true) < minAgeMs || keep.has(sessionIdAt(ids, 16 * i))) continue
    const k = at + shape.key.offset
    out.set(bytes('id').subarray(16 * i, 16 * i + 16), at + shape.id.offset)
    out.set(bytes('src').subarray(16 * i, 16 * i + 16), k + key.src.offset)
    out.set(bytes('dst').subarray(16 * i, 16 * i + 16), k + key.dst.offset)
    to.setUint16(k + key.sport_be.offset, sports.getUint16(2 * i, true), false)
    to.setUint16(k + key.dport_be.offset, dports.getUint16(2 * i, true), false)
    to.setUint8(k + key.proto.offset, bytes('proto')[i] ?? 0)
    to.setUint8(k + key.family.offset, bytes('family')[i] ?? 0)
    to.setUint16(k + key.domain.offset, domains.getUint16(2 * i, true), true)
    to.setUint8(at + shape.reason.offset, reason)
    at += shape.size
  }
  return out.subarray(0, at)
}
