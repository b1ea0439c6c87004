/** What the tests of ownership share: a configuration, good facts, heartbeats by hand, and a node to drive. */
import type { OwnershipAction, OwnershipConfig, OwnershipEvent, OwnershipNote } from '../../../src/ha/events.js'
import { defaultTiming } from '../../../src/ha/lease.js'
import { defaultTimers } from '../../../src/ha/limits.js'
import type { MoveMessage } from '../../../src/ha/move.js'
import { step } from '../../../src/ha/ownership.js'
import type { ReadinessFacts } from '../../../src/ha/readiness.js'
import type { NodeStatus, RgStatus, Role } from '../../../src/ha/rg.js'
import { newOwnership, rgView, statusOf, type OwnershipState } from '../../../src/ha/state.js'

export const goodFacts: ReadinessFacts = {
  provenEqual: true, idMapsEqual: true, interfacesDown: 0, nextHopsUnresolved: 0, capacitySessions: 1000, ownerSessions: 10,
  natPortsUnreserved: 0, keeperAlive: true, blockingAlarms: [],
}

export const config = (over: Partial<OwnershipConfig> = {}): OwnershipConfig => ({
  node: 'a', nodeIndex: 1, bootId: 'boot-a', peers: ['b'], witness: false, timing: defaultTiming, timers: defaultTimers, generation: 1n,
  rgs: [{ rg: 0, priority: 100, preempt: false }], ...over,
})

export const rgStatus = (over: Partial<RgStatus> = {}): RgStatus => ({
  rg: 0, role: 'standby', epoch: 0n, priority: 100, ready: true, reasons: [], synced: true, holds: [], asks: false, pinned: false, gaveWay: 0n, ...over,
})

/** A plain function call for each event; time moves with `at`, and ticks are given at every asked wake-up on the way. */
export class Driven {
  state: OwnershipState
  nowMs = 0
  wakeAtMs = 0
  seq = 0n
  readonly actions: OwnershipAction[] = []
  /** Persist requests are answered at once unless false. */
  disk = true
  /** What the peer says with each interval; null: silent. */
  peer: Partial<NodeStatus> | null = null
  peerPaths: readonly string[] = ['x', 'y']
  #peerSeq = 0n
  #peerDueMs = 0

  constructor (over: Partial<OwnershipConfig> = {}) {
    this.state = newOwnership(config(over))
  }

  give (event: OwnershipEvent extends infer E ? E extends { readonly nowMs: number } ? Omit<E, 'nowMs'> : never : never): readonly OwnershipAction[] {
    const { state, actions } = step(this.state, { ...event, nowMs: this.nowMs } as OwnershipEvent)
    this.state = state
    this.actions.push(...actions)
    for (const action of actions) {
      if (action.kind === 'wakeAt') this.wakeAtMs = action.atMs
      if (action.kind === 'persistEpoch' && this.disk) this.give({ kind: 'persisted', rg: action.rg, epoch: action.epoch })
    }
    return actions
  }

  start (epochs: ReadonlyMap<number, bigint> | null = new Map(), facts: ReadinessFacts | null = goodFacts): this {
    this.give({ kind: 'started', epochs, adopted: [] })
    if (facts !== null) for (const { config: { rg } } of this.state.rgs) this.give({ kind: 'readiness', rg, facts })
    return this
  }

  hear (status: Partial<NodeStatus>, paths: readonly string[] = this.peerPaths): void {
    this.#peerSeq++
    const whole: NodeStatus = { node: 'b', nodeIndex: 2, bootId: 'boot-b', seq: this.#peerSeq, generation: 1n, agent: 'present', restartHoldMs: null, rgs: [rgStatus()], ...status }
    for (const path of paths) this.give({ kind: 'heartbeat', path, status: whole })
  }

  /** Until then: the peer's heartbeats each interval, a tick at each wake-up. */
  until (endMs: number): this {
    for (;;) {
      const next = Math.min(this.wakeAtMs, this.peer === null ? Infinity : Math.max(this.#peerDueMs, this.nowMs))
      if (next > endMs) break
      this.nowMs = Math.max(this.nowMs, next)
      if (this.peer !== null && this.nowMs >= this.#peerDueMs) {
        this.#peerDueMs = this.nowMs + this.state.config.timing.intervalMs
        this.hear(this.peer)
      } else this.give({ kind: 'tick' })
    }
    this.nowMs = endMs
    return this
  }

  run (ms: number): this { return this.until(this.nowMs + ms) }
  message (message: Partial<MoveMessage> & Pick<MoveMessage, 'kind'>): readonly OwnershipAction[] {
    return this.give({ kind: 'moveMessage', message: { rg: 0, moveId: 'm1', from: 'b', to: 'a', ...message } as MoveMessage })
  }

  role (rg = 0): Role | undefined { return rgView(this.state, rg)?.role }
  epoch (rg = 0): bigint | undefined { return rgView(this.state, rg)?.epoch }
  row (rg = 0): number | undefined { return rgView(this.state, rg)?.decision?.row }
  asks (rg = 0): boolean | undefined { return this.word(rg)?.asks }
  code (rg = 0): string | undefined { return rgView(this.state, rg)?.decision?.code }
  said (): NodeStatus { return statusOf(this.state, this.seq++) }
  word (rg = 0): RgStatus | undefined { return this.said().rgs.find(s => s.rg === rg) }

  /** Kinds of messages sent since the last call of `clear`. */
  sent (): MoveMessage[] { return this.actions.flatMap(a => a.kind === 'send' ? [a.message] : []) }
  notes (): OwnershipNote[] { return this.actions.flatMap(a => a.kind === 'event' ? [a.note] : []) }
  roles (): Array<Extract<OwnershipAction, { kind: 'setRole' }>> { return this.actions.flatMap(a => a.kind === 'setRole' ? [a] : []) }
  kinds (): string[] { return this.actions.map(a => a.kind) }
  clear (): this { this.actions.length = 0; return this }
}
