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

enum ls_status ls_reconcile(struct ls_table *t, u32 peer_owned, bool began, bool source_failed, struct ls_reconcile_result *result)
{
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0;
	u64 start = ls_clock_ns(), clearing = 0;
	struct ls_delete_result part;

	memset(result, 0, sizeof(*result));
	if (!began || source_failed)
		return LS_E_INVALID; /* a spurious end, or a window built from a partial source, deletes nothing (hazards 5, 19) */
	for (u32 slot = 0; slot <= t->env.slots; slot++) {
		if (slot < t->env.slots) {
			const struct ls_session *s = &t->env.sessions[slot];
			u32 gen = LS_LOAD_ACQ(&s->gen);

			if (slot + 16 < t->env.slots)
				__builtin_prefetch(&t->env.sessions[slot + 16]);
			if ((gen & 1) && LS_LOAD(&s->rg) < LS_RGS_MAX && (peer_owned >> LS_LOAD(&s->rg) & 1)) {
				result->scanned++;
				if (!(t->marks[slot / 64] >> (slot % 64) & 1) && LS_STATE_LIFECYCLE(LS_LOAD(&s->state)) == LS_LIVE) {
					slots[m] = slot;
					gens[m++] = gen;
				}
			}
		}
		if (m == LS_FREER_BATCH || (slot == t->env.slots && m)) {
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
