/** Telemetry.NatWho: sessions that have a translated address now, and those that had it. Walks the table in steps, as a listing does. */
import { LockstepError } from '../contract/errors.js'
import type { AgentServices, EndedTranslations } from '../contract/services.js'
import { SessionFilter } from '../generated/proto/lockstep/v1/session.js'
import type { TelemetryNatWhoRequest, TelemetryNatWhoResponse, Translation } from '../generated/proto/lockstep/v1/telemetry.js'
import { addressText } from '../lib/address-text.js'
import { formatAddress, parseAddress } from '../lib/address.js'
import { filterOf } from './session-filter.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

const LIMIT = 100
const LIMIT_MAX = 10_000
const columns = ['id', 'src', 'sport', 'dst', 'dport', 'proto', 'policy', 'age_ms', 'reply_dst', 'reply_dport'] as const
type Name = typeof columns[number]
const wanted = columnSpecs(columns)
const nowhere = Buffer.alloc(16)

export async function natWho (services: AgentServices, request: TelemetryNatWhoRequest, turns: TableTurns, signal: AbortSignal, now: () => number = Date.now): Promise<TelemetryNatWhoResponse> {
  const address = parseAddress(request.address)
  if (address === null) throw new LockstepError('invalid', 'LS_R_ADDRESS', 'not an address', { object: 'address', found: request.address.slice(0, 64), expected: 'for example 198.51.100.7' })
  if (request.port > 65_535) throw new LockstepError('invalid', 'LS_R_PORT', 'not a port', { object: 'port', found: String(request.port), expected: '0 to 65535' })
  if (request.limit > LIMIT_MAX) throw new LockstepError('invalid', 'LS_R_LIMIT', 'too many', { object: 'limit', found: String(request.limit), expected: `0 to ${LIMIT_MAX}` })
  const limit = request.limit === 0 ? LIMIT : request.limit
  const at = request.atMs === undefined ? null : Number(request.atMs)
  const text = formatAddress(address)
  const filter = filterOf({ ...SessionFilter.decode(new Uint8Array()), address: text, snat: true, protocol: request.protocol, ...request.port === 0 ? {} : { port: request.port } }, services.names)
  const open: Translation[] = []
  let truncated = false
  // Of the four addresses of a session the filter takes any: the row says whether it is the one.
  for await (const batch of walkColumns(services, filter, wanted, turns, signal)) {
    const column = new Map([...batch.columns].map(([name, bytes]) => [name, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)]))
    const [u8, u16, u32] = [(name: Name, row: number) => column.get(name)?.readUInt8(row) ?? 0, (name: Name, row: number) => column.get(name)?.readUInt16LE(2 * row) ?? 0, (name: Name, row: number) => column.get(name)?.readUInt32LE(4 * row) ?? 0]
    const u64 = (name: Name, at: number): bigint => column.get(name)?.readBigUInt64LE(8 * at) ?? 0n
    const addressAt = (name: Name, row: number): string => addressText(column.get(name) ?? nowhere, 16 * row)
    for (let row = 0; row < batch.rows && !truncated; row++) {
      const from = now() - u32('age_ms', row)
      if (addressAt('reply_dst', row) !== text || (request.port !== 0 && u16('reply_dport', row) !== request.port) || (at !== null && (at > now() || at < from))) continue
      truncated = open.length === limit
      if (truncated) break
      open.push({
        client: addressAt('src', row), clientPort: u16('sport', row), address: text, port: u16('reply_dport', row), destination: addressAt('dst', row), destinationPort: u16('dport', row), protocol: u8('proto', row),
        policy: services.names.name('policy', u16('policy', row)), session: hex(u64('id', 2 * row)) + hex(u64('id', 2 * row + 1)), fromMs: BigInt(from)
      })
    }
    if (truncated) break
  }
  const ended = services.endedTranslations({ address: text, port: request.port === 0 ? null : request.port, protocol: filter.protocol ?? null, at, limit: limit - open.length })
  return {
    translations: [...open, ...ended.rows.map(row => ofEnded(row, services))],
    completeSinceMs: ended.completeSince === null ? undefined : BigInt(Math.round(ended.completeSince)), lost: BigInt(ended.lost), truncated: truncated || ended.truncated
  }
}

const hex = (value: bigint): string => value.toString(16).padStart(16, '0')

const ofEnded = ({ session: row, endedAt }: EndedTranslations['rows'][number], { names }: AgentServices): Translation => ({
  client: row.source, clientPort: row.sourcePort, address: row.replyDestination, port: row.replyDestinationPort, destination: row.destination, destinationPort: row.destinationPort, protocol: row.protocol,
  policy: names.name('policy', row.policy), session: row.id, fromMs: BigInt(Math.round(endedAt - row.ageMs)), untilMs: BigInt(Math.round(endedAt))
})
