/**
 * What must hold in a cluster, looked at whenever a host says a role, an address or a heartbeat, and after every moment. I1 to I8 as in docs/design/0010-replication.md.
 */
import type { OwnershipNote } from '../../src/ha/events.js'
import { detectionMs, maxLeaseMs } from '../../src/ha/lease.js'
import { haLimits } from '../../src/ha/limits.js'
import { claims, type Epoch, type NodeStatus, type Role } from '../../src/ha/rg.js'
import { statusOf } from '../../src/ha/state.js'
import type { SyncEventName } from '../../src/ha/sync/protocol.js'
import { timers, timing, type Host, type Observer } from './host.js'
import { idOf } from './dataplane.js'

/** A packet that was let in is installed so much later at most (host.ts). */
const IN_FLIGHT_MS = 40

/** Listening at the longest, then the wait of nodes that are not ready, a move that fails, a guard; a second for loss on the way. */
export const unownedBoundMs = maxLeaseMs + timers.degradedAfterMs + timers.moveTimeoutMs + timers.resignGuardMs + 2 * detectionMs(timing) + 1000
/** Two owners that hear each other: a heartbeat must get through. */
const contestedBoundMs = 2 * detectionMs(timing) + 500
/** A successor that lacks nothing: detection, a late heartbeat, a disk. */
const takeoverBoundMs = detectionMs(timing) + 1200
/** Late heartbeats of a node that is gone. */
const lateMs = 450

export interface ClusterView {
  readonly nowMs: () => number
  readonly hosts: readonly [Host, Host]
  readonly groups: readonly number[]
  readonly windowBytes: number
  /** A heartbeat from this one can reach the other. */
  readonly reaches: (from: number) => boolean
  readonly sentMs: (to: number) => number
  readonly otherLifeMs: (to: number) => number
  readonly broken: (why: string) => never
}

interface Claim { readonly atMs: number, readonly status: NodeStatus }

export class Invariants implements Observer {
  /** By `host/group`. */
  private readonly yieldedAt = new Map<string, number>()
  /** `host/group`, of those that own by a move. */
  private readonly byMove = new Set<string>()
  readonly count = { moves: 0, takeovers: 0, opened: 0, ended: 0, contests: 0, lapses: 0, resumed: 0 }
  /** Sessions whose owner ended them. */
  readonly endedIds = new Set<string>()
  private readonly ownerMs = new Map<number, number>()
  private readonly contestedMs = new Map<number, number>()
  private hearMs = 0
  private readonly mayMs = new Map<string, number>()
  private readonly fitMs = new Map<string, number>()
  private readonly endedLeases = new Set<string>()
  private readonly users = new Map<string, string>()
  private readonly address = new Map<number, string>()
  private readonly heard: Array<Claim | null> = [null, null]
  private readonly silentMs = [0, 0]
  /** When its agent last hung: who wakes has to look first. */
  private readonly hungMs = [0, 0]
  private looks = 0

  constructor (private readonly view: ClusterView) {}

  private other (host: Host): Host { return this.view.hosts[2 - host.index] ?? host }
  addressOf (rg: number): string | null { return this.address.get(rg) ?? null }

  // --- what hosts do ------------------------------------------------------------------------------------------------------------------------

  role (host: Host, rg: number, to: Role, epoch: Epoch): void {
    const { broken } = this.view
    const { role: from } = host.role(rg)
    const peer = this.other(host)
    if (to === 'yield') this.yieldedAt.set(`${host.name}/${rg}`, this.view.nowMs())
    if (to !== 'owner') return
    if ((host.disk.get(rg) ?? 0n) < epoch) broken(`I6: ${host.name} uses the epoch ${epoch} of group ${rg} before it is on disk`)
    const user = this.users.get(`${rg}/${epoch}`)
    if (user !== undefined && user !== host.name) broken(`I6: the epoch ${epoch} of group ${rg} is used by ${user} and by ${host.name}`)
    this.users.set(`${rg}/${epoch}`, host.name)
    if (claims(from)) return
    if (from === 'take') {
      this.byMove.add(`${host.name}/${rg}`)
      this.moved(host, peer, rg)
    }
    else {
      this.byMove.delete(`${host.name}/${rg}`)
      this.count.takeovers++
      this.tookOver(host, peer, rg)
      // Who takes over goes on with what it has: of what had ended elsewhere it may not have heard.
      for (const { id, rg: of } of host.sessions().values()) if (of === rg) this.endedIds.delete(id)
    }
  }

