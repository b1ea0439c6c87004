/**
 * Ownership of all redundancy groups of one node: facts and events in, actions out. `step` takes in what happened, lets time pass, and then
 * settles every group by the election table until nothing changes. Everything is level-triggered: a step decides from the whole state, so an
 * event that was lost costs at most the time to the next one, and a wake-up that was lost nothing (H69, H75).
 *
 * Order inside a step: deadlines first, so nothing that comes late is taken in time. One thread calls `step`; it keeps nothing.
 */
import { liveness, pathLiveness, receive, silentMs } from './detector.js'
import { elect, strongest, type Decision, type ElectionCode, type ElectionInput } from './election.js'
import type { Command, OwnershipAction, OwnershipEvent, OwnershipNote, RgConfig } from './events.js'
import { detectionMs, leaseDeadlineMs, maxLeaseMs, stampMs } from './lease.js'
import { haLimits } from './limits.js'
import { enterPhase, giveRefusals, movePhases, nextPhase, planBatch, roleAfterFailure, takeRefusals, tellsAbort, type Move, type MoveInput, type MoveMessage, type MovePhase, type MoveRefusal } from './move.js'
import { assertChange, claims, forwards, newer, nextEpoch, type Epoch, type NodeStatus, type RgStatus, type Role } from './rg.js'
import { alive, around, electionInput, holdsOf, listening, newRg, owned, readinessOf, rivalsOf, wakeAtMs, type OwnershipState, type PeerState, type RgState } from './state.js'
import { measure, settleWeight } from './weight.js'

export interface Step { readonly state: OwnershipState, readonly actions: readonly OwnershipAction[] }

/** One step under way: the state so far and the actions so far. */
interface Turn {
  readonly nowMs: number
  readonly heardMs: number
  state: OwnershipState
  readonly out: OwnershipAction[]
  /** Peers whose life ended in this step without silence. */
  readonly rebooted: Set<string>
  /** A peer is heard that was not, or in another life: what it said of addresses meanwhile nobody knows. */
  returned: boolean
  /** Groups that a peer gave up, after it had announced their addresses. */
  readonly regained: Set<number>
}

const note = (t: Turn, n: OwnershipNote): void => { t.out.push({ kind: 'event', note: n }) }
const send = (t: Turn, message: MoveMessage): void => { t.out.push({ kind: 'send', message }) }

export function step (state: OwnershipState, event: OwnershipEvent): Step {
  const t: Turn = { nowMs: Math.max(state.nowMs, event.nowMs), heardMs: Math.max(state.heardMs, event.heardMs ?? event.nowMs), state, out: [], rebooted: new Set(), returned: false, regained: new Set() }
  t.state = { ...state, nowMs: t.nowMs, heardMs: t.heardMs }
  takeAside(t)
  noteLosses(t)
  eachRg(t, rg => passTime(t, rg))
  absorb(t, event)
  if (t.state.listenUntilMs !== null && event.behind !== true) eachRg(t, rg => settle(t, rg))
  for (const rg of t.state.rgs) if ((t.returned || t.regained.has(rg.config.rg)) && rg.role === 'owner' && rg.move === null && !rg.contested) t.out.push({ kind: 'announce', rg: rg.config.rg })
  // Leases are due from the last stamp, not from the last event: heartbeats that come often must not put them off.
  // Before the start the table has the roles of an earlier life, which may be adopted.
  if (t.state.listenUntilMs !== null && t.nowMs >= t.state.stampDueMs) {
    for (const rg of t.state.rgs) setRole(t, rg)
    t.state = { ...t.state, stampDueMs: t.nowMs + stampMs(t.state.config.timing) }
  }
  t.out.push({ kind: 'wakeAt', atMs: wakeAtMs(t.state) })
  return { state: t.state, actions: t.out }
}

