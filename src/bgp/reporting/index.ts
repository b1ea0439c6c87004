/**
 * Tells the state of BGP sessions to those who want to know. The composition root starts one and gives it a function that looks at all neighbours:
 *
 *   const reporter = new Reporter({ settings, look, node, directory, log })
 *   await reporter.start()
 *   …
 *   await reporter.stop()
 */
import { createHash } from 'node:crypto'
import type { BgpLook, BgpPending, BgpSinkStatus } from '../../contract/bgp.js'
import type { BgpReportSettings, BgpSinkSettings } from '../../contract/bgp-report.js'
import { FileSink } from '../sinks/file.js'
import type { BgpSink } from '../sinks/sink.js'
import { WebhookSink } from '../sinks/webhook.js'
import { causeOf } from '../../lib/cause-of.js'
import { steadyClock, type Clock } from './clock.js'
import type { FetcherLog } from './fetcher.js'
import { Outlet } from './outlet.js'

export interface ReporterOptions {
  readonly settings: BgpReportSettings
  readonly look: () => BgpLook
  /** Name of this node, told to sinks. */
  readonly node: string
  /** The state directory. */
  readonly directory: string
  readonly log: FetcherLog
  readonly clock?: Clock
  /** 0 to 1. */
  readonly random?: () => number
}

/** After a batch has come to an end the next look does not wait for the interval, but there is at least so long between two. */
const LOOK_SPACING_MS = 500

export class Reporter {
  private outlets: readonly Outlet[] = []
  private cancel: (() => void) | null = null
  private dueAt = Infinity
  private lookedAt = -Infinity
  private stopped = false
  private readonly clock: Clock

  constructor (private readonly options: ReporterOptions) { this.clock = options.clock ?? steadyClock }

  /** Loads and starts the sinks; one that is not ready, or refuses, holds up nobody. */
  async start (): Promise<void> {
    const { settings: { sinks, ...timing }, directory, log, node, random = Math.random } = this.options
    const clock = this.clock
    const outlets = await Promise.all(sinks.map(async settings => new Outlet({
      sink: await sinkOf(settings, { node, clock, random, log }), target: targetOf(settings), directory, clock, random, log,
      timing: { graceMs: timing.graceMs, debounceMs: timing.debounceMs, refreshMs: timing.refreshMs, jitter: timing.refreshJitter, spacingMs: timing.spacingMs },
      wantsLook: () => { this.schedule(LOOK_SPACING_MS) },
    })))
    if (this.stopped) return
    this.outlets = outlets
    for (const outlet of outlets) outlet.start()
    this.schedule(0)
  }

  /** One look, now, for all sinks. One that is still busy with the look before goes without. */
  async tick (): Promise<void> {
    this.cancel?.()
    this.dueAt = Infinity
    this.lookedAt = this.clock.now()
    this.schedule(this.options.settings.intervalMs)
    const look = this.options.look()
    await Promise.all(this.outlets.map(async outlet => { await outlet.tick(look) }))
  }

  /** A neighbour has changed: the next look comes soon. */
  changed (): void { this.schedule(LOOK_SPACING_MS) }

  pending (): BgpPending[] { return this.outlets.flatMap(outlet => outlet.pending()) }
  tallies (): BgpSinkStatus[] { return this.outlets.map(outlet => outlet.tallies()) }

  /** Ends as soon as what is under way has noticed: what was sent and not answered is found out by the next start. */
  async stop (): Promise<void> {
    this.stopped = true
    this.cancel?.()
    await Promise.all(this.outlets.map(async outlet => { await outlet.stop() }))
  }

  private schedule (ms: number): void {
    const now = this.clock.now()
    const at = Math.max(now + ms, this.lookedAt + LOOK_SPACING_MS)
    if (this.stopped || at >= this.dueAt) return
    this.cancel?.()
    this.dueAt = at
    this.cancel = this.clock.after(at - now, () => {
      this.tick().catch((error: unknown) => { this.options.log.warn(`bgp report: no look at neighbours: ${causeOf(error)}`) })
    })
  }
}

/** The ledger's code is loaded for a ledger only. */
async function sinkOf (settings: BgpSinkSettings, { node, clock, random, log }: Required<Pick<ReporterOptions, 'node' | 'clock' | 'random' | 'log'>>): Promise<BgpSink> {
  switch (settings.type) {
    case 'file': return new FileSink(settings, node)
    case 'webhook': return new WebhookSink(settings, node, () => clock.wall())
    case 'solana': {
      const { SolanaSink } = await import('../sinks/solana/index.js')
      return new SolanaSink({ settings, clock, random, log })
    }
  }
}

/** What the state of a sink is good for: of another target it would be wrong. */
function targetOf (settings: BgpSinkSettings): string {
  switch (settings.type) {
    case 'file': return `file ${settings.path}`
    case 'webhook': return `webhook ${createHash('sha256').update(settings.url).digest('hex')}`
    case 'solana': return `solana ${settings.program} ${settings.device}`
  }
}
