/** Every recorded frame of a message that we use: its bytes give the values that VPP meant, and the values give the bytes. */
import t from 'tap'
import { Codec, Writer, type Values } from '../../../../src/backend/vpp/codec.js'
import { answers, dumps, requests, structures } from '../../../../src/backend/vpp/messages.js'
import { fieldsOf } from '../../../../src/backend/vpp/notation.js'
import { transcriptFiles, transcriptOf } from '../../../vpp/transcript.js'

const HEADER = 16
const codec = new Codec(structures)
const shapes = new Map<string, string>([...[...Object.entries(requests), ...Object.entries(dumps)].map(([key, { fields }]): [string, string] => [key, fields]), ...Object.entries(answers)])
const asked = new Set([...Object.keys(requests), ...Object.keys(dumps)])

/** The recording knows structures that we write flat, numbers of 64 bits as text, and a union as bytes. */
const leaves = (value: unknown): string[] => value !== null && typeof value === 'object' ? Object.values(value).flatMap(leaves) : [leaf(String(value))]
const leaf = (text: string): string => /^[0-9a-f]{32}$/.test(text) ? String(codec.read('ip6 a', Buffer.from(text, 'hex'), 0, 16)['a']) : text

t.test('recorded frames are read and written as they are', async (t) => {
  const seen = new Set<string>()
  for (const file of transcriptFiles) {
    for (const { i, msg = '', bytes, fields = {}, dir } of transcriptOf(file).frames) {
      const shape = shapes.get(msg)
      if (shape === undefined || msg.startsWith('sockclnt') || (dir !== 'c2s' && dir !== 's2c')) continue
      seen.add(msg)
      const at = HEADER + (asked.has(msg) ? 10 : 6)
      const values = codec.read(shape, bytes, at, bytes.length)
      const { client_index: _, ...told } = fields
      const name = `${file} ${i} ${msg}`
      if (msg !== 'control_ping_reply_f6b0b8ca') t.same(leaves(values), leaves(told), name)
      const out = new Writer()
      codec.write(out, shape, values)
      if (dir === 'c2s') t.equal(out.bytes.toString('hex', 0, out.used), bytes.toString('hex', at), name)
      else t.equal(out.used <= bytes.length - at, true, name)
    }
  }
  const never = [...shapes.keys()].filter((key) => !seen.has(key) && !key.startsWith('sockclnt') && !key.startsWith('get_api_json') && !/_reply_e8d4e804$/.test(key))
  t.same(never, [], 'every shape was seen in a recording')
})

t.test('the greeting: a table of 1096 messages', async (t) => {
  const frame = transcriptOf('handshake.json').frames[1]
  if (frame === undefined) throw new Error('no frame')
  const { count, message_table: table } = codec.read(answers.sockclnt_create_reply_35166268, frame.bytes, HEADER + 10, frame.bytes.length) as { count: number, message_table: Array<{ index: number, name: string }> }
  t.equal(count, 1096)
  t.equal(table.length, 1096)
  t.match(table.find(({ name }) => name === 'lb_as_set_weight_2d89bdbd'), { index: 169 })
})

t.test('a message that is cut anywhere is refused', async (t) => {
  const frame = transcriptOf('interfaces.json').frames.find(({ msg }) => msg === 'sw_interface_details_6c221fc7')
  if (frame === undefined) throw new Error('no frame')
  for (let end = HEADER + 6; end < frame.bytes.length; end++) t.throws(() => codec.read(answers.sw_interface_details_6c221fc7, frame.bytes, HEADER + 6, end), { code: 'LS_V_SHORT' })
})

t.test('what does not fit is refused by name', async (t) => {
  const vip = { pfx: '192.0.2.1/32', protocol: 6, port: 80, as_address: '10.0.0.1', weight: 100, is_flush: false }
  const { fields } = requests.lb_as_set_weight_2d89bdbd
  const write = (values: Values) => () => { codec.write(new Writer(), fields, values) }
  t.doesNotThrow(write(vip))
  for (const [name, bad] of [['weight', 256], ['weight', -1], ['weight', 1.5], ['weight', '7'], ['weight', undefined], ['port', 65536], ['pfx', '192.0.2.1'], ['pfx', '192.0.2.1/33'], ['pfx', 'x/32'], ['pfx', '::1/129'], ['as_address', ''], ['as_address', '1.2.3'], ['as_address', '1.2.3.4.5'], ['is_flush', 1], ['is_flush', null]] as const) {
    t.throws(write({ ...vip, [name]: bad }), { code: 'LS_V_VALUE', detail: { object: name } }, `${name} ${String(bad)}`)
  }
  t.throws(() => { codec.write(new Writer(), 'string[4] tag', { tag: 'éééé' }) }, { code: 'LS_V_VALUE' }, 'bytes count, not letters')
  t.throws(() => { codec.write(new Writer(), 'u8 n, u16 list[n]', { n: 2, list: [1] }) }, { code: 'LS_V_VALUE' })
  t.throws(() => { codec.write(new Writer(), 'mac m', { m: '02:00' }) }, { code: 'LS_V_VALUE' })
})

t.test('what is longer than the writer has room for', async (t) => {
  const out = new Writer()
  for (let i = 0; i < 3000; i++) codec.write(out, 'u32 n, string s, u16 list[2]', { n: i, s: 'x'.repeat(i % 7), list: [i, i + 1] })
  let at = 0
  for (let i = 0; i < 3000; i++, at += 12 + (i - 1) % 7) t.same(codec.read('u32 n, string s, u16 list[2]', out.bytes, at, out.used), { n: i, s: 'x'.repeat(i % 7), list: [i, i + 1] })
  t.equal(at, out.used)
})

t.test('values come back as they went', async (t) => {
  const values = { a: 255, b: 65535, c: 0xffffffff, d: -5, e: 0.1, f: 2n ** 64n - 1n, g: true, h: '255.255.255.255', i: '2001:db8::1', j: '02:fe:00:00:00:01', k: '::ffff:10.0.0.1', l: '2001:db8::/32', m: 'text', n: 'fixed', o: [1, 2, 3], p: 2, q: [{ pfx: '10.0.0.0/8', protocol: 6, port: 1 }, { pfx: '::/0', protocol: 17, port: 2 }] }
  const fields = 'u8 a, u16 b, u32 c, i32 d, f64 e, u64 f, bool g, ip4 h, ip6 i, mac j, address k, prefix l, string m, string[16] n, u16 o[3], u8 p, lb_vip q[p]'
  const out = new Writer()
  codec.write(out, fields, values)
  t.same(codec.read(fields, out.bytes, 0, out.used), values)
})

t.test('a notation that says nothing is a bug of ours', async (t) => {
  for (const bad of ['u8', 'u8 a,u8 b', 'u8 a[', '[3] a']) t.throws(() => fieldsOf(bad), TypeError)
  t.throws(() => { codec.write(new Writer(), 'u128 a', { a: 1 }) }, TypeError)
})
