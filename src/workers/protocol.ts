/** Every message between threads. Buffers named `records` and `rows` are transferred, the rest is cloned. */
import type { AgentEvent } from '../contract/events.js'
import type { DebugShape, DebugSource } from '../contract/debug.js'
import type { BgpControl } from '../contract/bgp.js'
import type { MessagePort } from 'node:worker_threads'
import type { ClusterControl } from '../contract/cluster.js'
import type { IdTable } from '../contract/desired.js'
import type { LinkInfo, ProbeResult } from '../contract/dataplane.js'
import type { AgentInfo, AgentServices, Answer, ConfigAuthority } from '../contract/services.js'
import type { LoadBalancerControl, LoadBalancerEvent } from '../contract/balancing.js'
import type { CheckTarget, HealthInput, HealthTransition, KnownHealth, TargetStatus } from '../contract/health.js'
import type { SpanRecord } from '../contract/tracing.js'
import type { TraceContext } from '../lib/trace-context.js'
import type { EventLog } from '../lib/event-log.js'
import type { ClusterLog } from '../ha/event-log.js'
import type { SyncEventName } from '../ha/sync/protocol.js'
import type { ClusterSpec } from './cluster.js'
import type { PackedError } from './errors.js'
import type { PairReport, PairSpec } from './pair.js'

// --- sync worker ----------------------------------------------------------------------------------------------------------------------

/** Main -> sync worker, as workerData. */
export interface SyncWorkerData {
  readonly tableId: number
  /** What the thread writes of itself (lib/thread-gauges.ts), here and below. */
  readonly gauges: SharedArrayBuffer
  /** One Int32: messages on their way to the main thread. The worker adds, the main thread takes away; full = what comes next is lost and counted. */
  readonly underWay: SharedArrayBuffer
  /** Where translated sessions go when they end (telemetry/nat-history.ts). */
  readonly natHistory: SharedArrayBuffer
}

/** Main -> sync worker. A listener is whoever holds the other end of its port, on any thread. */
export type ToSync =
  | { readonly kind: 'listener', readonly port: MessagePort, readonly underWay: SharedArrayBuffer }
  /** This node has a peer from here on, and whoever says this also says what it owns. */
  | { readonly kind: 'pair', readonly spec: PairSpec }
  | { readonly kind: 'own', readonly owned: number, readonly epochs: readonly bigint[] }
  /** This node is one of a cluster from here on: answered by one `cluster`, and ClusterCalls come over the port then. */
  | { readonly kind: 'cluster', readonly spec: ClusterSpec, readonly calls: MessagePort }
  /** Reals by id, and how many bad flows in a row are told of each. */
  | { readonly kind: 'observe', readonly bounds: ReadonlyMap<number, number> }
  /** Answered by one `pair`. `anew`: lag is counted from here on. */
  | { readonly kind: 'report', readonly anew: boolean }
  | { readonly kind: 'stop' }

/** Sync worker -> main. */
export type FromSync =
  | { readonly kind: 'logs', readonly rows: Uint8Array }
  /** Ended sessions whose policy asks for a line: packed struct ls_wire_record. `lost` more came before. */
  | { readonly kind: 'closed', readonly records: Uint8Array, readonly lost: number }
  /** What happened between this node and its peer; '' when it is a problem in words. Not counted as under way: they are few. */
  | { readonly kind: 'event', readonly name: SyncEventName | '', readonly fields: Readonly<Record<string, string | number | null>> }
  /** Ids of reals whose flows go unanswered. Not counted as under way: they are few. */
  | { readonly kind: 'observed', readonly reals: readonly number[] }
  | { readonly kind: 'pair', readonly report: PairReport | null }
  /** Why there is no cluster; `null`: there is. */
  | { readonly kind: 'cluster', readonly error: PackedError | null }

/** A listener's end: changes come while it listens, at most so many at a time as `underWay` counts (as in SyncWorkerData). */
export interface Listener { readonly port: MessagePort, readonly underWay: SharedArrayBuffer }
/** Listener -> sync worker. */
export interface ToListened { readonly listen: boolean }
/** Sync worker -> listener: packed struct ls_wire_record; `lost` changes came before them and are gone. Neither: it listens now, and hears all from here on. */
export interface Changes { readonly records: Uint8Array, readonly lost: number }

// --- health workers -------------------------------------------------------------------------------------------------------------------

/** Main -> health worker, as workerData. */
export interface HealthWorkerData {
  /** Path of the namespace that it enters; `null`: it stays in the process's. */
  readonly netns: string | null
  readonly gauges: SharedArrayBuffer
}

/** Main -> health worker. */
export type ToHealth =
  | { readonly kind: 'targets', readonly targets: readonly CheckTarget[], readonly known: KnownHealth }
  | { readonly kind: 'operate', readonly id: string, readonly input: HealthInput }
  /** Sessions say that it does not serve. */
  | { readonly kind: 'observed', readonly id: string, readonly detail: string }
  /** Answered by one `report`. */
  | { readonly kind: 'report' }
  | { readonly kind: 'stop' }

/** Health worker -> main. */
export type FromHealth =
  | { readonly kind: 'transitions', readonly transitions: ReadonlyArray<{ readonly id: string, readonly transition: HealthTransition }> }
  | { readonly kind: 'shares', readonly shares: ReadonlyArray<{ readonly id: string, readonly sharePct: number }> }
  | { readonly kind: 'report', readonly targets: readonly TargetStatus[] }
  /** It cannot run: its namespace is gone. */
  | { readonly kind: 'failed', readonly error: PackedError }

// --- rpc worker -----------------------------------------------------------------------------------------------------------------------

