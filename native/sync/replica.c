/* Open and close; the shadow of each slot, the way from an id to its slot, and the sketches that follow the shadow. */
#include "sync/replica.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "pipeline/create_user.h"
#include "sketch/siphash.h"

static void *pages(u64 bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE); /* both are met at random */
	return at;
}

static void give_back(struct ls_replica *r)
{
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++) {
		struct ls_sync_group *g = &r->group[rg];

		free(g->cells);
		free(g->cut);
		free(g->need);
		free(g->gone);
		if (g->decoder)
			ls_sketch_decoder_free(g->decoder);
	}
	if (r->shadow)
		munmap(r->shadow, (u64)r->t->env.slots * sizeof(*r->shadow));
	if (r->byid)
		munmap(r->byid, ((u64)r->byid_mask + 1) * sizeof(*r->byid));
	free(r->doomed);
	free(r->waiting);
	free(r);
}

enum ls_status ls_replica_open(struct ls_table *t, struct ls_replica **out)
{
	struct ls_replica *r;
	u32 places = 1;

	if (ls_sketch_self_test() != LS_OK)
		return LS_E_BUG;
	while (places < 2 * t->env.slots)
		places *= 2;
	r = calloc(1, sizeof(*r));
	if (!r)
		return LS_E_NOMEM;
	r->t = t;
	r->byid_mask = places - 1;
	if (getrandom(r->byid_key, sizeof(r->byid_key), 0) != sizeof(r->byid_key))
		goto no_memory;
	r->shadow = pages((u64)t->env.slots * sizeof(*r->shadow));
	r->byid = pages((u64)places * sizeof(*r->byid));
	r->waiting = malloc(sizeof(*r->waiting) * LS_WAITING_MAX);
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++) {
		r->group[rg].m = r->group[rg].more = LS_SKETCH_CELLS;
		r->group[rg].cells = calloc(LS_SKETCH_CELLS, sizeof(struct ls_sketch_cell));
		if (!r->group[rg].cells)
			goto no_memory;
	}
	if (!r->shadow || !r->byid || !r->waiting)
		goto no_memory;
	pthread_mutex_init(&r->lock, NULL);
	{
		pthread_condattr_t monotonic;

		pthread_condattr_init(&monotonic);
		pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
		pthread_cond_init(&r->wake, &monotonic);
		pthread_cond_init(&r->idle, &monotonic);
		pthread_condattr_destroy(&monotonic);
	}
	if (pthread_create(&r->thread, NULL, ls_sync_reaper, r) != 0)
		goto no_memory;
	*out = r;
	return LS_OK;
no_memory:
	give_back(r);
	return LS_E_NOMEM;
}

void ls_replica_close(struct ls_replica *r)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED); /* before the lock: what fills memory looks at it */
	pthread_mutex_lock(&r->lock);
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_cond_destroy(&r->idle);
	pthread_mutex_destroy(&r->lock);
	give_back(r);
}

/* --- id -> slot: linear probing, without tombstones ------------------------------------------------------------------------------------------ */

/* The end of the hash lies beside the slot, so that another's id is hardly ever looked at. */
#define SLOT_BITS 26
#define SLOT_OF(entry) (((entry) & ((1u << SLOT_BITS) - 1)) - 1)
_Static_assert(2 * LS_CAPACITY_MAX < 1 << SLOT_BITS, "slots fit beside the hash");

u64 ls_sync_hash(const struct ls_replica *r, const struct ls_session_id *id) { return ls_siphash13(r->byid_key, id, sizeof(*id)); }
static u32 home(const struct ls_replica *r, u64 h) { return (u32)h & r->byid_mask; }
static u32 tag(u64 h) { return (u32)(h >> 32) & ~((1u << SLOT_BITS) - 1); }

void ls_sync_fetch(const struct ls_replica *r, u64 h, bool far)
{
	const u32 *first = &r->byid[home(r, h)];

	if (far)
		__builtin_prefetch(first, 1);
	else if (*first)
		__builtin_prefetch(&r->shadow[SLOT_OF(*first)]);
}

