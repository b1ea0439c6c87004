/** lockstep.v1.Debug: tables of the registry as messages. Bounded: rows of a page, bytes of an answer, readers at a time. */
import { createHash } from 'node:crypto'
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { isLinks, type DebugCell, type DebugRow, type DebugShape, type DebugSource } from '../contract/debug.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentInfo, AgentServices } from '../contract/services.js'
import { layout, limits } from '../generated/layout.js'
import type {
  DebugCell as CellMessage, DebugGetGuardedTableRequest, DebugGetGuardedTableResponse, DebugGetTableRequest, DebugGetTableResponse, DebugListTablesRequest, DebugListTablesResponse, DebugQuery,
  DebugReading, DebugRow as RowMessage, DebugTableShape
} from '../generated/proto/lockstep/v1/debug.js'
import { select } from '../telemetry/debug/select.js'
import { unary, type OnBug } from './handler.js'
import { Turnstile } from './turns.js'

export const ROWS_MAX = 5000
const FILTERS_MAX = 64
const BYTES_MAX = 3 << 20
/** Of a text: a name is at most a line, and an error a page. */
const TEXT_MAX = 8192
const HEADER_MS = 500

export function debugImplementation (source: DebugSource, services: Pick<AgentServices, 'info' | 'journal'>, onBug: OnBug): UntypedServiceImplementation {
  const line = new Turnstile('debug tables', 32, 256)
  const shapeOf = (name: string): DebugShape => {
    const shape = source.shapes.find(one => one.name === name)
    if (shape === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such debug table', { object: 'table', found: name.slice(0, 80), expected: source.shapes.map(one => one.name).sort().join(' ') })
    return shape
  }
  const read = async (query: DebugQuery | undefined, guarded: boolean, signal: AbortSignal): Promise<DebugReading> => {
    const shape = shapeOf(query?.table ?? '')
    if (!guarded && shape.access !== 'viewer') throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'the table tells of other callers', { object: `table ${shape.name}`, expected: 'an operator', next: 'GetGuardedTable has it' })
    const { filters = [], sort = '', offset = 0, limit = 0, key = '', refers } = query ?? {}
    if (filters.length > FILTERS_MAX) throw tooMany('filters', filters.length, FILTERS_MAX)
    if (limit > ROWS_MAX) throw tooMany('limit', limit, ROWS_MAX)
    return await line.run(signal, async () => {
      const began = performance.now()
      const atMs = BigInt(Date.now())
      const counts = limit === 0 && filters.length === 0 && key === '' && refers === undefined
      const ask = { filters, key: key === '' ? null : key, refers: refers ?? null, most: sort === '' && filters.length === 0 && refers === undefined ? offset + limit : Math.max(offset + limit, ROWS_MAX) }
      const found = counts ? { rows: [], more: await source.count(shape.name, signal) } : await source.rows(shape.name, ask, signal)
      const { matched, rows } = select(shape, found.rows, ask, { sort, offset, limit })
      const messages = bounded(rows)
      return {
        table: shapeMessage(shape), rows: messages, matched: BigInt(counts ? found.more ?? 0 : matched), sample: !counts && found.more !== undefined, unread: BigInt(counts ? 0 : found.more ?? 0),
        tookMs: performance.now() - began, atMs, schema: schemaOf(source.shapes)
      }
    })
  }
  return {
    listTables: unary<DebugListTablesRequest, DebugListTablesResponse>(onBug, async () => {
      const info = await inTime(services.info(), HEADER_MS)
      return {
        schema: schemaOf(source.shapes), node: info?.node ?? '', instance: info?.instance ?? '', version: info?.version ?? '', backend: info?.backend ?? '', generation: BigInt(info?.generation ?? 0), state: info?.state ?? '',
        reasons: [...info?.reasons ?? []], startedAtMs: BigInt(info?.startedAt ?? 0), atMs: BigInt(Date.now()), epoch: services.journal.epoch,
        tables: [...source.shapes].sort((a, b) => order(a.group, b.group) || order(a.name, b.name)).map(shapeMessage)
      }
    }),
    getTable: unary<DebugGetTableRequest, DebugGetTableResponse>(onBug, async ({ query }, { signal }) => ({ reading: await read(query, false, signal) })),
    getGuardedTable: unary<DebugGetGuardedTableRequest, DebugGetGuardedTableResponse>(onBug, async ({ query }, { signal }) => ({ reading: await read(query, true, signal) }))
  }
}

const order = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** The version of the session table's layout, then a hash of the tables and their columns: `2-5f0c3a9e`. */
function schemaOf (shapes: readonly DebugShape[]): string {
  const text = JSON.stringify([...shapes].map(({ name, columns }) => [name, columns.map(column => [column.name, column.type])]).sort(([a], [b]) => order(String(a), String(b))))
  return `${limits.LS_LAYOUT_VERSION}-${createHash('sha256').update(text).update(String(layout.ls_counters.size)).digest('hex').slice(0, 8)}`
}

const shapeMessage = ({ name, about, group, columns, source, access }: DebugShape): DebugTableShape => ({ name, about, group, source, access, columns: columns.map(({ name, type, tables }) => ({ name, type, tables: [...tables ?? []] })) })

const tooMany = (object: string, found: number, most: number): LockstepError => new LockstepError('invalid', 'LS_D_TOO_MANY', 'too many', { object, found: String(found), expected: `at most ${most}` })

/** As many as an answer holds; what is left out is on the next page. */
function bounded (rows: readonly DebugRow[]): RowMessage[] {
  const out: RowMessage[] = []
  let size = 0
  for (const { cells, tone = '' } of rows) {
    const row = { cells: cells.map(cellMessage), tone }
    size += cells.reduce((sum: number, cell) => sum + (typeof cell === 'string' ? 3 * Math.min(cell.length, TEXT_MAX) : isLinks(cell) ? cell.length * 64 : 0) + 12, 0)
    if (size > BYTES_MAX && out.length > 0) break
    out.push(row)
  }
  return out
}

const LINKS_MAX = 1000

function cellMessage (cell: DebugCell): CellMessage {
  if (cell === null) return { value: undefined }
  if (typeof cell === 'string') return { value: { $case: 'text', value: cell.length <= TEXT_MAX ? cell : `${cell.slice(0, TEXT_MAX)}...` } }
  if (typeof cell === 'number') return { value: { $case: 'number', value: cell } }
  return { value: { $case: 'links', value: { links: cell.slice(0, LINKS_MAX).map(({ table, key }) => ({ table, key })) } } }
}

/** `null`: not in time, or not at all. */
async function inTime (info: Promise<AgentInfo>, ms: number): Promise<AgentInfo | null> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([info.catch(() => null), new Promise<null>((resolve) => { timer = setTimeout(() => { resolve(null) }, ms) })])
  } finally {
    clearTimeout(timer)
  }
}
