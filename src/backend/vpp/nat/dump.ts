/** All sessions of VPP's NAT44-EI, by its API: VPP has no resync, and tells of what was before us only this way. It stops packets for each user that it lists. */
import type { VppClient } from '../client.js'
import { type HaEvent } from './ha-wire.js'
import { FIB } from './session.js'

const STATIC = 0x40
const users = 'nat44_ei_user_dump_51077d14'
const sessions = 'nat44_ei_user_session_v2_dump_e1899c98'
const ICMP = 1

/** Of the first table; `elsewhere`: how many users are in others. @throws what a call throws */
export async function dumpNat (client: VppClient): Promise<{ readonly events: HaEvent[], readonly elsewhere: number }> {
  const found = await client.dump(users, {})
  const here = new Set(found.filter(({ vrf_id }) => vrf_id === 0).map(({ ip_address }) => ip_address)) // each thread lists its own
  const events: HaEvent[] = []
  for (const ip_address of here) {
    for (const one of await client.dump(sessions, { ip_address, vrf_id: 0 })) {
      const { ext_host_address: externalAddress, ext_host_port: externalPort, protocol } = one
      events.push({
        kind: 'add', protocol, static: (one.flags & STATIC) !== 0, insideAddress: one.inside_ip_address, insidePort: one.inside_port, outsideAddress: one.outside_ip_address, outsidePort: one.outside_port,
        externalAddress, externalPort: protocol === ICMP ? 0 : externalPort, externalNatAddress: externalAddress, externalNatPort: protocol === ICMP ? 0 : externalPort,
        fibIndex: FIB, packets: one.total_pkts, bytes: one.total_bytes
      })
    }
  }
  return { events, elsewhere: found.filter(({ vrf_id }) => vrf_id !== 0).length }
}
