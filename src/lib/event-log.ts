/**
 * What happened, for whoever watches: the latest events, numbered from 1. Bounded, and whoever tells never waits: a reader that comes back too late is told how
 * many it missed.
 */

export const EVENTS_MAX = 256

export interface Numbered<E> { readonly seq: number, readonly event: E }

/** `told`: the number of the last one. */
export interface EventsAfter<E> { readonly told: number, readonly events: readonly E[] }

/** Calls back for what is kept, then for each that comes; what it returns ends that. */
export type Watch<E> = (onEvent: (event: E) => void) => () => void

export class EventLog<E> {
  private kept: Array<Numbered<E>> = []
  private last = 0
  private readonly watchers = new Set<(one: Numbered<E>) => void>()

  /** `lost`: what stands where so many events are missing. */
  constructor (private readonly lost: (n: number) => E, private readonly max: number = EVENTS_MAX) {}

  /** The number of the last one. */
  get told (): number { return this.last }
  get watched (): boolean { return this.watchers.size > 0 }

  /** `seq`: its number in a log that this one follows, behind all that are here. */
  tell (event: E, seq = this.last + 1): void {
    const one = { seq, event }
    this.last = seq
    this.kept.push(one)
    if (this.kept.length > this.max) this.kept.shift()
    for (const watcher of [...this.watchers]) watcher(one)
  }

  /** Nobody is complete any more: something happened that was not told. */
  forget (): void {
    this.kept = []
    this.last++
  }

  /** Nothing behind that number is gone. */
  reaches (seq: number): boolean { return seq <= this.last && seq >= this.first() - 1 }

  /** Calls back for what is kept behind that number, or all that is, then for each that comes; what it returns ends that. */
  readonly follow = (behind: number | null, onEvent: (one: Numbered<E>) => void): (() => void) => {
    this.behind(behind).forEach(onEvent)
    this.watchers.add(onEvent)
    return () => { this.watchers.delete(onEvent) }
  }

  readonly watch: Watch<E> = onEvent => this.follow(null, ({ event }) => { onEvent(event) })

  /** Events behind number `seen`, once there are any or the signal fires; `null`: those that are kept, at once. */
  readonly after = async (seen: number | null, signal: AbortSignal): Promise<EventsAfter<E>> => {
    if (seen !== null && seen >= this.last && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.watchers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.watchers.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
    return { told: this.last, events: this.behind(seen).map(({ event }) => event) }
  }

  private first (): number { return this.kept[0]?.seq ?? this.last + 1 }

  /** What stands for those that are gone has the number of the last of them. */
  private behind (seq: number | null): Array<Numbered<E>> {
    if (seq === null) return [...this.kept]
    const missing = this.first() - 1 - seq
    return [...missing > 0 ? [{ seq: seq + missing, event: this.lost(missing) }] : [], ...this.kept.filter(one => one.seq > seq)]
  }
}
