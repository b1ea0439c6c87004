/** A load balancer in memory: two VIPs, two targets, and what operators said. */
import { EventLog } from '../../../src/lib/event-log.js'
import { balancingLost } from '../../../src/reconcile/lb/events.js'
import type { LoadBalancerControl, RingStatus, VipStatus } from '../../../src/contract/balancing.js'
import type { Drift } from '../../../src/contract/dataplane.js'
import { noOverlay, type Overlay, type OverlayChange } from '../../../src/contract/overlay.js'
import type { HealthInput, TargetStatus } from '../../../src/contract/health.js'

export class FakeLoadBalancer implements LoadBalancerControl {
  readonly said: string[] = []
  vipList: readonly VipStatus[] = [
    {
      name: 'web', address: '192.0.2.80/32', port: 80, protocol: 6, mode: 'nat', redundancyGroup: 0, state: 'up', pool: 'main',
      reals: [
        { name: 'a', pool: 'main', address: '10.0.0.1', port: 0, configuredWeight: 100, weight: 100, state: 'serving', target: 'http/10.0.0.1:80' },
        { name: 'b', pool: 'main', address: '10.0.0.2', port: 8080, configuredWeight: 100, weight: 0, state: 'down', target: 'http/10.0.0.2:8080' },
        { name: 'sorry', pool: 'last', address: '10.0.0.3', port: 0, configuredWeight: 10, weight: 0, state: 'standby', target: null }
      ]
    },
    { name: 'dns', address: '2001:db8::/64', port: 0, protocol: 0, mode: 'ipip', redundancyGroup: 1, state: 'down', pool: null, reals: [{ name: 'a', pool: 'pool-1', address: '10.0.0.1', port: 0, configuredWeight: 100, weight: 0, state: 'unknown', target: 'dns/10.0.0.1:53' }] }
  ]

  targetList: readonly TargetStatus[] = [
    { id: 'http/10.0.0.2:8080', check: 'http', type: 'http', address: '10.0.0.2', port: 8080, state: 'down', count: 1, sharePct: 75, since: 1_700_000_000_000, last: { ok: false, code: 'status', detail: 'status 503, expected 200-399', tookMs: 1.5, at: 1_700_000_001_000 }, passed: 10, failed: 3, probing: false, nextAt: 1_700_000_002_000, results: { ok: 10, status: 2, timeout: 1 }, tookMs: 26, changes: [{ from: 'up', to: 'down', count: 1 }], history: [{ at: 1_700_000_000_000, from: 'up', to: 'down', code: 'status', detail: 'status 503, expected 200-399' }] },
    { id: 'dns/10.0.0.1:53', check: 'dns', type: 'dns', address: '10.0.0.1', port: 53, state: 'unknown', count: 0, sharePct: 100, since: 1_700_000_000_000, last: null, passed: 0, failed: 0, probing: false, nextAt: null, results: {}, tookMs: 0, changes: [], history: [] }
  ]

  laid: Overlay = noOverlay
  changes: OverlayChange[] = []

  readonly events = new EventLog(balancingLost)
  readonly watch: LoadBalancerControl['watch'] = this.events.watch
  rings: readonly RingStatus[] = [{ vip: 'web', size: 127, hash: '00000000000000ff', drifted: 1, reals: [{ name: 'a', entries: 100 }, { name: 'b', entries: 27 }] }]
  async readBack (): Promise<readonly RingStatus[]> { return await Promise.resolve(this.rings) }
  async reconcile (): Promise<Drift> { return await Promise.resolve({ vips: 2, rings: [{ vip: 'web', entries: 1 }], configBytes: 4, tookMs: 1.25 }) }
  async overlay (): Promise<Overlay> { return await Promise.resolve(this.laid) }
  async change (change: OverlayChange, dryRun = false): Promise<Overlay> {
    if (!dryRun) this.changes.push(change)
    return await this.overlay()
  }

  async vips (): Promise<readonly VipStatus[]> { return await Promise.resolve(this.vipList) }
  async targets (): Promise<readonly TargetStatus[]> { return await Promise.resolve(this.targetList) }
  async operate (id: string, input: HealthInput): Promise<boolean> {
    this.said.push(`${input} ${id}`)
    return await Promise.resolve(this.targetList.some(target => target.id === id))
  }
}
