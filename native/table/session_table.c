/* The agent's operations on sessions: find, install, delete, drain. Batches; the writer is held for at most LS_WRITER_BATCH records (R7). */
#include "table/image.h"
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/create_user.h"

bool ls_session_read(const struct ls_table *t, u32 slot, struct ls_session *out)
{
	struct ls_session *s = port_session(&t->env, slot);
	u32 gen, life;

	if (!s)
		return false;
	gen = LS_LOAD_ACQ(&s->gen);
	if (!(gen & 1))
		return false;
	ls_words_load(out, s, sizeof(*s) / 8);
	LS_FENCE_ACQ();
	/* a revival in place writes while gen is still the old one, but not while the record is LIVE or DYING; state first, gen second */
	life = LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state));
	if ((life != LS_LIVE && life != LS_DYING) || LS_LOAD(&s->gen) != gen)
		return false;
	out->gen = gen;
	return LS_STATE_LIFECYCLE(out->state) == LS_LIVE || LS_STATE_LIFECYCLE(out->state) == LS_DYING;
}

enum ls_status ls_table_find(const struct ls_table *t, const struct ls_key *key, u32 *slot, u32 *gen)
{
	struct ls_hash h = ls_hash_key(&t->env.header->hash, key, t->env.bucket_mask);
	u32 ref = ls_index_find(&t->env, h, key, LS_SLOT_NONE, gen);

	if (ref == LS_REF_NONE)
		return LS_E_NOT_FOUND;
	*slot = LS_REF_SLOT(ref);
	return LS_OK;
}

enum ls_status ls_table_get(const struct ls_table *t, const struct ls_key *key, struct ls_wire_record *out)
{
	struct ls_session s;
	u32 slot, gen;

	if (ls_table_find(t, key, &slot, &gen) != LS_OK || !ls_session_read(t, slot, &s) || s.gen != gen)
		return LS_E_NOT_FOUND;
	ls_wire_pack(&s, slot, LS_NOTICE_NONE, ls_clock_ns(), out);
	return LS_OK;
}

/* A record on its way in: its cache lines are being fetched while those before it are worked on. The image is made that early as well: small stores that
 * a wide load meets at once would have to be waited for. */
struct pending {
	struct ls_session image;
	struct ls_hash forward, reply;
	enum ls_status status;
};
#define AHEAD 16 /* records fetched ahead; a power of two. 4 bucket lines and 3 record lines each: about what the memory system keeps in flight */

static void image_from(const struct ls_wire_record *r, u64 now, struct ls_session *s)
{
	u32 flow = (r->flow & ~LS_FLOW_ADMIN) | (r->flags & LS_SF_LATE ? LS_FLOW_SHARED : 0);

	ls_wire_unpack(r, now, r->flags | LS_SF_PEER, LS_STATE_MAKE(LS_CREATING, r->phase, 0, r->close_reason, flow), s);
}

/* The same session again: take over its newer state, keep the slot. */
static bool refresh(struct ls_table *t, u32 slot, const struct ls_session *image)
{
	struct ls_session *s = &t->env.sessions[slot];
	u64 state = LS_LOAD_ACQ(&s->state), next;

	if (LS_LOAD(&s->id.origin) != image->id.origin || LS_LOAD(&s->id.serial) != image->id.serial ||
	    LS_STATE_LIFECYCLE(state) != LS_LIVE || LS_LOAD(&s->rg) != image->rg)
		return false;
	next = LS_STATE_SET_LIFE(LS_STATE_SET_LIFECYCLE(image->state, LS_LIVE), LS_STATE_LIFE(state)) | (state & LS_STATE_DIRTY_BIT);
	if (LS_CAS(&s->state, state, next) != state)
		return false;
	LS_STORE(&s->last_seen_ns, image->last_seen_ns);
	LS_STORE(&s->syn_offset, image->syn_offset);
	for (u32 d = 0; d < 2; d++) {
		LS_STORE(&s->packets[d], image->packets[d]);
		LS_STORE(&s->bytes[d], image->bytes[d]);
		LS_STORE(&s->ack[d], image->ack[d]);
	}
	return true;
}

