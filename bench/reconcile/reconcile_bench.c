/* Reconciliation at the end of a bulk: N sessions of a peer, of which a fraction was not sent again, go through the real ls_reconcile; the same
 * algorithm over kernel hash maps beside it.
 *
 *   reconcile_bench [--sessions 1000000] [--stale 0.01] [--repeats 7] [--peer 1] [--huge 1] [--worker 1]
 *
 * Each repeat: bulkBegin, the fresh sessions arrive (installs mark their slots), then from bulkEnd to the last stale entry cleared is timed, wall clock and
 * CPU of the thread, graces apart. A worker thread passes quiescent points as a packet worker with nothing to do would, so graces are real. The kernel map's
 * rows carry the same mark in the record, so that its walk needs no second lookup: stale keys are collected and deleted in batches from both maps.
 */
#include <pthread.h>

#include "lib/peer.h"

struct stale {
	struct ls_key *keys, *replies;
	u64 n;
};

static u32 failed;
#define check(what)                                                                              \
	do {                                                                                     \
		if (!(what)) {                                                                   \
			fprintf(stderr, "bench: line %d: not so: %s\n", __LINE__, #what);        \
			failed++;                                                                \
		}                                                                                \
	} while (0)

/* The peer's mark: `pad2` of the record is the number of the bulk that confirmed it. */
static u32 bulk;

static void collect(const struct ls_key *key, const struct ls_session *s, void *arg)
{
	struct stale *stale = arg;

	if (s->rg < LS_RGS_MAX && s->pad2 != bulk) {
		stale->keys[stale->n] = *key;
		stale->replies[stale->n++] = s->reply;
	}
}

static atomic_bool worker_run = true;

/* A worker between packets: a burst of nothing, then a sleep, as on an idle port. */
static void *worker_main(void *arg)
{
	struct ls_worker *w = arg;

	while (atomic_load_explicit(&worker_run, memory_order_relaxed)) {
		struct timespec nap = { .tv_nsec = 50000 };

		__atomic_fetch_add(&w->quiescent, 1, __ATOMIC_SEQ_CST);
		for (u64 until = ls_clock_ns() + 5000; ls_clock_ns() < until;)
			;
		__atomic_fetch_add(&w->quiescent, 1, __ATOMIC_RELEASE);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* Every stale session gone with both entries, every other one there: looked up by both tuples. */
static bool exact(struct ls_table *t, const struct ls_wire_record *records, u64 n, u64 stale_every)
{
	for (u64 i = 0; i < n; i++) {
		bool stale = stale_every && i % stale_every == 0;
		u32 slot, gen;

		if ((ls_table_find(t, &records[i].key, &slot, &gen) == LS_OK) == stale || (ls_table_find(t, &records[i].reply, &slot, &gen) == LS_OK) == stale)
			return false;
		if (!stale && (t->env.sessions[slot].id.serial != records[i].id.serial || t->env.sessions[slot].packets[0] != records[i].packets[0]))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1000000), repeats = bench_number(argc, argv, "repeats", 7);
	double fraction = strtod(bench_option(argc, argv, "stale", "0.01"), NULL);
	bool with_peer = bench_number(argc, argv, "peer", 1), huge = bench_number(argc, argv, "huge", 1), with_worker = bench_number(argc, argv, "worker", 1);
	u64 every = fraction > 0 ? (u64)(1 / fraction + 0.5) : 0, stale_count = 0, fresh_count = 0;
	struct ls_table *t = bench_table(bench_capacity(sessions), huge);
	struct ls_wire_record *records = bench_records(0, sessions), *fresh = malloc(sessions * sizeof(*fresh)), *gone = malloc(sessions * sizeof(*gone));
	struct ls_install_result installed;
	struct peer peer = { 0 };
	struct stale stale = { 0 };
	pthread_t worker;

	if (!fresh || !gone || sessions == 0 || sessions > LS_CAPACITY_MAX)
		bench_fail("--sessions must be between 1 and 16777216", 0);
	if (with_worker) {
		ls_worker_attach(t, 0);
		pthread_create(&worker, NULL, worker_main, &t->env.workers[0]);
	}
	for (u64 i = 0; i < sessions; i++)
		if (every && i % every == 0)
			gone[stale_count++] = records[i];
		else
			fresh[fresh_count++] = records[i];
	if (with_peer)
		with_peer = peer_open(&peer, sessions);
	if (with_peer) {
		peer_load(&peer, records, sessions);
		stale.keys = malloc((stale_count + 1) * sizeof(struct ls_key));
		stale.replies = malloc((stale_count + 1) * sizeof(struct ls_key));
		peer_update(peer.reply, peer.replies, peer.keys, sizeof(*peer.keys), sessions);
	}
	ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &installed);
	check(installed.installed == sessions);
	bench_sample("stale", (double)stale_count);
	for (u64 r = 0; r <= repeats; r++) {
		struct ls_reconcile_result result;
		u64 began, cpu;

		ls_bulk_begin(t);
		began = bench_clock();
		ls_table_install(t, (const u8 *)fresh, sizeof(*fresh), (u32)fresh_count, LS_INSTALL_MARK, NULL, NULL, &installed);
		if (r)
			bench_sample("bulk_ns", (double)(bench_clock() - began));
		check(installed.installed == fresh_count);
		cpu = bench_clock();
		began = ls_clock_ns();
		if (ls_reconcile(t, 1, true, false, &result) != LS_OK)
			bench_fail("ls_reconcile", 0);
		began = ls_clock_ns() - began;
		cpu = bench_clock() - cpu;
		check(result.scanned == sessions && result.stale == stale_count && result.deleted == stale_count);
		if (r) {
			bench_sample("reconcile_ns", (double)(began - result.grace_ns));
			bench_sample("reconcile_cpu_ns", (double)cpu);
			bench_sample("reconcile_grace_ns", (double)result.grace_ns);
			bench_sample("reconcile_walk_ns", (double)result.walk_ns);
			bench_sample("reconcile_clear_ns", (double)result.clear_ns);
		}
		if (r == 0 || r == repeats) {
			check(exact(t, records, sessions, every));
			if (!with_worker)
				check(bench_verify(t, fresh_count));
		}
		ls_table_install(t, (const u8 *)gone, sizeof(*gone), (u32)stale_count, 0, NULL, NULL, &installed);
		if (with_peer) {
			bulk = (u32)r + 1;
			for (u64 i = 0; i < sessions; i++)
				peer.records[i].pad2 = every && i % every == 0 ? 0 : bulk;
			peer_update(peer.forward, peer.keys, peer.records, sizeof(*peer.records), sessions);
			stale.n = 0;
			cpu = bench_clock();
			began = ls_clock_ns();
			if (peer_walk(&peer, collect, &stale) != sessions)
				bench_fail("the peer's walk met another number of rows", 0);
			peer_delete(peer.forward, stale.keys, stale.n);
			peer_delete(peer.reply, stale.replies, stale.n);
			began = ls_clock_ns() - began;
			cpu = bench_clock() - cpu;
			check(stale.n == stale_count);
			if (r) {
				bench_sample("reconcile_peer_ns", (double)began);
				bench_sample("reconcile_peer_cpu_ns", (double)cpu);
			}
			for (u64 i = 0; i < stale_count; i++) { /* back for the next repeat */
				u64 at = i * every;

				peer_update(peer.reply, &peer.replies[at], &peer.keys[at], sizeof(*peer.keys), 1);
			}
		}
	}
	if (with_worker) {
		atomic_store(&worker_run, false);
		pthread_join(worker, NULL);
		ls_worker_detach(t, 0);
		check(bench_verify(t, sessions));
	}
	bench_sample("exact", failed == 0);
	ls_table_close(t);
	return failed != 0;
}
