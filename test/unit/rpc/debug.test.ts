/** lockstep.v1.Debug over a socket: every table of an agent, filters and pages, what only operators read, a table that hangs, and who follows what. */
import t from 'tap'
import { credentials, status } from '@grpc/grpc-js'
import { rowOf } from '../../../src/client/debug-reading.js'
import { call, connectAgent, type AgentConnection } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import type { DebugCell } from '../../../src/contract/debug.js'
import type { DebugQuery, DebugReading } from '../../../src/generated/proto/lockstep/v1/debug.js'
import { ObjectKind, ObjectsClient } from '../../../src/generated/proto/lockstep/v1/objects.js'
import { debugTable } from '../../../src/telemetry/debug/table.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { fakeId } from './fake-sessions.js'
import { createFakeAgent } from './fake-agent.js'
import { temporaryDirectory, withServer } from './with-server.js'
import { runCli } from '../cli/run-cli.js'

const queryOf = (query: Partial<DebugQuery>): DebugQuery => ({ table: '', filters: [], sort: '', offset: 0, limit: 1000, key: '', refers: undefined, ...query })
async function read ({ debug }: AgentConnection, query: Partial<DebugQuery>): Promise<DebugReading> {
  const { reading } = await call(debug, debug.getGuardedTable, { query: queryOf(query) })
  if (reading === undefined) throw new Error('no reading')
  return reading
}
const cells = ({ table, rows }: DebugReading): ReadonlyArray<Readonly<Record<string, DebugCell>>> => rows.map(row => Object.fromEntries(rowOf(row).cells.map((cell, i) => [table?.columns[i]?.name ?? '', cell])))
const codeOf = async (promise: Promise<unknown>): Promise<number> => await promise.then(() => -1, (e: RemoteError) => e.grpcCode)

t.test('every table is listed, has a key for each row that finds it, and leads only to tables that are there', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  agent.journal.note('config', 'config-applied', 'generation 1', { by: 'anna' })
  const { tables, schema, node, state, epoch } = await call(connection.debug, connection.debug.listTables, {})
  t.match({ schema, node, state, epoch }, { schema: /^2-[0-9a-f]{8}$/, node: 'edge-1', state: 'running', epoch: agent.journal.epoch })
  const expected = ['agent', 'audit', 'bgp-neighbours', 'bgp-pending', 'bgp-route-sinks', 'bgp-routes', 'bgp-sinks', 'bgp-sources', 'calls', 'counters', 'generations', 'groups', 'history', 'links', 'memory-rpc', 'names', 'nat-pools', 'operations', 'overlay', 'peers', 'reals', 'rings', 'role-changes', 'sessions', 'subscribers', 'sync', 'targets', 'vips']
  t.same(tables.map(({ name }) => name).sort(), expected)
  const known = new Set([...tables.map(({ name }) => name), 'checks'])
  for (const shape of tables) {
    t.ok(shape.columns.every(column => column.tables.every(name => known.has(name))), `${shape.name} leads to tables that are there`)
    if (shape.access !== 'viewer') continue
    const { reading } = await call(connection.debug, connection.debug.getTable, { query: queryOf({ table: shape.name }) })
    const rows = (reading?.rows ?? []).map(rowOf)
    t.equal(new Set(rows.map(({ key }) => key)).size, rows.length, `${shape.name}: keys are unique`)
    t.ok(rows.every(one => one.key !== '' && one.cells.length === shape.columns.length), `${shape.name}: rows are whole`)
    const count = await call(connection.debug, connection.debug.getTable, { query: queryOf({ table: shape.name, limit: 0 }) })
    t.equal(Number(count.reading?.matched), rows.length, `${shape.name}: counted as read`)
    const [first] = rows
    if (first !== undefined) t.equal((await read(connection, { table: shape.name, key: first.key })).rows.length, 1, `${shape.name}: found by its key`)
  }
})

