/** debug: what every subsystem tells about itself, as the debug pages show it. */
import type { Command } from 'commander'
import { columnOf, plainRow, rowOf, type ReadRow } from '../../client/debug-reading.js'
import { LockstepError } from '../../contract/errors.js'
import type { DebugColumn } from '../../contract/debug.js'
import type { DebugQuery, DebugReading, DebugTableShape } from '../../generated/proto/lockstep/v1/debug.js'
import { causeOf } from '../../lib/cause-of.js'
import { cellText } from '../../lib/debug-text.js'
import { withAgent } from '../agent-link.js'
import { call, type AgentConnection } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { parseSmall, printable } from '../format.js'
import { toJson } from '../../lib/json.js'
import { fields, table } from '../table.js'
import { action, onlineVerb, type Cli, type CommonOptions } from '../verb.js'

interface DebugOptions extends CommonOptions { readonly filter?: readonly string[], readonly sort?: string, readonly limit: number, readonly offset: number }

/** Rows of other tables that lead to an object. */
const REFERS_MAX = 50
/** Calls under way. */
const AT_ONCE = 8
const numeric = new Set(['id', 'number', 'bytes', 'duration'])

export function addDebug (parent: Command, cli: Cli): void {
  onlineVerb(parent, {
    usage: 'debug [table] [key]',
    summary: 'Show what every part of the agent knows about itself',
    about: 'Without a table: all tables with the number of their rows. With a key: one row, and the rows of other tables that lead to it. A filter is COLUMN=TEXT: text that the column has; with = ! < <= > >= before the text it is exact, not, or compared; addresses take a prefix. The gateway shows the same at /debug.',
    examples: ['debug', 'debug back-offs', 'debug sessions --filter vip==web --sort -sent --limit 20', 'debug targets --filter state=!up', 'debug vips web', 'debug threads --json']
  })
    .option('--filter <column=text...>', 'only rows that pass; may be repeated')
    .option('--sort <column>', 'sort by this column; -COLUMN: descending')
    .option('--limit <n>', 'at most so many rows, up to 5000', parseSmall, 200)
    .option('--offset <n>', 'leave out so many', parseSmall, 0)
    .action(action(cli, async (name: string | undefined, key: string | undefined, options: DebugOptions) => {
      await withAgent(cli.io, options, async ({ debug }) => {
        if (name === undefined) await showTables(cli, debug, options)
        else if (key === undefined) await showTable(cli, await read(debug, { table: name, filters: (options.filter ?? []).map(filterOf), sort: options.sort ?? '', limit: options.limit, offset: options.offset }), options)
        else await showObject(cli, debug, name, key, options)
      })
      return exitCode.ok
    }))
}

function filterOf (text: string): { readonly column: string, readonly text: string } {
  const [, column, rest] = /^([a-z][a-z0-9-]*)=(.*)$/s.exec(text) ?? []
  if (column === undefined || rest === undefined) throw usageError('not a filter', text, 'COLUMN=TEXT')
  return { column, text: rest }
}

async function read (debug: AgentConnection['debug'], query: Partial<DebugQuery>): Promise<DebugReading> {
  const { reading } = await call(debug, debug.getGuardedTable, { query: { table: '', filters: [], sort: '', offset: 0, limit: 0, key: '', refers: undefined, ...query } })
  if (reading === undefined) throw new LockstepError('unavailable', 'LS_U_ANSWER', 'the agent answered without a reading', { object: query.table ?? '' })
  return reading
}

/** What it is about may fail: it stands in its place. */
async function attempt (reading: Promise<DebugReading>): Promise<DebugReading | string> {
  return await reading.catch(causeOf)
}

