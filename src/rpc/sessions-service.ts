/** lockstep.v1.Sessions over the session store. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import {
  SessionsService, type SessionsCountResponse, type SessionsDeleteResponse, type SessionsGetResponse, type SessionsVerifyResponse,
  type SessionsCountRequest, type SessionsDeleteRequest, type SessionsGetRequest, type SessionsListRequest, type SessionChanges,
  type SessionsVerifyRequest, type SessionsWatchRequest
} from '../generated/proto/lockstep/v1/sessions.js'
import { streaming, unary, type OnBug } from './handler.js'
import { filterOf, isEmptyFilter, sessionId } from './session-filter.js'
import { listSessions } from './session-list.js'
import { sessionMessage } from './session-message.js'
import { watchSessions } from './session-watch.js'

/** As generated, except that List's messages arrive as wire bytes. */
export const sessionsDefinition = {
  ...SessionsService,
  list: { ...SessionsService.list, responseSerialize: (bytes: Buffer): Buffer => bytes }
}

export function sessionsImplementation (services: AgentServices, onBug: OnBug): UntypedServiceImplementation {
  const store = (): ReturnType<AgentServices['dataplane']>['sessions'] => services.dataplane().sessions
  return {
    list: streaming<SessionsListRequest, Buffer>(onBug, async (request, context) => { await listSessions(services, request, context) }),
    watch: streaming<SessionsWatchRequest, SessionChanges>(onBug, async (request, context) => { await watchSessions(services, request, context) }),

    get: unary<SessionsGetRequest, SessionsGetResponse>(onBug, async (request) => {
      const id = sessionId(request.id)
      const row = await store().get(id)
      if (row === null) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such session', { object: `session ${id}`, next: 'list sessions again' })
      return { session: sessionMessage(row, services.names) }
    }),

    count: unary<SessionsCountRequest, SessionsCountResponse>(onBug, async (request) =>
      ({ count: BigInt(await store().count(filterOf(request.filter, services.resolveFilter))) })),

    delete: unary<SessionsDeleteRequest, SessionsDeleteResponse>(onBug, async (request, { signal }) => {
      const filter = filterOf(request.filter, services.resolveFilter)
      if (isEmptyFilter(filter) && !request.all) {
        throw new LockstepError('invalid', 'LS_R_EMPTY_FILTER', 'an empty filter would end every session', { object: 'filter', next: 'set `all` if that is meant' })
      }
      const { matched, deleted } = await store().deleteByFilter(filter, signal)
      return { matched: BigInt(matched), deleted: BigInt(deleted) }
    }),

    verify: unary<SessionsVerifyRequest, SessionsVerifyResponse>(onBug, async () => {
      const r = await store().verify()
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
