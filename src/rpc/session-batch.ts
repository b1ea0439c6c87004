/**
 * The wire bytes of `SessionBatch`, written straight from column buffers: one allocation and one copy a column, whatever the
 * number of rows. The method's serializer passes these bytes through. Field numbers are those of sessions.proto; a test decodes
 * every shape with the generated code.
 */
import type { SessionColumns } from '../contract/session.js'
import { SessionBatch, type IdName } from '../generated/proto/lockstep/v1/sessions.js'

const ROWS = 0x08
const COLUMNS = 0x12
const COLUMN_DATA = 0x1a

export interface ColumnSpec {
  readonly name: string
  readonly bytes: number
}

export class SessionBatchEncoder {
  /** Per column the bytes of its `name` and `width` fields: the same in every batch. */
  readonly #heads: ReadonlyArray<{ readonly name: string, readonly bytes: number, readonly head: Buffer }>

  constructor (columns: readonly ColumnSpec[]) {
    this.#heads = columns.map(({ name, bytes }) => {
      const text = Buffer.from(name)
      return { name, bytes, head: Buffer.concat([Buffer.from([0x0a, text.length]), text, Buffer.from([0x10, bytes])]) }
    })
  }

  encode (batch: SessionColumns, names: IdName[], truncated: boolean): Buffer {
    const rest = names.length === 0 && !truncated
      ? null
      : SessionBatch.encode({ rows: 0, columns: [], names, truncated }).finish()
    let size = 1 + varintSize(batch.rows) + (rest?.length ?? 0)
    for (const c of this.#heads) {
      const inner = this.#innerSize(c.head, c.bytes * batch.rows)
      size += 1 + varintSize(inner) + inner
    }
    const out = Buffer.allocUnsafe(size)
    out[0] = ROWS
    let at = putVarint(out, 1, batch.rows)
    for (const c of this.#heads) {
      const bytes = c.bytes * batch.rows
      const data = batch.columns.get(c.name)
      if (data === undefined || data.length < bytes) throw new RangeError(`column ${c.name}: ${data?.length ?? 'no'} bytes for ${batch.rows} rows of ${c.bytes}`)
      out[at++] = COLUMNS
      at = putVarint(out, at, this.#innerSize(c.head, bytes))
      at += c.head.copy(out, at)
      out[at++] = COLUMN_DATA
      at = putVarint(out, at, bytes)
      out.set(data.length === bytes ? data : data.subarray(0, bytes), at)
      at += bytes
    }
    if (rest !== null) out.set(rest, at)
    return out
  }

  #innerSize (head: Buffer, bytes: number): number {
    return head.length + 1 + varintSize(bytes) + bytes
  }
}

/** Bytes that are a message, as a field of another: its tag and length, and the bytes. */
export function embedded (field: number, bytes: Buffer): [Buffer, Buffer] {
  const head = Buffer.allocUnsafe(1 + varintSize(bytes.length))
  head[0] = field << 3 | 2
  putVarint(head, 1, bytes.length)
  return [head, bytes]
}

function varintSize (value: number): number {
  let n = 1
  for (; value >= 0x80; value = Math.floor(value / 128)) n++
  return n
}

function putVarint (out: Buffer, at: number, value: number): number {
  for (; value >= 0x80; value = Math.floor(value / 128)) out[at++] = (value % 128) | 0x80
  out[at++] = value
  return at
}
