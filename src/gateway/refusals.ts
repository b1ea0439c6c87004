/** Who was refused lately, by caller and remote address: it is told, and who is refused too often waits. Bounded: of too many addresses the one that was refused longest ago is forgotten, and of too many notes only how many there were is told. */

import { printable } from '../lib/printable.js'

const ADDRESSES_MAX = 1024
const WINDOW_MS = 60_000
const REFUSED_MAX = 10
const NOTES_MAX = 20

export interface RefusalsOptions {
  /** A line for the log. */
  readonly note?: (text: string) => void
  readonly nowMs?: () => number
  /** Refusals in a minute until somebody waits. */
  readonly max?: number
  readonly addresses?: number
}

export class Refusals {
  private readonly of = new Map<string, { since: number, times: number }>()
  private notes = { since: -Infinity, told: 0, left: 0 }
  private readonly note: (text: string) => void
  private readonly nowMs: () => number
  readonly max: number
  private readonly addresses: number

  constructor ({ note = () => undefined, nowMs = () => performance.now(), max = REFUSED_MAX, addresses = ADDRESSES_MAX }: RefusalsOptions = {}) {
    this.note = note
    this.nowMs = nowMs
    this.max = max
    this.addresses = addresses
  }

  get size (): number { return this.of.size }

  /** Seconds until it may try again; 0: now. */
  waitS (who: string): number {
    const one = this.of.get(who)
    const left = one === undefined || one.times < this.max ? 0 : one.since + WINDOW_MS - this.nowMs()
    return left <= 0 ? 0 : Math.ceil(left / 1000)
  }

  /** Told, and counted. */
  add (who: string, what: string): void {
    const now = this.nowMs()
    const known = this.of.get(who)
    const one = known === undefined || now - known.since >= WINDOW_MS ? { since: now, times: 0 } : known
    one.times++
    this.of.delete(who)
    this.of.set(who, one)
    const [oldest] = this.of.keys()
    if (this.of.size > this.addresses && oldest !== undefined) this.of.delete(oldest)
    this.tell(who, what)
  }

  /** Told alone: any page of another site can make the browser of somebody who may send it. */
  tell (who: string, what: string): void {
    const now = this.nowMs()
    if (now - this.notes.since >= WINDOW_MS) {
      if (this.notes.left > 0) this.note(`refused ${this.notes.left} more in the minute before`)
      this.notes = { since: now, told: 0, left: 0 }
    }
    if (this.notes.told < NOTES_MAX) {
      this.notes.told++
      this.note(printable(`refused ${who}: ${what}`))
    } else this.notes.left++
  }
}

/** As `vera of 10.0.0.7`; the name is of a certificate, whatever it says. */
export const whoIs = (name: string | null, address: string | undefined): string => `${name === null ? 'somebody' : JSON.stringify(name.slice(0, 100))} of ${address ?? 'nowhere'}`
