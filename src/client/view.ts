/** What of the objects a reader asked for, and what of their changes is one to it. Pure. */
import type { Commit, Step } from './replica.js'

export type Change<V> =
  | { readonly kind: 'added', readonly key: string, readonly next: V }
  | { readonly kind: 'updated', readonly key: string, readonly prev: V, readonly next: V }
  /** `finalStateUnknown`: it went while nobody listened, so `prev` may be old. */
  | { readonly kind: 'removed', readonly key: string, readonly prev: V, readonly finalStateUnknown: boolean }

export interface ViewOptions<V> {
  readonly filter: (value: V, key: string) => boolean
  /** What is equal is no update. */
  readonly equals: (a: V, b: V) => boolean
}

export class View<V> {
  /** The newest of each that passed. */
  private shown = new Map<string, V>()
  /** Somebody keeps what `current` gave. */
  private lent = false

  constructor (private readonly o: ViewOptions<V>) {}

  /** What its reader has of before. */
  seed (held: ReadonlyMap<string, V>): void { for (const [key, value] of held) if (this.o.filter(value, key)) this.shown.set(key, value) }

  /** What was given stays as it is. */
  current (): ReadonlyMap<string, V> {
    this.lent = true
    return this.shown
  }

  /** What is there by key, then what went by key; an object that went and came back under its name is removed and then added. */
  apply ({ steps, cause }: Commit<V>): Array<Change<V>> {
    if (this.lent && steps.length > 0) this.shown = new Map(this.shown)
    this.lent = false
    const finalStateUnknown = cause !== null && cause !== 'resumed'
    const changes: Array<Change<V>> = []
    const removed: Array<Change<V>> = []
    for (const step of steps) this.step(step, finalStateUnknown, changes, removed)
    return [...changes, ...removed]
  }

  private step ({ key, next, again }: Step<V>, finalStateUnknown: boolean, changes: Array<Change<V>>, removed: Array<Change<V>>): void {
    const was = this.shown.has(key)
    const prev = this.shown.get(key) as V
    const is = next !== null && this.o.filter(next.value, key)
    if (!is) {
      if (was) removed.push({ kind: 'removed', key, prev, finalStateUnknown: finalStateUnknown && next === null })
      this.shown.delete(key)
      return
    }
    this.shown.set(key, next.value)
    if (was && again) changes.push({ kind: 'removed', key, prev, finalStateUnknown })
    if (!was || again) changes.push({ kind: 'added', key, next: next.value })
    else if (!this.o.equals(prev, next.value)) changes.push({ kind: 'updated', key, prev, next: next.value })
  }
}
