import { LockstepError } from '../contract/errors.js';
import { SessionsService } from '../generated/proto/lockstep/v1/sessions.js';
import { streaming, unary } from './handler.js';
import { filterOf, isEmptyFilter, sessionId } from './session-filter.js';
import { listSessions } from './session-list.js';
import { sessionMessage } from './session-message.js';
import { watchSessions } from './session-watch.js';
import { smallRequests } from './request-size.js';
import { Seats, TableTurns, Turnstile } from './turns.js';
const small = smallRequests(SessionsService);
/** As generated, except that List's messages arrive as wire bytes. */
export const sessionsDefinition = {
    ...small,
    list: { ...small.list, responseSerialize: (bytes) => bytes }
};
/** A listing holds about 2 MiB for a reader that does not read, a watcher about 1 MiB. */
export const LISTINGS_MAX = 64;
export const WATCHERS_MAX = 256;
export function sessionsImplementation(services, onBug) {
    const store = () => services.dataplane().sessions;
    const listings = new Seats('listings', LISTINGS_MAX);
    const watchers = new Seats('watchers', WATCHERS_MAX);
    const steps = new TableTurns();
    // A get walks on the main thread until it finds its session; a count and a check of the table walk on threads of the addon.
    const gets = new Turnstile('sessions to get', 1, 256);
    const walks = new Turnstile('walks of the table', 2, 64);
    const deletes = new Turnstile('deletes', 1, 64);
    return {
        list: streaming(onBug, async (request, context) => { await listings.hold(async () => await listSessions(services, request, context, steps)); }),
        watch: streaming(onBug, async (request, context) => { await watchers.hold(async () => await watchSessions(services, request, context)); }),
        get: unary(onBug, async (request, { signal }) => {
            const id = sessionId(request.id);
            const row = await gets.run(signal, async () => await store().get(id));
            if (row === null)
                throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such session', { object: `session ${id}`, next: 'list sessions again' });
            return { session: sessionMessage(row, services.names) };
        }),
        count: unary(onBug, async (request, { signal }) => {
            const filter = filterOf(request.filter, services.resolveFilter);
            return { count: BigInt(await walks.run(signal, async () => await store().count(filter))) };
        }),
        delete: unary(onBug, async (request, { signal }) => {
            const filter = filterOf(request.filter, services.resolveFilter);
            if (isEmptyFilter(filter) && !request.all) {
                throw new LockstepError('invalid', 'LS_R_EMPTY_FILTER', 'an empty filter would end every session', { object: 'filter', next: 'set `all` if that is meant' });
            }
            const { matched, deleted } = await deletes.run(signal, async () => await store().deleteByFilter(filter, signal));
            return { matched: BigInt(matched), deleted: BigInt(deleted) };
        }),
        verify: unary(onBug, async (_request, { signal }) => {
            const r = await walks.run(signal, async () => await store().verify());
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
            };
        })
    };
}
//# sourceMappingURL=sessions-service.js.map