/**
 * START HERE for a node of a pair: ownership (who owns which group) and replication (whose tables are equal), put together. Ownership asks the
 * engine to drain, to cut and to carry its words; the engine tells ownership what is proven.
 *
 *   heartbeats, commands, facts, time -> ownership -> roles, epochs, announcements        drained records, connections -> engine -> frames
 *                                            drain, cut, move words  <->  places of the stream, proofs
 *
 * Events in, effects out by `NodeWorld`; no socket, no timer, no clock of its own, so that the simulator drives it as the sync thread does.
 */
import { limits } from '../generated/layout.js'
import type { ReadinessFacts } from './readiness.js'
import { claims, type Epoch, type NodeStatus } from './rg.js'
import type { Command, OwnershipConfig, OwnershipEvent, OwnershipNote, RgConfig } from './events.js'
import { detectionMs } from './lease.js'
import { decodeMove, encodeMove } from './move-message.js'
import { step } from './ownership.js'
import { newOwnership, statusOf, type OwnershipState } from './state.js'
import { SyncEngine, type EngineOptions } from './sync/engine.js'
import { frameType, type Surroundings } from './sync/protocol.js'

export interface NodeWorld extends Surroundings {
  /** Into the table. A deadline of 0 is no lease. */
  readonly setRole: (rg: number, role: OwnershipState['rgs'][number]['role'], epoch: Epoch, leaseDeadlineMs: number) => void
  /** The table has the group in this epoch, and its lease has ended. */
  readonly leaseEnded: (rg: number, epoch: Epoch) => boolean
  /** To whoever sends heartbeats; `seq` is his. */
  readonly say: (status: NodeStatus) => void
  /** Write and fsync; then `persisted`. */
  readonly persist: (rg: number, epoch: Epoch) => void
  readonly announce: (rg: number) => void
  readonly withdraw: (rg: number) => void
  readonly note: (note: OwnershipNote) => void
  /** Every packet on its way is through; then `graced`. */
  readonly grace: (turn: number) => void
  /** This thread was held up: what whoever hears heartbeats has for it comes first; then `caughtUp`. */
  readonly catchUp: (turn: number) => void
  /** What the peer says that is for neither the stream nor a move. */
  readonly message?: (type: number, body: Uint8Array) => void
}

/** What this node knows of itself beyond its tables: the rest of ReadinessFacts. */
export type HostFacts = Pick<ReadinessFacts, 'interfacesDown' | 'nextHopsUnresolved' | 'keeperAlive' | 'blockingAlarms'>
export const unknownHost: HostFacts = { interfacesDown: 0, nextHopsUnresolved: 0, keeperAlive: false, blockingAlarms: [] }

export interface NodeOptions extends Omit<EngineOptions, 'world' | 'onMessage'> {
  readonly world: NodeWorld
  readonly slots: number
  readonly ownership: OwnershipConfig
  readonly onLag?: (ms: number) => void
}

/** The giver's drain: it waits for the grace of this turn, then for a drain that leaves nothing. */
interface Drain { readonly rg: number, readonly moveId: string, readonly turn: number, readonly graced: boolean }
/** What was heard after `sinceMs` is not taken yet; if nobody tells by `untilMs`, it counts as not heard. */
interface Behind { readonly turn: number, readonly sinceMs: number, readonly untilMs: number }
/** `stream`: the one that `seq` is a place of. */
interface WantedCut { readonly rg: number, readonly moveId: string, readonly seq: number, readonly stream: bigint }

export class HaNode {
  readonly engine: SyncEngine
  private state: OwnershipState
  private wakeAtMs = -Infinity
  private tickedMs = Infinity
  private turns = 0
  private behind: Behind | null = null
  private drains: readonly Drain[] = []
  private cuts: WantedCut[] = []
  private readonly host = new Map<number, HostFacts>()
  private readonly facts = new Map<number, { readonly host: HostFacts, readonly facts: ReadinessFacts }>()
  private said = ''
  private owned = -1
  private epochs = ''

  constructor (private readonly o: NodeOptions) {
    this.state = newOwnership(o.ownership)
    this.engine = new SyncEngine({ ...o, onMessage: (type, body) => { this.message(type, body) } })
  }

  get ownership (): OwnershipState { return this.state }
  /** When it wants a tick at the latest. */
  get dueAtMs (): number { return this.wakeAtMs }

  // --- events ---------------------------------------------------------------------------------------------------------------------------------

  started (epochs: ReadonlyMap<number, Epoch> | null, adopted: ReadonlyArray<{ readonly rg: number, readonly epoch: Epoch }>): void {
    this.tickedMs = this.o.world.nowMs()
    this.take({ kind: 'started', epochs, adopted })
  }

