/**
 * Sockets under the sync engine: TLS 1.3 on both sides, one node listens on every path, the other dials one after the other, again and again. The first path
 * is the preferred one: the stream moves to the next when it fails, and back when it answers again.
 */
import type { Socket } from 'node:net'
import { connect, createServer, type PeerCertificate, type TLSSocket } from 'node:tls'
import type { Endpoint } from '../../contract/cluster.js'
import { formatAddress, parseAddress } from '../../lib/address.js'
import { windowBytesDefault, type Connection, type LinkState } from './engine.js'

/** How the two nodes know each other. */
export type Credentials =
  /** Certificates of an authority that both have, PEM; the peer's must be for `peerName`. */
  | { readonly kind: 'certificates', readonly cert: string, readonly key: string, readonly ca: string, readonly peerName: string }
  /** One key that both have: for labs. 16 bytes or more. */
  | { readonly kind: 'psk', readonly key: Uint8Array }

/** Who is connected: the engine. */
export interface Talker {
  readonly connected: (conn: Connection) => void
  readonly receivedBytes: (conn: Connection, bytes: Uint8Array) => void
  readonly disconnected: (conn: Connection, reason: string) => void
  readonly status: () => { readonly state: LinkState }
}

export interface SocketOptions {
  readonly engine: Talker
  readonly credentials: Credentials
  /** One for each path, the preferred one first. This node listens, or dials: the other list is empty. */
  readonly listen: readonly Endpoint[]
  readonly dial: readonly Endpoint[]
  /** Addresses of the peer: half of the places for connections that are not authenticated yet are theirs. */
  readonly expected?: readonly string[]
  /** Between two attempts to go back to the first path. */
  readonly backMs?: number
  /** A connection could not be made, or was refused; for each path once for each cause until one is made. */
  readonly onProblem: (text: string) => void
}

export interface Sockets {
  /** Where it listens, by path; null: not there yet. */
  readonly listening: () => ReadonlyArray<Endpoint | null>
  /** The path in use, and where it is listened for; null: there is no connection. */
  readonly path: () => { readonly index: number, readonly address: Endpoint } | null
  /** It dials again then (Unix ms), because of this; null: it does not wait. */
  readonly waiting: () => { readonly until: number, readonly reason: string } | null
  readonly close: () => Promise<void>
}

/** Explicit, so that figures of two hosts are of one cipher. */
const ciphers = 'TLS_AES_128_GCM_SHA256'
const identity = 'lockstep'
/** Time for the handshake, and between two dials: doubled up to the second, and a third at random. */
const HANDSHAKE_MS = 3000
const DIAL_MS = [100, 2000] as const
/** Long enough for a path that comes and goes to do little harm: each move costs sending again what is not acknowledged. */
const BACK_MS = 10_000
/** Connections at a time, those that are not authenticated yet among them: each of these has HANDSHAKE_MS. Strangers get half of them. */
const WAITING_MAX = 32

/** Bytes written and not read: a window and answers. */
const BACKLOG_MAX = windowBytesDefault + (16 << 20)

const common = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers } as const

/** One text for each address, mapped or not. */
const canonical = (address: string): string => {
  const value = parseAddress(address.replace(/^::ffff:(?=\d+\.)/, ''))
  return value === null ? address : formatAddress(value)
}

const wrongName = (certificate: PeerCertificate, peerName: string): string | null => {
  const names = [certificate.subject?.CN, ...(certificate.subjectaltname ?? '').split(', ').map((n) => n.replace(/^DNS:/, ''))]
  return names.includes(peerName) ? null : `its certificate is for ${names.filter(Boolean).join(', ') || 'nobody'}, expected ${peerName}`
}

