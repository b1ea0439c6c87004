/** Objects.Watch over a socket: every kind as its list has it, what changes and what does not count as a change, resumption, refusals, bounds. */
import t from 'tap'
import { credentials, status } from '@grpc/grpc-js'
import { mirror, ObjectsConnection, Watch, WatchRefused, kindNames, type ObjectOf } from '../../../src/client/index.js'
import { ObjectKind, ObjectsClient } from '../../../src/generated/proto/lockstep/v1/objects.js'
import { RgRole } from '../../../src/generated/proto/lockstep/v1/cluster.js'
import { VipState } from '../../../src/generated/proto/lockstep/v1/load_balancer.js'
import { Source } from '../../../src/rpc/objects/source.js'
import { withServer } from './with-server.js'
import { comesAbout } from '../../until.js'

const promptly = { leastMs: 1, mostMs: 5, healthyMs: 1 }

function connect (t: { teardown: (f: () => void) => void }, socketPath: string): ObjectsConnection {
  const objects = new ObjectsConnection({ address: `unix:${socketPath}`, credentials: credentials.createInsecure() })
  t.teardown(() => { objects.close() })
  return objects
}

t.test('every kind is there, by its name', async (t) => {
  const { socketPath } = await withServer(t)
  const objects = connect(t, socketPath)
  const found: Record<string, string[]> = {}
  for (const kind of kindNames) {
    const store = mirror(objects.open(kind))
    await store.waitSynced()
    found[kind] = [...store.current().keys()]
    await store.close()
  }
  t.match(found, { vip: ['dns', 'web'], target: ['dns/10.0.0.1:53', 'http/10.0.0.2:8080'], link: ['eth0'], generation: ['1'], group: ['0', '1'] })
  t.equal(found['agent']?.length, 1)
  t.equal(found['peer']?.length, 1)
})

t.test('a real changes: its VIP is told at once; counters and probes of a target are no change', async (t) => {
  const { agent: { loadBalancer: lb }, socketPath } = await withServer(t)
  const objects = connect(t, socketPath)
  const [vips, targets] = [mirror(objects.open('vip')), mirror(objects.open('target'))]
  await Promise.all([vips.waitSynced(), targets.waitSynced()])
  let told = 0
  targets.subscribe(() => { told++ })
  lb.targetList = lb.targetList.map(target => ({ ...target, passed: target.passed + 1, probing: true, nextAt: 1_700_000_009_000 }))
  lb.vipList = lb.vipList.map(vip => vip.name === 'web' ? { ...vip, state: 'degraded' } : vip)
  lb.events.tell({ at: Date.now(), name: 'vip-state', level: 'warn', fields: {} })
  t.ok(await comesAbout(() => vips.current().get('web')?.state === VipState.VIP_STATE_DEGRADED))
  lb.vipList = lb.vipList.filter(vip => vip.name === 'web')
  t.ok(await comesAbout(() => vips.current().size === 1), 'without an event within a second or so')
  lb.targetList = lb.targetList.map(target => ({ ...target, state: 'paused' }))
  t.ok(await comesAbout(() => told > 0))
  t.equal(targets.current().get('dns/10.0.0.1:53')?.passed, 1n, 'as of then')
  t.equal(targets.current().get('dns/10.0.0.1:53')?.nextAtMs, 1_700_000_009_000n)
  t.equal(told, 1)
  await vips.close()
  await targets.close()
})

t.test('a node: its state, its labels and what it is to each group', async (t) => {
  const { agent, socketPath } = await withServer(t)
  const nodes = mirror(connect(t, socketPath).open('agent'))
  await nodes.waitSynced()
  t.match(nodes.current().get('edge-1'), { labels: [{ name: 'rack', value: 'b12' }], roles: [{ rg: 0, role: RgRole.RG_ROLE_OWNER }, { rg: 1 }] })
  const { now } = agent.cluster
  if (now === null) throw new Error('alone')
  agent.cluster.now = { ...now, groups: now.groups.map(group => ({ ...group, role: 'standby' })) }
  agent.cluster.events.tell({ at: Date.now(), name: 'role', rg: 0, peer: null, fields: {} })
  t.ok(await comesAbout(() => nodes.current().get('edge-1')?.roles.every(({ role }) => role === RgRole.RG_ROLE_STANDBY) === true))
  agent.info = { ...agent.info, labels: { rack: 'c1' } }
  t.ok(await comesAbout(() => nodes.current().get('edge-1')?.labels[0]?.value === 'c1'))
  await nodes.close()
})

t.test('some keys only, and a token of them resumes', async (t) => {
  const { agent: { loadBalancer: lb }, socketPath } = await withServer(t)
  const objects = connect(t, socketPath)
  const first = new Watch(objects.open('vip', ['web', 'none']))
  const { value } = await first.next()
  t.same(value?.changes.map(({ key }) => key), ['web'])
  const next = first.next()
  const [held, { token }] = [first.current(), first]
  await first.return()
  await next
  lb.vipList = lb.vipList.map(vip => ({ ...vip, port: 8080 }))
  const second = new Watch(objects.open('vip', ['web', 'none']), { resume: { token, held } })
  t.match((await second.next()).value, { cause: 'resumed' })
  const batch = await second.next()
  t.match(batch.value?.changes, [{ kind: 'updated', key: 'web', prev: { port: 80 }, next: { port: 8080 } }])
  await second.return()
  const other = new Watch(objects.open('vip'), { resume: { token, held } })
  t.match((await other.next()).value, { cause: 'epoch' }, 'of another question')
  await other.return()
})

