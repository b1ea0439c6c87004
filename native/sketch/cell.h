/* One item in one cell, shared by building and decoding. */
#ifndef LOCKSTEP_SKETCH_CELL_H
#define LOCKSTEP_SKETCH_CELL_H

#include <string.h>

#include "sketch/siphash.h"
#include "sketch/sketch.h"
#include "sketch/walk.h"

/* An item with its hash as the 32 bytes that a cell takes in: two vectors. */
struct ls_sketch_load {
	ls_s64x2 low, high;
};

LS_WALK_INLINE struct ls_sketch_load ls_sketch_loaded(const struct ls_sketch_item *item, u64 hash)
{
	return (struct ls_sketch_load){ { (s64)item->id.origin, (s64)item->id.serial }, { (s64)item->digest, (s64)hash } };
}

LS_ASSERT_OFFSET(struct ls_sketch_cell, hash, 24);

/* Counts wrap: those of a peer may be anything. */
LS_WALK_INLINE void ls_sketch_apply(struct ls_sketch_cell *c, const struct ls_sketch_load *load, s64 sign)
{
	ls_s64x2 low, high;

	memcpy(&low, c, 16);
	memcpy(&high, (u8 *)c + 16, 16); /* the end of the sum, and the hash behind it */
	low ^= load->low;
	high ^= load->high;
	memcpy(c, &low, 16);
	memcpy((u8 *)c + 16, &high, 16);
	c->count = (s64)((u64)c->count + (u64)sign);
}

LS_WALK_INLINE u64 ls_sketch_item_hash(const struct ls_sketch_key *key, const struct ls_sketch_item *item)
{
	return ls_siphash13_words(key->k, (const u64[3]){ item->id.origin, item->id.serial, item->digest }, 3);
}

#endif
