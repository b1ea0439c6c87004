/* The sketch: how many cells a difference needs, what upkeep costs a change, how long it takes to build and to decode.
 *
 *   proof_bench [--sessions 1048576] [--repeats 9]
 *
 * Overheads are counts, not times: they come from seeds, and only the differing items are put in, since what both sides share cancels.
 */
#include "lib/bench.h"
#include "sketch/sketch.h"

#define CELLS 4096 /* kept at hand */

static u64 random_state;

static u64 draw(void) { return ls_mix64(random_state += 0x9e3779b97f4a7c15ULL); }

static struct ls_sketch_key draw_key(void) { return (struct ls_sketch_key){ { draw(), draw() } }; }

static struct ls_sketch_item *random_items(u64 n)
{
	struct ls_sketch_item *items = malloc(n * sizeof(*items));

	if (!items)
		bench_fail("out of memory", 0);
	for (u64 i = 0; i < n; i++)
		items[i] = (struct ls_sketch_item){ .id = { draw(), draw() }, .digest = draw() };
	return items;
}

static struct ls_sketch_cell *new_cells(u64 n)
{
	struct ls_sketch_cell *cells = calloc(n, sizeof(*cells));

	if (!cells)
		bench_fail("out of memory", 0);
	return cells;
}

/* Feeds a fresh decoder until it is done, one cell and 1/share of what was fed at a time; the cells it took. */
static u32 decode(const struct ls_sketch_key *key, const struct ls_sketch_cell *difference, u32 d, u32 m, u32 share)
{
	struct ls_sketch_decoder *decoder;
	const struct ls_sketch_item *plus, *minus;
	u32 fed = 0, nplus, nminus;

	if (ls_sketch_decoder_new(key, d, m, &decoder) != LS_OK)
		bench_fail("no decoder", 0);
	while (!ls_sketch_decoder_done(decoder)) {
		u32 step = fed / share + 1;

		if (fed + step > m || ls_sketch_decoder_feed(decoder, difference + fed, step) != LS_OK)
			bench_fail("a difference was not decoded", (int)d);
		fed += step;
	}
	ls_sketch_decoder_items(decoder, &plus, &nplus, &minus, &nminus);
	if (nplus != d / 2 || nminus != d - d / 2)
		bench_fail("other items than differ", (int)d);
	ls_sketch_decoder_free(decoder);
	return fed;
}

/* Cells needed for each of `d` differing items, mean of `runs`. */
static void overhead(u32 d, u32 runs)
{
	u32 m = 2 * d + 200;
	struct ls_sketch_cell *cells = new_cells(m);
	u64 needed = 0;
	char name[32];

	for (u32 r = 0; r < runs; r++) {
		struct ls_sketch_key key = draw_key();
		struct ls_sketch_item *items = random_items(d);

		memset(cells, 0, m * sizeof(*cells));
		ls_sketch_update_batch(cells, 0, m, &key, items, d / 2, 1);
		ls_sketch_update_batch(cells, 0, m, &key, items + d / 2, d - d / 2, -1);
		needed += decode(&key, cells, d, m, m); /* cell by cell: the least that is enough */
		free(items);
	}
	snprintf(name, sizeof(name), "overhead_d%u", d);
	bench_sample(name, (double)needed / runs / d);
	free(cells);
}

/* The whole of a repair: sets of `sessions` that differ in `d`; the sender's cells as bytes, ours subtracted, all feeds. */
static void repair(u64 sessions, u32 d)
{
	u32 m = 2 * d + 200, needed;
	struct ls_sketch_key key = draw_key();
	struct ls_sketch_item *items = random_items(sessions + d / 2);
	struct ls_sketch_cell *theirs = new_cells(m), *ours = new_cells(m), *got = new_cells(m);
	u8 *bytes = malloc((u64)m * LS_SKETCH_PACKED_MAX);
	u64 began, packed;

	if (!bytes)
		bench_fail("out of memory", 0);
	ls_sketch_update_batch(theirs, 0, m, &key, items, sessions, 1);
	ls_sketch_update_batch(ours, 0, m, &key, items + d / 2, sessions, 1);
	packed = ls_sketch_pack(theirs, 0, m, sessions, bytes, (u64)m * LS_SKETCH_PACKED_MAX);
	if (ls_sketch_unpack(bytes, packed, 0, m, sessions, got) != LS_OK || memcmp(got, theirs, m * sizeof(*got)) != 0)
		bench_fail("packed cells did not come back", 0);
	began = bench_clock();
	ls_sketch_subtract(got, ours, m);
	needed = decode(&key, got, d / 2 * 2, m, 32);
	bench_sample("decode_ns", (double)(bench_clock() - began));
	bench_sample("bytes", (double)ls_sketch_pack(theirs, 0, needed, sessions, bytes, (u64)m * LS_SKETCH_PACKED_MAX));
	free(items);
	free(theirs);
	free(ours);
	free(got);
	free(bytes);
}

/* Into CELLS cells, warm: one at a time, in batches of what one drain gives, all at once. */
static void upkeep(const struct ls_sketch_item *items, u64 n)
{
	struct ls_sketch_cell *one = new_cells(CELLS), *batch = new_cells(CELLS), *all = new_cells(CELLS);
	struct ls_sketch_key key = draw_key();
	u64 some = n < 65536 ? n : 65536, began;

	ls_sketch_update_batch(one, 0, CELLS, &key, items, some / 2, 1);
	memcpy(batch, one, CELLS * sizeof(*one));
	began = bench_clock();
	for (u64 i = 0; i < some; i++) /* half of them leave, half come */
		ls_sketch_update(one, 0, CELLS, &key, &items[i], i < some / 2 ? -1 : 1);
	bench_sample("upkeep_ns", (double)(bench_clock() - began) / (double)some);
	began = bench_clock();
	for (u64 i = 0; i < some; i += 256)
		ls_sketch_update_batch(batch, 0, CELLS, &key, items + i, some - i < 256 ? some - i : 256, i < some / 2 ? -1 : 1);
	bench_sample("upkeep_batch_ns", (double)(bench_clock() - began) / (double)some);
	began = bench_clock();
	ls_sketch_update_batch(all, 0, CELLS, &key, items, n, 1);
	bench_sample("build_ns", (double)(bench_clock() - began));
	if (some % 512 == 0 && memcmp(one, batch, CELLS * sizeof(*one)) != 0)
		bench_fail("one by one and in batches differ", 0);
	free(one);
	free(batch);
	free(all);
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20), repeats = bench_number(argc, argv, "repeats", 9);
	static const struct {
		u32 d, runs;
	} small[] = { { 2, 4000 }, { 4, 4000 }, { 8, 2000 }, { 16, 1000 }, { 32, 500 }, { 64, 250 }, { 128, 100 } };
	struct ls_sketch_item *items;

	if (ls_sketch_self_test() != LS_OK)
		bench_fail("this build draws other cells than the published ones", 0);
	items = random_items(sessions);
	for (u64 r = 0; r <= repeats; r++) { /* the first round warms up */
		random_state = r << 32;
		if (r == 0) {
			upkeep(items, sessions < 65536 ? sessions : 65536);
			continue;
		}
		for (u32 i = 0; i < sizeof(small) / sizeof(small[0]); i++)
			overhead(small[i].d, small[i].runs);
		overhead(256, 60);
		overhead(1024, 8);
		overhead(10000, 1);
		upkeep(items, sessions);
		repair(sessions, sessions < 20000 ? (u32)sessions / 2 : 10000);
	}
	free(items);
	return 0;
}
