/** What crosses the border of the ownership core: its configuration, the events that go in, the actions that come out. All plain data. */
import type { Liveness } from './detector.js'
import type { ElectionCode } from './election.js'
import type { Timing } from './lease.js'
import type { HaTimers } from './limits.js'
import type { MoveMessage, MoveRefusal } from './move.js'
import type { ReadinessFacts } from './readiness.js'
import type { Epoch, NodeStatus, Role } from './rg.js'

export interface RgConfig {
  readonly rg: number
  /** 1 to 255; the higher one is preferred. */
  readonly priority: number
  readonly preempt: boolean
}

export interface OwnershipConfig {
  readonly node: string
  readonly nodeIndex: number
  readonly bootId: string
  /** Nodes that are heard by heartbeat; none: standalone. */
  readonly peers: readonly string[]
  readonly witness: boolean
  readonly timing: Timing
  readonly timers: HaTimers
  readonly generation: bigint
  readonly rgs: readonly RgConfig[]
}

export type Command =
  /** To this node or from it; other moves are asked of one of their ends. */
  | { readonly kind: 'switchover', readonly rgs: readonly number[], readonly to: string }
  | { readonly kind: 'hold' | 'release', readonly rgs: readonly number[] }
  /** Forget what was decided by hand or remembered of others: pins, guards, the highest generation seen. */
  | { readonly kind: 'reset', readonly rgs: readonly number[] }

/**
 * `nowMs` is this node's monotonic clock. `heardMs`: all heartbeats that came until then were events already; of a heartbeat, when it came; absent: until now. Nobody is
 * lost by a silence after it. `behind`: heartbeats that came before now are not events yet; nothing is decided by what is old.
 */
export type OwnershipEvent = { readonly nowMs: number, readonly heardMs?: number, readonly behind?: boolean } & (
  | { readonly kind: 'tick' }
  /** First event. `epochs` null: this node lost its state. `adopted`: groups whose lease the keeper kept alive for this node. */
  | { readonly kind: 'started', readonly epochs: ReadonlyMap<number, Epoch> | null, readonly adopted: ReadonlyArray<{ readonly rg: number, readonly epoch: Epoch }> }
  | { readonly kind: 'heartbeat', readonly path: string, readonly status: NodeStatus }
  | { readonly kind: 'command', readonly command: Command }
  | { readonly kind: 'readiness', readonly rg: number, readonly facts: ReadinessFacts }
  /** The stamps of these groups came too late: the dataplane has stopped, and who stamps renews no lease that has ended. */
  | { readonly kind: 'lapsed', readonly rgs: readonly number[] }
  /** Sum of the weights of monitors that are down. */
  | { readonly kind: 'monitors', readonly rg: number, readonly lostWeight: number }
  /** Whether the dataplane forwards on while the agent is away: then the peer waits for the restart hold (D3). */
  | { readonly kind: 'outlives', readonly outlives: boolean }
  | { readonly kind: 'witness', readonly seen: boolean }
  | { readonly kind: 'configured', readonly generation: bigint, readonly rgs: readonly RgConfig[] }
  | { readonly kind: 'moveMessage', readonly message: MoveMessage }
  | { readonly kind: 'drained', readonly rg: number, readonly moveId: string, readonly seq: bigint }
  | { readonly kind: 'cut', readonly rg: number, readonly moveId: string, readonly equal: boolean }
  /** A session of the group came in this epoch: whoever owned in it may have been heard by nobody. */
  | { readonly kind: 'seen', readonly rg: number, readonly epoch: Epoch }
  /** The epoch is on disk, fsynced. */
  | { readonly kind: 'persisted', readonly rg: number, readonly epoch: Epoch }
)

/** What happened, for logs and the operator; every one may be lost without harm. */
export type OwnershipNote =
  | { readonly name: 'role', readonly rg: number, readonly from: Role, readonly to: Role, readonly epoch: Epoch, readonly code: ElectionCode | 'move' | 'lapsed' }
  | { readonly name: 'peer', readonly node: string, readonly path: null, readonly from: Liveness, readonly to: Liveness, /** Since it was last heard. */ readonly silentMs: number }
  | { readonly name: 'path', readonly node: string, readonly path: string, readonly from: Liveness, readonly to: Liveness }
  | { readonly name: 'peer-rebooted', readonly node: string }
  | { readonly name: 'contested' | 'uncontested', readonly rg: number, readonly epoch: Epoch }
  | { readonly name: 'move-begun' | 'move-done', readonly rg: number, readonly moveId: string, readonly peer: string }
  | { readonly name: 'move-failed', readonly rg: number, readonly moveId: string, readonly peer: string, readonly cause: string, /** The peer's, where it refused. */ readonly reasons: readonly string[] }
  | { readonly name: 'move-refused', readonly rg: number, readonly peer: string, readonly reasons: readonly MoveRefusal[] }

export type OwnershipAction =
  /** Write and fsync; answer with `persisted`. May be asked again. */
  | { readonly kind: 'persistEpoch', readonly rg: number, readonly epoch: Epoch }
  /** The role and its lease for the dataplane. The same role again renews the lease. Infinity: for ever; 0: none. */
  | { readonly kind: 'setRole', readonly rg: number, readonly role: Role, readonly epoch: Epoch, readonly leaseDeadlineMs: number }
  | { readonly kind: 'send', readonly message: MoveMessage }
  /** Grace, then drain dry; answer with `drained`. May be asked again. */
  | { readonly kind: 'drain', readonly rg: number, readonly moveId: string }
  /** Install up to `seq` and compare; answer with `cut`. May be asked again. */
  | { readonly kind: 'cut', readonly rg: number, readonly moveId: string, readonly seq: bigint }
  | { readonly kind: 'announce' | 'withdraw', readonly rg: number }
  | { readonly kind: 'event', readonly note: OwnershipNote }
  /** Call with a tick then, at the latest. Exactly one in each step. */
  | { readonly kind: 'wakeAt', readonly atMs: number }
