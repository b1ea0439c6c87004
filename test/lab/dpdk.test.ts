/** The dpdk backend on real traffic: every switch there and back under downloads, its process killed under them, an idle agent, and what is refused. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ports } from './servers.js'
import { agentSaid, full, openLab, skipReason } from './support.js'
import { must, run } from './shell.js'
import { addresses } from './topology.js'
import { curl, echo, httpUrl, iperf, ping } from './traffic.js'
import type { LabAgent } from './agent.js'

const found = probeBackends()
const can = (name: string): boolean => found.find(p => p.backend === name)?.available === true
const skip = await skipReason('curl', 'ping', 'iperf3') || (can('dpdk') ? false : found.find(p => p.backend === 'dpdk')?.reason ?? 'no dpdk backend')

const urls = [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.vip.v6, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', 8080)]
const backend = (name: string): readonly [readonly string[], string] => [['agent', 'backend'], name]

/** Of the agent's child. */
async function dpdkPid (agent: LabAgent): Promise<number> {
  const { pid } = await agent.json<{ pid: number }>(['status'])
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return Number(children.find(child => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('lockstep-dpdk')) ?? 0)
}

t.test('round the backends while downloads run: no connection breaks', { skip }, async (t) => {
  const lab = await openLab(t, 'dround')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('userspace')]))
  const client = lab.netns('client')
  const round = ['dpdk', ...can('ebpf') ? ['ebpf', 'dpdk'] : [], 'userspace']
  let switching = true
  const downloads = Promise.all(urls.map(async (url) => {
    while (switching) t.same((await curl({ netns: client, url, count: 16, parallel: 8, sha256: lab.servers.bigSha256, timeoutS: 60, rate: '400k' })).failures, {}, url)
  }))
  await sleep(500)
  const took: string[] = []
  for (let n = 0; n < (full ? 6 : 2) * round.length; n++) {
    const to = round[n % round.length] ?? ''
    const { totalMs, ports } = await agent.json<{ totalMs: number, ports: ReadonlyArray<{ handOverUs: number }> }>(['backend', 'switch', to])
    took.push(`${to} ${Math.round(totalMs)} ms, ${ports.map(p => p.handOverUs).join(' and ')} us a port`)
    await sleep(300)
  }
  switching = false
  await downloads
  t.comment(took.join('; '))
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal(await agent.drained(45_000), 0)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('its process is killed: the agent lives, another one forwards within seconds, connections go on, and the table is sound', { skip }, async (t) => {
  const lab = await openLab(t, 'dkill')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('dpdk')]))
  const client = lab.netns('client')
  const long = Promise.all(urls.map(async url => await curl({ netns: client, url, count: 8, parallel: 8, sha256: lab.servers.bigSha256, timeoutS: 90, rate: '120k' })))
  await sleep(1000)
  let pid = await dpdkPid(agent)
  for (let n = 0; n < 3; n++) {
    t.not(pid, 0)
    process.kill(pid, 'SIGKILL')
    const before = pid
    for (let i = 0; i < 1000 && (pid === before || pid === 0 || (await agent.json<{ state: string }>(['status'])).state !== 'running'); i++) {
      await sleep(50)
      pid = await dpdkPid(agent).catch(() => 0)
    }
    await sleep(500)
  }
  for (const [i, { failures }] of (await long).entries()) t.same(failures, {}, urls[i] ?? '')
  t.match(agent.log, /ended by SIGKILL/)
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal(await agent.drained(45_000), 0, 'no session is lost from sight')
  t.match(await agent.verify(), { ok: true, live: 0, entries: 0 })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('its process is stopped in the middle of a burst: it is ended and started again, and the agent answers', { skip }, async (t) => {
  const lab = await openLab(t, 'dstop')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('dpdk'), [['agent', 'dpdk'], { idle: 'poll' }]])) // mostly in a burst
  const client = lab.netns('client')
  const silent = 'did nothing for 5 s'
  const hangs = /process that runs DPDK ended: it hangs: no answer/g // stopped between two bursts: nobody waits for the worker, the next question tells
  for (const url of urls) t.same((await curl({ netns: client, url, count: 16, parallel: 8, sha256: lab.servers.bigSha256 })).failures, {}, url)
  for (let stops = 1; !agent.log.includes(silent); stops++) {
    if (stops > 8) throw new Error(`never stopped in a burst: ${agentSaid(lab)}`)
    const pid = await dpdkPid(agent)
    const f = await echo(client, { kind: 'udp', host: addresses.s1.v4, port: ports.echo, count: 10, bytes: 100 }) // its session ends while the process is stopped: a grace
    t.same([f.error, f.received], [null, 10])
    process.kill(pid, 'SIGSTOP')
    for (let i = 0; !agent.log.includes(silent) && (agent.log.match(hangs)?.length ?? 0) < stops; i++) {
      if (i === 600) throw new Error(`it is not ended: ${agentSaid(lab)}`)
      await sleep(100)
    }
    for (let i = 0; (await ping({ netns: client, to: addresses.s1.v4, count: 1, waitS: 1 })).received === 0; i++) if (i === 20) throw new Error(`it does not forward again: ${agentSaid(lab)}`)
    t.not(await dpdkPid(agent), pid)
    t.match(await agent.verify(), { ok: true, faults: [] })
  }
  t.equal(await agent.drained(45_000), 0)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('two workers: both families, TCP and UDP; an idle agent sleeps', { skip }, async (t) => {
  const lab = await openLab(t, 'dtwo')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('dpdk'), [['agent', 'workers'], 2]]))
  const client = lab.netns('client')
  for (const url of urls) t.same((await curl({ netns: client, url, count: 32, parallel: 8, sha256: lab.servers.bigSha256 })).failures, {}, url)
  for (const to of [addresses.s1.v4, addresses.s2.v6]) {
    t.equal((await ping({ netns: client, to, count: 5 })).received, 5, to)
    const f = await echo(client, { kind: 'udp', host: to, port: ports.echo, count: 100, bytes: 600 })
    t.same([f.error, f.received], [null, 100], to)
    const i = await iperf({ netns: client, to, seconds: 2, reverse: false })
    t.equal(i.error, null)
    t.comment(`${to}: ${i.gbitPerS} Gbit/s`)
  }
  for (const to of [addresses.s1.v4, addresses.s1.v6]) t.equal((await run(['ping', '-q', '-c', '3', '-i', '0.2', '-W', '2', '-s', '4000', to], { netns: client })).code, 0, `fragments, ${to}`)
  const pid = await dpdkPid(agent)
  const ticks = (): number => {
    const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, 'x').split(' ')
    return Number(fields[11]) + Number(fields[12])
  }
  await sleep(500)
  const before = ticks()
  await sleep(3000)
  const used = ticks() - before // of 100 a second and worker
  t.comment(`idle: ${used / 3} % of a CPU for two workers`)
  t.ok(used < 150, `${used} ticks of 600`)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('interfaces with GRO: off while a backend has them, on again when none has, through switches and the death of the process', { skip }, async (t) => {
  const lab = await openLab(t, 'dgro', { aggregation: true })
  const gro = async (): Promise<string[]> => await Promise.all(['rt-client', 'rt-server'].map(async dev => /^generic-receive-offload: (\w+)/m.exec(await must({ netns: lab.netns('router'), argv: ['ethtool', '-k', dev] }))?.[1] ?? '?'))
  t.same(await gro(), ['on', 'on'])
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('dpdk')]))
  const client = lab.netns('client')
  const streams = async (): Promise<void> => {
    t.same(await gro(), ['off', 'off'])
    for (const url of urls) t.same((await curl({ netns: client, url, count: 8, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 20 })).failures, {}, url)
  }
  await streams()
  const pid = await dpdkPid(agent)
  process.kill(pid, 'SIGKILL')
  for (let i = 0; i < 1000; i++) {
    const now = await dpdkPid(agent).catch(() => 0)
    if (now !== 0 && now !== pid && (await agent.json<{ state: string }>(['status'])).state === 'running') break
    await sleep(50)
  }
  await streams()
  for (const to of ['userspace', 'dpdk']) {
    t.equal((await agent.cli(['backend', 'switch', to])).code, 0)
    await streams()
  }
  t.same((await agent.counters('drops'))['drops']?.['gso_frame'] ?? 0, 0)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.same(await gro(), ['on', 'on'])
})

