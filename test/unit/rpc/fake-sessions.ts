/**
 * A session store that fabricates rows, for tests of the layers above it. Row `i` is a pure function of `i`, so a test knows
 * what it must see. Unfiltered listings hand out views of column buffers made once, as the native store does.
 */
import { LockstepError } from '../../../src/contract/errors.js'
import type { SessionStore } from '../../../src/contract/dataplane.js'
import type { NewSession, SessionChange, SessionColumns, SessionFilter, SessionRow, SessionTuple, VerifyReport } from '../../../src/contract/session.js'
import { column as columnCodes, phase } from '../../../src/generated/codes.js'
import { layout } from '../../../src/generated/layout.js'
import { matcherOf } from './session-match.js'

const TEMPLATE_ROWS = 1 << 15
export const ORIGIN = 0x1122334455667788n

export function fakeId (i: number): string {
  return ORIGIN.toString(16).padStart(16, '0') + BigInt(i * 2 + 1).toString(16).padStart(16, '0')
}

/** Row i: every third is IPv6, every fourth UDP, VIPs 1 and 2 alternate with none. */
export function fakeRow (i: number): SessionRow {
  const v6 = i % 3 === 2
  const udp = i % 4 === 3
  const vip = i % 3
  const source = v6 ? `2001:db8::${(i & 0xffff).toString(16)}` : `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`
  const destination = v6 ? '2001:db8:ffff::1' : '198.51.100.1'
  return {
    id: fakeId(i),
    slot: i,
    family: v6 ? 6 : 4,
    protocol: udp ? 17 : 6,
    domain: i % 2,
    source,
    sourcePort: 1024 + (i % 60000),
    destination,
    destinationPort: udp ? 53 : 443,
    replySource: destination,
    replySourcePort: udp ? 53 : 443,
    replyDestination: source,
    replyDestinationPort: 1024 + (i % 60000),
    zoneIn: 1,
    zoneOut: 2,
    policy: 1,
    vip,
    real: vip === 0 ? 0 : vip + 10,
    rg: 0,
    app: 0,
    phase: udp ? 'UDP_STREAM' : 'TCP_ESTABLISHED',
    flags: vip === 0 ? [] : ['DNAT', 'VIP'],
    packetsForward: BigInt(i),
    packetsReply: BigInt(i * 2),
    bytesForward: BigInt(i) * 100n,
    bytesReply: BigInt(i) * 1000n,
    idleMs: i % 1000,
    ageMs: 5000 + i,
    expiresMs: 60000
  }
}

export class FakeSessions implements SessionStore {
  rows: number
  readonly deleted = new Set<number>()
  /** Set to make every call throw it. */
  failure: Error | null = null
  /** Rows per list call at most: small values make many batches. */
  listMax = TEMPLATE_ROWS
  verifyFaults: VerifyReport['faults'] = []
  readonly #template: ReadonlyMap<string, Uint8Array>

  constructor (rows: number) {
    this.rows = rows
    const count = Math.min(rows, TEMPLATE_ROWS)
    this.#template = packColumns(Array.from({ length: count }, (_, i) => fakeRow(i)), columnCodes.map((c) => c.name))
  }

  get = async (id: string): Promise<SessionRow | null> => {
    this.#check()
    const i = (Number(BigInt(`0x${id.slice(16)}`)) - 1) / 2
    return Number.isInteger(i) && i >= 0 && i < this.rows && !this.deleted.has(i) && fakeId(i) === id ? fakeRow(i) : null
  }

  find = (tuple: SessionTuple): SessionRow | null => {
    const same = (r: SessionRow): boolean => r.source === tuple.source && r.sourcePort === tuple.sourcePort && r.destination === tuple.destination && r.destinationPort === tuple.destinationPort && r.protocol === tuple.protocol && r.domain === tuple.domain
    for (let i = 0; i < this.rows; i++) if (same(fakeRow(i))) return fakeRow(i)
    return null
  }

