/** Looking up one session costs one look, not a walk; a delete that is cancelled tells what it did. */
import t, { type Test } from 'tap'
import type { NativeTable } from '../../../src/native/binding.js'
import { loadCore } from '../../../src/native/load.js'
import { createSessionStore } from '../../../src/native/session-store.js'
import { concat, RECORD, reversed, tuples, wireRecord, type Tuple } from '../../conformance/wire.js'

const tableOf = (t: Test, capacity: number): NativeTable => {
  const table = new (loadCore().Table)({ capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  return table
}
const install = (table: NativeTable, records: Uint8Array): void => {
  const { installed } = table.install(records, RECORD, null, false)
  if (installed !== records.length / RECORD) throw new Error(`${installed} installed`)
}
const tupleOf = (k: Tuple): { source: string, sourcePort: number, destination: string, destinationPort: number, protocol: number, domain: number } =>
  ({ source: k.src, sourcePort: k.sport, destination: k.dst, destinationPort: k.dport, protocol: k.proto, domain: k.domain ?? 0 })

t.test('an id is looked for in the slot that it names, and elsewhere only when it is not there', async t => {
  const table = tableOf(t, 1 << 16)
  const scans: number[] = []
  const counting = new Proxy(table, {
    get: (target, name: keyof NativeTable) => name === 'scanRecords'
      ? (...args: Parameters<NativeTable['scanRecords']>) => { scans.push(args[1]); return target.scanRecords(...args) }
      : target[name].bind(target)
  })
  const store = createSessionStore(counting, () => 1000)
  const [a, b, c, d] = tuples(4)
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('no tuples')
  const { origin } = table.info()
  install(table, concat([wireRecord({ key: a }), wireRecord({ key: b })]))
  const slotOf = (k: Tuple): number => store.find(tupleOf(k))?.slot ?? -1
  const next = slotOf(b) + (slotOf(b) - slotOf(a)) // slots are handed out one after the other
  install(table, wireRecord({ key: c, origin, serial: BigInt(next) << 32n | 1n }))
  const far = (next + 10_000) % 60_000
  install(table, wireRecord({ key: d, origin, serial: BigInt(far) << 32n | 1n }))
  t.equal(slotOf(c), next, 'the record stands where its id says')
  const idOf = (k: Tuple): string => store.find(tupleOf(k))?.id ?? ''
  scans.length = 0
  t.equal((await store.get(idOf(c)))?.slot, next)
  t.strictSame(scans, [next], 'one look')
  scans.length = 0
  t.equal((await store.get(idOf(d)))?.slot, slotOf(d), 'it began here and is somewhere else now')
  t.strictSame(scans.slice(0, 2), [far, 0])
  scans.length = 0
  t.equal((await store.get(idOf(a)))?.slot, slotOf(a), 'it began on another host')
  t.strictSame(scans, [0])
  t.equal(await store.get(`${origin.toString(16).padStart(16, '0')}ffffffff00000001`), null, 'a slot that the table does not have')
})

t.test('a tuple is found from both sides, in its domain only', async t => {
  const table = tableOf(t, 1 << 10)
  const store = createSessionStore(table, () => 1000)
  const keys: Tuple[] = [{ src: '10.0.0.1', dst: '192.0.2.1', sport: 4000, dport: 443, proto: 6 }, { src: '2001:db8::1', dst: '2001:db8::2', sport: 5, dport: 5, proto: 58, domain: 7 }]
  install(table, concat(keys.map(key => wireRecord({ key }))))
  for (const key of keys) {
    for (const seen of [key, reversed(key)]) t.match(store.find(tupleOf(seen)), { source: key.src, sourcePort: key.sport, destination: key.dst, destinationPort: key.dport, protocol: key.proto, domain: key.domain ?? 0 })
    t.equal(store.find(tupleOf({ ...key, domain: 9 })), null)
    t.equal(store.find(tupleOf({ ...key, sport: 1 })), null)
  }
  t.throws(() => store.find(tupleOf({ ...keys[0] as Tuple, dst: '2001:db8::1' })), { code: 'LS_F_TUPLE', errorClass: 'invalid', message: /one family/ })
  t.throws(() => store.find(tupleOf({ ...keys[0] as Tuple, dst: 'x' })), { code: 'LS_F_TUPLE' })
})

t.test('a delete that is cancelled stops and tells what it did', async t => {
  const table = tableOf(t, 1 << 18)
  const store = createSessionStore(table, () => 1000)
  const total = 200_000
  const records = [0, 1, 2, 3].map(k => concat(tuples(total).slice(k * total / 4, (k + 1) * total / 4).map(key => wireRecord({ key }))))
  let ended = total
  for (let n = 0; n < 50 && ended === total; n++) { // its thread may be done before this one goes on
    for (const quarter of records) install(table, quarter)
    const abort = new AbortController()
    const deleting = store.deleteByFilter({}, abort.signal)
    abort.abort()
    const { matched, deleted } = await deleting
    t.equal(matched, deleted)
    ended = deleted
  }
  t.ok(ended < total, `${ended} of ${total}`)
  t.equal(await store.count({}), total - ended)
  t.same((await store.verify()).faults, [])
  t.equal((await store.deleteByFilter({}, new AbortController().signal)).deleted, total - ended)
})
