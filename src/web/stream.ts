/**
 * The stream of the gateway, kept up: it resumes behind the last message that this page has, and asks for everything when one is missing. Read with fetch and not with
 * EventSource, which neither shows heartbeats nor lets a page name the last id when it reconnects by itself: after a sleep the old connection looks alive for minutes.
 */
import type { Happening, StateJson } from './model.js'
import { SseParser, type SentEvent } from './sse.js'
import type { Change, LiveStore } from './store.js'

/** The gateway says something every 5 s. */
const SILENCE_MS = 8000
const LOOK_MS = 1000
/** A page that nobody looks at lets its connection go: a browser has six to a gateway, for all its tabs. */
const HIDDEN_MS = 60_000
/** Between looks: this page was frozen, or its host asleep. */
const FROZEN_MS = 5000
/** A quarter more at most: who looks sees it within a second when the gateway is back. Nobody else asks. */
const BACKOFF_MS = [0, 200, 400, 700] as const
/** Connections that a browser has kept may be dead without a word when it wakes: so many are tried in haste, each for so long, before one is waited for. */
const HASTY = 4
const HASTY_MS = 250

export type Condition = 'connecting' | 'live' | 'waiting'

export class Stream {
  condition: Condition = 'connecting'
  /** Unix ms of this browser. */
  heardAt = 0
  connections = 0
  problem = ''
  private call = new AbortController()
  private failures = 0
  private haste = 0
  private lookedAt = Date.now()
  private wake: () => void = () => undefined
  private hiddenAt = 0

  constructor (private readonly store: LiveStore, private readonly onConnect: () => void = () => undefined) {}

  start (): void {
    void this.run()
    setInterval(() => {
      const now = Date.now()
      const frozen = now - this.lookedAt > FROZEN_MS && document.visibilityState === 'visible'
      this.lookedAt = now
      if (this.unseen() && this.condition === 'live') this.call.abort()
      else if (frozen) this.again('the page was frozen')
      else if (this.condition === 'live' && now - this.heardAt > SILENCE_MS) this.again('the gateway is silent')
      this.store.touch()
    }, LOOK_MS)
    const back = (): void => {
      this.hiddenAt = document.visibilityState === 'hidden' ? Date.now() : 0
      if (document.visibilityState === 'visible' && (Date.now() - this.lookedAt > FROZEN_MS || this.condition !== 'live')) this.again('the page is back')
    }
    document.addEventListener('visibilitychange', back)
    document.addEventListener('resume', () => { this.again('the page was frozen') })
    window.addEventListener('pageshow', ({ persisted }) => { if (persisted) this.again('the page is back') })
    window.addEventListener('online', () => { this.again('the network is back') })
  }

  /** At once. */
  again (why: string): void {
    this.lookedAt = Date.now()
    this.problem = why
    this.failures = 0
    this.haste = HASTY
    this.call.abort()
    this.wake()
  }

  /** What this page has is not to be relied on. */
  afresh (why: string): void {
    this.store.epoch = ''
    this.again(why)
  }

  private async run (): Promise<never> {
    for (;;) {
      while (this.unseen()) await new Promise<void>((resolve) => { this.wake = resolve })
      this.call = new AbortController()
      try {
        await this.read(this.call.signal)
        this.problem = 'the gateway ended the stream'
      } catch (error) {
        if (!this.call.signal.aborted) this.problem = error instanceof Error ? error.message : String(error)
      }
      this.condition = 'waiting'
      this.store.touch()
      const waitMs = this.haste > 0 ? 0 : BACKOFF_MS[Math.min(this.failures++, BACKOFF_MS.length - 1)] ?? 0
      await new Promise<void>((resolve) => {
        this.wake = resolve
        setTimeout(resolve, waitMs * (0.75 + Math.random() / 2))
      })
    }
  }

  private unseen (): boolean { return this.hiddenAt !== 0 && Date.now() - this.hiddenAt > HIDDEN_MS }

  private async read (signal: AbortSignal): Promise<void> {
    const { epoch, seq } = this.store
    this.condition = 'connecting'
    this.heardAt = Date.now()
    this.connections++
    const silent = setTimeout(() => { this.call.abort() }, this.haste-- > 0 ? HASTY_MS : SILENCE_MS)
    const response = await fetch('/api/stream', { signal, cache: 'no-store', headers: epoch === '' ? {} : { 'last-event-id': `${epoch}-${seq}` } }).finally(() => { clearTimeout(silent) })
    if (!response.ok || response.body === null) throw new Error(`the gateway answers ${response.status}`)
    const reader = response.body.getReader()
    const decoder = new TextDecoder()
    const parser = new SseParser()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      if (signal.aborted) return
      this.heardAt = Date.now()
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) this.take(event)
    }
  }

  /** @throws when a message is missing: the connection ends, and the next one begins with everything */
  private take ({ id, event, data }: SentEvent): void {
    const at = id.lastIndexOf('-')
    if (id !== '' && !this.store.number(id.slice(0, at), Number(id.slice(at + 1)), event === 'state')) {
      this.store.epoch = ''
      throw new Error(`a message is missing before ${id}`)
    }
    const value: unknown = JSON.parse(data)
    switch (event) {
      case 'state': this.store.state(value as StateJson); break
      case 'put': this.store.put(value as Change); break
      case 'delete': this.store.delete(value as Change); break
      case 'event': this.store.happened(value as Happening); break
      case 'agent': this.store.reached(value as Parameters<LiveStore['reached']>[0]); break
    }
    if (this.condition === 'live') return
    this.condition = 'live'
    this.failures = this.haste = 0
    this.problem = ''
    this.onConnect()
    this.store.touch()
  }
}
