/**
 * Redundancy groups: roles and their one table of changes, epochs, and what a node tells about itself in a heartbeat.
 * Pure types and functions. Drawn in docs/design/0011-ownership.md.
 */
import type { RgRole } from '../contract/dataplane.js'
import { LockstepError } from '../contract/errors.js'
import { haLimits } from './limits.js'

/**
 * `init` listens first · `standby` may own · `hold` must not own now, the holds say why · `owner` forwards and creates ·
 * `yield` and `take` are the two ends of a planned move: both forward what they have, neither creates (R22).
 */
export type Role = RgRole

/** Legal changes of role; any other is a bug. A restart is a new life, not a change. */
export const roleMoves = {
  init: ['standby', 'hold'],
  standby: ['owner', 'take', 'hold'],
  hold: ['standby'],
  owner: ['yield', 'standby', 'hold'],
  yield: ['owner', 'standby'],
  take: ['owner', 'standby'],
} as const satisfies Record<Role, readonly Role[]>

export const mayBecome = (from: Role, to: Role): boolean => (roleMoves[from] as readonly Role[]).includes(to)

/** @throws bug LS_H_ROLE: the table has no such change. */
export function assertChange (rg: number, from: Role, to: Role): void {
  if (!mayBecome(from, to)) throw new LockstepError('bug', 'LS_H_ROLE', 'no such change of role', { object: `rg ${rg}`, found: `${from} to ${to}`, expected: roleMoves[from].join(', ') })
}

/** Says that it owns: creates sessions, or did until its move began and will again if that fails. */
export const claims = (role: Role): boolean => role === 'owner' || role === 'yield'
/** Forwards packets of the group, and so needs a lease. */
export const forwards = (role: Role): boolean => claims(role) || role === 'take'

/**
 * counter << 8 | node index: two nodes never make the same epoch, and a later one is larger. A bigint, because it is a u64 in shared memory
 * and on the wire. 0 is no epoch.
 */
export type Epoch = bigint

export const makeEpoch = (counter: bigint, nodeIndex: number): Epoch => counter << 8n | BigInt(nodeIndex)
export const counterOf = (epoch: Epoch): bigint => epoch >> 8n
export const newer = (a: Epoch, b: Epoch): Epoch => a > b ? a : b

/** The next epoch of this node after all that are known. @throws bug LS_H_EPOCH: the counter is used up. */
export function nextEpoch (known: Epoch, nodeIndex: number): Epoch {
  const counter = counterOf(known) + 1n
  if (counter > haLimits.epochCounterMax) throw new LockstepError('bug', 'LS_H_EPOCH', 'the counter of epochs is used up', { found: String(counter), expected: `at most ${haLimits.epochCounterMax}` })
  return makeEpoch(counter, nodeIndex)
}

/** Why a node must not own a group now. The order is the order in which one is named. */
export const holds = ['manual', 'weight', 'resigned', 'outdated', 'isolated', 'listening'] as const
export type Hold = typeof holds[number]

/** What a node tells about one group. */
export interface RgStatus {
  readonly rg: number
  readonly role: Role
  /** Owner and yield: the epoch owned. Others: the highest one known. */
  readonly epoch: Epoch
  /** After the weights of monitors; 0 = unfit. */
  readonly priority: number
  readonly ready: boolean
  readonly reasons: readonly string[]
  /** Was proven equal, or owned, since the node started. */
  readonly synced: boolean
  readonly holds: readonly Hold[]
  /** Would own it if the peer, whose agent is away for longer than its restart hold, let go of it. */
  readonly asks: boolean
  /** Owns by an operator's switchover: preempt waits for a reset. */
  readonly pinned: boolean
  /** The last epoch given up to another owner, 0 if none: the addresses were announced in it, and whoever owns announces them again. */
  readonly gaveWay: Epoch
}

/** One heartbeat. It names every group; what it does not name the node does not have (H70). No time in it is absolute. */
export interface NodeStatus {
  readonly node: string
  readonly nodeIndex: number
  /** New with each life of what holds the leases (the keeper), not with each agent. */
  readonly bootId: string
  readonly seq: bigint
  /** Applied configuration. */
  readonly generation: bigint
  /** The keeper goes on while the agent is away. */
  readonly agent: 'present' | 'away'
  /** The dataplane goes on without its agent: how long the peer should wait for that one; null: it does not. */
  readonly restartHoldMs: number | null
  readonly rgs: readonly RgStatus[]
}
