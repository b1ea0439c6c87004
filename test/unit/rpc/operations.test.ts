/** Every change is an operation: its id comes at once, detached it outlives its caller, others look at it, wait for it and cancel it. */
import t, { type Test } from 'tap'
import { Metadata } from '@grpc/grpc-js'
import { call, connectAgent, messages, socketTarget } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { OperationState, type Operation, type OperationsClient } from '../../../src/generated/proto/lockstep/v1/operations.js'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { SessionsDeleteResponse } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { OPERATION_METADATA } from '../../../src/rpc/audit.js'
import { Operations } from '../../../src/rpc/operations.js'
import type { CallContext } from '../../../src/rpc/handler.js'
import { withServer } from './with-server.js'
import { comesAbout } from '../../until.js'

const filter = { ...SessionFilter.decode(new Uint8Array()), protocol: 'udp' }
const refusal = async (promise: Promise<unknown>): Promise<RemoteError> => await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)
const { OPERATION_STATE_RUNNING: RUNNING, OPERATION_STATE_DONE: DONE, OPERATION_STATE_FAILED: FAILED, OPERATION_STATE_CANCELED: CANCELED } = OperationState

async function endOf (operations: OperationsClient, id: string): Promise<OperationState | undefined> {
  let last: OperationState | undefined
  for await (const { operation } of messages(operations.watch({ id }))) last = operation?.state ?? last
  return last
}

/** A delete that goes on until it is let go, and what it was told. */
async function held (t: Test, detached: boolean): Promise<{ readonly server: Awaited<ReturnType<typeof withServer>>, readonly id: string, readonly leave: () => void, readonly letGo: () => void, readonly aborted: () => boolean, readonly answer: Promise<unknown> }> {
  const server = await withServer(t, 100)
  const { agent, socketPath } = server
  const real = agent.sessions.deleteByFilter
  let letGo = (): void => undefined
  let signal: AbortSignal | null = null
  agent.sessions.deleteByFilter = async (f, s) => {
    signal = s
    await new Promise<void>((resolve) => { letGo = resolve; s.addEventListener('abort', () => { resolve() }) })
    s.throwIfAborted()
    return await real(f, s)
  }
  let id = ''
  const mine = connectAgent(socketTarget(socketPath), undefined, { onOperation: (told) => { id = told } })
  t.teardown(() => { mine.close() })
  const left = new AbortController()
  const answer = call(mine.sessions, mine.sessions.delete, { filter, all: false, mutation: { dryRun: false, requestId: 'r-1', detached } }, { signal: left.signal })
  answer.catch(() => undefined)
  t.ok(await comesAbout(() => id !== '' && signal !== null), 'the id comes before the answer')
  return { server, id, leave: () => { left.abort() }, letGo: () => { letGo() }, aborted: () => signal?.aborted === true, answer }
}

t.test('a change is an operation: known at once, its answer kept', async (t) => {
  const { server: { connection: { operations: o } }, id, letGo, answer } = await held(t, false)
  const [one] = (await call(o, o.list, { running: true, requestId: '' })).operations
  t.match(one, { id, method: 'lockstep.v1.Sessions/Delete', caller: '', requestId: 'r-1', request: /udp/, detached: false, state: RUNNING, cancelAsked: false })
  t.same((await call(o, o.list, { running: false, requestId: 'another' })).operations, [])
  const watch = messages(o.watch({ id }))
  t.equal(((await watch.next()).value as { operation: Operation }).operation.state, RUNNING)
  letGo()
  t.match(await answer, { deleted: 25n })
  const { operation } = (await watch.next()).value as { operation: Operation }
  t.equal(operation.state, DONE)
  t.match(SessionsDeleteResponse.decode(operation.response), { matched: 25n, deleted: 25n })
  t.equal((await watch.next()).done, true, 'the watch ends with it')
  t.match((await call(o, o.get, { id })).operation, { state: DONE, error: undefined })
  t.match(await refusal(call(o, o.cancel, { id })), { code: 'LS_R_ENDED' })
  t.match(await refusal(call(o, o.get, { id: 'x' })), { code: 'LS_E_NOT_FOUND' })
})

t.test('one that is not detached ends when its caller leaves', async (t) => {
  const { server: { connection: { operations: o } }, id, leave, aborted } = await held(t, false)
  leave()
  t.ok(await comesAbout(aborted))
  t.equal(await endOf(o, id), CANCELED)
})

t.test('a detached one goes on when its caller leaves', async (t) => {
  const { server: { connection: { operations: o }, agent }, id, leave, letGo, aborted, answer } = await held(t, true)
  leave()
  await t.rejects(answer)
  await call(o, o.list, { running: false, requestId: '' })
  t.notOk(aborted())
  t.match((await call(o, o.get, { id })).operation, { state: RUNNING, detached: true })
  letGo()
  t.equal(await endOf(o, id), DONE)
  t.equal(agent.sessions.deleted.size, 25)
})

/** What the journal has of deletes: one event a change. */
const audited = ({ agent }: Awaited<ReturnType<typeof withServer>>): string[] => {
  const found: string[] = []
  agent.journal.watch(({ area, object, fields }) => { if (area === 'audit' && object === 'Sessions/Delete') found.push(String(fields['result'])) })()
  return found
}

