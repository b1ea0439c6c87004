/* What comes in: installed at once, so that a takeover has nothing left to commit. A deletion takes two graces and runs on a thread of its own; a session
 * whose tuple is still held by one that goes waits for it there (R25). */
#include "sync/replica.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pipeline/create_user.h"

#define PART 256 /* rows between an install and the count of what it made: its lines are still in the cache */
#define RETRY_NS 1000000ULL

/* --- what has to go ---------------------------------------------------------------------------------------------------------------------------- */

/* Holds r->lock. False: no memory; the session stays, and the next cut tells. */
bool ls_sync_doom(struct ls_replica *r, u32 slot, u32 gen, u32 reason)
{
	if (r->dooms == r->doomed_room) {
		u32 room = r->doomed_room ? 2 * r->doomed_room : 4096;
		struct ls_doomed *more = realloc(r->doomed, sizeof(*more) * room);

		if (!more)
			return false;
		r->doomed = more;
		r->doomed_room = room;
	}
	r->shadow[slot].doomed = gen;
	r->doomed[r->dooms++] = (struct ls_doomed){ .slot = slot, .gen = gen, .reason = (u8)reason };
	if (!r->busy)
		pthread_cond_signal(&r->wake);
	return true;
}

/* Whose session is it, for a tuple that the peer wants? */
enum holder { HOLDER_NONE, HOLDER_OURS, HOLDER_PEERS };
static enum holder holder_of(struct ls_replica *r, const struct ls_key *key, u32 *slot, u32 *gen)
{
	u32 rg;

	if (ls_table_find(r->t, key, slot, gen) != LS_OK)
		return HOLDER_NONE;
	rg = LS_LOAD(&r->t->env.sessions[*slot].rg);
	return rg >= LS_RGS_MAX || LS_LOAD(&r->t->env.rgs[rg].role) == LS_ROLE_OWNER ? HOLDER_OURS : HOLDER_PEERS;
}

/* The sessions that hold the record's tuples go. False: one of them is ours. */
static bool make_room(struct ls_replica *r, const struct ls_wire_record *record)
{
	const struct ls_key *keys[2] = { &record->key, &record->reply };
	u32 slot, gen;

	for (u32 d = 0; d < 2; d++)
		if (holder_of(r, keys[d], &slot, &gen) == HOLDER_OURS)
			return false;
	for (u32 d = 0; d < 2; d++) {
		if (holder_of(r, keys[d], &slot, &gen) != HOLDER_PEERS)
			continue;
		ls_sync_forget(r, slot);
		ls_sync_doom(r, slot, gen, LS_CLOSE_RECONCILE);
	}
	return true;
}

/* `sent`, `h`: the id of the record that came, and its hash. */
static void installed(struct ls_replica *r, u32 slot, u64 now_ns, const struct ls_session_id *sent, u64 h)
{
	struct ls_wire_record now;
	u32 other, gen, own;

	if (slot == LS_SLOT_NONE || !ls_sync_read(r, slot, now_ns, &now)) /* what is there, not what was sent (R28) */
		return;
	if (!ls_sync_same(&now.id, sent))
		h = ls_sync_hash(r, &now.id);
	other = ls_sync_find(r, &now.id, h);
	if (other != LS_SLOT_NONE && other != slot && ls_sync_holds(r, other, &now.id, r->shadow[other].rg, &gen)) { /* one id, two sessions */
		if (r->shadow[other].rg != now.rg) { /* it is another group's: the one that came goes */
			if (ls_sync_holds(r, slot, &now.id, now.rg, &own))
				ls_sync_doom(r, slot, own, LS_CLOSE_RECONCILE);
			return;
		}
		ls_sync_forget(r, other);
		ls_sync_doom(r, other, gen, LS_CLOSE_RECONCILE);
	}
	ls_sync_remember(r, slot, &now, h);
}

