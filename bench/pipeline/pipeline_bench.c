/* Nanoseconds per packet of the user-space pipeline.
 *
 *   pipeline_bench [--sessions 1048576] [--repeats 7] [--huge 1]
 *
 * Real frames (UDP over IPv4, 64 bytes, checksums right) in bursts of 32 through ls_pipeline, as a packet worker does, without the system calls of a port.
 * The frame is put into its buffer anew each time; that copy alone is measured and taken off. hit hot: 32 sessions again and again; hit cold: all sessions in
 * random order; new: every packet opens a session (policy, route, create, notice); new vip: through a VIP with 1000 reals (Maglev pick, DNAT, checksums).
 */
#include "setup.h"

#define BURST 32
#define ROOM 256

/* One pass over `n` frames; CPU nanoseconds. `sent` counts LS_V_TX. Without an env: the copies alone. */
static u64 pass(struct ls_env *e, const u8 *frames, u64 n, u64 *sent)
{
	static u8 memory[BURST][ROOM] LS_ALIGN_LINE;
	struct ls_buf buf[BURST];
	u64 began = bench_clock();

	for (u64 at = 0; at + BURST <= n; at += BURST) {
		for (u32 i = 0; i < BURST; i++) {
			memcpy(memory[i] + 128, frames + (at + i) * FRAME, FRAME);
			buf[i] = (struct ls_buf){ .data = memory[i] + 128, .len = FRAME, .head = 128, .tail = ROOM - 128 - FRAME };
			__asm__ volatile("" ::: "memory");
		}
		if (!e)
			continue;
		bench_burst(e, buf, BURST, sent, NULL, NULL);
	}
	return bench_clock() - began;
}

static void must_be(const char *what, u64 found, u64 expected, struct ls_table *t)
{
	struct ls_counters *c = malloc(sizeof(*c));

	if (found == expected)
		return;
	fprintf(stderr, "bench: %s: %" PRIu64 " of %" PRIu64 " sent\n", what, found, expected);
	ls_table_counters(t, c);
	for (u32 i = 0; i < LS_DROP_COUNT; i++)
		if (c->drops[i])
			fprintf(stderr, "bench: drop reason %u: %" PRIu64 "\n", i, c->drops[i]);
	exit(1);
}

/* Opens `n` flows in slices that the free ring holds; refills and forgotten notices between slices are not timed. */
static double opened(struct ls_table *t, struct ls_env *e, const u8 *frames, u64 n, const char *what)
{
	u64 spent = 0, sent = 0, copies = 0, most = t->env.header->free_ring / 2 / BURST * BURST;

	for (u64 at = 0; at < n;) {
		u64 slice = n - at < most ? n - at : most;

		for (u32 i = 0; i <= slice / LS_WRITER_BATCH; i++)
			ls_table_refill(t);
		spent += pass(e, frames + at * FRAME, slice, &sent);
		copies += pass(NULL, frames + at * FRAME, slice, &sent);
		e->worker->notice_tail = e->worker->notice_head;
		at += slice;
	}
	must_be(what, sent, n, t);
	return ((double)spent - (double)copies) / (double)n;
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20) / BURST * BURST, repeats = bench_number(argc, argv, "repeats", 7);
	u64 fresh = sessions / 4 / BURST * BURST;
	bool huge = bench_number(argc, argv, "huge", 1);
	struct ls_table *t = bench_table(bench_capacity(sessions + fresh), huge);
	struct ls_wire_record *records = bench_records(0, sessions);
	u8 *cold = aligned_alloc(64, sessions * FRAME), *open = aligned_alloc(64, fresh * FRAME), *vip = aligned_alloc(64, fresh * FRAME), hot_frames[BURST * FRAME];
	struct ls_install_result installed;
	struct ls_env e;
	u64 state = 1;

	if (!cold || !open || !vip || fresh == 0)
		bench_fail("out of memory, or --sessions below 128", 0);
	configure(t);
	for (u64 i = 0; i < sessions; i++)
		frame_of(cold + i * FRAME, &records[i].key, (u32)i);
	for (u64 i = sessions; i > 1; i--) {
		u64 j = (state = ls_mix64(state)) % i;
		u8 x[FRAME];

		memcpy(x, cold + (i - 1) * FRAME, FRAME);
		memcpy(cold + (i - 1) * FRAME, cold + j * FRAME, FRAME);
		memcpy(cold + j * FRAME, x, FRAME);
	}
	memcpy(hot_frames, cold, sizeof(hot_frames));
	for (u64 i = 0; i < fresh; i++) {
		struct ls_wire_record r;

		bench_record(sessions + i, &r);
		frame_of(open + i * FRAME, &r.key, (u32)i);
		r.key.dst = v4(VIP);
		frame_of(vip + i * FRAME, &r.key, (u32)i);
	}
	ls_worker_attach(t, 0);
	ls_env_worker(t, 0, &e);
	for (u64 r = 0; r <= repeats; r++) {
		u64 sent = 0, spent = 0, copies = 0;
		double first, second;

		ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &installed);
		must_be("install", installed.installed, sessions, t);
		{
			u8 *many = malloc(8192 * FRAME);

			for (u32 i = 0; i < 8192 / BURST; i++)
				memcpy(many + i * sizeof(hot_frames), hot_frames, sizeof(hot_frames));
			for (u32 n = 0; n < 16; n++) {
				spent += pass(&e, many, 8192, &sent);
				copies += pass(NULL, many, 8192, &sent);
			}
			free(many);
			must_be("hit, hot", sent, 16 * 8192, t);
			if (r)
				bench_sample("user_hit_hot_ns", ((double)spent - (double)copies) / (16.0 * 8192));
		}
		sent = 0;
		spent = pass(&e, cold, sessions, &sent);
		copies = pass(NULL, cold, sessions, &sent);
		must_be("hit, cold", sent, sessions, t);
		if (r)
			bench_sample("user_hit_cold_ns", ((double)spent - (double)copies) / (double)sessions);
		first = opened(t, &e, open, fresh, "new");
		bench_clear(t);
		ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &installed);
		second = opened(t, &e, vip, fresh, "new through the VIP");
		if (r) {
			bench_sample("new_ns", first);
			bench_sample("new_vip_ns", second);
			bench_sample("copy_ns", (double)copies / (double)sessions);
		}
		bench_clear(t);
	}
	ls_worker_detach(t, 0);
	bench_sample("verify_ok", bench_verify(t, 0));
	ls_table_close(t);
	return 0;
}
