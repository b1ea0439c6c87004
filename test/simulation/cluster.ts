/**
 * Two hosts of a cluster under seeded faults and commands: ownership and replication together, on real tables. Every action comes from the seed by its number, so a
 * list of numbers is a run. Invariants (invariants.ts) are looked at after every moment; in the end everything is healed, and both tables are equal and both know.
 */
import type { NativeReplica } from '../../src/native/binding.js'
import { limits } from '../../src/generated/layout.js'
import { claims } from '../../src/ha/rg.js'
import { actionOf, say, shapeOf, type Action } from './faults.js'
import { Heartbeats, paths } from './heartbeats.js'
import { Host, type Plant } from './host.js'
import { Invariants, unownedBoundMs } from './invariants.js'
import { Wire } from './network.js'
import { Random } from './random.js'
import { replacing } from './replace.js'
import { Broken } from './sync.js'

const momentMs = 8
const quietMs = unownedBoundMs + 40_000

export interface ClusterOptions {
  readonly seed: number
  readonly steps: number
  /** Numbers of the actions that are done, of `steps`; the others are left out. */
  readonly keep?: readonly number[]
  readonly plant?: Plant
  readonly trace?: (line: string) => void
}
export type ClusterResult = Readonly<Record<'opened' | 'ended' | 'moves' | 'takeovers' | 'contests' | 'lapses' | 'resumed' | 'repaired' | 'bulks' | 'refused' | 'seconds', number>>

/** I3: of every row that came it is counted what became of it. */
const counting = (broken: (why: string) => never): ((replica: NativeReplica) => NativeReplica) => replacing('apply', (real) => (type, rg, rows, row, n, mark) => {
  const r = real.apply(type, rg, rows, row, n, mark)
  if (r !== null && type !== limits.LS_FRAME_ACTIVITY) {
    const sum = r.installed + r.deleted + r.unknown + r.waiting + r.conflicts + r.full + r.invalid
    if (sum !== n) broken(`I3: ${n} rows came and ${sum} are counted: ${JSON.stringify(r)}`)
  }
  return r
})

export async function simulateCluster (o: ClusterOptions): Promise<ClusterResult> {
  const cluster = new Cluster(o)
  const restore = o.plant?.patch?.()
  try {
    return await cluster.run()
  } finally {
    restore?.()
    cluster.close()
  }
}

class Cluster {
  private nowMs = 0
  private readonly shape
  private readonly hosts: readonly [Host, Host]
  private readonly wire: Wire
  private readonly beats: Heartbeats
  private readonly invariants: Invariants
  private readonly random: Random
  private later: Array<{ readonly atMs: number, readonly run: () => void }> = []
  private streamBlocked = false
  private redialMs = 0
  private generation = 1

  constructor (private readonly o: ClusterOptions) {
    const { seed, plant = {} } = o
    this.shape = shapeOf(seed)
    this.random = Random.of(seed, -1)
    const { groups, windowBytes } = this.shape
    const make = (name: string, index: number): Host => new Host({
      name, index, groups, windowBytes, plant, random: this.random, wrap: counting((why) => this.broken(why)), send: (status) => { this.beats.send(index - 1, status, this.nowMs) },
      observer: {
        role: (...a) => { this.invariants.role(...a) }, announced: (...a) => { this.invariants.announced(...a) }, said: (...a) => { this.invariants.said(...a) },
        opened: (...a) => { this.invariants.opened(...a) }, ended: (...a) => { this.invariants.ended(...a) }, synced: (...a) => { this.invariants.synced(...a) }, asked: (...a) => { this.invariants.asked(...a) },
        note: (host, note) => {
          this.say(`${host.name} ${JSON.stringify(note, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`)
          this.invariants.note(host, note)
        }
      }
    })
    this.hosts = [make('a', 1), make('b', 2)]
    this.wire = new Wire(this.hosts, this.random)
    this.beats = new Heartbeats(this.random, (to, path, status) => {
      const host = this.host(to)
      const hears = host.up && !host.hangs
      if (hears) this.invariants.arrived(host, status)
      host.heard(path, status)
      return hears
    })
    this.invariants = new Invariants({
      nowMs: () => this.nowMs, hosts: this.hosts, groups, windowBytes, reaches: (from) => this.beats.open(from), sentMs: (to) => this.beats.sentMs[to] ?? 0, otherLifeMs: (to) => this.beats.otherLifeMs[to] ?? 0, broken: (why) => this.broken(why)
    })
  }

  private host (i: number): Host { return this.hosts[i as 0 | 1] }
  private say (text: string): void { this.o.trace?.(`${this.nowMs.toFixed(0)} ${text}`) }
  private broken (why: string): never { throw new Broken(`cluster seed ${this.o.seed}, ${this.o.steps} steps, at ${this.nowMs.toFixed(0)} ms`, why) }
  private after (ms: number, run: () => void): void { this.later.push({ atMs: this.nowMs + ms, run }) }

  close (): void { for (const host of this.hosts) host.close() }

