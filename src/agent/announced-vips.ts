/** VIPs of the configuration in force with what load balancing makes of them, for whoever announces them. Pure. */
import type { AnnouncedVip } from '../bgp/announce/routes.js'
import type { VipStatus } from '../contract/balancing.js'
import type { Desired } from '../contract/desired.js'

export function announcedVips (desired: Desired | null, states: readonly VipStatus[]): readonly AnnouncedVip[] {
  const of = new Map(states.map(({ name, state }) => [name, state]))
  return desired?.vips.map(({ name, address, redundancyGroup, domain }) => ({ name, prefix: address, redundancyGroup, domain, state: of.get(name) ?? 'unknown' })) ?? []
}
