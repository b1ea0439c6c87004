/**
 * What is known of each neighbour over all readings: START HERE for src/bgp. Pure but for the clock that it is given.
 *
 * - A reading replaces its scope whole, but who is missing goes only after the maximum age. A reading that failed replaces nothing; what is older than the maximum age is
 *   `unknown`, and never `down`.
 * - Truth is of the daemon: of routing daemons the newest reading, else what a router tells over BMP. The kernel adds round trip and socket; it decides only where
 *   no daemon is asked at all.
 * - Sessions that end between two looks show as a counter of the daemon that grew, as a session that began after it was last seen, or, of a source that tells
 *   neither, as another socket. A counter that shrank is a daemon that began anew, and with it went the session.
 */
import type { BgpNeighbour, BgpNeighbourStatus, BgpReading, BgpSource, BgpSourceStatus, BgpState, BgpView } from '../contract/bgp.js'

/** `flap`: it ended and is up again. `gone`: no source has it any more. */
export type BgpChangeKind = 'new' | 'up' | 'down' | 'unknown' | 'flap' | 'gone'
export interface BgpChange { readonly kind: BgpChangeKind, readonly before: BgpState | null, readonly status: BgpNeighbourStatus }
/** It fails from here on, or answers again. */
export interface BgpSourceChange { readonly source: BgpSource, readonly scope: string, readonly failed: string | null }
export interface BgpChanges { readonly neighbours: readonly BgpChange[], readonly sources: readonly BgpSourceChange[] }

export interface NeighboursOptions {
  readonly maxAgeMs: number
  /** No daemon is asked: the kernel's connections are the sessions. */
  readonly kernelDecides: boolean
}

interface Scope {
  readonly source: BgpSource
  readonly scope: string
  /** Of the last good reading: by the host's clock, and by the even one. */
  goodAt: number | null
  heardMs: number
  /** Since when no reading failed. */
  stoodMs: number
  failed: string | null
  failures: number
  ok: number
  bad: number
  tookMs: number | null
  rows: ReadonlyMap<string, BgpNeighbour>
  /** Of rows, those that good readings no longer have, and since when by the even clock. */
  readonly missing: Map<string, number>
}

/** What is remembered of a neighbour from look to look. */
interface Known {
  status: BgpNeighbourStatus
  /** Without the times when nobody knew. */
  wasUp: boolean
  /** Whose counter `drops` is. */
  counter: string
}

/** Daemons print whole seconds. */
const SINCE_TOLERANCE_MS = 2000
/** Where the kernel decides, a connection that is gone is a session that is down for so long. */
const FORGET_MS = 3_600_000
const polled: ReadonlySet<BgpSource> = new Set(['frr', 'bird', 'gobgp'])

/** Field by field: there are thousands of neighbours, and each is made anew with every reading. */
function statusOf (row: BgpNeighbour, { state, rttNs, cookie, since, seenAt, changedAt, flaps }: Pick<BgpNeighbourStatus, 'state' | 'rttNs' | 'cookie' | 'since' | 'seenAt' | 'changedAt' | 'flaps'>): BgpNeighbourStatus {
  const { source, vrf, peer, local, remoteAs, localAs, established, fsm, adminDown, drops, reason, description, prefixesReceived } = row
  return { source, vrf, peer, local, remoteAs, localAs, established, fsm, adminDown, since, drops, reason, description, prefixesReceived, rttNs, cookie, state, seenAt, changedAt, flaps, unknownBecause: null }
}

const keyOf = ({ vrf, peer }: Pick<BgpNeighbour, 'vrf' | 'peer'>): string => `${vrf}\n${peer}`

