/** What a watch ends with. A connection that breaks is no error: it is opened again. */
import { causeOf } from '../lib/cause-of.js'

/** The server said what a server does not say; what was received is dropped and everything asked for anew. */
export class ProtocolError extends Error { override readonly name = 'ProtocolError' }

/** The server was silent for longer than it ever is. */
export class WatchStalled extends Error { override readonly name = 'WatchStalled' }

/** The server refuses this watch, whenever it is asked for: no such kind, no permission. */
export class WatchRefused extends Error { override readonly name = 'WatchRefused' }

/** A follower threw. Nothing more is called, and what it had of this batch is told again to whoever resumes. */
export class FollowerError extends Error {
  override readonly name = 'FollowerError'
  constructor (readonly phase: 'added' | 'updated' | 'removed' | 'synced' | 'batchDone', readonly key: string | null, cause: unknown) {
    super(`${phase}${key === null ? '' : ` ${key}`}: ${causeOf(cause)}`, { cause })
  }
}
