/**
 * A watch as batches of changes, over connections that break: it resumes where it stood, and after a gap that cannot be filled what is held stays in force until
 * the new snapshot is whole. Pull based: nothing is read ahead beyond one message. A batch is finished when the next one is asked for; `token` resumes behind it.
 */
import { isDeepStrictEqual } from 'node:util'
import { causeOf } from '../lib/cause-of.js'
import { backOff } from '../lib/back-off.js'
import type { BeginReason, WatchMessage } from '../lib/watch/messages.js'
import { defaultBackoff, systemClock, type Backoff, type Clock } from './clock.js'
import { ProtocolError, WatchRefused } from './errors.js'
import { Replica, type Commit } from './replica.js'
import { orStalled, STALL_MS } from './stall.js'
import { View, type Change } from './view.js'

/** Opens a stream from where a token says; '': from the beginning. Ends or throws as connections do; WatchRefused: asking again is of no use. */
export type Open<V> = (token: string, signal: AbortSignal) => AsyncIterable<ReadonlyArray<WatchMessage<V>>>

export interface Batch<V> {
  /** What is there by key, then what went by key; an object that went and came back under its name is removed and then added. */
  readonly changes: ReadonlyArray<Change<V>>
  readonly revision: number
  /** `initial`: the first, which has everything. Why there was a new snapshot, or that the history filled the gap; `null`: what changed. */
  readonly cause: BeginReason | 'resumed' | null
  /** Resumes behind this batch. */
  readonly token: string
}

export interface WatchOptions<V> {
  readonly signal?: AbortSignal
  /** Where another watch of the same stopped, in this process or another: the token of a batch that was finished, and what there was then. */
  readonly resume?: { readonly token: string, readonly held: ReadonlyMap<string, V> }
  readonly filter?: (value: V, key: string) => boolean
  /** What is equal is no update; default: deep equality. */
  readonly equals?: (a: V, b: V) => boolean
  /** A server says something every 15 s. */
  readonly stallMs?: number
  readonly backoff?: Backoff
  readonly clock?: Clock
}

export interface WatchStatus {
  readonly state: 'connecting' | 'snapshot' | 'live' | 'waiting' | 'over'
  readonly revision: number
  /** Of the clock; -Infinity: never. Of a change, and of anything at all. */
  readonly lastEventAt: number
  readonly lastMessageAt: number
  /** Snapshots by reason, and connections that were opened. */
  readonly snapshots: Readonly<Record<BeginReason, number>>
  readonly connections: number
  /** Why the last connection ended; '': it stands, or ended well. */
  readonly problem: string
}

/** `for await (const batch of watch(connection.open('vip'), { signal }))`: runs until the signal fires, whose reason it throws; `break` ends it quietly. @throws WatchRefused */
export const watch = <V>(open: Open<V>, options: WatchOptions<V> = {}): Watch<V> => new Watch(open, options)

export class Watch<V> implements AsyncIterableIterator<Batch<V>> {
  private readonly replica = new Replica<V>()
  private readonly view: View<V>
  private readonly over = new AbortController()
  private readonly signal: AbortSignal
  private readonly clock: Clock
  private readonly backoff: Backoff
  private stream: AsyncIterator<ReadonlyArray<WatchMessage<V>>> | null = null
  private closeStream: AbortController | null = null
  private openedAt = 0
  private failures = 0
  private queue: ReadonlyArray<WatchMessage<V>> = []
  private at = 0
  private turn: Promise<unknown> = Promise.resolve()
  private finished: string
  private given: string | null = null
  private begun = false
  private state: { -readonly [K in keyof WatchStatus]: WatchStatus[K] } = { state: 'connecting', revision: 0, lastEventAt: -Infinity, lastMessageAt: -Infinity, snapshots: { initial: 0, expired: 0, epoch: 0 }, connections: 0, problem: '' }

  constructor (private readonly open: Open<V>, private readonly o: WatchOptions<V> = {}) {
    this.view = new View({ filter: o.filter ?? (() => true), equals: o.equals ?? isDeepStrictEqual })
    this.signal = o.signal === undefined ? this.over.signal : AbortSignal.any([this.over.signal, o.signal])
    this.clock = o.clock ?? systemClock
    this.backoff = o.backoff ?? defaultBackoff
    this.finished = o.resume?.token ?? ''
    if (o.resume !== undefined) {
      this.replica.seed(o.resume.token, o.resume.held)
      this.view.seed(o.resume.held)
    }
  }

  get status (): WatchStatus { return { ...this.state } }
  /** Resumes behind the last batch that was finished; '': none was. */
  get token (): string { return this.finished }
  /** What there is, as of the last commit, also where that was no batch; what was given stays as it is. */
  current (): ReadonlyMap<string, V> { return this.view.current() }

