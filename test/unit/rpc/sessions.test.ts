/** lockstep.v1.Sessions over a real socket, with a fabricated store. */
import t from 'tap'
import { status } from '@grpc/grpc-js'
import { LockstepError } from '../../../src/contract/errors.js'
import { column as columnCodes } from '../../../src/generated/codes.js'
import { SessionBatch, SessionChanges, SessionOrderBy, SnapshotMark, type SessionOrder, type SessionsListRequest, type SessionsWatchRequest } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { call, messages, type AgentConnection } from '../../../src/cli/client.js'
import { SessionBatchEncoder } from '../../../src/rpc/session-batch.js'
import { Subscribers } from '../../../src/rpc/subscribers.js'
import { SessionFan } from '../../../src/rpc/session-fan.js'
import { watchSessions } from '../../../src/rpc/session-watch.js'
import { Seats, TableTurns } from '../../../src/rpc/turns.js'
import { createFakeAgent } from './fake-agent.js'
import { fakeId, fakeRecords, fakeRow, packColumns } from './fake-sessions.js'
import { refusal, withServer } from './with-server.js'
import { comesAbout } from '../../until.js'

const emptyFilter = SessionFilter.decode(new Uint8Array())
const request = (over: Partial<SessionsListRequest> = {}): SessionsListRequest =>
  ({ filter: undefined, columns: [], limit: 0n, batchRows: 0, withNames: false, fromSlot: 0, order: undefined, ...over })

async function list (c: AgentConnection, over: Partial<SessionsListRequest> = {}): Promise<SessionBatch[]> {
  const out: SessionBatch[] = []
  for await (const batch of messages(c.sessions.list(request(over)))) out.push(batch)
  return out
}

/** The number stays the same for 150 ms. */
async function rests (value: () => number): Promise<boolean> {
  let before = -1
  let still = 0
  return await comesAbout(() => { still = value() === before ? still + 1 : 0; before = value(); return still >= 15 })
}

const rowsOf = (batches: readonly SessionBatch[]): number => batches.reduce((n, b) => n + b.rows, 0)

t.test('a listing returns every session once, in the columns asked for', async (t) => {
  const { connection, agent } = await withServer(t, 20_000)
  agent.sessions.listMax = 3000
  const batches = await list(connection, { columns: ['slot', 'src', 'bytes_forward'] })
  t.equal(rowsOf(batches), 20_000)
  t.ok(batches.length >= 7, 'in several batches')
  const slots = new Set<number>()
  for (const b of batches) {
    t.strictSame(b.columns.map((c) => [c.name, c.width, c.data.length]), [['slot', 4, 4 * b.rows], ['src', 16, 16 * b.rows], ['bytes_forward', 8, 8 * b.rows]])
    for (let i = 0; i < b.rows; i++) slots.add(b.columns[0]?.data.readUInt32LE(4 * i) ?? -1)
  }
  t.equal(slots.size, 20_000)
})

t.test('a listing goes on behind the last row of the one before; behind the last slot is nothing', async (t) => {
  const { connection } = await withServer(t, 1000)
  const slots: number[] = []
  for (let fromSlot = 0, more = true; more; fromSlot = (slots.at(-1) ?? 0) + 1) {
    const batches = await list(connection, { columns: ['slot'], limit: 300n, fromSlot })
    for (const { rows, columns: [column] } of batches) for (let i = 0; i < rows; i++) slots.push(column?.data.readUInt32LE(4 * i) ?? -1)
    more = batches.at(-1)?.truncated === true
  }
  t.same(slots, Array.from({ length: 1000 }, (_, i) => i))
  t.equal(rowsOf(await list(connection, { fromSlot: 1000 })), 0)
  t.equal(rowsOf(await list(connection, { fromSlot: 0xffff_ffff })), 0)
})

