/** The lb plugin of VPP 26.10 and later by its API; the pool index and source-ip-sticky of a VIP stand in its CLI only. */
import type { VppClient } from '../client.js'
import type { LbDriver } from './driver.js'
import type { Operation } from './plan.js'
import { encaps, vipKey, type Encap, type Observed, type ObservedReal, type ObservedVip, type VipKey } from './state.js'
import { parseVips } from './verbose.js'

/** An AS that is removed stays in the dump without this until VPP has collected it. */
const IN_USE = 1
/** Filters of dumps match IPv4 never, so everything is asked for. */
const all = { pfx: '0.0.0.0/0', protocol: 0, port: 0 }

const swapped = (port: number): number => (port & 0xff) << 8 | port >> 8
const named = ({ prefix: pfx, protocol, port }: VipKey): { pfx: string, protocol: number, port: number } => ({ pfx, protocol, port })

export class ApiDriver implements LbDriver {
  readonly weights = true

  constructor (private readonly client: VppClient) {}

  async read (): Promise<Observed> {
    const { client } = this
    const [settings, vips, reals, verbose] = await Promise.all([
      client.call('lb_conf_get_51077d14', {}), client.dump('lb_vip_dump_56110cb7', { ...all, pfx_matcher: { le: 0, ge: 0 } }), client.dump('lb_as_v2_dump_1063f819', all),
      client.call('cli_inband_f8377302', { cmd: 'show lb vips verbose' })
    ])
    const realsOf = new Map<string, Map<string, ObservedReal>>()
    for (const { vip: { pfx: prefix, protocol, port }, app_srv: address, flags, weight, num_buckets: buckets } of reals) {
      if ((flags & IN_USE) === 0) continue
      const key = vipKey({ prefix, protocol, port })
      const known = realsOf.get(key) ?? new Map<string, ObservedReal>()
      realsOf.set(key, known.set(address, { weight, buckets }))
    }
    const shown = new Map(parseVips(verbose.reply).map(vip => [vipKey(vip), vip]))
    return {
      settings: { source4: settings.ip4_src_address, source6: settings.ip6_src_address, stickyBuckets: settings.sticky_buckets_per_core, flowTimeoutS: settings.flow_timeout },
      vips: vips.map(({ vip: { pfx: prefix, protocol, port }, encap: number, target_port: target, flow_table_length: tableLength }): ObservedVip => {
        const key = vipKey({ prefix, protocol, port })
        const encap: Encap = encaps[number] ?? 'gre4'
        return {
          prefix, protocol, port, encap, tableLength: shown.get(key)?.tableLength ?? tableLength, targetPort: encap.startsWith('nat') ? swapped(target) : 0,
          sourceIpSticky: shown.get(key)?.sourceIpSticky ?? false, index: shown.get(key)?.index ?? null, reals: realsOf.get(key) ?? new Map<string, ObservedReal>()
        }
      })
    }
  }

  async perform (operation: Operation): Promise<void> {
    const { client } = this
    switch (operation.kind) {
      case 'settings': {
        const { source4, source6, stickyBuckets, flowTimeoutS } = operation.settings
        await client.call('lb_conf_56cd3261', { ip4_src_address: source4, ip6_src_address: source6, sticky_buckets_per_core: stickyBuckets, flow_timeout: flowTimeoutS })
        return
      }
      case 'vip-add': case 'vip-remove': {
        const { vip } = operation
        await client.call('lb_add_del_vip_v2_7c520e0f', {
          ...named(vip), encap: encaps.indexOf(vip.encap), dscp: 0, type: 0, target_port: vip.targetPort, node_port: 0, new_flows_table_length: vip.tableLength, src_ip_sticky: vip.sourceIpSticky, is_del: operation.kind === 'vip-remove'
        })
        return
      }
      case 'real-add':
        await client.call('lb_add_del_as_v2_2f1d3b0e', { ...named(operation.vip), as_address: operation.real, weight: operation.weight, is_del: false, is_flush: false })
        return
      case 'real-remove':
        await client.call('lb_add_del_as_v2_2f1d3b0e', { ...named(operation.vip), as_address: operation.real, weight: 0, is_del: true, is_flush: operation.flush })
        return
      case 'real-weight':
        await client.call('lb_as_set_weight_2d89bdbd', { ...named(operation.vip), as_address: operation.real, weight: operation.weight, is_flush: operation.flush })
    }
  }
}
