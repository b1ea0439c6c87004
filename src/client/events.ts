/** The journal over connections that break: each event once, from where the reader was. Where some are missing an event named `events-lost` stands, with the field `lost`. */
import type { Event } from '../generated/proto/lockstep/v1/events.js'
import { backOff } from '../lib/back-off.js'
import { defaultBackoff, systemClock } from './clock.js'
import { WatchRefused } from './errors.js'
import { orStalled, STALL_MS } from './stall.js'
import type { WatchOptions } from './watch.js'

/** What is asked for; without areas or names all, from level info on. */
export interface EventsQuery {
  readonly minLevel?: string
  readonly areas?: readonly string[]
  readonly names?: readonly string[]
}

/** Opens a stream of what is behind the event of that id; '': of all that is kept. A message without events says that it lives. Throws WatchRefused when asking again is of no use. */
export type OpenEvents = (after: string, signal: AbortSignal) => AsyncIterable<readonly Event[]>

export interface EventsOptions extends Pick<WatchOptions<never>, 'signal' | 'stallMs' | 'backoff' | 'clock'> {
  /** Id of the last event that the reader had, in this process or another. */
  readonly after?: string
}

/** `for await (const events of watchEvents(connection.openEvents(), { signal }))`: runs until the signal fires, whose reason it throws. @throws WatchRefused */
export async function * watchEvents (open: OpenEvents, { signal = new AbortController().signal, stallMs = STALL_MS, backoff = defaultBackoff, clock = systemClock, after: from = '' }: EventsOptions = {}): AsyncGenerator<readonly Event[], never> {
  let after = from
  for (let failures = 0; ;) {
    signal.throwIfAborted()
    const openedAt = clock.nowMs()
    const end = new AbortController()
    const stream = open(after, AbortSignal.any([signal, end.signal]))[Symbol.asyncIterator]()
    try {
      for (;;) {
        const step = await orStalled(stream.next(), { clock, stallMs, signal })
        if (step.done === true) break
        after = step.value.at(-1)?.id ?? after
        if (step.value.length > 0) yield step.value
      }
    } catch (error) {
      if (error instanceof WatchRefused) throw error
    } finally {
      end.abort(new Error('it goes on elsewhere'))
      void stream.return?.().catch(() => undefined)
    }
    if (clock.nowMs() - openedAt >= backoff.healthyMs) failures = 0
    await clock.sleep(backOff(backoff, failures++, clock.random()), signal)
  }
}
