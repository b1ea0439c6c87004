/** SessionStore over a shared table: every backend whose sessions live there has this one. Batches only; rows are made for people alone. */
import type { SessionStore } from '../contract/dataplane.js'
import { LockstepError } from '../contract/errors.js'
import type { DeleteResult, InstallResult, NewSession, SessionColumns, SessionFilter, SessionRow } from '../contract/session.js'
import { closeReason, column, phase } from '../generated/codes.js'
import { limits } from '../generated/layout.js'
import type { NativeTable } from './binding.js'
import { fromNative, native } from './errors.js'
import { packFilter, parseSessionId } from './filter.js'
import { deleteBytes, idIfSame, keyOf, packSession, recordBytes, rowOf } from './records.js'
import { columnsOfOthers, othersOf } from './session-others.js'
import { sessionIds, type SessionId } from './session-ids.js'

const BATCH_ROWS = 32768
/** One synchronous scan holds the thread at most this long. */
const SCAN_MAX_NS = 8_000_000
const ADMIN = closeReason.findIndex(r => r.name === 'admin')
/** Phase name -> timeout in ms per application row. */
export type Timeouts = (app: number, phase: number) => number

export function createSessionStore (table: NativeTable, timeouts: Timeouts): SessionStore {
  const ids = sessionIds()
  const install = (records: Uint8Array, status: Uint8Array, mark: boolean): InstallResult => {
    const n = records.length / recordBytes
    if (n > limits.LS_WRITER_BATCH) throw new LockstepError('exhausted', 'LS_E_BATCH', 'too many records in one call', { object: 'records', found: String(n), expected: `at most ${limits.LS_WRITER_BATCH}`, next: 'install them in several calls, with a turn of the event loop between' })
    return native(() => table.install(records, recordBytes, status, mark))
  }
  return {
    get: async (id) => await get(table, id, timeouts),
    find: (tuple) => {
      const out = new Uint8Array(recordBytes)
      return native(() => table.get(keyOf(tuple), out)) ? rowOf(new DataView(out.buffer), 0, timeouts) : null
    },
    list: (filter, columns, cursor, maxRows) => list(table, packFilter(filter), columns, cursor, maxRows),
    select: (filter, records) => select(table, filter, records),
    columnsOf: (records, columns) => columnsOf(table, records, columns),
    count: async (filter) => await rejecting(() => table.count(packFilter(filter))),
    forEachBatch: (filter, columns, signal) => batches(table, filter, columns, signal),
    install: (records, status) => install(records, status, false),
    open: (sessions) => opened(table, ids, sessions),
    putClusterSynced: (records, status) => install(records, status, true),
    deleteById: async (deletes) => deleted(await rejecting(() => table.deleteIds(whole(deletes)))),
    deleteByFilter: async (filter, signal) => {
      signal.throwIfAborted()
      const { done, cancel } = native(() => table.deleteFilter(packFilter(filter), ADMIN))
      signal.addEventListener('abort', cancel)
      try {
        return deleted(await rejecting(async () => await done))
      } finally {
        signal.removeEventListener('abort', cancel)
      }
    },
    identify: (sessions) => identified(table, sessions),
    deleteOthers: async (filter, keep, minAgeMs, trial, signal) => {
      const total = { matched: 0, deleted: 0 }
      for await (const batch of batches(table, filter, columnsOfOthers, signal)) {
        const rows = othersOf(batch, keep, minAgeMs, ADMIN)
        total.matched += rows.length / deleteBytes
        if (!trial && rows.length > 0) total.deleted += (await rejecting(() => table.deleteIds(rows))).deleted
      }
      return total
    },
    deleteReals: async (reals) => deleted(await rejecting(async () => await table.deleteReals(new Uint8Array(Uint16Array.from(reals).buffer)))),
    bulkBegin: () => { native(() => { table.bulkBegin() }) },
    reconcileClusterBulk: async ({ peerOwned, began, sourceFailed }) => {
      const r = await rejecting(() => table.reconcile(peerOwned, began, sourceFailed))
      if (r.status !== 'LS_OK') {
        throw new LockstepError('invalid', r.status, 'nothing was reconciled', { object: 'bulk', found: began ? 'the source failed' : 'an end without a begin', expected: 'a bulk that began and was read whole' })
      }
      return { scanned: r.scanned, stale: r.stale, deleted: r.deleted, walkMs: r.walkNs / 1e6, clearMs: r.clearNs / 1e6, graceMs: r.graceNs / 1e6 }
    },
    verify: async () => {
      const r = await rejecting(() => table.verify())
      return {
        ok: r.faults.length === 0, slots: r.slots, live: r.live, creating: r.creating, dying: r.dying, dead: r.dead, free: r.free, entries: r.entries,
        faults: r.faults.map(f => ({ name: f.name, count: f.count, first: `slot ${f.first}` })), durationMs: r.durationNs / 1e6
      }
    }
  }
}

function opened (table: NativeTable, ids: () => SessionId, sessions: readonly NewSession[]): Uint8Array {
  if (sessions.length > limits.LS_WRITER_BATCH) throw new LockstepError('exhausted', 'LS_E_BATCH', 'too many sessions in one call', { object: 'sessions', found: String(sessions.length), expected: `at most ${limits.LS_WRITER_BATCH}` })
  const statuses = new Uint8Array(sessions.length)
  const records = Buffer.concat(sessions.map(session => packSession(session, ids())))
  native(() => { table.open(records, statuses) })
  return statuses
}