export class Neighbours implements BgpView {
  private o: NeighboursOptions
  private readonly scopes = new Map<string, Scope>()
  private readonly known = new Map<string, Known>()
  /** Scopes that have a neighbour, by its key; and keys by peer, of those that daemons tell. */
  private readonly told = new Map<string, Map<string, BgpNeighbour>>()
  private readonly keysOfPeer = new Map<string, Set<string>>()
  /** The kernel's rows, by peer and scope. */
  private readonly sockets = new Map<string, Map<string, BgpNeighbour[]>>()
  private readonly watchers = new Set<() => void>()
  /** By VRF and peer, until one comes or goes; and as it was handed out last. */
  private ordered: readonly Known[] | null = null
  private listed: readonly BgpNeighbourStatus[] | null = null

  /** `wallMs`: Unix milliseconds, for what is printed; `evenMs`: milliseconds that nobody sets, for ages. */
  constructor (options: NeighboursOptions, private readonly wallMs: () => number = Date.now, private readonly evenMs: () => number = () => performance.now()) { this.o = options }

  configure (options: NeighboursOptions): BgpChanges {
    const kernels = options.kernelDecides === this.o.kernelDecides ? [] : [...this.scopes].filter(([, { source }]) => source === 'kernel')
    const touched = this.drop(kernels)
    this.o = options
    return this.done(this.settle([...touched, ...this.aged()]), [])
  }

  /** `tookMs`: `null` when it was told. */
  observe (reading: BgpReading, tookMs: number | null = null): BgpChanges {
    const id = `${reading.source}\n${reading.scope}`
    const scope = this.scopes.get(id) ?? { source: reading.source, scope: reading.scope, goodAt: null, heardMs: -Infinity, stoodMs: Infinity, failed: null, failures: 0, ok: 0, bad: 0, tookMs: null, rows: new Map<string, BgpNeighbour>(), missing: new Map<string, number>() }
    this.scopes.set(id, scope)
    scope.tookMs = tookMs
    const now = this.evenMs()
    const failedBefore = scope.failures > 0
    if (!reading.ok) {
      // a router tells when something happens: it was as it had told until its connection ended
      if (this.standing(scope)) {
        scope.goodAt = reading.at
        scope.heardMs = now
      }
      scope.failed = reading.reason
      scope.failures++
      scope.bad++
      const sources = failedBefore ? [] : [{ source: scope.source, scope: scope.scope, failed: reading.reason }]
      return this.done(this.settle([...scope.rows.keys()]), sources)
    }
    if (failedBefore || scope.goodAt === null) scope.stoodMs = now
    scope.failed = null
    scope.failures = 0
    scope.ok++
    scope.goodAt = reading.at
    scope.heardMs = now
    const touched = scope.source === 'kernel' && !this.o.kernelDecides ? this.takeSockets(id, scope, reading.neighbours) : this.take(id, scope, reading.neighbours, reading.at)
    return this.done(this.settle(touched), failedBefore ? [{ source: scope.source, scope: scope.scope, failed: null }] : [])
  }

  /** Time has passed: what was read too long ago is unknown, and what a router that came again has not told is gone. */
  tick (): BgpChanges { return this.done(this.settle(this.aged()), []) }

  /** This source is no longer configured: what it and its scopes told is gone. */
  forget (source: BgpSource, name: string): BgpChanges { return this.keep(source, name, []) }

  /** All places that the source reads now: what others of it told is gone. */
  keep (source: BgpSource, name: string, scopes: readonly string[]): BgpChanges {
    const left = [...this.scopes].filter(([, s]) => s.source === source && (s.scope === name || s.scope.startsWith(`${name}/`)) && !scopes.includes(s.scope))
    return this.done(this.settle(this.drop(left)), [])
  }

  readonly neighbours = (): readonly BgpNeighbourStatus[] => {
    this.ordered ??= [...this.known.values()].sort(({ status: a }, { status: b }) => a.vrf < b.vrf ? -1 : a.vrf > b.vrf ? 1 : a.peer < b.peer ? -1 : 1)
    this.listed ??= this.ordered.map(({ status }) => status)
    return this.listed
  }

  find (peer: string, vrf: string | null): BgpNeighbourStatus | null {
    if (vrf !== null) return this.known.get(keyOf({ vrf, peer }))?.status ?? null
    const found = [...this.keysOfPeer.get(peer) ?? []].flatMap(key => this.known.get(key)?.status ?? [])
    return found.length === 1 ? found[0] ?? null : null
  }

