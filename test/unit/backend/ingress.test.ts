/** The ingress chains as text, against a table of configurations; really checked by nft, and loaded in a fresh namespace, when that is allowed. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { ingressRemoval, ingressRules, ingressTable, type IngressPort } from '../../../src/backend/userspace/ingress.js'
import type { Desired } from '../../../src/contract/desired.js'
import { desiredOf } from '../../conformance/rig.js'

const isRoot = process.getuid?.() === 0
const canLoad = isRoot && spawnSync('nft', ['--version']).status === 0 && spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'dummy0', 'type', 'veth', 'peer', 'name', 'dummy1']).status === 0

/** A port `eth0` with the interface's zone, and the chain made for it. */
function rules (zone: string, top = '', port: Partial<IngressPort> = {}): { readonly text: string, readonly desired: Desired } {
  const desired = desiredOf(`
interfaces: {eth0: {zone: z, addresses: [10.0.0.1/24, "2001:db8::1/64"]}}
zones: {z: {${zone}}}
${top}
`)
  const zones = desired.zones
  return { desired, text: ingressRules('test', [{ device: 'dummy0', zones, addresses: ['10.0.0.1/24', '2001:db8::1/64', 'fe80::1/64'], management: true, ...port }], desired) }
}

interface Case { readonly name: string, readonly zone?: string, readonly top?: string, readonly port?: Partial<IngressPort>, readonly has?: readonly RegExp[], readonly hasNot?: readonly RegExp[] }
const cases: readonly Case[] = [
  { name: 'default deny', has: [/policy drop/, /ether type \{ arp, 0x88cc, 0x8809 \} accept/, /nd-neighbor-solicit/, /tcp dport \{ 22 \} accept/, /ip daddr \{ 10\.0\.0\.1 \} jump host_0/, /ip6 daddr \{ 2001:db8::1, fe80::1 \} jump host_0/], hasNot: [/echo-request/, /pkttype multicast/, /dport \{ 67/] },
  { name: 'no management on this port', port: { management: false }, hasNot: [/tcp dport \{ 22 \} accept/] },
  { name: 'management of its own', top: 'agent: {management: {ports: [2222, 8022]}}', has: [/tcp dport \{ 2222, 8022 \} accept/] },
  { name: 'ping', zone: 'host-inbound: [ping]', has: [/icmp type echo-request accept/, /icmpv6 type echo-request accept/] },
  { name: 'services', zone: 'host-inbound: [bgp, dns, tcp/8000-8010, ospf]', has: [/tcp dport 179-179 accept/, /udp dport 53-53 accept/, /tcp dport 8000-8010 accept/, /meta l4proto 89 accept/] },
  { name: 'everything', zone: 'host-inbound: [any]', has: [/host_0 \{\n\t\ttcp dport \{ 22 \} accept\n\t\taccept\n/] },
  { name: 'multicast and DHCP', zone: 'multicast: true, dhcp: true', has: [/pkttype multicast accept/, /udp dport \{ 67, 68, 546, 547 \} accept/] },
  { name: 'translated ports belong to the pipeline', top: 'nat: {interface-ports: 2000-3000, source: [{name: s, translate: interface}]}', has: [/th dport 2000-3000 drop/] },
  { name: 'without interface NAT nothing is taken', hasNot: [/th dport/] },
  { name: 'replies to the host', top: 'agent: {host-ports: 40000-50000}', has: [/tcp dport 40000-50000 tcp flags & \(syn \| ack\) != syn accept/, /udp dport 40000-50000 accept/] },
  { name: 'a port without addresses', port: { addresses: [] }, hasNot: [/daddr/] },
  { name: 'one family only', port: { addresses: ['10.0.0.1/24'] }, hasNot: [/ip6 daddr \{/] },
  { name: 'addresses that are none', port: { addresses: ['x', '10.0.0.1', '10.0.0.1/24', '; drop', ''] }, has: [/ip daddr \{ 10\.0\.0\.1 \} jump/], hasNot: [/; drop/] }
]

for (const c of cases) {
  t.test(c.name, async t => {
    const { text } = rules(c.zone ?? '', c.top, c.port)
    for (const expected of c.has ?? []) t.match(text, expected)
    for (const unwanted of c.hasNot ?? []) t.notMatch(text, unwanted)
    t.equal(text.match(/^table netdev lockstep_test \{\}$/m)?.length, 1, 'replaced in one transaction')
    t.ok(text.indexOf('delete table') < text.indexOf('chain'))
    if (/jump host_0/.test(text)) t.ok(text.indexOf('chain host_0') < text.indexOf('jump host_0'), 'defined before it is used')
  })
}

t.test('order in a host chain: management, translated ports, then the rest', async t => {
  const { text } = rules('host-inbound: [ping]', 'nat: {source: [{name: s, translate: interface}]}')
  const at = (pattern: RegExp): number => text.search(pattern)
  t.ok(at(/dport \{ 22 \}/) < at(/th dport/) && at(/th dport/) < at(/echo-request/))
})

t.test('names of instances become names of tables, and of nobody else\'s', async t => {
  t.equal(ingressTable('edge-1.a'), 'lockstep_edge_1_a')
  t.match(ingressRemoval('edge'), /^table netdev lockstep_edge \{\}\ndelete table netdev lockstep_edge\n$/)
  t.notMatch(ingressTable('x; flush ruleset'), /[; ]/)
})

t.test('nft takes every one of them', { skip: canLoad ? false : isRoot ? 'needs nft, unshare -n and veth devices' : 'needs root' }, async t => {
  for (const c of cases) {
    const { text } = rules(c.zone ?? '', c.top, c.port)
    const two = ingressRules('test', ['dummy0', 'dummy1'].map(device => ({ device, zones: rules(c.zone ?? '', c.top).desired.zones, addresses: ['10.0.0.1/24'], management: true })), rules(c.zone ?? '', c.top).desired)
    const script = 'ip link add dummy0 type veth peer name dummy1 && nft -c -f - <<E && nft -f - <<E && nft -f - <<E && nft list tables && nft -f - <<E && nft list tables\n'
    const input = script.replace(/<<E/g, () => '<<E') + [text, text, two, ingressRemoval('test')].map(part => `${part}E\n`).join('')
    const run = spawnSync('unshare', ['-n', 'sh', '-e'], { input, encoding: 'utf8' })
    t.same([run.status, run.stderr, run.stdout], [0, '', 'table netdev lockstep_test\n'], `${c.name}: loaded twice, replaced, removed`)
  }
})
