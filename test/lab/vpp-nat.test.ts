/**
 * Two real VPPs that translate, two agents that keep their sessions equal: what was opened through one goes on through the other, all of it with NAT44-EI, UDP
 * with NAT44-ED. And what an operator does to sessions of NAT44-ED.
 *
 *     client --- [outside] --- r1: wan VPP lan --- [inside] --- s1
 *                          --- r2: wan VPP lan ---
 *
 * Who forwards is a route of client and server here, as a routing daemon would set it. In r1 and r2, agent and VPP talk over a pair of interfaces of their own.
 */
import t from 'tap'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveVpp, vppSkip } from '../vpp/live-vpp.js'
import { LabAgent } from './agent.js'
import type { NetClientFigures, NetClientOptions } from './net-client.js'
import { own, pairPlan, routers, type RouterName } from './pair-topology.js'
import { nodeProgram, startNetServer } from './servers.js'
import { must } from './shell.js'
import { nothingLeft, prefixOf } from './support.js'
import { Topology, addresses, netnsOf, type Plan } from './topology.js'
import type { ClusterJson } from './pair-lab.js'

const pool = '10.77.2.100'
const echo = 5007
/** Of the VPPs, beside the kernel's own. */
const vppAddresses = { r1: { wan: '10.77.1.21', lan: '10.77.2.21', link: '10.99.1' }, r2: { wan: '10.77.1.22', lan: '10.77.2.22', link: '10.99.2' } } as const

function plan (prefix: string): Plan {
  const pair = pairPlan(prefix)
  const at = (router: RouterName, line: string): Plan['commands'][number] => ({ netns: netnsOf(prefix, router), argv: line.split(' ') })
  return {
    hosts: pair.hosts,
    commands: [...pair.commands, ...routers.flatMap((r) => [
      at(r, 'ip link add va type veth peer name vb'), at(r, 'ethtool -K vb tx off tso off'), at(r, `ip addr add ${vppAddresses[r].link}.2/24 dev vb`), at(r, 'ip link set va up'), at(r, 'ip link set vb up'),
      ...['wan', 'lan'].flatMap((dev) => [at(r, `ip addr flush dev ${dev}`), at(r, `ethtool -K ${dev} gso on`)])
    ])]
  }
}

type Kind = 'ei' | 'ed'

const sessionsOf: Readonly<Record<Kind, (link: string) => string>> = {
  ei: link => `nat-sessions: {agent: "${link}.2:17100", vpp: "${link}.1:17101", refresh: 1s}`,
  ed: () => 'nat44-ed-sessions: {interval: 1s}'
}

const config = (kind: Kind, vpps: Readonly<Record<RouterName, LiveVpp>>, keyFile: string): string => `agent:
  backend: vpp
  table: {capacity: 64k}
  gateway: {grpc: null, metrics: null}
nodes:
${routers.map((r) => `  ${r}: {agent: {vpp: {api-socket: ${vpps[r].apiSocket}, stats-socket: ${vpps[r].statsSocket}, ${sessionsOf[kind](vppAddresses[r].link)}}}}`).join('\n')}
cluster:
  key-file: ${keyFile}
  nodes:
${routers.map((r) => `    ${r}: {index: ${own[r].index}, sync: ["${own[r].sync}:7946", "${own[r].spare}:7946"], heartbeat: ["${own[r].sync}:7945", "${own[r].spare}:7945"]}`).join('\n')}
redundancy-groups:
  0: {priority: {r1: 200, r2: 100}}
`

async function interfaces (vpp: LiveVpp, { wan, lan, link }: (typeof vppAddresses)[RouterName]): Promise<void> {
  for (const [i, [port, address]] of [['wan', wan], ['lan', lan], ['va', `${link}.1`]].entries()) {
    await vpp.cli(`create host-interface name ${port} hw-addr 02:99:00:00:0${link.slice(-1)}:0${i}`) // the same in each life, as that of a card
    await vpp.cli(`set interface ip address host-${port} ${address}/24`)
    await vpp.cli(`set interface state host-${port} up`)
  }
}

/** As whoever runs VPP has it in its startup commands. */
async function nat (kind: Kind, vpp: LiveVpp, at: (typeof vppAddresses)[RouterName]): Promise<void> {
  await interfaces(vpp, at)
  const name = kind === 'ei' ? 'nat44 ei' : 'nat44'
  for (const command of [`${name} plugin enable sessions 20000`, `set interface ${name} in host-wan out host-lan`, `${name} add address ${pool}`]) await vpp.cli(command)
}