  async run (): Promise<ClusterResult> {
    const { seed, steps, keep } = this.o
    for (const host of this.hosts) this.after(this.random.next() * 500, () => { this.boot(host) })
    for (const n of keep ?? Array(steps).keys()) {
      const action = actionOf(seed, n, this.shape)
      if (action.kind !== 'pass' && action.kind !== 'open' && action.kind !== 'change' && action.kind !== 'end') this.say(`#${n} ${say(action)}`)
      await this.act(action)
    }
    return await this.quiet()
  }

  // --- time ---------------------------------------------------------------------------------------------------------------------------------

  private pass (ms: number): void {
    for (let left = ms; left > 0; left -= momentMs) this.moment(Math.min(left, momentMs))
  }

  private moment (ms: number): void {
    this.nowMs += ms
    for (const host of this.hosts) host.worldMs = this.nowMs
    const due = this.later.filter((l) => l.atMs <= this.nowMs)
    this.later = this.later.filter((l) => l.atMs > this.nowMs)
    for (const { run } of due) run()
    this.beats.deliver(this.nowMs)
    this.dial()
    if (!this.streamBlocked) this.wire.deliver(this.nowMs)
    for (const host of this.hosts) host.tick()
    this.invariants.look()
  }

  private dial (): void {
    if (this.wire.connected) this.redialMs = this.nowMs + 100
    else if (!this.streamBlocked && this.nowMs >= this.redialMs && this.hosts.every((h) => h.ha !== null && !h.agentHangs)) this.wire.connect(this.nowMs)
  }

  // --- what happens -------------------------------------------------------------------------------------------------------------------------

  private async act (a: Action): Promise<void> {
    const { wire, beats } = this
    const rgOf = (tuple: number): number => this.shape.groups[tuple % this.shape.groups.length] ?? 0
    switch (a.kind) {
      case 'pass': this.pass(a.ms); break
      case 'open': for (const host of this.hosts) host.packet(a.tuple, rgOf(a.tuple), a.lost); break
      case 'change': for (const host of this.hosts) host.hit(a.tuple, rgOf(a.tuple), a.lost); break
      case 'end': for (const host of this.hosts) await host.over(a.tuple, rgOf(a.tuple), a.lost); break
      case 'switchover': this.command(a.at, { kind: 'switchover', rgs: a.rgs, to: this.host(a.to).name }); break
      case 'hold': case 'release': case 'reset': this.command(a.at, { kind: a.kind, rgs: a.rgs }); break
      case 'monitors': if (!this.host(a.at).agentHangs) this.host(a.at).ha?.monitors(a.rg, a.lost); break
      case 'path': beats.cut(a.from, a.path, true); break
      case 'partition':
        for (const from of [0, 1]) for (const path of paths) beats.cut(from, path, true)
        this.streamBlocked ||= a.stream
        break
      case 'heal': this.heal(); break
      case 'weather':
        Object.assign(beats, { loss: a.loss, doubled: a.doubled, jitterMs: a.jitterMs })
        Object.assign(wire, { delayMs: a.delayMs, speed: a.speed })
        break
      case 'replay': beats.replay(a.from, a.path, a.nth, this.nowMs); break
      case 'replayMove': wire.replayMove(a.nth); break
      case 'cut': wire.cut('cut'); break
      case 'corrupt': wire.corrupt = true; break
      case 'freeze': wire.frozen = true; break
      case 'agentCrash': this.crashAgent(this.host(a.at), a.ms); break
      case 'agentHang': if (this.host(a.at).ha !== null) this.host(a.at).agentHangsUntilMs = this.nowMs + a.ms; break
      case 'hostHang': if (this.host(a.at).up) this.host(a.at).hang(a.ms); break
      case 'diskFull': this.host(a.at).diskFullUntilMs = this.nowMs + a.ms; break
      case 'hostCrash': this.crash(this.host(a.at), a); break
      case 'backend': {
        const host = this.host(a.at)
        if (host.ha === null || host.agentHangs) break
        host.outlives = a.outlives
        host.ha.outlives(a.outlives)
        break
      }
      case 'apply': this.apply(a.at, a.laterMs, a.ids)
    }
  }

  private command (at: number, command: Parameters<NonNullable<Host['ha']>['command']>[0]): void { if (!this.host(at).agentHangs) this.host(at).ha?.command(command) }

  private heal (): void {
    this.beats.heal()
    this.streamBlocked = false
    this.wire.frozen = false
  }

  private crashAgent (host: Host, ms: number): void {
    if (host.ha === null) return
    host.crashAgent()
    this.wire.cut('the agent is gone')
    this.startLater(host, ms)
  }

  private boot (host: Host): void {
    if (host.up) return
    host.boot()
    this.startLater(host, this.random.next() * 200)
  }

  private startLater (host: Host, ms: number): void {
    const { boots } = host
    const start = (): void => {
      if (!host.up || host.boots !== boots) return
      if (host.hangs) this.after(momentMs, start)
      else {
        host.startAgent()
        this.beats.forget(host.index - 1)
      }
    }
    this.after(ms, start)
  }

