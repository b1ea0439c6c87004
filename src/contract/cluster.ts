/**
 * A pair of nodes: what the operator configures, what the surfaces show of it, what can be asked. Plain data. Terms: docs/glossary.md; roles and
 * elections: docs/design/0011-ownership.md; replication: docs/design/0010-replication.md.
 */
import type { RgRole } from './dataplane.js'

// --- wanted: Desired.cluster ------------------------------------------------------------------------------------------------------------

export interface Endpoint { readonly host: string, readonly port: number }

export interface ClusterNode {
  readonly name: string
  /** 0 to 255, of each node its own: the low byte of its epochs. The lower one listens for the stream of sessions, the other dials. */
  readonly index: number
  /** Where the stream of sessions is listened for: one for each path, the preferred one first, in the same order at both nodes. */
  readonly sync: readonly Endpoint[]
  /** One for each path, in the same order at every node. */
  readonly heartbeats: readonly Endpoint[]
}

/** Takes `weight` off the priority of its groups while it is down. */
export type Monitor = { readonly name: string, readonly weight: number } & (
  /** Logical interface: down, or without a carrier. */
  | { readonly kind: 'interface', readonly interface: string }
  /** Next hop that is not resolved. */
  | { readonly kind: 'neighbour', readonly address: string }
  /** Exit code other than 0, or none in time. */
  | { readonly kind: 'script', readonly argv: readonly string[], readonly intervalMs: number, readonly timeoutMs: number }
)

export interface ClusterGroup {
  readonly rg: number
  /** Node -> 1 to 255; the higher one is preferred. */
  readonly priority: Readonly<Record<string, number>>
  readonly preempt: boolean
  readonly monitors: readonly Monitor[]
}

export interface ClusterSettings {
  /** Two, sorted by name. */
  readonly nodes: readonly ClusterNode[]
  /** Files with the key both nodes have: it authenticates heartbeats, and the stream of sessions too when there are no certificates. */
  readonly keyFile: string
  readonly certificates: { readonly certificate: string, readonly key: string, readonly authority: string } | null
  readonly timing: { readonly intervalMs: number, readonly count: number }
  readonly timers: { readonly restartHoldMs: number, readonly moveTimeoutMs: number, readonly degradedAfterMs: number, readonly worseAfterMs: number, readonly betterAfterMs: number }
  /** Of every redundancy group, by number. */
  readonly groups: readonly ClusterGroup[]
}

// --- seen ---------------------------------------------------------------------------------------------------------------------------------

export type PeerLiveness = 'unseen' | 'alive' | 'suspect' | 'lost'

export interface ClusterPeer {
  readonly node: string
  readonly liveness: PeerLiveness
  /** `heard`: heartbeats. */
  readonly paths: ReadonlyArray<{ readonly path: string, readonly liveness: PeerLiveness, readonly heard: number }>
  /** `null`: not heard. */
  readonly agent: 'present' | 'away' | null
  readonly generation: number | null
  readonly bootId: string | null
}

/** Of frames, from a change to its acknowledgement. `counts`: how many were at most each of lagBoundsMs, and beyond the last one. */
export interface LagFigures { readonly count: number, readonly p50Ms: number, readonly p99Ms: number, readonly maxMs: number, readonly counts: readonly number[], readonly sumMs: number }

export interface ClusterSync {
  readonly state: 'down' | 'hello' | 'up' | 'differs' | 'refused'
  /** Why the peer was refused, or how it differs; '' otherwise. */
  readonly refusal: string
  /** The path in use, its place in `sync` of the nodes, and where it is listened for; `null`: not connected. */
  readonly path: { readonly index: number, readonly address: Endpoint } | null
  /** Age of the oldest change that the peer has not acknowledged; `null`: no stream. */
  readonly lagMs: number | null
  readonly lag: LagFigures
  readonly aheadBytes: number
  /** It is dialled again then (Unix ms), because of this; `null`: nothing is waited for. */
  readonly redial: { readonly until: number, readonly reason: string } | null
  /** Totals since the agent started, by name: rows, sent, bulks, cells, cuts, needed, keys. */
  readonly sent: Readonly<Record<string, number>>
  /** installed, deleted, unknown, waiting, conflicts, full, invalid, refused, cuts, skippedCuts, equalCuts, differences, repairs, bulks, stale. */
  readonly received: Readonly<Record<string, number>>
}

/** Rings of VIPs here and at the peer. */
export interface ClusterRings { readonly equal: number, /** Names, sorted. */ readonly differing: readonly string[] }

