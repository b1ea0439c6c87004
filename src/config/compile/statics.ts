/** struct ls_static_nat twice: hashed by outside and by inside address. A mapping of prefixes becomes one entry per address. */
import type { Desired } from '../../contract/desired.js'
import { layout, limits } from '../../generated/layout.js'
import { networkOf, parsePrefix } from '../../lib/address.js'
import { at, type Bank, type config } from './bank.js'
import { localKey, type HashTable } from './hash.js'

export interface StaticEntry { readonly outside: bigint, readonly inside: bigint, readonly domain: number, readonly id: number, readonly redundancyGroup: number }

export function compileStatics (d: Desired): StaticEntry[] {
  return d.nat.static.flatMap(mapping => {
    const outside = parsePrefix(mapping.outside)
    const inside = parsePrefix(mapping.inside)
    if (outside === null || inside === null) return []
    const count = 2 ** ((outside.family === 4 ? 32 : 128) - outside.length)
    return Array.from({ length: Math.min(count, limits.LS_STATIC_HASH) }, (_, i) => ({
      outside: networkOf(outside) + BigInt(i), inside: networkOf(inside) + BigInt(i),
      domain: d.ids.domain[mapping.domain] ?? 0, id: d.ids.nat[mapping.name] ?? 0, redundancyGroup: mapping.redundancyGroup,
    }))
  })
}

export const staticTable = (entries: readonly StaticEntry[], side: 'outside' | 'inside'): HashTable =>
  ({ name: `static NAT by ${side} address`, size: limits.LS_STATIC_HASH, keys: entries.map(e => localKey(e[side], e.domain)) })

export function writeStatics (bank: Bank, member: typeof config.static_out | typeof config.static_in, entries: readonly StaticEntry[], places: Int32Array): void {
  const shape = layout.ls_static_nat
  places.forEach((n, i) => {
    const entry = entries[n]
    if (entry === undefined) return
    const base = at(member, i)
    bank.addr(base + shape.outside.offset, entry.outside)
    bank.addr(base + shape.inside.offset, entry.inside)
    bank.u16(base + shape.domain.offset, entry.domain)
    bank.u16(base + shape.id.offset, entry.id)
    bank.u8(base + shape.rg.offset, entry.redundancyGroup)
  })
}
