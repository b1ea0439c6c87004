/** What every builder shares: where issues go, places in the file, lookups of names. A builder returns the sound part and never throws. */
import { many, type Many } from '../raw.js'
import { nearest, oneOf, pointer, pointerKeys, type IssueCode, type Issues } from '../issues.js'
import { namesIn, type Shape } from '../shape.js'

/** Facts of the host that fill defaults. */
export interface HostDefaults { readonly node: string, readonly stateDir: string, readonly socketPath: string }

export class Build {
  constructor (
    private readonly issues: Issues,
    private readonly shape: Shape,
    /** The file as it is, wrong values included. */
    private readonly whole: unknown,
    /** Place in the file of a path of the merged configuration (overlays of nodes). */
    private readonly origin: (path: string) => string = path => path
  ) {}

  issue (path: string, code: IssueCode, message: string, found: unknown, expected: string): void {
    this.issues.add(this.origin(path), code, message, found, expected)
  }

  warn (path: string, message: string): void { this.issues.warn(this.origin(path), message) }

  /** Items of a value that may be one or many, each with its place. */
  each<T> (path: string, value: Many<T> | undefined): Array<readonly [string, T]> {
    if (value === undefined) return []
    if (!Array.isArray(value)) return [[path, value as T]]
    return many(value).map((item, i) => [pointer(path, this.shape.index(value, i)), item])
  }

  /** True when `name` is known. Otherwise an issue, unless the file has it and it was wrong itself. */
  refers (path: string, what: string, section: string, name: string, known: { has: (name: string) => boolean, keys: () => Iterable<string> }): boolean {
    if (known.has(name)) return true
    if (namesIn(this.whole, section).has(name)) return false
    const names = [...known.keys()]
    const near = nearest(name, names)
    this.issue(path, 'LS_C_REFERENCE', near === null ? `no such ${what}` : `no such ${what}; did you mean ${near}?`, name, oneOf(names))
    return false
  }

  /** Issues for second and later uses of one name. */
  unique (what: string): (path: string, name: string) => boolean {
    const seen = new Map<string, string>()
    return (path, name) => {
      const first = seen.get(name)
      if (first === undefined) seen.set(name, path)
      else this.issue(path, 'LS_C_DUPLICATE', `two ${what} have one name`, name, `a name that ${this.origin(first)} does not have`)
      return first === undefined
    }
  }

  /** One issue when there are more than `max`. */
  limit (path: string, what: string, count: number, max: number, constant: string): void {
    if (count > max) this.issue(path, 'LS_C_LIMIT', `too many ${what}`, count, `at most ${max} (${constant})`)
  }

  /** The raw value at a place of the file, for messages. */
  raw (path: string): unknown {
    return pointerKeys(this.origin(path)).reduce<unknown>((node, key) => node !== null && typeof node === 'object' ? (node as Readonly<Record<string, unknown>>)[key] : undefined, this.whole)
  }
}

export const entries = <T>(map: Readonly<Record<string, T>> | undefined): Array<[string, T]> => map === undefined ? [] : Object.entries(map)
