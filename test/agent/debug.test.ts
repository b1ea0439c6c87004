/** The debug tables of a real agent: each is there and read from whichever thread knows it, and tells what happens. */
import { credentials } from '@grpc/grpc-js'
import t from 'tap'
import { rowOf } from '../../src/client/debug-reading.js'
import type { DebugCell } from '../../src/contract/debug.js'
import { DebugClient, type DebugGetGuardedTableResponse, type DebugListTablesResponse, type DebugQuery } from '../../src/generated/proto/lockstep/v1/debug.js'
import type { SessionsCountResponse } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { apply, ask, place, sources, startAgent, unlessSlow } from './agent-process.js'
import { until } from '../until.js'

const text = (mark: string): string => `${sources(mark)}
healthchecks: {lives: {type: exec, interval: 1s, timeout: 30s, exec: ["/bin/true"]}}
vips: {www: {address: 10.0.9.1, port: 80, healthcheck: lives, pools: [{name: main, reals: [{name: one, address: 10.0.1.2}]}]}}
`
type Cells = Readonly<Record<string, DebugCell>>

t.test('every table', async t => {
  const p = place(t)
  p.write(text('one'))
  const { calls } = await startAgent(t, p)
  const debug = new DebugClient(`unix:${p.socket}`, credentials.createInsecure())
  t.teardown(() => { debug.close() })
  const read = async (table: string, query: Partial<DebugQuery> = {}): Promise<{ readonly cells: readonly Cells[], readonly matched: number, readonly sample: boolean }> => {
    const whole: DebugQuery = { table, filters: [], sort: '', offset: 0, limit: 500, key: '', refers: undefined, ...query }
    const { reading } = await unlessSlow(async () => await ask<DebugGetGuardedTableResponse>(done => debug.getGuardedTable({ query: whole }, done)))
    const columns = reading?.table?.columns ?? []
    return { cells: (reading?.rows ?? []).map(row => Object.fromEntries(rowOf(row).cells.map((cell, i) => [columns[i]?.name ?? '', cell]))), matched: Number(reading?.matched), sample: reading?.sample ?? false }
  }
  const find = async (what: string, table: string, query: Partial<DebugQuery>, wanted: (cells: Cells) => boolean): Promise<Cells> => {
    let found: Cells | undefined
    await until(what, async () => {
      found = (await read(table, query)).cells.find(wanted)
      return found !== undefined
    })
    return found ?? {}
  }

  await until('sessions', async () => (await ask<SessionsCountResponse>(done => calls.sessions.count({ filter: undefined }, done))).count > 10n)
  const { tables, state, schema } = await ask<DebugListTablesResponse>(done => debug.listTables({}, done))
  t.match(schema, /^\d+-[0-9a-f]{8}$/)
  t.not(state, '')
  const expected = ['agent', 'audit', 'back-offs', 'bgp-neighbours', 'bgp-pending', 'bgp-route-sinks', 'bgp-routes', 'bgp-sinks', 'bgp-sources', 'calls', 'capabilities', 'checks', 'counters', 'drivers', 'generations', 'groups', 'history', 'links', 'memory', 'memory-rpc', 'names', 'nat-pools', 'neighbours', 'operations', 'overlay', 'peers', 'reals', 'rings', 'role-changes', 'sessions', 'subscribers', 'sync', 'targets', 'threads', 'vips', 'work', 'work-history']
  t.same(tables.map(({ name }) => name).sort(), expected)
  const empty = new Set(['audit', 'back-offs', 'bgp-neighbours', 'bgp-pending', 'bgp-route-sinks', 'bgp-routes', 'bgp-sinks', 'bgp-sources', 'drivers', 'groups', 'nat-pools', 'operations', 'overlay', 'peers', 'role-changes', 'subscribers', 'sync', 'work'])
  for (const { name } of tables) {
    if (['rings', 'calls'].includes(name)) continue
    const { cells } = await read(name)
    if (!empty.has(name)) t.ok(cells.length > 0, `${name}: ${cells.length} rows`)
  }

  t.match((await read('threads', { sort: 'name' })).cells.map(({ name, state }) => [name, state]), [['health own namespace', 'running'], ['main', 'running'], ['pool'], ['rpc', 'running'], ['sync', 'running']])
  t.match((await read('links')).cells.map(({ name }) => name).sort(), ['source:clients', 'source:servers'])
  t.match((await read('neighbours', { filters: [{ column: 'address', text: '10.0.1.0/24' }] })).cells, [{ mac: '02:00:00:00:01:02', state: 'valid', link: [{ table: 'links', key: 'source:servers' }] }])
  const session = await find('a session of the policy', 'sessions', { limit: 5, sort: '-age' }, ({ policy }) => JSON.stringify(policy) === '[{"table":"names","key":"policy/one"}]')
  t.match(session, { protocol: /tcp|udp/, source: '10.0.0.2', destination: '10.0.1.2', dport: 80, 'zone-in': [{ key: 'zone/clients' }], 'zone-out': [{ key: 'zone/servers' }] })
  t.match((await read('sessions', { key: String(session['id']) })).cells.length <= 1, true)
  t.ok((await read('sessions', { filters: [{ column: 'source', text: '=10.0.0.2' }, { column: 'phase', text: '!NOTHING' }], limit: 3 })).cells.length > 0)
  t.same((await read('sessions', { filters: [{ column: 'source', text: '192.0.2.0/24' }] })).cells, [])

  const target = await find('a probe that passed', 'targets', {}, ({ state }) => state === 'up')
  t.match(target, { id: 'lives/10.0.1.2', check: [{ table: 'checks', key: 'lives' }] })
  t.equal(typeof target['next'], 'number', 'when it is looked at again')
  await find('the VIP to serve', 'vips', {}, ({ state, serving }) => state === 'up' && serving === 1)
  t.match((await read('targets', { key: String(target['id']) })).cells, [{ state: 'up' }])
  t.match((await read('history', { refers: { table: 'vips', key: 'www' } })).cells.map(({ event }) => event), ['vip-state'], 'newest first')

  await ask(done => calls.config.apply(apply(text('two'), { confirmWithinMs: 600_000n }), done))
  t.match(await find('who waits', 'back-offs', {}, ({ process }) => process === 'rollback: generation 2'), { cause: 'not confirmed yet' })
  t.match((await read('work-history', { filters: [{ column: 'process', text: '=apply' }] })).cells, [{ object: 'by test', outcome: 'finished', cause: '' }])
  await ask(done => calls.config.apply(apply('policies: 7'), done)).catch(() => undefined)
  t.match((await read('work-history', { filters: [{ column: 'outcome', text: '=failed' }] })).cells, [{ process: 'apply', cause: /LS_C_/ }])
  await ask(done => calls.config.confirm({ generation: 2n }, done))
  t.same((await read('back-offs', { filters: [{ column: 'process', text: 'rollback' }] })).cells, [])
  t.match((await read('generations')).cells.map(({ generation, state }) => [generation, state]), [[2, 'running'], [1, 'superseded']])
  t.match((await read('names', { key: 'policy/two' })).cells, [{ kind: 'policy' }])
  t.match((await read('audit', { limit: 1 })).cells, [{ event: 'call', object: 'Config/Confirm' }])
})
