/** Names of ours from whatever a source calls a thing: allowed characters, no two alike. */
import { namePattern } from '../schema/common.js'

const allowed = new RegExp(namePattern)

export class Names {
  private readonly taken: Set<string>
  /** The number that a base was last given. */
  private readonly last = new Map<string, number>()

  constructor (reserved: readonly string[] = []) { this.taken = new Set(reserved) }

  make (wanted: string): string {
    const base = cleanName(wanted)
    let name = base
    for (let n = this.last.get(base) ?? 2; this.taken.has(name); n++) {
      name = `${base.slice(0, 56)}-${n}`
      this.last.set(base, n)
    }
    this.taken.add(name)
    return name
  }
}

/** The nearest allowed name. */
export function cleanName (wanted: string): string {
  const text = wanted.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 63)
  return allowed.test(text) ? text : `x-${text}`.slice(0, 63)
}
