/**
 * A host of a simulated cluster: a real table under a HaNode, a heart, a disk, and a dataplane that opens, changes and ends sessions where its role in the table
 * allows it. The agent may crash, hang and come back on the same table; with the host the table goes too.
 */
import type { OwnershipNote, RgConfig } from '../../src/ha/events.js'
import { defaultTiming, leaseStampNs } from '../../src/ha/lease.js'
import { defaultTimers, type HaTimers } from '../../src/ha/limits.js'
import { HaNode, type NodeWorld } from '../../src/ha/node.js'
import { claims, type Epoch, type NodeStatus, type Role } from '../../src/ha/rg.js'
import type { Connection, Self, SyncEngine } from '../../src/ha/sync/engine.js'
import type { SyncEventName } from '../../src/ha/sync/protocol.js'
import { recordBytes } from '../../src/native/records.js'
import type { NativeTable } from '../../src/native/binding.js'
import { roleNumbers, roleOf } from '../../src/native/roles.js'
import { capacity, Dataplane, idOf, type DataplaneOptions } from './dataplane.js'
import { Heart, heartRules, type HeartRules } from './heart.js'
import type { Random } from './random.js'

export const timing = defaultTiming
export const timers: HaTimers = { ...defaultTimers, degradedAfterMs: 3000, restartHoldMs: 4000, betterAfterMs: 500 }
const persistAgainMs = 1000

/** A defect that is planted on purpose. */
export interface Plant {
  readonly patch?: () => () => void
  readonly heart?: Partial<HeartRules>
  readonly world?: (world: NodeWorld, host: Host) => NodeWorld
  readonly hear?: (status: NodeStatus, host: Host) => NodeStatus
  readonly creates?: (role: Role) => boolean
}

/** Who looks at what a host does, before it is done. */
export interface Observer {
  readonly role: (host: Host, rg: number, to: Role, epoch: Epoch) => void
  readonly announced: (host: Host, rg: number) => void
  readonly said: (host: Host, status: NodeStatus) => void
  readonly opened: (host: Host, rg: number) => void
  readonly ended: (host: Host, rg: number, id: string) => void
  readonly asked: (host: Host, rg: number) => void
  readonly note: (host: Host, note: OwnershipNote) => void
  readonly synced: (host: Host, name: SyncEventName) => void
}

export interface HostOptions extends DataplaneOptions {
  readonly index: number
  readonly groups: readonly number[]
  readonly plant: Plant
  readonly observer: Observer
  readonly send: (status: NodeStatus) => void
}

interface Later { readonly atMs: number, readonly life: number, readonly run: () => void }
interface Opening { readonly atMs: number, readonly tuple: number, readonly rg: number, readonly lost: boolean }

export class Host extends Dataplane {
  ha: HaNode | null = null
  conn: Connection | null = null
  heart: Heart
  up = false
  outlives = true
  boots = 0
  generation = 1
  ids = 1
  readonly disk = new Map<number, Epoch>()
  hasState: boolean
  diskFullUntilMs = 0
  agentHangsUntilMs = 0
  hangsUntilMs = 0
  private hangsFromMs = 0
  /** Since when, in the world's time. */
  agentSinceMs = 0
  agentAwaySinceMs = 0
  /** Of sessions of which a notice was lost. */
  readonly unsent = new Set<string>()
  /** Opened and drained since this stream began, and when. */
  readonly tracked = new Map<string, { readonly tuple: number, readonly rg: number, readonly epoch: Epoch, readonly atMs: number }>()
  private known: ReturnType<NativeTable['groups']> | null = null
  private life = 0
  private later: Later[] = []
  private openings: Opening[] = []
  private ring: Array<{ readonly records: Uint8Array, readonly n: number, readonly overruns: number }> = []
  private readonly shown = new Map<number, string>()

  constructor (override readonly o: HostOptions) {
    super(o)
    this.hasState = this.random.chance(0.5)
    this.heart = this.newHeart()
  }

  private get random (): Random { return this.o.random }
  get engine (): SyncEngine | null { return this.ha?.engine ?? null }
  get hangs (): boolean { return this.worldMs < this.hangsUntilMs }
  get agentHangs (): boolean { return this.hangs || this.worldMs < this.agentHangsUntilMs }
  /** The machine stops: nothing of it runs, and it hears nothing. */
  hang (ms: number): void {
    if (!this.hangs) this.hangsFromMs = this.worldMs
    this.hangsUntilMs = this.worldMs + ms
  }
  /** Since it hung for so long at least; not within this time: Infinity. */
  awakeMs (hungMs: number): number { return this.hangsUntilMs - this.hangsFromMs < hungMs ? Infinity : this.worldMs - this.hangsUntilMs }
  get reads (): boolean { return !this.agentHangs }
  get index (): number { return this.o.index }

  // --- lives ------------------------------------------------------------------------------------------------------------------------------------

