/** A second reading of struct ls_config, written from config.h and pipeline/lookup.h and classify.h rather than from the compiler. */
import { layout, limits } from '../../../src/generated/layout.js'
import { addressBytes, addressOfBytes } from '../../../src/lib/address.js'

const c = layout.ls_config

export interface Packet { readonly zoneIn: number, readonly zoneOut: number, readonly proto: number, readonly src: bigint, readonly dst: bigint, readonly sport: number, readonly dport: number }

function step (h: number, word: number): number {
  let x = (h ^ word) >>> 0
  x = Number(BigInt(x) * 0x9e3779b1n & 0xffffffffn)
  return (x ^ x >>> 15) >>> 0
}

export class BankReader {
  private readonly view: DataView
  constructor (readonly bytes: Uint8Array) { this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }

  u8 (at: number): number { return this.view.getUint8(at) }
  u16 (at: number): number { return this.view.getUint16(at, true) }
  be16 (at: number): number { return this.view.getUint16(at, false) }
  u32 (at: number): number { return this.view.getUint32(at, true) }
  u64 (at: number): bigint { return this.view.getBigUint64(at, true) }
  addr (at: number): bigint { return addressOfBytes(this.bytes, at) }
  get seed (): number { return this.u32(c.hash_seed.offset) }

  private addressHash (h: number, address: bigint): number {
    const words = new DataView(addressBytes(address).buffer)
    for (let i = 0; i < 4; i++) h = step(h, words.getUint32(4 * i, true))
    return h
  }

  /** Offset of the matching element, or `null`; `probe` as the packet path does it. */
  private probe (hash: number, member: { offset: number, stride: number, count: number }, empty: (at: number) => boolean, match: (at: number) => boolean): number | null {
    for (let i = 0; i < limits.LS_HASH_PROBES; i++) {
      const at = member.offset + ((hash + i) & (member.count - 1)) * member.stride
      if (empty(at)) return null
      if (match(at)) return at
    }
    return null
  }

  iface (device: number, outer: number, inner: number): number {
    const s = layout.ls_iface_slot
    const at = this.probe(step(step(this.seed, (device | outer << 16) >>> 0), inner), c.iface_hash, x => this.u16(x + s.iface.offset) === 0,
      x => this.u16(x + s.device.offset) === device && this.u16(x + s.outer_vlan.offset) === outer && this.u16(x + s.inner_vlan.offset) === inner)
    return at === null ? 0 : this.u16(at + s.iface.offset)
  }

  local (address: bigint, domain: number): { kind: number, iface: number, rg: number, poolAddr: number } | null {
    const s = layout.ls_local
    const at = this.probe(step(this.addressHash(this.seed, address), domain), c.local, x => this.u8(x + s.kind.offset) === 0,
      x => this.addr(x + s.addr.offset) === address && this.u16(x + s.domain.offset) === domain)
    return at === null ? null : { kind: this.u8(at + s.kind.offset), iface: this.u16(at + s.iface.offset), rg: this.u8(at + s.rg.offset), poolAddr: this.u16(at + s.pool_addr.offset) }
  }

  private vipProbe (address: bigint, port: number, proto: number, prefix: number, domain: number): number {
    const s = layout.ls_vip_slot
    const raw = (port & 0xff) << 8 | port >> 8
    let h = this.addressHash(this.seed, address)
    h = step(step(h, (raw | proto << 16 | prefix << 24) >>> 0), domain)
    const at = this.probe(h, c.vip_hash, x => this.u16(x + s.vip.offset) === 0, x => this.addr(x + s.addr.offset) === address && this.be16(x + s.port_be.offset) === port &&
      this.u8(x + s.proto.offset) === proto && this.u8(x + s.prefix.offset) === prefix && this.u16(x + s.domain.offset) === domain)
    return at === null ? 0 : this.u16(at + s.vip.offset)
  }

  vip (address: bigint, port: number, proto: number, domain = 0): number {
    for (let i = 0; i < limits.LS_VIP_PLENS_MAX; i++) {
      const prefix = this.u8(c.vip_plens.offset + i)
      if (prefix > 128) break
      const masked = prefix === 0 ? 0n : address >> BigInt(128 - prefix) << BigInt(128 - prefix)
      for (const [p, q] of [[port, proto], [port, 0], [0, proto], [0, 0]] as const) {
        const id = this.vipProbe(masked, p, q, prefix, domain)
        if (id > 0) return id
      }
    }
    return 0
  }

