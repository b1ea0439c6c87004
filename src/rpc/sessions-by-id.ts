/** Many sessions by their ids, in one walk: an id does not say where the session of another host is. */
import type { AgentServices } from '../contract/services.js'
import type { SessionRow } from '../contract/session.js'
import { cellsOf } from '../lib/columns.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

const names = ['id', 'src', 'sport', 'dst', 'dport', 'proto', 'domain'] as const
const columns = columnSpecs(names)

/** Those that are here. */
export async function sessionsById (services: AgentServices, ids: ReadonlySet<string>, turns: TableTurns, signal: AbortSignal): Promise<ReadonlyMap<string, SessionRow>> {
  const found = new Map<string, SessionRow>()
  if (ids.size === 0) return found
  for await (const batch of walkColumns(services, {}, columns, turns, signal)) {
    const cells = cellsOf<typeof names[number]>(batch.columns, batch.rows)
    const [id, source, sourcePort, destination, destinationPort, protocol, domain] = [cells.id('id'), cells.address('src'), cells.u16('sport'), cells.address('dst'), cells.u16('dport'), cells.u8('proto'), cells.u16('domain')]
    for (let row = 0; row < batch.rows; row++) {
      const text = id(row)
      if (!ids.has(text)) continue
      const session = services.dataplane().sessions.find({ source: source(row), sourcePort: sourcePort(row), destination: destination(row), destinationPort: destinationPort(row), protocol: protocol(row), domain: domain(row) })
      if (session?.id === text) found.set(text, session)
    }
  }
  return found
}
