/* Taking over a table after its holder or some of its workers died (R6); steps and reasons in docs/design/0002.
 *
 * Workers named living go on forwarding and creating meanwhile: their rings, their hands and what they are creating are left alone. Whatever the dead
 * left half done is found by its state, so nothing but the table itself is needed: not the list of the former agent, not the freer's work in progress.
 */
#include "table/table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/create_user.h"

struct adoption {
	struct ls_table *t;
	const bool *living;   /* by worker id; NULL: nobody */
	struct ls_adopt_result *result;
	u64 *held;            /* bitmap: in the agent's list, or in a living worker's ring or hand */
	u64 *in_hand;         /* bitmap: in a dead worker's hand */
	u32 *batch;           /* DYING and DEAD: the freer's */
	u32 batched;
};

static bool has(const u64 *bits, u32 slot) { return bits[slot / 64] >> (slot % 64) & 1; }

static void set(const struct adoption *a, u64 *bits, u64 slot)
{
	if (slot < a->t->env.slots)
		bits[slot / 64] |= 1ULL << (slot % 64);
}

static bool lives(const struct adoption *a, u32 worker)
{
	return a->living && worker < a->t->env.header->workers && a->living[worker];
}

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
				n += LS_LOAD(&at->entry[i]) == entry;
			bucket = ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask);
		}
		if (n != 1)
			return false;
	}
	return true;
}

/* 1: who holds which slot. Tail, ring, then hand: a slot moves ring -> hand -> LIVE, so it is seen in one of them. */
static void snapshot(struct adoption *a)
{
	struct ls_env *e = &a->t->env, worker;

	for (u32 i = 0; i < a->t->listed; i++)
		set(a, a->held, a->t->list[i]);
	for (u32 w = 0; w < e->header->workers; w++) {
		struct ls_worker *k = &e->workers[w];
		u64 tail = LS_LOAD_ACQ(&k->free_tail), head = LS_LOAD(&k->free_head), hand;

		if (!lives(a, w)) {
			hand = LS_LOAD(&k->spare);
			if (hand)
				set(a, a->in_hand, hand - 1);
			LS_STORE(&k->free_tail, head);
			LS_STORE(&k->spare, 0);
			LS_STORE(&k->attached, 0);
			LS_STORE_REL(&k->quiescent, (LS_LOAD(&k->quiescent) + 1) & ~1ULL);
			continue;
		}
		ls_env_worker(a->t, w, &worker);
		for (; tail != head; tail++)
			set(a, a->held, LS_LOAD(port_free_slot(&worker, tail)));
		LS_FENCE_ACQ();
		hand = LS_LOAD_ACQ(&k->spare);
		if (hand)
			set(a, a->held, hand - 1);
	}
}

/* Undoes what nobody ever held as LIVE: entries away, gen even, FREE. */
static void undo(struct adoption *a, u32 slot)
{
	struct ls_table *t = a->t;
	struct ls_session *s = &t->env.sessions[slot];

	ls_index_clear(&t->env, ls_hash_key(&t->env.header->hash, &s->key, t->env.bucket_mask), LS_REF(slot, LS_FORWARD));
	ls_index_clear(&t->env, ls_hash_key(&t->env.header->hash, &s->reply, t->env.bucket_mask), LS_REF(slot, LS_REPLY));
	if (LS_LOAD(&s->gen) & 1)
		LS_STORE_REL(&s->gen, LS_LOAD(&s->gen) + 1);
	LS_STORE_REL(&s->state, LS_STATE_MAKE(LS_FREE, 0, 0, 0, 0));
	a->result->undone++;
}

/* Ends as any other session does, whatever becomes of the word meanwhile: a packet may hold it. */
static void order(struct adoption *a, u32 slot)
{
	struct ls_session *s = &a->t->env.sessions[slot];
	u64 state = LS_LOAD_ACQ(&s->state), found;

	while (LS_STATE_LIFECYCLE(state) != LS_DEAD) {
		u64 next = LS_STATE_SET_LIFE(LS_STATE_SET_CLOSE(LS_STATE_SET_LIFECYCLE(state, LS_DYING), LS_CLOSE_ADMIN), LS_LIFE_OF(LS_LOAD(&s->gen)));

		found = LS_CAS(&s->state, state, next | LS_STATE_FLOW_BIT(LS_FLOW_ADMIN));
		if (found == state)
			break;
		state = found;
	}
	a->batch[a->batched++] = slot;
	a->result->undone++;
}

