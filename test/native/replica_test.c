/* Two tables as owner and standby, frames carried by hand: what the rules of replication promise whatever is lost, late or used again. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "sync/api.h"
#include "table/table.h"

#include <unistd.h>

#include "table_fixture.h"
#include "pipeline/hit.h"

#define CAPACITY 1024
#define BATCH 512

struct node {
	struct ls_table *t;
	struct ls_env e;
	struct ls_replica *r;
	u32 owned;
	u8 *out;
	u64 bytes;
};

static const u64 key_one[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static void node_open(struct node *n, bool owner)
{
	*n = (struct node){ .t = table_new(CAPACITY), .owned = owner ? 1 : 0 };
	worker_open(n->t, 0, &n->e);
	ls_table_feed(n->t, true);
	ls_table_set_role(n->t, 0, owner ? LS_ROLE_OWNER : LS_ROLE_STANDBY, 1, ~0ULL);
	CHECK_EQ(ls_replica_open(n->t, &n->r), LS_OK);
	CHECK_EQ(ls_replica_key(n->r, 0, key_one), LS_OK);
	while (!ls_replica_count(n->r, 100))
		;
	n->out = aligned_alloc(64, 8u << 20);
}

static void node_close(struct node *n)
{
	ls_replica_close(n->r);
	CHECK_CLEAN(n->t);
	ls_table_close(n->t);
	free(n->out);
}

static bool create(struct node *n, u32 tuple, u32 *slot)
{
	struct ls_key k = key_of(tuple);
	u32 status;

	ls_table_refill(n->t);
	burst_begin(&n->e);
	status = worker_create(&n->e, &k, LS_UDP_NEW, slot);
	burst_end(&n->e);
	return status == LS_OK;
}

static void end(struct node *n, u32 slot)
{
	u32 gen = LS_LOAD(&n->t->env.sessions[slot].gen);
	struct ls_delete_result gone;

	ls_table_free_slots(n->t, &slot, &gen, 1, LS_CLOSE_ADMIN, &gone);
}

static u64 drain(struct node *n)
{
	static struct ls_wire_record records[BATCH];
	u64 lost, rows, total = 0;

	n->bytes = 0;
	for (;;) {
		u32 got = ls_table_drain(n->t, records, BATCH, &lost);

		if (got == 0)
			return total;
		n->bytes += ls_replica_note(n->r, records, got, n->owned, n->out + n->bytes, &rows);
		total += rows;
	}
}

static void give(struct node *to, const u8 *frames, u64 bytes, struct ls_apply_result *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (u64 at = 0; at < bytes;) {
		const struct ls_frame *f = (const struct ls_frame *)(frames + at);
		struct ls_apply_result one;

		CHECK(f->bytes >= sizeof(*f) && f->bytes <= bytes - at);
		CHECK_EQ(ls_replica_apply(to->r, f->type, f->rg, frames + at + sizeof(*f), f->row, f->rows, false, &one), LS_OK);
		for (u32 i = 0; i < sizeof(one) / 8; i++)
			((u64 *)sum)[i] += ((u64 *)&one)[i];
		at += f->bytes;
	}
}

static void settle(struct node *n)
{
	struct ls_replica_info info;

	for (u32 i = 0; i < 5000; i++) {
		ls_replica_info(n->r, &info);
		if (!info.waiting && !info.deleting)
			return;
		usleep(1000);
	}
	CHECK_FAIL("deletions do not end");
}

/* Both directions of a repair; the differences found. */
static u64 repair(struct node *from, struct node *to)
{
	static struct ls_session_id ids[BATCH];
	struct ls_frame_cut ours, theirs;
	u64 needed, extra, found, guess, bytes, rows;
	struct ls_apply_result sum;
	enum ls_compare state = LS_COMPARE_MORE;
	u8 packed[64 * LS_SKETCH_PACKED_MAX];

	settle(to);
	CHECK_EQ(ls_replica_cut(from->r, 0, &ours), LS_OK);
	CHECK_EQ(ls_replica_cut(to->r, 0, &theirs), LS_OK);
	if (memcmp(&ours, &theirs, sizeof(ours)) == 0)
		return 0;
	CHECK_EQ(ls_replica_compare(to->r, 0, ours.items), LS_OK);
	for (u32 at = 0; state == LS_COMPARE_MORE && at < LS_SKETCH_CELLS; at += 64) {
		bytes = ls_replica_cells(from->r, 0, at, 64, packed, sizeof(packed));
		CHECK(bytes > 0);
		state = ls_replica_compare_cells(to->r, 0, packed, bytes, 64, &found, &guess);
	}
	CHECK_EQ(state, LS_COMPARE_DONE);
	CHECK_EQ(ls_replica_compare_end(to->r, 0, &needed, &extra), LS_OK);
	{ /* every id that was deleted is told, once, and was here alone */
		struct ls_session_id gone[BATCH];
		u32 told = ls_replica_gone(to->r, 0, 0, gone, BATCH);

		CHECK_EQ(told, extra < BATCH ? extra : BATCH);
		CHECK_EQ(ls_replica_gone(to->r, 0, (u32)extra, gone, BATCH), 0);
		for (u32 i = 1; i < told; i++)
			CHECK(gone[i].origin != gone[i - 1].origin || gone[i].serial != gone[i - 1].serial);
	}
	for (u32 at = 0; at < needed;) {
		u32 n = ls_replica_need(to->r, 0, at, ids, BATCH);

		bytes = ls_replica_records(from->r, 0, ids, n, from->out, &rows);
		give(to, from->out, bytes, &sum);
		at += n;
	}
	settle(to);
	return found;
}

