/**
 * A listener for BMP (RFC 7854): routers connect and tell of sessions that come and go. At first they tell of all there are, without saying when that is done.
 * A connection is a scope; when it ends nobody knows what its sessions do. Moments are those of arrival: what routers write there is of other changes.
 */
import { createServer, type Socket } from 'node:net'
import type { BgpNeighbour } from '../../contract/bgp.js'
import { LockstepError } from '../../contract/errors.js'
import { causeOf } from '../../lib/cause-of.js'
import { addressText } from '../../lib/address-text.js'
import { parseEndpoint, formatAddress } from '../../lib/address.js'
import { neighbour, type Provider } from './provider.js'

const VERSION = 3
const TYPE = { down: 2, up: 3, initiation: 4, termination: 5 } as const
/** A peer type that stands for a table (RFC 9069). */
const LOC_RIB = 3
const HEADER = 6
const PER_PEER = 42
/** Of one message; a route message is a BGP message with two headers. */
export const BMP_MESSAGE_BYTES_MAX = 1 << 17
const ROUTERS_MAX = 64
const PEERS_MAX = 1 << 16
/** What comes together is told together, and the first time there is more to come. */
const GATHER_MS = 20
const FIRST_MS = 500

export interface BmpMessage { readonly type: number, readonly body: Buffer }

const malformed = (what: string, found: string): LockstepError => new LockstepError('unavailable', 'LS_G_BMP', what, { object: 'BMP', found })

/** Messages of a stream, whatever the pieces it comes in. */
export class BmpReader {
  private rest = Buffer.alloc(0)

  /** @throws unavailable LS_G_BMP: this is not BMP 3; nothing that follows can be read */
  take (chunk: Uint8Array): BmpMessage[] {
    const bytes = this.rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.rest, chunk])
    const found: BmpMessage[] = []
    let at = 0
    while (bytes.length - at >= HEADER) {
      const [version, length] = [bytes.readUInt8(at), bytes.readUInt32BE(at + 1)]
      if (version !== VERSION) throw malformed('is of another version', String(version))
      if (length < HEADER || length > BMP_MESSAGE_BYTES_MAX) throw malformed('has a message of an impossible length', String(length))
      if (bytes.length - at < length) break
      found.push({ type: bytes.readUInt8(at + 5), body: bytes.subarray(at + HEADER, at + length) })
      at += length
    }
    this.rest = bytes.subarray(at)
    return found
  }
}

const reasons: Readonly<Record<number, string>> = { 1: 'closed here', 2: 'closed here without a notification', 3: 'closed by the peer', 4: 'closed by the peer without a notification', 5: 'no longer monitored' }
/** RFC 4486, subcodes of Cease. */
const cease: Readonly<Record<number, string>> = { 1: 'maximum number of prefixes', 2: 'administrative shutdown', 3: 'peer deconfigured', 4: 'administrative reset', 5: 'connection rejected', 6: 'configuration change', 7: 'connection collision', 8: 'out of resources' }
const notifications: Readonly<Record<number, string>> = { 1: 'message header error', 2: 'OPEN message error', 3: 'UPDATE message error', 4: 'hold timer expired', 5: 'finite state machine error', 6: 'cease' }

/**
 * What one router has told, over all its connections. Repetitions change nothing: routers tell of every failed attempt to connect, and when they come again of all
 * sessions that are up. One whose TCP ports are those of before never ended.
 */
export class BmpRouter {
  private readonly peers = new Map<string, BgpNeighbour>()
  /** TCP ports of sessions that are up, here and there; and who has not been told on this connection yet. */
  private readonly ports = new Map<string, number>()
  private readonly untold = new Set<string>()
  /** It has said goodbye; '' when it did not say why. */
  ended: string | null = null

  constructor (private readonly vrf: string | null) {}

  /** On this connection. */
  get neighbours (): readonly BgpNeighbour[] { return [...this.peers].flatMap(([key, peer]) => this.untold.has(key) ? [] : [peer]) }

  /** Another connection: it tells everything again. */
  again (): void {
    this.ended = null
    for (const key of this.peers.keys()) this.untold.add(key)
  }

  /** Does it change anything? @throws unavailable LS_G_BMP: shorter than it must be, or too many peers */
  hear ({ type, body }: BmpMessage, at: number): boolean {
    if (type === TYPE.termination) {
      this.ended = 'the router ended the session'
      return true
    }
    if (type !== TYPE.up && type !== TYPE.down) return false
    if (body.length < PER_PEER + (type === TYPE.up ? 20 : 1)) throw malformed('has a message that is too short', `${body.length} bytes`)
    if (body.readUInt8(0) === LOC_RIB) return false
    const six = (body.readUInt8(1) & 0x80) !== 0
    const distinguisher = body.readBigUInt64BE(2)
    const [peer, remoteAs] = [six ? addressText(body, 10) : ipv4(body, 22), body.readUInt32BE(26)]
    const vrf = distinguisher === 0n ? this.vrf ?? 'default' : distinguisherText(distinguisher)
    const key = `${vrf}\n${peer}`
    const before = this.peers.get(key)
    if (before === undefined && this.peers.size === PEERS_MAX) throw malformed('has too many peers', `more than ${PEERS_MAX}`)
    if (type === TYPE.up) {
      const local = six ? addressText(body, PER_PEER) : ipv4(body, PER_PEER + 12)
      const [again, ports] = [this.untold.delete(key), body.readUInt32BE(PER_PEER + 16)]
      const same = again && before?.established === true && this.ports.get(key) === ports
      this.ports.set(key, ports)
      if (same) return true
      // without a Peer Down before it this is another session all the same
      const drops = before?.established === true ? (before.drops ?? 0) + 1 : before?.drops ?? 0
      this.peers.set(key, neighbour({ source: 'bmp', vrf, peer, local, remoteAs, established: true, fsm: 'established', since: at, drops, reason: before?.reason ?? null, description: before?.description ?? null }))
      return true
    }
    const again = this.untold.delete(key)
    this.ports.delete(key)
    const code = body.readUInt8(PER_PEER)
    if (code === 5) return this.peers.delete(key)
    if (before !== undefined && !before.established) return again
    this.peers.set(key, neighbour({
      source: 'bmp', vrf, peer, remoteAs, established: false, since: before === undefined ? null : at, drops: before === undefined ? 0 : (before.drops ?? 0) + 1,
      reason: before === undefined ? null : reasonOf(code, body.subarray(PER_PEER + 1)), description: before?.description ?? null
    }))
    return true
  }
}

