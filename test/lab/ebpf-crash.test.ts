/** The agent dies at random moments under many new flows, also while it starts: nothing that passes notices, and its successor finds a whole table. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomOf } from '../fuzz/config.js'
import { quickstartConfig, shortTimeouts, vipOn } from './config.js'
import { ebpfSkip } from './instance.js'
import { loadServer, tcpFlowing, udpTuples } from './load.js'
import { agentSaid, full, openLab } from './support.js'
import { addresses, moreClientAddresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'

const skip = await ebpfSkip('cc', 'curl')
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)
/** New flows a second: of one datagram, which cost a host with two processors little beside the router, and short TCP connections, which tell what became of them. */
const { kills, datagrams, connections } = full ? { kills: 20, datagrams: 4500, connections: 500 } : { kills: 4, datagrams: 800, connections: 200 }
const PORT = 8443
t.setTimeout(full ? 600_000 : 300_000)

t.test(`kill -9 of the agent ${kills} times under ${datagrams + connections} new flows/s (LOCKSTEP_TEST_SEED=${seed})`, { skip }, async (t) => {
  const random = randomOf(seed)
  const clients = moreClientAddresses(16)
  const lab = await openLab(t, 'kills', { moreClients: clients.length })
  const config = quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf'], [['policies', 0, 'log'], undefined], ...vipOn(PORT)])
  let agent = await lab.startAgent(config)
  for (const host of ['s1', 's2'] as const) await loadServer(lab.topology, host, 'tcp_flows', [String(PORT)])
  const flows = await tcpFlowing(lab.topology, { to: addresses.vip.v4, port: PORT, rate: connections, seconds: 390, from: clients.map((c) => c.v4) })
  const ROUND_S = 8
  await loadServer(lab.topology, 's1', 'udp_tuples', ['7000', String(datagrams * ROUND_S)])
  let killing = true
  const single = (async () => {
    let sent = 0
    // The tuples come round after their sessions have ended.
    while (killing) sent += (await udpTuples(lab.topology, { to: addresses.s1.v4, port: 7000, flows: datagrams * ROUND_S, rate: datagrams, from: clients.map((c) => c.v4) })).sent
    return sent
  })()
  const downloads = Promise.all([addresses.s1, addresses.s2].flatMap((s) => [s.v4, s.v6]).map(async (address) => {
    let ok = 0
    while (killing) {
      const r = await curl({ netns: lab.netns('client'), url: httpUrl(address, '1m.bin', 8080), count: 4, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 60, rate: '400k' })
      t.same(r.failures, {}, address)
      ok += r.ok
    }
    return ok
  }))
  const back: number[] = []
  for (let n = 0; n < kills; n++) {
    await sleep(1500 * random())
    await agent.kill()
    await sleep(1500 * random())
    if (random() < 0.5) await lab.killStartingAgent(config, 2500 * random())
    agent = await lab.startAgent(config)
    back.push(agent.startMs)
    t.match(await agent.verify(), { ok: true, faults: [] }, `return ${n}`)
  }
  killing = false
  const [f, whole, sent] = await Promise.all([flows.stop(), downloads, single])
  const { global, drops } = await agent.counters('global', 'drops')
  const created = (global?.['sessions_created'] ?? 0) + (global?.['sessions_revived'] ?? 0)
  t.comment(`${sent} datagrams, each a flow; ${created} sessions; drops ${JSON.stringify(drops)}`)
  t.comment(`${whole.reduce((a, b) => a + b)} downloads; ${f.ok} of ${f.attempted} flows in ${f.seconds} s (${Math.round(f.attempted / f.seconds)}/s), ${f.late} late, p50 ${f.ms.p50} ms, p99 ${f.ms.p99} ms; starts of the agent ${back.map((ms) => Math.round(ms)).join(', ')} ms`)
  t.same(f.failures, {}, 'no flow failed')
  t.ok(created >= 0.99 * (sent + f.ok), 'and nearly every flow was new to the table')
  t.equal(drops?.['table_full'] ?? 0, 0, 'none found the table full')
  const left = await agent.drained(45_000)
  t.equal(left, 0, `no session is left after expiry ${left === 0 ? '' : JSON.stringify(await agent.sessions())}`)
  const v = await agent.verify()
  t.match(v, { ok: true, live: 0, entries: 0, faults: [] })
  t.equal(v.free, v.slots, 'nor a slot lost')
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
