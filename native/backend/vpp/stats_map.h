/* From VPP's pointers to the mapping: the only place where an address found in the segment becomes one of ours. */
#ifndef LOCKSTEP_VPP_STATS_MAP_H
#define LOCKSTEP_VPP_STATS_MAP_H

#include "backend/vpp/stats.h"
#include "pipeline/atomics.h"

/* The header, at offset 0, in host order. */
#define LS_STATS_VERSION_AT 0
#define LS_STATS_BASE_AT 8
#define LS_STATS_EPOCH_AT 16
#define LS_STATS_IN_PROGRESS_AT 24
#define LS_STATS_DIRECTORY_AT 32
#define LS_STATS_ERRORS_AT 40 /* VPP 22.02 and older: a pointer; zero since */
#define LS_STATS_HEADER_BYTES 48

#define LS_STATS_VECTOR_HEADER 8 /* u32 length, then what only VPP needs */

struct ls_stats_vector {
	const u8 *at;
	u32 len;
};

static inline u64 ls_stats_u64(const u8 *at) { return LS_LOAD((const ls_u64a *)at); }
static inline u32 ls_stats_u32(const u8 *at) { return LS_LOAD((const ls_u32a *)at); }

/* `bytes` bytes at VPP's pointer. NULL: not all of them are inside, or not where VPP would have put them: what it allocates is aligned to 8. */
static inline const u8 *ls_stats_at(const struct ls_stats *s, u64 pointer, u64 bytes)
{
	u64 offset = pointer - s->base;

	if (pointer <= s->base || offset > s->size || bytes > s->size - offset || offset % 8)
		return NULL;
	return s->map + offset;
}

/* A vector of elements of `bytes` bytes, as long as it says and the mapping allows. The length is read now: vectors grow in place. */
static inline bool ls_stats_vector(const struct ls_stats *s, u64 pointer, u32 bytes, struct ls_stats_vector *v)
{
	const u8 *header = ls_stats_at(s, pointer - LS_STATS_VECTOR_HEADER, LS_STATS_VECTOR_HEADER);
	u64 fits;

	if (!header)
		return false;
	v->at = header + LS_STATS_VECTOR_HEADER;
	fits = (u64)(s->map + s->size - v->at) / bytes;
	v->len = ls_stats_u32(header);
	if (v->len > fits)
		v->len = (u32)fits;
	return true;
}

#endif