  list = (filter: SessionFilter, columns: readonly string[], cursor: number, maxRows: number): SessionColumns => {
    this.#check()
    if (Object.keys(filter).length > 0 || this.deleted.size > 0) return this.#filtered(filter, columns, cursor, maxRows)
    const start = cursor % TEMPLATE_ROWS
    const rows = Math.max(0, Math.min(maxRows, this.listMax, this.rows - cursor, TEMPLATE_ROWS - start))
    const next = cursor + rows
    const out = new Map<string, Uint8Array>()
    for (const name of columns) {
      const bytes = columnCodes.find((c) => c.name === name)?.bytes ?? 0
      out.set(name, (this.#template.get(name) ?? new Uint8Array()).subarray(start * bytes, (start + rows) * bytes))
    }
    return { rows, columns: out, cursor: next < this.rows ? next : null }
  }

  count = async (filter: SessionFilter): Promise<number> => {
    this.#check()
    return this.#matching(filter).length
  }

  async * forEachBatch (filter: SessionFilter, columns: readonly string[], signal: AbortSignal): AsyncIterable<SessionColumns> {
    for (let cursor: number | null = 0; cursor !== null;) {
      signal.throwIfAborted()
      const batch: SessionColumns = this.list(filter, columns, cursor, TEMPLATE_ROWS)
      yield batch
      cursor = batch.cursor
    }
  }

  deleteByFilter = async (filter: SessionFilter, signal: AbortSignal): Promise<{ matched: number, deleted: number }> => {
    this.#check()
    signal.throwIfAborted()
    const matching = this.#matching(filter)
    for (const i of matching) this.deleted.add(i)
    return { matched: matching.length, deleted: matching.length }
  }

  deleteReals = async (reals: readonly number[]): Promise<{ matched: number, deleted: number }> => await this.deleteByFilter({ real: reals[0] ?? 0 }, new AbortController().signal)

  verify = async (): Promise<VerifyReport> => {
    this.#check()
    const live = this.rows - this.deleted.size
    return { ok: this.verifyFaults.length === 0, slots: 1 << 20, live, creating: 0, dying: 0, dead: 0, free: (1 << 20) - live, entries: 2 * live, faults: this.verifyFaults, durationMs: 1.5 }
  }

  select = (filter: SessionFilter, records: Uint8Array): Uint8Array => {
    const matches = matcherOf(filter)
    const size = layout.ls_wire_record.size
    return Buffer.concat(decodeFakeRecords(records).flatMap(({ session }, i) => matches(session) ? [records.subarray(i * size, (i + 1) * size)] : []))
  }

  columnsOf = (records: Uint8Array, columns: readonly string[]): SessionColumns => {
    const rows = decodeFakeRecords(records).map(({ session }) => session)
    return { rows: rows.length, columns: packColumns(rows, columns), cursor: null }
  }

  install = (): never => this.#unsupported()
  readonly opened: NewSession[] = []
  /** Every third is in conflict. */
  open = (sessions: readonly NewSession[]): Uint8Array => {
    this.opened.push(...sessions)
    return Uint8Array.from(sessions, (_, i) => i % 3 === 2 ? 10 : 0)
  }

  identify = (sessions: readonly NewSession[]): ReadonlyArray<string | null> => sessions.map(() => null)
  deleteOthers = async (filter: SessionFilter, ids: ReadonlySet<string>, _minAgeMs: number, trial: boolean, signal: AbortSignal): Promise<{ matched: number, deleted: number }> => {
    if (ids.size > 0) this.#unsupported()
    return trial ? { matched: await this.count(filter), deleted: 0 } : await this.deleteByFilter(filter, signal)
  }

  putClusterSynced = (): never => this.#unsupported()
  deleteById = (): never => this.#unsupported()
  bulkBegin = (): void => {}
  reconcileClusterBulk = async (): Promise<never> => this.#unsupported()

  #check (): void { if (this.failure !== null) throw this.failure }
  #unsupported (): never { throw new LockstepError('unsupported', 'LS_E_UNSUPPORTED', 'a fabricated table takes no sessions') }

  #matching (filter: SessionFilter): number[] {
    const matches = matcherOf(filter)
    const out: number[] = []
    for (let i = 0; i < this.rows; i++) if (!this.deleted.has(i) && matches(fakeRow(i))) out.push(i)
    return out
  }

  #filtered (filter: SessionFilter, columns: readonly string[], cursor: number, maxRows: number): SessionColumns {
    const matches = matcherOf(filter)
    const found: SessionRow[] = []
    let i = cursor
    for (; i < this.rows && found.length < maxRows; i++) if (!this.deleted.has(i) && matches(fakeRow(i))) found.push(fakeRow(i))
    return { rows: found.length, columns: packColumns(found, columns), cursor: i < this.rows ? i : null }
  }
}