export interface RoleChange { /** Unix ms. */ readonly at: number, readonly from: RgRole, readonly to: RgRole, readonly epoch: bigint, /** Why: a code of the election, `move` or `lapsed`. */ readonly code: string }

export interface ClusterGroupStatus {
  readonly rg: number
  readonly description: string
  readonly role: RgRole
  /** Owner: the epoch owned. Others: the highest one known. */
  readonly epoch: bigint
  /** Who owns, as far as this node knows; `null`: nobody. */
  readonly owner: string | null
  readonly priority: number
  /** Priority less the weights of monitors that are down. */
  readonly effectivePriority: number
  readonly preempt: boolean
  readonly pinned: boolean
  readonly holds: readonly string[]
  readonly ready: boolean
  /** Why not ready. */
  readonly reasons: readonly string[]
  /** The row of the election that decided; '' before the first. */
  readonly decision: string
  readonly move: { readonly id: string, readonly peer: string, readonly phase: string } | null
  /** State of this node's copy, when it does not own: unknown, comparing, repairing, bulk, equal. */
  readonly copy: string
  /** Unix ms: a cut was equal and audits had passed since (R28). `null`: never, or this node owns and the peer has not said. */
  readonly provenEqualAt: number | null
  /** Sessions of the group in the sketch. */
  readonly sessions: number
  readonly peer: { readonly role: RgRole, readonly epoch: bigint, readonly ready: boolean, readonly reasons: readonly string[], readonly priority: number } | null
  readonly monitorsDown: readonly string[]
  /** The latest changes, oldest first, at most 32. */
  readonly history: readonly RoleChange[]
}

export interface ClusterStatus {
  readonly node: string
  readonly nodeIndex: number
  /** Of the keeper's life. */
  readonly bootId: string
  readonly generation: number
  readonly peers: readonly ClusterPeer[]
  readonly sync: ClusterSync
  readonly groups: readonly ClusterGroupStatus[]
  /** `null`: the peer has not said. */
  readonly rings: ClusterRings | null
}

/** An event of the cluster: names and fields are those of the log. */
export interface ClusterEvent {
  /** Unix ms. */
  readonly at: number
  readonly name: string
  readonly rg: number | null
  readonly peer: string | null
  readonly fields: Readonly<Record<string, string | number | null>>
}

// --- asked --------------------------------------------------------------------------------------------------------------------------------

export interface CommandResult {
  readonly done: readonly number[]
  readonly refused: ReadonlyArray<{ readonly rg: number, readonly reasons: readonly string[] }>
}

export interface VerifyResult {
  readonly rg: number
  readonly equal: boolean
  readonly sessions: number
  /** Found and repaired on the way. */
  readonly differences: number
  readonly provenEqualAt: number | null
  readonly tookMs: number
}

/** What surfaces need. @throws unavailable LS_H_STANDALONE: this node has no cluster. */
/** What a comparison with the owner found; ids as in SessionRow, at most 256 of each kind. */
export interface ClusterRepair {
  readonly rg: number
  /** Unix ms. */
  readonly at: number
  /** Sessions that the owner had, and this node had not or otherwise: they were sent again. */
  readonly asked: number
  readonly askedIds: readonly string[]
  /** Sessions that only this node had: they ended here. */
  readonly ended: number
  readonly endedIds: readonly string[]
}

export interface ClusterControl {
  /** `null`: standalone. */
  readonly status: () => Promise<ClusterStatus | null>
  /** Moves groups to a node; resolves when every move has ended. Empty = all groups. A group that is there already is done. */
  readonly switchover: (rgs: readonly number[], to: string, signal: AbortSignal) => Promise<CommandResult>
  readonly hold: (rgs: readonly number[]) => Promise<CommandResult>
  readonly release: (rgs: readonly number[]) => Promise<CommandResult>
  /** Forgets pins, guards and the highest generation heard of. */
  readonly reset: (rgs: readonly number[]) => Promise<CommandResult>
  /** Another cut of groups that this node does not own, compared and repaired; resolves when they are equal or the signal ends it. */
  readonly verify: (rgs: readonly number[], signal: AbortSignal) => Promise<readonly VerifyResult[]>
  /** The whole of groups that this node does not own from their owner; resolves as `verify` does. @throws unavailable LS_H_PEER */
  readonly resync: (rgs: readonly number[], signal: AbortSignal) => Promise<readonly VerifyResult[]>
  /** What the latest comparisons found, newest first, at most 32. */
  readonly repairs: () => Promise<readonly ClusterRepair[]>
  /** The last events and those that come. Calls back at once with what is kept (at most 256). Returns the unsubscribe function. */
  readonly watch: (onEvent: (event: ClusterEvent) => void) => () => void
}
