/**
 * Sessions as an Arrow IPC stream (Apache Arrow columnar format, "IPC Streaming Format"), which pandas, Polars, DuckDB and others read as a table: columns of the
 * session table as they are, names in the place of ids, addresses as text. One record batch for each batch of the table.
 */
import { AsyncByteQueue, Field, FixedSizeBinary, makeData, RecordBatch, RecordBatchStreamWriter, Schema, Struct, Uint16, Uint32, Uint64, Uint8, Utf8, type Data, type DataType } from 'apache-arrow'
import type { NameBook, NameKind } from '../contract/services.js'
import type { SessionColumns } from '../contract/session.js'
import { column as columnCodes, phase as phaseCodes, type Column } from '../generated/codes.js'
import { formatAddress } from '../lib/address.js'
import { TextColumn } from './text-column.js'

/** `bytes`: of a batch, as the table has them. */
type Build = (bytes: Uint8Array, rows: number) => Data
interface Plan { readonly name: Column, readonly type: DataType, readonly build: Build }

/** Columns whose ids have names; `none`: 0 is nobody. */
const named: Readonly<Partial<Record<Column, { readonly kind: NameKind, readonly none: boolean }>>> = {
  zone_in: { kind: 'zone', none: false }, zone_out: { kind: 'zone', none: false }, policy: { kind: 'policy', none: false }, vip: { kind: 'vip', none: true },
  real: { kind: 'real', none: true }, app: { kind: 'app', none: false }, domain: { kind: 'domain', none: false }
}

export class ArrowSessions {
  private readonly plans: readonly Plan[]
  private readonly schema: Schema
  private readonly writer = new RecordBatchStreamWriter({ autoDestroy: false })
  private readonly sink = new Sink()

  /** In this order. */
  constructor (columns: readonly Column[], names: NameBook) {
    this.plans = columns.map(name => planOf(name, names))
    this.schema = new Schema(this.plans.map(({ name, type }) => new Field(name, type, false, new Map([['description', codeOf(name).text]]))), new Map([['producer', 'lockstep']]))
    this.writer.reset(this.sink, this.schema)
  }

  /** The next bytes of the stream; those of the schema come with the first. */
  batch ({ rows, columns }: SessionColumns): Buffer {
    const children = this.plans.map(({ name, build }) => {
      const bytes = columns.get(name)
      if (bytes === undefined) throw new RangeError(`column ${name} is not in the batch`)
      return build(bytes, rows)
    })
    this.writer.write(new RecordBatch(this.schema, makeData({ type: new Struct(this.schema.fields), length: rows, nullCount: 0, children })))
    return this.sink.take()
  }

  /** Its last bytes; of a stream without a batch, those of the schema too. */
  end (): Buffer {
    this.writer.finish()
    return this.sink.take()
  }
}

/** What was written since it was taken the last time. */
class Sink extends AsyncByteQueue {
  private parts: Uint8Array[] = []

  override write (part: ArrayBufferView | ArrayBufferLike | string | null | undefined): void {
    if (part instanceof Uint8Array) this.parts.push(part)
  }

  take (): Buffer {
    const all = Buffer.concat(this.parts)
    this.parts = []
    return all
  }
}

const codeOf = (name: Column): (typeof columnCodes)[number] => columnCodes.find(c => c.name === name) ?? columnCodes[0]

function planOf (name: Column, names: NameBook): Plan {
  const ids = named[name]
  const { bytes, kind } = codeOf(name)
  if (ids !== undefined) return { name, type: new Utf8(), build: texts(bytes, id => ids.none && id === 0 ? '' : names.name(ids.kind, id)) }
  if (name === 'phase') return { name, type: new Utf8(), build: texts(1, id => (phaseCodes[id]?.name ?? `#${id}`).toUpperCase()) }
  if (name === 'id') return { name, type: new FixedSizeBinary(bytes), build: (data, rows) => makeData({ type: new FixedSizeBinary(bytes), length: rows, nullCount: 0, data: copyOf(data, rows * bytes) }) }
  if (kind === 'bytes') return { name, type: new Utf8(), build: addressTexts }
  const { type, of } = numbers[kind]
  return { name, type, build: (data, rows) => makeData({ type, length: rows, nullCount: 0, data: of(copyOf(data, rows * bytes).buffer) }) }
}

/** Its own memory, at its beginning: the batch is a view of the table's. */
const copyOf = (data: Uint8Array, bytes: number): Uint8Array => new Uint8Array(data.subarray(0, bytes))

const numbers = {
  u8: { type: new Uint8(), of: (b: ArrayBufferLike) => new Uint8Array(b) },
  u16: { type: new Uint16(), of: (b: ArrayBufferLike) => new Uint16Array(b) },
  u32: { type: new Uint32(), of: (b: ArrayBufferLike) => new Uint32Array(b) },
  u64: { type: new Uint64(), of: (b: ArrayBufferLike) => new BigUint64Array(b) }
} as const

/** Of ids of so many bytes; each is asked for once. */
function texts (bytes: number, of: (id: number) => string): Build {
  const known = new Map<number, Uint8Array>()
  return (data, rows) => {
    const out = new TextColumn(rows, 12)
    for (let row = 0; row < rows; row++) {
      const id = bytes === 1 ? data[row] ?? 0 : (data[2 * row] ?? 0) | (data[2 * row + 1] ?? 0) << 8
      let text = known.get(id)
      if (text === undefined) known.set(id, text = Buffer.from(of(id)))
      out.append(text)
    }
    return out.data()
  }
}

function addressTexts (data: Uint8Array, rows: number): Data {
  const out = new TextColumn(rows, 16)
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0; at < 16 * rows; at += 16) {
    if (view.getUint32(at + 8) === 0xffff && view.getBigUint64(at) === 0n) out.appendIpv4(data[at + 12] ?? 0, data[at + 13] ?? 0, data[at + 14] ?? 0, data[at + 15] ?? 0)
    else out.append(Buffer.from(formatAddress(view.getBigUint64(at) << 64n | view.getBigUint64(at + 8))))
  }
  return out.data()
}
