/**
 * Sessions.Watch: changes from the agent's feed to one reader. Level-triggered and bounded: while the reader is slow at most
 * PENDING_MAX wait here, anything beyond is dropped and counted. Decoding, which all readers share (session-fan.ts), happens in
 * small steps, so that a burst does not hold the event loop.
 */
import type { AgentServices } from '../contract/services.js'
import { SessionChanges, type SessionsWatchRequest } from '../generated/proto/lockstep/v1/sessions.js'
import type { ServiceNeeds } from './needs.js'
import { yieldTurn, type StreamContext } from './handler.js'
import { CHANGES_MAX, type Part, type SessionFan } from './session-fan.js'
import { filterOf } from './session-filter.js'
import { matcherOf } from './session-match.js'

const PENDING_MAX = 4096
const WATCH_PROGRESS_MS = 15_000

/** Messages are bytes of SessionChanges. */
export async function watchSessions ({ names }: Pick<AgentServices, 'names'>, fan: SessionFan, request: SessionsWatchRequest, { signal, send, caller }: StreamContext<Buffer>, { onLost, subscribers }: Pick<ServiceNeeds, 'onLost' | 'subscribers'>, progressMs: number = WATCH_PROGRESS_MS): Promise<void> {
  const filter = filterOf(request.filter, names)
  const wanted = { key: Object.keys(filter).length === 0 ? '' : JSON.stringify(filter), matches: matcherOf(filter) }
  const pending: Part[] = []
  let waiting = 0
  let [lost, lostInAll] = [0, 0]
  let wake: (() => void) | null = null
  const unsubscribe = fan.subscribe((parts, lostBefore) => {
    lost += lostBefore
    for (const part of parts) {
      if (waiting + part.count > PENDING_MAX) lost += part.count
      else {
        pending.push(part)
        waiting += part.count
      }
    }
    wake?.()
  })
  const leave = subscribers.enter('Sessions', wanted.key === '' ? 'all sessions' : wanted.key.slice(0, 500), caller, () => ({ position: null, lag: waiting, lost: lostInAll + lost, resyncs: 0, detail: '' }))
  const onAbort = (): void => wake?.()
  signal.addEventListener('abort', onAbort)
  let sentAt = 0
  const tell = async (changes: Buffer): Promise<void> => {
    const n = lost
    lostInAll += n
    lost = 0
    onLost(n)
    await send(n === 0 ? changes : Buffer.concat([changes, SessionChanges.encode({ changes: [], lost: BigInt(n) }).finish()]))
    sentAt = performance.now()
  }
  try {
    await tell(nothing)
    for (;;) {
      signal.throwIfAborted()
      // Of what the reader sees: changes that its filter hides are silence, too.
      const silentForMs = performance.now() - sentAt
      if (silentForMs >= progressMs) await tell(nothing)
      if (pending.length === 0 && lost === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, progressMs - silentForMs)
          wake = () => { clearTimeout(timer); resolve() }
        })
        wake = null
        continue
      }
      const { parts, count } = take(pending)
      const changes = parts.map(part => fan.write(part, wanted)).filter(({ length }) => length > 0)
      if (changes.length > 0 || lost > 0) await tell(changes.length === 1 ? changes[0] ?? nothing : Buffer.concat(changes))
      await yieldTurn(signal)
      waiting -= count
    }
  } finally {
    leave()
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}

const nothing = Buffer.alloc(0)

/** The first ones, as many as one message may tell: who is behind catches up in large steps. */
function take (pending: Part[]): { readonly parts: readonly Part[], readonly count: number } {
  let [n, count] = [0, 0]
  for (const part of pending) {
    if (n > 0 && count + part.count > CHANGES_MAX) break
    count += part.count
    n++
  }
  return { parts: pending.splice(0, n), count }
}
