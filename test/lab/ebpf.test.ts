/** The eBPF backend on real traffic: the switch under it, the agent's death under it, and nothing left behind. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ebpfSkip, pinsOf } from './instance.js'
import { ports } from './servers.js'
import { agentSaid, full, openLab } from './support.js'
import { must, run } from './shell.js'
import { addresses } from './topology.js'
import { curl, echo, httpUrl, ping } from './traffic.js'

const skip = await ebpfSkip('curl', 'ping')

const urls = [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.vip.v6, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', 8080)]

t.test('switching there and back while downloads run', { skip }, async (t) => {
  const lab = await openLab(t, 'switch')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'userspace']]))
  const client = lab.netns('client')
  const switches: Array<{ from: string, to: string, sessions: number, totalMs: number, ports: ReadonlyArray<{ name: string, handOverUs: number }> }> = []
  let switching = true
  // slow enough that each meets several switches; new ones as long as there are any
  const downloads = Promise.all(urls.map(async (url) => {
    while (switching) t.same((await curl({ netns: client, url, count: 16, parallel: 8, sha256: lab.servers.bigSha256, timeoutS: 60, rate: '400k' })).failures, {}, url)
  }))
  await sleep(500)
  for (let n = 0; n < (full ? 20 : 6); n++) {
    const to = n % 2 === 0 ? 'ebpf' : 'userspace'
    switches.push(await agent.json(['backend', 'switch', to]))
    t.equal(existsSync(pinsOf(lab)), to === 'ebpf', `pins with ${to} only`)
    await sleep(400)
  }
  switching = false
  await downloads
  t.comment(`${switches.length} switches, ${switches.map(s => `${Math.round(s.totalMs)} ms`).join(', ')}`)
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.same((await agent.json<{ from: string, to: string }>(['backend', 'switch', switches.length % 2 === 0 ? 'userspace' : 'ebpf'])).to, switches.at(-1)?.to, 'who forwards already has nothing to do')
  const refused = await agent.cli(['backend', 'switch', 'vpp'])
  t.not(refused.code, 0)
  t.match(refused.stderr, /vpp/)
  const events = [...agent.log.matchAll(/"event":"(switch_\w+)"/g)].map(([, event]) => event)
  const told = (event: string): number => events.filter(e => e === event).length
  t.equal(told('switch_begin'), switches.length, 'each in the log')
  t.equal(told('switch_end'), switches.length)
  t.equal(told('switch_port'), switches.reduce((n, s) => n + s.ports.length, 0))
  t.equal(told('switch_refused'), 1)
  await agent.json(['backend', 'switch', 'userspace'])
  t.equal(await agent.drained(45_000), 0)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.notOk(existsSync(pinsOf(lab)))
})

t.test('a port whose other end takes no redirected frames is told, until it does', { skip }, async (t) => {
  const lab = await openLab(t, 'deaf')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf']]))
  const client = lab.netns('client')
  const state = async (): Promise<{ readonly state: string, readonly reasons: readonly string[] }> => await agent.json(['status'])
  t.equal((await state()).state, 'running')
  await must({ netns: client, argv: ['ethtool', '-K', 'eth0', 'gro', 'off'] })
  await agent.apply(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf'], [['agent', 'log-level'], 'debug']]))
  const { state: now, reasons } = await state()
  if (now === 'running') return t.pass('this kernel does not tell')
  t.equal(now, 'degraded')
  t.match(reasons, [/^port rt-client\S*: its driver takes no redirected frames/])
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 0, 'and it is so')
  await sleep(5000) // the agent looks every 2 s
  t.equal(agent.log.split('\n').filter(line => line.includes('takes no redirected frames') && line.includes('"msg":"degraded"')).length, 1, 'one warning')
  await must({ netns: client, argv: ['ethtool', '-K', 'eth0', 'gro', 'on'] })
  t.equal((await state()).state, 'running')
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 2)
  await agent.teardown()
})

t.test('the agent is killed again and again: forwarding and new sessions go on, each successor adopts', { skip }, async (t) => {
  const lab = await openLab(t, 'adopt')
  const config = quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf']])
  const client = lab.netns('client')
  let agent = await lab.startAgent(config)
  for (const url of urls) t.same((await curl({ netns: client, url, count: 4, parallel: 2, sha256: lab.servers.bigSha256 })).failures, {}, url)
  for (let n = 0; n < (full ? 20 : 3); n++) {
    const long = curl({ netns: client, url: urls[0] ?? '', count: 4, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 30, rate: '400k' })
    await sleep(100 + 200 * (n % 4))
    await agent.kill()
    const without = await Promise.all(urls.map(async (url) => await curl({ netns: client, url, count: 20, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 5 })))
    for (const r of without) t.same(r.failures, {}, 'no agent, new sessions')
    agent = await lab.startAgent(config)
    t.same((await long).failures, {}, 'begun before the kill, ended after the return')
    t.match(await agent.verify(), { ok: true, faults: [] })
  }
  t.equal(await agent.drained(45_000), 0, 'no session is lost from sight')
  t.match(await agent.verify(), { ok: true, live: 0, entries: 0 })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.ok(existsSync(pinsOf(lab)), 'a regular stop leaves it forwarding too')
  t.same((await curl({ netns: client, url: urls[0] ?? '', count: 10, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 5 })).failures, {})
  const gone = await agent.teardown()
  t.equal(gone.code, 0, gone.stderr)
  t.notOk(existsSync(pinsOf(lab)), 'until it is torn down')
})

t.test('while the agent is away the keeper follows routes and neighbours', { skip }, async (t) => {
  const lab = await openLab(t, 'mirror')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf']]))
  const [client, router] = [lab.netns('client'), lab.netns('router')]
  const url = httpUrl(addresses.s1.v4, '1m.bin', 8080)
  t.same((await curl({ netns: client, url, count: 1, parallel: 1, sha256: lab.servers.bigSha256 })).failures, {})
  await agent.kill()
  // every next hop of before is forgotten, and there is a route to a network that was not there
  await must({ netns: router, argv: ['ip', 'neigh', 'flush', 'dev', 'rt-client'] })
  await must({ netns: router, argv: ['ip', 'neigh', 'flush', 'dev', 'rt-server'] })
  await must({ netns: client, argv: ['ip', 'addr', 'add', '10.88.0.1/32', 'dev', 'lo'] })
  await must({ netns: router, argv: ['ip', 'route', 'add', '10.88.0.0/24', 'via', addresses.client.v4] })
  t.same((await curl({ netns: client, url, count: 4, parallel: 2, sha256: lab.servers.bigSha256 })).failures, {})
  const pingFromThere = async (): Promise<number> => (await run(['ping', '-q', '-c', '3', '-i', '0.2', '-W', '2', '-I', '10.88.0.1', addresses.s1.v4], { netns: client })).code
  t.equal(await pingFromThere(), 0)
  await must({ netns: router, argv: ['ip', 'route', 'del', '10.88.0.0/24'] })
  await sleep(500) // it is told, not asked
  t.equal(await pingFromThere(), 1, 'the route is gone')
  await agent.teardown()
})

t.test('what the host itself opens is answered, before and after the programs come; what nobody asked for is not', { skip }, async (t) => {
  const lab = await openLab(t, 'own')
  const [router, s1] = [lab.netns('router'), lab.netns('s1')]
  const url = httpUrl(addresses.s1.v4, '1m.bin', 8080)
  const before = curl({ netns: router, url, count: 2, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 30, rate: '150k' })
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf']]))
  t.same((await before).failures, {}, 'begun without us')
  for (const to of [addresses.s1.v4, addresses.s2.v6]) {
    t.equal((await ping({ netns: router, to, count: 5 })).received, 5, to)
    for (const kind of ['udp', 'tcp'] as const) {
      const f = await echo(router, { kind, host: to, port: ports.echo, count: 50, bytes: 600 })
      t.same([f.error, f.received], [null, 50], `${kind} ${to}`)
    }
  }
  t.same((await curl({ netns: router, url, count: 4, parallel: 2, sha256: lab.servers.bigSha256 })).failures, {})
  const own = await agent.sessions()
  t.ok(own.length > 0 && own.every(s => s.flags.includes('HOST') && [String(addresses.routerServer.v4), addresses.routerServer.v6].includes(s.src)), JSON.stringify(own.slice(0, 3)))
  const refused = async (): Promise<number> => (await agent.counters('drops'))['drops']?.['host_inbound'] ?? 0
  const had = await refused()
  await must({ netns: s1, argv: ['bash', '-c', `for i in 1 2 3; do echo x > /dev/udp/${addresses.routerServer.v4}/40000; done`] })
  await sleep(200)
  t.equal(await refused() - had, 3, 'to an ephemeral port of the host, unasked')
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
