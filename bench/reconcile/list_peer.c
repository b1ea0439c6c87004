/* The classical way to find what differs, as a peer of the sketch: the standby sends the id and digest of every session it has, the owner looks each up, sends
 * what is missing or other, and names what is too much. In C on the engine's own tables, with digests at hand that the replica keeps; bench/reconcile/list.ts
 * carries its frames over the engine's sockets. A module of its own for Node.js; one node a process.
 */
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

#include "sync/replica.h"
#include "pipeline/create_user.h"

static struct {
	struct ls_table *t;
	struct ls_replica *r;
	u64 *heard; /* a bit for each slot: the standby has it as it is */
	u32 heard_words;
	struct ls_session_id *missing; /* to be sent */
	struct ls_wire_delete *extra;  /* to be named */
	u32 missings, missing_at, extras, extra_at;
	u32 list_at; /* slots before it are listed */
} node;

#define AHEAD 16

static void fail(napi_env env, const char *what) { napi_throw_error(env, NULL, what); }

static u32 args(napi_env env, napi_callback_info info, napi_value *argv, size_t n)
{
	size_t got = n;

	napi_get_cb_info(env, info, &got, argv, NULL, NULL);
	return (u32)got;
}

static u32 whole(napi_env env, napi_value value)
{
	u32 n = 0;

	napi_get_value_uint32(env, value, &n);
	return n;
}

static u8 *bytes(napi_env env, napi_value value, size_t *size)
{
	void *at = NULL;

	napi_get_typedarray_info(env, value, NULL, size, &at, NULL, NULL);
	return at;
}

static napi_value number(napi_env env, double n)
{
	napi_value value;

	napi_create_double(env, n, &value);
	return value;
}

/* open(owner, capacity, key) */
static napi_value open_node(napi_env env, napi_callback_info info)
{
	napi_value argv[3];
	bool owner = false;
	size_t size = 0;
	u64 key[2];
	int err = 0;
	struct ls_geometry g = { .threads = 1 };

	args(env, info, argv, 3);
	napi_get_value_bool(env, argv[0], &owner);
	g.capacity = whole(env, argv[1]);
	const u8 *from = bytes(env, argv[2], &size);
	if (size != sizeof(key) || ls_table_create(&g, LS_HUGE_NEVER, NULL, &node.t, &err) != LS_OK || ls_replica_open(node.t, &node.r) != LS_OK) {
		fail(env, "list peer: no table");
		return NULL;
	}
	memcpy(key, from, sizeof(key));
	ls_table_set_role(node.t, 0, owner ? LS_ROLE_OWNER : LS_ROLE_STANDBY, 256, ~0ULL);
	ls_replica_key(node.r, 0, key);
	while (!ls_replica_count(node.r, 1u << 20))
		;
	node.heard_words = (node.t->env.slots + 63) / 64;
	node.heard = calloc(node.heard_words, sizeof(*node.heard));
	node.missing = malloc(sizeof(*node.missing) * node.t->env.slots);
	node.extra = malloc(sizeof(*node.extra) * node.t->env.slots);
	if (!node.heard || !node.missing || !node.extra)
		fail(env, "list peer: no memory");
	return NULL;
}

/* apply(type, rows, row, n) */
static napi_value apply(napi_env env, napi_callback_info info)
{
	napi_value argv[4];
	struct ls_apply_result result;
	size_t size;

	args(env, info, argv, 4);
	const u8 *rows = bytes(env, argv[1], &size);
	if (ls_replica_apply(node.r, whole(env, argv[0]), 0, rows, whole(env, argv[2]), whole(env, argv[3]), false, &result) != LS_OK || result.full || result.invalid)
		fail(env, "list peer: rows that cannot be applied");
	return NULL;
}

/* list(out) -> how many items more; 0: that was all */
static napi_value list(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	size_t size;
	u32 n = 0;

	args(env, info, argv, 1);
	u8 *out = bytes(env, argv[0], &size);
	u32 max = (u32)(size / sizeof(struct ls_sketch_item));
	for (; node.list_at < node.t->env.slots && n < max; node.list_at++)
		if (node.r->shadow[node.list_at].used)
			memcpy(out + sizeof(struct ls_sketch_item) * n++, &node.r->shadow[node.list_at].item, sizeof(struct ls_sketch_item));
	if (n == 0)
		node.list_at = 0;
	return number(env, n);
}