export function openSockets ({ engine, credentials, listen, dial, expected = [], backMs = BACK_MS, onProblem }: SocketOptions): Sockets {
  const known = new Set(expected.map(canonical))
  const open = new Set<TLSSocket>()
  let closing = false
  /** The connection in use. */
  let current: { readonly socket: TLSSocket, readonly index: number } | null = null
  const gone = (socket: TLSSocket): void => { if (current?.socket === socket) current = null }
  const told = new Map<number, string>()
  const problem = (index: number, text: string): void => {
    if (text !== told.get(index) && !closing) onProblem(text)
    told.set(index, text)
  }

  /** The engine's side of a socket that is authenticated. */
  const attach = (socket: TLSSocket, index: number): void => {
    told.delete(index)
    socket.setNoDelay(true)
    const conn: Connection = {
      send: (frame) => {
        if (socket.writableLength > BACKLOG_MAX) socket.destroy() // a peer that asks and does not read
        else if (socket.writable) socket.write(frame)
      },
      close: () => {
        gone(socket)
        socket.destroySoon()
        setTimeout(() => { socket.destroy() }, 1000).unref() // a peer that does not read: what is written never leaves
      }
    }
    socket.on('data', (bytes: Buffer) => { engine.receivedBytes(conn, bytes) })
    socket.on('close', () => {
      gone(socket)
      engine.disconnected(conn, 'the connection is closed')
    })
    current = { socket, index } // before the engine closes the one it takes the place of
    engine.connected(conn)
  }

  const authorised = (socket: TLSSocket): string | null => {
    // rejectUnauthorized is off: a server that passes over the offered key and shows any certificate would do
    if (credentials.kind === 'psk') return socket.isSessionReused() && Object.keys(socket.getPeerCertificate()).length === 0 ? null : 'it has not shown that it has the key'
    if (!socket.authorized) return `its certificate is not accepted: ${String(socket.authorizationError)}`
    return wrongName(socket.getPeerCertificate(), credentials.peerName)
  }

  const secured = (socket: TLSSocket, from: string, index: number): void => {
    const refused = authorised(socket)
    if (refused !== null) {
      problem(index, `the peer ${from} was refused: ${refused}`)
      socket.destroy()
      return
    }
    attach(socket, index)
  }

  const secret = credentials.kind === 'psk'
    ? { pskCallback: (_: unknown, name: string) => (name === identity ? Buffer.from(credentials.key) : null) }
    : { cert: credentials.cert, key: credentials.key, ca: credentials.ca, requestCert: true, rejectUnauthorized: false }
  const raws = new Set<Socket>()
  const listenAt = ({ host, port }: Endpoint, index: number): { readonly address: () => Endpoint | null, readonly close: () => Promise<void> } => {
    const server = createServer({ ...common, ...secret, handshakeTimeout: HANDSHAKE_MS })
    let timer: NodeJS.Timeout | null = null
    server.on('connection', (raw: Socket) => {
      if (raws.size >= (known.has(canonical(raw.remoteAddress ?? '')) ? WAITING_MAX : WAITING_MAX / 2)) {
        raw.destroy()
        return
      }
      raws.add(raw)
      raw.on('close', () => raws.delete(raw))
    })
    server.on('secureConnection', (socket) => {
      open.add(socket)
      socket.on('close', () => open.delete(socket))
      socket.on('error', () => { /* its close follows */ })
      secured(socket, socket.remoteAddress ?? '', index)
    })
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      problem(index, `a connection from ${socket.remoteAddress ?? 'nowhere'} was refused: ${error.message}`)
      socket.destroy() // Node leaves one that timed out open
    })
    const again = (): void => { if (!closing) server.listen(port, host) }
    server.on('error', (error: Error) => { // an address that is not there yet keeps no other waiting
      problem(index, `listening on ${host} port ${port}: ${error.message}`)
      if (!server.listening) timer = setTimeout(again, DIAL_MS[1])
    })
    again()
    return {
      address: () => {
        const at = server.address()
        return at !== null && typeof at === 'object' ? { host: at.address, port: at.port } : null
      },
      close: async () => {
        if (timer !== null) clearTimeout(timer)
        await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
      }
    }
  }

  const listeners = listen.map(listenAt)

  /** While there is no connection, one is being made or waited for. */
  const dialling = new Set<TLSSocket>()
  let timer: NodeJS.Timeout | null = null
  let until = 0
  let delay: number = DIAL_MS[0]
  const call = (index: number): void => {
    const to = dial[index]
    if (to === undefined || closing) return
    const target = `${to.host} port ${to.port}`
    const socket = connect({
      ...common, host: to.host, port: to.port,
      ...(credentials.kind === 'psk'
        ? { pskCallback: () => ({ psk: Buffer.from(credentials.key), identity }), rejectUnauthorized: false }
        : { cert: credentials.cert, key: credentials.key, ca: credentials.ca, rejectUnauthorized: false, servername: credentials.peerName }),
      checkServerIdentity: () => undefined
    })
    open.add(socket)
    dialling.add(socket)
    const handshake = setTimeout(() => { socket.destroy(new Error('no answer')) }, HANDSHAKE_MS)
    socket.once('secureConnect', () => {
      clearTimeout(handshake)
      dialling.delete(socket)
      secured(socket, target, index)
    })
    socket.on('error', (error: Error) => { problem(index, `the peer ${target} cannot be reached: ${error.message}`) })
    let wasUp = false
    socket.on('data', () => { wasUp ||= engine.status().state === 'up' })
    socket.once('close', () => {
      clearTimeout(handshake)
      open.delete(socket)
      dialling.delete(socket)
      gone(socket)
      if (wasUp) delay = DIAL_MS[0] // one that was refused waits longer each time
      next((index + 1) % dial.length)
    })
  }
  const next = (index: number): void => {
    if (closing || current !== null || timer !== null || dialling.size > 0) return
    const wait = delay * (1 + Math.random() / 3)
    until = Date.now() + wait
    timer = setTimeout(() => {
      timer = null
      if (current === null) call(index)
    }, wait)
    if (index === 0) delay = Math.min(2 * delay, DIAL_MS[1])
  }
  call(0)
  const back = dial.length < 2 ? null : setInterval(() => { if (current !== null && current.index > 0 && dialling.size === 0) call(0) }, backMs)

  return {
    listening: () => listeners.map((l) => l.address()),
    path: () => {
      const at = current === null ? null : dial[current.index] ?? listeners[current.index]?.address()
      return current === null || at == null ? null : { index: current.index, address: at }
    },
    waiting: () => timer === null ? null : { until, reason: [...told.values()].at(-1) ?? '' },
    close: async () => {
      closing = true
      if (timer !== null) clearTimeout(timer)
      if (back !== null) clearInterval(back)
      for (const socket of [...open, ...raws]) socket.destroy()
      await Promise.all(listeners.map(async (l) => { await l.close() }))
    }
  }
}
