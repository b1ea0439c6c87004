/**
 * Runs the checks: one probe at a time for each target, however many VIPs ask for it. What is due, and what has taken too long, comes from one heap and one
 * timer; what a probe does is not known here. One that does not answer in time has failed, whatever it does later.
 */
import { nothingKnown, type CheckTarget, type HealthInput, type HealthState, type HealthTransition, type KnownHealth, type ProbeCode, type ProbeOutcome, type TargetStatus } from '../contract/health.js'
import { DueHeap } from './due.js'
import { ofState, probed, restored, step, type Health } from './machine.js'
import { firstDelay, nextInterval } from './timing.js'

/** Tells its outcome once, later or at once; what it returns ends it early, and may be called after its end. */
export type Probe = (target: CheckTarget, done: (outcome: ProbeOutcome) => void) => () => void

export interface CheckerOptions {
  readonly probe: Probe
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Unix milliseconds. */
  readonly wall: () => number
  /** 0 up to 1. */
  readonly random: () => number
  readonly after: (ms: number, run: () => void) => () => void
  readonly onTransition: (id: string, transition: HealthTransition) => void
  /** Its agent says that it can take so many per cent. */
  readonly onShare: (id: string, sharePct: number) => void
}

const HISTORY = 5
const nothing = (): void => { /* it has ended */ }

interface Entry {
  readonly id: string
  target: CheckTarget
  health: Health
  sharePct: number
  /** Sessions said that it does not serve, since the last probe that passed. */
  observed: boolean
  since: number
  last: TargetStatus['last']
  readonly results: Partial<Record<ProbeCode, number>>
  tookMs: number
  /** By both states. */
  readonly changes: Map<string, { readonly from: HealthState, readonly to: HealthState, count: number }>
  history: readonly HealthTransition[]
  /** Of the heap's entries for this target only those of this turn count. */
  turn: number
  /** Of this turn. */
  dueAt: number | null
  beganAt: number
  running: boolean
  cancel: () => void
}

const tally = (results: Entry['results']): Pick<TargetStatus, 'passed' | 'failed'> => {
  const passed = results.ok ?? 0
  return { passed, failed: Object.values(results).reduce((sum, n) => sum + n, 0) - passed }
}

interface Due { readonly entry: Entry, readonly turn: number, readonly deadline: boolean }

export class Checker {
  private readonly entries = new Map<string, Entry>()
  private readonly due = new DueHeap<Due>()
  private timer: { readonly at: number, readonly cancel: () => void } | null = null
  private closed = false

  constructor (private readonly o: CheckerOptions) {}

  /** Other targets from now on; one that stays keeps its state, and its probe its turn. `known`: of an earlier life. */
  replace (targets: readonly CheckTarget[], known: KnownHealth = nothingKnown): void {
    const kept = new Set<string>()
    for (const target of targets) {
      const { id } = target
      if (kept.has(id)) continue
      kept.add(id)
      const entry = this.entries.get(id)
      if (entry === undefined) this.add(id, target, known.states.get(id), known.shares.get(id))
      else {
        entry.target = target
        entry.health = restored(entry.health, target.check)
        if (target.check.agent === null) this.share(entry, 100)
      }
    }
    for (const [id, entry] of this.entries) {
      if (kept.has(id)) continue
      this.entries.delete(id)
      this.stop(entry)
    }
    this.arm()
  }

  /** An operator's word. False: there is no such target. */
  operate (id: string, input: HealthInput): boolean {
    const entry = this.entries.get(id)
    if (entry === undefined) return false
    const was = probed(entry.health)
    this.move(entry, input, 'operator', input)
    const is = probed(entry.health)
    if (was && !is) this.stop(entry)
    if (!was && is) this.plan(entry, this.o.now())
    this.arm()
    return true
  }