static bool holds(struct node *n, u32 tuple, struct ls_session_id *id)
{
	struct ls_key k = key_of(tuple);
	struct ls_wire_record r;

	if (ls_table_get(n->t, &k, &r) != LS_OK)
		return false;
	*id = r.id;
	return true;
}

static void equal(struct node *a, struct node *b, u32 tuples)
{
	for (u32 i = 0; i < tuples; i++) {
		struct ls_session_id x = { 0, 0 }, y = { 0, 0 };

		if (holds(a, i, &x) != holds(b, i, &y) || x.serial != y.serial)
			CHECK_FAIL("tuple %u: %llx and %llx", i, (unsigned long long)x.serial, (unsigned long long)y.serial);
	}
	CHECK_EQ(live_count(a->t), live_count(b->t));
}

TEST("what was created, changed and ended at the owner is so at the standby, and one cut proves it")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot[300];

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 300; i++)
		CHECK(create(&a, i, &slot[i]));
	CHECK_EQ(drain(&a), 300);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.installed, 300);
	for (u32 i = 0; i < 100; i++)
		end(&a, slot[i]);
	CHECK_EQ(drain(&a), 100);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.deleted, 100);
	CHECK_EQ(repair(&a, &b), 0);
	equal(&a, &b, 300);
	node_close(&a);
	node_close(&b);
}

TEST("R25 H26 a tuple used again at once: the new session replaces the old one, and the late deletion of the old one kills nothing")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot, again;
	u8 late[256];
	u64 late_bytes;

	node_open(&a, true);
	node_open(&b, false);
	CHECK(create(&a, 1, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	end(&a, slot);
	drain(&a);
	late_bytes = a.bytes;
	memcpy(late, a.out, late_bytes);
	CHECK(create(&a, 1, &again));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.waiting, 1);
	give(&b, late, late_bytes, &sum);
	CHECK_EQ(sum.unknown, 1);
	settle(&b);
	CHECK_EQ(repair(&a, &b), 0);
	equal(&a, &b, 2);
	node_close(&a);
	node_close(&b);
}

TEST("R25 H40 a tuple of a session that this node owns is refused to the peer")
{
	struct node a, b;
	struct ls_apply_result sum;
	struct ls_session_id id;
	u32 slot, own;

	node_open(&a, true);
	node_open(&b, true); /* both think so */
	CHECK(create(&a, 5, &slot));
	CHECK(create(&b, 5, &own));
	CHECK(holds(&b, 5, &id));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.conflicts, 1);
	CHECK_EQ(live_count(b.t), 1);
	node_close(&a);
	node_close(&b);
}

