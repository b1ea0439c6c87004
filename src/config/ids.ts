/**
 * Numeric ids of names (R11). An id is given to a name once and stays: counters and sessions hold it. Names that vanish keep theirs until
 * the numbers run out; then an id goes to another name only if nobody holds it. New names are taken in sorted order, so that two nodes
 * that start from one configuration agree (hazard 79). Values are immutable: `assign` returns another book.
 */
import type { Desired, IdKind, IdTable } from '../contract/desired.js'
import { limits } from '../generated/layout.js'
import { interfacesBehindNat } from './build/checks.js'
import { ConfigError } from './issues.js'

export const idKinds: readonly IdKind[] = ['zone', 'policy', 'vip', 'real', 'pool', 'app', 'interface', 'domain', 'nat']

/** First and last id of a kind; lower ones have fixed meanings. */
const spaces: Readonly<Record<IdKind, readonly [first: number, last: number]>> = {
  zone: [1, limits.LS_ZONES_MAX - 1],
  policy: [1, limits.LS_POLICIES_MAX - 1],
  vip: [1, limits.LS_VIPS_MAX - 1],
  real: [1, limits.LS_REALS_MAX - 1],
  pool: [1, limits.LS_POOLS_MAX - 1],
  app: [1, limits.LS_APPS_MAX - 1],
  interface: [1, limits.LS_IFACES_MAX - 1],
  domain: [1, 65535],
  nat: [1, 65535],
}
/** Id 0 of a kind. */
export const fixedNames: Readonly<Record<IdKind, string>> = {
  zone: 'none', policy: 'default', vip: 'none', real: 'none', pool: 'none', app: 'any', interface: 'none', domain: 'default', nat: 'none',
}

export const emptyIds: IdTable = { zone: {}, policy: {}, vip: {}, real: {}, pool: {}, app: {}, interface: {}, domain: { default: 0 }, nat: {} }

/** Pool id name of one redundancy group's share. */
export const poolIdName = (pool: { readonly name: string, readonly ranges: ReadonlyArray<unknown> }, group: number): string => pool.ranges.length === 1 ? pool.name : `${pool.name}@${group}`
export const interfacePoolName = (name: string, family: 4 | 6): string => `@${name}.${family}`
export const realIdName = (vip: string, real: string): string => `${vip}/${real}`

/** Every name that needs an id, by kind. */
export function namesOf (d: Desired): Record<IdKind, readonly string[]> {
  return {
    zone: d.zones.map(z => z.name),
    policy: d.policies.map(p => p.name),
    vip: d.vips.map(v => v.name),
    real: d.vips.flatMap(v => v.pools.flatMap(p => p.reals.map(r => realIdName(v.name, r.name)))),
    pool: [
      ...d.nat.pools.flatMap(p => p.ranges.map(range => poolIdName(p, range.redundancyGroup))),
      ...interfacesBehindNat(d).flatMap(i => [interfacePoolName(i.name, 4), interfacePoolName(i.name, 6)]),
    ],
    app: d.applications.filter(a => !a.inline).map(a => a.name),
    interface: d.interfaces.map(i => i.name),
    domain: d.domains.filter(name => name !== 'default'),
    nat: [...d.nat.source, ...d.nat.destination, ...d.nat.static].map(rule => rule.name),
  }
}

export const withIds = (desired: Desired, book: IdBook): Desired => ({ ...desired, ids: book.table() })

/** Ids of names that are gone and that live sessions still carry, by kind; asked only when numbers run out. */
export type Held = (kind: IdKind) => ReadonlySet<number>
const holdNothing: Held = () => new Set()

export class IdBook {
  readonly warnings: readonly string[]
  private constructor (private readonly ids: Readonly<Record<IdKind, ReadonlyMap<string, number>>>, warnings: readonly string[] = []) {
    this.warnings = warnings
  }

  static empty (): IdBook {
    return new IdBook(Object.fromEntries(idKinds.map(kind => [kind, new Map()])) as unknown as Record<IdKind, Map<string, number>>)
  }

