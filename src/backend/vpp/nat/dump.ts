/**
 * All sessions of a NAT of VPP, by its API: VPP has no resync, and tells of what was before us only this way. Of the first table. A dump stops packets for each
 * user that it lists.
 */
import type { VppClient } from '../client.js'
import type { HaEvent } from './ha-wire.js'
import { FIB } from './session.js'

const STATIC = 0x40
const ICMP = 1

interface Details {
  readonly protocol: number, readonly flags: number, readonly inside_ip_address: string, readonly inside_port: number, readonly outside_ip_address: string, readonly outside_port: number
  readonly ext_host_address: string, readonly ext_host_port: number, readonly total_pkts: number, readonly total_bytes: bigint
}
interface External { readonly address: string, readonly port: number }

/** Each thread lists its own. */
const insides = (users: ReadonlyArray<{ readonly vrf_id: number, readonly ip_address: string }>): Set<string> => new Set(users.filter(({ vrf_id }) => vrf_id === 0).map(({ ip_address }) => ip_address))

/** `seen`: the external host as the inside sees it. */
function eventOf (one: Details, seen: External = { address: one.ext_host_address, port: one.ext_host_port }): HaEvent {
  const portOf = (port: number): number => one.protocol === ICMP ? 0 : port
  return {
    kind: 'add', protocol: one.protocol, static: (one.flags & STATIC) !== 0, insideAddress: one.inside_ip_address, insidePort: one.inside_port, outsideAddress: one.outside_ip_address, outsidePort: one.outside_port,
    externalAddress: one.ext_host_address, externalPort: portOf(one.ext_host_port), externalNatAddress: seen.address, externalNatPort: portOf(seen.port), fibIndex: FIB, packets: one.total_pkts, bytes: one.total_bytes
  }
}

/** Of NAT44-EI. @throws what a call throws */
export async function dumpEi (client: VppClient): Promise<HaEvent[]> {
  const events: HaEvent[] = []
  for (const ip_address of insides(await client.dump('nat44_ei_user_dump_51077d14', {}))) {
    for (const one of await client.dump('nat44_ei_user_session_v2_dump_e1899c98', { ip_address, vrf_id: 0 })) events.push(eventOf(one))
  }
  return events
}

/** Of NAT44-ED, without those that have timed out. @throws what a call throws */
export async function dumpEd (client: VppClient): Promise<HaEvent[]> {
  const events: HaEvent[] = []
  for (const ip_address of insides(await client.dump('nat44_user_dump_51077d14', {}))) {
    for (const one of await client.dump('nat44_user_session_v3_dump_e1899c98', { ip_address, vrf_id: 0 })) {
      const { ext_host_nat_address: address, ext_host_nat_port: port } = one
      if (!one.is_timed_out) events.push(eventOf(one, address === '0.0.0.0' ? undefined : { address, port }))
    }
  }
  return events
}
