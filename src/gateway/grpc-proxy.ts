/**
 * gRPC over TCP, passed to the agent's unix socket as HTTP/2: headers, data and trailers as they come, so every method works,
 * also those this version does not know. Deadlines travel as `grpc-timeout`, cancellation as RST_STREAM, back-pressure by
 * pipes. What the proxy adds: who may call what (roles.ts) and the verified name and role of the caller (`lockstep-caller`,
 * `lockstep-role`), which it first removes from what the client sent.
 *
 * Each client connection gets its own connection to the agent, so a client that does not read slows nobody else.
 */
import {
  connect, constants, createSecureServer, createServer, type ClientHttp2Session, type ClientHttp2Stream, type Http2Server,
  type Http2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream
} from 'node:http2'
import { connect as connectSocket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { keepAlive, patience, Reaper, type Patience } from './reaper.js'
import { whoIs, type Refusals } from './refusals.js'
import { callerOf, mayCall, roleNeeded, type Caller, type Role } from './roles.js'
import type { TlsSettings } from './tls-files.js'

const WINDOW = 1 << 20
const SESSION_WINDOW = 8 << 20
const CONNECTIONS_MAX = 256
const HANDSHAKE_MS = 5000
/** Slack after a deadline until the gateway itself ends a call whose agent does not. */
const DEADLINE_SLACK_MS = 1000

/** Of a path in the log. */
const PATH_CHARS = 100

const grpc = { ok: 0, deadlineExceeded: 4, permissionDenied: 7, resourceExhausted: 8, unimplemented: 12, unavailable: 14, unauthenticated: 16 } as const

export interface ProxyOptions {
  readonly socketPath: string
  readonly tls: TlsSettings | null
  /** Role of callers without TLS. */
  readonly plainRole: Role
  readonly refusals: Refusals
  /** For tests: with whom to lose it when. */
  readonly patience?: Patience
}

/** Not listening yet. */
export function createGrpcProxy (options: ProxyOptions): Http2Server {
  const settings = { initialWindowSize: WINDOW, maxConcurrentStreams: 256 }
  const server: Http2Server = options.tls === null
    ? createServer({ settings, maxSessionMemory: 64 })
    : createSecureServer({ ...options.tls, ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS, settings, maxSessionMemory: 64 })
  server.maxConnections = CONNECTIONS_MAX
  const limits = options.patience ?? patience
  const upstreams = new WeakMap<Http2Session, { readonly upstream: Upstream, readonly reaper: Reaper }>()
  server.on('session', (session) => {
    const upstream = new Upstream(options.socketPath, limits.pingMs)
    upstreams.set(session, { upstream, reaper: new Reaper(session, limits) })
    session.on('close', () => upstream.close())
    session.on('error', () => upstream.close())
  })
  server.on('sessionError', () => { /* a broken client ends its own connection */ })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => { /* 'close' follows and ends the other side */ })
    const session = stream.session
    const known = session === undefined ? undefined : upstreams.get(session)
    if (session === undefined || known === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      return
    }
    known.reaper.add(stream)
    // Node throws for what it will not send on: a stranger's headers must not end the gateway.
    try {
      serve(stream, headers, identify(session, options), known.upstream, options.refusals)
    } catch {
      end(stream, grpc.unavailable, 'the call cannot be passed to the agent')
    }
  })
  return server
}

/** The connection to the agent, opened when first needed and again after the agent restarted. */
class Upstream {
  readonly #path: string
  readonly #pingMs: number
  #session: ClientHttp2Session | null = null

  constructor (path: string, pingMs: number) {
    this.#path = path
    this.#pingMs = pingMs
  }

