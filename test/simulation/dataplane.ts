/** A real table with sessions that come, change and end by hand instead of by packets, and a clock of its own. What drains it is the caller's. */
import { layout, limits } from '../../src/generated/layout.js'
import type { NativeReplica, NativeTable } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'
import { recordBytes } from '../../src/native/records.js'
import { packFilter } from '../../src/native/filter.js'
import type { Random } from './random.js'

const shape = layout.ls_wire_record
const key = layout.ls_key
const gone = layout.ls_wire_delete
export const capacity = limits.LS_CAPACITY_MIN

export interface Seen { readonly id: string, readonly tuple: number, readonly phase: number, readonly rg: number }

const everything = packFilter({})

function writeKey (view: DataView, at: number, tuple: number, reply: boolean): void {
  const [src, dst] = reply ? [key.dst.offset, key.src.offset] : [key.src.offset, key.dst.offset]
  for (const [offset, low] of [[src, 0x0a000000 + tuple], [dst, 0xc6336401]] as const) {
    view.setUint16(at + offset + 10, 0xffff, false)
    view.setUint32(at + offset + 12, low, false)
  }
  view.setUint16(at + (reply ? key.dport_be : key.sport_be).offset, 1024 + tuple, false)
  view.setUint16(at + (reply ? key.sport_be : key.dport_be).offset, 443, false)
  view.setUint8(at + key.proto.offset, 17)
  view.setUint8(at + key.family.offset, 4)
}

/** What two tables are compared by. */
function sessionsOf (table: NativeTable): Map<string, Seen> {
  const out = new Uint8Array(recordBytes * 512)
  const view = new DataView(out.buffer)
  const seen = new Map<string, Seen>()
  for (let cursor: number | null = 0; cursor !== null;) {
    const step = table.scanRecords(everything, cursor, out, 1e9)
    for (let at = 0; at < step.rows * recordBytes; at += recordBytes) {
      const id = idOf(out.subarray(at))
      seen.set(id, { id, tuple: view.getUint32(at + shape.key.offset + key.src.offset + 12, false) - 0x0a000000, phase: view.getUint8(at + shape.phase.offset), rg: view.getUint8(at + shape.rg.offset) })
    }
    cursor = step.cursor
  }
  return seen
}

export const idOf = (record: Uint8Array): string => {
  const view = new DataView(record.buffer, record.byteOffset)
  return `${view.getBigUint64(shape.id.offset, true).toString(16)}.${view.getBigUint64(shape.id.offset + 8, true)}`
}

export interface DataplaneOptions { readonly name: string, readonly random: Random, readonly windowBytes: number, /** Between two keys of a sketch; default: the engine's. */ readonly keyMs?: number, readonly wrap?: (replica: NativeReplica) => NativeReplica }

export abstract class Dataplane {
  table: NativeTable
  replica: NativeReplica
  /** Clock: this node's milliseconds for the world's. */
  private readonly rate: number
  private readonly offsetMs: number
  worldMs = 0
  private serial = 1n
  private readonly out = new Uint8Array(recordBytes * 512)

  constructor (protected readonly o: DataplaneOptions) {
    this.rate = 1 + (o.random.next() - 0.5) * 1e-3
    this.offsetMs = o.random.below(1e9)
    this.table = this.newTable()
    this.replica = this.newReplica()
  }

  /** Records of changes, and how many more were lost. */
  protected abstract drained (records: Uint8Array, n: number, overruns: number): void

  get name (): string { return this.o.name }
  nowMs (): number { return this.offsetMs + this.worldMs * this.rate }

  private newTable (): NativeTable {
    const table = new (loadCore().Table)({ capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
    table.feed(true)
    return table
  }

  private newReplica (): NativeReplica {
    const replica = new (loadCore().Replica)(this.table)
    return this.o.wrap?.(replica) ?? replica
  }

  /** The agent is gone and comes back; `reboot`: the table as well. */
  protected renew (reboot: boolean): void {
    this.replica.close()
    if (reboot) {
      this.table.close()
      this.table = this.newTable()
    } else {
      while (this.table.drain(this.out).records > 0) { /* what was not drained is lost */ }
    }
    this.replica = this.newReplica()
  }

  private record (tuple: number, rg: number): Uint8Array {
    const out = new Uint8Array(recordBytes)
    const view = new DataView(out.buffer)
    view.setUint8(shape.version.offset, limits.LS_WIRE_VERSION)
    view.setUint8(shape.phase.offset, limits.LS_UDP_NEW)
    view.setUint8(shape.rg.offset, rg)
    view.setBigUint64(shape.id.offset, this.table.info().origin, true)
    view.setBigUint64(shape.id.offset + 8, this.serial++, true)
    writeKey(view, shape.key.offset, tuple, false)
    writeKey(view, shape.reply.offset, tuple, true)
    return out
  }

  /** The session of this tuple, as the table has it. */
  find (tuple: number): Uint8Array | null {
    const k = new Uint8Array(key.size)
    writeKey(new DataView(k.buffer), 0, tuple, false)
    const out = new Uint8Array(recordBytes)
    return this.table.get(k, out) ? out : null
  }

  private notice (kind: number, record: Uint8Array, lost: boolean): void {
    record[shape.kind.offset] = kind
    this.drained(record, lost ? 0 : 1, lost ? 1 : 0)
  }

  /** False: there is no room, or the tuple is taken. */
  open (tuple: number, rg: number, lost: boolean): boolean {
    const record = this.record(tuple, rg)
    if (this.table.install(record, recordBytes, null, false).installed !== 1) return false
    const now = this.find(tuple)
    if (now !== null) this.notice(limits.LS_NOTICE_CREATE, now, lost)
    return true
  }

  change (tuple: number, lost: boolean): void {
    const record = this.find(tuple)
    if (record === null) return
    record[shape.phase.offset] = record[shape.phase.offset] === limits.LS_UDP_NEW ? limits.LS_UDP_STREAM : limits.LS_UDP_NEW
    this.table.install(record, recordBytes, null, false)
    const now = this.find(tuple)
    if (now !== null) this.notice(limits.LS_NOTICE_UPDATE, now, lost)
  }

  /** The id of what ended. */
  async end (tuple: number, lost: boolean): Promise<string | null> {
    const record = this.find(tuple)
    if (record === null) return null
    const row = new Uint8Array(gone.size)
    row.set(record.subarray(shape.id.offset, shape.id.offset + 16), gone.id.offset)
    row.set(record.subarray(shape.key.offset, shape.key.offset + key.size), gone.key.offset)
    await this.table.deleteIds(row)
    this.drain(lost)
    return idOf(record)
  }

  drain (lost: boolean): void {
    for (;;) {
      const { records } = this.table.drain(this.out)
      if (records === 0) return
      this.drained(this.out, lost ? 0 : records, lost ? records : 0)
    }
  }

  sessions (): Map<string, Seen> { return sessionsOf(this.table) }

  close (): void {
    this.replica.close()
    this.table.close()
  }
}