  /** I8 as the taker owns: what the giver stopped with is here, and it has stopped. */
  private moved (host: Host, giver: Host, rg: number): void {
    const { broken } = this.view
    this.count.moves++
    const { role, valid } = giver.role(rg)
    if (role === 'owner' && valid && this.mutual()) broken(`I8: ${host.name} owns group ${rg} by a move while ${giver.name} still creates`)
    if (role !== 'yield') return
    const [mine, theirs] = [host.sessions(), giver.sessions()]
    for (const [all, here, what] of [[theirs, mine, 'is lost'], [mine, theirs, 'is here and not where the group came from']] as const) {
      for (const s of all.values()) {
        if (s.rg !== rg || here.has(s.id)) continue
        // A notice that was lost is found by the next audit, which a move does not wait for: what it was about may go either way.
        if (giver.unsent.has(s.id) || host.unsent.has(s.id)) this.endedIds.delete(s.id)
        else broken(`I8: ${host.name} owns group ${rg} by a move and the session ${s.id} ${what}`)
      }
    }
  }

  private tookOver (host: Host, peer: Host, rg: number): void {
    const { broken, nowMs } = this.view
    // A replay of a life that this agent never heard of looks like a reboot: a known limit, see docs/design/0011-ownership.md.
    if (nowMs() - this.view.otherLifeMs(host.index - 1) < detectionMs(timing) + lateMs) return
    const claim = this.heard[host.index - 1]
    const word = claim?.status.rgs.find((r) => r.rg === rg)
    const { valid, role } = peer.role(rg)
    const away = claim?.status.agent === 'away'
    const held = !away || (nowMs() - peer.agentAwaySinceMs < timers.restartHoldMs && peer.outlives)
    if (claim != null && word !== undefined && claims(word.role) && held && valid && claims(role) && nowMs() - claim.atMs > 20 && nowMs() - claim.atMs < detectionMs(timing) - 20 && claim.atMs > host.agentSinceMs) {
      broken(`I6: ${host.name} takes group ${rg} from ${peer.name}, whose heartbeats come and say ${word.role}${away ? ' with its agent away for less than the restart hold' : ''}`)
    }
    const awakeMs = host.awakeMs(2 * detectionMs(timing))
    if (awakeMs < detectionMs(timing) - 20 && host.agentSinceMs < nowMs() - awakeMs && valid && claims(role)) broken(`I6: ${host.name} takes group ${rg} ${awakeMs.toFixed(0)} ms after it woke, and has not listened for ${peer.name}, which is its ${role}`)
    const silent = this.silentMs[peer.index - 1] ?? 0
    if (peer.hangs && claim != null && claim.atMs >= silent && silent > host.agentSinceMs && valid && claims(role)) broken(`I6: ${host.name} takes group ${rg} while ${peer.name} hangs and its lease has not ended`)
  }

  announced (host: Host, rg: number): void {
    if (!claims(host.role(rg).role)) this.view.broken(`I6: ${host.name} announces the addresses of group ${rg} and is its ${host.role(rg).role}`)
    this.address.set(rg, host.name)
  }

  said (host: Host, status: NodeStatus): void {
    this.silentMs[host.index - 1] = this.view.nowMs()
    for (const { rg, role, epoch } of status.rgs) {
      const mine = host.role(rg)
      if (claims(role) && (!claims(mine.role) || mine.epoch !== epoch)) this.view.broken(`I6: ${host.name} says it is the ${role} of group ${rg} in epoch ${epoch}, and its table has ${mine.role} in ${mine.epoch}`)
    }
  }

  /** A heartbeat has come to a host. Of what is old nothing follows. */
  arrived (host: Host, status: NodeStatus): void {
    const before = this.heard[host.index - 1]
    if (before == null || before.status.bootId !== status.bootId || before.status.seq < status.seq) this.heard[host.index - 1] = { atMs: this.view.nowMs(), status }
  }

