/** Sessions by both of their ends: VPP translates an inside in one way at a time, and gives an outside to one at a time. */
import { haInsideOf, haKeyOf, type HaEvent } from './ha-wire.js'
import type { Held } from './table.js'

const insideOf = (event: HaEvent): string => haInsideOf(event) ?? haKeyOf(event)

export class SessionBook {
  private readonly outside = new Map<string, Held>()
  private readonly inside = new Map<string, Held>()

  constructor (all: Iterable<Held> = []) { for (const held of all) this.set(held) }

  [Symbol.iterator] (): IterableIterator<[string, Held]> { return this.outside[Symbol.iterator]() }
  has (key: string): boolean { return this.outside.has(key) }
  get size (): number { return this.outside.size }
  /** By its outside, haKeyOf(). */
  get (key: string): Held | undefined { return this.outside.get(key) }
  /** Of the same inside, translated otherwise. */
  rivalOf (event: HaEvent): Held | undefined {
    const held = this.inside.get(insideOf(event))
    return held === undefined || haKeyOf(held.event) === haKeyOf(event) ? undefined : held
  }

  set (held: Held): void {
    this.outside.set(haKeyOf(held.event), held)
    this.inside.set(insideOf(held.event), held)
  }

  delete ({ event }: Pick<Held, 'event'>): void {
    const [outside, inside] = [haKeyOf(event), insideOf(event)]
    this.outside.delete(outside)
    const there = this.inside.get(inside)
    if (there !== undefined && haKeyOf(there.event) === outside) this.inside.delete(inside)
  }
}
