/* Reconciliation at bulk end: sessions that the peer owns and did not send are stale and go (hazards 1 to 22).
 *
 * The received set is a bitmap of slots marked by installs since bulkBegin. Ownership is the caller's snapshot of bulk start, never read live.
 */
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/create_user.h"

void ls_bulk_begin(struct ls_table *t)
{
	pthread_mutex_lock(&t->writer);
	memset(t->marks, 0, (size_t)((t->env.slots + 63) / 64) * 8);
	pthread_mutex_unlock(&t->writer);
}

/* The slots to look at, one after the other: neither received nor in the agent's list of free ones, so that a bulk that confirms nearly everything costs
 * little more than a walk of two bitmaps. Their lines are on the way while others are looked at: the first AHEAD slots before, those a session needs half
 * of that. They go into the second-level cache, whose queue of misses is longer than the first's (3 ns a slot instead of 6 when all are looked at). */
#define FETCH(p) __builtin_prefetch((p), 0, 2)
#define AHEAD 128

struct suspects {
	const struct ls_table *t;
	u64 *done; /* received or free when the pass began */
	u32 word, words;
	u64 bits; /* of this word, not handed out yet */
	u64 received;
};

static bool suspects_begin(struct suspects *it, struct ls_table *t)
{
	*it = (struct suspects){ .t = t, .word = 0xffffffff, .words = (t->env.slots + 63) / 64 };
	it->done = malloc((size_t)it->words * 8);
	if (!it->done)
		return false;
	pthread_mutex_lock(&t->writer);
	for (u32 i = 0; i < it->words; i++) {
		it->done[i] = t->marks[i];
		it->received += (u32)__builtin_popcountll(t->marks[i]);
	}
	for (u32 i = 0; i < t->listed; i++)
		it->done[t->list[i] / 64] |= 1ULL << (t->list[i] % 64);
	pthread_mutex_unlock(&t->writer);
	return true;
}

static u32 suspects_next(struct suspects *it)
{
	u32 slot;

	while (!it->bits) {
		if (++it->word >= it->words)
			return LS_SLOT_NONE;
		it->bits = ~it->done[it->word];
	}
	slot = it->word * 64 + (u32)__builtin_ctzll(it->bits);
	it->bits &= it->bits - 1;
	return slot < it->t->env.slots ? slot : LS_SLOT_NONE; /* only the last word has bits beyond */
}

static bool received_since(const struct ls_table *t, u32 slot) { return LS_LOAD(&t->marks[slot / 64]) >> (slot % 64) & 1; }

enum ls_status ls_reconcile(struct ls_table *t, u32 peer_owned, bool began, bool source_failed, struct ls_reconcile_result *result)
{
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0, ring[AHEAD], next = 0;
	struct suspects it;
	u64 start = ls_clock_ns(), clearing = 0, fetched = 0;
	struct ls_delete_result part;

	memset(result, 0, sizeof(*result));
	if (!began || source_failed)
		return LS_E_INVALID; /* a spurious end, or a window built from a partial source, deletes nothing (hazards 5, 19) */
	if (!suspects_begin(&it, t))
		return LS_E_NOMEM;
	for (u64 at = 0; next != LS_SLOT_NONE || at < fetched;) {
		const struct ls_session *s;
		u32 slot, gen, rg;

		if (next != LS_SLOT_NONE) {
			next = suspects_next(&it);
			if (next != LS_SLOT_NONE) {
				FETCH(&t->env.sessions[next]);
				ring[fetched++ % AHEAD] = next;
				if (fetched - at < AHEAD)
					continue;
			}
		}
		if (at + AHEAD / 2 < fetched) {
			s = &t->env.sessions[ring[(at + AHEAD / 2) % AHEAD]];
			if (LS_LOAD(&s->gen) & 1) {
				FETCH((const u8 *)s + 64);
				FETCH((const u8 *)s + 128);
			}
		}
		if (at < fetched) {
			slot = ring[at++ % AHEAD];
			s = &t->env.sessions[slot];
			gen = LS_LOAD_ACQ(&s->gen);
			rg = LS_LOAD(&s->rg);
			/* the state before the mark: an install marks before LIVE */
			if ((gen & 1) && rg < LS_RGS_MAX && (peer_owned >> rg & 1) && LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state)) == LS_LIVE &&
			    !received_since(t, slot)) {
				result->scanned++;
				slots[m] = slot;
				gens[m++] = gen;
			}
		}
		if (m == LS_FREER_BATCH || (m && next == LS_SLOT_NONE && at == fetched)) {
			u64 began_ns = ls_clock_ns();

			ls_table_free_slots(t, slots, gens, m, LS_CLOSE_RECONCILE, &part);
			clearing += ls_clock_ns() - began_ns;
			result->stale += m;
			result->deleted += part.deleted;
			result->grace_ns += part.grace_ns;
			m = 0;
		}
	}
	free(it.done);
	result->scanned += it.received;
	result->clear_ns = clearing - result->grace_ns;
	result->walk_ns = ls_clock_ns() - start - clearing;
	return LS_OK;
}