t.test('without columns the default set comes, and a batch has 8k to 32k rows', async (t) => {
  const { connection } = await withServer(t, 100_000)
  const batches = await list(connection)
  t.equal(rowsOf(batches), 100_000)
  t.equal(batches[0]?.columns[0]?.name, 'id')
  t.ok((batches[0]?.rows ?? 0) >= 8192)
  t.ok(batches.every((b) => b.rows <= 32768))
  const wide = await list(connection, { batchRows: 32768, columns: columnCodes.map((c) => c.name) })
  t.ok(wide.every((b) => b.columns.reduce((sum, c) => sum + c.data.length, 0) <= 3 << 20), 'a message stays below what clients receive by default')
})

t.test('a limit cuts the listing and says so', async (t) => {
  const { connection } = await withServer(t, 20_000)
  const batches = await list(connection, { limit: 9000n, columns: ['slot'] })
  t.equal(rowsOf(batches), 9000)
  t.strictSame(batches.map((b) => b.truncated), batches.map((_, i) => i === batches.length - 1))
  const all = await list(connection, { limit: 20_000n, columns: ['slot'] })
  t.notOk(all.at(-1)?.truncated, 'a limit that was just enough is not a cut')
})

t.test('names of ids come with the batch in which an id appears first', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  agent.sessions.listMax = 10
  const batches = await list(connection, { columns: ['zone_in', 'vip', 'real', 'app'], withNames: true })
  t.strictSame(batches[0]?.names, [
    { kind: 'zone', id: 1, name: 'clients' }, { kind: 'vip', id: 1, name: 'web' }, { kind: 'vip', id: 2, name: 'dns' },
    { kind: 'real', id: 11, name: 'web/a' }, { kind: 'real', id: 12, name: 'dns/a' }, { kind: 'app', id: 0, name: 'any' }
  ])
  t.ok(batches.slice(1).every((b) => b.names.length === 0))
})

t.test('the hand-written encoding decodes as generated code reads it', async (t) => {
  for (const rows of [1, 2, 7, 127, 128, 1000]) {
    const data = packColumns(Array.from({ length: rows }, (_, i) => fakeRow(i)), columnCodes.map((c) => c.name))
    const encoder = new SessionBatchEncoder(columnCodes)
    const names = [{ kind: 'zone', id: 300, name: 'dmz' }]
    for (const [n, truncated] of [[names, true], [[], false], [names, false], [[], true]] as const) {
      const decoded = SessionBatch.decode(encoder.encode({ rows, columns: data, cursor: null }, [...n], truncated))
      t.same(decoded, { rows, truncated, names: n, columns: columnCodes.map((c) => ({ name: c.name, width: c.bytes, data: data.get(c.name) })) })
    }
  }
  const short = new SessionBatchEncoder([{ name: 'slot', bytes: 4 }])
  t.throws(() => short.encode({ rows: 2, columns: new Map([['slot', new Uint8Array(7)]]), cursor: null }, [], false), /7 bytes for 2 rows/)
})

t.test('filters: values are checked, names resolved, `#7` is an id', async (t) => {
  const { connection } = await withServer(t, 1000)
  const count = async (over: Partial<typeof emptyFilter>): Promise<bigint> =>
    (await call(connection.sessions, connection.sessions.count, { filter: { ...emptyFilter, ...over } })).count
  t.equal(await count({}), 1000n)
  t.equal(await count({ vip: 'web' }), await count({ vip: '#1' }))
  t.equal(await count({ protocol: 'udp' }), 250n)
  t.equal(await count({ protocol: '17', family: 4 }), BigInt(Array.from({ length: 1000 }, (_, i) => fakeRow(i)).filter((r) => r.protocol === 17 && r.family === 4).length))
  t.equal(await count({ source: '10.0.0.0/30' }), 3n, 'row 2 is IPv6')
  t.equal(await count({ phases: ['tcp_established', 'UDP_STREAM'] }), 1000n)
  t.equal(await count({ id: fakeId(5).toUpperCase() }), 1n)
  const bad: Array<[Partial<typeof emptyFilter>, string]> = [
    [{ source: '10.0.0.0/33' }, 'filter.source'], [{ source: 'example' }, 'filter.source'], [{ destination: '1.2.3.4/8/9' }, 'filter.destination'],
    [{ address: 'fe80::1%eth0' }, 'filter.address'], [{ sourcePort: 65536 }, 'filter.source_port'], [{ protocol: 'tpc' }, 'filter.protocol'],
    [{ protocol: '256' }, 'filter.protocol'], [{ family: 5 }, 'filter.family'], [{ phases: ['ESTABLISHED'] }, 'filter.phases'], [{ rg: 256 }, 'filter.rg'],
    [{ vip: 'wbe' }, 'filter.vip'], [{ app: '#256' }, 'filter.app'], [{ vip: '#x' }, 'filter.vip'], [{ id: 'abc' }, 'filter.id'], [{ minIdleMs: 1n << 60n }, 'filter.min_idle_ms']
  ]
  for (const [filter, object] of bad) {
    const e = await refusal(count(filter))
    t.equal(e.grpcCode, status.INVALID_ARGUMENT, object)
    t.equal(e.detail.object, object)
  }
})

