/**
 * HTTP for browsers and for Prometheus: routes, who may come in, and what each route asks. /metrics and /healthz ask the agent for each request; what agents have comes
 * as JSON and as server-sent events (live.ts, sse.ts). GET and HEAD only, but for one path (switchover.ts). On plain loopback the Host header must be an address or localhost, so that a web page whose
 * name resolves to 127.0.0.1 cannot read them.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isKind, kindNames } from '../client/index.js'
import { mayReadAudit } from '../contract/access.js'
import { pageNames } from '../contract/page-names.js'
import { toJson } from '../lib/json.js'
import { agentCalls, explain, type AgentCalls } from './agent-calls.js'
import type { AgentTargets } from './agent-target.js'
import { mime, refuse, send, sendJson } from './http-answer.js'
import { liveOf } from './live.js'
import { whoIs, type Refusals } from './refusals.js'
import { callerOf, mayCall, roleNeeded, type Caller, type Role } from './roles.js'
import { discovery } from './service-discovery.js'
import { BadQuery, sessionCount, sessionPage } from './session-pages.js'
import { serveStream } from './sse.js'
import { BODY_MAX, foreign, MOVE_MS, readBody, switchover, SWITCHOVER, wantedOf } from './switchover.js'
import type { TlsSettings } from './tls-files.js'
import { readWebFiles, sendFile } from './web-files.js'

const CONNECTIONS_MAX = 2048
/** Walks of tables that browsers wait for. */
const SEARCHES_MAX = 8

export interface HttpSurface {
  readonly server: Server
  readonly close: () => Promise<void>
}

/** Pages of somebody else, by their path. */
export interface Mounted {
  readonly owns: (path: string) => boolean
  readonly answer: RequestListener
}

export interface HttpSurfaceOptions {
  readonly targets: AgentTargets
  readonly tls: TlsSettings | null
  /** Role of callers without TLS. */
  readonly plainRole: Role
  readonly refusals: Refusals
  /** GET and HEAD only. */
  readonly debug?: Mounted | null
}

interface Visit { readonly request: IncomingMessage, readonly response: ServerResponse, readonly query: URLSearchParams, readonly caller: Caller }
type Page = (visit: Visit) => Promise<void> | void

const SESSIONS_LIST = '/lockstep.v1.Sessions/List'