function eachRg (t: Turn, change: (rg: RgState) => RgState): void {
  // First the changes: they may count moves in the state.
  const { rgs: before } = t.state
  const rgs = before.map(change)
  if (rgs.some((rg, i) => rg !== before[i])) t.state = { ...t.state, rgs }
}

function oneRg (t: Turn, number: number, change: (rg: RgState) => RgState): void {
  eachRg(t, rg => rg.config.rg === number ? change(rg) : rg)
}

// ── Taking in ──

/** Silence makes losses, with or without an event of its own. */
function noteLosses (t: Turn): void {
  const { timing } = t.state.config
  t.state = { ...t.state, peers: t.state.peers.map((peer): PeerState => {
    const known = liveness(peer.detector, timing, t.heardMs)
    if (known === 'unseen') return peer
    if (known !== peer.known) note(t, { name: 'peer', node: peer.node, path: null, from: peer.known, to: known, silentMs: Math.round(silentMs(peer.detector, t.heardMs)) })
    const paths = peer.detector.paths.map(({ path }) => {
      const before = peer.paths.find(p => p.path === path)?.known ?? 'unseen'
      const now = pathLiveness(peer.detector, path, timing, t.heardMs)
      if (now !== before) note(t, { name: 'path', node: peer.node, path, from: before, to: now })
      return { path, known: now }
    })
    return known === 'lost' ? { ...peer, known, paths, status: null, awaySinceMs: null } : { ...peer, known, paths }
  }) }
}

function absorb (t: Turn, event: OwnershipEvent): void {
  switch (event.kind) {
    case 'tick': return
    case 'started': return start(t, event.epochs, event.adopted)
    case 'heartbeat': return hear(t, event.path, event.status)
    case 'command': return obey(t, event.command)
    case 'readiness': return oneRg(t, event.rg, rg => ({ ...rg, facts: event.facts, synced: rg.synced || event.facts.provenEqual }))
    case 'monitors': return oneRg(t, event.rg, rg => ({ ...rg, weight: measure(rg.weight, event.lostWeight, t.state.config.timers, t.nowMs) }))
    case 'lapsed': return lapse(t, event.rgs)
    case 'outlives': t.state = { ...t.state, outlives: event.outlives }; return
    case 'witness': t.state = { ...t.state, witnessSeen: event.seen }; return
    case 'configured': return configure(t, event.generation, event.rgs)
    case 'moveMessage': return oneRg(t, event.message.rg, rg => onMessage(t, rg, event.message))
    case 'drained': return oneRg(t, event.rg, rg => rg.move?.id === event.moveId && rg.move.phase === 'yielding' ? onMove(t, { ...rg, move: { ...rg.move, seq: event.seq } }, 'drained') : rg)
    case 'cut': return oneRg(t, event.rg, rg => rg.move?.id === event.moveId ? onMove(t, rg, event.equal ? 'cut-equal' : 'cut-unequal') : rg)
    case 'seen': return oneRg(t, event.rg, rg => claims(rg.role) ? rg : { ...rg, fence: newer(rg.fence, event.epoch) })
    case 'persisted': return oneRg(t, event.rg, rg => onPersisted(t, rg, event.epoch))
  }
}

function start (t: Turn, epochs: ReadonlyMap<number, Epoch> | null, adopted: ReadonlyArray<{ readonly rg: number, readonly epoch: Epoch }>): void {
  const { timing, peers } = t.state.config
  // Long enough to hear a peer that lives; without state also long enough for any lease of an earlier life to end (R24).
  const listenMs = peers.length === 0 ? 0 : epochs === null ? Math.max(maxLeaseMs, detectionMs(timing)) : detectionMs(timing)
  const unused = [...epochs ?? []].filter(([number]) => !t.state.rgs.some(rg => rg.config.rg === number))
  t.state = { ...t.state, listenUntilMs: t.nowMs + listenMs, floor: unused.reduce((floor, [, epoch]) => newer(floor, epoch), 0n) }
  eachRg(t, rg => {
    const epoch = epochs?.get(rg.config.rg) ?? 0n
    // A lease that never ended goes on, but only in the epoch that this node has on disk.
    const kept = adopted.some(a => a.rg === rg.config.rg && a.epoch === epoch && epoch !== 0n)
    return kept ? { ...rg, role: 'owner', epoch, fence: epoch, synced: true } : { ...rg, fence: epoch }
  })
}