t.test('a link that goes while it forwards, and comes again', { skip }, async (t) => {
  const lab = await openLab(t, 'dlink')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('dpdk')]))
  const client = lab.netns('client')
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 2)
  await must({ netns: client, argv: ['ip', 'link', 'set', 'eth0', 'down'] })
  t.equal((await ping({ netns: lab.netns('router'), to: addresses.s1.v4, count: 2 })).received, 2, 'the other port goes on')
  await must({ netns: client, argv: ['ip', 'link', 'set', 'eth0', 'up'] })
  await must({ netns: client, argv: ['ip', 'route', 'replace', 'default', 'via', addresses.routerClient.v4] })
  t.ok((await ping({ netns: client, to: addresses.s1.v4, count: 5 })).received >= 1)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('huge pages that are not there, and a configuration it has no ports for: refused by name, and the one before forwards on', { skip }, async (t) => {
  const lab = await openLab(t, 'drefuse')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, backend('userspace'), [['agent', 'dpdk'], { hugepages: 'on', buffers: 4194304, 'eal-options': ['--socket-mem=1048576'] }]]))
  const client = lab.netns('client')
  const refused = await agent.cli(['backend', 'switch', 'dpdk'])
  t.not(refused.code, 0)
  t.match(refused.stderr, /DPDK (does not start|finds no huge pages)/)
  t.match(refused.stderr, /huge/)
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 2)
  if (can('ebpf')) t.equal((await agent.cli(['backend', 'switch', 'ebpf'])).code, 0, 'another can be chosen')
  t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 2 })).received, 2)
  await agent.teardown()
})
