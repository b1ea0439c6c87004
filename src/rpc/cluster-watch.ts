/** Cluster.Watch: events to one reader. While it is slow at most PENDING_MAX wait here; what is beyond is counted, and told where it is missing. */
import type { ClusterControl, ClusterEvent } from '../contract/cluster.js'
import type { ClusterEvents } from '../generated/proto/lockstep/v1/cluster.js'
import { EVENTS_MAX, eventsLost } from '../ha/event-log.js'
import { eventMessage } from './cluster-message.js'
import type { StreamContext } from './handler.js'

const PENDING_MAX = 2 * EVENTS_MAX - 1
const WATCH_PROGRESS_MS = 15_000

export async function watchCluster (cluster: Pick<ClusterControl, 'watch'>, { signal, send }: StreamContext<ClusterEvents>, progressMs: number = WATCH_PROGRESS_MS): Promise<void> {
  const pending: ClusterEvent[] = []
  let lost = 0
  let wake: (() => void) | null = null
  await send({ events: [] })
  const unsubscribe = cluster.watch((event) => {
    if (pending.length < PENDING_MAX) pending.push(event)
    else lost++
    wake?.()
  })
  const onAbort = (): void => wake?.()
  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      signal.throwIfAborted()
      if (pending.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, progressMs)
          wake = () => { clearTimeout(timer); resolve() }
        })
        wake = null
      }
      const events = pending.splice(0)
      if (lost > 0) events.push(eventsLost(lost))
      lost = 0
      await send({ events: events.map(eventMessage) })
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}