/** A node that stopped for longer than its lease knows nothing of now: it listens as after a start, and owns nothing meanwhile. */
function lapse (t: Turn, rgs: readonly number[]): void {
  t.state = { ...t.state, listenUntilMs: Math.max(t.state.listenUntilMs ?? -Infinity, t.nowMs + detectionMs(t.state.config.timing)) }
  eachRg(t, rg => rgs.includes(rg.config.rg) && forwards(rg.role) ? become(t, { ...withoutMove(t, rg, 'lapsed'), claim: null }, 'standby', 0n, 'lapsed') : rg)
}

/** Whoever waits for the move hears that it will not end. */
function withoutMove (t: Turn, rg: RgState, cause: string): RgState {
  if (rg.move !== null) note(t, { name: 'move-failed', rg: rg.config.rg, moveId: rg.move.id, peer: rg.move.peer, cause, reasons: [] })
  return rg.move === null ? rg : { ...rg, move: null }
}

function hear (t: Turn, path: string, status: NodeStatus, atMs = t.heardMs): void {
  const { timing } = t.state.config
  let fresh = false
  t.state = { ...t.state, peers: t.state.peers.map((peer): PeerState => {
    if (peer.node !== status.node) return peer
    const { detector, verdict } = receive(peer.detector, timing, { path, bootId: status.bootId, seq: status.seq, atMs }, t.heardMs)
    if (verdict === 'stale') return peer
    if (verdict === 'aside') return { ...peer, aside: setAside(peer.aside, path, status, atMs) }
    if (verdict === 'rebooted') {
      t.rebooted.add(peer.node)
      note(t, { name: 'peer-rebooted', node: peer.node })
    }
    if (verdict === 'copy') return { ...peer, detector }
    fresh = true
    t.returned ||= !alive(peer) || verdict === 'rebooted'
    const before = verdict === 'rebooted' ? null : peer.status
    for (const { rg, gaveWay } of status.rgs) if (gaveWay > (before?.rgs.find(s => s.rg === rg)?.gaveWay ?? 0n)) t.regained.add(rg)
    return { ...peer, detector, aside: verdict === 'rebooted' ? null : peer.aside, status: newerWord(before, status), awaySinceMs: status.agent === 'present' ? null : peer.awaySinceMs ?? t.heardMs }
  }) }
  if (fresh && status.generation > t.state.generationSeen) t.state = { ...t.state, generationSeen: status.generation }
  noteLosses(t)
}

function setAside (before: PeerState['aside'], path: string, status: NodeStatus, atMs: number): PeerState['aside'] {
  if (before === null || before.status.bootId !== status.bootId) return { path, status, atMs, times: 1 }
  return status.seq > before.status.seq ? { path, status, atMs, times: before.times + 1 } : before
}

/** A life that is late has another after it, heard twice already, or as often as this one: a single word may be a replay of one that is over. */
function takeAside (t: Turn): void {
  const { timing } = t.state.config
  for (const { detector, aside } of t.state.peers) {
    if (aside === null || aside.times < detector.heard || liveness(detector, timing, t.heardMs) === 'alive' || t.heardMs - aside.atMs >= detectionMs(timing)) continue
    hear(t, aside.path, aside.status, aside.atMs)
  }
}

/**
 * The whole word replaces the one before: a group that it does not name is gone (H70). But an owner's later words have its epoch or a newer
 * one, as that is on its disk; a word with an older one left before it owned (H65).
 */