/* heard(rows, n): items of the standby */
static napi_value heard(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	size_t size;

	args(env, info, argv, 2);
	const struct ls_sketch_item *items = (const struct ls_sketch_item *)bytes(env, argv[0], &size);
	u32 n = whole(env, argv[1]);
	for (u32 i = 0; i < n; i++) {
		const struct ls_sketch_item *item = &items[i];
		u32 slot = ls_sync_find(node.r, &item->id, ls_sync_hash(node.r, &item->id));

		if (i + 2 * AHEAD < n)
			ls_sync_fetch(node.r, ls_sync_hash(node.r, &items[i + 2 * AHEAD].id), true);
		if (i + AHEAD < n)
			ls_sync_fetch(node.r, ls_sync_hash(node.r, &items[i + AHEAD].id), false);

		if (slot == LS_SLOT_NONE)
			node.extra[node.extras++] = (struct ls_wire_delete){ .id = item->id, .reason = LS_CLOSE_RECONCILE };
		else if (node.r->shadow[slot].item.digest == item->digest)
			node.heard[slot / 64] |= 1ULL << (slot % 64);
	}
	return NULL;
}

/* compared(): the list is whole; what was not heard is missing */
static napi_value compared(napi_env env, napi_callback_info info)
{
	(void)info;
	for (u32 slot = 0; slot < node.t->env.slots; slot++)
		if (node.r->shadow[slot].used && !(node.heard[slot / 64] >> (slot % 64) & 1))
			node.missing[node.missings++] = node.r->shadow[slot].item.id;
	memset(node.heard, 0, sizeof(*node.heard) * node.heard_words);
	return number(env, node.missings);
}

/* repair(out, max) -> bytes of the next frame of what differs; 0: that was all */
static napi_value repair(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	size_t size;
	u64 at = 0, rows;

	args(env, info, argv, 2);
	u8 *out = bytes(env, argv[0], &size);
	u32 max = whole(env, argv[1]);
	if (node.extra_at < node.extras) { /* first: their tuples are used again */
		u32 n = node.extras - node.extra_at < max ? node.extras - node.extra_at : max;

		at = sizeof(struct ls_frame) + (u64)n * sizeof(*node.extra);
		*(struct ls_frame *)out = (struct ls_frame){ .bytes = (u32)at, .type = LS_FRAME_DELETES, .row = sizeof(*node.extra), .rows = n, .epoch = 256 };
		memcpy(out + sizeof(struct ls_frame), node.extra + node.extra_at, (u64)n * sizeof(*node.extra));
		node.extra_at += n;
	} else if (node.missing_at < node.missings) {
		u32 n = node.missings - node.missing_at < max ? node.missings - node.missing_at : max;

		at = ls_replica_records(node.r, 0, node.missing + node.missing_at, n, out, &rows);
		node.missing_at += n;
	} else {
		node.missings = node.missing_at = node.extras = node.extra_at = 0;
	}
	return number(env, (double)at);
}

/* cut(out): struct ls_frame_cut */
static napi_value cut(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct ls_frame_cut cut;
	size_t size;

	args(env, info, argv, 1);
	u8 *out = bytes(env, argv[0], &size);
	if (size < sizeof(cut) || ls_replica_cut(node.r, 0, &cut) != LS_OK)
		fail(env, "list peer: no cut");
	else
		memcpy(out, &cut, sizeof(cut));
	return NULL;
}

static napi_value settle(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	ls_replica_settle(node.r);
	return NULL;
}

static napi_value close_node(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	ls_replica_close(node.r);
	ls_table_close(node.t);
	free(node.heard);
	free(node.missing);
	free(node.extra);
	return NULL;
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback call;
	} calls[] = { { "open", open_node }, { "apply", apply }, { "list", list }, { "heard", heard }, { "compared", compared },
		      { "repair", repair }, { "cut", cut }, { "settle", settle }, { "close", close_node } };

	for (u32 i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		napi_value call;

		napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, NULL, &call);
		napi_set_named_property(env, exports, calls[i].name, call);
	}
	return exports;
}
