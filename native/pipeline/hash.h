/* The index hash: NH over the ten words of the tuple and a 64-bit finaliser, secret key per table (R10).
 *
 * NH is almost universal: two tuples collide in the 64-bit sum with probability at most 2^-32 for whoever cannot see the key
 * (Black et al., UMAC, CRYPTO 1999). SipHash would cost 40 ns a packet under BPF, which has no rotate.
 */
#ifndef LOCKSTEP_PIPELINE_HASH_H
#define LOCKSTEP_PIPELINE_HASH_H

#include "bytes.h"
#include "lockstep/table.h"

struct ls_hash {
	u32 bucket; /* first candidate */
	u32 tag;    /* never 0 */
};

LS_INLINE u64 ls_mix64(u64 h)
{
	h ^= h >> 32;
	h *= 0xbf58476d1ce4e5b9ULL;
	h ^= h >> 29;
	h *= 0x94d049bb133111ebULL;
	h ^= h >> 32;
	return h;
}

LS_INLINE struct ls_hash ls_hash_key(const struct ls_hash_key *k, const struct ls_key *key, u32 mask)
{
	const ls_u32a *w = (const ls_u32a *)key;
	u64 h = 0;

	for (u32 i = 0; i < 10; i += 2)
		h += (u64)(u32)(w[i] + k->nh[i]) * (u32)(w[i + 1] + k->nh[i + 1]);
	h = ls_mix64(h * k->mul + k->add);
	return (struct ls_hash){ .bucket = (u32)h & mask, .tag = (u32)(h >> 32) ? (u32)(h >> 32) : 1 };
}

/* A hash as one number, for functions that take numbers only. */
LS_INLINE u64 ls_hash_pack(struct ls_hash h) { return (u64)h.tag << 32 | h.bucket; }
LS_INLINE struct ls_hash ls_hash_unpack(u64 h) { return (struct ls_hash){ .bucket = (u32)h, .tag = (u32)(h >> 32) }; }

/* The other candidate; an involution for a given tag, and never the first (R2). */
LS_INLINE u32 ls_other_bucket(u32 bucket, u32 tag, u32 mask)
{
	u32 d = (tag * 0x5bd1e995u >> 3) & mask;

	return bucket ^ (d ? d : 1);
}

/* Unkeyed hash that places a flow on a Maglev ring: every node must choose the same real, so no secret goes in. */
LS_INLINE u32 ls_ring_hash(const struct ls_key *key, bool source_only)
{
	const ls_u32a *w = (const ls_u32a *)key;
	u64 h = 0x9e3779b97f4a7c15ULL;

	for (u32 i = 0; i < 4; i++)
		h = (h ^ w[i]) * 0xff51afd7ed558ccdULL;
	if (!source_only)
		for (u32 i = 4; i < 10; i++)
			h = (h ^ w[i]) * 0xff51afd7ed558ccdULL;
	return (u32)(ls_mix64(h) >> 16);
}

#endif
