/** Cells of a batch of session columns: packed little-endian numbers, addresses and ids as text. */
import { addressText } from './address-text.js'
import { SESSION_ID_BYTES, sessionIdAt } from './session-id.js'

const ADDRESS_BYTES = 16

export interface Cells<Name extends string> {
  u8 (name: Name): (row: number) => number
  u16 (name: Name): (row: number) => number
  u32 (name: Name): (row: number) => number
  u64 (name: Name): (row: number) => bigint
  address (name: Name): (row: number) => string
  id (name: Name): (row: number) => string
}

/** @param rows of the batch; a column that the backend does not have reads as zeros. */
export function cellsOf<Name extends string> (columns: ReadonlyMap<string, Uint8Array>, rows: number): Cells<Name> {
  const bytes = (name: Name, width: number): Uint8Array => columns.get(name) ?? new Uint8Array(rows * width)
  const view = (name: Name, width: number): DataView => {
    const data = bytes(name, width)
    return new DataView(data.buffer, data.byteOffset, data.byteLength)
  }
  return {
    u8: name => { const of = view(name, 1); return row => of.getUint8(row) },
    u16: name => { const of = view(name, 2); return row => of.getUint16(2 * row, true) },
    u32: name => { const of = view(name, 4); return row => of.getUint32(4 * row, true) },
    u64: name => { const of = view(name, 8); return row => of.getBigUint64(8 * row, true) },
    address: name => { const of = bytes(name, ADDRESS_BYTES); return row => addressText(of, ADDRESS_BYTES * row) },
    id: name => { const of = view(name, SESSION_ID_BYTES); return row => sessionIdAt(of, SESSION_ID_BYTES * row) },
  }
}
