/**
 * BGP sessions of this host: what a routing daemon says of them (readings), what that makes of each neighbour (status), and who wants to know
 * (subjects and sinks). Durations are milliseconds, moments Unix milliseconds.
 *
 * A status is three-valued. Only a daemon that answers makes a session `up` or `down`; a reading that failed leaves what was known, and `unknown`
 * is never turned into `down`.
 */

import type { BgpAnnounceSettings, BgpRoute, BgpRouteSink } from './bgp-announce.js'
import type { BgpReportSettings } from './bgp-report.js'

/** RFC 4271, section 8.2.2; the last two are FRR's. */
export type BgpFsm = 'idle' | 'connect' | 'active' | 'open-sent' | 'open-confirm' | 'established' | 'clearing' | 'deleted'
export type BgpState = 'up' | 'down' | 'unknown'
export type BgpSource = 'frr' | 'bird' | 'gobgp' | 'bmp' | 'kernel'

/** One session as one source tells it. What the source does not tell is `null`. */
export interface BgpNeighbour {
  readonly source: BgpSource
  /** `default`, or the name of a VRF. */
  readonly vrf: string
  /** Canonical text; an IPv4-mapped address is written as IPv4. */
  readonly peer: string
  readonly local: string | null
  readonly remoteAs: number | null
  readonly localAs: number | null
  readonly established: boolean
  readonly fsm: BgpFsm | null
  /** Somebody has shut it down on this side. */
  readonly adminDown: boolean
  /** When it came into its present state. */
  readonly since: number | null
  /** Times that it left Established since the daemon began; a smaller number is a daemon that began anew. */
  readonly drops: number | null
  /** Why it left it last, in the daemon's words. */
  readonly reason: string | null
  readonly description: string | null
  readonly prefixesReceived: number | null
  /** Smoothed round trip of the TCP connection, nanoseconds. */
  readonly rttNs: number | null
  /** Of its socket, as the kernel counts them: another number is another connection. */
  readonly cookie: bigint | null
}

/** What one source says of one scope: the whole of it, or why there is nothing to say. */
export type BgpReading = {
  readonly source: BgpSource
  /** What was asked: a VRF, a namespace, or the daemon. Readings of a scope replace each other whole. */
  readonly scope: string
  readonly at: number
} & ({ readonly ok: true, readonly neighbours: readonly BgpNeighbour[] } | { readonly ok: false, readonly reason: string })

/** What is known of a neighbour over all readings. */
export interface BgpNeighbourStatus extends BgpNeighbour {
  readonly state: BgpState
  /** When a source last told of it. */
  readonly seenAt: number
  /** When `state` last changed here. */
  readonly changedAt: number
  /** Times that it left `up`, as counted here; over restarts of the daemon. */
  readonly flaps: number
  /** Why it is unknown; `null` otherwise. */
  readonly unknownBecause: string | null
}

/** Where neighbours are read. */
export interface BgpSourceStatus {
  readonly source: BgpSource
  readonly scope: string
  /** Of its last good reading; `null`: there was none. */
  readonly goodAt: number | null
  /** What it told is young enough to be believed. */
  readonly fresh: boolean
  /** And is all there is: of a reading always, of a connection over which a router tells once it has stood for the maximum age. */
  readonly whole: boolean
  /** Why the last reading failed; `null`: it did not. */
  readonly failed: string | null
  /** Failed in a row. */
  readonly failures: number
  /** Since the agent started. */
  readonly readings: { readonly ok: number, readonly failed: number }
  /** Of the last good reading. */
  readonly neighbours: number
  /** How long the last reading took; `null`: it was told, not asked for. */
  readonly tookMs: number | null
}

/** What is known now. Whoever asks for neighbours that are not here also asks whether all sources answer: what nobody reads is not down. */
export interface BgpView {
  /** By VRF and peer. */
  readonly neighbours: () => readonly BgpNeighbourStatus[]
  /** `vrf` null: the only one that has this peer. */
  readonly find: (peer: string, vrf: string | null) => BgpNeighbourStatus | null
  readonly sources: () => readonly BgpSourceStatus[]
  /** Calls back after anything changed but numbers; what it returns ends that. */
  readonly watch: (onChange: () => void) => () => void
}

