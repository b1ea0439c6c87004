/**
 * What each VIP's ring is made of: keeps what is known of the reals (configuration, health, slow start) and says which weights changed. It touches neither
 * probes nor dataplane; whoever holds it does, with what it says.
 */
import type { RealState, VipState, VipStatus } from '../../contract/balancing.js'
import { nothingKnown, type CheckTarget, type HealthState, type HealthTransition, type KnownHealth } from '../../contract/health.js'
import { editsBetween, type Edit } from './edits.js'
import { placed, targetsOf, type Checks, type PlacedReal, type PlacedVip } from './targets.js'
import { weigh, type VipWeights } from './weights.js'

export interface WeightChange { readonly vip: string, readonly real: string, readonly from: number, readonly to: number, readonly state: RealState }
export interface StateChange { readonly vip: string, readonly from: VipState, readonly to: VipState, readonly pool: string | null }

/** What came of something that happened; all empty: nothing. */
export interface Changes {
  /** What the configuration changed. */
  readonly edits: readonly Edit[]
  readonly weights: readonly WeightChange[]
  readonly states: readonly StateChange[]
  /** Reals whose sessions end now. */
  readonly flush: ReadonlyArray<{ readonly vip: string, readonly real: string }>
}

/** In slow start the share grows in so many steps. */
const STEPS = 10

type Weights = ReadonlyMap<string, VipWeights>

export class Balancer {
  private desired: Checks = { healthChecks: [], vips: [], adjustments: [] }
  private vips: readonly PlacedVip[] = []
  /** By id of the target: whose reals it stands for. */
  private users: ReadonlyMap<string, readonly PlacedVip[]> = new Map()
  private readonly health: Map<string, HealthState>
  /** What agents said last. */
  private readonly shares: Map<string, number>
  /** When a target that was down came up, monotonic. */
  private readonly upSinceMs = new Map<string, number>()
  private now: Weights = new Map()

  /** `known`: of an earlier life. `warmUntilMs`: until then what nobody knows yet counts as up: a dataplane that went on forwarding while its agent was away is left in peace. */
  constructor (private readonly nowMs: () => number, known: KnownHealth = nothingKnown, private readonly warmUntilMs = -Infinity) {
    this.health = new Map(known.states)
    this.shares = new Map(known.shares)
  }

  /** As it is from now on too. */
  get known (): KnownHealth { return { states: this.health, shares: this.shares } }
  /** Of the configuration in force. */
  get placed (): readonly PlacedVip[] { return this.vips }
  get targets (): readonly CheckTarget[] { return targetsOf(this.vips) }

  /** Weights, were this configuration in force now. */
  preview (d: Checks): Weights { return d === this.desired ? this.now : this.weighed(placed(d)) }

  /** It is in force. Targets that nobody has any more are forgotten. */
  configure (d: Checks): Changes {
    const before = this.vips
    this.desired = d
    this.vips = placed(d)
    this.users = usersOf(this.vips)
    const targets = new Set(this.targets.map(({ id }) => id))
    for (const map of [this.health, this.shares, this.upSinceMs]) for (const id of map.keys()) if (!targets.has(id)) map.delete(id)
    return { ...this.replace(this.weighed(this.vips)), edits: editsBetween(before, this.vips) }
  }

  heard (list: ReadonlyArray<{ readonly id: string, readonly transition: Pick<HealthTransition, 'from' | 'to'> }>): Changes {
    for (const { id, transition: { from, to } } of list) {
      this.health.set(id, to)
      if (from === 'down' && to === 'up') this.upSinceMs.set(id, this.nowMs())
      else this.upSinceMs.delete(id)
    }
    return this.weighUsers(list)
  }

  /** Agents say how much their servers can take. */
  shared (list: ReadonlyArray<{ readonly id: string, readonly sharePct: number }>): Changes {
    for (const { id, sharePct } of list) {
      if (sharePct === 100) this.shares.delete(id)
      else this.shares.set(id, sharePct)
    }
    return this.weighUsers(list)
  }

  /** Time has passed: shares of reals in slow start grow, and the time to warm up ends. */
  tick (): Changes { return this.weighAgain(this.vips) }

  /** This node owns the group from now on: its reals whose sessions were to end while somebody else did. */
  owns (rg: number): Changes['flush'] {
    return this.vips.filter(({ vip }) => vip.redundancyGroup === rg).flatMap(({ vip: { name: vip } }) => (this.now.get(vip)?.reals ?? []).filter(({ flush }) => flush).map(({ name: real }) => ({ vip, real })))
  }

