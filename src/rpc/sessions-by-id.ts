/** Many sessions by their ids, in one walk: an id does not say where the session of another host is. */
import type { AgentServices } from '../contract/services.js'
import type { SessionRow } from '../contract/session.js'
import { addressText } from '../lib/address-text.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

const columns = columnSpecs(['id', 'src', 'sport', 'dst', 'dport', 'proto', 'domain'])

/** Those that are here. */
export async function sessionsById (services: AgentServices, ids: ReadonlySet<string>, turns: TableTurns, signal: AbortSignal): Promise<ReadonlyMap<string, SessionRow>> {
  const found = new Map<string, SessionRow>()
  if (ids.size === 0) return found
  for await (const batch of walkColumns(services, {}, columns, turns, signal)) {
    const [id, src, sport, dst, dport, proto, domain] = columns.map(({ name }) => Buffer.from(batch.columns.get(name) ?? [])) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]
    for (let row = 0; row < batch.rows; row++) {
      const text = hex(id.readBigUInt64LE(16 * row)) + hex(id.readBigUInt64LE(16 * row + 8))
      if (!ids.has(text)) continue
      const session = services.dataplane().sessions.find({ source: addressText(src, 16 * row), sourcePort: sport.readUInt16LE(2 * row), destination: addressText(dst, 16 * row), destinationPort: dport.readUInt16LE(2 * row), protocol: proto.readUInt8(row), domain: domain.readUInt16LE(2 * row) })
      if (session?.id === text) found.set(text, session)
    }
  }
  return found
}

const hex = (value: bigint): string => value.toString(16).padStart(16, '0')
