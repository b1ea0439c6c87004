/** A listener's end of the sync worker, on whichever thread it is: fans changes out to subscribers. */
import type { SessionFeed } from '../contract/services.js'
import { changesOf } from '../native/records.js'
import type { Timeouts } from '../native/session-store.js'
import type { Changes, Listener, ToListened } from './protocol.js'

export interface Feed extends SessionFeed {
  readonly close: () => void
}

/** `onProblem`: a subscriber threw. */
export function feedOf ({ port, underWay }: Listener, timeouts: Timeouts, onProblem: (error: unknown) => void): Feed {
  const waiting = new Int32Array(underWay)
  const subscribers = new Set<(records: Uint8Array, lost: number) => void>()
  const tell = (message: ToListened): void => { port.postMessage(message) }
  port.on('message', ({ records, lost }: Changes) => {
    Atomics.sub(waiting, 0, 1)
    for (const run of [...subscribers]) {
      try {
        run(records, lost)
      } catch (error) {
        onProblem(error) // what one reader does wrong is told, and the others go on
      }
    }
  })
  return {
    subscribe: (onBatch) => {
      subscribers.add(onBatch)
      if (subscribers.size === 1) tell({ listen: true })
      return () => {
        if (subscribers.delete(onBatch) && subscribers.size === 0) tell({ listen: false })
      }
    },
    decode: (records) => changesOf(records, timeouts),
    close: () => { port.close() }
  }
}
