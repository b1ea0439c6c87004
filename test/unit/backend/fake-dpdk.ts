/**
 * In place of lockstep-dpdk: speaks its protocol and does what the file `behaviour` of its folder says at that moment, so that a test decides how it misbehaves.
 * Usage: fake-dpdk FOLDER ...; `said` of the folder has a line for each question.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { layout, limits } from '../../../src/generated/layout.js'

/** `silent`: nothing is said before it is ready; `mute`: nothing after, not even an end; `refuse`: ports of these names; `dies`: at the first port. */
export interface Behaviour { readonly silent?: boolean, readonly mute?: boolean, readonly refuse?: readonly string[], readonly dies?: boolean }

const { ls_dpdk_head: head, ls_dpdk_answer: answer, ls_dpdk_hello: hello, ls_dpdk_port: port } = layout
const folder = process.argv[2] ?? ''
const behaviour = (): Behaviour => JSON.parse(readFileSync(join(folder, 'behaviour'), 'utf8')) as Behaviour
const socket = new Socket({ fd: limits.LS_DPDK_CONTROL_FD })
let ports = 0

function say (kind: number, seq: number, body: Buffer): void {
  const out = Buffer.alloc(head.size)
  out.writeUInt32LE(head.size + body.length, head.bytes.offset)
  out.writeUInt16LE(kind, head.kind.offset)
  out.writeUInt32LE(seq, head.seq.offset)
  socket.write(Buffer.concat([out, body]))
}

function serve (kind: number, seq: number, body: Buffer): void {
  const name = kind === limits.LS_DPDK_ADD ? body.toString('utf8', port.name.offset, body.indexOf(0, port.name.offset)) : ''
  appendFileSync(join(folder, 'said'), `${kind} ${name}\n`)
  const { mute, refuse, dies } = behaviour()
  if (mute === true) return
  if (kind === limits.LS_DPDK_STOP) process.exit(0)
  if (kind === limits.LS_DPDK_ADD && dies === true) process.kill(process.pid, 'SIGKILL')
  const said = Buffer.alloc(answer.size)
  if (refuse?.includes(name) === true) {
    said.writeUInt32LE(limits.LS_E_NO_DEVICE, answer.status.offset)
    said.write(`port ${name}: net_gone: No such device`, answer.text.offset)
  } else if (kind === limits.LS_DPDK_ADD) said.writeUInt32LE(ports++, answer.port.offset)
  say(limits.LS_DPDK_ANSWER, seq, said)
}

let bytes = Buffer.alloc(0)
socket.on('end', () => { if (behaviour().mute !== true) process.exit(0) })
setInterval(() => { if (process.ppid === 1) process.exit(1) }, 1000)
socket.on('data', (data: Buffer) => {
  bytes = Buffer.concat([bytes, data])
  while (bytes.length >= head.size && bytes.length >= bytes.readUInt32LE(0)) {
    const length = bytes.readUInt32LE(head.bytes.offset)
    serve(bytes.readUInt16LE(head.kind.offset), bytes.readUInt32LE(head.seq.offset), bytes.subarray(head.size, length))
    bytes = bytes.subarray(length)
  }
})
process.stderr.write('<5>a warning of EAL\n')
appendFileSync(join(folder, 'said'), 'begun\n')
if (behaviour().silent !== true) {
  const text = Buffer.alloc(hello.size)
  text.write('DPDK of a test', hello.version.offset)
  say(limits.LS_DPDK_HELLO, 0, text)
}
