/**
 * What happened in the cluster, for whoever watches: the latest events, numbered from 1, and a tally for metrics. Bounded, and whoever tells never waits: a
 * reader that comes back too late is told how many it missed.
 */
import type { ClusterControl, ClusterEvent } from '../contract/cluster.js'
import type { ClusterTally } from '../contract/services.js'
import type { OwnershipNote } from './events.js'

export const EVENTS_MAX = 256

/** `told`: the number of the last one. */
export interface EventsAfter { readonly told: number, readonly events: readonly ClusterEvent[] }

/** Stands where events are missing. */
export const eventsLost = (lost: number): ClusterEvent => ({ at: Date.now(), name: 'events-lost', rg: null, peer: null, fields: { lost } })

const moveEnds: ReadonlyMap<string, keyof ClusterTally['moves']> = new Map([['move-done', 'done'], ['move-refused', 'refused'], ['move-failed', 'failed']] satisfies Array<[OwnershipNote['name'], keyof ClusterTally['moves']]>)
const roleName: OwnershipNote['name'] = 'role'

export class EventLog {
  private readonly kept: ClusterEvent[] = []
  private told = 0
  private readonly watchers = new Set<(event: ClusterEvent) => void>()
  private readonly tallies = new Map<number, ClusterTally>()

  tell (event: ClusterEvent): void {
    this.told++
    this.kept.push(event)
    if (this.kept.length > EVENTS_MAX) this.kept.shift()
    this.count(event)
    for (const watcher of [...this.watchers]) watcher(event)
  }

  readonly watch: ClusterControl['watch'] = (onEvent) => {
    this.kept.forEach(onEvent)
    this.watchers.add(onEvent)
    return () => { this.watchers.delete(onEvent) }
  }

  /** Events behind number `seen`, once there are any or the signal fires; `null`: those that are kept, at once. */
  readonly after = async (seen: number | null, signal: AbortSignal): Promise<EventsAfter> => {
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
    return { told: this.told, events: seen < forgotten ? [eventsLost(forgotten - seen), ...events] : events }
  }

  readonly tally = (): readonly ClusterTally[] => [...this.tallies.values()]

  private count ({ name, rg }: ClusterEvent): void {
    const end = moveEnds.get(name)
    if (rg === null || (end === undefined && name !== roleName)) return
    const before = this.tallies.get(rg) ?? { rg, roleChanges: 0, moves: { done: 0, refused: 0, failed: 0 } }
    this.tallies.set(rg, end === undefined ? { ...before, roleChanges: before.roleChanges + 1 } : { ...before, moves: { ...before.moves, [end]: before.moves[end] + 1 } })
  }
}
