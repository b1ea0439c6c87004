/** Events between the two threads: the main thread keeps them, the rpc worker asks for what is new, and is answered when there is something. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventsAfter, Watch } from '../lib/event-log.js'

/** After a call for events that was refused: too many were under way. */
const AGAIN_MS = 1000

/** What is kept comes a moment after `watch` was called; a call that fails is made again. */
export function remoteEvents<E> (after: (seen: number | null, signal: AbortSignal) => Promise<EventsAfter<E>>): Watch<E> {
  return (onEvent) => {
    const over = new AbortController()
    void follow(after, onEvent, over.signal)
    return () => { over.abort() }
  }
}

async function follow<E> (after: (seen: number | null, signal: AbortSignal) => Promise<EventsAfter<E>>, onEvent: (event: E) => void, signal: AbortSignal): Promise<void> {
  let seen: number | null = null
  while (!signal.aborted) {
    const next: EventsAfter<E> | null = await after(seen, signal).catch(() => null)
    if (signal.aborted) return
    if (next === null) {
      await sleep(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined)
      continue
    }
    seen = next.told
    next.events.forEach(onEvent)
  }
}