/* Before the session is LIVE: a reconciler that walks meanwhile takes what is LIVE and not marked for stale (hazards 7, 20). */
static void mark(struct ls_table *t, u32 slot)
{
	LS_STORE(&t->marks[slot / 64], LS_LOAD(&t->marks[slot / 64]) | 1ULL << (slot % 64));
}

/* Holds the writer. All or nothing (hazard 25): whatever fails leaves no entry behind. */
static enum ls_status install_one(struct ls_table *t, struct pending *p, bool received, u32 *in)
{
	struct ls_env *e = &t->env;
	struct ls_creation c = { 0 };
	enum ls_status status;
	u32 slot, gen;

	if (t->listed == 0) { /* what is here already can still change */
		u32 ref = ls_index_find(e, p->forward, &p->image.key, LS_SLOT_NONE, &gen);

		if (ref == LS_REF_NONE || LS_REF_DIR(ref) != LS_FORWARD || !refresh(t, LS_REF_SLOT(ref), &p->image))
			return LS_E_FULL;
		if (received)
			mark(t, LS_REF_SLOT(ref));
		*in = LS_REF_SLOT(ref);
		return LS_OK;
	}
	c.slot = t->list[t->listed - 1];
	ls_create_write(e, &c, &p->image);
	status = ls_create_reply_hashed(e, &c, p->reply, &p->image.reply);
	if (status == LS_OK)
		status = ls_create_forward(e, &c, p->forward, &p->image.key);
	if (status == LS_OK) {
		if (received)
			mark(t, c.slot);
		ls_create_commit(e, &c);
		t->listed--;
		*in = c.slot;
		return LS_OK;
	}
	ls_create_undo(e, &c);
	if (status == LS_E_CONFLICT) {
		u32 ref = ls_index_find(e, p->forward, &p->image.key, LS_SLOT_NONE, &gen);

		slot = LS_REF_SLOT(ref);
		if (ref != LS_REF_NONE && LS_REF_DIR(ref) == LS_FORWARD && refresh(t, slot, &p->image)) {
			if (received)
				mark(t, slot);
			*in = slot;
			return LS_OK;
		}
	}
	return status;
}

/* Holds the writer. */
static enum ls_status touch_one(struct ls_table *t, const struct pending *p, u32 *in)
{
	u32 gen, ref = ls_index_find(&t->env, p->forward, &p->image.key, LS_SLOT_NONE, &gen);

	if (ref == LS_REF_NONE || LS_REF_DIR(ref) != LS_FORWARD || !refresh(t, LS_REF_SLOT(ref), &p->image))
		return LS_E_NOT_FOUND;
	*in = LS_REF_SLOT(ref);
	return LS_OK;
}

static void prepare(struct ls_table *t, struct pending *p, const u8 *record, u32 ahead, u64 now)
{
	const struct ls_env *e = &t->env;
	struct ls_wire_record r;

	for (u32 i = 0; i < 3; i++)
		__builtin_prefetch(record + AHEAD * sizeof(r) + i * 64); /* past a page the hardware does not run ahead */
	memcpy(&r, record, sizeof(r));
	p->status = r.version == LS_WIRE_VERSION && r.kind == LS_NOTICE_DELETE ? LS_E_RECORD : ls_wire_check(&r);
	if (p->status != LS_OK)
		return;
	image_from(&r, now, &p->image);
	p->forward = ls_hash_key(&e->header->hash, &r.key, e->bucket_mask);
	p->reply = ls_hash_key(&e->header->hash, &r.reply, e->bucket_mask);
	__builtin_prefetch(port_bucket(e, p->forward.bucket), 1);
	__builtin_prefetch(port_bucket(e, ls_other_bucket(p->forward.bucket, p->forward.tag, e->bucket_mask)), 1);
	__builtin_prefetch(port_bucket(e, p->reply.bucket), 1);
	__builtin_prefetch(port_bucket(e, ls_other_bucket(p->reply.bucket, p->reply.tag, e->bucket_mask)), 1);
	if (ahead < t->listed) {
		const u8 *s = (const u8 *)&e->sessions[t->list[t->listed - 1 - ahead]];

		__builtin_prefetch(s, 1);
		__builtin_prefetch(s + 64, 1);
		__builtin_prefetch(s + 128, 1);
	}
}

