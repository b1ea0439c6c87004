/** Each thing that is not as it should be is an alarm; what is well is none; the order is that of importance. */
import t from 'tap'
import type { VipStatus } from '../../../src/contract/balancing.js'
import type { TargetStatus } from '../../../src/contract/health.js'
import { FirstSeen } from '../../../src/lib/first-seen.js'
import { alarmsOf, type AlarmFacts } from '../../../src/telemetry/alarms.js'
import { pairStatus } from '../rpc/fake-cluster.js'

const well: AlarmFacts = { info: { state: 'running', reasons: [], reasonsSince: [], startedAt: 1 }, config: { unconfirmed: null, drift: false }, vips: [], targets: [], cluster: null, bgp: { neighbours: [], sources: [], sinks: [], routeSinks: [] } }
const real = { name: 'a', pool: 'p', address: '10.0.0.1', port: 80, configuredWeight: 1, weight: 1, state: 'serving', target: 'http/a' } as const
const vip = (state: VipStatus['state'], reals: VipStatus['reals'] = [real]): VipStatus => ({ name: 'web', address: '198.51.100.1', port: 80, protocol: 6, mode: 'nat', redundancyGroup: 0, state, pool: 'p', reals })
const target = (state: TargetStatus['state']): TargetStatus => ({ id: 'http/a', check: 'http', type: 'http', address: '10.0.0.1', port: 80, state, count: 0, sharePct: 100, since: 5000, last: { ok: false, code: 'refused', detail: 'connection refused', tookMs: 1, at: 5000 }, passed: 0, failed: 1, probing: false, nextAt: null, results: {}, tookMs: 1, changes: [], history: [] })
const brief = (facts: Partial<AlarmFacts>): string[] => alarmsOf({ ...well, ...facts }).map(({ severity, area, object, text, since }) => `${severity} ${area} ${object}: ${text} @${since}`)
const group = pairStatus.groups[0]
if (group === undefined) throw new Error('the pair has groups')
const pair = { ...pairStatus, peers: pairStatus.peers.map(peer => ({ ...peer, liveness: 'alive' as const })), groups: [{ ...group, owner: pairStatus.node, ready: true, monitorsDown: [] }] }

t.test('what is well is no alarm', async (t) => {
  t.same(brief({}), [])
  t.same(brief({ vips: [vip('up'), vip('unknown')], targets: [target('up'), target('paused'), target('unknown')], cluster: pair }), [])
})

t.test('the agent and its configuration', async (t) => {
  t.same(brief({ info: { state: 'degraded', reasons: ['eth0 is gone'], reasonsSince: [7000], startedAt: 1 } }), ['warning agent : eth0 is gone @7000'])
  t.same(brief({ info: { ...well.info, state: 'starting' } }), ['error agent : the agent is starting @1'])
  t.match(brief({ config: { drift: true, unconfirmed: { generation: 4, appliedAt: 100, author: '', comment: '', source: 'grpc', hash: '', state: 'unconfirmed', confirmBy: 2000 } as never } }), [/^warning config generation 4: it is rolled back at 1970-01-01T00:00:02.000Z unless it is confirmed @100$/, /^warning config startup/])
})

t.test('VIPs and their targets', async (t) => {
  const down = [{ ...real, state: 'down' as const }]
  t.same(brief({ vips: [vip('down', down)], targets: [target('down')] }), ['error load-balancer vip web: nobody serves it: 1 of 1 reals take no flows @5000', 'warning load-balancer target http/a: it is down: refused, connection refused @5000'])
  t.match(brief({ vips: [vip('panic', down)] }), [/^error load-balancer vip web: too few/])
  t.match(brief({ vips: [vip('degraded', [real, ...down])] }), [/^warning load-balancer vip web: it is served without its quorum: 1 of 2 .*@null$/])
})

