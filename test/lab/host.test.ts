/** The host changes while the agent forwards: links, MTUs, addresses, routes, neighbours. Nobody tells the agent; it follows the kernel. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ebpfSkip } from './instance.js'
import { ports } from './servers.js'
import { must } from './shell.js'
import { agentSaid, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, echo, httpUrl, iperf, ping } from './traffic.js'


for (const [backend, skip] of [['userspace', await skipReason('curl', 'ping')], ['ebpf', await ebpfSkip('curl', 'ping')]] as const) t.test(`what the kernel knows, the router knows: ${backend}`, { skip }, async (t) => {
  const lab = await openLab(t, 'host')
  // Two workers: whatever changes must reach both.
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'workers'], 2], [['agent', 'backend'], backend]]))
  const client = lab.netns('client')
  const at = async (host: 'router' | 's1' | 's2' | 'lan', ...argv: string[]): Promise<string> => await must({ netns: lab.netns(host), argv })
  const answers = async (to: string): Promise<boolean> => (await ping({ netns: client, to, count: 1, waitS: 1 })).received === 1
  /** Milliseconds until it holds; tries for at most ten seconds. */
  const eventually = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const begun = performance.now()
    let ok = await holds()
    while (!ok && performance.now() - begun < 60_000) {
      await sleep(50)
      ok = await holds()
    }
    t.ok(ok, `${what}, after ${(performance.now() - begun).toFixed(0)} ms`)
  }

  await t.test('datagrams in fragments, both families, through source NAT', async (t) => {
    for (const to of [addresses.s1.v4, addresses.s2.v6]) {
      await eventually(`${to} answers`, async () => await answers(to)) // XDP keeps no frame for a neighbour that is still asked for
      t.equal((await ping({ netns: client, to, count: 5, size: 4000 })).received, 5, `ping of 4000 bytes ${to}`)
      const f = await echo(client, { kind: 'udp', host: to, port: ports.echo, count: 50, bytes: 6000 })
      t.same([f.error, f.received], [null, 50], `UDP of 6000 bytes ${to}`)
    }
    t.equal((await agent.counters('drops'))['drops']?.['frag_no_first'] ?? 0, 0)
  })

  await t.test('a route comes and goes', async () => {
    for (const [address, prefix, via] of [['10.99.0.1', '10.99.0.0/24', addresses.s2.v4], ['fd99::1', 'fd99::/64', addresses.s2.v6]] as const) {
      await at('s2', 'ip', 'addr', 'add', `${address}/${address.includes(':') ? 128 : 32}`, 'dev', 'lo')
      t.notOk(await answers(address), `${address} has no route yet`)
      await at('router', 'ip', 'route', 'add', prefix, 'via', via)
      await eventually(`${address} answers`, async () => await answers(address))
      await at('router', 'ip', 'route', 'del', prefix)
      await eventually(`${address} is gone`, async () => !await answers(address))
    }
  })

  await t.test('an address of the router comes and goes', async () => {
    await at('router', 'ip', 'addr', 'add', '10.77.1.200/24', 'dev', 'rt-client')
    await at('router', 'ip', 'addr', 'add', 'fd77:1::200/64', 'dev', 'rt-client', 'nodad')
    for (const address of ['10.77.1.200', 'fd77:1::200']) await eventually(`${address} answers`, async () => await answers(address))
    await at('router', 'ip', 'addr', 'del', '10.77.1.200/24', 'dev', 'rt-client')
    await eventually('10.77.1.200 is gone', async () => !await answers('10.77.1.200'))
  })

  await t.test('a server gets another MAC address and says so', async () => {
    t.ok(await answers(addresses.s1.v4))
    await at('s1', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify; echo 1 > /proc/sys/net/ipv6/conf/eth0/ndisc_notify')
    // The kernel believes a new address after neigh/*/locktime, one second by default.
    await sleep(1100)
    await at('s1', 'ip', 'link', 'set', 'eth0', 'address', '02:77:02:00:00:99')
    for (const to of [addresses.s1.v4, addresses.s1.v6]) await eventually(`${to} answers`, async () => await answers(to))
  })

  await t.test('a link goes down and comes back', async (t) => {
    await at('router', 'ip', 'link', 'set', 'rt-server', 'down')
    await eventually('the servers are out of reach', async () => !await answers(addresses.s2.v4))
    await at('router', 'ip', 'link', 'set', 'rt-server', 'up')
    await at('router', 'ip', 'addr', 'replace', `${addresses.routerServer.v6}/64`, 'dev', 'rt-server', 'nodad')
    for (const to of [addresses.s2.v4, addresses.s2.v6]) await eventually(`${to} answers`, async () => await answers(to))
    const f = await curl({ netns: client, url: httpUrl(addresses.vip.v4, '1m.bin'), count: 6, parallel: 3, sha256: lab.servers.bigSha256 })
    t.same(f.failures, {}, 'downloads work again')
  })

  await t.test('a link gets a smaller MTU: who may not fragment is told, the rest goes on', async (t) => {
    await at('router', 'ip', 'link', 'set', 'rt-server', 'mtu', '1400')
    let told
    await eventually('fragmentation needed', async () => {
      told = (await ping({ netns: client, to: addresses.s2.v4, count: 1, size: 1472, dontFragment: true, waitS: 1, intervalS: 0.2 })).tooBig
      return told !== null
    })
    t.same(told, { from: addresses.routerClient.v4, mtu: 1400 })
    t.same((await ping({ netns: client, to: addresses.s2.v6, count: 1, size: 1452, dontFragment: true, waitS: 1 })).tooBig, { from: addresses.routerClient.v6, mtu: 1400 }, 'packet too big')
    for (const to of [addresses.s2.v4, addresses.s2.v6]) t.equal((await ping({ netns: client, to, count: 2, size: 1300, dontFragment: true })).received, 2, `1300 bytes fit: ${to}`)
    if (lab.servers.iperf) {
      const up = await iperf({ netns: client, to: addresses.s1.v4, seconds: 1, reverse: false })
      t.ok(up.bytes > 1e5, `TCP finds the path MTU: ${up.gbitPerS} Gbit/s ${up.error ?? ''}`)
    }
    await at('router', 'ip', 'link', 'set', 'rt-server', 'mtu', '1500')
    await eventually('1472 bytes fit again', async () => {
      await must({ netns: client, argv: ['ip', 'route', 'flush', 'cache'] })
      return (await ping({ netns: client, to: addresses.s2.v4, count: 1, size: 1472, dontFragment: true, waitS: 1 })).received === 1
    })
  })

  t.equal(await agent.drained(30_000), 0)
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