  readonly sources = (): readonly BgpSourceStatus[] => {
    const now = this.evenMs()
    return [...this.scopes.values()].map((of) => {
      const { source, scope, goodAt, failed, failures, ok, bad, rows, tookMs } = of
      return { source, scope, goodAt, fresh: this.isFresh(of, now), whole: this.isWhole(of, now), failed, failures, readings: { ok, failed: bad }, neighbours: rows.size, tookMs }
    })
  }

  watch (onChange: () => void): () => void {
    const watcher = (): void => { onChange() }
    this.watchers.add(watcher)
    return () => { this.watchers.delete(watcher) }
  }

  private done (neighbours: readonly BgpChange[], sources: readonly BgpSourceChange[]): BgpChanges {
    if (neighbours.length + sources.length > 0) for (const watcher of [...this.watchers]) watcher()
    return { neighbours, sources }
  }

  // --- what is told ---

  private take (id: string, scope: Scope, neighbours: readonly BgpNeighbour[], at: number): Set<string> {
    const rows = new Map(neighbours.map(n => [keyOf(n), n]))
    if (scope.source === 'kernel') this.ended(scope, rows, at)
    else this.held(scope, rows)
    const touched = new Set([...scope.rows.keys(), ...rows.keys()])
    // what BMP told without its VRF may be another session of the same peer: who comes and who goes matters to both
    const touchOthers = (peer: string): void => { for (const other of this.keysOfPeer.get(peer) ?? []) touched.add(other) }
    for (const [key, { peer }] of scope.rows) {
      if (rows.has(key)) continue
      this.untell(id, key)
      touchOthers(peer)
    }
    for (const [key, row] of rows) {
      let of = this.told.get(key)
      if (of === undefined) {
        this.told.set(key, of = new Map<string, BgpNeighbour>())
        let keys = this.keysOfPeer.get(row.peer)
        if (keys === undefined) this.keysOfPeer.set(row.peer, keys = new Set())
        keys.add(key)
        touchOthers(row.peer)
      }
      of.set(id, row)
    }
    scope.rows = rows
    return touched
  }

  /** A daemon that begins answers before it has read its configuration: who is missing is as it was up to the maximum age, and gone then. */
  private held (scope: Scope, rows: Map<string, BgpNeighbour>): void {
    const now = this.evenMs()
    for (const [key, row] of scope.rows) {
      const since = scope.missing.get(key) ?? now
      if (rows.has(key) || now - since >= this.o.maxAgeMs) scope.missing.delete(key)
      else {
        scope.missing.set(key, since)
        rows.set(key, row)
      }
    }
  }

  /** Connections that are gone stay as sessions that are down. */
  private ended (scope: Scope, rows: Map<string, BgpNeighbour>, at: number): void {
    for (const [key, row] of scope.rows) {
      if (rows.has(key) || (row.since !== null && !row.established && at - row.since > FORGET_MS)) continue
      rows.set(key, row.established ? { ...row, established: false, since: at, rttNs: null, cookie: null } : row)
    }
  }

  private takeSockets (id: string, scope: Scope, neighbours: readonly BgpNeighbour[]): Set<string> {
    const rows = new Map(neighbours.map(n => [`${keyOf(n)}\n${n.local ?? ''}`, n]))
    const touched = new Set<string>()
    const touch = (peer: string): void => { for (const key of this.keysOfPeer.get(peer) ?? []) touched.add(key) }
    for (const { peer } of scope.rows.values()) {
      const of = this.sockets.get(peer)
      of?.delete(id)
      if (of?.size === 0) this.sockets.delete(peer)
      touch(peer)
    }
    for (const row of rows.values()) {
      let of = this.sockets.get(row.peer)
      if (of === undefined) this.sockets.set(row.peer, of = new Map<string, BgpNeighbour[]>())
      const there = of.get(id)
      if (there === undefined) of.set(id, [row])
      else there.push(row)
      touch(row.peer)
    }
    scope.rows = rows
    return touched
  }

