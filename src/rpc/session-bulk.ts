/**
 * Bulks of sessions: who knows all sessions of a part of the table names them in as many calls as it takes, and what was there before the first call and was not named can then be
 * ended. What packets open meanwhile stays.
 */
import { LockstepError } from '../contract/errors.js'
import type { SessionStore } from '../contract/dataplane.js'
import type { NewSession } from '../contract/session.js'
import { status } from '../generated/codes.js'

export const CONFLICT = status.findIndex(({ name }) => name === 'e_conflict')
const BULKS_MAX = 8
const IDLE_MS_MAX = 600_000
const NAME_BYTES_MAX = 128
/** Of one bulk; more than any table has. */
const SESSIONS_MAX = 1 << 24

export interface Bulk { readonly beganMs: number, usedMs: number, readonly ids: Set<string> }

/** Of all callers; a trial has bulks of its own, which no change takes up. Times are monotonic milliseconds. */
export class Bulks {
  private readonly bulks = new Map<string, Bulk>()

  constructor (private readonly now: () => number = () => performance.now()) {}

  /** The first call with a name begins its bulk. */
  open (caller: string | null, bulk: string, trial: boolean): Bulk {
    if (Buffer.byteLength(bulk) > NAME_BYTES_MAX) throw new LockstepError('invalid', 'LS_R_TOO_LONG', 'the text is too long', { object: 'bulk', found: `${Buffer.byteLength(bulk)} bytes`, expected: `at most ${NAME_BYTES_MAX}` })
    this.#forget()
    const key = keyOf(caller, bulk, trial)
    const known = this.bulks.get(key)
    if (known === undefined && this.bulks.size >= BULKS_MAX) throw new LockstepError('exhausted', 'LS_R_BULKS', 'too many bulks are under way', { object: `bulk ${bulk}`, found: String(this.bulks.size), expected: `at most ${BULKS_MAX}`, next: `end one with Reconcile; each ends by itself after ${IDLE_MS_MAX / 60_000} minutes without a call` })
    const found = known ?? { beganMs: this.now(), usedMs: 0, ids: new Set<string>() }
    found.usedMs = this.now()
    this.bulks.set(key, found)
    return found
  }

  /** A trial looks at a bulk of trials, or at what a change would take up. @throws stale LS_E_NOT_FOUND */
  find (caller: string | null, bulk: string, trial: boolean): Bulk {
    this.#forget()
    const found = (trial ? this.bulks.get(keyOf(caller, bulk, true)) : undefined) ?? this.bulks.get(keyOf(caller, bulk, false))
    if (found === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such bulk', { object: `bulk ${bulk}`, next: 'name its sessions with Install first, also when there are none; an agent that was started again has forgotten it' })
    return found
  }

  end (caller: string | null, bulk: string): void { for (const trial of [true, false]) this.bulks.delete(keyOf(caller, bulk, trial)) }

  #forget (): void { for (const [key, { usedMs }] of this.bulks) if (this.now() - usedMs > IDLE_MS_MAX) this.bulks.delete(key) }
}

const keyOf = (caller: string | null, bulk: string, trial: boolean): string => JSON.stringify([caller, bulk, trial])

/**
 * Those that are in the table now belong to the bulk. `statuses` are those of `open`, of a trial all CONFLICT; a session that is here just as it was said to be is no conflict: its
 * status becomes 0.
 * @returns how many were here already
 */
export function nameSessions (bulk: Bulk, store: Pick<SessionStore, 'identify'>, sessions: readonly NewSession[], statuses: Uint8Array): number {
  if (bulk.ids.size + sessions.length > SESSIONS_MAX) throw new LockstepError('exhausted', 'LS_R_BULKS', 'too many sessions in one bulk', { object: 'bulk', found: String(bulk.ids.size + sessions.length), expected: `at most ${SESSIONS_MAX}` })
  let kept = 0
  store.identify(sessions).forEach((id, i) => {
    if (id === null || (statuses[i] !== 0 && statuses[i] !== CONFLICT)) return
    bulk.ids.add(id)
    if (statuses[i] === CONFLICT) kept++
    statuses[i] = 0
  })
  return kept
}