TEST("H29 the standby ends nothing by itself, and after a takeover ages what it owns")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot;

	node_open(&a, true);
	node_open(&b, false);
	CHECK(create(&a, 9, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	b.t->env.sessions[0].last_seen_ns = 0;
	for (u32 i = 0; i < b.t->env.slots; i++)
		LS_STORE(&b.t->env.sessions[i].last_seen_ns, 1);
	CHECK_EQ(ls_table_expire(b.t, b.t->env.slots), 0);
	CHECK_EQ(live_count(b.t), 1);
	node_close(&a);
	node_close(&b);
}

TEST("H22 H30 activity keeps a long-lived session from looking old")
{
	struct node a, b;
	struct ls_apply_result sum;
	struct ls_wire_record r;
	struct ls_key k = key_of(3);
	u32 slot, cursor = 0;
	u64 rows, bytes;

	node_open(&a, true);
	node_open(&b, false);
	CHECK(create(&a, 3, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	usleep(30000);
	LS_STORE(&a.t->env.sessions[slot].last_seen_ns, ls_clock_ns());
	bytes = ls_replica_activity(a.r, 1, &cursor, 100, 0, a.out, &rows);
	CHECK_EQ(rows, 1);
	CHECK_EQ(cursor, 0xffffffff);
	give(&b, a.out, bytes, &sum);
	CHECK_EQ(ls_table_get(b.t, &k, &r), LS_OK);
	CHECK(r.idle_ns < 20000000);
	node_close(&a);
	node_close(&b);
}

TEST("another key, more cells: a sketch that is being built is not cut, and afterwards is the same as the peer's")
{
	static const u64 other[2] = { 1, 2 };
	struct node a, b;
	struct ls_apply_result sum;
	struct ls_frame_cut cut;
	u32 slot;

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 200; i++)
		CHECK(create(&a, i, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	ls_replica_key(a.r, 0, other);
	ls_replica_key(b.r, 0, other);
	CHECK_EQ(ls_replica_cut(a.r, 0, &cut), LS_E_BUSY);
	CHECK(!ls_replica_count(a.r, 100));
	end(&a, slot); /* while both are being built */
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	while (!ls_replica_count(a.r, 100))
		;
	while (!ls_replica_count(b.r, 333))
		;
	CHECK_EQ(repair(&a, &b), 0);
	CHECK_EQ(ls_replica_extend(a.r, 0, 6000), LS_OK);
	CHECK_EQ(ls_replica_extend(b.r, 0, 6000), LS_OK);
	CHECK(!ls_replica_count(a.r, 500));
	CHECK(create(&a, 700, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	while (!ls_replica_count(a.r, 100))
		;
	while (!ls_replica_count(b.r, 77))
		;
	CHECK_EQ(repair(&a, &b), 0);
	CHECK_EQ(ls_replica_cut_cells(a.r, 0), 6000);
	{
		u64 n = (u64)LS_SKETCH_PACKED_MAX * 3000, x, y;
		u8 *p = malloc(n), *q = malloc(n);

		x = ls_replica_cells(a.r, 0, 3000, 3000, p, n);
		y = ls_replica_cells(b.r, 0, 3000, 3000, q, n);
		CHECK(x > 0 && x == y && memcmp(p, q, x) == 0);
		free(p);
		free(q);
	}
	node_close(&a);
	node_close(&b);
}

TEST("hostile rows are refused whole: another group's, too short, of no type, misaligned")
{
	struct node b;
	struct ls_apply_result sum;
	struct ls_wire_record r[2] = { record_of(1), record_of(2) };

	node_open(&b, false);
	r[1].rg = 1;
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)r, sizeof(*r), 2, false, &sum), LS_E_RECORD);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)r, 64, 1, false, &sum), LS_E_RECORD);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_ACK, 0, (u8 *)r, sizeof(*r), 1, false, &sum), LS_E_RECORD);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 16, (u8 *)r, sizeof(*r), 1, false, &sum), LS_E_RECORD);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)r + 4, sizeof(*r), 1, false, &sum), LS_E_RECORD);
	CHECK_EQ(live_count(b.t), 0);
	r[0].app = LS_APPS_MAX - 1;
	r[0].phase = 200;
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)r, sizeof(*r), 1, false, &sum), LS_OK);
	CHECK_EQ(sum.invalid, 1);
	node_close(&b);
}

