/** struct ls_pool and pool_addr[]: named pools, then one per family of every interface that hides sources, so that the packet path knows pools only. */
import type { Desired, PortRange } from '../../contract/desired.js'
import { layout } from '../../generated/layout.js'
import { interfacesBehindNat } from '../build/checks.js'
import { interfacePoolName, poolIdName } from '../ids.js'
import { address, at, config, type Bank } from './bank.js'
import type { BoundInterface } from './interfaces.js'

export interface CompiledPool {
  readonly name: string
  readonly id: number
  readonly first: number
  readonly addresses: readonly bigint[]
  readonly ports: PortRange
  readonly redundancyGroup: number
  readonly keepPort: boolean
  readonly domain: number
  /** Of the interface whose own address this is, 0 = a named pool. */
  readonly iface: number
}

/** Shares of one pool use one span of pool_addr[]: occupancy is counted per address. */
export function compilePools (d: Desired, bound: readonly BoundInterface[], warnings: string[]): CompiledPool[] {
  const out: CompiledPool[] = []
  let next = 0
  for (const pool of d.nat.pools) {
    const addresses = pool.addresses.map(address)
    for (const { redundancyGroup, ports } of pool.ranges) {
      const name = poolIdName(pool, redundancyGroup)
      out.push({ name, id: d.ids.pool[name] ?? 0, first: next, addresses, ports, redundancyGroup, keepPort: pool.keepPort, domain: d.ids.domain[pool.domain] ?? 0, iface: 0 })
    }
    next += addresses.length
  }
  const behind = new Set(interfacesBehindNat(d).map(i => i.name))
  for (const { wanted, id, nat4, nat6 } of bound) {
    if (!behind.has(wanted.name)) continue
    if (nat4 === null && nat6 === null) warnings.push(`interface ${wanted.name} has no ${d.cluster === null ? '' : 'floating '}address to hide sources behind: packets that a NAT rule sends there keep their source`)
    for (const [family, value] of [[4, nat4], [6, nat6]] as const) {
      if (value === null) continue
      const name = interfacePoolName(wanted.name, family)
      out.push({ name, id: d.ids.pool[name] ?? 0, first: next++, addresses: [value], ports: d.nat.interfacePorts, redundancyGroup: wanted.redundancyGroup, keepPort: false, domain: d.ids.domain[wanted.domain] ?? 0, iface: id })
    }
  }
  return out
}

const shape = layout.ls_pool

export function writePools (bank: Bank, pools: readonly CompiledPool[]): void {
  for (const pool of pools) {
    const base = at(config.pool, pool.id)
    bank.u16(base + shape.first_addr.offset, pool.first)
    bank.u16(base + shape.addrs.offset, pool.addresses.length)
    bank.u16(base + shape.port_lo.offset, pool.ports.from)
    bank.u16(base + shape.port_hi.offset, pool.ports.to)
    bank.u8(base + shape.rg.offset, pool.redundancyGroup)
    bank.u8(base + shape.flags.offset, 1 | (pool.keepPort ? 2 : 0))
    bank.u32(base + shape.seed.offset, nameSeed(pool.name))
    pool.addresses.forEach((value, i) => { bank.addr(at(config.pool_addr, pool.first + i), value) })
  }
}

/** FNV-1a: the same on every node that has the configuration. */
function nameSeed (name: string): number {
  let h = 0x811c9dc5
  for (const byte of Buffer.from(name)) h = Math.imul(h ^ byte, 0x01000193) >>> 0
  return h
}
