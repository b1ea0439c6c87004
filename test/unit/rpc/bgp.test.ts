/** lockstep.v1.Bgp, `lockstep bgp`, the watch of neighbours, the metrics page and debug tables over one set of readings. */
import t, { type Test } from 'tap'
import { credentials } from '@grpc/grpc-js'
import { neighbour } from '../../../src/bgp/providers/provider.js'
import { call } from '../../../src/cli/client.js'
import { mirror, ObjectsConnection } from '../../../src/client/index.js'
import type { BgpNeighbour, BgpPending } from '../../../src/contract/bgp.js'
import { BgpState } from '../../../src/generated/proto/lockstep/v1/bgp.js'
import { runCli, type CliResult } from '../cli/run-cli.js'
import { withServer, type Running } from './with-server.js'
import { comesAbout } from '../../until.js'

const row = (peer: string, more: Partial<BgpNeighbour> = {}): BgpNeighbour => neighbour({ source: 'frr', vrf: 'default', peer, established: true, fsm: 'established', remoteAs: 65001, since: Date.now() - 90_000, drops: 0, ...more })
const pending: BgpPending = { sink: 'ledger', subject: 'user-1', state: 'down', rttNs: 0, cause: 'changed', decidedAt: 1_700_000_000_000, queuedAt: 1_700_000_000_001, attempts: 2, retryAt: null, lastError: 'no route', stage: 'queued' }

async function withNeighbours (t: Test): Promise<Running & { readonly read: (rows: readonly BgpNeighbour[]) => void, readonly cli: (command: string) => Promise<CliResult> }> {
  const running = await withServer(t, 10)
  const read = (neighbours: readonly BgpNeighbour[]): void => { running.agent.bgp.view.observe({ source: 'frr', scope: 'edge', at: Date.now(), ok: true, neighbours }, 1.5) }
  read([row('192.0.2.1', { description: 'user-1' }), row('192.0.2.2', { established: false, fsm: 'idle', adminDown: true, since: null, reason: 'Admin. shutdown' }), row('192.0.2.1', { vrf: 'blue', rttNs: null })])
  running.agent.bgp.view.observe({ source: 'kernel', scope: 'kernel/default', at: Date.now(), ok: true, neighbours: [neighbour({ source: 'kernel', vrf: 'default', peer: '192.0.2.1', established: true, rttNs: 1_001_000, cookie: 2n ** 40n })] })
  running.agent.bgp.view.observe({ source: 'bird', scope: 'bird', at: Date.now(), ok: false, reason: 'LS_G_SOCKET: no daemon listens' }, 0.5)
  running.agent.bgp.waiting = [pending]
  return { ...running, read, cli: async command => await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: running.socketPath } }) }
}

t.test('neighbours by VRF and peer, in pages, and one that is not there', async (t) => {
  const { connection: { bgp }, read } = await withNeighbours(t)
  const list = async (more: object = {}): Promise<{ readonly keys: readonly string[], readonly next: string }> => {
    const { neighbours, next } = await call(bgp, bgp.listNeighbours, { vrf: '', peer: '', after: '', limit: 0, ...more })
    return { keys: neighbours.map(({ key }) => key), next }
  }
  t.same(await list(), { keys: ['blue/192.0.2.1', 'default/192.0.2.1', 'default/192.0.2.2'], next: '' })
  t.same(await list({ limit: 2 }), { keys: ['blue/192.0.2.1', 'default/192.0.2.1'], next: 'default/192.0.2.1' })
  t.same(await list({ limit: 2, after: 'default/192.0.2.1' }), { keys: ['default/192.0.2.2'], next: '' })
  t.same(await list({ vrf: 'blue' }), { keys: ['blue/192.0.2.1'], next: '' })
  t.same(await list({ peer: '192.0.2.1' }), { keys: ['blue/192.0.2.1', 'default/192.0.2.1'], next: '' })
  await t.rejects(list({ peer: '192.0.2.9' }), { code: 'LS_E_NOT_FOUND' })
  const { neighbours: [one] } = await call(bgp, bgp.listNeighbours, { vrf: 'default', peer: '192.0.2.1', after: '', limit: 0 })
  t.match(one, { state: BgpState.BGP_STATE_UP, rttNs: 1_001_000n, flaps: 0n, drops: 0n, source: 'frr', fsm: 'established', description: 'user-1', unknownBecause: '' })
  read(Array.from({ length: 12_000 }, (_, i) => row(`10.0.${i >> 8}.${i & 255}`)))
  const [seen, after]: [Set<string>, string[]] = [new Set(), ['']]
  for (let i = 0; i < 3; i++) {
    const { keys, next } = await list({ after: after.at(-1) })
    for (const key of keys) seen.add(key)
    after.push(next)
  }
  t.same([seen.size, after.at(-1)], [12_003, ''], 'and those that are missing for a moment only')
})