t.test('an unknown column and an oversized batch are refused with what would be right', async (t) => {
  const { connection } = await withServer(t, 10)
  const e = await refusal(list(connection, { columns: ['srcc'] }))
  t.equal(e.code, 'LS_R_COLUMN')
  t.equal(e.detail.found, 'srcc')
  t.match(e.detail.expected, /src dst sport/)
  t.equal((await refusal(list(connection, { batchRows: 32769 }))).code, 'LS_R_BATCH_ROWS')
  t.equal((await refusal(list(connection, { columns: ['src', 'src'] }))).code, 'LS_R_COLUMN')
})

t.test('get returns one session with names; a missing one is NOT_FOUND', async (t) => {
  const { connection } = await withServer(t, 10)
  const { session } = await call(connection.sessions, connection.sessions.get, { tuple: undefined, id: fakeId(4) })
  t.match(session, { id: fakeId(4), vip: 'web', real: 'web/a', zoneIn: 'clients', bytesReply: 4000n, flags: ['DNAT', 'VIP'], phase: 'TCP_ESTABLISHED' })
  const e = await refusal(call(connection.sessions, connection.sessions.get, { tuple: undefined, id: fakeId(99) }))
  t.equal(e.grpcCode, status.NOT_FOUND)
  t.equal(e.code, 'LS_E_NOT_FOUND')
  t.equal(e.errorClass, 'stale')
})

t.test('get by tuple: names and numbers are checked, one of id and tuple', async (t) => {
  const { connection: { sessions } } = await withServer(t, 10)
  const { source, sourcePort, destination, destinationPort } = fakeRow(4)
  const tuple = { source, sourcePort, destination, destinationPort, protocol: 'tcp', domain: '' }
  t.equal((await call(sessions, sessions.get, { id: '', tuple })).session?.id, fakeId(4))
  t.equal((await call(sessions, sessions.get, { id: '', tuple: { ...tuple, protocol: '6', domain: 'default' } })).session?.id, fakeId(4))
  t.equal((await refusal(call(sessions, sessions.get, { id: '', tuple: { ...tuple, domain: '#1' } }))).grpcCode, status.NOT_FOUND)
  t.equal((await refusal(call(sessions, sessions.get, { id: fakeId(4), tuple }))).code, 'LS_R_GET')
  t.equal((await refusal(call(sessions, sessions.get, { id: '', tuple: undefined }))).code, 'LS_R_FILTER')
  for (const wrong of [{ source: '10.0.0.0/24' }, { sourcePort: 70_000 }, { protocol: '' }, { protocol: 'x' }, { domain: 'nowhere' }]) {
    t.equal((await refusal(call(sessions, sessions.get, { id: '', tuple: { ...tuple, ...wrong } }))).grpcCode, status.INVALID_ARGUMENT, JSON.stringify(wrong))
  }
})

