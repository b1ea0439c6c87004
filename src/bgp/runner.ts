/**
 * Reads every source again and again, each by itself: one that hangs delays no other. A source that tells of changes is read at once. Thread: main; everything
 * here waits for sockets or for the thread pool, and what blocks is the parsing of an answer.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BgpReading, BgpSettings, BgpSourceSettings } from '../contract/bgp.js'
import { causeOf } from '../lib/cause-of.js'
import { bgpEvents, type BgpEvent } from './events.js'
import { Neighbours } from './neighbours.js'
import { birdProvider } from './providers/bird.js'
import { bmpProvider } from './providers/bmp.js'
import { frrProvider } from './providers/frr.js'
import { gobgpProvider } from './providers/gobgp.js'
import { kernelProvider } from './providers/kernel.js'
import type { Provider } from './providers/provider.js'

export interface RunnerOptions {
  readonly onEvent: (event: BgpEvent) => void
  /** What reads a source. */
  readonly provider?: (source: BgpSourceSettings) => Provider
  /** 0 to 1. */
  readonly random?: () => number
}

/** Of the interval, more or less: sources, and hosts that were started together, spread. */
const JITTER = 0.1
/** Between two readings of a source, whatever it tells; and at most, while they fail. */
const GAP_MS = 100
const BACK_OFF_MS = 15_000
const TICK_MS = 500
/** Of one scope. */
export const NEIGHBOURS_MAX = 1 << 17

export function providerOf (source: BgpSourceSettings): Provider {
  switch (source.type) {
    case 'frr': return frrProvider(source)
    case 'bird': return birdProvider(source)
    case 'gobgp': return gobgpProvider(source)
    case 'bmp': return bmpProvider(source)
    case 'kernel': return kernelProvider(source)
  }
}

export class BgpRunner {
  readonly view = new Neighbours({ maxAgeMs: 0, kernelDecides: false })
  private readonly loops = new Map<string, { readonly settings: BgpSourceSettings, readonly loop: Loop }>()
  private settings: BgpSettings | null = null
  private ticking: NodeJS.Timeout | null = null
  private readonly heard = new Set<string>()

  constructor (private readonly o: RunnerOptions) {}

  /** What is as it was goes on; `null`: nothing is read. */
  configure (settings: BgpSettings | null): void {
    if (JSON.stringify(settings) === JSON.stringify(this.settings)) return
    const paced = settings?.intervalMs !== this.settings?.intervalMs || settings?.timeoutMs !== this.settings?.timeoutMs
    this.settings = settings
    const wanted = new Map(settings?.sources.map(source => [source.name, source]))
    for (const [name, { settings: had, loop }] of [...this.loops]) {
      // a source that only tells has no pace, and what it told goes with its connections
      if ((!paced || had.type === 'bmp') && JSON.stringify(wanted.get(name)) === JSON.stringify(had)) continue
      loop.close()
      this.loops.delete(name)
      if (JSON.stringify(wanted.get(name)) === JSON.stringify(had)) continue
      for (const heard of [...this.heard]) if (heard === name || heard.startsWith(`${name}/`)) this.heard.delete(heard)
      this.view.forget(had.type, name)
    }
    if (this.ticking !== null) clearInterval(this.ticking)
    this.ticking = null
    if (settings === null) return
    this.tell(this.view.configure({ maxAgeMs: settings.maxAgeMs, kernelDecides: settings.sources.every(({ type }) => type === 'kernel') }), null)
    for (const source of settings.sources) {
      if (this.loops.has(source.name)) continue
      const loop = new Loop((this.o.provider ?? providerOf)(source), settings, this.o.random ?? Math.random, (reading, tookMs) => { this.observe(reading, tookMs) }, (scopes) => { this.kept(source, scopes) })
      this.loops.set(source.name, { settings: source, loop })
      loop.open()
    }
    this.ticking = setInterval(() => { this.tell(this.view.tick(), null) }, TICK_MS)
    this.ticking.unref()
  }

  close (): void { this.configure(null) }