  /** When the next tick is due; `null`: none is. */
  nextMs (): number | null {
    const nowMs = this.nowMs()
    let next = this.warmUntilMs > nowMs ? this.warmUntilMs : Infinity
    for (const { vip, pools } of this.upSinceMs.size === 0 ? [] : this.vips) {
      const step = vip.slowStartMs / STEPS
      for (const real of step === 0 ? [] : pools.flatMap(({ reals }) => reals)) {
        const passed = nowMs - this.since(real)
        if (passed < vip.slowStartMs) next = Math.min(next, nowMs - passed + (Math.floor(passed / step) + 1) * step)
      }
    }
    return next === Infinity ? null : next
  }

  status (): VipStatus[] {
    return this.vips.flatMap(({ vip: { name, address, port, protocol, mode, redundancyGroup }, pools }) => {
      const weights = this.now.get(name)
      if (weights === undefined) return []
      const { state, pool } = weights
      const placedReals = new Map(pools.flatMap(({ reals }) => reals).map(place => [place.real.name, place]))
      const reals = weights.reals.flatMap(({ name, pool, weight, state }) => {
        const place = placedReals.get(name)
        return place === undefined ? [] : [{ name, pool, weight, state, address: place.real.address, port: place.real.port, configuredWeight: place.real.weight, target: place.target?.id ?? null }]
      })
      return [{ name, address, port, protocol, mode, redundancyGroup, state, pool, reals }]
    })
  }

  /** -Infinity: it did not come up from down. */
  private since ({ target }: PlacedReal): number { return (target === null ? undefined : this.upSinceMs.get(target.id)) ?? -Infinity }

  private agentPct ({ target }: PlacedReal): number { return target?.check.agent == null ? 100 : this.shares.get(target.id) ?? 100 }

  /** In slow start, and as its agent says. */
  private sharePct (slowStartMs: number, real: PlacedReal): number {
    const passed = this.nowMs() - this.since(real)
    const grown = passed >= slowStartMs ? 1 : Math.max(1, Math.floor(passed / slowStartMs * STEPS)) / STEPS
    return grown * this.agentPct(real)
  }

  private healthOf ({ target }: PlacedReal): HealthState | null {
    if (target === null) return null
    const known = this.health.get(target.id) ?? 'unknown'
    return known === 'unknown' && this.nowMs() < this.warmUntilMs ? 'up' : known
  }

  private weighed (vips: Iterable<PlacedVip>): Weights {
    return new Map([...vips].map(({ vip: { name, quorum, panicPct, flushOnDown, slowStartMs }, pools }) => [name, weigh({
      quorum, panicPct, flushOnDown,
      pools: pools.map(pool => ({
        name: pool.name,
        reals: pool.reals.map(place => ({ name: place.real.name, weight: place.weight, health: this.healthOf(place), drained: place.drained || this.agentPct(place) === 0, sharePct: this.sharePct(slowStartMs, place) }))
      }))
    })]))
  }

  private weighUsers (targets: ReadonlyArray<{ readonly id: string }>): Changes { return this.weighAgain(new Set(targets.flatMap(({ id }) => this.users.get(id) ?? []))) }

  private weighAgain (vips: Iterable<PlacedVip>): Changes { return this.replace(new Map([...this.now, ...this.weighed(vips)])) }

  private replace (now: Weights): Changes {
    const before = this.now
    this.now = now
    return changesOf(before, now)
  }
}

function usersOf (vips: readonly PlacedVip[]): Map<string, PlacedVip[]> {
  const users = new Map<string, PlacedVip[]>()
  for (const placed of vips) {
    for (const { id } of targetsOf([placed])) {
      const those = users.get(id)
      if (those === undefined) users.set(id, [placed])
      else those.push(placed)
    }
  }
  return users
}

/** Of what both have. */
function changesOf (before: Weights, now: Weights): Changes {
  const out = { edits: [], weights: [] as WeightChange[], states: [] as StateChange[], flush: [] as Array<{ vip: string, real: string }> }
  for (const [vip, { state, pool, reals }] of now) {
    const was = before.get(vip)
    if (was === undefined || was === now.get(vip)) continue
    if (was.state !== state || was.pool !== pool) out.states.push({ vip, from: was.state, to: state, pool })
    const old = new Map(was.reals.map(real => [real.name, real]))
    for (const { name: real, weight, flush, state } of reals) {
      const known = old.get(real)
      if (known === undefined) continue
      if (known.weight !== weight) out.weights.push({ vip, real, from: known.weight, to: weight, state })
      if (flush && !known.flush) out.flush.push({ vip, real })
    }
  }
  return out
}
