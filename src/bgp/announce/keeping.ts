/** Keeps one place as it should be: at once when that changes, again and again while it fails, and now and then because others may have changed it. */
import type { BgpRouteSink } from '../../contract/bgp-announce.js'
import { causeOf } from '../../lib/cause-of.js'
import { backOff, type Waits } from '../../lib/back-off.js'
import type { Place } from './place.js'

const WAITS: Waits = { leastMs: 250, mostMs: 15_000 }
/** Between two looks while nothing changes, and of one. */
const LOOK_MS = 5000
const DEADLINE_MS = 3000

export interface KeepingTold {
  /** It fails from here on, or is as it should be again. */
  readonly onState: (failed: string | null) => void
  /** Somebody else had changed it. */
  readonly onRepaired: (added: number, removed: number) => void
}

export class Keeping {
  private wanted: readonly string[] | null = null
  private fresh = false
  private timer: NodeJS.Timeout | null = null
  private pass: Promise<void> | null = null
  private readonly over = new AbortController()
  private state: BgpRouteSink

  /** @param known prefixes that may be there from before */
  constructor (private readonly place: Place, private known: ReadonlySet<string>, private readonly told: KeepingTold, private readonly random: () => number = Math.random, private readonly lookMs: number = LOOK_MS) {
    this.state = { name: place.name, kind: place.kind, goodAt: null, failed: null, failures: 0, added: 0, removed: 0 }
  }

  get status (): BgpRouteSink { return this.state }

  want (wanted: readonly string[]): void {
    if (this.over.signal.aborted) return
    this.wanted = wanted
    this.known = new Set([...this.known, ...wanted])
    this.fresh = true
    if (this.pass === null) this.later(0)
  }

  /** `withdraw`: what is there is taken away, if that can be done in time. */
  async close (withdraw: boolean): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.over.abort()
    await this.pass
    if (withdraw) await this.place.put([], [...this.known], AbortSignal.timeout(DEADLINE_MS))
  }

  private later (ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => { this.pass = this.look().finally(() => { this.pass = null }) }, ms)
    this.timer.unref()
  }

  private async look (): Promise<void> {
    const { wanted, fresh } = this
    if (wanted === null) return
    this.fresh = false
    let pause = this.lookMs
    try {
      const { added, removed } = await this.place.put(wanted, [...this.known], AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), this.over.signal]))
      const { failed, goodAt } = this.state
      this.state = { ...this.state, goodAt: Date.now(), failed: null, failures: 0, added: this.state.added + added, removed: this.state.removed + removed }
      if (failed !== null) this.told.onState(null)
      else if (!fresh && goodAt !== null && added + removed > 0) this.told.onRepaired(added, removed)
    } catch (error) {
      if (this.over.signal.aborted) return
      const [was, reason] = [this.state.failed, causeOf(error)]
      pause = backOff(WAITS, this.state.failures, this.random())
      this.state = { ...this.state, failed: reason, failures: this.state.failures + 1 }
      if (was !== reason) this.told.onState(reason)
    }
    if (!this.over.signal.aborted) this.later(this.fresh ? 0 : pause)
  }
}