  /** Another life of whoever holds the leases: all that was said under the other one is of another node. */
  booted (bootId: string): void { this.state = { ...this.state, config: { ...this.state.config, bootId } } }

  /** `atMs`: of its receipt, which may be a while ago when this thread was held up: a peer is not lost because nobody listened. */
  heard (path: string, status: NodeStatus, atMs: number): void { this.take({ kind: 'heartbeat', path, status, heardMs: atMs }) }
  lapsed (rgs: readonly number[]): void { this.take({ kind: 'lapsed', rgs }) }
  persisted (rg: number, epoch: Epoch): void { this.take({ kind: 'persisted', rg, epoch }) }
  outlives (outlives: boolean): void { this.take({ kind: 'outlives', outlives }) }
  command (command: Command): void { this.take({ kind: 'command', command }) }
  monitors (rg: number, lostWeight: number): void { this.take({ kind: 'monitors', rg, lostWeight }) }
  facing (rg: number, facts: HostFacts): void { this.host.set(rg, facts) }

  /** Another configuration is in force here. */
  configured (generation: number, rgs: readonly RgConfig[], self: EngineOptions['self']): void {
    this.take({ kind: 'configured', generation: BigInt(generation), rgs })
    this.engine.present(self)
  }

  graced (turn: number): void {
    this.drains = this.drains.map((d) => d.turn === turn ? { ...d, graced: true } : d)
  }

  /** Records that were drained; `dry`: the rings had no more. */
  drained (records: Uint8Array, n: number, overruns: number, dry: boolean): void {
    // What was graced before this drain began is in it.
    const whole = dry ? this.drains.filter((d) => d.graced) : []
    if (whole.length > 0) this.drains = this.drains.filter((d) => !d.graced)
    this.engine.drained(records, n, overruns, dry)
    for (const { rg, moveId } of whole) {
      this.engine.wantCut(rg)
      this.take({ kind: 'drained', rg, moveId, seq: BigInt(this.engine.lastSeq) })
    }
  }

  /** Every few milliseconds. */
  tick (): void {
    this.wake()
    this.tickedMs = this.o.world.nowMs()
    this.engine.tick()
    this.prove()
    if (this.tickedMs >= this.wakeAtMs) this.take({ kind: 'tick' })
  }

  /** All that was heard before `catchUp` has come. Who hears was awake since then: if not always, the node listens anew. */
  caughtUp (turn: number, awakeSinceMs: number): void {
    this.wake()
    if (this.behind?.turn === turn) this.listened(awakeSinceMs > this.behind.sinceMs)
  }

  private listened (slept: boolean): void {
    this.behind = null
    this.tickedMs = this.o.world.nowMs()
    if (slept) this.lapsed([])
    else this.take({ kind: 'tick' })
  }

  /** It was this node that was silent: what the peer said meanwhile is not taken yet; nobody is lost by that and nothing is decided before, whatever comes first. */
  private wake (): void {
    const { world, ownership: { timing } } = this.o
    const nowMs = world.nowMs()
    const heldUpMs = nowMs - this.tickedMs
    // Held up again before an answer came: what came since then stands behind that one, so it is asked anew.
    if (heldUpMs >= (this.behind === null ? timing.intervalMs : detectionMs(timing)) / 2) {
      const turn = ++this.turns
      this.behind = { ...this.behind ?? { sinceMs: this.tickedMs, untilMs: nowMs + detectionMs(timing) }, turn }
      this.tickedMs = nowMs
      world.catchUp(turn)
    }
    if (this.behind !== null && nowMs >= this.behind.untilMs) this.listened(true)
  }

  private message (type: number, body: Uint8Array): void {
    if (type !== frameType.move) {
      this.o.world.message?.(type, body)
      return
    }
    const message = decodeMove(body)
    if (message !== null) this.take({ kind: 'moveMessage', message })
  }

  // --- between the two ------------------------------------------------------------------------------------------------------------------------

  /** Cuts that a move waits for, and what readiness says of the copies. */
  private prove (): void {
    // Places of another stream prove nothing (D9): the giver may have begun another life, in which it yields nothing.
    const ended = this.cuts.filter(({ rg, seq, stream }) => stream !== this.engine.receivedStream || (this.engine.group(rg)?.equalSeq ?? 0) > seq)
    this.cuts = this.cuts.filter((cut) => !ended.includes(cut))
    for (const { rg, moveId, stream } of ended) this.take({ kind: 'cut', rg, moveId, equal: stream === this.engine.receivedStream })
    for (const { config: { rg }, role, fence } of this.state.rgs) {
      // The stream may know more than the heartbeats: what it refuses from here on, the peer has to hear of.
      const epoch = this.engine.group(rg)?.epoch ?? 0n
      if (!claims(role) && epoch > fence) this.take({ kind: 'seen', rg, epoch })
      this.proveGroup(rg)
    }
  }