function newerWord (before: NodeStatus | null, status: NodeStatus): NodeStatus {
  if (before === null) return status
  const kept = (word: RgStatus): RgStatus => {
    const known = before.rgs.find(s => s.rg === word.rg)
    return known !== undefined && claims(known.role) && known.epoch > word.epoch ? known : word
  }
  return status.rgs.some(word => kept(word) !== word) ? { ...status, rgs: status.rgs.map(kept) } : status
}

/** `owning` is news of its sender; heartbeats that left before it are older. */
function noteOwner (t: Turn, node: string, number: number, epoch: Epoch): void {
  t.state = { ...t.state, peers: t.state.peers.map((peer): PeerState => peer.node !== node || peer.status === null
    ? peer
    : { ...peer, status: { ...peer.status, rgs: peer.status.rgs.map(word => word.rg === number && word.epoch < epoch ? { ...word, role: 'owner', epoch } : word) } }) }
}

function configure (t: Turn, generation: bigint, rgs: readonly RgConfig[]): void {
  const gone = t.state.rgs.filter(rg => !rgs.some(c => c.rg === rg.config.rg))
  for (const rg of gone) if (forwards(rg.role)) become(t, withoutMove(t, rg, 'unknown-group'), 'standby', 0n, 'held')
  const floor = gone.reduce((highest, rg) => newer(highest, rg.fence), t.state.floor)
  t.state = {
    ...t.state, floor, config: { ...t.state.config, generation, rgs }, generationSeen: generation > t.state.generationSeen ? generation : t.state.generationSeen,
    rgs: rgs.map(config => {
      const known = t.state.rgs.find(rg => rg.config.rg === config.rg)
      return known === undefined ? newRg(config, floor) : { ...known, config }
    }),
  }
}

function obey (t: Turn, command: Command): void {
  switch (command.kind) {
    case 'hold': return eachRg(t, rg => command.rgs.includes(rg.config.rg) ? { ...rg, manualHold: true } : rg)
    case 'release': return eachRg(t, rg => command.rgs.includes(rg.config.rg) ? { ...rg, manualHold: false } : rg)
    case 'reset':
      t.state = { ...t.state, generationSeen: t.state.peers.reduce((seen, p) => p.status !== null && p.status.generation > seen ? p.status.generation : seen, t.state.config.generation) }
      return eachRg(t, rg => command.rgs.includes(rg.config.rg) ? { ...rg, pinned: false, guardUntilMs: null, moveRetryAtMs: -Infinity } : rg)
    case 'switchover': return switchover(t, command.rgs, command.to)
  }
}

// ── Moves ──

function switchover (t: Turn, rgs: readonly number[], to: string): void {
  const { node } = t.state.config
  const giverOf = (rg: RgState): string => rivalsOf(t.state, rg).find(r => r.status.role === 'owner')?.node ?? ''
  const plan = planBatch(rgs, number => {
    const rg = t.state.rgs.find(r => r.config.rg === number)
    if (rg === undefined) return ['unknown-group']
    return to === node ? takeCheck(t.state, rg, giverOf(rg)) : offerCheck(t.state, rg, to)
  })
  for (const { rg, reasons } of plan.refused) note(t, { name: 'move-refused', rg, peer: to, reasons })
  eachRg(t, rg => !plan.start.includes(rg.config.rg) ? rg : to === node ? beginMove(t, rg, 'requested', giverOf(rg), true) : beginMove(t, rg, 'offered', to, true))
}

function takeCheck (state: OwnershipState, rg: RgState, giver: string): MoveRefusal[] {
  const rival = rivalsOf(state, rg).find(r => r.node === giver)
  return takeRefusals({
    role: rg.role, underWay: rg.move !== null, peerAlive: around(state).peers === 'alive', peerRole: rival?.status.role ?? null,
    holds: holdsOf(state, rg), reasons: readinessOf(state, rg).reasons,
  })
}

function offerCheck (state: OwnershipState, rg: RgState, to: string): MoveRefusal[] {
  return giveRefusals({ role: rg.role, underWay: rg.move !== null, peerAlive: rivalsOf(state, rg).some(r => r.node === to) }, { epoch: true, generation: true })
}

