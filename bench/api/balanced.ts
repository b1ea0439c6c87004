/** A load balancer of N reals under checks, as a scrape or a web page has to tell of them. */
import type { RealStatus, VipStatus } from '../../src/contract/balancing.js'
import type { TargetStatus } from '../../src/contract/health.js'

const addressOf = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`

export interface Balanced { readonly vips: readonly VipStatus[], readonly targets: readonly TargetStatus[], readonly vipIds: Readonly<Record<string, number>>, readonly realIds: Readonly<Record<string, number>> }

export function balanced (reals: number, perVip = 20): Balanced {
  const targets = Array.from({ length: reals }, (_, i): TargetStatus => ({
    id: `http/${addressOf(i)}:8080`, check: 'http', type: 'http', address: addressOf(i), port: 8080, state: 'up', count: 3, sharePct: 100, since: 1_700_000_000_000, last: { ok: true, code: 'ok', detail: '', tookMs: 1.25, at: 1_700_000_000_000 },
    passed: 100_000, failed: 12, results: { ok: 100_000, timeout: 8, refused: 4 }, tookMs: 125_000, probing: false, nextAt: null, changes: [{ from: 'unknown', to: 'up', count: 1 }, { from: 'up', to: 'down', count: 2 }, { from: 'down', to: 'up', count: 2 }], history: []
  }))
  const realOf = (i: number): RealStatus => ({ name: `server-${i}`, pool: 'main', address: addressOf(i), port: 8080, configuredWeight: 100, weight: 100, state: 'serving', target: `http/${addressOf(i)}:8080` })
  const vips = Array.from({ length: Math.ceil(reals / perVip) }, (_, v): VipStatus => ({
    name: `service-${v}`, address: `198.18.${v >> 8}.${v & 255}/32`, port: 443, protocol: 6, mode: 'nat', redundancyGroup: 0, state: 'up', pool: 'main', reals: Array.from({ length: Math.min(perVip, reals - v * perVip) }, (_, r) => realOf(v * perVip + r))
  }))
  return {
    vips, targets, vipIds: Object.fromEntries(vips.map(({ name }, i) => [name, i + 1])),
    realIds: Object.fromEntries(vips.flatMap(vip => vip.reals.map(real => `${vip.name}/${real.name}`)).map((name, i) => [name, i + 1]))
  }
}