  request (headers: OutgoingHttpHeaders): ClientHttp2Stream {
    if (this.#session === null || this.#session.closed || this.#session.destroyed) {
      const session = connect('http://localhost', { createConnection: () => connectSocket(this.#path), settings: { initialWindowSize: WINDOW, enablePush: false }, maxSessionMemory: 64 })
      session.on('error', () => session.destroy())
      session.on('connect', () => session.setLocalWindowSize(SESSION_WINDOW))
      keepAlive(session, this.#pingMs)
      this.#session = session
    }
    return this.#session.request(headers)
  }

  close (): void {
    this.#session?.destroy()
    this.#session = null
  }
}

function identify (session: Http2Session, { tls, plainRole }: ProxyOptions): Caller | null {
  if (tls === null) return { name: null, role: plainRole }
  // session.socket is a proxy object: it has the methods of the TLSSocket behind it.
  return session.encrypted === true ? callerOf((session.socket as TLSSocket).getPeerCertificate()) : null
}

function serve (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller | null, upstream: Upstream, refusals: Refusals): void {
  const path = headers[':path'] ?? ''
  if (headers[':method'] !== 'POST' || !(headers['content-type'] ?? '').startsWith('application/grpc')) {
    stream.respond({ ':status': 415 }, { endStream: true })
    return
  }
  const address = stream.session?.socket?.remoteAddress
  if (caller === null) {
    const who = whoIs(null, address)
    const wait = refusals.waitS(who)
    if (wait > 0) return end(stream, grpc.resourceExhausted, `refused too often; try again in ${wait} s`)
    refusals.add(who, `gRPC ${path.slice(0, PATH_CHARS)}: the certificate names no role`)
    return end(stream, grpc.unauthenticated, 'the client certificate names no role: its OU must be viewer, operator or admin')
  }
  if (!mayCall(caller.role, path)) {
    refusals.tell(whoIs(caller.name, address), `gRPC ${path.slice(0, PATH_CHARS)} needs the role ${roleNeeded(path)}, not ${caller.role}`)
    end(stream, grpc.permissionDenied, `${path} needs the role ${roleNeeded(path)}; ${caller.name ?? 'plain loopback'} has ${caller.role}`)
    return
  }
  const timer = deadlineTimer(stream, headers['grpc-timeout'])
  forward(stream, upstream.request(upstreamHeaders(headers, caller)))
  stream.on('close', () => { if (timer !== null) clearTimeout(timer) })
}

/** Copies both directions; whichever side ends or breaks ends the other. */
function forward (client: ServerHttp2Stream, agent: ClientHttp2Stream): void {
  let trailers: OutgoingHttpHeaders | null = null
  let wanted = false
  const sendTrailers = (): void => {
    if (!wanted || trailers === null || client.destroyed || client.closed) return
    try { client.sendTrailers(trailers) } catch { client.close(constants.NGHTTP2_INTERNAL_ERROR) }
  }
  agent.on('response', (headers, flags) => {
    if (client.destroyed) return
    const trailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    try {
      client.respond(responseHeaders(headers), trailersOnly ? { endStream: true } : { waitForTrailers: true })
    } catch {
      client.close(constants.NGHTTP2_INTERNAL_ERROR)
      return
    }
    if (trailersOnly) client.resume()
    else agent.pipe(client)
  })
  agent.on('trailers', (headers: IncomingHttpHeaders) => { trailers = responseHeaders(headers); sendTrailers() })
  client.on('wantTrailers', () => { wanted = true; sendTrailers() })
  agent.on('error', () => { /* 'close' follows */ })
  agent.on('close', () => {
    if (trailers !== null || client.destroyed || client.writableEnded) {
      if (trailers === null && wanted) { trailers = statusHeaders(grpc.unavailable, 'the agent ended the call without a status'); sendTrailers() }
      return
    }
    if (!client.headersSent) end(client, grpc.unavailable, 'the agent cannot be reached: is it running?')
    else {
      trailers = statusHeaders(grpc.unavailable, 'the connection to the agent broke')
      client.end()
      client.resume()
    }
  })
  client.on('close', () => { if (!agent.destroyed) agent.close(constants.NGHTTP2_CANCEL) })
  client.pipe(agent)
}

function end (stream: ServerHttp2Stream, status: number, message: string): void {
  if (stream.destroyed || stream.headersSent) return
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...statusHeaders(status, message) }, { endStream: true })
  stream.resume()
}

const statusHeaders = (status: number, message: string): OutgoingHttpHeaders => ({ 'grpc-status': String(status), 'grpc-message': encodeURIComponent(message).replaceAll('%20', ' ') })

const hopByHop = new Set(['connection', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'])

function upstreamHeaders (headers: IncomingHttpHeaders, caller: Caller): OutgoingHttpHeaders {
  const out: OutgoingHttpHeaders = { ':method': 'POST', ':path': headers[':path'], ':scheme': 'http', ':authority': 'localhost' }
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(':') && !hopByHop.has(name) && !name.startsWith('lockstep-')) out[name] = value
  }
  out['lockstep-role'] = caller.role
  if (caller.name !== null) out['lockstep-caller'] = caller.name.replaceAll(/[^\x20-\x7e]/g, '?')
  return out
}

function responseHeaders (headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))
}

const timeoutUnits: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 }

function deadlineTimer (stream: ServerHttp2Stream, header: string | string[] | undefined): NodeJS.Timeout | null {
  const match = typeof header === 'string' ? /^(\d{1,8})([numSMH])$/.exec(header) : null
  if (match === null) return null
  const ms = Number(match[1]) * (timeoutUnits[match[2] ?? ''] ?? 0) + DEADLINE_SLACK_MS
  if (ms > 0x7fff_ffff) return null
  return setTimeout(() => {
    end(stream, grpc.deadlineExceeded, 'the agent did not answer within the deadline')
    stream.close(constants.NGHTTP2_CANCEL)
  }, ms)
}