  private newHeart (): Heart {
    const { o } = this
    return new Heart(`${o.name}${this.boots}`, timing, {
      table: { groups: () => this.groups(), setRole: (...a) => { this.write(...a) } }, nowMs: () => this.nowMs(), lives: () => this.ha !== null || this.outlives,
      send: (status) => {
        o.observer.said(this, status)
        o.send(status)
      },
      asked: (rg) => { o.observer.asked(this, rg) },
      lapsed: (rgs) => { this.soon(0, () => { this.ha?.lapsed(rgs) }) }
    }, { ...heartRules, ...o.plant.heart })
  }

  /** The heart first; the agent comes after. */
  boot (): void {
    if (this.up) return
    this.up = true
    this.boots++
    for (const rg of this.o.groups) this.write(rg, roleNumbers.init, 0n, 0n) // a new table owns everything for ever, as a node without a peer does
    const before = this.heart
    this.heart = this.newHeart()
    if (this.o.plant.heart?.forgets === false && before.word !== null) this.heart.say(before.word)
  }

  /** The machine is gone, and its table. */
  crash (diskLost: boolean): void {
    this.stopAgent()
    this.up = false
    this.openings = []
    this.unsent.clear()
    this.renew(true)
    this.known = null
    if (!diskLost) return
    this.disk.clear()
    this.hasState = false
  }

  stopAgent (): void {
    this.life++
    this.ha = null
    this.conn = null
    this.ring = []
    this.tracked.clear()
    this.heart.attend(false)
    this.agentAwaySinceMs = this.worldMs
  }

  crashAgent (): void {
    this.stopAgent()
    this.renew(false)
  }

  startAgent (): void {
    if (!this.up || this.ha !== null) return
    this.life++
    this.agentSinceMs = this.worldMs
    this.shown.clear()
    const { o } = this
    const world = this.newWorld()
    const ha = new HaNode({
      world: o.plant.world?.(world, this) ?? world, self: this.self(), slots: this.table.info().slots, windowBytes: o.windowBytes,
      ownership: { node: o.name, nodeIndex: o.index, bootId: '', peers: [o.index === 1 ? 'b' : 'a'], witness: false, timing, timers, generation: BigInt(this.generation), rgs: this.rgs() }
    })
    this.ha = ha
    const held = this.heart.owned()
    this.heart.attend(true)
    ha.booted(this.heart.bootId)
    ha.outlives(this.outlives)
    ha.started(this.hasState ? new Map(this.disk) : null, held)
    this.hasState = true
    for (const rg of o.groups) ha.facing(rg, { interfacesDown: 0, nextHopsUnresolved: 0, keeperAlive: true, blockingAlarms: [] })
  }

  private self (): Self { return { node: this.o.name, table: this.random.bytes(16), generation: this.generation, ids: Uint8Array.from([this.ids]), capacity } }
  private rgs (): readonly RgConfig[] { return this.o.groups.map((rg, i) => ({ rg, priority: 100 + (i % 2 === 0 ? this.o.index : -this.o.index) * 10, preempt: i === 1 })) }

  apply (generation: number, ids: number): void {
    this.generation = generation
    this.ids = ids
    this.ha?.configured(generation, this.rgs(), this.self())
  }

  private newWorld (): NodeWorld {
    const { o } = this
    const life = this.life
    const mine = (run: () => void) => (): void => { if (this.life === life) run() }
    return {
      replica: this.replica, nowMs: () => this.nowMs(), random: (n) => this.random.bytes(n), event: (name) => {
        if (name === 'sync.connected' || name === 'sync.overrun') this.tracked.clear()
        o.observer.synced(this, name)
      },
      setRole: (rg, role, epoch, deadlineMs) => {
        // Who says a role begins its lease; the heart renews it.
        const text = `${role} ${epoch}`
        if (this.shown.get(rg) === text) return
        this.shown.set(rg, text)
        o.observer.role(this, rg, role, epoch)
        this.write(rg, roleNumbers[role], epoch, leaseStampNs(deadlineMs))
      },
      leaseEnded: (rg, epoch) => {
        const { role, epoch: known, valid } = this.role(rg)
        return claims(role) && known === epoch && !valid
      },
      say: (status) => { this.heart.say(status) },
      catchUp: (turn) => { this.soon(0, () => { this.ha?.caughtUp(turn, this.heart.awakeSinceMs) }) },
      persist: (rg, epoch) => { this.persist(rg, epoch, mine) },
      announce: (rg) => { o.observer.announced(this, rg) },
      withdraw: () => { /* the network goes by the last announcement */ },
      note: (note) => { o.observer.note(this, note) },
      grace: (turn) => {
        const openings = this.openings.reduce((last, p) => Math.max(last, p.atMs), this.worldMs)
        this.soon(openings - this.worldMs + this.random.next() * 15, () => { this.ha?.graced(turn) })
      }
    }
  }

