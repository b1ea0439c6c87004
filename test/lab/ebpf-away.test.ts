/**
 * Nobody at home: with the agent dead the programs open sessions and the keeper frees them, for as long as it takes; a flow that was idle past its timeout is
 * not let through although nobody removed it. LOCKSTEP_LAB_LONG=1 takes ten minutes.
 */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig, shortTimeouts, vipOn, type Change } from './config.js'
import { ebpfSkip, keeperPid } from './instance.js'
import { loadServer, tcpFlowing } from './load.js'
import { ports } from './servers.js'
import { agentSaid, full, long, openLab } from './support.js'
import { addresses, moreClientAddresses } from './topology.js'
import { echo, echoing } from './traffic.js'

const skip = await ebpfSkip('cc')
const size = long
  ? { capacity: '64k', timeWait: '10s', rate: 2000, seconds: 600 }
  : full ? { capacity: '64k', timeWait: '10s', rate: 2000, seconds: 60 } : { capacity: '2k', timeWait: '1s', rate: 600, seconds: 12 }
const PORT = 8443
t.setTimeout(long ? 900_000 : 200_000)

/** Of connections to the echo servers. */
const IDLE_MS = 3000
const shortIdle: Change = [['applications', 'bulk', 'timeouts'], { 'tcp-established': `${IDLE_MS / 1000}s` }]
const connection = { kind: 'tcp', host: addresses.s1.v4, port: ports.echo } as const
const idle = { ...connection, count: 2, intervalMs: 2 * IDLE_MS, patienceMs: 2000 }

t.test(`the agent is dead for ${size.seconds} s at ${size.rate} short TCP flows/s, table of ${size.capacity}`, { skip }, async (t) => {
  const clients = moreClientAddresses(16)
  const lab = await openLab(t, 'away', { moreClients: clients.length })
  const client = lab.netns('client')
  const config = quickstartConfig(lab.prefix, [
    shortTimeouts, shortIdle, [['timeouts', 'tcp-time-wait'], size.timeWait], [['agent', 'backend'], 'ebpf'], [['agent', 'table', 'capacity'], size.capacity],
    [['policies', 0, 'log'], undefined], ...vipOn(PORT)
  ])
  let agent = await lab.startAgent(config)
  for (const host of ['s1', 's2'] as const) await loadServer(lab.topology, host, 'tcp_flows', [String(PORT)])
  const f0 = await echo(client, { ...connection, count: 5 })
  t.same([f0.error, f0.received], [null, 5])
  await agent.kill()

  await t.test('a connection that was idle past its timeout does not pass, even when nobody removes sessions', async (t) => {
    const keeper = keeperPid(lab)
    if (keeper === null) throw new Error('no keeper runs')
    const busy = echoing(client, { ...connection, count: 20, intervalMs: 500 })
    await sleep(500)
    process.kill(keeper, 'SIGSTOP')
    const f = await echo(client, idle)
    process.kill(keeper, 'SIGCONT')
    t.equal(f.received, 1, 'the second question, after the silence, has no answer')
    const b = await busy.figures
    t.same([b.error, b.received], [null, 20], 'one that is never silent so long goes on')
  })

  await t.test('new flows', async (t) => {
    const flows = await tcpFlowing(lab.topology, { to: addresses.vip.v4, port: PORT, rate: size.rate, seconds: size.seconds + 60, from: clients.map((c) => c.v4) })
    const busy = echoing(client, { ...connection, count: size.seconds, intervalMs: 1000 })
    const silent = echo(client, idle)
    await sleep(size.seconds * 1000)
    t.equal((await silent).received, 1, 'idle past its timeout with the keeper there')
    agent = await lab.startAgent(config)
    const begun = performance.now()
    const v = await agent.verify()
    const verifyMs = performance.now() - begun
    t.match(v, { ok: true, faults: [] }, 'clean at its return')
    const [f, b] = await Promise.all([flows.stop(), busy.figures])
    t.comment(`${f.ok} of ${f.attempted} in ${f.seconds} s (${Math.round(f.attempted / f.seconds)}/s), ${f.late} late, p50 ${f.ms.p50} ms, p99 ${f.ms.p99} ms; failures ${JSON.stringify(f.failures)}`)
    t.comment(`${v.live} sessions at the return, start ${Math.round(agent.startMs)} ms, verified ${Math.round(verifyMs)} ms after ready (${Math.round(v.durationMs)} ms of it the check)`)
    t.ok(f.attempted >= size.rate * size.seconds * 0.98, `${f.attempted} flows were opened on time`)
    t.ok(f.attempted > v.slots, `more than ${v.slots} slots: they came round`)
    t.ok(f.ok / f.attempted >= 0.9999, `${(100 * f.ok / f.attempted).toFixed(4)} % succeeded`)
    t.same([b.error, b.received], [null, size.seconds], 'a connection that was there all the time')
  })

  t.equal(await agent.drained(45_000), 0)
  const v = await agent.verify()
  t.match(v, { ok: true, live: 0, entries: 0, faults: [] })
  t.equal(v.free, v.slots)
  const drops = (await agent.counters('drops'))['drops'] ?? {}
  t.comment(`drops ${JSON.stringify(drops)}`)
  t.ok((drops['tcp_not_syn'] ?? 0) + (drops['expired_busy'] ?? 0) > 0, 'what came too late was dropped by name')
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