  opened (host: Host, rg: number): void {
    this.count.opened++
    const move = host.ha?.ownership.rgs.find((r) => r.config.rg === rg)?.move
    if (move?.phase === 'final') this.view.broken(`I8: ${host.name} opens a session of group ${rg} after it said that it is drained`)
    const { role, valid } = this.other(host).role(rg)
    // When the other owns by an election, what was let in before this one yielded may still come: then two own for a moment, and one gives way.
    const late = this.view.nowMs() - (this.yieldedAt.get(`${host.name}/${rg}`) ?? -Infinity) > IN_FLIGHT_MS
    if (host.role(rg).role === 'yield' && role === 'owner' && valid && (late || this.byMove.has(`${this.other(host).name}/${rg}`))) this.view.broken(`I8: ${host.name} opens a session of group ${rg}, which ${this.other(host).name} owns already`)
  }

  ended (host: Host, rg: number, id: string): void {
    this.count.ended++
    if (!claims(this.other(host).role(rg).role)) this.endedIds.add(id) // of two owners the one that stays may not have heard
  }

  /** A heart lets go because a peer asks now; a late word of an earlier absence may come in a later one. */
  asked (host: Host, rg: number): void {
    const { ha } = this.other(host)
    const awayMs = this.view.nowMs() - host.agentAwaySinceMs
    const asks = ha !== null && statusOf(ha.ownership, 0n).rgs.some((r) => r.rg === rg && r.asks)
    if (asks && host.outlives && awayMs < timers.restartHoldMs) this.view.broken(`I6: ${this.other(host).name} asks for group ${rg}, whose agent at ${host.name} is away for ${awayMs.toFixed(0)} ms of its restart hold`)
  }

  note (_: Host, note: OwnershipNote): void {
    if (note.name === 'role' && note.code === 'lapsed') this.count.lapses++
  }

  synced (_: Host, name: SyncEventName): void { if (name === 'sync.resumed') this.count.resumed++ }

  // --- every moment -------------------------------------------------------------------------------------------------------------------------

  private mutual (): boolean { return this.hearMs !== Infinity && this.view.nowMs() - this.hearMs > detectionMs(timing) + lateMs }

  look (): void {
    const { hosts, groups, nowMs, reaches, broken, windowBytes } = this.view
    const now = nowMs()
    const awake = hosts.every((h) => h.up && !h.agentHangs)
    this.hearMs = awake && reaches(0) && reaches(1) ? Math.min(this.hearMs, now) : Infinity
    for (const rg of groups) {
      const all = hosts.map((host) => ({ host, ...host.role(rg) }))
      this.leases(rg, all)
      const owners = all.filter((o) => o.valid && o.role === 'owner')
      if (owners.length > 1) {
        if (owners[0]?.epoch === owners[1]?.epoch) broken(`I6: both own group ${rg} in the epoch ${owners[0]?.epoch}`)
        if (!this.contestedMs.has(rg)) {
          this.contestedMs.set(rg, now)
          this.count.contests++
        }
        const since = Math.max(this.contestedMs.get(rg) ?? now, this.hearMs)
        if (now - since > contestedBoundMs) broken(`I6: both own group ${rg} and hear each other since ${since.toFixed(0)}`)
      } else this.contestedMs.delete(rg)
      // Of two that claim, each refuses what the other sends, and counts it.
      if (all.every((o) => claims(o.role))) for (const { tracked } of hosts) for (const [id, t] of tracked) if (t.rg === rg) tracked.delete(id)
      if (all.some((o) => o.valid && claims(o.role))) this.ownerMs.set(rg, now)
      this.alone(rg, now)
    }
    for (const host of hosts) {
      const known = host.ha?.ownership.peers[0]
      if (host.agentHangs) this.hungMs[host.index - 1] = now
      const silent = Math.max(this.view.sentMs(host.index - 1), host.agentSinceMs, this.hungMs[host.index - 1] ?? 0)
      if (known !== undefined && !host.agentHangs && host.agentSinceMs < this.view.sentMs(host.index - 1) && (known.known === 'alive' || known.known === 'suspect') && now - silent > detectionMs(timing) + lateMs + 1600) {
        broken(`I7: ${host.name} calls its peer ${known.known}, which nobody has heard since ${silent.toFixed(0)}`)
      }
      if (host.ha === null) continue
      if (this.looks % 4 === host.index) this.bounded(host, windowBytes)
      if (this.looks % 8 === host.index) this.lag(host)
    }
    this.looks++
  }