function beginMove (t: Turn, rg: RgState, phase: MovePhase, peer: string, manual: boolean, id = newMoveId(t)): RgState {
  note(t, { name: 'move-begun', rg: rg.config.rg, moveId: id, peer })
  // An epoch that was on its way is not this move's.
  return enter(t, { ...rg, claim: null }, { id, peer, phase, manual, seq: null }, null)
}

/** The boot is the keeper's and outlives agents, which count from one again; the clock does not stand still between them. */
function newMoveId (t: Turn): string {
  const { node, bootId } = t.state.config
  t.state = { ...t.state, movesBegun: t.state.movesBegun + 1 }
  return `${node}:${bootId}:${t.nowMs}:${t.state.movesBegun}`
}

function enter (t: Turn, rg: RgState, move: Omit<Move, 'deadlineMs' | 'remindAtMs'>, deadlineMs: number | null): RgState {
  const { role } = movePhases[move.phase]
  let next: RgState = { ...rg, move: enterPhase(move, deadlineMs, t.state.config.timers, t.nowMs) }
  if (move.phase === 'owning' && rg.claim !== null) next = { ...become(t, next, 'owner', rg.claim.epoch, 'move'), pinned: move.manual, claim: null }
  else if (next.role !== role) next = become(t, next, role, role === 'yield' ? rg.epoch : 0n, 'move')
  return remind(t, next)
}

/** Asks and says what the phase asks and says: on entry, and again while nothing comes of it. */
function remind (t: Turn, rg: RgState): RgState {
  const { move } = rg
  if (move === null) return rg
  const { asks, says } = movePhases[move.phase]
  const number = rg.config.rg
  if (asks === 'drain') t.out.push({ kind: 'drain', rg: number, moveId: move.id })
  if (asks === 'cut' && move.seq !== null) t.out.push({ kind: 'cut', rg: number, moveId: move.id, seq: move.seq })
  if (says !== null) send(t, compose(t.state, rg, move, says))
  const reminded: RgState = { ...rg, move: { ...move, remindAtMs: t.nowMs + t.state.config.timers.moveResendMs } }
  return asks === 'persist' ? claim(t, reminded) : reminded
}

type Said = NonNullable<typeof movePhases[MovePhase]['says']>

function compose (state: OwnershipState, rg: RgState, move: Move, kind: Said): MoveMessage {
  const head = { rg: rg.config.rg, moveId: move.id, from: state.config.node, to: move.peer }
  switch (kind) {
    case 'offer': return { ...head, kind, manual: move.manual }
    case 'request': return { ...head, kind, manual: move.manual, epoch: rg.fence, generation: state.config.generation }
    case 'final': return { ...head, kind, seq: move.seq ?? 0n }
    case 'owning': return { ...head, kind, epoch: rg.epoch }
    case 'yielding': case 'settled': return { ...head, kind }
  }
}

/** One input for the move under way; what the table does not have changes nothing. */
function onMove (t: Turn, rg: RgState, input: MoveInput, reasons: readonly string[] = []): RgState {
  const { move } = rg
  const next = move === null ? null : nextPhase(move.phase, input)
  if (move === null || next === null) return rg
  if (next !== 'moved' && next !== 'failed') return enter(t, rg, { ...move, phase: next }, move.deadlineMs)
  if (next === 'moved') {
    note(t, { name: 'move-done', rg: rg.config.rg, moveId: move.id, peer: move.peer })
    if (movePhases[move.phase].side === 'taker') {
      t.out.push({ kind: 'announce', rg: rg.config.rg })
      if (input === 'settled') send(t, { ...headTo(t, rg, move), kind: 'ack' })
    }
    return { ...rg, move: null }
  }
  note(t, { name: 'move-failed', rg: rg.config.rg, moveId: move.id, peer: move.peer, cause: input, reasons })
  if (tellsAbort(input)) send(t, { ...headTo(t, rg, move), kind: 'abort' })
  const ended: RgState = { ...rg, move: null, claim: null, moveRetryAtMs: t.nowMs + t.state.config.timers.moveRetryMs }
  const role = roleAfterFailure(move.phase)
  return rg.role === role ? ended : become(t, ended, role, role === 'owner' ? rg.epoch : 0n, 'move')
}

