/* The keyed index: two candidate buckets of eight entries, tag and reference in one u64, changed by CAS only.
 *
 * find   (anyone)   at most two bucket lines, then the record; compares the whole tuple and re-checks `gen`
 * place  (creator)  into the first bucket, or the emptier once that is half full; CAS from empty
 * clear  (creator on undo, freer)  CAS from the entry to empty
 * Under BPF all but the first guess are functions of their own: inlined scans exceed the verifier's budget.
 */
#ifndef LOCKSTEP_PIPELINE_INDEX_H
#define LOCKSTEP_PIPELINE_INDEX_H

#include "hash.h"
#include "port.h"

#define LS_REF_NONE 0xffffffffu
#define LS_SLOT_NONE 0x7fffffffu

LS_INLINE const struct ls_key *ls_key_of(const struct ls_session *s, u32 dir)
{
	return dir == LS_REPLY ? &s->reply : &s->key;
}

/* `shared` may be rewritten meanwhile: the caller re-checks the generation. */
LS_INLINE bool ls_key_equal(const struct ls_key *shared, const struct ls_key *key)
{
	const ls_u64a *a = (const ls_u64a *)shared, *b = (const ls_u64a *)key;

	return ((LS_LOAD(&a[0]) ^ b[0]) | (LS_LOAD(&a[1]) ^ b[1]) | (LS_LOAD(&a[2]) ^ b[2]) | (LS_LOAD(&a[3]) ^ b[3]) |
		(LS_LOAD(&a[4]) ^ b[4])) == 0;
}

LS_INLINE u32 ls_bucket_matches(const struct ls_bucket *b, u32 tag)
{
	u32 bits = 0;

#pragma GCC unroll 8
	for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
		bits |= ls_same32(LS_ENTRY_TAG(LS_LOAD(&b->entry[i])), tag) << i;
	return bits;
}

LS_INLINE u32 ls_bucket_empties(const struct ls_bucket *b)
{
	u32 bits = 0;

#pragma GCC unroll 8
	for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
		bits |= ls_zero64(LS_LOAD(&b->entry[i])) << i;
	return bits;
}

/* First entry of one bucket that names `key` in a slot other than `except`; sets the generation compared. */
LS_INLINE u32 ls_bucket_find(const struct ls_env *e, u32 bucket, u32 tag, const struct ls_key *key, u32 except, u32 *gen)
{
	const struct ls_bucket *b = port_bucket(e, bucket);
	u32 bits;

	if (!b)
		return LS_REF_NONE;
	bits = ls_bucket_matches(b, tag);
	for (u32 n = 0; n < LS_BUCKET_ENTRIES && bits; n++) {
		u32 i = ls_ctz(bits), ref, g;
		u64 entry;
		const struct ls_session *s;

		bits &= bits - 1;
		entry = LS_LOAD_ACQ(&b->entry[i & (LS_BUCKET_ENTRIES - 1)]);
		ref = LS_ENTRY_REF(entry);
		if (LS_ENTRY_TAG(entry) != tag || LS_REF_SLOT(ref) == except)
			continue;
		s = port_session(e, LS_REF_SLOT(ref));
		if (!s)
			continue;
		g = LS_LOAD_ACQ(&s->gen);
		if (!(g & 1) || !ls_key_equal(ls_key_of(s, LS_REF_DIR(ref)), key))
			continue;
		LS_FENCE_ACQ();
		if (LS_LOAD(&s->gen) != g)
			continue;
		*gen = g;
		return ref;
	}
	return LS_REF_NONE;
}

LS_PART u32 ls_index_find_at(const struct ls_env *e, u64 hash, const struct ls_key *key, u32 except, u32 *gen)
{
	struct ls_hash h = ls_hash_unpack(hash);
	u32 bucket = h.bucket, ref = LS_REF_NONE;

	LS_GIVEN(e && key && gen);
	for (u32 n = 0; n < 2 && ref == LS_REF_NONE; n++) {
		ref = ls_bucket_find(e, bucket, h.tag, key, except, gen);
		bucket = ls_other_bucket(h.bucket, h.tag, port_bucket_mask(e));
	}
	return ref;
}

/* Reference of the session that holds `key` in either direction, not counting slot `except`; LS_REF_NONE if none. */
LS_INLINE u32 ls_index_find(const struct ls_env *e, struct ls_hash h, const struct ls_key *key, u32 except, u32 *gen)
{
	return ls_index_find_at(e, ls_hash_pack(h), key, except, gen);
}

