/** lockstep.v1.Cluster over a real socket. */
import t from 'tap'
import { call, messages } from '../../../src/cli/client.js'
import { status } from '@grpc/grpc-js'
import type { ClusterEvent } from '../../../src/generated/proto/lockstep/v1/cluster.js'
import { eventsLost } from '../../../src/ha/event-log.js'
import { EVENTS_MAX } from '../../../src/lib/event-log.js'
import { CLUSTER_WATCHERS_MAX } from '../../../src/rpc/cluster-service.js'
import { eventMessage } from '../../../src/rpc/cluster-message.js'
import { watchEvents } from '../../../src/rpc/event-watch.js'
import { pairStatus, roleEvent, startedAt } from './fake-cluster.js'
import { fakeId } from './fake-sessions.js'
import { withServer } from './with-server.js'
import { comesAbout } from '../../until.js'

t.test('status: everything the agent knows, enumerations and absent values as the messages have them', async (t) => {
  const { connection: { cluster: stub } } = await withServer(t)
  const s = await call(stub, stub.getStatus, {})
  t.match(s, { node: 'edge-1', nodeIndex: 1, bootId: 'boot-1', generation: 7n })
  t.match(s.peers, [{ node: 'edge-2', liveness: 'PEER_LIVENESS_ALIVE', paths: [{ path: 'path-0', liveness: 'PEER_LIVENESS_ALIVE' }, { path: 'path-1', liveness: 'PEER_LIVENESS_LOST' }], agent: 'present', generation: 7n }])
  t.match(s.sync, { state: 'SYNC_STATE_UP', refusal: '', address: '[2001:db8::1]:7000', path: 1, lagMs: 0.4, lag: { count: 500n, p99Ms: 2.5 }, aheadBytes: 1536n })
  t.same(s.sync?.received.map((r) => [r.kind, r.value]), [['installed', 20n], ['conflicts', 0n], ['differences', 3n], ['repairs', 1n], ['bulks', 1n]])
  const [owned, copy] = s.groups
  t.match(owned, { rg: 0, role: 'RG_ROLE_OWNER', epoch: 1281n, owner: 'edge-1', provenEqualAtMs: undefined, move: undefined, peer: { role: 'RG_ROLE_STANDBY', ready: true } })
  t.match(copy, { rg: 1, role: 'RG_ROLE_STANDBY', effectivePriority: 80, pinned: true, holds: ['manual'], ready: false, reasons: ['not-proven-equal', 'next-hops'], provenEqualAtMs: BigInt(startedAt + 5000), monitorsDown: ['uplink'] })
  t.match(owned?.history, [{ from: 'RG_ROLE_INIT', to: 'RG_ROLE_STANDBY' }, { atMs: BigInt(startedAt + 1000), to: 'RG_ROLE_OWNER', code: 'elected' }])
})

t.test('status: a peer that was never heard', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  const [group] = pairStatus.groups
  agent.cluster.now = {
    ...pairStatus, peers: [{ node: 'edge-2', liveness: 'unseen', paths: [], agent: null, generation: null, bootId: null }],
    sync: { ...pairStatus.sync, state: 'refused', refusal: 'other ids', path: null, lagMs: null }, groups: group === undefined ? [] : [{ ...group, owner: null, peer: null, move: { id: 'm1', peer: 'edge-2', phase: 'offered' } }]
  }
  const s = await call(stub, stub.getStatus, {})
  t.match(s.peers, [{ liveness: 'PEER_LIVENESS_UNSEEN', agent: '', generation: undefined, bootId: '' }])
  t.match(s.sync, { state: 'SYNC_STATE_REFUSED', refusal: 'other ids', address: '', path: undefined, lagMs: undefined })
  t.match(s.groups, [{ owner: '', peer: undefined, move: { id: 'm1', phase: 'offered' } }])
})

t.test('switchover: to the other node unless named, each group for itself', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  t.match(await call(stub, stub.switchover, { rgs: [1, 1], all: false, to: '' }), { to: 'edge-2', done: [1], refused: [] })
  agent.cluster.refused = [{ rg: 1, reasons: ['not-proven-equal', 'capacity'] }]
  t.match(await call(stub, stub.switchover, { rgs: [], all: true, to: 'edge-1' }), { to: 'edge-1', done: [0], refused: [{ rg: 1, reasons: ['not-proven-equal', 'capacity'] }] })
  t.same(agent.cluster.calls, [['switchover', [1], 'edge-2'], ['switchover', [0, 1], 'edge-1']])
  await t.rejects(call(stub, stub.switchover, { rgs: [1], all: false, to: 'edge-9' }), { grpcCode: status.INVALID_ARGUMENT, code: 'LS_R_NODE', detail: { found: 'edge-9', expected: 'one of edge-1 edge-2' } })
})

