/**
 * START HERE. One node's half of a pair: keeps the peer's copies of the groups it owns, and its own copies of the peer's, equal, and knows that they are.
 *
 *   drained changes -> Outgoing -> Window -> connection            peer's frames -> Incoming -> table, acknowledged
 *
 * Events in (connected, received, disconnected, drained, own, tick), frames out. Streams outlive connections: what the peer has not acknowledged is sent
 * again; what is lost begins another stream, and the next cut shows what differs. docs/design/0010-replication.md
 */
import { limits } from '../../generated/layout.js'
import { Hello } from '../../generated/proto/lockstep/peer/v1/peer.js'
import { recordBytes } from '../../native/records.js'
import { firstOrdered, frameOf, headerBytes, typeOf, seqOf, FrameError, FrameReader, seal, type Frame } from './frame.js'
import { Incoming, type GroupCopy, type Repair, type RepairCosts } from './incoming.js'
import { Outgoing } from './outgoing.js'
import { defaultTimes, frameType, groups, placeOf, readPlace, setAuditAge, viewOf, type SketchKeys, type Surroundings, type SyncTimes } from './protocol.js'
import { Window } from './window.js'

export interface Connection {
  readonly send: (frame: Uint8Array) => void
  /** The engine has no more use for it. */
  readonly close: (reason: string) => void
}

/** Who this node is to its peer. */
export interface Self {
  readonly node: string
  /** Of the session table's life, 16 bytes. */
  readonly table: Uint8Array
  readonly generation: number
  /** Hash of all names and ids that sessions refer to. */
  readonly ids: Uint8Array
  readonly capacity: number
}

export interface EngineOptions {
  readonly world: Surroundings
  readonly self: Self
  /** Bytes that the peer may be behind. */
  readonly windowBytes?: number
  readonly times?: Partial<SyncTimes>
  /** What the peer says beside the stream that is not the engine's own: moves, configurations and rings. */
  readonly onMessage?: (type: number, body: Uint8Array) => void
  readonly costs?: RepairCosts
}

/**
 * `down` no connection · `hello` connected, nothing heard yet · `up` in order · `differs` connected, but names and ids are not equal: no row crosses,
 * a configuration may · `refused` connected to one that is no peer of ours
 */
export type LinkState = 'down' | 'hello' | 'up' | 'differs' | 'refused'
export const linkMoves = {
  down: ['hello'], hello: ['up', 'differs', 'refused', 'down', 'hello'], up: ['up', 'differs', 'down', 'hello', 'refused'], differs: ['up', 'differs', 'down', 'hello', 'refused'], refused: ['down', 'hello']
} as const satisfies Record<LinkState, readonly LinkState[]>

export const windowBytesDefault = 64 << 20
/** Slots that one tick counts into sketches that are being built: a few milliseconds. */
const COUNT_SLOTS = 16_384

export interface EngineStatus {
  readonly state: LinkState
  /** Why the peer was refused, or how it differs; '' otherwise. */
  readonly refusal: string
  readonly peer: string | null
  readonly peerGeneration: number | null
  readonly peerCapacity: number | null
  /** Age of the oldest change that the peer has not acknowledged; null: it has no stream of ours. */
  readonly lagMs: number | null
  readonly aheadBytes: number
  /** Every session that is here is in the sketch. */
  readonly counted: boolean
  readonly sent: Outgoing['counts']
  readonly received: Incoming['counts']
  readonly groups: ReadonlyArray<GroupCopy | null>
}

/** A cut that waited in the window says nothing of audits: their age was counted when it was made. */
function resent (frame: Uint8Array): Uint8Array {
  if (typeOf(frame) !== frameType.cut) return frame
  setAuditAge(frame.subarray(headerBytes), null)
  return seal(frame, seqOf(frame))
}

