/** Names of vpp-maglev's metrics: every line of a page, and what two VIPs call alike. */
import t from 'tap'
import type { RealStatus, VipStatus } from '../../../src/contract/balancing.js'
import type { ProgramStatus } from '../../../src/contract/dataplane.js'
import type { TargetStatus } from '../../../src/contract/health.js'
import { createMaglevMetrics } from '../../../src/telemetry/maglev-metrics.js'

const real = (name: string, address: string, target: string | null): RealStatus => ({ name, pool: 'main', address, port: 80, configuredWeight: 50, weight: 0, state: 'down', target })
const vip = (name: string, reals: readonly RealStatus[]): VipStatus => ({ name, address: '192.0.2.1/32', port: 80, protocol: 6, mode: 'nat', redundancyGroup: 0, state: 'up', pool: 'main', reals })
const target = (id: string): TargetStatus => ({
  id, check: 'web', type: 'http', address: '10.0.0.1', port: 80, state: 'down', count: 2, sharePct: 100, since: 0, last: null, passed: 7, failed: 3, probing: false, nextAt: null, results: { ok: 7, status: 2, timeout: 1 }, tookMs: 1500,
  changes: [{ from: 'unknown', to: 'up', count: 1 }, { from: 'up', to: 'down', count: 2 }], history: []
})

t.test('a page; nobody is counted twice, and who ends is not on the next one', async (t) => {
  let vips = [vip('www', [real('a', '10.0.0.1', 'web/10.0.0.1:80'), real('c', '10.0.0.3', null)]), vip('api', [real('a', '10.0.0.1', 'web/10.0.0.1:80')])]
  const page = createMaglevMetrics({ vips: async () => await Promise.resolve(vips), targets: async () => await Promise.resolve([target('web/10.0.0.1:80')]) }, async () => await Promise.resolve(null))
  const lines = async (): Promise<string[]> => (await page.render()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.same(await lines(), [
    ...['unknown', 'up', 'down', 'paused', 'disabled'].map(state => `maglev_backend_state{backend="a",state="${state}"} ${state === 'down' ? 1 : 0}`),
    'maglev_backend_health{backend="a"} 2', 'maglev_backend_enabled{backend="a"} 1',
    'maglev_frontend_pool_backend_weight{frontend="www",pool="main",backend="a"} 50', 'maglev_frontend_pool_backend_weight{frontend="www",pool="main",backend="c"} 50', 'maglev_frontend_pool_backend_weight{frontend="api",pool="main",backend="a"} 50',
    'maglev_probe_total{backend="a",type="http",result="success",code="ok"} 7', 'maglev_probe_total{backend="a",type="http",result="failure",code="status"} 2', 'maglev_probe_total{backend="a",type="http",result="failure",code="timeout"} 1',
    'maglev_probe_duration_seconds_sum{backend="a",type="http"} 1.5', 'maglev_probe_duration_seconds_count{backend="a",type="http"} 10',
    'maglev_backend_transitions_total{backend="a",from="unknown",to="up"} 1', 'maglev_backend_transitions_total{backend="a",from="up",to="down"} 2'
  ])
  vips = [vip('www', [real('c', '10.0.0.3', null)])]
  t.same(await lines(), ['maglev_frontend_pool_backend_weight{frontend="www",pool="main",backend="c"} 50'])
})

t.test('reals of one name that are different servers', async (t) => {
  const page = createMaglevMetrics({ vips: async () => await Promise.resolve([vip('www', [real('a', '10.0.0.1', 'web/10.0.0.1:80')]), vip('api', [real('a', '10.0.0.2', null)])]), targets: async () => await Promise.resolve([target('web/10.0.0.1:80')]) }, async () => await Promise.resolve(null))
  const text = await page.render()
  t.match(text, /^maglev_backend_health\{backend="www\/a"\} 2$/m)
  t.match(text, /^maglev_frontend_pool_backend_weight\{frontend="api",pool="main",backend="api\/a"\} 50$/m)
})

t.test('VPP, where it is the dataplane', async (t) => {
  let program: ProgramStatus = {
    up: true, version: '26.10', buildDate: '2026-10-01', pid: 4711, since: Date.now() - 5000, reason: '', connects: 1, operations: { 'vip-add': 3, 'real-weight': 2 }, messages: { sent: 0, received: 0, timedOut: 0, events: 0 }, nat: null
  }
  const page = createMaglevMetrics({ vips: async () => await Promise.resolve([]), targets: async () => await Promise.resolve([]) }, async () => await Promise.resolve(program))
  const text = await page.render()
  for (const line of ['maglev_vpp_connected 1', 'maglev_vpp_info{version="26.10",build_date="2026-10-01",pid="4711"} 1', 'maglev_vpp_lbsync_total{scope="all",kind="vip_added"} 3', 'maglev_vpp_lbsync_total{scope="all",kind="as_weight_updated"} 2', 'maglev_vpp_lbsync_total{scope="all",kind="as_removed"} 0']) t.ok(text.includes(`${line}\n`), line)
  t.match(text, /^maglev_vpp_connected_seconds 5/m)
  program = { ...program, up: false, version: '', pid: 0 }
  const gone = await page.render()
  t.match(gone, /^maglev_vpp_connected 0$/m)
  t.match(gone, /^maglev_vpp_connected_seconds 0$/m)
  t.notMatch(gone, /^maglev_vpp_info\{/m)
})
