/**
 * What the surfaces (gRPC, CLI offline verbs, gateway) need from the agent. rpc/ depends on these only, and does not know where they come from: sessions,
 * counters and names are at hand where the surface runs, everything else may be asked of another thread and is awaited.
 */
import type { AgentEvent, EventArea, EventJournal } from './events.js'
import type { EventLevel, LoadBalancerControl } from './balancing.js'
import type { BgpControl } from './bgp.js'
import type { ClusterControl } from './cluster.js'
import type { DebugSource } from './debug.js'
import type { ApplyResult, BackendName, LinkInfo, ProbeResult, DriverPort, ProgramStatus, SessionStore, Telemetry } from './dataplane.js'
import type { AgentSettings } from './desired.js'
import type { SessionChange, SessionRow } from './session.js'
import type { TraceTally } from './tracing.js'

/** An answer that may come from another thread: always awaited. */
export type Answer<T> = T | Promise<T>

export interface ConfigIssue {
  /** `/policies/3/from`: a JSON pointer into the file. */
  readonly path: string
  readonly line: number | null
  readonly column: number | null
  readonly code: string
  readonly message: string
  readonly found: string
  readonly expected: string
}

/** One line of a plan: what an apply would do, in order. */
export interface PlanStep {
  readonly action: 'add' | 'change' | 'remove' | 'keep'
  readonly kind: string
  readonly name: string
  readonly detail: string
}

export interface CheckResult {
  readonly ok: boolean
  readonly issues: readonly ConfigIssue[]
  readonly warnings: readonly string[]
  readonly plan: readonly PlanStep[]
}

export interface GenerationInfo {
  readonly generation: number
  /** Unix milliseconds. */
  readonly appliedAt: number
  readonly author: string
  readonly comment: string
  /** `peer`: from the owner of group 0 (D8). */
  readonly source: 'file' | 'grpc' | 'rollback' | 'startup' | 'peer'
  /** SHA-256 of the text, hexadecimal. */
  readonly hash: string
  readonly state: 'running' | 'unconfirmed' | 'superseded' | 'rolled-back' | 'failed'
  /** Unix milliseconds when an unconfirmed generation rolls back; `null` otherwise. */
  readonly confirmBy: number | null
}

export interface ApplyOptions {
  readonly author: string
  readonly comment: string
  readonly source: GenerationInfo['source']
  /** Refused as `stale` when another generation is running; `null` = whatever runs. */
  readonly expectedGeneration: number | null
  /** Rolls back by itself unless confirmed in time; `null` = permanent. */
  readonly confirmWithinMs: number | null
  /** Same id within 10 minutes returns the first result (idempotency). */
  readonly requestId: string | null
  readonly dryRun: boolean
}

export interface ConfigStatus {
  readonly running: GenerationInfo | null
  /** Hash of the startup file and whether it differs from what runs. */
  readonly startupHash: string | null
  readonly drift: boolean
  readonly unconfirmed: GenerationInfo | null
}

export interface ConfigAuthority {
  status: () => Answer<ConfigStatus>
  /** YAML text of what runs, or of what is started with. */
  text: (which: 'running' | 'startup') => Answer<string>
  check: (text: string, signal: AbortSignal) => Promise<CheckResult>
  apply: (text: string, options: ApplyOptions, signal: AbortSignal) => Promise<{ readonly info: GenerationInfo, readonly result: ApplyResult, readonly plan: readonly PlanStep[] }>
  confirm: (generation: number) => Promise<GenerationInfo>
  rollback: (generation: number, options: ApplyOptions, signal: AbortSignal) => Promise<{ readonly info: GenerationInfo, readonly result: ApplyResult, readonly plan: readonly PlanStep[] }>
  history: () => Answer<readonly GenerationInfo[]>
  /** Plan steps from one generation to another. */
  compare: (fromGeneration: number, toGeneration: number, signal: AbortSignal) => Promise<readonly PlanStep[]>
  /** Running becomes startup. */
  save: () => Promise<void>
}

/** Ids to names and back, from the running configuration (R11). Unknown ids give `#7`. */
export interface NameBook {
  name: (kind: NameKind, id: number) => string
  id: (kind: NameKind, name: string) => number | null
}
export type NameKind = 'zone' | 'policy' | 'vip' | 'real' | 'pool' | 'app' | 'interface' | 'domain'

export interface AgentInfo {
  readonly version: string
  readonly node: string
  readonly instance: string
  readonly pid: number
  readonly startedAt: number
  readonly backend: BackendName
  readonly generation: number
  readonly state: 'starting' | 'running' | 'degraded' | 'stopping'
  readonly reasons: readonly string[]
  /** Unix ms, of each reason: when it was first seen. */
  readonly reasonsSince: readonly number[]
  readonly tableCapacity: number
  readonly tableLive: number
  readonly hugepages: boolean
  /** Of the main thread. */
  readonly eventLoopDelayP99Ms: number
  /** Of the thread that serves gRPC. */
  readonly rpcLoopDelayP99Ms: number
  readonly switches: SwitchTally
  /** A row for each group that anything happened to. */
  readonly cluster: readonly ClusterTally[]
  readonly applies: ApplyTally
  /** Of the journal, by what they are. */
  readonly events: readonly EventTally[]
  readonly threads: readonly ThreadStatus[]
  /** `null`: nothing is traced. */
  readonly traces: TraceTally | null
  /** Of the configuration that runs. */
  readonly labels: AgentSettings['labels']
  readonly gateway: AgentSettings['gateway']
  /** The dataplane that the backend programs; `null`: it forwards by itself. */
  readonly program: ProgramStatus | null
  /** Of the last seconds; empty where the kernel has the drivers. */
  readonly drivers: readonly DriverPort[]
}

