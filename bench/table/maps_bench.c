/* Walk and install of the session table over pinned BPF maps, beside batch calls over kernel hash maps; a walk while sessions come and go.
 *
 *   maps_bench [--sessions 1048576] [--repeats 7] [--churn 220000] [--seconds 3]
 */
#include <stdatomic.h>

#include "backend/ebpf/api.h"
#include "lib/peer.h"

#define BATCH 1024 /* sessions that come, or go, at once */
#define AGE 16     /* batches that are there at a time */

static char folder[64];

/* --- the table --------------------------------------------------------------------------------------------------------------------------- */

static void unpin(void)
{
	struct ls_bpf_error error;

	ls_bpf_remove(folder, &error);
}

static struct ls_table *pinned(u64 sessions, struct ls_bpf **maps)
{
	struct ls_geometry g = { .capacity = bench_capacity(sessions), .cpus = 2, .threads = 1 };
	int fd[LS_REGION_COUNT], err_no = 0;
	struct ls_table *t = NULL;
	struct ls_bpf_error error;
	struct ls_header h;

	snprintf(folder, sizeof(folder), "/sys/fs/bpf/lockstep/bench-%d", (int)getpid());
	bench_at_end(unpin);
	if (ls_header_init(&h, &g) != LS_OK)
		bench_fail("geometry", 0);
	if (ls_bpf_open(folder, &h, maps, &error) != LS_OK || ls_bpf_publish(*maps, &error) != LS_OK) {
		bench_note("bpf_skipped", error.text);
		return NULL;
	}
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		fd[i] = ls_bpf_region(*maps, i);
	if (ls_table_over(fd, true, false, &t, &err_no) != LS_OK)
		bench_fail("the table cannot be laid over its maps", err_no);
	return t;
}

/* --- sessions come and go ------------------------------------------------------------------------------------------------------------------- */
struct churn {
	struct ls_table *t;
	u64 first, rate;
	atomic_bool stop;
	_Atomic u64 changes;
	_Atomic u64 last; /* number of the last session that ever came */
	double seconds;
};

static void come(struct churn *c, u64 batch)
{
	struct ls_wire_record *r = bench_records(c->first + batch * BATCH, BATCH);
	struct ls_install_result result;

	atomic_store(&c->last, c->first + (batch + 1) * BATCH);
	ls_table_install(c->t, (const u8 *)r, sizeof(*r), BATCH, 0, NULL, NULL, &result);
	if (result.installed != BATCH)
		bench_fail("sessions that came", (int)result.installed);
	free(r);
}

static void go(struct churn *c, u64 batch)
{
	struct ls_wire_delete rows[BATCH];
	struct ls_delete_result result;

	memset(rows, 0, sizeof(rows));
	for (u32 i = 0; i < BATCH; i++) {
		struct ls_wire_record r;

		bench_record(c->first + batch * BATCH + i, &r);
		rows[i].id = r.id;
		rows[i].key = r.key;
	}
	ls_table_delete_ids(c->t, rows, BATCH, &result);
	if (result.deleted != BATCH)
		bench_fail("sessions that went", (int)result.deleted);
}

static void *churn_main(void *arg)
{
	struct churn *c = arg;
	u64 began = ls_clock_ns(), batch = 0;

	for (; !atomic_load(&c->stop); batch++) {
		u64 due = began + batch * 2 * BATCH * 1000000000ULL / c->rate, now = ls_clock_ns();

		if (now < due)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(due - now) }, NULL);
		come(c, batch);
		atomic_fetch_add(&c->changes, BATCH);
		if (batch >= AGE) {
			go(c, batch - AGE);
			atomic_fetch_add(&c->changes, BATCH);
		}
	}
	c->seconds = (double)(ls_clock_ns() - began) / 1e9;
	for (u64 n = batch < AGE ? 0 : batch - AGE; n < batch; n++)
		go(c, n);
	return NULL;
}