  private proveGroup (rg: number): void {
    const copy = this.engine.group(rg)
    const idMapsEqual = this.engine.state === 'up'
    const provenEqual = idMapsEqual && copy?.state === 'equal' && copy.provenAtMs !== null
    const ownerSessions = copy?.items ?? 0
    const host = this.host.get(rg) ?? unknownHost
    const said = this.facts.get(rg)
    if (said?.host === host && said.facts.provenEqual === provenEqual && said.facts.idMapsEqual === idMapsEqual && said.facts.ownerSessions === ownerSessions) return
    // An installed session holds its reply tuple, which is the port.
    const facts = { ...host, provenEqual, idMapsEqual, ownerSessions, capacitySessions: this.o.self.capacity, natPortsUnreserved: 0 }
    this.facts.set(rg, { host, facts })
    this.take({ kind: 'readiness', rg, facts })
  }

  /** The engine sends what this node owns or yields. */
  private shareRoles (): void {
    let owned = 0
    const epochs: bigint[] = new Array<bigint>(limits.LS_RGS_MAX).fill(0n)
    for (const rg of this.state.rgs) {
      if (claims(rg.role)) owned |= 1 << rg.config.rg
      epochs[rg.config.rg] = claims(rg.role) ? rg.epoch : rg.fence
    }
    const text = epochs.join()
    if (owned === this.owned && text === this.epochs) return
    this.owned = owned
    this.epochs = text
    this.engine.own(owned, epochs)
  }

  private take (event: OwnershipEvent extends infer E ? E extends OwnershipEvent ? Omit<E, 'nowMs'> : never : never): void {
    this.wake()
    const nowMs = this.o.world.nowMs()
    const { state, actions } = step(this.state, { heardMs: this.behind?.sinceMs ?? nowMs, ...event, behind: this.behind !== null, nowMs } as OwnershipEvent)
    this.state = state
    const underWay = ({ rg, moveId }: { readonly rg: number, readonly moveId: string }): boolean => state.rgs.some((r) => r.config.rg === rg && r.move?.id === moveId)
    this.drains = this.drains.filter(underWay)
    this.cuts = this.cuts.filter(underWay)
    const { world } = this.o
    const ended: number[] = []
    for (const action of actions) {
      switch (action.kind) {
        case 'setRole':
          // Not again in the same epoch, whoever learns of it first: another may own by now.
          if (claims(action.role) && world.leaseEnded(action.rg, action.epoch)) ended.push(action.rg)
          else world.setRole(action.rg, action.role, action.epoch, action.leaseDeadlineMs)
          break
        case 'persistEpoch': world.persist(action.rg, action.epoch); break
        case 'send': this.engine.say(frameType.move, encodeMove(action.message)); break
        case 'drain': this.drain(action.rg, action.moveId); break
        case 'cut': this.cut(action.rg, action.moveId, Number(action.seq)); break
        case 'announce': world.announce(action.rg); break
        case 'withdraw': world.withdraw(action.rg); break
        case 'event': world.note(action.note); break
        case 'wakeAt': this.wakeAtMs = action.atMs
      }
    }
    if (ended.length > 0) {
      this.lapsed(ended)
      return
    }
    this.shareRoles()
    this.speak()
  }

  /** Heartbeats say what is, as soon as it is. */
  private speak (): void {
    if (this.state.listenUntilMs === null) return // what is said of an earlier life holds until this one has begun
    const status = statusOf(this.state, 0n)
    const text = JSON.stringify(status, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
    if (text === this.said) return
    this.said = text
    this.o.world.say(status)
  }

  /** Asked again while it waits: it goes on waiting. */
  private drain (rg: number, moveId: string): void {
    if (this.drains.some((d) => d.rg === rg && d.moveId === moveId)) return
    const turn = ++this.turns
    this.drains = [...this.drains.filter((d) => d.rg !== rg), { rg, moveId, turn, graced: false }]
    this.o.world.grace(turn)
  }

  private cut (rg: number, moveId: string, seq: number): void {
    if (this.cuts.some((c) => c.moveId === moveId)) this.engine.wantCut(rg) // the one that was due may have been skipped
    else this.cuts = [...this.cuts.filter((c) => c.rg !== rg), { rg, moveId, seq, stream: this.engine.receivedStream }]
  }
}
