/**
 * What happened, for whoever watches: the latest events, numbered from 1. Bounded, and whoever tells never waits: a reader that comes back too late is told how
 * many it missed.
 */

export const EVENTS_MAX = 256

/** `told`: the number of the last one. */
export interface EventsAfter<E> { readonly told: number, readonly events: readonly E[] }

/** Calls back for what is kept, then for each that comes; what it returns ends that. */
export type Watch<E> = (onEvent: (event: E) => void) => () => void

export class EventLog<E> {
  private readonly kept: E[] = []
  private told = 0
  private readonly watchers = new Set<(event: E) => void>()

  /** `lost`: what stands where so many events are missing. */
  constructor (private readonly lost: (n: number) => E, private readonly max: number = EVENTS_MAX) {}

  tell (event: E): void {
    this.told++
    this.kept.push(event)
    if (this.kept.length > this.max) this.kept.shift()
    for (const watcher of [...this.watchers]) watcher(event)
  }

  readonly watch: Watch<E> = (onEvent) => {
    this.kept.forEach(onEvent)
    this.watchers.add(onEvent)
    return () => { this.watchers.delete(onEvent) }
  }

  /** Events behind number `seen`, once there are any or the signal fires; `null`: those that are kept, at once. */
  readonly after = async (seen: number | null, signal: AbortSignal): Promise<EventsAfter<E>> => {
    if (seen === null) return { told: this.told, events: [...this.kept] }
    if (seen >= this.told && !signal.aborted) {
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
    const forgotten = this.told - this.kept.length
    const events = this.kept.slice(Math.max(0, seen - forgotten))
    return { told: this.told, events: seen < forgotten ? [this.lost(forgotten - seen), ...events] : events }
  }
}
