/**
 * One reader of a collection: what it has not been told of, by key. A cut is everything that is pending at one moment, so whoever applies it up to its commit has
 * what the collection had then; what changes while a cut is on its way is the next one.
 */
import type { Collection } from './collection.js'
import type { WatchMessage } from './messages.js'
import { formatToken, parseToken } from './token.js'

export interface SubscriptionOptions {
  /** Only these; `null`: all. */
  readonly keys: ReadonlySet<string> | null
  /** What was asked for, as text. */
  readonly scope: string
  /** Where the reader stands; '': nowhere. */
  readonly token: string
  /** Something is pending that was not. */
  readonly onPending: () => void
}

export class Subscription<V> {
  private readonly pending = new Set<string>()
  private readonly unlisten: () => void
  /** Of the last commit or progress told. */
  private told = 0
  private opened = false

  constructor (private readonly of: Collection<V>, private readonly o: SubscriptionOptions) {
    this.unlisten = of.listen((keys) => {
      const before = this.pending.size
      for (const key of keys) if (this.wants(key)) this.pending.add(key)
      if (before === 0 && this.pending.size > 0) o.onPending()
    })
  }

  /** Of the last commit or progress that the reader was told. */
  get at (): number { return this.told }
  /** Keys that it was not told of yet. */
  get lag (): number { return this.pending.size }
  get ready (): boolean { return !this.opened || this.pending.size > 0 }

  /** What is pending now, whole; nothing when nothing is. */
  cut (): Array<WatchMessage<V>> {
    if (this.opened) return this.pending.size === 0 ? [] : [...this.changes(), this.position('commit')]
    this.opened = true
    const from = this.o.token === '' ? null : parseToken(this.o.token, { epoch: this.of.epoch, scope: this.o.scope })
    const missed = from?.matches === true ? this.of.since(from.rev) : null
    this.pending.clear()
    if (from !== null && missed !== null) {
      this.told = from.rev
      for (const key of missed) if (this.wants(key)) this.pending.add(key)
      return [{ kind: 'hello', epoch: this.of.epoch, resumed: true, rev: from.rev }, ...this.changes(), this.position('commit'), { kind: 'synced' }]
    }
    for (const key of this.of.keys()) if (this.wants(key)) this.pending.add(key)
    const reason = this.o.token === '' ? 'initial' : from?.matches === true ? 'expired' : 'epoch'
    return [{ kind: 'hello', epoch: this.of.epoch, resumed: false, rev: 0 }, { kind: 'begin', reason }, ...this.changes(), this.position('commit'), { kind: 'synced' }]
  }

  /** For a reader that has been told everything: that it has. @throws when it has not */
  progress (): WatchMessage<V> {
    if (this.ready) throw new Error('a progress mark would overtake a change')
    return this.position('progress')
  }

  close (): void { this.unlisten() }

  private wants (key: string): boolean { return this.o.keys === null || this.o.keys.has(key) }

  private changes (): Array<WatchMessage<V>> {
    const out: Array<WatchMessage<V>> = []
    const gone: Array<WatchMessage<V>> = []
    for (const key of [...this.pending].sort()) {
      const entry = this.of.get(key)
      if (entry === undefined) gone.push({ kind: 'delete', key, rev: this.of.rev })
      else out.push({ kind: 'put', key, ...entry })
    }
    this.pending.clear()
    return [...out, ...gone]
  }

  private position (kind: 'commit' | 'progress'): WatchMessage<V> {
    const prev = this.told
    this.told = this.of.rev
    return { kind, rev: this.of.rev, prev, token: formatToken({ epoch: this.of.epoch, rev: this.of.rev, scope: this.o.scope }) }
  }
}
