/** What the eBPF backend can do on this host. Pure, given what was found. */
import type { Capability } from '../../contract/dataplane.js'
import { capability } from '../../generated/codes.js'

type Name = (typeof capability)[number]['name']

/** `tcx`: why there is none; empty: the kernel has it. */
export function capabilitiesOf (tcx: string): Capability[] {
  const no: Partial<Record<Name, string>> = {
    policy_routing: 'routes of the main and local tables are mirrored; rules and other tables are not',
    before_forward_sync: 'a program cannot hold a packet back (R21)',
    ports_pcap: 'XDP programs run on kernel interfaces only',
    ports_tap: 'XDP programs run on kernel interfaces only',
    ports_source: 'XDP programs run on kernel interfaces only',
    ports_dpdk: 'the dpdk backend opens ports by devargs',
    hugepages: 'maps of programs are not in huge pages'
  }
  if (tcx !== '') no.host_egress_tracking = `replies to the host are admitted by its ephemeral port range, as in user space: tcx: ${tcx}`
  return capability.map(c => ({ name: c.name, supported: no[c.name] === undefined, reason: no[c.name] ?? '' }))
}
