/**
 * What one node knows: its peers and its groups, as plain data, and everything that is read from it: who rivals for a group, what holds this
 * node back, what the election is asked, what a heartbeat says, when to look again. Nothing here changes anything.
 */
import { lossAtMs, newDetector, type Detector, type Liveness } from './detector.js'
import { strongest, type Decision, type ElectionInput, type Rival } from './election.js'
import type { OwnershipConfig, RgConfig } from './events.js'
import { detectionMs, isolated, stampMs, type Surroundings } from './lease.js'
import { haLimits } from './limits.js'
import type { Move, MovePhase } from './move.js'
import { readiness, unknownFacts, type Readiness, type ReadinessFacts } from './readiness.js'
import { claims, forwards, type Epoch, type Hold, type NodeStatus, type RgStatus, type Role } from './rg.js'
import { effectivePriority, noWeight, weightDueMs, type Weight } from './weight.js'

export interface PeerState {
  readonly node: string
  readonly detector: Detector
  readonly known: Liveness
  readonly paths: ReadonlyArray<{ readonly path: string, readonly known: Liveness }>
  /** Its latest word; null: none, or it is lost, and then its word counts no more. */
  readonly status: NodeStatus | null
  readonly awaySinceMs: number | null
  /** The latest word of another life of it, which came while this one was on time, and how often that life was heard. */
  readonly aside: { readonly path: string, readonly status: NodeStatus, readonly atMs: number, readonly times: number } | null
}

/** An epoch on its way to the disk. */
interface EpochClaim { readonly epoch: Epoch, readonly persisted: boolean, readonly sinceMs: number, readonly askAgainAtMs: number }

export interface RgState {
  readonly config: RgConfig
  readonly role: Role
  /** The epoch owned, 0 if none. */
  readonly epoch: Epoch
  /** The highest epoch known. */
  readonly fence: Epoch
  readonly claim: EpochClaim | null
  readonly manualHold: boolean
  readonly guardUntilMs: number | null
  readonly weight: Weight
  readonly facts: ReadinessFacts
  readonly synced: boolean
  readonly unownedSinceMs: number | null
  readonly contested: boolean
  readonly pinned: boolean
  readonly gaveWay: Epoch
  readonly move: Move | null
  readonly moveRetryAtMs: number
  readonly decision: Decision | null
}

export interface OwnershipState {
  readonly config: OwnershipConfig
  readonly nowMs: number
  /** What peers said until then is in here. */
  readonly heardMs: number
  /** Null: not started yet. */
  readonly listenUntilMs: number | null
  readonly witnessSeen: boolean
  /** The highest applied generation heard of. */
  readonly generationSeen: bigint
  readonly outlives: boolean
  readonly movesBegun: number
  /** When all roles are said again and leases renewed. */
  readonly stampDueMs: number
  /** The highest epoch of groups that are not configured now; one that comes back goes on from here. */
  readonly floor: Epoch
  readonly peers: readonly PeerState[]
  readonly rgs: readonly RgState[]
}

export function newRg (config: RgConfig, fence: Epoch): RgState {
  return {
    config, role: 'init', epoch: 0n, fence, claim: null, manualHold: false, guardUntilMs: null, weight: noWeight, facts: unknownFacts,
    synced: false, unownedSinceMs: null, contested: false, pinned: false, gaveWay: 0n, move: null, moveRetryAtMs: -Infinity, decision: null,
  }
}

export function newOwnership (config: OwnershipConfig): OwnershipState {
  return {
    config, nowMs: -Infinity, heardMs: -Infinity, listenUntilMs: null, witnessSeen: false, generationSeen: config.generation, outlives: false, movesBegun: 0, stampDueMs: -Infinity, floor: 0n,
    peers: config.peers.map(node => ({ node, detector: newDetector, known: 'unseen', paths: [], status: null, awaySinceMs: null, aside: null })),
    rgs: config.rgs.map(c => newRg(c, 0n)),
  }
}

export const alive = (peer: PeerState): boolean => peer.known === 'alive' || peer.known === 'suspect'

export function around (state: OwnershipState): Surroundings {
  return {
    peers: state.config.peers.length === 0 ? 'none' : state.peers.some(alive) ? 'alive' : 'lost',
    witness: !state.config.witness ? 'none' : state.witnessSeen ? 'seen' : 'lost',
  }
}

function attended (peer: PeerState, heardMs: number): boolean {
  if (peer.awaySinceMs === null) return true
  const holdMs = Math.min(peer.status?.restartHoldMs ?? 0, haLimits.restartHoldMsMax)
  return heardMs < peer.awaySinceMs + holdMs
}

interface PeerRival extends Rival { readonly node: string, readonly generation: bigint }

