/** What the userspace backend can do on this host. Pure, given what was found. */
import type { Capability } from '../../contract/dataplane.js'
import { capability } from '../../generated/codes.js'

export interface Found {
  /** CAP_NET_RAW and CAP_NET_ADMIN. */
  readonly packet: boolean
  readonly tap: boolean
  readonly nft: boolean
  /** The kernel removes an nft table with its owner: Linux 5.12. */
  readonly nftOwner: boolean
  readonly hugepages: boolean
}

type Name = (typeof capability)[number]['name']

export function capabilitiesOf (found: Found): Capability[] {
  const no: Partial<Record<Name, string>> = {
    host_egress_tracking: 'AF_PACKET ports see no outgoing frames; replies to the host are admitted by its ephemeral port range instead (the ebpf backend records them)',
    policy_routing: 'routes of the main and local tables are mirrored; rules and other tables are not',
    survives_agent: 'the packet workers are threads of the agent',
    before_forward_sync: 'packet workers do not hold a packet back until a peer has answered (R21)'
  }
  if (!found.packet) no.ports_packet = 'needs CAP_NET_RAW and CAP_NET_ADMIN'
  else if (!found.nft) no.ports_packet = 'nft is not installed: the ingress chain that keeps the host stack out cannot be made'
  else if (!found.nftOwner) no.ports_packet = 'needs Linux 5.12: nft tables that go with their owner, so that a dead agent leaves no interface closed'
  if (!found.tap) no.ports_tap = 'needs CAP_NET_ADMIN and /dev/net/tun'
  if (!found.hugepages) no.hugepages = 'no 2 MiB huge pages are free (vm.nr_hugepages)'
  return capability.map(c => ({ name: c.name, supported: no[c.name] === undefined, reason: no[c.name] ?? '' }))
}
