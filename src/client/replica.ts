/**
 * What a reader has of a watch, message by message: a commit, or the end of a snapshot, makes a batch of changes. A snapshot replaces what was there only when
 * it is whole, and what it lacks is told as removed. Pure.
 */
import type { BeginReason, WatchMessage } from '../lib/watch/messages.js'
import { ProtocolError } from './errors.js'

/** Of a key, before and after. `again`: it is another object of that name. */
export interface Step<V> { readonly key: string, readonly prev: Held<V> | null, readonly next: Held<V> | null, readonly again: boolean }

export interface Commit<V> {
  /** By key. */
  readonly steps: ReadonlyArray<Step<V>>
  /** The reader has everything that there was at this revision. */
  readonly revision: number
  /** Of a new snapshot, and why; `null`: what changed. */
  readonly cause: BeginReason | 'resumed' | null
}

export interface Held<V> { readonly value: V, readonly rev: number, readonly createdRev: number }

const UNKNOWN = 0

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => a < b ? -1 : 1

export class Replica<V> {
  private readonly held = new Map<string, Held<V>>()
  private epoch = ''
  /** Of `held`: another epoch's revisions say nothing about its objects. */
  private heldEpoch = ''
  private revision = 0
  /** Where the next commit continues; 0: the stream has had none. */
  private told = 0
  private staged = new Map<string, Held<V> | null>()
  private snapshot: { readonly reason: BeginReason, readonly found: Map<string, Held<V>>, end: { readonly rev: number, readonly token: string } | null } | null = null
  private opened = false
  /** The stream has said where it begins. */
  private live = false
  private resuming: 'no' | 'begun' | 'committed' = 'no'
  /** Of the last commit or progress. */
  token = ''
  /** The reader has had a whole snapshot. */
  synced = false

  /** What another reader had when it finished the batch of this token. Which creation of an object that was is not known. */
  seed (token: string, held: ReadonlyMap<string, V>): void {
    this.token = token
    for (const [key, value] of held) this.held.set(key, { value, rev: 0, createdRev: UNKNOWN })
  }

  /** A new stream: what was not committed is dropped. */
  reopen (): void {
    this.staged.clear()
    this.snapshot = null
    this.opened = false
    this.live = false
    this.resuming = 'no'
    this.told = 0
  }

  /** Nothing is known of the server's position: the next stream begins anew. What is held stays until that is whole. */
  doubt (): void {
    this.reopen()
    this.token = ''
  }

  /** A commit when this message completes one. @throws ProtocolError */
  take (message: WatchMessage<V>): Commit<V> | null {
    if (!this.opened && message.kind !== 'hello') throw new ProtocolError(`${message.kind} before hello`)
    switch (message.kind) {
      case 'hello': return this.hello(message)
      case 'begin': return this.begin(message.reason)
      case 'put': return this.stage(message.key, message.rev, { value: message.value, rev: message.rev, createdRev: message.createdRev })
      case 'delete': return this.stage(message.key, message.rev, null)
      case 'commit': return this.commit(message)
      case 'synced': return this.sync()
      case 'progress': return this.progress(message)
    }
  }

  private hello ({ epoch, resumed, rev }: { readonly epoch: string, readonly resumed: boolean, readonly rev: number }): null {
    if (this.opened) throw new ProtocolError('hello twice')
    const elsewhere = this.epoch !== '' && (epoch !== this.epoch || rev !== this.revision)
    if (resumed && (this.token === '' || elsewhere)) throw new ProtocolError('resumed what was never there')
    this.opened = true
    this.epoch = epoch
    if (resumed) {
      this.resuming = 'begun'
      this.live = true
      this.synced = true
      this.told = this.revision = rev
      this.heldEpoch = epoch
    }
    return null
  }

  private begin (reason: BeginReason): null {
    if (this.resuming !== 'no' || this.snapshot !== null) throw new ProtocolError('begin in the middle')
    this.staged.clear()
    this.snapshot = { reason, found: new Map(), end: null }
    return null
  }

  private stage (key: string, rev: number, held: Held<V> | null): null {
    if (this.snapshot !== null) {
      if (this.snapshot.end !== null) throw new ProtocolError('a change between commit and synced')
      if (held === null) this.snapshot.found.delete(key)
      else this.snapshot.found.set(key, held)
      return null
    }
    this.following()
    const known = this.staged.get(key) ?? this.held.get(key)
    if (rev <= this.revision || (known !== undefined && rev < known.rev)) return null // told before
    this.staged.set(key, held)
    return null
  }

  private commit ({ rev, prev, token }: { readonly rev: number, readonly prev: number, readonly token: string }): Commit<V> | null {
    if (prev !== this.told) throw new ProtocolError(`a commit that continues ${prev}, at ${this.told}`)
    this.told = rev
    if (this.snapshot !== null) {
      if (this.snapshot.end !== null) throw new ProtocolError('a snapshot ends twice')
      this.snapshot = { ...this.snapshot, end: { rev, token } }
      return null
    }
    this.following()
    const cause = this.resuming === 'begun' ? 'resumed' : null
    if (cause !== null) this.resuming = 'committed'
    const steps = this.apply(this.staged, true)
    this.staged = new Map()
    this.stand(rev, token)
    return { steps, revision: rev, cause }
  }

  private sync (): Commit<V> | null {
    if (this.resuming === 'committed') {
      this.resuming = 'no'
      return null
    }
    const { snapshot } = this
    if (snapshot === null || snapshot.end === null) throw new ProtocolError('synced without a snapshot')
    this.snapshot = null
    const next = new Map<string, Held<V> | null>(snapshot.found)
    for (const key of this.held.keys()) if (!next.has(key)) next.set(key, null)
    const steps = this.apply(next, this.heldEpoch === this.epoch)
    this.heldEpoch = this.epoch
    this.synced = true
    this.live = true
    this.stand(snapshot.end.rev, snapshot.end.token)
    return { steps, revision: this.revision, cause: snapshot.reason }
  }

  private progress ({ rev, prev, token }: { readonly rev: number, readonly prev: number, readonly token: string }): null {
    this.following()
    if (prev !== this.told) throw new ProtocolError(`progress that continues ${prev}, at ${this.told}`)
    if (this.staged.size > 0 || this.resuming === 'begun') throw new ProtocolError('progress before its changes')
    this.told = rev
    this.stand(rev, token)
    return null
  }

  private stand (rev: number, token: string): void {
    this.revision = rev
    this.token = token
  }

  /** @throws ProtocolError in a stream that neither resumed nor began */
  private following (): void {
    if (!this.live) throw new ProtocolError('a change before there is a snapshot')
  }

  /** `comparable`: revisions of both have one epoch. */
  private apply (next: ReadonlyMap<string, Held<V> | null>, comparable: boolean): Array<Step<V>> {
    const steps: Array<Step<V>> = []
    for (const [key, now] of [...next].sort(byKey)) {
      const prev = this.held.get(key) ?? null
      if (now === null) this.held.delete(key)
      else this.held.set(key, now)
      const same = comparable && prev !== null && now !== null && prev.rev === now.rev
      if (!same && (prev !== null || now !== null)) steps.push({ key, prev, next: now, again: comparable && prev !== null && now !== null && prev.createdRev !== UNKNOWN && prev.createdRev !== now.createdRev })
    }
    return steps
  }
}
