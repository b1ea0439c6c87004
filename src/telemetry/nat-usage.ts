/**
 * Occupancy of NAT pools. A reading walks the whole session table (on a thread of the addon), so there is one walk at a time,
 * whoever asks meanwhile shares it, and a reading that is young enough is given again.
 */
import type { NatUsage } from '../contract/dataplane.js'
import type { ServedDataPlane } from '../contract/services.js'

export interface NatReading {
  readonly rows: readonly NatUsage[]
  readonly ageMs: number
}

export class NatUsageReader {
  readonly #dataplane: () => ServedDataPlane
  #walk: Promise<void> | null = null
  #walkOf: ServedDataPlane | null = null
  #last: { readonly rows: readonly NatUsage[], readonly at: number, readonly of: ServedDataPlane } | null = null
  /** When the last walk began, failed ones too. */
  #begunAt = -Infinity

  constructor (dataplane: () => ServedDataPlane) { this.#dataplane = dataplane }

  /** A reading of at most this age, as far as it depends on us. Rejects with what the walk threw. */
  async read (maxAgeMs: number): Promise<NatReading> {
    if (!this.#isFresh(maxAgeMs)) await this.#start()
    return this.latest() ?? { rows: [], ageMs: 0 }
  }

  /** For scrapes: starts a walk when the last began longer ago, waits `patienceMs` for it, and gives the newest reading there is. A walk
   * that failed leaves none. */
  async poll (maxAgeMs: number, patienceMs: number): Promise<NatReading | null> {
    if (performance.now() - this.#begunAt >= maxAgeMs || this.#walkOf !== this.#dataplane()) this.#start().catch(() => {})
    if (this.#walk !== null) {
      let timer: NodeJS.Timeout | undefined
      await Promise.race([this.#walk.catch(() => {}), new Promise<void>((resolve) => { timer = setTimeout(resolve, patienceMs) })])
      clearTimeout(timer)
    }
    return this.latest()
  }

  /** Of the dataplane that runs now; `null` when there is none. */
  latest (): NatReading | null {
    const last = this.#last
    return last === null || last.of !== this.#dataplane() ? null : { rows: last.rows, ageMs: performance.now() - last.at }
  }

  #isFresh (maxAgeMs: number): boolean {
    const last = this.latest()
    return last !== null && last.ageMs <= maxAgeMs
  }

  async #start (): Promise<void> {
    const of = this.#dataplane()
    if (this.#walk === null || this.#walkOf !== of) {
      this.#walkOf = of
      this.#walk = this.#take(of)
    }
    await this.#walk
  }

  async #take (of: ServedDataPlane): Promise<void> {
    const at = performance.now()
    this.#begunAt = at
    try {
      const rows = await of.telemetry.natUsage()
      this.#last = { rows, at, of }
    } catch (error) {
      this.#last = null
      throw error
    } finally {
      if (this.#walkOf === of) this.#walk = null
    }
  }
}