/** `protocol inside -> outside` of each session. */
const translations = async (vpp: LiveVpp): Promise<Set<string>> => new Set([...(await vpp.cli('show nat44 ei sessions detail')).matchAll(/i2o (\S+) proto (\S+) port (\d+) fib 0\s+o2i (\S+) proto \S+ port (\d+)/g)].map(([, inside, proto, port, outside, outPort]) => `${proto} ${inside}:${port} -> ${outside}:${outPort}`))

type Tap = Pick<typeof t, 'teardown'>
interface Pair {
  readonly vpps: Readonly<Record<RouterName, LiveVpp>>
  readonly agent: (r: RouterName) => LabAgent
  readonly group: (r: RouterName) => Promise<ClusterJson['groups'][number] | undefined>
  /** Client and server send by this router from here on; `null`: by none. */
  readonly route: (r: RouterName | null) => Promise<void>
  readonly client: (o: Partial<NetClientOptions>) => Promise<NetClientFigures>
  /** How long it took, ms. */
  readonly until: (what: string, holds: () => Promise<boolean> | boolean, withinMs?: number) => Promise<number>
}

/** Two routers with a VPP and an agent each; r1 owns, and client and server send through it. */
async function pairOf (t: Tap, kind: Kind): Promise<Pair> {
  const prefix = prefixOf(kind === 'ei' ? 'vnat' : 'vnep')
  const topology = await Topology.open({ prefix }, plan(prefix))
  const remember = (pid: number): void => { topology.remember(pid) }
  const vppOf = (r: RouterName): LiveVpp => new LiveVpp({ directory: join(topology.directory, `vpp-${r}`), netns: netnsOf(prefix, r), prefix: netnsOf(prefix, r), ...kind === 'ed' && { plugins: ['af_packet', 'lb', 'nat', 'ping'] }, remember })
  const vpps = { r1: vppOf('r1'), r2: vppOf('r2') }
  const agents = new Map<RouterName, LabAgent>()
  const server = await startNetServer(topology, 's1', { name: 'one', udpEcho: echo, tcpEcho: echo })
  t.teardown(async () => {
    for (const agent of agents.values()) await agent.stop()
    await server.stop()
    for (const r of routers) await vpps[r].remove()
    await topology.close()
    await nothingLeft(prefix, topology.directory)
  })
  const keyFile = join(topology.directory, 'cluster.key')
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
  const said = (): string => [...agents].map(([name, { log }]) => `--- ${name}\n${log.split('\n').slice(-15).join('\n')}`).join('\n')
  const until = async (what: string, holds: () => Promise<boolean> | boolean, withinMs = 20_000): Promise<number> => {
    const began = performance.now()
    for (const end = Date.now() + withinMs; !await holds(); await sleep(20)) if (Date.now() > end) throw new Error(`not in time: ${what}\n${said()}`)
    return Math.round(performance.now() - began)
  }
  const start = async (r: RouterName): Promise<void> => {
    const directory = join(topology.directory, r)
    mkdirSync(directory, { recursive: true })
    agents.set(r, await LabAgent.start({ directory, instance: netnsOf(prefix, r), netns: netnsOf(prefix, r), node: r, remember }, config(kind, vpps, keyFile)))
  }
  const agent = (r: RouterName): LabAgent => { const found = agents.get(r); if (found === undefined) throw new Error(`${r} has no agent`); return found }
  const group = async (r: RouterName): Promise<ClusterJson['groups'][number] | undefined> => (await agent(r).json<ClusterJson>(['cluster', 'status'])).groups.find(({ rg }) => rg === 0)
  const route = async (r: RouterName | null): Promise<void> => {
    await must({ netns: netnsOf(prefix, 'client'), argv: ['ip', 'route', 'replace', ...r === null ? ['blackhole', `${addresses.s1.v4}/32`] : [`${addresses.s1.v4}/32`, 'via', vppAddresses[r].wan]] })
    await must({ netns: netnsOf(prefix, 's1'), argv: ['ip', 'route', 'replace', ...r === null ? ['blackhole', `${pool}/32`] : [`${pool}/32`, 'via', vppAddresses[r].lan]] })
  }
  const client = async (o: Partial<NetClientOptions>): Promise<NetClientFigures> => {
    const options: NetClientOptions = { kind: 'dns', host: addresses.s1.v4, port: echo, count: 1, intervalMs: 2, bytes: 64, patienceMs: 3000, ...o }
    return JSON.parse(await must({ netns: netnsOf(prefix, 'client'), argv: nodeProgram('net-client', options) }, 120_000)) as NetClientFigures
  }
  for (const r of routers) {
    await vpps[r].start()
    await nat(kind, vpps[r], vppAddresses[r])
  }
  await start('r1')
  await start('r2')
  await route('r1')
  await until('r1 owns, r2 is ready', async () => (await group('r1'))?.role === 'owner' && (await group('r2'))?.ready === true, 40_000)
  return { vpps, agent, group, route, client, until }
}

