/**
 * Load: many short connections through a small table, and one source NAT address to its last port. The sizes that Lockstep promises take ten
 * minutes and run with LOCKSTEP_LAB_LONG=1.
 */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig, shortTimeouts, vipOn } from './config.js'
import { loadServer, tcpFlows, udpTuples, type UdpTuplesFigures } from './load.js'
import { agentSaid, full, long, openLab, skipReason } from './support.js'
import { addresses, moreClientAddresses } from './topology.js'

const skip = await skipReason('cc')
const PORT = 8443
t.setTimeout(long ? 1_200_000 : 150_000)

const clients = moreClientAddresses(16)
t.test(`2^16 sessions under ${long ? '2 000 short TCP flows/s for 10 minutes' : 'short TCP flows'}`, { skip }, async (t) => {
  const lab = await openLab(t, 'flows', { moreClients: clients.length })
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [
    [['agent', 'table', 'capacity'], '64k'], [['timeouts', 'tcp-time-wait'], '10s'], [['policies', 0, 'log'], undefined], ...vipOn(PORT)
  ]))
  for (const host of ['s1', 's2'] as const) await loadServer(lab.topology, host, 'tcp_flows', [String(PORT)])
  const { rate, seconds } = long ? { rate: 2000, seconds: 600 } : full ? { rate: 2000, seconds: 20 } : { rate: 500, seconds: 4 }
  const running = tcpFlows(lab.topology, { to: addresses.vip.v4, port: PORT, rate, seconds, from: clients.map((c) => c.v4) })
  let most = 0
  const done = new AbortController()
  const watch = (async () => {
    while (!done.signal.aborted) {
      most = Math.max(most, (await agent.status()).tableLive)
      await sleep(long ? 5000 : 500, undefined, { signal: done.signal }).catch(() => {})
    }
  })()
  const f = await running
  done.abort()
  await watch
  const { global, drops } = await agent.counters('global', 'drops')
  t.comment(`${f.ok} of ${f.attempted} in ${f.seconds} s (${Math.round(f.attempted / seconds)}/s), ${f.late} late, p50 ${f.ms.p50} ms, p99 ${f.ms.p99} ms, max ${f.ms.max} ms; most sessions ${most}`)
  t.comment(`failures ${JSON.stringify(f.failures)}; drops ${JSON.stringify(drops)}; ${JSON.stringify(global)}`)
  t.ok(f.attempted >= rate * seconds * 0.98, `${f.attempted} flows were opened on time`)
  t.ok(f.ok / f.attempted >= 0.9999, `${(100 * f.ok / f.attempted).toFixed(4)} % succeeded`)
  t.equal(drops?.['table_full'] ?? 0, 0)
  t.equal(await agent.drained(45_000), 0)
  const v = await agent.verify()
  t.match(v, { ok: true, live: 0, entries: 0, faults: [] })
  t.equal(v.free, v.slots)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

t.test('one address of source NAT to one destination: nearly every port, each once', { skip }, async (t) => {
  const lab = await openLab(t, 'ports', { moreClients: clients.length })
  const [low, high] = long || full ? [1024, 65535] : [20_000, 28_191]
  const range = high - low + 1
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [
    shortTimeouts, [['timeouts', 'udp-new'], '60s'], [['agent', 'table', 'capacity'], '128k'], [['agent', 'workers'], 2], // that share the address
    [['nat', 'pools', 'hide'], { addresses: '10.77.2.100', ports: `${low}-${high}` }],
    [['nat', 'source', 1, 'applications'], 'udp/7000'],
    [['screens', 'edge', 'session-limit'], undefined]
  ]))
  // More flows than ports, so that the last ports are asked for too.
  const flows = Math.ceil(range * 1.1)
  const server = await loadServer(lab.topology, 's1', 'udp_tuples', ['7000', String(flows)])
  const job = { to: addresses.s1.v4, port: 7000, flows, rate: 10_000, from: clients.map((c) => c.v4) }
  await udpTuples(lab.topology, job)
  // Once more: what found no port, or was lost on the way to its server, has a second chance; a flow with a session keeps its tuple.
  await udpTuples(lab.topology, job)
  await sleep(300)
  const usage = await agent.json<ReadonlyArray<Record<string, number | string>>>(['nat', 'hide'])
  const live = await agent.count('--snat', 'yes')
  const seen = await server.stop() as UdpTuplesFigures
  const { drops, global } = await agent.counters('drops', 'global')
  t.comment(`${seen.sources} of ${range} ports (${(100 * seen.sources / range).toFixed(2)} %), ${live} sessions, ${global?.['snat_tries'] ?? 0} tries, drops ${JSON.stringify(drops)}, usage ${JSON.stringify(usage[0])}`)
  t.ok(seen.sources >= 0.99 * range, `${seen.sources} of ${range} ports are usable`)
  t.equal(seen.shared, 0, 'no two flows share a tuple')
  t.equal(seen.moved, 0, 'no flow changes its tuple')
  t.ok(seen.low >= low && seen.high <= high, `ports ${seen.low}-${seen.high}`)
  t.ok((drops?.['snat_exhausted'] ?? 0) > 0, 'the rest is refused by name')
  t.ok(live <= range, `${live} sessions hold a port`)
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
