/* Taking over a table after its holder or a worker died (R6), and finishing the freer's work in progress (R5).
 *
 * Runs with no worker alive: user space's are threads of the process that died. Taking over from living workers (XDP, the DPDK child) needs the snapshot
 * pass of docs/design/0002, because it must not touch their rings and spares.
 */
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/create_user.h"

/* Does the index hold this session exactly once in each direction, where its tuples say? */
static bool whole(const struct ls_table *t, const struct ls_session *s, u32 slot)
{
	const struct ls_key *keys[2] = { &s->key, &s->reply };

	for (u32 d = 0; d < 2; d++) {
		struct ls_hash h = ls_hash_key(&t->env.header->hash, keys[d], t->env.bucket_mask);
		u64 entry = LS_ENTRY(h.tag, LS_REF(slot, d));
		u32 bucket = h.bucket, n = 0;

		for (u32 b = 0; b < 2; b++) {
			const struct ls_bucket *at = port_bucket(&t->env, bucket);

			for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
				n += at->entry[i] == entry;
			bucket = ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask);
		}
		if (n != 1)
			return false;
	}
	return true;
}

/* Undoes whatever this slot was: entries away, gen even, FREE. */
static void release(struct ls_table *t, u32 slot)
{
	struct ls_session *s = &t->env.sessions[slot];

	ls_index_clear(&t->env, ls_hash_key(&t->env.header->hash, &s->key, t->env.bucket_mask), LS_REF(slot, LS_FORWARD));
	ls_index_clear(&t->env, ls_hash_key(&t->env.header->hash, &s->reply, t->env.bucket_mask), LS_REF(slot, LS_REPLY));
	if (s->gen & 1)
		s->gen++;
	s->state = LS_STATE_MAKE(LS_FREE, 0, 0, 0, 0);
}

void ls_table_adopt(struct ls_table *t, struct ls_adopt_result *result)
{
	struct ls_env *e = &t->env;

	memset(result, 0, sizeof(*result));
	pthread_mutex_lock(&t->freer);
	pthread_mutex_lock(&t->writer);
	/* no worker of the old process lives: its rings and spares are even slots like any other */
	for (u32 w = 0; w < e->header->workers; w++) {
		struct ls_worker *k = &e->workers[w];

		k->free_tail = k->free_head = 0;
		k->spare = 0;
		k->attached = 0;
		k->quiescent = 0;
	}
	for (u32 slot = 0; slot < e->slots; slot++) {
		struct ls_session *s = &e->sessions[slot];
		u32 life = LS_STATE_LIFECYCLE(s->state);

		if (!(s->gen & 1)) {
			s->state = LS_STATE_MAKE(LS_FREE, 0, 0, 0, 0);
			continue;
		}
		switch (life) {
		case LS_LIVE:
			if (whole(t, s, slot)) {
				s->state &= ~LS_STATE_DIRTY_BIT; /* the notice that explains it may have died unsent; one too many is harmless */
				result->live++;
				continue;
			}
			result->undone++;
			break;
		case LS_DYING:
			if (!(LS_STATE_FLOW(s->state) & LS_FLOW_ADMIN) && whole(t, s, slot)) {
				s->state = LS_STATE_SET_CLOSE(LS_STATE_SET_LIFECYCLE(s->state, LS_LIVE), LS_CLOSE_NONE) & ~LS_STATE_DIRTY_BIT;
				result->live++;
				continue;
			}
			result->finished++;
			break;
		case LS_DEAD:
			result->finished++;
			break;
		default: /* CREATING, or odd and FREE: died between two words */
			result->undone++;
		}
		release(t, slot);
	}
	/* entries on free slots or under a foreign tuple */
	for (u32 b = 0; b <= e->bucket_mask; b++)
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
			u64 entry = e->index[b].entry[i];
			u32 ref = LS_ENTRY_REF(entry), slot = LS_REF_SLOT(ref);
			struct ls_hash h;

			if (!entry)
				continue;
			if (slot < e->slots && (e->sessions[slot].gen & 1)) {
				h = ls_hash_key(&e->header->hash, ls_key_of(&e->sessions[slot], LS_REF_DIR(ref)), e->bucket_mask);
				if (h.tag == LS_ENTRY_TAG(entry) && (h.bucket == b || ls_other_bucket(h.bucket, h.tag, e->bucket_mask) == b))
					continue;
			}
			e->index[b].entry[i] = 0;
			result->entries_cleared++;
		}
	t->listed = 0;
	for (u32 slot = e->slots; slot-- > 0;)
		if (!(e->sessions[slot].gen & 1))
			t->list[t->listed++] = slot;
	result->listed = t->listed;
	e->freer->phase = LS_FREER_IDLE;
	e->freer->count = 0;
	pthread_mutex_unlock(&t->writer);
	pthread_mutex_unlock(&t->freer);
}
