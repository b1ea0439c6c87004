/**
 * An agent beside a real VPP: VIPs get to it, what somebody else does to them is undone, traffic is balanced and counted real by real, and a VPP that dies under
 * load has everything again with its next life.
 *
 *     client --- VPP (af_packet, in a namespace of its own) --- s1, s2, which take GRE off; inside, which is translated
 */
import t from 'tap'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveVpp, vppSkip } from '../vpp/live-vpp.js'
import { LabAgent } from './agent.js'
import { bpfObject } from './bpf-object.js'
import type { NetClientFigures, NetClientOptions } from './net-client.js'
import { nodeProgram, startNetServer } from './servers.js'
import { must, run } from './shell.js'
import { nothingLeft, prefixOf } from './support.js'
import { netnsOf, Topology, type HostName, type Plan } from './topology.js'

const vip = '10.78.9.1'
/** Its port has two equal bytes: VPP swaps those of answers. */
const translated = '10.78.9.2'
const second = '10.78.4.3'
const links = { client: { port: 'vcl', vpp: '10.78.1.1', own: '10.78.1.2' }, s1: { port: 'vs1', vpp: '10.78.2.1', own: '10.78.2.2' }, s2: { port: 'vs2', vpp: '10.78.3.1', own: '10.78.3.2' }, inside: { port: 'vin', vpp: '10.78.4.1', own: '10.78.4.2' } } as const
const hosts = Object.keys(links) as Array<keyof typeof links>

function plan (prefix: string): Plan {
  const ns = (host: HostName): string => netnsOf(prefix, host)
  const at = (host: HostName, ...lines: readonly string[]): Plan['commands'] => lines.map((line) => ({ netns: ns(host), argv: line.split(' ') }))
  return {
    hosts: ['router', ...hosts],
    commands: [
      ...(['router', ...hosts] as const).map((host) => ({ netns: null, argv: ['ip', 'netns', 'add', ns(host)] })),
      ...hosts.flatMap((host): Plan['commands'] => [
        { netns: null, argv: ['ip', 'link', 'add', 'eth0', 'netns', ns(host), 'type', 'veth', 'peer', 'name', links[host].port, 'netns', ns('router')] },
        ...at(host, 'ip link set lo up', `ip addr add ${links[host].own}/24 dev eth0`, 'ip link set eth0 up', 'ethtool -K eth0 tx off tso off gro on', `ip route add default via ${links[host].vpp}`),
        ...at('router', `ip link set ${links[host].port} up`, `ethtool -K ${links[host].port} tx off tso off`)
      ]),
      ...at('inside', `ip addr add ${second}/24 dev eth0`),
      ...(['s1', 's2'] as const).flatMap((host) => at(host, `ip addr add ${vip}/32 dev lo`, 'nft add table inet count', 'nft add chain inet count in { type filter hook prerouting priority -300 ; }', `nft add rule inet count in ip daddr ${vip} counter`))
    ]
  }
}

const config = (vpp: LiveVpp): string => `
agent:
  backend: vpp
  table: {capacity: 4096}
  gateway: {grpc: null, metrics: null}
  vpp: {api-socket: ${vpp.apiSocket}, stats-socket: ${vpp.statsSocket}, tunnel-source4: ${links.s1.vpp}, nat-interfaces: [host-${links.inside.port}], flow-timeout: 1s}
vips:
  web:
    address: ${vip}
    port: 80
    mode: gre
    ring-size: 1021
    pools: [{reals: [{name: one, address: ${links.s1.own}, weight: 100}, {name: two, address: ${links.s2.own}, weight: 50}]}]
  echo:
    address: ${translated}
    port: 257
    protocol: udp
    mode: nat
    ring-size: 1021
    pools: [{reals: [{name: one, address: ${links.inside.own}}, {name: two, address: ${second}}]}]
`

/** What af_packet interfaces need after each start: those who run VPP have it in its startup commands. */
async function interfaces (vpp: LiveVpp): Promise<void> {
  for (const host of hosts) {
    const name = `host-${links[host].port}`
    await vpp.cli(`create host-interface name ${links[host].port} hw-addr 02:98:00:00:00:0${hosts.indexOf(host)}`) // the same in each life, as that of a card
    await vpp.cli(`set interface ip address ${name} ${links[host].vpp}/24`)
    await vpp.cli(`set interface state ${name} up`)
  }
}

