/**
 * A collection that is what somebody else has: read when something may have changed, and every second anyway, as long as anybody watches. Level-triggered: what a
 * read finds is the truth, whatever was told. While nobody watches nothing is read; who comes back later finds another epoch.
 */
import { randomBytes } from 'node:crypto'
import { LockstepError } from '../../contract/errors.js'
import { Collection } from '../../lib/watch/collection.js'

export interface SourceOptions<V> {
  /** All there is, by key. */
  readonly read: () => Promise<ReadonlyMap<string, V>>
  /** Calls back when something may have changed; what it returns ends that. */
  readonly hint?: (changed: () => void) => () => void
  readonly equals: (a: V, b: V) => boolean
  readonly onError: (error: unknown) => void
  readonly everyMs?: number
  readonly readMs?: number
  readonly idleMs?: number
}

const EVERY_MS = 1000
/** One that is not back then has failed. */
const READ_MS = 10_000
/** After a hint: more of them come together. */
const GATHER_MS = 20
/** Without watchers it is read for so long, so that one whose connection broke resumes. */
const IDLE_MS = 60_000

export interface Held<V> {
  readonly collection: Collection<V>
  /** Since it was last known to be so, ms. */
  readonly ageMs: () => number
  /** Once. */
  readonly release: () => void
}

export class Source<V> {
  private collection: Collection<V> | null = null
  private first: Promise<Collection<V>> | null = null
  private watchers = 0
  private timer: NodeJS.Timeout | null = null
  private idleSince = 0
  private reading = false
  private out: Promise<ReadonlyMap<string, V>> | null = null
  private outSince = 0
  private goodAt = 0
  private again = false
  private unhint: () => void = () => undefined

  constructor (private readonly o: SourceOptions<V>) {}

  /** With everything in it. @throws what the first read throws; unavailable LS_R_READ_TIME */
  async hold (): Promise<Held<V>> {
    this.watchers++
    let held = true
    const release = (): void => {
      if (held) this.watchers--
      held = false
      if (this.watchers === 0) this.idleSince = performance.now()
    }
    try {
      this.first ??= this.begin()
      return { collection: await this.first, ageMs: () => performance.now() - this.goodAt, release }
    } catch (error) {
      release()
      throw error
    }
  }

  close (): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.unhint()
    this.unhint = () => undefined
    this.collection = this.first = null
  }

  private async begin (): Promise<Collection<V>> {
    const collection = new Collection<V>({ epoch: randomBytes(9).toString('base64url'), equals: this.o.equals, nowMs: () => performance.now() })
    try {
      collection.change(await this.read())
    } catch (error) {
      this.first = null
      throw error
    }
    this.collection = collection
    this.unhint = this.o.hint?.(() => { this.due(GATHER_MS) }) ?? (() => undefined)
    this.due(this.o.everyMs ?? EVERY_MS)
    return collection
  }

  /** One at a time: one that was not back in time is waited for again. @throws unavailable LS_R_READ_TIME */
  private async read (): Promise<ReadonlyMap<string, V>> {
    if (this.out === null) {
      this.outSince = performance.now()
      this.out = this.o.read().finally(() => { this.out = null })
    }
    const { out, outSince } = this
    const readMs = this.o.readMs ?? READ_MS
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => { reject(new LockstepError('unavailable', 'LS_R_READ_TIME', 'the objects could not be read in time', { object: 'objects', expected: `within ${readMs} ms`, next: 'ask again; `lockstep doctor` and the log of the agent say what hangs' })) }, readMs)
    })
    try {
      const found = await Promise.race([out, late])
      this.goodAt = outSince
      return found
    } finally {
      clearTimeout(timer)
    }
  }

  private due (inMs: number): void {
    if (this.collection === null) return
    if (this.reading) {
      this.again = true
      return
    }
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => { void this.pass() }, inMs)
    this.timer.unref()
  }

  private async pass (): Promise<void> {
    const { collection } = this
    if (collection === null) return
    if (this.watchers === 0 && performance.now() - this.idleSince > (this.o.idleMs ?? IDLE_MS)) {
      this.close()
      return
    }
    this.reading = true
    this.again = false
    try {
      collection.replace(await this.read())
    } catch (error) {
      this.o.onError(error)
    }
    this.reading = false
    if (this.collection === collection) this.due(this.again ? GATHER_MS : this.o.everyMs ?? EVERY_MS)
  }
}
