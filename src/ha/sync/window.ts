/**
 * The sender's ordered stream: frames are numbered as they are pushed and kept until the peer has them, so that a short cut costs nothing but their being
 * sent again. Bounded: a peer that falls too far behind costs a comparison, never memory.
 */
import { seal } from './frame.js'

interface Kept { readonly seq: number, readonly frame: Uint8Array, readonly sinceMs: number, readonly atMs: number }

export class Window {
  private kept: Array<Kept | undefined> = []
  private first = 0 // of `kept` that is not acknowledged
  private next = 1
  private held = 0

  constructor (readonly stream: bigint, private readonly bytesMax: number) {}

  get bytes (): number { return this.held }
  get nextSeq (): number { return this.next }
  get firstSeq (): number { return this.kept[this.first]?.seq ?? this.next }
  get frames (): number { return this.kept.length - this.first }

  /** Most that the oldest change the peer has not acknowledged can be old; 0: it has all. */
  lagMs (nowMs: number): number {
    // Not of the first alone: what was drained late stands behind answers that are newer.
    let sinceMs = nowMs
    for (let i = this.first; i < this.kept.length; i++) sinceMs = Math.min(sinceMs, this.kept[i]?.sinceMs ?? nowMs)
    return nowMs - sinceMs
  }

  /** Numbers and keeps the frame, whose changes came between `sinceMs` and now. False: it does not fit, and this stream has come to its end. */
  push (frame: Uint8Array, nowMs: number, sinceMs: number = nowMs): boolean {
    if (this.held + frame.length > this.bytesMax) return false
    this.kept.push({ seq: this.next, frame: seal(frame, this.next), sinceMs, atMs: (sinceMs + nowMs) / 2 })
    this.next++
    this.held += frame.length
    return true
  }

  /** The peer has everything up to `seq`: how long each of those frames took, its changes on average. One that was never sent is refused with null (H14). */
  acknowledge (seq: number, nowMs: number): number[] | null {
    if (seq >= this.next) return null
    const took: number[] = []
    for (let oldest = this.kept[this.first]; oldest !== undefined && oldest.seq <= seq; oldest = this.kept[this.first]) {
      took.push(nowMs - oldest.atMs)
      this.held -= oldest.frame.length
      this.kept[this.first] = undefined // its memory is free
      this.first++
    }
    if (this.first > 1024 && this.first * 2 > this.kept.length) {
      this.kept = this.kept.slice(this.first)
      this.first = 0
    }
    return took
  }

  /** Frames after `seq`, to be sent again; null: not all of them are here any more. */
  after (seq: number): Uint8Array[] | null {
    if (seq + 1 < this.firstSeq || seq >= this.next) return null
    return this.kept.slice(this.first).flatMap((k) => (k !== undefined && k.seq > seq ? [k.frame] : []))
  }
}
