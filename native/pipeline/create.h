/* Creating a session: the protocol of R2, in the steps a caller strings together.
 *
 *   begin    take a slot; state CREATING; write the record; gen odd
 *   reply    reply entry by CAS, then scan both buckets: whoever sees another entry for the tuple loses (next SNAT port)
 *   forward  the same for the forward entry; the loser undoes everything
 *   commit   LIVE, then the notice
 *   undo     entries away, gen even, FREE; the slot stays in the worker's hand
 * Nobody but the creator uses or writes a CREATING record. Proved in test/models; drawn in docs/design/0002.
 */
#ifndef LOCKSTEP_PIPELINE_CREATE_H
#define LOCKSTEP_PIPELINE_CREATE_H

#include "index.h"
#include "ring.h"

struct ls_creation {
	u32 slot; /* one that port_session() knows */
	u32 gen; /* odd, of this life */
	struct ls_hash forward, reply;
	bool reply_placed, forward_placed;
};

LS_INLINE struct ls_session *ls_created(const struct ls_env *e, const struct ls_creation *c)
{
	struct ls_session *s = port_session(e, c->slot);

	LS_GIVEN(s);
	return s;
}

/* Fills a slot from `image` (lines 0 and 1, counters zero) and publishes it as CREATING. */
LS_INLINE void ls_create_write(const struct ls_env *e, struct ls_creation *c, struct ls_session *image)
{
	struct ls_session *s = ls_created(e, c);

	c->gen = (LS_LOAD(&s->gen) + 1) | 1;
	c->reply_placed = c->forward_placed = false;
	LS_STORE(&s->state, LS_STATE_SET_LIFE(LS_STATE_SET_LIFECYCLE(image->state, LS_CREATING), port_worker_id(e)));
	LS_FENCE_REL();
	if (image->id.origin == 0) {
		image->id.origin = port_origin(e);
		image->id.serial = (u64)c->slot << 32 | c->gen;
	}
	image->gen = c->gen - 1;
	ls_words_store(&s->flags + 1, (u8 *)image + 8, 7);
	LS_STORE(&s->flags, image->flags);
	ls_words_store(&s->reply, &image->reply, 8);
	ls_words_store(&s->last_seen_ns, &image->last_seen_ns, 7);
	LS_STORE_REL(&s->gen, c->gen);
}

/* LS_OK, LS_E_CONFLICT (the reply tuple is taken: try another port) or LS_E_FULL. `key` is stored as the record's reply tuple. */
LS_INLINE u32 ls_create_reply_hashed(const struct ls_env *e, struct ls_creation *c, struct ls_hash h, const struct ls_key *key)
{
	u32 gen, status;

	c->reply = h;
	if (ls_index_find(e, c->reply, key, c->slot, &gen) != LS_REF_NONE)
		return LS_E_CONFLICT;
	ls_words_store(&ls_created(e, c)->reply, key, 5);
	LS_FENCE_REL();
	status = ls_index_place(e, c->reply, LS_REF(c->slot, LS_REPLY));
	if (status != LS_OK)
		return status;
	LS_FENCE_AFTER_CAS();
	if (ls_index_find(e, c->reply, key, c->slot, &gen) != LS_REF_NONE) {
		ls_index_clear(e, c->reply, LS_REF(c->slot, LS_REPLY));
		return LS_E_CONFLICT;
	}
	c->reply_placed = true;
	return LS_OK;
}

LS_PART u32 ls_create_reply(const struct ls_env *e, struct ls_creation *c, const struct ls_key *key)
{
	LS_GIVEN(e && c && key);
	return ls_create_reply_hashed(e, c, ls_hash_key(port_hash_key(e), key, port_bucket_mask(e)), key);
}

/* As ls_create_reply, for the tuple of the opening packet, whose hash the lookup already has. */
LS_INLINE u32 ls_create_forward(const struct ls_env *e, struct ls_creation *c, struct ls_hash h, const struct ls_key *key)
{
	u32 gen, status;

	c->forward = h;
	status = ls_index_place(e, h, LS_REF(c->slot, LS_FORWARD));
	if (status != LS_OK)
		return status;
	c->forward_placed = true;
	LS_FENCE_AFTER_CAS();
	if (ls_index_find(e, h, key, c->slot, &gen) != LS_REF_NONE)
		return LS_E_CONFLICT;
	return LS_OK;
}

/* The record is live from here on. The notice is the caller's. */
LS_INLINE void ls_create_commit(const struct ls_env *e, struct ls_creation *c)
{
	struct ls_session *s = ls_created(e, c);

	LS_STORE_REL(&s->state, LS_STATE_SET_LIFE(LS_STATE_SET_LIFECYCLE(LS_LOAD(&s->state), LS_LIVE), LS_LIFE_OF(c->gen)));
}

/* Leaves the slot FREE with an even gen; who calls keeps it (worker: in hand; agent: its list). */
LS_INLINE void ls_create_undo(const struct ls_env *e, struct ls_creation *c)
{
	struct ls_session *s = ls_created(e, c);

	if (c->forward_placed)
		ls_index_clear(e, c->forward, LS_REF(c->slot, LS_FORWARD));
	if (c->reply_placed)
		ls_index_clear(e, c->reply, LS_REF(c->slot, LS_REPLY));
	LS_STORE_REL(&s->gen, c->gen + 1);
	LS_FENCE_REL();
	LS_STORE_REL(&s->state, LS_STATE_MAKE(LS_FREE, 0, 0, 0, 0));
}

#endif