/* A second group, this node's or the peer's. */
static void second_group(struct node *n, bool owner)
{
	ls_table_set_role(n->t, 1, owner ? LS_ROLE_OWNER : LS_ROLE_STANDBY, 1, ~0ULL);
	n->owned = owner ? n->owned | 2 : n->owned & ~2u;
	CHECK_EQ(ls_replica_key(n->r, 1, key_one), LS_OK);
	while (!ls_replica_count(n->r, 1000))
		;
}

TEST("a slot that was used again after its session ended here: the peer's deletion, a comparison and a bulk leave the session there alone")
{
	for (u32 bulk = 0; bulk < 2; bulk++) {
		struct node a, b;
		struct ls_apply_result sum;
		struct ls_key k = key_of(1);
		u32 sa, sb = LS_SLOT_NONE, gen, mine = LS_SLOT_NONE, tuple = 1000;

		node_open(&a, true);
		node_open(&b, false);
		CHECK(create(&a, 1, &sa));
		drain(&a);
		give(&b, a.out, a.bytes, &sum);
		CHECK_EQ(ls_table_find(b.t, &k, &sb, &gen), LS_OK);
		end(&b, sb); /* as after an apply that no longer permits it */
		end(&a, sa);
		ls_table_set_role(b.t, 0, LS_ROLE_OWNER, 1, ~0ULL); /* its worker may open sessions: until one is in that slot */
		while (mine != sb && tuple < 3000)
			CHECK(create(&b, tuple++, &mine));
		CHECK_EQ(mine, sb);
		LS_STORE(&b.t->env.sessions[sb].rg, LS_RG_NONE); /* the host's own */
		ls_table_set_role(b.t, 0, LS_ROLE_STANDBY, 1, ~0ULL);
		gen = LS_LOAD(&b.t->env.sessions[sb].gen);
		drain(&a);
		give(&b, a.out, a.bytes, &sum);
		if (bulk) {
			ls_replica_bulk_begin(b.r);
			ls_replica_bulk_end(b.r, 0);
		} else {
			u64 needed, extra, found, guess;
			struct ls_frame_cut cut;
			u8 packed[64 * LS_SKETCH_PACKED_MAX];

			CHECK_EQ(ls_replica_cut(a.r, 0, &cut), LS_OK);
			CHECK_EQ(ls_replica_cut(b.r, 0, &cut), LS_OK);
			CHECK_EQ(ls_replica_compare(b.r, 0, 0), LS_OK);
			CHECK_EQ(ls_replica_compare_cells(b.r, 0, packed, ls_replica_cells(a.r, 0, 0, 64, packed, sizeof(packed)), 64, &found, &guess), LS_COMPARE_DONE);
			CHECK_EQ(ls_replica_compare_end(b.r, 0, &needed, &extra), LS_OK);
		}
		settle(&b);
		CHECK_EQ(LS_STATE_LIFECYCLE(LS_LOAD(&b.t->env.sessions[sb].state)), LS_LIVE);
		CHECK_EQ(LS_LOAD(&b.t->env.sessions[sb].gen), gen);
		node_close(&a);
		node_close(&b);
	}
}

TEST("R25 rows of the peer's group neither end nor change a session of another group, whatever id they name")
{
	struct node b;
	struct ls_apply_result sum;
	struct ls_wire_record r;
	struct ls_wire_delete d = { 0 };
	struct ls_activity seen = { 0 };
	struct ls_key k = key_of(1);
	u32 slot;

	node_open(&b, true);
	second_group(&b, false);
	CHECK(create(&b, 1, &slot));
	drain(&b);
	CHECK_EQ(ls_table_get(b.t, &k, &r), LS_OK);
	d.id = seen.id = r.id;
	seen.idle_ns = 0;
	r.rg = 1;
	r.phase = LS_UDP_STREAM;
	r.packets[0] = 4711;
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_DELETES, 1, (u8 *)&d, sizeof(d), 1, false, &sum), LS_OK);
	CHECK_EQ(sum.unknown, 1);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_ACTIVITY, 1, (u8 *)&seen, sizeof(seen), 1, false, &sum), LS_OK);
	CHECK_EQ(sum.unknown, 1);
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 1, (u8 *)&r, sizeof(r), 1, false, &sum), LS_OK);
	CHECK_EQ(sum.conflicts, 1);
	settle(&b);
	CHECK_EQ(live_count(b.t), 1);
	CHECK_EQ(b.t->env.sessions[slot].packets[0], 1);
	node_close(&b);
}

