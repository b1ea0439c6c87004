/* Reconciliation at bulk end: sessions that the peer owns and did not send are stale and go (hazards 1 to 22).
 *
 * The received set is a bitmap of slots marked by installs since bulkBegin. Ownership is the caller's snapshot of bulk start, never read live.
 */
#include "table/table.h"

#include <string.h>

void ls_bulk_begin(struct ls_table *t)
{
	pthread_mutex_lock(&t->writer);
	memset(t->marks, 0, (size_t)((t->env.slots + 63) / 64) * 8);
	pthread_mutex_unlock(&t->writer);
}

/* Fetched into the second-level cache, whose queue of misses is longer than the first's: 3 ns a slot instead of 6. */
#define FETCH(p) __builtin_prefetch((p), 0, 2)
#define AHEAD 128 /* slots; a multiple of 64 */

/* Of the slots of one word of marks that were not received, the two lines that only they need. */
static void fetch_missing(const struct ls_table *t, u32 word)
{
	for (u64 missing = ~t->marks[word]; missing; missing &= missing - 1) {
		u32 slot = word * 64 + (u32)__builtin_ctzll(missing);

		if (slot >= t->env.slots)
			break;
		FETCH((const u8 *)&t->env.sessions[slot] + 64);
		FETCH((const u8 *)&t->env.sessions[slot] + 128);
	}
}

enum ls_status ls_reconcile(struct ls_table *t, u32 peer_owned, bool began, bool source_failed, struct ls_reconcile_result *result)
{
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0, words = (t->env.slots + 63) / 64;
	u64 start = ls_clock_ns(), clearing = 0;
	struct ls_delete_result part;

	memset(result, 0, sizeof(*result));
	if (!began || source_failed)
		return LS_E_INVALID; /* a spurious end, or a window built from a partial source, deletes nothing (hazards 5, 19) */
	for (u32 word = 0; word <= words; word++) {
		u64 received = word < words ? t->marks[word] : 0;
		u32 end = word < words ? (t->env.slots - word * 64 < 64 ? t->env.slots : word * 64 + 64) : 0;

		if (word + AHEAD / 64 < words)
			fetch_missing(t, word + AHEAD / 64);
		for (u32 slot = word * 64; slot < end; slot++, received >>= 1) {
			const struct ls_session *s = &t->env.sessions[slot];
			u32 gen, rg;

			FETCH(s + AHEAD); /* past the last slot it is a hint that leads nowhere */
			gen = LS_LOAD_ACQ(&s->gen);
			rg = LS_LOAD(&s->rg);
			if (!(gen & 1) || rg >= LS_RGS_MAX || !(peer_owned >> rg & 1))
				continue;
			result->scanned++;
			if (!(received & 1) && LS_STATE_LIFECYCLE(LS_LOAD(&s->state)) == LS_LIVE) {
				slots[m] = slot;
				gens[m++] = gen;
			}
		}
		if (m > LS_FREER_BATCH - 64 || (word == words && m)) {
			u64 began_ns = ls_clock_ns();

			ls_table_free_slots(t, slots, gens, m, LS_CLOSE_RECONCILE, &part);
			clearing += ls_clock_ns() - began_ns;
			result->stale += m;
			result->deleted += part.deleted;
			result->grace_ns += part.grace_ns;
			m = 0;
		}
	}
	result->clear_ns = clearing - result->grace_ns;
	result->walk_ns = ls_clock_ns() - start - clearing;
	return LS_OK;
}
