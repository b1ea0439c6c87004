/** What a page shows, asked of an agent: its parts in parallel, each within a second, and what fails stands where it would have been. */
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { columnOf, rowOf } from '../../client/debug-reading.js'
import type { DebugCell, DebugColumn, DebugLink } from '../../contract/debug.js'
import { DebugClient, type DebugListTablesResponse, type DebugQuery, type DebugReading, type DebugTableShape } from '../../generated/proto/lockstep/v1/debug.js'
import { cellText } from '../../lib/debug-text.js'
import type { AgentTarget } from '../agent-target.js'
import { atLeast, type Role } from '../../contract/access.js'
import { externalsOf, type Template } from './external.js'
import { emptySection, type Head, type Page, type Query, type Section } from './model.js'

/** For each part of a page. */
export const SECTION_MS = 1000
/** Rows of other tables on the page of an object, and of those that the overview begins with. */
const REFERS_MAX = 50
const BRIEF_MAX = 12
/** Shown on the overview with their first rows. */
const briefly = ['back-offs', 'work', 'history'] as const

export class PageReader {
  private readonly client: DebugClient

  constructor (private readonly name: string, { address, credentials: secure, channel }: AgentTarget, private readonly templates: readonly Template[], private readonly limitMs = SECTION_MS) {
    this.client = new DebugClient(address, secure ?? credentials.createInsecure(), { 'grpc.max_receive_message_length': 16 << 20, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, 'grpc.service_config_disable_resolution': 1, ...channel })
  }

  close (): void { this.client.close() }

  /** Every table with the number of its rows, and the first rows of what is under way. */
  async overview (role: Role): Promise<Page> {
    const list = await this.list()
    if (typeof list === 'string') return this.page({ status: 503, error: list })
    const at = Date.now()
    const began = performance.now()
    const briefs = list.tables.filter(({ name }) => briefly.some(one => one === name))
    const [counts, sections] = await Promise.all([
      Promise.all(list.tables.map(async shape => ({ shape, count: await this.read(shape, role, {}) }))),
      Promise.all(briefs.map(async shape => sectionOf(shape, await this.read(shape, role, { limit: BRIEF_MAX, filters: shape.name === 'history' ? [{ column: 'level', text: '!debug' }] : [] }), { leads: 'rows' })))
    ])
    const rows = counts.map(({ shape: { name, about, group, source, access }, count }) => ({ key: name, tone: typeof count !== 'string' ? '' as const : mayRead(access, role) ? 'bad' as const : 'dim' as const, cells: [name, typeof count === 'string' ? null : Number(count.matched), about, group, source, typeof count === 'string' ? null : count.tookMs, typeof count === 'string' ? count : null] satisfies DebugCell[] }))
    const tables: Section = { ...emptySection, name: 'tables', leads: 'tables', about: 'Everything that can be seen here', columns: overviewColumns, rows, matched: rows.length, at, tookMs: performance.now() - began, source: 'the agent\'s registry' }
    return this.page({ head: headOf(list), sections: [...sections.sort((a, b) => order(a.name) - order(b.name)), tables] })
  }

  async table (name: string, query: Query, role: Role): Promise<Page> {
    const list = await this.list()
    if (typeof list === 'string') return this.page({ status: 503, error: list, path: [name] })
    const shape = list.tables.find(table => table.name === name)
    if (shape === undefined) return this.missing(list, [name], `There is no table ${name}.`)
    const filters = [...query.filters].map(([column, text]) => ({ column, text }))
    const unknown = [query.sort.replace(/^-/, ''), ...query.filters.keys()].find(column => column !== '' && !shape.columns.some(one => one.name === column))
    if (unknown !== undefined) return this.page({ status: 400, head: headOf(list), path: [name], error: `The table ${name} has no column ${unknown}; there are ${shape.columns.map(column => column.name).join(', ')}.` })
    const reading = await this.read(shape, role, { filters, sort: query.sort, offset: query.offset, limit: query.limit })
    return this.page({ head: headOf(list), path: [name], sections: [sectionOf(shape, reading, { query, leads: 'rows' })] })
  }

