/**
 * Planned move of one group (R22): the giver stops creating, both forward what they have, the tables are proven equal at a cut, then the
 * taker creates in a new epoch. One table for both sides.
 *
 * Each phase says what its role is, what it asks of this node and what it repeats to the other side, so every step is idempotent: entering a
 * phase and being reminded of it are the same. The taker gives up after half the giver's time, counted from its first request, which is
 * before the giver yields: when the giver returns to owner, the taker has given up or has taken. Only durations count, no clock of the peer.
 */
import type { ReadinessReason } from './readiness.js'
import type { Epoch, Hold, Role } from './rg.js'

export type MovePhase = 'offered' | 'yielding' | 'final' | 'settled' | 'requested' | 'taking' | 'cutting' | 'claiming' | 'owning'
export type MoveEnd = 'moved' | 'failed'
export type MoveInput = 'request' | 'yielding' | 'final' | 'owning' | 'settled' | 'ack' | 'refused' | 'abort' | 'drained' | 'cut-equal' | 'cut-unequal' | 'persisted' | 'deadline' | 'peer-lost'

interface MoveHead {
  readonly rg: number
  /** Made by who began: node, boot and a number. The giver takes over the id of the request. */
  readonly moveId: string
  readonly from: string
  readonly to: string
}
export type MoveMessage = MoveHead & (
  | { readonly kind: 'offer', readonly manual: boolean }
  /** `epoch`: the giver's, as the taker knows it. */
  | { readonly kind: 'request', readonly manual: boolean, readonly epoch: Epoch, readonly generation: bigint }
  | { readonly kind: 'yielding' }
  /** The last sequence of the drained stream. */
  | { readonly kind: 'final', readonly seq: bigint }
  | { readonly kind: 'owning', readonly epoch: Epoch }
  | { readonly kind: 'settled' | 'ack' | 'abort' }
  | { readonly kind: 'refused', readonly reasons: readonly string[] }
)

interface PhaseRule {
  readonly side: 'giver' | 'taker'
  /** The group's role during the phase; when it is another the move is void. */
  readonly role: Role
  readonly asks: 'drain' | 'cut' | 'persist' | null
  readonly says: 'offer' | 'request' | 'yielding' | 'final' | 'owning' | 'settled' | null
  /** Share of the move's timeout after which the phase's deadline passes; null: that of the phase before goes on. */
  readonly timeout: number | null
}

export const movePhases = {
  offered: { side: 'giver', role: 'owner', asks: null, says: 'offer', timeout: 0.5 },
  yielding: { side: 'giver', role: 'yield', asks: 'drain', says: 'yielding', timeout: 1 },
  final: { side: 'giver', role: 'yield', asks: null, says: 'final', timeout: null },
  settled: { side: 'giver', role: 'standby', asks: null, says: 'settled', timeout: 0.5 },
  requested: { side: 'taker', role: 'standby', asks: null, says: 'request', timeout: 0.5 },
  taking: { side: 'taker', role: 'take', asks: null, says: null, timeout: null },
  cutting: { side: 'taker', role: 'take', asks: 'cut', says: null, timeout: null },
  claiming: { side: 'taker', role: 'take', asks: 'persist', says: null, timeout: null },
  owning: { side: 'taker', role: 'owner', asks: null, says: 'owning', timeout: 0.5 },
} as const satisfies Record<MovePhase, PhaseRule>