/* Rows whose tuples were taken, once more. Holds r->lock. */
static void retry(struct ls_replica *r)
{
	u64 now = ls_clock_ns();
	u32 kept = 0;

	for (u32 i = 0; i < r->waits; i++) {
		struct ls_sync_waiting *w = &r->waiting[i];
		struct ls_install_result result;
		u32 slot;

		ls_table_install(r->t, (const u8 *)&w->record, sizeof(w->record), 1, w->flags, NULL, &slot, &result);
		if (result.installed)
			installed(r, slot, now, &w->record.id, ls_sync_hash(r, &w->record.id));
		else if (result.conflicts && now - w->since_ns < LS_WAITING_NS && make_room(r, &w->record))
			r->waiting[kept++] = *w;
		else if (result.full)
			r->late_full++;
		else
			r->late_conflicts++;
	}
	r->waits = kept;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define POPULATE (8ULL << 20)

/* Memory that a whole table of the peer's will need, before it comes: a page fault costs more than an install. Where the kernel cannot, the first install
 * of each page pays. */
static void populate_one(struct ls_replica *r, void *at, u64 bytes)
{
	for (u64 done = 0; done < bytes && !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); done += POPULATE) /* in pieces: other threads want to map memory too */
		if (madvise((u8 *)at + done, bytes - done < POPULATE ? bytes - done : POPULATE, MADV_POPULATE_WRITE) != 0)
			return;
}

static void populate(struct ls_replica *r)
{
	for (u32 i = 0; i < r->t->mappings; i++)
		populate_one(r, r->t->mapping[i].at, r->t->mapping[i].bytes);
	populate_one(r, r->shadow, (u64)r->t->env.slots * sizeof(*r->shadow));
	populate_one(r, r->byid, ((u64)r->byid_mask + 1) * sizeof(*r->byid));
}

