/**
 * Sessions.List: walks the table in bounded steps and streams column batches. Per batch one native call, one encode, one write;
 * rows are never visited here, except that `with_names` looks through the id columns for ids not seen before.
 * All listings together take one step in a turn of the event loop, so they delay nobody by more than that.
 */
import { LockstepError } from '../contract/errors.js'
import type { AgentServices, NameKind } from '../contract/services.js'
import type { SessionColumns, SessionFilter } from '../contract/session.js'
import { column as columnCodes, type Column } from '../generated/codes.js'
import type { IdName, SessionsListRequest } from '../generated/proto/lockstep/v1/sessions.js'
import type { StreamContext } from './handler.js'
import { SessionBatchEncoder, type ColumnSpec } from './session-batch.js'
import { filterOf } from './session-filter.js'
import { orderedSessions } from './session-order.js'
import type { TableTurns } from './turns.js'

const BATCH_ROWS_MIN = 8192
const BATCH_ROWS_MAX = 32768
const BATCH_BYTES = 768 << 10
const BATCH_BYTES_MAX = 3 << 20

/** What a listing shows when nobody chose: who talks to whom, through what, how much, how fresh. */
const defaultColumns = [
  'id', 'src', 'dst', 'sport', 'dport', 'proto', 'zone_in', 'zone_out', 'vip', 'real', 'phase', 'bytes_forward', 'bytes_reply', 'idle_ms'
] as const

/** Columns whose ids have names; id 0 of a VIP or real is "none". */
const nameKinds: ReadonlyMap<string, NameKind> = new Map([
  ['zone_in', 'zone'], ['zone_out', 'zone'], ['policy', 'policy'], ['vip', 'vip'], ['real', 'real'], ['app', 'app'], ['domain', 'domain']
])

export async function listSessions (services: AgentServices, request: SessionsListRequest, { signal, send }: StreamContext<Buffer>, turns: TableTurns): Promise<void> {
  const columns = columnSpecs(request.columns)
  const filter = filterOf(request.filter, services.names)
  const rowsMax = batchRows(request.batchRows, columns)
  const encoder = new SessionBatchEncoder(columns)
  const names = request.withNames ? new NameScan(services, columns) : null
  if (request.order !== undefined) {
    const { rows, truncated } = await orderedSessions(services, request, request.order, filter, columns.map(({ name }) => name), signal, turns)
    for (const [i, row] of rows.entries()) await send(encoder.encode(row, names?.fresh(row) ?? [], truncated && i === rows.length - 1))
    return
  }
  const limit = request.limit === 0n ? Infinity : Number(request.limit)
  let listed = 0
  for await (const batch of walkColumns(services, filter, columns, turns, signal, { from: request.fromSlot, rowsMax, limit })) {
    listed += batch.rows
    await send(encoder.encode(batch, names?.fresh(batch) ?? [], listed >= limit && batch.cursor !== null))
  }
}

/** All rows that match, in batches that have some; each step waits for its turn. */
export async function * walkColumns (services: AgentServices, filter: SessionFilter, columns: readonly ColumnSpec[], turns: TableTurns, signal: AbortSignal, { from = 0, rowsMax = batchRows(0, columns), limit = Infinity } = {}): AsyncGenerator<SessionColumns> {
  const wanted = columns.map(({ name }) => name)
  for (let cursor: number | null = from, left = limit; cursor !== null && left > 0;) {
    await turns.next(signal)
    const batch: SessionColumns = services.dataplane().sessions.list(filter, wanted, cursor, Math.min(rowsMax, left))
    cursor = batch.cursor
    left -= batch.rows
    if (batch.rows > 0) yield batch
  }
}

export function columnSpecs (requested: readonly string[]): Array<ColumnSpec & { readonly name: Column }> {
  const wanted: readonly string[] = requested.length === 0 ? defaultColumns : requested
  if (new Set(wanted).size !== wanted.length) {
    throw new LockstepError('invalid', 'LS_R_COLUMN', 'a column is asked for twice', { object: 'columns', found: wanted.join(' ') })
  }
  return wanted.map((name) => {
    const code = columnCodes.find((c) => c.name === name.toLowerCase())
    if (code === undefined) {
      throw new LockstepError('invalid', 'LS_R_COLUMN', 'no such column', { object: 'columns', found: name, expected: columnCodes.map((c) => c.name).join(' ') })
    }
    return { name: code.name, bytes: code.bytes }
  })
}

function batchRows (requested: number, columns: readonly ColumnSpec[]): number {
  if (requested > BATCH_ROWS_MAX) {
    throw new LockstepError('invalid', 'LS_R_BATCH_ROWS', 'the batch is too large', { object: 'batch_rows', found: String(requested), expected: `0 to ${BATCH_ROWS_MAX}` })
  }
  const rowBytes = columns.reduce((sum, c) => sum + c.bytes, 0)
  if (requested > 0) return Math.min(requested, Math.floor(BATCH_BYTES_MAX / rowBytes))
  return Math.max(BATCH_ROWS_MIN, Math.min(BATCH_ROWS_MAX, Math.floor(BATCH_BYTES / rowBytes)))
}

/** Finds the ids that a stream has not named yet. */
class NameScan {
  readonly #services: AgentServices
  readonly #columns: ReadonlyArray<{ readonly name: string, readonly bytes: number, readonly kind: NameKind }>
  readonly #seen = new Map<NameKind, Uint8Array>()

  constructor (services: AgentServices, columns: readonly ColumnSpec[]) {
    this.#services = services
    this.#columns = columns.flatMap(({ name, bytes }) => {
      const kind = nameKinds.get(name)
      return kind === undefined ? [] : [{ name, bytes, kind }]
    })
    for (const { kind } of this.#columns) this.#seen.set(kind, new Uint8Array(1 << 16))
  }

  fresh (batch: SessionColumns): IdName[] {
    const out: IdName[] = []
    for (const { name, bytes, kind } of this.#columns) {
      const data = batch.columns.get(name)
      const seen = this.#seen.get(kind)
      if (data === undefined || seen === undefined) continue
      for (let row = 0; row < batch.rows; row++) {
        const id = bytes === 1 ? data[row] ?? 0 : (data[2 * row] ?? 0) | ((data[2 * row + 1] ?? 0) << 8)
        if (seen[id] === 1) continue
        seen[id] = 1
        if (id !== 0 || (kind !== 'vip' && kind !== 'real')) out.push({ kind, id, name: this.#services.names.name(kind, id) })
      }
    }
    return out
  }
}
