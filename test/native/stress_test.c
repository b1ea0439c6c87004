/* Workers and the agent at once, through the real packet path: creations, twins, revivals, NAT, fragments, floods against expiry, deletes, installs,
 * drains, scans, verify and configuration flips. For ThreadSanitizer and AddressSanitizer alike. LS_STRESS_SECONDS (default 4) per test.
 *
 * What must hold: verify clean at the end, every packet accounted for, no frame leaves with a wrong checksum, every session told to the drain or counted
 * as overrun, and no reply tuple is given to two flows.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "mix.h"
#include "table_fixture.h"

struct run {
	struct ls_table *t;
	_Atomic bool stop;
	u32 flows;             /* distinct client ports per worker set: small makes twins */
	_Atomic u64 sent, created, wrong;
	u64 seed;
};

struct worker {
	struct run *run;
	u32 id;
	pthread_t thread;
};

/* A worker's thread: bursts of packets of the same few flows the other workers have, so that they meet in the table. */
static void *worker_main(void *arg)
{
	struct worker *me = arg;
	struct run *r = me->run;
	struct lane *w = calloc(1, sizeof(*w));
	u64 random = r->seed + me->id * 77777;

	w->t = r->t;
	ls_env_worker(r->t, me->id, &w->e);
	while (!r->stop) {
		for (u32 i = 0; i < 64; i++) {
			u32 port, v;
			const char *wrong;
			struct packet p = mixed_packet(next_random(&random), r->flows, &port);

			v = lane_send(w, port, p.b, p.len);
			wrong = accounted(w, v);
			if (!wrong && (v == LS_V_TX || v == LS_V_NEIGH))
				wrong = frame_wrong(w);
			if (wrong) {
				printf("    worker %u: %s\n", me->id, wrong);
				r->wrong++;
				r->stop = true;
			}
			r->sent++;
		}
		w->shift_ns = next_random(&random) % 8 == 0 ? 0 : w->shift_ns;
	}
	free(w);
	return NULL;
}