  /** A pass has read these. */
  private kept ({ type, name }: BgpSourceSettings, scopes: readonly string[]): void {
    for (const heard of [...this.heard]) if ((heard === name || heard.startsWith(`${name}/`)) && !scopes.includes(heard)) this.heard.delete(heard)
    this.tell(this.view.keep(type, name, scopes), null)
  }

  private observe (all: BgpReading, tookMs: number | null): void {
    const reading: BgpReading = all.ok && all.neighbours.length > NEIGHBOURS_MAX ? { ...all, ok: false, reason: `too many neighbours: found ${all.neighbours.length}, expected at most ${NEIGHBOURS_MAX}` } : all
    const first = reading.ok && !this.heard.has(reading.scope)
    if (first) this.heard.add(reading.scope)
    this.tell(this.view.observe(reading, tookMs), first ? { object: `source ${reading.scope}` } : null)
    // what a router tells is truth of a daemon that may be read as well
    if (reading.source === 'bmp') for (const { settings: { type }, loop } of this.loops.values()) if (type !== 'bmp' && type !== 'kernel') loop.soon()
  }

  private tell (changes: Parameters<typeof bgpEvents>[0], first: { readonly object: string } | null): void {
    for (const event of bgpEvents(changes, first)) this.o.onEvent(event)
  }
}

class Loop {
  private timer: NodeJS.Timeout | null = null
  private reading = false
  private again = false
  private failures = 0
  private begunAt = -Infinity
  private unfollow: () => void = () => undefined
  private readonly over = new AbortController()

  constructor (
    private readonly provider: Provider, private readonly pace: Pick<BgpSettings, 'intervalMs' | 'timeoutMs'>, private readonly random: () => number,
    private readonly onReading: (reading: BgpReading, tookMs: number | null) => void, private readonly onPass: (scopes: readonly string[]) => void
  ) {}

  open (): void {
    this.unfollow = this.provider.follow?.((reading) => {
      if (reading === null) this.soon()
      else if (!this.over.signal.aborted) this.onReading(reading, null)
    }) ?? this.unfollow
    this.due(0)
  }

  close (): void {
    this.over.abort()
    this.unfollow()
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  /** Something changed. */
  soon (): void {
    if (this.reading) this.again = true
    else this.due(Math.max(0, this.begunAt + GAP_MS - performance.now()))
  }

  private due (inMs: number): void {
    if (this.over.signal.aborted || this.provider.read === null) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => { void this.pass() }, inMs)
    this.timer.unref()
  }

  private async pass (): Promise<void> {
    const { read, source, scope } = this.provider
    if (read === null) return
    this.timer = null
    this.reading = true
    this.again = false
    this.begunAt = performance.now()
    const late = new AbortController()
    const timer = setTimeout(() => { late.abort(new Error(`no answer within ${this.pace.timeoutMs} ms`)) }, this.pace.timeoutMs)
    const signal = AbortSignal.any([late.signal, this.over.signal])
    let whole = true
    const readings = await within(signal, read(signal)).catch((error: unknown): readonly BgpReading[] => {
      whole = false
      return [{ source, scope, at: Date.now(), ok: false, reason: causeOf(error) }]
    })
    clearTimeout(timer)
    if (this.over.signal.aborted) return
    this.failures = readings.some(({ ok }) => ok) || readings.length === 0 ? 0 : this.failures + 1
    const tookMs = performance.now() - this.begunAt
    for (const reading of readings) {
      await nextTurn()
      if (this.over.signal.aborted) return
      this.onReading(reading, tookMs)
    }
    if (whole) this.onPass(readings.map(reading => reading.scope))
    this.reading = false
    const pause = this.failures === 0 ? this.pace.intervalMs : Math.min(this.pace.intervalMs * 2 ** (this.failures - 1), Math.max(BACK_OFF_MS, this.pace.intervalMs))
    this.due(this.again ? GAP_MS : pause * (1 - JITTER + 2 * JITTER * this.random()))
  }
}

/** Whatever the work does with the signal. */
async function within<T> (signal: AbortSignal, work: Promise<T>): Promise<T> {
  return await new Promise((resolve, reject) => {
    const onAbort = (): void => { reject(signal.reason as Error) }
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => { signal.removeEventListener('abort', onAbort) })
  })
}
