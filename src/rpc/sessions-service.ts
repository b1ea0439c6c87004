/** lockstep.v1.Sessions over the session store. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import {
  SessionsService, type SessionsExportRequest, type SessionsExportResponse, type SessionsTopRequest, type SessionsTopResponse, type SessionsCountResponse, type SessionsDeleteResponse, type SessionsInstallRequest, type SessionsInstallResponse, type SessionsReconcileRequest, type SessionsReconcileResponse, type SessionsGetResponse, type SessionsVerifyResponse,
  type SessionsCountRequest, type SessionsDeleteRequest, type SessionsGetRequest, type SessionsListRequest,
  type SessionsVerifyRequest, type SessionsWatchRequest
} from '../generated/proto/lockstep/v1/sessions.js'
import type { ServiceNeeds } from './needs.js'
import { streaming, unary } from './handler.js'
import { SessionFan } from './session-fan.js'
import { filterOf, isEmptyFilter, sessionId, tupleOf } from './session-filter.js'
import { Bulks, CONFLICT, nameSessions } from './session-bulk.js'
import { exportSessions } from './session-export.js'
import { installed, newSessions } from './session-install.js'
import { listSessions } from './session-list.js'
import { sessionMessage } from './session-message.js'
import { topSessions } from './session-top.js'
import { watchSessions } from './session-watch.js'
import { INSTALL_BYTES_MAX, smallRequests } from './request-size.js'
import { Seats, TableTurns, Turnstile } from './turns.js'

const small = smallRequests(SessionsService, { install: INSTALL_BYTES_MAX })
const responseSerialize = (bytes: Buffer): Buffer => bytes
/** As generated, except that messages of List and Watch arrive as wire bytes. */
export const sessionsDefinition = { ...small, list: { ...small.list, responseSerialize }, watch: { ...small.watch, responseSerialize } }

/** A listing holds about 2 MiB for a reader that does not read, a watcher about 1 MiB. */
export const LISTINGS_MAX = 64
export const WATCHERS_MAX = 256

export function sessionsImplementation (services: AgentServices, { onBug, mutations, onLost, subscribers }: ServiceNeeds): UntypedServiceImplementation {
  const store = (): ReturnType<AgentServices['dataplane']>['sessions'] => services.dataplane().sessions
  const fan = new SessionFan(services.feed)
  const bulks = new Bulks()
  const listings = new Seats('listings', LISTINGS_MAX)
  const watchers = new Seats('watchers', WATCHERS_MAX)
  const steps = new TableTurns()
  // A get of an id that is not in its slot walks on this thread until it finds its session; a count and a check of the table walk on threads of the addon.
  const gets = new Turnstile('sessions to get', 1, 256)
  const walks = new Turnstile('walks of the table', 2, 64)
  const deletes = new Turnstile('deletes', 1, 64)
  const tops = new Seats('measurements of the busiest sessions', 2)
  return {
    list: streaming<SessionsListRequest, Buffer>(onBug, async (request, context) => { await listings.hold(async () => await listSessions(services, request, context, steps)) }),
    export: streaming<SessionsExportRequest, SessionsExportResponse>(onBug, async (request, context) => { await listings.hold(async () => { await exportSessions(services, request, context, steps) }) }),
    top: unary<SessionsTopRequest, SessionsTopResponse>(onBug, async (request, context) => await tops.hold(async () => await topSessions(services, request, context, steps))),
    watch: streaming<SessionsWatchRequest, Buffer>(onBug, async (request, context) => { await watchers.hold(async () => { await watchSessions(services, request, context, { fan, onLost, subscribers, turns: steps, listings }) }) }),

    get: unary<SessionsGetRequest, SessionsGetResponse>(onBug, async (request, { signal }) => {
      const { tuple } = request
      if (tuple !== undefined && request.id !== '') throw new LockstepError('invalid', 'LS_R_GET', 'an id or a tuple, not both', { object: 'tuple', next: 'leave one of them out' })
      const id = tuple === undefined ? sessionId(request.id) : ''
      const row = tuple === undefined ? await gets.run(signal, async () => await store().get(id)) : store().find(tupleOf(tuple, services.names))
      if (row === null) {
        const what = tuple === undefined ? `session ${id}` : `${tuple.source} port ${tuple.sourcePort} to ${tuple.destination} port ${tuple.destinationPort}`
        throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such session', { object: what, next: 'list sessions again' })
      }
      return { session: sessionMessage(row, services.names) }
    }),

    count: unary<SessionsCountRequest, SessionsCountResponse>(onBug, async (request, { signal }) => {
      const filter = filterOf(request.filter, services.names)
      return { count: BigInt(await walks.run(signal, async () => await store().count(filter))) }
    }),

    install: mutations.method<SessionsInstallRequest, SessionsInstallResponse>(({ sessions, bulk }, { dryRun, caller }) => {
      const news = newSessions(sessions, services.names, bulk === '' ? 1 : 0)
      if (bulk === '') return dryRun ? { installed: news.length, kept: 0, refused: [] } : installed(store().open(news))
      const under = bulks.open(caller, bulk, dryRun)
      const statuses = dryRun ? new Uint8Array(news.length).fill(CONFLICT) : store().open(news)
      const kept = nameSessions(under, store(), news, statuses)
      return dryRun ? { installed: news.length - kept, kept, refused: [] } : installed(statuses, kept)
    }),

    reconcile: mutations.method<SessionsReconcileRequest, SessionsReconcileResponse>(async ({ bulk, filter: wanted, all }, { dryRun, caller, signal }) => {
      const filter = filterOf(wanted, services.names)
      if (isEmptyFilter(filter) && !all) {
        throw new LockstepError('invalid', 'LS_R_EMPTY_FILTER', 'an empty filter would end every session that was not named', { object: 'filter', next: 'set `all` if that is meant' })
      }
      const { ids, beganMs } = bulks.find(caller, bulk, dryRun)
      const { matched, deleted } = await deletes.run(signal, async () => await store().deleteOthers(filter, ids, performance.now() - beganMs, dryRun, signal))
      if (!dryRun) bulks.end(caller, bulk)
      return { named: BigInt(ids.size), matched: BigInt(matched), deleted: BigInt(deleted) }
    }),

    delete: mutations.method<SessionsDeleteRequest, SessionsDeleteResponse>(async (request, { dryRun, signal }) => {
      const filter = filterOf(request.filter, services.names)
      if (isEmptyFilter(filter) && !request.all) {
        throw new LockstepError('invalid', 'LS_R_EMPTY_FILTER', 'an empty filter would end every session', { object: 'filter', next: 'set `all` if that is meant' })
      }
      if (dryRun) return { matched: BigInt(await walks.run(signal, async () => await store().count(filter))), deleted: 0n }
      const { matched, deleted } = await deletes.run(signal, async () => await store().deleteByFilter(filter, signal))
      return { matched: BigInt(matched), deleted: BigInt(deleted) }
    }),

    verify: unary<SessionsVerifyRequest, SessionsVerifyResponse>(onBug, async (_request, { signal }) => {
      const r = await walks.run(signal, async () => await store().verify())
      return {
        ok: r.ok,
        slots: BigInt(r.slots),
        live: BigInt(r.live),
        creating: BigInt(r.creating),
        dying: BigInt(r.dying),
        dead: BigInt(r.dead),
        free: BigInt(r.free),
        entries: BigInt(r.entries),
        faults: r.faults.map((f) => ({ name: f.name, count: BigInt(f.count), first: f.first })),
        durationMs: r.durationMs
      }
    })
  }
}