t.test('the pair', async (t) => {
  t.match(brief({ cluster: { ...pair, peers: pair.peers.map(peer => ({ ...peer, liveness: 'lost' as const })) } }), [/^error cluster node edge-2: its heartbeats are not heard: lost/])
  t.match(brief({ cluster: { ...pair, peers: pair.peers.map(peer => ({ ...peer, liveness: 'suspect' as const })) } }), [/^warning cluster node edge-2/])
  t.match(brief({ cluster: { ...pair, groups: [{ ...group, owner: null }] } })[0], /^error cluster group 0: nobody owns it/)
  t.match(brief({ cluster: { ...pair, groups: [{ ...group, owner: 'edge-2', ready: false, reasons: ['not-proven-equal'], monitorsDown: [] }] } }), [/^warning cluster group 0: this node would not take it over: not-proven-equal/])
  t.match(brief({ cluster: { ...pair, groups: [{ ...group, owner: pair.node, ready: true, monitorsDown: ['eth1'] }] } }), [/monitors are down: eth1/])
})

const neighbour = { source: 'frr', vrf: 'default', peer: '192.0.2.1', local: null, remoteAs: 1, localAs: 2, established: false, fsm: 'idle', adminDown: false, since: null, drops: null, reason: 'Hold Timer Expired', description: null, prefixesReceived: null, rttNs: null, cookie: null, state: 'down', seenAt: 1, changedAt: 900, flaps: 1, unknownBecause: null } as const
const source = { source: 'frr', scope: 'edge', goodAt: 700, fresh: true, whole: true, failed: null, failures: 0, readings: { ok: 1, failed: 0 }, neighbours: 1, tookMs: 1 } as const
const sink = { sink: 'hook', kind: 'webhook', stage: 'ready', lastError: null, subjects: 1, observed: { up: 1, down: 0, unknown: 0 }, held: { unknown: 0, grace: 0, debounce: 0, spacing: 0 }, looks: { ok: 1, failed: 0 }, offers: { queued: 0, replaced: 0, kept: 0, out: 0, full: 0 }, withdrawn: 0, retried: 0, queued: 0, out: 0, lastTickAt: 1, lastLandedAt: 600, batches: 1, batchMs: 1, reports: { up: {}, down: {} }, landedIn: { bounds: [], counts: [0], sum: 0 }, fetches: null } as const

t.test('BGP: sessions, where they are read, and where they are told; who was shut down here is no alarm', async (t) => {
  const bgp = (over: Partial<AlarmFacts['bgp']>): string[] => brief({ bgp: { neighbours: [], sources: [], sinks: [], routeSinks: [], ...over } })
  t.same(bgp({ neighbours: [{ ...neighbour, state: 'up', established: true }, { ...neighbour, adminDown: true }], sources: [source], sinks: [sink, { ...sink, stage: 'stopped', lastError: 'x' }] }), [])
  t.same(bgp({ neighbours: [neighbour] }), ['warning bgp neighbour default/192.0.2.1: its session is down: Hold Timer Expired @900'])
  t.match(bgp({ neighbours: [{ ...neighbour, state: 'unknown', unknownBecause: 'no answer within 300 ms' }] }), [/nobody knows its session: no answer within 300 ms/])
  t.same(bgp({ sources: [{ ...source, failed: 'connection refused' }] }), ['warning bgp source edge: it cannot be read: connection refused @700'])
  t.same(bgp({ routeSinks: [{ name: 'kernel table 179', kind: 'kernel', goodAt: 700, failed: 'adding routes: no permission', failures: 2, added: 1, removed: 0 }, { name: 'gobgp 127.0.0.1:50051', kind: 'gobgp', goodAt: 1, failed: null, failures: 0, added: 1, removed: 0 }] }),
    ['error bgp kernel table 179: routes to VIPs are not as they should be there: adding routes: no permission @700'])
  t.same(bgp({ sinks: [{ ...sink, lastError: 'status 500' }, { ...sink, sink: 'ledger', stage: 'refused', lastError: 'wrong key' }] }), ['warning bgp sink hook: the last report failed: status 500 @600', 'warning bgp sink ledger: it takes no reports: wrong key @600'])
})

t.test('since when something is there, until it is gone', async (t) => {
  let now = 10
  const seen = new FirstSeen(() => now)
  t.same(seen.of(['a']), [10])
  now = 20
  t.same(seen.of(['a', 'b']), [10, 20])
  now = 30
  t.same(seen.of(['b']), [20])
  now = 40
  t.same(seen.of(['a', 'b']), [40, 20])
})
