/** VPP's load balancer in memory: it takes and refuses what the real one does (test/fixtures/vpp/transcripts/lb_config.json, and the live suite). */
import { VppRefusal } from '../../src/backend/vpp/client.js'
import type { LbDriver } from '../../src/backend/vpp/lb/driver.js'
import type { Operation } from '../../src/backend/vpp/lb/plan.js'
import { vipKey, type LbSettings, type Observed, type ObservedReal, type ObservedVip, type VipKey, type VppVip } from '../../src/backend/vpp/lb/state.js'

const [EXISTS, NO_ENTRY, ARGUMENT, MEMORY, FAMILY] = [-81, -6, -73, -70, -97]
const powerOf2 = (n: number): boolean => n > 0 && (n & (n - 1)) === 0
const is6 = (address: string): boolean => address.includes(':')
const family6 = { gre4: false, gre6: true, l3dsr: false, nat4: false, nat6: true } as const

export class LbModel implements LbDriver {
  readonly weights = true
  settings: LbSettings = { source4: '255.255.255.255', source6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', stickyBuckets: 1024, flowTimeoutS: 40 }
  readonly vips = new Map<string, { readonly vip: VppVip, readonly index: number, readonly reals: Map<string, number>, /** Until VPP has collected them: they can be removed again. */ readonly removed: Set<string> }>()
  /** What was done, in order. */
  readonly log: Operation[] = []
  /** Refused whatever it is. */
  refuses: (operation: Operation) => boolean = () => false
  private next = 1

  async read (): Promise<Observed> {
    await Promise.resolve()
    return {
      settings: this.settings,
      vips: [...this.vips.values()].map(({ vip, index, reals }): ObservedVip => ({ ...vip, tableLength: vip.tableLength & 0xffff, index, reals: new Map([...reals].map(([real, weight]): [string, ObservedReal] => [real, { weight, buckets: weight === 0 ? 0 : 1 }])) }))
    }
  }

  async perform (operation: Operation): Promise<void> {
    await Promise.resolve()
    const retval = this.refuses(operation) ? -1 : this.take(operation)
    if (retval !== 0) throw new VppRefusal(operation.kind, retval)
    this.log.push(operation)
  }

  private take (o: Operation): number {
    if (o.kind === 'settings') {
      if (!powerOf2(o.settings.stickyBuckets)) return MEMORY
      this.settings = o.settings
      return 0
    }
    const known = this.vips.get(vipKey(o.vip))
    switch (o.kind) {
      case 'vip-add': return this.addVip(o.vip)
      case 'vip-remove': return this.vips.delete(vipKey(o.vip)) ? 0 : NO_ENTRY
      case 'real-add':
        if (known === undefined) return NO_ENTRY
        if (known.reals.has(o.real)) return EXISTS
        if (is6(o.real) !== family6[known.vip.encap]) return FAMILY
        known.reals.set(o.real, o.weight)
        known.removed.delete(o.real)
        return 0
      case 'real-remove':
        if (known?.reals.delete(o.real) === true) known.removed.add(o.real)
        return known?.removed.has(o.real) === true ? 0 : NO_ENTRY
      case 'real-weight':
        if (known?.reals.has(o.real) !== true) return NO_ENTRY
        known.reals.set(o.real, o.weight)
        return 0
    }
  }

  private addVip (vip: VppVip): number {
    const shared = [...this.vips.values()].map(({ vip }) => vip).filter(({ prefix }) => prefix === vip.prefix)
    if (shared.some(other => other.port === 0 || vip.port === 0 || same(other, vip))) return EXISTS
    if (shared.some(({ encap }) => encap !== vip.encap)) return ARGUMENT
    if (!powerOf2(vip.tableLength)) return MEMORY
    if (!is6(vip.prefix) && vip.encap === 'nat6') return FAMILY
    this.vips.set(vipKey(vip), { vip: { ...vip }, index: this.next++, reals: new Map(), removed: new Set() })
    return 0
  }
}

const same = (a: VipKey, b: VipKey): boolean => vipKey(a) === vipKey(b)
