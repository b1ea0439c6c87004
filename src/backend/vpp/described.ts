/**
 * Layouts out of VPP's own description of its API (`get_api_json`, 24.10 and later), for messages that a release has changed: in the notation of messages.ts.
 * Pure. A layout is used only where it has every field that ours has, with values of the same kind; what it has beside them is sent as zeros and not looked at.
 */
import { fieldsOf, type FieldShape } from './notation.js'

export interface Described {
  /** Message -> its CRC as the table has it, and its fields. */
  readonly messages: ReadonlyMap<string, { readonly crc: string, readonly fields: string }>
  /** Types that are made of others, by names that no type of messages.ts has. */
  readonly structures: Readonly<Record<string, string>>
}

type Field = readonly [type: string, name: string, count?: unknown, counter?: unknown]

const HEADERS = new Set(['_vl_msg_id', 'client_index', 'context'])
const PLAIN = new Set(['u8', 'u16', 'u32', 'u64', 'i32', 'f64', 'bool'])
const TEXTS: Readonly<Record<string, string>> = { vl_api_address_t: 'address', vl_api_ip4_address_t: 'ip4', vl_api_ip6_address_t: 'ip6', vl_api_mac_address_t: 'mac', vl_api_prefix_t: 'prefix', vl_api_address_with_prefix_t: 'prefix' }

/** Nothing of what it does not understand: a message with a type that has no name here is left out. Never throws. */
export function describe (json: string): Described {
  let modules: unknown
  try {
    modules = JSON.parse(json.replace(/\0+$/, ''))
  } catch {
    return { messages: new Map(), structures: {} }
  }
  const all = (Array.isArray(modules) ? modules : [modules]).filter(isRecord)
  const types = new Map<string, string | null>()
  const made: Record<string, readonly unknown[]> = {}
  for (const module of all) {
    for (const [name, ...rest] of lists(module['enums']).concat(lists(module['enumflags']))) types.set(`vl_api_${String(name)}_t`, enumType(rest))
    for (const [name, ...fields] of lists(module['types'])) made[`vl_api_${String(name)}_t`] = fields
  }
  const aliases = new Map<string, Readonly<Record<string, unknown>>>(all.flatMap(module => Object.entries(isRecord(module['aliases']) ? module['aliases'] : {})).flatMap(([name, alias]) => isRecord(alias) ? [[`vl_api_${name}_t`, alias] as const] : []))
  const structures: Record<string, string> = {}
  /** In the notation; `null`: it has no name here. */
  const typeOf = (type: string, depth = 0): string | null => {
    if (depth > 8) return null
    if (PLAIN.has(type)) return type
    const text = TEXTS[type]
    if (text !== undefined) return text
    const known = types.get(type)
    if (known !== undefined) return known
    const alias = aliases.get(type)
    if (alias !== undefined) return alias['length'] === undefined && typeof alias['type'] === 'string' ? typeOf(alias['type'], depth + 1) : null
    const fields = made[type]
    if (fields === undefined) return null
    const name = `described_${type}`
    const written = notationOf(fields, inner => typeOf(inner, depth + 1))
    if (written === null) return null
    structures[name] = written
    return name
  }
  const messages = new Map<string, { crc: string, fields: string }>()
  for (const module of all) {
    for (const [name, ...fields] of lists(module['messages'])) {
      const crc = fields.map(field => isRecord(field) ? field['crc'] : undefined).find(value => typeof value === 'string')
      const written = notationOf(fields, typeOf)
      if (typeof name === 'string' && typeof crc === 'string' && written !== null) messages.set(name, { crc: crc.replace(/^0x/, ''), fields: written })
    }
  }
  return { messages, structures }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
const lists = (value: unknown): ReadonlyArray<readonly unknown[]> => Array.isArray(value) ? value.filter(item => Array.isArray(item)) : []
function enumType (rest: readonly unknown[]): string | null {
  const found = rest.filter(isRecord).map(({ enumtype }) => enumtype).find(type => typeof type === 'string')
  return found === undefined ? 'u32' : PLAIN.has(found) ? found : null
}

/** Without the header; `null`: not all of it can be said. */
function notationOf (fields: readonly unknown[], typeOf: (type: string) => string | null): string | null {
  const parts: string[] = []
  for (const field of fields) {
    if (!Array.isArray(field)) continue // options
    const [type, name, count, counter] = field as unknown as Field
    if (typeof type !== 'string' || typeof name !== 'string' || !/^\w+$/.test(name)) return null
    if (HEADERS.has(name)) continue
    if (type === 'string') {
      parts.push(typeof count === 'number' && count > 0 ? `string[${count}] ${name}` : `string ${name}`)
      continue
    }
    const written = typeOf(type)
    if (written === null) return null
    if (typeof count !== 'number') parts.push(`${written} ${name}`)
    else if (count > 0) parts.push(`${written} ${name}[${count}]`)
    else if (typeof counter === 'string') parts.push(`${written} ${name}[${counter}]`)
    else return null
  }
  return parts.join(', ')
}

type Structures = Readonly<Record<string, string>>

const kinds: Readonly<Record<string, string>> = { u8: 'number', u16: 'number', u32: 'number', i32: 'number', f64: 'number', u64: 'bigint', bool: 'boolean', ip4: 'text', ip6: 'text', mac: 'text', address: 'text', prefix: 'text', string: 'text' }

/** Every field of ours is in theirs, with values of the same kind. */
export function covers (theirs: string, ours: string, structures: Structures): boolean {
  const there = new Map(fieldsOf(theirs).map(field => [field.name, field]))
  return fieldsOf(ours).every((field) => {
    const other = there.get(field.name)
    if (other === undefined || (field.count === null) !== (other.count === null)) return false
    const [a, b] = [kinds[field.type], kinds[other.type]]
    if (a !== undefined || b !== undefined) return a === b
    return covers(structures[other.type] ?? '', structures[field.type] ?? '', structures)
  })
}

/** With zeros for fields that are not there. */
export function complete (fields: string, values: Readonly<Record<string, unknown>>, structures: Structures): Record<string, unknown> {
  return Object.fromEntries(fieldsOf(fields).map(field => [field.name, valueOf(field, values[field.name], structures)]))
}

function valueOf (field: FieldShape, value: unknown, structures: Structures): unknown {
  const { type, count } = field
  const one = (item: unknown): unknown => {
    const structure = structures[type]
    return structure === undefined ? item ?? zeros[type] : complete(structure, isRecord(item) ? item : {}, structures)
  }
  if (count === null) return one(value)
  return Array.isArray(value) ? value.map(one) : Array.from({ length: typeof count === 'number' ? count : 0 }, () => one(undefined))
}

const zeros: Readonly<Record<string, unknown>> = { u8: 0, u16: 0, u32: 0, i32: 0, f64: 0, u64: 0n, bool: false, ip4: '0.0.0.0', ip6: '::', mac: '00:00:00:00:00:00', address: '0.0.0.0', prefix: '0.0.0.0/0', string: '' }
