/* Walk, install, drain, fill and verify of the session table, beside the same work over kernel hash maps.
 *
 *   table_bench [--sessions 1048576] [--repeats 7] [--peer 1] [--huge 1]
 */
#include "lib/peer.h"
#include "pipeline/create_user.h"

static void touch(const struct ls_key *key, const struct ls_session *s, void *arg)
{
	(void)key;
	*(u64 *)arg += s->packets[0] + s->key.src.d[1] + s->reply.dst.d[1] + s->bytes[1];
}

/* The worker's half of a notice: dirty in the record, then the ring. */
static u32 notify(struct ls_env *worker, const u32 *slots, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct ls_session *s = &worker->sessions[slots[i]];

		s->state |= LS_STATE_DIRTY_BIT;
		if (!ls_notice_push(worker, slots[i], s->gen, LS_NOTICE_UPDATE, 0))
			return i;
	}
	return n;
}

/* Sessions per second of ls_table_drain, notices in random order, a batch of 4096 a call. */
static void bench_drain(struct ls_table *t, u64 sessions, const u32 *order)
{
	struct ls_wire_record *out = malloc(4096 * sizeof(*out));
	struct ls_env worker;
	u64 spent = 0, drained = 0, overruns;

	ls_env_worker(t, 0, &worker);
	for (u64 at = 0; at < sessions;) {
		u32 want = sessions - at < 65536 ? (u32)(sessions - at) : 65536, pushed = notify(&worker, &order[at], want), n;
		u64 began = bench_clock();

		do {
			n = ls_table_drain(t, out, 4096, &overruns);
			drained += n;
		} while (n);
		spent += bench_clock() - began;
		at += pushed;
		if (pushed == 0)
			bench_fail("no notice fits the ring", 0);
	}
	if (drained != sessions)
		bench_fail("drained fewer than were told", (int)drained);
	bench_sample("drain_ns", (double)spent / (double)sessions);
	free(out);
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20), repeats = bench_number(argc, argv, "repeats", 7);
	bool with_peer = bench_number(argc, argv, "peer", 1), huge = bench_number(argc, argv, "huge", 1);
	struct ls_table *t = bench_table(bench_capacity(sessions), huge);
	struct ls_wire_record *records = bench_records(0, sessions);
	u32 *order = malloc(sessions * sizeof(*order));
	struct ls_install_result result;
	struct peer peer = { 0 };
	u64 verified = 0, state = 88172645463325252ULL;

	if (with_peer)
		with_peer = peer_open(&peer, sessions);
	if (with_peer)
		peer_load(&peer, records, sessions);
	for (u64 i = 0; i < sessions; i++)
		order[i] = (u32)i;
	for (u64 i = sessions; i > 1; i--) {
		u64 j = (state = ls_mix64(state)) % i;
		u32 x = order[i - 1];

		order[i - 1] = order[j];
		order[j] = x;
	}
	for (u64 r = 0; r <= repeats; r++) { /* the first round warms up: pages appear in it */
		u64 began = bench_clock(), live = 0, sum = 0, spent, two;
		u32 slots_used = 0;

		ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &result);
		spent = bench_clock() - began;
		if (result.installed != sessions)
			bench_fail("not every session was installed", (int)result.full);
		if (r)
			bench_sample("install_ns", (double)spent / (double)sessions);
		else
			bench_sample("fill_fail", (double)result.full);
		if (with_peer) {
			spent = peer_update(peer.forward, peer.keys, peer.records, sizeof(*peer.records), sessions);
			two = spent + peer_update(peer.reply, peer.replies, peer.keys, sizeof(*peer.keys), sessions);
			if (r) {
				bench_sample("install_peer_one_row_ns", (double)spent / (double)sessions);
				bench_sample("install_peer_ns", (double)two / (double)sessions);
			}
		}
		for (u32 again = 0; r && again < 3; again++) {
			began = bench_clock();
			sum = ls_scan_walk(t, &live);
			spent = bench_clock() - began;
			if (live != sessions)
				bench_fail("the walk met another number of sessions", (int)live);
			bench_sample("walk_ns", (double)spent / (double)sessions);
			if (with_peer && again == 0) {
				u64 other = 0;

				began = bench_clock();
				live = peer_walk(&peer, touch, &other);
				spent = bench_clock() - began;
				if (live != sessions || other != sum)
					bench_fail("the peer's walk differs", (int)live);
				bench_sample("walk_peer_ns", (double)spent / (double)sessions);
			}
		}
		/* every slot in use once, in random order */
		for (u32 slot = 0; slot < t->env.slots; slot++)
			slots_used += t->env.sessions[slot].gen & 1;
		if (slots_used == sessions && r) {
			u32 *list = malloc(sessions * sizeof(*list)), n = 0;
			u32 *random = malloc(sessions * sizeof(*random));

			for (u32 slot = 0; slot < t->env.slots; slot++)
				if (t->env.sessions[slot].gen & 1)
					list[n++] = slot;
			for (u64 i = 0; i < sessions; i++)
				random[i] = list[order[i]];
			bench_drain(t, sessions, random);
			free(random);
			free(list);
		}
		if (r == 0 || r == repeats)
			verified += bench_verify(t, sessions);
		bench_clear(t);
		if (with_peer) {
			peer_delete(peer.forward, peer.keys, sessions);
			peer_delete(peer.reply, peer.replies, sessions);
		}
	}
	verified += bench_verify(t, 0);
	bench_sample("verify_ok", verified == 3);
	ls_table_close(t);
	return 0;
}