u32 ls_sync_find(const struct ls_replica *r, const struct ls_session_id *id, u64 h)
{
	for (u32 at = home(r, h), e; (e = r->byid[at]) != 0; at = (at + 1) & r->byid_mask)
		if (((e ^ tag(h)) >> SLOT_BITS) == 0 && ls_sync_same(&r->shadow[SLOT_OF(e)].item.id, id))
			return SLOT_OF(e);
	return LS_SLOT_NONE;
}

static void place(struct ls_replica *r, u32 slot, u64 h)
{
	u32 at = home(r, h);

	while (r->byid[at])
		at = (at + 1) & r->byid_mask;
	r->byid[at] = tag(h) | (slot + 1);
}

static void displace(struct ls_replica *r, u32 slot)
{
	u64 h = ls_sync_hash(r, &r->shadow[slot].item.id);
	u32 at = home(r, h), next;

	while (r->byid[at] != (tag(h) | (slot + 1)))
		at = (at + 1) & r->byid_mask;
	/* who lies further on only because this place was taken moves up */
	for (next = (at + 1) & r->byid_mask; r->byid[next]; next = (next + 1) & r->byid_mask) {
		u32 first = home(r, ls_sync_hash(r, &r->shadow[SLOT_OF(r->byid[next])].item.id));

		if (((next - first) & r->byid_mask) >= ((next - at) & r->byid_mask)) {
			r->byid[at] = r->byid[next];
			at = next;
		}
	}
	r->byid[at] = 0;
}

/* --- what was sent or installed ------------------------------------------------------------------------------------------------------------- */

/* Replicated fields only: neither counters nor times, else every packet were a change. */
static u64 digest(const struct ls_sketch_key *key, const struct ls_wire_record *r)
{
	u64 w[13];

	memcpy(w, &r->key, 40);
	memcpy(w + 5, &r->reply, 40);
	w[10] = (r->flags & ~(u32)LS_SF_PEER) | (u64)r->zone_in << 32 | (u64)r->zone_out << 48;
	w[11] = r->policy | (u64)r->vip << 16 | (u64)r->real << 32 | (u64)r->app << 48 | (u64)r->phase << 56;
	w[12] = r->syn_offset | (u64)r->rg << 32;
	return ls_siphash13(key->k, w, sizeof(w));
}

static void flush(struct ls_sync_group *g, struct ls_sync_batch *b, int sign)
{
	ls_sketch_update_batch(g->cells, 0, b->m, &g->key, b->items, b->n, sign);
	b->n = 0;
}

void ls_sync_flush(struct ls_sync_group *g)
{
	flush(g, &g->in, 1);
	flush(g, &g->out, -1);
}

static void count(struct ls_sync_group *g, u32 slot, const struct ls_sketch_item *item, int sign)
{
	struct ls_sync_batch *b = sign > 0 ? &g->in : &g->out;
	u32 m = slot < g->more_at ? g->more : g->m;

	g->items += (u64)(s64)sign;
	if (b->n == LS_SYNC_BATCH || b->m != m)
		flush(g, b, sign);
	b->m = m;
	b->items[b->n++] = *item;
}

void ls_sync_forget(struct ls_replica *r, u32 slot)
{
	struct ls_shadow *s = &r->shadow[slot];
	struct ls_sync_group *g = &r->group[s->rg];

	if (!s->used)
		return;
	if (s->turn == g->turn)
		count(g, slot, &s->item, -1);
	displace(r, slot);
	s->used = 0;
}

bool ls_sync_is_current(const struct ls_replica *r, u32 slot, const struct ls_wire_record *record)
{
	const struct ls_shadow *s = &r->shadow[slot];

	return s->used && s->rg == record->rg && s->turn == r->group[s->rg].turn && ls_sync_same(&s->item.id, &record->id) &&
	       s->item.digest == digest(&r->group[s->rg].key, record);
}

void ls_sync_remember(struct ls_replica *r, u32 slot, const struct ls_wire_record *record, u64 h)
{
	struct ls_shadow *s = &r->shadow[slot];
	struct ls_sync_group *g = &r->group[record->rg];
	u64 d = digest(&g->key, record);
	u32 other;

	if (s->used && s->rg == record->rg && s->turn == g->turn && s->item.digest == d && ls_sync_same(&s->item.id, &record->id))
		return;
	if (s->used && ls_sync_same(&s->item.id, &record->id)) { /* the id stays where it is */
		if (s->turn == r->group[s->rg].turn)
			count(&r->group[s->rg], slot, &s->item, -1);
	} else {
		ls_sync_forget(r, slot);
		other = ls_sync_find(r, &record->id, h);
		if (other != LS_SLOT_NONE)
			ls_sync_forget(r, other); /* it moved: what stood there is no longer so */
		s->item.id = record->id;
		s->used = 1;
		place(r, slot, h);
	}
	s->item.digest = d;
	s->rg = record->rg;
	s->turn = g->turn;
	count(g, slot, &s->item, 1);
}

