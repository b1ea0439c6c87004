/**
 * Two or three nodes in one simulated time: a lossy network with two heartbeat paths, a keeper and a dataplane for each node, a disk that
 * takes its time, clocks that differ. Everything comes from one seed. Invariants are looked at after every step.
 */
import type { OwnershipAction, OwnershipEvent } from '../../../src/ha/events.js'
import { defaultTiming, detectionMs, leaseMs, maxLeaseMs } from '../../../src/ha/lease.js'
import { defaultTimers, type HaTimers } from '../../../src/ha/limits.js'
import type { MoveMessage } from '../../../src/ha/move.js'
import { step } from '../../../src/ha/ownership.js'
import { counterOf, mayBecome, type Epoch, type NodeStatus, type Role } from '../../../src/ha/rg.js'
import { newOwnership, statusOf, type OwnershipState } from '../../../src/ha/state.js'
import { config, goodFacts } from './rig.js'

const timing = defaultTiming
const timers: HaTimers = { ...defaultTimers, degradedAfterMs: 3000, restartHoldMs: 4000, betterAfterMs: 500 }
const paths = ['x', 'y']

/** Listening at the longest, twice (who is not ready leaves it to a ready peer that began anew meanwhile), then the wait of nodes that are not ready, a move that fails, a guard; a second for loss on the way. */
export const unownedBoundMs = 2 * maxLeaseMs + timers.degradedAfterMs + timers.moveTimeoutMs + timers.resignGuardMs + 2 * detectionMs(timing) + 1000
/** Two owners that hear each other: a heartbeat must get through. */
export const contestedBoundMs = 2 * detectionMs(timing) + 500

export function random (seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let x = Math.imul(a ^ (a >>> 15), 1 | a)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296
  }
}

interface Plane { role: Role, epoch: Epoch, deadlineMs: number }
/** Local time = simulated time + offset. */
interface Host {
  readonly name: string
  readonly index: number
  readonly offsetMs: number
  /** Null: the agent is away or dead. */
  agent: OwnershipState | null
  /** The machine runs: keeper and dataplane. */
  up: boolean
  hungUntilMs: number
  boots: number
  life: number
  seq: bigint
  lastWord: NodeStatus | null
  readonly disk: Map<number, Epoch>
  hasState: boolean
  generation: bigint
  wakeDueMs: number
  readonly planes: Plane[]
  /** Highest epoch this disk life set as owner. */
  readonly highest: Epoch[]
  readonly eligibleSinceMs: number[]
}

interface Timed { readonly atMs: number, readonly n: number, readonly run: () => void }

export class Network {
  nowMs = 0
  steps = 0
  readonly hosts: Host[]
  readonly rgs: readonly number[] = [0, 1]
  readonly #rand: () => number
  readonly #queue: Timed[] = []
  #n = 0
  /** `from>to/path` that are cut. */
  readonly cut = new Set<string>()
  lossRate: number
  /** Nothing but the network is random: nodes are ready, and answer what they are asked. */
  readonly #calm: boolean
  readonly #chaosSteps: number
  readonly witness: boolean
  witnessSeen = true
  readonly #unownedSinceMs: number[]
  readonly #contestedSinceMs = new Map<string, number>()
  readonly epochUser = new Map<string, string>()
  /** Leases that ended although their owner lived. */
  lapses = 0