export function packColumns (rows: readonly SessionRow[], names: readonly string[]): Map<string, Uint8Array> {
  const out = new Map<string, Uint8Array>()
  for (const name of names) {
    const bytes = columnCodes.find((c) => c.name === name)?.bytes ?? 0
    const buffer = Buffer.alloc(rows.length * bytes)
    rows.forEach((row, i) => putCell(buffer, i * bytes, name, row))
    out.set(name, buffer)
  }
  return out
}

function putCell (out: Buffer, at: number, name: string, row: SessionRow): void {
  const u16: Record<string, number> = {
    sport: row.sourcePort, dport: row.destinationPort, reply_sport: row.replySourcePort, reply_dport: row.replyDestinationPort,
    zone_in: row.zoneIn, zone_out: row.zoneOut, policy: row.policy, vip: row.vip, real: row.real
  }
  const u8: Record<string, number> = {
    proto: row.protocol, family: row.family, rg: row.rg, app: row.app, phase: phase.findIndex((p) => p.name === row.phase.toLowerCase())
  }
  const u32: Record<string, number> = { flags: flagBits(row), idle_ms: row.idleMs, age_ms: row.ageMs, expires_ms: row.expiresMs, slot: row.slot }
  const u64: Record<string, bigint> = { packets_forward: row.packetsForward, packets_reply: row.packetsReply, bytes_forward: row.bytesForward, bytes_reply: row.bytesReply }
  const addresses: Record<string, string> = { src: row.source, dst: row.destination, reply_src: row.replySource, reply_dst: row.replyDestination }
  if (name === 'id') {
    out.writeBigUInt64LE(BigInt(`0x${row.id.slice(0, 16)}`), at)
    out.writeBigUInt64LE(BigInt(`0x${row.id.slice(16)}`), at + 8)
  } else if (name in addresses) addressBytes(addresses[name] ?? '').copy(out, at)
  else if (name in u16) out.writeUInt16LE(u16[name] ?? 0, at)
  else if (name in u8) out.writeUInt8(u8[name] ?? 0, at)
  else if (name in u32) out.writeUInt32LE(u32[name] ?? 0, at)
  else if (name in u64) out.writeBigUInt64LE(u64[name] ?? 0n, at)
}

function flagBits (row: SessionRow): number {
  const bits: Record<string, number> = { SNAT: 1, DNAT: 2, VIP: 4, HALF: 8, HOST: 16, HAIRPIN: 32, PEER: 64 }
  return row.flags.reduce((sum, flag) => sum | (bits[flag] ?? 0), 0)
}

function addressBytes (address: string): Buffer {
  const out = Buffer.alloc(16)
  if (!address.includes(':')) {
    out.fill(0xff, 10, 12)
    address.split('.').forEach((part, i) => { out[12 + i] = Number(part) })
    return out
  }
  const [head = '', tail = ''] = address.split('::')
  const put = (groups: string[], from: number): void => groups.forEach((g, i) => out.writeUInt16BE(parseInt(g, 16), from + 2 * i))
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  put(left, 0)
  put(right, 16 - 2 * right.length)
  return out
}

/** Wire records whose first bytes carry the row number: the fake feed's own format. */
export function fakeRecords (rows: readonly number[]): Uint8Array {
  const size = layout.ls_wire_record.size
  const out = Buffer.alloc(rows.length * size)
  rows.forEach((row, i) => out.writeUInt32LE(row, i * size))
  return out
}

export function decodeFakeRecords (records: Uint8Array): SessionChange[] {
  const size = layout.ls_wire_record.size
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  return Array.from({ length: records.length / size }, (_, i) => ({ kind: 'create', closeReason: 'none', session: fakeRow(view.getUint32(i * size, true)) }))
}
