/**
 * What a redundancy group announces when this node takes it: every address that the pipeline answers for, on the interfaces where hosts may have it in their
 * neighbour tables, with the MAC it answers with. Packed for the backend, little-endian:
 *
 *   announcement (32 bytes)  address 16 | device u32 | vlan u16 | inner vlan u16 | mac 6 | zero 2   = struct ls_announcement
 */
import { limits } from '../../generated/layout.js'
import { formatAddress, parsePrefix, prefixSpan } from '../../lib/address.js'
import { address, Bank, macBytes } from './bank.js'
import type { BoundInterface } from './interfaces.js'
import type { Local } from './locals.js'

export const announcementBytes = 32
/** Of one group. */
export const announcementsMax = limits.LS_LOCALS_HASH

export interface Announcement {
  readonly redundancyGroup: number
  readonly address: bigint
  readonly interface: string
  readonly device: number
  readonly vlan: number
  readonly innerVlan: number
  readonly mac: string
}

/** In the order of `locals`, so the floating addresses, which are gateways of many, come first. */
export function announcements (locals: readonly Local[], bound: readonly BoundInterface[], domains: Readonly<Record<string, number>>): Announcement[] {
  const data = bound.filter(b => b.wanted.role === 'data')
  const nets = new Map(data.map(b => [b, [...b.addresses, ...b.wanted.floating].flatMap(text => parsePrefix(text) ?? []).map(prefixSpan)]))
  const places = (local: Local): readonly BoundInterface[] => {
    if (local.kind === limits.LS_LOCAL_FLOAT) return data.filter(b => local.iface === b.id || (local.iface === 0 && b.wanted.floating.some(text => address(text) === local.address)))
    const here = data.filter(b => (domains[b.wanted.domain] ?? 0) === local.domain && (local.iface === 0 || local.iface === b.id))
    const holding = here.filter(b => nets.get(b)?.some(net => net.from <= local.address && local.address <= net.to))
    // In no subnet of ours it is routed to us, but a neighbour may have it on its link by a route of its own: a frame in vain costs less than its silence.
    return holding.length > 0 ? holding : here
  }
  return locals.filter(local => local.kind !== limits.LS_LOCAL_HOST).flatMap(local => places(local).map(({ wanted, port }) => ({
    redundancyGroup: local.redundancyGroup, address: local.address, interface: wanted.name, device: port.device, vlan: wanted.vlan, innerVlan: wanted.innerVlan, mac: port.mac
  })))
}

/** By redundancy group. What a group has beyond announcementsMax is left out, and told. */
export function packAnnouncements (all: readonly Announcement[], warnings: string[]): Record<number, Uint8Array> {
  return Object.fromEntries([...new Set(all.map(a => a.redundancyGroup))].map(rg => {
    const list = all.filter(a => a.redundancyGroup === rg)
    const [rows, first] = [list.slice(0, announcementsMax), list[announcementsMax]]
    if (first !== undefined) warnings.push(`redundancy group ${rg}: ${list.length} announcements after a takeover, at most ${announcementsMax} (limits.h LS_LOCALS_HASH) are made, those from ${formatAddress(first.address)} on ${first.interface} on are not; an address in a subnet of one interface is announced there only`)
    const bank = new Bank(new Uint8Array(rows.length * announcementBytes))
    rows.forEach((row, i) => {
      const base = i * announcementBytes
      bank.addr(base, row.address)
      bank.u32(base + 16, row.device)
      bank.u16(base + 20, row.vlan)
      bank.u16(base + 22, row.innerVlan)
      bank.copy(base + 24, macBytes(row.mac))
    })
    return [rg, bank.bytes]
  }))
}
