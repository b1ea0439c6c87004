/* Maglev rings: which real a new flow of a VIP goes to (Eisenbud et al., Maglev, NSDI 2016, section 3.4), with weights.
 *
 * A ring is a prime number of u16 real ids in the caller's buffer; 0 = no real. Built from addresses and ports in canonical order, so two nodes
 * with the same reals have the same bytes whatever the order of events; ls_maglev_hash is what they exchange as proof.
 * Pure functions of their arguments; any thread; a build of 65 537 entries for 1000 reals allocates some tens of KiB for its duration.
 */
#ifndef LOCKSTEP_TABLE_MAGLEV_H
#define LOCKSTEP_TABLE_MAGLEV_H

#include "lockstep/codes.h"
#include "lockstep/limits.h"
#include "lockstep/types.h"

#define LS_MAGLEV_WEIGHT_MAX 100

struct ls_maglev_real {
	struct ls_addr addr;
	be16 port_be; /* address and port together name the real: no two may be equal */
	u16 id;       /* 1 to LS_REALS_MAX - 1: what the ring holds */
	u32 weight;   /* 0 to LS_MAGLEV_WEIGHT_MAX; 0 takes no entry (down, drained) */
};
LS_ASSERT_SIZE(struct ls_maglev_real, 24);

struct ls_maglev_change {
	u32 moved;    /* entries that differ from the old ring */
	u32 skew_ppm; /* largest distance from a real's ideal share beyond the rounding to whole entries, millionths of that share */
	u32 rebuild;  /* 1: the skew exceeds LS_MAGLEV_SKEW_PPM; a full build is better than this ring */
};
#define LS_MAGLEV_SKEW_PPM 10000

/* Fills ring[size]. Each real gets its share by weight, rounded to whole entries (largest remainder). All weights 0: all entries 0.
 * LS_E_INVALID: size not a prime up to LS_RING_MAX, n above LS_REALS_MAX, an id or weight outside its range, an id or an address and port twice.
 * LS_E_NOMEM. */
enum ls_status ls_maglev_build(const struct ls_maglev_real *reals, u32 n, u32 size, u16 *ring);

/* From the ring in force to one for `reals`, moving as few entries as any ring with whole-entry shares can: what belonged to a real that is gone or has
 * weight 0, and what others must give up for a new or heavier one. `ring` may be `old`. Determined by old and reals, so nodes that agree before agree
 * after the same step; after different orders of steps they may differ (the hash tells), and either a repair from a common ring or a build unites them.
 * Errors as ls_maglev_build. `change` may be NULL. */
enum ls_status ls_maglev_repair(const u16 *old, const struct ls_maglev_real *reals, u32 n, u32 size, u16 *ring, struct ls_maglev_change *change);

/* 64-bit hash of a ring and its size, equal on every little-endian host. Not secret. */
u64 ls_maglev_hash(const u16 *ring, u32 size);

#endif
