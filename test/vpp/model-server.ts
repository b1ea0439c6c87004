/**
 * A VPP of which only the load balancer is there: LbModel behind the API socket, in the bytes of the real one (its table of messages is the recorded one). It
 * can be killed, hang, and come back with nothing, as VPP does.
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
import { socketPath } from './replay.js'
import { transcriptOf } from './transcript.js'

const HEADER = 16
const GREETING = 15
const swapped = (port: number): number => (port & 0xff) << 8 | port >> 8

/** A VIP as requests name it. */
interface Named { readonly pfx: string, readonly protocol: number, readonly port: number }
const keyOf = ({ pfx: prefix, protocol, port }: Named): { prefix: string, protocol: number, port: number } => ({ prefix, protocol: port === 0 ? 255 : protocol, port })

function shown ({ prefix, protocol, port, encap, tableLength, sourceIpSticky, index, reals }: ObservedVip): string {
  return ` ip${prefix.includes(':') ? 6 : 4}-${encap} [${index}] ${prefix}${sourceIpSticky ? ' src_ip_sticky' : ''}\n  new_size:${tableLength === 0 ? 65536 : tableLength}\n${port === 0 ? '' : `  protocol:${protocol} port:${port}\n`}  #as:${reals.size}\n` +
    [...reals].map(([real, { weight, buckets }]) => `    ${real} weight:${weight} buckets:${buckets} flows:0 dpo:1 used\n`).join('')
}

export class ModelServer {
  readonly path: string
  model = new LbModel()
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
      frame.copy(copy, HEADER + 6, HEADER + 2, HEADER + 6)
      socket.write(copy)
      return
    }
    const key = this.keys.get(id) ?? ''
    const context = frame.readUInt32BE(HEADER + 6)
    const say = (answer: AnswerKey, values: Values): void => { socket.write(this.framed(answer, context, values)) }
    if (key in dumps) for (const values of await this.rows(key as DumpKey)) say(dumps[key as DumpKey].details, values)
    else if (key in requests) {
      const { reply, fields } = requests[key as RequestKey]
      say(reply, await this.answer(key as RequestKey, this.codec.read(fields, frame, HEADER + 10, frame.length)))
    }
  }

  private framed (answer: AnswerKey, context: number, values: Values): Buffer {
    const out = new Writer()
    out.take(HEADER + 6)
    this.codec.write(out, answers[answer], values)
    out.bytes.writeUInt32BE(out.used - HEADER, 8)
    out.bytes.writeUInt16BE(this.ids.get(answer) ?? 0, HEADER)
    out.bytes.writeUInt32BE(context, HEADER + 2)
    return out.bytes.subarray(0, out.used)
  }

  private async rows (key: DumpKey): Promise<Values[]> {
    const { vips } = await this.model.read()
    const vipOf = ({ prefix: pfx, protocol, port }: ObservedVip): Named => ({ pfx, protocol, port })
    if (key === 'lb_vip_dump_56110cb7') return vips.map((vip) => ({ vip: vipOf(vip), encap: encaps.indexOf(vip.encap), dscp: 0, srv_type: 0, target_port: swapped(vip.targetPort), flow_table_length: vip.tableLength }))
    if (key === 'lb_as_v2_dump_1063f819') return vips.flatMap((vip) => [...vip.reals].map(([app_srv, { weight, buckets }]) => ({ vip: vipOf(vip), app_srv, flags: 1, in_use_since: 0, weight, num_buckets: buckets })))
    return []
  }

  private async answer (key: RequestKey, asked: Values): Promise<Values> {
    const { settings } = this.model
    switch (key) {
      case 'control_ping_51077d14': return { retval: 0, client_index: 1, vpe_pid: 4711 }
      case 'show_version_51077d14': return { retval: 0, program: 'vpe', version: '26.10-model', build_date: '', build_directory: '' }
      case 'lb_conf_get_51077d14': return { retval: 0, ip4_src_address: settings.source4, ip6_src_address: settings.source6, sticky_buckets_per_core: settings.stickyBuckets, flow_timeout: settings.flowTimeoutS }
      case 'cli_inband_f8377302': return { retval: 0, reply: (await this.model.read()).vips.map(shown).join('\n') }
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
