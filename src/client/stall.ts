/** A stream that says nothing for longer than its server ever is silent counts as broken: after a cut nothing else may tell. */
import type { Clock } from './clock.js'
import { WatchStalled } from './errors.js'

/** A server says something every 15 s. */
export const STALL_MS = 45_000

/** @throws WatchStalled; the reason of the signal */
export async function orStalled<T> (next: Promise<T>, { clock, stallMs, signal }: { readonly clock: Clock, readonly stallMs: number, readonly signal: AbortSignal }): Promise<T> {
  const quiet = new AbortController()
  const silence = clock.sleep(stallMs, AbortSignal.any([quiet.signal, signal])).then(() => { throw new WatchStalled(`silent for ${stallMs} ms`) })
  silence.catch(() => undefined)
  try {
    return await Promise.race([next, silence])
  } finally {
    quiet.abort()
  }
}