export function rivalsOf (state: OwnershipState, rg: RgState): readonly PeerRival[] {
  const rivals: PeerRival[] = []
  for (const peer of state.peers) {
    const { status } = peer
    if (status === null || !alive(peer)) continue
    const word = status.rgs.find(s => s.rg === rg.config.rg)
    if (word !== undefined) rivals.push({ node: peer.node, generation: status.generation, nodeIndex: status.nodeIndex, status: word, attended: attended(peer, state.heardMs), away: peer.awaySinceMs !== null })
  }
  return rivals
}

const priorityOf = (rg: RgState): number => effectivePriority(rg.config.priority, rg.weight)
export const owned = (rg: RgState): boolean => forwards(rg.role)

export function readinessOf (state: OwnershipState, rg: RgState): Readiness {
  const owner = claims(rg.role) ? undefined : rivalsOf(state, rg).find(r => claims(r.status.role))
  return readiness(rg.facts, { generation: state.config.generation, ownerGeneration: owner?.generation ?? null })
}

export function holdsOf (state: OwnershipState, rg: RgState): Hold[] {
  const found: Record<Hold, boolean> = {
    manual: rg.manualHold,
    weight: priorityOf(rg) === 0,
    resigned: rg.guardUntilMs !== null,
    outdated: state.config.generation < state.generationSeen,
    isolated: isolated(around(state)),
    listening: listening(state),
  }
  return (Object.keys(found) as Hold[]).filter(hold => found[hold])
}

export const listening = (state: OwnershipState): boolean => state.listenUntilMs === null || state.nowMs < state.listenUntilMs

export function electionInput (state: OwnershipState, rg: RgState): ElectionInput {
  const { timers, timing } = state.config
  const rival = strongest(rivalsOf(state, rg))
  return {
    nodeIndex: state.config.nodeIndex, role: rg.role, epoch: rg.epoch, fence: rg.fence, priority: priorityOf(rg), preempt: rg.config.preempt,
    holds: holdsOf(state, rg), ready: readinessOf(state, rg).ready, synced: rg.synced,
    overdue: rg.unownedSinceMs !== null && state.nowMs >= rg.unownedSinceMs + timers.degradedAfterMs,
    stuck: rg.claim?.persisted === false && state.nowMs >= rg.claim.sinceMs + detectionMs(timing),
    mayMove: rg.move === null && state.nowMs >= rg.moveRetryAtMs,
    peer: rival !== null ? { kind: 'alive', rival } : { kind: state.peers.some(peer => peer.known === 'lost') ? 'lost' : 'unseen' },
  }
}

/** What a heartbeat says; the sender counts `seq`. */
export function statusOf (state: OwnershipState, seq: bigint): NodeStatus {
  const { node, nodeIndex, bootId, generation, timers } = state.config
  return {
    node, nodeIndex, bootId, seq, generation, agent: 'present', restartHoldMs: state.outlives ? timers.restartHoldMs : null,
    rgs: state.rgs.map((rg): RgStatus => {
      const { ready, reasons } = readinessOf(state, rg)
      return {
        rg: rg.config.rg, role: rg.role, epoch: claims(rg.role) ? rg.epoch : rg.fence, priority: priorityOf(rg), ready, reasons,
        synced: rg.synced, holds: holdsOf(state, rg), asks: rg.decision?.code === 'unattended', pinned: rg.pinned, gaveWay: rg.gaveWay,
      }
    }),
  }
}

/** For people: every group with its role and the row that decided. */
export function rgView (state: OwnershipState, number: number): { readonly role: Role, readonly epoch: Epoch, readonly decision: Decision | null, readonly movePhase: MovePhase | null } | null {
  const rg = state.rgs.find(r => r.config.rg === number)
  return rg === undefined ? null : { role: rg.role, epoch: rg.epoch, decision: rg.decision, movePhase: rg.move?.phase ?? null }
}

/** At the next deadline, and twice an interval in any case: leases are renewed then, and what was missed is seen. */
export function wakeAtMs (state: OwnershipState): number {
  const { config, nowMs } = state
  const { timers, timing } = config
  const at: number[] = [state.stampDueMs, state.listenUntilMs ?? Infinity]
  for (const peer of state.peers) {
    at.push(lossAtMs(peer.detector, timing, nowMs))
    if (peer.awaySinceMs !== null) at.push(peer.awaySinceMs + Math.min(peer.status?.restartHoldMs ?? 0, haLimits.restartHoldMsMax))
  }
  for (const rg of state.rgs) {
    at.push(weightDueMs(rg.weight, timers), rg.guardUntilMs ?? Infinity, rg.moveRetryAtMs, rg.claim?.askAgainAtMs ?? Infinity)
    if (rg.unownedSinceMs !== null) at.push(rg.unownedSinceMs + timers.degradedAfterMs)
    if (rg.move !== null) at.push(rg.move.deadlineMs, rg.move.remindAtMs)
  }
  return at.reduce((first, ms) => ms > nowMs && ms < first ? ms : first, nowMs + stampMs(timing))
}