export class SyncEngine {
  private link: LinkState = 'down'
  private refusal = ''
  private conn: Connection | null = null
  private reader = new FrameReader()
  private peer: Hello | null = null
  private window: Window | null = null
  private received = { stream: 0n, seq: 0, expected: false }
  private acknowledged = 0
  /** Where the stream stood when the last connection ended with a frame that is none. */
  private failedAt = -1
  private heardAtMs = 0
  /** When the rings were last seen empty. */
  private dryAtMs: number | null = null
  /** Changes that are being pushed came from here on. */
  private sinceMs: number | null = null
  private dry = true
  private saidAtMs = 0
  private whole = true
  private self: Self
  private auditCursor = 0
  private auditFromMs: number | null = null
  private auditedFromMs: number | null = null
  private auditAtMs = -Infinity
  private readonly slots: number
  private readonly times: SyncTimes
  private readonly outgoing: Outgoing
  private readonly incoming: Incoming

  constructor (private readonly o: EngineOptions & { readonly slots: number, readonly onLag?: (ms: number) => void }) {
    this.times = { ...defaultTimes, ...o.times }
    this.slots = o.slots
    this.self = o.self
    const recount = (): void => { this.whole = false }
    const keys: SketchKeys = Array.from({ length: groups }, () => null)
    this.outgoing = new Outgoing(o.world, keys, {
      push: (frame) => { this.push(frame) }, aside: (frame) => { this.aside(frame) }, lastSeq: () => (this.window?.nextSeq ?? 1) - 1, ahead: () => this.window?.bytes ?? 0, aheadMax: o.windowBytes ?? windowBytesDefault
    }, this.times, recount)
    this.incoming = new Incoming(o.world, keys, (rg) => this.outgoing.owns(rg), (frame) => { this.aside(frame) }, recount, o.costs)
    recount() // a table that was adopted has sessions
  }

  get state (): LinkState { return this.link }

  private move (to: LinkState): void {
    if (to !== this.link && !(linkMoves[this.link] as readonly LinkState[]).includes(to)) throw new Error(`the sync link goes from ${this.link} to ${to}`)
    this.link = to
  }

  // --- connections ------------------------------------------------------------------------------------------------------------------------------

  /** A newer connection takes the place of an older one, whose events are heard no more (H46). */
  connected (conn: Connection): void {
    const old = this.conn
    this.conn = conn
    if (old !== null) {
      this.incoming.lost()
      old.close('another connection took its place')
    }
    this.reader = new FrameReader()
    this.received.expected = false
    this.heardAtMs = this.o.world.nowMs()
    this.move('hello')
    conn.send(seal(frameOf({ type: frameType.hello, body: this.hello() }), 0))
  }

  private hello (): Uint8Array {
    const { self } = this
    return Hello.encode({
      versionMin: 1, versionMax: limits.LS_PEER_VERSION, node: self.node, table: Buffer.from(self.table), generation: BigInt(self.generation), ids: Buffer.from(self.ids),
      recordBytes, capacity: BigInt(self.capacity), stream: this.window?.stream ?? 0n, firstSeq: BigInt(this.window?.firstSeq ?? 1),
      receivedStream: this.received.stream, receivedSeq: BigInt(this.received.seq)
    }).finish()
  }

  disconnected (conn: Connection, reason: string): void {
    if (conn !== this.conn) return
    this.conn = null
    if (this.link === 'up') this.o.world.event('sync.lost', { peer: this.peer?.node ?? null, reason })
    this.move('down')
    this.incoming.lost()
  }

  /** Ends the connection from this side. The stream stays. */
  private drop (reason: string): void {
    const conn = this.conn
    if (conn === null) return
    this.aside(frameOf({ type: frameType.bye, body: new TextEncoder().encode(reason) }))
    this.disconnected(conn, reason)
    conn.close(reason)
  }

  private refuse (reason: string): void {
    this.refusal = reason
    this.o.world.event('sync.refused', { peer: this.peer?.node ?? null, reason })
    this.move('refused')
    this.drop(reason)
  }

