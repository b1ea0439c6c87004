/** Time that stands still until it is moved, a log that is kept, neighbours, and a sink whose answers are told. */
import type { BgpLook, BgpNeighbourStatus, BgpReport, BgpState, BgpSubject } from '../../../../src/contract/bgp.js'
import type { Clock } from '../../../../src/bgp/reporting/clock.js'
import type { FetcherLog } from '../../../../src/bgp/reporting/fetcher.js'
import type { BgpSink, Outcome, Prepared, SubjectReading } from '../../../../src/bgp/sinks/sink.js'
import { until as comeAbout } from '../../../until.js'

const START = 1_800_000_000_000

export class MovedClock implements Clock {
  private time: number
  private timers: Array<{ readonly at: number, readonly call: () => void }> = []
  constructor (start = START) { this.time = start }
  /** The host's clock is ahead by so much: somebody has set it. */
  ahead = 0
  now (): number { return this.time }
  wall (): number { return this.time + this.ahead }
  after (ms: number, call: () => void): () => void {
    const timer = { at: this.time + ms, call }
    this.timers.push(timer)
    return () => { this.timers = this.timers.filter(one => one !== timer) }
  }

  get waiting (): number { return this.timers.length }

  /** Timers in their order; what they start runs in between. */
  async move (ms: number): Promise<void> {
    const until = this.time + ms
    for (;;) {
      await settled()
      const next = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.timers = this.timers.filter(one => one !== next)
      this.time = Math.max(this.time, next.at)
      next.call()
    }
    this.time = until
    await settled()
  }
}

/** What is ready to run has run, promises and callbacks of the event loop. */
export async function settled (rounds = 20): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise(resolve => setImmediate(resolve))
}

/** As long as it takes: for what goes through a disk or a socket. */
export const until = async (holds: () => boolean, what: string): Promise<void> => { await comeAbout(what, holds) }

export class KeptLog implements FetcherLog {
  readonly lines: string[] = []
  warn (text: string): void { this.lines.push(`warn ${text}`) }
  info (text: string): void { this.lines.push(`info ${text}`) }
  debug (text: string): void { this.lines.push(`debug ${text}`) }
  of (level: string): string[] { return this.lines.filter(line => line.startsWith(level)) }
}

export const neighbour = (peer: string, state: BgpState, more: Partial<BgpNeighbourStatus> = {}): BgpNeighbourStatus => ({
  source: 'frr', vrf: 'default', peer, local: null, remoteAs: 65_001, localAs: 65_000, established: state === 'up', fsm: null, adminDown: false, since: null, drops: null, reason: null, description: null,
  prefixesReceived: null, rttNs: state === 'up' ? 1_000_000 : null, cookie: null, state, seenAt: 0, changedAt: 0, flaps: 0, unknownBecause: null, ...more,
})

export const look = (neighbours: readonly BgpNeighbourStatus[], whole = true): BgpLook => ({ neighbours, whole })

export const subject = (id: string, recorded: BgpState, more: Partial<BgpSubject> = {}): BgpSubject => ({ id, peer: id, vrf: 'default', recorded, recordedAt: START, incarnation: '1', ...more })

/** Outcomes are taken in turn from `answers`; without one all lands. */
export class ToldSink implements BgpSink {
  readonly name: string
  readonly kind = 'solana'
  readonly batchMax: number
  readonly record = null
  list: BgpSubject[] = []
  mark: bigint | null = null
  readonly sent: BgpReport[][] = []
  readonly resolved: BgpReport[][] = []
  answers: Array<(batch: readonly BgpReport[]) => readonly Outcome[] | Promise<readonly Outcome[]>> = []
  resolutions: Array<(batch: readonly BgpReport[]) => readonly Outcome[]> = []
  onPrepare: ((batch: readonly BgpReport[]) => void) | null = null
  startError: Error | null = null

  constructor (name = 'told', batchMax = 19) {
    this.name = name
    this.batchMax = batchMax
  }

  async start (): Promise<void> { if (this.startError !== null) throw await Promise.resolve(this.startError) }
  async subjects (): Promise<SubjectReading> { return await Promise.resolve({ mark: this.mark, subjects: this.list }) }

  async prepare (batch: readonly BgpReport[]): Promise<Prepared> {
    this.onPrepare?.(batch)
    return await Promise.resolve({ ticket: `ticket ${this.sent.length}`, send: async () => {
      this.sent.push([...batch])
      return await (this.answers.shift() ?? (all => this.land(all)))(batch)
    } })
  }

  async resolve (_ticket: string, batch: readonly BgpReport[]): Promise<readonly Outcome[]> {
    this.resolved.push([...batch])
    return await Promise.resolve((this.resolutions.shift() ?? (all => this.land(all)))(batch))
  }

  stop (): void { /* Nothing is open. */ }

  /** The record of the ledger changes with it. */
  land (batch: readonly BgpReport[]): Outcome[] {
    for (const { subject: id, state } of batch) this.list = this.list.map(one => one.id === id ? { ...one, recorded: state } : one)
    return batch.map(() => ({ kind: 'landed', mark: null }))
  }
}
