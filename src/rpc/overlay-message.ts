/** What was put while the agent runs, as messages and back. */
import { LockstepError } from '../contract/errors.js'
import type { Held, Overlay, RealSettings, VipSettings } from '../contract/overlay.js'
import type { LoadBalancerGetOverlayResponse, OverlayHold, OverlayReal, OverlayTerms, OverlayVip } from '../generated/proto/lockstep/v1/load_balancer.js'

/** @throws invalid LS_V_OWNER */
export function termsOf (terms: OverlayTerms | undefined): { readonly owner: string, readonly reason: string, readonly ttlMs: number | null } {
  if (terms === undefined) throw new LockstepError('invalid', 'LS_V_OWNER', 'what is put needs an owner', { object: 'terms', found: 'none', expected: 'owner, reason, ttl_ms' })
  return { owner: terms.owner, reason: terms.reason, ttlMs: terms.ttlMs === 0n ? null : Number(terms.ttlMs) }
}

const holdMessage = ({ owner, reason, since, until }: Held): OverlayHold => ({ owner, reason, sinceMs: BigInt(since), untilMs: BigInt(until ?? 0) })

/** Values are looked at where those of the configuration are. */
export function vipOf ({ address, port, protocol, mode, rg, sourceIpSticky, healthcheck }: OverlayVip): VipSettings {
  return {
    address, port: port === 0 ? 'any' : port, 'redundancy-group': rg, 'source-ip-sticky': sourceIpSticky, ...(healthcheck === '' ? {} : { healthcheck }),
    ...(protocol === '' ? {} : { protocol: protocol as NonNullable<VipSettings['protocol']> }), ...(mode === '' ? {} : { mode: mode as NonNullable<VipSettings['mode']> })
  }
}

const vipMessage = (name: string, s: VipSettings): OverlayVip => ({
  name, address: s.address, port: s.port === undefined || s.port === 'any' ? 0 : s.port, protocol: s.protocol ?? '', mode: s.mode ?? '', rg: s['redundancy-group'] ?? 0, sourceIpSticky: s['source-ip-sticky'] ?? false,
  healthcheck: s.healthcheck ?? ''
})

export const realOf = ({ address, port, weight, name, healthcheck }: OverlayReal): RealSettings => ({
  address, ...(port === 0 ? {} : { port }), ...(weight === undefined ? {} : { weight }), ...(name === '' ? {} : { name }), ...(healthcheck === '' ? {} : { healthcheck })
})

const realMessage = ({ address, port, weight, name, healthcheck }: RealSettings): OverlayReal => ({ address, port: port ?? 0, weight, name: name ?? '', healthcheck: healthcheck ?? '' })

export const overlayMessage = ({ vips, reals, adjusted }: Overlay): LoadBalancerGetOverlayResponse => ({
  vips: vips.map(v => ({ vip: vipMessage(v.vip, v.settings), hold: holdMessage(v) })),
  reals: reals.map(r => ({ vip: r.vip, pool: r.pool, reals: r.reals.map(realMessage), hold: holdMessage(r) })),
  adjusted: adjusted.map(a => ({ vip: a.vip, real: a.real, weight: a.weight ?? undefined, drained: a.drained, hold: holdMessage(a) }))
})