function identified (table: NativeTable, sessions: readonly NewSession[]): ReadonlyArray<string | null> {
  const out = new Uint8Array(recordBytes)
  return sessions.map(({ tuple, reply }) => {
    const forward = keyOf(tuple)
    return native(() => table.get(forward, out)) ? idIfSame(out, forward, keyOf(reply)) : null
  })
}

const deleted = (r: DeleteResult): DeleteResult => ({ matched: r.matched, deleted: r.deleted })

/** A remainder would be a delete that silently does not happen. */
function whole (deletes: Uint8Array): Uint8Array {
  if (deletes.length % deleteBytes === 0) return deletes
  throw new LockstepError('invalid', 'LS_E_RECORD', 'the deletes end inside a row', { object: 'deletes', found: `${deletes.length} bytes`, expected: `a multiple of ${deleteBytes}` })
}

async function rejecting<T> (work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fromNative(error)
  }
}

/** The id names the slot in which the session began; only one that came back from a peer, or was born there, has to be searched for. */
async function get (table: NativeTable, id: string, timeouts: Timeouts): Promise<SessionRow | null> {
  const { origin, serial } = parseSessionId(id)
  const filter = packFilter({ id })
  const out = new Uint8Array(recordBytes)
  const scan = (cursor: number, maxNs: number): ReturnType<NativeTable['scanRecords']> => native(() => table.scanRecords(filter, cursor, out, maxNs), { object: `session ${id}` })
  const row = (): SessionRow => rowOf(new DataView(out.buffer), 0, timeouts)
  if (origin === table.info().origin && scan(Number(serial >> 32n), 0).rows > 0) return row()
  for (let cursor: number | null = 0; cursor !== null;) {
    const step = scan(cursor, SCAN_MAX_NS)
    if (step.rows > 0) return row()
    cursor = step.cursor
    await new Promise<void>(resolve => { setImmediate(resolve) })
  }
  return null
}

interface Wanted { readonly mask: number, readonly width: number, readonly parts: ReadonlyArray<{ readonly name: string, readonly bytes: number }> }
const wantedCache = new Map<string, Wanted>()

/** Columns come back in the order of column.def, whatever order they were asked in. */
function wantedOf (names: readonly string[]): Wanted {
  const id = names.join(' ')
  const known = wantedCache.get(id)
  if (known !== undefined) return known
  let mask = 0
  for (const name of names) {
    const i = column.findIndex(c => c.name === name)
    if (i < 0) throw new LockstepError('invalid', 'LS_S_COLUMN', 'no such column', { object: 'columns', found: name, expected: column.map(c => c.name).join(' ') })
    mask |= 1 << i
  }
  const parts = column.filter((_, i) => (mask >>> i & 1) === 1).map(c => ({ name: c.name, bytes: c.bytes }))
  const wanted = { mask: mask >>> 0, width: parts.reduce((sum, c) => sum + c.bytes, 0), parts }
  if (wantedCache.size < 256) wantedCache.set(id, wanted)
  return wanted
}

function list (table: NativeTable, filter: Uint8Array, columns: readonly string[], cursor: number, maxRows: number): SessionColumns {
  const wanted = wantedOf(columns)
  const rowsMax = Math.max(1, Math.min(maxRows, BATCH_ROWS))
  const out = new Uint8Array(wanted.width * rowsMax)
  const step = native(() => table.scanColumns(filter, wanted.mask, cursor, out, rowsMax, SCAN_MAX_NS))
  return { rows: step.rows, columns: partsOf(wanted, out, rowsMax, step.rows), cursor: step.cursor }
}

/** Columns of a buffer with room for `room` rows, of which `rows` are there. */
function partsOf ({ parts }: Wanted, out: Uint8Array, room: number, rows: number): Map<string, Uint8Array> {
  let at = 0
  return new Map(parts.map(({ name, bytes }) => {
    const part = out.subarray(at, at + bytes * rows)
    at += bytes * room
    return [name, part]
  }))
}

function select (table: NativeTable, filter: SessionFilter, records: Uint8Array): Uint8Array {
  const out = new Uint8Array(records.length)
  return out.subarray(0, native(() => table.selectRecords(packFilter(filter), records, out)) * recordBytes)
}

function columnsOf (table: NativeTable, records: Uint8Array, columns: readonly string[]): SessionColumns {
  const wanted = wantedOf(columns)
  const rows = records.length / recordBytes
  const out = new Uint8Array(wanted.width * rows)
  native(() => { table.recordColumns(records, wanted.mask, out) })
  return { rows, columns: partsOf(wanted, out, rows, rows), cursor: null }
}

async function * batches (table: NativeTable, filter: SessionFilter, columns: readonly string[], signal: AbortSignal): AsyncIterable<SessionColumns> {
  const packed = packFilter(filter)
  for (let cursor: number | null = 0; cursor !== null;) {
    signal.throwIfAborted()
    const batch: SessionColumns = list(table, packed, columns, cursor, BATCH_ROWS)
    cursor = batch.cursor
    if (batch.rows > 0) yield batch
    await new Promise<void>(resolve => { setImmediate(resolve) })
  }
}

export const phaseNames: readonly string[] = phase.map(p => p.name)
