/** What happened in the cluster, for whoever watches, and a tally of it for metrics. */
import type { ClusterEvent } from '../contract/cluster.js'
import type { ClusterTally } from '../contract/services.js'
import { EventLog } from '../lib/event-log.js'
import type { OwnershipNote } from './events.js'

/** Stands where events are missing. */
export const eventsLost = (lost: number): ClusterEvent => ({ at: Date.now(), name: 'events-lost', rg: null, peer: null, fields: { lost } })

const moveEnds: ReadonlyMap<string, keyof ClusterTally['moves']> = new Map([['move-done', 'done'], ['move-refused', 'refused'], ['move-failed', 'failed']] satisfies Array<[OwnershipNote['name'], keyof ClusterTally['moves']]>)
const roleName: OwnershipNote['name'] = 'role'

export class ClusterLog extends EventLog<ClusterEvent> {
  private readonly tallies = new Map<number, ClusterTally>()

  constructor () { super(eventsLost) }

  override tell (event: ClusterEvent): void {
    super.tell(event)
    this.count(event)
  }

  readonly tally = (): readonly ClusterTally[] => [...this.tallies.values()]

  private count ({ name, rg }: ClusterEvent): void {
    const end = moveEnds.get(name)
    if (rg === null || (end === undefined && name !== roleName)) return
    const before = this.tallies.get(rg) ?? { rg, roleChanges: 0, moves: { done: 0, refused: 0, failed: 0 } }
    this.tallies.set(rg, end === undefined ? { ...before, roleChanges: before.roleChanges + 1 } : { ...before, moves: { ...before.moves, [end]: before.moves[end] + 1 } })
  }
}
