/* Binary search over elementary intervals of addresses: the classifiers and the route table share it. */
#ifndef LOCKSTEP_PIPELINE_INTERVAL_H
#define LOCKSTEP_PIPELINE_INTERVAL_H

#include "bytes.h"

/* a <= b as 128-bit big-endian numbers: 1 or 0. */
LS_INLINE u32 ls_addr_le(const struct ls_addr *a, const struct ls_addr *b)
{
	u32 lower = ls_less64(__builtin_bswap64(b->d[1]), __builtin_bswap64(a->d[1]));

	return 1 ^ (ls_less64(__builtin_bswap64(b->d[0]), __builtin_bswap64(a->d[0])) | (ls_zero64(a->d[0] ^ b->d[0]) & lower));
}

/* Index of the last start that is <= value; start[0] is zero, so there is one. */
LS_INLINE u32 ls_interval_addr(const struct ls_addr *start, u32 count, u32 steps, u32 bound, const struct ls_addr *value)
{
	u32 low = 0, high = count;

	for (u32 i = 0; i < steps; i++) {
		u32 middle = (low + high) / 2, le;

		LS_OPAQUE(middle);
		if (middle <= low || middle >= bound)
			break;
		le = ls_addr_le(&start[middle], value);
		low = ls_pick(le, middle, low);
		high = ls_pick(le, high, middle);
	}
	LS_OPAQUE(low);
	return low < bound ? low : 0;
}

#endif
