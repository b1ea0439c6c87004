/**
 * The connection to one VPP as a unit: API socket and stats segment come up together and go down together. Whoever uses it is told of each life of VPP once,
 * after it answers and before anything else is sent, and has to push everything anew then. Between lives it is tried again after a time that doubles, with
 * jitter. Liveness is a control ping: a socket of VPP is silent however long VPP hangs.
 */
import { LockstepError } from '../../contract/errors.js'
import { causeOf } from '../../lib/cause-of.js'
import { backOff, type Waits } from '../../lib/back-off.js'
import type { VppClient } from './client.js'

export interface StatsSegment { readonly close: () => void }

export interface VppIdentity {
  readonly version: string
  readonly buildDate: string
  readonly pid: number
  /** Messages that it understands. */
  readonly messages: number
}

/** One life of VPP, as long as it lasts. */
export interface VppLife<S extends StatsSegment> {
  readonly client: VppClient
  /** `null`: configured without. */
  readonly stats: S | null
  readonly identity: VppIdentity
}

export type VppState = { readonly state: 'up', readonly identity: VppIdentity, readonly sinceMs: number } | { readonly state: 'down', readonly reason: string, readonly tries: number, readonly sinceMs: number }

export interface VppConnectionOptions<S extends StatsSegment> {
  /** The client is closed with the signal, also while it connects. */
  readonly connect: (signal: AbortSignal) => Promise<VppClient>
  /** Of the VPP that was just connected; `null`: there is none. @throws why it cannot be had */
  readonly attach: () => S | null
  /** VPP answers. What it throws ends this life. */
  readonly onUp: (life: VppLife<S>) => Promise<void>
  /** After each onUp that was called; statistics are still there. */
  readonly onDown: (reason: string) => void
  readonly nowMs: () => number
  /** In [0, 1). */
  readonly random: () => number
  readonly livenessMs?: number
  /** It is tried again in so long, because of this; `null`: it is up, or nobody tries any more. */
  readonly onWait?: (wait: { readonly ms: number, readonly reason: string } | null) => void
}

const WAITS: Waits = { leastMs: 100, mostMs: 5000 }
/** A life that lasted so long was a good one: the next try comes soon. */
const GOOD_MS = 10_000
const LIVENESS_MS = 1000

/** Time before try `n` (0-based) in ms: min(100 * 2^n, 5000), of which the last half is random. */
export const retryMs = (n: number, random: number): number => backOff(WAITS, n, random)

export class VppConnection<S extends StatsSegment> {
  private current: VppState
  private life: VppLife<S> | null = null
  private timer: NodeJS.Timeout | null = null
  private pinger: NodeJS.Timeout | null = null
  private trying: Promise<void> | null = null
  private readonly ending = new AbortController()
  private tries = 0

  private get closed (): boolean { return this.ending.signal.aborted }

  constructor (private readonly o: VppConnectionOptions<S>) { this.current = { state: 'down', reason: 'not connected yet', tries: 0, sinceMs: o.nowMs() } }

  get state (): VppState { return this.current }
  /** @throws unavailable LS_V_DOWN */
  get up (): VppLife<S> {
    if (this.life !== null) return this.life
    throw new LockstepError('unavailable', 'LS_V_DOWN', 'VPP is not connected', { found: this.current.state === 'down' ? this.current.reason : '', next: 'it is tried again by itself' })
  }

  /** Resolves after the first try, however it ended. */
  async start (): Promise<void> { await this.attempt() }

  async close (): Promise<void> {
    this.ending.abort()
    if (this.timer !== null) clearTimeout(this.timer)
    this.down('closed')
    this.o.onWait?.(null)
    await this.trying
  }

  private async attempt (): Promise<void> {
    this.trying ??= this.live().finally(() => { this.trying = null })
    await this.trying
  }

  private async live (): Promise<void> {
    let client: VppClient | null = null
    let stats: S | null = null
    try {
      client = await this.o.connect(this.ending.signal)
      const { version, build_date: buildDate } = await client.call('show_version_51077d14', {})
      const { vpe_pid: pid } = await client.call('control_ping_51077d14', {})
      stats = this.o.attach()
      if (this.closed) throw new Error('closed')
      const identity = { version, buildDate, pid, messages: client.keys.size }
      const life = { client, stats, identity }
      this.life = life
      void client.ended.then((reason) => { if (this.life === life) this.down(reason) })
      await this.o.onUp(life)
      if (this.life !== life) return
      this.current = { state: 'up', identity, sinceMs: this.o.nowMs() }
      this.o.onWait?.(null)
      this.pinger = setInterval(() => { client?.call('control_ping_51077d14', {}).catch((error: unknown) => { if (this.life === life) this.down(causeOf(error)) }) }, this.o.livenessMs ?? LIVENESS_MS)
    } catch (error) {
      if (this.life === null || this.life.client !== client) {
        client?.close()
        stats?.close()
        if (this.timer === null) this.later(causeOf(error))
      } else this.down(causeOf(error))
    }
  }

  private down (reason: string): void {
    const { life } = this
    if (this.pinger !== null) clearInterval(this.pinger)
    this.pinger = null
    this.life = null
    if (life === null) return
    if (this.current.state === 'up' && this.o.nowMs() - this.current.sinceMs >= GOOD_MS) this.tries = 0
    this.later(reason)
    this.o.onDown(reason) // what was counted last can still be read
    life.client.close()
    life.stats?.close()
  }

  private later (reason: string): void {
    const since = this.current.state === 'down' && this.current.tries > 0 ? this.current.sinceMs : this.o.nowMs()
    const wait = retryMs(this.tries++, this.o.random())
    this.current = { state: 'down', reason, tries: this.tries, sinceMs: since }
    if (this.closed) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.o.onWait?.({ ms: wait, reason })
    this.timer = setTimeout(() => {
      this.timer = null
      void this.attempt()
    }, wait)
  }
}