bool ls_sync_read(const struct ls_replica *r, u32 slot, u64 now_ns, struct ls_wire_record *out)
{
	struct ls_session s;

	if (!ls_session_read(r->t, slot, &s) || s.gen == r->shadow[slot].doomed || s.rg >= LS_RGS_MAX || ls_session_private(&s))
		return false;
	ls_wire_pack(&s, slot, LS_NOTICE_UPDATE, now_ns, out);
	return true;
}

bool ls_sync_ripen(struct ls_replica *r, u32 owned, u32 slot)
{
	struct ls_session *s = &r->t->env.sessions[slot];
	u32 gen = LS_LOAD_ACQ(&s->gen), rg = LS_LOAD(&s->rg);
	u64 state, found, due = LS_LOAD(&s->created_ns) + LS_LOAD(&s->sync_after) * 1000000000ULL;

	if (!(gen & 1) || !(LS_LOAD(&s->flags) & LS_SF_LATE) || rg >= LS_RGS_MAX || !(owned >> rg & 1) || ls_clock_ns() < due)
		return false;
	for (state = LS_LOAD_ACQ(&s->state);; state = found) { /* packets change it too; another life of the slot is another session */
		if ((LS_STATE_LIFECYCLE(state) != LS_LIVE && LS_STATE_LIFECYCLE(state) != LS_DYING) || LS_STATE_LIFE(state) != LS_LIFE_OF(gen))
			return false;
		if (LS_STATE_FLOW(state) & LS_FLOW_SHARED)
			return true;
		found = LS_CAS(&s->state, state, state | LS_STATE_FLOW_BIT(LS_FLOW_SHARED));
		if (found == state)
			return true;
	}
}

bool ls_sync_holds(const struct ls_replica *r, u32 slot, const struct ls_session_id *id, u32 rg, u32 *gen)
{
	struct ls_session s;

	if (!ls_session_read(r->t, slot, &s) || s.rg != rg || !ls_sync_same(&s.id, id))
		return false;
	*gen = s.gen;
	return true;
}

/* --- sketches that are being built ------------------------------------------------------------------------------------------------------------- */

enum ls_status ls_replica_key(struct ls_replica *r, u32 rg, const u64 key[2])
{
	struct ls_sync_group *g;

	if (rg >= LS_RGS_MAX)
		return LS_E_INVALID;
	pthread_mutex_lock(&r->lock);
	g = &r->group[rg];
	g->key.k[0] = key[0];
	g->key.k[1] = key[1];
	memset(g->cells, 0, sizeof(*g->cells) * g->more);
	g->in.n = g->out.n = 0;
	g->m = g->more = LS_SKETCH_CELLS;
	g->more_at = g->counted_at = 0;
	g->items = 0;
	g->cut_cells = 0;
	if (g->decoder)
		ls_sketch_decoder_free(g->decoder);
	g->decoder = NULL;
	g->fed = g->needed = g->gone_n = 0;
	if (++g->turn == 0) /* what was counted 256 keys ago would look counted */
		for (u32 slot = 0; slot < r->t->env.slots; slot++)
			if (r->shadow[slot].used && r->shadow[slot].rg == rg)
				r->shadow[slot].turn = 0;
	if (g->turn == 0)
		g->turn = 1;
	pthread_mutex_unlock(&r->lock);
	return LS_OK;
}

enum ls_status ls_replica_extend(struct ls_replica *r, u32 rg, u32 cells)
{
	struct ls_sketch_cell *more;
	struct ls_sync_group *g;
	enum ls_status status = LS_OK;

