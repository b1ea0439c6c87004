/* Byte order and 16-bit ones' complement sums without libc. Hosts are little-endian (asserted). */
#ifndef LOCKSTEP_PIPELINE_BYTES_H
#define LOCKSTEP_PIPELINE_BYTES_H

#include "atomics.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");

#define ls_swap16(x) __builtin_bswap16(x)
#define ls_swap32(x) __builtin_bswap32(x)

/* Words at any address. BPF would take memcpy() for a loop over bytes, though its hosts load words from anywhere. */
#ifdef __bpf__
LS_INLINE u16 ls_load16(const u8 *p) { return *(const ls_u16a *)p; }
LS_INLINE u32 ls_load32(const u8 *p) { return *(const ls_u32a *)p; }
LS_INLINE u64 ls_load64(const u8 *p) { return *(const ls_u64a *)p; }
LS_INLINE void ls_store16(u8 *p, u16 v) { *(ls_u16a *)p = v; }
LS_INLINE void ls_store32(u8 *p, u32 v) { *(ls_u32a *)p = v; }
LS_INLINE void ls_store64(u8 *p, u64 v) { *(ls_u64a *)p = v; }
#else
LS_INLINE u16 ls_load16(const u8 *p) { u16 v; __builtin_memcpy(&v, p, 2); return v; }
LS_INLINE u32 ls_load32(const u8 *p) { u32 v; __builtin_memcpy(&v, p, 4); return v; }
LS_INLINE u64 ls_load64(const u8 *p) { u64 v; __builtin_memcpy(&v, p, 8); return v; }
LS_INLINE void ls_store16(u8 *p, u16 v) { __builtin_memcpy(p, &v, 2); }
LS_INLINE void ls_store32(u8 *p, u32 v) { __builtin_memcpy(p, &v, 4); }
LS_INLINE void ls_store64(u8 *p, u64 v) { __builtin_memcpy(p, &v, 8); }
#endif

LS_INLINE u16 ls_get16(const u8 *p) { return ls_swap16(ls_load16(p)); }
LS_INLINE u32 ls_get32(const u8 *p) { return ls_swap32(ls_load32(p)); }
LS_INLINE void ls_put16(u8 *p, u16 v) { ls_store16(p, ls_swap16(v)); }
LS_INLINE void ls_put32(u8 *p, u32 v) { ls_store32(p, ls_swap32(v)); }
LS_INLINE be16 ls_raw16(const u8 *p) { return ls_load16(p); }
LS_INLINE void ls_set_raw16(u8 *p, be16 v) { ls_store16(p, v); }

/* An Ethernet address, an IPv4 address, an IPv6 address. */
LS_INLINE void ls_copy6(u8 *to, const u8 *from) { ls_store32(to, ls_load32(from)); ls_store16(to + 4, ls_load16(from + 4)); }
LS_INLINE void ls_copy4(void *to, const void *from) { ls_store32(to, ls_load32(from)); }
LS_INLINE void ls_copy16(u8 *to, const u8 *from)
{
	u64 low = ls_load64(from), high = ls_load64(from + 8);

	ls_store64(to, low);
	ls_store64(to + 8, high);
}
LS_INLINE bool ls_same6(const u8 *a, const u8 *b) { return ls_load32(a) == ls_load32(b) && ls_load16(a + 4) == ls_load16(b + 4); }

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

/* Sum of `n` 16-bit words as they lie in memory (byte order does not matter to ones' complement, RFC 1071 2(B)), two at a time; 0 only of zeros. */
LS_INLINE u32 ls_sum_words(const u8 *p, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i + 2 <= n; i += 2)
		sum += ls_load32(p + 2 * i);
	if (n & 1)
		sum += ls_load16(p + 2 * (n - 1));
	return (u32)((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32));
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
