/** Sockets under the sync engine: TLS 1.3 on both sides, one node listens and the other dials, again and again. Decides nothing. */
import type { Socket } from 'node:net'
import { connect, createServer, type PeerCertificate, type TLSSocket } from 'node:tls'
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
  /** This node listens, or dials. */
  readonly listen: { readonly host: string, readonly port: number } | null
  readonly dial: { readonly host: string, readonly port: number } | null
  /** A connection could not be made, or was refused; once for each cause until one is made. */
  readonly onProblem: (text: string) => void
}

export interface Sockets {
  /** Where it listens, once it does; null when it dials. */
  readonly address: Promise<{ readonly host: string, readonly port: number } | null>
  readonly close: () => Promise<void>
}

/** Explicit, so that figures of two hosts are of one cipher. */
const ciphers = 'TLS_AES_128_GCM_SHA256'
const identity = 'lockstep'
/** Time for the handshake, and between two dials: doubled up to the second, and a third at random. */
const HANDSHAKE_MS = 3000
const DIAL_MS = [100, 2000] as const
/** Connections at a time, those that are not authenticated yet among them: each of these has HANDSHAKE_MS. */
const WAITING_MAX = 32

/** Bytes written and not read: a window and answers. */
const BACKLOG_MAX = windowBytesDefault + (16 << 20)

const common = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers } as const

const wrongName = (certificate: PeerCertificate, peerName: string): string | null => {
  const names = [certificate.subject?.CN, ...(certificate.subjectaltname ?? '').split(', ').map((n) => n.replace(/^DNS:/, ''))]
  return names.includes(peerName) ? null : `its certificate is for ${names.filter(Boolean).join(', ') || 'nobody'}, expected ${peerName}`
}

export function openSockets ({ engine, credentials, listen, dial, onProblem }: SocketOptions): Sockets {
  const open = new Set<TLSSocket>()
  let closing = false
  let timer: NodeJS.Timeout | null = null
  let told = ''
  const problem = (text: string): void => {
    if (text !== told && !closing) onProblem(text)
    told = text
  }

  /** The engine's side of a socket that is authenticated. */
  const attach = (socket: TLSSocket): void => {
    told = ''
    socket.setNoDelay(true)
    const conn: Connection = {
      send: (frame) => {
        if (socket.writableLength > BACKLOG_MAX) socket.destroy() // a peer that asks and does not read
        else if (socket.writable) socket.write(frame)
      },
      close: () => {
        socket.destroySoon()
        setTimeout(() => { socket.destroy() }, 1000).unref() // a peer that does not read: what is written never leaves
      }
    }
    socket.on('data', (bytes: Buffer) => { engine.receivedBytes(conn, bytes) })
    socket.on('close', () => { engine.disconnected(conn, 'the connection is closed') })
    engine.connected(conn)
  }

  const authorised = (socket: TLSSocket): string | null => {
    // rejectUnauthorized is off: a server that passes over the offered key and shows any certificate would do
    if (credentials.kind === 'psk') return socket.isSessionReused() && Object.keys(socket.getPeerCertificate()).length === 0 ? null : 'it has not shown that it has the key'
    if (!socket.authorized) return `its certificate is not accepted: ${String(socket.authorizationError)}`
    return wrongName(socket.getPeerCertificate(), credentials.peerName)
  }

  const secured = (socket: TLSSocket, from: string): void => {
    const refused = authorised(socket)
    if (refused !== null) {
      problem(`the peer ${from} was refused: ${refused}`)
      socket.destroy()
      return
    }
    attach(socket)
  }

  const secret = credentials.kind === 'psk'
    ? { pskCallback: (_: unknown, name: string) => (name === identity ? Buffer.from(credentials.key) : null) }
    : { cert: credentials.cert, key: credentials.key, ca: credentials.ca, requestCert: true, rejectUnauthorized: false }
  const server = listen === null ? null : createServer({ ...common, ...secret, handshakeTimeout: HANDSHAKE_MS })
  const raws = new Set<Socket>()
  server?.on('connection', (raw: Socket) => {
    if (raws.size >= WAITING_MAX) {
      raw.destroy()
      return
    }
    raws.add(raw)
    raw.on('close', () => raws.delete(raw))
  })
  server?.on('secureConnection', (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => { /* its close follows */ })
    secured(socket, socket.remoteAddress ?? '')
  })
  server?.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    problem(`a connection from ${socket.remoteAddress ?? 'nowhere'} was refused: ${error.message}`)
    socket.destroy() // Node leaves one that timed out open
  })
  const address = new Promise<{ readonly host: string, readonly port: number } | null>((resolve) => {
    if (server === null || listen === null) {
      resolve(null)
      return
    }
    const again = (): void => { if (!closing) server.listen(listen.port, listen.host) }
    server.on('error', (error: Error) => {
      problem(`listening on ${listen.host} port ${listen.port}: ${error.message}`)
      if (!server.listening) timer = setTimeout(again, DIAL_MS[1])
    })
    server.once('listening', () => {
      const at = server.address()
      resolve(at !== null && typeof at === 'object' ? { host: at.address, port: at.port } : null)
    })
    again()
  })

  let delay: number = DIAL_MS[0]
  const call = (): void => {
    if (dial === null || closing) return
    const target = `${dial.host} port ${dial.port}`
    const socket = connect({
      ...common, host: dial.host, port: dial.port,
      ...(credentials.kind === 'psk'
        ? { pskCallback: () => ({ psk: Buffer.from(credentials.key), identity }), rejectUnauthorized: false }
        : { cert: credentials.cert, key: credentials.key, ca: credentials.ca, rejectUnauthorized: false, servername: credentials.peerName }),
      checkServerIdentity: () => undefined
    })
    open.add(socket)
    const handshake = setTimeout(() => { socket.destroy(new Error('no answer')) }, HANDSHAKE_MS)
    socket.once('secureConnect', () => {
      clearTimeout(handshake)
      secured(socket, target)
    })
    socket.on('error', (error: Error) => { problem(`the peer ${target} cannot be reached: ${error.message}`) })
    let wasUp = false
    socket.on('data', () => { wasUp ||= engine.status().state === 'up' })
    socket.once('close', () => {
      clearTimeout(handshake)
      open.delete(socket)
      if (closing) return
      if (wasUp) delay = DIAL_MS[0] // one that was refused waits longer each time
      timer = setTimeout(call, delay * (1 + Math.random() / 3))
      delay = Math.min(2 * delay, DIAL_MS[1])
    })
  }
  call()

  return {
    address,
    close: async () => {
      closing = true
      if (timer !== null) clearTimeout(timer)
      for (const socket of [...open, ...raws]) socket.destroy()
      if (server !== null) await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
    }
  }
}
