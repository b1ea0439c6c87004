/** NameBook over the ids of the running configuration. */
import type { IdTable } from '../contract/desired.js'
import type { NameBook, NameKind } from '../contract/services.js'
import { fixedNames } from './ids.js'

/** `ids` is asked at every call; the reverse maps are built once per table. */
export function nameBook (ids: () => IdTable): NameBook {
  let built: IdTable | null = null
  let reverse = new Map<NameKind, Map<number, string>>()
  const names = (kind: NameKind): ReadonlyMap<number, string> => {
    const table = ids()
    if (table !== built) {
      built = table
      reverse = new Map()
    }
    let map = reverse.get(kind)
    if (map === undefined) {
      map = new Map([[0, fixedNames[kind]], ...Object.entries(table[kind]).map(([name, id]) => [id, name] as const)])
      reverse.set(kind, map)
    }
    return map
  }
  return {
    name: (kind, id) => names(kind).get(id) ?? `#${id}`,
    id: (kind, name) => {
      const table = ids()[kind]
      if (Object.hasOwn(table, name)) return table[name] ?? null
      return fixedNames[kind] === name ? 0 : null
    },
  }
}