t.test('what tables say is what the agent has', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  agent.journal.note('load-balancer', 'vip-state', 'vip web', { to: 'up' }, 'warn')
  t.match(cells(await read(connection, { table: 'vips' })), [{ name: 'web', state: 'up', reals: [{ table: 'reals', key: 'web/a' }, { key: 'web/b' }, { key: 'web/sorry' }], group: [{ table: 'groups', key: '0' }], serving: 1 }, { name: 'dns', state: 'down', pool: null }])
  t.match(cells(await read(connection, { table: 'targets', key: 'http/10.0.0.2:8080' })), [{ state: 'down', last: 'status: status 503, expected 200-399', took: 1.5, next: 1_700_000_002_000 }])
  t.match(cells(await read(connection, { table: 'groups' })), [{ rg: 0, role: 'owner', sessions: 1234 }, { rg: 1, role: 'standby', reasons: 'not-proven-equal, next-hops', 'monitors-down': 'uplink' }])
  t.match(cells(await read(connection, { table: 'history', refers: { table: 'vips', key: 'web' } })), [{ event: 'vip-state', level: 'warn', leads: [{ table: 'vips', key: 'web' }], fields: 'to=up' }])
  t.match(cells(await read(connection, { table: 'nat-pools', sort: '-in-use' })), [{ address: '2001:db8:7::1', pool: [{ table: 'names', key: 'pool/out' }], failed: 12 }, { address: '203.0.113.1' }])
  t.match(cells(await read(connection, { table: 'counters', filters: [{ column: 'block', text: '=vip' }] })), [{ key: 'vip/web/packets', value: 40, object: [{ table: 'vips', key: 'web' }] }])
  agent.cluster.now = null
  for (const table of ['groups', 'peers', 'sync', 'role-changes']) t.same((await read(connection, { table })).rows, [], `${table} without a cluster`)
})

t.test('sessions: a sample of many, all of few, filtered where they are', async (t) => {
  const { connection, agent } = await withServer(t, 20_000)
  agent.info = { ...agent.info, tableLive: 20_000 }
  const first = await read(connection, { table: 'sessions', limit: 50 })
  t.match(first, { rows: { length: 50 }, sample: true, unread: 19_950n })
  t.equal((await read(connection, { table: 'sessions', limit: 0 })).matched, 20_000n)
  const one = await read(connection, { table: 'sessions', key: fakeId(7) })
  t.match(cells(one), [{ id: fakeId(7), protocol: 'udp', sport: 1031, vip: [{ table: 'vips', key: 'web' }] }])
  t.same((await read(connection, { table: 'sessions', key: 'nobody' })).rows, [])
  const filtered = await read(connection, { table: 'sessions', filters: [{ column: 'vip', text: '=dns' }, { column: 'sport', text: '1026' }, { column: 'phase', text: '=TCP_ESTABLISHED' }] })
  t.match(cells(filtered), [{ id: fakeId(2), phase: 'TCP_ESTABLISHED' }])
  t.same([filtered.sample, filtered.matched], [false, 1n], 'found beyond the sample')
  t.same((await read(connection, { table: 'sessions', filters: [{ column: 'vip', text: '=nobody' }] })).rows, [])
  t.ok(cells(await read(connection, { table: 'sessions', refers: { table: 'vips', key: 'web' }, limit: 20 })).every(({ vip }) => JSON.stringify(vip) === '[{"table":"vips","key":"web"}]'))
  t.equal(cells(await read(connection, { table: 'sessions', filters: [{ column: 'source', text: '10.0.0.0/30' }] })).length, 3, 'by prefix')
})

t.test('operators read what tells of others; bounds and mistakes are refused', async (t) => {
  const { connection: { debug }, connection } = await withServer(t)
  const viewer = async (query: Partial<DebugQuery>): Promise<number> => await codeOf(call(debug, debug.getTable, { query: queryOf(query) }))
  t.equal(await viewer({ table: 'subscribers' }), status.PERMISSION_DENIED)
  t.equal(await viewer({ table: 'nothing' }), status.NOT_FOUND)
  t.equal(await viewer({ table: 'vips', limit: 5001 }), status.INVALID_ARGUMENT)
  t.equal(await viewer({ table: 'vips', sort: 'colour' }), status.INVALID_ARGUMENT)
  t.equal(await viewer({ table: 'vips', filters: Array.from({ length: 65 }, () => ({ column: '', text: 'x' })) }), status.INVALID_ARGUMENT)
  t.equal(await codeOf(call(debug, debug.getTable, { query: undefined })), status.NOT_FOUND)
  t.match(cells(await read(connection, { table: 'calls' })), [{ method: 'Debug/GetGuardedTable', caller: 'local' }], 'its own call is under way')
})