t.test('delete by filter; an empty filter needs `all`', async (t) => {
  const { connection } = await withServer(t, 100)
  const { sessions } = connection
  t.equal((await refusal(call(sessions, sessions.delete, { filter: undefined, all: false }))).code, 'LS_R_EMPTY_FILTER')
  t.same(await call(sessions, sessions.delete, { filter: { ...emptyFilter, protocol: 'udp' }, all: false }), { matched: 25n, deleted: 25n })
  t.equal((await call(sessions, sessions.count, { filter: undefined })).count, 75n)
  t.same(await call(sessions, sessions.delete, { filter: undefined, all: true }), { matched: 75n, deleted: 75n })
})

t.test('verify passes the report on', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  t.match(await call(connection.sessions, connection.sessions.verify, {}), { ok: true, live: 100n, entries: 200n, faults: [] })
  agent.sessions.verifyFaults = [{ name: 'orphan_entry', count: 2, first: 'bucket 7' }]
  t.match(await call(connection.sessions, connection.sessions.verify, {}), { ok: false, faults: [{ name: 'orphan_entry', count: 2n, first: 'bucket 7' }] })
})

t.test('errors keep class, code, object, found, expected and next over the wire', async (t) => {
  const bugs: unknown[] = []
  const { connection, agent } = await withServer(t, 10, { onBug: (_method, error) => bugs.push(error) })
  const codes = [['invalid', status.INVALID_ARGUMENT], ['unsupported', status.UNIMPLEMENTED], ['stale', status.ABORTED], ['exhausted', status.RESOURCE_EXHAUSTED], ['unavailable', status.UNAVAILABLE], ['bug', status.INTERNAL]] as const
  for (const [errorClass, code] of codes) {
    const sent = new LockstepError(errorClass, 'LS_E_TEST', 'went wrong', { object: 'vip wéb', found: '1', expected: '2', next: 'try 2' })
    agent.sessions.failure = sent
    for (const attempt of [call(connection.sessions, connection.sessions.count, { filter: undefined }), list(connection)]) {
      const e = await refusal(attempt)
      t.equal(e.grpcCode, code)
      t.equal(e.errorClass, errorClass)
      t.equal(e.code, 'LS_E_TEST')
      t.equal(e.message, sent.message)
      t.same(e.detail, sent.detail)
    }
  }
  t.equal(bugs.length, 2)
  agent.sessions.failure = new TypeError('x is undefined')
  const e = await refusal(call(connection.sessions, connection.sessions.count, { filter: undefined }))
  t.equal(e.errorClass, 'bug')
  t.match(e.message, /x is undefined/)
  t.notMatch(e.message, /at .*\.ts/, 'no stack goes out')
  t.equal(bugs.length, 3)
})

t.test('in an order: the first ones of all that match, a page of them at a time', async (t) => {
  const { connection, agent } = await withServer(t, 5000)
  agent.sessions.listMax = 700
  const slotsOf = async (limit: number, order: Partial<SessionOrder> = {}, over: Partial<SessionsListRequest> = {}): Promise<number[]> => {
    const batches = await list(connection, { columns: ['bytes_forward', 'slot'], limit: BigInt(limit), order: { by: SessionOrderBy.SESSION_ORDER_BY_BYTES, ascending: false, skip: 0, ...order }, ...over })
    t.same(batches.map(({ truncated }) => truncated), batches.map((_, i) => i === batches.length - 1), 'there are more')
    return batches.map(({ columns: [, slot] }) => slot?.data.readUInt32LE(0) ?? -1)
  }
  const from = (first: number, count: number, step: number): number[] => Array.from({ length: count }, (_, i) => first + step * i)
  t.same(await slotsOf(100), from(4999, 100, -1))
  t.same(await slotsOf(100, { skip: 900 }), from(4099, 100, -1), 'as deep as it goes')
  t.same(await slotsOf(100, { ascending: true }), from(0, 100, 1))
  t.same(await slotsOf(100, { by: SessionOrderBy.SESSION_ORDER_BY_AGE }), from(4999, 100, -1))
  t.same(await slotsOf(7, { by: SessionOrderBy.SESSION_ORDER_BY_IDLE }), [999, 1999, 2999, 3999, 4999, 998, 1998], 'those of one value as in the table')
  t.same(await slotsOf(5, { by: SessionOrderBy.SESSION_ORDER_BY_EXPIRES }), from(0, 5, 1), 'all of one value')
  const one = await list(connection, { columns: ['bytes_forward'], limit: 3n, order: { by: SessionOrderBy.SESSION_ORDER_BY_PACKETS, ascending: false, skip: 0 } })
  t.same(one.map(({ columns }) => columns.map(({ name, data }) => [name, data.readBigUInt64LE(0)])), [499_900n, 499_800n, 499_700n].map(bytes => [['bytes_forward', bytes]]), 'with the columns asked for')
  t.same(await list(connection, { filter: { ...emptyFilter, protocol: 'icmp' }, limit: 5n, order: { by: SessionOrderBy.SESSION_ORDER_BY_BYTES, ascending: false, skip: 0 } }), [], 'nothing matches')
  for (const [limit, order, over] of [[0, {}, {}], [1001, {}, {}], [100, { skip: 901 }, {}], [10, {}, { fromSlot: 1 }], [10, { by: SessionOrderBy.SESSION_ORDER_BY_UNSPECIFIED }, {}]] as const) t.match(await refusal(slotsOf(limit, order, over)), { code: 'LS_R_ORDER' })
})