const headTo = (t: Turn, rg: RgState, move: Pick<Move, 'id' | 'peer'>): { readonly rg: number, readonly moveId: string, readonly from: string, readonly to: string } =>
  ({ rg: rg.config.rg, moveId: move.id, from: t.state.config.node, to: move.peer })

function onMessage (t: Turn, rg: RgState, m: MoveMessage): RgState {
  const { config } = t.state
  if (m.to !== config.node || !config.peers.includes(m.from) || listening(t.state)) return rg
  const { move } = rg
  const ours = move?.id === m.moveId && move.peer === m.from
  const head = { rg: m.rg, moveId: m.moveId, from: config.node, to: m.from }
  const refuse = (reasons: readonly MoveRefusal[]): RgState => {
    note(t, { name: 'move-refused', rg: m.rg, peer: m.from, reasons })
    send(t, { ...head, kind: 'refused', reasons })
    return rg
  }
  switch (m.kind) {
    case 'offer': {
      // Our own request to the same node is the same wish, and on its way.
      if (ours || (move?.phase === 'requested' && move.peer === m.from)) return rg
      const reasons = takeCheck(t.state, rg, m.from)
      return reasons.length > 0 ? refuse(reasons) : beginMove(t, rg, 'requested', m.from, m.manual, m.moveId)
    }
    case 'request': {
      const offered = move?.phase === 'offered' && move.peer === m.from
      if (ours && !offered) return rg
      const reasons = giveRefusals({ role: rg.role, underWay: move !== null && !offered, peerAlive: rivalsOf(t.state, rg).some(r => r.node === m.from) },
        { epoch: m.epoch === rg.epoch, generation: m.generation === config.generation })
      if (reasons.length > 0) return refuse(reasons)
      return offered && move !== null ? onMove(t, { ...rg, move: { ...move, id: m.moveId } }, 'request') : beginMove(t, rg, 'yielding', m.from, m.manual, m.moveId)
    }
    case 'yielding': case 'final': {
      if (!ours || move === null) {
        // We gave up; so may the giver.
        send(t, { ...head, kind: 'abort' })
        return rg
      }
      return onMove(t, m.kind === 'final' && move.seq === null ? { ...rg, move: { ...move, seq: m.seq } } : rg, m.kind)
    }
    case 'owning': {
      noteOwner(t, m.from, m.rg, m.epoch)
      const known: RgState = { ...rg, fence: newer(rg.fence, m.epoch) }
      if (ours) return onMove(t, known, 'owning')
      // The move is over here. Who does not own has settled; who does lets the election decide by the epoch.
      if (!claims(rg.role)) send(t, { ...head, kind: 'settled' })
      return known
    }
    case 'settled': {
      if (ours) return onMove(t, rg, 'settled')
      send(t, { ...head, kind: 'ack' })
      return rg
    }
    case 'refused': return ours ? onMove(t, rg, m.kind, m.reasons) : rg
    case 'ack': case 'abort': return ours ? onMove(t, rg, m.kind) : rg
  }
}

// ── Epochs and roles ──

/** A new epoch goes to the disk before it is used (R24). */
function claim (t: Turn, rg: RgState): RgState {
  const number = rg.config.rg
  if (rg.claim !== null && rg.claim.epoch > rg.fence) {
    if (rg.claim.persisted || t.nowMs < rg.claim.askAgainAtMs) return rg
    t.out.push({ kind: 'persistEpoch', rg: number, epoch: rg.claim.epoch })
    return { ...rg, claim: { ...rg.claim, askAgainAtMs: t.nowMs + haLimits.askEpochAgainMs } }
  }
  const epoch = nextEpoch(rg.fence, t.state.config.nodeIndex)
  t.out.push({ kind: 'persistEpoch', rg: number, epoch })
  return { ...rg, claim: { epoch, persisted: false, sinceMs: t.nowMs, askAgainAtMs: t.nowMs + haLimits.askEpochAgainMs } }
}

