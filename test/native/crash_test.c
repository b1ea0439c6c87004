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

#include "mix.h"
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
			LS_CAS(&s->state, state, LS_STATE_SET_LIFE(LS_STATE_SET_LIFECYCLE(state, LS_CREATING), e.worker_id));
			LS_STORE(&s->last_seen_ns, e.now_ns);
			LS_STORE(&s->id.serial, (u64)slot << 32 | (gen + 2));
			LS_STORE_REL(&s->gen, gen + 2);
			LS_STORE_REL(&s->state, LS_STATE_SET_LIFE(LS_STATE_MAKE(LS_LIVE, LS_UDP_NEW, 0, 0, 0), LS_LIFE_OF(gen + 2)));
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

static volatile sig_atomic_t told_to_stop;
static void on_term(int signal) { told_to_stop = signal; }

/* A process of one packet worker: the real packet path until SIGTERM, between two bursts, or until killed. */
static pid_t worker_process(struct ls_table *t, u32 id, u64 seed)
{
	pid_t child;

	ls_worker_attach(t, id);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct lane *w = calloc(1, sizeof(*w));

		signal(SIGTERM, on_term);
		w->t = t;
		ls_env_worker(t, id, &w->e);
		while (!told_to_stop) {
			u32 port, v;
			struct packet p = mixed_packet(next_random(&seed), 60, &port);
			const char *wrong;

			v = lane_send(w, port, p.b, p.len);
			wrong = accounted(w, v);
			if (!wrong && (v == LS_V_TX || v == LS_V_NEIGH))
				wrong = frame_wrong(w);
			if (wrong) {
				printf("    worker %u: %s\n", id, wrong);
				_exit(3);
			}
		}
		_exit(0);
	}
	return child;
}

