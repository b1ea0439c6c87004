/**
 * `lockstep gateway`: START HERE. A process without privileges between the network and the agent, or several (D14, R30): the agent holds
 * the rights and serves only its unix socket; this one parses what strangers send and holds nothing. Order matters:
 * read TLS files, open listeners, drop root, then serve.
 */
import { connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net'
import { Server as TlsServer, type TLSSocket } from 'node:tls'
import { LockstepError } from '../contract/errors.js'
import { causeOf } from '../lib/cause-of.js'
import { formatEndpoint } from '../lib/address.js'
import { createDebugSurface } from './debug/surface.js'
import { createGrpcProxy } from './grpc-proxy.js'
import type { Patience } from './reaper.js'
import { createHttpSurface } from './http-surface.js'
import { parseListen, type ListenAddress } from './listen-address.js'
import { dropPrivileges } from './privileges.js'
import { Refusals, whoIs } from './refusals.js'
import { isRole, roles } from './roles.js'
import { parseServers, targetsOf, type Server } from './servers.js'
import { readTls, type TlsSettings } from './tls-files.js'

export interface GatewayOptions {
  readonly socketPath: string
  /** NAME=ADDRESS, agents in place of the one behind the socket. */
  readonly servers?: readonly string[] | undefined
  /** ADDRESS:PORT or `off`. */
  readonly http: string
  readonly grpc: string
  /** What errors call them. */
  readonly named?: { readonly http: string, readonly grpc: string }
  /** Role of callers on plain loopback. */
  readonly role: string
  /** Whom to become when started as root. */
  readonly user: string
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  readonly tlsCa?: string | undefined
  readonly patience?: Patience
  /** A line about what the gateway did by itself, as whom it refused. */
  readonly onNote?: (text: string) => void
  /** Debug pages: ADDRESS:PORT, `off`, or absent: with what is at `http`. */
  readonly debug?: string | undefined
  /** Links out of them. */
  readonly debugLinks?: readonly string[] | undefined
  /** For tests: how long a part of such a page may take. */
  readonly debugMs?: number
}

export interface Gateway {
  /** `127.0.0.1:9461`; `null` when off. */
  readonly httpAddress: string | null
  readonly grpcAddress: string | null
  /** Of debug pages with a listener of their own. */
  readonly debugAddress: string | null
  /** Reads the TLS files again: new connections get them. @throws invalid, and the old ones stay. */
  readonly reloadTls: () => void
  readonly close: () => Promise<void>
}

export async function startGateway (options: GatewayOptions): Promise<Gateway> {
  const { role } = options
  const servers: readonly Server[] = options.servers === undefined ? [{ name: 'local', path: options.socketPath }] : parseServers(options.servers)
  const sockets = servers.flatMap(server => 'path' in server ? [server.path] : [])
  if (!isRole(role)) throw new LockstepError('invalid', 'LS_G_ROLE', 'no such role', { object: '--role', found: role, expected: roles.join(', ') })
  const named = options.named ?? { http: '--http', grpc: '--grpc' }
  const http = parseListen(named.http, options.http)
  const grpc = parseListen(named.grpc, options.grpc)
  const debugAt = options.debug === undefined ? null : parseListen('--debug', options.debug)
  const readFiles = (): TlsSettings | null => readTls({
    ...(options.tlsCert === undefined ? {} : { cert: options.tlsCert }),
    ...(options.tlsKey === undefined ? {} : { key: options.tlsKey }),
    ...(options.tlsCa === undefined ? {} : { ca: options.tlsCa })
  })
  const tls = readFiles()
  for (const [name, at] of [[named.http, http], [named.grpc, grpc], ['--debug', debugAt]] as const) {
    if (at !== null && !at.loopback && tls === null) {
      throw new LockstepError('invalid', 'LS_G_TLS', 'plain TCP is for loopback only', { object: name, found: `${at.host}:${at.port}`, expected: '127.0.0.1, ::1, or mutual TLS', next: 'give --tls-cert, --tls-key and --tls-ca' })
    }
  }
  const [socketPath] = sockets
  if (grpc !== null && (servers.length !== 1 || socketPath === undefined)) {
    throw new LockstepError('invalid', 'LS_G_SERVER', 'gRPC is passed to one agent of this host', { object: named.grpc, found: servers.map(({ name }) => name).join(', '), expected: 'one --server, by unix:/PATH', next: `${named.grpc} off, and a gateway for gRPC beside each agent` })
  }
  const targets = targetsOf(servers, tls)
  const refusals = new Refusals(options.onNote === undefined ? {} : { note: options.onNote })
  const proxy = grpc === null ? null : createGrpcProxy({ socketPath: socketPath ?? '', tls, plainRole: role, refusals, ...(options.patience === undefined ? {} : { patience: options.patience }) })
  const debug = options.debug === 'off' ? null : createDebugSurface({ targets, links: options.debugLinks ?? [], tls, plainRole: role, refusals, ...(options.debugMs === undefined ? {} : { limitMs: options.debugMs }) })
  const surface = http === null ? null : createHttpSurface({ targets, tls, plainRole: role, refusals, debug: debugAt === null ? debug : null })
  const own = debugAt === null ? null : debug?.server() ?? null
  for (const server of [proxy, surface?.server, own]) {
    server?.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => { refusals.tell(whoIs(null, socket.remoteAddress), `TLS: ${error.code ?? error.message}`) })
  }
  let serving = false
  for (const server of [proxy, surface?.server, own]) server?.prependListener('connection', (socket: Socket) => { if (!serving) socket.destroy() })
  const sessions = new Set<{ destroy: () => void }>()
  proxy?.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  const close = async (): Promise<void> => {
    for (const session of sessions) session.destroy()
    surface?.server.closeAllConnections()
    own?.closeAllConnections()
    debug?.close()
    await surface?.close()
    await Promise.all([proxy, surface?.server, own].map(async (server) => { if (server?.listening === true) await new Promise((resolve) => server.close(resolve)) }))
  }
  try {
    const grpcAddress = await listen(proxy, grpc, named.grpc)
    const httpAddress = await listen(surface?.server ?? null, http, named.http)
    const debugAddress = await listen(own, debugAt, '--debug')
    dropPrivileges(options.user, sockets)
    await Promise.all(sockets.map(reachable))
    serving = true
    const reloadTls = (): void => {
      const fresh = readFiles()
      if (fresh !== null) for (const server of [proxy, surface?.server, own]) if (server instanceof TlsServer) server.setSecureContext(fresh)
    }
    return { httpAddress, grpcAddress, debugAddress, reloadTls, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** For the CLI: runs until the signal, then 0. With TLS, SIGHUP reads its files again. */
export async function gatewayMain (options: GatewayOptions & { readonly onReady?: (text: string) => void, readonly signal?: AbortSignal }): Promise<number> {
  const gateway = await startGateway(options)
  const scheme = options.tlsCert === undefined ? 'http' : 'https'
  options.onReady?.([
    'gateway ready',
    ...(gateway.httpAddress === null ? [] : [`web ${scheme}://${gateway.httpAddress}/`, `metrics ${scheme}://${gateway.httpAddress}/metrics`]),
    ...(options.debug === 'off' || (gateway.debugAddress ?? gateway.httpAddress) === null ? [] : [`debug ${scheme}://${gateway.debugAddress ?? gateway.httpAddress ?? ''}/debug`]),
    ...(gateway.grpcAddress === null ? [] : [`grpc ${gateway.grpcAddress}${options.tlsCert === undefined ? ` (plain, role ${options.role})` : ' (mutual TLS)'}`]),
    ...(options.servers ?? [options.socketPath]).map(server => `agent ${server}`)
  ].join('\n  '))
  const { signal, onNote = () => {} } = options
  const reload = (): void => {
    try {
      gateway.reloadTls()
      onNote('the TLS files were read again; connections from now on use them')
    } catch (error) {
      onNote(`the TLS files were refused, those before stay in use: ${causeOf(error)}`)
    }
  }
  if (options.tlsCert !== undefined) process.on('SIGHUP', reload)
  await new Promise<void>((resolve) => {
    if (signal?.aborted === true) resolve()
    signal?.addEventListener('abort', () => resolve(), { once: true })
  })
  process.removeListener('SIGHUP', reload)
  await gateway.close()
  return 0
}

/** An agent that is not there yet is waited for by its callers; one that this user may not reach never will be. */
async function reachable (socketPath: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(socketPath)
    socket.on('connect', () => { socket.destroy(); resolve() })
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EACCES') resolve()
      else reject(new LockstepError('unavailable', 'LS_E_PERMISSION', 'the gateway may not reach the agent', { object: socketPath, found: `uid ${process.getuid?.() ?? '?'}, groups ${process.getgroups?.().join(' ') ?? ''}`, expected: 'the group of the socket, and a directory it may enter', next: 'choose another --user, or open the directory to that group' }, cause))
    })
  })
}

async function listen (server: NetServer | null, at: ListenAddress | null, option: string): Promise<string | null> {
  if (server === null || at === null) return null
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(new LockstepError('unavailable', 'LS_G_LISTEN', 'cannot listen', { object: `${option} ${at.host}:${at.port}`, found: cause.code ?? cause.message, next: 'is another gateway running? choose another port' }, cause)))
    server.listen(at.port, at.host, () => resolve())
  })
  const { address, port } = server.address() as AddressInfo
  return formatEndpoint(address, port)
}
