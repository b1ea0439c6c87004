/* Cells: items in and out, differences, and how many to ask for. */
#include "sketch/sketch.h"

#include "sketch/cell.h"

u64 ls_sketch_hash(const struct ls_sketch_key *key, const struct ls_sketch_item *item)
{
	return ls_sketch_item_hash(key, item);
}

void ls_sketch_update(struct ls_sketch_cell *cells, u32 from, u32 m, const struct ls_sketch_key *key, const struct ls_sketch_item *item, s64 sign)
{
	u64 hash = ls_sketch_item_hash(key, item);
	struct ls_sketch_load load = ls_sketch_loaded(item, hash);
	double end = ls_walk_end(m);

	for (struct ls_walk w = ls_walk_begin(hash); w.at < end; ls_walk_next(&w)) {
		u32 i = ls_walk_index(w.at);

		if (i >= from)
			ls_sketch_apply(&cells[i - from], &load, sign);
	}
}

/* Walks that go on side by side, so that the latency of one is the work of another. A lane whose walk has ended takes the next item. */
#define LANES 4

void ls_sketch_update_batch(struct ls_sketch_cell *cells, u32 from, u32 m, const struct ls_sketch_key *key, const struct ls_sketch_item *items, u64 n,
			    s64 sign)
{
	struct ls_sketch_load load[LANES];
	ls_f64x2 at[LANES / 2];
	u64 state[LANES], next = 0;
	double end = ls_walk_end(m);
	u32 live = LANES;

	if (from >= m)
		return;
	for (u32 l = 0; l < LANES; l++) {
		state[l] = 1;
		at[l / 2][l % 2] = end; /* ended: takes its first item below */
	}
	while (live) {
		live = 0;
		for (u32 l = 0; l < LANES; l++) {
			u32 i;

			if (!(at[l / 2][l % 2] < end)) {
				if (next == n)
					continue;
				state[l] = ls_sketch_item_hash(key, &items[next]);
				load[l] = ls_sketch_loaded(&items[next++], state[l]);
				at[l / 2][l % 2] = 1.5;
			}
			live++;
			i = ls_walk_index(at[l / 2][l % 2]);
			if (i >= from)
				ls_sketch_apply(&cells[i - from], &load[l], sign);
		}
		for (u32 l = 0; l < LANES; l += 2)
			ls_walk_next2(&state[l], &at[l / 2]);
	}
}

void ls_sketch_subtract(struct ls_sketch_cell *a, const struct ls_sketch_cell *b, u64 n)
{
	for (u64 i = 0; i < n; i++) {
		for (u32 w = 0; w < 3; w++)
			a[i].sum[w] ^= b[i].sum[w];
		a[i].hash ^= b[i].hash;
		a[i].count = (s64)((u64)a[i].count - (u64)b[i].count);
	}
}

enum ls_status ls_sketch_self_test(void)
{
	static const struct {
		u64 hash;
		u32 cells[9];
	} published[] = {
		{ 0x0123456789abcdefULL, { 0, 1, 2, 4, 6, 8, 20, 24, 34 } },
		{ 1, { 0, 1, 2, 3, 6, 11, 19, 44, 116 } },
		{ 0xffffffffffffffffULL, { 0, 3, 29, 59, 80, 101, 128, 145, 158 } },
		{ 0x9e3779b97f4a7c15ULL, { 0, 1, 2, 6, 12, 24, 28, 34, 54 } },
	};

	for (u32 v = 0; v < sizeof(published) / sizeof(published[0]); v++) {
		struct ls_walk w = ls_walk_begin(published[v].hash);
		u64 state[2] = { published[v].hash, published[v].hash };
		ls_f64x2 at = { w.at, w.at };

		for (u32 i = 0; i < 9; i++) {
			double expected = ls_walk_end(published[v].cells[i]);

			if (w.at != expected || at[0] != expected || at[1] != expected)
				return LS_E_BUG;
			ls_walk_next(&w);
			ls_walk_next2(state, &at);
		}
	}
	return LS_OK;
}

u32 ls_sketch_plan(u64 n_ours, u64 n_theirs, u32 fed, u32 cells_max)
{
	u64 least = n_ours > n_theirs ? n_ours - n_theirs : n_theirs - n_ours, more;

	if (least > cells_max || fed >= cells_max)
		return 0;
	more = fed ? (fed + 1u) / 2 : least + least / 2;
	if (fed == 0 && more < 64)
		more = 64;
	return more < cells_max - fed ? (u32)more : cells_max - fed;
}
