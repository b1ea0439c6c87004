/**
 * Sessions.Watch: changes from the agent's feed to one reader, and before them, if it asks, the sessions that there are. Level-triggered and bounded: while the reader is
 * slow at most a backlog waits here, anything beyond is dropped and counted. Rows for a person are decoded in small steps, so that a burst does not hold the event loop;
 * columns are made natively, a batch of the feed at once.
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
import { filterOf, isEmptyFilter } from './session-filter.js'
import { columnSpecs, walkColumns } from './session-list.js'
import { changeKinds, changeMessage } from './session-message.js'
import type { Seats, TableTurns } from './turns.js'

const shape = layout.ls_wire_record
const nothing = SessionChanges.decode(new Uint8Array())
/** Of SessionChanges. */
const BATCH_FIELD = 3
const CHANGES_MAX = 512
const PENDING_BYTES_MAX = 8192 * shape.size
/** While a snapshot is told; as many snapshots are told at once as there are seats for listings. */
const SNAPSHOT_PENDING_BYTES_MAX = 65_536 * shape.size
const WATCH_PROGRESS_MS = 15_000
/** After a loss. A reader that cannot keep up is not helped by a snapshot the more. */
const SNAPSHOT_AGAIN_MS = 1000

export interface WatchNeeds extends Pick<ServiceNeeds, 'onLost' | 'subscribers'> {
  readonly turns: TableTurns
  readonly listings: Seats
  readonly progressMs?: number
}

/** Batches of records for one reader. */
class Backlog {
  readonly #batches: Uint8Array[] = []
  #bytes = 0
  max = PENDING_BYTES_MAX
  /** Since it was last told. */
  lost = 0
  lostInAll = 0
  wake: (() => void) | null = null