/** Main -> rpc worker, as workerData. */
export interface RpcWorkerData {
  readonly tableId: number
  readonly gauges: SharedArrayBuffer
  readonly socketPath: string
  readonly serving: boolean
  readonly book: Book
  /** Its end of the bridge. */
  readonly bridge: MessagePort
  readonly listener: Listener
  readonly natHistory: SharedArrayBuffer
  /** Of the journal: its numbers go on when this thread is started again. */
  readonly epoch: string
  /** Debug tables of the main thread. */
  readonly debug: readonly DebugShape[]
}

/** Main -> rpc worker. */
export type ToRpc =
  /** What the health service answers. */
  | { readonly kind: 'serving', readonly on: boolean }
  | { readonly kind: 'stop', readonly graceMs: number }

/** Rpc worker -> main. `ready` or `failed` comes first, once. */
export type FromRpc =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed', readonly error: PackedError }
  /** A call met a bug. */
  | { readonly kind: 'bug', readonly method: string, readonly error: PackedError }

/** Names and timeouts of the configuration that runs: pushed at every generation, so that no row waits for the main thread. */
export interface Book {
  readonly ids: IdTable
  /** timeoutTable() of src/config. */
  readonly timeouts: Float64Array
  /** Share of the calls that are traced; absent: none. */
  readonly traced?: number
}

/** What the rpc worker asks of the main thread. A signal, where there is one, stands last and crosses as a cancel message. */
export interface MainCalls {
  readonly info: () => Answer<AgentInfo>
  readonly probeAll: () => Promise<readonly ProbeResult[]>
  readonly switchBackend: AgentServices['switchBackend']
  readonly links: () => Answer<readonly LinkInfo[]>
  readonly status: ConfigAuthority['status']
  readonly text: ConfigAuthority['text']
  readonly check: ConfigAuthority['check']
  readonly apply: ConfigAuthority['apply']
  readonly confirm: ConfigAuthority['confirm']
  readonly rollback: ConfigAuthority['rollback']
  readonly history: ConfigAuthority['history']
  readonly compare: ConfigAuthority['compare']
  readonly save: ConfigAuthority['save']
  readonly clusterStatus: ClusterControl['status']
  readonly clusterSwitchover: ClusterControl['switchover']
  readonly clusterHold: ClusterControl['hold']
  readonly clusterRelease: ClusterControl['release']
  readonly clusterReset: ClusterControl['reset']
  readonly clusterRepairs: ClusterControl['repairs']
  readonly clusterResync: ClusterControl['resync']
  readonly clusterVerify: ClusterControl['verify']
  readonly clusterEvents: ClusterLog['after']
  readonly vips: LoadBalancerControl['vips']
  readonly targets: LoadBalancerControl['targets']
  readonly operateTarget: LoadBalancerControl['operate']
  readonly loadBalancerEvents: EventLog<LoadBalancerEvent>['after']
  readonly readBack: LoadBalancerControl['readBack']
  readonly reconcile: LoadBalancerControl['reconcile']
  readonly events: EventLog<AgentEvent>['after']
  readonly tell: (event: AgentEvent) => void
  /** One that ended there. */
  readonly span: (span: SpanRecord) => void
  readonly bgpNeighbours: BgpControl['neighbours']
  readonly bgpSources: BgpControl['sources']
  readonly bgpPending: BgpControl['pending']
  readonly bgpSinks: BgpControl['sinks']
  readonly bgpRoutes: BgpControl['routes']
  readonly bgpRouteSinks: BgpControl['routeSinks']
  readonly overlay: LoadBalancerControl['overlay']
  readonly changeOverlay: LoadBalancerControl['change']
  readonly debugCount: DebugSource['count']
  readonly debugRows: DebugSource['rows']
}

// --- trace worker ---------------------------------------------------------------------------------------------------------------------

/** Main -> trace worker, as workerData. */
export interface TraceWorkerData {
  /** Where spans go. */
  readonly endpoint: string
  readonly queueMax: number
  /** Int32 at the places of traceCounts. */
  readonly counts: SharedArrayBuffer
  readonly service: { readonly version: string, readonly node: string, readonly instance: string }
}
/** Main adds to underWay; the worker takes away, and adds to the others. */
export const traceCounts = { underWay: 0, exported: 1, failed: 2 } as const
/** Main -> trace worker. */
export type ToTrace = { readonly kind: 'span', readonly span: SpanRecord } | { readonly kind: 'stop' }
/** Trace worker -> main: the collector does not take spans, or (null) does again. */
export interface FromTrace { readonly kind: 'collector', readonly reason: string | null }

// --- pool -----------------------------------------------------------------------------------------------------------------------------

/** A thread of the pool -> main: its modules are loaded. Jobs and results are functions and types of jobs.ts and pool.ts. */
export interface FromPool { readonly loaded: number }

// --- bridge: calls over a port --------------------------------------------------------------------------------------------------------

/** Caller -> who answers. */
export type BridgeCall =
  /** `trace`: the span that it is part of. */
  | { readonly kind: 'call', readonly id: number, readonly name: string, readonly args: readonly unknown[], readonly trace?: TraceContext }
  | { readonly kind: 'cancel', readonly id: number, readonly reason: PackedError }

/** Who answers -> caller. Messages keep their order: what was pushed before an answer is there when the answer is. */
export type BridgeAnswer =
  | { readonly kind: 'answer', readonly id: number, readonly value: unknown }
  | { readonly kind: 'failure', readonly id: number, readonly error: PackedError }
  | { readonly kind: 'push', readonly value: unknown }
