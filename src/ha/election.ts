/**
 * What one node should be in one group: a pure function, one table, the first row that holds decides. Both nodes of a pair apply the same
 * table to each other's word, so a rank is a total order that both compute alike. Rows are numbered; tests go through them by number.
 *
 * Fail closed: whoever does not own must find a row that lets it own; whoever owns stays unless somebody has the better claim.
 */
import { claims, counterOf, type Epoch, type Hold, type RgStatus, type Role } from './rg.js'

/** A living peer and what it says about the group. */
export interface Rival {
  readonly nodeIndex: number
  readonly status: RgStatus
  /** False: its agent is away and no restart hold protects it. */
  readonly attended: boolean
  /** Its agent is away: what it owns goes on, and it takes nothing. */
  readonly away: boolean
}

export interface ElectionInput {
  readonly nodeIndex: number
  readonly role: Role
  readonly epoch: Epoch
  /** The highest epoch known. */
  readonly fence: Epoch
  /** After weights. */
  readonly priority: number
  readonly preempt: boolean
  readonly holds: readonly Hold[]
  readonly ready: boolean
  readonly synced: boolean
  /** Nobody has owned for `degradedAfterMs`. */
  readonly overdue: boolean
  /** Its next epoch does not come to the disk. */
  readonly stuck: boolean
  /** No move is under way or was tried just now. */
  readonly mayMove: boolean
  /** The peer with the strongest claim, else the highest rank; `lost` and `unseen` decide alike, as listening is over by then. */
  readonly peer: { readonly kind: 'unseen' } | { readonly kind: 'lost' } | { readonly kind: 'alive', readonly rival: Rival }
}

/** `own` begins with a new epoch, unless it is held already · `request` and `offer` begin a planned move · `stay` leaves the role. */
export type Want = 'stay' | 'init' | 'hold' | 'standby' | 'own' | 'request' | 'offer'

export type ElectionCode = 'moving' | 'listening' | 'held' | 'preempt' | 'unattended' | 'peer-owns' | 'peer-takes' | 'peer-outranks' |
  'elected' | 'synced' | 'degraded' | 'not-ready' | 'isolated' | 'conflict-lost' | 'epoch-behind' | 'gives-way' | 'resigned' | 'owns'

export interface Decision { readonly row: number, readonly want: Want, readonly code: ElectionCode }

type Standing = Pick<RgStatus, 'ready' | 'synced' | 'priority'> & { readonly nodeIndex: number }

/** Before nobody's claim: ready, then synced, then priority, then the lower index. Positive: a goes first. */
export function compareRank (a: Standing, b: Standing): number {
  return Number(a.ready) - Number(b.ready) || Number(a.synced) - Number(b.synced) || a.priority - b.priority || b.nodeIndex - a.nodeIndex
}

interface Claim { readonly epoch: Epoch, readonly priority: number, readonly nodeIndex: number }

/**
 * Two owners, after a partition: counter of the epoch, then priority, then the lower index. The whole epoch never ties, so its low byte
 * would decide and priority never would.
 */
export function compareClaims (a: Claim, b: Claim): number {
  const counters = counterOf(a.epoch) - counterOf(b.epoch)
  return counters !== 0n ? (counters > 0n ? 1 : -1) : a.priority - b.priority || b.nodeIndex - a.nodeIndex
}

const standing = ({ nodeIndex, status: { ready, synced, priority } }: Rival): Standing => ({ nodeIndex, ready, synced, priority })
const claimOf = ({ nodeIndex, status: { epoch, priority } }: Rival): Claim => ({ nodeIndex, epoch, priority })

