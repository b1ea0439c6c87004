/* Reading a stats segment: one of the size of a VPP with per-node counters (5500 entries, 7900 counters), or that of a VPP that runs.
 *
 *   stats_bench [--repeats 7] [--socket /run/vpp/stats.sock [--library libvppapiclient.so]]
 *
 * walk: a pass over all entries with their names, and every counter of the first thread once. batch: 16 counters in one pass. counter: one, in a pass of its
 * own. With a library, VPP's own client dumps all entries of the same segment: peer_walk.
 */
#include "backend/vpp/stats.h"

#include <dlfcn.h>

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

static void read_all(const struct ls_stats *stats, void (*take)(struct ls_stats_pass *p, void *arg), void *arg)
{
	enum ls_status status = ls_stats_read(stats, take, arg);

	if (status != LS_OK)
		bench_fail("ls_stats_read", status);
}

static const struct ls_stats *stats_of(const char *socket)
{
	static struct ls_stats stats;
	static struct segment g;
	char why[LS_STATS_WHY];
	int err_no;

	if (socket) {
		if (ls_stats_attach(socket, 1000, &stats, why, &err_no) != LS_OK)
			bench_fail(why, err_no);
		return &stats;
	}
	g = segment_made();
	return &g.stats;
}

/* Counters of 16 columns, as every VPP has them. */
static void name_batch(struct ls_stats_handle handle[BATCH], bool live)
{
	char name[LS_STATS_NAME + 1];

	for (u32 i = 0; i < BATCH; i++) {
		snprintf(name, sizeof(name), live ? "/net/route/to" : "/if/counter-%u", i);
		ls_stats_handle_init(&handle[i], name);
	}
}

static void bench_ours(const char *socket, u64 repeats)
{
	const struct ls_stats *stats = stats_of(socket);
	struct ls_stats_handle *handle, batch[BATCH];
	char name[LS_STATS_NAME + 1];
	struct ls_stats_pass p;
	u64 sum[2];

	if (ls_stats_begin(stats, &p) != LS_OK)
		bench_fail("ls_stats_begin", 0);
	handle = calloc(p.entries, sizeof(*handle));
	for (u32 i = 0; i < p.entries; i++) {
		ls_stats_describe(&p, i, name);
		ls_stats_handle_init(&handle[i], name);
	}
	name_batch(batch, socket != NULL);
	bench_sample("stats_entries", p.entries);
	read_all(stats, take_all, handle); /* finds them */
	for (u64 r = 0; r < repeats; r++) {
		u64 began = bench_clock();

		for (u32 i = 0; i < 100; i++)
			read_all(stats, take_all, handle);
		bench_sample("stats_walk_us", (double)(bench_clock() - began) / 100 / 1e3);
		began = bench_clock();
		for (u32 i = 0; i < READS / BATCH; i++)
			read_all(stats, take_batch, batch);
		bench_sample("stats_batch_of_16_ns", (double)(bench_clock() - began) / (READS / BATCH));
		began = bench_clock();
		for (u32 i = 0; i < READS; i++)
			if (ls_stats_counter(stats, &batch[0], 7, sum) != LS_OK)
				bench_fail("ls_stats_counter", 0);
		bench_sample("stats_counter_ns", (double)(bench_clock() - began) / READS);
	}
	free(handle);
}

/* VPP's own client: what it lists once, dumped again and again. Its heap is for one thread and for ever. */
static void bench_peer(const char *library, const char *socket, u64 repeats)
{
	void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	void (*mem_init)(size_t) = so ? (void (*)(size_t))dlsym(so, "vac_mem_init") : NULL;
	int (*connect)(const char *) = so ? (int (*)(const char *))dlsym(so, "stat_segment_connect") : NULL;
	u32 *(*ls)(u8 **) = so ? (u32 * (*)(u8 **)) dlsym(so, "stat_segment_ls") : NULL;
	void *(*dump)(u32 *) = so ? (void *(*)(u32 *))dlsym(so, "stat_segment_dump") : NULL;
	void (*data_free)(void *) = so ? (void (*)(void *))dlsym(so, "stat_segment_data_free") : NULL;
	u32 *all;

	if (!mem_init || !connect || !ls || !dump || !data_free)
		bench_fail(so ? "the library has no stat_segment_*" : dlerror(), 0);
	mem_init(0);
	if (connect(socket) != 0)
		bench_fail("stat_segment_connect", 0);
	all = ls(NULL);
	for (u64 r = 0; r < repeats; r++) {
		u64 began = bench_clock();

		for (u32 i = 0; i < 10; i++)
			data_free(dump(all));
		bench_sample("peer_walk_us", (double)(bench_clock() - began) / 10 / 1e3);
	}
}

int main(int argc, char **argv)
{
	const char *socket = bench_option(argc, argv, "socket", NULL), *library = bench_option(argc, argv, "library", NULL);
	u64 repeats = bench_number(argc, argv, "repeats", 7);

	bench_ours(socket, repeats);
	if (socket && library)
		bench_peer(library, socket, repeats);
	return 0;
}
