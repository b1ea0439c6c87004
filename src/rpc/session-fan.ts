/**
 * Changes of sessions for all watchers of this server: gathered for a moment, and made into messages once for all that want the same. A watcher costs a copy of bytes. What was made
 * is kept for a few parts only: who is behind has records, and they are made again.
 */
import type { SessionFeed } from '../contract/services.js'
import { layout } from '../generated/layout.js'

const RECORD_BYTES = layout.ls_wire_record.size
/** In one message. */
export const CHANGES_MAX = 512
/** Between two messages, unless one is full: a thousand small ones a second for each watcher would cost more than what is in them. */
const GATHER_MS = 20
/** Parts of which messages are kept: about 1 MiB each as rows. */
const MADE_MAX = 16

/** Packed records that are told together; nobody changes them. */
export interface Part { readonly records: Uint8Array, readonly count: number }

type Reader = (parts: readonly Part[], lostBefore: number) => void

export class SessionFan {
  private readonly readers = new Set<Reader>()
  private readonly made = new Map<Part, Map<string, Buffer>>()
  private unsubscribe: () => void = () => undefined
  private waiting: Uint8Array[] = []
  private waitingBytes = 0
  private lost = 0
  private timer: NodeJS.Timeout | null = null
  private toldAt = -Infinity

  constructor (private readonly feed: SessionFeed, private readonly gatherMs: number = GATHER_MS) {}

  /** Calls back with what comes from now on; what it returns ends that. */
  subscribe (reader: Reader): () => void {
    if (this.readers.size === 0) this.unsubscribe = this.feed.subscribe((records, lostBefore) => { this.take(records, lostBefore) })
    else this.tell() // what waits is of those that were here
    this.readers.add(reader)
    return () => {
      if (!this.readers.delete(reader) || this.readers.size > 0) return
      this.unsubscribe()
      this.forget()
    }
  }

  /** Resolves when every change from then on comes to those who have subscribed, or is counted. */
  async listening (): Promise<void> { await this.feed.listening() }

  /** The message of a part. `key`: the same for those that want the same. */
  message (part: Part, key: string, make: (records: Uint8Array) => Buffer): Buffer {
    let of: Map<string, Buffer> | undefined = this.made.get(part)
    if (of === undefined) {
      this.made.set(part, of = new Map<string, Buffer>())
      const [oldest] = this.made.keys()
      if (this.made.size > MADE_MAX && oldest !== undefined) this.made.delete(oldest)
    }
    let bytes = of.get(key)
    if (bytes === undefined) of.set(key, bytes = make(part.records))
    return bytes
  }

  private take (records: Uint8Array, lostBefore: number): void {
    this.lost += lostBefore
    if (records.length > 0) this.waiting.push(records)
    this.waitingBytes += records.length
    const inMs = this.toldAt + this.gatherMs - performance.now()
    if (inMs <= 0 || this.waitingBytes >= CHANGES_MAX * RECORD_BYTES) this.tell()
    else this.timer ??= setTimeout(() => { this.tell() }, inMs)
  }

  private tell (): void {
    const [records, lost] = [this.waiting.length === 1 ? this.waiting[0] ?? new Uint8Array() : Buffer.concat(this.waiting), this.lost]
    this.forget()
    if (records.length === 0 && lost === 0) return
    this.toldAt = performance.now()
    const parts: Part[] = []
    for (let at = 0; at < records.length; at += CHANGES_MAX * RECORD_BYTES) {
      const part = records.subarray(at, at + CHANGES_MAX * RECORD_BYTES)
      parts.push({ records: part, count: Math.floor(part.length / RECORD_BYTES) })
    }
    for (const reader of [...this.readers]) reader(parts, lost)
  }

  private forget (): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.waiting = []
    this.waitingBytes = this.lost = 0
    if (this.readers.size === 0) this.made.clear()
  }
}
