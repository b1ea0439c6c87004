/* A stats segment made by hand, as VPP would write it. What is allocated in it stays. */
#ifndef LOCKSTEP_TEST_STATS_SEGMENT_H
#define LOCKSTEP_TEST_STATS_SEGMENT_H

#include <string.h>

#include "backend/vpp/stats_map.h"

#define SEGMENT_BASE 0x7f1200045000ull
#define SEGMENT_ENTRY 144
#define SEGMENT_HEAP 64 /* behind the header; VPP begins a page in */

struct segment {
	u8 *map;
	u64 size, used;
	struct ls_stats stats; /* of a reader of `map` */
};

static inline void put64(struct segment *g, u64 pointer, u64 v) { LS_STORE((ls_u64a *)(g->map + (pointer - SEGMENT_BASE)), v); }
static inline void put32(struct segment *g, u64 pointer, u32 v) { LS_STORE((ls_u32a *)(g->map + (pointer - SEGMENT_BASE)), v); }
static inline u64 get64(const struct segment *g, u64 pointer) { return ls_stats_u64(g->map + (pointer - SEGMENT_BASE)); }
static inline void put_header(struct segment *g, u64 at, u64 v) { put64(g, SEGMENT_BASE + at, v); }

/* `room` bytes for a vector of `len` elements; VPP's pointer to the first. */
static inline u64 segment_vector(struct segment *g, u32 len, u64 room)
{
	u64 pointer = SEGMENT_BASE + g->used + LS_STATS_VECTOR_HEADER;

	g->used += LS_STATS_VECTOR_HEADER + (room + 7) / 8 * 8;
	put32(g, pointer - LS_STATS_VECTOR_HEADER, len);
	return pointer;
}

static inline void segment_init(struct segment *g, u8 *map, u64 size, u32 entries)
{
	*g = (struct segment){ .map = map, .size = size, .used = SEGMENT_HEAP };
	g->stats = (struct ls_stats){ .map = map, .size = size, .base = SEGMENT_BASE, .tries = 3, .wait_us = 10 };
	memset(map, 0, size);
	put_header(g, LS_STATS_VERSION_AT, 2);
	put_header(g, LS_STATS_BASE_AT, SEGMENT_BASE);
	put_header(g, LS_STATS_EPOCH_AT, 1);
	put_header(g, LS_STATS_DIRECTORY_AT, segment_vector(g, entries, (u64)entries * SEGMENT_ENTRY));
}

static inline u64 segment_entry(const struct segment *g, u32 index)
{
	return get64(g, SEGMENT_BASE + LS_STATS_DIRECTORY_AT) + (u64)index * SEGMENT_ENTRY;
}

/* Name of at most 128 bytes; what stood behind it stays. */
static inline void segment_name(struct segment *g, u32 index, const char *name)
{
	u8 *at = g->map + (segment_entry(g, index) + 16 - SEGMENT_BASE);
	size_t bytes = strlen(name);

	for (size_t i = 0; i <= bytes && i < LS_STATS_NAME; i++)
		LS_STORE(&at[i], (u8)name[i]);
}

static inline void segment_set(struct segment *g, u32 index, u32 type, const char *name, u64 word)
{
	put32(g, segment_entry(g, index), type);
	put64(g, segment_entry(g, index) + 8, word);
	segment_name(g, index, name);
}

static inline u64 segment_link(u32 index, u32 column)
{
	u32 both[2] = { index, column };
	u64 word;

	memcpy(&word, both, sizeof(word));
	return word;
}

/* Thread t's word i is first + 100 * t + i. */
static inline u64 segment_counters(struct segment *g, u32 threads, u32 columns, u32 width, u64 first)
{
	u64 all = segment_vector(g, threads, threads * 8ull);

	for (u32 t = 0; t < threads; t++) {
		u64 row = segment_vector(g, columns, (u64)columns * width * 8);

		put64(g, all + 8ull * t, row);
		for (u32 i = 0; i < columns * width; i++)
			put64(g, row + 8ull * i, first + 100ull * t + i);
	}
	return all;
}

/* NULL elements stay NULL. */
static inline u64 segment_names(struct segment *g, const char *const *names, u32 n)
{
	u64 all = segment_vector(g, n, n * 8ull);

	for (u32 i = 0; i < n; i++) {
		size_t bytes = names[i] ? strlen(names[i]) + 1 : 0;
		u64 name = names[i] ? segment_vector(g, (u32)bytes, bytes) : 0;

		if (name)
			memcpy(g->map + (name - SEGMENT_BASE), names[i], bytes);
		put64(g, all + 8ull * i, name);
	}
	return all;
}

#define SEGMENT_RING_METADATA 448
#define SEGMENT_RING_DATA 28

/* Two threads, 8 slots of 24 bytes, a schema of 4 bytes. */
static inline u64 segment_ring(struct segment *g)
{
	u32 header[7] = { 24, 8, 2, 4, 3, SEGMENT_RING_METADATA, SEGMENT_RING_DATA };
	u64 ring = segment_vector(g, 0, SEGMENT_RING_METADATA + 2 * 64 + 8);

	for (u32 i = 0; i < 7; i++)
		put32(g, ring + 4 * i, header[i]);
	for (u32 t = 0; t < 2; t++) {
		put32(g, ring + SEGMENT_RING_METADATA + 64 * t + 4, 3);
		put32(g, ring + SEGMENT_RING_METADATA + 64 * t + 16, SEGMENT_RING_METADATA + 128);
		put32(g, ring + SEGMENT_RING_METADATA + 64 * t + 20, 4);
	}
	put32(g, ring + SEGMENT_RING_METADATA + 128, 0x61766173);
	return ring;
}

/* One record whose words are all its own sequence. */
static inline void segment_produce(struct segment *g, u64 ring, u32 thread)
{
	u64 metadata = ring + SEGMENT_RING_METADATA + 64 * thread, sequence = get64(g, metadata + 8);
	u64 slot = ring + SEGMENT_RING_DATA + (thread * 8 + sequence % 8) * 24;

	LS_FENCE_REL();
	for (u32 i = 0; i < 6; i++)
		put32(g, slot + 4 * i, (u32)sequence);
	LS_STORE_REL((ls_u64a *)(g->map + (metadata + 8 - SEGMENT_BASE)), sequence + 1);
}

#endif
