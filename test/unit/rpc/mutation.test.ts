/** What every change may ask for: a generation that must run, a trial that changes nothing, an id by which it is made once. */
import t from 'tap'
import { fileURLToPath } from 'node:url'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { readdirSync } from 'node:fs'
import { mayChange } from '../../../src/contract/access.js'
import { call } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { TargetOperation } from '../../../src/generated/proto/lockstep/v1/load_balancer.js'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { withServer } from './with-server.js'

const filter = { ...SessionFilter.decode(new Uint8Array()), protocol: 'udp' }
const dry = { dryRun: true, requestId: '' }
const refusal = async (promise: Promise<unknown>): Promise<RemoteError> => await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)

t.test('every method that may change something takes them', async (t) => {
  const proto = fileURLToPath(new URL('../../../../proto', import.meta.url))
  const loaded = loadSync(readdirSync(`${proto}/lockstep/v1`).map(file => `lockstep/v1/${file}`), { includeDirs: [proto], keepCase: true })
  const methods = Object.values(loaded).flatMap(one => 'format' in one ? [] : Object.values(one) as Array<MethodDefinition<object, object>>).filter(({ path }) => mayChange(path))
  t.ok(methods.length >= 17, `${methods.length}`)
  for (const { path, requestType } of methods) {
    const fields = ('type' in requestType ? (requestType.type as { readonly field: ReadonlyArray<{ readonly name: string }> }).field : []).map(({ name }) => name)
    t.ok(fields.includes('mutation') || ['expected_generation', 'dry_run', 'request_id'].every(name => fields.includes(name)), path)
  }
})

t.test('a trial changes nothing, and is refused as the change would be', async (t) => {
  const { connection: c, agent } = await withServer(t, 1000)
  t.match(await call(c.sessions, c.sessions.delete, { filter, all: false, mutation: dry }), { matched: 250n, deleted: 0n })
  t.equal(agent.sessions.deleted.size, 0)
  t.match(await refusal(call(c.sessions, c.sessions.delete, { filter: undefined, all: false, mutation: dry })), { code: 'LS_R_EMPTY_FILTER' })
  t.match(await call(c.cluster, c.cluster.switchover, { rgs: [], all: true, to: 'edge-1', mutation: dry }), { to: 'edge-1', done: [0], refused: [{ rg: 1, reasons: ['not-proven-equal', 'next-hops'] }] })
  t.match(await call(c.cluster, c.cluster.switchover, { rgs: [], all: true, to: 'edge-2', mutation: dry }), { done: [0, 1], refused: [] })
  for (const method of [c.cluster.hold, c.cluster.release, c.cluster.reset]) t.match(await call(c.cluster, method, { rgs: [1], all: false, mutation: dry }), { done: [1] })
  t.match(await refusal(call(c.cluster, c.cluster.hold, { rgs: [9], all: false, mutation: dry })), { code: 'LS_R_GROUP' })
  t.same(agent.cluster.calls, [])
  const { loadBalancer: lb } = c
  await call(lb, lb.operateTarget, { id: 'dns/10.0.0.1:53', operation: TargetOperation.TARGET_OPERATION_PAUSE, mutation: dry })
  t.match(await refusal(call(lb, lb.operateTarget, { id: 'none', operation: TargetOperation.TARGET_OPERATION_PAUSE, mutation: dry })), { code: 'LS_E_NOT_FOUND' })
  await call(lb, lb.deleteVip, { name: 'web', owner: 'me', mutation: dry })
  t.match(await call(lb, lb.reconcile, { mutation: dry }), { vips: 1, repaired: [{ vip: 'web', entries: 1 }], configBytes: 0n })
  t.same([agent.loadBalancer.said, agent.loadBalancer.changes], [[], []])
  t.match(await call(c.config, c.config.save, { mutation: dry }), {})
  t.equal(agent.config.saved, null)
  t.match(await refusal(call(c.config, c.config.confirm, { generation: 3n, mutation: dry })), { code: 'LS_C_NOT_UNCONFIRMED' })
})

t.test('another generation runs than the caller looked at', async (t) => {
  const { connection: c, agent } = await withServer(t, 100)
  const running = BigInt((await agent.config.status()).running?.generation ?? 0)
  const stale = await refusal(call(c.sessions, c.sessions.delete, { filter, all: false, mutation: { expectedGeneration: running + 1n, dryRun: false, requestId: '' } }))
  t.match(stale, { code: 'LS_C_STALE', errorClass: 'stale' })
  t.equal(agent.sessions.deleted.size, 0)
  t.match(await call(c.sessions, c.sessions.delete, { filter, all: false, mutation: { expectedGeneration: running, dryRun: false, requestId: '' } }), { deleted: 25n })
})

t.test('an id: the change is made once, also when both ask at once; not for another request; a failure may be retried', async (t) => {
  const { connection: c, agent } = await withServer(t, 100)
  const once = { dryRun: false, requestId: 'a-1' }
  const ask = async (over: object = {}): Promise<unknown> => await call(c.cluster, c.cluster.hold, { rgs: [1], all: false, mutation: once, ...over })
  const answers = await Promise.all([ask(), ask()])
  answers.push(await ask())
  t.same(answers, answers.map(() => answers[0]))
  t.equal(agent.cluster.calls.length, 1)
  t.match(await refusal(ask({ rgs: [0] })), { code: 'LS_C_REQUEST_ID' })
  t.match(await refusal(call(c.cluster, c.cluster.release, { rgs: [1], all: false, mutation: once })), { code: 'LS_C_REQUEST_ID' })
  t.match(await refusal(ask({ mutation: { dryRun: false, requestId: 'x'.repeat(129) } })), { code: 'LS_R_TOO_LONG' })
  const long = { text: '', author: '', comment: '', expectedGeneration: undefined, confirmWithinMs: undefined, requestId: 'x'.repeat(129), dryRun: true }
  t.match(await refusal(call(c.config, c.config.apply, long)), { code: 'LS_R_TOO_LONG', detail: { object: 'request_id' } })
  t.same((await call(c.operations, c.operations.list, { running: false, requestId: long.requestId })).operations, [], 'nothing of it is kept')
  const later = { rgs: [1], mutation: { dryRun: false, requestId: 'a-2' } }
  const now = agent.cluster.now
  agent.cluster.now = null
  t.match(await refusal(ask(later)), { code: 'LS_H_STANDALONE' })
  agent.cluster.now = now
  t.match(await ask(later), { done: [1] })
})
