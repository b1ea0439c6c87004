/* Small tables and sessions for the table tests: numbered tuples, wire records, a worker that creates without packets. */
#ifndef LOCKSTEP_TEST_TABLE_FIXTURE_H
#define LOCKSTEP_TEST_TABLE_FIXTURE_H

#include "bank.h"
#include "check.h"

/* A table of `capacity` with two threads and a default bank. */
static inline struct ls_table *table_new(u32 capacity)
{
	struct ls_geometry g = { .capacity = capacity, .threads = 2, .arena = 4096 };
	struct ls_config *c = bank_new();
	struct ls_table *t = NULL;
	int err_no = 0;

	if (ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no) != LS_OK) {
		printf("    cannot create a table: %s\n", strerror(err_no));
		exit(1);
	}
	ls_table_write_config(t, c, sizeof(*c));
	free(c);
	return t;
}

/* Tuple number `i`: all distinct, both families, and no reply equals a forward tuple. */
static inline struct ls_key key_of(u32 i)
{
	struct ls_key k = { .proto = i & 1 ? LS_IPPROTO_UDP : LS_IPPROTO_TCP, .family = i & 2 ? LS_IP6 : LS_IP4 };
	be32 low = htonl(0x0a000000 | (i & 0xffffff));

	k.src = addr(k.family == LS_IP6 ? "fd00::" : "10.0.0.0");
	k.dst = addr(k.family == LS_IP6 ? "fd01::1" : "198.51.100.1");
	k.src.w[3] = low;
	k.sport_be = htons((u16)(1024 + i % 50000));
	k.dport_be = htons(443);
	return k;
}

static inline struct ls_wire_record record_of(u32 i)
{
	struct ls_key k = key_of(i);
	struct ls_wire_record r = { .version = LS_WIRE_VERSION, .kind = LS_NOTICE_CREATE, .phase = k.proto == LS_IPPROTO_TCP ? LS_TCP_ESTABLISHED : LS_UDP_STREAM,
		.id = { .origin = 7, .serial = i + 1 }, .key = k, .zone_in = 1, .zone_out = 2, .policy = 3, .packets = { i, 2 }, .bytes = { 3, 4 } };

	ls_key_reverse(&r.reply, &k);
	return r;
}

static inline enum ls_status install(struct ls_table *t, const struct ls_wire_record *r, u32 flags)
{
	struct ls_install_result result;
	u8 status = 0xff;

	ls_table_install(t, (const u8 *)r, sizeof(*r), 1, flags, &status, NULL, &result);
	return status;
}

static inline void burst_begin(struct ls_env *e)
{
	__atomic_fetch_add(&e->worker->quiescent, 1, __ATOMIC_SEQ_CST);
	e->config = &e->banks[LS_LOAD_ACQ(&e->header->active_bank) & 1];
	e->now_ns = ls_clock_ns();
}

static inline void burst_end(struct ls_env *e) { __atomic_fetch_add(&e->worker->quiescent, 1, __ATOMIC_RELEASE); }

static inline void worker_open(struct ls_table *t, u32 id, struct ls_env *e)
{
	ls_worker_attach(t, id);
	ls_env_worker(t, id, e);
}

/* The protocol of R2 as the packet path strings it together. Sets *slot. */
static inline u32 worker_create(struct ls_env *e, const struct ls_key *key, u32 phase, u32 *slot)
{
	struct ls_creation c = { 0 };
	struct ls_session image = { .key = *key, .rg = 0, .created_ns = e->now_ns, .last_seen_ns = e->now_ns,
		.state = LS_STATE_MAKE(LS_CREATING, phase, 0, 0, 0), .packets = { 1, 0 } };
	u32 status;

	ls_key_reverse(&image.reply, key);
	c.slot = ls_slot_take(e);
	if (c.slot == LS_SLOT_NONE)
		return LS_E_FULL;
	ls_create_write(e, &c, &image);
	status = ls_create_reply(e, &c, &image.reply);
	if (status == LS_OK)
		status = ls_create_forward(e, &c, ls_hash_key(port_hash_key(e), key, port_bucket_mask(e)), key);
	if (status != LS_OK) {
		ls_create_undo(e, &c);
		return status;
	}
	ls_create_commit(e, &c);
	ls_slot_used(e);
	ls_notice_push(e, c.slot, c.gen, LS_NOTICE_CREATE, 0);
	*slot = c.slot;
	return LS_OK;
}

static inline const char *fault_name(u32 kind)
{
	static const char *const names[LS_VF_COUNT] = { "live_entries", "entry_dead", "entry_foreign", "twin", "free_twice", "free_live", "lost",
		"generation" };

	return names[kind];
}

static inline u64 faults(struct ls_table *t, struct ls_verify_report *r)
{
	u64 n = 0;

	ls_table_verify(t, r);
	for (u32 i = 0; i < LS_VF_COUNT; i++)
		n += r->fault[i];
	return n;
}

#define CHECK_CLEAN(t)                                                                                                        \
	do {                                                                                                                  \
		struct ls_verify_report check_r;                                                                              \
		if (faults(t, &check_r))                                                                                      \
			for (u32 check_k = 0; check_k < LS_VF_COUNT; check_k++)                                               \
				if (check_r.fault[check_k])                                                                   \
					CHECK_FAIL("verify: %llu x %s, first at %u", (unsigned long long)check_r.fault[check_k], \
						   fault_name(check_k), check_r.first[check_k]);                              \
	} while (0)

static inline u64 live_count(struct ls_table *t)
{
	struct ls_filter all = { 0 };

	return ls_scan_count(t, &all, NULL);
}

#endif
