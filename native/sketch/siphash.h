/* SipHash (Aumasson and Bernstein, INDOCRYPT 2012): a keyed 64-bit hash. Whoever does not know the key cannot choose inputs that collide, or whose hashes
 * cancel in a sum; the sketch rests on that, as addresses and ports are chosen by strangers.
 *
 * 1-3 (one round a word, three at the end) is what Linux, Rust and Python use for their tables. Pure functions, any thread.
 */
#ifndef LOCKSTEP_SKETCH_SIPHASH_H
#define LOCKSTEP_SKETCH_SIPHASH_H

#include <string.h>

#include "lockstep/types.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read as they lie in memory: little-endian hosts only"
#endif

#define LS_SIP_INLINE static inline __attribute__((always_inline))

struct ls_sip {
	u64 v[4];
};

LS_SIP_INLINE u64 ls_sip_rotate(u64 x, u32 by) { return x << by | x >> (64 - by); }

LS_SIP_INLINE void ls_sip_rounds(struct ls_sip *s, u32 rounds)
{
	u64 a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];

	for (u32 i = 0; i < rounds; i++) {
		a += b;
		c += d;
		b = ls_sip_rotate(b, 13) ^ a;
		d = ls_sip_rotate(d, 16) ^ c;
		a = ls_sip_rotate(a, 32);
		c += b;
		a += d;
		b = ls_sip_rotate(b, 17) ^ c;
		d = ls_sip_rotate(d, 21) ^ a;
		c = ls_sip_rotate(c, 32);
	}
	*s = (struct ls_sip){ { a, b, c, d } };
}

LS_SIP_INLINE struct ls_sip ls_sip_begin(const u64 key[2])
{
	return (struct ls_sip){ { key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL } };
}

LS_SIP_INLINE void ls_sip_word(struct ls_sip *s, u64 word, u32 rounds)
{
	s->v[3] ^= word;
	ls_sip_rounds(s, rounds);
	s->v[0] ^= word;
}

/* `last`: the bytes that fill no word, and the length in the top byte. */
LS_SIP_INLINE u64 ls_sip_end(struct ls_sip *s, u64 last, u32 rounds, u32 final_rounds)
{
	ls_sip_word(s, last, rounds);
	s->v[2] ^= 0xff;
	ls_sip_rounds(s, final_rounds);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

/* SipHash-c-d of `n` bytes at any alignment; rounds are constants at every call, so that each pair becomes code of its own. */
LS_SIP_INLINE u64 ls_siphash(const u64 key[2], const void *bytes, u32 n, u32 rounds, u32 final_rounds)
{
	struct ls_sip s = ls_sip_begin(key);
	u64 word, last = (u64)n << 56;
	u32 at = 0;

	for (; n - at >= 8; at += 8) {
		memcpy(&word, (const u8 *)bytes + at, 8);
		ls_sip_word(&s, word, rounds);
	}
	for (u32 shift = 0; at < n; at++, shift += 8)
		last |= (u64)((const u8 *)bytes)[at] << shift;
	return ls_sip_end(&s, last, rounds, final_rounds);
}

LS_SIP_INLINE u64 ls_siphash13(const u64 key[2], const void *bytes, u32 n) { return ls_siphash(key, bytes, n, 1, 3); }

/* The same of `n` whole words: no tail, and with a constant `n` no loop. */
LS_SIP_INLINE u64 ls_siphash13_words(const u64 key[2], const u64 *words, u32 n)
{
	struct ls_sip s = ls_sip_begin(key);

	for (u32 i = 0; i < n; i++)
		ls_sip_word(&s, words[i], 1);
	return ls_sip_end(&s, (u64)n << 59, 1, 3);
}

#endif
