/** SessionFilter -> struct ls_filter. Pure. */
import { LockstepError } from '../contract/errors.js'
import type { SessionFilter } from '../contract/session.js'
import { phase } from '../generated/codes.js'
import { layout, limits } from '../generated/layout.js'
import { mappedLength, parseAddress, parsePrefix } from '../lib/address.js'

const shape = layout.ls_filter

/** Writes integers where the layout says; addresses big-endian as on the wire. */
class Writer {
  readonly bytes = new Uint8Array(shape.size)
  private readonly view = new DataView(this.bytes.buffer)
  match = 0

  u8 (bit: number, offset: number, value: number, field: string): void { this.match |= bit; this.view.setUint8(offset, bounded(value, 0xff, field)) }
  u16 (bit: number, offset: number, value: number, field: string): void { this.match |= bit; this.view.setUint16(offset, bounded(value, 0xffff, field), true) }
  port (bit: number, offset: number, value: number, field: string): void { this.match |= bit; this.view.setUint16(offset, bounded(value, 0xffff, field), false) }
  ms (bit: number, offset: number, value: number, field: string): void { this.u64(bit, offset, BigInt(Math.round(bounded(value, MS_MAX, field, false) * 1e6))) }
  u32 (bit: number, offset: number, value: number): void { this.match |= bit; this.view.setUint32(offset, value >>> 0, true) }
  u64 (bit: number, offset: number, value: bigint): void { this.match |= bit; this.view.setBigUint64(offset, value, true) }
  prefix (bit: number, text: string, field: string, addressAt: number, lengthAt: number): void {
    const { address, length } = prefixOf(text, field)
    for (let i = 0; i < 16; i++) this.bytes[addressAt + i] = Number(address >> BigInt(8 * (15 - i)) & 0xffn)
    this.u8(bit, lengthAt, length, field)
  }

  done (): Uint8Array {
    this.view.setUint32(shape.match.offset, this.match >>> 0, true)
    return this.bytes
  }
}

/** Milliseconds whose nanoseconds fit: 292 years. */
const MS_MAX = 2 ** 63 / 1e6

/** A value that does not fit would be cut to one that means other sessions, and a delete would end those. */
function bounded (value: number, max: number, field: string, whole = true): number {
  if (value >= 0 && value <= max && (!whole || Number.isInteger(value))) return value
  throw new LockstepError('invalid', 'LS_F_RANGE', 'out of range', { object: `filter.${field}`, found: String(value), expected: whole ? `a whole number from 0 to ${max}` : 'milliseconds from 0' })
}

function prefixOf (text: string, field: string): { address: bigint, length: number } {
  const single = parseAddress(text)
  if (single !== null) return { address: single, length: 128 }
  const prefix = parsePrefix(text)
  if (prefix === null) throw new LockstepError('invalid', 'LS_F_PREFIX', 'not an address or prefix', { object: `filter.${field}`, found: text, expected: 'for example 192.0.2.0/24 or 2001:db8::/32' })
  return { address: prefix.address, length: mappedLength(prefix) }
}

function phaseBits (names: readonly string[]): number {
  return names.reduce((bits, name) => {
    const i = phase.findIndex(p => p.name === name.toLowerCase())
    if (i < 0) throw new LockstepError('invalid', 'LS_F_PHASE', 'no such phase', { object: 'filter.phases', found: name, expected: phase.map(p => p.name).join(' ') })
    return bits | 1 << i
  }, 0)
}

/** Serial and origin as in SessionRow.id: 16 hexadecimal digits each. */
export function parseSessionId (text: string): { origin: bigint, serial: bigint } {
  if (!/^[0-9a-fA-F]{32}$/.test(text)) throw new LockstepError('invalid', 'LS_F_ID', 'not a session id', { object: 'filter.id', found: text, expected: '32 hexadecimal digits' })
  return { origin: BigInt(`0x${text.slice(0, 16)}`), serial: BigInt(`0x${text.slice(16)}`) }
}

