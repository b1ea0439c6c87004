/** Sessions.Export and Sessions.Top: what a reader of Arrow finds is what the table has; the busiest are those that moved. */
import t from 'tap'
import { tableFromIPC, type Table } from 'apache-arrow'
import { call, messages, type AgentConnection } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { column as columnCodes } from '../../../src/generated/codes.js'
import { TopBy, type SessionsExportRequest, type SessionsTopRequest, type SessionsTopResponse } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { fakeId, fakeRow } from './fake-sessions.js'
import { withServer } from './with-server.js'

async function exported (c: AgentConnection, over: Partial<SessionsExportRequest> = {}): Promise<Table> {
  const parts: Uint8Array[] = []
  for await (const { arrow } of messages(c.sessions.export({ filter: undefined, columns: [], limit: 0n, ...over }))) parts.push(arrow)
  return tableFromIPC(Buffer.concat(parts))
}

const top = async (c: AgentConnection, over: Partial<SessionsTopRequest> = {}): Promise<SessionsTopResponse> =>
  await call(c.sessions, c.sessions.top, { filter: undefined, by: TopBy.TOP_BY_UNSPECIFIED, limit: 0, windowMs: 100, ...over })

const refusal = async (promise: Promise<unknown>): Promise<RemoteError> => await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)

t.test('every session once, with every column as the table has it', async (t) => {
  const { connection } = await withServer(t, 20_000)
  const table = await exported(connection)
  t.equal(table.numRows, 20_000)
  t.same(table.schema.fields.map(f => f.name), columnCodes.map(c => c.name).filter(name => name !== 'slot'))
  t.same(table.schema.fields.find(f => f.name === 'bytes_reply')?.metadata.get('description'), 'layer-3 bytes to the client')
  for (const i of [0, 1, 2, 8191, 8192, 19_999]) {
    const { source, sourcePort, replyDestination, bytesReply, idleMs, phase, id } = fakeRow(i)
    const row = table.get(i)
    t.match(row?.toJSON(), { src: source, sport: sourcePort, reply_dst: replyDestination, bytes_reply: bytesReply, idle_ms: idleMs, phase, zone_in: 'clients', vip: ['', 'web', 'dns'][i % 3], domain: /./ }, `row ${i}`)
    const bytes = Buffer.from(row?.['id'] as Uint8Array)
    t.equal(bytes.readBigUInt64LE(0).toString(16).padStart(16, '0') + bytes.readBigUInt64LE(8).toString(16).padStart(16, '0'), id)
  }
})

t.test('columns, a filter and a limit; nothing that matches is a table without rows', async (t) => {
  const { connection } = await withServer(t, 1000)
  const some = await exported(connection, { columns: ['dport', 'vip'], limit: 7n, filter: { ...SessionFilter.decode(new Uint8Array()), vip: 'web' } })
  t.equal(some.numRows, 7)
  t.same(Array.from({ length: 7 }, (_, i) => some.get(i)?.toJSON()), Array.from({ length: 7 }, (_, i) => ({ dport: fakeRow(3 * i + 1).destinationPort, vip: 'web' })))
  const none = await exported(connection, { columns: ['src'], filter: { ...SessionFilter.decode(new Uint8Array()), source: '203.0.113.0/24' } })
  t.equal(none.numRows, 0)
  t.same(none.schema.fields.map(f => f.name), ['src'])
  t.match(await refusal(exported(connection, { columns: ['colour'] })), { code: 'LS_R_COLUMN' })
})

t.test('the busiest first, by what moved in the window and not before; a new session has moved all it has', async (t) => {
  const { connection, agent } = await withServer(t, 9000)
  const { list } = agent.sessions
  let walks = 0
  agent.sessions.list = (filter, columns, cursor, max) => {
    if (cursor === 0) walks++
    const batch = list(filter, columns, cursor, max)
    if (!columns.includes('bytes_forward')) return batch
    const copies = new Map([...batch.columns].map(([name, data]) => [name, Buffer.from(data)]))
    const grow = (row: number, packets: bigint, bytes: bigint): void => {
      const at = row - cursor
      if (at < 0 || at >= batch.rows || walks % 2 === 1) return
      for (const [name, by] of [['packets_reply', packets], ['bytes_reply', bytes]] as const) copies.get(name)?.writeBigUInt64LE((copies.get(name)?.readBigUInt64LE(8 * at) ?? 0n) + by, 8 * at)
    }
    grow(5, 1000n, 50_000n)
    grow(8500, 10n, 2_000_000n)
    grow(17, 1n, 40n)
    if (walks % 2 === 1 && cursor === 0) copies.get('id')?.writeBigUInt64LE(1n, 16 * 3 + 8) // at first another session had the slot of row 3
    return { ...batch, columns: copies }
  }
  const { sessions, windowMs, bitsPerS } = await top(connection)
  t.same(sessions.map(({ session }) => session?.id), [8500, 5, 3, 17].map(fakeId))
  t.ok(windowMs >= 95)
  const [first] = sessions
  t.ok(Math.abs((first?.bitsPerS ?? 0) * windowMs / 1000 - 16_000_000) < 1)
  t.ok(Math.abs(bitsPerS * windowMs / 1000 - 8 * (2_000_000 + 50_000 + 3300 + 40)) < 1)
  const packets = await top(connection, { by: TopBy.TOP_BY_PACKETS, limit: 2 })
  t.same(packets.sessions.map(({ session }) => session?.id), [5, 8500].map(fakeId))
})

t.test('what cannot be measured is refused', async (t) => {
  const { connection } = await withServer(t, 10)
  t.match(await refusal(top(connection, { limit: 1001 })), { code: 'LS_R_RANGE' })
  t.match(await refusal(top(connection, { windowMs: 99 })), { code: 'LS_R_RANGE' })
  t.match(await refusal(top(connection, { windowMs: 60_001 })), { code: 'LS_R_RANGE' })
  const running = [top(connection, { windowMs: 2000 }), top(connection, { windowMs: 2000 })]
  t.match(await refusal(top(connection)), { code: 'LS_R_TOO_MANY' })
  await Promise.all(running)
})