  private untell (id: string, key: string): void {
    const of = this.told.get(key)
    of?.delete(id)
    if (of?.size !== 0) return
    this.told.delete(key)
    const peer = key.slice(key.indexOf('\n') + 1)
    const keys = this.keysOfPeer.get(peer)
    keys?.delete(key)
    if (keys?.size === 0) this.keysOfPeer.delete(peer)
  }

  /** Keys that they had. */
  private drop (scopes: ReadonlyArray<readonly [id: string, scope: Scope]>): string[] {
    const touched: string[] = []
    for (const [id, { rows }] of scopes) {
      this.scopes.delete(id)
      for (const [key, { peer }] of rows) {
        touched.push(...this.keysOfPeer.get(peer) ?? [])
        this.untell(id, key)
        const sockets = this.sockets.get(peer)
        sockets?.delete(id)
        if (sockets?.size === 0) this.sockets.delete(peer)
      }
    }
    return touched
  }

  /** Keys to which time did something: those of places read too long ago, and those that a router did not tell again. */
  private aged (): Set<string> {
    const now = this.evenMs()
    const touched = new Set<string>()
    for (const [id, scope] of this.scopes) {
      if (!this.isFresh(scope, now)) {
        if (scope.source !== 'kernel' || this.o.kernelDecides) for (const key of scope.rows.keys()) touched.add(key)
      } else if (this.standing(scope) && [...scope.missing.values()].some(since => now - since >= this.o.maxAgeMs)) {
        const told = [...scope.rows].flatMap(([key, row]) => scope.missing.has(key) ? [] : [row])
        for (const key of this.take(id, scope, told, scope.goodAt ?? 0)) touched.add(key)
      }
    }
    return touched
  }

  // --- what follows from it ---

  private settle (keys: Iterable<string>): BgpChange[] {
    const [changes, now, wall]: [BgpChange[], number, number] = [[], this.evenMs(), this.wallMs()]
    for (const key of keys) {
      const change = this.settleOne(key, now, wall)
      if (change !== null) changes.push(change)
    }
    this.listed = null
    return changes
  }

  private settleOne (key: string, now: number, wall: number): BgpChange | null {
    const truth = this.truth(key, now)
    const known = this.known.get(key)
    if (truth === null) {
      if (known === undefined) return null
      this.known.delete(key)
      this.ordered = null
      return { kind: 'gone', before: known.status.state, status: known.status }
    }
    const { id, scope, row } = truth
    const fresh = this.isFresh(scope, now)
    if (!fresh) {
      if (known === undefined || known.status.state === 'unknown') return null
      const because = scope.failed ?? `nothing was read for ${Math.round((now - scope.heardMs) / 1000)} s`
      const { state: before } = known.status
      known.status = { ...known.status, state: 'unknown', changedAt: wall, unknownBecause: because, rttNs: null }
      return { kind: 'unknown', before, status: known.status }
    }
    const seenAt = scope.goodAt ?? wall
    const state = row.established ? 'up' : 'down'
    const socket = row.source === 'kernel' ? row : this.socketOf(row, now)
    const [rttNs, cookie] = row.established ? [socket?.rttNs ?? row.rttNs, socket?.cookie ?? row.cookie] : [null, null]
    if (known === undefined) {
      const status = statusOf(row, { state, rttNs, cookie, since: row.since, seenAt, changedAt: wall, flaps: 0 })
      this.ordered = null
      this.known.set(key, { status, wasUp: row.established, counter: id })
      return { kind: 'new', before: null, status }
    }
    const { status: last } = known
    const ended = this.endedSince(known, row, cookie, id)
    const same = row.established === known.wasUp && ended === 0
    const since = same ? last.since ?? row.since : row.since ?? seenAt
    const changed = last.state !== state
    known.status = statusOf(row, { state, rttNs, cookie: cookie ?? (same && row.established ? last.cookie : null), since, seenAt, changedAt: changed ? wall : last.changedAt, flaps: last.flaps + ended })
    known.wasUp = row.established
    known.counter = id
    return changed ? { kind: state, before: last.state, status: known.status } : ended > 0 && row.established ? { kind: 'flap', before: state, status: known.status } : null
  }

