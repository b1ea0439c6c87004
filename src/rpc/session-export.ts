/** Sessions.Export: batches of the table as an Arrow stream, one step in a turn of the event loop as a listing has it. */
import { ArrowSessions } from '../export/arrow.js'
import type { AgentServices } from '../contract/services.js'
import { column as columnCodes } from '../generated/codes.js'
import type { SessionsExportRequest, SessionsExportResponse } from '../generated/proto/lockstep/v1/sessions.js'
import type { StreamContext } from './handler.js'
import { filterOf } from './session-filter.js'
import { columnSpecs } from './session-walk.js'
import type { TableTurns } from './turns.js'

/** About 5 ms of this thread. */
const BATCH_ROWS = 8192

/** A slot is of this host alone. */
const everything = columnCodes.map(({ name }) => name).filter(name => name !== 'slot')

export async function exportSessions (services: AgentServices, request: SessionsExportRequest, { signal, send }: StreamContext<SessionsExportResponse>, turns: TableTurns): Promise<void> {
  const columns = columnSpecs(request.columns.length === 0 ? everything : request.columns).map(({ name }) => name)
  const filter = filterOf(request.filter, services.names)
  const stream = new ArrowSessions(columns, services.names)
  let left = request.limit === 0n ? Infinity : Number(request.limit)
  for (let cursor: number | null = 0; cursor !== null && left > 0;) {
    await turns.next(signal)
    const batch = services.dataplane().sessions.list(filter, columns, cursor, Math.min(BATCH_ROWS, left))
    cursor = batch.cursor
    left -= batch.rows
    if (batch.rows > 0) await send({ arrow: stream.batch(batch) })
  }
  await send({ arrow: stream.end() })
}