t.test('two VPPs and their translations', { skip: await vppSkip('ethtool') }, async (t) => {
  const { vpps, agent, group, route, client, until } = await pairOf(t, 'ei')
  let connection: Promise<NetClientFigures> | null = null
  await t.test('what is opened through one is on the other, translated alike', async (t) => {
    await client({ count: 20 }) // neighbours are asked for
    const { error, received } = await client({ count: 300 })
    t.same([error, received], [null, 300])
    connection = client({ kind: 'tcp', count: 2400, intervalMs: 20, patienceMs: 20_000 })
    await until('all of r1 are on r2', async () => (await translations(vpps.r1)).size >= 280 && (await translations(vpps.r2)).size === (await translations(vpps.r1)).size)
    t.same([...await translations(vpps.r2)].sort(), [...await translations(vpps.r1)].sort())
    const [mine, theirs] = [await agent('r1').count(), await agent('r2').count()]
    t.ok(mine >= 280 && mine === theirs, `${mine} and ${theirs} in the tables`)
    const before = (await translations(vpps.r2)).size
    const one = client({ kind: 'udp', count: 50, intervalMs: 20 })
    const lagMs = await until('a new one is on r2', async () => (await translations(vpps.r2)).size > before)
    await one
    t.comment(`lag from the first packet through r1 to the translation in r2: ${lagMs} ms, most of which is VPP's own second of gathering`)
  })

  await t.test('r1 dies, all of it: connections go on through r2', async (t) => {
    const flows = Array.from({ length: 5 }, async () => await client({ kind: 'udp', count: 500, intervalMs: 20, patienceMs: 2000 }))
    await sleep(4000) // VPP tells of them within a second
    const killedAt = performance.now()
    await Promise.all([vpps.r1.kill(), agent('r1').kill()])
    await route('r2')
    await until('r2 owns', async () => (await group('r2'))?.role === 'owner')
    t.comment(`r2 owns ${Math.round(performance.now() - killedAt)} ms after r1 died`)
    const ended = await Promise.all(flows)
    for (const { sent, received, longestGapMs } of ended) t.ok(sent === 500 && received > 350, `a UDP flow: ${received} of ${sent}, silent for ${Math.round(longestGapMs)} ms`)
    const first = ended.map(({ sent, received }) => sent - received)
    t.comment(`of five UDP flows at 50 packets/s ${first.join(', ')} packets were lost with r1`)
    t.same((await client({ count: 100 })).received, 100, 'new flows')
  })

  await t.test('VPP of the owner dies and comes back with nothing: it gets all of them again, and goes on', async (t) => {
    await sleep(1500) // VPP tells of the last ones within a second
    const before = await translations(vpps.r2)
    const connects = (): number => agent('r2').log.split('"event":"vpp-connect"').length - 1
    const was = connects()
    await vpps.r2.kill()
    await route(null) // as a routing daemon does, which withdraws what nobody owns
    await vpps.r2.start()
    await nat('ei', vpps.r2, vppAddresses.r2)
    await until('connected again', () => connects() > was)
    await until('all are back', async () => { const now = await translations(vpps.r2); return [...before].every((one) => now.has(one)) })
    await until('r2 owns again', async () => (await group('r2'))?.role === 'owner')
    await route('r2')
    const figures = await connection
    t.same([figures?.error, figures?.received], [null, 2400], JSON.stringify(figures))
    t.comment(`a TCP connection through both deaths: ${figures?.received} echoes, longest gap ${figures?.longestGapMs} ms`)
  })
})

