/* Peeling: items out of the cells of a difference.
 *
 * A cell with a count of 1 or -1 whose hash is that of its sum holds one item. The item is taken out of all its cells, which uncovers others. What an item has
 * still to be taken out of lies beyond the cells that are here: it waits in the list of the next cell of its walk, and goes on when that cell comes.
 *
 * The cells may be a peer's rubbish. What ends every loop: an item is found once (`seen`) and there are at most items_max; each is walked once, ahead only; a
 * cell is on the stack once at a time and comes there only when it is new or an item was taken out of it.
 */
#include <stdlib.h>

#include "sketch/cell.h"

#define NONE 0xffffffffu

/* What is known of a decoded item beside the item itself. */
struct walker {
	u64 hash;
	struct ls_walk walk; /* at its first cell that is not here yet */
	u32 next;            /* in the list of that cell */
	u32 pad;
};
LS_ASSERT_SIZE(struct walker, 32);

struct ls_sketch_decoder {
	struct ls_sketch_key key;
	enum ls_status status; /* the error that ended it */
	bool done;
	u32 items_max, cells_max;
	u32 fed, nplus, nminus, stacked;
	u32 seen_mask;
	struct ls_sketch_item *items; /* items_max: plus from the front, minus from the back */
	struct walker *walkers;       /* by the same place */
	u32 *seen;                    /* place + 1 by hash, open addressing, at most half full; 0: free */
	struct ls_sketch_cell *cells; /* cells_max */
	u32 *waiting;                 /* by cell: place + 1 of the first walker that waits for it */
	u32 *stack;                   /* cells to look at */
	u8 *on_stack;
};

enum ls_status ls_sketch_decoder_new(const struct ls_sketch_key *key, u32 items_max, u32 cells_max, struct ls_sketch_decoder **out)
{
	struct ls_sketch_decoder *d;
	u32 seen = 2;

	if (items_max == 0 || items_max > 1u << 30 || cells_max == 0 || cells_max > LS_SKETCH_CELLS_MAX)
		return LS_E_INVALID;
	while (seen < 2 * items_max)
		seen *= 2;
	d = calloc(1, sizeof(*d));
	if (!d)
		return LS_E_NOMEM;
	d->key = *key;
	d->items_max = items_max;
	d->cells_max = cells_max;
	d->seen_mask = seen - 1;
	d->items = malloc(items_max * sizeof(*d->items));
	d->walkers = malloc(items_max * sizeof(*d->walkers));
	d->seen = calloc(seen, sizeof(*d->seen));
	d->cells = malloc(cells_max * sizeof(*d->cells));
	d->waiting = calloc(cells_max, sizeof(*d->waiting));
	d->stack = malloc(cells_max * sizeof(*d->stack));
	d->on_stack = calloc(cells_max, 1);
	if (!d->items || !d->walkers || !d->seen || !d->cells || !d->waiting || !d->stack || !d->on_stack) {
		ls_sketch_decoder_free(d);
		return LS_E_NOMEM;
	}
	*out = d;
	return LS_OK;
}

void ls_sketch_decoder_free(struct ls_sketch_decoder *d)
{
	if (!d)
		return;
	free(d->items);
	free(d->walkers);
	free(d->seen);
	free(d->cells);
	free(d->waiting);
	free(d->stack);
	free(d->on_stack);
	free(d);
}

static bool single(const struct ls_sketch_cell *c) { return c->count == 1 || c->count == -1; }

static bool empty(const struct ls_sketch_cell *c) { return (c->sum[0] | c->sum[1] | c->sum[2] | c->hash | (u64)c->count) == 0; }

static void look_at(struct ls_sketch_decoder *d, u32 cell)
{
	if (!single(&d->cells[cell]) || d->on_stack[cell])
		return;
	d->on_stack[cell] = 1;
	d->stack[d->stacked++] = cell;
}

/* Where a hash is in `seen`, or the free place where it would be. */
static u32 *seen_at(struct ls_sketch_decoder *d, u64 hash)
{
	u32 i = (u32)(hash >> 32) & d->seen_mask;

	while (d->seen[i] && d->walkers[d->seen[i] - 1].hash != hash)
		i = (i + 1) & d->seen_mask;
	return &d->seen[i];
}

static s64 side(const struct ls_sketch_decoder *d, u32 place) { return place < d->nplus ? 1 : -1; }

