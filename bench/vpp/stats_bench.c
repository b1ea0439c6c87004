/* Reading a stats segment of the size of a VPP with per-node counters: 5500 entries, 7900 counters.
 *
 *   stats_bench [--repeats 7]
 *
 * walk: a pass over all entries with their names, and every counter once. batch: 16 counters in one pass. counter: one, in a pass of its own.
 */
#include "backend/vpp/stats.h"

#include "lib/bench.h"

#include "../../test/native/stats_segment.h"

#define BYTES (8u << 20)
#define SIMPLE 90
#define COMBINED 21
#define COLUMNS 71 /* of each */
#define ENTRIES 5500
#define BATCH 16
#define READS 100000

static struct segment segment_made(void)
{
	struct segment g;
	char name[LS_STATS_NAME];

	segment_init(&g, aligned_alloc(64, BYTES), BYTES, ENTRIES);
	for (u32 i = 0; i < ENTRIES; i++) {
		bool simple = i < SIMPLE, vector = i < SIMPLE + COMBINED;

		snprintf(name, sizeof(name), vector ? "/if/counter-%u" : "/interfaces/host-%u/rx", i);
		if (vector)
			segment_set(&g, i, simple ? 2 : 3, name, segment_counters(&g, 1, COLUMNS, simple ? 1 : 2, i));
		else
			segment_set(&g, i, 6, name, segment_link(i % (SIMPLE + COMBINED), i % COLUMNS));
	}
	return g;
}

static void take_all(struct ls_stats_pass *p, void *arg)
{
	struct ls_stats_handle *handle = arg;
	char name[LS_STATS_NAME + 1];
	struct ls_stats_entry e;
	u64 seen = 0;

	for (u32 i = 0; i < p->entries; i++) {
		struct ls_stats_row row;

		if (ls_stats_describe(p, i, name) == LS_STATS_SYMLINK || !ls_stats_find(p, &handle[i], &e))
			continue;
		row = ls_stats_row_of(p, &e, 0);
		for (u32 k = 0; k < row.columns * row.width; k++)
			seen += LS_LOAD(&row.at[k]);
	}
	if (!seen)
		bench_fail("nothing was read", 0);
}

static void take_batch(struct ls_stats_pass *p, void *arg)
{
	struct ls_stats_handle *handle = arg;
	struct ls_stats_entry e;
	u64 sum[2];

	for (u32 i = 0; i < BATCH; i++)
		if (!ls_stats_find(p, &handle[i], &e) || !ls_stats_sum(p, &e, i, sum))
			bench_fail("a counter is missing", (int)i);
}

static void read_all(const struct segment *g, void (*take)(struct ls_stats_pass *p, void *arg), void *arg)
{
	enum ls_status status = ls_stats_read(&g->stats, take, arg);

	if (status != LS_OK)
		bench_fail("ls_stats_read", status);
}

static void bench_stats(u64 repeats)
{
	static struct ls_stats_handle handle[ENTRIES];
	struct segment g = segment_made();
	char name[LS_STATS_NAME + 1];
	struct ls_stats_pass p;
	u64 sum[2];

	ls_stats_begin(&g.stats, &p);
	for (u32 i = 0; i < ENTRIES; i++) {
		ls_stats_describe(&p, i, name);
		ls_stats_handle_init(&handle[i], name);
	}
	read_all(&g, take_all, handle); /* finds them */
	for (u64 r = 0; r < repeats; r++) {
		u64 began = bench_clock();

		for (u32 i = 0; i < 100; i++)
			read_all(&g, take_all, handle);
		bench_sample("stats_walk_us", (double)(bench_clock() - began) / 100 / 1e3);
		began = bench_clock();
		for (u32 i = 0; i < READS / BATCH; i++)
			read_all(&g, take_batch, handle);
		bench_sample("stats_batch_of_16_ns", (double)(bench_clock() - began) / (READS / BATCH));
		began = bench_clock();
		for (u32 i = 0; i < READS; i++)
			if (ls_stats_counter(&g.stats, &handle[SIMPLE], 7, sum) != LS_OK)
				bench_fail("ls_stats_counter", 0);
		bench_sample("stats_counter_ns", (double)(bench_clock() - began) / READS);
	}
	free(g.map);
}

int main(int argc, char **argv)
{
	bench_stats(bench_number(argc, argv, "repeats", 7));
	return 0;
}