/** Not listening yet. */
export function createHttpSurface ({ targets, tls, plainRole, refusals, debug }: HttpSurfaceOptions): HttpSurface {
  const agents: ReadonlyMap<string, AgentCalls> = new Map([...targets].map(([name, target]) => [name, agentCalls(target)]))
  const live = liveOf(targets)
  const names = [...agents.keys()]
  const files = readWebFiles()
  let searches = 0

  /** The agent that is asked about; with one there is no need to name it. */
  const ofAgent = (page: (agent: AgentCalls, visit: Visit) => Promise<void> | void): Page => async (visit) => {
    const name = visit.query.get('agent') ?? (names.length === 1 ? names[0] ?? '' : '')
    const agent = agents.get(name)
    if (agent === undefined) refuse(visit.response, 404, `${name === '' ? 'which agent? say' : 'no such agent; there are'} ${names.map(known => `agent=${known}`).join(', ')}`)
    else await page(agent, visit)
  }

  /** A walk of the table, which ends when the browser goes. */
  const search = (walk: (agent: AgentCalls, query: URLSearchParams, signal: AbortSignal) => Promise<unknown>): Page => ofAgent(async (agent, { response, query, caller }) => {
    if (!mayCall(caller.role, SESSIONS_LIST)) return refuse(response, 403, `needs the role ${roleNeeded(SESSIONS_LIST)}`)
    if (searches >= SEARCHES_MAX) return refuse(response, 429, `${SEARCHES_MAX} searches run already; try again`, { 'retry-after': '1' })
    searches++
    const over = new AbortController()
    response.on('close', () => { over.abort() })
    try {
      sendJson(response, toJson(await walk(agent, query, over.signal)))
    } catch (error) {
      if (!(error instanceof BadQuery)) throw error
      refuse(response, 400, error.message)
    } finally { searches-- }
  })

  const pages: Readonly<Record<string, Page>> = {
    '/api/state': async ({ response, query, caller }) => {
      const kind = query.get('kind')
      if (kind === null) sendJson(response, (await live.state(mayReadAudit(caller.role))).json)
      else if (isKind(kind)) sendJson(response, await live.objects(kind))
      else refuse(response, 404, `no such kind; there are ${kindNames.join(', ')}`)
    },
    '/api/stream': async ({ request, response, caller }) => { await serveStream(live, mayReadAudit(caller.role), request, response) },
    '/api/whoami': ({ response, caller: { name, role } }) => { sendJson(response, toJson({ name, role, may: { switchover: mayCall(role, SWITCHOVER) } })) },
    '/api/readings': ofAgent(async (agent, { response, query }) => {
      const read = agent.readings.get(query.get('of') ?? '')
      if (read === undefined) refuse(response, 404, `no such readings; there are ${[...agent.readings.keys()].map(name => `of=${name}`).join(', ')}`)
      else sendJson(response, toJson({ value: await read(), at: Date.now() }))
    }),
    '/api/sessions': search(async ({ sessions }, query, signal) => await sessionPage(sessions, query, signal)),
    '/api/sessions/count': search(async ({ sessions }, query, signal) => ({ count: await sessionCount(sessions, query, signal) })),
    '/api/targets': ({ request, response }) => { sendJson(response, discovery(names, request, tls !== null)) },
    '/metrics': ofAgent(async (agent, { response, query }) => {
      const page = await agent.metrics.get(query.get('names') ?? '')?.()
      if (page === undefined) refuse(response, 404, `no metrics by such names; there are ${pageNames.map(name => `names=${name}`).join(' and ')}`)
      else send(response, 200, page.contentType, page.text)
    }),
    '/healthz': async (visit) => {
      const { response, query } = visit
      if (names.length === 1 || query.has('agent')) await ofAgent(async (agent) => { tellServing(response, await agent.serving() ? [] : ['']) })(visit)
      else {
        const serving = await Promise.all([...agents].map(async ([name, agent]) => ({ name, serving: await agent.serving() })))
        tellServing(response, serving.filter(one => !one.serving).map(({ name }) => name))
      }
    }
  }
  const paths = Object.keys(pages)

  const move: Page = async ({ request, response, caller }) => {
    const who = whoIs(caller.name, request.socket.remoteAddress)
    const deny = (code: number, why: string, headers: Readonly<Record<string, string>> = {}): void => {
      refusals.add(who, `/api/switchover: ${why}`)
      refuse(response, code, why, { connection: 'close', ...headers })
    }
    const wait = refusals.waitS(who)
    if (wait > 0) return refuse(response, 429, `refused too often; try again in ${wait} s`, { 'retry-after': String(wait), connection: 'close' })
    if (!mayCall(caller.role, SWITCHOVER)) return deny(403, `needs the role ${roleNeeded(SWITCHOVER)}; ${caller.name ?? 'plain loopback'} has ${caller.role}`)
    const stranger = foreign(request, tls !== null)
    // Not counted: any page of another site can make the operator's browser send these.
    if (stranger !== null) {
      refusals.tell(who, `/api/switchover: not from a page of this gateway: ${stranger}`)
      return refuse(response, 403, `not from a page of this gateway: ${stranger}`, { connection: 'close' })
    }
    const body = await readBody(request)
    if (body === null) return deny(413, `the body is not whole, or longer than ${BODY_MAX} bytes`)
    const wanted = wantedOf(body)
    if (typeof wanted === 'string') return deny(400, wanted)
    const agent = agents.get(wanted.agent)
    if (agent === undefined) return deny(404, 'no such agent')
    request.socket.setTimeout(2 * MOVE_MS) // it is quiet meanwhile, and not gone
    response.setHeader('connection', 'close')
    sendJson(response, toJson(await switchover(agent.cluster, wanted, caller)))
  }

  const listener: RequestListener = (request, response) => {
    const caller = tls === null ? { name: null, role: plainRole } : callerOf((request.socket as TLSSocket).getPeerCertificate())
    const [path = '/', query] = (request.url ?? '/').split('?')
    const look = request.method === 'GET' || request.method === 'HEAD'
    const page = look ? (Object.hasOwn(pages, path) ? pages[path] : undefined) : request.method === 'POST' && path === '/api/switchover' ? move : null
    const file = page === undefined ? files.get(path) : undefined
    if (page === null) refuse(response, 405, 'GET and HEAD only', { allow: path === '/api/switchover' ? 'POST' : 'GET, HEAD' })
    else if (caller === null) refuseRoleless(refusals, request, response)
    else if (tls === null && !isOwnHost(request)) refuse(response, 421, foreignHost)
    else if (debug?.owns(path) === true) debug.answer(request, response)
    else if (file !== undefined) sendFile(request, response, file)
    else if (page !== undefined) Promise.resolve(page({ request, response, query: new URLSearchParams(query), caller })).catch((error: unknown) => { refuse(response, ...explain(error)) })
    else if (path === '/') send(response, 200, mime.text, `lockstep gateway; the web page was not built (npm run build)\n${paths.join('\n')}\n`)
    else refuse(response, 404, path === '/api/switchover' ? 'POST only' : `no such page; there are ${paths.join(', ')}`)
  }

  const close = async (): Promise<void> => {
    for (const agent of agents.values()) agent.close()
    await live.close()
  }
  return { server: serverOf(tls, listener), close }
}

