/**
 * What a node says in its heartbeats as bytes: head (struct ls_heart_word to the heart, struct ls_heartbeat from a peer's) and body
 * (proto/lockstep/peer/v1/heartbeat.proto). Pure. What is not right in a peer's word is told, never thrown.
 */
import { LockstepError } from '../../contract/errors.js'
import { layout, limits } from '../../generated/layout.js'
import { Heartbeat, Hold as WireHold } from '../../generated/proto/lockstep/peer/v1/heartbeat.js'
import { roleNumbers, roleOf } from '../../native/roles.js'
import { addressBytes, parseAddress } from '../../lib/address.js'
import { checkTiming, leaseMs, type Timing } from '../lease.js'
import { haLimits } from '../limits.js'
import { holds, type Hold, type NodeStatus, type RgStatus } from '../rg.js'

export interface HeartAddress {
  /** IPv4 or IPv6; a link-local one with the number of its interface: fe80::1%3. */
  readonly address: string
  readonly port: number
}
export interface HeartPath { readonly name: string, readonly local: HeartAddress, readonly remote: HeartAddress }

export interface HeartSpec {
  readonly nodeIndex: number
  readonly timing: Timing
  /** 32 bytes that all nodes have. */
  readonly key: Uint8Array
  readonly paths: readonly HeartPath[]
}

const setup = layout.ls_heart_setup
const word = layout.ls_heart_word
const beat = layout.ls_heartbeat
const wireHolds: Readonly<Record<Hold, WireHold>> = {
  manual: WireHold.HOLD_MANUAL, weight: WireHold.HOLD_WEIGHT, resigned: WireHold.HOLD_RESIGNED, outdated: WireHold.HOLD_OUTDATED,
  isolated: WireHold.HOLD_ISOLATED, listening: WireHold.HOLD_LISTENING,
}
const holdOf = new Map(Object.entries(wireHolds).map(([hold, wire]) => [wire, hold as Hold]))

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const refuse = (object: string, found: string, expected: string): LockstepError => new LockstepError('invalid', 'LS_H_HEART', 'the heart cannot be set up', { object, found, expected })

function putAddress (out: Uint8Array, at: number, { address, port }: HeartAddress, object: string): void {
  const [text = '', scope = '0'] = address.split('%')
  const value = parseAddress(text)
  if (value === null || !/^\d{1,9}$/.test(scope)) throw refuse(object, address, 'an IP address')
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw refuse(object, `port ${port}`, '1 to 65535')
  out.set(addressBytes(value), at + layout.ls_heart_address.addr.offset)
  viewOf(out).setUint16(at + layout.ls_heart_address.port.offset, port, true)
  viewOf(out).setUint32(at + layout.ls_heart_address.scope.offset, Number(scope), true)
}

/** struct ls_heart_setup. @throws invalid LS_H_HEART, LS_H_TIMING */
export function setupBytes ({ nodeIndex, timing, key, paths }: HeartSpec): Uint8Array {
  checkTiming(timing)
  if (!Number.isInteger(nodeIndex) || nodeIndex < 0 || nodeIndex > haLimits.nodeIndexMax) throw refuse('node index', String(nodeIndex), `0 to ${haLimits.nodeIndexMax}`)
  if (key.length !== limits.LS_HEART_KEY_BYTES) throw refuse('key', `${key.length} bytes`, `${limits.LS_HEART_KEY_BYTES}`)
  if (paths.length < 1 || paths.length > limits.LS_HEART_PATHS_MAX) throw refuse('paths', String(paths.length), `1 to ${limits.LS_HEART_PATHS_MAX}`)
  const out = new Uint8Array(setup.size)
  const view = viewOf(out)
  view.setUint32(setup.node.offset, nodeIndex, true)
  view.setUint32(setup.interval_ms.offset, timing.intervalMs, true)
  view.setUint32(setup.count.offset, timing.count, true)
  view.setUint32(setup.paths.offset, paths.length, true)
  view.setBigUint64(setup.lease_ns.offset, BigInt(Math.round(leaseMs(timing) * 1e6)), true)
  out.set(key, setup.key.offset)
  paths.forEach(({ name, local, remote }, i) => {
    const at = setup.path.offset + i * setup.path.stride
    putAddress(out, at + layout.ls_heart_path.local.offset, local, `local address of path ${name}`)
    putAddress(out, at + layout.ls_heart_path.remote.offset, remote, `remote address of path ${name}`)
  })
  return out
}