t.test('one who watches is seen, with what he was not told yet, until he goes', async (t) => {
  const { connection, socketPath, agent: { loadBalancer: lb } } = await withServer(t)
  const objects = new ObjectsClient(`unix:${socketPath}`, credentials.createInsecure())
  t.teardown(() => { objects.close() })
  const stream = objects.watch({ kind: ObjectKind.OBJECT_KIND_VIP, keys: [], token: '' })
  stream.on('error', () => undefined)
  await new Promise<void>((resolve) => { stream.once('data', () => { resolve() }) })
  const events = connection.events.watch({ minLevel: 'warn', areas: ['config'], names: [], after: '' })
  events.on('error', () => undefined).on('data', () => undefined)
  const subscribers = async (): Promise<ReadonlyArray<Readonly<Record<string, DebugCell>>>> => cells(await read(connection, { table: 'subscribers', sort: 'stream' }))
  for (let i = 0; i < 3000 && (await subscribers()).length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  t.match(await subscribers(), [{ stream: 'Events', of: 'config', detail: 'warn and above', lag: 0 }, { stream: 'Objects', of: 'vip', revision: 1, lag: 0, lost: 0, resyncs: 1, caller: 'local' }])
  lb.vipList = lb.vipList.slice(0, 1)
  lb.events.tell({ at: Date.now(), name: 'vip-state', level: 'warn', fields: {} })
  let revision: DebugCell = 1
  for (let i = 0; i < 3000 && revision === 1; i++) {
    revision = (await subscribers())[1]?.['revision'] ?? 1
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.equal(revision, 2)
  stream.cancel()
  events.cancel()
  let left = 2
  for (let i = 0; i < 3000 && left > 0; i++) {
    left = (await subscribers()).length
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.equal(left, 0)
  t.match(cells(await read(connection, { table: 'calls' })).map(({ method }) => method), ['Debug/GetGuardedTable'], 'nor are their calls under way')
})

t.test('a table that hangs fails for itself; large rows are cut to what an answer holds', async (t) => {
  const agent = createFakeAgent(0)
  agent.debug.register(debugTable<string>({ name: 'stuck', about: 'Never', group: 'test', source: 'a thread that hangs', columns: { key: ['text', r => r] }, read: async () => await new Promise<never>(() => undefined) }))
  agent.debug.register(debugTable<number>({ name: 'large', about: 'Long', group: 'test', source: 'here', columns: { key: ['id', r => r], text: ['text', () => '\u00e4'.repeat(100_000)] }, read: () => Array.from({ length: 5000 }, (_, i) => i) }))
  const socketPath = `${temporaryDirectory(t)}/a.sock`
  const server = await startRpcServer(agent.services, { socketPath })
  const connection = connectAgent(`unix:${socketPath}`)
  t.teardown(async () => { connection.close(); await server.close(0) })
  const error = await read(connection, { table: 'stuck' }).then(() => null, (e: RemoteError) => e)
  t.match(error, { grpcCode: status.UNAVAILABLE, message: /LS_D_SLOW.*stuck.*a thread that hangs/ })
  const large = await read(connection, { table: 'large', limit: 5000 })
  t.equal(large.matched, 5000n)
  t.ok(large.rows.length > 10 && large.rows.length < 5000, `${large.rows.length} rows`)
  t.match(cells(large)[0]?.['text'], /^ä{8192}\.\.\.$/)
  const out = await runCli(['debug'], { env: { LOCKSTEP_SOCKET: socketPath } })
  t.match(out, { code: 0, out: /^stuck .*in time/m })
})

t.test('lockstep debug', async (t) => {
  const { socketPath, agent } = await withServer(t, 10)
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.map(vip => ({ ...vip, mode: 'n\u001b[31mat' }))
  const cli = async (...argv: string[]): ReturnType<typeof runCli> => await runCli(['debug', ...argv], { env: { LOCKSTEP_SOCKET: socketPath } })
  t.match(await cli(), { code: 0, out: /^TABLE.*\n[^]*^vips +2 .*virtual service/m, err: /edge-1 .*schema 2-/ })
  t.match(await cli('vips', '--sort', 'name'), { code: 0, out: /^NAME +STATE[^\n]*\ndns +down[^\n]*\\u\{1b\}\[31m[^\n]*\nweb +up/, err: /2 of 2 rows/ })
  t.match(await cli('vips', '--filter', 'state=!up'), { out: /^dns/m })
  t.match(await cli('vips', 'web'), { code: 0, out: /^name +web\n[^]*^reals\nNAME[^]*web\/sorry/m })
  const json = JSON.parse((await cli('vips', 'web', '--json')).out) as { rows: unknown, refers: Array<{ table: string }> }
  t.match(json.rows, [{ key: 'web', tone: 'good', cells: { port: 80 } }])
  t.ok(json.refers.some(({ table }) => table === 'sessions'))
  t.match(JSON.parse((await cli('--json')).out), { schema: /^2-/, tables: [{ name: 'agent' }] })
  t.match(await cli('vips', 'nobody'), { code: 1, err: /LS_E_NOT_FOUND/ })
  t.match(await cli('nothing'), { code: 4, err: /no such debug table/ })
  t.match(await cli('vips', '--filter', 'novalue'), { code: 2, err: /COLUMN=TEXT/ })
})