  /** Accepts what toJSON gave; anything malformed is refused as `null`. */
  static fromJSON (json: unknown): IdBook | null {
    if (json === null || typeof json !== 'object') return null
    const ids = {} as Record<IdKind, Map<string, number>>
    for (const kind of idKinds) {
      const part = (json as Readonly<Record<string, unknown>>)[kind] ?? {}
      if (typeof part !== 'object' || part === null) return null
      const map = new Map<string, number>()
      const used = new Set<number>()
      for (const [name, id] of Object.entries(part)) {
        if (typeof id !== 'number' || !Number.isInteger(id) || id < spaces[kind][0] || id > spaces[kind][1] || used.has(id)) return null
        used.add(id)
        map.set(name, id)
      }
      ids[kind] = map
    }
    return new IdBook(ids)
  }

  toJSON (): Record<IdKind, Record<string, number>> {
    return Object.fromEntries(idKinds.map(kind => [kind, Object.fromEntries([...this.ids[kind]].sort(([, x], [, y]) => x - y))])) as Record<IdKind, Record<string, number>>
  }

  /** All names, vanished ones too: sessions may still carry their ids. */
  table (): IdTable {
    const table = this.toJSON()
    return { ...table, domain: { default: 0, ...table.domain } }
  }

  id (kind: IdKind, name: string): number | null {
    return this.ids[kind].get(name) ?? (fixedNames[kind] === name ? 0 : null)
  }

  /** `#7` for an id that no name has. */
  name (kind: IdKind, id: number): string {
    if (id === 0) return fixedNames[kind]
    for (const [name, own] of this.ids[kind]) if (own === id) return name
    return `#${id}`
  }

  /** The book in which every name of `desired` has an id. Throws ConfigError (`exhausted`) when a kind runs out. */
  assign (desired: Desired, held: Held = holdNothing): IdBook {
    const wanted = namesOf(desired)
    const warnings: string[] = []
    const out = {} as Record<IdKind, Map<string, number>>
    for (const kind of idKinds) {
      const names = kind === 'app' ? applicationsWithIds(desired, warnings) : wanted[kind]
      out[kind] = allocate(kind, this.ids[kind], names, held)
    }
    return new IdBook(out, warnings)
  }
}

/** Applications beyond the last id share row 0, as long as they have no timeouts of their own. */
function applicationsWithIds (d: Desired, warnings: string[]): readonly string[] {
  const [first, last] = spaces.app
  const room = last - first + 1
  const named = d.applications.filter(a => !a.inline)
  if (named.length <= room) return named.map(a => a.name)
  const special = named.filter(a => Object.keys(a.timeouts).length > 0)
  const plain = named.filter(a => Object.keys(a.timeouts).length === 0)
  const shown = [...special, ...plain].slice(0, Math.max(room, special.length)).map(a => a.name)
  warnings.push(`${named.length} applications, ${room} ids: sessions of ${named.length - shown.length} of them show application any`)
  return shown
}

function allocate (kind: IdKind, known: ReadonlyMap<string, number>, names: readonly string[], held: Held): Map<string, number> {
  const out = new Map(known)
  const wanted = new Set(names)
  const missing = [...wanted].filter(name => !out.has(name)).sort()
  if (missing.length === 0) return out
  const used = new Set(out.values())
  const [first, last] = spaces[kind]
  let next = first
  let reusable: Array<[string, number]> | null = null
  for (const name of missing) {
    while (used.has(next)) next++
    if (next <= last) {
      used.add(next)
      out.set(name, next)
      continue
    }
    if (reusable === null) {
      const busy = held(kind)
      reusable = [...known].filter(([old, id]) => !wanted.has(old) && !busy.has(id)).sort(([, x], [, y]) => x - y)
    }
    const free = reusable.shift()
    if (free === undefined) {
      throw new ConfigError([{ path: '', line: null, column: null, code: 'LS_C_LIMIT', message: `no ${kind} id is free`, found: `${wanted.size} names`, expected: `at most ${last - first + 1}, those of names that left while sessions hold them included; wait or delete these sessions` }], 'exhausted', 'LS_C_IDS')
    }
    out.delete(free[0])
    out.set(name, free[1])
  }
  return out
}
