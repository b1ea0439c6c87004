/** The ingress chains as text, against a table of configurations; really checked by nft, and loaded in a fresh namespace, when that is allowed. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ingressChains, ingressTable, type IngressPort } from '../../../src/backend/table/ingress.js'
import { HeldTable } from '../../../src/backend/table/nft.js'
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
  return { desired, text: ingressChains([{ device: 'dummy0', zones, addresses: ['10.0.0.1/24', '2001:db8::1/64', 'fe80::1/64'], management: true, ...port }], desired) }
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
  t.notMatch(ingressTable('x; flush ruleset'), /[; ]/)
})

/** A fresh network namespace with a pair of veth, held by a process. */
async function namespace (t: Test): Promise<{ readonly path: string, readonly nft: (...args: string[]) => string }> {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'ip link add dummy0 type veth peer name dummy1 && echo ready && exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => { holder.stdin.end(); await once(holder, 'close') })
  await once(holder.stdout, 'data')
  const path = `/proc/${holder.pid}/ns/net`
  return { path, nft: (...args) => { const run = spawnSync('nsenter', [`--net=${path}`, 'nft', ...args], { encoding: 'utf8' }); return run.stdout + run.stderr } }
}
const skip = canLoad ? false : isRoot ? 'needs nft, unshare -n and veth devices' : 'needs root'
const chainsOf = (c: Case): string => rules(c.zone ?? '', c.top, c.port).text

t.test('nft takes every one of them, one after the other in one table, which goes when it is released', { skip }, async t => {
  const { path, nft } = await namespace(t)
  const table = new HeldTable(path, ingressTable('test'))
  for (const c of cases) {
    await table.write(chainsOf(c))
    t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /chain port_0/, c.name)
    const { desired } = rules(c.zone ?? '', c.top)
    await table.write(ingressChains(['dummy0', 'dummy1'].map(device => ({ device, zones: desired.zones, addresses: ['10.0.0.1/24'], management: true })), desired))
    t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /chain port_1/, `${c.name}, two ports`)
  }
  await t.rejects(table.write('chain x { nonsense }'), { code: 'LS_B_NFT', message: /syntax error/ })
  t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /chain port_1/, 'what is refused changes nothing')
  await table.release()
  await table.release()
  t.equal(nft('list', 'tables'), '')
})

t.test('the table of a holder that was killed goes with it; nobody else can replace it before', { skip }, async t => {
  const { path, nft } = await namespace(t)
  const chains = chainsOf({ name: 'default deny' })
  nft('add', 'table', 'netdev', 'lockstep_test') // without an owner: left by somebody, and replaced
  const script = `import { HeldTable } from ${JSON.stringify(new URL('../../../src/backend/table/nft.js', import.meta.url).href)}
    await new HeldTable(process.argv[1], 'lockstep_test').write(process.argv[2])
    console.log('written')
    setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script, path, chains], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /policy drop/)
  const second = new HeldTable(path, 'lockstep_test')
  await t.rejects(second.write(chains), { code: 'LS_B_NFT', message: /not permitted.*other agent/s })
  t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /policy drop/)
  holder.kill('SIGKILL')
  await second.write(chains) // waits for the moment until the first is gone
  t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /policy drop/)
  await second.release()
  t.equal(nft('list', 'tables'), '')
})

t.test('an nft that dies takes the table along, which is told, and the next write makes it again', { skip }, async t => {
  const { path, nft } = await namespace(t)
  const chains = chainsOf({ name: 'default deny' })
  const table = new HeldTable(path, 'lockstep_test')
  t.teardown(async () => { await table.release() })
  await table.write(chains)
  const pid = readdirSync('/proc').find(p => /^\d+$/.test(p) && childOfMine(p) && readFileSync(`/proc/${p}/comm`, 'utf8').trim() === 'nft')
  process.kill(Number(pid), 'SIGKILL')
  while (table.deaths === 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(nft('list', 'tables'), '')
  await table.write(chains)
  t.match(nft('list', 'table', 'netdev', 'lockstep_test'), /policy drop/)
  t.equal(table.deaths, 1)
})

function childOfMine (pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(process.pid)
  } catch {
    return false
  }
}
