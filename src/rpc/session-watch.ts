/**
 * Sessions.Watch: changes from the agent's feed to one reader. Level-triggered and bounded: while the reader is slow at most
 * PENDING_BYTES_MAX wait here, anything beyond is dropped and counted. Decoding happens in small steps, so that a burst does
 * not hold the event loop.
 */
import type { AgentServices } from '../contract/services.js'
import { layout } from '../generated/layout.js'
import type { SessionChanges, SessionsWatchRequest } from '../generated/proto/lockstep/v1/sessions.js'
import type { ServiceNeeds } from './needs.js'
import { yieldTurn, type StreamContext } from './handler.js'
import { filterOf } from './session-filter.js'
import { matcherOf } from './session-match.js'
import { changeMessage } from './session-message.js'

const RECORD_BYTES = layout.ls_wire_record.size
const CHANGES_MAX = 512
const PENDING_BYTES_MAX = 4096 * RECORD_BYTES
const WATCH_PROGRESS_MS = 15_000

export async function watchSessions (services: AgentServices, request: SessionsWatchRequest, { signal, send, caller }: StreamContext<SessionChanges>, { onLost, subscribers }: Pick<ServiceNeeds, 'onLost' | 'subscribers'>, progressMs: number = WATCH_PROGRESS_MS): Promise<void> {
  const filter = filterOf(request.filter, services.names)
  const matches = matcherOf(filter)
  const pending: Uint8Array[] = []
  let pendingBytes = 0
  let [lost, lostInAll] = [0, 0]
  let wake: (() => void) | null = null
  const unsubscribe = services.feed.subscribe((records, lostBefore) => {
    lost += lostBefore
    if (pendingBytes + records.length > PENDING_BYTES_MAX) lost += Math.floor(records.length / RECORD_BYTES)
    else if (records.length > 0) {
      pending.push(records)
      pendingBytes += records.length
    }
    wake?.()
  })
  const leave = subscribers.enter('Sessions', Object.keys(filter).length === 0 ? 'all sessions' : JSON.stringify(filter).slice(0, 500), caller, () => ({ position: null, lag: Math.floor(pendingBytes / RECORD_BYTES), lost: lostInAll + lost, resyncs: 0, detail: '' }))
  const onAbort = (): void => wake?.()
  signal.addEventListener('abort', onAbort)
  const takeLost = (): bigint => {
    const n = lost
    lostInAll += n
    lost = 0
    onLost(n)
    return BigInt(n)
  }
  let sentAt = 0
  const tell = async (changes: SessionChanges['changes']): Promise<void> => {
    await send({ changes, lost: takeLost() })
    sentAt = performance.now()
  }
  try {
    await tell([])
    for (;;) {
      signal.throwIfAborted()
      // Of what the reader sees: changes that its filter hides are silence, too.
      const silentForMs = performance.now() - sentAt
      if (silentForMs >= progressMs) await tell([])
      if (pending.length === 0 && lost === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, progressMs - silentForMs)
          wake = () => { clearTimeout(timer); resolve() }
        })
        wake = null
        continue
      }
      const records = pending.shift() ?? new Uint8Array()
      for (let at = 0; at < records.length; at += CHANGES_MAX * RECORD_BYTES) {
        const part = records.subarray(at, at + CHANGES_MAX * RECORD_BYTES)
        const changes = services.feed.decode(part).filter((c) => matches(c.session)).map((c) => changeMessage(c, services.names))
        if (changes.length > 0 || lost > 0) await tell(changes)
        await yieldTurn(signal)
      }
      pendingBytes -= records.length
      if (records.length === 0 && lost > 0) await tell([])
    }
  } finally {
    leave()
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}