TEST("I2 one id that waits twice for its tuple is ended by one deletion")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot;

	node_open(&a, true);
	node_open(&b, false);
	CHECK(create(&a, 1, &slot));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	end(&a, slot);
	drain(&a);
	burst_begin(&b.e); /* the deletion cannot finish meanwhile */
	give(&b, a.out, a.bytes, &sum);
	CHECK(create(&a, 1, &slot));
	{
		struct ls_session *s = &a.t->env.sessions[slot];
		u64 state = LS_LOAD(&s->state);

		ls_state_update(&a.e, s, slot, s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
	}
	CHECK_EQ(drain(&a), 2); /* its creation and its change */
	give(&b, a.out, a.bytes, &sum);
	end(&a, slot);
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	burst_end(&b.e);
	settle(&b);
	CHECK_EQ(live_count(b.t), 0);
	node_close(&a);
	node_close(&b);
}

TEST("another key ends a comparison: cells that come for it are refused, not read beside")
{
	static const u64 other[2] = { 5, 6 };
	static u8 packed[5000 * LS_SKETCH_PACKED_MAX];
	struct ls_sketch_cell *none = calloc(5000, sizeof(*none));
	struct node a, b;
	struct ls_frame_cut cut;
	u64 found, guess, bytes;
	u32 slot;

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 300; i++)
		CHECK(create(&a, i, &slot));
	drain(&a);
	CHECK_EQ(ls_replica_cut(a.r, 0, &cut), LS_OK);
	CHECK_EQ(ls_replica_cut(b.r, 0, &cut), LS_OK);
	CHECK_EQ(ls_replica_compare(b.r, 0, 300), LS_OK);
	bytes = ls_replica_cells(a.r, 0, 0, 64, packed, sizeof(packed));
	CHECK_EQ(ls_replica_compare_cells(b.r, 0, packed, bytes, 64, &found, &guess), LS_COMPARE_MORE);
	CHECK_EQ(ls_replica_key(b.r, 0, other), LS_OK);
	bytes = ls_sketch_pack(none, 64, 4900, 300, packed, sizeof(packed));
	CHECK_EQ(ls_replica_compare_cells(b.r, 0, packed, bytes, 4900, &found, &guess), LS_COMPARE_FAILED);
	free(none);
	node_close(&a);
	node_close(&b);
}

TEST("the counts of the first cells tell how many differ, whichever side has them")
{
	static u8 packed[512 * LS_SKETCH_PACKED_MAX];

	for (u32 both = 0; both < 2; both++) {
		struct node a, b;
		struct ls_frame_cut cut;
		u64 found, guess, bytes;
		u32 slot, differ = both ? 900 : 450;

		node_open(&a, true);
		node_open(&b, true);
		for (u32 i = 0; i < 450; i++)
			CHECK(create(&a, i, &slot));
		for (u32 i = 0; both && i < 450; i++)
			CHECK(create(&b, 1000 + i, &slot));
		drain(&a);
		drain(&b);
		CHECK_EQ(ls_replica_cut(b.r, 0, &cut), LS_OK);
		CHECK_EQ(ls_replica_cut(a.r, 0, &cut), LS_OK);
		CHECK_EQ(ls_replica_compare(b.r, 0, cut.items), LS_OK);
		bytes = ls_replica_cells(a.r, 0, 0, 512, packed, sizeof(packed));
		CHECK_EQ(ls_replica_compare_cells(b.r, 0, packed, bytes, 512, &found, &guess), LS_COMPARE_MORE);
		CHECK(guess > differ * 6 / 10 && guess < differ * 14 / 10); /* six times the error that is usual */
		node_close(&a);
		node_close(&b);
	}
}

