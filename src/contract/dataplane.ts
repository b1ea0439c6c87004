/**
 * What every backend is, whatever it forwards with.
 * All parts always exist; what a backend cannot do is a capability with a reason and an `unsupported` error.
 */
import type { Desired } from './desired.js'
import type {
  DeleteResult, InstallResult, NewSession, ReconcileInput, ReconcileResult, SessionColumns, SessionFilter, SessionRow, SessionTuple, VerifyReport
} from './session.js'

export type BackendName = 'userspace' | 'ebpf' | 'dpdk' | 'vpp'

export interface Capability {
  /** Name from codes.ts `capability`. */
  readonly name: string
  readonly supported: boolean
  /** Why not; empty when supported. */
  readonly reason: string
}

export interface ProbeResult {
  readonly backend: BackendName
  /** It can be started on this host with what this process may do. */
  readonly available: boolean
  readonly reason: string
  readonly capabilities: readonly Capability[]
}

export interface DataPlane {
  readonly name: BackendName
  /** What this host can do, with a reason for each "no". Changes nothing. */
  probe: () => Promise<ProbeResult>
  start: (signal: AbortSignal) => Promise<void>
  /** Stops forwarding and keeps state. */
  close: () => Promise<void>
  /** Stops and wipes state. */
  teardown: () => Promise<void>
  readonly config: ConfigSink
  readonly sessions: SessionStore
  readonly deltas: SessionDeltaSource
  readonly telemetry: Telemetry
  readonly links: LinkController
  readonly ha: HaController
  readonly loadBalancer: LoadBalancerSink
  readonly capabilities: readonly Capability[]
}

export interface ConfigSink {
  /** All or nothing: on error the last good generation stays in force. A committed write is followed by its refresh even if
   * the caller cancels in between. */
  apply: (desired: Desired, generation: number, signal: AbortSignal) => Promise<ApplyResult>
  /** A deep copy; `null` before the first apply. */
  lastApplyResult: () => ApplyResult | null
}

export interface ApplyResult {
  readonly generation: number
  readonly zoneIds: Readonly<Record<string, number>>
  readonly managedInterfaces: ReadonlyArray<{ readonly name: string, readonly id: number, readonly device: number, readonly port: string, readonly mac: string, readonly addresses: readonly string[] }>
  readonly filterIds: Readonly<Record<string, number>>
  /** Policy name -> first and count of its classifier rules. */
  readonly filterSpans: Readonly<Record<string, { readonly first: number, readonly count: number }>>
  readonly natCounterIds: Readonly<Record<string, number>>
  readonly poolIds: Readonly<Record<string, number>>
  readonly policyNames: Readonly<Record<number, string>>
  readonly appNames: Readonly<Record<number, string>>
  readonly policyScheduleRuleSlots: Readonly<Record<string, readonly number[]>>
  readonly vips: Readonly<Record<string, { readonly id: number, readonly reals: Readonly<Record<string, number>> }>>
  readonly capabilities: { readonly supported: readonly string[], readonly unsupportedReasons: Readonly<Record<string, string>> }
  readonly warnings: readonly string[]
  readonly durations: { readonly compileMs: number, readonly portsMs: number, readonly flipMs: number, readonly totalMs: number }
}

