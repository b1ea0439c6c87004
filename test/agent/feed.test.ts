/** The sync worker, its main-thread end and its listeners: bounded when a listener's thread is busy, alive when a reader throws, and no hang when the worker is gone. */
import t from 'tap'
import { loadCore } from '../../src/native/load.js'
import { feedOf, type Feed } from '../../src/workers/feed.js'
import { startSyncThread, type SyncThread } from '../../src/workers/sync-thread.js'
import { concat, RECORD, tuples, wireRecord } from '../conformance/wire.js'
import type { AgentServices } from '../../src/contract/services.js'
import { SessionChanges, SnapshotMark } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { createSessionStore } from '../../src/native/session-store.js'
import { SessionFan } from '../../src/rpc/session-fan.js'
import { watchSessions } from '../../src/rpc/session-watch.js'
import { Subscribers } from '../../src/rpc/subscribers.js'
import { Seats, TableTurns } from '../../src/rpc/turns.js'
import { layout, limits } from '../../src/generated/layout.js'
import type { NativeTable } from '../../src/native/binding.js'
import type { SessionChange } from '../../src/contract/session.js'
import { until } from '../until.js'

const LOG_CLOSE = 256
const DELETE = limits.LS_NOTICE_DELETE
const everything = new Uint8Array(layout.ls_filter.size)

