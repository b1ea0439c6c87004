/** sessions list, count, get, delete. */
import type { Command } from 'commander'
import { column as columnCodes } from '../../generated/codes.js'
import type { Session } from '../../generated/proto/lockstep/v1/session.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call, messages } from '../client.js'
import { withAgent } from '../agent-link.js'
import { exitCode, usageError } from '../exit-codes.js'
import { addFilterOptions, filterMessage, isFiltered, type FilterOptions } from '../filter-options.js'
import { formatEndpoint } from '../../lib/address.js'
import { bytes, duration, parseCount, protocolName } from '../format.js'
import { toJson } from '../../lib/json.js'
import { Progress, withProgress } from '../progress.js'
import { SessionRows, type SessionCells } from '../../client/session-rows.js'
import { fields, layOut, tableHead, tableRows, type LaidTable, type TableColumn } from '../table.js'
import { action, formatOf, jsonLines, listVerb, onlineVerb, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { addExport } from './sessions-export.js'
import { addTop } from './sessions-top.js'
import { addInstall } from './sessions-install.js'
import { addWatch } from './sessions-watch.js'

/** Rows a table shows unless told otherwise; more is for programs (--json, --columns). */
const TABLE_LIMIT = 1000
const CHUNK_ROWS = 1000

const tableNeeds = ['id', 'src', 'dst', 'sport', 'dport', 'proto', 'reply_src', 'reply_dst', 'reply_sport', 'reply_dport', 'zone_in', 'zone_out', 'policy', 'vip', 'real', 'phase', 'flags', 'bytes_forward', 'bytes_reply', 'idle_ms', 'expires_ms']

const text = (row: SessionCells, name: string): string => String(row[name] ?? '')
const number = (row: SessionCells, name: string): number => Number(row[name] ?? 0)
const hasFlag = (row: SessionCells, name: string): boolean => Array.isArray(row.flags) && row.flags.includes(name)

const sessionTable: ReadonlyArray<TableColumn<SessionCells>> = [
  { title: 'PROTO', value: (r) => protocolName(number(r, 'proto')) },
  { title: 'SOURCE', value: (r) => formatEndpoint(text(r, 'src'), number(r, 'sport')) },
  { title: 'DESTINATION', value: (r) => formatEndpoint(text(r, 'dst'), number(r, 'dport')) },
  { title: 'TRANSLATED', value: translation, drop: 4 },
  { title: 'ZONES', value: (r) => `${text(r, 'zone_in')} > ${text(r, 'zone_out')}`, drop: 3 },
  { title: 'POLICY', value: (r) => text(r, 'policy'), drop: 7 },
  { title: 'VIP', value: (r) => text(r, 'vip'), drop: 5 },
  { title: 'REAL', value: (r) => text(r, 'real'), drop: 6 },
  { title: 'PHASE', value: (r) => text(r, 'phase') },
  { title: 'SENT', value: (r) => bytes(number(r, 'bytes_forward')), align: 'right', drop: 2 },
  { title: 'RECEIVED', value: (r) => bytes(number(r, 'bytes_reply')), align: 'right', drop: 2 },
  { title: 'IDLE', value: (r) => duration(number(r, 'idle_ms')), align: 'right', drop: 1 },
  { title: 'EXPIRES', value: (r) => duration(number(r, 'expires_ms')), align: 'right', drop: 8 },
  { title: 'ID', value: (r) => text(r, 'id'), drop: 9 }
]

/** Where the packet really goes and comes from, when that differs from what the client wrote. */
function translation (row: SessionCells): string {
  const parts: string[] = []
  if (hasFlag(row, 'SNAT')) parts.push(`from ${formatEndpoint(text(row, 'reply_dst'), number(row, 'reply_dport'))}`)
  if (hasFlag(row, 'DNAT')) parts.push(`to ${formatEndpoint(text(row, 'reply_src'), number(row, 'reply_sport'))}`)
  return parts.join(' ')
}

interface SessionListOptions extends ListOptions, FilterOptions { readonly limit?: number, readonly columns?: string }
interface DeleteOptions extends ChangeOptions, FilterOptions { readonly yes?: boolean, readonly all?: boolean }

export function addSessions (parent: Command, cli: Cli): void {
  const sessions = parent.command('sessions').summary('look at and end sessions').description('Sessions of the table: one tracked flow each, both directions.')
  addFilterOptions(listVerb(sessions, {
    usage: 'list',
    summary: 'List sessions',
    about: `A walk through the table: a session that lives all through it is listed exactly once. The table shows ${TABLE_LIMIT} rows unless --limit says otherwise (0: all); --json and --output jsonl have no limit of their own; --json streams one array.`,
    examples: ['sessions list --source 10.0.0.0/8 --phase TCP_ESTABLISHED', 'sessions list --vip web --min-idle 5m', 'sessions list --json --columns src,sport,bytes_reply | jq length']
  }))
    .option('--limit <n>', 'at most this many', parseCount)
    .option('--columns <names>', `these columns, comma separated, of: ${columnCodes.map((c) => c.name).join(' ')}`)
    .action(action(cli, async (options: SessionListOptions) => await list(cli, options)))

  addFilterOptions(onlineVerb(sessions, { usage: 'count', summary: 'Count sessions', examples: ['sessions count', 'sessions count --zone-in clients --protocol udp'] }))
    .action(action(cli, async (options: CommonOptions & FilterOptions) => {
      const { count } = await withAgent(cli.io, options, async (a) => await call(a.sessions, a.sessions.count, { filter: filterMessage(options) }))
      await cli.io.out(options.json === true ? `${toJson({ count })}\n` : `${count}\n`)
      return exitCode.ok
    }))

  onlineVerb(sessions, { usage: 'get <id>', summary: 'Show one session', examples: ['sessions get 4f1d2c3b4a5968770000000100000007'] })
    .action(action(cli, async (id: string, options: CommonOptions) => {
      const { session } = await withAgent(cli.io, options, async (a) => await call(a.sessions, a.sessions.get, { tuple: undefined, id }))
      if (session !== undefined) await cli.io.out(options.json === true ? `${toJson(session, 2)}\n` : sessionFields(session))
      return exitCode.ok
    }))

  addFilterOptions(changeVerb(sessions, {
    usage: 'delete',
    summary: 'End the sessions that match',
    about: 'Their next packets may open new sessions, if policy permits. Asks for --yes unless the filter is an --id.',
    examples: ['sessions delete --id 4f1d2c3b4a5968770000000100000007', 'sessions delete --source 203.0.113.9 --yes', 'sessions delete --all --yes']
  }))
    .option('--yes', 'do it without asking')
    .option('--all', 'every session')
    .action(action(cli, async (options: DeleteOptions) => await remove(cli, options)))

  addTop(sessions, cli)
  addExport(sessions, cli)
  addInstall(sessions, cli)
  addWatch(sessions, cli)
}

async function list ({ io }: Cli, options: SessionListOptions): Promise<number> {
  const format = formatOf(options)
  const chosen = options.columns?.split(',').map((c) => c.trim()).filter((c) => c !== '')
  const columns = chosen ?? (format === 'table' ? tableNeeds : columnCodes.map((c) => c.name))
  const limit = options.limit ?? (format === 'table' ? TABLE_LIMIT : 0)
  return await withAgent(io, options, async ({ sessions }) => {
    const stream = messages(sessions.list({ filter: filterMessage(options), columns, limit: BigInt(limit), batchRows: 0, withNames: true, fromSlot: 0, order: undefined }), io.signal)
    const rows = new SessionRows()
    const sink = format === 'json' ? new JsonSink(io.out) : format === 'jsonl' ? new LineSink(io.out) : new TableSink(io, chosen === undefined ? sessionTable : plainTable(chosen))
    // A table on a terminal tells by itself how far it is.
    const progress = new Progress(io, 'sessions')
    const tells = progress.seen && io.width === null
    const counted = tells ? await call(sessions, sessions.count, { filter: filterMessage(options) }).then(({ count }) => Number(count), () => null) : null
    const total = counted === null ? null : limit === 0 ? counted : Math.min(limit, counted)
    let listed = 0
    let truncated = false
    try {
      for await (const batch of stream) {
        truncated = batch.truncated
        let chunk: SessionCells[] = []
        for (const row of rows.rows(batch)) {
          chunk.push(row)
          if (chunk.length === CHUNK_ROWS) { await sink.rows(chunk); chunk = [] }
        }
        if (chunk.length > 0) await sink.rows(chunk)
        listed += batch.rows
        if (tells) progress.show(listed, total)
      }
    } finally {
      progress.end()
    }
    await sink.end()
    if (truncated && format === 'table') io.err(`the first ${limit} are shown; --limit 0 shows all, filters show fewer\n`)
    return exitCode.ok
  })
}

const plainTable = (names: readonly string[]): Array<TableColumn<SessionCells>> => names.map((name) => ({
  title: name.toUpperCase(),
  value: (row) => { const cell = row[name]; return Array.isArray(cell) ? cell.join(' ') : String(cell ?? '') },
  align: columnCodes.some((c) => c.name === name && c.kind !== 'bytes' && c.bytes >= 4 && name !== 'flags') ? 'right' : 'left'
}))

interface Sink {
  rows: (rows: readonly SessionCells[]) => Promise<void>
  end: () => Promise<void>
}

/** One array, a row a line, written as it comes. */
class JsonSink implements Sink {
  readonly #out: (text: string) => Promise<void>
  #first = true
  constructor (out: (text: string) => Promise<void>) { this.#out = out }

  async rows (rows: readonly SessionCells[]): Promise<void> {
    await this.#out(rows.map((row) => { const lead = this.#first ? '[\n' : ',\n'; this.#first = false; return lead + toJson(row) }).join(''))
  }

  async end (): Promise<void> { await this.#out(this.#first ? '[]\n' : '\n]\n') }
}

/** An object a line. */
class LineSink implements Sink {
  constructor (readonly out: (text: string) => Promise<void>) {}
  async rows (rows: readonly SessionCells[]): Promise<void> { await this.out(jsonLines(rows)) }
  async end (): Promise<void> { /* every line is whole */ }
}

/** Widths come from the first chunk. */
class TableSink implements Sink {
  readonly #io: Cli['io']
  readonly #columns: ReadonlyArray<TableColumn<SessionCells>>
  #laid: LaidTable<SessionCells> | null = null
  constructor (io: Cli['io'], columns: ReadonlyArray<TableColumn<SessionCells>>) {
    this.#io = io
    this.#columns = columns
  }

  async rows (rows: readonly SessionCells[]): Promise<void> {
    const head = this.#laid === null
    this.#laid ??= layOut(this.#columns, rows, this.#io.width)
    await this.#io.out((head ? tableHead(this.#laid, this.#io) : '') + tableRows(this.#laid, rows, this.#io.width !== null))
  }

  async end (): Promise<void> { if (this.#laid === null) await this.#io.out('no session matches\n') }
}

async function remove ({ io }: Cli, options: DeleteOptions): Promise<number> {
  const filter = filterMessage(options)
  if (!isFiltered(filter) && options.all !== true) throw usageError('which sessions?', 'no filter', 'a filter such as --id or --source, or --all')
  if (isFiltered(filter) && options.all === true) throw usageError('--all and a filter exclude each other', '--all with a filter', 'one of them')
  return await withAgent(io, options, async ({ sessions }) => {
    if (filter.id === '' && options.yes !== true && options.dryRun !== true) {
      const { count } = await call(sessions, sessions.count, { filter })
      io.err(`this ends ${count} ${count === 1n ? 'session' : 'sessions'}; repeat with --yes to do it\n`)
      return exitCode.failed
    }
    const left = async (): Promise<number> => Number((await call(sessions, sessions.count, { filter })).count)
    const before = io.errTerminal ? await left() : 0
    const done = await withProgress(io, 'ending sessions', async () => await call(sessions, sessions.delete, { filter, all: options.all === true, ...mutationOf(io, options) }, { signal: io.signal, deadlineMs: 300_000 }),
      async () => [Math.max(0, before - await left()), before])
    await io.out(options.json === true ? `${toJson(done)}\n` : `${done.deleted} of ${done.matched} matching sessions ended\n`)
    return filter.id !== '' && done.matched === 0n ? exitCode.notFound : exitCode.ok
  })
}

function sessionFields (s: Session): string {
  const path = (host: string, port: number): string => formatEndpoint(host, port)
  return fields([
    ['id', s.id],
    ['flow', `${protocolName(s.protocol)} ${path(s.source, s.sourcePort)} > ${path(s.destination, s.destinationPort)}`],
    ['reply', `${path(s.replySource, s.replySourcePort)} > ${path(s.replyDestination, s.replyDestinationPort)}`],
    ['zones', `${s.zoneIn} > ${s.zoneOut}`],
    ['policy', s.policy],
    ...(s.vip === '' ? [] : [['vip', `${s.vip} (real ${s.real})`] as const]),
    ['app', s.app],
    ['phase', s.phase],
    ['flags', s.flags.join(' ')],
    ['group', s.rg === 255 ? 'none' : String(s.rg)],
    ['sent', `${s.packetsForward} packets, ${bytes(s.bytesForward)}B`],
    ['received', `${s.packetsReply} packets, ${bytes(s.bytesReply)}B`],
    ['age', duration(Number(s.ageMs))],
    ['idle', duration(Number(s.idleMs))],
    ['expires in', duration(Number(s.expiresMs))],
    ['slot', String(s.slot)]
  ])
}
