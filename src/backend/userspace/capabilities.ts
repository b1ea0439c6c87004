/** What the userspace backend can do on this host. Pure, given what was found. */
import type { Capability } from '../../contract/dataplane.js'
import { capability } from '../../generated/codes.js'
import { packetPorts, type Found } from '../table/probe.js'

type Name = (typeof capability)[number]['name']

export function capabilitiesOf (found: Found): Capability[] {
  const no: Partial<Record<Name, string>> = {
    host_egress_tracking: 'AF_PACKET ports see no outgoing frames; replies to the host are admitted by its ephemeral port range instead (the ebpf backend records them)',
    ports_dpdk: 'the dpdk backend opens ports by devargs',
    policy_routing: 'routes of the main and local tables are mirrored; rules and other tables are not',
    survives_agent: 'the packet workers are threads of the agent',
    before_forward_sync: 'packet workers do not hold a packet back until a peer has answered (R21)'
  }
  const packet = packetPorts(found)
  if (packet !== '') no.ports_packet = packet
  if (!found.tap) no.ports_tap = 'needs CAP_NET_ADMIN and /dev/net/tun'
  if (!found.hugepages) no.hugepages = 'no 2 MiB huge pages are free (vm.nr_hugepages)'
  return capability.map(c => ({ name: c.name, supported: no[c.name] === undefined, reason: no[c.name] ?? '' }))
}
