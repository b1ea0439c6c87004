/**
 * One sink and everything between it and the neighbours: memory of each subject, queue, and the one batch that is out. A batch is kept on disk with its ticket before
 * it is sent, so that after a crash it is found out what became of it before anything is sent again.
 */
import type { BgpLook, BgpNeighbourStatus, BgpPending, BgpReport, BgpSinkStatus } from '../../contract/bgp.js'
import { causeOf } from '../../lib/cause-of.js'
import { backOff, type Waits } from '../../lib/back-off.js'
import { TallyOfTimes } from '../../lib/tally-of-times.js'
import { SinkError, each, type BgpSink, type Outcome } from '../sinks/sink.js'
import { reasonOf, sleep, within, type Clock } from './clock.js'
import type { FetcherLog } from './fetcher.js'
import { landed, step, type ReportTiming, type SubjectMemory } from './machine.js'
import { readOutlet, writeOutlet, type OutBatch } from './outlet-file.js'
import { ReportQueue, queueDefaults, type Entry, type QueueOptions } from './queue.js'

export interface OutletOptions {
  readonly sink: BgpSink
  /** Where it writes to; a state file of another target is not used. */
  readonly target: string
  readonly timing: ReportTiming
  readonly directory: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: FetcherLog
  readonly queue?: Partial<QueueOptions>
  /** It is ready, or a batch has come to an end: what is to be told next may be known by now. */
  readonly wantsLook: () => void
}

/** Bounds of one act, so that a sink that hangs is a sink that failed. */
const START_MS = 30_000
const READ_MS = 60_000
const BATCH_MS = 300_000
/** Between tries to write the state file. */
const KEEP_MS = 60_000
/** A sink that has refused to start is asked again. */
const REFUSED_MS = 600_000
/** Bounds of how long reports are on their way, seconds. */
const LANDED_S: readonly number[] = [0.1, 0.5, 1, 2, 5, 10, 30, 60]
const START_WAITS: Waits = { leastMs: 1000, mostMs: 60_000 }

export class Outlet {
  private readonly queue: ReportQueue
  private readonly memories = new Map<string, SubjectMemory>()
  private readonly ending = new AbortController()
  private readonly running: Promise<void>[] = []
  private ticket: string | null = null
  private unwritten = false
  /** Not sooner: it could not be written. */
  private keepAt = 0
  private ticking = false
  /** The last look found out what every subject needs. Without it nothing is sent: after an outage, or a restart, what is queued may not be true any more. */
  private sighted = false
  private wake: (() => void) | null = null
  private readonly landedIn = new TallyOfTimes(LANDED_S)
  private readonly tally = {
    stage: 'starting' as BgpSinkStatus['stage'], lastError: null as string | null, subjects: 0, observed: { up: 0, down: 0, unknown: 0 }, held: { unknown: 0, grace: 0, debounce: 0, spacing: 0 },
    lastTickAt: null as number | null, lastLandedAt: null as number | null, looks: { ok: 0, failed: 0 }, offers: { queued: 0, replaced: 0, kept: 0, out: 0, full: 0 }, withdrawn: 0, retried: 0, batches: 0, batchMs: 0,
    reports: { up: { landed: 0, transient: 0, permanent: 0, uncertain: 0 }, down: { landed: 0, transient: 0, permanent: 0, uncertain: 0 } },
  }

  constructor (private readonly options: OutletOptions) {
    this.queue = new ReportQueue({ ...queueDefaults, random: options.random, ...options.queue })
  }

  get name (): string { return this.options.sink.name }

  start (): void {
    const { sink, directory, target, clock, log } = this.options
    const { out, record, damage } = readOutlet(directory, sink.name, target)
    if (damage !== null) log.warn(`bgp report ${sink.name}: ${damage}`)
    sink.record?.load(record, clock.now(), clock.wall())
    if (out !== null) {
      this.ticket = out.ticket
      this.queue.restore(out.entries)
    }
    this.running.push(this.run().catch((error: unknown) => {
      if (!this.ending.signal.aborted) this.options.log.warn(`bgp report ${sink.name}: it has ended: ${causeOf(error)}`)
      this.tally.lastError = causeOf(error)
    }).then(() => { this.tally.stage = 'stopped' }))
  }

  /** One look at all subjects. Never rejects: a sink that cannot be read has no decisions, and what is queued stays queued. */
  async tick (look: BgpLook): Promise<void> {
    if (this.tally.stage !== 'ready' || this.ticking) return
    this.ticking = true
    const { sink, clock } = this.options
    try {
      const { mark, subjects } = await within(clock, READ_MS, this.ending.signal, `bgp report ${sink.name}: subjects`, async signal => await sink.subjects(look, signal))
      this.tally.looks.ok++
      this.sighted = true
      this.decideAll(look, subjects, mark)
      this.failed(null)
    } catch (error) {
      this.tally.looks.failed++
      this.sighted = false
      if (!this.ending.signal.aborted) this.failed(error)
    } finally {
      this.ticking = false
      this.tally.lastTickAt = clock.wall()
      this.wake?.()
    }
  }

