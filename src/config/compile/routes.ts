/**
 * Routes and static neighbours as packed lists for the mirror of the kernel, which joins them with the kernel's. Little-endian; no padding bytes
 * are left undefined. Where both name a prefix, the configured one wins.
 *
 *   route (40 bytes)      prefix 16 | next hop 16 | length u8 (0-128, of the mapped address) | kind u8 (enum ls_nexthop_kind) | iface u16 | metric u32 (0)
 *                         = struct ls_static_route
 *   neighbour (32 bytes)  address 16 | device u32 | mac 6 | zero 6   = struct ls_static_neighbour
 */
import type { Desired } from '../../contract/desired.js'
import { limits } from '../../generated/layout.js'
import { familyOf, formatNetwork, formatPrefix, mappedLength, networkOf, parsePrefix, prefixSpan } from '../../lib/address.js'
import { address, Bank, macBytes } from './bank.js'
import type { BoundInterface } from './interfaces.js'

export const routeBytes = 40
export const neighbourBytes = 32

interface Row { readonly prefix: string, readonly nextHop: bigint, readonly kind: number, readonly iface: number }

export function packRoutes (d: Desired, bound: readonly BoundInterface[]): Uint8Array {
  const rows = new Map<string, Row>()
  const ids = new Map(bound.map(b => [b.wanted.name, b.id]))
  for (const { wanted, id, addresses } of bound) {
    for (const text of [...addresses, ...wanted.floating]) {
      const prefix = parsePrefix(text)
      if (prefix === null) continue
      const single = formatPrefix({ ...prefix, length: prefix.family === 4 ? 32 : 128 })
      rows.set(single, { prefix: single, nextHop: 0n, kind: limits.LS_NH_LOCAL, iface: id })
      const network = formatNetwork(prefix)
      if (!rows.has(network)) rows.set(network, { prefix: network, nextHop: 0n, kind: limits.LS_NH_CONNECTED, iface: id })
    }
  }
  for (const route of d.routes) {
    const nextHop = route.nextHop === null ? 0n : address(route.nextHop)
    const egress = route.interface ?? (route.nextHop === null ? null : holder(nextHop, bound))
    const kind = { gateway: limits.LS_NH_GATEWAY, connected: limits.LS_NH_CONNECTED, blackhole: limits.LS_NH_BLACKHOLE }[route.kind]
    rows.set(route.prefix, { prefix: route.prefix, nextHop, kind, iface: egress === null ? 0 : ids.get(egress) ?? 0 })
  }
  const sorted = [...rows.values()].map(row => ({ row, prefix: parsePrefix(row.prefix) }))
    .flatMap(({ row, prefix }) => prefix === null ? [] : [{ row, length: mappedLength(prefix), network: networkOf(prefix) }])
    .sort((x, y) => y.length - x.length || (x.network < y.network ? -1 : 1))
  const bank = new Bank(new Uint8Array(sorted.length * routeBytes))
  sorted.forEach(({ row, length, network }, i) => {
    const base = i * routeBytes
    bank.addr(base, network)
    bank.addr(base + 16, row.nextHop)
    bank.u8(base + 32, length)
    bank.u8(base + 33, row.kind)
    bank.u16(base + 34, row.iface)
  })
  return bank.bytes
}

function holder (value: bigint, bound: readonly BoundInterface[]): string | null {
  return bound.find(b => b.addresses.some(text => {
    const prefix = parsePrefix(text)
    return prefix !== null && prefix.family === familyOf(value) && prefixSpan(prefix).from <= value && value <= prefixSpan(prefix).to
  }))?.wanted.name ?? null
}

export function packNeighbours (bound: readonly BoundInterface[]): Uint8Array {
  const rows = bound.flatMap(b => b.wanted.neighbours.map(n => ({ ...n, device: b.port.device })))
  const bank = new Bank(new Uint8Array(rows.length * neighbourBytes))
  rows.forEach((row, i) => {
    const base = i * neighbourBytes
    bank.addr(base, address(row.address))
    bank.u32(base + 16, row.device)
    bank.copy(base + 20, macBytes(row.mac))
  })
  return bank.bytes
}