  /** Bytes of the connection. Whatever they are, nothing of it throws. */
  receivedBytes (conn: Connection, bytes: Uint8Array): void {
    if (conn !== this.conn) return
    try {
      this.reader.read(bytes, (frame) => { if (conn === this.conn) this.frame(frame) })
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.o.world.event('sync.protocol', { peer: this.peer?.node ?? null, reason: error.message })
      this.drop(error.message)
      if (this.failedAt === this.received.seq) this.received = { stream: 0n, seq: 0, expected: false } // sent again it is no better: the peer begins another stream
      this.failedAt = this.received.seq
    }
    this.acknowledge()
  }

  private frame (frame: Frame): void {
    this.heardAtMs = this.o.world.nowMs()
    if (this.link === 'hello') {
      if (frame.type !== frameType.hello) throw new FrameError(`a frame of type ${frame.type} before the hello`)
      this.greeted(frame.body)
      return
    }
    if (frame.type >= firstOrdered) {
      if (this.link === 'up') this.ordered(frame) // else it will be sent again
      return
    }
    switch (frame.type) {
      case frameType.stream: this.streamOf(frame.body); break
      case frameType.ack: this.acked(frame.body); break
      case frameType.cells: if (!this.incoming.cells(frame)) throw new FrameError('cells that are none'); break
      case frameType.cellsWant: case frameType.cutWant: case frameType.need: case frameType.bulkWant: this.outgoing.asked(frame, this.o.world.nowMs()); break
      case frameType.bye: this.drop(`the peer says: ${Buffer.from(frame.body).toString('utf8').slice(0, 200)}`); break
      case frameType.hello: this.greeted(frame.body); break // it has applied another configuration
      case frameType.move: case frameType.config: case frameType.configAck: case frameType.rings: this.o.onMessage?.(frame.type, frame.body); break
      default: // of a newer peer: what is not known beside the stream is ignored
    }
  }

  private greeted (body: Uint8Array): void {
    let hello: Hello
    try {
      hello = Hello.decode(body)
    } catch {
      throw new FrameError('a hello that is none')
    }
    this.peer = hello
    this.judge(hello)
  }

  /** What this node is to its peer has changed: it is told, and both judge anew. */
  present (self: Self): void {
    this.self = self
    if (this.conn === null) return
    this.conn.send(seal(frameOf({ type: frameType.hello, body: this.hello() }), 0))
    const same = this.peer !== null && Buffer.compare(this.peer.ids, self.ids) === 0
    if (this.peer !== null && (this.link === 'differs' || (this.link === 'up' && !same))) this.judge(this.peer)
  }

  private judge (hello: Hello): void {
    const { self } = this
    if (hello.versionMin > limits.LS_PEER_VERSION || hello.versionMax < 1) {
      this.refuse(`the peer ${hello.node} speaks wire versions ${hello.versionMin} to ${hello.versionMax}, this node 1 to ${limits.LS_PEER_VERSION}: upgrade the older of the two`)
    } else if (hello.node === self.node) {
      this.refuse(`the peer has this node's own name, ${hello.node}: give each node its own`)
    } else if (hello.recordBytes < recordBytes || hello.recordBytes % 8 !== 0 || hello.recordBytes > 4096) {
      this.refuse(`the peer ${hello.node} has session records of ${hello.recordBytes} bytes, this node of ${recordBytes}: upgrade the older of the two`)
    } else if (Buffer.compare(hello.ids, self.ids) !== 0) {
      this.refusal = `the peer ${hello.node} has other zones, policies, VIPs or groups (its configuration generation ${hello.generation}, ours ${self.generation}): apply the same configuration on both`
      if (this.link !== 'differs') this.o.world.event('sync.differs', { peer: hello.node, reason: this.refusal })
      this.received.expected = false
      this.incoming.lost()
      this.move('differs')
    } else {
      this.refusal = ''
      this.move('up')
      this.start(hello)
    }
  }

