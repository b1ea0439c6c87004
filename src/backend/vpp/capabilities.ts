/** What the vpp backend can do, and why not the rest: VPP has a graph of its own, and only what is named here is programmed in it. Pure. */
import type { Capability } from '../../contract/dataplane.js'
import { capability } from '../../generated/codes.js'

type Name = (typeof capability)[number]['name']

const stateless = 'VPP has no zones, policies and sessions of ours; what protects it is its own acl plugin'
const translation = 'the agent does not configure NAT in VPP'
const own = 'VPP has interfaces of its own'

const no: Partial<Record<Name, string>> = {
  shared_table: 'VPP keeps its own tables of flows', session_install: 'VPP takes sessions of NAT44-EI alone (agent.vpp.nat-sessions), of NAT44-ED by static mappings for UDP and ICMP (nat44-ed-sessions), of no other NAT and none of its load balancer', session_delete: 'VPP deletes sessions of a NAT that is kept here, and flows of a real, not one by one',
  zones: stateless, schedules: stateless, screens: stateless, snat: translation, dnat: translation, static_nat: translation, hairpin: translation,
  vip_l2: 'its load balancer does not rewrite MAC addresses', vip_ipip: 'its load balancer has no IP-in-IP', fragments: 'its load balancer picks a real for fragments by addresses alone',
  icmp_errors: 'its load balancer does not look into ICMP errors', vlan: own, address_answers: own, host_traffic: own, host_egress_tracking: own, policy_routing: own,
  before_forward_sync: 'VPP does not hold a packet back until a peer has answered (R21)', fabric: 'two VPPs pick the same real by themselves: no packet has to be sent to the owner',
  ports_packet: own, ports_pcap: own, ports_tap: own, ports_source: own, ports_dpdk: own, hugepages: 'its memory is its own'
}

export const vppCapabilities: readonly Capability[] = capability.map(({ name }) => ({ name, supported: no[name] === undefined, reason: no[name] ?? '' }))
