/** Sessions.Reconcile over a real table: what was named stays, what was there and was not named ends, what came meanwhile stays; a trial ends nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { call } from '../../../src/cli/client.js'
import type { SessionStore } from '../../../src/contract/dataplane.js'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { SessionSpec, type SessionsClient, type SessionsInstallResponse, type SessionsReconcileResponse } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { loadCore } from '../../../src/native/load.js'
import { createSessionStore } from '../../../src/native/session-store.js'
import { Bulks } from '../../../src/rpc/session-bulk.js'
import { runCli } from '../cli/run-cli.js'
import { refusal, withServer } from './with-server.js'

const blank = SessionSpec.decode(new Uint8Array())
const noFilter = SessionFilter.decode(new Uint8Array())
const spec = (sourcePort: number, over: Partial<SessionSpec> = {}): SessionSpec => ({ ...blank, tuple: { source: '10.0.0.1', sourcePort, destination: '192.0.2.80', destinationPort: 443, protocol: 'tcp', domain: '' }, ageMs: 1000n, ...over })
const ports = (from: number, to: number, over: Partial<SessionSpec> = {}): SessionSpec[] => Array.from({ length: to - from }, (_, i) => spec(from + i, over))

interface World {
  readonly store: SessionStore
  readonly socketPath: string
  readonly sessions: SessionsClient
  readonly install: (specs: readonly SessionSpec[], bulk: string, trial?: boolean) => Promise<SessionsInstallResponse>
  readonly reconcile: (bulk: string, filter?: Partial<SessionFilter>, trial?: boolean) => Promise<SessionsReconcileResponse>
}

async function world (t: Test): Promise<World> {
  const { connection: { sessions }, agent, socketPath } = await withServer(t, 0)
  const table = new (loadCore().Table)({ capacity: 8192, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  const store = createSessionStore(table, () => 60_000)
  const dataplane = agent.services.dataplane()
  Object.assign(agent.services, { dataplane: () => ({ ...dataplane, sessions: store }) })
  const mutation = (dryRun: boolean): { mutation: { dryRun: boolean, requestId: string } } => ({ mutation: { dryRun, requestId: '' } })
  return {
    store, sessions, socketPath,
    install: async (specs, bulk, trial = false) => await call(sessions, sessions.install, { sessions: [...specs], bulk, ...mutation(trial) }),
    reconcile: async (bulk, filter, trial = false) => await call(sessions, sessions.reconcile, { bulk, filter: filter === undefined ? undefined : { ...noFilter, ...filter }, all: filter === undefined, ...mutation(trial) })
  }
}

t.test('the table becomes what was named, in as many calls as it takes', async (t) => {
  const { store, install, reconcile } = await world(t)
  t.match(await install(ports(1000, 1300), ''), { installed: 300 })
  t.match(await install(ports(1000, 1300), '').then(({ refused }) => refused.length), 300, 'without a bulk what is there is in conflict')
  await sleep(5)
  t.match(await install(ports(1100, 1200), 'b'), { installed: 0, kept: 100, refused: [] })
  t.match(await install(ports(1200, 1400), 'b'), { installed: 100, kept: 100, refused: [] })
  t.match(store.open([]), [], 'nothing')
  t.match(await install([spec(7000, { ageMs: 0n })], ''), { installed: 1 }, 'a packet opens one meanwhile')
  t.match(await reconcile('b', undefined, true), { named: 300n, matched: 100n, deleted: 0n })
  t.equal(await store.count({}), 401, 'a trial ends nothing')
  t.match(await reconcile('b'), { named: 300n, matched: 100n, deleted: 100n })
  t.equal(await store.count({}), 301)
  for (const [port, there] of [[1000, false], [1099, false], [1100, true], [1399, true], [7000, true]] as const) t.equal(store.find({ source: '10.0.0.1', sourcePort: port, destination: '192.0.2.80', destinationPort: 443, protocol: 6, domain: 0 }) !== null, there, String(port))
  t.ok((await store.verify()).ok)
})

t.test('a part of the table, by a filter; also when nothing is left of it', async (t) => {
  const { store, install, reconcile } = await world(t)
  await install([...ports(1000, 1010), ...ports(2000, 2010, { rg: 3 })], '')
  await sleep(5)
  await install([], 'none of group 3')
  t.match(await reconcile('none of group 3', { rg: 3 }), { named: 0n, matched: 10n, deleted: 10n })
  t.equal(await store.count({}), 10)
})

t.test('a session that is translated otherwise is another, and stands in the way of the one that was named', async (t) => {
  const { store, install, reconcile } = await world(t)
  await install([spec(1000)], '')
  await sleep(5)
  const other = spec(1000, { replyDestination: '198.51.100.9' })
  t.match(await install([other], 'b'), { installed: 0, kept: 0, refused: [{ index: 0, code: 'LS_E_CONFLICT' }] })
  t.match(await reconcile('b'), { named: 0n, deleted: 1n })
  t.match(await install([other], 'c'), { installed: 1 })
  t.equal(await store.count({}), 1)
})

t.test('a trial of the whole puts nothing anywhere, and no change takes it up', async (t) => {
  const { store, install, reconcile } = await world(t)
  await install(ports(1000, 1010), '')
  await sleep(5)
  t.match(await install(ports(1005, 1015), 'b', true), { installed: 5, kept: 5 })
  t.match(await reconcile('b', undefined, true), { named: 5n, matched: 5n, deleted: 0n })
  t.equal((await refusal(reconcile('b'))).code, 'LS_E_NOT_FOUND')
  t.equal(await store.count({}), 10)
})

t.test('nothing is ended by mistake', async (t) => {
  const { store, install, reconcile } = await world(t)
  await install(ports(1000, 1010), '')
  t.equal((await refusal(reconcile('never begun'))).code, 'LS_E_NOT_FOUND')
  await install([], 'b')
  t.equal((await refusal(reconcile('b', {}))).code, 'LS_R_EMPTY_FILTER')
  await reconcile('b', { rg: 5 })
  t.equal((await refusal(reconcile('b'))).code, 'LS_E_NOT_FOUND', 'it has ended')
  t.equal(await store.count({}), 10)
  t.equal((await refusal(install([], ''))).code, 'LS_R_INSTALL')
  t.equal((await refusal(install([], 'x'.repeat(129)))).code, 'LS_R_TOO_LONG')
  for (let i = 0; i < 8; i++) await install([], `b${i}`)
  t.equal((await refusal(install([], 'b8'))).code, 'LS_R_BULKS')
})

t.test('bulks are of their caller, and forgotten when nobody goes on', async (t) => {
  let now = 0
  const bulks = new Bulks(() => now)
  t.not(bulks.open('anna', 'b', false), bulks.open('bert', 'b', false))
  t.equal(bulks.open('anna', 'b', false), bulks.find('anna', 'b', true), 'a trial of the end looks at the real one')
  now = 500_000
  bulks.open('anna', 'b', false)
  now = 1_000_000
  t.ok(bulks.find('anna', 'b', false), 'it was used')
  t.throws(() => bulks.find('bert', 'b', false), { code: 'LS_E_NOT_FOUND' })
})

t.test('by hand, in several parts', async (t) => {
  const { store, install, socketPath } = await world(t)
  await install(ports(1, 101), '')
  await sleep(5)
  const lines = (from: number, to: number): string => ports(from, to).map(({ tuple }) => JSON.stringify({ tuple })).join('\n')
  const cli = async (stdin: string, ...more: string[]): Promise<{ code: number, out: string, err: string }> => await runCli(['sessions', 'reconcile', '-', ...more], { env: { LOCKSTEP_SOCKET: socketPath }, stdin })
  t.match(await cli(lines(51, 201), '--all'), { code: 2, err: /--yes/ })
  t.match(await cli(lines(51, 201), '--yes'), { code: 2, err: /no filter/ })
  t.match(await cli(lines(51, 201), '--yes', '--all', '--detach'), { code: 2, err: /--detach/ })
  t.match(await cli(lines(51, 201), '--all', '--dry-run'), { code: 0, out: '100 put into the table, 50 kept, 50 would end\n' })
  t.equal(await store.count({}), 100)
  t.match(await cli(lines(51, 201), '--all', '--yes', '--request-id', 'r'), { code: 0, out: '100 put into the table, 50 kept, 50 ended\n' })
  t.match(JSON.parse((await cli(lines(51, 4251), '--all', '--yes', '--json')).out), { installed: 4050, kept: 150, named: '4200', deleted: '0', refused: [] }, 'two calls')
  t.match(JSON.parse((await cli('', '--all', '--yes', '--json')).out), { installed: 0, deleted: '4200' })
  t.equal(await store.count({}), 0)
})
