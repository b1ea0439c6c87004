/* Binary search over elementary intervals of addresses: the classifiers and the route table share it. */
#ifndef LOCKSTEP_PIPELINE_INTERVAL_H
#define LOCKSTEP_PIPELINE_INTERVAL_H

#include "atomics.h"

/* a <= b as 128-bit big-endian numbers. */
LS_INLINE bool ls_addr_le(const struct ls_addr *a, const struct ls_addr *b)
{
	u64 ah = __builtin_bswap64(a->d[0]), bh = __builtin_bswap64(b->d[0]);

	return ah < bh || (ah == bh && __builtin_bswap64(a->d[1]) <= __builtin_bswap64(b->d[1]));
}

/* Index of the last start that is <= value; start[0] is zero, so there is one. Branches depend on data only. */
LS_INLINE u32 ls_interval_addr(const struct ls_addr *start, u32 count, u32 steps, u32 bound, const struct ls_addr *value)
{
	u32 low = 0, high = count;

	for (u32 i = 0; i < steps; i++) {
		u32 middle = (low + high) / 2;

		LS_OPAQUE(middle);
		if (middle <= low || middle >= bound)
			break;
		if (ls_addr_le(&start[middle], value))
			low = middle;
		else
			high = middle;
	}
	return low;
}

#endif
