/**
 * A virtual heart, as native/heart is: it says its agent's last word every interval, `away` while the agent is, and renews leases in the table that have not
 * ended. It outlives its agent and ends with its host.
 */
import { detectionMs, leaseMs, leaseStampNs, stampMs, type Timing } from '../../src/ha/lease.js'
import { claims, forwards, type Epoch, type NodeStatus } from '../../src/ha/rg.js'
import type { NativeTable } from '../../src/native/binding.js'
import { roleNumbers } from '../../src/native/roles.js'

/** What a heart does; a planted defect changes one of them. */
export interface HeartRules { readonly renewsEnded: boolean, readonly yields: boolean, readonly leaseFactor: number, readonly forgets: boolean, readonly saysAway: boolean, readonly reportsLapsed: boolean }
export const heartRules: HeartRules = { renewsEnded: false, yields: true, leaseFactor: 1, forgets: true, saysAway: true, reportsLapsed: true }

export interface HeartWorld {
  readonly table: Pick<NativeTable, 'groups' | 'setRole'>
  readonly nowMs: () => number
  /** The dataplane forwards. */
  readonly lives: () => boolean
  readonly send: (status: NodeStatus) => void
  readonly lapsed: (rgs: readonly number[]) => void
  /** Lets go because a peer asked. */
  readonly asked: (rg: number) => void
}

export class Heart {
  word: NodeStatus | null = null
  present = false
  /** Listens without a pause since then. */
  awakeSinceMs = -Infinity
  private readonly dropped = new Set<number>()
  private seq = 0n
  private nextMs = -Infinity
  private stamped = false
  private speaks = false

  constructor (readonly bootId: string, private readonly timing: Timing, private readonly world: HeartWorld, private readonly rules: HeartRules) {}

  /** Groups whose lease is kept, for an agent that comes back. */
  held (): Array<{ readonly rg: number, readonly epoch: Epoch }> {
    return (this.word?.rgs ?? []).flatMap(({ rg, role, epoch }) => (forwards(role) && !this.dropped.has(rg) ? [{ rg, epoch }] : []))
  }

  /** Of those, the ones that an agent that comes back goes on owning: in the middle of a move it has forgotten what it gave away. */
  owned (): ReturnType<Heart['held']> { return this.held().filter(({ rg }) => this.word?.rgs.some((r) => r.rg === rg && r.role === 'owner')) }

  /** The agent came or went. */
  attend (present: boolean): void {
    this.present = present
    this.speaks = true
  }

  say (word: NodeStatus): void {
    for (const { rg, role, epoch } of word.rgs) {
      const before = this.word?.rgs.find((r) => r.rg === rg)
      if (before?.role !== role || before.epoch !== epoch) this.dropped.delete(rg)
    }
    this.word = word
    this.speaks = true
  }

  /** While there is nobody to decide, the newer epoch wins, and a peer that asks for what this one owns gets it. True: the agent is to hear it. */
  hear (peer: NodeStatus): boolean {
    if (this.present) return true
    for (const { rg, epoch } of this.held()) {
      const theirs = peer.rgs.find((r) => r.rg === rg)
      if (!this.rules.yields || theirs === undefined || !(claims(theirs.role) ? theirs.epoch > epoch : theirs.asks && theirs.epoch >= epoch)) continue
      if (!claims(theirs.role)) this.world.asked(rg)
      this.world.table.setRole(rg, roleNumbers.standby, epoch, 0n)
      this.dropped.add(rg)
      this.speaks = true
    }
    return false
  }

  tick (): void {
    const now = this.world.nowMs()
    if (now >= this.nextMs) {
      if (now > this.nextMs + detectionMs(this.timing) / 2) this.awakeSinceMs = now
      this.stamp(now)
      this.stamped = !this.stamped
      this.speaks ||= this.stamped
      this.nextMs = Math.max(this.nextMs + stampMs(this.timing), now)
    }
    if (this.speaks && this.word !== null) this.beat(this.word)
    this.speaks = false
  }

  private stamp (now: number): void {
    const groups = this.world.table.groups()
    const ended: number[] = []
    for (const { rg, epoch } of this.held()) {
      const mine = groups[rg]
      // Between the agent's word and its hand on the table there is a moment: only where both agree.
      if (mine === undefined || mine.epoch !== epoch || mine.role !== roleNumbers[this.word?.rgs.find((r) => r.rg === rg)?.role ?? 'init']) continue
      if (mine.leaseDeadlineNs <= leaseStampNs(now) && !this.rules.renewsEnded) ended.push(rg)
      else if (this.world.lives()) this.world.table.setRole(rg, mine.role, mine.epoch, leaseStampNs(now + leaseMs(this.timing) * this.rules.leaseFactor))
    }
    if (ended.length === 0) return
    for (const rg of ended) this.dropped.add(rg)
    this.speaks = true
    if (this.present && this.rules.reportsLapsed) this.world.lapsed(ended)
  }

  private beat (word: NodeStatus): void {
    this.world.send({
      ...word, bootId: this.bootId, seq: ++this.seq, agent: this.present || !this.rules.saysAway ? 'present' : 'away',
      rgs: word.rgs.map((r) => (this.dropped.has(r.rg) ? { ...r, role: 'hold' } : r))
    })
  }
}
