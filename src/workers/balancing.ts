/**
 * Load balancing of one node: health threads say what changed, the balancer what follows from it, and the dataplane is asked to build its rings again. Level
 * triggered: a change that comes while rings are built is in the next build, and nothing is queued. Thread: main.
 */
import type { BalancingControl, LoadBalancerEvent } from '../contract/balancing.js'
import type { Drift } from '../contract/dataplane.js'
import type { Desired, Real, Vip } from '../contract/desired.js'
import type { CheckTarget } from '../contract/health.js'
import { Balancer, type Changes } from '../reconcile/lb/balancer.js'
import { balancingEvent } from '../reconcile/lb/events.js'
import { observedOf } from '../reconcile/lb/targets.js'
import { causeOf } from '../lib/cause-of.js'
import { monotonicMs } from '../lib/monotonic.js'
import type { ThreadRow } from '../telemetry/debug/process-tables.js'
import { readHealth, writeHealth } from './health-file.js'
import { startHealthThreads, type HealthThreads, type HealthThreadsOptions } from './health-thread.js'

export interface Balancing {
  /** Share of new flows of each real, were this configuration in force now. */
  readonly weights: (d: Desired) => (vip: Vip, real: Real) => number
  /** It is in force. */
  readonly configured: (d: Desired) => void
  /** This node owns the redundancy group from now on. */
  readonly owns: (rg: number) => void
  /** Ids of reals that leave flows without an answer. */
  readonly observed: (reals: readonly number[]) => void
  readonly control: BalancingControl
  readonly threads: () => readonly ThreadRow[]
  /** Of the health threads. */
  readonly gauges: HealthThreads['gauges']
  readonly close: () => Promise<void>
}

