/* Proof and repair: the sketch of a place in the stream, and what two of them differ in. */
#include "sync/replica.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/create_user.h"

enum ls_status ls_replica_cut(struct ls_replica *r, u32 rg, struct ls_frame_cut *cut)
{
	enum ls_status status = LS_OK;
	struct ls_sync_group *g;

	if (rg >= LS_RGS_MAX)
		return LS_E_INVALID;
	pthread_mutex_lock(&r->lock);
	g = &r->group[rg];
	if (g->counted_at < r->t->env.slots || r->waits) {
		status = LS_E_BUSY;
	} else if (g->cut_room < g->m) {
		struct ls_sketch_cell *room = realloc(g->cut, sizeof(*room) * g->m);

		if (room) {
			g->cut = room;
			g->cut_room = g->m;
		} else {
			status = LS_E_NOMEM;
		}
	}
	if (status == LS_OK) {
		ls_sync_flush(g);
		memcpy(g->cut, g->cells, sizeof(*g->cut) * g->m);
		g->cut_cells = g->m;
		g->cut_items = g->items;
		*cut = (struct ls_frame_cut){ .items = g->items, .sum = { g->cut[0].sum[0], g->cut[0].sum[1], g->cut[0].sum[2] }, .hash = g->cut[0].hash, .cells = g->m,
			.audit_age_ns = ~0ULL, .key = { g->key.k[0], g->key.k[1] } };
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

u32 ls_replica_cut_cells(const struct ls_replica *r, u32 rg) { return rg < LS_RGS_MAX ? r->group[rg].cut_cells : 0; }

u64 ls_replica_cells(struct ls_replica *r, u32 rg, u32 from, u32 n, u8 *out, u64 max)
{
	const struct ls_sync_group *g;

	if (rg >= LS_RGS_MAX)
		return 0;
	g = &r->group[rg];
	if (n == 0 || from >= g->cut_cells || n > g->cut_cells - from)
		return 0;
	return ls_sketch_pack(g->cut + from, from, n, g->cut_items, out, max);
}

enum ls_status ls_replica_compare(struct ls_replica *r, u32 rg, u64 items)
{
	struct ls_sync_group *g;

	if (rg >= LS_RGS_MAX || r->group[rg].cut_cells == 0)
		return LS_E_INVALID;
	g = &r->group[rg];
	if (g->decoder)
		ls_sketch_decoder_free(g->decoder);
	g->decoder = NULL;
	g->peer_items = items;
	g->fed = 0;
	g->spread = g->weight = 0;
	g->needed = g->gone_n = 0;
	return ls_sketch_decoder_new(&g->key, g->cut_cells, g->cut_cells, &g->decoder); /* a cell gives at most one item away */
}

/* A difference is in cell i with probability p = 1 / (1 + i/2) and adds +1 or -1 to its count: counts have the mean p * (theirs - ours), and the variance
 * p * (1 - p) for each difference. So counts tell how many differ long before the cells give them away. */
static void weigh(struct ls_sync_group *g, const struct ls_sketch_cell *difference, u32 n)
{
	double surplus = (double)g->peer_items - (double)g->cut_items;

	for (u32 i = 0; i < n; i++) {
		double p = 1 / (1 + (g->fed + i) / 2.0), off = (double)difference[i].count - p * surplus;

		g->spread += off * off;
		g->weight += p * (1 - p);
	}
}

static u64 guess_of(const struct ls_sync_group *g)
{
	double all = (double)g->peer_items + (double)g->cut_items, guess = g->weight > 0 ? g->spread / g->weight : 0;

	return (u64)(guess < all ? guess : all);
}

enum ls_compare ls_replica_compare_cells(struct ls_replica *r, u32 rg, const u8 *packed, u64 bytes, u32 n, u64 *found, u64 *guess)
{
	struct ls_sync_group *g = &r->group[rg];
	struct ls_sketch_cell *cells;
	enum ls_compare result = LS_COMPARE_FAILED;

	*found = *guess = 0;
	if (rg >= LS_RGS_MAX || !g->decoder || n == 0 || g->fed > g->cut_cells || n > g->cut_cells - g->fed)
		return LS_COMPARE_FAILED;
	cells = malloc(sizeof(*cells) * n);
	if (cells && ls_sketch_unpack(packed, bytes, g->fed, n, g->peer_items, cells) == LS_OK) {
		ls_sketch_subtract(cells, g->cut + g->fed, n);
		weigh(g, cells, n);
		if (ls_sketch_decoder_feed(g->decoder, cells, n) == LS_OK) {
			g->fed += n;
			result = ls_sketch_decoder_done(g->decoder) ? LS_COMPARE_DONE : LS_COMPARE_MORE;
		}
	}
	free(cells);
	{
		const struct ls_sketch_item *plus, *minus;
		u32 n_plus, n_minus;

		ls_sketch_decoder_items(g->decoder, &plus, &n_plus, &minus, &n_minus);
		*found = (u64)n_plus + n_minus;
		*guess = guess_of(g);
	}
	return result;
}

static int by_id(const void *a, const void *b)
{
	const struct ls_session_id *x = a, *y = b;

	if (x->origin != y->origin)
		return x->origin < y->origin ? -1 : 1;
	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

/* What the peer has and we have otherwise is on both sides, under one id: sent again, it is refreshed. What only we have goes, unless it came since. */
enum ls_status ls_replica_compare_end(struct ls_replica *r, u32 rg, u64 *needed, u64 *extra)
{
	struct ls_sync_group *g = &r->group[rg];
	const struct ls_sketch_item *plus, *minus;
	u32 n_plus, n_minus;

	*needed = *extra = 0;
	if (rg >= LS_RGS_MAX || !g->decoder || !ls_sketch_decoder_done(g->decoder))
		return LS_E_INVALID;
	ls_sketch_decoder_items(g->decoder, &plus, &n_plus, &minus, &n_minus);
	free(g->need);
	free(g->gone);
	g->need = malloc(sizeof(*g->need) * (n_plus + 1));
	g->gone = malloc(sizeof(*g->gone) * (n_minus + 1));
	g->needed = g->gone_n = 0;
	if (!g->need || !g->gone)
		return LS_E_NOMEM;
	for (u32 i = 0; i < n_plus; i++)
		g->need[i] = plus[i].id;
	g->needed = n_plus;
	qsort(g->need, n_plus, sizeof(*g->need), by_id);
	pthread_mutex_lock(&r->lock);
	for (u32 i = 0; i < n_minus; i++) {
		u32 slot, gen;

		if (bsearch(&minus[i].id, g->need, n_plus, sizeof(*g->need), by_id))
			continue;
		slot = ls_sync_find(r, &minus[i].id, ls_sync_hash(r, &minus[i].id));
		if (slot == LS_SLOT_NONE || r->shadow[slot].rg != rg || r->shadow[slot].item.digest != minus[i].digest)
			continue;
		ls_sync_forget(r, slot);
		if (!ls_sync_holds(r, slot, &minus[i].id, rg, &gen))
			continue; /* it went here by itself; who has the slot now is another */
		ls_sync_doom(r, slot, gen, LS_CLOSE_RECONCILE);
		g->gone[g->gone_n++] = minus[i].id;
	}
	pthread_mutex_unlock(&r->lock);
	*needed = n_plus;
	*extra = g->gone_n;
	ls_sketch_decoder_free(g->decoder);
	g->decoder = NULL;
	return LS_OK;
}

static u32 ids_of(const struct ls_session_id *ids, u32 n, u32 from, struct ls_session_id *out, u32 max)
{
	if (from >= n)
		return 0;
	n = n - from < max ? n - from : max;
	memcpy(out, ids + from, sizeof(*out) * n);
	return n;
}

u32 ls_replica_need(const struct ls_replica *r, u32 rg, u32 from, struct ls_session_id *out, u32 max)
{
	return rg < LS_RGS_MAX ? ids_of(r->group[rg].need, r->group[rg].needed, from, out, max) : 0;
}

u32 ls_replica_gone(const struct ls_replica *r, u32 rg, u32 from, struct ls_session_id *out, u32 max)
{
	return rg < LS_RGS_MAX ? ids_of(r->group[rg].gone, r->group[rg].gone_n, from, out, max) : 0;
}

void ls_replica_bulk_begin(struct ls_replica *r) { ls_bulk_begin(r->t); }

/* What the bulk did not bring goes: what was installed, and what was here before anything was counted. */
u64 ls_replica_bulk_end(struct ls_replica *r, u32 rg)
{
	u64 stale = 0, now = ls_clock_ns();

	if (rg >= LS_RGS_MAX)
		return 0;
	pthread_mutex_lock(&r->lock);
	for (u32 slot = 0; slot < r->t->env.slots; slot++) {
		struct ls_wire_record record;
		struct ls_session_id id;
		u32 gen;

		if (LS_LOAD(&r->t->marks[slot / 64]) >> (slot % 64) & 1)
			continue;
		gen = LS_LOAD_ACQ(&r->t->env.sessions[slot].gen);
		if (r->shadow[slot].used ? r->shadow[slot].rg != rg : !(gen & 1) || !ls_sync_read(r, slot, now, &record) || record.rg != rg)
			continue;
		id = r->shadow[slot].used ? r->shadow[slot].item.id : record.id;
		ls_sync_forget(r, slot);
		if (!ls_sync_holds(r, slot, &id, rg, &gen))
			continue;
		ls_sync_doom(r, slot, gen, LS_CLOSE_RECONCILE);
		stale++;
	}
	pthread_mutex_unlock(&r->lock);
	return stale;
}
