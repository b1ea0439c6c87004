/** A real shared table with N installed sessions, for the server process of the bench. */
import { notice, phase } from '../../src/generated/codes.js'
import { layout } from '../../src/generated/layout.js'
import type { NativeTable } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'

const BATCH = 4096
const record = layout.ls_wire_record
const key = layout.ls_key

export function filledTable (rows: number): NativeTable {
  const { Table } = loadCore()
  const table = new Table({ capacity: capacityFor(rows), cpus: 0, threads: 1, arena: 0, hugepages: 0, path: '' })
  fill(table, rows)
  return table
}

export const capacityFor = (rows: number): number => Math.max(1 << 10, 2 ** Math.ceil(Math.log2(rows)))

export function fill (table: NativeTable, rows: number): void {
  for (let at = 0; at < rows; at += BATCH) {
    const count = Math.min(BATCH, rows - at)
    const { installed } = table.install(records(at, count), record.size, null, false)
    if (installed !== count) throw new Error(`${installed} of ${count} sessions were installed at ${at}`)
  }
}

/** TCP sessions 10.a.b.c:port -> 198.51.100.1:443, each unique. */
export function records (first: number, count: number): Uint8Array {
  const out = Buffer.alloc(count * record.size)
  for (let i = 0; i < count; i++) {
    const n = first + i
    const base = i * record.size
    out[base + record.version.offset] = 1
    out[base + record.kind.offset] = notice.findIndex((k) => k.name === 'create')
    out[base + record.phase.offset] = phase.findIndex((p) => p.name === 'tcp_established')
    out.writeBigUInt64LE(0x5eedn, base + record.id.offset)
    out.writeBigUInt64LE(BigInt(n) + 1n, base + record.id.offset + 8)
    const client: Endpoint = [0x0a000000 + (n >>> 4), 1024 + (n & 15)]
    const server: Endpoint = [0xc6336401, 443]
    putKey(out, base + record.key.offset, client, server)
    putKey(out, base + record.reply.offset, server, client)
    out.writeUInt16LE(1, base + record.zone_in.offset)
    out.writeUInt16LE(2, base + record.zone_out.offset)
    out.writeBigUInt64LE(BigInt(n), base + record.bytes.offset)
  }
  return out
}

type Endpoint = readonly [address: number, port: number]

function putKey (out: Buffer, at: number, from: Endpoint, to: Endpoint): void {
  for (const [field, [address]] of [[key.src, from], [key.dst, to]] as const) {
    out.fill(0xff, at + field.offset + 10, at + field.offset + 12)
    out.writeUInt32BE(address, at + field.offset + 12)
  }
  out.writeUInt16BE(from[1], at + key.sport_be.offset)
  out.writeUInt16BE(to[1], at + key.dport_be.offset)
  out[at + key.proto.offset] = 6
  out[at + key.family.offset] = 4
}