  private persist (rg: number, epoch: Epoch, mine: (run: () => void) => () => void): void {
    this.soon(1 + this.random.next() * 30, mine(() => {
      if (this.worldMs < this.diskFullUntilMs) {
        this.soon(persistAgainMs, mine(() => { this.persist(rg, epoch, mine) }))
        return
      }
      if (epoch > (this.disk.get(rg) ?? 0n)) this.disk.set(rg, epoch)
      this.ha?.persisted(rg, epoch)
    }))
  }

  /** Not while the agent hangs, and not in another life of it. */
  soon (ms: number, run: () => void): void { this.later.push({ atMs: this.worldMs + ms, life: this.life, run }) }

  // --- the dataplane ----------------------------------------------------------------------------------------------------------------------------

  /** As the table has them; asked anew after each change. */
  private groups (): ReturnType<NativeTable['groups']> { return (this.known ??= this.table.groups()) }
  private write (...role: Parameters<NativeTable['setRole']>): void {
    this.known = null
    this.table.setRole(...role)
  }

  role (rg: number): { readonly role: Role, readonly epoch: Epoch, readonly valid: boolean } {
    const group = this.groups()[rg]
    return group === undefined || !this.up
      ? { role: 'init', epoch: 0n, valid: false }
      : { role: roleOf(group.role) ?? 'init', epoch: group.epoch, valid: group.leaseDeadlineNs > leaseStampNs(this.nowMs()) && (this.ha !== null || this.outlives) }
  }

  private creates (rg: number): boolean {
    const { role, valid } = this.role(rg)
    return valid && (this.o.plant.creates?.(role) ?? role === 'owner')
  }

  /** The first packet of a flow: what is allowed now is in the table a moment later. */
  packet (tuple: number, rg: number, lost: boolean): void {
    if (this.creates(rg)) this.openings.push({ atMs: this.worldMs + this.random.next() * 40, tuple, rg, lost })
  }

  hit (tuple: number, rg: number, lost: boolean): void {
    if (!this.creates(rg)) return
    this.losing(tuple, lost)
    this.change(tuple, lost)
  }

  async over (tuple: number, rg: number, lost: boolean): Promise<void> {
    if (!this.creates(rg)) return
    this.losing(tuple, lost)
    const id = await this.end(tuple, lost)
    if (id !== null) this.o.observer.ended(this, rg, id)
  }

  private losing (tuple: number, lost: boolean): void {
    const record = lost ? this.find(tuple) : null
    if (record !== null) this.unsent.add(idOf(record))
  }

  private install (): void {
    const due = this.openings.filter((p) => p.atMs <= this.worldMs)
    if (due.length === 0) return
    this.openings = this.openings.filter((p) => p.atMs > this.worldMs)
    for (const { tuple, rg, lost } of due) {
      if (!this.open(tuple, rg, lost)) continue
      const record = this.find(tuple)
      if (record === null) continue
      if (lost) this.unsent.add(idOf(record))
      else if (this.ha !== null && claims(this.role(rg).role)) this.tracked.set(idOf(record), { tuple, rg, epoch: this.role(rg).epoch, atMs: this.nowMs() })
      this.o.observer.opened(this, rg)
    }
  }

  protected override drained (records: Uint8Array, n: number, overruns: number): void { if (this.ha !== null) this.ring.push({ records: records.slice(0, n * recordBytes), n, overruns }) }

  // --- time -------------------------------------------------------------------------------------------------------------------------------------

  heard (path: string, status: NodeStatus): void {
    if (!this.up) return
    const taken = this.o.plant.hear?.(status, this) ?? status
    if (this.hangs) return // a socket keeps some and drops the rest: late is no news
    if (this.heart.hear(taken)) {
      const atMs = this.nowMs()
      this.soon(0, () => { this.ha?.heard(path, taken, atMs) })
    }
  }

  tick (): void {
    if (!this.up) return
    this.install()
    if (this.hangs) return
    this.heart.tick()
    if (this.agentHangs || this.ha === null) return
    const due = this.later.filter((l) => l.atMs <= this.worldMs)
    this.later = this.later.filter((l) => l.atMs > this.worldMs)
    for (const { life, run } of due) if (life === this.life) run()
    this.flush()
    this.ha?.tick()
    this.replica.settle()
  }

  /** What is in the rings; not always all at once. */
  private flush (): void {
    this.drain(false)
    const dry = this.random.chance(0.9)
    const taken = dry ? this.ring : this.ring.slice(0, Math.ceil(this.ring.length / 2))
    this.ring = this.ring.slice(taken.length)
    const records = Buffer.concat(taken.map((r) => r.records))
    this.ha?.drained(records, taken.reduce((n, r) => n + r.n, 0), taken.reduce((n, r) => n + r.overruns, 0), dry)
  }
}