/** A subscriber to session changes. Bounded: a slow reader loses changes and is told how many (level-triggered, never blocks). */
export interface SessionFeed {
  /** Calls back with batches of packed wire records, which all subscribers share and nobody changes; returns the unsubscribe function. */
  subscribe: (onBatch: (records: Uint8Array, lost: number) => void) => () => void
  /** Resolves when every change from then on comes to those who have subscribed, or is counted. */
  listening: () => Promise<void>
  decode: (records: Uint8Array) => SessionChange[]
}

/** Who had a translated address? `null`: any. */
export interface TranslationQuery { readonly address: string, readonly port: number | null, readonly protocol: number | null, /** Unix ms. */ readonly at: number | null, readonly limit: number }
export interface EndedTranslations {
  /** Newest first. */
  readonly rows: ReadonlyArray<{ readonly session: SessionRow, /** Unix ms. */ readonly endedAt: number }>
  /** Every translated session that ended since is known, but for `lost`; `null`: none is kept. */
  readonly completeSince: number | null
  /** Changes that the dataplane could not tell; some may have been of such sessions. */
  readonly lost: number
  readonly truncated: boolean
}

/** What of the dataplane is served. Sessions and counters are read here, in shared memory; its links are asked for. */
export interface ServedDataPlane {
  readonly sessions: SessionStore
  readonly telemetry: Telemetry
  readonly links: () => Promise<readonly LinkInfo[]>
}

/** A capability that the other backend has not, and what needs it: paths of the configuration, or live sessions. */
export interface SwitchLoss { readonly capability: string, readonly reason: string, readonly needed: readonly string[] }

/** `force`: also when that loses something. `dryRun`: what would be lost, or why it is refused; nothing is touched. */
export interface SwitchTerms { readonly force: boolean, readonly dryRun: boolean }

export interface SwitchResult {
  readonly from: BackendName
  readonly to: BackendName
  /** In the order they were handed over, and how long both received from each: no moment passes in which nobody does. */
  readonly ports: ReadonlyArray<{ readonly name: string, readonly handOverUs: number }>
  /** That went on. */
  readonly sessions: number
  /** What was given up, as it was told to. */
  readonly lost: readonly SwitchLoss[]
  readonly totalMs: number
}

/** What is told of a change of the backend, in this order: refused; or begin, a port each, and end or failed. Names and fields are those of the log. */
export type SwitchEvent = { readonly from: BackendName, readonly to: BackendName } & (
  | { readonly event: 'switch_begin', readonly ports: readonly string[], readonly lost: readonly SwitchLoss[] }
  /** How long both received from it. */
  | { readonly event: 'switch_port', readonly port: string, readonly handOverUs: number }
  /** `warnings`: what is not as it should be now. */
  | { readonly event: 'switch_end', readonly ports: number, readonly longestHandOverUs: number, readonly sessions: number, readonly totalMs: number, /** Capabilities. */ readonly lost: number, readonly warnings: readonly string[] }
  /** Nothing was touched. `lost`: what would have been. */
  | { readonly event: 'switch_refused', readonly class: string, readonly reason: string, readonly lost: readonly SwitchLoss[] }
  /** `back`: ports that were given back, last first; `left`: what could not be undone. */
  | { readonly event: 'switch_failed', readonly reason: string, readonly back: readonly string[], readonly left: readonly string[], readonly totalMs: number })

/** Since the agent started; of those done, `forced` lost something. `lastHandOverUs`: the longest of a port at the last one that was done; 0: there was none. */
export interface SwitchTally { readonly done: number, readonly forced: number, readonly refused: number, readonly failed: number, readonly lastHandOverUs: number }

/** Since the agent started: changes of the role, and how planned moves ended here. */
export interface ClusterTally { readonly rg: number, readonly roleChanges: number, readonly moves: { readonly done: number, readonly refused: number, readonly failed: number } }

/** Since the agent started. `done`: in force, by where they came from; `refused`: nothing was touched; `seconds`: what the phases of those that are done took, all together. */
export interface ApplyTally {
  readonly done: Readonly<Record<GenerationInfo['source'], number>>
  readonly refused: number
  readonly failed: number
  readonly seconds: { readonly ports: number, readonly compile: number, readonly flip: number, readonly total: number }
}

export interface EventTally { readonly area: EventArea, readonly name: string, readonly level: EventLevel, readonly count: number }

/** Of the JavaScript threads of the agent; health threads are one. `busy`: 0 to 1 of the latest seconds; `null`: not known. */
export interface ThreadStatus { readonly name: 'main' | 'rpc' | 'sync' | 'health', readonly loopDelayP99Ms: number, readonly heapBytes: number, readonly busy: number | null }

export interface AgentServices {
  readonly info: () => Promise<AgentInfo>
  readonly dataplane: () => ServedDataPlane
  readonly probeAll: () => Promise<readonly ProbeResult[]>
  readonly switchBackend: (backend: string, how: SwitchTerms, signal: AbortSignal) => Promise<SwitchResult>
  readonly config: ConfigAuthority
  readonly cluster: ClusterControl
  readonly loadBalancer: LoadBalancerControl
  readonly bgp: BgpControl
  readonly journal: EventJournal
  /** Into the journal. */
  readonly tell: (event: AgentEvent) => void
  /** Of the running configuration; never asks another thread. */
  readonly names: NameBook
  readonly feed: SessionFeed
  /** Translated sessions that have ended. */
  readonly endedTranslations: (query: TranslationQuery) => EndedTranslations
  /** Tables of other threads; those of the surfaces' own thread are made of what stands above. */
  readonly debug: DebugSource
}