/* A mark whose notice may have died unsent would silence the session; a notice too many is harmless. */
static void forget_mark(struct ls_session *s)
{
	for (u64 state = LS_LOAD(&s->state); LS_STATE_DIRTY(state);) {
		u64 found = LS_CAS(&s->state, state, state & ~LS_STATE_DIRTY_BIT);

		if (found == state)
			return;
		state = found;
	}
}

/* What `look` and `sweep` read lies anywhere: memory is asked for this many steps before. */
#define ADOPT_AHEAD 12

/* Who adopts is the freer already: a large table takes longer than the keeper waits for one that is silent. */
static void sign_of_life(struct ls_table *t, u32 step)
{
	if (step % 65536 == 0)
		LS_STORE(&t->env.header->freer_stamp_ns, ls_clock_ns());
}

static void fetch_buckets(const struct ls_table *t, u32 slot)
{
	const struct ls_session *s = port_session(&t->env, slot);

	if (!s || LS_STATE_LIFECYCLE(LS_LOAD(&s->state)) != LS_LIVE)
		return;
	for (u32 d = 0; d < 2; d++) {
		struct ls_hash h = ls_hash_key(&t->env.header->hash, ls_key_of(s, d), t->env.bucket_mask);

		__builtin_prefetch(&t->env.index[h.bucket]);
		__builtin_prefetch(&t->env.index[ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask)]);
	}
}

static void fetch_sessions(const struct ls_table *t, u32 bucket)
{
	if (bucket > t->env.bucket_mask)
		return;
	for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
		u64 entry = LS_LOAD(&t->env.index[bucket].entry[i]);
		const struct ls_session *s = entry ? port_session(&t->env, LS_REF_SLOT(LS_ENTRY_REF(entry))) : NULL;

		if (!s)
			continue;
		__builtin_prefetch(&s->gen);
		__builtin_prefetch(&s->reply);
		__builtin_prefetch(&s->state);
	}
}

/* 2 to 5 for one slot. */
static void look(struct adoption *a, u32 slot)
{
	struct ls_table *t = a->t;
	struct ls_session *s = &t->env.sessions[slot];
	u64 state = LS_LOAD_ACQ(&s->state);
	u32 gen = LS_LOAD_ACQ(&s->gen);

	if (has(a->held, slot) && LS_STATE_LIFECYCLE(state) != LS_LIVE)
		return; /* its holder's */
	switch (LS_STATE_LIFECYCLE(state)) {
	case LS_CREATING:
		if (lives(a, LS_STATE_LIFE(state)))
			return;
		/* the agent creates from its list only, a worker from its hand; what is in neither is a revival, which packets may hold */
		if (LS_STATE_LIFE(state) == t->env.worker_id || has(a->in_hand, slot))
			undo(a, slot);
		else
			order(a, slot);
		return;
	case LS_LIVE:
		if ((gen & 1) && whole(t, s, slot)) {
			forget_mark(s);
			a->result->live++;
		} else if (LS_LOAD_ACQ(&s->state) == state && LS_LOAD_ACQ(&s->gen) == gen) {
			order(a, slot); /* no protocol leaves this: damage */
		}
		return;
	case LS_DYING:
	case LS_DEAD:
		a->batch[a->batched++] = slot;
		a->result->finished++;
		return;
	default:
		if (gen & 1)
			undo(a, slot);
	}
}