/** Legal changes of phase. What is not here is a repetition or a straggler, and changes nothing. */
export const moveTable = {
  offered: { request: 'yielding', refused: 'failed', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  yielding: { drained: 'final', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  final: { owning: 'settled', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  settled: { ack: 'moved', deadline: 'moved', 'peer-lost': 'moved' },
  // Only the last word is repeated: `final` says `yielding` too.
  requested: { yielding: 'taking', final: 'cutting', refused: 'failed', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  taking: { final: 'cutting', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  cutting: { 'cut-equal': 'claiming', 'cut-unequal': 'failed', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  claiming: { persisted: 'owning', abort: 'failed', deadline: 'failed', 'peer-lost': 'failed' },
  // The point of no return: the new owner stays one, whatever the giver says or does not say.
  owning: { settled: 'moved', deadline: 'moved', 'peer-lost': 'moved' },
} as const satisfies Record<MovePhase, Partial<Record<MoveInput, MovePhase | MoveEnd>>>

/** One end of a move under way. */
export interface Move {
  readonly id: string
  readonly peer: string
  readonly phase: MovePhase
  /** An operator asked for it. */
  readonly manual: boolean
  readonly deadlineMs: number
  readonly remindAtMs: number
  /** The `final` sequence, once known. */
  readonly seq: bigint | null
}

export const nextPhase = (phase: MovePhase, input: MoveInput): MovePhase | MoveEnd | null => (moveTable[phase] as Partial<Record<MoveInput, MovePhase | MoveEnd>>)[input] ?? null

/** A failed move leaves the giver owner, the taker standby, and its other side to learn of it by `abort` if it cannot know. */
export const roleAfterFailure = (phase: MovePhase): Role => movePhases[phase].side === 'giver' ? 'owner' : 'standby'
export const tellsAbort = (input: MoveInput): boolean => input === 'deadline' || input === 'cut-unequal'

export interface MoveTimers { readonly moveTimeoutMs: number, readonly moveResendMs: number }

export function enterPhase (move: Omit<Move, 'deadlineMs' | 'remindAtMs'>, deadlineMs: number | null, timers: MoveTimers, nowMs: number): Move {
  const { timeout } = movePhases[move.phase]
  return {
    ...move,
    deadlineMs: timeout !== null || deadlineMs === null ? nowMs + (timeout ?? 1) * timers.moveTimeoutMs : deadlineMs,
    remindAtMs: nowMs + timers.moveResendMs,
  }
}

/** A code of this list, a hold or a reason of readiness. */
export type MoveRefusal = 'unknown-group' | 'move-under-way' | 'not-owner' | 'peer-lost' | 'not-owned-there' | 'epoch-differs' | 'generation-differs' | Hold | ReadinessReason

/** What a node knows of its own end before a move begins. */
export interface MoveCheck {
  readonly role: Role
  readonly underWay: boolean
  readonly peerAlive: boolean
  readonly peerRole: Role | null
  readonly holds: readonly Hold[]
  readonly reasons: readonly ReadinessReason[]
}

/** Why this node cannot take the group (H63, D7); empty: it can. A hold refuses here, so no owner steps down for a node that may not own (H74). */
export function takeRefusals (c: MoveCheck): MoveRefusal[] {
  if (c.underWay) return ['move-under-way']
  if (!c.peerAlive) return ['peer-lost']
  if (c.peerRole !== 'owner') return ['not-owned-there']
  return [...c.holds, ...c.reasons]
}

/** Why this node cannot give the group to the one that asks. */
export function giveRefusals (c: Pick<MoveCheck, 'role' | 'underWay' | 'peerAlive'>, same: { readonly epoch: boolean, readonly generation: boolean }): MoveRefusal[] {
  if (c.underWay) return ['move-under-way']
  if (c.role !== 'owner') return ['not-owner']
  if (!c.peerAlive) return ['peer-lost']
  return [...same.epoch ? [] : ['epoch-differs' as const], ...same.generation ? [] : ['generation-differs' as const]]
}

/** A switchover of several groups: each is judged and moved for itself. */
export interface BatchPlan { readonly start: readonly number[], readonly refused: ReadonlyArray<{ readonly rg: number, readonly reasons: readonly MoveRefusal[] }> }

export function planBatch (rgs: readonly number[], refusals: (rg: number) => readonly MoveRefusal[]): BatchPlan {
  const judged = [...new Set(rgs)].map(rg => ({ rg, reasons: refusals(rg) }))
  return { start: judged.filter(j => j.reasons.length === 0).map(j => j.rg), refused: judged.filter(j => j.reasons.length > 0) }
}
