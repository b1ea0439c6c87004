/** struct ls_iface and its hash; each interface with the facts of its port. */
import type { Desired, Interface } from '../../contract/desired.js'
import { layout, limits } from '../../generated/layout.js'
import { familyOf, parsePrefix } from '../../lib/address.js'
import { interfacePoolName } from '../ids.js'
import { address, at, config, macBytes, type Bank } from './bank.js'
import type { HostFacts, PortFacts } from './facts.js'
import { ifaceKey, type HashTable } from './hash.js'

/** An interface with everything that the other tables need of it. */
export interface BoundInterface {
  readonly wanted: Interface
  readonly id: number
  readonly port: PortFacts
  /** Configured ones first, then the kernel's, prefix length kept, no duplicates. */
  readonly addresses: readonly string[]
  /** What interface source NAT uses: floating first, in a pair floating only (R18). `null` = no address of the family. */
  readonly nat4: bigint | null
  readonly nat6: bigint | null
}

const linkLocal = (value: bigint): boolean => value >> 118n === 0x3fan

export function bindInterfaces (d: Desired, facts: HostFacts): BoundInterface[] {
  return d.interfaces.flatMap(wanted => {
    const port = facts.ports[wanted.port]
    if (port === undefined) return []
    // The kernel's addresses belong to the untagged interface of a device; a VLAN of it has its own.
    const kernel = wanted.vlan === 0 ? port.addresses : []
    const known = new Set<string>()
    const addresses = [...wanted.addresses, ...kernel].filter(text => {
      const key = text.slice(0, text.indexOf('/'))
      return parsePrefix(text) !== null && !known.has(key) && known.add(key)
    })
    const first = (texts: readonly string[], family: 4 | 6): bigint | null => {
      const all = texts.map(address).filter(value => familyOf(value) === family)
      return all.find(value => !linkLocal(value)) ?? all[0] ?? null
    }
    const nat = (family: 4 | 6): bigint | null => {
      const value = first(wanted.floating, family) ?? (d.cluster === null ? first(addresses, family) : null)
      return value === null || linkLocal(value) ? null : value
    }
    return [{ wanted, port, addresses, id: d.ids.interface[wanted.name] ?? 0, nat4: nat(4), nat6: nat(6) }]
  })
}

/** Layer 3. */
export const mtuOf = ({ wanted, port }: Pick<BoundInterface, 'wanted' | 'port'>): number => Math.min(wanted.mtu ?? port.mtu, 65535)

const iface = layout.ls_iface

/** `pools`: interface pool name -> id, for those that exist. */
export function writeInterfaces (bank: Bank, d: Desired, bound: readonly BoundInterface[], pools: ReadonlyMap<string, number>): void {
  const { interfaces: management } = d.agent.management
  for (const { wanted, id, port, addresses } of bound) {
    const base = at(config.iface, id)
    const managed = management.length === 0 || management.includes(wanted.name)
    bank.u16(base + iface.device.offset, port.device)
    bank.u16(base + iface.outer_vlan.offset, wanted.vlan)
    bank.u16(base + iface.inner_vlan.offset, wanted.innerVlan)
    bank.u16(base + iface.zone.offset, d.ids.zone[wanted.zone] ?? 0)
    bank.u16(base + iface.domain.offset, d.ids.domain[wanted.domain] ?? 0)
    bank.u16(base + iface.mtu.offset, mtuOf({ wanted, port }))
    bank.u8(base + iface.rg.offset, wanted.redundancyGroup)
    bank.copy(base + iface.mac.offset, macBytes(port.mac))
    bank.u32(base + iface.flags.offset, (port.up ? limits.LS_IF_UP : 0) | (managed ? limits.LS_IF_MANAGEMENT : 0))
    bank.u32(base + iface.ifindex.offset, port.ifindex)
    bank.u16(base + iface.pool4.offset, pools.get(interfacePoolName(wanted.name, 4)) ?? 0)
    bank.u16(base + iface.pool6.offset, pools.get(interfacePoolName(wanted.name, 6)) ?? 0)
    for (const family of [4, 6] as const) {
      const all = addresses.map(address).filter(value => familyOf(value) === family)
      const primary = all.find(value => !linkLocal(value)) ?? all[0]
      if (primary !== undefined) bank.addr(base + (family === 4 ? iface.addr4 : iface.addr6).offset, primary)
    }
  }
}

export function interfaceTable (bound: readonly BoundInterface[]): HashTable {
  return { name: 'interfaces', size: limits.LS_IFACE_HASH, keys: bound.map(b => ifaceKey(b.port.device, b.wanted.vlan, b.wanted.innerVlan)) }
}

export function writeInterfaceHash (bank: Bank, bound: readonly BoundInterface[], places: Int32Array): void {
  const slot = layout.ls_iface_slot
  places.forEach((entry, i) => {
    const b = bound[entry]
    if (b === undefined) return
    const base = at(config.iface_hash, i)
    bank.u16(base + slot.device.offset, b.port.device)
    bank.u16(base + slot.outer_vlan.offset, b.wanted.vlan)
    bank.u16(base + slot.inner_vlan.offset, b.wanted.innerVlan)
    bank.u16(base + slot.iface.offset, b.id)
  })
}