export interface SessionStore {
  get: (id: string) => Promise<SessionRow | null>
  /** The session whose forward or reply tuple this is; one look into the index. */
  find: (tuple: SessionTuple) => SessionRow | null
  /** Resumable: pass the cursor of the last batch, 0 first. Bounded time per call. */
  list: (filter: SessionFilter, columns: readonly string[], cursor: number, maxRows: number) => SessionColumns
  /** Packed wire records of the feed that match, in order. */
  select: (filter: SessionFilter, records: Uint8Array) => Uint8Array
  /** Packed wire records as rows, one each. */
  columnsOf: (records: Uint8Array, columns: readonly string[]) => SessionColumns
  count: (filter: SessionFilter) => Promise<number>
  forEachBatch: (filter: SessionFilter, columns: readonly string[], signal: AbortSignal) => AsyncIterable<SessionColumns>
  /** Packed wire records (wire.h). At most LS_WRITER_BATCH a call, which runs on the caller's thread: `exhausted`
   * otherwise, and nothing is installed. Each is installed wholly or not at all. `status` gets one status code per record. */
  install: (records: Uint8Array, status: Uint8Array) => InstallResult
  /** As if packets had opened them here: told and replicated. A status code for each, as `install` gives; at most LS_WRITER_BATCH. @throws invalid LS_F_TUPLE */
  open: (sessions: readonly NewSession[]) => Uint8Array
  /** As install, and marks each slot as received for the reconcile that follows. */
  putClusterSynced: (records: Uint8Array, status: Uint8Array) => InstallResult
  /** Packed struct ls_wire_delete rows: by tuple and id. */
  deleteById: (deletes: Uint8Array) => Promise<DeleteResult>
  /** Aborted under way it stops between batches, and the result tells what was done until then. */
  deleteByFilter: (filter: SessionFilter, signal: AbortSignal) => Promise<DeleteResult>
  /** Ids of those that are in the table with just these two tuples; `null` for each of the others. */
  identify: (sessions: readonly NewSession[]) => ReadonlyArray<string | null>
  /** As deleteByFilter, but for those of `ids` and those younger than `minAgeMs`. `trial`: they are counted, and stay. */
  deleteOthers: (filter: SessionFilter, ids: ReadonlySet<string>, minAgeMs: number, trial: boolean, signal: AbortSignal) => Promise<DeleteResult>
  /** Sessions of these reals, by id, as their servers are gone; one walk for all. */
  deleteReals: (reals: readonly number[]) => Promise<DeleteResult>
  /** Starts a bulk: forgets earlier marks. */
  bulkBegin: () => void
  reconcileClusterBulk: (input: ReconcileInput) => Promise<ReconcileResult>
  verify: () => Promise<VerifyReport>
}

export interface SessionDeltaSource {
  /** At most `max` packed wire records into `out`; never blocks the dataplane. */
  drain: (out: Uint8Array) => { readonly records: number, readonly overruns: number }
}

export interface CounterSnapshot {
  /** Monotonic nanoseconds at the moment of reading. */
  readonly timeNs: bigint
  readonly generation: number
  /** One Float64Array per block of struct ls_counters, summed over workers; shapes in codes.ts and layout.ts. */
  readonly blocks: Readonly<Record<string, Float64Array>>
}

export interface NatUsage {
  readonly address: string
  /** Pool id. */
  readonly pool: number
  /** Ports that one destination can see at a time. */
  readonly ports: number
  /** Sessions, all destinations together. */
  readonly inUse: number
  readonly created: number
  /** Flows refused because no port was found. */
  readonly failed: number
}

/** Of a dataplane that is programmed, as VPP. */
export interface ProgramStatus {
  readonly up: boolean
  /** '' unless up. */
  readonly version: string
  /** When that was built, in its own words; '' unless up. */
  readonly buildDate: string
  /** 0 unless up. */
  readonly pid: number
  /** Unix ms: since when it is up, or not. */
  readonly since: number
  /** Why it is not up; '' when it is. */
  readonly reason: string
  /** Lives of it that were brought up. */
  readonly connects: number
  /** What was done to it since the agent started, by kind. */
  readonly operations: Readonly<Record<string, number>>
  /** Messages of all lives; `timedOut`: were not answered in time. */
  readonly messages: { readonly sent: number, readonly received: number, readonly timedOut: number, readonly events: number }
  /** Sessions of its NAT that are kept in the session table; `null`: they are not. */
  readonly nat: ProgramNat | null
}