function onPersisted (t: Turn, rg: RgState, epoch: Epoch): RgState {
  if (rg.claim?.epoch !== epoch) return rg
  const done: RgState = { ...rg, claim: { ...rg.claim, persisted: true } }
  return rg.move?.phase === 'claiming' && epoch > rg.fence ? onMove(t, done, 'persisted') : done
}

/** `epoch` counts for owner and yield only. */
function become (t: Turn, rg: RgState, role: Role, epoch: Epoch, code: ElectionCode | 'move' | 'lapsed'): RgState {
  if (role !== rg.role) assertChange(rg.config.rg, rg.role, role)
  const owning = claims(role)
  const next: RgState = {
    ...rg, role, epoch: owning ? epoch : 0n, fence: newer(rg.fence, epoch), synced: rg.synced || owning,
    pinned: owning && rg.pinned, contested: owning && rg.contested,
  }
  setRole(t, next)
  note(t, { name: 'role', rg: rg.config.rg, from: rg.role, to: role, epoch: next.epoch, code })
  if (claims(rg.role) && !owning) t.out.push({ kind: 'withdraw', rg: rg.config.rg })
  // By a move the addresses follow when the giver has settled (R22). Who used an epoch that is ahead of ours may have announced in it.
  if (role === 'owner' && (code === 'epoch-behind' || (!claims(rg.role) && code !== 'move'))) t.out.push({ kind: 'announce', rg: rg.config.rg })
  return next
}

function setRole (t: Turn, rg: RgState): void {
  const { config } = t.state
  const leaseDeadline = forwards(rg.role) ? leaseDeadlineMs(t.nowMs, config.timing, around(t.state)) : 0
  t.out.push({ kind: 'setRole', rg: rg.config.rg, role: rg.role, epoch: claims(rg.role) ? rg.epoch : rg.fence, leaseDeadlineMs: leaseDeadline })
}

// ── Letting time pass, and deciding ──

/** What follows from time and from who is there, before anything is decided. */
function passTime (t: Turn, before: RgState): RgState {
  const { timers } = t.state.config
  const rivals = rivalsOf(t.state, before)
  const weight = settleWeight(before.weight, timers, t.nowMs)
  const fence = rivals.reduce((highest, r) => newer(highest, r.status.epoch), before.fence)
  let rg: RgState = weight === before.weight && fence === before.fence ? before : { ...before, weight, fence }
  if (rg.guardUntilMs !== null) {
    const strong = strongest(rivals)
    // The guard gives the other a chance to take; if it has yielded too, or is not there, waiting serves nobody (H64).
    if (t.nowMs >= rg.guardUntilMs || strong === null || strong.status.role === 'hold') rg = { ...rg, guardUntilMs: null }
  }
  const { move } = rg
  if (move !== null) {
    const { role } = movePhases[move.phase]
    const peer = rivals.find(r => r.node === move.peer)
    if (role !== rg.role) {
      // The election has decided otherwise meanwhile.
      send(t, { ...headTo(t, rg, move), kind: 'abort' })
      note(t, { name: 'move-failed', rg: rg.config.rg, moveId: move.id, peer: move.peer, cause: 'overtaken', reasons: [] })
      rg = { ...rg, move: null, moveRetryAtMs: t.nowMs + timers.moveRetryMs }
    } else if (t.nowMs >= move.deadlineMs) rg = onMove(t, rg, 'deadline')
    else if (t.rebooted.has(move.peer)) rg = onMove(t, rg, 'peer-lost')
    else if (peer === undefined) rg = mayOwnUnheard(move, timers.moveTimeoutMs, t.nowMs) ? rg : onMove(t, rg, 'peer-lost')
    // The new owner's heartbeat says the same as its lost message.
    else if (move.phase === 'final' && peer.status.role === 'owner' && peer.status.epoch > rg.epoch) rg = onMove(t, rg, 'owning')
    else if (t.nowMs >= move.remindAtMs) rg = remind(t, rg)
  }
  return rg
}

