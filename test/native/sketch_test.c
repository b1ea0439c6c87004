/* The sketch: the published generator, cells as their definition has them, differences found exactly and at the published cost, and what a peer may send. */
#include <math.h>

#include "check.h"
#include "sketch/siphash.h"
#include "sketch/sketch.h"
#include "sketch/walk.h"

#define CELLS 4096

static struct ls_sketch_key key;

static void draw_key(void) { key = (struct ls_sketch_key){ { check_random(), check_random() } }; }

static struct ls_sketch_item random_item(void) { return (struct ls_sketch_item){ .id = { check_random(), check_random() }, .digest = check_random() }; }

static struct ls_sketch_item *random_items(u32 n)
{
	struct ls_sketch_item *items = malloc(n * sizeof(*items) + 1);

	for (u32 i = 0; i < n; i++)
		items[i] = random_item();
	return items;
}

static struct ls_sketch_cell *new_cells(u32 n) { return calloc(n ? n : 1, sizeof(struct ls_sketch_cell)); }

/* --- the hash ------------------------------------------------------------------------------------------------------------------------------- */

/* SipHash as its paper has it: one byte after another, padded to words. */
static u64 reference_siphash(const u64 k[2], const u8 *bytes, u32 n, u32 rounds, u32 final_rounds)
{
	u64 v0 = k[0] ^ 0x736f6d6570736575ULL, v1 = k[1] ^ 0x646f72616e646f6dULL, v2 = k[0] ^ 0x6c7967656e657261ULL, v3 = k[1] ^ 0x7465646279746573ULL;

	for (u32 word = 0; word <= n / 8 + 1; word++) {
		u64 m = 0;
		bool last = word > n / 8;

		for (u32 b = 0; b < 8 && !last; b++) {
			u32 at = word * 8 + b;

			m |= (u64)(at < n ? bytes[at] : b == 7 ? (u8)n : 0) << (8 * b);
		}
		if (last)
			v2 ^= 0xff;
		v3 ^= m;
		for (u32 r = 0; r < (last ? final_rounds : rounds); r++) {
			v0 += v1; v1 = v1 << 13 | v1 >> 51; v1 ^= v0; v0 = v0 << 32 | v0 >> 32;
			v2 += v3; v3 = v3 << 16 | v3 >> 48; v3 ^= v2;
			v0 += v3; v3 = v3 << 21 | v3 >> 43; v3 ^= v0;
			v2 += v1; v1 = v1 << 17 | v1 >> 47; v1 ^= v2; v2 = v2 << 32 | v2 >> 32;
		}
		v0 ^= m;
	}
	return v0 ^ v1 ^ v2 ^ v3;
}

TEST("SipHash-2-4 gives the vectors of its paper, and 1-3 is the same code with other rounds")
{
	/* bytes 0, 1, 2, ... of length 0 to 7, 8, 15 and 63 under the key 00 01 .. 0f: appendix A of the paper and vectors.h of its authors */
	static const struct {
		u32 n;
		u64 hash;
	} published[] = { { 0, 0x726fdb47dd0e0e31ULL }, { 1, 0x74f839c593dc67fdULL }, { 2, 0x0d6c8009d9a94f5aULL }, { 3, 0x85676696d7fb7e2dULL },
		{ 4, 0xcf2794e0277187b7ULL }, { 5, 0x18765564cd99a68dULL }, { 6, 0xcbc9466e58fee3ceULL }, { 7, 0xab0200f58b01d137ULL },
		{ 8, 0x93f5f5799a932462ULL }, { 15, 0xa129ca6149be45e5ULL }, { 63, 0x958a324ceb064572ULL } };
	u64 k[2] = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
	u8 bytes[65];

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)i;
	for (u32 i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		CHECK_EQ(ls_siphash(k, bytes, published[i].n, 2, 4), published[i].hash);
	for (u32 n = 0; n < sizeof(bytes); n++) {
		CHECK_AT("%u bytes", n);
		CHECK_EQ(ls_siphash(k, bytes, n, 2, 4), reference_siphash(k, bytes, n, 2, 4));
		CHECK_EQ(ls_siphash13(k, bytes, n), reference_siphash(k, bytes, n, 1, 3));
	}
	for (u32 round = 0; round < 100; round++) {
		struct ls_sketch_item item = random_item();

		draw_key();
		CHECK_EQ(ls_sketch_hash(&key, &item), reference_siphash(key.k, (const u8 *)&item, sizeof(item), 1, 3));
	}
}

