/** The journal over a socket: order, ids and what is behind them, what is missing, filters, and an audit event for every call that may change something. */
import t from 'tap'
import { status } from '@grpc/grpc-js'
import { call, messages } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import type { EventsWatchRequest, Event } from '../../../src/generated/proto/lockstep/v1/events.js'
import { mayChange as changes, methods } from '../../../src/contract/access.js'
import { requestText } from '../../../src/rpc/audit.js'
import { runCli } from '../cli/run-cli.js'
import { withServer, type Running } from './with-server.js'
import { comesAbout } from '../../until.js'

const asked: EventsWatchRequest = { minLevel: '', areas: [], names: [], after: '' }

async function take ({ connection }: Running, n: number, request: Partial<EventsWatchRequest> = {}): Promise<Event[]> {
  const found: Event[] = []
  for await (const { events } of messages(connection.events.watch({ ...asked, ...request }))) {
    found.push(...events)
    if (found.length >= n) break
  }
  return found
}

t.test('in order, with ids that resume', async (t) => {
  const running = await withServer(t)
  const { journal } = running.agent
  for (let i = 1; i <= 5; i++) journal.note('agent', `n${i}`, '', { i })
  const first = await take(running, 5)
  t.same(first.map(({ name }) => name), ['n1', 'n2', 'n3', 'n4', 'n5'])
  const epoch = first[0]?.id.split('-')[0] ?? ''
  t.same(first.map(({ id }) => id), [1, 2, 3, 4, 5].map(n => `${epoch}-${n}`))
  t.same((await take(running, 2, { after: `${epoch}-3` })).map(({ name }) => name), ['n4', 'n5'])
  const later = take(running, 1, { after: `${epoch}-5` })
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  journal.note('cluster', 'role', 'rg 0', { to: 'owner' })
  t.match(await later, [{ id: `${epoch}-6`, area: 'cluster', name: 'role', object: 'rg 0', fields: [{ name: 'to', value: { value: 'owner' } }] }])
  for (const after of ['', 'other-3', `${epoch}-x`, `${epoch}-`]) t.equal((await take(running, 6, { after })).length, 6, after)
})

t.test('who comes back too late is told how many are gone', async (t) => {
  const running = await withServer(t)
  const { journal } = running.agent
  journal.note('agent', 'first', '', {})
  const [first] = await take(running, 1)
  for (let i = 0; i < 2100; i++) journal.note('agent', 'many', '', { i })
  t.ok(await comesAbout(() => true))
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  const [lost] = await take(running, 1, { after: first?.id ?? '' })
  t.match(lost, { name: 'events-lost', level: 'warn', fields: [{ name: 'lost', value: { value: 100 } }] })
  t.equal(lost?.id, `${first?.id.split('-')[0]}-101`, 'the last of them')
})

t.test('all that is kept comes, however much, in messages of at most 512; what comes meanwhile is behind it', async (t) => {
  const running = await withServer(t)
  const { journal } = running.agent
  for (let i = 1; i <= 1500; i++) journal.note('agent', `n${i}`, '', {})
  const stream = messages(running.connection.events.watch(asked))
  const found: Event[] = []
  for await (const { events } of stream) {
    t.ok(events.length <= 512, `${events.length}`)
    if (found.length === 0 && events.length > 0) for (let i = 1501; i <= 1600; i++) journal.note('agent', `n${i}`, '', {})
    found.push(...events)
    if (found.length >= 1600) break
  }
  t.same(found.map(({ name }) => name), Array.from({ length: 1600 }, (_, i) => `n${i + 1}`))
})

