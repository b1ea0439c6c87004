/** Events between the two threads: the main thread keeps them, the rpc worker asks for what is new, and is answered when there is something. */
import { setTimeout as sleep } from 'node:timers/promises'
import { journalLost, type AgentEvent, type EventJournal } from '../contract/events.js'
import { EventLog, type EventsAfter, type Watch } from '../lib/event-log.js'
import { JOURNAL_MAX } from '../telemetry/journal.js'

/** After a call for events that was refused: too many were under way. */
const AGAIN_MS = 1000

type After<E> = (seen: number | null, signal: AbortSignal) => Promise<EventsAfter<E>>

/** What is kept comes a moment after `watch` was called; a call that fails is made again. */
export function remoteEvents<E> (after: After<E>): Watch<E> {
  return (onEvent) => {
    const over = new AbortController()
    void follow(after, onEvent, over.signal)
    return () => { over.abort() }
  }
}

/** The journal here, by the numbers that it has there: read once, for any number of watchers, until the signal fires. */
export function remoteJournal (after: After<AgentEvent>, epoch: string, signal: AbortSignal): EventJournal {
  const here = new EventLog(journalLost, JOURNAL_MAX)
  void follow(after, (event, seq) => { here.tell(event, seq) }, signal)
  return { epoch, watch: (behind, onEvent) => here.follow(behind, ({ seq, event }) => { onEvent({ ...event, seq }) }) }
}

async function follow<E> (after: After<E>, onEvent: (event: E, seq: number) => void, signal: AbortSignal): Promise<void> {
  let seen: number | null = null
  while (!signal.aborted) {
    const next: EventsAfter<E> | null = await after(seen, signal).catch(() => null)
    if (signal.aborted) return
    if (next === null) {
      await sleep(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined)
      continue
    }
    seen = next.told
    const first = next.told - next.events.length + 1
    next.events.forEach((event, i) => { onEvent(event, first + i) })
  }
}