  /** Where the stream goes on: behind what the peer has of it, or from the beginning of another. */
  private start (hello: Hello): void {
    // It may have acknowledged more since it said hello.
    const has = this.window === null ? 0 : Math.max(Number(hello.receivedSeq), this.window.firstSeq - 1)
    const again = this.window !== null && hello.receivedStream === this.window.stream ? this.window.after(has) : null
    if (this.window === null || again === null) {
      this.o.world.event('sync.connected', { peer: hello.node })
      this.newStream()
      return
    }
    this.window.acknowledge(has, this.o.world.nowMs())
    this.o.world.event('sync.resumed', { peer: hello.node, frames: again.length })
    this.aside(frameOf({ type: frameType.stream, body: placeOf(this.window.stream, this.window.firstSeq) }))
    for (const frame of again) this.conn?.send(resent(frame))
  }

  private newStream (): void {
    this.window = new Window(viewOf(this.o.world.random(8)).getBigUint64(0, true) | 1n, this.o.windowBytes ?? windowBytesDefault)
    this.aside(frameOf({ type: frameType.stream, body: placeOf(this.window.stream, 1) }))
    this.outgoing.begin()
  }

  // --- out ------------------------------------------------------------------------------------------------------------------------------------------

  private aside (frame: Uint8Array): void { this.conn?.send(seal(frame, 0)) }

  /** Beside the stream, for the peer's `onMessage`. False: nobody hears it. */
  say (type: number, body: Uint8Array): boolean {
    if (this.link !== 'up' && this.link !== 'differs') return false
    this.aside(frameOf({ type, body }))
    return true
  }

  private push (frame: Uint8Array): void {
    if (this.window === null) return // nobody has heard of this stream; the next one begins with a cut
    if (this.window.push(frame, this.o.world.nowMs(), this.sinceMs ?? this.o.world.nowMs())) {
      if (this.link === 'up') this.conn?.send(frame)
      return
    }
    // Too far behind: what is kept is let go, and a comparison finds what the peer lacks.
    this.o.world.event('sync.overrun', { peer: this.peer?.node ?? null, bytes: this.window.bytes })
    this.window = null
    this.drop('too far behind: the changes no longer fit into the window')
  }

  private acked (body: Uint8Array): void {
    const place = readPlace(body)
    if (place === null) throw new FrameError('an acknowledgement that is none')
    if (this.window === null || place.stream !== this.window.stream) return
    for (const ms of this.window.acknowledge(place.seq, this.o.world.nowMs()) ?? []) this.o.onLag?.(ms)
    this.outgoing.pump()
  }

  // --- in -------------------------------------------------------------------------------------------------------------------------------------------

  private streamOf (body: Uint8Array): void {
    const place = readPlace(body)
    if (place === null || !Number.isSafeInteger(place.seq) || place.seq < 1) throw new FrameError('a stream that is none')
    if (place.stream !== this.received.stream) {
      this.received = { stream: place.stream, seq: place.seq - 1, expected: true }
      this.acknowledged = place.seq - 1
      this.incoming.begin(this.o.world.nowMs())
      return
    }
    if (place.seq > this.received.seq + 1) throw new FrameError(`a stream that goes on at ${place.seq} after ${this.received.seq}`)
    this.received.expected = true
  }

  private ordered (frame: Frame): void {
    if (!this.received.expected) throw new FrameError(`a frame of type ${frame.type} of no stream`)
    if (frame.seq <= this.received.seq) return // sent again
    if (frame.seq !== this.received.seq + 1) throw new FrameError(`frame ${frame.seq} after ${this.received.seq}`)
    if (!this.incoming.ordered(frame, this.o.world.nowMs(), this.auditedFromMs)) throw new FrameError(`a frame of type ${frame.type} with rows that are none`)
    this.received.seq = frame.seq
  }

  private acknowledge (): void {
    const nowMs = this.o.world.nowMs()
    if ((this.link !== 'up' && this.link !== 'differs') || (this.acknowledged === this.received.seq && nowMs - this.saidAtMs < this.times.silenceMs / 4)) return
    this.saidAtMs = nowMs
    this.acknowledged = this.received.seq
    this.aside(frameOf({ type: frameType.ack, body: placeOf(this.received.stream, this.received.seq) }))
  }

  // --- the table ----------------------------------------------------------------------------------------------------------------------------------