  private crash (host: Host, { ms, diskLost, silent }: { readonly ms: number, readonly diskLost: boolean, readonly silent: boolean }): void {
    if (!host.up) return
    if (silent) this.wire.frozen = true // nobody is left to end the connection
    host.hangsUntilMs = host.agentHangsUntilMs = 0
    host.crash(diskLost)
    if (!silent) this.wire.cut('the host is gone')
    this.after(ms, () => {
      this.wire.cut('the host is back')
      this.boot(host)
    })
  }

  /** At one node first; the other gets it later, or when it is there again. */
  private apply (at: number, laterMs: number, newIds: boolean): void {
    const host = this.host(at)
    if (host.ha === null || host.agentHangs) return
    const generation = ++this.generation
    const ids = newIds ? generation & 0xff : host.ids
    const reach = (h: Host): void => {
      if (h.generation >= generation) return
      if (h.ha === null || h.agentHangs) this.after(200, () => { reach(h) })
      else h.apply(generation, ids)
    }
    reach(host)
    this.after(laterMs, () => { reach(this.host(1 - at)) })
  }

  // --- the end ------------------------------------------------------------------------------------------------------------------------------

  private async quiet (): Promise<ClusterResult> {
    const { hosts, shape: { groups }, wire, beats, invariants } = this
    this.say('quiet')
    this.heal()
    Object.assign(beats, { loss: 0.02, doubled: 0, jitterMs: 5 })
    Object.assign(wire, { delayMs: 1, speed: 1e6, corrupt: false })
    for (const host of hosts) host.diskFullUntilMs = host.hangsUntilMs = host.agentHangsUntilMs = 0
    const since = this.nowMs
    const from: Array<number | null> = [null, null]
    const settled = (): boolean => groups.every((rg) => {
      const owner = hosts.findIndex((h) => h.role(rg).role === 'owner' && h.role(rg).valid)
      const standby = this.host(owner === 0 ? 1 : 0)
      const copy = standby.ha?.engine.group(rg)
      const provenFrom = from[owner === 0 ? 1 : 0] ?? Infinity
      return owner >= 0 && !claims(standby.role(rg).role) && copy?.state === 'equal' && copy.provenAtMs !== null && copy.provenAtMs > provenFrom && invariants.addressOf(rg) === this.host(owner).name
    })
    let told = false
    while (this.nowMs - since < quietMs && !settled()) {
      this.pass(24)
      const ready = hosts.every((h) => h.ha !== null)
      if (ready && !told) {
        told = true
        for (const host of hosts) {
          host.ha?.command({ kind: 'release', rgs: groups })
          for (const rg of groups) host.ha?.monitors(rg, 0)
        }
      }
      if (!ready) told = false
      if (from[0] === null && this.nowMs - since > 2000 && ready) from.splice(0, 2, hosts[0].nowMs(), hosts[1].nowMs())
    }
    if (!settled()) this.broken(`I1: not one owner and one equal copy after ${quietMs} ms: ${this.describe()}`)
    this.compare()
    for (const host of hosts) {
      const { faults } = await host.table.verify()
      if (faults.length > 0) this.broken(`I1: the table of ${host.name} is broken: ${JSON.stringify(faults)}`)
    }
    const received = hosts.map((h) => h.ha?.engine.status().received)
    const total = (name: 'differences' | 'bulks' | 'refused'): number => received.reduce((sum, r) => sum + (r?.[name] ?? 0), 0)
    return { ...invariants.count, repaired: total('differences'), bulks: total('bulks'), refused: total('refused'), seconds: Math.round(this.nowMs / 1000) }
  }

  private compare (): void {
    const [a, b] = [this.host(0).sessions(), this.host(1).sessions()]
    for (const [mine, other, who] of [[a, b, 'a'], [b, a, 'b']] as const) {
      for (const s of mine.values()) {
        const twin = other.get(s.id)
        if (twin === undefined) this.broken(`I1: only ${who} has the session ${s.id} of group ${s.rg}, and both say equal: ${this.describe()}`)
        else if (twin.phase !== s.phase || twin.tuple !== s.tuple) this.broken(`I1: ${s.id} differs: ${JSON.stringify([s, twin])}`)
        if (this.invariants.endedIds.has(s.id)) this.broken(`I2: ${s.id} had ended and is back`)
      }
    }
  }

  private describe (): string {
    return this.hosts.map((h) => `${h.name} ${h.ha === null ? 'away' : `${h.ha.engine.status().state} ${h.ha.engine.status().refusal}`} wire ${this.wire.connected} generation ${h.generation} ${this.shape.groups.map((rg) => {
      const { role, epoch, valid } = h.role(rg)
      const state = h.ha?.ownership.rgs.find((r) => r.config.rg === rg)
      return `${rg}: ${role}@${epoch}${valid ? '' : ' no lease'} ${state?.decision?.code ?? ''} copy ${h.ha?.engine.group(rg)?.state} address ${this.invariants.addressOf(rg)}`
    }).join(', ')}`).join(' | ')
  }
}