export interface ProgramNat {
  /** That it has. */
  readonly sessions: number
  /** Of sessions, since the agent started. opened, ended: here, as it said; injected, withdrawn: there, as the owner said; unanswered: by it. */
  readonly changes: { readonly opened: number, readonly ended: number, readonly injected: number, readonly withdrawn: number, readonly unanswered: number }
}

/** A port as its driver counts it; of backends that have drivers of their own. */
export interface DriverPort {
  readonly port: string
  readonly driver: string
  readonly up: boolean
  /** 0 = it does not tell. */
  readonly speedMbit: number
  /** By the driver's names; those that all drivers have first. */
  readonly counters: Readonly<Record<string, number>>
}

/** Live sessions: a number for each phase (codes.ts `phase`), each id of the zone that they came from, each IANA protocol number. */
export interface SessionTally { readonly phases: Float64Array, readonly zones: Float64Array, readonly protocols: Float64Array }

export interface Telemetry {
  snapshot: () => CounterSnapshot
  readFloodCounters: (zone: number) => Readonly<Record<string, number>>
  /** Occupancy of each address of each NAT pool; walks the table once. */
  natUsage: () => Promise<readonly NatUsage[]>
  /** Walks the table once. */
  sessionTally: () => Promise<SessionTally>
}

export interface LinkInfo {
  readonly name: string
  readonly device: number
  readonly kind: 'packet' | 'pcap' | 'tap' | 'source' | 'vpp'
  readonly ifindex: number
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  readonly addresses: readonly string[]
  readonly rxPackets: number
  readonly txPackets: number
  readonly rxDropped: number
  readonly txDropped: number
}

export interface NeighbourInfo {
  readonly address: string
  readonly device: number
  readonly mac: string
  readonly state: 'incomplete' | 'valid' | 'failed'
}

export interface LinkController {
  list: () => readonly LinkInfo[]
  neighbours: () => readonly NeighbourInfo[]
}

export type RgRole = 'init' | 'standby' | 'owner' | 'hold' | 'yield' | 'take'

export interface HaController {
  setRole: (rg: number, role: RgRole, epoch: bigint) => void
  /** Deadline in CLOCK_MONOTONIC nanoseconds; 2^64-1 without a peer. */
  stampLease: (rg: number, deadlineNs: bigint) => void
}

/** Tells the links where the addresses of a redundancy group are, after a takeover. */
export interface Announcer {
  /** At once and some times more; begins anew when it is under way. Says nothing while this node does not own the group. */
  announce: (rg: number) => void
  /** Not a frame more. */
  withdraw: (rg: number) => void
}

/** Of what a node must have before it takes a redundancy group. */
export interface HaFacts {
  /** Names of data interfaces of the group that are down or without a carrier. */
  readonly interfacesDown: readonly string[]
  /** Gateways of routes by its interfaces, and reals of its VIPs that take new flows. */
  readonly nextHopsUnresolved: number
  /** Why the dataplane forwards nothing, one line each. */
  readonly alarms: readonly string[]
}

export interface LoadBalancerSink {
  /** VIP -> hash of the ring that was put and is in force. */
  ringHashes: () => ReadonlyMap<string, bigint>
  /** What the dataplane holds now, read back. */
  readBack: () => Promise<readonly RingReading[]>
  /** Reads back what the dataplane holds, and puts right what is not what was put there: by whomever, however. */
  reconcile: () => Promise<Drift>
}

export interface RingReading {
  readonly vip: string
  readonly ringSize: number
  /** As it was put; two nodes with one configuration and one view of health have the same. */
  readonly ringHash: string
  /** Entries that are not what was put. */
  readonly drifted: number
  readonly reals: ReadonlyArray<{ readonly id: number, readonly entries: number }>
}

/** What was found to differ, and is right again. */
export interface Drift {
  readonly vips: number
  readonly rings: ReadonlyArray<{ readonly vip: string, readonly entries: number }>
  /** Of the compiled configuration: policies, VIPs, reals, everything. */
  readonly configBytes: number
  readonly tookMs: number
}