function setup (capacity = 4096): { readonly table: NativeTable, readonly sync: SyncThread, readonly feed: Feed, readonly problems: unknown[], readonly closed: SessionChange[], readonly lostLines: () => number } {
  const table = new (loadCore().Table)({ capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const problems: unknown[] = []
  const closed: SessionChange[] = []
  let lines = 0
  const sync = startSyncThread({ tableId: table.info().id, timeouts: () => 1000, onLogs: () => {}, onClosed: (changes, lost) => { closed.push(...changes); lines += lost }, onProblem: (error) => { problems.push(error) } })
  const feed = feedOf(sync.listener(), () => 1000, (error) => { problems.push(error) })
  return { table, sync, feed, problems, closed, lostLines: () => lines }
}
const made = new Map<string, Uint8Array>()
const fill = (table: NativeTable, n: number, flags = 0): void => {
  const records = made.get(`${n} ${flags}`) ?? concat(tuples(n).map(key => wireRecord({ key, flags })))
  made.set(`${n} ${flags}`, records)
  table.install(records, RECORD, null, false)
}

t.test('a reader that throws is told about, and the others hear everything', async t => {
  const { table, sync, feed, problems } = setup()
  const heard: number[] = []
  const off = [feed.subscribe(() => { throw new Error('mine') }), feed.subscribe((records) => { heard.push(records.length / RECORD) })]
  await feed.listening()
  fill(table, 100)
  await table.deleteFilter(everything, 4).done
  await until('a hundred deletions', () => heard.reduce((x, y) => x + y, 0) >= 100)
  t.ok(problems.length > 0 && problems.every(e => e instanceof Error && e.message === 'mine'))
  for (const stop of [...off, ...off]) stop()
  feed.close()
  await sync.close()
  table.close()
})

t.test('a busy main thread costs changes, which are counted, not memory', async t => {
  const { table, sync, feed } = setup(1 << 17)
  let [records, lost] = [0, 0]
  feed.subscribe((rows, gone) => { records += rows.length / RECORD; lost += gone })
  await feed.listening()
  let sent = 0
  for (let round = 0; round < 8; round++) {
    fill(table, 30_000)
    sent += (await table.deleteFilter(everything, 4).done).deleted
    for (const until = performance.now() + 60; performance.now() < until;); // the main thread is somewhere else
  }
  await until('all to be told or counted', async () => {
    fill(table, 1)
    sent += (await table.deleteFilter(everything, 4).done).deleted
    await new Promise(resolve => setTimeout(resolve, 5))
    return records + lost >= sent - 1
  })
  t.ok(records + lost <= sent, `${records} told and ${lost} lost of ${sent}`)
  feed.close()
  await sync.close()
  table.close()
})

t.test('a snapshot of sessions and the changes behind it are the table, whatever ends meanwhile', async t => {
  const { table, sync, feed } = setup(1 << 16)
  const sessions = createSessionStore(table, () => 1000)
  const services = { feed, dataplane: () => ({ sessions }), names: { name: () => '', id: () => null } } as unknown as AgentServices
  fill(table, 40_000)
  const kept = new Map<string, number>()
  const over = new AbortController()
  let [snapshots, told, synced, pauses] = [0, 0, false, 0]
  const watching = watchSessions(services, { filter: undefined, columns: ['id', 'slot'], snapshot: true }, { method: '', signal: over.signal, caller: null, role: null, send: async (bytes) => {
    const { batch, kinds, mark } = SessionChanges.decode(bytes)
    if (mark === SnapshotMark.SNAPSHOT_MARK_BEGIN) { snapshots++; kept.clear(); synced = false }
    if (mark === SnapshotMark.SNAPSHOT_MARK_SYNCED) synced = true
    const [ids, slots] = ['id', 'slot'].map(name => batch?.columns.find(c => c.name === name)?.data ?? Buffer.alloc(0)) as [Buffer, Buffer]
    for (let row = 0; row < (batch?.rows ?? 0); row++) {
      const id = ids.subarray(16 * row, 16 * row + 16).toString('hex')
      if (kinds[row] === DELETE) { kept.delete(id); told++ } else kept.set(id, slots.readUInt32LE(4 * row))
    }
    if (++pauses % 2 === 0) await new Promise(resolve => setTimeout(resolve, 2)) // so that sessions end in the midst of it
  } }, { fan: new SessionFan(feed), onLost: () => {}, subscribers: new Subscribers(), turns: new TableTurns(), listings: new Seats('listings', 1) })
  let ended = 0
  while (snapshots === 0) await new Promise(resolve => setTimeout(resolve, 1))
  for (let round = 0; round < 40; round++) {
    ended += (await sessions.deleteByFilter({ source: `10.0.${round * 3 % 120}.0/24` }, over.signal)).deleted
    await new Promise(resolve => setTimeout(resolve, 3))
  }
  t.ok(ended > 5000 && ended < 20_000, `${ended} ended`)
  await until('it to be equal', async () => synced && kept.size === await sessions.count({}))
  t.ok(told > 0, `${told} of the ${ended} told as changes, the others not in the snapshot`)
  const { columns, rows: first } = sessions.list({}, ['id', 'slot'], 0, 32768)
  const [ids, slots] = ['id', 'slot'].map(name => Buffer.from(columns.get(name) ?? [])) as [Buffer, Buffer]
  t.ok(Array.from({ length: first }, (_, row) => kept.get(ids.subarray(16 * row, 16 * row + 16).toString('hex')) === slots.readUInt32LE(4 * row)).every(Boolean), 'the same sessions in the same slots')
  over.abort(new Error('over'))
  await t.rejects(watching, /over/)
  feed.close()
  await sync.close()
  table.close()
})

t.test('lines of ended sessions: some are written, all are counted', async t => {
  const { table, sync, feed, closed, lostLines } = setup(16384)
  await until('a first line', async () => { fill(table, 1, LOG_CLOSE); await table.deleteFilter(everything, 4).done; await new Promise(resolve => setTimeout(resolve, 5)); return closed.length > 0 })
  await new Promise(resolve => setTimeout(resolve, 120))
  const before = closed.length + lostLines()
  fill(table, 10_000, LOG_CLOSE)
  t.equal((await table.deleteFilter(everything, 4).done).deleted, 10_000)
  await until('the count', async () => { fill(table, 1, LOG_CLOSE); await table.deleteFilter(everything, 4).done; await new Promise(resolve => setTimeout(resolve, 60)); return closed.length + lostLines() - before >= 10_000 })
  t.ok(lostLines() > 0 && closed.length < 9000, `${closed.length} lines, ${lostLines()} counted`)
  feed.close()
  await sync.close()
  table.close()
})

t.test('close ends whether or not the worker lives', async t => {
  const { table, sync, feed, problems } = setup()
  await sync.close()
  await sync.close()
  feed.subscribe(() => {})()
  feed.close()
  t.same(problems, [])
  table.close()
  const gone = startSyncThread({ tableId: 4_000_000_000, timeouts: () => 0, onLogs: () => {}, onClosed: () => {}, onProblem: (error) => { problems.push(error) } })
  await until('the worker to fail', () => problems.length >= 2)
  t.match(problems.map(String), [/is closed/, /sync worker ended/])
  const deaf = feedOf(gone.listener(), () => 0, (error) => { problems.push(error) })
  deaf.subscribe(() => {})()
  deaf.close()
  await gone.close()
})