export interface BalancingOptions extends Pick<HealthThreadsOptions, 'netns' | 'netnsPath' | 'work'> {
  readonly stateDirectory: string
  /** The dataplane forwarded before this agent came. */
  readonly inherited: boolean
  /** Builds the rings of the configuration in force again. False: it failed, and is tried again. */
  readonly refresh: (why: string) => Promise<boolean>
  /** Puts right what the dataplane holds. */
  readonly reconcile: () => Promise<Drift>
  /** Reals by id, and how many flows in a row without an answer are to be told of each. */
  readonly observe: (bounds: ReadonlyMap<number, number>) => void
  /** Ends the sessions of reals. */
  readonly flush: (reals: Changes['flush']) => Promise<void>
  /** Every change, by the names that operators know. */
  readonly onEvent: (event: LoadBalancerEvent) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** What nobody knows yet counts as up for so long after a start on a dataplane that went on. */
const WARM_UP_MS = 5000
const SAVE_MS = 1000
const AGAIN_MS = 1000
/** Between two looks at what the dataplane holds. */
const SYNC_INTERVAL_MS = 30_000

export function startBalancing (o: BalancingOptions): Balancing {
  const balancer = new Balancer(monotonicMs, readHealth(o.stateDirectory), o.inherited ? monotonicMs() + WARM_UP_MS : -Infinity)
  const timers = new Set<NodeJS.Timeout>()
  const later = (ms: number, run: () => void): NodeJS.Timeout => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, ms)
    timers.add(timer)
    return timer
  }
  const tell = (name: string, fields: LoadBalancerEvent['fields']): void => { o.onEvent(balancingEvent(name, fields)) }
  let watched: ReadonlyMap<number, CheckTarget> = new Map()
  let closed = false
  let stale = false
  let building = false
  let saving: NodeJS.Timeout | null = null
  /** One after the other. */
  let saved: Promise<void> = Promise.resolve()
  let growing: NodeJS.Timeout | null = null

  const save = (): void => {
    saving = null
    saved = saved.then(async () => { await writeHealth(o.stateDirectory, balancer.known) }).catch((error: unknown) => { o.onProblem('states of health checks are not saved', error) })
  }
  const build = async (): Promise<void> => {
    if (building) return
    building = true
    while (stale && !closed) {
      stale = false
      if (!await o.refresh('a change of health')) {
        stale = true
        o.work?.wait('rings', '', AGAIN_MS, 'building them failed')
        await new Promise<void>((resolve) => { later(AGAIN_MS, resolve) })
      } else o.work?.settled('rings', '')
    }
    building = false
  }
  const end = (flush: Changes['flush']): void => { if (flush.length > 0) o.flush(flush).catch((error: unknown) => { o.onProblem(`sessions of ${flush.map(({ vip, real }) => `${vip}/${real}`).join(', ').slice(0, 200)} were not ended`, error) }) }
  const follow = ({ edits, weights, states, flush }: Changes): void => {
    for (const { kind, ...fields } of edits) tell(`lb-sync-${kind}`, fields)
    for (const { vip, real, from, to, state } of weights) tell('lb-sync-real-weight-updated', { vip, real, from, to, state })
    for (const { vip, from, to, pool } of states) tell('vip-state', { vip, from, to, pool })
    if (weights.length > 0) {
      stale = true
      void build()
    }
    end(flush)
    grow()
  }
  /** Shares in slow start. */
  function grow (): void {
    if (growing !== null) {
      clearTimeout(growing)
      timers.delete(growing)
      growing = null
    }
    const at = balancer.nextMs()
    if (at !== null && !closed) growing = later(Math.max(1, at - monotonicMs()), () => { follow(balancer.tick()) })
  }

  const reconcile = async (): Promise<Drift> => {
    tell('lb-sync-start', {})
    try {
      const drift = await o.reconcile()
      for (const { vip, entries } of drift.rings) tell('lb-sync-vip-repaired', { vip, entries })
      if (drift.configBytes > 0) tell('lb-sync-config-repaired', { bytes: drift.configBytes })
      tell('lb-sync-done', { vips: drift.vips, repaired: drift.rings.length, configBytes: drift.configBytes, tookMs: Math.round(drift.tookMs * 10) / 10 })
      return drift
    } catch (error) {
      tell('lb-sync-error', { reason: causeOf(error) })
      throw error
    }
  }
  const syncAgain = (): void => { later(SYNC_INTERVAL_MS, () => { void reconcile().catch(() => undefined).finally(() => { if (!closed) syncAgain() }) }) }
  syncAgain()

  const threads = startHealthThreads({
    netns: o.netns, netnsPath: o.netnsPath, ...o.work === undefined ? {} : { work: o.work },
    onTransitions: (transitions) => {
      for (const { id, transition: { from, to, code, detail } } of transitions) tell('real-transition', { target: id, from, to, code, detail })
      follow(balancer.heard(transitions))
      saving ??= later(SAVE_MS, save)
    },
    onShares: (shares) => {
      for (const { id, sharePct } of shares) tell('real-share', { target: id, sharePct })
      follow(balancer.shared(shares))
      saving ??= later(SAVE_MS, save)
    },
    onProblem: (error) => { o.onProblem('a health thread failed; it is started again', error) }
  })

  return {
    weights: (d) => {
      const weights = new Map([...balancer.preview(d)].map(([vip, { reals }]) => [vip, new Map(reals.map(real => [real.name, real.weight]))]))
      return (vip, real) => weights.get(vip.name)?.get(real.name) ?? 0
    },
    configured: (d) => {
      const changes = balancer.configure(d)
      threads.replace(balancer.targets, balancer.known)
      watched = observedOf(balancer.placed, d.ids)
      o.observe(new Map([...watched].map(([id, { check }]) => [id, check.passive])))
      follow(changes)
    },
    observed: (reals) => {
      for (const target of reals.flatMap(id => watched.get(id) ?? [])) threads.observed(target.id, `${target.check.passive} flows in a row were refused or not answered`)
    },
    gauges: threads.gauges,
    owns: (rg) => { end(balancer.owns(rg)) },
    control: {
      vips: async () => await Promise.resolve(balancer.status()),
      targets: async () => await threads.report(),
      reconcile,
      operate: async (id, input) => await Promise.resolve(threads.operate(id, input))
    },
    threads: threads.status,
    close: async () => {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      if (saving !== null) save()
      await Promise.all([saved, threads.close()])
    }
  }
}