const rivalIs = (x: ElectionInput, test: (r: Rival) => boolean): boolean => x.peer.kind === 'alive' && test(x.peer.rival)
const rivalClaims = (x: ElectionInput): boolean => rivalIs(x, r => claims(r.status.role))
/** Might own. A listening node counts: that costs at most the time it listens, and keeps two that start together apart. */
const fit = (r: Rival): boolean => !r.away && r.status.holds.every(hold => hold === 'listening') && r.status.priority > 0
const owns = (x: ElectionInput): boolean => x.role === 'owner'
const unfit = (x: ElectionInput): boolean => x.holds.includes('manual') || x.holds.includes('weight')

interface Row extends Decision { readonly when: (x: ElectionInput) => boolean }

export const electionTable: readonly Row[] = [
  { row: 1, want: 'stay', code: 'moving', when: x => x.role === 'yield' || x.role === 'take' },
  // An owner.
  { row: 2, want: 'hold', code: 'isolated', when: x => owns(x) && x.holds.includes('isolated') },
  { row: 3, want: 'standby', code: 'conflict-lost', when: x => owns(x) && rivalClaims(x) && rivalIs(x, r => compareClaims(x, claimOf(r)) < 0 || (x.stuck && r.status.epoch > x.epoch)) },
  { row: 4, want: 'own', code: 'epoch-behind', when: x => owns(x) && x.epoch < x.fence },
  { row: 5, want: 'offer', code: 'gives-way', when: x => owns(x) && unfit(x) && x.mayMove && rivalIs(x, r => fit(r) && r.status.role === 'standby' && r.status.ready) },
  { row: 6, want: 'hold', code: 'resigned', when: x => owns(x) && x.holds.includes('weight') && rivalIs(x, r => fit(r) && r.status.role === 'standby' && r.status.synced && !r.status.ready) },
  { row: 7, want: 'stay', code: 'owns', when: owns },
  // Whoever must not own.
  { row: 8, want: 'init', code: 'listening', when: x => x.role === 'init' && x.holds.includes('listening') },
  { row: 9, want: 'hold', code: 'held', when: x => x.holds.length > 0 },
  // Somebody else owns, or is about to.
  { row: 10, want: 'standby', code: 'unattended', when: x => rivalClaims(x) && rivalIs(x, r => !r.attended) && (x.ready || x.synced) },
  { row: 11, want: 'request', code: 'preempt', when: x => rivalClaims(x) && x.preempt && x.ready && x.mayMove && rivalIs(x, r => r.attended && r.status.role === 'owner' && !r.status.pinned && x.priority > r.status.priority) },
  { row: 12, want: 'standby', code: 'peer-owns', when: rivalClaims },
  { row: 13, want: 'standby', code: 'peer-takes', when: x => rivalIs(x, r => r.status.role === 'take') },
  // Nobody owns.
  { row: 14, want: 'standby', code: 'peer-outranks', when: x => rivalIs(x, r => fit(r) && compareRank(x, standing(r)) < 0) },
  { row: 15, want: 'own', code: 'elected', when: x => x.ready },
  { row: 16, want: 'own', code: 'synced', when: x => x.synced },
  { row: 17, want: 'own', code: 'degraded', when: x => x.overdue },
  { row: 18, want: 'standby', code: 'not-ready', when: () => true },
]

export function elect (x: ElectionInput): Decision {
  const found = electionTable.find(({ when }) => when(x))
  // The last row always holds.
  return found === undefined ? { row: 18, want: 'standby', code: 'not-ready' } : { row: found.row, want: found.want, code: found.code }
}

/** Of several peers the one that matters: the strongest claim, then one that takes, then the highest rank among the fit. */
export function strongest (rivals: readonly Rival[]): Rival | null {
  const grade = (r: Rival): number => claims(r.status.role) ? 3 : r.status.role === 'take' ? 2 : fit(r) ? 1 : 0
  const compare = (a: Rival, b: Rival): number => grade(a) - grade(b) || (grade(a) === 3 ? compareClaims(claimOf(a), claimOf(b)) : compareRank(standing(a), standing(b)))
  return rivals.reduce<Rival | null>((best, r) => best === null || compare(r, best) > 0 ? r : best, null)
}

