/**
 * Events to one reader: those that its log kept, however many, then each that comes. While it is slow at most PENDING_MAX of the latter wait here; what is beyond is counted,
 * and told where it is missing.
 */
import { EVENTS_MAX, type Watch } from '../lib/event-log.js'
import type { StreamContext } from './handler.js'
import type { Standing } from './subscribers.js'

/** Of one message. */
const MESSAGE_EVENTS_MAX = 2 * EVENTS_MAX
const PENDING_MAX = MESSAGE_EVENTS_MAX - 1
const WATCH_PROGRESS_MS = 15_000

export interface Watched<E> {
  readonly watch: Watch<E>
  /** Stands where so many are missing. */
  readonly lost: (n: number) => E
  /** Those that the reader asked for. */
  readonly wanted?: (event: E) => boolean
  /** Tells who reads how far behind it is, until what this returns is called. */
  readonly enter?: (standing: () => Pick<Standing, 'lag' | 'lost'>) => () => void
}

/** Without events for a while an empty message says that the watch lives. */
export async function watchEvents<E, Message> ({ watch, lost: missing, wanted = () => true, enter }: Watched<E>, messageOf: (events: readonly E[]) => Message, { signal, send }: StreamContext<Message>, progressMs: number = WATCH_PROGRESS_MS): Promise<void> {
  const pending: E[] = []
  let [lost, lostInAll] = [0, 0]
  /** Of those that wait, from the log: it bounds them. */
  let replayed = Infinity
  let wake: (() => void) | null = null
  await send(messageOf([]))
  const unsubscribe = watch((event) => {
    if (!wanted(event)) return
    // Once one is missing the others are until what waits was told: what stands for them is behind it.
    if (lost === 0 && pending.length < replayed + PENDING_MAX) pending.push(event)
    else lost++
    wake?.()
  })
  replayed = pending.length
  const leave = enter?.(() => ({ lag: pending.length, lost: lostInAll }))
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
      const events = pending.splice(0, MESSAGE_EVENTS_MAX - 1)
      replayed = Math.max(0, replayed - events.length)
      if (lost > 0 && pending.length === 0) {
        events.push(missing(lost))
        lostInAll += lost
        lost = 0
      }
      await send(messageOf(events))
    }
  } finally {
    leave?.()
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}