  static (side: 'outside' | 'inside', address: bigint, domain = 0): { other: bigint, id: number } | null {
    const s = layout.ls_static_nat
    const at = this.probe(step(this.addressHash(this.seed, address), domain), side === 'outside' ? c.static_out : c.static_in, x => this.u16(x + s.id.offset) === 0,
      x => this.addr(x + s[side].offset) === address && this.u16(x + s.domain.offset) === domain)
    return at === null ? null : { other: this.addr(at + s[side === 'outside' ? 'inside' : 'outside'].offset), id: this.u16(at + s.id.offset) }
  }

  /** Index of the first active rule, or `null`. */
  classify (which: 'policy' | 'snat' | 'dnat', p: Packet): number | null {
    const base = c[which].offset
    const k = layout.ls_classifier
    if (this.u32(base + k.rules.offset) === 0) return null
    const rows = [
      this.u16(base + k.zone_in.offset + 2 * p.zoneIn), this.u16(base + k.zone_out.offset + 2 * p.zoneOut), this.u16(base + k.proto.offset + 2 * p.proto),
      this.addressRow(base + k.src.offset, p.src), this.addressRow(base + k.dst.offset, p.dst), this.portRow(base + k.sport.offset, p.sport), this.portRow(base + k.dport.offset, p.dport),
    ]
    const words = this.u32(base + k.words.offset)
    for (let w = 0; w < words; w++) {
      let bits = this.u64(base + k.active.offset + 8 * w)
      for (const row of rows) bits &= this.u64(base + k.row.offset + row * k.row.stride + 8 * w)
      if (bits === 0n) continue
      for (let i = 0; i < 64; i++) if ((bits >> BigInt(i) & 1n) === 1n) return w * 64 + i
    }
    return null
  }

  private addressRow (base: number, value: bigint): number {
    const d = layout.ls_class_addr
    let low = 0
    let high = this.u32(base + d.count.offset)
    for (let i = 0; i < limits.LS_CLASS_STEPS; i++) {
      const middle = (low + high) >> 1
      if (middle <= low) break
      if (this.addr(base + d.start.offset + 16 * middle) <= value) low = middle
      else high = middle
    }
    return this.u16(base + d.row.offset + 2 * low)
  }

  private portRow (base: number, value: number): number {
    const d = layout.ls_class_port
    let low = 0
    let high = this.u32(base + d.count.offset)
    for (let i = 0; i < limits.LS_CLASS_STEPS; i++) {
      const middle = (low + high) >> 1
      if (middle <= low) break
      if (this.u16(base + d.start.offset + 2 * middle) <= value) low = middle
      else high = middle
    }
    return this.u16(base + d.row.offset + 2 * low)
  }

  rule (index: number): { policy: number, action: number, app: number, flags: number, syncAfter: number } {
    const at = c.rule.offset + index * c.rule.stride
    const r = layout.ls_rule
    return { policy: this.u16(at + r.policy.offset), action: this.u8(at + r.action.offset), app: this.u8(at + r.app.offset), flags: this.u16(at + r.flags.offset), syncAfter: this.u16(at + r.sync_after.offset) }
  }

  natRule (which: 'snat_rule' | 'dnat_rule', index: number): { action: number, pool: number, id: number, port: number, addr: bigint } {
    const at = c[which].offset + index * c[which].stride
    const r = layout.ls_nat_rule
    return { action: this.u8(at + r.action.offset), pool: this.u16(at + r.pool.offset), id: this.u16(at + r.id.offset), port: this.be16(at + r.port_be.offset), addr: this.addr(at + r.addr.offset) }
  }

  pool (id: number): { addresses: bigint[], lo: number, hi: number, rg: number, flags: number, first: number } {
    const at = c.pool.offset + id * c.pool.stride
    const p = layout.ls_pool
    const first = this.u16(at + p.first_addr.offset)
    return {
      first, lo: this.u16(at + p.port_lo.offset), hi: this.u16(at + p.port_hi.offset), rg: this.u8(at + p.rg.offset), flags: this.u8(at + p.flags.offset),
      addresses: Array.from({ length: this.u16(at + p.addrs.offset) }, (_, i) => this.addr(c.pool_addr.offset + (first + i) * 16)),
    }
  }
}
