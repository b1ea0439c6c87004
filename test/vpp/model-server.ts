/**
 * A VPP of which only the load balancer and two interfaces are there: LbModel behind the API socket, in the bytes of the real one (its table of messages is the
 * recorded one). It can be killed, hang, and come back with nothing, as VPP does.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { rmSync } from 'node:fs'
import type { Test } from 'tap'
import { VppRefusal } from '../../src/backend/vpp/client.js'
import { Codec, Writer, type Values } from '../../src/backend/vpp/codec.js'
import type { Operation } from '../../src/backend/vpp/lb/plan.js'
import { encaps, type ObservedVip } from '../../src/backend/vpp/lb/state.js'
import { answers, dumps, requests, structures, type AnswerKey, type DumpKey, type RequestKey } from '../../src/backend/vpp/messages.js'
import { LbModel } from './lb-model.js'
import type { NatModel } from './nat-model.js'
import { socketPath } from './replay.js'
import { transcriptOf } from './transcript.js'

const HEADER = 16
const GREETING = 15
const REALS = 'lb_as_v2_details_90064aae'
const swapped = (port: number): number => (port & 0xff) << 8 | port >> 8

/** A VIP as requests name it. */
interface Named { readonly pfx: string, readonly protocol: number, readonly port: number }
const keyOf = ({ pfx: prefix, protocol, port }: Named): { prefix: string, protocol: number, port: number } => ({ prefix, protocol: port === 0 ? 255 : protocol, port })

function shown ({ prefix, protocol, port, encap, tableLength, sourceIpSticky, index, reals }: ObservedVip): string {
  return ` ip${prefix.includes(':') ? 6 : 4}-${encap} [${index}] ${prefix}${sourceIpSticky ? ' src_ip_sticky' : ''}\n  new_size:${tableLength === 0 ? 65536 : tableLength}\n${port === 0 ? '' : `  protocol:${protocol} port:${port}\n`}  #as:${reals.size}\n` +
    [...reals].map(([real, { weight, buckets }]) => `    ${real} weight:${weight} buckets:${buckets} flows:0 dpo:1 used\n`).join('')
}

interface Interface { readonly name: string, readonly mac: string, flags: number, readonly addresses: readonly string[] }
const UP = 3
/** By sw_if_index. Every address is behind the second. */
const interfaces = (): Interface[] => [{ name: 'local0', mac: '00:00:00:00:00:00', flags: 0, addresses: [] }, { name: 'host-lan', mac: '02:fe:00:00:00:01', flags: UP, addresses: ['10.0.0.1/8', '2001:db8::1/64'] }]
const WAY = 1
const noPath = { table_id: 0, rpf_id: 0, weight: 1, preference: 0, type: 0, flags: 0, proto: 0, nh: '::', via_label: 0, obj_id: 0, classify_table_index: 0, n_labels: 0, label_stack: Array.from({ length: 16 }, () => ({ is_uniform: 0, label: 0, ttl: 0, exp: 0 })) }

export class ModelServer {
  readonly path: string
  model = new LbModel()
  interfaces = interfaces()
  /** Interfaces that answers of translated reals are looked for on, each time it was said. */
  readonly natTold: string[] = []
  /** How often each was asked for. */
  readonly asked = new Map<string, number>()
  /** Its NAT44-EI; `null`: it has none. */
  nat: NatModel | null = null
  /** Another release's layout of the details of reals, under a CRC of its own: fields in the notation of messages.ts, and VPP's description of it. */
  relaid: { readonly crc: string, readonly fields: string, readonly more: Values, readonly description: unknown } | null = null
  /** Nothing is answered. */
  hangs = false
  private readonly sockets = new Set<Socket>()
  private server: Server | null = null
  private readonly codec = new Codec(structures)
  private readonly greeting = transcriptOf('handshake.json').frames[1]?.bytes ?? Buffer.alloc(0)
  private readonly ids: ReadonlyMap<string, number>
  private readonly keys: ReadonlyMap<number, string>

  constructor (t: Test) {
    this.path = socketPath(t)
    const { message_table: table } = this.codec.read(answers.sockclnt_create_reply_35166268, this.greeting, HEADER + 10, this.greeting.length) as unknown as { message_table: Array<{ index: number, name: string }> }
    this.ids = new Map(table.map(({ index, name }) => [name, index]))
    this.keys = new Map(table.map(({ index, name }) => [index, name]))
    t.teardown(async () => { await this.kill() })
  }