t.test('cancelling a listing stops the walk', async (t) => {
  const { connection, agent } = await withServer(t, 3_000_000)
  let walked = 0
  const original = agent.sessions.list
  agent.sessions.list = (f, c, cursor, max) => { walked++; return original(f, c, cursor, max) }
  for await (const batch of messages(connection.sessions.list(request()))) {
    t.ok(batch.rows > 0)
    break
  }
  t.ok(await rests(() => walked), 'the walk comes to rest')
  t.ok(walked < 150, `${walked} of about 250 batches`)
})

t.test('a reader that stops reading makes the server wait, not buffer', async (t) => {
  const { connection, agent } = await withServer(t, 3_000_000)
  let walked = 0
  const original = agent.sessions.list
  agent.sessions.list = (f, c, cursor, max) => { walked++; return original(f, c, cursor, max) }
  const reader = messages(connection.sessions.list(request()))
  // grpc-js takes all there is until the first read: only a reader that began to read can stop.
  await reader.next()
  t.ok(await rests(() => walked))
  t.ok(walked < 60, `${walked} batches made for a reader that took one`)
  await reader.return(undefined)
})

t.test('a deadline ends a call and the work behind it', async (t) => {
  const { connection, agent } = await withServer(t, 10)
  agent.sessions.count = async () => await new Promise(() => {})
  const e = await refusal(call(connection.sessions, connection.sessions.count, { filter: undefined }, { deadlineMs: 50 }))
  t.equal(e.grpcCode, status.DEADLINE_EXCEEDED)
  let seen: AbortSignal | null = null
  agent.sessions.deleteByFilter = async (_filter, signal) => await new Promise((_resolve, reject) => {
    seen = signal
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
  await refusal(call(connection.sessions, connection.sessions.delete, { filter: undefined, all: true }, { deadlineMs: 50 }))
  t.ok(await comesAbout(() => (seen as AbortSignal | null)?.aborted === true))
})

t.test('watch: first an empty message, then changes, filtered, with the number lost', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  const stream = messages(connection.sessions.watch({ filter: { ...emptyFilter, protocol: 'tcp' }, columns: [], snapshot: false }))
  const next = async (): Promise<SessionChanges> => (await stream.next()).value as SessionChanges
  t.same(await next(), SessionChanges.decode(new Uint8Array()))
  agent.publish(fakeRecords([1, 3, 4]))
  const first = await next()
  t.strictSame(first.changes.map((c) => c.session?.slot), [1, 4], 'row 3 is UDP')
  t.match(first.changes[0], { kind: 'SESSION_CHANGE_KIND_CREATE', closeReason: 'NONE', session: { vip: 'web' } })
  agent.publish(fakeRecords([5]), 7)
  t.equal((await next()).lost, 7n)
  await stream.return(undefined)
  t.ok(await comesAbout(() => agent.watchers() === 0), 'the subscription ends with the call')
})

t.test('watch: the domain is a filter like any other, and is told', async (t) => {
  const { connection, agent } = await withServer(t, 100)
  const stream = messages(connection.sessions.watch({ filter: { ...emptyFilter, domain: '#1' }, columns: [], snapshot: false }))
  await stream.next()
  agent.publish(fakeRecords([1, 2, 3, 4]))
  const { changes } = (await stream.next()).value as SessionChanges
  t.strictSame(changes.map((c) => [c.session?.slot, c.session?.domain]), [[1, '#1'], [3, '#1']])
  await stream.return(undefined)
})

t.test('a slow watcher loses changes and is told how many', async (t) => {
  const { connection, agent } = await withServer(t, 100_000)
  const stream = messages(connection.sessions.watch({ filter: undefined, columns: [], snapshot: false }))
  await stream.next()
  const published = 50_000
  for (let at = 0; at < published; at += 1000) agent.publish(fakeRecords(Array.from({ length: 1000 }, (_, i) => at + i)))
  let seen = 0
  let lost = 0
  while (seen + lost < published) {
    const m = (await stream.next()).value as SessionChanges
    seen += m.changes.length
    lost += Number(m.lost)
    t.ok(m.changes.length <= 512)
  }
  t.equal(seen + lost, published)
  t.ok(lost > 0)
  await stream.return(undefined)
})

t.test('a watcher whose filter hides everything still hears every so often', async (t) => {
  const agent = createFakeAgent(100)
  const abort = new AbortController()
  const sent: SessionChanges[] = []
  const publish = setInterval(() => agent.publish(fakeRecords([3])), 5)
  const watching = watchSessions(agent.services, { filter: { ...emptyFilter, protocol: 'tcp' }, columns: [], snapshot: false }, { method: '', signal: abort.signal, caller: null, role: null, send: async (m) => { sent.push(SessionChanges.decode(m)) } }, { fan: new SessionFan(agent.services.feed), onLost: () => {}, subscribers: new Subscribers(), turns: new TableTurns(), listings: new Seats('listings', 1), progressMs: 100 })
  t.ok(await comesAbout(() => sent.length >= 4))
  clearInterval(publish)
  abort.abort(new Error('over'))
  await t.rejects(watching, /over/)
  t.ok(sent.every((m) => m.changes.length === 0))
})

const watchRequest = (over: Partial<SessionsWatchRequest>): SessionsWatchRequest => ({ filter: undefined, columns: [], snapshot: false, ...over })
const slots = (batch: SessionBatch | undefined): number[] => {
  const data = batch?.columns.find(({ name }) => name === 'slot')?.data ?? Buffer.alloc(0)
  return Array.from({ length: data.length / 4 }, (_, i) => data.readUInt32LE(4 * i))
}

t.test('a watch in columns tells the same changes as one in rows', async (t) => {
  const { agent, connection } = await withServer(t, 100)
  const stream = messages(connection.sessions.watch(watchRequest({ columns: ['slot', 'proto', 'src'], filter: { ...emptyFilter, protocol: 'tcp' } })))
  t.same((await stream.next()).value, SessionChanges.decode(new Uint8Array()), 'first an empty one')
  agent.publish(fakeRecords([1, 3, 4]), 2)
  const { batch, lost, kinds, closeReasons, changes } = (await stream.next()).value as SessionChanges
  t.same([slots(batch), lost, [...kinds], [...closeReasons], changes], [[1, 4], 2n, [2, 2], [0, 0], []])
  t.same(batch?.columns.map(({ name, width, data }) => [name, width, data.length]), [['slot', 4, 8], ['proto', 1, 2], ['src', 16, 32]], 'in the order asked for')
  await stream.return(undefined)
})

t.test('a watch with a snapshot begins with what there is; after a loss it comes again', async (t) => {
  const { agent, connection } = await withServer(t, 20_000)
  const e = await refusal(messages(connection.sessions.watch(watchRequest({ snapshot: true }))).next())
  t.same([e.code, e.detail.object], ['LS_R_SNAPSHOT', 'snapshot'])
  const stream = messages(connection.sessions.watch(watchRequest({ snapshot: true, columns: ['slot'] })))
  const take = async (): Promise<{ readonly rows: number[], readonly lost: bigint }> => {
    const first = (await stream.next()).value as SessionChanges
    t.equal(first.mark, SnapshotMark.SNAPSHOT_MARK_BEGIN)
    const rows: number[] = []
    for (;;) {
      const message = (await stream.next()).value as SessionChanges
      t.equal(message.kinds.length, 0, 'no changes in it')
      if (message.mark === SnapshotMark.SNAPSHOT_MARK_SYNCED) return { rows, lost: first.lost }
      rows.push(...slots(message.batch))
    }
  }
  t.same((await take()).rows, Array.from({ length: 20_000 }, (_, i) => i))
  agent.publish(fakeRecords([7]))
  t.same(slots(((await stream.next()).value as SessionChanges).batch), [7], 'then changes')
  agent.publish(fakeRecords([8]), 5)
  const again = await take()
  t.same([again.rows.length, again.lost], [20_000, 5n])
  await stream.return(undefined)
  t.ok(await comesAbout(() => agent.watchers() === 0))
})

t.test('a huge request is refused before it is decoded; a phase said often counts once', async (t) => {
  const { connection, agent } = await withServer(t, 10)
  const { sessions, telemetry } = connection
  const phases = Array.from({ length: 500_000 }, () => 'TCP_CLOSE')
  const attempts: Array<() => Promise<unknown>> = [
    async () => await call(sessions, sessions.count, { filter: { ...emptyFilter, phases } }),
    async () => await call(telemetry, telemetry.snapshot, { blocks: phases, zeros: false }),
    async () => await messages(sessions.watch({ filter: { ...emptyFilter, phases }, columns: [], snapshot: false })).next()
  ]
  for (const attempt of attempts) {
    t.match(await refusal(attempt()), { grpcCode: status.RESOURCE_EXHAUSTED, code: 'LS_R_REQUEST_SIZE' })
  }
  const original = agent.sessions.count
  let seen: readonly string[] | undefined
  agent.sessions.count = async (f) => { seen = f.phases; return await original(f) }
  await call(sessions, sessions.count, { filter: { ...emptyFilter, phases: phases.slice(0, 5000) } })
  t.strictSame(seen, ['TCP_CLOSE'])
})

t.test('what is lost while the snapshot is told makes it come again, told of or not', async (t) => {
  const agent = createFakeAgent(20_000)
  const abort = new AbortController()
  const sent: SessionChanges[] = []
  const begins = (): number => sent.filter(({ mark }) => mark === SnapshotMark.SNAPSHOT_MARK_BEGIN).length
  const watching = watchSessions(agent.services, watchRequest({ snapshot: true, columns: ['slot'] }), {
    method: '', signal: abort.signal, caller: null, role: null,
    send: async (m) => {
      const message = SessionChanges.decode(m)
      sent.push(message)
      if (begins() === 1 && message.mark === SnapshotMark.SNAPSHOT_MARK_BEGIN) agent.publish(fakeRecords([1]), 5000)
    }
  }, { fan: new SessionFan(agent.services.feed), onLost: () => {}, subscribers: new Subscribers(), turns: new TableTurns(), listings: new Seats('listings', 1) })
  t.ok(await comesAbout(() => begins() === 2))
  t.equal(sent.reduce((sum, { lost }) => sum + Number(lost), 0), 5000, 'told once, with a row of the first')
  await new Promise((resolve) => { setTimeout(resolve, 1200) })
  t.equal(begins(), 2, 'and not a third time')
  abort.abort(new Error('over'))
  await t.rejects(watching, /over/)
})