static void wait_for_next(struct ls_sketch_decoder *d, u32 place)
{
	struct walker *w = &d->walkers[place];
	u32 cell;

	if (!(w->walk.at < ls_walk_end(d->cells_max)))
		return;
	cell = ls_walk_index(w->walk.at);
	w->next = d->waiting[cell];
	d->waiting[cell] = place + 1;
}

/* A cell that has just come loses the items that are known. A walk may stay where it is for one step (its double is that coarse): it is in the list again. */
static void catch_up(struct ls_sketch_decoder *d, u32 cell)
{
	while (d->waiting[cell]) {
		u32 place = d->waiting[cell] - 1;
		struct walker *w = &d->walkers[place];
		struct ls_sketch_load load = ls_sketch_loaded(&d->items[place], w->hash);

		d->waiting[cell] = w->next;
		ls_sketch_apply(&d->cells[cell], &load, -side(d, place));
		ls_walk_next(&w->walk);
		wait_for_next(d, place);
	}
}

/* Takes an item, found with this sign, out of all cells that are here. One that was forged is then in cells that are its own with the other sign, and is found
 * twice, or stays where it was found. */
static enum ls_status take_out(struct ls_sketch_decoder *d, const struct ls_sketch_item *item, u64 hash, s64 sign)
{
	struct ls_sketch_load load = ls_sketch_loaded(item, hash);
	double end = ls_walk_end(d->fed);
	u32 *seen = seen_at(d, hash), place;
	struct walker *w;

	if (*seen)
		return LS_E_RECORD;
	if (d->nplus + d->nminus == d->items_max)
		return LS_E_FULL;
	place = sign > 0 ? d->nplus++ : d->items_max - ++d->nminus;
	*seen = place + 1;
	d->items[place] = *item;
	w = &d->walkers[place];
	w->hash = hash;
	for (w->walk = ls_walk_begin(hash); w->walk.at < end; ls_walk_next(&w->walk)) {
		u32 cell = ls_walk_index(w->walk.at);

		ls_sketch_apply(&d->cells[cell], &load, -sign);
		look_at(d, cell);
	}
	wait_for_next(d, place);
	return LS_OK;
}

static enum ls_status peel(struct ls_sketch_decoder *d)
{
	enum ls_status status = LS_OK;

	while (d->stacked && status == LS_OK) {
		u32 cell = d->stack[--d->stacked];
		const struct ls_sketch_cell *c = &d->cells[cell];
		struct ls_sketch_item item = { .id = { .origin = c->sum[0], .serial = c->sum[1] }, .digest = c->sum[2] };
		u64 hash;

		d->on_stack[cell] = 0;
		if (!single(c))
			continue;
		hash = ls_sketch_item_hash(&d->key, &item);
		if (hash == c->hash)
			status = take_out(d, &item, hash, c->count);
	}
	return status;
}

/* With cell 0 empty every item has been found, so nothing may be left in the cells from `first` on. */
static enum ls_status finish(struct ls_sketch_decoder *d, u32 first)
{
	d->done = empty(&d->cells[0]);
	for (u32 i = first; d->done && i < d->fed; i++)
		if (!empty(&d->cells[i]))
			return LS_E_RECORD;
	return LS_OK;
}

enum ls_status ls_sketch_decoder_feed(struct ls_sketch_decoder *d, const struct ls_sketch_cell *cells, u32 n)
{
	u32 first = d->fed;

	if (d->status == LS_OK && n > d->cells_max - d->fed)
		d->status = LS_E_FULL;
	if (d->status != LS_OK || n == 0)
		return d->status;
	memcpy(&d->cells[first], cells, n * sizeof(*cells));
	d->fed += n;
	for (u32 i = first; i < d->fed; i++) {
		catch_up(d, i);
		look_at(d, i);
	}
	if (d->done)
		d->status = finish(d, first);
	else if ((d->status = peel(d)) == LS_OK)
		d->status = finish(d, 0);
	return d->status;
}

bool ls_sketch_decoder_done(const struct ls_sketch_decoder *d) { return d->status == LS_OK && d->done; }

u32 ls_sketch_decoder_cells(const struct ls_sketch_decoder *d) { return d->fed; }

void ls_sketch_decoder_items(const struct ls_sketch_decoder *d, const struct ls_sketch_item **plus, u32 *nplus, const struct ls_sketch_item **minus,
			     u32 *nminus)
{
	*plus = d->items;
	*nplus = d->nplus;
	*minus = d->items + (d->items_max - d->nminus);
	*nminus = d->nminus;
}