  constructor (seed: number, over: { readonly nodes?: number, readonly loss?: number, readonly witness?: boolean, readonly chaos?: boolean, readonly chaosSteps?: number } = {}) {
    this.#rand = random(seed)
    const nodes = over.nodes ?? (this.chance(0.7) ? 2 : 3)
    this.lossRate = over.loss ?? this.#rand() * 0.2
    this.witness = over.witness ?? this.chance(0.3)
    this.hosts = ['a', 'b', 'c'].slice(0, nodes).map((name, i): Host => ({
      name, index: i + 1, offsetMs: Math.floor(this.#rand() * 1e7), agent: null, up: false, hungUntilMs: 0, boots: 0, life: 0, seq: 0n, lastWord: null,
      disk: new Map(), hasState: this.chance(0.5), generation: 1n, wakeDueMs: Infinity, planes: this.rgs.map(() => ({ role: 'init', epoch: 0n, deadlineMs: 0 })),
      highest: this.rgs.map(() => 0n), eligibleSinceMs: this.rgs.map(() => Infinity),
    }))
    this.#unownedSinceMs = this.rgs.map(() => 0)
    for (const host of this.hosts) this.after(this.#rand() * 1000, () => { this.boot(host) })
    this.#calm = over.chaos === false
    this.#chaosSteps = over.chaosSteps ?? Infinity
    if (over.chaos !== false) this.after(1000, () => { this.#chaos() })
  }

  chance (p: number): boolean { return this.#rand() < p }
  pick<T> (list: readonly T[]): T {
    const found = list[Math.floor(this.#rand() * list.length)]
    if (found === undefined) throw new Error('nothing to pick')
    return found
  }

  after (ms: number, run: () => void): void {
    const item = { atMs: this.nowMs + ms, n: this.#n++, run }
    const q = this.#queue
    let i = q.push(item) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = q[up]
      if (parent === undefined || parent.atMs < item.atMs || (parent.atMs === item.atMs && parent.n < item.n)) break
      q[i] = parent
      q[up] = item
      i = up
    }
  }

  #take (): Timed | undefined {
    const q = this.#queue
    const first = q[0]
    const last = q.pop()
    if (first === undefined || last === undefined || q.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      const left = q[child]
      const right = q[child + 1]
      if (left === undefined) break
      let least = left
      if (right !== undefined && (right.atMs < left.atMs || (right.atMs === left.atMs && right.n < left.n))) { least = right; child++ }
      if (last.atMs < least.atMs || (last.atMs === least.atMs && last.n < least.n)) break
      q[i] = least
      i = child
    }
    q[i] = last
    return first
  }

  /** Runs until so many steps of agents, or until a time. */
  run (limit: { readonly steps?: number, readonly untilMs?: number }): this {
    const steps = this.steps + (limit.steps ?? Infinity)
    while (this.steps < steps) {
      const next = this.#queue[0]
      if (next === undefined || next.atMs > (limit.untilMs ?? Infinity)) break
      this.#take()
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.run()
    }
    if (limit.untilMs !== undefined) this.nowMs = limit.untilMs
    return this
  }

  // ── A node ──

  boot (host: Host): void {
    if (host.up) return
    host.up = true
    host.boots++
    host.seq = 0n
    host.planes.forEach((_, i) => { host.planes[i] = { role: 'init', epoch: 0n, deadlineMs: 0 } })
    this.#startAgent(host, [])
    const { boots } = host
    const beat = (): void => {
      if (!host.up || host.boots !== boots) return
      if (this.nowMs >= host.hungUntilMs) this.#heartbeat(host)
      this.after(timing.intervalMs, beat)
    }
    this.after(this.#rand() * timing.intervalMs, beat)
  }

  #startAgent (host: Host, adopted: ReadonlyArray<{ readonly rg: number, readonly epoch: Epoch }>): void {
    host.life++
    host.agent = newOwnership(config({
      node: host.name, nodeIndex: host.index, bootId: `${host.name}${host.boots}`, peers: this.hosts.filter(h => h !== host).map(h => h.name), witness: this.witness, timing, timers,
      generation: host.generation, rgs: this.rgs.map(rg => ({ rg, priority: 100 + (rg === 0 ? host.index : -host.index) * 10, preempt: rg === 1 })),
    }))
    if (adopted.length === 0) for (const plane of host.planes) plane.role = 'init'
    this.#give(host, { kind: 'started', epochs: host.hasState ? new Map(host.disk) : null, adopted })
    host.hasState = true
    this.#give(host, { kind: 'witness', seen: this.witnessSeen })
    const facts = this.#calm || this.chance(0.6) ? goodFacts : { ...goodFacts, provenEqual: false, interfacesDown: 1 }
    for (const rg of this.rgs) this.#give(host, { kind: 'readiness', rg, facts })
  }

  crash (host: Host, loseDisk: boolean): void {
    host.up = false
    host.agent = null
    host.life++
    host.lastWord = null
    host.eligibleSinceMs.fill(Infinity)
    if (loseDisk) {
      host.disk.clear()
      host.highest.fill(0n)
      host.hasState = false
    }
    // The programs in the kernel go on until their lease ends.
  }

  restartAgent (host: Host, announced: boolean, awayMs: number): void {
    if (host.agent === null) return
    if (announced) this.#give(host, { kind: 'outlives', outlives: true })
    if (host.agent === null) return
    host.lastWord = statusOf(host.agent, host.seq)
    host.agent = null
    host.life++
    host.eligibleSinceMs.fill(Infinity)
    const { boots } = host
    this.after(awayMs, () => {
      if (!host.up || host.boots !== boots || host.agent !== null) return
      const local = this.nowMs + host.offsetMs
      const adopted = this.rgs.flatMap(rg => {
        const plane = host.planes[rg]
        return plane !== undefined && plane.role === 'owner' && plane.deadlineMs > local ? [{ rg, epoch: plane.epoch }] : []
      })
      for (const [rg, plane] of host.planes.entries()) if (!adopted.some(a => a.rg === rg)) plane.role = 'init'
      this.#startAgent(host, adopted)
    })
  }

  /** Keeper: tells what the agent would tell; while the agent is away the last word, and the lease goes on until a newer epoch is heard, or a peer asks for it. */
  #heartbeat (host: Host): void {
    let status: NodeStatus
    if (host.agent !== null) status = statusOf(host.agent, host.seq++)
    else if (host.lastWord !== null) {
      status = { ...host.lastWord, seq: host.seq++, agent: 'away', rgs: host.lastWord.rgs.map(s => ({ ...s, role: host.planes[s.rg]?.role ?? 'init' })) }
      for (const plane of host.planes) if (plane.deadlineMs > this.nowMs + host.offsetMs) plane.deadlineMs = this.nowMs + host.offsetMs + leaseMs(timing)
    } else return
    for (const to of this.hosts) {
      if (to === host) continue
      for (const path of paths) this.#transmit(host, to, path, () => { this.#hear(to, path, status) })
    }
  }

  #hear (host: Host, path: string, status: NodeStatus): void {
    if (host.agent !== null) return this.#give(host, { kind: 'heartbeat', path, status })
    for (const s of status.rgs) {
      const plane = host.planes[s.rg]
      if (plane !== undefined && (s.role === 'owner' ? s.epoch > plane.epoch : s.asks && s.epoch >= plane.epoch)) { plane.role = 'init'; plane.deadlineMs = 0 }
    }
  }

  #transmit (from: Host, to: Host, path: string, deliver: () => void): void {
    if (this.cut.has(`${from.name}>${to.name}/${path}`) || this.chance(this.lossRate)) return
    const arrive = (): void => {
      if (!to.up) return
      // A hung machine finds what came meanwhile when it goes on.
      if (this.nowMs < to.hungUntilMs) this.after(to.hungUntilMs - this.nowMs, arrive)
      else deliver()
    }
    const copies = this.chance(0.02) ? 2 : 1
    for (let i = 0; i < copies; i++) this.after(1 + this.#rand() * (this.chance(0.02) ? 400 : 30), arrive)
  }

  #give (host: Host, event: OwnershipEvent extends infer E ? E extends { readonly nowMs: number } ? Omit<E, 'nowMs'> : never : never): void {
    if (host.agent === null) return
    const { life } = host
    this.steps++
    const done = step(host.agent, { ...event, nowMs: this.nowMs + host.offsetMs } as OwnershipEvent)
    host.agent = done.state
    for (const action of done.actions) this.#obey(host, life, action)
    this.#check()
  }

  /** Later, in this life of the agent, and not while the machine hangs. */
  #later (host: Host, life: number, ms: number, run: () => void): void {
    const due = (): void => {
      if (host.life !== life) return
      if (this.nowMs < host.hungUntilMs) this.after(host.hungUntilMs - this.nowMs, due)
      else run()
    }
    this.after(ms, due)
  }

  #obey (host: Host, life: number, action: OwnershipAction): void {
    switch (action.kind) {
      case 'persistEpoch':
        this.#later(host, life, 1 + this.#rand() * 30, () => {
          if (action.epoch > (host.disk.get(action.rg) ?? 0n)) host.disk.set(action.rg, action.epoch)
          this.#give(host, { kind: 'persisted', rg: action.rg, epoch: action.epoch })
        })
        return
      case 'setRole': return this.#setRole(host, life, action)
      case 'send': {
        const to = this.hosts.find(h => h.name === action.message.to)
        const { message } = action
        // Messages go over the sync connection: one path or the other, in any order here.
        if (to !== undefined) this.#transmit(host, to, this.pick(paths), () => { this.#message(to, message) })
        return
      }
      case 'drain': {
        const seq = BigInt(this.steps)
        if (this.#calm || this.chance(0.95)) this.#later(host, life, 5 + this.#rand() * 50, () => { this.#give(host, { kind: 'drained', rg: action.rg, moveId: action.moveId, seq }) })
        return
      }
      case 'cut': {
        const equal = this.#calm || this.chance(0.9)
        if (this.#calm || this.chance(0.95)) this.#later(host, life, 5 + this.#rand() * 50, () => { this.#give(host, { kind: 'cut', rg: action.rg, moveId: action.moveId, equal }) })
        return
      }
      case 'wakeAt': {
        const at = action.atMs - host.offsetMs
        if (at <= this.nowMs) throw new Error(`${host.name} asks for a wake-up at ${at}, now is ${this.nowMs}`)
        host.wakeDueMs = at
        this.#later(host, life, at - this.nowMs, () => { if (host.wakeDueMs === at) this.#give(host, { kind: 'tick' }) })
        return
      }
      case 'announce': case 'withdraw': case 'event':
    }
  }

  #message (host: Host, message: MoveMessage): void { this.#give(host, { kind: 'moveMessage', message }) }

  #setRole (host: Host, life: number, { rg, role, epoch, leaseDeadlineMs }: Extract<OwnershipAction, { kind: 'setRole' }>): void {
    const plane = host.planes[rg]
    if (plane === undefined) return
    const local = this.nowMs + host.offsetMs
    if (plane.role !== role && !mayBecome(plane.role, role)) throw new Error(`${host.name} rg ${rg}: ${plane.role} to ${role} is not in the table`)
    const was = plane.role === 'owner' || plane.role === 'yield'
    if (role === 'owner') {
      if (host.disk.get(rg) === undefined || (host.disk.get(rg) ?? 0n) < epoch) throw new Error(`${host.name} rg ${rg}: epoch ${epoch} is used before it is on disk`)
      if (epoch < (host.highest[rg] ?? 0n)) throw new Error(`${host.name} rg ${rg}: epoch fell from ${host.highest[rg]} to ${epoch}`)
      host.highest[rg] = epoch
      const user = this.epochUser.get(`${rg}/${epoch}`)
      // A node that lost its disk alone in the world may count anew; others never share an epoch.
      if (user !== undefined && user !== host.name) throw new Error(`rg ${rg}: epoch ${epoch} of ${user} and ${host.name}`)
      this.epochUser.set(`${rg}/${epoch}`, host.name)
      if (was && plane.epoch === epoch && plane.role === 'owner' && plane.deadlineMs !== 0 && plane.deadlineMs <= local && leaseDeadlineMs !== 0) {
        // Whoever stamps renews no lease that has ended.
        this.lapses++
        this.#later(host, life, 1, () => { this.#give(host, { kind: 'lapsed', rgs: [rg] }) })
        return
      }
    }
    plane.role = role
    plane.epoch = epoch
    plane.deadlineMs = leaseDeadlineMs
  }