void ls_table_install(struct ls_table *t, const u8 *records, u32 stride, u32 n, u32 flags, u8 *status, u32 *slots,
		      struct ls_install_result *result)
{
	struct pending pending[AHEAD];
	u64 now = ls_clock_ns();

	memset(result, 0, sizeof(*result));
	pthread_mutex_lock(&t->writer);
	for (u32 i = 0; i < AHEAD && i < n; i++)
		prepare(t, &pending[i], records + (size_t)i * stride, i, now);
	for (u32 i = 0; i < n; i++) {
		struct pending *p = &pending[i % AHEAD];
		enum ls_status done = p->status;
		u32 slot = LS_SLOT_NONE;

		if (i % AHEAD == 0)
			now = ls_clock_ns();
		if (flags & LS_INSTALL_TELL)
			p->image.flags &= ~(u32)LS_SF_PEER;
		if (done == LS_OK)
			done = flags & LS_INSTALL_TOUCH ? touch_one(t, p, &slot) : install_one(t, p, flags & LS_INSTALL_MARK, &slot);
		if (done == LS_OK && flags & LS_INSTALL_TELL)
			ls_feed_push(t, &t->env.sessions[slot], slot, LS_NOTICE_CREATE, LS_CLOSE_NONE);
		if (n - i > AHEAD)
			prepare(t, p, records + (size_t)(i + AHEAD) * stride, AHEAD - 1, now);
		if (done == LS_OK) {
			result->installed++;
		} else if (done == LS_E_CONFLICT) {
			result->conflicts++;
		} else if (done == LS_E_FULL) {
			result->full++;
		} else {
			result->invalid++;
		}
		if (status)
			status[i] = (u8)done;
		if (slots)
			slots[i] = slot;
		if (i % LS_WRITER_BATCH == LS_WRITER_BATCH - 1) {
			pthread_mutex_unlock(&t->writer);
			pthread_mutex_lock(&t->writer);
		}
	}
	if (!(flags & LS_INSTALL_TOUCH))
		t->env.header->installed_total += result->installed;
	pthread_mutex_unlock(&t->writer);
}

void ls_table_delete_ids(struct ls_table *t, const struct ls_wire_delete *rows, u32 n, struct ls_delete_result *result)
{
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0;
	u8 reasons[LS_FREER_BATCH];
	struct ls_delete_result part;

	memset(result, 0, sizeof(*result));
	for (u32 i = 0; i < n; i++) {
		u32 slot, gen;

		if (ls_table_find(t, &rows[i].key, &slot, &gen) == LS_OK && LS_LOAD(&t->env.sessions[slot].id.origin) == rows[i].id.origin &&
		    LS_LOAD(&t->env.sessions[slot].id.serial) == rows[i].id.serial) {
			slots[m] = slot;
			reasons[m] = rows[i].reason < LS_CLOSE_COUNT ? rows[i].reason : (u8)LS_CLOSE_ADMIN;
			gens[m++] = gen;
		}
		if (m == LS_FREER_BATCH || (i == n - 1 && m)) {
			ls_free_slots_by(t, slots, gens, reasons, m, &part);
			result->matched += part.matched;
			result->deleted += part.deleted;
			result->grace_ns += part.grace_ns;
			m = 0;
		}
	}
}

/* `reals`: a bit each, NULL: of any. */
static void delete_matching(struct ls_table *t, const struct ls_filter *f, const u64 *reals, u32 reason, const u32 *cancel, struct ls_delete_result *result)
{
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0;
	struct ls_delete_result part;
	struct ls_session s;
	u64 now = 0;

	memset(result, 0, sizeof(*result));
	for (u32 slot = 0; slot <= t->env.slots; slot++) {
		if (slot % LS_WRITER_BATCH == 0)
			now = ls_clock_ns(); /* reading it takes as long as reading a session */
		if (slot < t->env.slots && ls_session_read(t, slot, &s) && (!reals || (s.real < LS_REALS_MAX && reals[s.real / 64] >> s.real % 64 & 1)) &&
		    ls_filter_match(f, &s, now)) {
			slots[m] = slot;
			gens[m++] = s.gen;
		}
		if (m == LS_FREER_BATCH || (slot == t->env.slots && m)) {
			ls_table_free_slots(t, slots, gens, m, reason, &part);
			result->matched += part.matched;
			result->deleted += part.deleted;
			result->grace_ns += part.grace_ns;
			m = 0;
		}
		if (cancel && (slot & 4095) == 0 && LS_LOAD(cancel))
			break;
	}
}

