/**
 * /metrics and /healthz over HTTP, which ask the agent for each request (requests that come while one is under way share its answer), and what agents have as JSON
 * and as server-sent events (live.ts, sse.ts). GET and HEAD only. On plain loopback the Host header must be an address or localhost, so that a web page whose name
 * resolves to 127.0.0.1 cannot read them.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthClient } from '../generated/proto/grpc/health/v1/health.js'
import { TelemetryClient, type TelemetryMetricsResponse } from '../generated/proto/lockstep/v1/telemetry.js'
import { isKind, kindNames } from '../client/index.js'
import { liveOf } from './live.js'
import { callerOf } from './roles.js'
import { serveStream } from './sse.js'
import type { TlsSettings } from './tls-files.js'

const AGENT_TIMEOUT_MS = 5000
const CONNECTIONS_MAX = 2048
const json = 'application/json; charset=utf-8'

export interface HttpSurface {
  readonly server: Server
  readonly close: () => Promise<void>
}

/** Pages of somebody else, by their path. */
export interface Mounted {
  readonly owns: (path: string) => boolean
  readonly answer: RequestListener
}

/** Not listening yet. */
export function createHttpSurface (socketPath: string, tls: TlsSettings | null, debug: Mounted | null = null): HttpSurface {
  const target = `unix:${socketPath}`
  const options = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, 'grpc.service_config_disable_resolution': 1 }
  const telemetry = new TelemetryClient(target, credentials.createInsecure(), options)
  const agentHealth = new HealthClient(target, credentials.createInsecure(), options)
  const metrics = new Map(['', 'maglev'].map((names) => [names, shared(async () => await fetchMetrics(telemetry, names))]))
  const health = shared(async () => await fetchHealth(agentHealth))

  const live = liveOf(new Map([['local', { address: target }]]))
  const pages: Readonly<Record<string, (response: ServerResponse, query: URLSearchParams, request: IncomingMessage) => Promise<void>>> = {
    '/api/state': async (response, query) => {
      const kind = query.get('kind')
      if (kind === null) send(response, 200, json, `${(await live.state()).json}\n`)
      else if (isKind(kind)) send(response, 200, json, `${await live.objects(kind)}\n`)
      else send(response, 404, 'text/plain; charset=utf-8', `no such kind; there are ${kindNames.join(', ')}\n`)
    },
    '/api/stream': async (response, _query, request) => { await serveStream(live, request, response) },
    '/metrics': async (response, query) => {
      const page = await metrics.get(query.get('names') ?? '')?.()
      if (page === undefined) send(response, 404, 'text/plain; charset=utf-8', 'no metrics by such names; there is names=maglev\n')
      else send(response, 200, page.contentType, page.text)
    },
    '/healthz': async (response) => {
      const serving = await health()
      send(response, serving ? 200 : 503, 'text/plain; charset=utf-8', serving ? 'SERVING\n' : 'NOT_SERVING\n')
    },
    '/': async (response) => { send(response, 200, 'text/plain; charset=utf-8', `lockstep gateway\n/metrics\n/healthz\n/api/state\n/api/stream\n${debug === null ? '' : '/debug\n'}`) }
  }

  const server = httpServer(tls, (request, response) => {
    const [path = '/', query] = (request.url ?? '/').split('?')
    if (debug?.owns(path) === true) {
      debug.answer(request, response)
      return
    }
    const page = pages[path]
    if (page === undefined) send(response, 404, 'text/plain; charset=utf-8', 'no such page; there are /metrics, /healthz, /api/state and /api/stream\n')
    else page(response, new URLSearchParams(query), request).catch((error: unknown) => send(response, 503, 'text/plain; charset=utf-8', `${unreachable(error)}\n`))
  })
  return { server, close: async () => { telemetry.close(); agentHealth.close(); await live.close() } }
}

/** Refuses what no page is for, and lets the rest be answered. Not listening yet. */
export function httpServer (tls: TlsSettings | null, answer: RequestListener): Server {
  const listener: RequestListener = (request, response) => {
    const refused = refusal(request, tls !== null)
    if (refused === null) answer(request, response)
    else send(response, refused[0], 'text/plain; charset=utf-8', `${refused[1]}\n`)
  }
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 60_000, maxHeaderSize: 16_384 }
  const server: Server = tls === null ? createServer(limits, listener) : createTlsServer({ ...limits, handshakeTimeout: 5000, ...tls }, listener)
  server.maxConnections = CONNECTIONS_MAX
  // A reader that takes nothing for so long has gone.
  server.timeout = 30_000
  return server
}

function unreachable (error: unknown): string {
  const { code, message } = error as Partial<ServiceError>
  return code === status.UNAVAILABLE ? 'the agent cannot be reached: is it running?' : `the agent did not answer: ${message ?? String(error)}`
}

function refusal (request: IncomingMessage, secure: boolean): [number, string] | null {
  if (request.method !== 'GET' && request.method !== 'HEAD') return [405, 'GET and HEAD only']
  if (secure) return callerOf((request.socket as TLSSocket).getPeerCertificate()) === null ? [403, 'the client certificate names no role: its OU must be viewer, operator or admin'] : null
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return host === 'localhost' || isIP(host) !== 0 ? null : [421, 'the Host header must be an address or localhost']
}

function send (response: ServerResponse, code: number, type: string, body: string): void {
  if (response.headersSent) return
  response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...(code === 405 ? { allow: 'GET, HEAD' } : {}) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** One call at a time; whoever asks meanwhile gets the same result. */
function shared<T> (work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return async () => {
    running ??= work().finally(() => { running = null })
    return await running
  }
}

async function fetchMetrics (client: TelemetryClient, names: string): Promise<TelemetryMetricsResponse> {
  return await new Promise((resolve, reject) => {
    client.metrics({ names }, new Metadata({ waitForReady: false }), { deadline: Date.now() + AGENT_TIMEOUT_MS }, (error, page) => { if (error === null) resolve(page); else reject(error) })
  })
}

/** Health of the agent as a whole; not reached is not serving. */
async function fetchHealth (client: HealthClient): Promise<boolean> {
  return await new Promise((resolve) => {
    client.check({ service: '' }, new Metadata(), { deadline: Date.now() + AGENT_TIMEOUT_MS }, (error, answer) => resolve(error === null && answer.status === ServingStatus.SERVING))
  })
}
