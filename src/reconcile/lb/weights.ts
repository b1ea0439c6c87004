/**
 * Which reals of a VIP take new flows, and how many of them: configuration x health x what operators said. The first pool with enough usable weight serves;
 * when none has enough, the one with the most does. Pure.
 *
 * Panic: when so few reals of the serving pool are up that they would be run over by everybody's flows, all of the pool get them again, those that are down
 * too. It is off unless configured, and a state of its own that is told, never silent.
 */
import type { RealState, VipState } from '../../contract/balancing.js'
import type { HealthState } from '../../contract/health.js'

export interface RealInput {
  readonly name: string
  /** 0-100, of the configuration or of an operator. */
  readonly weight: number
  /** `null`: nobody checks it, and it counts as up. */
  readonly health: HealthState | null
  /** Takes no new flows; those that it has go on. */
  readonly drained: boolean
  /** Per cent of the weight that it asks for, and that slow start allows: 0-100. */
  readonly sharePct: number
}

export interface VipInput {
  readonly pools: ReadonlyArray<{ readonly name: string, readonly reals: readonly RealInput[] }>
  /** Usable weight that a pool must have to serve; at least 1. */
  readonly quorum: number
  /** Per cent of the serving pool's reals that must be up; 0 = never in panic. */
  readonly panicPct: number
  readonly flushOnDown: boolean
}

export interface RealWeight {
  readonly pool: string
  readonly name: string
  /** 0-100. */
  readonly weight: number
  readonly state: RealState
  /** Its sessions end now. */
  readonly flush: boolean
}

export interface VipWeights {
  readonly state: VipState
  /** The pool that serves; `null`: none does. */
  readonly pool: string | null
  readonly reals: readonly RealWeight[]
}

function stateOf (real: RealInput): RealState {
  if (real.health === 'disabled' || real.health === 'paused' || real.health === 'down' || real.health === 'unknown') return real.health
  if (real.drained) return 'drained'
  return real.weight === 0 ? 'weight-0' : 'serving'
}

/** Slow start and agents take a share, but never the last of it. */
const shared = ({ weight, sharePct }: RealInput): number => weight === 0 || sharePct === 0 ? 0 : Math.max(1, Math.round(weight * sharePct / 100))

export function weigh (vip: VipInput): VipWeights {
  const pools = vip.pools.map(({ name, reals }) => {
    const states = reals.map(real => ({ real, state: stateOf(real) }))
    return { name, states, usable: states.reduce((sum, { real, state }) => sum + (state === 'serving' ? shared(real) : 0), 0) }
  })
  const most = pools.reduce<typeof pools[number] | null>((best, pool) => pool.usable > (best?.usable ?? 0) ? pool : best, null)
  const enough = pools.find(pool => pool.usable >= vip.quorum)
  const panicking = panicPool(vip, pools, enough ?? most)
  const serving = panicking ?? enough ?? most
  const vipState = (): VipState => {
    if (panicking !== null) return 'panic'
    if (serving !== null) return enough === undefined ? 'degraded' : 'up'
    return pools.some(({ states }) => states.some(({ state }) => state === 'unknown')) ? 'unknown' : 'down'
  }
  return {
    state: vipState(),
    pool: serving?.name ?? null,
    reals: pools.flatMap(pool => pool.states.map(({ real, state }) => {
      const mine = pool === serving
      const takes = mine && (state === 'serving' || (panicking !== null && panics(real, state)))
      return {
        pool: pool.name, name: real.name, weight: takes ? shared(state === 'serving' ? real : { ...real, sharePct: 100 }) : 0, state: state === 'serving' && !mine ? 'standby' : state,
        flush: state === 'disabled' || (state === 'down' && vip.flushOnDown && !takes)
      }
    }))
  }
}

/** In panic a real that is down serves: unless an operator took it out. */
const panics = (real: RealInput, state: RealState): boolean => state === 'down' && real.weight > 0 && !real.drained

/** The pool that is in panic: the one that serves, or the first one when none does. */
function panicPool<P extends { readonly states: ReadonlyArray<{ readonly real: RealInput, readonly state: RealState }> }> (vip: VipInput, pools: readonly P[], serving: P | null): P | null {
  const pool = serving ?? pools[0]
  if (vip.panicPct === 0 || pool === undefined) return null
  const counted = pool.states.filter(({ real, state }) => state === 'serving' || panics(real, state))
  const up = counted.filter(({ state }) => state === 'serving').length
  return up < counted.length && up * 100 < vip.panicPct * counted.length ? pool : null
}
