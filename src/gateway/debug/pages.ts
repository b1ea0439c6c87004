/**
 * The debug pages of a gateway: START HERE. What is asked for in an address is read (read.ts) into a page (model.ts), and that is written as HTML (html.ts) or JSON
 * (here): whoever asks for JSON gets the same cells. Nothing can be changed by a page, and nothing of it needs a script.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { plainRow } from '../../client/debug-reading.js'
import type { DebugCell } from '../../contract/debug.js'
import { toJson } from '../../lib/json.js'
import type { AgentTargets } from '../agent-target.js'
import type { Role } from '../roles.js'
import type { Template } from './external.js'
import { BASE, html, OWN, STYLE } from './html.js'
import { emptySection, type Page, type Query, type Row, type Section } from './model.js'
import { PageReader } from './read.js'
import { style } from './style.js'

export interface DebugPages {
  /** Whether a path is one of theirs. */
  readonly owns: (path: string) => boolean
  readonly answer: (request: IncomingMessage, response: ServerResponse, role: Role) => Promise<void>
  readonly close: () => void
}

export interface DebugPagesOptions {
  readonly targets: AgentTargets
  readonly templates: readonly Template[]
  /** For tests. */
  readonly limitMs?: number
}

/** Pages that are read at a time; each asks an agent some dozens of questions. */
const PAGES_MAX = 16
const LIMIT = 200
const LIMIT_MAX = 5000
const OFFSET_MAX = 1_000_000
const REFRESH_MAX = 3600

