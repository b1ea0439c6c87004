/**
 * What a reader has of a watch, message by message: a commit, or the end of a snapshot, makes steps from what it had to what it has. A snapshot replaces what was
 * there only when it is whole, and what it lacks is gone. Pure.
 */
import type { BeginReason, Delete, Put, WatchMessage } from '../lib/watch/messages.js'
import { ProtocolError } from './errors.js'
import { frozen } from './frozen.js'

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

/** Another reader's: which creation that was is not known. */
const UNKNOWN = 0

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => a < b ? -1 : 1

/** Where a stream is, in the order of messages.ts: closed -> greeted -> snapshot -> whole -> live, or closed -> resuming -> resumed -> live. */
type Stage = 'closed' | 'greeted' | 'snapshot' | 'whole' | 'resuming' | 'resumed' | 'live'

const allowed: Readonly<Record<WatchMessage<unknown>['kind'], readonly Stage[]>> = {
  hello: ['closed'], begin: ['greeted'], put: ['snapshot', 'resuming', 'live'], delete: ['snapshot', 'resuming', 'live'], commit: ['snapshot', 'resuming', 'live'], synced: ['whole', 'resumed'], progress: ['live']
}

export class Replica<V> {
  private readonly held = new Map<string, Held<V>>()
  private stage: Stage = 'closed'
  private epoch = ''
  /** Of `held`: another epoch's revisions say nothing about its objects. */
  private heldEpoch = ''
  /** Of the last commit or progress, here and in this stream: they differ while a snapshot is on its way. */
  private revision = 0
  private told = 0
  /** Since then; of a snapshot all of it. */
  private staged = new Map<string, Held<V> | null>()
  private reason: BeginReason = 'initial'
  /** Of a snapshot that is whole, until the stream says so. */
  private end: Position | null = null
  /** Of `revision`; '': nothing is known. */
  token = ''

  /** What another reader had when it finished the batch of this token. */
  seed (token: string, held: ReadonlyMap<string, V>): void {
    this.token = token
    for (const [key, value] of held) this.held.set(key, { value, rev: 0, createdRev: UNKNOWN })
  }

  /** A new stream: what was not committed is dropped. */
  reopen (): void {
    this.stage = 'closed'
    this.end = null
    this.staged.clear()
    this.told = 0
  }

  /** Nothing is known of the server's position: the next stream begins anew. What is held stays until that is whole. */
  doubt (): void {
    this.reopen()
    this.token = ''
  }

  /** A commit when this message completes one. @throws ProtocolError */
  take (message: WatchMessage<V>): Commit<V> | null {
    if (!allowed[message.kind].includes(this.stage)) throw new ProtocolError(`${message.kind} in a stream that is ${this.stage}`)
    switch (message.kind) {
      case 'hello': return this.hello(message)
      case 'begin':
        this.stage = 'snapshot'
        this.reason = message.reason
        return null
      case 'put':
      case 'delete': return this.change(message)
      case 'commit': return this.commit(message)
      case 'synced': return this.synced()
      case 'progress':
        if (this.staged.size > 0) throw new ProtocolError('progress before its changes')
        this.stand(message)
        return null
    }
  }

  private hello ({ epoch, resumed, rev }: { readonly epoch: string, readonly resumed: boolean, readonly rev: number }): null {
    const elsewhere = this.epoch !== '' && (epoch !== this.epoch || rev !== this.revision)
    if (resumed && (this.token === '' || elsewhere)) throw new ProtocolError('resumed what was never there')
    this.stage = resumed ? 'resuming' : 'greeted'
    this.epoch = epoch
    if (!resumed) return null
    this.told = this.revision = rev
    this.heldEpoch = epoch
    return null
  }

  private change (message: Put<V> | Delete): null {
    const { key, rev } = message
    const known = this.stage === 'snapshot' ? undefined : this.staged.get(key) ?? this.held.get(key)
    const before = this.stage !== 'snapshot' && (rev <= this.revision || (known !== undefined && rev < known.rev)) // told before
    if (!before) this.staged.set(key, message.kind === 'delete' ? null : { value: frozen(message.value), rev, createdRev: message.createdRev })
    return null
  }

  private commit (position: Position): Commit<V> | null {
    if (this.stage === 'snapshot') {
      this.stage = 'whole'
      for (const key of this.held.keys()) if (!this.staged.has(key)) this.staged.set(key, null)
      this.end = position
      return null
    }
    const cause = this.stage === 'resuming' ? 'resumed' : null
    if (cause !== null) this.stage = 'resumed'
    this.stand(position)
    return { steps: this.apply(), revision: this.revision, cause }
  }

  private synced (): Commit<V> | null {
    const { end } = this
    this.stage = 'live'
    this.end = null
    if (end === null) return null
    this.stand(end)
    return { steps: this.apply(), revision: this.revision, cause: this.reason }
  }

  /** @throws ProtocolError for a reader that is not where this continues */
  private stand ({ rev, prev, token }: Position): void {
    if (prev !== this.told) throw new ProtocolError(`it continues ${prev}, at ${this.told}`)
    this.told = this.revision = rev
    this.token = token
  }

  private apply (): Array<Step<V>> {
    const steps: Array<Step<V>> = []
    const comparable = this.heldEpoch === this.epoch // revisions of both are of one epoch
    for (const [key, next] of [...this.staged].sort(byKey)) {
      const prev = this.held.get(key) ?? null
      if (next === null) this.held.delete(key)
      else this.held.set(key, next)
      const same = comparable && prev !== null && next !== null && prev.rev === next.rev
      if (!same && (prev !== null || next !== null)) steps.push({ key, prev, next, again: comparable && prev !== null && next !== null && prev.createdRev !== UNKNOWN && prev.createdRev !== next.createdRev })
    }
    this.heldEpoch = this.epoch
    this.staged = new Map()
    return steps
  }
}

interface Position { readonly rev: number, readonly prev: number, readonly token: string }
