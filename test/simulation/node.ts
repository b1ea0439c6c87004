/** A simulated node: a real table and a real sync engine, with its own clock; sessions come, change and end by hand instead of by packets. */
import { layout, limits } from '../../src/generated/layout.js'
import { SyncEngine, type Connection } from '../../src/ha/sync/engine.js'
import type { SyncEventName } from '../../src/ha/sync/protocol.js'
import type { NativeReplica, NativeTable } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'
import { recordBytes } from '../../src/native/records.js'
import { packFilter } from '../../src/native/filter.js'
import type { Random } from './random.js'

const shape = layout.ls_wire_record
const key = layout.ls_key
const gone = layout.ls_wire_delete
const capacity = limits.LS_CAPACITY_MIN

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
      const id = `${view.getBigUint64(at + shape.id.offset, true).toString(16)}.${view.getBigUint64(at + shape.id.offset + 8, true)}`
      seen.set(id, { id, tuple: view.getUint32(at + shape.key.offset + key.src.offset + 12, false) - 0x0a000000, phase: view.getUint8(at + shape.phase.offset), rg: view.getUint8(at + shape.rg.offset) })
    }
    cursor = step.cursor
  }
  return seen
}

export interface NodeOptions { readonly name: string, readonly random: Random, readonly windowBytes: number, readonly keyMs: number, readonly wrap?: (replica: NativeReplica) => NativeReplica }

export class Node {
  table: NativeTable
  replica: NativeReplica
  engine: SyncEngine
  owned = 0
  private readonly epochs: bigint[] = Array.from({ length: limits.LS_RGS_MAX }, () => 0n)
  /** Clock: this node's milliseconds for the world's. */
  private readonly rate: number
  private readonly offsetMs: number
  worldMs = 0
  readonly events: Array<{ readonly name: SyncEventName, readonly fields: Readonly<Record<string, string | number | null>> }> = []
  private serial = 1n
  private readonly drained = new Uint8Array(recordBytes * 512)
  conn: Connection | null = null

  constructor (private readonly o: NodeOptions) {
    this.rate = 1 + (o.random.next() - 0.5) * 1e-3
    this.offsetMs = o.random.below(1e9)
    this.table = this.newTable()
    this.replica = this.newReplica()
    this.engine = this.newEngine()
  }

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

  private newEngine (): SyncEngine {
    const { random, name } = this.o
    return new SyncEngine({
      world: { replica: this.replica, nowMs: () => this.nowMs(), random: (n) => random.bytes(n), event: (event, fields) => { this.events.push({ name: event, fields }) } },
      self: { node: name, table: random.bytes(16), generation: 1, ids: new Uint8Array(8), capacity }, slots: this.table.info().slots, windowBytes: this.o.windowBytes, times: { keyMs: this.o.keyMs }
    })
  }

  /** The agent is gone and comes back; `reboot`: the table as well. Roles are the caller's to set again. */
  restart (reboot: boolean): void {
    this.replica.close()
    if (reboot) {
      this.table.close()
      this.table = this.newTable()
    } else {
      while (this.table.drain(this.drained).records > 0) { /* what was not drained is lost */ }
    }
    this.replica = this.newReplica()
    this.engine = this.newEngine()
    this.conn = null
  }

  role (rg: number, owner: boolean, epoch: bigint): void {
    this.table.setRole(rg, owner ? limits.LS_ROLE_OWNER : limits.LS_ROLE_STANDBY, epoch, 0xffff_ffff_ffff_ffffn)
    this.owned = owner ? this.owned | 1 << rg : this.owned & ~(1 << rg)
    this.epochs[rg] = epoch
    this.engine.own(this.owned, this.epochs)
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
    if (lost) this.engine.drained(record, 0, 1)
    else this.engine.drained(record, 1, 0)
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
    const view = new DataView(record.buffer)
    return `${view.getBigUint64(shape.id.offset, true).toString(16)}.${view.getBigUint64(shape.id.offset + 8, true)}`
  }

  drain (lost: boolean): void {
    for (;;) {
      const { records } = this.table.drain(this.drained)
      if (records === 0) return
      if (lost) this.engine.drained(this.drained, 0, records)
      else this.engine.drained(this.drained, records, 0)
    }
  }

  tick (): void {
    this.drain(false)
    this.engine.tick()
    this.replica.settle()
  }

  sessions (): Map<string, Seen> { return sessionsOf(this.table) }

  close (): void {
    this.replica.close()
    this.table.close()
  }
}
