/** A server of watches in memory, whose connections break where a test wants it, and a clock that moves when a test moves it. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Backoff, Clock } from '../../../src/client/clock.js'
import type { Open } from '../../../src/client/watch.js'
import { Collection } from '../../../src/lib/watch/collection.js'
import type { WatchMessage } from '../../../src/lib/watch/messages.js'
import { Subscription } from '../../../src/lib/watch/subscription.js'

export interface Thing { readonly n: number, readonly note?: string }
export type Message = WatchMessage<Thing>

export const sameN = (a: Thing, b: Thing): boolean => a.n === b.n && a.note === b.note

/** Everything that can happen without time has happened. */
export async function settled (): Promise<void> { for (let i = 0; i < 30; i++) await turn() }

export class ManualClock implements Clock {
  private time = 0
  private readonly sleepers = new Set<{ readonly at: number, readonly wake: () => void }>()
  chance = 0.5
  readonly waits: number[] = []

  readonly nowMs = (): number => this.time
  readonly random = (): number => this.chance
  get waiting (): number { return this.sleepers.size }

  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    this.waits.push(ms)
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => { this.sleepers.delete(sleeper); reject(signal.reason as Error) }
      const sleeper = { at: this.time + ms, wake: () => { this.sleepers.delete(sleeper); signal.removeEventListener('abort', onAbort); resolve() } }
      this.sleepers.add(sleeper)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  async advance (ms: number): Promise<void> {
    const to = this.time + ms
    for (;;) {
      const next = [...this.sleepers].sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > to) break
      this.time = Math.max(this.time, next.at)
      next.wake()
      await settled()
    }
    this.time = to
    await settled()
  }
}

/** So short that a test never waits: the clock of a rig moves by itself where nothing else is left. */
export const promptly: Backoff = { leastMs: 1, mostMs: 1, healthyMs: 1 }

export class Server {
  collection: Collection<Thing>
  epochs = 0
  /** Messages until the connection breaks; then what `onCut` does. */
  cutAfter = Infinity
  onCut: () => void = () => undefined
  /** No connection is answered. */
  down = false
  opened = 0
  live = 0
  /** Of each connection. */
  readonly tokens: string[] = []
  readonly sent: Message[] = []
  private readonly progressing = new Set<() => void>()
  keys: ReadonlySet<string> | null = null
  scope = 'things'
  /** What is sent in place of what would be. */
  rewrite: (message: Message) => Message[] = message => [message]

  constructor (readonly clock: ManualClock, private readonly historyMax = 4096) { this.collection = this.begin() }

  private begin (): Collection<Thing> { return new Collection<Thing>({ epoch: `e${++this.epochs}`, equals: sameN, nowMs: this.clock.nowMs, historyMax: this.historyMax }) }

  /** Another life: the same objects, and no history. */
  restart (): void {
    const things = new Map([...this.collection.keys()].map(key => [key, this.collection.get(key)?.value ?? { n: -1 }] as const))
    this.collection = this.begin()
    this.collection.change(things)
  }

  put (things: Readonly<Record<string, number>>, deletes: readonly string[] = []): void { this.collection.change(new Map(Object.entries(things).map(([key, n]) => [key, { n }])), deletes) }
  delete (...keys: string[]): void { this.collection.change(new Map(), keys) }
  get things (): Record<string, number> { return Object.fromEntries([...this.collection.keys()].sort().map(key => [key, this.collection.get(key)?.value.n ?? -1])) }
  progress (): void { for (const one of [...this.progressing]) one() }

  readonly open: Open<Thing> = (token, signal) => this.stream(token, signal)

  private async * stream (token: string, signal: AbortSignal): AsyncGenerator<Message[]> {
    this.opened++
    this.tokens.push(token)
    if (this.down) throw new Error('nobody answers')
    let wake: () => void = () => undefined
    let progress = false
    const of = new Subscription(this.collection, { keys: this.keys, scope: this.scope, token, onPending: () => { wake() } })
    const onProgress = (): void => { progress = true; wake() }
    const onAbort = (): void => { wake() }
    this.live++
    this.progressing.add(onProgress)
    signal.addEventListener('abort', onAbort)
    try {
      for (;;) {
        signal.throwIfAborted()
        const messages = of.cut()
        if (messages.length === 0 && progress && !of.ready) messages.push(of.progress())
        progress = false
        for (const message of messages.flatMap(this.rewrite)) {
          if (this.cutAfter-- <= 0) {
            this.cutAfter = Infinity
            this.onCut()
            throw new Error('the connection broke')
          }
          this.sent.push(message)
          yield [message]
          signal.throwIfAborted()
        }
        if (messages.length === 0 && !signal.aborted) await new Promise<void>((resolve) => { wake = resolve })
      }
    } finally {
      this.live--
      this.progressing.delete(onProgress)
      signal.removeEventListener('abort', onAbort)
      of.close()
    }
  }
}
