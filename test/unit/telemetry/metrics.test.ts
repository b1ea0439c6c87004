/** The metrics page: names, labels, series that end with their object, size and time. */
import t from 'tap'
import { balanced } from '../../../bench/api/balanced.js'
import { layout, limits } from '../../../src/generated/layout.js'
import type { NatUsage } from '../../../src/contract/dataplane.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { natWalk } from '../../../src/telemetry/table-walk.js'
import { createFakeAgent } from '../rpc/fake-agent.js'
import { pairStatus, roleEvent } from '../rpc/fake-cluster.js'

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
  t.match(page, /^lockstep_backend_switches_total\{result="done"\} 2\nlockstep_backend_switches_total\{result="forced"\} 1\nlockstep_backend_switches_total\{result="refused"\} 1\nlockstep_backend_switches_total\{result="failed"\} 0$/m)
  t.match(page, /^lockstep_backend_switch_last_hand_over_seconds 0\.005123$/m)
  t.match(page, /^lockstep_nodejs_eventloop_lag_p99_seconds /m)
  t.match(page, /^lockstep_process_resident_memory_bytes /m)
  t.notMatch(page.replace(/^lockstep_target_.*$/gm, ''), /\b10\.\d+\.\d+\.\d+\b/, 'but those of targets, which are configured')
})

