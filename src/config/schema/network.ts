/** Schema of `interfaces`, `zones`, `screens` and `routes`. */
import { screen } from '../../generated/codes.js'
import { choice, domain, flag, integer, listOf, mapOf, name, object, oneOrMany, ports, redundancyGroup, text, type JsonSchema } from './common.js'
import { kebab } from './agent.js'

export const interfaceSchema = object('A logical interface: a port, or a VLAN of one.', {
  port: text('Kernel device `eth0`, `tap:NAME`, `dpdk:NAME` (a port of DPDK, with `devargs`; NAME is the TAP by which the host has it), `pcap:IN[,OUT]` or `source:NAME`. Default: the interface’s own name. An interface without a VLAN and those with one may share a port.',
    { maxLength: 1024, examples: ['eth0', 'tap:lan', 'dpdk:lan0', 'pcap:in.pcap,out.pcap', 'source:clients'] }),
  vlan: integer('802.1Q tag, outer one of two; 0 = untagged.', 0, 4094, { default: 0 }),
  'inner-vlan': integer('Second tag (802.1ad); 0 = none.', 0, 4094, { default: 0 }),
  zone: name('Security zone. Not for role fabric.'),
  'redundancy-group': { ...redundancyGroup, description: 'That of the zone, which is the default (R15).' },
  domain,
  mtu: integer('Layer-3 MTU. Default: the port’s.', 576, 9000),
  role: choice('data forwards; fabric is the link between the nodes of a pair.', ['data', 'fabric'], 'data'),
  addresses: oneOrMany('Own addresses with prefix length. On a kernel device they add to those the device has.', text('address'), { default: [], examples: [['10.77.1.1/24', 'fd77:1::1/64']] }),
  'floating-addresses': oneOrMany('Addresses that follow the redundancy group: answered by its owner only.', text('address'), { default: [] }),
  neighbours: {
    type: 'object', default: {}, description: 'Static neighbours, address: MAC. For ports without a kernel.',
    additionalProperties: text('MAC address', { examples: ['02:00:00:00:00:01'] }),
  },
  netns: name('Network namespace of the port, when it is not `agent.netns`.'),
  mac: text('Own MAC address on a port without a kernel. Default: made from the port’s name.', { examples: ['02:00:00:00:00:01'] }),
  devargs: text('What DPDK finds a dpdk port by: a PCI address, or a driver with its arguments.', { maxLength: 255, examples: ['0000:03:00.0', 'net_memif_wan,role=client'] }),
  replay: object('How the input of a pcap port is played.', {
    rate: integer('Packets per second; 0 = as recorded.', 0, 1e8, { default: 0 }),
    loops: integer('Times to play; 0 = for ever.', 0, 1e6, { default: 1 }),
  }),
})
export const interfaces = mapOf('Logical interfaces by name. Only ports named here are claimed; nothing else on the host is touched.', interfaceSchema)

export const trafficSources = mapOf('Traffic sources for `port: source:NAME`: packets made inside the agent, for demonstrations and tests.', object('A traffic source.', {
  mode: choice('open: clients that open, use and close flows. answer: servers that answer what reaches them.', ['open', 'answer'], 'open'),
  rate: integer('Packets per second; 0 = as fast as it goes.', 0, 1e8, { default: 1000 }),
  flows: integer('Flows at a time.', 1, 1e7, { default: 100 }),
  source: text('Address of the first client; the others follow it.', { examples: ['10.77.3.2'] }),
  destination: text('Where flows go.', { examples: ['10.77.0.10'] }),
  port: integer('Destination port.', 1, 65535, { default: 80 }),
  protocol: choice('tcp or udp.', ['tcp', 'udp'], 'tcp'),
}))

const service: JsonSchema = {
  type: ['string', 'object'], additionalProperties: false, description: 'host-inbound service',
  properties: { protocol: { type: ['string', 'integer'], description: 'Name or IANA number.' }, ports: ports('Destination ports. Default: all.') },
  required: ['protocol'],
}
export const zones = mapOf('Security zones by name. Between zones nothing passes that no policy permits.', object('A security zone.', {
  'redundancy-group': { ...redundancyGroup, default: 0 },
  'host-inbound': oneOrMany('What the host itself accepts from this zone: any, ping, names of services (ssh, dns, bgp, ...), `tcp/8080`, or `{protocol, ports}`.',
    service, { default: [], examples: [['ping', 'ssh', 'tcp/8443']] }),
  screen: name('Screen profile for packets from this zone.'),
  fragments: choice('Later fragments: follow the first, or drop.', ['follow', 'drop'], 'follow'),
  'tcp-loose': flag('A TCP packet that is not a SYN may open a session.', false),
  multicast: flag('Multicast goes to the host.', false),
  dhcp: flag('DHCP goes to the host.', false),
  'icmp-errors': flag('ICMP errors are generated toward this zone.', true),
}))

/** Screens with a rate, and the largest that makes sense: the port bloom has 64 bits. */
const rates: Readonly<Record<string, number>> = { syn_flood: 1e9, syn_source: 1e9, udp_flood: 1e9, icmp_flood: 1e9, port_scan: 63, session_limit: 1e9 }
export const screenHasRate = (snake: string): boolean => snake in rates
export const screens = mapOf('Screen profiles by name: packets dropped before any policy.', object('A screen profile.',
  Object.fromEntries(screen.map(s => [kebab(s.name), s.name in rates
    ? integer(`${s.text}: most per second; 0 = off.`, 0, rates[s.name] ?? 0, { default: 0 })
    : flag(`${s.text}: drop.`, false)]))))

export const routes = listOf('Static routes for ports without a kernel. Subnets of interface addresses are routes already.', object('A route.', {
  prefix: text('Destination.', { examples: ['0.0.0.0/0', '2001:db8::/32'] }),
  via: text('Next hop.', { examples: ['10.77.1.254'] }),
  interface: name('Egress interface. Default: the one whose subnet holds the next hop.'),
  blackhole: flag('Drop silently.', false),
}, ['prefix']), { default: [] })