export function debugPages ({ targets, templates, limitMs }: DebugPagesOptions): DebugPages {
  const readers = new Map([...targets].map(([name, target]) => [name, new PageReader(name, target, templates, limitMs)]))
  let reading = 0

  const read = async (parts: readonly string[], query: URLSearchParams, role: Role): Promise<Page> => {
    const [agent, table, key, ...rest] = parts
    const [only] = readers.size === 1 ? readers.values() : []
    if (agent === undefined) return only === undefined ? await allAgents(readers) : await only.overview(role)
    const reader = readers.get(agent)
    if (reader === undefined) return failure(404, `There is no agent ${agent} here; there ${readers.size === 1 ? 'is' : 'are'} ${[...readers.keys()].join(', ')}.`)
    if (table === undefined) return await reader.overview(role)
    if (rest.length > 0) return failure(404, 'There is no such page: an address is AGENT/TABLE/KEY, each part encoded.')
    if (key !== undefined) return await reader.object(table, key, role)
    const wanted = queryOf(query)
    return typeof wanted === 'string' ? failure(400, wanted) : await reader.table(table, wanted, role)
  }

  return {
    owns: path => path === BASE || path.startsWith(`${BASE}/`),
    close: () => { for (const reader of readers.values()) reader.close() },
    answer: async (request, response, role) => {
      const [path = '', text] = (request.url ?? '').split('?')
      if (path === STYLE) {
        send(request, response, 200, 'text/css; charset=utf-8', style)
        return
      }
      const query = new URLSearchParams(text)
      const json = wantsJson(request, query)
      const write = (page: Page): void => { send(request, response, page.status, json ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8', json ? jsonOf(page) : html(page)) }
      const parts = partsOf(path)
      const refresh = refreshOf(query.get('refresh') ?? '')
      if (parts === null || parts[0] === OWN) write(failure(404, 'There is no such page.'))
      else if (refresh === null) write(failure(400, `refresh is seconds, 1 to ${REFRESH_MAX}.`))
      else if (reading >= PAGES_MAX) write(failure(503, `${reading} pages are read at this moment, and more are refused: try again.`))
      else {
        reading++
        try {
          write({ ...await read(parts, query, role), refresh })
        } finally {
          reading--
        }
      }
    }
  }
}

/** `/debug/local/vips/web%2F1` -> local, vips, web/1; `null`: not an address. */
function partsOf (path: string): readonly string[] | null {
  try {
    return path.slice(BASE.length).replace(/\/$/, '').split('/').slice(1).map(decodeURIComponent)
  } catch {
    return null
  }
}

/** By `format`, else by what the client accepts: a browser names text/html first. */
function wantsJson ({ headers: { accept = '' } }: IncomingMessage, query: URLSearchParams): boolean {
  const format = query.get('format')
  if (format !== null) return format === 'json'
  const json = accept.indexOf('application/json')
  const page = accept.indexOf('text/html')
  return json >= 0 && (page < 0 || json < page)
}

function refreshOf (text: string): number | null {
  if (text === '') return 0
  return /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= REFRESH_MAX ? Number(text) : null
}

/** In words, what is wrong. */
function queryOf (query: URLSearchParams): Query | string {
  const filters = new Map<string, string>()
  for (const [name, text] of query) {
    if (['sort', 'offset', 'limit', 'format', 'refresh'].includes(name) || text === '') continue
    const column = name === 'q' ? '' : name
    if (filters.has(column)) return `${name} is asked for twice.`
    filters.set(column, text)
  }
  const number = (name: string, most: number, otherwise: number): number => {
    const text = query.get(name) ?? ''
    return text === '' ? otherwise : /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : NaN
  }
  const [offset, limit] = [number('offset', OFFSET_MAX, 0), number('limit', LIMIT_MAX, LIMIT)]
  if (Number.isNaN(offset)) return `offset is a number up to ${OFFSET_MAX}.`
  if (Number.isNaN(limit) || limit === 0) return `limit is a number, 1 to ${LIMIT_MAX}.`
  return { filters, sort: query.get('sort') ?? '', offset, limit }
}

const failure = (status: number, error: string): Page => ({ status, agent: '', path: [], title: 'lockstep debug', head: null, error, sections: [], without: [], refresh: 0 })

async function allAgents (readers: ReadonlyMap<string, PageReader>): Promise<Page> {
  const at = Date.now()
  const began = performance.now()
  const rows = await Promise.all([...readers].map(async ([name, reader]): Promise<Row> => {
    const head = await reader.brief()
    const gone = typeof head === 'string'
    const cells: DebugCell[] = gone ? [name, 'not reached', null, null, null, null, null, head] : [name, head.state, head.node, head.version, head.backend, head.generation, head.startedAt === 0 ? null : head.startedAt, head.reasons.join('; ')]
    return { key: name, tone: gone ? 'bad' : head.state === 'running' ? 'good' : 'warn', cells }
  }))
  const agents: Section = {
    ...emptySection, name: 'agents', leads: 'agents', about: 'The agents of this gateway', rows, matched: rows.length, at, tookMs: performance.now() - began, source: 'this gateway',
    columns: [{ name: 'name', type: 'text' }, { name: 'state', type: 'text' }, { name: 'node', type: 'text' }, { name: 'version', type: 'text' }, { name: 'backend', type: 'text' }, { name: 'generation', type: 'number' }, { name: 'started', type: 'time' }, { name: 'reasons', type: 'text' }]
  }
  return { ...failure(200, ''), sections: [agents] }
}

/** The same page for programs: cells by the names of their columns, numbers as numbers. */
export function jsonOf ({ title, agent, path, head, error, sections, without }: Page): string {
  return `${toJson({
    title, agent, path, schema: head?.schema ?? null, head, error, without,
    sections: sections.map(({ name, about, columns, rows, error, matched, sample, unread, tookMs, at, source, external }) => ({
      name, about, columns, error, matched, sample, unread, tookMs, at, source, external,
      rows: rows.map(row => plainRow(columns, row))
    }))
  })}\n`
}

function send (request: IncomingMessage, response: ServerResponse, code: number, type: string, body: string): void {
  if (response.headersSent) return
  response.writeHead(code, {
    'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', vary: 'accept',
    'content-security-policy': 'default-src \'none\'; style-src \'self\'; form-action \'self\'; base-uri \'none\'; frame-ancestors \'none\'', 'cross-origin-resource-policy': 'same-origin'
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