/** Of pages that are only looked at; not listening yet. */
export function lookingServer (tls: TlsSettings | null, refusals: Refusals, answer: RequestListener): Server {
  return serverOf(tls, (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, 405, 'GET and HEAD only', { allow: 'GET, HEAD' })
    else if (tls !== null && callerOf((request.socket as TLSSocket).getPeerCertificate()) === null) refuseRoleless(refusals, request, response)
    else if (tls === null && !isOwnHost(request)) refuse(response, 421, foreignHost)
    else answer(request, response)
  })
}

function refuseRoleless (refusals: Refusals, { url, socket: { remoteAddress } }: IncomingMessage, response: ServerResponse): void {
  const who = whoIs(null, remoteAddress)
  const wait = refusals.waitS(who)
  if (wait > 0) return refuse(response, 429, `refused too often; try again in ${wait} s`, { 'retry-after': String(wait), connection: 'close' })
  refusals.add(who, `HTTP ${(url ?? '').slice(0, 100)}: the certificate names no role`)
  refuse(response, 403, noRole)
}

const noRole = 'the client certificate names no role: its OU must be viewer, operator or admin'
const foreignHost = 'the Host header must be an address or localhost'

function serverOf (tls: TlsSettings | null, listener: RequestListener): Server {
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 60_000, maxHeaderSize: 16_384 }
  const server: Server = tls === null ? createServer(limits, listener) : createTlsServer({ ...limits, handshakeTimeout: 5000, ...tls }, listener)
  server.maxConnections = CONNECTIONS_MAX
  // A reader that takes nothing for so long has gone.
  server.timeout = 30_000
  return server
}

function isOwnHost (request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return host === 'localhost' || isIP(host) !== 0
}

/** `missing`: names of agents that do not serve. */
function tellServing (response: ServerResponse, missing: readonly string[]): void {
  if (missing.length === 0) send(response, 200, mime.text, 'SERVING\n')
  else refuse(response, 503, `NOT_SERVING${missing.map(name => name === '' ? '' : `\n${name}`).join('')}`)
}
