/* What leaves: changes as they are drained, sessions asked for, whole groups, activity, and what an audit finds untold. */
#include "sync/replica.h"

#include <string.h>

#include "pipeline/create_user.h"

/* --- frames, one group and type each --------------------------------------------------------------------------------------------------------- */
struct frames {
	struct ls_replica *r;
	u8 *out;
	u64 at;
	struct ls_frame *open;
	u64 rows;
};

/* Place for one more row. Frames begin at multiples of 8 bytes, as every row does. */
static void *row(struct frames *f, u32 type, u32 rg, u32 bytes)
{
	void *place;

	if (!f->open || f->open->type != type || f->open->rg != rg || f->open->rows == LS_FRAME_ROWS_MAX) {
		f->open = (struct ls_frame *)(f->out + f->at);
		*f->open = (struct ls_frame){ .bytes = sizeof(*f->open), .type = (u8)type, .rg = (u8)rg, .row = (u16)bytes,
			.epoch = LS_LOAD(&f->r->t->env.rgs[rg].epoch) };
		f->at += sizeof(*f->open);
	}
	place = f->out + f->at;
	f->at += bytes;
	f->open->bytes += bytes;
	f->open->rows++;
	f->rows++;
	return place;
}

static void add_upsert(struct frames *f, const struct ls_wire_record *record)
{
	memcpy(row(f, LS_FRAME_UPSERTS, record->rg, sizeof(*record)), record, sizeof(*record));
}

/* `key`: NULL when nobody knows it any more; the id is enough for a peer that keeps ids. */
static void add_delete(struct frames *f, u32 rg, const struct ls_session_id *id, const struct ls_key *key, u32 reason)
{
	struct ls_wire_delete d = { .id = *id, .reason = (u8)reason };

	if (key)
		d.key = *key;
	memcpy(row(f, LS_FRAME_DELETES, rg, sizeof(d)), &d, sizeof(d));
}

static bool owned_by(u32 owned, u32 rg) { return rg < LS_RGS_MAX && (owned >> rg & 1); }

/* Does the slot still hold that session? One whose end has been told does not: it was dead before. */
static bool still(const struct ls_replica *r, const struct ls_wire_record *record)
{
	const struct ls_session *s = port_session(&r->t->env, record->slot);
	u32 life;

	if (!s)
		return false;
	life = LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state));
	return (life == LS_LIVE || life == LS_DYING) && LS_LOAD(&s->id.origin) == record->id.origin && LS_LOAD(&s->id.serial) == record->id.serial;
}

static void tell(struct frames *f, u32 owned, const struct ls_wire_record *record)
{
	struct ls_shadow *s = &f->r->shadow[record->slot];

	if (s->used && owned_by(owned, s->rg) && !ls_sync_same(&s->item.id, &record->id)) /* revived in place, or used again: its end was lost or is still to come */
		add_delete(f, s->rg, &s->item.id, NULL, LS_CLOSE_TIMEOUT);
	ls_sync_remember(f->r, record->slot, record, ls_sync_hash(f->r, &record->id));
	add_upsert(f, record);
}

/* What is in the slot against its shadow: a difference of an owned group is told, one of the peer's is counted, so that the next cut of the peer's finds it.
 * False: there is none. */
static bool compare(struct frames *f, u32 owned, u32 slot, u64 now)
{
	struct ls_replica *r = f->r;
	struct ls_shadow *s = &r->shadow[slot];
	struct ls_wire_record record;

	if (ls_sync_read(r, slot, now, &record)) {
		if (ls_sync_is_current(r, slot, &record))
			return false;
		if (owned_by(owned, record.rg))
			tell(f, owned, &record);
		else
			ls_sync_remember(r, slot, &record, ls_sync_hash(r, &record.id));
		return true;
	}
	if (!s->used)
		return false;
	if (owned_by(owned, s->rg))
		add_delete(f, s->rg, &s->item.id, NULL, LS_CLOSE_TIMEOUT);
	ls_sync_forget(r, slot);
	return true;
}

/* Ends first: tuples are used again at once, and what comes must not meet what goes. What this node does not own any more (a packet was under way as it let
 * go) is counted and not told. */