/* Walks while sessions beside `stable` others come and go: of the stable ones none may be missed, and none at all met twice. */
static void walk_under_churn(struct ls_table *t, u64 stable, u64 rate, u64 seconds)
{
	struct churn c = { .t = t, .first = stable, .rate = rate, .last = stable };
	u64 room = stable + rate * (seconds + 2) + AGE * BATCH, missed = 0, twice = 0, walks = 0, until = ls_clock_ns() + seconds * 1000000000ULL;
	struct ls_wire_record *out = malloc(4096 * sizeof(*out));
	u8 *seen = malloc(room);
	struct ls_filter all = { 0 };
	pthread_t thread;

	if (!out || !seen || pthread_create(&thread, NULL, churn_main, &c) != 0)
		bench_fail("out of memory", 0);
	while (ls_clock_ns() < until || walks == 0) {
		u32 cursor = 0, n;

		memset(seen, 0, room);
		while (cursor != 0xffffffffu) {
			n = ls_scan_records(t, &all, &cursor, out, 4096, ~0ULL);
			for (u32 i = 0; i < n; i++) {
				u64 at = out[i].id.serial - 1;

				if (at >= room || at >= atomic_load(&c.last))
					bench_fail("the walk met a session that nobody made", (int)at);
				twice += seen[at];
				seen[at] = 1;
			}
		}
		for (u64 i = 0; i < stable; i++)
			missed += !seen[i];
		walks++;
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	bench_sample("churn_missed", (double)missed);
	bench_sample("churn_twice", (double)twice);
	bench_sample("churn_walks", (double)walks);
	bench_sample("churn_per_s", (double)atomic_load(&c.changes) / c.seconds);
	free(seen);
	free(out);
}

/* --- beside the peer ----------------------------------------------------------------------------------------------------------------------- */
static void touch(const struct ls_key *key, const struct ls_session *s, void *arg)
{
	(void)key;
	*(u64 *)arg += s->packets[0] + s->key.src.d[1] + s->reply.dst.d[1] + s->bytes[1];
}

static void round_of(struct ls_table *t, struct peer *peer, const struct ls_wire_record *records, u64 sessions, bool count)
{
	u64 began = bench_clock(), install, other, walk, walk_other, live = 0, sum, theirs = 0;
	struct ls_install_result result;

	ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &result);
	install = bench_clock() - began;
	if (result.installed != sessions)
		bench_fail("not every session was installed", (int)result.full);
	other = peer_update(peer->forward, peer->keys, peer->records, sizeof(*peer->records), sessions) +
		peer_update(peer->reply, peer->replies, peer->keys, sizeof(*peer->keys), sessions);
	began = bench_clock();
	sum = ls_scan_walk(t, &live);
	walk = bench_clock() - began;
	began = bench_clock();
	if (live != sessions || peer_walk(peer, touch, &theirs) != sessions || theirs != sum)
		bench_fail("the walks differ", (int)live);
	walk_other = bench_clock() - began;
	if (count) {
		bench_sample("bpf_install_ns", (double)install / (double)sessions);
		bench_sample("bpf_install_peer_ns", (double)other / (double)sessions);
		bench_sample("bpf_walk_ns", (double)walk / (double)sessions);
		bench_sample("bpf_walk_peer_ns", (double)walk_other / (double)sessions);
	}
	bench_clear(t);
	peer_delete(peer->forward, peer->keys, sessions);
	peer_delete(peer->reply, peer->replies, sessions);
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20), repeats = bench_number(argc, argv, "repeats", 7);
	struct ls_wire_record *records = bench_records(0, sessions);
	struct ls_install_result result;
	struct ls_bpf_error error;
	struct peer peer = { 0 };
	struct ls_bpf *maps = NULL;
	struct ls_table *t = peer_open(&peer, sessions) ? pinned(sessions, &maps) : NULL;
	u64 verified;

	if (!t)
		return 0; /* what is missing has been said */
	peer_load(&peer, records, sessions);
	for (u64 r = 0; r <= repeats; r++) /* the first round warms up */
		round_of(t, &peer, records, sessions, r > 0);
	ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)(sessions / 2), 0, NULL, NULL, &result);
	walk_under_churn(t, sessions / 2, bench_number(argc, argv, "churn", 220000), bench_number(argc, argv, "seconds", 3));
	verified = bench_verify(t, sessions / 2);
	bench_clear(t);
	bench_sample("bpf_verify_ok", verified && bench_verify(t, 0));
	ls_table_close(t);
	if (ls_bpf_unpublish(maps, &error) != LS_OK)
		bench_fail(error.text, error.err_no);
	ls_bpf_close(maps);
	return 0;
}