t.test('sources and what waits', async (t) => {
  const { connection: { bgp } } = await withNeighbours(t)
  t.match(await call(bgp, bgp.listSources, {}), { sources: [{ scope: 'bird', kind: 'bird', failed: /no daemon listens/, failures: 1, readingsFailed: 1n, goodAtMs: undefined }, { scope: 'edge', failed: '', neighbours: 3, readingsOk: 1n, tookMs: 1.5 }, { scope: 'kernel/default', tookMs: undefined }] })
  t.match(await call(bgp, bgp.listPending, {}), { pending: [{ sink: 'ledger', subject: 'user-1', state: BgpState.BGP_STATE_DOWN, stage: 'queued', attempts: 2, lastError: 'no route' }] })
})

t.test('the command line', async (t) => {
  const { cli, agent } = await withNeighbours(t)
  t.match((await cli('bgp neighbours')).out, /^VRF +PEER +AS +STATE +FSM[^\n]*\nblue +192\.0\.2\.1 [^\n]*\ndefault +192\.0\.2\.1 +65001 +up +established +1m30s +0 +1\.001 ms[^\n]*\ndefault +192\.0\.2\.2 +65001 +down +shut down +- [^\n]*Admin\. shutdown\n$/)
  t.match(JSON.parse((await cli('bgp neighbours 192.0.2.2 --json')).out), [{ state: 'down', adminDown: true }])
  t.match(await cli('bgp neighbours 192.0.2.9'), { code: 4, err: /no such neighbour/ })
  t.match((await cli('bgp sources')).out, /bird +bird +fails[^\n]*no daemon listens\nedge +frr +answers +3/)
  agent.bgp.waiting = agent.bgp.waiting.map(one => ({ ...one, decidedAt: one.decidedAt + 0.4, queuedAt: one.queuedAt + 0.25, rttNs: 1.5 }))
  t.match((await cli('bgp pending')).out, /ledger +user-1 +down +changed +queued[^\n]*no route\n$/)
  t.match((await cli('bgp watch default/192.0.2.1 --count 1')).out, /\+ default\/192\.0\.2\.1 up, AS 65001, 0 flaps\n$/)
  agent.bgp.view.forget('frr', 'edge')
  agent.bgp.waiting = []
  t.match((await cli('bgp neighbours')).out, /no neighbour is known/)
  t.match((await cli('bgp pending')).out, /nothing waits/)
})

t.test('routes to VIPs and sinks of reports: answered, listed, measured, and an alarm when a place fails', async (t) => {
  const { cli, agent, connection: { bgp } } = await withNeighbours(t)
  t.match((await cli('bgp routes')).out, /^nothing is announced: section `bgp\.announce`/)
  t.match((await cli('bgp sinks')).out, /^nobody is told/)
  const since = Date.now() - 60_000
  agent.bgp.announced = [{ prefix: '192.0.2.10/32', vips: ['dns', 'web'], announced: true, reason: 'web is up', since }, { prefix: '2001:db8::1/128', vips: ['six'], announced: false, reason: 'no real serves', since }]
  agent.bgp.placed = [{ name: 'kernel table 179', kind: 'kernel', goodAt: null, failed: 'adding routes of table 179: no permission', failures: 2, added: 0, removed: 0 }, { name: 'gobgp 127.0.0.1:50051', kind: 'gobgp', goodAt: since, failed: null, failures: 0, added: 3, removed: 1 }]
  const empty = { bounds: [1], counts: [1, 0], sum: 0.5 }
  agent.bgp.told = [{ sink: 'ledger', kind: 'solana', stage: 'ready', lastError: 'no route', subjects: 2, observed: { up: 1, down: 0, unknown: 0 }, held: { unknown: 0, grace: 0, debounce: 0, spacing: 0 }, looks: { ok: 1, failed: 0 }, offers: { queued: 0, replaced: 0, kept: 0, out: 0, full: 0 }, withdrawn: 0, retried: 0, queued: 1, out: 0, lastTickAt: since, lastLandedAt: null, batches: 4, batchMs: 9, reports: { up: { landed: 1 }, down: {} }, landedIn: empty, fetches: { results: { success: 1, stale: 0, failed: 0 }, took: empty, staleMs: 0 } }]
  t.match(await call(bgp, bgp.listRoutes, {}), {
    routes: [{ prefix: '192.0.2.10/32', vips: ['dns', 'web'], announced: true, reason: 'web is up', sinceMs: BigInt(since) }, { announced: false }],
    sinks: [{ name: 'kernel table 179', kind: 'kernel', goodAtMs: undefined, failures: 2, failed: /no permission/ }, { failed: '', added: 3n, removed: 1n }]
  })
  t.match(await call(bgp, bgp.listSinks, {}), { sinks: [{ name: 'ledger', kind: 'solana', stage: 'ready', lastError: 'no route', queued: 1, batches: 4n, lastLandedAtMs: undefined }] })
  t.match((await cli('bgp routes')).out, /192\.0\.2\.10\/32 +announced +1m0\ds +dns web +web is up\n2001:db8::1\/128 +withdrawn +1m0\ds +six +no real serves\n\nPLACE[^\n]*\nkernel table 179 +fails +- +0 +0 +adding routes of table 179: no permission\ngobgp 127\.0\.0\.1:50051 +as it should be +1m0\ds +3 +1/)
  t.match((await cli('bgp sinks')).out, /ledger +solana +ready +2 +1 +0 +- +no route\n$/)
  t.match((await cli('alarms')).out, /kernel table 179[^\n]*no permission/)
  const page = (await cli('metrics')).out
  for (const line of [/^lockstep_bgp_route_announced\{prefix="2001:db8::1\/128"\} 0$/m, /^lockstep_bgp_route_place_good\{place="kernel table 179"\} 0$/m, /^lockstep_bgp_route_changes_total\{place="gobgp 127\.0\.0\.1:50051",change="added"\} 3$/m, /^lockstep_bgp_report_seconds_bucket\{sink="ledger",le="1"\} 1$/m, /^lockstep_bgp_report_fetches_total\{sink="ledger",result="success"\} 1$/m]) t.match(page, line)
  t.match((await cli('metrics --names doublezero')).out, /^doublezero_bgpstatus_submissions_total\{bgp_status="up",result="success"\} 1$/m)
})

