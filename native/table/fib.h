/* Route and neighbour lookup over the mirrored kernel tables, for the substrates without a kernel FIB at hand (user space, DPDK). */
#ifndef LOCKSTEP_TABLE_FIB_H
#define LOCKSTEP_TABLE_FIB_H

#include "lockstep/config.h"
#include "pipeline/interval.h"

LS_INLINE u32 ls_neigh_index(const struct ls_addr *a, u32 device)
{
	u64 h = a->d[0] * 0x9e3779b97f4a7c15ULL + a->d[1] * 0xc2b2ae3d27d4eb4fULL + device * 0x165667b19e3779f9ULL;

	return (u32)((h ^ h >> 32) * 0x9e3779b1u >> 32) & (LS_NEIGHS - 1);
}

#define LS_NEIGH_PROBES 16

enum ls_neigh_match { LS_NEIGH_OTHER, LS_NEIGH_UNKNOWN, LS_NEIGH_KNOWN };

/* Is it in this entry? KNOWN: its MAC is copied. UNKNOWN: nor further on. */
LS_INLINE u32 ls_neigh_match(const struct ls_neigh *x, const struct ls_addr *a, u32 device, u8 *mac)
{
	u64 seq = LS_LOAD_ACQ(&x->seq), words[4];

	if (seq == 0)
		return LS_NEIGH_UNKNOWN; /* never used */
	if (seq & 1)
		return LS_NEIGH_OTHER;
	ls_words_load(words, &x->addr, 4);
	LS_FENCE_ACQ();
	if (LS_LOAD(&x->seq) != seq || words[0] != a->d[0] || words[1] != a->d[1] || (u32)words[2] != device)
		return LS_NEIGH_OTHER;
	/* words[2] = device | mac[0..3] << 32, words[3] = mac[4..5] | state << 16 */
	if ((words[3] >> 16 & 0xff) != LS_NEIGH_VALID)
		return LS_NEIGH_UNKNOWN;
	ls_store32(mac, (u32)(words[2] >> 32));
	ls_store16(mac + 4, (u16)words[3]);
	return LS_NEIGH_KNOWN;
}

/* Copies the MAC of a resolved neighbour; false when unknown. */
LS_INLINE bool ls_neigh_find(const struct ls_neigh *table, const struct ls_addr *a, u32 device, u8 *mac)
{
	u32 at = ls_neigh_index(a, device);

	for (u32 n = 0; n < LS_NEIGH_PROBES; n++) {
		u32 found = ls_neigh_match(&table[(at + n) & (LS_NEIGHS - 1)], a, device, mac);

		if (found != LS_NEIGH_OTHER)
			return found == LS_NEIGH_KNOWN;
	}
	return false;
}

/* Longest-prefix match by elementary intervals. */
LS_INLINE const struct ls_nexthop *ls_fib_find(const struct ls_fib *f, const struct ls_addr *a)
{
	u32 i, n;

	if (f->count == 0)
		return NULL;
	i = ls_interval_addr(f->start, f->count, LS_FIB_STEPS, LS_FIB_BOUNDS, a);
	n = f->nexthop_of[i];
	return n && n < LS_NEXTHOPS_MAX ? &f->nexthop[n] : NULL;
}

#endif