  /** A row, and the rows of other tables that lead to it. */
  async object (name: string, key: string, role: Role): Promise<Page> {
    const list = await this.list()
    const path = [name, key]
    if (typeof list === 'string') return this.page({ status: 503, error: list, path })
    const shape = list.tables.find(table => table.name === name)
    if (shape === undefined) return this.missing(list, path, `There is no table ${name}.`)
    const refers: DebugLink = { table: name, key }
    const leading = list.tables.filter(({ columns }) => columns.some(({ tables }) => tables.includes(name)))
    const [reading, ...others] = await Promise.all([
      this.read(shape, role, { key, limit: 1 }),
      ...leading.map(async other => sectionOf(other, await this.read(other, role, { refers, limit: REFERS_MAX }), { leads: 'rows' }))
    ])
    if (typeof reading !== 'string' && reading.rows.length === 0) return this.missing(list, path, `There is no ${key} in the table ${name}, or no more.`)
    const own = sectionOf(shape, reading, { shape: 'object' })
    const [row] = own.rows
    const values = new Map([['agent', this.name], ['table', name], ['key', key], ...own.columns.map(({ name: column, type }, i): [string, string] => [column, cellText(type, row?.cells[i] ?? null)])])
    return this.page({
      head: headOf(list), path, sections: [{ ...own, external: externalsOf(this.templates, name, values) }, ...others.filter(({ rows, error }) => rows.length > 0 || error !== '')],
      without: others.filter(({ rows, error }) => rows.length === 0 && error === '').map(other => other.name)
    })
  }

  /** For the page of all agents. */
  async brief (): Promise<Head | string> {
    const list = await this.list()
    return typeof list === 'string' ? list : headOf(list)
  }

  private page (of: Partial<Page>): Page {
    const path = of.path ?? []
    return { status: 200, agent: this.name, path, title: [...path].reverse().concat(this.name, 'lockstep debug').join(' - '), head: null, error: '', sections: [], without: [], refresh: 0, ...of }
  }

  private missing (list: DebugListTablesResponse, path: readonly string[], error: string): Page { return this.page({ status: 404, head: headOf(list), path, error }) }

  private async list (): Promise<DebugListTablesResponse | string> {
    return await this.call<DebugListTablesResponse>((metadata, options, done) => { this.client.listTables({}, metadata, options, done) })
  }

  /** What was read, or why nothing was. */
  private async read ({ name, access }: DebugTableShape, role: Role, query: Partial<DebugQuery>): Promise<DebugReading | string> {
    const guarded = mayRead('operator', role)
    if (!mayRead(access, role)) return `This table tells of other callers: it needs the role ${access}, and this reader has ${role}.`
    const request = { query: { table: name, filters: [], sort: '', offset: 0, limit: 0, key: '', refers: undefined, ...query } }
    const answer = await this.call<{ reading: DebugReading | undefined }>((metadata, options, done) => {
      if (guarded) this.client.getGuardedTable(request, metadata, options, done)
      else this.client.getTable(request, metadata, options, done)
    })
    return typeof answer === 'string' ? answer : answer.reading ?? 'The agent answered without a reading.'
  }

  private async call<T> (ask: (metadata: Metadata, options: { deadline: number }, done: (error: ServiceError | null, value: T) => void) => void): Promise<T | string> {
    return await new Promise((resolve) => {
      ask(new Metadata({ waitForReady: false }), { deadline: Date.now() + this.limitMs }, (error, value) => { resolve(error === null ? value : reasonOf(error, this.limitMs)) })
    })
  }
}

const overviewColumns: readonly DebugColumn[] = [
  { name: 'name', type: 'text' }, { name: 'rows', type: 'number' }, { name: 'about', type: 'text' }, { name: 'group', type: 'text' }, { name: 'source', type: 'text' }, { name: 'took', type: 'duration' }, { name: 'error', type: 'text' }
]

const mayRead = (access: string, role: Role): boolean => atLeast(role, access === 'viewer' ? 'viewer' : 'operator')

const order = (name: string): number => briefly.findIndex(one => one === name)

function reasonOf ({ code, details }: ServiceError, limitMs: number): string {
  switch (code) {
    case status.DEADLINE_EXCEEDED: return `The agent did not answer within ${limitMs} ms.`
    case status.UNIMPLEMENTED: return 'This agent has no debug tables: its version is older.'
    case status.UNAVAILABLE: return details.startsWith('LS_') ? details : `The agent cannot be reached: is it running? (${details.slice(0, 300)})`
    default: return details
  }
}

function headOf ({ tables: _tables, generation, startedAtMs, atMs, ...head }: DebugListTablesResponse): Head {
  return { ...head, generation: Number(generation), startedAt: Number(startedAtMs), at: Number(atMs) }
}

function sectionOf ({ name, about, columns, source }: DebugTableShape, reading: DebugReading | string, more: Partial<Section>): Section {
  const base: Section = { ...emptySection, name, about, columns: columns.map(columnOf), source, at: Date.now(), ...more }
  if (typeof reading === 'string') return { ...base, error: reading }
  return { ...base, rows: reading.rows.map(rowOf), matched: Number(reading.matched), sample: reading.sample, unread: Number(reading.unread), tookMs: reading.tookMs, at: Number(reading.atMs) }
}