/* --- the generator and the cells -------------------------------------------------------------------------------------------------------------- */

/* The generator as it is published. */
static u64 reference_next(u64 *state, u64 index)
{
	*state *= 0xda942042e4dd58b5ULL;
	return index + (u64)ceil(((double)index + 1.5) * (4294967296.0 / sqrt((double)*state + 1.0) - 1.0));
}

static void reference_update(struct ls_sketch_cell *cells, u32 from, u32 m, const struct ls_sketch_item *item, s64 sign)
{
	u64 hash = reference_siphash(key.k, (const u8 *)item, sizeof(*item), 1, 3), state = hash;

	for (u64 i = 0; i < m; i = reference_next(&state, i))
		if (i >= from) {
			struct ls_sketch_cell *c = &cells[i - from];

			c->sum[0] ^= item->id.origin;
			c->sum[1] ^= item->id.serial;
			c->sum[2] ^= item->digest;
			c->hash ^= hash;
			c->count += sign;
		}
}

TEST("this build draws the published cells")
{
	CHECK_EQ(ls_sketch_self_test(), LS_OK);
}

TEST("a walk is the published generator, bit for bit, at the edges of doubles too")
{
	static const u64 edges[] = { 0, 1, 2, 1ULL << 62, 1ULL << 63, ~0ULL, ~0ULL << 10, ~0ULL << 11, ~0ULL << 12, 0x8000000000000400ULL, 0x8000000000000401ULL,
		0xfffffffffffff400ULL, 0x00200000000003ffULL, 0x0020000000000001ULL };
	u64 inverse = 1; /* of the multiplier, so that an edge is the first state drawn */

	for (u32 i = 0; i < 6; i++)
		inverse *= 2 - 0xda942042e4dd58b5ULL * inverse;
	for (u32 round = 0; round < 20000; round++) {
		u32 edge = round / 2;
		u64 hash = edge < sizeof(edges) / 8 ? edges[edge] * (round & 1 ? inverse : 1) : check_random(), state = hash, index = 0, pair[2] = { hash, hash };
		struct ls_walk w = ls_walk_begin(hash);
		ls_f64x2 at = { w.at, w.at };

		CHECK_AT("hash %llx", (unsigned long long)hash);
		for (u32 step = 0; index < LS_SKETCH_CELLS_MAX && step < 200; step++) {
			CHECK(w.at < ls_walk_end(LS_SKETCH_CELLS_MAX) && at[0] == w.at && at[1] == w.at);
			CHECK_EQ(ls_walk_index(w.at), index);
			index = reference_next(&state, index);
			ls_walk_next(&w);
			ls_walk_next2(pair, &at);
		}
		if (index >= LS_SKETCH_CELLS_MAX)
			CHECK(!(w.at < ls_walk_end(LS_SKETCH_CELLS_MAX)) && at[0] == w.at);
	}
}

TEST("a walk never stays where it is for two steps")
{
	struct ls_walk w;

	CHECK(4294967296.0 / sqrt(ls_walk_draw(0ULL - 8192)) > 1.0); /* only states nearer to the top give a step of 0 */
	for (u64 below = 1; below < 8192; below++) {
		w = (struct ls_walk){ .state = 0 - below, .at = 1.5 };
		ls_walk_next(&w);
		CHECK(0 - w.state > 8192);
	}
}

