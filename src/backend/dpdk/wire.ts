/** Frames between the agent and the process that runs DPDK (native/include/lockstep/dpdk.h). Pure. */
import { layout, limits } from '../../generated/layout.js'

const head = layout.ls_dpdk_head
const answer = layout.ls_dpdk_answer
const stats = layout.ls_dpdk_stats
const xstat = layout.ls_dpdk_xstat
const which = layout.ls_dpdk_which
const hello = layout.ls_dpdk_hello

export interface PortRequest {
  readonly name: string
  readonly devargs: string
  readonly netns: string
  readonly tap: string
  /** Others receive copies of the same frames. */
  readonly shared: boolean
  /** Of the kernel, by which frames come; '' = none. */
  readonly interface: string
}

export interface PortAnswer { readonly status: number, readonly port: number, readonly mtu: number, readonly rxQueues: number, readonly txQueues: number, readonly mac: string, readonly driver: string, readonly text: string, readonly figures: PortFigures | null }

/** As the driver counts. */
export interface PortFigures {
  readonly up: boolean
  /** 0 = it does not tell. */
  readonly speedMbit: number
  /** Those that every driver has, then its own, by their names. */
  readonly counters: Readonly<Record<string, number>>
}

export type Said =
  | { readonly kind: 'hello', readonly version: string, readonly workers: number }
  | { readonly kind: 'answer', readonly seq: number, readonly answer: PortAnswer }
  | { readonly kind: 'link', readonly port: number, readonly up: boolean }

function text (bytes: Buffer, at: number, size: number): string {
  const end = bytes.indexOf(0, at)
  return bytes.toString('utf8', at, end === -1 || end > at + size ? at + size : end)
}

function frame (kind: number, seq: number, body: Buffer): Buffer {
  const out = Buffer.alloc(head.size + body.length)
  out.writeUInt32LE(out.length, head.bytes.offset)
  out.writeUInt16LE(kind, head.kind.offset)
  out.writeUInt32LE(seq, head.seq.offset)
  body.copy(out, head.size)
  return out
}

export function portFrame (seq: number, r: PortRequest): Buffer {
  const p = layout.ls_dpdk_port
  const body = Buffer.alloc(p.size)
  for (const [key, value] of [['name', r.name], ['devargs', r.devargs], ['netns', r.netns], ['tap', r.tap]] as const) body.write(value, p[key].offset, p[key].size - 1)
  body.writeUInt32LE(r.shared ? 1 : 0, p.shared.offset)
  return frame(limits.LS_DPDK_ADD, seq, body)
}

export function whichFrame (kind: number, seq: number, port: number, device: number): Buffer {
  const body = Buffer.alloc(which.size)
  body.writeUInt32LE(port, which.port.offset)
  body.writeUInt32LE(device, which.device.offset)
  return frame(kind, seq, body)
}

export const stopFrame = (): Buffer => frame(limits.LS_DPDK_STOP, 0, Buffer.alloc(0))

/** Takes whole frames off the front; resolves to what is left. */
export function takeFrames (bytes: Buffer, take: (said: Said) => void): Buffer {
  let rest = bytes
  while (rest.length >= head.size) {
    const length = rest.readUInt32LE(head.bytes.offset)
    if (length < head.size || rest.length < length) break
    const said = read(rest.readUInt16LE(head.kind.offset), rest.readUInt32LE(head.seq.offset), rest.subarray(head.size, length))
    if (said !== null) take(said)
    rest = rest.subarray(length)
  }
  return rest
}

function read (kind: number, seq: number, b: Buffer): Said | null {
  switch (kind) {
    case limits.LS_DPDK_HELLO: return { kind: 'hello', version: text(b, hello.version.offset, hello.version.size), workers: b.readUInt32LE(hello.workers.offset) }
    case limits.LS_DPDK_LINK: return { kind: 'link', port: b.readUInt32LE(which.port.offset), up: b.readUInt32LE(which.up.offset) === 1 }
    case limits.LS_DPDK_ANSWER: return { kind: 'answer', seq, answer: {
      status: b.readUInt32LE(answer.status.offset), port: b.readUInt32LE(answer.port.offset), mtu: b.readUInt16LE(answer.mtu.offset), rxQueues: b.readUInt16LE(answer.rx_queues.offset),
      txQueues: b.readUInt16LE(answer.tx_queues.offset), mac: [...b.subarray(answer.mac.offset, answer.mac.offset + 6)].map(x => x.toString(16).padStart(2, '0')).join(':'),
      driver: text(b, answer.driver.offset, answer.driver.size), text: text(b, answer.text.offset, answer.text.size), figures: b.length > answer.size ? figures(b.subarray(answer.size), b.readUInt32LE(answer.count.offset)) : null
    } }
    default: return null
  }
}

function figures (b: Buffer, count: number): PortFigures {
  const counters: Record<string, number> = {}
  for (const name of ['rx_packets', 'tx_packets', 'rx_bytes', 'tx_bytes', 'rx_missed', 'rx_errors', 'tx_errors', 'rx_nombuf'] as const) counters[name] = Number(b.readBigUInt64LE(stats[name].offset))
  for (let i = 0, at = stats.size; i < count; i++, at += xstat.size) counters[text(b, at + xstat.name.offset, xstat.name.size)] = Number(b.readBigUInt64LE(at + xstat.value.offset))
  return { up: b.readUInt32LE(stats.up.offset) === 1, speedMbit: b.readUInt32LE(stats.speed_mbit.offset), counters }
}
