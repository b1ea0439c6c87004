/* Walks everything and checks every invariant of the table. Exact while nothing moves; under traffic a suspect is looked at again, after a grace,
 * before it is called a fault.
 */
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/create_user.h"

static void fault(struct ls_verify_report *r, u32 kind, u32 slot)
{
	if (r->fault[kind]++ == 0)
		r->first[kind] = slot;
}

static u32 count_entries(const struct ls_table *t, const struct ls_key *key, u32 ref, u32 *twins)
{
	struct ls_hash h = ls_hash_key(&t->env.header->hash, key, t->env.bucket_mask);
	u32 bucket = h.bucket, n = 0;

	for (u32 b = 0; b < 2; b++) {
		const struct ls_bucket *at = port_bucket(&t->env, bucket);

		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
			u64 entry = LS_LOAD(&at->entry[i]);
			u32 other = LS_REF_SLOT(LS_ENTRY_REF(entry));

			if (LS_ENTRY_TAG(entry) != h.tag)
				continue;
			if (LS_ENTRY_REF(entry) == ref)
				n++;
			else if (other != LS_REF_SLOT(ref) && other < t->env.slots && LS_STATE_LIFECYCLE(LS_LOAD(&t->env.sessions[other].state)) == LS_LIVE &&
				 ls_key_equal(ls_key_of(&t->env.sessions[other], LS_REF_DIR(LS_ENTRY_REF(entry))), key))
				(*twins)++;
		}
		bucket = ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask);
	}
	return n;
}

/* LIVE and sound? What moved between the first and the last look is not judged. */
static void check_live(const struct ls_table *t, u32 slot, struct ls_verify_report *r)
{
	struct ls_session *s = &t->env.sessions[slot], copy;
	u32 twins = 0, forward, reply, gen = LS_LOAD_ACQ(&s->gen);

	ls_words_load(&copy, s, sizeof(copy) / 8);
	forward = count_entries(t, &copy.key, LS_REF(slot, LS_FORWARD), &twins);
	reply = count_entries(t, &copy.reply, LS_REF(slot, LS_REPLY), &twins);
	if (forward == 1 && reply == 1 && !twins)
		return;
	LS_FENCE_ACQ();
	if (LS_LOAD(&s->gen) != gen || LS_STATE_LIFECYCLE(LS_LOAD(&s->state)) != LS_LIVE)
		return;
	if (forward != 1 || reply != 1)
		fault(r, LS_VF_LIVE_ENTRIES, slot);
	if (twins)
		fault(r, LS_VF_TWIN, slot);
}

static bool entry_sound(const struct ls_table *t, u32 b, u64 entry, u32 *kind)
{
	u32 ref = LS_ENTRY_REF(entry), slot = LS_REF_SLOT(ref);
	struct ls_session copy;
	struct ls_hash h;

	*kind = LS_VF_ENTRY_DEAD;
	if (slot >= t->env.slots || !(LS_LOAD_ACQ(&t->env.sessions[slot].gen) & 1))
		return false;
	ls_words_load(&copy, &t->env.sessions[slot], sizeof(copy) / 8);
	h = ls_hash_key(&t->env.header->hash, ls_key_of(&copy, LS_REF_DIR(ref)), t->env.bucket_mask);
	*kind = LS_VF_ENTRY_FOREIGN;
	return h.tag == LS_ENTRY_TAG(entry) && (h.bucket == b || ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask) == b);
}

void ls_table_verify(struct ls_table *t, struct ls_verify_report *r)
{
	u64 start = ls_clock_ns();
	u8 *seen = calloc(t->env.slots, 1);
	bool moving = false;

	memset(r, 0, sizeof(*r));
	r->slots = t->env.slots;
	for (u32 b = 0; b <= t->env.bucket_mask; b++)
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
			u64 entry = LS_LOAD_ACQ(&t->env.index[b].entry[i]);
			u32 kind;

			if (!entry)
				continue;
			r->entries++;
			if (entry_sound(t, b, entry, &kind))
				continue;
			/* a creation or a removal in motion: wait it out, look again at the same word */
			ls_table_grace(t);
			if (LS_LOAD_ACQ(&t->env.index[b].entry[i]) == entry && !entry_sound(t, b, entry, &kind))
				fault(r, kind, LS_REF_SLOT(LS_ENTRY_REF(entry)));
		}
	pthread_mutex_lock(&t->freer); /* nothing is half-freed from here on */
	pthread_mutex_lock(&t->writer);
	for (u32 w = 0; w < t->env.header->workers; w++)
		moving |= LS_LOAD(&t->env.workers[w].attached) != 0;
	for (u32 slot = 0; slot < t->env.slots; slot++) {
		u64 state = LS_LOAD_ACQ(&t->env.sessions[slot].state);
		bool odd = LS_LOAD_ACQ(&t->env.sessions[slot].gen) & 1;

		switch (LS_STATE_LIFECYCLE(state)) {
		case LS_LIVE:
			r->live++;
			check_live(t, slot, r);
			break;
		case LS_CREATING: r->creating++; break;
		case LS_DYING: r->dying++; break;
		case LS_DEAD: r->dead++; break;
		case LS_FREE: r->free++; break;
		default: fault(r, LS_VF_GENERATION, slot);
		}
		if (!moving && odd != (LS_STATE_LIFECYCLE(state) == LS_LIVE))
			fault(r, LS_VF_GENERATION, slot);
	}
	/* free places are disjoint and complete */
	if (seen) {
		for (u32 i = 0; i < t->listed; i++) {
			u32 slot = t->list[i];

			if (slot >= t->env.slots || seen[slot]++)
				fault(r, LS_VF_FREE_TWICE, slot);
			else if (LS_LOAD_ACQ(&t->env.sessions[slot].gen) & 1)
				fault(r, LS_VF_FREE_LIVE, slot);
		}
		if (!moving) {
			u64 held = t->listed;

			for (u32 w = 0; w < t->env.header->workers; w++) {
				struct ls_worker *k = &t->env.workers[w];
				struct ls_env e;

				ls_env_worker(t, w, &e);
				if (k->free_head - k->free_tail > t->env.header->free_ring) {
					fault(r, LS_VF_FREE_TWICE, w); /* more than the ring can hold: positions are broken */
					continue;
				}
				for (u64 tail = k->free_tail; tail != k->free_head; tail++) {
					u32 slot = (u32)*port_free_slot(&e, tail);

					held++;
					if (slot >= t->env.slots || seen[slot]++)
						fault(r, LS_VF_FREE_TWICE, slot);
					else if (t->env.sessions[slot].gen & 1)
						fault(r, LS_VF_FREE_LIVE, slot);
				}
				if (k->spare) {
					u64 slot = k->spare - 1;

					held++;
					if (slot >= t->env.slots || seen[slot]++)
						fault(r, LS_VF_FREE_TWICE, (u32)slot);
					else if (t->env.sessions[slot].gen & 1)
						fault(r, LS_VF_FREE_LIVE, (u32)slot);
				}
			}
			if (held + r->live != t->env.slots)
				fault(r, LS_VF_LOST, (u32)(t->env.slots - held - r->live));
		}
	}
	pthread_mutex_unlock(&t->writer);
	pthread_mutex_unlock(&t->freer);
	free(seen);
	r->duration_ns = ls_clock_ns() - start;
}