TEST("cells are what their definition says, one by one, in batches, in pieces and after removal")
{
	for (u32 round = 0; round < 30; round++) {
		u32 n = check_below(200), m = 1 + check_below(CELLS), from = check_below(m), gone = n ? check_below(n) : 0;
		struct ls_sketch_item *items = random_items(n);
		struct ls_sketch_cell *a = new_cells(m), *b = new_cells(m), *c = new_cells(m), *d = new_cells(m - from);

		draw_key();
		for (u32 i = 0; i < n; i++) {
			ls_sketch_update(a, 0, m, &key, &items[i], 1);
			reference_update(b, 0, m, &items[i], 1);
			reference_update(d, from, m, &items[i], 1);
		}
		CHECK(memcmp(a, b, m * sizeof(*a)) == 0);
		CHECK(memcmp(a + from, d, (m - from) * sizeof(*a)) == 0);
		ls_sketch_update_batch(c, 0, from, &key, items, n, 1);
		ls_sketch_update_batch(c + from, from, m, &key, items, n, 1);
		CHECK(memcmp(a, c, m * sizeof(*a)) == 0);
		memset(d, 0, (m - from) * sizeof(*d));
		for (u32 i = 0; i < n; i++)
			ls_sketch_update(d, from, m, &key, &items[i], 1);
		CHECK(memcmp(a + from, d, (m - from) * sizeof(*a)) == 0);
		ls_sketch_update_batch(d, from, from, &key, items, n, 1); /* no cells at all */
		ls_sketch_update_batch(d, 0, 0, &key, items, n, 1);
		CHECK(memcmp(a + from, d, (m - from) * sizeof(*a)) == 0);
		ls_sketch_update_batch(a, 0, m, &key, items, gone, -1);
		memset(b, 0, m * sizeof(*b));
		for (u32 i = gone; i < n; i++)
			ls_sketch_update(b, 0, m, &key, &items[i], 1);
		CHECK(memcmp(a, b, m * sizeof(*a)) == 0);
		ls_sketch_subtract(a, b, m);
		CHECK(a[0].count == 0 && a[m - 1].hash == 0);
		free(a);
		free(b);
		free(c);
		free(d);
		free(items);
	}
}

/* --- differences ------------------------------------------------------------------------------------------------------------------------------ */

static struct ls_sketch_decoder *decoder(u32 items, u32 cells)
{
	struct ls_sketch_decoder *d = NULL;

	CHECK_EQ(ls_sketch_decoder_new(&key, items, cells, &d), LS_OK);
	return d;
}

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(struct ls_sketch_item)); }

static bool same_items(const struct ls_sketch_item *found, u32 n, const struct ls_sketch_item *wanted, u32 m)
{
	struct ls_sketch_item *a = malloc(n * sizeof(*a) + 1), *b = malloc(m * sizeof(*b) + 1);
	bool same;

	memcpy(a, found, n * sizeof(*a));
	memcpy(b, wanted, m * sizeof(*b));
	qsort(a, n, sizeof(*a), by_bytes);
	qsort(b, m, sizeof(*b), by_bytes);
	same = n == m && memcmp(a, b, n * sizeof(*a)) == 0;
	free(a);
	free(b);
	return same;
}

/* Did it find exactly items[0..left) on one side and the rest on the other? */
static void check_found(const struct ls_sketch_decoder *d, const struct ls_sketch_item *items, u32 n, u32 left)
{
	const struct ls_sketch_item *plus, *minus;
	u32 nplus, nminus;

	ls_sketch_decoder_items(d, &plus, &nplus, &minus, &nminus);
	CHECK(same_items(plus, nplus, items, left));
	CHECK(same_items(minus, nminus, items + left, n - left));
}

static u32 step_of(u32 fed) { return fed / 32 + 1; } /* 3 % */

/* Cells needed for `n` differing items, `left` of them on one side, `common` on both. */
static u32 cells_needed(u32 n, u32 left, u32 common)
{
	u32 m = n * 2 + 200, fed = 0;
	struct ls_sketch_item *items = random_items(n), *both = random_items(common);
	struct ls_sketch_cell *a = new_cells(m), *b = new_cells(m);
	struct ls_sketch_decoder *d;

	draw_key();
	d = decoder(n + 1, m);
	ls_sketch_update_batch(a, 0, m, &key, items, left, 1);
	ls_sketch_update_batch(b, 0, m, &key, items + left, n - left, 1);
	ls_sketch_update_batch(a, 0, m, &key, both, common, 1);
	ls_sketch_update_batch(b, 0, m, &key, both, common, 1);
	ls_sketch_subtract(a, b, m);
	CHECK(!ls_sketch_decoder_done(d));
	while (!ls_sketch_decoder_done(d)) {
		u32 step = step_of(fed);

		CHECK(fed + step <= m);
		CHECK_EQ(ls_sketch_decoder_feed(d, a + fed, step), LS_OK);
		fed += step;
	}
	CHECK_EQ(ls_sketch_decoder_cells(d), fed);
	check_found(d, items, n, left);
	CHECK_EQ(ls_sketch_decoder_feed(d, a + fed, m - fed), LS_OK); /* what comes late holds nothing more */
	CHECK(ls_sketch_decoder_done(d));
	check_found(d, items, n, left);
	ls_sketch_decoder_free(d);
	free(a);
	free(b);
	free(items);
	free(both);
	return fed;
}