void *ls_sync_reaper(void *replica)
{
	struct ls_replica *r = replica;
	static _Thread_local u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH];
	static _Thread_local u8 reasons[LS_FREER_BATCH];
	struct ls_delete_result result;

	pthread_setname_np(pthread_self(), "ls-reaper");
	populate(r);
	pthread_mutex_lock(&r->lock);
	r->populated = true;
	for (;;) {
		u32 n = r->dooms < LS_FREER_BATCH ? r->dooms : LS_FREER_BATCH;

		if (n == 0 && r->stop)
			break;
		if (n == 0) {
			u64 until = ls_clock_ns() + RETRY_NS;
			struct timespec at = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };

			r->busy = false;
			pthread_cond_broadcast(&r->idle);
			if (!r->waits)
				pthread_cond_wait(&r->wake, &r->lock);
			else if (pthread_cond_timedwait(&r->wake, &r->lock, &at) == ETIMEDOUT)
				retry(r);
			if (!r->waits)
				pthread_cond_broadcast(&r->idle);
			continue;
		}
		r->busy = true;
		r->dooms -= n;
		for (u32 i = 0; i < n; i++) {
			const struct ls_doomed *d = &r->doomed[r->dooms + i];

			slots[i] = d->slot;
			gens[i] = d->gen;
			reasons[i] = d->reason;
		}
		pthread_mutex_unlock(&r->lock);
		ls_free_slots_by(r->t, slots, gens, reasons, n, &result);
		pthread_mutex_lock(&r->lock);
		retry(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

void ls_replica_settle(struct ls_replica *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->dooms || r->busy || r->waits)
		pthread_cond_wait(&r->idle, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* --- rows ------------------------------------------------------------------------------------------------------------------------------------------- */

/* A newer word about a session that waits takes its place; a deletion ends the wait. */
static bool no_longer_waits(struct ls_replica *r, const struct ls_session_id *id)
{
	u32 kept = 0, had = r->waits;

	for (u32 i = 0; i < had; i++)
		if (!ls_sync_same(&r->waiting[i].record.id, id)) {
			if (kept != i)
				r->waiting[kept] = r->waiting[i];
			kept++;
		}
	r->waits = kept;
	return kept != had;
}

static void upserts(struct ls_replica *r, const u8 *rows, u32 row, u32 n, u32 flags, struct ls_apply_result *result)
{
	u8 status[PART];
	u32 slots[PART];
	u64 h[PART];
	struct ls_install_result part;
	u64 now = ls_clock_ns();

	if (r->waits)
		for (u32 i = 0; i < n; i++)
			no_longer_waits(r, &((const struct ls_wire_record *)(rows + (u64)i * row))->id);
	ls_table_install(r->t, rows, row, n, flags, status, slots, &part);
	result->installed += part.installed;
	result->full += part.full;
	result->invalid += part.invalid;
	for (u32 i = 0; i < n; i++)
		h[i] = ls_sync_hash(r, &((const struct ls_wire_record *)(rows + (u64)i * row))->id);
	for (u32 i = 0; i < n; i++) {
		const struct ls_wire_record *record = (const struct ls_wire_record *)(rows + (u64)i * row);

		if (i + 16 < n)
			ls_sync_fetch(r, h[i + 16], true);
		if (i + 8 < n && slots[i + 8] != LS_SLOT_NONE)
			__builtin_prefetch(&r->shadow[slots[i + 8]], 1);
		if (status[i] == LS_OK) {
			installed(r, slots[i], now, &record->id, h[i]);
		} else if (status[i] == LS_E_CONFLICT) {
			if (r->waits)
				no_longer_waits(r, &record->id); /* the same id again in this frame */
			if (r->waits == LS_WAITING_MAX || !make_room(r, record)) {
				result->conflicts++;
				continue;
			}
			r->waiting[r->waits].since_ns = ls_clock_ns();
			r->waiting[r->waits].flags = flags;
			memcpy(&r->waiting[r->waits++].record, record, sizeof(*record));
			pthread_cond_signal(&r->wake);
			result->waiting++;
		}
	}
}

/* By the id; by the tuple where the id was never counted. */
static void delete_one(struct ls_replica *r, u32 rg, const struct ls_wire_delete *d, struct ls_apply_result *result)
{
	u32 slot = ls_sync_find(r, &d->id, ls_sync_hash(r, &d->id)), gen;

	if (r->waits && no_longer_waits(r, &d->id)) {
		result->deleted++;
		return;
	}
	if (slot == LS_SLOT_NONE && ls_table_find(r->t, &d->key, &slot, &gen) != LS_OK) {
		result->unknown++;
		return;
	}
	if (!ls_sync_holds(r, slot, &d->id, rg, &gen) || gen == r->shadow[slot].doomed) {
		if (r->shadow[slot].used && r->shadow[slot].rg == rg && ls_sync_same(&r->shadow[slot].item.id, &d->id))
			ls_sync_forget(r, slot); /* it ended here before */
		result->unknown++;
		return;
	}
	ls_sync_forget(r, slot);
	ls_sync_doom(r, slot, gen, d->reason < LS_CLOSE_COUNT ? d->reason : (u32)LS_CLOSE_ADMIN);
	result->deleted++;
}

static void seen(struct ls_replica *r, u32 rg, const struct ls_activity *a, u64 now, struct ls_apply_result *result)
{
	u32 slot = ls_sync_find(r, &a->id, ls_sync_hash(r, &a->id));
	u64 at = now > a->idle_ns ? now - a->idle_ns : 0;

	if (slot == LS_SLOT_NONE || r->shadow[slot].rg != rg) {
		result->unknown++;
		return;
	}
	if (LS_LOAD(&r->t->env.sessions[slot].last_seen_ns) < at)
		LS_STORE(&r->t->env.sessions[slot].last_seen_ns, at);
	result->installed++;
}

enum ls_status ls_replica_apply(struct ls_replica *r, u32 type, u32 rg, const u8 *rows, u32 row, u32 n, bool mark, struct ls_apply_result *result)
{
	u32 least = type == LS_FRAME_UPSERTS ? sizeof(struct ls_wire_record) : type == LS_FRAME_DELETES ? sizeof(struct ls_wire_delete) :
		    type == LS_FRAME_ACTIVITY ? sizeof(struct ls_activity) : 0;
	u64 now = ls_clock_ns();

	memset(result, 0, sizeof(*result));
	if (!least || row < least || row % 8 || (u64)rows % 8 || rg >= LS_RGS_MAX || n > LS_FRAME_ROWS_MAX)
		return LS_E_RECORD;
	if (type == LS_FRAME_UPSERTS)
		for (u32 i = 0; i < n; i++) {
			const struct ls_wire_record *record = (const struct ls_wire_record *)(rows + (u64)i * row);

			if (record->rg != rg || record->flags & (LS_SF_HOST | LS_SF_NO_SYNC)) /* those would be counted by nobody */
				return LS_E_RECORD;
		}
	for (u32 at = 0; at < n; at += PART) {
		u32 part = n - at < PART ? n - at : PART;

		pthread_mutex_lock(&r->lock);
		if (type == LS_FRAME_UPSERTS)
			upserts(r, rows + (u64)at * row, row, part, mark ? LS_INSTALL_MARK : 0, result);
		for (u32 i = at; type != LS_FRAME_UPSERTS && i < at + part; i++) {
			const u8 *one = rows + (u64)i * row;

			if (type == LS_FRAME_DELETES)
				delete_one(r, rg, (const struct ls_wire_delete *)one, result);
			else
				seen(r, rg, (const struct ls_activity *)one, now, result);
		}
		pthread_mutex_unlock(&r->lock);
	}
	return LS_OK;
}
