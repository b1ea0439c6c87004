/* Byte order and 16-bit ones' complement sums without libc. Hosts are little-endian (asserted). */
#ifndef LOCKSTEP_PIPELINE_BYTES_H
#define LOCKSTEP_PIPELINE_BYTES_H

#include "atomics.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");

#define ls_swap16(x) __builtin_bswap16(x)
#define ls_swap32(x) __builtin_bswap32(x)

LS_INLINE u16 ls_get16(const u8 *p) { return (u16)((u16)p[0] << 8 | p[1]); }
LS_INLINE u32 ls_get32(const u8 *p) { return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]; }
LS_INLINE void ls_put16(u8 *p, u16 v) { p[0] = (u8)(v >> 8); p[1] = (u8)v; }
LS_INLINE void ls_put32(u8 *p, u32 v) { ls_put16(p, (u16)(v >> 16)); ls_put16(p + 2, (u16)v); }
LS_INLINE be16 ls_raw16(const u8 *p) { be16 v; __builtin_memcpy(&v, p, 2); return v; }
LS_INLINE void ls_set_raw16(u8 *p, be16 v) { __builtin_memcpy(p, &v, 2); }

/* Index of the lowest set bit; `v` is not 0. The BPF back end of clang 14 selects popcount, but not cttz; the barrier keeps the one from being
 * recognised as the other. */
LS_INLINE u32 ls_ctz(u64 v)
{
#ifdef __bpf__
	v = (v & (0 - v)) - 1;
	__asm__ volatile("" : "+r"(v));
	return (u32)__builtin_popcountll(v);
#else
	return (u32)__builtin_ctzll(v);
#endif
}

/* Equal: 1, else 0. These comparisons and ls_pick() have no branch under BPF, where each branch doubles what the verifier has to look at. */
LS_INLINE u32 ls_same32(u32 a, u32 b)
{
#ifdef __bpf__
	u64 d = a ^ b;

	LS_OPAQUE(d);
	return (u32)((d - 1) >> 63);
#else
	return a == b;
#endif
}

LS_INLINE u32 ls_zero64(u64 v)
{
#ifdef __bpf__
	LS_OPAQUE(v);
	return (u32)(~(v | (0 - v)) >> 63);
#else
	return v == 0;
#endif
}

/* a < b: 1 or 0. */
LS_INLINE u32 ls_less64(u64 a, u64 b)
{
#ifdef __bpf__
	LS_OPAQUE(a);
	return (u32)(((~a & b) | ((~a | b) & (a - b))) >> 63);
#else
	return a < b;
#endif
}

/* `first` when `one` is 1, `other` when it is 0. */
LS_INLINE u32 ls_pick(u32 one, u32 first, u32 other)
{
#ifdef __bpf__
	u32 mask = 0 - one;

	LS_OPAQUE(mask);
	return other ^ ((other ^ first) & mask);
#else
	return one ? first : other;
#endif
}

/* Sum of `n` 16-bit words as they lie in memory (byte order does not matter to ones' complement, RFC 1071 2(B)). */
LS_INLINE u32 ls_sum_words(const u8 *p, u32 n)
{
	u32 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum += ls_raw16(p + 2 * i);
	return sum;
}

LS_INLINE u16 ls_fold(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

/* RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'); `removed` and `added` are sums of words. */
LS_INLINE be16 ls_sum_update(be16 check, u32 removed, u32 added)
{
	return (be16)~ls_fold((u32)(u16)~check + (u32)(u16)~ls_fold(removed) + ls_fold(added));
}

#endif