static void stress(u32 workers, u32 flows, u32 capacity, bool flips)
{
	static struct ls_wire_record out[4096];
	static struct ls_log logs[256];
	struct run r = { .flows = flows, .seed = check_seed };
	struct ls_geometry g = { .capacity = capacity, .threads = workers, .arena = 4096 };
	struct worker w[4];
	struct ls_config *c;
	struct ls_verify_report report;
	u64 end, drained = 0, overruns, lost = 0, deletes = 0, installs = 0, random = check_seed ^ 99, creates = 0;
	static struct ls_counters sum;
	int err_no;
	u32 rounds = 0;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &r.t, &err_no), LS_OK);
	standard_table(r.t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		r.t->env.rgs[i].seen_floor_ns = 0;
	c = malloc(sizeof(*c));
	memcpy(c, &r.t->env.banks[r.t->env.header->active_bank & 1], sizeof(*c));
	for (u32 a = 0; a < LS_APPS_MAX; a++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++)
			c->timeout_ns[a][p] = (1 + (a + p) % 5) * 1000000ULL; /* milliseconds: everything expires all the time */
	ls_table_write_config(r.t, c, sizeof(*c));
	ls_table_feed(r.t, true);
	CHECK_EQ(ls_freer_start(r.t), LS_OK);
	for (u32 i = 0; i < workers; i++) {
		w[i] = (struct worker){ .run = &r, .id = i };
		ls_worker_attach(r.t, i);
		CHECK(pthread_create(&w[i].thread, NULL, worker_main, &w[i]) == 0);
	}
	end = ls_clock_ns() + check_env("LS_STRESS_SECONDS", 4) * 1000000000ULL;
	while (ls_clock_ns() < end && !r.stop) {
		struct ls_filter filter = { .match = LS_FM_SPORT, .sport_be = htons((u16)(2000 + next_random(&random) % flows)) };
		struct ls_delete_result gone;
		struct ls_install_result in;
		struct ls_wire_record rec[16];
		u32 n, cursor = 0;

		n = ls_table_drain(r.t, out, 4096, &overruns);
		lost += overruns;
		drained += n;
		for (u32 i = 0; i < n; i++) {
			creates += out[i].kind == LS_NOTICE_CREATE;
			if (ls_wire_check(&out[i]) != LS_OK)
				CHECK_FAIL("a drained record is malformed");
		}
		ls_table_drain_logs(r.t, logs, 256);
		if (rounds % 4 == 0) {
			ls_table_delete_filter(r.t, &filter, LS_CLOSE_ADMIN, NULL, &gone);
			deletes += gone.deleted;
		}
		for (u32 i = 0; i < 16; i++) {
			/* tuples the workers are creating at this moment, and tuples of nobody */
			rec[i] = record_of((u32)next_random(&random) % 5000);
			if (i % 2 && n) {
				rec[i] = out[next_random(&random) % n];
				rec[i].kind = LS_NOTICE_CREATE;
				rec[i].id.serial ^= i % 4 == 1 ? 0 : next_random(&random);
			}
		}
		ls_table_install(r.t, (u8 *)rec, sizeof(*rec), 16, LS_INSTALL_MARK, NULL, NULL, &in);
		installs += in.installed;
		if (rounds % 16 == 1)
			ls_scan_records(r.t, &(struct ls_filter){ 0 }, &cursor, out, 4096, 1000000);
		if (flips && rounds % 32 == 2) {
			c->generation++;
			ls_table_write_config(r.t, c, sizeof(*c));
			ls_table_set_role(r.t, 2, rounds % 64 == 2 ? LS_ROLE_OWNER : LS_ROLE_STANDBY, rounds, ~0ULL);
			LS_STORE(&r.t->env.rgs[2].seen_floor_ns, 0);
		}
		if (rounds % 32 == 3) {
			struct ls_reconcile_result rr;

			ls_bulk_begin(r.t);
			ls_reconcile(r.t, 1 << 5, true, false, &rr);
			ls_scan_count(r.t, &filter, NULL);
			ls_table_counters(r.t, &sum);
		}
		if (rounds % 64 == 5) {
			u64 found = faults(r.t, &report); /* under traffic */

			for (u32 k = 0; k < LS_VF_COUNT; k++)
				if (report.fault[k])
					CHECK_FAIL("under traffic: %llu x %s, first at %u of %llu", (unsigned long long)report.fault[k], fault_name(k), report.first[k],
						   (unsigned long long)found);
		}
		rounds++;
	}
	r.stop = true;
	for (u32 i = 0; i < workers; i++)
		pthread_join(w[i].thread, NULL);
	ls_freer_stop(r.t);
	for (u32 i = 0; i < workers; i++)
		ls_worker_detach(r.t, i);
	CHECK_EQ(r.wrong, 0);
	CHECK_CLEAN(r.t);
	do {
		u32 n = ls_table_drain(r.t, out, 4096, &overruns);

		lost += overruns;
		drained += n;
		for (u32 i = 0; i < n; i++)
			creates += out[i].kind == LS_NOTICE_CREATE;
		if (!n)
			break;
	} while (true);
	ls_table_counters(r.t, &sum);
	/* marks without a notice would silence a session: everything is drained, so none may be left */
	for (u32 slot = 0; slot < r.t->env.slots; slot++)
		if (LS_STATE_LIFECYCLE(r.t->env.sessions[slot].state) == LS_LIVE)
			CHECK_EQ(LS_STATE_DIRTY(r.t->env.sessions[slot].state), 0);
	printf("    %u workers, %u flows: %llu packets, %llu created, %llu revived, %llu races, %llu installed, %llu deleted, %llu freed, %llu drained, %llu lost, %u rounds\n",
	       workers, flows, (unsigned long long)r.sent, (unsigned long long)sum.global[LS_CTR_SESSIONS_CREATED],
	       (unsigned long long)sum.global[LS_CTR_SESSIONS_REVIVED], (unsigned long long)sum.global[LS_CTR_CREATE_RACES], (unsigned long long)installs,
	       (unsigned long long)deletes, (unsigned long long)r.t->env.header->freed_total, (unsigned long long)drained, (unsigned long long)lost, rounds);
	CHECK(sum.global[LS_CTR_SESSIONS_CREATED] > 0);
	CHECK_EQ(sum.global[LS_CTR_RX_PACKETS], r.sent);
	free(c);
	ls_table_close(r.t);
}

TEST("two workers on the same few flows, everything expiring, the agent deleting, installing, draining, verifying") { stress(2, 16, 1 << 10, true); }

TEST("three workers on many flows in a table that is full") { stress(3, 4000, 1 << 10, false); }

/* Two workers that open the same new flow at the same moment, again and again. */
struct twins {
	struct ls_table *t;
	_Atomic u32 round, done;
	u32 id, rounds;
};

struct twin {
	struct twins *all;
	u32 id;
	u64 sent, lost, other;
};

static void *twin_main(void *arg)
{
	struct twin *me = arg;
	struct twins *all = me->all;
	struct lane *w = calloc(1, sizeof(*w));

	w->t = all->t;
	ls_env_worker(all->t, me->id, &w->e);
	for (u32 n = 1; n <= all->rounds; n++) {
		/* from one side or from both sides of the flow; with and without translation */
		struct packet p = n % 3 == 0 ? udp("10.0.1.10", 1024 + n % 60000, "198.51.100.50", 53, 4)
			: me->id && n % 3 == 1 ? udp("10.0.3.10", 53, "10.0.4.10", 1024 + n % 60000, 4) : udp("10.0.4.10", 1024 + n % 60000, "10.0.3.10", 53, 4);
		u32 port = n % 3 == 0 ? PORT_TRUST : me->id && n % 3 == 1 ? PORT_DMZ : PORT_TRUST, v;

		if (n % 3 && port == PORT_TRUST)
			p = tagged(p, (u32[]){ 100 }, 1);
		for (u32 spins = 0; all->round < n; spins++)
			if (spins % 256 == 255)
				sched_yield();
		v = lane_send(w, port, p.b, p.len);
		me->sent += v == LS_V_TX || v == LS_V_NEIGH;
		me->lost += v == LS_V_DROP && w->pkt.drop == LS_DROP_CREATE_RACE;
		me->other += v == LS_V_DROP && w->pkt.drop != LS_DROP_CREATE_RACE && w->pkt.drop != LS_DROP_POLICY_DEFAULT;
		all->done++;
	}
	free(w);
	return NULL;
}