async function showTables ({ io }: Cli, debug: AgentConnection['debug'], options: DebugOptions): Promise<void> {
  const list = await call(debug, debug.listTables, {})
  const rows: Array<{ readonly name: string, readonly group: string, readonly about: string, readonly source: string, readonly rows: number | null, readonly error: string }> = []
  for (let at = 0; at < list.tables.length; at += AT_ONCE) {
    rows.push(...await Promise.all(list.tables.slice(at, at + AT_ONCE).map(async ({ name, group, about, source }) => {
      const count = await attempt(read(debug, { table: name }))
      return { name, group, about, source, rows: typeof count === 'string' ? null : Number(count.matched), error: typeof count === 'string' ? count : '' }
    })))
  }
  if (options.json === true) {
    await io.out(`${toJson({ ...list, tables: rows }, 2)}\n`)
    return
  }
  await io.out(table<typeof rows[number]>([
    { title: 'TABLE', value: r => r.name }, { title: 'ROWS', value: r => r.rows === null ? '' : cellText('number', r.rows), align: 'right' }, { title: 'GROUP', value: r => r.group, drop: 1 }, { title: 'ABOUT', value: r => r.error === '' ? r.about : r.error }
  ], rows, io))
  io.err(`${printable(`${list.node} (${list.instance}), ${list.version}, generation ${list.generation}, ${list.state}, schema ${list.schema}`)}\n`)
}

async function showTable ({ io }: Cli, reading: DebugReading, options: DebugOptions): Promise<void> {
  const { columns, rows } = rowsOf(reading)
  if (options.json === true) {
    await io.out(`${toJson(jsonOf(reading), 2)}\n`)
    return
  }
  await io.out(rows.length === 0 ? 'no rows\n' : table(columnsOf(columns), rows, io))
  io.err(`${printable(footOf(reading))}\n`)
}

async function showObject ({ io }: Cli, debug: AgentConnection['debug'], name: string, key: string, options: DebugOptions): Promise<void> {
  const { tables } = await call(debug, debug.listTables, {})
  const leading = tables.filter(({ columns }) => columns.some(column => column.tables.includes(name)))
  const [own, ...others] = await Promise.all([
    read(debug, { table: name, key, limit: 1 }), ...leading.map(async (shape): Promise<[DebugTableShape, DebugReading | string]> => [shape, await attempt(read(debug, { table: shape.name, refers: { table: name, key }, limit: REFERS_MAX }))])
  ])
  const { columns, rows: [row] } = rowsOf(own)
  if (row === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no such row', { object: `table ${name}`, found: key, next: `lockstep debug ${name} shows what there is` })
  if (options.json === true) {
    await io.out(`${toJson({ ...jsonOf(own), refers: others.map(([shape, reading]) => typeof reading === 'string' ? { table: shape.name, error: reading } : jsonOf(reading)) }, 2)}\n`)
    return
  }
  await io.out(fields(columns.map(({ name: column, type }, i) => [column, cellText(type, row.cells[i] ?? null)])))
  for (const [shape, reading] of others) {
    if (typeof reading === 'string') io.err(`${shape.name}: ${printable(reading)}\n`)
    else if (reading.rows.length > 0) {
      const { columns: other, rows } = rowsOf(reading)
      await io.out(`\n${shape.name}\n${table(columnsOf(other), rows, io)}`)
    }
  }
}

const rowsOf = ({ table, rows }: DebugReading): { readonly columns: readonly DebugColumn[], readonly rows: readonly ReadRow[] } => ({ columns: (table?.columns ?? []).map(columnOf), rows: rows.map(rowOf) })

const columnsOf = (columns: readonly DebugColumn[]): Parameters<typeof table<ReadRow>>[0] => columns.map(({ name, type }, i) => ({
  title: name.toUpperCase(), value: ({ cells }) => cellText(type, cells[i] ?? null), ...numeric.has(type) ? { align: 'right' as const } : {}, ...i < 4 ? {} : { drop: i }
}))

const footOf = ({ rows, matched, sample, unread, tookMs, table: shape }: DebugReading): string => [
  `${rows.length} of ${matched} rows`, ...sample ? [unread > 0n ? `a sample: ${unread} more were not read` : 'a sample: more were not read'] : [], cellText('duration', tookMs), shape?.source ?? ''
].join(', ')

function jsonOf (reading: DebugReading): object {
  const { columns, rows } = rowsOf(reading)
  const { table: shape, matched, sample, unread, tookMs, atMs, schema } = reading
  return { table: shape?.name, about: shape?.about, source: shape?.source, schema, at: atMs, tookMs, matched, sample, unread, columns, rows: rows.map(row => plainRow(columns, row)) }
}
