/** lockstep.v1.Bgp: neighbours, where they are read, and what waits to be told, as messages. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { BgpControl, BgpNeighbourStatus, BgpPending, BgpSinkStatus, BgpSourceStatus, BgpState } from '../contract/bgp.js'
import type { BgpRoute, BgpRouteSink } from '../contract/bgp-announce.js'
import { LockstepError } from '../contract/errors.js'
import {
  BgpNeighbour as NeighbourMessage, BgpPending as PendingMessage, BgpRoute as RouteMessage, BgpSink as SinkMessage, BgpSource as SourceMessage, BgpState as StateMessage,
  type BgpListNeighboursRequest, type BgpListNeighboursResponse, type BgpListPendingRequest, type BgpListPendingResponse, type BgpListRoutesRequest, type BgpListRoutesResponse,
  type BgpListSinksRequest, type BgpListSinksResponse, type BgpListSourcesRequest, type BgpListSourcesResponse, type BgpRouteSink as RouteSinkMessage
} from '../generated/proto/lockstep/v1/bgp.js'
import { unary, type OnBug } from './handler.js'
import { keyOfToken, listed } from './listing.js'

const PAGE_MAX = 5000

const states = { up: StateMessage.BGP_STATE_UP, down: StateMessage.BGP_STATE_DOWN, unknown: StateMessage.BGP_STATE_UNKNOWN } as const satisfies Record<BgpState, StateMessage>
const whole = (value: number): bigint => BigInt(Math.round(value))
const told = (value: number | null): bigint | undefined => value === null ? undefined : whole(value)

export const neighbourKey = ({ vrf, peer }: Pick<BgpNeighbourStatus, 'vrf' | 'peer'>): string => `${vrf}/${peer}`

export const neighbourMessage = (n: BgpNeighbourStatus): NeighbourMessage => ({
  key: neighbourKey(n), vrf: n.vrf, peer: n.peer, state: states[n.state], unknownBecause: n.unknownBecause ?? '', source: n.source, local: n.local ?? undefined, remoteAs: n.remoteAs ?? undefined, localAs: n.localAs ?? undefined, fsm: n.fsm ?? undefined,
  adminDown: n.adminDown, sinceMs: told(n.since), changedAtMs: whole(n.changedAt), seenAtMs: whole(n.seenAt), flaps: BigInt(n.flaps), drops: told(n.drops), reason: n.reason ?? undefined, description: n.description ?? undefined,
  prefixesReceived: told(n.prefixesReceived), rttNs: told(n.rttNs)
})

const sourceMessage = ({ source, scope, goodAt, failed, failures, readings, neighbours, tookMs }: BgpSourceStatus): SourceMessage =>
  ({ kind: source, scope, goodAtMs: told(goodAt), failed: failed ?? '', failures, readingsOk: BigInt(readings.ok), readingsFailed: BigInt(readings.failed), neighbours, tookMs: tookMs ?? undefined })

const pendingMessage = ({ sink, subject, state, rttNs, cause, stage, decidedAt, queuedAt, attempts, retryAt, lastError }: BgpPending): PendingMessage =>
  ({ sink, subject, state: states[state], rttNs: whole(rttNs), cause, stage, decidedAtMs: whole(decidedAt), queuedAtMs: whole(queuedAt), attempts, retryAtMs: told(retryAt), lastError: lastError ?? undefined })

const sinkMessage = ({ sink, kind, stage, lastError, subjects, queued, out, lastTickAt, lastLandedAt, batches }: BgpSinkStatus): SinkMessage =>
  ({ name: sink, kind, stage, lastError: lastError ?? '', subjects, queued, out, lastTickAtMs: told(lastTickAt), lastLandedAtMs: told(lastLandedAt), batches: BigInt(batches) })

const routeMessage = ({ prefix, vips, announced, reason, since }: BgpRoute): RouteMessage => ({ prefix, vips: [...vips], announced, reason, sinceMs: whole(since) })

const routeSinkMessage = ({ name, kind, goodAt, failed, failures, added, removed }: BgpRouteSink): RouteSinkMessage =>
  ({ name, kind, goodAtMs: told(goodAt), failed: failed ?? '', failures, added: BigInt(added), removed: BigInt(removed) })

/** `next` is the key that the token has. */
function page (all: readonly BgpNeighbourStatus[], { vrf, peer, after, limit, listing }: BgpListNeighboursRequest): BgpListNeighboursResponse {
  const wanted = all.filter(n => (vrf === '' || n.vrf === vrf) && (peer === '' || n.peer === peer)).map(n => ({ key: neighbourKey(n), n })).sort((a, b) => a.key < b.key ? -1 : 1)
  if (peer !== '' && wanted.length === 0) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such neighbour', { object: 'neighbour', found: vrf === '' ? peer : `${vrf}/${peer}`, next: 'list them without a name' })
  const rest = after === '' ? wanted : wanted.filter(({ key }) => key > after)
  const { pageSize = 0, pageToken = '', readMask = [] } = listing ?? {}
  const size = pageSize !== 0 ? pageSize : limit === 0 ? PAGE_MAX : Math.min(limit, PAGE_MAX)
  const { rows: neighbours, nextPageToken } = listed(rest.map(({ n }) => neighbourMessage(n)), ({ key }) => key, { pageSize: size, pageToken, readMask }, NeighbourMessage)
  return { neighbours, next: nextPageToken === '' ? '' : keyOfToken(nextPageToken), nextPageToken }
}

export function bgpImplementation (bgp: BgpControl, onBug: OnBug): UntypedServiceImplementation {
  return {
    listNeighbours: unary<BgpListNeighboursRequest, BgpListNeighboursResponse>(onBug, async request => page(await bgp.neighbours(), request)),
    listSources: unary<BgpListSourcesRequest, BgpListSourcesResponse>(onBug, async ({ listing }) => {
      const { rows: sources, nextPageToken } = listed((await bgp.sources()).map(sourceMessage).sort((a, b) => a.scope < b.scope ? -1 : 1), ({ kind, scope }) => `${kind} ${scope}`, listing, SourceMessage)
      return { sources, nextPageToken }
    }),
    listPending: unary<BgpListPendingRequest, BgpListPendingResponse>(onBug, async ({ listing }) => {
      const { rows: pending, nextPageToken } = listed((await bgp.pending()).map(pendingMessage).sort((a, b) => Number(a.queuedAtMs - b.queuedAtMs)), ({ sink, subject, decidedAtMs }) => `${sink} ${subject} ${decidedAtMs}`, listing, PendingMessage)
      return { pending, nextPageToken }
    }),
    listSinks: unary<BgpListSinksRequest, BgpListSinksResponse>(onBug, async ({ listing }) => {
      const { rows: sinks, nextPageToken } = listed((await bgp.sinks()).map(sinkMessage).sort((a, b) => a.name < b.name ? -1 : 1), ({ name }) => name, listing, SinkMessage)
      return { sinks, nextPageToken }
    }),
    listRoutes: unary<BgpListRoutesRequest, BgpListRoutesResponse>(onBug, async ({ listing }) => {
      const { rows: routes, nextPageToken } = listed((await bgp.routes()).map(routeMessage), ({ prefix }) => prefix, listing, RouteMessage)
      return { routes, nextPageToken, sinks: (await bgp.routeSinks()).map(routeSinkMessage) }
    })
  }
}
