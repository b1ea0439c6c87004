/** Ended translations: what is kept, found by address, port, protocol and time; a ring that forgets the oldest and says since when it is whole. */
import t from 'tap'
import { limits } from '../../../src/generated/layout.js'
import { endedTranslations, natHistoryMemory, NatHistoryWriter } from '../../../src/telemetry/nat-history.js'
import type { TranslationQuery } from '../../../src/contract/services.js'
import { concat, RECORD, wireRecord } from '../../conformance/wire.js'

interface Ended { readonly port: number, readonly address?: string, readonly proto?: number, readonly ageMs?: number, readonly kind?: number, readonly flags?: number }
/** A session of 10.0.0.1 that left as `address` and `port`. */
function ended ({ port, address = '198.51.100.7', proto = 6, ageMs = 1000, kind = limits.LS_NOTICE_DELETE, flags = limits.LS_SF_SNAT }: Ended): Uint8Array {
  return wireRecord({ key: { src: '10.0.0.1', dst: '192.0.2.80', sport: 5000, dport: 443, proto }, reply: { src: '192.0.2.80', dst: address, sport: 443, dport: port, proto }, flags, kind, ageMs })
}
const ask = (over: Partial<TranslationQuery> = {}): TranslationQuery => ({ address: '198.51.100.7', port: null, protocol: null, at: null, limit: 100, ...over })
function history (rows: number): { readonly memory: SharedArrayBuffer, readonly note: (at: number, ...sessions: Ended[]) => void, readonly lost: (n: number) => void } {
  const memory = natHistoryMemory(rows, 100)
  const writer = new NatHistoryWriter(memory)
  return { memory, note: (at, ...sessions) => { writer.note(concat(sessions.map(ended)), sessions.length, 0, at) }, lost: (n) => { writer.note(new Uint8Array(RECORD), 0, n, 0) } }
}
const ports = (memory: SharedArrayBuffer, over?: Partial<TranslationQuery>): number[] => endedTranslations(memory, ask(over)).rows.map(({ session }) => session.replyDestinationPort)

t.test('by address, port, protocol and time; newest first', async (t) => {
  const { memory, note } = history(16)
  note(10_000, { port: 1 }, { port: 2, proto: 17 }, { port: 1, address: '198.51.100.8' })
  note(20_000, { port: 1, ageMs: 500 })
  t.same(ports(memory), [1, 2, 1])
  t.same(ports(memory, { address: '198.51.100.8' }), [1])
  t.same(ports(memory, { address: '2001:db8::1' }), [])
  t.same(ports(memory, { port: 2 }), [2])
  t.same(ports(memory, { protocol: 17 }), [2])
  const then = endedTranslations(memory, ask({ port: 1, at: 9500 }))
  t.match(then, { rows: [{ session: { source: '10.0.0.1', sourcePort: 5000 }, endedAt: 10_000 }], completeSince: 100, lost: 0, truncated: false })
  for (const [at, n] of [[8999, 0], [9000, 1], [10_000, 1], [10_001, 0], [19_499, 0], [19_500, 1]] as const) t.equal(ports(memory, { port: 1, at }).length, n, `at ${at}`)
})

t.test('only sessions that ended, and whose source was translated', async (t) => {
  const { memory, note } = history(16)
  note(1, { port: 1, kind: limits.LS_NOTICE_CREATE }, { port: 2, kind: limits.LS_NOTICE_UPDATE }, { port: 3, flags: 0 }, { port: 4, flags: limits.LS_SF_DNAT })
  t.same(ports(memory), [])
})

t.test('the oldest are forgotten, and since when it is whole is told', async (t) => {
  const { memory, note, lost } = history(4)
  for (let i = 1; i <= 6; i++) note(i * 1000, { port: i })
  lost(7)
  t.same(ports(memory), [6, 5, 4, 3])
  t.match(endedTranslations(memory, ask({ limit: 2 })), { truncated: true, completeSince: 3000, lost: 7 })
  t.equal(endedTranslations(memory, ask({ limit: 4 })).truncated, false)
})

t.test('a history of none', async (t) => {
  const { memory, note } = history(0)
  note(1, { port: 1 })
  t.match(endedTranslations(memory, ask()), { rows: [], completeSince: null })
})

t.test('random histories: what is found is what a plain list would find', async (t) => {
  const seed = Date.now() & 0xffff
  t.comment(`seed ${seed}`)
  let x = seed + 1
  const random = (n: number): number => { x = (x * 1103515245 + 12345) & 0x7fffffff; return (x >> 8) % n }
  const { memory, note } = history(32)
  const all: Array<{ readonly port: number, readonly proto: number, readonly from: number, readonly until: number }> = []
  for (let now = 1000, round = 0; round < 300; round++, now += random(500)) {
    const one = { port: random(4), proto: random(2) === 0 ? 6 : 17, ageMs: random(900) }
    note(now, one)
    all.push({ port: one.port, proto: one.proto, from: now - one.ageMs, until: now })
    const query = { port: random(3) === 0 ? null : random(4), protocol: random(2) === 0 ? null : 17, at: random(2) === 0 ? null : now - random(3000), limit: 1 + random(10) }
    const expected = all.slice(-32).reverse().filter(row => (query.port === null || row.port === query.port) && (query.protocol === null || row.proto === 17) && (query.at === null || (row.from <= query.at && query.at <= row.until)))
    const found = endedTranslations(memory, ask(query))
    t.same(found.rows.map(({ session, endedAt }) => [session.replyDestinationPort, session.protocol, endedAt]), expected.slice(0, query.limit).map(({ port, proto, until }) => [port, proto, until]))
    t.equal(found.truncated, expected.length > query.limit)
  }
})