  // ── Invariants ──

  valid (host: Host, rg: number): boolean {
    const plane = host.planes[rg]
    return plane !== undefined && plane.deadlineMs > this.nowMs + host.offsetMs
  }

  owners (rg: number): Host[] { return this.hosts.filter(h => h.planes[rg]?.role === 'owner' && this.valid(h, rg)) }

  #connected (a: Host, b: Host): boolean {
    const open = (from: Host, to: Host): boolean => paths.some(path => !this.cut.has(`${from.name}>${to.name}/${path}`))
    return open(a, b) && open(b, a) && a.agent !== null && b.agent !== null && this.nowMs >= a.hungUntilMs && this.nowMs >= b.hungUntilMs
  }

  #check (): void {
    for (const rg of this.rgs) {
      this.#checkContest(rg)
      this.#checkAlone(rg)
    }
  }

  #checkContest (rg: number): void {
    const owners = this.owners(rg)
    if (owners.length < 2) {
      for (const key of this.#contestedSinceMs.keys()) if (key.startsWith(String(rg))) this.#contestedSinceMs.delete(key)
      return
    }
    if (new Set(owners.map(h => h.planes[rg]?.epoch)).size !== owners.length) throw new Error(`rg ${rg}: two owners in one epoch`)
    for (const [i, a] of this.hosts.entries()) {
      for (const b of this.hosts.slice(i + 1)) {
        const key = `${rg}${a.name}${b.name}`
        if (!(owners.length > 1 && owners.includes(a) && owners.includes(b) && this.#connected(a, b))) this.#contestedSinceMs.delete(key)
        else {
          const since = this.#contestedSinceMs.get(key) ?? this.nowMs
          this.#contestedSinceMs.set(key, since)
          if (this.nowMs - since > contestedBoundMs) throw new Error(`rg ${rg}: ${a.name} and ${b.name} hear each other and both own since ${since}`)
        }
      }
    }
  }

  #checkAlone (rg: number): void {
    if (this.hosts.some(h => (h.planes[rg]?.role === 'owner' || h.planes[rg]?.role === 'yield') && this.valid(h, rg))) this.#unownedSinceMs[rg] = this.nowMs
    for (const host of this.hosts) {
      if (this.steps % 8 === 0 || !Number.isFinite(host.eligibleSinceMs[rg] ?? Infinity)) this.#noteEligible(host, rg)
      const since = Math.max(host.eligibleSinceMs[rg] ?? Infinity, this.#unownedSinceMs[rg] ?? 0)
      if (this.nowMs - since > unownedBoundMs) throw new Error(`rg ${rg}: nobody owns since ${this.#unownedSinceMs[rg]}, although ${host.name} may; ${this.describe()}`)
    }
  }

  #noteEligible (host: Host, rg: number): void {
    const word = host.agent === null || this.nowMs < host.hungUntilMs ? undefined : statusOf(host.agent, 0n).rgs[rg]
    const eligible = word !== undefined && word.holds.every(h => h === 'listening' || h === 'resigned')
    host.eligibleSinceMs[rg] = !eligible ? Infinity : Math.min(host.eligibleSinceMs[rg] ?? Infinity, this.nowMs)
  }

  /** The highest epoch that any agent knows. */
  known (rg: number): Epoch {
    return this.hosts.reduce((highest, h) => {
      const epoch = h.agent === null ? 0n : statusOf(h.agent, 0n).rgs[rg]?.epoch ?? 0n
      return epoch > highest ? epoch : highest
    }, 0n)
  }

  describe (): string {
    return this.hosts.map(h => `${h.name}${h.up ? '' : ' down'} ${h.agent === null ? '' : statusOf(h.agent, 0n).rgs.map(s => `${s.rg}:${s.role}@${counterOf(s.epoch)} ${s.holds.join()} ${s.ready ? 'ready' : s.reasons.join()}`).join(' ')}`).join(' | ') + ` at ${this.nowMs}`
  }

  // ── What happens to them ──

  partition (on: boolean, pairs: ReadonlyArray<readonly [Host, Host]> = this.hosts.flatMap(a => this.hosts.filter(b => b !== a).map(b => [a, b] as const)), which: readonly string[] = paths): void {
    for (const [a, b] of pairs) for (const path of which) this.cut[on ? 'add' : 'delete'](`${a.name}>${b.name}/${path}`)
  }

  command (host: Host, command: Extract<OwnershipEvent, { kind: 'command' }>['command']): void { this.#give(host, { kind: 'command', command }) }

  setWitness (seen: boolean): void {
    this.witnessSeen = seen
    for (const host of this.hosts) this.#give(host, { kind: 'witness', seen })
  }

  #chaos (): void {
    if (this.steps >= this.#chaosSteps) return
    this.after(100 + this.#rand() * 900, () => { this.#chaos() })
    const host = this.pick(this.hosts)
    const other = this.pick(this.hosts.filter(h => h !== host))
    const rg = this.pick(this.rgs)
    const command = (kind: 'hold' | 'release' | 'reset', h = host): void => { this.command(h, { kind, rgs: [rg] }) }
    const deeds: ReadonlyArray<readonly [number, () => void]> = [
      [3, () => { this.partition(true, [[host, other]], [this.pick(paths)]) }],
      [2, () => { this.partition(true, [[host, other], [other, host]]) }],
      [6, () => { this.cut.clear() }],
      [2, () => { if (host.up) { const lose = this.chance(0.2); this.crash(host, lose); this.after(500 + this.#rand() * 4000, () => { this.boot(host) }) } }],
      [2, () => { this.restartAgent(host, this.chance(0.6), 200 + this.#rand() * 5000) }],
      [1, () => { host.hungUntilMs = Math.max(host.hungUntilMs, this.nowMs + this.#rand() * 1500) }],
      [8, () => { this.command(host, { kind: 'switchover', rgs: this.chance(0.5) ? [rg] : this.rgs, to: this.chance(0.5) ? host.name : other.name }) }],
      [1, () => { command('hold') }],
      [3, () => { for (const h of this.hosts) command('release', h) }],
      [1, () => { for (const h of this.hosts) command('reset', h) }],
      [2, () => { this.#give(host, { kind: 'monitors', rg, lostWeight: this.pick([0, 0, 20, 255]) }) }],
      [3, () => { this.#give(host, { kind: 'readiness', rg, facts: { ...goodFacts, provenEqual: this.chance(0.8), interfacesDown: this.chance(0.2) ? 1 : 0 } }) }],
      [1, () => { this.setWitness(!this.witnessSeen) }],
      [1, () => { this.#newGeneration() }],
    ]
    let at = this.#rand() * deeds.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, deed] of deeds) {
      at -= weight
      if (at < 0) return deed()
    }
  }

  /** An apply that reaches every node, some later. */
  #newGeneration (): void {
    const generation = this.hosts.reduce((g, h) => h.generation > g ? h.generation : g, 0n) + 1n
    for (const host of this.hosts) this.after(this.#rand() * 1500, () => { this.#apply(host, generation) })
  }

  #apply (host: Host, generation: bigint): void {
    if (host.generation >= generation) return
    host.generation = generation
    if (host.agent !== null) this.#give(host, { kind: 'configured', generation, rgs: host.agent.config.rgs })
  }

  /** Everything well again, and no more chaos after what is under way. */
  heal (): void {
    this.cut.clear()
    this.lossRate = 0.02
    this.witnessSeen = true
    const generation = this.hosts.reduce((g, h) => h.generation > g ? h.generation : g, 0n)
    for (const host of this.hosts) {
      this.boot(host)
      host.generation = generation
      if (host.agent !== null) this.#give(host, { kind: 'configured', generation, rgs: host.agent.config.rgs })
      this.#give(host, { kind: 'witness', seen: true })
      for (const rg of this.rgs) {
        this.#give(host, { kind: 'command', command: { kind: 'release', rgs: [rg] } })
        this.#give(host, { kind: 'monitors', rg, lostWeight: 0 })
        this.#give(host, { kind: 'readiness', rg, facts: goodFacts })
      }
    }
  }
}