function bodyOf ({ node, generation, rgs }: NodeStatus, withReasons: boolean): Uint8Array {
  return Heartbeat.encode({
    node, generation,
    groups: rgs.map(({ rg, priority, ready, reasons, synced, holds, pinned, gaveWay }) => ({
      rg, priority, ready, reasons: withReasons ? [...reasons] : [], synced, holds: holds.map(h => wireHolds[h]), pinned, gaveWay
    }))
  }).finish()
}

/** struct ls_heart_word and the body. What of the status the heart knows itself (boot id, sequence, whether there is an agent) it adds. */
export function wordBytes (status: NodeStatus): Uint8Array {
  let body = bodyOf(status, true)
  if (body.length > limits.LS_HEART_BODY_MAX) body = bodyOf(status, false) // reasons are for people; all else fits
  const out = new Uint8Array(word.size + body.length)
  const view = viewOf(out)
  view.setUint32(word.restart_hold_ms.offset, status.restartHoldMs ?? 0, true)
  view.setUint16(word.asks.offset, status.rgs.reduce((bits, { rg, asks }) => asks ? bits | 1 << rg : bits, 0), true)
  for (const { rg, role, epoch } of status.rgs) {
    out[word.role.offset + rg] = roleNumbers[role]
    view.setBigUint64(word.epoch.offset + rg * word.epoch.stride, epoch, true)
  }
  out.set(body, word.size)
  return out
}

/** A peer's heartbeat that the heart has authenticated: struct ls_heartbeat and the body behind it. A text: why it cannot be read. */
export function readHeartbeat (bytes: Uint8Array): NodeStatus | string {
  if (bytes.length < beat.size) return `${bytes.length} bytes are no head`
  let body: Heartbeat
  try {
    body = Heartbeat.decode(bytes.subarray(beat.size))
  } catch {
    return 'the body is not of heartbeat.proto'
  }
  const view = viewOf(bytes)
  const dropped = view.getUint16(beat.dropped.offset, true)
  const asks = view.getUint16(beat.asks.offset, true)
  const restartHoldMs = view.getUint32(beat.restart_hold_ms.offset, true)
  const rgs: RgStatus[] = []
  for (const { rg, priority, ready, reasons, synced, holds: wire, pinned, gaveWay } of body.groups) {
    const role = roleOf(bytes[beat.role.offset + rg] ?? -1)
    if (rg >= limits.LS_RGS_MAX || role === null || priority > 255 || rgs.some(other => other.rg === rg)) return `group ${rg} is no group, named twice, or of an unknown role or priority`
    const held = new Set(wire.map(h => holdOf.get(h) ?? 'manual'))
    if ((dropped >> rg & 1) === 1) held.add('resigned')
    const epoch = view.getBigUint64(beat.epoch.offset + rg * beat.epoch.stride, true)
    rgs.push({ rg, role, epoch, priority, ready, reasons, synced, holds: holds.filter(h => held.has(h)), asks: (asks >> rg & 1) === 1, pinned, gaveWay })
  }
  return {
    node: body.node, nodeIndex: bytes[beat.node.offset] ?? 0, bootId: Buffer.from(bytes.subarray(beat.boot.offset, beat.boot.offset + beat.boot.size)).toString('hex'),
    seq: view.getBigUint64(beat.seq.offset, true), generation: body.generation, agent: ((bytes[beat.flags.offset] ?? 0) & limits.LS_HEART_AWAY) === 0 ? 'present' : 'away',
    restartHoldMs: restartHoldMs === 0 ? null : restartHoldMs, rgs
  }
}
