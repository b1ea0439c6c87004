/** Real traffic through VIPs and source NAT, ICMP errors, throughput; and after it an empty, sound table. */
import t from 'tap'
import { grown } from './agent.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { shares } from './figures.js'
import { ports } from './servers.js'
import { run, which } from './shell.js'
import { agentSaid, full, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, echo, httpUrl, iperf, ping, traceroute } from './traffic.js'

const skip = await skipReason('curl', 'ping')
t.setTimeout(full ? 1_800_000 : 170_000)

t.test('a router with VIPs and source NAT', { skip }, async (t) => {
  const lab = await openLab(t, 'fwd')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts]))
  const client = lab.netns('client')
  const sizes = full ? { sequential: 1000, parallel: 64, connections: 10_000, seconds: 10 } : { sequential: 40, parallel: 16, connections: 1500, seconds: 2 }
  t.comment(`agent ready after ${agent.startMs.toFixed(0)} ms; HTTP by ${lab.servers.http}`)

  for (const [what, url, seen] of [
    ['the VIP, IPv4', httpUrl(addresses.vip.v4, '1m.bin'), [addresses.client.v4]],
    ['the VIP, IPv6', httpUrl(addresses.vip.v6, '1m.bin'), [addresses.client.v6]],
    ['a source NAT pool', httpUrl(addresses.s1.v4, '1m.bin', ports.httpAlt), ['10.77.2.100', '10.77.2.101', '10.77.2.102', '10.77.2.103']],
    ['source NAT behind the interface, IPv6', httpUrl(addresses.s1.v6, '1m.bin', ports.httpAlt), [addresses.routerServer.v6]]
  ] as const) {
    await t.test(`1 MiB downloads through ${what}`, async (t) => {
      for (const [count, parallel] of [[sizes.sequential, 1], [sizes.parallel, sizes.parallel]] as const) {
        const f = await curl({ netns: client, url, count, parallel, sha256: lab.servers.bigSha256, timeoutS: 60 })
        t.comment(`${count} by ${parallel}: ${f.mbitPerS} Mbit/s, connect p50 ${f.connectMs.p50} ms, total p50 ${f.totalMs.p50} p99 ${f.totalMs.p99} ms, servers ${JSON.stringify(f.servers)}`)
        t.same(f.failures, {}, `${count} downloads, ${parallel} at a time`)
        t.equal(f.ok, count)
        t.same(Object.keys(f.clients).filter((c) => !(seen as readonly string[]).includes(c)), [], `the server sees ${seen.join(' or ')}`)
      }
    })
  }

  await t.test('one client keeps one address of the pool', async (t) => {
    const f = await curl({ netns: client, url: httpUrl(addresses.s1.v4, 'who', ports.httpAlt), count: 6, parallel: 3, sha256: null })
    t.equal(Object.keys(f.clients).length, 1)
  })

  await t.test('both servers get their share by weight, 100 and 50', async (t) => {
    for (const host of [addresses.vip.v4, addresses.vip.v6]) {
      const f = await echo(client, { kind: 'http', host, port: ports.http, count: sizes.connections, patienceMs: 10_000 })
      const part = shares(f.servers)['one'] ?? 0
      t.comment(`${host}: ${JSON.stringify(f.servers)} of ${f.sent}`)
      t.same([f.error, f.received], [null, f.sent])
      // Relative to the smaller share once there are enough connections to tell.
      t.ok(Math.abs(part - 2 / 3) <= (full ? 0.05 / 3 : 0.05), `${(part * 100).toFixed(2)} % to one`)
    }
  })

  await t.test('destination and static NAT', async (t) => {
    const one = await curl({ netns: client, url: httpUrl('10.77.0.20', 'who', 8080), count: 3, parallel: 1, sha256: null })
    t.same([one.ok, one.servers], [3, { one: 3 }], '10.77.0.20:8080 is server one port 80')
    const two = await curl({ netns: client, url: httpUrl('10.77.0.30', 'who'), count: 3, parallel: 1, sha256: null })
    t.same([two.ok, two.servers], [3, { two: 3 }], '10.77.0.30 is server two')
    const back = await curl({ netns: lab.netns('s2'), url: httpUrl(addresses.client.v4, 'who'), count: 1, parallel: 1, sha256: null, timeoutS: 2 })
    t.equal(back.ok, 0, 'nothing listens at the client')
    t.match(Object.keys(back.failures)[0], /curl 7: Failed to connect/, 'and its refusal comes back at once')
  })

  await t.test('ping: through the router, of the router, of VIPs and translated addresses', async (t) => {
    for (const to of [addresses.s2.v4, addresses.s2.v6, addresses.routerClient.v4, addresses.routerClient.v6, addresses.routerServer.v4, addresses.routerServer.v6, addresses.vip.v4, addresses.vip.v6, '10.77.0.30']) {
      const f = await ping({ netns: client, to, count: 3, intervalS: 0.05 })
      t.same([f.sent, f.received], [3, 3], `${to}: ${f.text.trim().split('\n').at(-1) ?? ''}`)
    }
  })

  await t.test('traceroute shows the router, then the server', { skip: which('traceroute') === null && 'needs traceroute' }, async (t) => {
    for (const [to, router] of [[addresses.s1.v4, addresses.routerClient.v4], [addresses.s1.v6, addresses.routerClient.v6]] as const) {
      for (const method of ['udp', 'icmp'] as const) {
        const hops = await traceroute({ netns: client, to, method })
        t.same(hops.map((h) => h.addresses), [[router], [to]], `${to} by ${method}`)
      }
    }
    t.same((await traceroute({ netns: client, to: addresses.vip.v4, method: 'tcp', port: 80 })).map((h) => h.addresses), [[addresses.routerClient.v4], [addresses.vip.v4]], 'the VIP by TCP')
    const before = await agent.counters('global')
    await traceroute({ netns: client, to: addresses.s1.v4, method: 'udp' })
    const after = await agent.counters('global')
    t.match(grown(before, after, 'global'), { icmp_sent: Number, icmp_errors: Number }, 'time exceeded was made here, port unreachable translated')
  })

  await t.test('UDP and TCP echo lose nothing', async (t) => {
    for (const kind of ['udp', 'tcp'] as const) {
      for (const host of [addresses.s1.v4, addresses.s2.v6]) {
        const f = await echo(client, { kind, host, port: ports.echo, count: 300, intervalMs: 2 })
        t.comment(`${kind} ${host}: p50 ${f.rttMs.p50} ms, p99 ${f.rttMs.p99} ms`)
        t.same([f.error, f.received], [null, 300], `${kind} ${host}`)
      }
    }
  })

  await t.test('policies: what is rejected is told, what nothing permits is dropped, each counted once', async (t) => {
    const before = await agent.counters('drops', 'global', 'policy')
    const telnet = await run(['curl', '-q', '-sS', '-m', '3', 'telnet://10.77.2.11:23'], { netns: client })
    t.match(telnet.stderr, /curl: \(7\)/, 'reject resets at once')
    const smtp = await run(['curl', '-q', '-sS', '-m', '1', 'telnet://10.77.2.11:25'], { netns: client })
    t.match(smtp.stderr, /curl: \(28\)/, 'default deny is silent')
    const after = await agent.counters('drops', 'global', 'policy')
    const drops = grown(before, after, 'drops')
    t.match(drops, { policy_reject: 1 })
    t.ok((drops['policy_default'] ?? 0) >= 1)
    t.equal(Object.values(drops).reduce((a, b) => a + b, 0), grown(before, after, 'global')['drops'], 'reasons add up to the drops')
    t.equal(grown(before, after, 'global')['sessions_created'] ?? 0, 0, 'and no session came of it')
  })

  await t.test('iperf3 both directions', { skip: !lab.servers.iperf && 'needs iperf3' }, async (t) => {
    for (const to of [addresses.s1.v4, addresses.s2.v6]) {
      for (const reverse of [false, true]) {
        const f = await iperf({ netns: client, to, seconds: sizes.seconds, reverse })
        t.comment(`${to} ${reverse ? 'from' : 'to'} the server: ${f.gbitPerS} Gbit/s, ${f.retransmits} retransmissions`)
        t.equal(f.error, null)
        t.ok(f.bytes > 1e6 * sizes.seconds, `${f.bytes} bytes in ${sizes.seconds} s`)
      }
    }
    t.equal((await agent.counters('drops'))['drops']?.['gso_frame'] ?? 0, 0, 'no frame longer than the wire allows')
  })

  await t.test('after the traffic the table is empty and sound, and the agent stops within 2 s', async (t) => {
    t.equal(await agent.drained(45_000), 0, 'sessions left')
    const v = await agent.verify()
    t.match(v, { ok: true, live: 0, creating: 0, dying: 0, dead: 0, entries: 0, faults: [] })
    t.equal(v.free, v.slots)
    const { drops, global } = await agent.counters('drops', 'global')
    t.comment(`drops: ${JSON.stringify(drops)}`)
    t.equal(global?.['notice_overruns'] ?? 0, 0)
    for (const reason of ['internal', 'table_full', 'truncated', 'bad_checksum', 'snat_exhausted', 'no_headroom']) t.equal(drops?.[reason] ?? 0, 0, reason)
    const stopped = await agent.stop()
    t.equal(stopped.code, 0, agentSaid(lab))
    t.comment(`stopped in ${stopped.ms.toFixed(0)} ms`)
    t.notOk(agent.socketExists, 'its socket is gone')
    const rules = await run(['nft', 'list', 'ruleset'], { netns: lab.netns('router') })
    t.equal(rules.stdout.trim(), '', 'its nft table is gone')
  })
})