/** Where reports go, and how that goes. */
export interface BgpSinkStatus {
  readonly sink: string
  readonly kind: string
  /** `refused`: somebody has to change something; it is tried again all the same, rarely. */
  readonly stage: 'starting' | 'ready' | 'refused' | 'stopped'
  readonly lastError: string | null
  readonly subjects: number
  /** At the last look: what was seen of them, and whose state waits for certainty, by why. */
  readonly observed: Readonly<Record<BgpState, number>>
  readonly held: Readonly<Record<'unknown' | 'grace' | 'debounce' | 'spacing', number>>
  readonly queued: number
  /** On their way. */
  readonly out: number
  readonly lastTickAt: number | null
  /** At its subjects, by whether they could be read. */
  readonly looks: Readonly<Record<'ok' | 'failed', number>>
  readonly lastLandedAt: number | null
  /** Reports that looks asked for: `queued` anew, in place of one that waited (`replaced`, `kept`: the same again), put off as one is `out`, or dropped as the queue was `full`; the next look asks again. */
  readonly offers: Readonly<Record<'queued' | 'replaced' | 'kept' | 'out' | 'full', number>>
  /** Reports that waited until they were not needed any more. */
  readonly withdrawn: number
  /** Reports that were sent once more. */
  readonly retried: number
  readonly batches: number
  /** That all of them took. */
  readonly batchMs: number
  /** Reports that came to an end, by what became of them. */
  readonly reports: Readonly<Record<'up' | 'down', Readonly<Record<string, number>>>>
  /** How long reports that landed were on their way. */
  readonly landedIn: BgpTimes
  /** Of its subjects; `null`: it reads them nowhere. */
  readonly fetches: BgpFetches | null
}

/** Seconds: how many were at most each bound, and beyond the last one. */
export interface BgpTimes { readonly bounds: readonly number[], readonly counts: readonly number[], readonly sum: number }

/** `stale`: it failed, and a copy served. */
export interface BgpFetches {
  readonly results: Readonly<Record<'success' | 'stale' | 'failed', number>>
  readonly took: BgpTimes
  /** Age of the copy that serves meanwhile; 0: none does. */
  readonly staleMs: number
}

/** What the surfaces serve; `pending` has a row for each report that is on its way. */
export interface BgpControl {
  readonly neighbours: () => Promise<readonly BgpNeighbourStatus[]>
  readonly sources: () => Promise<readonly BgpSourceStatus[]>
  readonly pending: () => Promise<readonly BgpPending[]>
  readonly sinks: () => Promise<readonly BgpSinkStatus[]>
  /** Of the VIPs of this host, and where they are put. */
  readonly routes: () => Promise<readonly BgpRoute[]>
  readonly routeSinks: () => Promise<readonly BgpRouteSink[]>
  readonly watch: (onChange: () => void) => () => void
}

/** One place where neighbours are read. A name of a VRF stands for `default`, or for all where the source knows no VRFs. */
export type BgpSourceSettings = { readonly name: string, readonly vrf: string | null } & (
  | { readonly type: 'frr' | 'bird', readonly socket: string }
  /** `unix:///run/gobgp.sock`, or an address of loopback and a port. */
  | { readonly type: 'gobgp', readonly address: string }
  /** An address of loopback and a port where routers of this host connect. */
  | { readonly type: 'bmp', readonly listen: string }
  /** Names of network namespaces; `null`: all there are, and the agent's own. */
  | { readonly type: 'kernel', readonly namespaces: readonly string[] | null })

/** Section `bgp` of the configuration. */
export interface BgpSettings {
  readonly sources: readonly BgpSourceSettings[]
  readonly intervalMs: number
  /** Of one reading. */
  readonly timeoutMs: number
  /** What was read longer ago is unknown. */
  readonly maxAgeMs: number
  /** `null`: nobody is told. */
  readonly report: BgpReportSettings | null
  /** `null`: nothing is announced. */
  readonly announce: BgpAnnounceSettings | null
}

/** Every neighbour at a moment. */
export interface BgpLook {
  readonly neighbours: readonly BgpNeighbourStatus[]
  /** Every source has told of the whole of its scopes: who is not among `neighbours` is not there. Otherwise absence says nothing. */
  readonly whole: boolean
}

/** Somebody whose session is told to a sink: a user of a ledger, a row of a webhook. */
export interface BgpSubject {
  /** Unique within its sink. */
  readonly id: string
  /** Whose session it is; `null`: no neighbour is its (its tunnel is not here). */
  readonly peer: string | null
  readonly vrf: string | null
  /** What the sink has on record; `unknown`: nothing yet. */
  readonly recorded: BgpState
  /** When the record was written, by the sink's own clock; `null`: it does not tell. */
  readonly recordedAt: number | null
  /** Differs when another subject has taken the id over. */
  readonly incarnation: string
}

/** What is to be told of a subject. */
export interface BgpReport {
  readonly subject: string
  readonly state: 'up' | 'down'
  /** 0: no sample. Always 0 with `down`. */
  readonly rttNs: number
  /** Why now. */
  readonly cause: 'changed' | 'refresh' | 'first'
  /** By the host's clock. */
  readonly decidedAt: number
}

/** A report on its way to its sink. */
export interface BgpPending extends BgpReport {
  readonly sink: string
  readonly queuedAt: number
  readonly attempts: number
  /** Not before this moment; `null`: as soon as its turn comes. */
  readonly retryAt: number | null
  readonly lastError: string | null
  /** `held`: the last look did not confirm it, it waits for one that does. `uncertain`: it was sent, and nobody knows yet whether it landed; it is not sent again before that is known. */
  readonly stage: 'queued' | 'held' | 'in-flight' | 'uncertain'
}