t.test('VIPs, reals and targets: states and weights, and they end with their object', async (t) => {
  const agent = createFakeAgent(10)
  const metrics = createMetrics(agent.services)
  const page = await metrics.render()
  t.match(page, /^lockstep_vip_state\{vip="web",state="up"\} 1$/m)
  t.match(page, /^lockstep_vip_state\{vip="web",state="panic"\} 0$/m)
  t.match(page, /^lockstep_real_weight\{vip="web",pool="main",real="b"\} 0$/m)
  t.match(page, /^lockstep_real_configured_weight\{vip="web",pool="main",real="b"\} 100$/m)
  t.match(page, /^lockstep_target_state\{target="http\/10\.0\.0\.2:8080",state="down"\} 1$/m)
  t.match(page, /^lockstep_target_probes_total\{target="http\/10\.0\.0\.2:8080",code="status"\} 2$/m)
  t.match(page, /^lockstep_target_probe_seconds\{target="http\/10\.0\.0\.2:8080"\} 0\.0015$/m)
  t.notMatch(page, /^lockstep_target_probe_seconds\{target="dns/m, 'one that was never probed took no time')
  agent.loadBalancer.vipList = []
  agent.loadBalancer.targetList = []
  t.notMatch(await metrics.render(), /^lockstep_(vip_state|real_weight|real_configured_weight|target_\w+)\{/m)
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
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.filter((vip) => vip.name !== 'web')
  const page = await metrics.render()
  t.notMatch(page, /vip="web"/)
  t.notMatch(page, /vip="#1"/)
  t.match(page, /vip="dns"/)
})

t.test('1000 reals under checks: less than 1 MB', async (t) => {
  const agent = createFakeAgent(10)
  const { vips, targets, vipIds, realIds } = balanced(1000)
  agent.loadBalancer.vipList = vips
  agent.loadBalancer.targetList = targets
  for (const [kind, ids] of [['vip', vipIds], ['real', realIds]] as const) agent.names[kind] = Object.fromEntries(Object.entries(ids).map(([name, id]) => [id, name]))
  const metrics = createMetrics(agent.services)
  await metrics.render()
  const started = performance.now()
  const page = await metrics.render()
  t.comment(`${page.length} bytes in ${(performance.now() - started).toFixed(1)} ms`)
  t.ok(page.length < 1 << 20)
  t.equal([...page.matchAll(/^lockstep_real_packets_total\{/gm)].length, 1000)
  t.equal([...page.matchAll(/^lockstep_target_state\{/gm)].length, 1000)
  t.equal(limits.LS_REALS_MAX * layout.ls_counters.real.dims[1], layout.ls_counters.real.count)
})

t.test('NAT pools: a series an address, one walk however many scrapes, gone with the pool', async (t) => {
  const agent = createFakeAgent(10)
  const metrics = createMetrics(agent.services)
  const pages = await Promise.all(Array.from({ length: 20 }, async () => await metrics.render()))
  const page = await metrics.render()
  t.equal(agent.nat.walks, 1)
  for (const p of [...pages, page]) t.match(p, /^lockstep_nat_pool_sessions\{pool="out",address="203\.0\.113\.1"\} 16128$/m)
  t.match(page, /^lockstep_nat_pool_ports\{pool="out",address="2001:db8:7::1"\} 64512$/m)
  t.match(page, /^lockstep_nat_pool_created_total\{pool="out",address="203\.0\.113\.1"\} 70000$/m)
  t.match(page, /^lockstep_nat_pool_failed_total\{pool="out",address="2001:db8:7::1"\} 12$/m)
  delete agent.names.pool[1]
  t.notMatch(await metrics.render(), /^lockstep_nat_pool_sessions\{/m)
})

t.test('a pair: roles, proofs, peers, replication', async (t) => {
  const agent = createFakeAgent(10)
  agent.cluster.events.tell(roleEvent(1))
  agent.cluster.events.tell({ ...roleEvent(1), name: 'move-failed' })
  agent.cluster.events.tell(roleEvent(9))
  const page = await createMetrics(agent.services).render()
  for (const line of [
    'role{rg="0",role="owner"} 1', 'role{rg="0",role="standby"} 0', 'role{rg="1",role="standby"} 1', 'epoch{rg="0"} 1281', 'ready{rg="0"} 1', 'ready{rg="1"} 0', 'effective_priority{rg="1"} 80',
    'proven_equal_timestamp_seconds{rg="1"} 1700000005', 'sessions{rg="0"} 1234', 'role_changes_total{rg="0"} 0', 'role_changes_total{rg="1"} 1', 'moves_total{rg="1",result="failed"} 1', 'moves_total{rg="1",result="done"} 0',
    'peer_liveness{peer="edge-2",state="alive"} 1', 'path_liveness{peer="edge-2",path="path-1",state="lost"} 1', 'path_liveness{peer="edge-2",path="path-1",state="alive"} 0',
    'sync_state{peer="edge-2",state="up"} 1', 'sync_state{peer="edge-2",state="down"} 0', 'sync_path{peer="edge-2"} 1', 'sync_lag_seconds{peer="edge-2"} 0.0004', 'sync_ahead_bytes{peer="edge-2"} 1536',
    'sync_acknowledge_seconds_bucket{peer="edge-2",le="0.0005"} 200', 'sync_acknowledge_seconds_bucket{peer="edge-2",le="0.001"} 480', 'sync_acknowledge_seconds_bucket{peer="edge-2",le="+Inf"} 500', 'sync_acknowledge_seconds_sum{peer="edge-2"} 0.4', 'sync_acknowledge_seconds_count{peer="edge-2"} 500',
    'generation{node="edge-1"} 7', 'generation{node="edge-2"} 7', 'heartbeats_received_total{peer="edge-2",path="path-1"} 17', 'sync_sent_total{peer="edge-2",kind="cuts"} 60', 'sync_received_total{peer="edge-2",kind="differences"} 3',
    'rings{peer="edge-2",state="equal"} 2', 'rings{peer="edge-2",state="differing"} 1'
  ]) t.ok(page.includes(`\nlockstep_cluster_${line}\n`), line)
  t.notMatch(page, /proven_equal_timestamp_seconds\{rg="0"\}/, 'not known is no series')
  t.notMatch(page, /rg="9"/, 'a group that is not there has none')
})

t.test('a pair: no series when standalone, of a group that went, without a stream, or when the status fails', async (t) => {
  const agent = createFakeAgent(10)
  const metrics = createMetrics(agent.services)
  t.match(await metrics.render(), /^lockstep_cluster_sync_lag_seconds\{/m)
  agent.cluster.now = { ...pairStatus, sync: { ...pairStatus.sync, lagMs: null, lag: { ...pairStatus.sync.lag, count: 0 } }, groups: pairStatus.groups.slice(1) }
  const less = await metrics.render()
  t.notMatch(less, /^lockstep_cluster_(sync_lag|sync_acknowledge)_seconds\{|^lockstep_cluster_.*rg="0"/m)
  t.match(less, /^lockstep_cluster_role\{rg="1"/m)
  agent.cluster.now = null
  t.notMatch(await metrics.render(), /^lockstep_cluster_/m)
  agent.cluster.status = async () => { throw new Error('away') }
  const broken = await metrics.render()
  t.notMatch(broken, /^lockstep_cluster_/m)
  t.match(broken, /^lockstep_rx_packets_total 1000$/m)
})

t.test('1024 addresses of pools make 4096 series, not more', async (t) => {
  const agent = createFakeAgent(10)
  agent.nat.rows = Array.from({ length: limits.LS_POOL_ADDRS_MAX }, (_, i): NatUsage => ({ pool: 1, address: `203.0.${i >> 8}.${i & 255}`, ports: 64_512, inUse: i, created: i, failed: 0 }))
  const page = await createMetrics(agent.services).render()
  t.equal([...page.matchAll(/^lockstep_nat_pool_\w+\{/gm)].length, 4 * limits.LS_POOL_ADDRS_MAX)
  t.ok(page.length < 1 << 20)
})

t.test('a long walk, or one that fails, delays no scrape', async (t) => {
  const agent = createFakeAgent(10)
  const { telemetry } = agent.services.dataplane()
  let finish: (rows: readonly NatUsage[]) => void = () => {}
  telemetry.natUsage = async () => await new Promise((resolve) => { finish = resolve })
  const metrics = createMetrics(agent.services)
  t.notMatch(await metrics.render(), /^lockstep_nat_pool_sessions\{/m)
  finish(agent.nat.rows)
  t.match(await metrics.render(), /^lockstep_nat_pool_sessions\{.*\} 16128$/m, 'the next scrape has it')
  telemetry.natUsage = async () => { throw new Error('closed') }
  const broken = createMetrics(agent.services)
  t.match(await broken.render(), /^lockstep_rx_packets_total 1000$/m)
})

t.test('readings: young ones are given again, those of another dataplane never, failures reach the caller', async (t) => {
  const agent = createFakeAgent(10)
  const dataplane = agent.services.dataplane()
  let current = dataplane
  const reader = natWalk(() => current)
  t.equal((await reader.read(1000))?.value.length, 2)
  await reader.read(1000)
  t.equal(agent.nat.walks, 1)
  await reader.read(-1)
  t.equal(agent.nat.walks, 2, 'too old: a new walk')
  current = { ...dataplane, telemetry: { ...dataplane.telemetry, natUsage: async () => [] } }
  t.equal(reader.latest(), null)
  t.strictSame((await reader.poll(10_000, 25))?.value, [])
  current = { ...dataplane, telemetry: { ...dataplane.telemetry, natUsage: async () => { throw new Error('closed') } } }
  await t.rejects(reader.read(1000), /closed/)
  t.equal(await reader.poll(10_000, 25), null)
})

t.test('a dataplane that is programmed: whether it is there, and what is said to it; nothing of it where there is none', async (t) => {
  const { services } = createFakeAgent(10)
  t.notMatch(await createMetrics(services).render(), /^lockstep_program_/m)
  const program = { up: true, version: '26.10', buildDate: '', pid: 4711, since: 1_700_000_000_000, reason: '', connects: 2, operations: { 'vip-add': 4 }, messages: { sent: 10, received: 9, timedOut: 1, events: 3 }, nat: { sessions: 5, changes: { opened: 9, ended: 4, injected: 0, withdrawn: 0, unanswered: 1 } } }
  const page = await createMetrics({ ...services, info: async () => ({ ...await services.info(), backend: 'vpp', program }) }).render()
  for (const line of ['lockstep_program_up{backend="vpp"} 1', 'lockstep_program_since_seconds{backend="vpp"} 1700000000', 'lockstep_program_info{backend="vpp",version="26.10",pid="4711"} 1', 'lockstep_program_messages_total{kind="timed_out"} 1', 'lockstep_program_messages_total{kind="sent"} 10', 'lockstep_program_connects_total{result="up"} 2', 'lockstep_program_operations_total{kind="vip-add"} 4', 'lockstep_program_nat_sessions{backend="vpp"} 5', 'lockstep_program_nat_changes_total{change="unanswered"} 1']) t.ok(page.includes(`${line}\n`), line)
})