t.test('each change has one audit event, told where it ends: plain, its caller gone, its deadline passed', async (t) => {
  const plain = await held(t, false)
  plain.letGo()
  await plain.answer
  t.same(audited(plain.server), ['OK'])

  const detached = await held(t, true)
  detached.leave()
  await t.rejects(detached.answer)
  const { operations } = detached.server.connection
  await call(operations, operations.list, { running: false, requestId: '' })
  t.same(audited(detached.server), [], 'it goes on')
  detached.letGo()
  t.equal(await endOf(operations, detached.id), DONE)
  t.same(audited(detached.server), ['OK'])

  const left = await held(t, false)
  left.leave()
  t.ok(await comesAbout(() => audited(left.server).length > 0))
  t.same(audited(left.server), ['CANCELLED'])

  const late = await withServer(t, 100)
  const real = late.agent.sessions.deleteByFilter
  late.agent.sessions.deleteByFilter = async (f, signal) => {
    await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }) })
    return await real(f, new AbortController().signal)
  }
  const { sessions } = late.connection
  t.match(await refusal(call(sessions, sessions.delete, { filter, all: false }, { deadlineMs: 100 })), { grpcCode: 4 })
  t.ok(await comesAbout(() => audited(late).length > 0))
  t.same([audited(late), late.agent.sessions.deleted.size], [['OK'], 25], 'the work was done all the same')

  const refused = await withServer(t, 10)
  await refusal(call(refused.connection.sessions, refused.connection.sessions.delete, { filter, all: false, mutation: { dryRun: false, requestId: 'x'.repeat(129) } }))
  t.same(audited(refused), ['INVALID_ARGUMENT'], 'one that never became an operation')
  for (const { server } of [plain, detached, left]) t.equal(audited(server).length, 1, 'and nothing more when the calls were over')
})

t.test('cancelled by another: the caller is told', async (t) => {
  const { server: { connection: { operations: o }, agent }, id, answer } = await held(t, true)
  t.match((await call(o, o.cancel, { id, mutation: { dryRun: true, requestId: '' } })).operation, { state: RUNNING, cancelAsked: false })
  t.match((await call(o, o.cancel, { id })).operation, { cancelAsked: true })
  t.match(await refusal(answer), { code: 'LS_E_CANCELLED', message: /cancelled by/ })
  t.match((await call(o, o.get, { id })).operation, { state: CANCELED, error: { code: 'LS_E_CANCELLED', grpcCode: 1 } })
  t.equal(agent.sessions.deleted.size, 0)
})

t.test('a failure is kept, with its code', async (t) => {
  const { connection: c } = await withServer(t, 10)
  let id = ''
  const metadata = new Metadata()
  await new Promise<void>((resolve) => { c.sessions.delete({ filter: undefined, all: false }, metadata, () => { resolve() }).on('metadata', (m) => { id = String(m.get(OPERATION_METADATA)[0]) }) })
  t.match((await call(c.operations, c.operations.get, { id })).operation, { state: FAILED, error: { code: 'LS_R_EMPTY_FILTER', grpcCode: 3 } })
})

const context = (caller: string | null): CallContext => ({ method: '/lockstep.v1.Agent/SwitchBackend', caller, role: null, signal: new AbortController().signal, announce: () => undefined })
const begin = { requestId: '', detached: true, request: {} }

t.test('over TCP one cancels one\'s own', async (t) => {
  const operations = new Operations(() => Buffer.alloc(0), () => undefined)
  const work = operations.run(context('anna'), begin, async (signal) => { await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) }) })
  const id = operations.list()[0]?.id ?? ''
  t.throws(() => operations.cancel(id, 'bob', false), { code: 'LS_E_PERMISSION' })
  t.equal(operations.list()[0]?.cancelAsked, false)
  operations.cancel(id, 'anna', false)
  await t.rejects(work, { code: 'LS_E_CANCELLED' })
})

t.test('bounded: so many under way, so many that ended, answers up to a size; what takes long is not forgotten first', async (t) => {
  const operations = new Operations((_method, response) => response as Buffer, () => undefined)
  let letGo = (): void => undefined
  const long = operations.run(context(null), begin, async () => { await new Promise<void>((resolve) => { letGo = resolve }); return Buffer.alloc(100_000) })
  const id = operations.list()[0]?.id ?? ''
  for (let i = 0; i < 300; i++) await operations.run(context(null), begin, async () => await Promise.resolve(Buffer.alloc(3)))
  t.equal(operations.list().length, 201)
  const before = operations.list().map(({ id }) => id)
  letGo()
  await long
  t.equal(operations.list().at(-1)?.id, id, 'its place in the list is that of its beginning')
  t.same(operations.list().map(({ id }) => id), [...before.slice(0, 199), id])
  t.ok(operations.list().every(({ response }) => response.length === 0), 'answers are in Get')
  t.match(operations.get(id), { state: DONE, response: Buffer.alloc(0) })
  t.equal(operations.list().length, 200)
  const never = Array.from({ length: 256 }, async () => { await operations.run(context(null), begin, async () => { await new Promise<void>(() => undefined) }) })
  await t.rejects(operations.run(context(null), begin, async () => await Promise.resolve(Buffer.alloc(0))), { code: 'LS_R_TOO_MANY' })
  t.equal(never.length, 256)
})