/** `rest`: of a notification the whole BGP message. */
function reasonOf (code: number, rest: Buffer): string {
  const words = reasons[code] ?? `reason ${code}`
  if ((code !== 1 && code !== 3) || rest.length < 21) return words
  const [error, sub] = [rest.readUInt8(19), rest.readUInt8(20)]
  const detail = error === 6 ? cease[sub] : sub === 0 ? undefined : `subcode ${sub}`
  return `${words}: ${notifications[error] ?? `error ${error}`}${detail === undefined ? '' : `, ${detail}`}`
}

const ipv4 = (b: Buffer, at: number): string => [0, 1, 2, 3].map(i => b.readUInt8(at + i)).join('.')

/** RFC 4364, section 4.2. */
function distinguisherText (value: bigint): string {
  const type = value >> 48n
  if (type === 1n) return `${formatAddress(0xffffn << 32n | (value >> 16n & 0xffffffffn))}:${value & 0xffffn}`
  return type === 2n ? `${value >> 16n & 0xffffffffn}:${value & 0xffffn}` : `${value >> 32n & 0xffffn}:${value & 0xffffffffn}`
}

export interface BmpOptions {
  readonly name: string
  readonly listen: string
  readonly vrf: string | null
  /** It listens here now; `null`: no longer. */
  readonly onListening?: (port: number) => void
}

export function bmpProvider ({ name, listen, vrf, onListening }: BmpOptions): Provider {
  const endpoint = parseEndpoint(listen)
  return {
    source: 'bmp', scope: name, read: null,
    follow: (told) => {
      /** Places of connections: a router that comes again, by its address, finds its own, and what it told before. */
      const places = new Map<number, Socket>()
      const routers = new Map<number, { readonly address: string, readonly router: BmpRouter }>()
      const placeOf = (address: string): number => {
        for (const [place, had] of routers) if (had.address === address && !places.has(place)) return place
        for (let place = 0; place < ROUTERS_MAX; place++) if (!routers.has(place)) return place
        for (let place = 0; place < ROUTERS_MAX; place++) if (!places.has(place)) return place
        return ROUTERS_MAX
      }
      const timers = new Set<NodeJS.Timeout>()
      let closed = false
      const scopeOf = (place: number): string => place === 0 ? name : `${name}/${place + 1}`
      const failed = (scope: string, reason: string): void => { if (!closed) told({ source: 'bmp', scope, at: Date.now(), ok: false, reason }) }
      const server = createServer((socket) => {
        const address = socket.remoteAddress ?? ''
        const place = placeOf(address)
        if (place === ROUTERS_MAX) return socket.destroy()
        const had = routers.get(place)
        const router = had?.address === address ? had.router : new BmpRouter(vrf)
        router.again()
        places.set(place, socket)
        routers.set(place, { address, router })
        serve(socket, scopeOf(place), router, () => { places.delete(place) })
      })
      const serve = (socket: Socket, scope: string, router: BmpRouter, over: () => void): void => {
        const reader = new BmpReader()
        let [timer, first, why]: [NodeJS.Timeout | null, boolean, string] = [null, true, 'the router closed the connection']
        const tell = (): void => {
          if (timer !== null) timers.delete(timer)
          timer = null
          first = false
          if (!closed && router.ended === null) told({ source: 'bmp', scope, at: Date.now(), ok: true, neighbours: router.neighbours })
        }
        const later = (): void => {
          if (timer !== null) return
          timer = setTimeout(tell, first ? FIRST_MS : GATHER_MS)
          timers.add(timer)
        }
        socket.on('data', (chunk: Buffer) => {
          try {
            for (const message of reader.take(chunk)) if (router.hear(message, Date.now()) || first) later()
          } catch (error) {
            why = causeOf(error)
            socket.destroy()
          }
          if (router.ended !== null) socket.destroy()
        })
        socket.on('error', () => undefined)
        socket.on('close', () => {
          over()
          if (timer !== null) {
            clearTimeout(timer)
            timers.delete(timer)
          }
          failed(scope, router.ended ?? why)
        })
      }
      server.on('error', (error) => {
        failed(name, `cannot listen on ${listen}: ${error.message}`)
        const timer = setTimeout(() => { timers.delete(timer); open() }, 5000)
        timers.add(timer)
      })
      server.on('listening', () => {
        failed(name, `listens on ${listen}, and no router has connected yet`)
        const address = server.address()
        if (address !== null && typeof address !== 'string') onListening?.(address.port)
      })
      const open = (): void => { if (!closed) server.listen({ host: endpoint === null ? '127.0.0.1' : formatAddress(endpoint.address), port: endpoint?.port ?? 0 }) }
      open()
      return () => {
        closed = true
        for (const timer of timers) clearTimeout(timer)
        for (const socket of places.values()) socket.destroy()
        server.close()
      }
    }
  }
}