t.test('the agent restarts: what is the same is no change, what is gone is told', async (t) => {
  const { agent, server, socketPath } = await withServer(t)
  const objects = connect(t, socketPath)
  const store = mirror<ObjectOf<'vip'>>(objects.open('vip'), { backoff: promptly })
  await store.waitSynced()
  const seen: string[] = []
  store.subscribe(({ changes, cause }) => { seen.push(...changes.map(({ kind, key }) => `${cause} ${kind} ${key}`)) })
  await server.close(0)
  t.equal(store.current().size, 2, 'served meanwhile')
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.filter(vip => vip.name === 'web')
  const { startRpcServer } = await import('../../../src/rpc/server.js')
  const again = await startRpcServer(agent.services, { socketPath })
  t.ok(await comesAbout(() => store.current().size === 1), JSON.stringify(store.status()))
  t.same(seen, ['epoch removed dns'])
  await store.close()
  await again.close(0)
})

t.test('refused: no such kind, too many keys, too many readers; a refusal ends a watch', async (t) => {
  const { socketPath } = await withServer(t)
  const client = new ObjectsClient(`unix:${socketPath}`, credentials.createInsecure())
  t.teardown(() => { client.close() })
  const answer = async (kind: ObjectKind, keys: string[] = []): Promise<number> => await new Promise((resolve) => { client.watch({ kind, keys, token: '' }).on('error', (e: { code: number }) => { resolve(e.code) }).on('data', () => undefined) })
  t.equal(await answer(ObjectKind.OBJECT_KIND_UNSPECIFIED), status.INVALID_ARGUMENT)
  t.equal(await answer('x' as ObjectKind), status.INVALID_ARGUMENT)
  const many = Array.from({ length: 1001 }, (_, i) => String(i))
  t.equal(await answer(ObjectKind.OBJECT_KIND_VIP, many), status.INVALID_ARGUMENT)
  const objects = connect(t, socketPath)
  await t.rejects(new Watch(objects.open('vip', many)).next(), WatchRefused)
  const streams = Array.from({ length: 256 }, () => client.watch({ kind: ObjectKind.OBJECT_KIND_VIP, keys: [], token: '' }))
  await Promise.all(streams.map(async (stream) => { await new Promise((resolve) => { stream.once('data', resolve) }) }))
  const other = new ObjectsClient(`unix:${socketPath}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
  const code = await new Promise((resolve) => { other.watch({ kind: ObjectKind.OBJECT_KIND_VIP, keys: [], token: '' }).on('error', (e: { code: number }) => { resolve(e.code) }).on('data', () => { resolve(0) }) })
  t.equal(code, status.RESOURCE_EXHAUSTED)
  for (const stream of streams) { stream.on('error', () => undefined); stream.cancel() }
  other.close()
})

t.test('a source is read while somebody watches, and for a while after; a read that fails is made again', async (t) => {
  let reads = 0
  let fails = true
  const errors: string[] = []
  const source = new Source<number>({ read: async () => { reads++; await Promise.resolve(); if (fails) throw new Error('away'); return new Map([['n', reads]]) }, equals: (a, b) => a === b, onError: (e) => { errors.push(String(e)) }, everyMs: 5, idleMs: 30 })
  t.teardown(() => { source.close() })
  await t.rejects(source.hold(), /away/)
  fails = false
  const held = await source.hold()
  const { epoch } = held.collection
  t.ok(await comesAbout(() => held.collection.rev > 3))
  fails = true
  t.ok(await comesAbout(() => errors.length > 1))
  fails = false
  const { rev } = held.collection
  t.ok(await comesAbout(() => held.collection.rev > rev))
  held.release()
  const soon = await source.hold()
  t.equal(soon.collection.epoch, epoch, 'the same, to who is back soon')
  soon.release()
  t.ok(await comesAbout(() => { const before = reads; return before === reads && reads > 0 }))
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  const idle = reads
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.equal(reads, idle, 'nobody watches')
  const late = await source.hold()
  t.not(late.collection.epoch, epoch)
  late.release()
})

t.test('a read that does not come back is one read, however long, and holds up nobody for ever', async (t) => {
  let reads = 0
  let hangs = true
  let answer = (): void => undefined
  const source = new Source<number>({
    read: async () => { reads++; if (hangs) await new Promise<void>((resolve) => { answer = resolve }); return new Map([['n', reads]]) },
    equals: (a, b) => a === b, onError: () => undefined, everyMs: 5, readMs: 30
  })
  t.teardown(() => { source.close() })
  await t.rejects(source.hold(), { code: 'LS_R_READ_TIME', errorClass: 'unavailable' })
  await t.rejects(source.hold(), { code: 'LS_R_READ_TIME' })
  t.equal(reads, 1)
  hangs = false
  answer()
  const held = await source.hold()
  t.ok(await comesAbout(() => reads > 3 && held.ageMs() < 1000))
  hangs = true
  t.ok(await comesAbout(() => held.ageMs() > 100))
  const { ageMs } = held
  const before = reads
  t.ok(await comesAbout(() => ageMs() > 200))
  t.equal(reads, before, 'no second one beside it')
  hangs = false
  answer()
  t.ok(await comesAbout(() => ageMs() < 100), 'what it brings counts')
  held.release()
})
