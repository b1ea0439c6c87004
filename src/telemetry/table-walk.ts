/**
 * What takes a walk of the whole session table to know: occupancy of NAT pools, and what the sessions are. The walk is on a thread of the addon; there is one at a
 * time, whoever asks meanwhile shares it, and a reading that is young enough is given again.
 */
import type { NatUsage, SessionTally } from '../contract/dataplane.js'
import type { ServedDataPlane } from '../contract/services.js'

export interface WalkReading<T> {
  readonly value: T
  readonly ageMs: number
}

export class TableWalk<T> {
  readonly #dataplane: () => ServedDataPlane
  readonly #walker: (dataplane: ServedDataPlane) => Promise<T>
  #walk: Promise<void> | null = null
  #walkOf: ServedDataPlane | null = null
  #last: { readonly value: T, readonly at: number, readonly of: ServedDataPlane } | null = null
  /** When the last walk began, failed ones too. */
  #begunAt = -Infinity

  constructor (dataplane: () => ServedDataPlane, walker: (dataplane: ServedDataPlane) => Promise<T>) {
    this.#dataplane = dataplane
    this.#walker = walker
  }

  /** A reading of at most this age, as far as it depends on us; `null`: the dataplane changed meanwhile. Rejects with what the walk threw. */
  async read (maxAgeMs: number): Promise<WalkReading<T> | null> {
    if (!this.#isFresh(maxAgeMs)) await this.#start()
    return this.latest()
  }

  /** For scrapes: starts a walk when the last began longer ago, waits `patienceMs` for it, and gives the newest reading there is. A walk
   * that failed leaves none. */
  async poll (maxAgeMs: number, patienceMs: number): Promise<WalkReading<T> | null> {
    if (performance.now() - this.#begunAt >= maxAgeMs || this.#walkOf !== this.#dataplane()) this.#start().catch(() => {})
    if (this.#walk !== null) {
      let timer: NodeJS.Timeout | undefined
      await Promise.race([this.#walk.catch(() => {}), new Promise<void>((resolve) => { timer = setTimeout(resolve, patienceMs) })])
      clearTimeout(timer)
    }
    return this.latest()
  }

  /** Of the dataplane that runs now; `null` when there is none. */
  latest (): WalkReading<T> | null {
    const last = this.#last
    return last === null || last.of !== this.#dataplane() ? null : { value: last.value, ageMs: performance.now() - last.at }
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
      const value = await this.#walker(of)
      this.#last = { value, at, of }
    } catch (error) {
      this.#last = null
      throw error
    } finally {
      if (this.#walkOf === of) this.#walk = null
    }
  }
}

export const natWalk = (dataplane: () => ServedDataPlane): TableWalk<readonly NatUsage[]> => new TableWalk(dataplane, async ({ telemetry }) => await telemetry.natUsage())
export const sessionWalk = (dataplane: () => ServedDataPlane): TableWalk<SessionTally> => new TableWalk(dataplane, async ({ telemetry }) => await telemetry.sessionTally())
