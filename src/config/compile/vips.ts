/** struct ls_vip, its hash, and struct ls_real; and what a ring builder needs. */
import type { Desired, Real, Vip } from '../../contract/desired.js'
import { layout, limits } from '../../generated/layout.js'
import { mappedLength, networkOf, parsePrefix } from '../../lib/address.js'
import { poolIdName, realIdName } from '../ids.js'
import { address, at, config, type Bank } from './bank.js'
import type { Rings } from './facts.js'
import { vipKey, type HashTable } from './hash.js'

interface Place { readonly address: bigint, readonly prefix: number }
const vipPlace = (vip: Vip): Place => {
  const prefix = parsePrefix(vip.address)
  return prefix === null ? { address: 0n, prefix: 0 } : { address: networkOf(prefix), prefix: mappedLength(prefix) }
}

const modes = { nat: limits.LS_MODE_NAT, l2: limits.LS_MODE_L2, ipip: limits.LS_MODE_IPIP, gre: limits.LS_MODE_GRE }

export function writeVips (bank: Bank, d: Desired, rings: Rings): void {
  const shape = layout.ls_vip
  const lengths = [...new Set(d.vips.map(vip => vipPlace(vip).prefix))].sort((x, y) => y - x)
  for (let i = 0; i < limits.LS_VIP_PLENS_MAX; i++) bank.u8(at(config.vip_plens, i), lengths[i] ?? 0xff)
  bank.u32(config.vips.offset, d.vips.length)
  for (const vip of d.vips) {
    const id = d.ids.vip[vip.name] ?? 0
    const base = at(config.vip, id)
    const place = vipPlace(vip)
    const ring = rings[vip.name]
    const pool = vip.snatPool === null ? undefined : d.nat.pools.find(p => p.name === vip.snatPool)
    bank.addr(base + shape.addr.offset, place.address)
    bank.u8(base + shape.prefix.offset, place.prefix)
    bank.u8(base + shape.mode.offset, modes[vip.mode])
    bank.u8(base + shape.proto.offset, vip.protocol)
    bank.u8(base + shape.rg.offset, vip.redundancyGroup)
    bank.be16(base + shape.port_be.offset, vip.port)
    bank.u16(base + shape.flags.offset, (vip.sourceIpSticky ? limits.LS_VF_SOURCE_STICKY : 0) | (pool === undefined ? 0 : limits.LS_VF_SNAT))
    bank.u32(base + shape.ring.offset, ring?.element ?? 0)
    bank.u32(base + shape.ring_size.offset, ring?.entries ?? 0)
    bank.u16(base + shape.snat_pool.offset, pool === undefined ? 0 : d.ids.pool[poolIdName(pool, vip.redundancyGroup)] ?? 0)
    bank.u8(base + shape.app.offset, vip.application === null ? 0 : d.ids.app[vip.application] ?? 0)
    bank.u8(base + shape.used.offset, 1)
    for (const real of vip.pools.flatMap(p => p.reals)) writeReal(bank, d, vip, id, real, ring?.down?.has(real.name) === true)
  }
}

function writeReal (bank: Bank, d: Desired, vip: Vip, vipId: number, real: Real, down: boolean): void {
  const shape = layout.ls_real
  const base = at(config.real, d.ids.real[realIdName(vip.name, real.name)] ?? 0)
  bank.addr(base + shape.addr.offset, address(real.address))
  bank.be16(base + shape.port_be.offset, real.port)
  bank.u16(base + shape.vip.offset, vipId)
  bank.u8(base + shape.up.offset, real.weight > 0 && !down ? 1 : 0)
  bank.u8(base + shape.used.offset, 1)
}

export const vipTable = (d: Desired): HashTable => ({
  name: 'VIPs', size: limits.LS_VIP_HASH,
  keys: d.vips.map(vip => {
    const place = vipPlace(vip)
    return vipKey(place.address, vip.port, vip.protocol, place.prefix, d.ids.domain[vip.domain] ?? 0)
  }),
})

export function writeVipHash (bank: Bank, d: Desired, places: Int32Array): void {
  const slot = layout.ls_vip_slot
  places.forEach((n, i) => {
    const vip = d.vips[n]
    if (vip === undefined) return
    const base = at(config.vip_hash, i)
    const place = vipPlace(vip)
    bank.addr(base + slot.addr.offset, place.address)
    bank.be16(base + slot.port_be.offset, vip.port)
    bank.u8(base + slot.proto.offset, vip.protocol)
    bank.u8(base + slot.prefix.offset, place.prefix)
    bank.u16(base + slot.domain.offset, d.ids.domain[vip.domain] ?? 0)
    bank.u16(base + slot.vip.offset, d.ids.vip[vip.name] ?? 0)
  })
}

export interface RingInput {
  readonly vip: string
  readonly vipId: number
  /** Entries wanted: a prime. */
  readonly size: number
  /** Reals of the pool that serves, by id: the same order on every node (hazard 92). Weight 0 is left out. */
  readonly reals: ReadonlyArray<{ readonly id: number, readonly name: string, readonly address: bigint, readonly port: number, readonly weight: number }>
  /** The same pool, with the weights of the configuration. */
  readonly base: RingInput['reals']
  /** Names of reals that take no new flows although the configuration gives them some. */
  readonly down: ReadonlySet<string>
}

/** Rings to build. `weight` may lower a real's share (health, drain); the first pool with some weight serves. */
export function ringInputs (d: Desired, weight: (vip: Vip, real: Real) => number = (_, real) => real.weight): RingInput[] {
  return d.vips.map(vip => {
    const shares = vip.pools.map(pool => pool.reals.map(real => ({ real, weight: weight(vip, real) })))
    const pools = shares.map(pool => pool.filter(r => r.weight > 0))
    const at = pools.findIndex(pool => pool.length > 0)
    const inputs = (reals: ReadonlyArray<{ readonly real: Real, readonly weight: number }>): RingInput['reals'] => reals
      .map(({ real, weight: share }) => ({ id: d.ids.real[realIdName(vip.name, real.name)] ?? 0, name: real.name, address: address(real.address), port: real.port, weight: share })).sort((x, y) => x.id - y.id)
    return {
      down: new Set(shares.flat().filter(r => r.weight === 0 && r.real.weight > 0).map(r => r.real.name)),
      vip: vip.name, vipId: d.ids.vip[vip.name] ?? 0, size: vip.ringSize,
      reals: inputs(pools[at] ?? []),
      base: inputs((vip.pools[at]?.reals ?? []).filter(real => real.weight > 0).map(real => ({ real, weight: real.weight }))),
    }
  })
}
