/**
 * Announces the addresses of redundancy groups after a takeover: in rounds, as one frame may be lost and a switch may be learning, and in bursts, so that a
 * large group does not flood its links. Each burst is of the configuration in force then. Where addresses are is the compiler's work; the frames are
 * native/backend/userspace/announce.c, which sends nothing for a group that is not owned.
 */
import type { Announcer } from '../../contract/dataplane.js'

/** Of the rounds, counted from the takeover. */
export const roundsMs: readonly number[] = [0, 100, 500, 2000, 5000]
/** Addresses in one burst: two frames each at most. */
export const burst = 32
const PAUSE_MS = 10
/** struct ls_announcement. */
const ROW = 32

export interface Said { readonly sent: number, readonly unsent: number }

export interface AnnouncerClock {
  readonly nowMs: () => number
  /** Returns how to call it off. */
  readonly after: (ms: number, run: () => void) => () => void
}
const systemClock: AnnouncerClock = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => { clearTimeout(timer) }
  }
}

export class Announcements implements Announcer {
  private rows: Readonly<Record<number, Uint8Array>> = {}
  /** How to call off what comes next, by group. */
  private readonly next = new Map<number, () => void>()
  /** Of the last round of a group. */
  private readonly said = new Map<number, Said>()

  constructor (private readonly send: (rg: number, rows: Uint8Array) => Said, private readonly clock: AnnouncerClock = systemClock) {}

  /** What to announce from now on, by redundancy group. */
  replace (rows: Readonly<Record<number, Uint8Array>>): void { this.rows = rows }

  announce (rg: number): void {
    this.withdraw(rg)
    this.step(rg, this.clock.nowMs(), 0, 0)
  }

  withdraw (rg: number): void {
    this.next.get(rg)?.()
    this.next.delete(rg)
    this.said.delete(rg)
  }

  close (): void { for (const rg of [...this.next.keys()]) this.withdraw(rg) }

  /** Groups whose addresses could not all be announced. */
  degraded (): string[] {
    return [...this.said].filter(([, { unsent }]) => unsent > 0).map(([rg, { sent, unsent }]) =>
      `redundancy group ${rg}: ${unsent} of ${sent + unsent} announcements of its addresses could not be sent: its hosts may send to the other node until they ask again; see which interfaces are down`)
  }

  private step (rg: number, sinceMs: number, round: number, at: number): void {
    const all = this.rows[rg] ?? new Uint8Array(0)
    const { sent, unsent } = this.send(rg, all.subarray(at * ROW, (at + burst) * ROW))
    const before = at === 0 ? undefined : this.said.get(rg)
    this.said.set(rg, { sent: sent + (before?.sent ?? 0), unsent: unsent + (before?.unsent ?? 0) })
    if ((at + burst) * ROW < all.length) return this.later(PAUSE_MS, rg, sinceMs, round, at + burst)
    const nextMs = roundsMs[round + 1]
    if (nextMs === undefined) this.next.delete(rg)
    else this.later(sinceMs + nextMs - this.clock.nowMs(), rg, sinceMs, round + 1, 0)
  }

  private later (ms: number, ...next: Parameters<Announcements['step']>): void {
    this.next.set(next[0], this.clock.after(Math.max(0, ms), () => { this.step(...next) }))
  }
}