TEST("R2 two workers that open one flow at one moment leave at most one session, never two")
{
	struct ls_geometry g = { .capacity = 1 << 16, .threads = 2, .arena = 4096 };
	struct twins all = { .rounds = (u32)check_env("LS_TWIN_ROUNDS", 10000) };
	struct twin w[2] = { { .all = &all, .id = 0 }, { .all = &all, .id = 1 } };
	pthread_t thread[2];
	static struct ls_counters sum;
	int err_no;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &all.t, &err_no), LS_OK);
	standard_table(all.t);
	for (u32 i = 0; i < 2; i++) {
		ls_worker_attach(all.t, i);
		CHECK(pthread_create(&thread[i], NULL, twin_main, &w[i]) == 0);
	}
	for (u32 n = 1; n <= all.rounds; n++) {
		all.round = n;
		while (all.done < 2 * n)
			sched_yield();
		if (n % 128 == 0)
			ls_table_refill(all.t);
	}
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ls_worker_detach(all.t, 0);
	ls_worker_detach(all.t, 1);
	ls_table_counters(all.t, &sum);
	printf("    %u rounds: %llu forwarded, %llu lost to the race, %llu sessions, %llu forward races\n", all.rounds, (unsigned long long)(w[0].sent + w[1].sent),
	       (unsigned long long)(w[0].lost + w[1].lost), (unsigned long long)live_count(all.t), (unsigned long long)sum.global[LS_CTR_CREATE_RACES]);
	CHECK_EQ(w[0].other + w[1].other, 0);
	CHECK(live_count(all.t) <= all.rounds);
	CHECK_CLEAN(all.t);
	ls_table_close(all.t);
}

struct drainer {
	struct ls_table *t;
	_Atomic bool stop;
};

static void *drain_main(void *arg)
{
	static struct ls_wire_record out[64];
	struct drainer *d = arg;
	u64 overruns;

	while (!d->stop)
		ls_table_drain(d->t, out, 64, &overruns);
	return NULL;
}

TEST("a handshake and a close are not lost to a drain that clears the mark at that moment")
{
	struct ls_geometry g = { .capacity = 1 << 16, .threads = 1, .arena = 4096 };
	struct drainer d = { 0 };
	struct lane *w;
	pthread_t thread;
	u32 flows = (u32)check_env("LS_DRAIN_FLOWS", 20000);
	int err_no;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &d.t, &err_no), LS_OK);
	standard_table(d.t);
	w = lane_open(d.t, 0);
	CHECK(pthread_create(&thread, NULL, drain_main, &d) == 0);
	for (u32 n = 0; n < flows; n++) {
		u32 slot, gen;
		struct packet p = tcp("10.0.1.20", 1024 + n, "10.0.3.10", 80, LS_TCP_SYN);
		struct ls_key key;

		lane_send(w, PORT_TRUST, p.b, p.len);
		key = w->pkt.key;
		for (u32 i = 0; i < 5; i++) {
			static const struct { bool reply; u32 flags; } step[5] = { { true, LS_TCP_SYN | LS_TCP_ACK }, { false, LS_TCP_ACK },
				{ false, LS_TCP_FIN | LS_TCP_ACK }, { true, LS_TCP_FIN | LS_TCP_ACK }, { false, LS_TCP_ACK } };

			p = step[i].reply ? tcp("10.0.3.10", 80, "10.0.1.20", 1024 + n, step[i].flags) : tcp("10.0.1.20", 1024 + n, "10.0.3.10", 80, step[i].flags);
			lane_send(w, step[i].reply ? PORT_DMZ : PORT_TRUST, p.b, p.len);
		}
		CHECK_EQ(ls_table_find(d.t, &key, &slot, &gen), LS_OK);
		CHECK_AT("flow %u", n);
		CHECK_EQ(LS_STATE_PHASE(LS_LOAD(&d.t->env.sessions[slot].state)), LS_TCP_TIME_WAIT);
		if (n % 128 == 0)
			ls_table_refill(d.t);
	}
	d.stop = true;
	pthread_join(thread, NULL);
	ls_worker_detach(d.t, 0);
	free(w);
	CHECK_CLEAN(d.t);
	ls_table_close(d.t);
}

CHECK_MAIN
