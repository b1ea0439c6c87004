/** Telemetry.NatWho: sessions that have a translated address now, and those that had it. Walks the table in steps, as a listing does. */
import { LockstepError } from '../contract/errors.js'
import type { AgentServices, EndedTranslations } from '../contract/services.js'
import { SessionFilter } from '../generated/proto/lockstep/v1/session.js'
import { Translation, type TelemetryNatWhoRequest, type TelemetryNatWhoResponse } from '../generated/proto/lockstep/v1/telemetry.js'
import { formatAddress, parseAddress } from '../lib/address.js'
import { cellsOf } from '../lib/columns.js'
import { listed } from './listing.js'
import { filterOf } from './session-filter.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

const LIMIT = 100
const LIMIT_MAX = 10_000
const columns = ['id', 'src', 'sport', 'dst', 'dport', 'proto', 'policy', 'age_ms', 'reply_dst', 'reply_dport'] as const
const wanted = columnSpecs(columns)

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
    const cells = cellsOf<typeof columns[number]>(batch.columns, batch.rows)
    const [session, client, clientPort, destination, destinationPort] = [cells.id('id'), cells.address('src'), cells.u16('sport'), cells.address('dst'), cells.u16('dport')]
    const [translated, translatedPort, protocol, policy, ageMs] = [cells.address('reply_dst'), cells.u16('reply_dport'), cells.u8('proto'), cells.u16('policy'), cells.u32('age_ms')]
    for (let row = 0; row < batch.rows && !truncated; row++) {
      const from = now() - ageMs(row)
      if (translated(row) !== text || (request.port !== 0 && translatedPort(row) !== request.port) || (at !== null && (at > now() || at < from))) continue
      truncated = open.length === limit
      if (truncated) break
      open.push({
        client: client(row), clientPort: clientPort(row), address: text, port: translatedPort(row), destination: destination(row), destinationPort: destinationPort(row), protocol: protocol(row),
        policy: services.names.name('policy', policy(row)), session: session(row), fromMs: BigInt(from)
      })
    }
    if (truncated) break
  }
  const ended = services.endedTranslations({ address: text, port: request.port === 0 ? null : request.port, protocol: filter.protocol ?? null, at, limit: limit - open.length })
  const { rows: translations, nextPageToken } = listed([...open, ...ended.rows.map(row => ofEnded(row, services))], ({ session, fromMs, untilMs }) => untilMs === undefined ? session : `${session} ${fromMs}`, request.listing, Translation)
  return {
    translations, nextPageToken,
    completeSinceMs: ended.completeSince === null ? undefined : BigInt(Math.round(ended.completeSince)), lost: BigInt(ended.lost), truncated: truncated || ended.truncated
  }
}

const ofEnded = ({ session: row, endedAt }: EndedTranslations['rows'][number], { names }: AgentServices): Translation => ({
  client: row.source, clientPort: row.sourcePort, address: row.replyDestination, port: row.replyDestinationPort, destination: row.destination, destinationPort: row.destinationPort, protocol: row.protocol,
  policy: names.name('policy', row.policy), session: row.id, fromMs: BigInt(Math.round(endedAt - row.ageMs)), untilMs: BigInt(Math.round(endedAt))
})