  readonly push = (records: Uint8Array, lostBefore: number): void => {
    this.#lose(lostBefore)
    if (this.#bytes + records.length > this.max) this.#lose(Math.floor(records.length / shape.size))
    else if (records.length > 0) {
      this.#batches.push(records)
      this.#bytes += records.length
    }
    this.wake?.()
  }

  /** It counts as waiting until `done`. */
  take (): Uint8Array | undefined { return this.#batches.shift() }
  done (records: Uint8Array): void { this.#bytes -= records.length }
  get idle (): boolean { return this.#batches.length === 0 && this.lost === 0 }
  get rows (): number { return Math.floor(this.#bytes / shape.size) }
  clear (): void {
    this.#batches.length = 0
    this.#bytes = 0
  }

  #lose (n: number): void {
    this.lost += n
    this.lostInAll += n
  }
}

export async function watchSessions (services: AgentServices, request: SessionsWatchRequest, { signal, send, caller }: StreamContext<Buffer>, { onLost, subscribers, turns, listings, progressMs = WATCH_PROGRESS_MS }: WatchNeeds): Promise<void> {
  const filter = filterOf(request.filter, services.names)
  const columns = request.columns.length === 0 ? null : columnSpecs(request.columns)
  if (request.snapshot && columns === null) throw new LockstepError('invalid', 'LS_R_SNAPSHOT', 'a snapshot is told in columns', { object: 'snapshot', found: 'no columns', next: 'name the columns, `id` among them' })
  const backlog = new Backlog()
  let resyncs = 0
  let sentAt = 0
  const tell = async (message: Partial<SessionChanges>, batch: Buffer | null = null): Promise<void> => {
    const lost = backlog.lost
    backlog.lost = 0
    onLost(lost)
    const rest = SessionChanges.encode({ ...nothing, ...message, lost: BigInt(lost) }).finish()
    await send(Buffer.concat(batch === null ? [rest] : [...embedded(BATCH_FIELD, batch), rest]))
    sentAt = performance.now()
  }
  const tellChanges = columns === null ? rowTeller(services, tell, signal) : columnTeller(services, columns, tell)
  const encoder = new SessionBatchEncoder(columns ?? [])
  const snapshot = async (wanted: readonly ColumnSpec[]): Promise<void> => {
    backlog.max = SNAPSHOT_PENDING_BYTES_MAX
    backlog.clear()
    try {
      await tell({ mark: SnapshotMark.SNAPSHOT_MARK_BEGIN })
      for await (const batch of walkColumns(services, filter, wanted, turns, signal)) await tell({}, encoder.encode(batch, [], false))
      await tell({ mark: SnapshotMark.SNAPSHOT_MARK_SYNCED })
    } finally {
      backlog.max = PENDING_BYTES_MAX
    }
  }

  const unsubscribe = services.feed.subscribe(backlog.push)
  const leave = subscribers.enter('Sessions', isEmptyFilter(filter) ? 'all sessions' : JSON.stringify(filter).slice(0, 500), caller, () => ({ position: null, lag: backlog.rows, lost: backlog.lostInAll, resyncs, detail: request.snapshot ? 'snapshot' : '' }))
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
    await Promise.race([services.feed.listening(), once(signal, 'abort')])
    signal.throwIfAborted()
    if (!request.snapshot) await tell({})
    else if (columns !== null) await listings.hold(async () => { await snapshot(columns) })
    let told = performance.now()
    for (;;) {
      signal.throwIfAborted()
      // Of what the reader sees: changes that its filter hides are silence, too.
      const silentForMs = performance.now() - sentAt
      if (silentForMs >= progressMs) await tell({})
      if (backlog.idle) {
        await sleep(progressMs - silentForMs)
        continue
      }
      if (request.snapshot && columns !== null && backlog.lost > 0) {
        const restMs = told + SNAPSHOT_AGAIN_MS - performance.now()
        if (restMs > 0) await sleep(restMs)
        else {
          resyncs++
          await listings.hold(async () => { await snapshot(columns) })
          told = performance.now()
        }
        continue
      }
      const records = backlog.take() ?? new Uint8Array()
      await tellChanges(selected(services, filter, records), backlog)
      backlog.done(records)
      await yieldTurn(signal)
    }
  } finally {
    leave()
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}

const selected = (services: AgentServices, filter: SessionFilter, records: Uint8Array): Uint8Array =>
  records.length === 0 || isEmptyFilter(filter) ? records : services.dataplane().sessions.select(filter, records)

type Tell = (message: Partial<SessionChanges>, batch?: Buffer) => Promise<void>
type Teller = (records: Uint8Array, backlog: Backlog) => Promise<void>

function rowTeller (services: AgentServices, tell: Tell, signal: AbortSignal): Teller {
  return async (records, backlog) => {
    for (let at = 0; at < records.length; at += CHANGES_MAX * shape.size) {
      if (at > 0) await yieldTurn(signal)
      await tell({ changes: services.feed.decode(records.subarray(at, at + CHANGES_MAX * shape.size)).map((c) => changeMessage(c, services.names)) })
    }
    if (backlog.lost > 0) await tell({})
  }
}

function columnTeller (services: AgentServices, columns: readonly ColumnSpec[], tell: Tell): Teller {
  const encoder = new SessionBatchEncoder(columns)
  const names = columns.map(({ name }) => name)
  return async (records, backlog) => {
    if (records.length > 0) {
      const batch = services.dataplane().sessions.columnsOf(records, names)
      const kinds = Buffer.alloc(batch.rows)
      const closeReasons = Buffer.alloc(batch.rows)
      for (let row = 0, at = 0; row < batch.rows; row++, at += shape.size) {
        kinds[row] = changeKinds[records[at + shape.kind.offset] ?? 0] ?? 0
        closeReasons[row] = records[at + shape.close_reason.offset] ?? 0
      }
      await tell({ kinds, closeReasons }, encoder.encode(batch, [], false))
    } else if (backlog.lost > 0) await tell({})
  }
}
