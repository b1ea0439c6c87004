/**
 * Sessions.Watch: changes to one reader, and before them, if it asks, the sessions that there are. Level-triggered and bounded: while the reader is slow at most a backlog
 * waits here, anything beyond is dropped and counted. Messages are made once for all that want the same (session-fan.ts), in small steps, so that a burst does not hold the
 * event loop.
 */
import { once } from 'node:events'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import type { SessionFilter } from '../contract/session.js'
import { layout } from '../generated/layout.js'
import { SessionChanges, SnapshotMark, type SessionsWatchRequest } from '../generated/proto/lockstep/v1/sessions.js'
import type { ServiceNeeds } from './needs.js'
import { yieldTurn, type StreamContext } from './handler.js'
import { embedded, SessionBatchEncoder, type ColumnSpec } from './session-batch.js'
import { CHANGES_MAX, type Part, type SessionFan } from './session-fan.js'
import { filterOf, isEmptyFilter } from './session-filter.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import { changeKinds, changeMessage } from './session-message.js'
import type { Seats, TableTurns } from './turns.js'

const shape = layout.ls_wire_record
const nothing = SessionChanges.decode(new Uint8Array())
/** Of SessionChanges. */
const BATCH_FIELD = 3
const PENDING_MAX = 8192
/** While a snapshot is told; as many snapshots are told at once as there are seats for listings. */
const SNAPSHOT_PENDING_MAX = 65_536
const WATCH_PROGRESS_MS = 15_000
/** After a loss. A reader that cannot keep up is not helped by a snapshot the more. */
const SNAPSHOT_AGAIN_MS = 1000

export interface WatchNeeds extends Pick<ServiceNeeds, 'onLost' | 'subscribers'> {
  readonly fan: SessionFan
  readonly turns: TableTurns
  readonly listings: Seats
  readonly progressMs?: number
}

/** Parts for one reader. */
class Backlog {
  #parts: Part[] = []
  /** Changes that wait, those being told among them. */
  waiting = 0
  max = PENDING_MAX
  /** Since it was last told. */
  lost = 0
  lostInAll = 0
  /** Something was lost that no snapshot has told since. */
  owed = false
  wake: (() => void) | null = null

  readonly push = (parts: readonly Part[], lostBefore: number): void => {
    this.#lose(lostBefore)
    for (const part of parts) {
      if (this.waiting + part.count > this.max) this.#lose(part.count)
      else {
        this.#parts.push(part)
        this.waiting += part.count
      }
    }
    this.wake?.()
  }

  /** The first ones, as many as have `most` changes together, one at least if there is one: who is behind catches up in large steps. They wait until `done`. */
  take (most: number): readonly Part[] {
    let [n, count] = [0, 0]
    for (const part of this.#parts) {
      if (n > 0 && count + part.count > most) break
      count += part.count
      n++
    }
    return this.#parts.splice(0, n)
  }

  done (parts: readonly Part[]): void { for (const { count } of parts) this.waiting -= count }
  get idle (): boolean { return this.#parts.length === 0 && this.lost === 0 }
  /** A snapshot tells all of it. */
  clear (): void {
    this.#parts = []
    this.waiting = 0
    this.owed = false
  }

  #lose (n: number): void {
    this.lost += n
    this.lostInAll += n
    if (n > 0) this.owed = true
  }
}