t.test('hold, release, reset: groups that are named, or all', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  for (const method of [stub.hold, stub.release, stub.reset]) {
    t.match(await call(stub, method, { rgs: [1], all: false }), { done: [1], refused: [] })
    await t.rejects(call(stub, method, { rgs: [], all: false }), { code: 'LS_R_GROUPS', message: /no group is named; name groups, or set `all`/ })
    await t.rejects(call(stub, method, { rgs: [0], all: true }), { code: 'LS_R_GROUPS', message: /not both/ })
    await t.rejects(call(stub, method, { rgs: [0, 7], all: false }), { grpcCode: status.INVALID_ARGUMENT, code: 'LS_R_GROUP', detail: { found: '7', expected: 'one of 0 1' } })
  }
  t.same(agent.cluster.calls, [['hold', [1]], ['release', [1]], ['reset', [1]]])
})

t.test('differences: what comparisons found, with the sessions that are here', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t, 100)
  t.same(await call(stub, stub.listDifferences, { rgs: [] }), { groups: [], nextPageToken: '' })
  const gone = 'f'.repeat(32)
  agent.cluster.repaired = [{ rg: 1, at: startedAt, asked: 2, askedIds: [fakeId(4)], ended: 1, endedIds: [gone] }, { rg: 0, at: startedAt - 5, asked: 0, askedIds: [], ended: 0, endedIds: [] }]
  const { groups } = await call(stub, stub.listDifferences, { rgs: [1] })
  t.match(groups, [{ rg: 1, atMs: BigInt(startedAt), asked: 2n, ended: 1n, sessions: [{ session: fakeId(4), onlyHere: false, now: { id: fakeId(4), slot: 4 } }, { session: gone, onlyHere: true, now: undefined }] }])
  t.equal((await call(stub, stub.listDifferences, { rgs: [] })).groups.length, 2)
  await t.rejects(call(stub, stub.listDifferences, { rgs: [9] }), { code: 'LS_R_GROUP' })
})

t.test('resync: copies only, by an operator; a trial says how they stand', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  const dry = { dryRun: true, requestId: '' }
  t.match(await call(stub, stub.resync, { rgs: [], all: true, timeoutMs: 0, mutation: dry }), { groups: [{ rg: 1, tookMs: 0 }] })
  t.same(agent.cluster.calls, [])
  t.match(await call(stub, stub.resync, { rgs: [], all: true, timeoutMs: 0 }), { groups: [{ rg: 1, equal: true, sessions: 77n, tookMs: 300 }] })
  t.same(agent.cluster.calls, [['resync', [1]]])
  await t.rejects(call(stub, stub.resync, { rgs: [0], all: false, timeoutMs: 0 }), { code: 'LS_R_GROUP_OWNED' })
  await t.rejects(call(stub, stub.resync, { rgs: [1], all: false, timeoutMs: 600_001 }), { code: 'LS_R_TIMEOUT' })
})

t.test('verify: copies only; when the time is over the answer says what is not equal', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  t.match(await call(stub, stub.verify, { rgs: [], all: true, timeoutMs: 0 }), { groups: [{ rg: 1, equal: true, sessions: 77n, differences: 3n, provenEqualAtMs: BigInt(startedAt + 6000), tookMs: 120 }] })
  t.same(agent.cluster.calls, [['verify', [1]]], 'all: what this node does not own')
  await t.rejects(call(stub, stub.verify, { rgs: [0], all: false, timeoutMs: 0 }), { code: 'LS_R_GROUP_OWNED', message: /rg 0: this node owns the group.*ask edge-2/ })
  await t.rejects(call(stub, stub.verify, { rgs: [1], all: false, timeoutMs: 600_001 }), { code: 'LS_R_TIMEOUT', detail: { expected: 'at most 600000' } })
  agent.cluster.unequal = [1]
  t.match(await call(stub, stub.verify, { rgs: [1], all: false, timeoutMs: 20 }), { groups: [{ rg: 1, equal: false, provenEqualAtMs: undefined }] })
  agent.cluster.now = { ...pairStatus, groups: pairStatus.groups.slice(0, 1) }
  t.same(await call(stub, stub.verify, { rgs: [], all: true, timeoutMs: 0 }), { groups: [] })
})