  pending (): BgpPending[] { return this.queue.pending(this.name, this.options.clock.now(), this.options.clock.wall()) }

  tallies (): BgpSinkStatus {
    const { tally, queue, options: { sink } } = this
    const out = queue.outstanding.length
    return { sink: sink.name, kind: sink.kind, ...tally, landedIn: this.landedIn.times, fetches: sink.fetches?.() ?? null, observed: { ...tally.observed }, held: { ...tally.held }, looks: { ...tally.looks }, offers: { ...tally.offers }, reports: { up: { ...tally.reports.up }, down: { ...tally.reports.down } }, queued: queue.size - out, out }
  }

  /** What is out is left as it is: the state file knows of it. */
  async stop (): Promise<void> {
    this.ending.abort(new Error(`bgp report ${this.name}: it stops`))
    this.options.sink.stop()
    this.wake?.()
    await Promise.all(this.running)
    if (this.unwritten) await this.keep().catch(() => {})
  }

  // --- deciding -------------------------------------------------------------------------------------------------------------------------

  private decideAll (look: BgpLook, subjects: readonly Parameters<typeof step>[1]['subject'][], mark: bigint | null): void {
    const { timing, clock, random } = this.options
    const [now, wall] = [clock.now(), clock.wall()]
    const sessions = new Map<string, BgpNeighbourStatus>(look.neighbours.map(neighbour => [`${neighbour.vrf}/${neighbour.peer}`, neighbour]))
    const there = new Set<string>()
    const observed = { up: 0, down: 0, unknown: 0 }
    const held = { unknown: 0, grace: 0, debounce: 0, spacing: 0 }
    for (const subject of subjects) {
      there.add(subject.id)
      const neighbour = subject.peer === null ? undefined : sessions.get(`${subject.vrf ?? 'default'}/${subject.peer}`)
      const session = neighbour?.state ?? (look.whole ? 'down' : 'unknown')
      observed[session]++
      const { memory, decision } = step(this.memories.get(subject.id), { subject, mark, session, rttNs: neighbour?.rttNs ?? 0, now, draw: random() }, timing)
      this.memories.set(subject.id, memory)
      if (decision.kind === 'report') this.tally.offers[this.queue.offer({ ...decision.report, decidedAt: wall }, subject.incarnation)]++
      else if (decision.kind === 'nothing') this.tally.withdrawn += Number(this.queue.withdraw(subject.id))
      else {
        this.queue.hold(subject.id)
        held[decision.because]++
      }
    }
    for (const id of this.memories.keys()) if (!there.has(id)) this.memories.delete(id)
    this.queue.prune(id => there.has(id))
    Object.assign(this.tally, { subjects: there.size, observed, held })
  }

  // --- sending --------------------------------------------------------------------------------------------------------------------------

  private async run (): Promise<void> {
    const { signal } = this.ending
    await this.begin(signal)
    while (!signal.aborted) {
      const now = this.options.clock.now()
      const due = (this.sighted || this.queue.outstanding.length > 0 ? this.queue.dueAt(now) : null) ?? Infinity
      const keepDue = this.unwritten ? this.keepAt : Infinity
      if (due <= now) await this.round(signal)
      else if (keepDue <= now) await this.keepOrTell()
      else await this.pause(Math.min(due, keepDue) - now, signal)
    }
  }

  /** Until it is ready: a sink that cannot be reached is tried soon, one that refuses rarely. */
  private async begin (signal: AbortSignal): Promise<void> {
    const { sink, clock, random, log } = this.options
    for (let failures = 0; ; failures++) {
      try {
        await within(clock, START_MS, signal, `bgp report ${sink.name}: start`, async own => { await sink.start(own) })
        this.tally.stage = 'ready'
        this.options.wantsLook()
        this.failed(null)
        return
      } catch (error) {
        if (signal.aborted) throw reasonOf(signal)
        const refused = error instanceof SinkError && error.kind === 'permanent'
        this.tally.stage = refused ? 'refused' : 'starting'
        if (this.tally.lastError !== causeOf(error)) log.warn(`bgp report ${sink.name}: ${refused ? 'refused to start' : 'cannot start yet'}: ${causeOf(error)}`)
        this.tally.lastError = causeOf(error)
        await sleep(clock, refused ? REFUSED_MS : backOff(START_WAITS, failures, random()), signal)
      }
    }
  }

