/** The metrics page: names, labels, series that end with their object, size and time. */
import t from 'tap'
import { layout, limits } from '../../../src/generated/layout.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { createFakeAgent } from '../rpc/fake-agent.js'

t.test('every family is lockstep_*, has help and type, base units and no address', async (t) => {
  const page = await createMetrics(createFakeAgent(10).services).render()
  const families = [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((m) => ({ name: m[1] ?? '', type: m[2] ?? '' }))
  t.ok(families.length > 50)
  for (const { name, type } of families) {
    t.match(name, /^lockstep_[a-z0-9_]+$/, name)
    if (type === 'counter') t.match(name, /_total$/, name)
    t.notMatch(name, /_(ms|millis|kb|mib)(_|$)/, name)
  }
  t.match(page, /^lockstep_rx_packets_total 1000$/m)
  t.match(page, /^lockstep_dropped_packets_total\{reason="policy_deny"\} 5$/m)
  t.match(page, /^lockstep_zone_received_bytes_total\{zone="clients"\} 70000$/m)
  t.match(page, /^lockstep_screen_hits_total\{zone="clients",screen="syn_flood"\} 3$/m)
  t.match(page, /^lockstep_real_packets_total\{real="web\/a"\} 41$/m)
  t.match(page, /^lockstep_agent_state\{state="running"\} 1$/m)
  t.match(page, /^lockstep_build_info\{.*backend="userspace".*\} 1$/m)
  t.match(page, /^lockstep_port_received_packets_total\{port="eth0"\} 10$/m)
  t.match(page, /^lockstep_nodejs_eventloop_lag_p99_seconds /m)
  t.match(page, /^lockstep_process_resident_memory_bytes /m)
  t.notMatch(page, /\b10\.\d+\.\d+\.\d+\b/)
})

t.test('counters follow the dataplane, also backwards after it restarts', async (t) => {
  const agent = createFakeAgent(10)
  const metrics = createMetrics(agent.services)
  await metrics.render()
  const block = agent.counters.blocks.global
  if (block !== undefined) block[0] = 5
  t.match(await metrics.render(), /^lockstep_rx_packets_total 5$/m)
})

t.test('a series ends when its object is gone, and ids without a name have none', async (t) => {
  const agent = createFakeAgent(10)
  const metrics = createMetrics(agent.services)
  t.match(await metrics.render(), /vip="web"/)
  delete agent.names.vip[1]
  const page = await metrics.render()
  t.notMatch(page, /vip="web"/)
  t.notMatch(page, /vip="#1"/)
  t.match(page, /vip="dns"/)
})

t.test('1000 reals: less than 1 MB', async (t) => {
  const agent = createFakeAgent(10)
  for (let id = 1; id <= 1000; id++) agent.names.real[id] = `pool-${id >> 4}/server-${id}.example.net`
  const metrics = createMetrics(agent.services)
  await metrics.render()
  const started = performance.now()
  const page = await metrics.render()
  t.comment(`${page.length} bytes in ${(performance.now() - started).toFixed(1)} ms`)
  t.ok(page.length < 1 << 20)
  t.equal([...page.matchAll(/^lockstep_real_packets_total\{/gm)].length, 1000)
  t.equal(limits.LS_REALS_MAX * layout.ls_counters.real.dims[1], layout.ls_counters.real.count)
})
