/** A map of a YAML source, read key by key in whatever spelling: `fast-interval`, `fast_interval`. What nobody reads is listed. */
import { pointer, type Locate } from '../issues.js'
import type { Notes } from './notes.js'

export interface YamlSource { readonly notes: Notes, readonly locate: Locate }

export interface Field { readonly path: string, readonly key: string, readonly value: unknown }

const spelling = (key: string): string => key.toLowerCase().replaceAll('_', '-')

/** One line, at most 120 characters. */
function shown (value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value) ?? ''
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

export class Fields {
  private readonly taken = new Set<string>()
  private readonly keys: ReadonlyMap<string, string>
  private readonly values: Readonly<Record<string, unknown>>

  constructor (readonly source: YamlSource, readonly path: string, value: unknown) {
    this.values = isMap(value) ? value : {}
    this.keys = new Map(Object.keys(this.values).map(key => [spelling(key), key]))
  }

  /** The first of the spellings that is there with a value. */
  field (...names: readonly string[]): Field | null {
    for (const name of names) {
      const key = this.keys.get(name)
      if (key === undefined) continue
      this.taken.add(key)
      if (this.values[key] !== null && this.values[key] !== undefined) return { path: pointer(this.path, key), key, value: this.values[key] }
    }
    return null
  }

  note (field: Field, reason: string): void {
    this.source.notes.add(this.source.locate(field.path)?.line ?? null, `${field.key}: ${shown(field.value)}`, reason)
  }

  text (...names: readonly string[]): string | null {
    const field = this.field(...names)
    if (field === null || typeof field.value === 'string') return field === null || field.value === '' ? null : field.value as string
    if (typeof field.value === 'number') return String(field.value)
    return this.odd(field, 'text')
  }

  integer (from: number, to: number, ...names: readonly string[]): number | null {
    const field = this.field(...names)
    const value = typeof field?.value === 'string' && /^\d{1,9}$/.test(field.value) ? Number(field.value) : field?.value
    if (field === null) return null
    if (typeof value !== 'number' || !Number.isInteger(value)) return this.odd(field, 'a whole number')
    if (value >= from && value <= to) return value
    this.note(field, `ours is ${from} to ${to}; left out`)
    return null
  }

  flag (...names: readonly string[]): boolean | null {
    const field = this.field(...names)
    return field === null ? null : typeof field.value === 'boolean' ? field.value : this.odd(field, 'true or false')
  }

  /** The entries of a map, in order; each by itself. */
  entries (...names: readonly string[]): Field[] {
    const field = this.field(...names)
    if (field === null) return []
    if (isMap(field.value)) return Object.entries(field.value).map(([key, value]) => ({ path: pointer(field.path, key), key, value }))
    this.odd(field, 'keys')
    return []
  }

  items (...names: readonly string[]): Field[] {
    const field = this.field(...names)
    if (field === null) return []
    if (Array.isArray(field.value)) return field.value.map((value: unknown, i) => ({ path: pointer(field.path, i), key: `${field.key}[${i}]`, value }))
    this.odd(field, 'a list')
    return []
  }

  map (...names: readonly string[]): Fields {
    const field = this.field(...names)
    if (field !== null && !isMap(field.value)) this.odd(field, 'keys')
    return new Fields(this.source, field?.path ?? this.path, field?.value)
  }

  odd (field: Field, expected: string): null {
    this.note(field, `not ${expected}; left out`)
    return null
  }

  /** Lists what nobody read; the reasons are by spelling. */
  rest (reasons: ReadonlyMap<string, string>, otherwise = 'not a key that this import knows; nothing of it is carried'): void {
    for (const [name, key] of this.keys) {
      if (!this.taken.has(key)) this.note({ path: pointer(this.path, key), key, value: this.values[key] }, reasons.get(name) ?? otherwise)
    }
  }
}

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
