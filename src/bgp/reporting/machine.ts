/**
 * What is to be told of a subject, from what the sink has on record and what is seen of its session. Pure: one call for each look, everything it remembers is its
 * argument and its result.
 *
 *   tunnel    session   and                          then
 *   any       unknown                                hold: nothing is decided, what waits is not sent, and no clock runs
 *   found     up                                     up
 *   either    down      up less than the grace ago   hold: neither down nor a refresh, whose round trip would be of nothing
 *   either    down      otherwise                    down
 *
 * A tunnel that is missing is a session that is down, if the look was whole; otherwise it is unknown. The record is read at every look, so another writer and a new
 * subject at an old id are noticed at once. After a restart a record of `up` counts as seen up at the start.
 */
import type { BgpReport, BgpState, BgpSubject } from '../../contract/bgp.js'

export interface ReportTiming {
  /** A session that was up is told as down when it has been down for so long. */
  readonly graceMs: number
  /** What is seen must have lasted so long before it is told. */
  readonly debounceMs: number
  /** A record is written anew when it is so old. */
  readonly refreshMs: number
  /** A refresh comes earlier by up to this part of the interval, by chance: not all at once. */
  readonly jitter: number
  /** Between two reports of one subject. */
  readonly spacingMs: number
}

export interface SubjectMemory {
  readonly incarnation: string
  readonly recorded: BgpState
  readonly recordedAt: number
  /** Of our last write. A record that was read at a lower one is older than that. */
  readonly mark: bigint | null
  readonly landedAt: number | null
  readonly seen: 'up' | 'down' | null
  readonly seenSince: number
  /** `null`: never. */
  readonly upAt: number | null
  readonly lookedAt: number
  /** This refresh's part of the jitter, 0 to 1. */
  readonly draw: number
}

export interface SubjectLook {
  readonly subject: BgpSubject
  /** When the record was read, by the sink's count of its writes; `null`: it is always the latest. */
  readonly mark: bigint | null
  readonly session: BgpState
  readonly rttNs: number
  readonly now: number
  /** 0 to 1, by chance; used when a subject is new. */
  readonly draw: number
}

export type Decision =
  | { readonly kind: 'report', readonly report: BgpReport }
  /** The record is as it should be: what is queued is not needed any more. */
  | { readonly kind: 'nothing' }
  /** Nothing is known for certain: what is queued stays queued, and is not sent. */
  | { readonly kind: 'hold', readonly because: 'unknown' | 'grace' | 'debounce' | 'spacing' }

export function step (memory: SubjectMemory | undefined, look: SubjectLook, timing: ReportTiming): { readonly memory: SubjectMemory, readonly decision: Decision } {
  const read = memory === undefined || memory.incarnation !== look.subject.incarnation ? firstSight(look, timing) : readRecord(memory, look)
  const now = see(read, look)
  return { memory: now, decision: decide(now, look, timing) }
}

/** The sink has the report on record. */
export function landed (memory: SubjectMemory, report: BgpReport, mark: bigint | null, now: number, draw: number): SubjectMemory {
  return { ...memory, recorded: report.state, recordedAt: now, mark: mark ?? memory.mark, landedAt: now, draw }
}

function firstSight ({ subject: { incarnation, recorded, recordedAt }, now, draw }: SubjectLook, { refreshMs }: ReportTiming): SubjectMemory {
  return {
    incarnation, recorded,
    // A sink that does not tell when: anywhere in the interval, so that a restart is not followed by a storm of refreshes.
    recordedAt: Math.min(now, recordedAt ?? now - draw * refreshMs),
    mark: null, landedAt: null, seen: null, seenSince: now, upAt: recorded === 'up' ? now : null, lookedAt: now, draw,
  }
}

function readRecord (memory: SubjectMemory, { subject, mark, now }: SubjectLook): SubjectMemory {
  if (memory.mark !== null && mark !== null && mark < memory.mark) return memory
  if (subject.recordedAt === null && subject.recorded === memory.recorded) return memory
  const recordedAt = Math.min(now, subject.recordedAt ?? now)
  return recordedAt === memory.recordedAt && subject.recorded === memory.recorded ? memory : { ...memory, recorded: subject.recorded, recordedAt }
}

/** Written out, not spread: this runs for each subject at each look. */
function see ({ incarnation, recorded, recordedAt, mark, landedAt, seen, seenSince, upAt, lookedAt, draw }: SubjectMemory, { session, now }: SubjectLook): SubjectMemory {
  const dark = session === 'unknown' ? now - lookedAt : 0
  return {
    incarnation, recorded, recordedAt, mark, landedAt, draw, lookedAt: now,
    seen: session === 'unknown' ? seen : session,
    seenSince: session === 'unknown' ? seenSince + dark : seen === session ? seenSince : now,
    upAt: session === 'up' ? now : upAt === null ? null : upAt + dark,
  }
}

function decide (memory: SubjectMemory, { subject, session, rttNs, now }: SubjectLook, { graceMs, debounceMs, refreshMs, jitter, spacingMs }: ReportTiming): Decision {
  if (session === 'unknown') return { kind: 'hold', because: 'unknown' }
  if (session === 'down' && memory.upAt !== null && now - memory.upAt < graceMs) return { kind: 'hold', because: 'grace' }
  const cause = memory.recorded === 'unknown' ? 'first' : session !== memory.recorded ? 'changed' : now - memory.recordedAt >= refreshMs * (1 - jitter * memory.draw) ? 'refresh' : null
  if (cause === null) return { kind: 'nothing' }
  if (cause !== 'refresh' && now - memory.seenSince < debounceMs) return { kind: 'hold', because: 'debounce' }
  if (memory.landedAt !== null && now - memory.landedAt < spacingMs) return { kind: 'hold', because: 'spacing' }
  return { kind: 'report', report: { subject: subject.id, state: session, rttNs: session === 'up' ? rttNs : 0, cause, decidedAt: now } }
}
