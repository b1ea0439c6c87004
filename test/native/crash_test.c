/* Death at every step: the table's code is compiled here with a hook in each shared write; a child dies before write N, for every N, the parent
 * adopts and verifies (R5, R6). Then the same with SIGKILL at random moments of a storm. Pages the kernel keeps, so memory is what survives.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "pipeline/atomics.h"

#include <stdlib.h>
#include <unistd.h>

static unsigned long crash_step, crash_at;

/* Every shared write is one step; the process that reaches step `crash_at` ends before it. */
static inline void crash_here(void)
{
	if (++crash_step == crash_at)
		_exit(77);
}

#undef LS_STORE
#undef LS_STORE_REL
#undef LS_ADD
#undef LS_CAS
#define LS_STORE(p, v) (crash_here(), __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define LS_STORE_REL(p, v) (crash_here(), __atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define LS_ADD(p, v) (crash_here(), (void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define LS_CAS(p, old, new)                                                                                    \
	({                                                                                                     \
		__typeof__(*(p)) ls_cas_old = (old);                                                           \
		crash_here();                                                                                        \
		__atomic_compare_exchange_n((p), &ls_cas_old, (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		ls_cas_old;                                                                                    \
	})

#include "table/region.c"
#include "table/session_table.c"
#include "table/freer.c"
#include "table/adopt.c"
#include "table/wire.c"
#include "table/writer.c"
#undef AHEAD
#include "table/scan.c"
#undef AHEAD
#include "table/verify.c"
#include "table/reconcile.c"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "table_fixture.h"

/* A little of everything: creations that succeed, lose and find no port; installs, a refresh, conflicts; updates, a revival, deletes, an expiry. */
static void scenario(struct ls_table *t)
{
	static struct ls_wire_record out[64];
	struct ls_filter udp = { .match = LS_FM_PROTO, .proto = LS_IPPROTO_UDP };
	struct ls_delete_result gone;
	struct ls_wire_record r;
	struct ls_session *s;
	struct ls_env e;
	u64 overruns, state;
	u32 slot = 0;

	ls_table_feed(t, true);
	worker_open(t, 0, &e);
	burst_begin(&e);
	for (u32 i = 0; i < 6; i++) {
		struct ls_key k = key_of(i);

		worker_create(&e, &k, k.proto == LS_IPPROTO_TCP ? LS_TCP_SYN_SENT : LS_UDP_NEW, &slot);
		if (i == 3)
			worker_create(&e, &k, LS_UDP_NEW, &slot); /* a twin: undone */
	}
	{
		struct ls_key k = key_of(4);
		u32 gen;

		if (ls_table_find(t, &k, &slot, &gen) == LS_OK) {
			s = &t->env.sessions[slot];
			state = s->state;
			ls_state_update(&e, s, slot, gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
			/* a revival in place, as ls_revive does it */
			state = s->state;
			LS_CAS(&s->state, state, LS_STATE_SET_LIFECYCLE(state, LS_CREATING));
			LS_STORE(&s->last_seen_ns, e.now_ns);
			LS_STORE(&s->id.serial, (u64)slot << 32 | (gen + 2));
			LS_STORE_REL(&s->gen, gen + 2);
			LS_STORE_REL(&s->state, LS_STATE_MAKE(LS_LIVE, LS_UDP_NEW, 0, 0, 0));
			ls_notice_push(&e, slot, gen + 2, LS_NOTICE_RECREATE, 0);
		}
	}
	burst_end(&e);
	for (u32 i = 10; i < 14; i++) {
		r = record_of(i);
		install(t, &r, 0);
		install(t, &r, 0); /* refresh */
		r.id.serial += 100;
		install(t, &r, 0); /* conflict */
	}
	ls_table_drain(t, out, 64, &overruns);
	ls_table_delete_filter(t, &udp, LS_CLOSE_ADMIN, NULL, &gone);
	ls_table_drain(t, out, 64, &overruns);
	t->env.rgs[0].seen_floor_ns = 0;
	for (u32 i = 0; i < t->env.slots; i++)
		if (LS_STATE_LIFECYCLE(t->env.sessions[i].state) == LS_LIVE && i % 2)
			t->env.sessions[i].last_seen_ns = 0;
	ls_table_expire(t, t->env.slots);
	ls_worker_detach(t, 0);
	for (u32 i = 20; i < 24; i++) {
		r = record_of(i);
		install(t, &r, 0);
	}
}

static struct ls_table *small_table(void)
{
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 2, .arena = 1 };
	struct ls_config *c = bank_new();
	struct ls_table *t = NULL;
	int err_no;

	if (ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no) != LS_OK)
		exit(2);
	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[0][p] = 1000000000ULL;
	memcpy(t->env.banks, c, sizeof(*c));
	free(c);
	return t;
}

/* Adopts what a dead process left behind on `fd`, and works with it. */
static void adopt_and_check(int fd)
{
	struct ls_table *t = NULL;
	struct ls_verify_report r;
	u64 live, expect;
	int err_no;

	CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_OK);
	CHECK_CLEAN(t);
	CHECK_EQ(faults(t, &r), 0);
	live = r.live;
	expect = r.slots - live;
	CHECK_EQ(t->listed, expect);
	CHECK_EQ(r.entries, 2 * live);
	/* every live session is found by both tuples, and no mark is left that would swallow a notice */
	for (u32 slot = 0; slot < t->env.slots; slot++) {
		struct ls_session s;
		u32 at, gen;

		if (!ls_session_read(t, slot, &s))
			continue;
		CHECK_EQ(LS_STATE_LIFECYCLE(s.state), LS_LIVE);
		CHECK_EQ(LS_STATE_DIRTY(s.state), 0);
		CHECK_EQ(ls_table_find(t, &s.key, &at, &gen), LS_OK);
		CHECK_EQ(at, slot);
		CHECK_EQ(ls_table_find(t, &s.reply, &at, &gen), LS_OK);
		CHECK_EQ(at, slot);
	}
	/* and the table is as good as new */
	for (u32 i = 100; i < 110; i++) {
		struct ls_wire_record w = record_of(i);

		CHECK_EQ(install(t, &w, 0), LS_OK);
	}
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("a process that dies before any one shared write leaves a table that adopts clean")
{
	u64 stride = check_env("LS_CRASH_STRIDE", CHECK_SANITIZED ? 7 : 1), last = 0;

	for (u64 n = 1 + check_random() % stride;; n += stride) {
		struct ls_table *t = small_table();
		int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0), status = 0;
		pid_t child;

		CHECK_AT("write %llu", (unsigned long long)n);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			crash_at = n;
			crash_step = 0;
			scenario(t);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0));
		ls_table_close(t);
		crash_at = 0;
		adopt_and_check(fd);
		close(fd);
		last = n;
		if (WEXITSTATUS(status) == 0)
			break;
	}
	printf("    %llu shared writes, each a death of its own (stride %llu)\n", (unsigned long long)last, (unsigned long long)stride);
	CHECK(last > 300);
}