  /** Sessions say that it does not serve: a failed probe, and the next one that passes says nothing against it. */
  observed (id: string, detail: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined || !probed(entry.health)) return
    entry.observed = true
    this.move(entry, 'fail', 'sessions', detail)
  }

  status (): TargetStatus[] {
    const ahead = this.o.wall() - this.o.now()
    return [...this.entries.values()].map(({ id, target: { check, address, port }, health, sharePct, since, last, running, dueAt, results, tookMs, changes, history }) =>
      ({ id, check: check.name, type: check.type, address, port, state: health.state, count: health.count, sharePct, since, last, ...tally(results), probing: running, nextAt: dueAt === null ? null : ahead + dueAt, results: { ...results }, tookMs, changes: [...changes.values()], history }))
  }

  close (): void {
    this.closed = true
    this.timer?.cancel()
    for (const entry of this.entries.values()) this.stop(entry)
  }

  private add (id: string, target: CheckTarget, known: HealthState = 'unknown', share = 100): void {
    const { now, wall, random } = this.o
    const health = ofState(known, target.check)
    const entry: Entry = { id, target, health, sharePct: target.check.agent === null ? 100 : share, observed: false, since: wall(), last: null, results: {}, tookMs: 0, changes: new Map(), history: [], turn: 0, dueAt: null, beganAt: 0, running: false, cancel: nothing }
    this.entries.set(id, entry)
    if (probed(health)) this.plan(entry, now() + firstDelay(target.check, random()))
  }

  private stop (entry: Entry): void {
    entry.turn++
    entry.dueAt = null
    entry.running = false
    entry.cancel()
    entry.cancel = nothing
  }

  private plan (entry: Entry, at: number): void {
    entry.dueAt = at
    this.due.push(at, { entry, turn: ++entry.turn, deadline: false })
  }

  private arm (): void {
    const at = this.due.next
    if (this.closed || at === null || (this.timer !== null && this.timer.at <= at)) return
    this.timer?.cancel()
    this.timer = { at, cancel: this.o.after(Math.max(0, at - this.o.now()), () => { this.tick() }) }
  }

  private tick (): void {
    this.timer = null
    const now = this.o.now()
    for (let due = this.due.pop(now); due !== null; due = this.due.pop(now)) {
      const { entry, turn, deadline } = due
      if (turn !== entry.turn) continue
      if (deadline) {
        entry.cancel()
        this.ended(entry, turn, { ok: false, code: 'timeout', detail: `no answer within ${entry.target.check.timeoutMs} ms`, tookMs: entry.target.check.timeoutMs })
      } else this.begin(entry, now)
    }
    this.arm()
  }

  private begin (entry: Entry, now: number): void {
    const turn = ++entry.turn
    entry.beganAt = now
    entry.running = true
    entry.dueAt = now + entry.target.check.timeoutMs
    this.due.push(entry.dueAt, { entry, turn, deadline: true })
    const cancel = this.o.probe(entry.target, (outcome) => {
      this.ended(entry, turn, outcome)
      this.arm()
    })
    if (entry.turn === turn) entry.cancel = cancel
  }

  private ended (entry: Entry, turn: number, outcome: ProbeOutcome): void {
    if (turn !== entry.turn || !entry.running) return
    entry.running = false
    entry.cancel = nothing
    entry.last = { ...outcome, at: this.o.wall() }
    entry.results[outcome.code] = (entry.results[outcome.code] ?? 0) + 1
    entry.tookMs += outcome.tookMs
    this.share(entry, outcome.sharePct ?? entry.sharePct)
    if (!outcome.ok || !entry.observed) this.move(entry, outcome.ok ? 'pass' : 'fail', outcome.code, outcome.detail)
    if (outcome.ok) entry.observed = false
    const { now, random } = this.o
    this.plan(entry, Math.max(now(), entry.beganAt + nextInterval(entry.health, entry.target.check, random())))
  }

  private share (entry: Entry, sharePct: number): void {
    if (sharePct === entry.sharePct) return
    entry.sharePct = sharePct
    this.o.onShare(entry.id, sharePct)
  }

  private move (entry: Entry, input: HealthInput, code: HealthTransition['code'], detail: string): void {
    const from = entry.health.state
    entry.health = step(entry.health, input, entry.target.check)
    const to = entry.health.state
    if (from === to) return
    const transition = { at: this.o.wall(), from, to, code, detail }
    entry.since = transition.at
    const change = entry.changes.get(`${from} ${to}`) ?? { from, to, count: 0 }
    change.count++
    entry.changes.set(`${from} ${to}`, change)
    entry.history = [...entry.history, transition].slice(-HISTORY)
    this.o.onTransition(entry.id, transition)
  }
}