	if (rg >= LS_RGS_MAX || cells > LS_SKETCH_MAX)
		return LS_E_INVALID;
	pthread_mutex_lock(&r->lock);
	g = &r->group[rg];
	if (g->more != g->m || cells < LS_SKETCH_CELLS) {
		status = cells == g->more ? LS_OK : LS_E_BUSY;
	} else if (cells < g->m) {
		ls_sync_flush(g);
		g->m = g->more = cells;
	} else if (cells > g->m) {
		more = realloc(g->cells, sizeof(*more) * cells);
		if (more) {
			memset(more + g->m, 0, sizeof(*more) * (cells - g->m));
			g->cells = more;
			g->more = cells;
			g->more_at = 0;
		} else {
			status = LS_E_NOMEM;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

/* The session of one slot under the group's new key. What the shadow has of one that ended stays, uncounted: its end is still to be told. */
static void recount(struct ls_replica *r, u32 slot, u64 now_ns)
{
	const struct ls_shadow *s = &r->shadow[slot];
	struct ls_wire_record record;

	if (ls_sync_read(r, slot, now_ns, &record) && (!s->used || ls_sync_same(&s->item.id, &record.id)) && slot >= r->group[record.rg].counted_at)
		ls_sync_remember(r, slot, &record, ls_sync_hash(r, &record.id));
}

/* Items of the slots up to `end` into the cells that are being built. */
static void extend_part(struct ls_replica *r, u32 rg, u32 end)
{
	struct ls_sync_group *g = &r->group[rg];
	struct ls_sketch_item items[256];
	u32 n = 0;

	for (u32 slot = g->more_at; slot < end; slot++) {
		if (r->shadow[slot].used && r->shadow[slot].rg == rg)
			items[n++] = r->shadow[slot].item;
		if (n == sizeof(items) / sizeof(items[0]) || slot + 1 == end) {
			ls_sketch_update_batch(g->cells + g->m, g->m, g->more, &g->key, items, n, 1);
			n = 0;
		}
	}
}

bool ls_replica_count(struct ls_replica *r, u32 slots)
{
	u64 now_ns = ls_clock_ns();
	u32 all = r->t->env.slots, least = all;
	bool whole = true;

	pthread_mutex_lock(&r->lock);
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++) /* groups whose keys are new go together: a session is read once */
		if (r->group[rg].counted_at < least)
			least = r->group[rg].counted_at;
	if (least < all) {
		u32 end = all - least < slots ? all : least + slots;

		for (u32 slot = least; slot < end; slot++)
			recount(r, slot, now_ns);
		for (u32 rg = 0; rg < LS_RGS_MAX; rg++)
			if (r->group[rg].counted_at < end)
				r->group[rg].counted_at = end;
		whole = end == all;
		for (u32 rg = 0; rg < LS_RGS_MAX; rg++)
			whole = whole && r->group[rg].more == r->group[rg].m;
	} else {
		for (u32 rg = 0; rg < LS_RGS_MAX; rg++) {
			struct ls_sync_group *g = &r->group[rg];
			u32 end = all - g->more_at < slots ? all : g->more_at + slots;

			if (g->more == g->m)
				continue;
			extend_part(r, rg, end);
			g->more_at = end;
			if (end == all) {
				g->m = g->more;
				g->more_at = 0;
			} else {
				whole = false;
			}
		}
	}
	pthread_mutex_unlock(&r->lock);
	return whole;
}

void ls_replica_info(const struct ls_replica *r, struct ls_replica_info *out)
{
	struct ls_replica *own = (struct ls_replica *)r;

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&own->lock);
	out->populated = r->populated;
	out->bytes = (u64)r->t->env.slots * sizeof(*r->shadow) + ((u64)r->byid_mask + 1) * sizeof(*r->byid) + sizeof(*r->waiting) * LS_WAITING_MAX +
		     (u64)r->doomed_room * sizeof(*r->doomed);
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++) {
		const struct ls_sync_group *g = &r->group[rg];

		out->items[rg] = g->items;
		out->cells[rg] = g->m;
		out->bytes += ((u64)g->more + g->cut_room) * sizeof(struct ls_sketch_cell);
	}
	out->waiting = r->waits;
	out->late_conflicts = r->late_conflicts;
	out->late_full = r->late_full;
	out->deleting = r->dooms + r->busy;
	pthread_mutex_unlock(&own->lock);
}