interface Ring { readonly vip: string, readonly drifted: number, readonly reals: ReadonlyArray<{ readonly name: string, readonly entries: number }> }

t.test('an agent and a real VPP', { skip: await vppSkip('nft', 'clang', 'ethtool') }, async (t) => {
  const prefix = prefixOf('vpp')
  const topology = await Topology.open({ prefix }, plan(prefix))
  const vpp = new LiveVpp({ directory: join(topology.directory, 'vpp'), netns: netnsOf(prefix, 'router'), prefix, remember: (pid) => { topology.remember(pid) } })
  let agent: LabAgent | null = null
  const servers = await Promise.all((['s1', 's2'] as const).map(async (host, i) => await startNetServer(topology, host, { name: ['one', 'two'][i] ?? '', http: { ports: [80], root: '/' } })))
  servers.push(...await Promise.all([links.inside.own, second].map(async (address, i) => await startNetServer(topology, 'inside', { name: ['one', 'two'][i] ?? '', udpEcho: 257, address }))))
  t.teardown(async () => {
    await agent?.stop()
    for (const server of servers) await server.stop()
    await vpp.remove()
    await topology.close()
    await nothingLeft(prefix, topology.directory)
  })
  const object = await bpfObject('unwrap', topology.directory)
  for (const host of ['s1', 's2'] as const) await must({ netns: netnsOf(prefix, host), argv: ['ip', 'link', 'set', 'eth0', 'xdp', 'obj', object, 'sec', 'xdp.frags'] })

  const place = { directory: topology.directory, instance: prefix, remember: (pid: number) => { topology.remember(pid) } }
  const started = await LabAgent.start(place, config(vpp))
  agent = started
  const said = (): string => started.log.split('\n').slice(-25).join('\n')
  const until = async (what: string, holds: () => Promise<boolean> | boolean, withinMs = 15_000): Promise<void> => {
    for (const end = Date.now() + withinMs; !await holds(); await sleep(50)) if (Date.now() > end) throw new Error(`not in time: ${what}\n${said()}`)
  }
  const rings = async (): Promise<Ring[]> => await started.json<Ring[]>(['vip', 'readback'])
  const events = (name: string): number => started.log.split(`"event":"${name}"`).length - 1
  const fetch = async (count: number, more: Partial<NetClientOptions> = {}): Promise<NetClientFigures> => {
    const options: NetClientOptions = { kind: 'http', host: vip, port: 80, count, intervalMs: 2, bytes: 64, patienceMs: 2000, ...more }
    return JSON.parse(await must({ netns: netnsOf(prefix, 'client'), argv: nodeProgram('net-client', options) }, 60_000)) as NetClientFigures
  }
  const arrived = async (host: 's1' | 's2'): Promise<number> => Number(/counter packets (\d+)/.exec(await must({ netns: netnsOf(prefix, host), argv: ['nft', 'list', 'chain', 'inet', 'count', 'in'] }))?.[1])

  await t.test('an agent that is there first waits, and says for what', async (t) => {
    const status = await started.status()
    t.equal(status.state, 'degraded')
    t.match(JSON.stringify(status), /VPP is not connected/)
    await vpp.start()
    await interfaces(vpp)
    await until('connected', () => events('vpp-connect') === 1)
    t.match(await rings(), [{ vip: 'echo', drifted: 0 }, { vip: 'web', drifted: 0, reals: [{ name: 'one' }, { name: 'two' }] }])
    await until('no reason to be degraded', async () => (await started.status()).state === 'running')
  })

  await t.test('traffic goes to both by weight, and is counted as the servers count it', async (t) => {
    const figures = await fetch(600)
    t.same([figures.error, figures.received], [null, 600], said())
    const { one = 0, two = 0 } = figures.servers
    t.ok(one > two && two > 120, `${one} and ${two} of 600`)
    await sleep(2500) // counters are read once a second
    const { real = {}, vip: vips = {} } = await started.counters('real', 'vip')
    const [inOne, inTwo] = [await arrived('s1'), await arrived('s2')]
    t.comment(`servers: ${inOne} and ${inTwo} packets; counters ${JSON.stringify({ real, vips })}`)
    t.match(real, { 'web/one': inOne, 'web/two': inTwo })
    t.match(vips, { web: inOne + inTwo })
  })

  await t.test('UDP by translation: answers come from the VIP', async (t) => {
    await started.json(['vip', 'sync']) // its interfaces are there by now
    const figures = await fetch(300, { kind: 'dns', host: translated, port: 257 })
    t.same([figures.error, figures.received], [null, 300], said())
    t.ok((figures.servers['one'] ?? 0) > 100 && (figures.servers['two'] ?? 0) > 100, JSON.stringify(figures.servers))
    await sleep(2500)
    const { vip: vips = {}, real = {} } = await started.counters('vip', 'real')
    t.equal(vips['echo'], 300)
    t.match(real, { 'echo/one': figures.servers['one'], 'echo/two': figures.servers['two'] })
  })

  await t.test('a real that drains takes no new flow', async (t) => {
    await started.json(['real', 'drain', 'web/one'])
    await until('no share', async () => (await rings()).find(({ vip }) => vip === 'web')?.reals.find(({ name }) => name === 'one')?.entries === 0)
    await sleep(2500) // ports that the client uses again are no new flows to VPP until it has forgotten them
    t.same((await fetch(50)).servers, { two: 50 })
    await started.json(['real', 'restore', 'web/one'])
    await until('its share again', async () => ((await rings()).find(({ vip }) => vip === 'web')?.reals.find(({ name }) => name === 'one')?.entries ?? 0) > 0)
  })

  await t.test('what is done to VPP by hand is undone', async (t) => {
    await vpp.cli(`lb as ${vip}/32 protocol tcp port 80 ${links.s1.own} del`)
    await vpp.cli('lb vip 10.78.9.77/32')
    await vpp.cli('lb conf timeout 7')
    t.equal((await rings()).find(({ vip }) => vip === 'web')?.drifted, 1)
    const repaired = await started.json<{ repaired: Array<{ vip: string }> }>(['vip', 'sync'])
    t.same(repaired.repaired.map(({ vip }) => vip).sort(), ['(settings)', '10.78.9.77/32 any', 'web'], JSON.stringify(repaired))
    t.same((await rings()).map(({ drifted }) => drifted), [0, 0])
    t.notMatch(await vpp.cli('show lb vips'), /10\.78\.9\.77\/32(?!.*removed)/)
  })

  await t.test('VPP is killed under load: its next life has everything with the first connection', async (t) => {
    const load = fetch(4000, { patienceMs: 500 }).catch((error: unknown) => error)
    await sleep(1000)
    const before = await started.counters('real')
    await vpp.kill()
    await until('the agent knows', () => events('vpp-disconnect') === 1, 3000)
    await vpp.start()
    await interfaces(vpp)
    await until('connected again', () => events('vpp-connect') === 2)
    t.match(await rings(), [{ vip: 'echo', drifted: 0 }, { vip: 'web', drifted: 0 }])
    await load
    const figures = await fetch(100)
    t.same([figures.error, figures.received], [null, 100])
    await sleep(1500)
    const after = await started.counters('real')
    for (const [name, n] of Object.entries(before.real ?? {})) t.ok((after.real?.[name] ?? 0) >= n, `${name} never falls`)
  })

  await t.test('a VPP that hangs is a VPP that is gone', async () => {
    process.kill(vpp.pid, 'SIGSTOP')
    await until('the agent knows', () => events('vpp-disconnect') === 2, 12_000)
    process.kill(vpp.pid, 'SIGCONT')
    await until('connected again', () => events('vpp-connect') === 3, 12_000)
  })

  await t.test('its VIPs go on without the agent, and another backend takes them away', async (t) => {
    await started.stop()
    t.same((await fetch(50)).received, 50)
    agent = await LabAgent.start(place, config(vpp))
    t.match(await vpp.cli('show lb vips'), new RegExp(vip.replaceAll('.', '\\.')))
    t.equal((await run(agent.argv(['backend', 'switch', 'userspace']))).code, 0, said())
    t.notMatch(await vpp.cli('show lb vips'), new RegExp(`${vip.replaceAll('.', '\\.')}/32(?!.*removed)`))
  })
})
