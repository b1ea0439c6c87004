/**
 * HTTP for browsers and for Prometheus: routes, who may come in, and what each route asks. /metrics and /healthz ask the agent for each request; what agents have comes
 * as JSON and as server-sent events (live.ts, sse.ts). GET and HEAD only. On plain loopback the Host header must be an address or localhost, so that a web page whose
 * name resolves to 127.0.0.1 cannot read them.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isKind, kindNames } from '../client/index.js'
import { agentCalls, explain, type AgentCalls } from './agent-calls.js'
import type { AgentTargets } from './agent-target.js'
import { mime, refuse, send, sendJson } from './http-answer.js'
import { liveOf } from './live.js'
import { callerOf, type Caller, type Role } from './roles.js'
import { discovery } from './service-discovery.js'
import { serveStream } from './sse.js'
import type { TlsSettings } from './tls-files.js'

const CONNECTIONS_MAX = 2048

export interface HttpSurface {
  readonly server: Server
  readonly close: () => Promise<void>
}

export interface HttpSurfaceOptions {
  readonly targets: AgentTargets
  readonly tls: TlsSettings | null
  /** Role of callers without TLS. */
  readonly plainRole: Role
}

interface Visit { readonly request: IncomingMessage, readonly response: ServerResponse, readonly query: URLSearchParams, readonly caller: Caller }
type Page = (visit: Visit) => Promise<void> | void

/** Not listening yet. */
export function createHttpSurface ({ targets, tls, plainRole }: HttpSurfaceOptions): HttpSurface {
  const agents: ReadonlyMap<string, AgentCalls> = new Map([...targets].map(([name, target]) => [name, agentCalls(target)]))
  const live = liveOf(targets)
  const names = [...agents.keys()]

  /** The agent that is asked about; with one there is no need to name it. */
  const ofAgent = (page: (agent: AgentCalls, visit: Visit) => Promise<void> | void): Page => async (visit) => {
    const name = visit.query.get('agent') ?? (names.length === 1 ? names[0] ?? '' : '')
    const agent = agents.get(name)
    if (agent === undefined) refuse(visit.response, 404, `${name === '' ? 'which agent? say' : 'no such agent; there are'} ${names.map(known => `agent=${known}`).join(', ')}`)
    else await page(agent, visit)
  }

  const pages: Readonly<Record<string, Page>> = {
    '/api/state': async ({ response, query }) => {
      const kind = query.get('kind')
      if (kind === null) sendJson(response, (await live.state()).json)
      else if (isKind(kind)) sendJson(response, await live.objects(kind))
      else refuse(response, 404, `no such kind; there are ${kindNames.join(', ')}`)
    },
    '/api/stream': async ({ request, response }) => { await serveStream(live, request, response) },
    '/api/targets': ({ request, response }) => { sendJson(response, discovery(names, request, tls !== null)) },
    '/metrics': ofAgent(async (agent, { response, query }) => {
      const page = await agent.metrics.get(query.get('names') ?? '')?.()
      if (page === undefined) refuse(response, 404, 'no metrics by such names; there is names=maglev')
      else send(response, 200, page.contentType, page.text)
    }),
    '/healthz': async (visit) => {
      const { response, query } = visit
      if (names.length === 1 || query.has('agent')) await ofAgent(async (agent) => { tellServing(response, await agent.serving() ? [] : ['']) })(visit)
      else {
        const serving = await Promise.all([...agents].map(async ([name, agent]) => ({ name, serving: await agent.serving() })))
        tellServing(response, serving.filter(one => !one.serving).map(({ name }) => name))
      }
    },
    '/': ({ response }) => { send(response, 200, mime.text, `lockstep gateway\n${paths.join('\n')}\n`) }
  }
  const paths = Object.keys(pages).filter(path => path !== '/')

  const listener: RequestListener = (request, response) => {
    const caller = tls === null ? { name: null, role: plainRole } : callerOf((request.socket as TLSSocket).getPeerCertificate())
    if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, 405, 'GET and HEAD only', { allow: 'GET, HEAD' })
    else if (caller === null) refuse(response, 403, 'the client certificate names no role: its OU must be viewer, operator or admin')
    else if (tls === null && !isOwnHost(request)) refuse(response, 421, 'the Host header must be an address or localhost')
    else {
      const [path = '/', query] = (request.url ?? '/').split('?')
      const page = Object.hasOwn(pages, path) ? pages[path] : undefined
      if (page === undefined) refuse(response, 404, `no such page; there are ${paths.join(', ')}`)
      else Promise.resolve(page({ request, response, query: new URLSearchParams(query), caller })).catch((error: unknown) => { refuse(response, 503, explain(error)) })
    }
  }

  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 60_000, maxHeaderSize: 16_384 }
  const server: Server = tls === null ? createServer(limits, listener) : createTlsServer({ ...limits, handshakeTimeout: 5000, ...tls }, listener)
  server.maxConnections = CONNECTIONS_MAX
  // A reader that takes nothing for so long has gone.
  server.timeout = 30_000
  const close = async (): Promise<void> => {
    for (const agent of agents.values()) agent.close()
    await live.close()
  }
  return { server, close }
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