/* 6: an entry nobody will take out. Gen, entry, gen in this order: a slot undone and used again for the same tuple has the same entry in the same place. */
static bool orphaned(const struct ls_table *t, u32 b, const u64 *at, u64 entry)
{
	u32 ref = LS_ENTRY_REF(entry), slot = LS_REF_SLOT(ref), gen;
	const struct ls_session *s = port_session(&t->env, slot);
	struct ls_key key;
	struct ls_hash h;

	if (!s)
		return true;
	gen = LS_LOAD_ACQ(&s->gen);
	if (LS_LOAD_ACQ(at) != entry)
		return false;
	if (gen & 1) {
		if (LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state)) != LS_LIVE)
			return false; /* a creation's or a revival's, or the batch takes it out */
		ls_words_load(&key, ls_key_of(s, LS_REF_DIR(ref)), 5);
		h = ls_hash_key(&t->env.header->hash, &key, t->env.bucket_mask);
		if (h.tag == LS_ENTRY_TAG(entry) && (h.bucket == b || ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask) == b))
			return false;
	}
	LS_FENCE_ACQ();
	return LS_LOAD(&s->gen) == gen;
}

static void sweep(struct adoption *a)
{
	struct ls_env *e = &a->t->env;

	for (u32 b = 0; b <= e->bucket_mask; b++) {
		sign_of_life(a->t, b);
		fetch_sessions(a->t, b + ADOPT_AHEAD);
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
			u64 *at = &e->index[b].entry[i], entry = LS_LOAD_ACQ(at);

			if (entry && orphaned(a->t, b, at, entry) && LS_CAS(at, entry, 0) == entry)
				a->result->entries_cleared++;
		}
	}
}

/* Everything FREE that nobody holds. */
static void list_free(struct adoption *a)
{
	struct ls_table *t = a->t;
	u32 kept = t->listed;

	for (u32 slot = t->env.slots; slot-- > 0;) {
		const struct ls_session *s = &t->env.sessions[slot];

		if (!has(a->held, slot) && LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state)) == LS_FREE && !(LS_LOAD(&s->gen) & 1))
			t->list[t->listed++] = slot;
	}
	a->result->listed = t->listed - kept;
}

/* A worker of another process may write as long as that lives: it is dying, by its parent's death or by a kill. */
static void await_process(const struct ls_worker *k)
{
	u64 pid = LS_LOAD_ACQ(&k->attached);

	for (u32 ms = 0; pid > 1 && ms < LS_PROCESS_END_MS && !ls_process_gone((u32)pid); ms++)
		usleep(1000);
}

enum ls_status ls_table_adopt_from(struct ls_table *t, u32 first, u32 n, struct ls_adopt_result *result)
{
	bool living[LS_WORKERS_MAX];

	for (u32 w = 0; w < LS_WORKERS_MAX; w++)
		living[w] = w < first || w >= first + n;
	return ls_table_adopt(t, living, result);
}

enum ls_status ls_table_adopt(struct ls_table *t, const bool *living, struct ls_adopt_result *result)
{
	u32 words = (t->env.slots + 63) / 64;
	struct adoption a = { .t = t, .living = living, .result = result, .held = calloc(words, 8), .in_hand = calloc(words, 8),
		.batch = malloc((size_t)t->env.slots * sizeof(u32)) };
	enum ls_status status = a.held && a.in_hand && a.batch ? LS_OK : LS_E_NOMEM;

	memset(result, 0, sizeof(*result));
	for (u32 w = 0; status == LS_OK && w < t->env.header->workers; w++)
		if (!lives(&a, w))
			await_process(&t->env.workers[w]);
	if (status == LS_OK) {
		pthread_mutex_lock(&t->freer);
		pthread_mutex_lock(&t->writer);
		snapshot(&a);
		for (u32 slot = 0; slot < t->env.slots; slot++) {
			sign_of_life(t, slot);
			fetch_buckets(t, slot + ADOPT_AHEAD);
			look(&a, slot);
		}
		sweep(&a);
		list_free(&a);
		pthread_mutex_unlock(&t->writer);
		ls_freer_finish(t, a.batch, a.batched);
		pthread_mutex_unlock(&t->freer);
	}
	free(a.held);
	free(a.in_hand);
	free(a.batch);
	return status;
}
