/** The journal in the rpc worker: one reader of the main thread's, for any number of watchers here. */
import { setTimeout as sleep } from 'node:timers/promises'
import { journalLost, type AgentEvent, type EventJournal, type NumberedEvent } from '../contract/events.js'
import type { EventsAfter } from '../lib/event-log.js'

const AGAIN_MS = 1000

/** `kept`: as many as the main thread keeps. Follows until the signal fires. */
export function remoteJournal (after: (seen: number | null, signal: AbortSignal) => Promise<EventsAfter<AgentEvent>>, kept: number, epoch: string, signal: AbortSignal): EventJournal {
  const events: NumberedEvent[] = []
  const watchers = new Set<(event: NumberedEvent) => void>()
  const take = (event: NumberedEvent): void => {
    events.push(event)
    if (events.length > kept) events.shift()
    for (const watcher of [...watchers]) watcher(event)
  }
  const follow = async (): Promise<void> => {
    let seen: number | null = null
    while (!signal.aborted) {
      const next: EventsAfter<AgentEvent> | null = await after(seen, signal).catch(() => null)
      if (next === null) {
        await sleep(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined)
        continue
      }
      seen = next.told
      next.events.forEach((event, i) => { take({ ...event, seq: next.told - next.events.length + i + 1 }) })
    }
  }
  void follow()
  return {
    epoch,
    watch: (from, onEvent) => {
      const first = events[0]?.seq ?? 1
      const missing = from === null ? 0 : first - 1 - from
      if (missing > 0) onEvent({ ...journalLost(missing), seq: first - 1 })
      for (const event of [...events]) if (from === null || event.seq > from) onEvent(event)
      watchers.add(onEvent)
      return () => { watchers.delete(onEvent) }
    }
  }
}
