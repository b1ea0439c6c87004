/* Fuzzes what a peer sends of its sketch: each input is a short program over the cells of a difference. It puts items in and out, forges cells that pass for
 * one item, copies and patches cells, unpacks raw bytes over them, and feeds the decoder in between. Whatever comes, the decoder ends, keeps its maxima,
 * names no item twice, and says "done" only if what it found is exactly what the cells held.
 */
#include "sketch/sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS 160
#define ITEMS 48

struct input {
	const u8 *at, *end;
};

static u32 take(struct input *in) { return in->at < in->end ? *in->at++ : 0; }
static u32 take16(struct input *in) { u32 high = take(in); return high << 8 | take(in); }

static const struct ls_sketch_key key = { { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL } };

#define BROKEN(...)                           \
	do {                                  \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr);          \
		abort();                      \
	} while (0)

static struct ls_sketch_item numbered(u32 i) { return (struct ls_sketch_item){ .id = { 7, i + 1 }, .digest = i * 0x9e3779b97f4a7c15ULL }; }

/* Raw bytes as packed cells, in a block of exactly their size: what is taken is what would have been sent. */
static void unpack(struct input *in, struct ls_sketch_cell *cells)
{
	u32 from = take(in) % CELLS, n = take(in) % (CELLS - from + 1), total = take16(in);
	u64 len = n * LS_SKETCH_PACKED_MIN + take(in), left = (u64)(in->end - in->at);
	static u8 again[CELLS * LS_SKETCH_PACKED_MAX];
	u8 *block;

	len = len < left ? len : left;
	block = malloc(len + 1);
	memcpy(block, in->at, len);
	in->at += len;
	if (ls_sketch_unpack(block, len, from, n, total, &cells[from]) == LS_OK &&
	    (ls_sketch_pack(&cells[from], from, n, total, again, sizeof(again)) != len || memcmp(block, again, len) != 0))
		BROKEN("%u cells from %u of %u items come back in other bytes", n, from, total);
	free(block);
}

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(struct ls_sketch_item)); }

static void check(const struct ls_sketch_decoder *d, struct ls_sketch_cell *fed)
{
	const struct ls_sketch_item *plus, *minus;
	struct ls_sketch_item all[ITEMS];
	u32 nplus, nminus, cells = ls_sketch_decoder_cells(d);

	ls_sketch_decoder_items(d, &plus, &nplus, &minus, &nminus);
	if (nplus + nminus > ITEMS || cells > CELLS)
		BROKEN("%u + %u items of %u cells", nplus, nminus, cells);
	memcpy(all, plus, nplus * sizeof(*plus));
	memcpy(all + nplus, minus, nminus * sizeof(*minus));
	qsort(all, nplus + nminus, sizeof(all[0]), by_bytes);
	for (u32 i = 1; i < nplus + nminus; i++)
		if (by_bytes(&all[i - 1], &all[i]) == 0)
			BROKEN("an item was found twice");
	if (!ls_sketch_decoder_done(d))
		return;
	ls_sketch_update_batch(fed, 0, cells, &key, plus, nplus, -1);
	ls_sketch_update_batch(fed, 0, cells, &key, minus, nminus, 1);
	for (u32 i = 0; i < cells; i++)
		if (fed[i].sum[0] | fed[i].sum[1] | fed[i].sum[2] | fed[i].hash | (u64)fed[i].count)
			BROKEN("done, but cell %u holds something else", i);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct ls_sketch_cell cells[CELLS] = { 0 }, fed[CELLS];
	struct input in = { .at = data, .end = data + size };
	struct ls_sketch_decoder *d;
	enum ls_status status = LS_OK, later;
	u32 ops = 0;

	if (ls_sketch_decoder_new(&key, ITEMS, CELLS, &d) != LS_OK)
		BROKEN("no decoder");
	while (in.at < in.end && ops++ < 200) {
		u32 op = take(&in);
		s64 sign = op & 0x80 ? -1 : 1;

		switch (op & 7) {
		case 0: case 1: { /* an item, on one side */
			struct ls_sketch_item item = numbered(take(&in));

			ls_sketch_update(cells, 0, CELLS, &key, &item, sign);
			break;
		}
		case 2: { /* in cells from some index on only */
			struct ls_sketch_item item = numbered(take(&in));
			u32 from = take(&in) % CELLS;

			ls_sketch_update(&cells[from], from, CELLS, &key, &item, sign);
			break;
		}
		case 3: { /* a cell that passes for one item */
			struct ls_sketch_item item = numbered(take(&in));

			cells[take(&in) % CELLS] = (struct ls_sketch_cell){ .sum = { item.id.origin, item.id.serial, item.digest },
				.hash = ls_sketch_hash(&key, &item), .count = sign };
			break;
		}
		case 4: {
			u32 to = take(&in) % CELLS;

			cells[to] = cells[take(&in) % CELLS];
			break;
		}
		case 5: {
			u32 at = take16(&in);

			((u8 *)cells)[at % sizeof(cells)] ^= (u8)take(&in);
			break;
		}
		case 6:
			unpack(&in, cells);
			break;
		default: { /* more cells; once in a while more than there may be */
			u32 at = ls_sketch_decoder_cells(d), n = take(&in) % (CELLS - at + 1 + (op >> 7));

			if (at + n <= CELLS)
				memcpy(&fed[at], &cells[at], n * sizeof(*cells));
			later = ls_sketch_decoder_feed(d, &cells[at], n);
			if (status != LS_OK && later != status)
				BROKEN("status %u after %u", later, status);
			if (at + n > CELLS && later == LS_OK)
				BROKEN("%u cells too many were taken", at + n - CELLS);
			status = later;
		}
		}
	}
	if (status == LS_OK) {
		u32 at = ls_sketch_decoder_cells(d);

		memcpy(&fed[at], &cells[at], (CELLS - at) * sizeof(*cells));
		status = ls_sketch_decoder_feed(d, &cells[at], CELLS - at);
	}
	if (status != LS_OK && status != LS_E_RECORD && status != LS_E_FULL)
		BROKEN("status %u", status);
	if (status != LS_OK && ls_sketch_decoder_done(d))
		BROKEN("done in spite of status %u", status);
	check(d, fed);
	ls_sketch_decoder_free(d);
	return 0;
}