  /** A life that knows nothing of the one before. */
  async start (): Promise<void> {
    this.model = new LbModel()
    this.nat?.restart()
    this.interfaces = interfaces()
    rmSync(this.path, { force: true })
    const server = createServer((socket) => { this.serve(socket) })
    this.server = server
    await new Promise<void>((resolve) => { server.listen(this.path, resolve) })
  }

  async kill (): Promise<void> {
    const { server } = this
    this.server = null
    for (const socket of this.sockets) socket.destroy()
    if (server !== null) await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }

  /** Told as an event, of which the flags mean nothing. */
  flap (index: number, flags: number): void {
    const one = this.interfaces[index]
    if (one !== undefined) one.flags = flags
    for (const socket of this.sockets) socket.write(this.framed('sw_interface_event_2d3d95a7', 0x80000001, { pid: 1, sw_if_index: index, flags: 1, deleted: false }))
  }

  private serve (socket: Socket): void {
    this.sockets.add(socket)
    let rest = Buffer.alloc(0)
    let turn: Promise<void> = Promise.resolve()
    socket.on('error', () => undefined)
    socket.on('close', () => { this.sockets.delete(socket) })
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data])
      while (rest.length >= HEADER && rest.length >= HEADER + rest.readUInt32BE(8)) {
        const end = HEADER + rest.readUInt32BE(8)
        const frame = Buffer.from(rest.subarray(0, end))
        rest = rest.subarray(end)
        turn = turn.then(async () => { await this.hear(socket, frame) })
      }
    })
  }

  private async hear (socket: Socket, frame: Buffer): Promise<void> {
    if (this.hangs) return
    const id = frame.readUInt16BE(HEADER)
    if (id === GREETING) {
      const copy = Buffer.from(this.greeting)
      if (this.relaid !== null) copy.write(`lb_as_v2_details_${this.relaid.crc}`, copy.indexOf(REALS), 'latin1')
      frame.copy(copy, HEADER + 6, HEADER + 2, HEADER + 6)
      socket.write(copy)
      return
    }
    const key = this.keys.get(id) ?? ''
    this.asked.set(key, (this.asked.get(key) ?? 0) + 1)
    const context = frame.readUInt32BE(HEADER + 6)
    const say = (answer: AnswerKey, values: Values): void => { socket.write(this.framed(answer, context, values)) }
    if (key in dumps) for (const values of await this.rows(key as DumpKey, this.codec.read(dumps[key as DumpKey].fields, frame, HEADER + 10, frame.length))) say(dumps[key as DumpKey].details, values)
    else if (key in requests) {
      const { reply, fields } = requests[key as RequestKey]
      say(reply, await this.answer(key as RequestKey, this.codec.read(fields, frame, HEADER + 10, frame.length)))
    }
  }

  private framed (answer: AnswerKey, context: number, values: Values): Buffer {
    const out = new Writer()
    out.take(HEADER + 6)
    if (answer === REALS && this.relaid !== null) this.codec.write(out, this.relaid.fields, { ...values, ...this.relaid.more })
    else this.codec.write(out, answers[answer], values)
    out.bytes.writeUInt32BE(out.used - HEADER, 8)
    out.bytes.writeUInt16BE(this.ids.get(answer) ?? 0, HEADER)
    out.bytes.writeUInt32BE(context, HEADER + 2)
    return out.bytes.subarray(0, out.used)
  }

  private async rows (key: DumpKey, asked: Values): Promise<Values[]> {
    const nat = this.nat?.rows(key, asked) ?? null
    if (nat !== null) return nat
    const { vips } = await this.model.read()
    const vipOf = ({ prefix: pfx, protocol, port }: ObservedVip): Named => ({ pfx, protocol, port })
    if (key === 'lb_vip_dump_56110cb7') return vips.map((vip) => ({ vip: vipOf(vip), encap: encaps.indexOf(vip.encap), dscp: 0, srv_type: 0, target_port: swapped(vip.targetPort), flow_table_length: vip.tableLength }))
    if (key === 'lb_as_v2_dump_1063f819') return vips.flatMap((vip) => [...vip.reals].map(([app_srv, { weight, buckets }]) => ({ vip: vipOf(vip), app_srv, flags: 1, in_use_since: 0, weight, num_buckets: buckets })))
    if (key === 'sw_interface_dump_aa610c27') return this.interfaces.map(({ name, mac, flags }, i) => ({ ...noInterface, sw_if_index: i, sup_sw_if_index: i, l2_address: mac, flags, interface_name: name }))
    if (key === 'ip_address_dump_2d033de4') {
      const { sw_if_index: index, is_ipv6: six } = asked as { readonly sw_if_index: number, readonly is_ipv6: boolean }
      return (this.interfaces[index]?.addresses ?? []).filter((prefix) => prefix.includes(':') === six).map((prefix) => ({ sw_if_index: index, prefix }))
    }
    return []
  }

  private async answer (key: RequestKey, asked: Values): Promise<Values> {
    const nat = this.nat?.answer(key, asked) ?? null
    if (nat !== null) return nat
    const { settings } = this.model
    switch (key) {
      case 'control_ping_51077d14': return { retval: 0, client_index: 1, vpe_pid: 4711 }
      case 'show_version_51077d14': return { retval: 0, program: 'vpe', version: '26.10-model', build_date: '', build_directory: '' }
      case 'lb_conf_get_51077d14': return { retval: 0, ip4_src_address: settings.source4, ip6_src_address: settings.source6, sticky_buckets_per_core: settings.stickyBuckets, flow_timeout: settings.flowTimeoutS }
      case 'cli_inband_f8377302': return { retval: 0, reply: (await this.model.read()).vips.map(shown).join('\n') }
      case 'want_interface_events_476f5a08': return { retval: 0 }
      case 'get_api_json_51077d14': return { retval: 0, json: JSON.stringify([this.relaid?.description ?? {}]) }
      case 'ip_route_lookup_710d6471': return { retval: 0, route: { table_id: 0, stats_index: 7, prefix: asked['prefix'], n_paths: 1, paths: [{ ...noPath, sw_if_index: WAY }] } }
      case 'lb_add_del_intf_nat4_47d6e753': case 'lb_add_del_intf_nat6_47d6e753':
        this.natTold.push(`${key.slice(16, 20)} ${String(asked['sw_if_index'])}`)
        return { retval: 0 }
      default: {
        const operation = operationOf(key, asked)
        try {
          if (operation === null) return { retval: -1 }
          await this.model.perform(operation)
          return { retval: 0 }
        } catch (error) {
          if (error instanceof VppRefusal) return { retval: error.retval }
          throw error
        }
      }
    }
  }
}