  /** One batch: resolved when it is not known what became of it, sent otherwise. */
  private async round (signal: AbortSignal): Promise<void> {
    const { sink, clock } = this.options
    const open = this.queue.outstanding.length > 0
    const batch = open ? this.queue.outstanding : this.queue.take(sink.batchMax, clock.now())
    if (batch.length === 0) return
    if (!open) this.tally.retried += batch.filter(({ attempts }) => attempts > 1).length
    const began = clock.now()
    const reports = batch.map(({ report }) => report)
    const outcomes = open && this.ticket !== null ? await this.resolve(this.ticket, reports, signal) : await this.send(batch, reports, signal)
    if (signal.aborted) return
    const tookMs = clock.now() - began
    this.settle(batch, outcomes, tookMs)
    this.tally.batches++
    this.tally.batchMs += tookMs
  }

  private async send (batch: readonly Entry[], reports: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { sink, clock } = this.options
    try {
      const prepared = await within(clock, READ_MS, signal, `bgp report ${sink.name}: prepare`, async own => await sink.prepare(reports, own))
      this.ticket = prepared.ticket
      await this.keep({ ticket: prepared.ticket, entries: batch })
      return await within(clock, BATCH_MS, signal, `bgp report ${sink.name}: batch`, async own => await prepared.send(own)).catch((error: unknown) => each(reports, { kind: 'uncertain', reason: causeOf(error) }))
    } catch (error) {
      this.ticket = null
      const [kind, afterMs] = error instanceof SinkError ? [error.kind, error.afterMs] : ['transient' as const, null]
      return each(reports, { kind, reason: causeOf(error), afterMs })
    }
  }

  private async resolve (ticket: string, reports: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { sink, clock } = this.options
    return await within(clock, BATCH_MS, signal, `bgp report ${sink.name}: resolve`, async own => await sink.resolve(ticket, reports, own))
      .catch((error: unknown) => each(reports, { kind: 'uncertain', reason: causeOf(error) }))
  }

  private settle (batch: readonly Entry[], outcomes: readonly Outcome[], tookMs: number): void {
    const { sink, clock, random } = this.options
    const now = clock.now()
    let reason: string | null = null
    batch.forEach((entry, i) => {
      const { report, incarnation } = entry
      const outcome: Outcome = outcomes[i] ?? { kind: 'uncertain', reason: 'the sink did not say what became of it' }
      this.tally.reports[report.state][outcome.kind]++
      if (outcome.kind !== 'landed') {
        reason = outcome.reason
        return
      }
      this.tally.lastLandedAt = clock.wall()
      this.landedIn.add(tookMs / 1000)
      sink.record?.write(report, now)
      const memory = this.memories.get(report.subject)
      if (memory !== undefined && memory.incarnation === incarnation && !entry.gone) this.memories.set(report.subject, landed(memory, report, outcome.mark, now, random()))
    })
    this.queue.settle(outcomes, now)
    if (this.queue.outstanding.length === 0) this.ticket = null
    this.unwritten = true
    this.options.wantsLook()
    this.failed(reason)
  }

  // --- the state file -------------------------------------------------------------------------------------------------------------------

  private async keep (out: OutBatch | null = this.ticket === null ? null : { ticket: this.ticket, entries: this.queue.outstanding }): Promise<void> {
    const { sink, directory, target, clock } = this.options
    await writeOutlet(directory, sink.name, target, { out, record: sink.record?.kept(clock.now(), clock.wall()) ?? null })
    this.unwritten = false
  }

  private async keepOrTell (): Promise<void> {
    await this.keep().catch((error: unknown) => {
      this.keepAt = this.options.clock.now() + KEEP_MS
      this.failed(error)
    })
  }

  // --- small things ---------------------------------------------------------------------------------------------------------------------

  /** Told when it changes, not every time. */
  private failed (error: unknown): void {
    const { log, sink } = this.options
    const text = error === null ? null : causeOf(error)
    if (text === null && this.tally.lastError !== null && this.queue.size === 0) log.info(`bgp report ${sink.name}: well again`)
    if (text !== null && text !== this.tally.lastError) log.warn(`bgp report ${sink.name}: ${text}`)
    if (text !== null || this.queue.size === 0) this.tally.lastError = text
  }

  /** Until something is due, a tick has brought something, or it ends. */
  private async pause (ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      const done = (): void => {
        cancel?.()
        this.wake = null
        resolve()
      }
      const cancel = ms === Infinity ? null : this.options.clock.after(Math.max(0, ms), done)
      this.wake = done
      if (signal.aborted) done()
    })
  }
}
