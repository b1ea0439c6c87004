/**
 * D1: what nobody may take away. A session like SSH over a claimed interface lives through the start of the agent, a configuration that denies
 * everything, and the end of the agent; ARP, neighbour discovery, ping of the router and the router's own flows go on.
 */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { denyAllConfig, quickstartConfig } from './config.js'
import { ports, startNetServer } from './servers.js'
import { must, run } from './shell.js'
import { agentSaid, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, echo, echoing, httpUrl, ping } from './traffic.js'


t.test('the management session survives everything the agent does', { skip: await skipReason('curl', 'ping') }, async (t) => {
  const lab = await openLab(t, 'mgmt')
  const [client, router] = [lab.netns('client'), lab.netns('router')]
  await startNetServer(lab.topology, 'router', { name: 'router', tcpEcho: 22, udpEcho: 2222 })
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 1, waitS: 1 })).received, 0, 'the kernel does not forward')

  const job = { kind: 'tcp', port: 22, intervalMs: 10, count: 100_000, patienceMs: 10_000 } as const
  const sessions = [echoing(client, { ...job, host: addresses.routerClient.v4 }), echoing(client, { ...job, host: addresses.routerClient.v6 })]
  const own = echoing(router, { ...job, host: addresses.s1.v4, port: ports.echo })
  const alive = (when: string): void => {
    for (const [i, s] of sessions.entries()) t.ok(s.process.running, `session ${i} lives ${when}: ${s.process.output.slice(-200)}`)
    t.ok(own.process.running, `the router's own session lives ${when}: ${own.process.output.slice(-200)}`)
  }
  await sleep(300)
  alive('before the agent')

  const agent = await lab.startAgent(quickstartConfig(lab.prefix))
  await sleep(300)
  alive('after the agent took the interfaces')
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 2, 'and now the router forwards')

  await agent.apply(denyAllConfig(lab.prefix), '--comment', 'nothing passes')
  await sleep(500)
  alive('after a configuration that denies everything')

  await t.test('the denial is real', async (t) => {
    t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 1, waitS: 1 })).received, 0)
    t.equal((await curl({ netns: client, url: httpUrl(addresses.s1.v4, 'who'), count: 1, parallel: 1, sha256: null, timeoutS: 1 })).ok, 0)
    t.equal((await echo(client, { kind: 'udp', host: addresses.routerClient.v4, port: 2222, count: 3, patienceMs: 500 })).received, 0, 'a service of the host that is not allowed')
    t.ok(((await agent.counters('drops'))['drops']?.['host_inbound'] ?? 0) >= 3)
  })

  await t.test('new management sessions open, over every claimed interface', async (t) => {
    for (const [from, host] of [[client, addresses.routerClient.v4], [client, addresses.routerClient.v6], [lab.netns('s1'), addresses.routerServer.v4]] as const) {
      const f = await echo(from, { kind: 'tcp', host, port: 22, count: 20 })
      t.same([f.error, f.received], [null, 20], host)
    }
  })

  await t.test('ARP, neighbour discovery and ping of the router go on', async (t) => {
    for (const [host, v4, v6] of [['client', addresses.routerClient.v4, addresses.routerClient.v6], ['s1', addresses.routerServer.v4, addresses.routerServer.v6]] as const) {
      await must({ netns: lab.netns(host), argv: ['ip', 'neigh', 'flush', 'dev', 'eth0'] })
      for (const to of [v4, v6]) t.equal((await ping({ netns: lab.netns(host), to, count: 3 })).received, 3, `${to} from ${host}`)
    }
    await must({ netns: router, argv: ['ip', 'neigh', 'flush', 'dev', 'rt-server'] })
    for (const to of [addresses.s2.v4, addresses.s2.v6]) t.equal((await ping({ netns: router, to, count: 3 })).received, 3, `${to} from the router`)
  })

  await t.test('the router\'s own flows go out and their replies come in', async (t) => {
    for (const host of [addresses.s1.v4, addresses.s2.v6]) {
      const http = await curl({ netns: router, url: httpUrl(host, '1m.bin'), count: 2, parallel: 1, sha256: lab.servers.bigSha256 })
      t.same(http.failures, {}, `curl ${host}`)
      const udp = await echo(router, { kind: 'udp', host, port: ports.echo, count: 50 })
      t.same([udp.error, udp.received], [null, 50], `UDP ${host}`)
    }
    t.equal(await agent.count(), 0, 'none of it is a forwarded session')
  })

  const stopped = await agent.stop()
  t.equal(stopped.code, 0, agentSaid(lab))
  await sleep(300)
  alive('after the agent ended')

  for (const s of [...sessions, own]) s.process.child.kill('SIGUSR1')
  for (const [i, s] of [...sessions, own].entries()) {
    const f = await s.figures
    t.comment(`session ${i}: ${f.received} answers, longest gap ${f.longestGapMs.toFixed(0)} ms, rtt p99 ${f.rttMs.p99} ms`)
    t.equal(f.error, null)
    t.ok(f.received >= f.sent - 1, `${f.received} of ${f.sent} answered`)
  }
  t.equal((await run(['ip', 'netns', 'pids', router])).code, 0)
})