static int process_end(pid_t child, int signal)
{
	int status = 0;

	kill(child, signal);
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

/* Expiry in milliseconds: sessions end, revive and are reused all the time. */
static struct ls_table *busy_table(void)
{
	struct ls_table *t = small_table();
	struct ls_config *c;

	standard_table(t);
	c = &t->env.banks[t->env.header->active_bank & 1];
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	for (u32 a = 0; a < LS_APPS_MAX; a++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++)
			c->timeout_ns[a][p] = (1 + (a + p) % 5) * 500000ULL;
	return t;
}

/* The agent's part of the storm. */
static void agent_round(struct ls_table *t)
{
	static struct ls_wire_record out[256];
	struct ls_filter some = { .match = LS_FM_SPORT, .sport_be = htons((u16)(2000 + check_below(60))) };
	struct ls_delete_result gone;
	u64 overruns;

	for (u32 i = check_below(10); i; i--) {
		struct ls_wire_record r = record_of(check_below(1500));

		r.id.serial = check_random();
		install(t, &r, 0);
	}
	ls_table_delete_filter(t, &some, LS_CLOSE_ADMIN, NULL, &gone);
	ls_table_expire(t, t->env.slots);
	ls_table_refill(t);
	ls_table_drain(t, out, 256, &overruns);
}

TEST("R6 the agent is killed again and again while two workers of other processes forward: each successor adopts under their traffic")
{
	u32 rounds = (u32)check_env("LS_ADOPT_ROUNDS", CHECK_SANITIZED ? 60 : 200);
	struct ls_table *t = busy_table();
	bool living[LS_WORKERS_MAX] = { true, true };
	struct ls_adopt_result adopted, sum = { 0 };
	static struct ls_counters before, after;
	pid_t worker[2];
	u32 still = 0;

	for (u32 w = 0; w < 2; w++)
		worker[w] = worker_process(t, w, check_random());
	for (u32 n = 0; n < rounds; n++) {
		pid_t agent;
		int status;

		CHECK_AT("round %u", n);
		check_random();
		fflush(stdout);
		agent = fork();
		if (agent == 0) {
			ls_table_feed(t, true);
			for (;;)
				agent_round(t);
		}
		usleep(500 + check_below(8000));
		status = process_end(agent, SIGKILL);
		CHECK(WIFSIGNALED(status));
		ls_table_counters(t, &before);
		t->listed = 0; /* the successor knows nothing but the table */
		CHECK_EQ(ls_table_adopt(t, living, &adopted), LS_OK);
		sum.undone += adopted.undone;
		sum.finished += adopted.finished;
		sum.listed += adopted.listed;
		sum.live += adopted.live;
		CHECK_CLEAN(t);
		ls_table_counters(t, &after);
		still += after.global[LS_CTR_RX_PACKETS] > before.global[LS_CTR_RX_PACKETS];
		ls_table_refill(t);
	}
	for (u32 w = 0; w < 2; w++) {
		CHECK_EQ(process_end(worker[w], SIGTERM), 0);
		ls_worker_detach(t, w);
	}
	ls_table_counters(t, &after);
	printf("    %u adoptions, %u while packets came; %llu undone, %llu finished, %llu found free; %llu created, %llu revived\n", rounds, still, (unsigned long long)sum.undone,
	       (unsigned long long)sum.finished, (unsigned long long)sum.listed, (unsigned long long)after.global[LS_CTR_SESSIONS_CREATED],
	       (unsigned long long)after.global[LS_CTR_SESSIONS_REVIVED]);
	CHECK_CLEAN(t);
	CHECK(still > rounds / 4);
	CHECK(sum.finished > 0);
	CHECK(after.global[LS_CTR_SESSIONS_CREATED] > rounds);
	ls_table_close(t);
}

TEST("R6 a worker process is killed again and again while another worker and the agent go on")
{
	u32 rounds = (u32)check_env("LS_ADOPT_ROUNDS", CHECK_SANITIZED ? 60 : 200);
	struct ls_table *t = busy_table();
	struct ls_adopt_result adopted;
	bool living[LS_WORKERS_MAX] = { true, false };
	pid_t steady;
	u64 undone = 0;

	steady = worker_process(t, 0, check_random());
	for (u32 n = 0; n < rounds; n++) {
		u64 until = ls_clock_ns() + 500000 + check_below(5000) * 1000ULL;
		pid_t mortal;

		CHECK_AT("round %u", n);
		mortal = worker_process(t, 1, check_random());
		while (ls_clock_ns() < until)
			agent_round(t);
		CHECK(WIFSIGNALED(process_end(mortal, SIGKILL)));
		CHECK_EQ(ls_table_adopt(t, living, &adopted), LS_OK);
		undone += adopted.undone;
		CHECK_CLEAN(t);
	}
	CHECK_EQ(process_end(steady, SIGTERM), 0);
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	printf("    %u deaths of a worker, %llu creations and revivals undone\n", rounds, (unsigned long long)undone);
	ls_table_close(t);
}

/* Maps the table, takes worker 0, a slot into its hand, begins a burst, says so, and stays in it. */
static void joined(int fd, int told)
{
	struct ls_table *mine;
	struct ls_env e;
	int err_no;

	if (ls_table_join(&fd, 1, &mine, &err_no) != LS_OK || !ls_worker_join(mine, 0) || ls_worker_join(mine, 0))
		_exit(1);
	ls_env_worker(mine, 0, &e);
	while (LS_LOAD_ACQ(&e.worker->free_head) == e.worker->free_tail)
		usleep(100); /* who holds the table fills the ring */
	e.worker->spare = *port_free_slot(&e, e.worker->free_tail) + 1;
	e.worker->free_tail++;
	burst_begin(&e);
	if (write(told, "x", 1) == 1)
		pause();
	_exit(2);
}

TEST("R4 R6 a process that joined the table is killed in a burst: no grace waits for it, not even before somebody has waited for the process; what it held comes back")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_adopt_result adopted;
	int told[2], status;
	char byte;

	for (u32 n = 0; n < 5; n++) {
		pid_t child;

		CHECK_AT("life %u", n);
		CHECK(pipe(told) == 0);
		fflush(stdout);
		child = fork();
		if (child == 0)
			joined(t->fd, told[1]);
		close(told[1]);
		while (!LS_LOAD_ACQ(&t->env.workers[0].attached) && waitpid(child, &status, WNOHANG) == 0)
			usleep(100);
		ls_table_refill(t);
		CHECK_EQ(read(told[0], &byte, 1), 1);
		close(told[0]);
		CHECK_EQ(LS_LOAD(&t->env.workers[0].attached), (u64)child);
		CHECK(!ls_process_gone((u32)child));
		CHECK(!ls_worker_join(t, 0)); /* taken by one that lives */
		kill(child, SIGKILL);
		ls_table_grace(t); /* would never end */
		CHECK_EQ(ls_table_adopt_from(t, 0, 1, &adopted), LS_OK);
		CHECK(adopted.listed > 0);
		CHECK_EQ(LS_LOAD(&t->env.workers[0].attached), 0);
		CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
		CHECK(ls_process_gone((u32)child));
		CHECK_CLEAN(t);
	}
	ls_table_close(t);
}