t.test('levels, areas, names; what is asked for wrongly', async (t) => {
  const running = await withServer(t)
  const { journal } = running.agent
  journal.note('agent', 'a', '', {}, 'debug')
  journal.note('config', 'b', '', {})
  journal.note('cluster', 'c', '', {}, 'warn')
  journal.note('load-balancer', 'd', '', {}, 'error')
  const names = async (n: number, request: Partial<EventsWatchRequest>): Promise<string> => (await take(running, n, request)).map(({ name }) => name).join('')
  t.same([await names(3, {}), await names(4, { minLevel: 'debug' }), await names(2, { minLevel: 'warn' }), await names(1, { areas: ['config'] }), await names(2, { names: ['a', 'd'], minLevel: 'debug' })], ['bcd', 'abcd', 'cd', 'b', 'ad'])
  const code = async (request: Partial<EventsWatchRequest>): Promise<number> => await take(running, 1, request).then(() => -1, (e: RemoteError) => e.grpcCode)
  t.same([await code({ minLevel: 'loud' }), await code({ areas: ['kitchen'] })], [status.INVALID_ARGUMENT, status.INVALID_ARGUMENT])
  const env = { LOCKSTEP_SOCKET: running.socketPath }
  t.match(await runCli(['events', '--count', '1', '--level', 'error'], { env }), { code: 0, out: /error load-balancer d\n/ })
  t.match(JSON.parse((await runCli(['events', '--count', '1', '--json', '--area', 'cluster', '--area', 'config'], { env })).out), { area: 'config', event: 'b', level: 'info', object: '', fields: {} })
  t.match(await runCli(['events', '--area', 'kitchen'], { env }), { code: 1, err: /no such area: found kitchen, expected agent, config/ })
})

t.test('a call that may change something is told, with who asked and what came of it; one that reads is not', async (t) => {
  const running = await withServer(t)
  const { connection: c } = running
  await call(c.agent, c.agent.getInfo, {})
  await call(c.loadBalancer, c.loadBalancer.adjustReal, { vip: 'web', real: 'a', weight: 7, drain: false, terms: { owner: 'anna', reason: '', ttlMs: 0n } })
  await call(c.agent, c.agent.switchBackend, { backend: 'abacus', force: false }).catch(() => undefined)
  await call(c.config, c.config.apply, { text: 'secret: hunter2\n', author: 'anna', comment: '', expectedGeneration: undefined, confirmWithinMs: undefined, requestId: '', dryRun: true }).catch(() => undefined)
  const events = await take(running, 3, { areas: ['audit'] })
  const told = events.map(({ object, level, fields }) => ({ object, level, ...Object.fromEntries(fields.map(({ name, value }) => [name, value?.value])) }))
  t.match(told, [
    { object: 'LoadBalancer/AdjustReal', level: 'info', by: 'local', result: 'OK', request: /"real":"a","weight":7/ },
    { object: 'Agent/SwitchBackend', level: 'warn', result: 'UNIMPLEMENTED', request: '{"backend":"abacus","force":false}', reason: /LS_B_SWITCH_LOSES|no/ },
    { object: 'Config/Apply', request: /"text":"\(16 characters\)"/ }
  ])
  t.notMatch(JSON.stringify(told), /hunter2/)
})

t.test('what a viewer may call changes nothing, and is not told; what is unknown is', async (t) => {
  t.same(methods.viewer.filter(changes), [])
  t.same([...methods.operator, ...methods.admin].filter(path => !changes(path)), ['/lockstep.v1.Agent/Doctor', '/lockstep.v1.Cluster/ListDifferences', '/lockstep.v1.Cluster/Verify', '/lockstep.v1.Config/GetText', '/lockstep.v1.Debug/GetGuardedTable', '/lockstep.v1.Operations/List', '/lockstep.v1.Operations/Get', '/lockstep.v1.Operations/Watch', '/lockstep.v1.Sessions/Verify', '/lockstep.v1.Telemetry/NatWho'])
  t.ok(changes('/lockstep.v1.Future/Method'))
  t.equal(requestText({ a: 'x'.repeat(101), b: 5n, c: '', d: [], e: null }), '{"a":"(101 characters)","b":5}')
  t.ok(requestText(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'value']))).length <= 503)
})
