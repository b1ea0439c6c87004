/**
 * Sessions.List: walks the table in bounded steps and streams column batches. Per batch one native call, one encode, one write;
 * rows are never visited here, except that `with_names` looks through the id columns for ids not seen before.
 * All listings together take one step in a turn of the event loop, so they delay nobody by more than that.
 */
import type { AgentServices, NameKind } from '../contract/services.js'
import type { SessionColumns } from '../contract/session.js'
import type { IdName, SessionsListRequest } from '../generated/proto/lockstep/v1/sessions.js'
import type { StreamContext } from './handler.js'
import { SessionBatchEncoder, type ColumnSpec } from './session-batch.js'
import { filterOf } from './session-filter.js'
import { orderedSessions } from './session-order.js'
import { batchRows, columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

/** Columns whose ids have names; id 0 of a VIP or real is "none". */
const nameKinds: ReadonlyMap<string, NameKind> = new Map([
  ['zone_in', 'zone'], ['zone_out', 'zone'], ['policy', 'policy'], ['vip', 'vip'], ['real', 'real'], ['app', 'app'], ['domain', 'domain']
])

export async function listSessions (services: AgentServices, request: SessionsListRequest, { signal, send }: StreamContext<Buffer>, turns: TableTurns): Promise<void> {
  const columns = columnSpecs(request.columns)
  const filter = filterOf(request.filter, services.names)
  const rowsMax = batchRows(request.batchRows, columns)
  const encoder = new SessionBatchEncoder(columns)
  const names = request.withNames ? new NameScan(services, columns) : null
  if (request.order !== undefined) {
    const { rows, truncated } = await orderedSessions(services, request, request.order, filter, columns.map(({ name }) => name), signal, turns)
    for (const [i, row] of rows.entries()) await send(encoder.encode(row, names?.fresh(row) ?? [], truncated && i === rows.length - 1))
    return
  }
  const limit = request.limit === 0n ? Infinity : Number(request.limit)
  let listed = 0
  for await (const batch of walkColumns(services, filter, columns, turns, signal, { from: request.fromSlot, rowsMax, limit })) {
    listed += batch.rows
    await send(encoder.encode(batch, names?.fresh(batch) ?? [], listed >= limit && batch.cursor !== null))
  }
}

/** Finds the ids that a stream has not named yet. */
class NameScan {
  readonly #services: AgentServices
  readonly #columns: ReadonlyArray<{ readonly name: string, readonly bytes: number, readonly kind: NameKind }>
  readonly #seen = new Map<NameKind, Uint8Array>()

  constructor (services: AgentServices, columns: readonly ColumnSpec[]) {
    this.#services = services
    this.#columns = columns.flatMap(({ name, bytes }) => {
      const kind = nameKinds.get(name)
      return kind === undefined ? [] : [{ name, bytes, kind }]
    })
    for (const { kind } of this.#columns) this.#seen.set(kind, new Uint8Array(1 << 16))
  }

  fresh (batch: SessionColumns): IdName[] {
    const out: IdName[] = []
    for (const { name, bytes, kind } of this.#columns) {
      const data = batch.columns.get(name)
      const seen = this.#seen.get(kind)
      if (data === undefined || seen === undefined) continue
      for (let row = 0; row < batch.rows; row++) {
        const id = bytes === 1 ? data[row] ?? 0 : (data[2 * row] ?? 0) | ((data[2 * row + 1] ?? 0) << 8)
        if (seen[id] === 1) continue
        seen[id] = 1
        if (id !== 0 || (kind !== 'vip' && kind !== 'real')) out.push({ kind, id, name: this.#services.names.name(kind, id) })
      }
    }
    return out
  }
}
