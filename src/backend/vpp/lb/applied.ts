/** What VPP has after operations that it has done. Buckets and the place of a new VIP are VPP's to say: 0 and `null` until it is read. Pure. */
import type { Operation } from './plan.js'
import { vipKey, type Observed, type ObservedReal } from './state.js'

export function applied (observed: Observed, done: readonly Operation[]): Observed {
  let { settings } = observed
  const vips = new Map(observed.vips.map(vip => [vipKey(vip), { ...vip, reals: new Map(vip.reals) }]))
  for (const operation of done) {
    switch (operation.kind) {
      case 'settings': settings = operation.settings; break
      case 'vip-add': vips.set(vipKey(operation.vip), { ...operation.vip, index: null, reals: new Map<string, ObservedReal>() }); break
      case 'vip-remove': vips.delete(vipKey(operation.vip)); break
      case 'real-add': case 'real-weight': vips.get(vipKey(operation.vip))?.reals.set(operation.real, { weight: operation.weight, buckets: 0 }); break
      case 'real-remove': vips.get(vipKey(operation.vip))?.reals.delete(operation.real)
    }
  }
  return { settings, vips: [...vips.values()] }
}
