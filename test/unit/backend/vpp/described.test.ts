/** Layouts that a release has changed: taken from its own description, where it says all that is needed. */
import t from 'tap'
import { Codec, Writer } from '../../../../src/backend/vpp/codec.js'
import { complete, covers, describe } from '../../../../src/backend/vpp/described.js'
import { ModelServer } from '../../../vpp/model-server.js'
import { openClient } from '../../../vpp/open-client.js'

const header = [['u16', '_vl_msg_id'], ['u32', 'client_index'], ['u32', 'context']]
const plugin = {
  types: [['thing', ['vl_api_address_with_prefix_t', 'pfx'], ['vl_api_proto_t', 'protocol'], ['u16', 'ports', 2]], ['odd', ['i64', 'n']]],
  enums: [['proto', ['A', 0], { enumtype: 'u8' }], ['wide', ['A', 0], {}]], enumflags: [['flags', ['F', 1], { enumtype: 'u16' }]],
  aliases: { index: { type: 'u32' }, blob: { type: 'u8', length: 4 } },
  messages: [
    ['ask', ...header, ['vl_api_thing_t', 'thing'], ['vl_api_index_t', 'sw_if_index'], ['vl_api_flags_t', 'flags'], ['string', 'name', 16], ['string', 'text'], ['u32', 'n'], ['vl_api_thing_t', 'list', 0, 'n'], { crc: '0x0badcafe', options: {} }],
    ['odd_one', ...header, ['vl_api_odd_t', 'odd'], { crc: '0x1' }], ['no_crc', ...header]
  ]
}

t.test('a description as fields', async (t) => {
  const { messages, structures } = describe(`${JSON.stringify([plugin, 7, null])}\0`)
  t.same([...messages], [['ask', { crc: '0badcafe', fields: 'described_vl_api_thing_t thing, u32 sw_if_index, u16 flags, string[16] name, string text, u32 n, described_vl_api_thing_t list[n]' }]], 'what has a type without a name here is left out')
  t.equal(structures['described_vl_api_thing_t'], 'prefix pfx, u8 protocol, u16 ports[2]')
  for (const text of ['', '{', '[[]]', '"x"', '[{"messages":7,"types":[1],"aliases":[]}]', '[{"messages":[["m",["u8"]],["m",[1,2]],[3]]}]']) t.same([...describe(text).messages], [], text)
  const fields = messages.get('ask')?.fields ?? ''
  t.ok(covers(fields, 'thing_t thing, u32 flags', { ...structures, thing_t: 'u8 protocol' }))
  t.notOk(covers(fields, 'u32 other', structures), 'not there')
  t.notOk(covers(fields, 'u64 sw_if_index', structures), 'another kind of value')
  t.notOk(covers(fields, 'u32 list', structures), 'a list')
  t.notOk(covers(fields, 'thing_t thing', { ...structures, thing_t: 'u8 other' }))
  const values = complete(fields, { thing: { protocol: 6 }, text: 'x' }, structures)
  t.same(values, { thing: { pfx: '0.0.0.0/0', protocol: 6, ports: [0, 0] }, sw_if_index: 0, flags: 0, name: '', text: 'x', n: 0, list: [] })
  const codec = new Codec(structures)
  const out = new Writer()
  codec.write(out, fields, values)
  t.same(codec.read(fields, out.bytes, 0, out.used), values)
})

t.test('a VPP that has a message in another layout is used in that one', async (t) => {
  const vpp = new ModelServer(t)
  const description = (fields: readonly unknown[]): unknown => ({
    types: [['lb_vip', ['vl_api_address_with_prefix_t', 'pfx'], ['vl_api_ip_proto_t', 'protocol'], ['u16', 'port']]], enums: [['ip_proto', ['TCP', 6], { enumtype: 'u8' }]],
    messages: [['lb_as_v2_details', ['u16', '_vl_msg_id'], ['u32', 'context'], ...fields, { crc: '0x0badcafe' }]]
  })
  const whole = [['u32', 'fresh'], ['vl_api_lb_vip_t', 'vip'], ['vl_api_address_t', 'app_srv'], ['u8', 'flags'], ['u32', 'in_use_since'], ['u32', 'weight'], ['u32', 'num_buckets']]
  vpp.relaid = { crc: '0badcafe', fields: 'u32 fresh, lb_vip vip, address app_srv, u8 flags, u32 in_use_since, u32 weight, u32 num_buckets', more: { fresh: 7 }, description: description(whole) }
  await vpp.start()
  await vpp.model.perform({ kind: 'vip-add', vip: { prefix: '10.9.7.1/32', protocol: 6, port: 443, encap: 'gre4', targetPort: 0, tableLength: 1024, sourceIpSticky: false } })
  await vpp.model.perform({ kind: 'real-add', vip: { prefix: '10.9.7.1/32', protocol: 6, port: 443 }, real: '10.2.0.1', weight: 70 })
  const client = await openClient(t, vpp.path)
  const all = { pfx: '0.0.0.0/0', protocol: 0, port: 0 }
  t.match(await client.dump('lb_as_v2_dump_1063f819', all), [{ vip: { pfx: '10.9.7.1/32', protocol: 6, port: 443 }, app_srv: '10.2.0.1', weight: 70 }])
  t.equal(vpp.asked.get('get_api_json_51077d14'), 1)
  vpp.relaid = { ...vpp.relaid, description: description(whole.slice(0, 3)) }
  const other = await openClient(t, vpp.path)
  await t.rejects(other.dump('lb_as_v2_dump_1063f819', all), { code: 'LS_V_UNKNOWN' }, 'it does not say all that is needed')
})

t.test('nothing is asked of a VPP that has all of our layouts', async (t) => {
  const vpp = new ModelServer(t)
  await vpp.start()
  await openClient(t, vpp.path)
  t.notOk(vpp.asked.has('get_api_json_51077d14'))
})
