/**
 * Changes of sessions for all watchers of this server: gathered for a moment, then decoded and written as messages once, however many watch. A watcher costs a
 * copy of bytes; one with a filter shares with those of the same filter. What is written is kept for a few parts only: who is behind has records, and they are
 * decoded again.
 */
import type { AgentServices } from '../contract/services.js'
import type { SessionRow } from '../contract/session.js'
import { layout } from '../generated/layout.js'
import { SessionChanges } from '../generated/proto/lockstep/v1/sessions.js'
import { changeMessage } from './session-message.js'

const RECORD_BYTES = layout.ls_wire_record.size
/** In one message. */
export const CHANGES_MAX = 512
/** Between two messages, unless one is full: a thousand small ones a second for each watcher would cost more than what is in them. */
const GATHER_MS = 20
/** Decoded parts that are kept: about 1 MiB each. */
const DECODED_MAX = 16

/** Packed records that are told together; nobody changes them. */
export interface Part { readonly records: Uint8Array, readonly count: number }

export interface Wanted {
  /** The same for filters that are the same; '' for all sessions. */
  readonly key: string
  readonly matches: (row: SessionRow) => boolean
}

type Reader = (parts: readonly Part[], lostBefore: number) => void

interface Row { readonly session: SessionRow, readonly write: () => Uint8Array }
interface Decoded { readonly rows: readonly Row[], readonly written: Map<string, Buffer> }

export class SessionFan {
  private readonly readers = new Set<Reader>()
  private readonly decoded = new Map<Part, Decoded>()
  private unsubscribe: () => void = () => undefined
  private waiting: Uint8Array[] = []
  private waitingBytes = 0
  private lost = 0
  private timer: NodeJS.Timeout | null = null
  private toldAt = -Infinity

  constructor (private readonly services: Pick<AgentServices, 'feed' | 'names'>, private readonly gatherMs: number = GATHER_MS) {}

  /** Calls back with what comes from now on; what it returns ends that. */
  subscribe (reader: Reader): () => void {
    if (this.readers.size === 0) this.unsubscribe = this.services.feed.subscribe((records, lostBefore) => { this.take(records, lostBefore) })
    else this.tell() // what waits is of those that were here
    this.readers.add(reader)
    return () => {
      if (!this.readers.delete(reader) || this.readers.size > 0) return
      this.unsubscribe()
      this.forget()
    }
  }

  /** Field `changes` of SessionChanges, of those that are wanted; empty: there are none. */
  write (part: Part, { key, matches }: Wanted): Buffer {
    const { rows, written } = this.decode(part)
    let bytes = written.get(key)
    if (bytes === undefined) {
      bytes = Buffer.concat(rows.filter(({ session }) => matches(session)).map(row => row.write()))
      written.set(key, bytes)
    }
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
    if (this.readers.size === 0) this.decoded.clear()
  }

  private decode (part: Part): Decoded {
    const known = this.decoded.get(part)
    if (known !== undefined) return known
    const decoded: Decoded = {
      written: new Map(),
      rows: this.services.feed.decode(part.records).map((change) => {
        let bytes: Uint8Array | null = null
        return { session: change.session, write: () => (bytes ??= SessionChanges.encode({ changes: [changeMessage(change, this.services.names)], lost: 0n }).finish()) }
      })
    }
    this.decoded.set(part, decoded)
    const [oldest] = this.decoded.keys()
    if (this.decoded.size > DECODED_MAX && oldest !== undefined) this.decoded.delete(oldest)
    return decoded
  }
}
