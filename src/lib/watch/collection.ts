/**
 * Objects by key with one revision for each change of them, and which keys changed of late: what watches read. Whoever writes never waits for a reader, and a
 * reader costs one entry for each key that it has not been told of (subscription.ts), however often that changes. Entries are never edited.
 */

export interface Entry<V> { readonly value: V, readonly rev: number, readonly createdRev: number }

export interface CollectionOptions<V> {
  /** Differs between any two collections whose revisions have nothing in common. */
  readonly epoch: string
  readonly equals: (a: V, b: V) => boolean
  readonly nowMs: () => number
  /** Changes that are remembered, and for how long. */
  readonly historyMax?: number
  readonly historyMs?: number
}

interface Change { readonly rev: number, readonly keys: readonly string[], readonly atMs: number }

const HISTORY_MAX = 4096
const HISTORY_MS = 600_000

export class Collection<V> {
  readonly epoch: string
  private readonly entries = new Map<string, Entry<V>>()
  private history: Change[] = []
  private remembered = 0
  private revision = 0
  /** Changes up to this revision are forgotten. */
  private forgotten = 0
  private readonly listeners = new Set<(keys: readonly string[]) => void>()

  constructor (private readonly o: CollectionOptions<V>) { this.epoch = o.epoch }

  /** Of the last change; 0: there was none. */
  get rev (): number { return this.revision }
  get (key: string): Entry<V> | undefined { return this.entries.get(key) }
  keys (): IterableIterator<string> { return this.entries.keys() }

  /** These are all, from now on: one revision for whatever differs, none when nothing does. */
  replace (next: ReadonlyMap<string, V>): void {
    this.change(next, [...this.entries.keys()].filter(key => !next.has(key)))
  }

  /** One revision. What is equal to what is there is no change. A key in both is deleted. */
  change (puts: ReadonlyMap<string, V>, deletes: Iterable<string> = []): void {
    const rev = this.revision + 1
    const gone = new Set(deletes)
    const changed: string[] = []
    for (const [key, value] of puts) {
      if (gone.has(key)) continue
      const before = this.entries.get(key)
      if (before !== undefined && this.o.equals(before.value, value)) continue
      this.entries.set(key, { value, rev, createdRev: before?.createdRev ?? rev })
      changed.push(key)
    }
    for (const key of gone) if (this.entries.delete(key)) changed.push(key)
    if (changed.length === 0) return
    this.revision = rev
    this.history.push({ rev, keys: changed, atMs: this.o.nowMs() })
    this.remembered += changed.length
    this.forget()
    for (const listener of [...this.listeners]) listener(changed)
  }

  /** Keys that changed behind this revision; `null`: the history does not reach back to it. */
  since (rev: number): Set<string> | null {
    this.forget()
    if (rev < this.forgotten || rev > this.revision) return null
    return new Set(this.history.filter(change => change.rev > rev).flatMap(({ keys }) => keys))
  }

  /** Calls back for each change; what it returns ends that. */
  listen (listener: (keys: readonly string[]) => void): () => void {
    this.listeners.add(listener)
    return () => { this.listeners.delete(listener) }
  }

  private forget (): void {
    const { historyMax = HISTORY_MAX, historyMs = HISTORY_MS } = this.o
    const old = this.o.nowMs() - historyMs
    let drop = 0
    for (const { keys, atMs, rev } of this.history) {
      if (this.remembered <= historyMax && atMs >= old) break
      this.remembered -= keys.length
      this.forgotten = rev
      drop++
    }
    if (drop > 0) this.history = this.history.slice(drop)
  }
}
