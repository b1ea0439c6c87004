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
  let [asked, answered] = [0, 0]
  const hopeful: Array<() => void> = []
  port.on('message', ({ records, lost }: Changes) => {
    Atomics.sub(waiting, 0, 1)
    if (records.length === 0 && lost === 0) {
      if (++answered < asked) return // of a time when somebody else listened
      for (const tellThem of hopeful.splice(0)) tellThem()
      return
    }
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
      if (subscribers.size === 1) {
        asked++
        tell({ listen: true })
      }
      return () => {
        if (subscribers.delete(onBatch) && subscribers.size === 0) tell({ listen: false })
      }
    },
    listening: async () => { if (answered < asked) await new Promise<void>((resolve) => { hopeful.push(resolve) }) },
    decode: (records) => changesOf(records, timeouts),
    close: () => { port.close() }
  }
}
