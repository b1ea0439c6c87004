/** Numbers, times and rates of the page, as people read them. */
import t from 'tap'
import { CounterRates, KEPT } from '../../../src/web/counter-rates.js'
import { age, clock, count, dateTime, endpoint, fieldsText, protocol, short } from '../../../src/web/format.js'
import type { Counters } from '../../../src/web/model.js'

t.test('numbers', async (t) => {
  t.same([0, 999, 1000, 1_234_567, undefined].map(n => count(n)), ['0', '999', '1\u202f000', '1\u202f234\u202f567', '–'])
  t.same([0, 5, 0.5, 12.34, 999, 1000, 12_345, 123_456, 1e6, 2.5e9, NaN, Infinity, undefined].map(n => short(n)),
    ['0', '5', '0.50', '12.3', '999', '1.00\u00a0k', '12.3\u00a0k', '123\u00a0k', '1.00\u00a0M', '2.50\u00a0G', '–', '–', '–'])
  t.same([short(0, '/s'), short(1500, 'B/s')], ['0\u00a0/s', '1.50\u00a0kB/s'])
})

t.test('times', async (t) => {
  t.same([-5, 0, 499, 59_400, 59_600, 61_000, 3_600_000, 3_660_000, 86_400_000, 90_000_000].map(age), ['0 s', '0 s', '0 s', '59 s', '1 min 00 s', '1 min 01 s', '1 h 00 min', '1 h 01 min', '1 d 0 h', '1 d 1 h'])
  const at = new Date(2026, 0, 2, 3, 4, 5, 6).getTime()
  t.same([clock(at), dateTime(at)], ['03:04:05.006', '2026-01-02 03:04:05'])
})

t.test('addresses, protocols, fields', async (t) => {
  t.same([['192.0.2.80/32', 80], ['192.0.2.80', 0], ['192.0.2.0/24', 80], ['2001:db8::1/128', 53], ['2001:db8::1', 0], ['2001:db8::/64', 0]].map(([address, port]) => endpoint(address as string, port as number)),
    ['192.0.2.80:80', '192.0.2.80', '192.0.2.0/24 port 80', '[2001:db8::1]:53', '2001:db8::1', '2001:db8::/64'])
  t.same([6, 17, 0, 200].map(protocol), ['tcp', 'udp', 'any', '200'])
  t.equal(fieldsText({ a: 1, b: 'edge-1', c: 'two words', d: '<b>', e: null }), 'a=1 b=edge-1 c="two words" d="<b>" e=null')
})

const reading = (seconds: number, values: Readonly<Record<string, number>>, name = 'global'): Counters => ({ timeNs: seconds * 1e9, blocks: [{ name, fields: ['value'], rows: Object.entries(values).map(([row, value]) => ({ name: row, values: [value], text: '' })) }] }) as unknown as Counters

t.test('rates: from two readings, and none where a counter is new or went back', async (t) => {
  const rates = new CounterRates()
  rates.take(reading(10, { a: 100, b: 50 }))
  t.same([...rates.now], [], 'one reading is no rate')
  t.equal(rates.totals.get('global/a/value'), 100)
  rates.take(reading(12, { a: 300, b: 50, c: 9 }))
  t.same([...rates.now], [['global/a/value', 100], ['global/b/value', 0]])
  rates.take(reading(14, { a: 10, b: 70, c: 9 }))
  t.same([...rates.now], [['global/b/value', 10], ['global/c/value', 0]], 'its agent restarted: a went back')
  t.same(rates.series.get('global/a/value')?.values, [100, null])
  rates.take(reading(14, { a: 20, b: 80 }))
  t.same([...rates.now], [], 'the same moment twice')
  t.equal(rates.totals.has('global/c/value'), false, 'what is gone is gone')
  t.equal(rates.series.has('global/c/value'), false)
})

t.test('rates: what they were is kept for what is plotted, and not for ever', async (t) => {
  const rates = new CounterRates()
  for (let i = 0; i < KEPT + 20; i++) rates.take(reading(i, { a: i * i }))
  const series = rates.series.get('global/a/value')
  t.same([series?.at.length, series?.values.length], [KEPT, KEPT])
  t.equal(series?.values.at(-1), 2 * (KEPT + 19) - 1)
  for (let i = 0; i < 3; i++) rates.take(reading(200 + i, { a: i }, 'real'))
  t.equal(rates.series.size, 0, 'reals are too many')
  t.equal(rates.now.get('real/a/value'), 1)
})
