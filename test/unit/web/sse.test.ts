/** Server-sent events as the page reads them: the same ones however the network cuts the bytes, and lines end. */
import fc from 'fast-check'
import t from 'tap'
import { SseParser, type SentEvent } from '../../../src/web/sse.js'

const all = (...parts: readonly string[]): SentEvent[] => { const parser = new SseParser(); return parts.flatMap(part => parser.feed(part)) }

t.test('blocks as the gateway writes them', async (t) => {
  t.same(all('retry: 1000\n\nid: e-1\nevent: put\ndata: {"a":1}\n\n: alive\n\nid: e-2\nevent: delete\ndata: {}\n\n'), [{ id: 'e-1', event: 'put', data: '{"a":1}' }, { id: 'e-2', event: 'delete', data: '{}' }])
  t.same(all('event: resumed\ndata: {}\n\n'), [{ id: '', event: 'resumed', data: '{}' }], 'one without a number')
  t.same(all('id: e-1\nevent: put\ndata: {}\n'), [], 'not before its end')
  t.same(all(': note\nevent: put\n: another\ndata: 1\n\n'), [{ id: '', event: 'put', data: '1' }], 'comments within')
  t.same(all('event:put\ndata:  two blanks: and colons\n\n'), [{ id: '', event: 'put', data: ' two blanks: and colons' }], 'one blank behind the colon is not of the value')
  t.same(all('event: put\ndata: one\ndata: two\ndata\n\n'), [{ id: '', event: 'put', data: 'one\ntwo\n' }], 'several lines')
  t.same(all('id: e-1\nevent: put\n\nevent: put\n\n').map(({ id }) => id), ['e-1', ''], 'nothing stays for the next one')
})

t.test('lines end with CR, LF or both, and a cut between both is one end', async (t) => {
  for (const end of ['\n', '\r', '\r\n']) t.same(all(['id: e-1', 'event: put', 'data: 1', '', 'event: put', 'data: 2', '', ''].join(end)), [{ id: 'e-1', event: 'put', data: '1' }, { id: '', event: 'put', data: '2' }], JSON.stringify(end))
  t.same(all('event: put\r', '\ndata: 1\r', '\n\r', '\n'), [{ id: '', event: 'put', data: '1' }])
  t.same(all('event: put\r', '\r'), [{ id: '', event: 'put', data: '' }], 'two of them are two')
})

t.test('however the bytes are cut', async (t) => {
  const line = fc.string({ unit: 'grapheme' }).map(text => text.replaceAll(/[\r\n\u2028]/g, ''))
  const event = fc.record({ id: fc.stringMatching(/^[0-9a-f]{1,12}-\d{1,6}$/), event: fc.constantFrom('put', 'delete', 'state'), data: line })
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(event, { maxLength: 6 }), fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat(), { maxLength: 12 }), (events, end, cuts) => {
    const bytes = new TextEncoder().encode(`\ufeff: alive${end}${end}${events.map(({ id, event: name, data }) => `id: ${id}${end}event: ${name}${end}data: ${data}${end}${end}`).join('')}`)
    const at = [0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
    const decoder = new TextDecoder() // drops the byte order mark, and keeps half a letter for the next part
    const parser = new SseParser()
    const found = at.slice(1).flatMap((to, i) => parser.feed(decoder.decode(bytes.subarray(at[i], to), { stream: true })))
    return JSON.stringify(found) === JSON.stringify(events)
  })))
})

t.test('a line of many parts is put together once', async (t) => {
  const part = 'x'.repeat(64 << 10)
  const found = all('event: state\ndata: ', ...Array.from({ length: 256 }, () => part), '\n', '\n')
  t.equal(found.length, 1)
  t.equal(found[0]?.data.length, 16 << 20)
})