  [Symbol.asyncIterator] (): this { return this }

  /** One after the other, however many ask. @throws the reason of the signal; WatchRefused */
  async next (): Promise<IteratorResult<Batch<V>, undefined>> {
    if (this.given !== null) this.finished = this.given
    this.given = null
    const before = this.turn
    const mine = (async () => { await before; return await this.pull() })()
    this.turn = mine.catch(() => undefined)
    return await mine
  }

  /** Ends it quietly: whoever waits for a batch is told that there is none. */
  async return (): Promise<IteratorResult<Batch<V>, undefined>> {
    this.end()
    await this.turn
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose] (): Promise<void> { await this.return() }

  private end (): void {
    this.over.abort(new Error('the watch is over'))
    this.drop()
    this.state.state = 'over'
  }

  private async pull (): Promise<IteratorResult<Batch<V>, undefined>> {
    for (;;) {
      if (this.over.signal.aborted) return { done: true, value: undefined }
      if (this.signal.aborted) return this.aborted()
      try {
        const commit = await this.advance()
        if (this.signal.aborted) continue
        const batch = this.batchOf(commit)
        if (batch === null) continue
        this.given = batch.token
        return { done: false, value: batch }
      } catch (error) {
        if (this.signal.aborted) continue
        if (error instanceof WatchRefused) {
          this.end()
          throw error
        }
        await this.failed(error)
      }
    }
  }

  private aborted (): never {
    const { signal } = this
    this.end()
    signal.throwIfAborted()
    throw new Error('it was aborted')
  }

  /** `null`: nothing that its reader would see. The first snapshot is one, however empty. */
  private batchOf (commit: Commit<V>): Batch<V> | null {
    const { revision, cause } = commit
    const changes = this.view.apply(commit)
    this.state.revision = revision
    this.state.state = 'live'
    const first = !this.begun
    this.begun = true
    return changes.length > 0 || first ? { changes, revision, cause, token: this.replica.token } : null
  }

  /** The next commit. @throws whatever ends the stream */
  private async advance (): Promise<Commit<V>> {
    for (;;) {
      while (this.at < this.queue.length) {
        const message = this.queue[this.at++]
        if (message === undefined) continue
        this.note(message)
        const commit = this.replica.take(message)
        if (commit !== null) return commit
      }
      this.queue = await this.receive()
      this.at = 0
      this.state.lastMessageAt = this.clock.nowMs()
    }
  }

  private note (message: WatchMessage<V>): void {
    this.state.problem = ''
    if (message.kind === 'begin') {
      this.state.snapshots = { ...this.state.snapshots, [message.reason]: this.state.snapshots[message.reason] + 1 }
      this.state.state = 'snapshot'
    } else if (message.kind === 'put' || message.kind === 'delete') this.state.lastEventAt = this.clock.nowMs()
    else if (message.kind === 'progress') this.state.revision = message.rev
  }

  private async receive (): Promise<ReadonlyArray<WatchMessage<V>>> {
    const stream = this.stream ?? this.connect()
    const step: IteratorResult<ReadonlyArray<WatchMessage<V>>, unknown> = await orStalled(stream.next(), { clock: this.clock, stallMs: this.o.stallMs ?? STALL_MS, signal: this.signal })
    if (step.done === true) throw new StreamEnd()
    return step.value
  }

  private connect (): AsyncIterator<ReadonlyArray<WatchMessage<V>>> {
    this.state.state = 'connecting'
    this.state.connections++
    this.replica.reopen()
    this.openedAt = this.clock.nowMs()
    this.closeStream = new AbortController()
    this.stream = this.open(this.replica.token, AbortSignal.any([this.closeStream.signal, this.signal]))[Symbol.asyncIterator]()
    return this.stream
  }

  /** The next connection waits, longer with each one that did not last. */
  private async failed (error: unknown): Promise<void> {
    const lasted = this.clock.nowMs() - this.openedAt
    this.state.problem = error instanceof StreamEnd ? '' : causeOf(error)
    if (error instanceof ProtocolError) this.replica.doubt()
    this.drop()
    if (lasted >= this.backoff.healthyMs) this.failures = 0
    this.state.state = 'waiting'
    await this.clock.sleep(backOff(this.backoff, this.failures++, this.clock.random()), this.signal).catch(() => undefined)
  }

  private drop (): void {
    this.closeStream?.abort(new Error('the watch goes on elsewhere'))
    void this.stream?.return?.().catch(() => undefined)
    this.stream = null
    this.queue = []
    this.at = 0
  }
}

class StreamEnd extends Error {}
