/* Reconciliation at bulk end: sessions that the peer owns and did not send are stale and go (hazards 1 to 22).
 *
 * The received set is a bitmap of slots marked by installs since bulkBegin. Ownership is the caller's snapshot of bulk start, never read live.
 */
#include "table/table.h"

#include <string.h>

#include "pipeline/hash.h"

void ls_bulk_begin(struct ls_table *t)
{
	pthread_mutex_lock(&t->writer);
	memset(t->marks, 0, (size_t)((t->env.slots + 63) / 64) * 8);
	pthread_mutex_unlock(&t->writer);
}

/* Fetched into the second-level cache, whose queue of misses is longer than the first's: 2.8 ns a slot instead of 6.3. */
#define FETCH(p) __builtin_prefetch((p), 0, 2)
#define WORDS_AHEAD 2

/* Sixty-four slots a word of marks: their first lines, and the other two of those that were not received. */
static void fetch_ahead(const struct ls_table *t, u32 word)
{
	u32 first = word * 64, n = t->env.slots - first < 64 ? t->env.slots - first : 64;
	const u8 *s = (const u8 *)&t->env.sessions[first];
	u64 missing = ~t->marks[word];

	for (u32 i = 0; i < n; i++)
		FETCH(s + i * sizeof(struct ls_session));
	for (; missing; missing &= missing - 1) {
		u32 i = (u32)__builtin_ctzll(missing);

		if (i >= n)
			break;
		FETCH(s + i * sizeof(struct ls_session) + 64);
		FETCH(s + i * sizeof(struct ls_session) + 128);
	}
}

/* The freer takes the entries away one session after the other: their buckets are fetched for all of them before. */
static void fetch_buckets(const struct ls_table *t, const u32 *slots, u32 n)
{
	for (u32 i = 0; i < n; i++)
		for (u32 d = 0; d < 2; d++) {
			const struct ls_session *s = &t->env.sessions[slots[i]];
			struct ls_hash h = ls_hash_key(&t->env.header->hash, d ? &s->reply : &s->key, t->env.bucket_mask);

			FETCH(port_bucket(&t->env, h.bucket));
			FETCH(port_bucket(&t->env, ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask)));
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

		if (word + WORDS_AHEAD < words)
			fetch_ahead(t, word + WORDS_AHEAD);
		for (u32 slot = word * 64; slot < end; slot++, received >>= 1) {
			const struct ls_session *s = &t->env.sessions[slot];
			u32 gen = LS_LOAD_ACQ(&s->gen), rg = LS_LOAD(&s->rg);

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

			fetch_buckets(t, slots, m);
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