t.test('NAT44-ED: UDP goes on through the other VPP as it was translated, and TCP does not', { skip: await vppSkip('ethtool') }, async (t) => {
  const { vpps, agent, group, route, client, until } = await pairOf(t, 'ed')
  const mappings = async (r: RouterName): Promise<Set<string>> => new Set([...(await vpps[r].cli('show nat44 static mappings')).matchAll(/^\s*(\S+) local (\S+):(\d+) external (\S+):(\d+) /gm)].map(([, ...of]) => of.join(' ')))
  const sessions = async (r: RouterName): Promise<Set<string>> => new Set((await agent(r).sessions()).filter(({ proto }) => proto === 17).map(({ src, sport, reply_dst, reply_dport }) => `UDP ${src} ${sport} ${reply_dst} ${reply_dport}`))
  await client({ count: 20 })
  const { error, received } = await client({ count: 100 })
  t.same([error, received], [null, 100])
  const flows = Array.from({ length: 5 }, async () => await client({ kind: 'udp', count: 500, intervalMs: 20, patienceMs: 2000 }))
  const connection = client({ kind: 'tcp', count: 300, intervalMs: 20, patienceMs: 3000 })
  await until('mappings at r2 for all sessions of r1', async () => { const [at1, at2] = [await sessions('r1'), await mappings('r2')]; return at1.size > 100 && at1.size === at2.size && [...at1].every(one => at2.has(one)) })
  t.equal((await mappings('r1')).size, 0, 'the owner needs none')
  await Promise.all([vpps.r1.kill(), agent('r1').kill()])
  await route('r2')
  await until('r2 owns', async () => (await group('r2'))?.role === 'owner')
  const ended = await Promise.all(flows)
  for (const { sent, received, longestGapMs } of ended) t.ok(sent === 500 && received > 350, `a UDP flow: ${received} of ${sent}, silent for ${Math.round(longestGapMs)} ms`)
  t.ok((await connection).received < 300, 'TCP: VPP drops what comes in the middle of a connection')
  t.equal((await sessions('r2')).size, (await mappings('r2')).size, 'sessions with their mappings')
  t.same((await client({ count: 50 })).received, 50, 'new flows')
})

t.test('sessions of NAT44-ED are shown, and end in VPP when an operator ends them', { skip: await vppSkip('ethtool') }, async (t) => {
  const prefix = prefixOf('vned')
  const topology = await Topology.open({ prefix }, plan(prefix))
  const remember = (pid: number): void => { topology.remember(pid) }
  const netns = netnsOf(prefix, 'r1')
  const vpp = new LiveVpp({ directory: join(topology.directory, 'vpp'), netns, prefix: netns, plugins: ['af_packet', 'lb', 'nat', 'ping'], remember })
  let agent: LabAgent | null = null
  const server = await startNetServer(topology, 's1', { name: 'one', udpEcho: echo })
  t.teardown(async () => {
    await agent?.stop()
    await server.stop()
    await vpp.remove()
    await topology.close()
    await nothingLeft(prefix, topology.directory)
  })
  await vpp.start()
  await nat('ed', vpp, vppAddresses.r1)
  for (const [host, to, via] of [['client', addresses.s1.v4, vppAddresses.r1.wan], ['s1', pool, vppAddresses.r1.lan]] as const) await must({ netns: netnsOf(prefix, host), argv: ['ip', 'route', 'replace', `${to}/32`, 'via', via] })
  const started = agent = await LabAgent.start({ directory: topology.directory, instance: netns, netns, remember }, `agent:
  backend: vpp
  table: {capacity: 4096}
  gateway: {grpc: null, metrics: null}
  vpp: {api-socket: ${vpp.apiSocket}, stats-socket: ${vpp.statsSocket}, nat44-ed-sessions: {interval: 1s}}
`)
  const query = async (count: number): Promise<void> => {
    const options: NetClientOptions = { kind: 'dns', host: addresses.s1.v4, port: echo, count, intervalMs: 2, bytes: 64, patienceMs: 1000 }
    await must({ netns: netnsOf(prefix, 'client'), argv: nodeProgram('net-client', options) }, 60_000)
  }
  const ofVpp = async (): Promise<number> => Number(/total sessions: (\d+)|(\d+) sessions/.exec(await vpp.cli('show nat44 sessions'))?.slice(1).find((n) => n !== undefined) ?? -1)
  const equal = async (least: number): Promise<number> => {
    for (const end = Date.now() + 15_000; ; await sleep(200)) {
      const [here, there] = [await started.count(), await ofVpp()]
      if (here === there && here >= least) return here
      if (Date.now() > end) throw new Error(`${here} sessions in the table, ${there} in VPP\n${started.log.split('\n').slice(-10).join('\n')}`)
    }
  }
  await query(50)
  const count = await equal(40)
  const [first] = await started.sessions()
  t.match(first, { src: addresses.client.v4, dst: addresses.s1.v4, dport: echo, reply_src: addresses.s1.v4, reply_dst: pool, flags: ['SNAT', 'PROGRAM'] })
  await started.json(['sessions', 'delete', '--source-port', String(first?.sport), '--yes'])
  await sleep(2500)
  t.equal(await equal(1), count - 1, 'one less in both')
})
