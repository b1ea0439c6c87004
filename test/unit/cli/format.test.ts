/** Numbers, times, addresses, tables. */
import { inspect } from 'node:util'
import t from 'tap'
import { bytes, count, duration, parseDuration } from '../../../src/cli/format.js'
import { addressText } from '../../../src/lib/address-text.js'
import { formatAddress, formatEndpoint, parseEndpoint } from '../../../src/lib/address.js'
import { enumWord } from '../../../src/client/index.js'
import { toJson } from '../../../src/lib/json.js'
import { layOut, table } from '../../../src/cli/table.js'

t.test('durations both ways', async (t) => {
  const written: Array<[string, number]> = [['250ms', 250], ['30s', 30_000], ['5m', 300_000], ['1h30m', 5_400_000], ['2d', 172_800_000]]
  for (const [text, ms] of written) t.equal(parseDuration(text), ms, text)
  for (const bad of ['', '5', 's', '-1s', '1.5h', '5 m', '5M']) t.throws(() => parseDuration(bad), { code: 'LS_U_USAGE' }, inspect(bad))
  const shown: Array<[number, string]> = [[0, '0.0s'], [9940, '9.9s'], [59_999, '59s'], [60_000, '1m00s'], [3_599_000, '59m59s'], [3_600_000, '1h00m'], [90_000_000, '1d01h']]
  for (const [ms, text] of shown) t.equal(duration(ms), text)
})

t.test('sizes', async (t) => {
  t.strictSame([0, 1023, 1024, 1536, 102_400, 2 ** 40].map(bytes), ['0', '1023', '1.0K', '1.5K', '100K', '1.0T'])
  t.strictSame([999, 1000, 1_500_000n].map(count), ['999', '1.0k', '1.5M'])
})

t.test('addresses as RFC 5952 wants them', async (t) => {
  const cases: Array<[string, string]> = [
    ['00000000000000000000ffffc0000201', '192.0.2.1'], ['20010db8000000000000000000000001', '2001:db8::1'], ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'], ['20010db8000000010000000000000000', '2001:db8:0:1::'], ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'], ['fe800000000000000000000000000abc', 'fe80::abc']
  ]
  for (const [hex, text] of cases) t.equal(addressText(Buffer.from(`ff${hex}`, 'hex'), 1), text)
  t.equal(formatEndpoint('::1', 5), '[::1]:5')
})

t.test('endpoints both ways; what is none', async (t) => {
  for (const text of ['192.0.2.7:80', '[2001:db8::7]:65535', '0.0.0.0:0']) {
    const found = parseEndpoint(text)
    t.equal(found === null ? null : formatEndpoint(formatAddress(found.address), found.port), text)
  }
  for (const text of ['', '192.0.2.7', '192.0.2.7:', '192.0.2.7:65536', '192.0.2.7:-1', '[192.0.2.7]:80', '2001:db8::7:80', '[2001:db8::7]', 'host:80', ' 192.0.2.7:80']) t.equal(parseEndpoint(text), null, text)
})

t.test('JSON: 64-bit numbers stay exact, words for enumerations', async (t) => {
  t.equal(toJson({ a: 5n, b: 2n ** 60n, c: undefined }), '{"a":5,"b":"1152921504606846976"}')
  t.equal(enumWord('GENERATION_STATE', 'GENERATION_STATE_ROLLED_BACK'), 'rolled-back')
})

t.test('tables: least important columns go first, then cells are cut', async (t) => {
  const columns = [{ title: 'NAME', value: (r: string) => r }, { title: 'SIZE', value: () => '12', align: 'right' as const, drop: 1 }, { title: 'NOTE', value: () => 'a note', drop: 2 }]
  const rows = ['short', 'a-rather-long-name']
  t.equal(table(columns, rows, { width: null, color: false }), 'NAME                SIZE  NOTE\nshort                 12  a note\na-rather-long-name    12  a note\n')
  t.strictSame(layOut(columns, rows, 30).columns.map((c) => c.title), ['NAME', 'SIZE'])
  t.equal(table(columns, rows, { width: 12, color: false }), 'NAME\nshort\na-rather-lo…\n')
  t.match(table(columns, rows, { width: null, color: true }), /^\x1b\[1mNAME/)
})