const noInterface = { type: 0, link_duplex: 0, link_speed: 0, link_mtu: 9216, mtu: [1500, 0, 0, 0], sub_id: 0, sub_number_of_tags: 0, sub_outer_vlan_id: 0, sub_inner_vlan_id: 0, sub_if_flags: 0, vtr_op: 0, vtr_push_dot1q: 0, vtr_tag1: 0, vtr_tag2: 0, outer_tag: 0, b_dmac: '00:00:00:00:00:00', b_smac: '00:00:00:00:00:00', b_vlanid: 0, i_sid: 0, interface_dev_type: 'model', tag: '' }

function operationOf (key: RequestKey, asked: Values): Operation | null {
  const v = asked as unknown as Named & Readonly<Record<'encap' | 'target_port' | 'new_flows_table_length' | 'weight' | 'sticky_buckets_per_core' | 'flow_timeout', number>> & Readonly<Record<'is_del' | 'is_flush' | 'src_ip_sticky', boolean>> & Readonly<Record<'as_address' | 'ip4_src_address' | 'ip6_src_address', string>>
  switch (key) {
    case 'lb_conf_56cd3261': return { kind: 'settings', settings: { source4: v.ip4_src_address, source6: v.ip6_src_address, stickyBuckets: v.sticky_buckets_per_core, flowTimeoutS: v.flow_timeout } }
    case 'lb_add_del_vip_v2_7c520e0f': return { kind: v.is_del ? 'vip-remove' : 'vip-add', vip: { ...keyOf(v), encap: encaps[v.encap] ?? 'gre4', targetPort: v.target_port, tableLength: v.new_flows_table_length, sourceIpSticky: v.src_ip_sticky } }
    case 'lb_add_del_as_v2_2f1d3b0e': return v.is_del ? { kind: 'real-remove', vip: keyOf(v), real: v.as_address, flush: v.is_flush } : { kind: 'real-add', vip: keyOf(v), real: v.as_address, weight: v.weight }
    case 'lb_as_set_weight_2d89bdbd': return { kind: 'real-weight', vip: keyOf(v), real: v.as_address, weight: v.weight, from: 0, flush: v.is_flush }
    default: return null
  }
}
