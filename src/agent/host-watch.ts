/** Links and addresses of the host change under a configuration: looked at now and then, and what is compiled from them is compiled again. */
import type { WorkBook } from '../lib/work.js'

/** Between two looks; after a refresh that failed it waits longer each time, up to a minute. */
const LOOK_MS = 2000
const WAIT_LOOKS_MAX = 30

export interface HostWatchOptions {
  /** Of all that a configuration is compiled from. */
  readonly signature: () => string
  /** False: it failed, and what ran goes on. */
  readonly refresh: (why: string) => Promise<boolean>
  readonly work: WorkBook
  /** The links cannot be read. */
  readonly onUnreadable: (error: unknown) => void
  /** Every look, first of all. */
  readonly onLook: () => void
}

/** Looks until what it returns is called. */
export function watchHost ({ signature, refresh, work, onUnreadable, onLook }: HostWatchOptions): () => void {
  let known = signature()
  let [failures, pause, busy] = [0, 0, false]
  const timer = setInterval(() => {
    onLook()
    if (busy || pause-- > 0) return
    let now: string
    try {
      now = signature()
    } catch (error) {
      onUnreadable(error)
      pause = WAIT_LOOKS_MAX
      work.wait('links', '', pause * LOOK_MS, error)
      return
    }
    work.settled('links', '')
    if (now === known) return
    busy = true
    void refresh('a change of links or addresses').then((done) => {
      busy = false
      failures = done ? 0 : failures + 1
      pause = done ? 0 : Math.min(2 ** failures, WAIT_LOOKS_MAX)
      if (done) work.settled('recompile', '')
      else work.wait('recompile', '', pause * LOOK_MS, 'it failed after a change of links or addresses')
      if (done) known = now
    })
  }, LOOK_MS)
  return () => { clearInterval(timer) }
}
