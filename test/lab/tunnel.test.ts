/**
 * Direct server return through a tunnel over a path of 1400 bytes, on a pair: what the client sends does not fit, and the router on the way says so to the node
 * that does not own the VIP. Uploads of 100 MB end, in both families and on both backends.
 *
 *     client --- r1, r2 --- s2 (a router) --1400-- far, which takes the tunnel off and answers the client by a way of its own
 */
import t, { type Test } from 'tap'
import { bpfObject } from './bpf-object.js'
import { ebpfSkip } from './instance.js'
import { openPairLab, type PairLab } from './pair-lab.js'
import { own, pairPlan, quiet, routers } from './pair-topology.js'
import { ports } from './servers.js'
import { Background, must } from './shell.js'
import { skipReason } from './support.js'
import { addresses, netnsOf, type HostName, type Plan } from './topology.js'
import { iperf } from './traffic.js'

const PATH = 1400
const modes = { ipip: { v4: '10.77.0.40', v6: 'fd77::40' }, gre: { v4: '10.77.0.41', v6: 'fd77::41' } } as const
const header = { ipip: { v4: 20, v6: 40 }, gre: { v4: 24, v6: 44 } } as const
const far = { v4: '10.77.3.2', v6: 'fd77:3::2' } as const

function plan (prefix: string): Plan {
  const { hosts, commands } = pairPlan(prefix)
  const ns = (host: HostName): string => netnsOf(prefix, host)
  const at = (host: HostName, ...lines: readonly string[]): Plan['commands'] => lines.map((line) => ({ netns: ns(host), argv: line.split(' ') }))
  const veth = (a: HostName, aName: string, b: HostName, bName: string, mtu: number): Plan['commands'] =>
    [{ netns: null, argv: `ip link add ${aName} netns ${ns(a)} mtu ${mtu} type veth peer name ${bName} netns ${ns(b)} mtu ${mtu}`.split(' ') }]
  const give = (host: HostName, dev: string, v4: string, v6: string): Plan['commands'] => at(host, `ip addr add ${v4} dev ${dev}`, `ip addr add ${v6} dev ${dev} nodad`, `ip link set ${dev} up`)
  return {
    hosts: [...hosts, 'far'],
    commands: [
      ...commands, { netns: null, argv: ['ip', 'netns', 'add', ns('far')] }, quiet(ns('far')),
      ...veth('s2', 'narrow', 'far', 'narrow', PATH), ...veth('far', 'back', 'client', 'back', 1500),
      ...at('far', 'ip link set lo up', 'ethtool -K narrow gro on', 'ethtool -K back tx off tso off'), ...at('client', 'ethtool -K back tx off tso off'),
      ...give('s2', 'narrow', '10.77.3.1/24', 'fd77:3::1/64'), ...give('far', 'narrow', `${far.v4}/24`, `${far.v6}/64`),
      ...give('client', 'back', '10.77.4.1/24', 'fd77:4::1/64'), ...give('far', 'back', '10.77.4.2/24', 'fd77:4::2/64'), ...Object.values(modes).flatMap(({ v4, v6 }) => give('far', 'lo', `${v4}/32`, `${v6}/128`)),
      ...at('far', 'ip route add 10.77.1.0/24 via 10.77.4.1', 'ip -6 route add fd77:1::/64 via fd77:4::1'),
      { netns: ns('s2'), argv: ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'] },
      ...routers.flatMap((r) => at(r, `ip route add 10.77.3.0/24 via ${addresses.s2.v4}`, `ip -6 route add fd77:3::/64 via ${addresses.s2.v6}`))
    ]
  }
}

const cases = (['ipip', 'gre'] as const).flatMap((mode) => (['v4', 'v6'] as const).map((family) => ({ mode, family, vip: modes[mode][family], mtu: PATH - header[mode][family] })))
const more = cases.map(({ mode, family, vip }) => `  ${mode}-${family}: {address: "${vip}", mode: ${mode}, pools: [{reals: [{name: far, address: "${far[family]}"}]}]}\n`).join('')

/** What the router on the way says to either node goes to r2. */
async function misled (lab: PairLab): Promise<void> {
  const mac = await lab.mac('r2', 'lan')
  for (const address of [own.r1.lan.v4, own.r1.lan.v6, addresses.routerServer.v4, addresses.routerServer.v6]) {
    await must({ netns: lab.netns('s2'), argv: ['ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'] })
  }
}

const sent = async (lab: PairLab, router: typeof routers[number]): Promise<number> => (await lab.agent(router).counters('global')).global?.['icmp_sent'] ?? 0

for (const backend of ['userspace', 'ebpf'] as const) {
  const skip = backend === 'ebpf' ? await ebpfSkip('iperf3', 'clang') : await skipReason('iperf3', 'clang')
  t.test(`tunnels on ${backend}`, { skip }, async (t: Test) => {
    const lab = await openPairLab(t, `tu${backend[0] ?? ''}`, { backend, more }, plan)
    const object = await bpfObject('unwrap', lab.topology.directory)
    await must({ netns: lab.netns('far'), argv: ['ip', 'link', 'set', 'narrow', 'xdp', 'obj', object, 'sec', 'xdp.frags'] })
    const server = new Background('iperf3 far', lab.netns('far'), ['iperf3', '-s', '-p', String(ports.iperf)])
    t.teardown(async () => { await server.stop() })
    await Promise.all([lab.start('r1'), lab.start('r2')])
    await lab.settled('r1')
    await misled(lab)
    for (const { mode, vip, mtu } of cases) {
      await t.test(`100 MB by ${mode} to ${vip}`, async (t) => {
        const before = await sent(lab, 'r2')
        const f = await iperf({ netns: lab.netns('client'), to: vip, bytes: 130e6, seconds: 60, reverse: false }) // of what is sent some is still on its way at the end
        t.same([f.error, f.bytes >= 100e6], [null, true], f.error === null ? 'it came' : lab.said)
        t.comment(`${f.gbitPerS} Gbit/s, ${f.retransmits} retransmissions`)
        t.ok(await sent(lab, 'r2') > before, 'the node that does not own it told the client')
        t.equal((await lab.group('r2')).role, 'standby')
        t.match(await must({ netns: lab.netns('client'), argv: ['ip', 'route', 'get', vip] }), new RegExp(`mtu ${mtu} `), 'what fits into the tunnel')
      })
    }
  })
}
