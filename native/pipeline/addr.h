/* Addresses: IPv4 lives at its v4-mapped place (RFC 4291 2.5.5.2). */
#ifndef LOCKSTEP_PIPELINE_ADDR_H
#define LOCKSTEP_PIPELINE_ADDR_H

#include "bytes.h"
#include "lockstep/types.h"

LS_INLINE void ls_addr_from4(struct ls_addr *a, const u8 *four)
{
	a->d[0] = 0;
	a->d[1] = (u64)ls_load32(four) << 32 | ls_swap32(0xffff);
}

LS_INLINE bool ls_addr_is4(const struct ls_addr *a) { return a->d[0] == 0 && a->w[2] == ls_swap32(0xffff); }

LS_INLINE bool ls_addr_equal(const struct ls_addr *a, const struct ls_addr *b)
{
	return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}

LS_INLINE bool ls_addr_zero(const struct ls_addr *a) { return (a->d[0] | a->d[1]) == 0; }

/* Sum of the address words as they count in checksums. The mapped prefix of IPv4 is 0xffff, which is nothing in ones' complement. */
LS_INLINE u32 ls_addr_sum(const struct ls_addr *a)
{
	return ls_sum_words(a->b, 8);
}

#endif