  /** A lease that ended never begins again in its epoch. */
  private leases (rg: number, all: ReadonlyArray<{ readonly host: Host, readonly role: Role, readonly epoch: Epoch, readonly valid: boolean }>): void {
    for (const { host, role, epoch, valid } of all) {
      if (!claims(role)) continue
      const key = `${host.name}${host.boots}/${rg}/${epoch}`
      if (!valid && host.up && (host.ha !== null || host.outlives)) this.endedLeases.add(key)
      else if (valid && this.endedLeases.has(key)) this.view.broken(`I6: the lease of ${host.name} for group ${rg} had ended and goes on in the same epoch ${epoch}`)
    }
  }

  /** I7: within a bound somebody owns, while somebody may. */
  private alone (rg: number, now: number): void {
    const unowned = this.ownerMs.get(rg) ?? 0
    for (const host of this.view.hosts) {
      const { ha } = host
      const word = ha === null || host.agentHangs || now < host.diskFullUntilMs ? undefined : statusOf(ha.ownership, 0n).rgs.find((r) => r.rg === rg)
      const note = (since: Map<string, number>, holds: boolean): number => {
        const key = `${host.name}${rg}`
        if (!holds) since.delete(key)
        else if (!since.has(key)) since.set(key, now)
        return Math.max(since.get(key) ?? Infinity, unowned)
      }
      const may = note(this.mayMs, word?.holds.every((h) => h === 'listening' || h === 'resigned') === true)
      if (now - may > unownedBoundMs) this.view.broken(`I7: nobody owns group ${rg} since ${unowned.toFixed(0)}, although ${host.name} may`)
      const fit = note(this.fitMs, word !== undefined && word.holds.length === 0 && word.synced && !this.other(host).up)
      if (now - fit > takeoverBoundMs) this.view.broken(`I7: nobody owns group ${rg} since ${unowned.toFixed(0)}, although ${host.name} was in step with it and its peer is gone`)
    }
  }

  /** I5. */
  private bounded (host: Host, windowBytes: number): void {
    const { broken } = this.view
    const { ha } = host
    if (ha === null) return
    const { aheadBytes } = ha.engine.status()
    if (aheadBytes > windowBytes) broken(`I5: ${host.name} keeps ${aheadBytes} bytes for its peer, bound ${windowBytes}`)
    const kept = ha as unknown as { readonly drains: readonly unknown[], readonly cuts: readonly unknown[], readonly facts: ReadonlyMap<number, string> }
    const retired = ha.ownership.peers[0]?.detector.retired.length ?? 0
    const groups = this.view.groups.length
    for (const [what, n, bound] of [['drains', kept.drains.length, groups], ['cuts', kept.cuts.length, groups], ['facts', kept.facts.size, groups], ['lives of the peer', retired, haLimits.retiredBootsMax]] as const) {
      if (n > bound) broken(`I5: ${host.name} keeps ${n} ${what}, bound ${bound}`)
    }
  }

  /** I4: what is older than the reported lag is at the peer. */
  private lag (host: Host): void {
    const { engine } = host
    const peer = this.other(host)
    if (!peer.up) host.tracked.clear()
    if (engine === null || host.tracked.size === 0) return
    const { lagMs, state } = engine.status()
    if (lagMs === null || state !== 'up' || host.agentHangs) return
    const before = host.nowMs() - lagMs - 50 // in the rings, or in half a drain
    for (const [id, { tuple, rg, epoch, atMs }] of host.tracked) {
      if (atMs >= before) continue
      host.tracked.delete(id)
      const mine = host.find(tuple)
      const owned = host.role(rg)
      if (mine === null || idOf(mine) !== id || !claims(owned.role) || owned.epoch !== epoch || host.unsent.has(id)) continue
      // A peer that owns too, or knows a newer epoch, refuses it and counts that.
      if (claims(peer.role(rg).role) || (peer.ha?.engine.group(rg)?.epoch ?? 0n) > owned.epoch) continue
      const theirs = peer.find(tuple)
      if (theirs === null || idOf(theirs) !== id) this.view.broken(`I4: ${host.name} reports a lag of ${lagMs.toFixed(0)} ms, and the session ${id} of group ${rg} has not come to ${peer.name} in ${(host.nowMs() - atMs).toFixed(0)} ms`)
    }
  }
}