t.test('a watch: round trips are no change, a state is, and it is told at once', async (t) => {
  const { socketPath, read, agent } = await withNeighbours(t)
  const objects = new ObjectsConnection({ address: `unix:${socketPath}`, credentials: credentials.createInsecure() })
  t.teardown(() => { objects.close() })
  const store = mirror(objects.open('bgp', ['default/192.0.2.1']))
  t.teardown(async () => { await store.close() })
  await store.waitSynced()
  const now = (): string => store.current().get('default/192.0.2.1')?.state ?? 'gone'
  t.equal(now(), BgpState.BGP_STATE_UP)
  const told: string[] = []
  agent.bgp.view.watch(() => { told.push('x') })
  read([row('192.0.2.1', { established: false, fsm: 'active', drops: 1 })])
  t.ok(await comesAbout(() => now() === BgpState.BGP_STATE_DOWN))
  agent.bgp.view.forget('frr', 'edge')
  t.ok(await comesAbout(() => now() === 'gone'))
  t.equal(told.length, 2)
})

t.test('metrics: a series for each neighbour and source, which ends with it', async (t) => {
  const { connection: { telemetry }, agent } = await withNeighbours(t)
  const page = async (): Promise<string> => (await call(telemetry, telemetry.metrics, { names: '' })).text
  const lines = await page()
  for (const line of [
    'lockstep_bgp_neighbours{state="up"} 2', 'lockstep_bgp_neighbours{state="down"} 1', 'lockstep_bgp_neighbours{state="unknown"} 0', 'lockstep_bgp_neighbour_state{vrf="default",peer="192.0.2.2",state="down"} 1',
    'lockstep_bgp_neighbour_rtt_seconds{vrf="default",peer="192.0.2.1"} 0.001001', 'lockstep_bgp_neighbour_flaps_total{vrf="default",peer="192.0.2.1"} 0', 'lockstep_bgp_source_up{source="bird",kind="bird"} 0', 'lockstep_bgp_source_up{source="edge",kind="frr"} 1',
    'lockstep_bgp_source_readings_total{source="bird",kind="bird",result="failed"} 1'
  ]) t.match(lines, line)
  agent.bgp.view.forget('frr', 'edge')
  t.notMatch(await page(), /192\.0\.2\.1/)
})

t.test('debug tables', async (t) => {
  const { cli } = await withNeighbours(t)
  t.match((await cli('debug bgp-neighbours')).out, /default\/192\.0\.2\.1[^]*10000000000/)
  t.match((await cli('debug bgp-sources')).out, /no daemon listens/)
  t.match((await cli('debug bgp-pending')).out, /ledger\/user-1/)
})