TEST("a full table takes changes of sessions that it has, and nothing that would be counted by nobody")
{
	struct node b = { .t = table_new(65536) };
	struct ls_apply_result sum = { 0 };
	struct ls_wire_record r;

	ls_table_set_role(b.t, 0, LS_ROLE_STANDBY, 1, ~0ULL);
	CHECK_EQ(ls_replica_open(b.t, &b.r), LS_OK);
	r = record_of(0);
	r.flags = LS_SF_NO_SYNC;
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)&r, sizeof(r), 1, false, &sum), LS_E_RECORD);
	for (u32 i = 0; i < 100000 && !sum.full; i++) {
		r = record_of(i);
		CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)&r, sizeof(r), 1, false, &sum), LS_OK);
	}
	CHECK_EQ(sum.full, 1);
	r = record_of(5);
	r.phase = LS_UDP_NEW;
	CHECK_EQ(ls_replica_apply(b.r, LS_FRAME_UPSERTS, 0, (u8 *)&r, sizeof(r), 1, false, &sum), LS_OK);
	CHECK_EQ(sum.installed, 1);
	node_close(&b);
}

/* What the rule of its policy would have written at creation. */
static void by_policy(struct node *n, u32 slot, u32 flags, u32 sync_after)
{
	struct ls_session *s = &n->t->env.sessions[slot];

	LS_STORE(&s->flags, LS_LOAD(&s->flags) | flags);
	LS_STORE(&s->sync_after, (u16)sync_after);
}

static void aged(struct node *n, u32 slot, u32 seconds)
{
	LS_STORE(&n->t->env.sessions[slot].created_ns, ls_clock_ns() - seconds * 1000000000ULL);
}

static u64 audit(struct node *n)
{
	u32 cursor = 0;
	u64 found;

	n->bytes = ls_replica_audit(n->r, n->owned, &cursor, n->t->env.slots, n->out, &found);
	return found;
}

/* Who owned stands by from now on. */
static void swap_roles(struct node *a, struct node *b)
{
	ls_table_set_role(a->t, 0, LS_ROLE_STANDBY, 2, 0);
	ls_table_set_role(b->t, 0, LS_ROLE_OWNER, 2, ~0ULL);
	a->owned = 0;
	b->owned = 1;
}

/* After a time in which no packet came for any session. */
static void expire_idle(struct node *n)
{
	LS_STORE(&n->t->env.rgs[0].seen_floor_ns, 0);
	for (u32 i = 0; i < n->t->env.slots; i++)
		LS_STORE(&n->t->env.sessions[i].last_seen_ns, 1);
	ls_table_expire(n->t, n->t->env.slots);
}

static u64 items(struct node *n)
{
	struct ls_replica_info info;

	ls_replica_info(n->r, &info);
	return info.items[0];
}

TEST("another key: an end that was not told yet is told all the same")
{
	static const u64 other[2] = { 1, 2 };
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot[20];

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 20; i++)
		CHECK(create(&a, i, &slot[i]));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	for (u32 i = 0; i < 10; i++)
		end(&a, slot[i]);
	CHECK_EQ(ls_replica_key(a.r, 0, other), LS_OK);
	CHECK_EQ(ls_replica_key(b.r, 0, other), LS_OK);
	while (!ls_replica_count(a.r, 100) || !ls_replica_count(b.r, 100))
		;
	CHECK_EQ(items(&a), 10);
	CHECK_EQ(drain(&a), 10);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.deleted, 10);
	CHECK_EQ(repair(&a, &b), 0);
	equal(&a, &b, 20);
	node_close(&a);
	node_close(&b);
}

TEST("I8 what comes and goes as a group is let go: told to nobody, counted all the same, and the next cut of the new owner's finds it")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot[11];

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 10; i++)
		CHECK(create(&a, i, &slot[i]));
	drain(&a);
	give(&b, a.out, a.bytes, &sum);
	CHECK(create(&a, 10, &slot[10]));
	end(&a, slot[0]);
	end(&a, slot[1]);
	swap_roles(&a, &b);
	CHECK_EQ(drain(&a), 0);
	CHECK_EQ(a.bytes, 0);
	CHECK_EQ(items(&a), 9);
	CHECK_EQ(repair(&b, &a), 3);
	CHECK_EQ(repair(&b, &a), 0);
	equal(&a, &b, 11);
	CHECK_EQ(live_count(a.t), 10);
	node_close(&a);
	node_close(&b);
}