t.test('a standalone node refuses every method, and says what to do', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  agent.cluster.now = null
  const refused = { grpcCode: status.UNAVAILABLE, code: 'LS_H_STANDALONE', message: /this node has no cluster; add `cluster` to the configuration/ }
  const named = { rgs: [0], all: false }
  await t.rejects(call(stub, stub.getStatus, {}), refused)
  for (const method of [stub.hold, stub.release, stub.reset]) await t.rejects(call(stub, method, named), refused)
  await t.rejects(call(stub, stub.switchover, { ...named, to: '' }), refused)
  await t.rejects(call(stub, stub.verify, { ...named, timeoutMs: 0 }), refused)
  await t.rejects(messages(stub.watch({})).next(), refused)
})

t.test('watch: an empty message, what is kept, what comes; who leaves is forgotten', async (t) => {
  const { connection: { cluster: stub }, agent } = await withServer(t)
  agent.cluster.events.tell(roleEvent(0))
  agent.cluster.events.tell({ at: startedAt + 1, name: 'peer', rg: null, peer: 'edge-2', fields: { from: 'alive', to: 'lost', path: null, silentMs: 300 } })
  let watching = 0
  const { watch } = agent.cluster
  agent.cluster.watch = (onEvent) => { watching++; const leave = watch(onEvent); return () => { watching--; leave() } }
  const stream = messages(stub.watch({}))
  t.same((await stream.next()).value, { events: [] })
  const kept = (await stream.next()).value as { events: ClusterEvent[] }
  t.match(kept.events[0], { atMs: BigInt(startedAt), name: 'role', rg: 0, peer: '', fields: [{ name: 'from', value: { $case: 'text', value: 'standby' } }, {}, { name: 'epoch', value: { value: '1281' } }, {}] })
  t.match(kept.events[1], { rg: undefined, peer: 'edge-2', fields: [{}, {}, { name: 'path', value: undefined }, { name: 'silentMs', value: { $case: 'number', value: 300 } }] })
  agent.cluster.events.tell(roleEvent(1))
  t.match((await stream.next()).value, { events: [{ name: 'role', rg: 1 }] })
  await stream.return(undefined)
  t.ok(await comesAbout(() => watching === 0))
})

t.test('watch: a reader that does not read is told where events are missing; silence has a sign of life', async (t) => {
  const { agent } = await withServer(t)
  const { events } = agent.cluster
  const abort = new AbortController()
  const sent: ClusterEvent[][] = []
  let go: () => void = () => {}
  const send = async (message: { readonly events: ClusterEvent[] }): Promise<void> => {
    sent.push(message.events)
    if (sent.length < 4) await new Promise<void>((resolve) => { go = resolve })
    abort.signal.throwIfAborted()
  }
  const watching = watchEvents({ watch: agent.cluster.watch, lost: eventsLost }, (events) => ({ events: events.map(eventMessage) }), { method: '', signal: abort.signal, caller: null, role: null, send }, 5)
  go()
  events.tell(roleEvent(0))
  t.ok(await comesAbout(() => sent.length === 2))
  for (let n = 0; n < 3 * EVENTS_MAX; n++) events.tell(roleEvent(0, n))
  go()
  t.ok(await comesAbout(() => sent.length === 3))
  t.equal(sent[2]?.length, 2 * EVENTS_MAX)
  t.match(sent[2]?.at(-1), { name: 'events-lost', fields: [{ name: 'lost', value: { value: EVENTS_MAX + 1 } }] })
  go()
  t.ok(await comesAbout(() => sent.length > 4))
  t.same(sent[3], [], 'nothing happened')
  abort.abort(new Error('left'))
  await t.rejects(watching, { message: 'left' })
})

t.test('watchers have an end', async (t) => {
  const { connection: { cluster: stub } } = await withServer(t)
  const streams = Array.from({ length: CLUSTER_WATCHERS_MAX }, () => messages(stub.watch({})))
  for (const stream of streams) await stream.next()
  await t.rejects(messages(stub.watch({})).next(), { grpcCode: status.RESOURCE_EXHAUSTED, code: 'LS_R_TOO_MANY' })
  for (const stream of streams) await stream.return(undefined)
})
