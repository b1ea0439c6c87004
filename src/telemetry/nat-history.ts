/**
 * Translated sessions that have ended, the latest of them, for who asks later who had an address and a port. A ring in memory that threads share: the one that drains the
 * table writes, any reads. A row is the packed record of the session (wire.h) and when it ended.
 */
import type { EndedTranslations, TranslationQuery } from '../contract/services.js'
import { layout, limits } from '../generated/layout.js'
import { addressBytes, parseAddress } from '../lib/address.js'
import { recordBytes, rowOf } from '../native/records.js'

const shape = layout.ls_wire_record
const TRANSLATED = shape.reply.offset + layout.ls_key.dst.offset
const TRANSLATED_PORT = shape.reply.offset + layout.ls_key.dport_be.offset
const PROTOCOL = shape.key.offset + layout.ls_key.proto.offset
/** Its record, and its end as Unix ms. */
const ROW = recordBytes + 8
/** Rows that were begun, rows that are whole, notices that were lost (i64 each), and since when there is a history (f64). */
const HEADER = 32
const [BEGUN, WHOLE, LOST] = [0, 1, 2]

export function natHistoryMemory (rows: number, nowMs: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(HEADER + rows * ROW)
  new Float64Array(memory, 24, 1)[0] = nowMs
  return memory
}

/** One thread alone writes. */
export class NatHistoryWriter {
  private readonly counts: BigInt64Array
  private readonly rows: Uint8Array
  private readonly view: DataView
  private readonly capacity: number

  constructor (memory: SharedArrayBuffer) {
    this.counts = new BigInt64Array(memory, 0, 3)
    this.rows = new Uint8Array(memory, HEADER)
    this.view = new DataView(memory, HEADER)
    this.capacity = this.rows.length / ROW
  }

  /** `n` records as they were drained, and notices that were lost with them. */
  note (records: Uint8Array, n: number, lost: number, nowMs: number): void {
    if (lost > 0) Atomics.add(this.counts, LOST, BigInt(lost))
    if (this.capacity === 0) return
    const view = new DataView(records.buffer, records.byteOffset, n * recordBytes)
    let at = Number(Atomics.load(this.counts, BEGUN))
    for (let base = 0; base < n * recordBytes; base += recordBytes) {
      if (view.getUint8(base + shape.kind.offset) !== limits.LS_NOTICE_DELETE || (view.getUint32(base + shape.flags.offset, true) & limits.LS_SF_SNAT) === 0) continue
      Atomics.store(this.counts, BEGUN, BigInt(++at))
      const row = (at - 1) % this.capacity * ROW
      this.rows.set(records.subarray(base, base + recordBytes), row)
      this.view.setFloat64(row + recordBytes, nowMs, true)
      Atomics.store(this.counts, WHOLE, BigInt(at))
    }
  }
}

/** Newest first; what is written over while it is read is left out. */
export function endedTranslations (memory: SharedArrayBuffer, { address, port, protocol, at, limit }: TranslationQuery): EndedTranslations {
  const counts = new BigInt64Array(memory, 0, 3)
  const [rows, view] = [new Uint8Array(memory, HEADER), new DataView(memory, HEADER)]
  const capacity = rows.length / ROW
  const wanted = parseAddress(address)
  const bytes = wanted === null ? null : addressBytes(wanted)
  const whole = Number(Atomics.load(counts, WHOLE))
  const copy = new Uint8Array(ROW)
  const copied = new DataView(copy.buffer)
  const found: Array<EndedTranslations['rows'][number]> = []
  let truncated = false
  for (let index = whole - 1; index >= 0 && index >= whole - capacity; index--) {
    const base = index % capacity * ROW
    if (bytes === null || !bytes.every((byte, i) => rows[base + TRANSLATED + i] === byte)) continue
    copy.set(rows.subarray(base, base + ROW))
    if (Number(Atomics.load(counts, BEGUN)) - capacity > index) break // it was written over, and so are all before it
    if ((port !== null && copied.getUint16(TRANSLATED_PORT, false) !== port) || (protocol !== null && copied.getUint8(PROTOCOL) !== protocol)) continue
    const endedAt = copied.getFloat64(recordBytes, true)
    const session = rowOf(copied, 0, () => 0)
    if (at !== null && (at > endedAt || at < endedAt - session.ageMs)) continue
    if (found.length === limit) {
      truncated = true
      break
    }
    found.push({ session, endedAt })
  }
  const oldest = Number(Atomics.load(counts, BEGUN)) - capacity
  const completeSince = capacity === 0 ? null : oldest <= 0 ? new Float64Array(memory, 24, 1)[0] ?? null : view.getFloat64(oldest % capacity * ROW + recordBytes, true)
  return { rows: found, completeSince, lost: Number(Atomics.load(counts, LOST)), truncated }
}