/* Until killed: creations, installs, deletes, expiries at random. */
static void storm(struct ls_table *t)
{
	static struct ls_wire_record out[256];
	struct ls_env e;
	u64 overruns;

	ls_table_feed(t, true);
	worker_open(t, 0, &e);
	for (;;) {
		u32 slot, gen;

		burst_begin(&e);
		for (u32 i = check_below(20); i; i--) {
			struct ls_key k = key_of(check_below(1500));

			if (ls_index_find(&e, ls_hash_key(port_hash_key(&e), &k, port_bucket_mask(&e)), &k, LS_SLOT_NONE, &gen) == LS_REF_NONE)
				worker_create(&e, &k, LS_UDP_NEW, &slot);
		}
		burst_end(&e);
		for (u32 i = check_below(10); i; i--) {
			struct ls_wire_record r = record_of(check_below(1500));

			r.id.serial = check_random();
			install(t, &r, 0);
		}
		if (check_below(4) == 0) {
			struct ls_filter some = { .match = LS_FM_PORT, .sport_be = htons((u16)(1024 + check_below(1500))) };
			struct ls_delete_result gone;

			if (check_below(3) == 0)
				some = (struct ls_filter){ .match = LS_FM_PROTO | LS_FM_FAMILY, .proto = LS_IPPROTO_UDP, .family = 4 + 2 * (u8)check_below(2) };
			ls_table_delete_filter(t, &some, LS_CLOSE_ADMIN, NULL, &gone);
		}
		if (check_below(8) == 0)
			ls_table_expire(t, t->env.slots);
		ls_table_refill(t);
		ls_table_drain(t, out, 256, &overruns);
	}
}

TEST("SIGKILL at random moments of a storm, the survivor of each round attacked again")
{
	u32 rounds = (u32)check_env("LS_CRASH_ROUNDS", CHECK_SANITIZED ? 60 : 300);
	struct ls_table *t = small_table();
	int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0), err_no;
	struct ls_config *c = t->env.banks;

	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[0][p] = 3000000;
	for (u32 n = 0; n < rounds; n++) {
		int status;
		pid_t child;

		CHECK_AT("round %u", n);
		check_random();
		fflush(stdout);
		child = fork();
		if (child == 0) {
			storm(t);
			_exit(0);
		}
		usleep(500 + check_below(8000));
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status));
		ls_table_close(t);
		CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_OK);
		CHECK_CLEAN(t);
		if (n % 10 == 9) {
			struct ls_filter all = { 0 };
			struct ls_delete_result gone;

			ls_table_delete_filter(t, &all, LS_CLOSE_ADMIN, NULL, &gone);
			CHECK_EQ(live_count(t), 0);
			CHECK_CLEAN(t);
		}
	}
	ls_table_close(t);
	close(fd);
}

CHECK_MAIN
