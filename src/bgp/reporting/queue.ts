/**
 * Reports on their way to one sink: at most one for each subject, the latest wins while it waits, one batch at a time is out, and what the last look did not
 * confirm waits. Which of them is due, and when a batch may
 * be tried again, is decided here; nothing here waits or sends.
 */
import type { BgpPending, BgpReport, BgpSinkStatus } from '../../contract/bgp.js'
import type { Outcome } from '../sinks/sink.js'
import { backOff, type Waits } from '../../lib/back-off.js'

export interface Entry {
  report: BgpReport
  readonly incarnation: string
  /** Unix milliseconds. */
  readonly queuedAt: number
  attempts: number
  retryAt: number | null
  lastError: string | null
  stage: Exclude<BgpPending['stage'], 'held'>
  /** Its subject has left while it was out: it is not queued again. */
  gone: boolean
  /** The last look did not confirm it: it waits for one that does. */
  held: boolean
}

export interface QueueOptions {
  readonly max: number
  readonly random: () => number
  /** Between tries of a sink that does not take anything. */
  readonly backOff: Waits
  /** Between tries of a report that the sink has refused. */
  readonly refusedMs: number
}

export const queueDefaults = { max: 65_536, backOff: { leastMs: 1000, mostMs: 60_000 }, refusedMs: 600_000 } as const

export type Offer = keyof BgpSinkStatus['offers']

export class ReportQueue {
  private readonly entries = new Map<string, Entry>()
  private out: readonly Entry[] = []
  private failures = 0
  /** The sink is left alone until then. */
  private closedUntil = 0

  constructor (private readonly options: QueueOptions) {}

  get size (): number { return this.entries.size }
  get outstanding (): readonly Entry[] { return this.out }

  /** `out`: what was sent before has to come to an end first; ask again then. */
  offer (report: BgpReport, incarnation: string): Offer {
    const entry = this.entries.get(report.subject)
    if (entry === undefined || (entry.incarnation !== incarnation && entry.stage === 'queued')) {
      if (entry === undefined && this.entries.size >= this.options.max) return 'full'
      this.entries.set(report.subject, { report, incarnation, queuedAt: report.decidedAt, attempts: 0, retryAt: null, lastError: null, stage: 'queued', gone: false, held: false })
      return entry === undefined ? 'queued' : 'replaced'
    }
    entry.gone = entry.incarnation !== incarnation
    const same = entry.report.state === report.state
    entry.held = entry.stage !== 'queued' && !same
    if (entry.stage !== 'queued') return 'out'
    entry.report = same ? { ...entry.report, rttNs: report.rttNs } : report
    return same ? 'kept' : 'replaced'
  }

  /** It need not be told any more. What is out stays out, and should it come back it waits for a look. */
  withdraw (subject: string): boolean {
    this.hold(subject)
    return this.entries.get(subject)?.stage === 'queued' && this.entries.delete(subject)
  }

  /** Nobody knows whether it is still true: it is not sent before it is offered again. */
  hold (subject: string): void {
    const entry = this.entries.get(subject)
    if (entry !== undefined) entry.held = true
  }

  /** Subjects that are not `there` any more. What is out stays until it is known what became of it, so that a subject that comes back is not told twice. */
  prune (there: (subject: string) => boolean): void {
    for (const [subject, entry] of this.entries) {
      if (there(subject)) continue
      if (entry.stage === 'queued') this.entries.delete(subject)
      else entry.gone = true
    }
  }

  /** The next batch, which is out from now on; empty: one is out, or nothing is due. */
  take (most: number, now: number): readonly Entry[] {
    if (this.out.length > 0 || now < this.closedUntil) return []
    const batch: Entry[] = []
    for (const entry of this.entries.values()) {
      if (entry.held || (entry.retryAt !== null && entry.retryAt > now)) continue
      batch.push(entry)
      if (batch.length === most) break
    }
    for (const entry of batch) {
      entry.stage = 'in-flight'
      entry.attempts++
      entry.retryAt = null
    }
    return this.out = batch
  }

  /** A batch that was out when the process before ended. */
  restore (batch: readonly Entry[]): void {
    for (const entry of batch) this.entries.set(entry.report.subject, entry)
    this.out = batch
  }

  /** What became of the batch that is out; one outcome for each. As long as one is uncertain, all that are stay out. */
  settle (outcomes: readonly Outcome[], now: number): void {
    const uncertain: Entry[] = []
    let failed = false
    let landed = false
    let afterMs = 0
    this.out.forEach((entry, i) => {
      const outcome: Outcome = outcomes[i] ?? { kind: 'uncertain', reason: 'the sink did not say what became of it' }
      if (outcome.kind === 'landed') {
        landed = true
        this.entries.delete(entry.report.subject)
        return
      }
      entry.lastError = outcome.reason
      if (outcome.kind === 'uncertain') {
        entry.stage = 'uncertain'
        uncertain.push(entry)
        failed = true
        afterMs = Math.max(afterMs, outcome.afterMs ?? 0)
        return
      }
      entry.stage = 'queued'
      if (entry.gone) this.entries.delete(entry.report.subject)
      else if (outcome.kind === 'permanent') entry.retryAt = now + this.options.refusedMs * (0.5 + this.options.random() / 2)
      else if (outcome.afterMs === null) failed = true
      else afterMs = Math.max(afterMs, outcome.afterMs)
    })
    this.out = uncertain
    this.failures = landed || !failed ? 0 : this.failures
    this.closedUntil = now + Math.max(afterMs, failed ? backOff(this.options.backOff, this.failures++, this.options.random()) : 0)
  }

  /** When there is something to do; `null`: nothing waits. */
  dueAt (now: number): number | null {
    if (this.out.length > 0) return this.closedUntil
    let least = Infinity
    for (const { held, retryAt } of this.entries.values()) {
      if (held) continue
      least = Math.min(least, retryAt ?? now)
      if (least <= now) break
    }
    return least === Infinity ? null : Math.max(least, this.closedUntil)
  }

  /** `wall`: what the host's clock says `now`. */
  pending (sink: string, now: number, wall: number): BgpPending[] {
    const closed = this.closedUntil > now ? this.closedUntil : null
    const shown = (at: number | null): number | null => at === null ? null : Math.round(at - now + wall)
    return [...this.entries.values()].map(({ report, queuedAt, attempts, retryAt, lastError, stage, held }) =>
      ({ ...report, sink, queuedAt, attempts, stage: stage === 'queued' && held ? 'held' : stage, retryAt: shown(stage === 'in-flight' ? null : retryAt === null ? closed : Math.max(retryAt, closed ?? 0)), lastError }))
  }
}