TEST("R4 a child that stays in a burst, even one that is stopped, is ended by the grace that waits for it, and the table says so")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_table_info info;
	int told[2], status;
	pid_t child;
	char byte;

	t->silent_ms = 20;
	CHECK(pipe(told) == 0);
	fflush(stdout);
	child = fork();
	if (child == 0)
		joined(t->fd, told[1]);
	while (!LS_LOAD_ACQ(&t->env.workers[0].attached) && waitpid(child, &status, WNOHANG) == 0)
		usleep(100);
	ls_table_refill(t);
	CHECK_EQ(read(told[0], &byte, 1), 1);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	ls_table_info(t, &info);
	CHECK_EQ(info.silenced, 0);
	ls_table_grace(t); /* would never end */
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
	ls_table_info(t, &info);
	CHECK_EQ(info.silenced, child);
	close(told[0]);
	close(told[1]);
	ls_table_close(t);
}

static void *one_grace(void *table)
{
	ls_table_grace(table);
	return NULL;
}

TEST("R4 a thread of this process, and a process that is not its child, may stay in a burst: they are waited for")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_worker *k = &t->env.workers[0];
	int told[2], life[2], status;
	pthread_t waits;
	pid_t child;
	char byte;

	t->silent_ms = 1;
	for (u32 own = 0; own < 2; own++) {
		u64 pid = (u64)getpid();

		CHECK(pipe(told) == 0 && pipe(life) == 0);
		fflush(stdout);
		child = own ? 0 : fork();
		if (!own && child == 0) { /* its child lives until it hears something, and says so by the end of the pipe */
			pid_t stranger = fork();

			if (stranger)
				_exit(0);
			close(life[1]);
			pid = (u64)getpid();
			_exit(write(told[1], &pid, sizeof(pid)) == sizeof(pid) && read(life[0], &byte, 1) == 1 ? write(told[1], "x", 1) != 1 : 1);
		}
		if (!own)
			CHECK(waitpid(child, &status, 0) == child && read(told[0], &pid, sizeof(pid)) == sizeof(pid));
		k->attached = pid;
		k->quiescent = 1;
		CHECK_EQ(pthread_create(&waits, NULL, one_grace, t), 0);
		usleep(300000); /* many times what a child has */
		LS_STORE_REL(&k->quiescent, 2);
		CHECK_EQ(pthread_join(waits, NULL), 0);
		CHECK_EQ(t->silenced, 0);
		if (!own) {
			close(told[1]);
			CHECK(write(life[1], "x", 1) == 1 && read(told[0], &byte, 1) == 1); /* it lives */
		} else {
			close(told[1]);
		}
		close(told[0]);
		close(life[0]);
		close(life[1]);
		k->attached = 0;
	}
	ls_table_close(t);
}

CHECK_MAIN