/** Messages are bytes of SessionChanges. */
export async function watchSessions (services: AgentServices, request: SessionsWatchRequest, { signal, send, caller }: StreamContext<Buffer>, { fan, onLost, subscribers, turns, listings, progressMs = WATCH_PROGRESS_MS }: WatchNeeds): Promise<void> {
  const filter = filterOf(request.filter, services.names)
  const columns = request.columns.length === 0 ? null : columnSpecs(request.columns)
  if (request.snapshot && columns === null) throw new LockstepError('invalid', 'LS_R_SNAPSHOT', 'a snapshot is told in columns', { object: 'snapshot', found: 'no columns', next: 'name the columns, `id` among them' })
  const backlog = new Backlog()
  let [resyncs, sentAt, snapshotAt] = [0, 0, 0]
  /** `changes`: of a message, without what was lost and its mark. */
  const tell = async (changes: readonly Buffer[], mark: SnapshotMark = SnapshotMark.SNAPSHOT_MARK_UNSPECIFIED): Promise<void> => {
    const lost = backlog.lost
    backlog.lost = 0
    onLost(lost)
    const rest = SessionChanges.encode({ ...nothing, lost: BigInt(lost), mark }).finish()
    await send(changes.length === 1 && rest.length === 0 ? changes[0] ?? empty : Buffer.concat([...changes, rest]))
    sentAt = performance.now()
  }
  const snapshot = async (wanted: readonly ColumnSpec[]): Promise<void> => {
    const encoder = new SessionBatchEncoder(wanted)
    backlog.max = SNAPSHOT_PENDING_MAX
    backlog.clear()
    try {
      await tell([], SnapshotMark.SNAPSHOT_MARK_BEGIN)
      for await (const batch of walkColumns(services, filter, wanted, turns, signal)) await tell(embedded(BATCH_FIELD, encoder.encode(batch, [], false)))
      await tell([], SnapshotMark.SNAPSHOT_MARK_SYNCED)
    } finally {
      backlog.max = PENDING_MAX
    }
    snapshotAt = performance.now()
  }
  const about = isEmptyFilter(filter) ? '' : JSON.stringify(filter)
  const key = `${columns?.map(({ name }) => name).join(' ') ?? ''}|${about}`
  const make = columns === null ? rowMaker(services, filter) : columnMaker(services, filter, columns)
  /** Rows of several parts make one message; columns do not. */
  const most = columns === null ? CHANGES_MAX : 0

  const unsubscribe = fan.subscribe(backlog.push)
  const leave = subscribers.enter('Sessions', about === '' ? 'all sessions' : about.slice(0, 500), caller, () => ({ position: null, lag: backlog.waiting, lost: backlog.lostInAll, resyncs, detail: request.snapshot ? 'snapshot' : '' }))
  const onAbort = (): void => backlog.wake?.()
  signal.addEventListener('abort', onAbort)
  const sleep = async (ms: number): Promise<void> => {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      backlog.wake = () => { clearTimeout(timer); resolve() }
    })
    backlog.wake = null
  }
  try {
    await Promise.race([fan.listening(), once(signal, 'abort')])
    signal.throwIfAborted()
    if (request.snapshot && columns !== null) await listings.hold(async () => { await snapshot(columns) })
    else await tell([])
    for (;;) {
      signal.throwIfAborted()
      // Of what the reader sees: changes that its filter hides are silence, too.
      const silentForMs = performance.now() - sentAt
      if (silentForMs >= progressMs) await tell([])
      if (request.snapshot && columns !== null && backlog.owed) {
        const restMs = snapshotAt + SNAPSHOT_AGAIN_MS - performance.now()
        if (restMs > 0) await sleep(restMs)
        else {
          resyncs++
          await listings.hold(async () => { await snapshot(columns) })
        }
        continue
      }
      if (backlog.idle) {
        await sleep(progressMs - silentForMs)
        continue
      }
      const parts = backlog.take(most)
      const changes = parts.map(part => fan.message(part, key, make)).filter(({ length }) => length > 0)
      if (changes.length > 0 || backlog.lost > 0) await tell(changes)
      await yieldTurn(signal)
      backlog.done(parts)
    }
  } finally {
    leave()
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}

const empty = Buffer.alloc(0)
const selected = (services: AgentServices, filter: SessionFilter, records: Uint8Array): Uint8Array => isEmptyFilter(filter) ? records : services.dataplane().sessions.select(filter, records)

/** One message a change. */
const rowMaker = (services: AgentServices, filter: SessionFilter) => (records: Uint8Array): Buffer =>
  Buffer.from(SessionChanges.encode({ ...nothing, changes: services.feed.decode(selected(services, filter, records)).map(change => changeMessage(change, services.names)) }).finish())

/** A batch of columns, and what happened to each row. */
function columnMaker (services: AgentServices, filter: SessionFilter, columns: readonly ColumnSpec[]): (records: Uint8Array) => Buffer {
  const encoder = new SessionBatchEncoder(columns)
  const names = columns.map(({ name }) => name)
  return (records) => {
    const wanted = selected(services, filter, records)
    if (wanted.length === 0) return empty
    const batch = services.dataplane().sessions.columnsOf(wanted, names)
    const [kinds, closeReasons] = [Buffer.alloc(batch.rows), Buffer.alloc(batch.rows)]
    for (let row = 0, at = 0; row < batch.rows; row++, at += shape.size) {
      kinds[row] = changeKinds[wanted[at + shape.kind.offset] ?? 0] ?? 0
      closeReasons[row] = wanted[at + shape.close_reason.offset] ?? 0
    }
    return Buffer.concat([...embedded(BATCH_FIELD, encoder.encode(batch, [], false)), SessionChanges.encode({ ...nothing, kinds, closeReasons }).finish()])
  }
}