/** After `final` the taker may own at any moment, heard or not, until its half of the time is over. */
const mayOwnUnheard = (move: Move, timeoutMs: number, nowMs: number): boolean => move.phase === 'final' && nowMs < move.deadlineMs - timeoutMs / 2

function settle (t: Turn, before: RgState): RgState {
  let rg = noteContest(t, passTime(t, before))
  // Each round changes role or move: init or hold, standby, then one more. A further round waits for the next step.
  for (let round = 0; round < 6; round++) {
    const input = electionInput(t.state, rg)
    const unowned = !owned(rg) && !listening(t.state) && !(input.peer.kind === 'alive' && forwards(input.peer.rival.status.role))
    if (unowned !== (rg.unownedSinceMs !== null)) rg = { ...rg, unownedSinceMs: unowned ? t.nowMs : null }
    const decision = elect(input)
    const next = follow(t, rg, input, decision)
    if (next.role === rg.role && next.epoch === rg.epoch && next.move === rg.move) return next.decision?.row === decision.row ? next : { ...next, decision }
    rg = next
  }
  return rg
}

/** After a contest the network learns again where the addresses are. */
function noteContest (t: Turn, rg: RgState): RgState {
  const contested = rg.role === 'owner' && rivalsOf(t.state, rg).some(r => r.status.role === 'owner')
  if (contested === rg.contested || rg.role !== 'owner') return rg
  note(t, { name: contested ? 'contested' : 'uncontested', rg: rg.config.rg, epoch: rg.epoch })
  if (!contested && rg.move === null) t.out.push({ kind: 'announce', rg: rg.config.rg })
  return { ...rg, contested }
}

function follow (t: Turn, rg: RgState, input: ElectionInput, { want, code }: Decision): RgState {
  switch (want) {
    case 'stay': return rg
    case 'init': case 'standby': case 'hold': {
      // A standby has its next epoch on disk before it needs it: a takeover waits for no disk. Unused, it is a gap in the numbers.
      if (rg.role === 'standby' && (code === 'peer-owns' || code === 'unattended') && rg.synced && rg.move === null) return claim(t, rg)
      const unclaimed: RgState = rg.claim === null ? rg : { ...rg, claim: null }
      if (rg.role === want) return unclaimed
      const resigns = rg.role === 'owner' && want === 'hold'
      const left: RgState = code === 'conflict-lost' ? { ...unclaimed, gaveWay: rg.epoch } : resigns ? { ...unclaimed, guardUntilMs: t.nowMs + t.state.config.timers.resignGuardMs } : unclaimed
      return become(t, left, want, 0n, code)
    }
    case 'own': {
      // init and hold reach owner by standby.
      if (rg.role !== 'owner' && rg.role !== 'standby') return become(t, rg, 'standby', 0n, code)
      const next = claim(t, rg)
      return next.claim?.persisted === true ? { ...become(t, { ...next, pinned: rg.role === 'owner' && rg.pinned }, 'owner', next.claim.epoch, code), claim: null } : next
    }
    case 'request': case 'offer': {
      const node = rivalsOf(t.state, rg).find(r => input.peer.kind === 'alive' && r.nodeIndex === input.peer.rival.nodeIndex)?.node
      if (node === undefined) return rg
      return rg.role === 'standby' ? beginMove(t, rg, 'requested', node, false) : rg.role === 'owner' ? beginMove(t, rg, 'offered', node, false) : become(t, rg, 'standby', 0n, code)
    }
  }
}
