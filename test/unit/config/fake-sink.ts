/** A dataplane that remembers what was applied, and fails when told. */
import type { ApplyResult, ConfigSink } from '../../../src/contract/dataplane.js'
import type { Desired } from '../../../src/contract/desired.js'
import type { AuthorityClock } from '../../../src/config/authority-parts.js'

export class FakeSink implements ConfigSink {
  readonly applied: Array<{ readonly generation: number, readonly desired: Desired }> = []
  fail: Error | null = null
  /** Runs inside apply, before it succeeds. */
  during: (() => Promise<void>) | null = null
  busy = 0

  async apply (desired: Desired, generation: number, signal: AbortSignal): Promise<ApplyResult> {
    if (++this.busy > 1) throw new Error('two applies at once')
    try {
      signal.throwIfAborted()
      await this.during?.()
      if (this.fail !== null) throw this.fail
      this.applied.push({ generation, desired })
      return result(generation)
    } finally {
      this.busy--
    }
  }

  lastApplyResult (): ApplyResult | null {
    const last = this.applied.at(-1)
    return last === undefined ? null : result(last.generation)
  }

  /** Zones of what is in force. */
  get zones (): string { return this.applied.at(-1)?.desired.zones.map(z => z.name).join(',') ?? '' }
}

const result = (generation: number): ApplyResult => ({
  generation, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {}, policyScheduleRuleSlots: {}, vips: {},
  capabilities: { supported: [], unsupportedReasons: {} }, warnings: [], durations: { compileMs: 0, portsMs: 0, flipMs: 0, totalMs: 0 },
})

export class FakeClock implements AuthorityClock {
  private timers: Array<{ at: number, run: () => void }> = []
  private time = 1_800_000_000_000
  /** Resolves when what a timer started has ended. */
  idle: () => Promise<void> = settle
  now = (): number => this.time
  after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.time + ms, run }
    this.timers.push(timer)
    return () => { this.timers = this.timers.filter(t => t !== timer) }
  }

  /** Moves on and lets what is due finish. */
  async advance (ms: number): Promise<void> {
    const end = this.time + ms
    for (;;) {
      const due = this.timers.filter(t => t.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.timers = this.timers.filter(t => t !== due)
      this.time = Math.max(this.time, due.at)
      due.run()
      await this.idle()
    }
    this.time = end
    await this.idle()
  }

  get pending (): number { return this.timers.length }
}

/** File operations are real, so this waits in real time. */
export async function settle (): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(resolve => setTimeout(resolve, 10))
}
