/* Sketches of the set of sessions: what two nodes compare to prove that they hold the same, and by which they find what differs at a cost that grows with
 * the difference, not with the set (rateless invertible Bloom lookup tables: Yang, Gilad and Alizadeh, SIGCOMM 2024; docs/design/0009).
 *
 * An item is a session's id and a digest of its replicated fields. Each item is in some cells of an endless row (walk.h); a cell holds the XOR of its items,
 * the XOR of their keyed hashes, and how many. Everything is linear: cells of A minus cells of B are the cells of what differs, +1 for what only A has, -1 for
 * what only B has. A cell of the difference with one item left gives that item away; taken out of its other cells, it uncovers more.
 * Cell 0 holds every item: two sets are equal when their cells 0 are, with an error of 2^-64.
 *
 * Pure functions and one object, which belongs to the thread that calls it. `cells` always points to the cell `from`, whether or not cells lie before it.
 * Indexes below LS_SKETCH_CELLS_MAX.
 */
#ifndef LOCKSTEP_SKETCH_SKETCH_H
#define LOCKSTEP_SKETCH_SKETCH_H

#include "lockstep/codes.h"
#include "lockstep/session.h"
#include "lockstep/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_SKETCH_CELLS_MAX (1u << 31)

struct ls_sketch_item {
	struct ls_session_id id;
	u64 digest; /* of what is replicated, never of counters or times */
};
LS_ASSERT_SIZE(struct ls_sketch_item, 24);

struct ls_sketch_cell {
	u64 sum[3]; /* XOR of the items */
	u64 hash;   /* XOR of their hashes */
	s64 count;
};
LS_ASSERT_SIZE(struct ls_sketch_cell, 40);

/* Secret, random, equal on both sides: sums of a known hash can be made to cancel by whoever chooses tuples. */
struct ls_sketch_key {
	u64 k[2];
};
LS_ASSERT_SIZE(struct ls_sketch_key, 16);

/* --- cells: sketch.c ------------------------------------------------------------------------------------------------------------------------ */

/* SipHash-1-3 of the 24 bytes. */
u64 ls_sketch_hash(const struct ls_sketch_key *key, const struct ls_sketch_item *item);

/* Does this build draw the published cells? LS_OK or LS_E_BUG: then sketches of this host are not those of others. Microseconds; once at start. */
enum ls_status ls_sketch_self_test(void);

/* Adds (sign 1) or removes (-1) an item in cells [from, m); cells[m - from]. A changed item is its old self removed and its new self added. */
void ls_sketch_update(struct ls_sketch_cell *cells, u32 from, u32 m, const struct ls_sketch_key *key, const struct ls_sketch_item *item, s64 sign);

/* The same for `n` items, quicker than one by one. Order does not matter, so mixed changes are two calls. */
void ls_sketch_update_batch(struct ls_sketch_cell *cells, u32 from, u32 m, const struct ls_sketch_key *key, const struct ls_sketch_item *items, u64 n,
			    s64 sign);

/* a -= b, cell by cell. */
void ls_sketch_subtract(struct ls_sketch_cell *a, const struct ls_sketch_cell *b, u64 n);

/* --- items out of a difference: decode.c ---------------------------------------------------------------------------------------------------- */
struct ls_sketch_decoder;

/* For at most `items_max` items (1 to 2^30) out of `cells_max` cells (1 to LS_SKETCH_CELLS_MAX). Reserves up to 72 B an item and 49 B a cell of address
 * space; memory is taken as it is used. LS_E_INVALID: a maximum outside its range. LS_E_NOMEM. */
enum ls_status ls_sketch_decoder_new(const struct ls_sketch_key *key, u32 items_max, u32 cells_max, struct ls_sketch_decoder **out);
void ls_sketch_decoder_free(struct ls_sketch_decoder *d);

/* Takes the next `n` cells of the difference (indexes go on where the last call ended; `cells` is copied) and finds what they give away.
 * The cells may come from anywhere. Work is bounded by items_max walks over cells_max cells. Any error is final: further calls give it again.
 * LS_E_FULL: more cells or items than the maximum. LS_E_RECORD: no difference of two sets under this key: an item is there twice, or something is left when
 * every item has been found. */
enum ls_status ls_sketch_decoder_feed(struct ls_sketch_decoder *d, const struct ls_sketch_cell *cells, u32 n);

/* Is everything found? Never before the first cell and never after an error. Not done and no error: more cells are needed. */
bool ls_sketch_decoder_done(const struct ls_sketch_decoder *d);

u32 ls_sketch_decoder_cells(const struct ls_sketch_decoder *d); /* fed so far */

/* What was found so far, each item once: `plus` is only in the set that was subtracted from, `minus` only in the other. Believe it when all is found, and
 * look every item of the own side up even then: a peer can make up a difference. The decoder's memory, until it is freed; the next feed may add. */
void ls_sketch_decoder_items(const struct ls_sketch_decoder *d, const struct ls_sketch_item **plus, u32 *nplus, const struct ls_sketch_item **minus,
			     u32 *nminus);

/* How many cells to ask for next, after `fed`, of at most `cells_max`; 0: no more, as the counts differ by more than `cells_max` or that many were fed. The
 * first are 3/2 of the difference of the counts, which is the least that can differ, and at least 64; then half as many again as were fed. Cells needed for
 * each differing item, means of 300 to 20 000 runs (10 000: of 20):
 *
 *   differences   2    4    8    16   32   64   128  256  1024 10000
 *   cells each   1.58 1.74 1.74 1.66 1.57 1.49 1.44 1.41 1.38 1.36 */
u32 ls_sketch_plan(u64 n_ours, u64 n_theirs, u32 fed, u32 cells_max);

/* --- cells as bytes: pack.c ------------------------------------------------------------------------------------------------------------------ */
#define LS_SKETCH_PACKED_MIN 33 /* bytes a cell */
#define LS_SKETCH_PACKED_MAX 42
#define LS_SKETCH_ITEMS_MAX (1ULL << 32)

/* Packs cells of a set (not of a difference) with `items_total` items, up to LS_SKETCH_ITEMS_MAX, which the receiver must know. Each cell: sum 24 B, hash 8 B,
 * little-endian, then a varint (LEB128) of the zigzag of count - round(items_total / (1 + i/2)), halves up.
 * The bytes written; 0: more than `max`, n * LS_SKETCH_PACKED_MAX is always enough. */
u64 ls_sketch_pack(const struct ls_sketch_cell *cells, u32 from, u32 n, u64 items_total, u8 *out, u64 max);

/* The reverse into cells[n]. The bytes may come from anywhere. LS_E_RECORD: not exactly `n` cells, a varint longer than it need be, a count below 0 or above
 * `items_total`, or that above LS_SKETCH_ITEMS_MAX; `cells` then holds rubbish. */
enum ls_status ls_sketch_unpack(const u8 *bytes, u64 len, u32 from, u32 n, u64 items_total, struct ls_sketch_cell *cells);

#ifdef __cplusplus
}
#endif

#endif
