/**
 * Is a peer alive? Receipts of authenticated heartbeats on two or more paths in, a verdict out. One heartbeat goes out on every path with
 * the same sequence: the first copy brings its status, the others show that their path works.
 */
import { haLimits } from './limits.js'
import { detectionMs, type Timing } from './lease.js'

/** `unseen`: never heard · `suspect`: late, nothing is done yet · `lost`: silent for the detection time. */
export type Liveness = 'unseen' | 'alive' | 'suspect' | 'lost'

interface PathState { readonly path: string, readonly heardAtMs: number, readonly seq: bigint }

export interface Detector {
  readonly bootId: string | null
  readonly seq: bigint
  /** How often this life had news; counted to 2. */
  readonly heard: number
  readonly paths: readonly PathState[]
  /** Lives of the peer that are over, and the last that was heard of each. */
  readonly retired: ReadonlyArray<{ readonly bootId: string, readonly seq: bigint }>
}

export const newDetector: Detector = { bootId: null, seq: -1n, heard: 0, paths: [], retired: [] }

/** `atMs`: when it came. */
export interface Receipt { readonly path: string, readonly bootId: string, readonly seq: bigint, readonly atMs: number }

/**
 * `fresh`: news, take its status · `copy`: news by another path already · `rebooted`: news of a new life, forget the old one ·
 * `aside`: of another life while this one is on time, to be looked at when it is late · `stale`: a replay or a straggler; it proves nothing (H65).
 */
export type ReceiptVerdict = 'fresh' | 'copy' | 'rebooted' | 'aside' | 'stale'

export function receive (d: Detector, timing: Timing, receipt: Receipt, nowMs = receipt.atMs): { readonly detector: Detector, readonly verdict: ReceiptVerdict } {
  const { path, bootId, seq, atMs } = receipt
  const stale = { detector: d, verdict: 'stale' as const }
  if (bootId !== d.bootId) {
    const over = d.retired.find(r => r.bootId === bootId)
    // While one life is on time another is a replay of an earlier one, or the next, which is heard when this one is late. One that is over says nothing new; if it does, it
    // was taken for over by a replay.
    if (over !== undefined && seq <= over.seq) return stale
    if (liveness(d, timing, nowMs) === 'alive') return { detector: d, verdict: 'aside' }
    const retired = d.bootId === null ? [] : [...d.retired.filter(r => r !== over), { bootId: d.bootId, seq: d.seq }].slice(-haLimits.retiredBootsMax)
    return { detector: { bootId, seq, heard: 1, paths: [{ path, heardAtMs: atMs, seq }], retired }, verdict: d.bootId === null ? 'fresh' : 'rebooted' }
  }
  const before = d.paths.find(p => p.path === path)
  // Older than the count that detection takes is no sign of life; a path repeats nothing.
  if (seq <= d.seq - BigInt(timing.count) || (before !== undefined && seq <= before.seq)) return stale
  // A late copy of what was heard before the silence does not end it.
  if (seq <= d.seq && liveness(d, timing, nowMs) === 'lost') return stale
  const paths = [...d.paths.filter(p => p.path !== path), { path, heardAtMs: atMs, seq }]
  return seq > d.seq
    ? { detector: { ...d, seq, heard: 2, paths }, verdict: 'fresh' }
    : { detector: { ...d, paths }, verdict: 'copy' }
}

/** Late is one and a half intervals: one heartbeat is missing. */
function livenessAt (heardAtMs: number, timing: Timing, nowMs: number): Liveness {
  const silentMs = nowMs - heardAtMs
  if (silentMs >= detectionMs(timing)) return 'lost'
  return silentMs >= 1.5 * timing.intervalMs ? 'suspect' : 'alive'
}

export function pathLiveness (d: Detector, path: string, timing: Timing, nowMs: number): Liveness {
  const state = d.paths.find(p => p.path === path)
  return state === undefined ? 'unseen' : livenessAt(state.heardAtMs, timing, nowMs)
}

const lastHeardMs = (d: Detector): number => d.paths.reduce((last, p) => Math.max(last, p.heardAtMs), -Infinity)

/** Since it was last heard by any path. */
export const silentMs = (d: Detector, nowMs: number): number => nowMs - lastHeardMs(d)

/** As lively as its best path. */
export function liveness (d: Detector, timing: Timing, nowMs: number): Liveness {
  return d.paths.length === 0 ? 'unseen' : livenessAt(lastHeardMs(d), timing, nowMs)
}

/** When silence becomes loss; Infinity when it has, or nothing was ever heard. */
export function lossAtMs (d: Detector, timing: Timing, nowMs: number): number {
  const at = lastHeardMs(d) + detectionMs(timing)
  return at > nowMs ? at : Infinity
}
