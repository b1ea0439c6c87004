/** Sessions for browsers: a page of a listing with names and words, or how many there are. A filter is the query's; what it does not know is refused. */
import { SESSION_ORDER_MAX } from '../contract/session.js'
import { SessionRows, type SessionCells } from '../client/session-rows.js'
import type { SessionFilter } from '../generated/proto/lockstep/v1/session.js'
import { SessionOrderBy, type SessionBatch, type SessionsClient } from '../generated/proto/lockstep/v1/sessions.js'
import { ask } from './agent-calls.js'

export const PAGE_ROWS_MAX = 500
const PAGE_ROWS = 100
/** A walk of a large table for what is rare; less than a quiet connection is kept. */
const WALK_MS = 25_000

const columns = ['slot', 'id', 'proto', 'src', 'sport', 'dst', 'dport', 'reply_src', 'reply_sport', 'reply_dst', 'reply_dport', 'zone_in', 'zone_out', 'policy', 'vip', 'real', 'app', 'rg', 'phase', 'flags', 'packets_forward', 'packets_reply', 'bytes_forward', 'bytes_reply', 'idle_ms', 'age_ms', 'expires_ms']

const texts = ['source', 'destination', 'address', 'protocol', 'domain', 'zoneIn', 'zoneOut', 'policy', 'vip', 'real', 'app', 'id'] as const
const numbers = ['sourcePort', 'destinationPort', 'port', 'rg'] as const
const durations = ['minIdleMs', 'minAgeMs', 'maxAgeMs'] as const
const answers = ['snat', 'dnat', 'fromPeer'] as const
export const filterNames: readonly string[] = [...texts, ...numbers, ...durations, ...answers, 'family', 'phases']

export class BadQuery extends Error {}

const emptyFilter: SessionFilter = {
  source: '', destination: '', address: '', sourcePort: undefined, destinationPort: undefined, port: undefined, protocol: '', family: 0, domain: '', zoneIn: '', zoneOut: '', policy: '', vip: '', real: '', app: '', rg: undefined,
  phases: [], snat: undefined, dnat: undefined, fromPeer: undefined, minIdleMs: undefined, minAgeMs: undefined, maxAgeMs: undefined, id: ''
}

/** `also`: names of the query that are no filter. @throws BadQuery */
export function filterOf (query: URLSearchParams, also: readonly string[] = []): SessionFilter {
  const filter: { -readonly [K in keyof SessionFilter]: SessionFilter[K] } = { ...emptyFilter }
  for (const [name, value] of query) {
    if (also.includes(name)) continue
    if (!filterNames.includes(name)) throw new BadQuery(`no such filter: ${name}; there are ${filterNames.join(', ')}`)
    if (value === '') continue
    if (isOneOf(texts, name)) filter[name] = value
    else if (isOneOf(numbers, name)) filter[name] = wholeNumber(name, value)
    else if (isOneOf(durations, name)) filter[name] = BigInt(wholeNumber(name, value))
    else if (isOneOf(answers, name)) filter[name] = yesNo(name, value)
    else if (name === 'family') filter.family = wholeNumber(name, value)
    else filter.phases = value.split(',')
  }
  return filter
}

const isOneOf = <T extends string>(names: readonly T[], name: string): name is T => (names as readonly string[]).includes(name)

function wholeNumber (name: string, value: string): number {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Infinity
  if (number > 0xffff_ffff) throw new BadQuery(`${name}: found ${value}, expected a number below 2^32`)
  return number
}

function yesNo (name: string, value: string): boolean {
  if (value !== 'yes' && value !== 'no') throw new BadQuery(`${name}: found ${value}, expected yes or no`)
  return value === 'yes'
}

const orders: Readonly<Record<string, SessionOrderBy>> = { bytes: SessionOrderBy.SESSION_ORDER_BY_BYTES, packets: SessionOrderBy.SESSION_ORDER_BY_PACKETS, age: SessionOrderBy.SESSION_ORDER_BY_AGE, idle: SessionOrderBy.SESSION_ORDER_BY_IDLE, expires: SessionOrderBy.SESSION_ORDER_BY_EXPIRES }

export interface SessionPage {
  readonly rows: readonly SessionCells[]
  /** Where the walk goes on, or the order; `null`: it is over. */
  readonly next: number | null
  readonly tookMs: number
}

/** @throws BadQuery */
function orderOf (query: URLSearchParams): SessionOrderBy | null {
  const [name, way] = [query.get('order') ?? '', query.get('way') ?? 'down']
  if (way !== 'up' && way !== 'down') throw new BadQuery(`way: found ${way}, expected up or down`)
  if (name === '') return null
  const by = Object.hasOwn(orders, name) ? orders[name] : undefined
  if (by === undefined) throw new BadQuery(`no such order: ${name}; there are ${Object.keys(orders).join(', ')}`)
  return by
}

/** @throws BadQuery, ServiceError */
export async function sessionPage (sessions: SessionsClient, query: URLSearchParams, signal: AbortSignal): Promise<SessionPage> {
  const filter = filterOf(query, ['agent', 'from', 'rows', 'order', 'way'])
  const by = orderOf(query)
  const from = wholeNumber('from', query.get('from') ?? '0')
  const asked = wholeNumber('rows', query.get('rows') ?? String(PAGE_ROWS))
  if (by !== null && from >= SESSION_ORDER_MAX) throw new BadQuery(`from: found ${from}, expected less than ${SESSION_ORDER_MAX}, which is as deep as an order goes; narrow the filter`)
  const limit = by === null ? asked : Math.min(asked, SESSION_ORDER_MAX - from)
  if (limit < 1 || limit > PAGE_ROWS_MAX) throw new BadQuery(`rows: found ${limit}, expected 1 to ${PAGE_ROWS_MAX}`)
  const began = performance.now()
  const call = sessions.list({ filter, columns, limit: BigInt(limit), batchRows: limit, withNames: true, fromSlot: by === null ? from : 0, order: by === null ? undefined : { by, ascending: query.get('way') === 'up', skip: from } }, { deadline: Date.now() + WALK_MS })
  const cancel = (): void => { call.cancel() }
  signal.addEventListener('abort', cancel, { once: true })
  if (signal.aborted) cancel()
  const reader = new SessionRows()
  const rows: SessionCells[] = []
  let more = false
  try {
    for await (const batch of call as AsyncIterable<SessionBatch>) {
      rows.push(...reader.rows(batch))
      more = batch.truncated
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    call.on('error', () => { /* that of the cancellation */ })
    call.cancel()
  }
  const next = by === null ? Number(rows.at(-1)?.['slot']) + 1 : from + limit
  return { rows, next: more && (by === null || next < SESSION_ORDER_MAX) ? next : null, tookMs: Math.round(performance.now() - began) }
}

/** @throws BadQuery, ServiceError */
export async function sessionCount (sessions: SessionsClient, query: URLSearchParams, signal: AbortSignal): Promise<bigint> {
  return (await ask(sessions, sessions.count, { filter: filterOf(query, ['agent']) }, { signal, deadlineMs: WALK_MS })).count
}
