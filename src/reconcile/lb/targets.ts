/** Who is probed for which reals: each address and port once for each check. Pure. */
import type { Desired, Real, Vip } from '../../contract/desired.js'
import type { CheckTarget, HealthCheck } from '../../contract/health.js'
import { realIdName } from '../../config/index.js'
import { formatEndpoint } from '../../lib/address.js'

export type Checks = Pick<Desired, 'healthChecks' | 'vips' | 'adjustments'>

/** A real with whom its check probes (`null`: nobody checks it), and what operators gave it. */
export interface PlacedReal { readonly real: Real, readonly target: CheckTarget | null, readonly weight: number, readonly drained: boolean }
export interface PlacedVip { readonly vip: Vip, readonly pools: ReadonlyArray<{ readonly name: string, readonly reals: readonly PlacedReal[] }> }

/** Port that a check probes of a real; 0: none. */
function portOf (check: HealthCheck, vip: Vip, real: Real): number {
  if (check.type === 'icmp') return 0
  return check.port !== 0 ? check.port : real.port !== 0 ? real.port : vip.port
}

export function placed (d: Checks): PlacedVip[] {
  const checks = new Map(d.healthChecks.map(check => [check.name, check]))
  const targetOf = (vip: Vip, real: Real): CheckTarget | null => {
    const check = real.check === null ? undefined : checks.get(real.check)
    if (check === undefined) return null
    const { address } = real
    const port = portOf(check, vip, real)
    return { id: `${check.name}/${port === 0 ? address : formatEndpoint(address, port)}`, check, address, port }
  }
  const adjustments = new Map(d.adjustments.map(a => [`${a.vip}/${a.real}`, a]))
  const place = (vip: Vip, real: Real): PlacedReal => {
    const adjusted = adjustments.get(`${vip.name}/${real.name}`)
    return { real, target: targetOf(vip, real), weight: adjusted?.weight ?? real.weight, drained: adjusted?.drained ?? false }
  }
  return d.vips.map(vip => ({ vip, pools: vip.pools.map(({ name, reals }) => ({ name, reals: reals.map(real => place(vip, real)) })) }))
}

/** Targets whose sessions are looked at, by id of their reals. */
export function observedOf (vips: readonly PlacedVip[], ids: Desired['ids']): Map<number, CheckTarget> {
  return new Map(vips.flatMap(({ vip, pools }) => pools.flatMap(({ reals }) => reals.flatMap(({ real, target }): Array<[number, CheckTarget]> => {
    const id = ids.real[realIdName(vip.name, real.name)]
    return id === undefined || target === null || target.check.passive === 0 ? [] : [[id, target]]
  }))))
}

/** Everybody who is probed, each once. */
export function targetsOf (vips: readonly PlacedVip[]): CheckTarget[] {
  const targets = vips.flatMap(({ pools }) => pools.flatMap(({ reals }) => reals.flatMap(({ target }) => target ?? [])))
  return [...new Map(targets.map(target => [target.id, target])).values()]
}
