/**
 * What a configuration changes of the VIPs and reals that were in force: edits in the order in which they break nothing (what comes first, what goes last; a VIP
 * whose service is another one goes before it comes again). Shares of reals that stay are the balancer's. Pure.
 */
import type { Real, Vip } from '../../contract/desired.js'
import type { PlacedVip } from './targets.js'

export type Edit =
  | { readonly kind: 'vip-added' | 'vip-removed', readonly vip: string, /** That come, or go, with it. */ readonly reals: number }
  | { readonly kind: 'vip-recreated', readonly vip: string, readonly reals: number, /** What cannot be changed in place. */ readonly because: string }
  | { readonly kind: 'real-added' | 'real-removed', readonly vip: string, readonly real: string, readonly address: string, readonly port: number }

/** Of a VIP, what its service is; of a real, where it is. */
const service = ['address', 'port', 'protocol', 'mode', 'domain', 'redundancyGroup'] as const satisfies ReadonlyArray<keyof Vip>
const sameReal = (a: Real, b: Real): boolean => a.address === b.address && a.port === b.port

const realsOf = ({ pools }: PlacedVip): Map<string, Real> => new Map(pools.flatMap(({ reals }) => reals.map(({ real }) => [real.name, real])))

function realEdits (vip: string, kind: 'real-added' | 'real-removed', these: ReadonlyMap<string, Real>, others: ReadonlyMap<string, Real>): Edit[] {
  return [...these.values()].flatMap((real): Edit[] => {
    const other = others.get(real.name)
    return other !== undefined && sameReal(real, other) ? [] : [{ kind, vip, real: real.name, address: real.address, port: real.port }]
  })
}

export function editsBetween (before: readonly PlacedVip[], after: readonly PlacedVip[]): Edit[] {
  const old = new Map(before.map(placed => [placed.vip.name, placed]))
  const names = new Set(after.map(({ vip }) => vip.name))
  const [come, recreated, realsCome, realsGo]: [Edit[], Edit[], Edit[], Edit[]] = [[], [], [], []]
  for (const now of after) {
    const { vip } = now
    const was = old.get(vip.name)
    const reals = realsOf(now)
    if (was === undefined) {
      come.push({ kind: 'vip-added', vip: vip.name, reals: reals.size })
      continue
    }
    const because = service.filter(key => vip[key] !== was.vip[key])
    if (because.length > 0) {
      recreated.push({ kind: 'vip-recreated', vip: vip.name, reals: reals.size, because: because.join(',') })
      continue
    }
    const had = realsOf(was)
    realsCome.push(...realEdits(vip.name, 'real-added', reals, had))
    realsGo.push(...realEdits(vip.name, 'real-removed', had, reals))
  }
  const go = before.filter(({ vip }) => !names.has(vip.name)).map((was): Edit => ({ kind: 'vip-removed', vip: was.vip.name, reals: realsOf(was).size }))
  return [...come, ...realsCome, ...recreated, ...realsGo, ...go]
}