void ls_table_delete_filter(struct ls_table *t, const struct ls_filter *f, u32 reason, const u32 *cancel,
			    struct ls_delete_result *result)
{
	delete_matching(t, f, NULL, reason, cancel, result);
}

void ls_table_delete_reals(struct ls_table *t, const u64 reals[LS_REALS_MAX / 64], struct ls_delete_result *result)
{
	struct ls_filter any = { 0 };

	delete_matching(t, &any, reals, LS_CLOSE_REAL_DOWN, NULL, result);
}

/* Clears dirty first, then reads: a change after the clear pushes a notice of its own (R9). */
static bool drain_notice(struct ls_table *t, const struct ls_notice *n, u64 now, struct ls_wire_record *out)
{
	struct ls_session s, *live = port_session(&t->env, n->slot);

	if (!live || n->kind == LS_NOTICE_NONE || n->kind >= LS_NOTICE_COUNT)
		return false;
	for (u64 state = LS_LOAD_ACQ(&live->state); LS_STATE_DIRTY(state);) {
		u64 found = LS_CAS(&live->state, state, state & ~LS_STATE_DIRTY_BIT);

		if (found == state)
			break;
		state = found;
	}
	if (!ls_session_read(t, n->slot, &s))
		return false; /* freed meanwhile: the feed has its deletion */
	ls_wire_pack(&s, n->slot, n->kind, now, out);
	return true;
}

u32 ls_table_drain(struct ls_table *t, struct ls_wire_record *out, u32 max, u64 *overruns)
{
	struct ls_env worker;
	u64 now = ls_clock_ns();
	u32 n = 0;

	*overruns = 0;
	for (u32 w = 0; w < t->env.header->workers; w++) {
		struct ls_worker *ring = &t->env.workers[w];
		u64 tail = ring->notice_tail, head = LS_LOAD_ACQ(&ring->notice_head), lost = LS_LOAD(&ring->overrun);

		ls_env_worker(t, w, &worker);
		*overruns += lost - ring->overrun_seen;
		ring->overrun_seen = lost;
		for (; tail != head && n < max; tail++) {
			struct ls_notice notice = *port_notice(&worker, tail);

			if (head - tail > 4)
				__builtin_prefetch(&t->env.sessions[port_notice(&worker, tail + 4)->slot % t->env.slots]);
			n += drain_notice(t, &notice, now, &out[n]);
		}
		LS_STORE_REL(&ring->notice_tail, tail);
	}
	pthread_mutex_lock(&t->feed.lock);
	for (; t->feed.tail != t->feed.head && n < max; t->feed.tail++)
		out[n++] = t->feed.record[t->feed.tail % LS_FEED];
	*overruns += t->feed.lost - t->feed.lost_seen;
	t->feed.lost_seen = t->feed.lost;
	pthread_mutex_unlock(&t->feed.lock);
	return n;
}

u32 ls_table_drain_logs(struct ls_table *t, struct ls_log *out, u32 max)
{
	struct ls_env worker;
	u32 n = 0;

	for (u32 w = 0; w < t->env.header->workers; w++) {
		struct ls_worker *ring = &t->env.workers[w];
		u64 tail = ring->log_tail, head = LS_LOAD_ACQ(&ring->log_head);

		ls_env_worker(t, w, &worker);
		for (; tail != head && n < max; tail++)
			out[n++] = *port_log(&worker, tail);
		LS_STORE_REL(&ring->log_tail, tail);
	}
	return n;
}

void ls_table_feed(struct ls_table *t, bool on)
{
	pthread_mutex_lock(&t->feed.lock);
	if (on && !t->feed.record) {
		t->feed.record = malloc(sizeof(struct ls_wire_record) * LS_FEED);
	} else if (!on) {
		free(t->feed.record);
		t->feed.record = NULL;
		t->feed.tail = t->feed.head;
	}
	pthread_mutex_unlock(&t->feed.lock);
}