TEST("sync never: not sent, in no sketch, ended by nobody but the node that has it")
{
	struct node a, b;
	struct ls_apply_result sum;
	struct ls_session_id id;
	u32 slot, cursor = 0;
	u64 rows;

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 20; i++) {
		CHECK(create(&a, i, &slot));
		by_policy(&a, slot, i < 10 ? LS_SF_NO_SYNC : 0, 0);
	}
	CHECK_EQ(drain(&a), 10);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.installed, 10);
	CHECK_EQ(audit(&a), 0);
	CHECK_EQ(items(&a), 10);
	CHECK_EQ(repair(&a, &b), 0);
	ls_replica_bulk(a.r, 0, &cursor, BATCH, a.out, &rows);
	CHECK_EQ(rows, 10);

	swap_roles(&a, &b);
	CHECK_EQ(audit(&a) + audit(&b), 0);
	CHECK_EQ(repair(&b, &a), 0);
	ls_replica_bulk_begin(a.r);
	cursor = 0;
	b.bytes = ls_replica_bulk(b.r, 0, &cursor, BATCH, b.out, &rows);
	{
		const struct ls_frame *f = (const struct ls_frame *)b.out;

		CHECK_EQ(ls_replica_apply(a.r, f->type, 0, b.out + sizeof(*f), f->row, f->rows, true, &sum), LS_OK);
	}
	CHECK_EQ(ls_replica_bulk_end(a.r, 0), 0);
	for (u32 i = 0; i < 20; i++) {
		CHECK(holds(&a, i, &id));
		CHECK_EQ(holds(&b, i, &id), i >= 10);
	}
	expire_idle(&a); /* the peer's stay */
	for (u32 i = 0; i < 20; i++)
		CHECK_EQ(holds(&a, i, &id), i >= 10);
	node_close(&a);
	node_close(&b);
}

TEST("sync after: told once it is old enough, by its next notice or the audit, and from then on as every other")
{
	struct node a, b;
	struct ls_apply_result sum;
	struct ls_session_id id;
	u32 slot[3];

	node_open(&a, true);
	node_open(&b, false);
	for (u32 i = 0; i < 3; i++) {
		CHECK(create(&a, i, &slot[i]));
		by_policy(&a, slot[i], LS_SF_LATE, 30);
	}
	CHECK_EQ(drain(&a), 0);
	CHECK_EQ(audit(&a), 0);
	CHECK_EQ(repair(&a, &b), 0);
	for (u32 i = 0; i < 2; i++)
		aged(&a, slot[i], 31);
	{
		struct ls_session *s = &a.t->env.sessions[slot[0]];
		u64 state = LS_LOAD(&s->state);

		burst_begin(&a.e);
		ls_state_update(&a.e, s, slot[0], s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
		burst_end(&a.e);
	}
	CHECK_EQ(drain(&a), 1);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.installed, 1);
	CHECK_EQ(audit(&a), 1);
	give(&b, a.out, a.bytes, &sum);
	CHECK_EQ(sum.installed, 1);
	CHECK_EQ(audit(&a), 0);
	CHECK_EQ(items(&a), 2);
	CHECK_EQ(repair(&a, &b), 0);

	swap_roles(&a, &b); /* the third one is old enough only after that: nobody tells it any more */
	aged(&a, slot[2], 31);
	CHECK_EQ(audit(&a) + audit(&b), 0);
	CHECK_EQ(repair(&b, &a), 0);
	CHECK_EQ(items(&a), 2);
	CHECK(!holds(&b, 2, &id));
	expire_idle(&a);
	CHECK(holds(&a, 0, &id) && holds(&a, 1, &id) && !holds(&a, 2, &id));
	node_close(&a);
	node_close(&b);
}

