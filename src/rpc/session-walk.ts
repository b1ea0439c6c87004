/** Walks of the session table in bounded steps, by columns: what listings, exports and orders have in common. */
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import type { SessionColumns, SessionFilter } from '../contract/session.js'
import { column as columnCodes, type Column } from '../generated/codes.js'
import type { ColumnSpec } from './session-batch.js'
import type { TableTurns } from './turns.js'

const BATCH_ROWS_MIN = 8192
const BATCH_ROWS_MAX = 32768
const BATCH_BYTES = 768 << 10
const BATCH_BYTES_MAX = 3 << 20

/** What a listing shows when nobody chose: who talks to whom, through what, how much, how fresh. */
const defaultColumns = [
  'id', 'src', 'dst', 'sport', 'dport', 'proto', 'zone_in', 'zone_out', 'vip', 'real', 'phase', 'bytes_forward', 'bytes_reply', 'idle_ms'
] as const

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

export function batchRows (requested: number, columns: readonly ColumnSpec[]): number {
  if (requested > BATCH_ROWS_MAX) {
    throw new LockstepError('invalid', 'LS_R_BATCH_ROWS', 'the batch is too large', { object: 'batch_rows', found: String(requested), expected: `0 to ${BATCH_ROWS_MAX}` })
  }
  const rowBytes = columns.reduce((sum, c) => sum + c.bytes, 0)
  if (requested > 0) return Math.min(requested, Math.floor(BATCH_BYTES_MAX / rowBytes))
  return Math.max(BATCH_ROWS_MIN, Math.min(BATCH_ROWS_MAX, Math.floor(BATCH_BYTES / rowBytes)))
}