#define LS_REF_UNSURE 0xfffffffeu /* a tag is there, the tuple is not behind it: ls_index_find() knows */

/* Takes the first entry with this tag for the one that is asked for. The session and its *ref and *gen; or NULL, and *ref is LS_REF_NONE or LS_REF_UNSURE. */
LS_INLINE struct ls_session *ls_index_first(const struct ls_env *e, struct ls_hash h, const struct ls_key *key, u32 *ref, u32 *gen)
{
	u32 bucket = h.bucket;
	struct ls_session *s;
	u64 entry;

	*ref = LS_REF_NONE;
#pragma GCC unroll 2
	for (u32 n = 0; n < 2; n++) {
		const struct ls_bucket *b = port_bucket(e, bucket);

		if (!b)
			return NULL;
#pragma GCC unroll 8
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++) {
			entry = LS_LOAD_ACQ(&b->entry[i]);
			if (LS_ENTRY_TAG(entry) == h.tag)
				goto found;
		}
		bucket = ls_other_bucket(h.bucket, h.tag, port_bucket_mask(e));
	}
	return NULL;
found:
	*ref = LS_REF_UNSURE;
	s = port_session(e, LS_REF_SLOT(LS_ENTRY_REF(entry)));
	if (!s)
		return NULL;
	*gen = LS_LOAD_ACQ(&s->gen);
	if (!(*gen & 1) || !ls_key_equal(ls_key_of(s, LS_REF_DIR(LS_ENTRY_REF(entry))), key))
		return NULL;
	LS_FENCE_ACQ();
	if (LS_LOAD(&s->gen) != *gen)
		return NULL;
	*ref = LS_ENTRY_REF(entry);
	return s;
}

#define LS_BUCKET_HALF (LS_BUCKET_ENTRIES / 2)

LS_PART u32 ls_index_place_at(const struct ls_env *e, u64 hash, u32 ref)
{
	struct ls_hash h = ls_hash_unpack(hash);
	u64 entry = LS_ENTRY(h.tag, ref);
	u32 second;

	LS_GIVEN(e);
	second = ls_other_bucket(h.bucket, h.tag, port_bucket_mask(e));
	for (u32 n = 0; n < LS_INSERT_TRIES; n++) {
		struct ls_bucket *a = port_bucket(e, h.bucket), *b = port_bucket(e, second), *to = a;
		u32 bits, i;

		if (!a || !b)
			return LS_E_BUG;
		bits = ls_bucket_empties(a);
		if (__builtin_popcount(bits) < LS_BUCKET_HALF) {
			u32 other = ls_bucket_empties(b);

			if (__builtin_popcount(other) > __builtin_popcount(bits)) {
				to = b;
				bits = other;
			}
		}
		if (!bits)
			return LS_E_FULL;
		i = ls_ctz(bits) & (LS_BUCKET_ENTRIES - 1);
		if (LS_CAS(&to->entry[i], 0, entry) == 0)
			return LS_OK;
	}
	return LS_E_FULL;
}

/* Puts an entry into the first candidate while half of that is empty, else into the emptier: most lookups then end in one line. LS_OK, or LS_E_FULL when both are full. */
LS_INLINE u32 ls_index_place(const struct ls_env *e, struct ls_hash h, u32 ref) { return ls_index_place_at(e, ls_hash_pack(h), ref); }

LS_PART u32 ls_index_clear_at(const struct ls_env *e, u64 hash, u32 ref)
{
	struct ls_hash h = ls_hash_unpack(hash);
	u64 entry = LS_ENTRY(h.tag, ref);
	u32 found = 0, bucket = h.bucket;

	LS_GIVEN(e);
	for (u32 n = 0; n < 2; n++) {
		struct ls_bucket *b = port_bucket(e, bucket);

		if (!b)
			return found;
#pragma GCC unroll 8
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
			if (LS_LOAD(&b->entry[i]) == entry)
				found += LS_CAS(&b->entry[i], entry, 0) == entry;
		bucket = ls_other_bucket(h.bucket, h.tag, port_bucket_mask(e));
	}
	return found;
}

/* Removes the entry with this reference; how many were found (0 or 1, more is a broken table). */
LS_INLINE u32 ls_index_clear(const struct ls_env *e, struct ls_hash h, u32 ref) { return ls_index_clear_at(e, ls_hash_pack(h), ref); }

#endif
