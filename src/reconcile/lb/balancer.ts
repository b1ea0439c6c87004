/**
 * What each VIP's ring is made of: keeps what is known of the reals (configuration, health, slow start) and says which weights changed. It touches neither
 * probes nor dataplane; whoever holds it does, with what it says.
 */
import type { RealState, VipState, VipStatus } from '../../contract/balancing.js'
import type { Desired, Real, Vip } from '../../contract/desired.js'
import type { CheckTarget, HealthState, HealthTransition } from '../../contract/health.js'
import { targetOf } from './targets.js'
import { weigh, type RealWeight, type VipWeights } from './weights.js'

export interface WeightChange { readonly vip: string, readonly real: string, readonly from: number, readonly to: number, readonly state: RealState }
export interface StateChange { readonly vip: string, readonly from: VipState, readonly to: VipState, readonly pool: string | null }

/** What came of something that happened; all empty: nothing. */
export interface Changes {
  readonly weights: readonly WeightChange[]
  readonly states: readonly StateChange[]
  /** Reals whose sessions end now. */
  readonly flush: ReadonlyArray<{ readonly vip: string, readonly real: string }>
}

/** In slow start the share grows in so many steps. */
const STEPS = 10

type Checks = Pick<Desired, 'healthChecks' | 'vips'>

export class Balancer {
  private desired: Checks = { healthChecks: [], vips: [] }
  private readonly health: Map<string, HealthState>
  /** When a target that was down came up, monotonic. */
  private readonly upSinceMs = new Map<string, number>()
  private now: ReadonlyMap<string, VipWeights> = new Map()

  /** `known`: of an earlier life. `warmUntilMs`: until then what nobody knows yet counts as up: a dataplane that went on forwarding while its agent was away is left in peace. */
  constructor (private readonly nowMs: () => number, known: ReadonlyMap<string, HealthState> = new Map(), private readonly warmUntilMs = -Infinity) {
    this.health = new Map(known)
  }

  /** Weights, were this configuration in force now. */
  preview (d: Checks): ReadonlyMap<string, VipWeights> { return new Map(d.vips.map(vip => [vip.name, this.weighOne(d, vip)])) }

  /** It is in force. Targets that nobody has any more are forgotten. */
  configure (d: Checks): Changes {
    this.desired = d
    const targets = new Set(targetsOf(d).map(({ id }) => id))
    for (const id of this.health.keys()) if (!targets.has(id)) this.health.delete(id)
    for (const id of this.upSinceMs.keys()) if (!targets.has(id)) this.upSinceMs.delete(id)
    return this.weighAll()
  }

  heard (list: ReadonlyArray<{ readonly id: string, readonly transition: Pick<HealthTransition, 'from' | 'to'> }>): Changes {
    for (const { id, transition: { from, to } } of list) {
      this.health.set(id, to)
      if (from === 'down' && to === 'up') this.upSinceMs.set(id, this.nowMs())
      else this.upSinceMs.delete(id)
    }
    return this.weighAll()
  }

  /** Time has passed: shares of reals in slow start grow, and the time to warm up ends. */
  tick (): Changes { return this.weighAll() }

  /** When the next tick is due; `null`: none is. */
  nextMs (): number | null {
    const nowMs = this.nowMs()
    const due = this.warmUntilMs > nowMs ? [this.warmUntilMs] : []
    for (const vip of this.desired.vips) {
      const step = vip.slowStartMs / STEPS
      for (const real of step === 0 ? [] : vip.pools.flatMap(pool => pool.reals)) {
        const passed = nowMs - (this.since(vip, real) ?? -Infinity)
        if (passed < vip.slowStartMs) due.push(nowMs - passed + (Math.floor(passed / step) + 1) * step)
      }
    }
    return due.length === 0 ? null : Math.min(...due)
  }

  status (): VipStatus[] {
    return this.desired.vips.flatMap((vip) => {
      const weights = this.now.get(vip.name)
      if (weights === undefined) return []
      const { name, address, port, protocol, mode, redundancyGroup } = vip
      const real = new Map(vip.pools.flatMap(pool => pool.reals).map(r => [r.name, r]))
      return [{
        name, address, port, protocol, mode, redundancyGroup, state: weights.state, pool: weights.pool,
        reals: weights.reals.map(({ name, pool, weight, state }) => {
          const configured = real.get(name)
          const target = configured === undefined ? null : targetOf(this.desired, vip, configured)
          return { name, pool, weight, state, address: configured?.address ?? '', port: configured?.port ?? 0, configuredWeight: configured?.weight ?? 0, target: target === null ? null : target.id }
        })
      }]
    })
  }

  private since (vip: Vip, real: Real): number | undefined {
    const target = targetOf(this.desired, vip, real)
    return target === null ? undefined : this.upSinceMs.get(target.id)
  }

  private sharePct (vip: Vip, real: Real): number {
    const since = vip.slowStartMs === 0 ? undefined : this.since(vip, real)
    const passed = since === undefined ? Infinity : this.nowMs() - since
    return passed >= vip.slowStartMs ? 100 : Math.max(1, Math.floor(passed / vip.slowStartMs * STEPS)) * (100 / STEPS)
  }

  private healthOf (d: Checks, vip: Vip, real: Real): HealthState | null {
    const target = targetOf(d, vip, real)
    if (target === null) return null
    const known = this.health.get(target.id) ?? 'unknown'
    return known === 'unknown' && this.nowMs() < this.warmUntilMs ? 'up' : known
  }

  private weighOne (d: Checks, vip: Vip): VipWeights {
    return weigh({
      quorum: vip.quorum, panicPct: vip.panicPct, flushOnDown: vip.flushOnDown,
      pools: vip.pools.map(pool => ({
        name: pool.name, reals: pool.reals.map(real => ({ name: real.name, weight: real.weight, health: this.healthOf(d, vip, real), drained: false, sharePct: this.sharePct(vip, real) }))
      }))
    })
  }

  private weighAll (): Changes {
    const before = this.now
    this.now = this.preview(this.desired)
    const out = { weights: [] as WeightChange[], states: [] as StateChange[], flush: [] as Array<{ vip: string, real: string }> }
    for (const [vip, { state, pool, reals }] of this.now) {
      const was = before.get(vip)
      if (was === undefined) continue
      if (was.state !== state || was.pool !== pool) out.states.push({ vip, from: was.state, to: state, pool })
      const old = new Map<string, RealWeight>(was.reals.map(r => [r.name, r]))
      for (const real of reals) {
        const known = old.get(real.name)
        if (known === undefined) continue
        if (known.weight !== real.weight) out.weights.push({ vip, real: real.name, from: known.weight, to: real.weight, state: real.state })
        if (real.flush && !known.flush) out.flush.push({ vip, real: real.name })
      }
    }
    return out
  }
}

/** Everybody who is probed, each once. */
export function targetsOf (d: Checks): CheckTarget[] {
  const targets = new Map<string, CheckTarget>()
  for (const vip of d.vips) {
    for (const real of vip.pools.flatMap(pool => pool.reals)) {
      const target = targetOf(d, vip, real)
      if (target !== null) targets.set(target.id, target)
    }
  }
  return [...targets.values()]
}