TEST("sync after: an ended session that nobody was told of is not told of either, and a peer that has one tells it on")
{
	struct node a, b;
	struct ls_apply_result sum;
	u32 slot, young;

	node_open(&a, true);
	node_open(&b, false);
	CHECK(create(&a, 1, &young));
	by_policy(&a, young, LS_SF_LATE, 30);
	CHECK(create(&a, 2, &slot));
	by_policy(&a, slot, LS_SF_LATE, 30);
	aged(&a, slot, 30);
	CHECK_EQ(drain(&a), 1);
	give(&b, a.out, a.bytes, &sum);
	end(&a, young);
	CHECK_EQ(drain(&a), 0);
	swap_roles(&a, &b);
	CHECK_EQ(audit(&b), 0);
	CHECK_EQ(items(&b), 1);
	CHECK_EQ(repair(&b, &a), 0);
	{
		struct ls_session *s;
		struct ls_key k = key_of(2);
		u32 at, gen;
		u64 state;

		CHECK_EQ(ls_table_find(b.t, &k, &at, &gen), LS_OK);
		s = &b.t->env.sessions[at];
		state = LS_LOAD(&s->state);
		ls_state_update(&b.e, s, at, s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
	}
	CHECK_EQ(drain(&b), 1);
	give(&a, b.out, b.bytes, &sum);
	CHECK_EQ(sum.installed, 1);
	CHECK_EQ(repair(&b, &a), 0);
	node_close(&a);
	node_close(&b);
}

/* Creations, ends and changes of few tuples, frames lost whole, sessions deleted at the standby, drains at random: after one audit and one repair both
 * tables are equal, and the next cut says so. */
TEST("D6 whatever was lost, one audit and one repair make both tables equal, and the proof agrees with the tables")
{
	u32 rounds = 60, repaired = 0;

	for (u32 round = 0; round < rounds; round++) {
		struct node a, b;
		struct ls_apply_result sum;
		u32 tuples = 40 + check_below(400), steps = 200 + check_below(600), slot_of[440], cursor = 0;
		u64 found;

		memset(slot_of, 0xff, sizeof(slot_of));
		node_open(&a, true);
		node_open(&b, false);
		for (u32 i = 0; i < steps; i++) {
			u32 tuple = check_below(tuples), what = check_below(20);

			if (what < 11 && slot_of[tuple] == 0xffffffff) {
				if (!create(&a, tuple, &slot_of[tuple]))
					slot_of[tuple] = 0xffffffff;
			} else if (what < 15 && slot_of[tuple] != 0xffffffff) {
				end(&a, slot_of[tuple]);
				slot_of[tuple] = 0xffffffff;
			} else if (what < 17 && slot_of[tuple] != 0xffffffff) {
				struct ls_session *s = &a.t->env.sessions[slot_of[tuple]];
				u64 state = LS_LOAD(&s->state);

				ls_state_update(&a.e, s, slot_of[tuple], s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
			} else if (what < 19) {
				drain(&a);
				if (check_below(8))
					give(&b, a.out, a.bytes, &sum);
			} else if (check_below(4) == 0) {
				struct ls_key k = key_of(tuple);
				u32 slot, gen;

				if (ls_table_find(b.t, &k, &slot, &gen) == LS_OK)
					end(&b, slot);
			}
		}
		drain(&a);
		give(&b, a.out, a.bytes, &sum);
		settle(&b);
		{
			static struct ls_wire_record scrap[BATCH];
			u64 lost;

			ls_table_drain(b.t, scrap, BATCH, &lost); /* nobody listens to a standby */
		}
		a.bytes = ls_replica_audit(a.r, 1, &cursor, a.t->env.slots, a.out, &found);
		CHECK_EQ(found, 0); /* nothing was lost between the owner and its own frames */
		cursor = 0;
		ls_replica_audit(b.r, 0, &cursor, b.t->env.slots, b.out, &found);
		repaired += repair(&a, &b) != 0;
		CHECK_EQ(repair(&a, &b), 0);
		equal(&a, &b, tuples);
		node_close(&a);
		node_close(&b);
	}
	CHECK(repaired > rounds / 2);
}

CHECK_MAIN