  /** How often it left `up` since the last look: as little as all that is told is consistent with. */
  private endedSince ({ status: last, wasUp, counter }: Known, row: BgpNeighbour, cookie: bigint | null, id: string): number {
    const counts = row.drops !== null && last.drops !== null && counter === id
    const grown = !counts ? 0 : (row.drops ?? 0) >= (last.drops ?? 0) ? (row.drops ?? 0) - (last.drops ?? 0) : (row.drops ?? 0) + (wasUp ? 1 : 0)
    if (!wasUp) return grown
    if (!row.established) return Math.max(grown, 1)
    // clocks are set, and old moments lose their time of day: a session is another one only when it also began after it was last seen
    const later = row.since !== null && last.since !== null && row.since > last.since + SINCE_TOLERANCE_MS && row.since > last.seenAt - SINCE_TOLERANCE_MS
    const another = row.since === null && row.drops === null && cookie !== null && last.cookie !== null && cookie !== last.cookie
    return Math.max(grown, later || another ? 1 : 0)
  }

  private isFresh (scope: Scope, now: number): boolean { return this.standing(scope) || (scope.goodAt !== null && now - scope.heardMs <= this.o.maxAgeMs) }

  private isWhole (scope: Scope, now: number): boolean { return this.isFresh(scope, now) && (scope.source !== 'bmp' || (scope.failures === 0 && now - scope.stoodMs >= this.o.maxAgeMs)) }

  /** A connection on which nothing came but silence. */
  private standing ({ source, failures, goodAt }: Scope): boolean { return source === 'bmp' && failures === 0 && goodAt !== null }

  /** The row to believe, of those that tell of it. */
  private truth (key: string, now: number): { readonly id: string, readonly scope: Scope, readonly row: BgpNeighbour } | null {
    let best: { readonly id: string, readonly scope: Scope, readonly row: BgpNeighbour, readonly rank: number } | null = null
    for (const [id, row] of this.told.get(key) ?? []) {
      const scope = this.scopes.get(id)
      if (scope === undefined) continue
      const rank = (this.isFresh(scope, now) ? 4 : 0) + (polled.has(scope.source) ? 2 : scope.source === 'bmp' ? 1 : 0)
      if (best === null || rank > best.rank || (rank === best.rank && scope.heardMs > best.scope.heardMs)) best = { id, scope, row, rank }
    }
    if (best === null || best.scope.source !== 'bmp') return best
    // a router that does not tell the VRF means the session that a daemon has in another one
    for (const other of this.keysOfPeer.get(best.row.peer) ?? []) {
      if (other !== key && [...this.told.get(other) ?? []].some(([id]) => polled.has(this.scopes.get(id)?.source ?? 'kernel'))) return null
    }
    return best
  }

  /** The kernel's connection of this session: with its own address if that is told, else of its VRF, else the only one. */
  private socketOf ({ peer, vrf, local }: BgpNeighbour, now: number): BgpNeighbour | null {
    const sockets = this.sockets.get(peer)
    if (sockets === undefined) return null
    const all: BgpNeighbour[] = []
    for (const [id, rows] of sockets) {
      const scope = this.scopes.get(id)
      if (scope !== undefined && this.isFresh(scope, now)) all.push(...rows)
    }
    const [only] = all
    if (only !== undefined && all.length === 1) return local === null || only.local === local ? only : null
    const own = local === null ? all : all.filter(row => row.local === local)
    const here = own.filter(row => row.vrf === vrf)
    const [found, ...others] = here.length > 0 ? here : own
    return found !== undefined && (others.length === 0 || others.every(row => row.local === found.local && row.vrf === found.vrf)) ? found : null
  }
}