u64 ls_replica_note(struct ls_replica *r, const struct ls_wire_record *records, u32 n, u32 owned, u8 *out, u64 *rows)
{
	struct frames f = { .r = r, .out = out };
	u64 now = ls_clock_ns();

	pthread_mutex_lock(&r->lock);
	for (u32 i = 0; i < n; i++) {
		const struct ls_wire_record *record = &records[i];
		u32 slot;

		if (record->kind != LS_NOTICE_DELETE)
			continue;
		slot = ls_sync_find(r, &record->id, ls_sync_hash(r, &record->id));
		if (slot == LS_SLOT_NONE)
			continue; /* the peer never heard of it */
		if (!owned_by(owned, record->rg)) {
			compare(&f, owned, slot, now);
			continue;
		}
		ls_sync_forget(r, slot);
		add_delete(&f, record->rg, &record->id, &record->key, record->close_reason);
	}
	for (u32 i = 0; i < n; i++) {
		const struct ls_wire_record *record = &records[i];

		if (i + 8 < n && records[i + 8].slot < r->t->env.slots)
			__builtin_prefetch(&r->shadow[records[i + 8].slot], 1);
		if (record->kind != LS_NOTICE_DELETE && !owned_by(owned, record->rg) && record->slot < r->t->env.slots)
			compare(&f, owned, record->slot, now);
		if (record->kind == LS_NOTICE_DELETE || !owned_by(owned, record->rg) || record->flags & (LS_SF_HOST | LS_SF_NO_SYNC) || !still(r, record))
			continue;
		if (record->flags & LS_SF_LATE && !(record->flow & LS_FLOW_SHARED) && !ls_sync_ripen(r, owned, record->slot))
			continue; /* its next notice, or the audit, tells */
		tell(&f, owned, record);
	}
	pthread_mutex_unlock(&r->lock);
	*rows = f.rows;
	return f.at;
}

u64 ls_replica_records(struct ls_replica *r, u32 rg, const struct ls_session_id *ids, u32 n, u8 *out, u64 *rows)
{
	struct frames f = { .r = r, .out = out };
	struct ls_wire_record record;
	u64 now = ls_clock_ns();

	pthread_mutex_lock(&r->lock);
	for (u32 i = 0; i < n && i < LS_FRAME_ROWS_MAX; i++) {
		u64 h = ls_sync_hash(r, &ids[i]);
		u32 slot = ls_sync_find(r, &ids[i], h);

		if (slot == LS_SLOT_NONE || !ls_sync_read(r, slot, now, &record) || record.rg != rg || !ls_sync_same(&record.id, &ids[i]))
			continue;
		ls_sync_remember(r, slot, &record, h);
		add_upsert(&f, &record);
	}
	pthread_mutex_unlock(&r->lock);
	*rows = f.rows;
	return f.at;
}

u64 ls_replica_bulk(struct ls_replica *r, u32 rg, u32 *cursor, u32 max, u8 *out, u64 *rows)
{
	struct frames f = { .r = r, .out = out };
	struct ls_wire_record record;
	u64 now = ls_clock_ns();

	if (max > LS_FRAME_ROWS_MAX)
		max = LS_FRAME_ROWS_MAX;
	pthread_mutex_lock(&r->lock);
	while (*cursor < r->t->env.slots && f.rows < max) {
		u32 slot = (*cursor)++;

		if (!ls_sync_read(r, slot, now, &record) || record.rg != rg)
			continue;
		if (r->shadow[slot].used && !ls_sync_same(&r->shadow[slot].item.id, &record.id))
			continue; /* the end of what was here comes first: its notice, or the audit, tells both */
		ls_sync_remember(r, slot, &record, ls_sync_hash(r, &record.id));
		add_upsert(&f, &record);
	}
	if (*cursor >= r->t->env.slots)
		*cursor = 0xffffffff;
	pthread_mutex_unlock(&r->lock);
	*rows = f.rows;
	return f.at;
}

u64 ls_replica_activity(struct ls_replica *r, u32 owned, u32 *cursor, u32 max, u64 since_ns, u8 *out, u64 *rows)
{
	struct frames f = { .r = r, .out = out };
	u64 now = ls_clock_ns();

	if (max > LS_FRAME_ROWS_MAX)
		max = LS_FRAME_ROWS_MAX;
	pthread_mutex_lock(&r->lock);
	while (*cursor < r->t->env.slots && f.rows < max) {
		u32 slot = (*cursor)++;
		const struct ls_shadow *s = &r->shadow[slot];
		u64 seen;

		if (!s->used || !owned_by(owned, s->rg))
			continue;
		seen = LS_LOAD(&r->t->env.sessions[slot].last_seen_ns);
		if (seen < since_ns || seen > now)
			continue;
		*(struct ls_activity *)row(&f, LS_FRAME_ACTIVITY, s->rg, sizeof(struct ls_activity)) = (struct ls_activity){ .id = s->item.id, .idle_ns = now - seen };
	}
	if (*cursor >= r->t->env.slots)
		*cursor = 0xffffffff;
	pthread_mutex_unlock(&r->lock);
	*rows = f.rows;
	return f.at;
}

u64 ls_replica_audit(struct ls_replica *r, u32 owned, u32 *cursor, u32 slots, u8 *out, u64 *found)
{
	struct frames f = { .r = r, .out = out };
	u64 now = ls_clock_ns();

	*found = 0;
	pthread_mutex_lock(&r->lock);
	for (; *cursor < r->t->env.slots && slots; slots--) {
		u32 slot = (*cursor)++;

		ls_sync_ripen(r, owned, slot);
		*found += compare(&f, owned, slot, now);
	}
	if (*cursor >= r->t->env.slots)
		*cursor = 0xffffffff;
	pthread_mutex_unlock(&r->lock);
	return f.at;
}