  /** Groups that this node owns from here on, a bit each, and the epoch of every group. */
  own (owned: number, epochs: readonly bigint[]): void {
    this.outgoing.own(owned, epochs)
    this.incoming.roles(epochs)
  }

  /** Asks the peer for a whole group, for who does not trust the copy. Only while connected. */
  bulk (rg: number): void {
    if (this.state === 'up') this.incoming.all(rg)
  }

  /** Records that were drained. `overruns`: notices that were lost; an audit finds what they were about (R9). `dry`: the rings had no more. */
  drained (records: Uint8Array, n: number, overruns: number, dry = true): number {
    if (overruns > 0) {
      this.auditFromMs = null // this pass goes on, and proves nothing
      this.auditedFromMs = null
    }
    const nowMs = this.o.world.nowMs()
    this.sinceMs = this.dryAtMs ?? nowMs
    if (dry) this.dryAtMs = nowMs
    this.dry = dry
    const rows = n > 0 ? this.outgoing.note(records, n) : 0
    this.sinceMs = null
    return rows
  }

  /** Place of the last frame of our stream; 0: there is none. */
  get lastSeq (): number { return (this.window?.nextSeq ?? 1) - 1 }

  /** Another cut of the group, by whichever side owns it. */
  wantCut (rg: number): void {
    if (this.outgoing.owns(rg)) this.outgoing.wantCut(rg)
    else this.incoming.wantCut(rg)
  }

  /** The stream that is received, or was last; 0: none. */
  get receivedStream (): bigint { return this.received.stream }

  /** What comparisons found of late, oldest first. */
  get repairs (): readonly Repair[] { return this.incoming.repairs }

  group (rg: number): GroupCopy | null { return this.incoming.group(rg) }

  /** Every few milliseconds. */
  tick (): void {
    const nowMs = this.o.world.nowMs()
    if (!this.whole && this.o.world.replica.count(COUNT_SLOTS)) {
      this.whole = true
      this.incoming.counted()
    }
    this.audit(nowMs)
    if (this.link === 'up') this.outgoing.tick(nowMs, this.whole, this.auditedFromMs === null ? null : nowMs - this.auditedFromMs)
    this.acknowledge()
    if (this.conn !== null && nowMs - this.heardAtMs > this.times.silenceMs) this.drop(`nothing was heard for ${this.times.silenceMs} ms`)
  }

  private audit (nowMs: number): void {
    if (!this.whole) return
    const passed = Math.min(1, (nowMs - this.auditAtMs) / this.times.auditMs)
    const slots = Math.min(4096, Math.ceil(this.slots * (this.auditAtMs === -Infinity ? 0 : passed)) + 64)
    this.auditAtMs = nowMs
    if (this.auditCursor === 0) this.auditFromMs = nowMs
    const { cursor } = this.outgoing.audit(this.auditCursor, slots)
    this.auditCursor = cursor ?? 0
    if (cursor === null && this.auditFromMs !== null) this.auditedFromMs = this.auditFromMs
  }

  /** There is work that does not wait for anything: the next tick should come at once. */
  get busy (): boolean { return !this.whole }

  /** Of what may be missing at the peer. */
  private lagMs (): number | null {
    const nowMs = this.o.world.nowMs()
    return this.window === null ? null : Math.max(this.window.lagMs(nowMs), this.dry ? 0 : nowMs - (this.dryAtMs ?? nowMs))
  }

  status (): EngineStatus {
    return {
      state: this.link, refusal: this.refusal, peer: this.peer?.node ?? null, peerGeneration: this.peer === null ? null : Number(this.peer.generation),
      peerCapacity: this.peer === null ? null : Number(this.peer.capacity), lagMs: this.lagMs(), aheadBytes: this.window?.bytes ?? 0, counted: this.whole,
      sent: { ...this.outgoing.counts }, received: this.incoming.total(), groups: Array.from({ length: limits.LS_RGS_MAX }, (_, rg) => this.incoming.group(rg))
    }
  }
}