TEST("differences of any size are found exactly, whatever both sides share")
{
	static const u32 sizes[] = { 0, 1, 2, 3, 8, 64, 256, 1024, 10000 };

	for (u32 i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (u32 round = 0; round < (sizes[i] < 300 ? 20 : 1); round++) {
			CHECK_AT("%u differences, round %u", sizes[i], round);
			cells_needed(sizes[i], sizes[i] ? check_below(sizes[i] + 1) : 0, check_below(500));
		}
	CHECK_EQ(cells_needed(0, 0, 1000), 1); /* equal sets: cell 0 alone says so */
}

TEST("from 256 differences on, 1.45 cells for each are enough on average")
{
	static const u32 sizes[] = { 256, 1024, 10000 }, rounds[] = { 400, 30, 5 };

	for (u32 i = 0; i < 3; i++) {
		u64 cells = 0;

		for (u32 round = 0; round < rounds[i]; round++)
			cells += cells_needed(sizes[i], sizes[i] / 2, 0);
		CHECK_AT("%u differences: %.3f", sizes[i], (double)cells / rounds[i] / sizes[i]);
		CHECK((double)cells / rounds[i] / sizes[i] <= 1.45);
	}
}

TEST("4096 cells kept at hand are extended by a scan, and the decoder goes on")
{
	u32 n = 5000, m = 8192;
	struct ls_sketch_item *items = random_items(n);
	struct ls_sketch_cell *kept = new_cells(CELLS), *more = new_cells(m - CELLS);
	struct ls_sketch_decoder *d;

	draw_key();
	d = decoder(n, m);
	for (u32 i = 0; i < n; i++)
		ls_sketch_update(kept, 0, CELLS, &key, &items[i], i < 2000 ? 1 : -1);
	ls_sketch_update_batch(more, CELLS, m, &key, items, 2000, 1);
	ls_sketch_update_batch(more, CELLS, m, &key, items + 2000, n - 2000, -1);
	CHECK_EQ(ls_sketch_decoder_feed(d, kept, CELLS), LS_OK);
	CHECK(!ls_sketch_decoder_done(d));
	CHECK_EQ(ls_sketch_decoder_feed(d, more, m - CELLS), LS_OK);
	CHECK(ls_sketch_decoder_done(d));
	check_found(d, items, n, 2000);
	ls_sketch_decoder_free(d);
	free(items);
	free(kept);
	free(more);
}

TEST("what is fed in one piece, in random pieces and one by one gives the same")
{
	u32 n = 300, m = 600;
	struct ls_sketch_item *items = random_items(n);
	struct ls_sketch_cell *cells = new_cells(m);

	draw_key();
	ls_sketch_update_batch(cells, 0, m, &key, items, 100, 1);
	ls_sketch_update_batch(cells, 0, m, &key, items + 100, n - 100, -1);
	for (u32 way = 0; way < 10; way++) {
		struct ls_sketch_decoder *d = decoder(n, m);

		for (u32 fed = 0, step; fed < m; fed += step) {
			step = way == 0 ? m : way == 1 ? 1 : check_below(50);
			step = step < m - fed ? step : m - fed;
			CHECK_EQ(ls_sketch_decoder_feed(d, cells + fed, step), LS_OK);
		}
		CHECK(ls_sketch_decoder_done(d));
		check_found(d, items, n, 100);
		ls_sketch_decoder_free(d);
	}
	free(items);
	free(cells);
}

/* --- what a peer may send ---------------------------------------------------------------------------------------------------------------------- */

TEST("maxima are kept: one more cell, one more item, nothing at all")
{
	struct ls_sketch_decoder *d = NULL;
	struct ls_sketch_cell cells[64] = { 0 };
	struct ls_sketch_item items[8];

	draw_key();
	CHECK_EQ(ls_sketch_decoder_new(&key, 0, 64, &d), LS_E_INVALID);
	CHECK_EQ(ls_sketch_decoder_new(&key, 64, 0, &d), LS_E_INVALID);
	CHECK_EQ(ls_sketch_decoder_new(&key, (1u << 30) + 1, 64, &d), LS_E_INVALID);
	CHECK_EQ(ls_sketch_decoder_new(&key, 64, LS_SKETCH_CELLS_MAX + 1, &d), LS_E_INVALID);
	for (u32 i = 0; i < 8; i++)
		items[i] = random_item();
	ls_sketch_update_batch(cells, 0, 64, &key, items, 8, 1);
	d = decoder(7, 64);
	CHECK_EQ(ls_sketch_decoder_feed(d, cells, 64), LS_E_FULL);
	CHECK(!ls_sketch_decoder_done(d));
	CHECK_EQ(ls_sketch_decoder_feed(d, cells, 0), LS_E_FULL);
	ls_sketch_decoder_free(d);
	d = decoder(8, 63);
	CHECK_EQ(ls_sketch_decoder_feed(d, cells, 64), LS_E_FULL);
	ls_sketch_decoder_free(d);
	d = decoder(8, 64);
	CHECK_EQ(ls_sketch_decoder_feed(d, cells, 64), LS_OK);
	CHECK(ls_sketch_decoder_done(d));
	CHECK_EQ(ls_sketch_decoder_feed(d, cells, 1), LS_E_FULL);
	CHECK(!ls_sketch_decoder_done(d));
	ls_sketch_decoder_free(d);
	ls_sketch_decoder_free(NULL);
}

/* A cell that passes for one of a single item. */
static void pure(struct ls_sketch_cell *c, struct ls_sketch_item item, s64 count)
{
	*c = (struct ls_sketch_cell){ .sum = { item.id.origin, item.id.serial, item.digest }, .hash = ls_sketch_hash(&key, &item), .count = count };
}

static enum ls_status feed_all(const struct ls_sketch_cell *cells, u32 n, u32 first)
{
	struct ls_sketch_decoder *d = decoder(1000, n);
	enum ls_status status = ls_sketch_decoder_feed(d, cells, first);

	if (status == LS_OK)
		status = ls_sketch_decoder_feed(d, cells + first, n - first);
	CHECK(status == LS_OK || !ls_sketch_decoder_done(d));
	ls_sketch_decoder_free(d);
	return status;
}

TEST("an item where it does not belong, an item twice, and leftovers are refused")
{
	struct ls_sketch_cell cells[128];
	struct ls_sketch_item item;
	u32 foreign = 0, own = 0, places = 0;

	draw_key();
	while (places < 3) { /* beside cell 0; few items have less */
		item = random_item();
		memset(cells, 0, sizeof(cells));
		ls_sketch_update(cells, 0, 128, &key, &item, 1);
		places = 0;
		for (u32 i = 1; i < 128; i++) {
			places += cells[i].count != 0;
			*(cells[i].count ? &own : &foreign) = i;
		}
	}
	CHECK_EQ(feed_all(cells, 128, 128), LS_OK);

	memset(cells, 0, sizeof(cells)); /* in a cell that is not in its walk */
	pure(&cells[foreign], item, 1);
	CHECK_EQ(feed_all(cells, 128, 128), LS_E_RECORD);

	memset(cells, 0, sizeof(cells)); /* nowhere but in one cell: taken out of the others it is there with the other sign */
	pure(&cells[own], item, 1);
	cells[0].count = 5;
	CHECK_EQ(feed_all(cells, 128, 128), LS_E_RECORD);

	memset(cells, 0, sizeof(cells)); /* an end without all items */
	cells[77].hash = 1;
	CHECK_EQ(feed_all(cells, 128, 128), LS_E_RECORD);
	CHECK_EQ(feed_all(cells, 128, 64), LS_E_RECORD);

	memset(cells, 0, sizeof(cells)); /* known items come back in cells that come late */
	ls_sketch_update(cells, 0, 64, &key, &item, 1);
	memset(&cells[64], 0, 64 * sizeof(cells[0]));
	for (u32 i = 64; i < 128; i++)
		pure(&cells[i], item, -1);
	CHECK_EQ(feed_all(cells, 128, 64), LS_E_RECORD);
}

TEST("rubbish of every kind ends, in an error or undecoded")
{
	for (u32 round = 0; round < 300; round++) {
		u32 n = 200, m = 128 + check_below(300), kind = check_below(5), left = check_below(n);
		struct ls_sketch_item *items = random_items(n);
		struct ls_sketch_cell *cells = new_cells(m);
		struct ls_sketch_decoder *d;

		draw_key();
		d = decoder(1 + check_below(400), m);
		ls_sketch_update_batch(cells, 0, m, &key, items, left, 1);
		ls_sketch_update_batch(cells, 0, m, &key, items + left, n - left, -1);
		for (u32 i = 0; i < m; i++) {
			if (check_below(4))
				continue;
			switch (kind) {
			case 0: pure(&cells[i], items[check_below(n)], check_below(2) ? 1 : -1); break; /* real items, wrong places */
			case 1: pure(&cells[i], random_item(), check_below(2) ? 1 : -1); break;
			case 2: cells[i].count = (s64)(check_below(2) ? check_random() : 0x7fffffffffffffffULL + check_below(2)); break;
			case 3: cells[i] = cells[check_below(m)]; break;
			default: ((u8 *)&cells[i])[check_below(40)] ^= (u8)(1 + check_below(255));
			}
		}
		for (u32 fed = 0, step; fed < m; fed += step) {
			step = 1 + check_below(m - fed);
			if (ls_sketch_decoder_feed(d, cells + fed, step) != LS_OK)
				break;
		}
		CHECK(!ls_sketch_decoder_done(d));
		ls_sketch_decoder_free(d);
		free(items);
		free(cells);
	}
}

/* --- cells as bytes ------------------------------------------------------------------------------------------------------------------------------ */

TEST("packed cells come back as they were, in any pieces, at about 33 bytes each")
{
	u32 n = 3000, m = 2000, from = check_below(m);
	struct ls_sketch_item *items = random_items(n);
	struct ls_sketch_cell *cells = new_cells(m), *back = new_cells(m);
	u8 *bytes = malloc(m * LS_SKETCH_PACKED_MAX);
	u64 first, second;

	draw_key();
	ls_sketch_update_batch(cells, 0, m, &key, items, n, 1);
	first = ls_sketch_pack(cells, 0, from, n, bytes, from * LS_SKETCH_PACKED_MAX);
	second = ls_sketch_pack(cells + from, from, m - from, n, bytes + first, m * LS_SKETCH_PACKED_MAX - first);
	CHECK(first + second <= 34 * m);
	CHECK_EQ(ls_sketch_unpack(bytes, first, 0, from, n, back), LS_OK);
	CHECK_EQ(ls_sketch_unpack(bytes + first, second, from, m - from, n, back + from), LS_OK);
	CHECK(memcmp(cells, back, m * sizeof(*cells)) == 0);
	CHECK_EQ(ls_sketch_pack(cells, 0, m, n, bytes, first + second), first + second);
	CHECK_EQ(ls_sketch_pack(cells, 0, m, n, bytes, first + second - 1), 0);
	CHECK_EQ(ls_sketch_pack(cells, 0, 0, n, bytes, 0), 0);
	CHECK_EQ(ls_sketch_unpack(bytes, 0, 0, 0, n, back), LS_OK);
	free(items);
	free(cells);
	free(back);
	free(bytes);
}

TEST("counts of every size come back, up to the most items a sketch may have")
{
	u64 totals[] = { 0, 1, 2, 3, 1000, LS_SKETCH_ITEMS_MAX - 1, LS_SKETCH_ITEMS_MAX };

	for (u32 i = 0; i < 7; i++)
		for (u32 round = 0; round < 200; round++) {
			u32 from = check_below(3) ? check_below(10) : check_below(LS_SKETCH_CELLS_MAX);
			u64 count = check_below(4) ? check_random() % (totals[i] + 1) : check_below(2) ? 0 : totals[i];
			struct ls_sketch_cell cell = { .sum = { check_random(), 2, 3 }, .hash = check_random(), .count = (s64)count }, back;
			u8 bytes[LS_SKETCH_PACKED_MAX];
			u64 len = ls_sketch_pack(&cell, from, 1, totals[i], bytes, sizeof(bytes));

			CHECK(len >= LS_SKETCH_PACKED_MIN);
			CHECK_EQ(ls_sketch_unpack(bytes, len, from, 1, totals[i], &back), LS_OK);
			CHECK(memcmp(&cell, &back, sizeof(cell)) == 0);
		}
}

TEST("the expected count of a cell is the rounded share of all items")
{
	for (u32 round = 0; round < 2000; round++) {
		u64 total = check_random() % 100000;
		u32 i = check_below(5000);
		struct ls_sketch_cell cell = { .count = (s64)floor((double)total / (1.0 + (double)i / 2) + 0.5) };
		u8 bytes[LS_SKETCH_PACKED_MAX];

		CHECK_EQ(ls_sketch_pack(&cell, i, 1, total, bytes, sizeof(bytes)), 33);
		CHECK_EQ(bytes[32], 0);
	}
}

/* One cell with these bytes as its count, of 10 items, at index 0. */
static enum ls_status unpack_count(const char *bytes, u32 n)
{
	u8 *cell = malloc(32 + n); /* exactly: a byte too far is seen */
	struct ls_sketch_cell out;
	enum ls_status status;

	memset(cell, 7, 32);
	memcpy(cell + 32, bytes, n);
	status = ls_sketch_unpack(cell, 32 + n, 0, 1, 10, &out);
	free(cell);
	return status;
}

TEST("bytes that are no cells are refused")
{
	static const struct {
		const char *what, *bytes;
		u32 n;
		enum ls_status status;
	} table[] = {
		{ "as many as expected", "\x00", 1, LS_OK },
		{ "none", "\x13", 1, LS_OK },
		{ "one below none", "\x15", 1, LS_E_RECORD },
		{ "one above all", "\x02", 1, LS_E_RECORD },
		{ "no count", "", 0, LS_E_RECORD },
		{ "a count cut off", "\x80", 1, LS_E_RECORD },
		{ "0 in two bytes", "\x80\x00", 2, LS_E_RECORD },
		{ "a byte too many", "\x00\x00", 2, LS_E_RECORD },
		{ "2^64 - 1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, LS_E_RECORD },
		{ "2^64", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10, LS_E_RECORD },
		{ "eleven bytes", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, LS_E_RECORD },
	};
	struct ls_sketch_cell cells[64] = { 0 }, out[64];
	u8 bytes[64 * LS_SKETCH_PACKED_MAX];
	u64 len;

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CHECK_AT("%s", table[i].what);
		CHECK_EQ(unpack_count(table[i].bytes, table[i].n), table[i].status);
	}
	CHECK_AT("%s", "");
	len = ls_sketch_pack(cells, 0, 64, 0, bytes, sizeof(bytes));
	for (u64 cut = 0; cut < len; cut++) {
		u8 *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(ls_sketch_unpack(exact, cut, 0, 64, 0, out), LS_E_RECORD);
		free(exact);
	}
	CHECK_EQ(ls_sketch_unpack(bytes, len, 0, 63, 0, out), LS_E_RECORD);
	CHECK_EQ(ls_sketch_unpack(bytes, len, 0, 64, LS_SKETCH_ITEMS_MAX + 1, out), LS_E_RECORD);
	for (u32 round = 0; round < 2000; round++) { /* what is taken is what would be sent */
		u8 garbled[64 * LS_SKETCH_PACKED_MAX], again[64 * LS_SKETCH_PACKED_MAX];

		memcpy(garbled, bytes, len);
		garbled[check_random() % len] ^= (u8)(1 + check_below(255));
		if (ls_sketch_unpack(garbled, len, 0, 64, 5, out) == LS_OK)
			CHECK(ls_sketch_pack(out, 0, 64, 5, again, sizeof(again)) == len && memcmp(garbled, again, len) == 0);
	}
}

/* --- how many cells to ask for --------------------------------------------------------------------------------------------------------------------- */

TEST("the plan starts with 64 cells or half more than the counts differ, grows by half, and ends at the maximum")
{
	static const struct {
		u64 ours, theirs;
		u32 fed, max, next;
	} table[] = {
		{ 1000, 1000, 0, 4096, 64 }, { 1000, 1010, 0, 4096, 64 }, { 1000, 2000, 0, 4096, 1500 }, { 2000, 1000, 0, 4096, 1500 },
		{ 0, 0, 0, 10, 10 }, { 0, 4096, 0, 4096, 4096 }, { 0, 4097, 0, 4096, 0 }, { 0, ~0ULL, 0, ~0u, 0 }, { 0, ~0u, 0, ~0u, ~0u },
		{ 5, 5, 64, 4096, 32 }, { 5, 5, 1, 4096, 1 }, { 5, 5, 4000, 4096, 96 }, { 5, 5, 4096, 4096, 0 },
		{ 5, 5, 5000, 4096, 0 }, { 5, 5, 0xfffffff0, ~0u, 15 },
	};

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CHECK_AT("row %u", i);
		CHECK_EQ(ls_sketch_plan(table[i].ours, table[i].theirs, table[i].fed, table[i].max), table[i].next);
	}
}

CHECK_MAIN