export function packFilter (f: SessionFilter): Uint8Array {
  const w = new Writer()
  const m = limits
  if (f.source !== undefined) w.prefix(m.LS_FM_SRC, f.source, 'source', shape.src.offset, shape.src_prefix.offset)
  if (f.address !== undefined) {
    if (f.source !== undefined) throw new LockstepError('invalid', 'LS_F_BOTH', 'source and address cannot be combined', { object: 'filter', next: 'leave one of them out' })
    w.prefix(m.LS_FM_ADDR, f.address, 'address', shape.src.offset, shape.src_prefix.offset)
  }
  if (f.destination !== undefined) w.prefix(m.LS_FM_DST, f.destination, 'destination', shape.dst.offset, shape.dst_prefix.offset)
  if (f.port !== undefined) {
    if (f.sourcePort !== undefined) throw new LockstepError('invalid', 'LS_F_BOTH', 'sourcePort and port cannot be combined', { object: 'filter', next: 'leave one of them out' })
    w.port(m.LS_FM_PORT, shape.sport_be.offset, f.port, 'port')
  }
  if (f.sourcePort !== undefined) w.port(m.LS_FM_SPORT, shape.sport_be.offset, f.sourcePort, 'sourcePort')
  if (f.destinationPort !== undefined) w.port(m.LS_FM_DPORT, shape.dport_be.offset, f.destinationPort, 'destinationPort')
  if (f.protocol !== undefined) w.u8(m.LS_FM_PROTO, shape.proto.offset, f.protocol, 'protocol')
  if (f.family !== undefined) w.u8(m.LS_FM_FAMILY, shape.family.offset, f.family, 'family')
  if (f.domain !== undefined) w.u16(m.LS_FM_DOMAIN, shape.domain.offset, f.domain, 'domain')
  if (f.zoneIn !== undefined) w.u16(m.LS_FM_ZONE_IN, shape.zone_in.offset, f.zoneIn, 'zoneIn')
  if (f.zoneOut !== undefined) w.u16(m.LS_FM_ZONE_OUT, shape.zone_out.offset, f.zoneOut, 'zoneOut')
  if (f.policy !== undefined) w.u16(m.LS_FM_POLICY, shape.policy.offset, f.policy, 'policy')
  if (f.vip !== undefined) w.u16(m.LS_FM_VIP, shape.vip.offset, f.vip, 'vip')
  if (f.real !== undefined) w.u16(m.LS_FM_REAL, shape.real.offset, f.real, 'real')
  if (f.rg !== undefined) w.u8(m.LS_FM_RG, shape.rg.offset, f.rg, 'rg')
  if (f.app !== undefined) w.u8(m.LS_FM_APP, shape.app.offset, f.app, 'app')
  if (f.phases !== undefined) w.u32(m.LS_FM_PHASES, shape.phases.offset, phaseBits(f.phases))
  flags(w, f)
  if (f.minIdleMs !== undefined) w.ms(m.LS_FM_IDLE, shape.min_idle_ns.offset, f.minIdleMs, 'minIdleMs')
  ages(w, f)
  if (f.id !== undefined) {
    const id = parseSessionId(f.id)
    w.u64(m.LS_FM_ID, shape.id.offset, id.origin)
    w.u64(m.LS_FM_ID, shape.id.offset + 8, id.serial)
  }
  return w.done()
}

function flags (w: Writer, f: SessionFilter): void {
  let mask = 0
  let value = 0
  const want = (bit: number, on: boolean | undefined): void => {
    if (on === undefined) return
    mask |= bit
    if (on) value |= bit
  }
  want(limits.LS_SF_SNAT, f.snat)
  want(limits.LS_SF_DNAT, f.dnat)
  want(limits.LS_SF_PEER, f.fromPeer)
  want(limits.LS_SF_PROGRAM, f.program)
  if (mask === 0) return
  w.u32(limits.LS_FM_FLAGS, shape.flags_mask.offset, mask)
  w.u32(limits.LS_FM_FLAGS, shape.flags_value.offset, value)
}

function ages (w: Writer, f: SessionFilter): void {
  if (f.minAgeMs !== undefined && f.maxAgeMs !== undefined) throw new LockstepError('invalid', 'LS_F_BOTH', 'minAgeMs and maxAgeMs cannot be combined', { object: 'filter', next: 'leave one of them out' })
  if (f.minAgeMs !== undefined) w.ms(limits.LS_FM_AGE, shape.min_age_ns.offset, f.minAgeMs, 'minAgeMs')
  if (f.maxAgeMs !== undefined) w.ms(limits.LS_FM_AGE | limits.LS_FM_YOUNGER, shape.min_age_ns.offset, f.maxAgeMs, 'maxAgeMs')
}
