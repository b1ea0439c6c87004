/* Source NAT: which translated tuples are tried, in which order (R18). Whether one is free is decided by inserting the reply entry.
 *
 * Ports come from a keyed permutation of the pool's range (4-round Feistel network with cycle walking), walked by a cursor per (worker,
 * address) that starts in the worker's own share and spills over into the others'. One client keeps one address (RFC 4787 REQ-2).
 */
#ifndef LOCKSTEP_PIPELINE_SNAT_H
#define LOCKSTEP_PIPELINE_SNAT_H

#include "lookup.h"

LS_INLINE u32 ls_feistel_round(u32 half, u32 key)
{
	u32 h = (half + key) * 0x9e3779b1u;

	h ^= h >> 15;
	h *= 0x85ebca6bu;
	return h ^ h >> 13;
}

/* A permutation of [0, size), size 1 to 65536, chosen by `seed`. */
LS_PART u32 ls_permute(u32 position, u32 size, u32 seed)
{
	u32 bits = 1, low_bits, low_mask, high_mask, v = position;

	for (u32 i = 0; i < 16; i++)
		if ((1u << bits) < size)
			bits++;
	low_bits = bits - bits / 2;
	low_mask = (1u << low_bits) - 1;
	high_mask = (1u << (bits / 2)) - 1;
	for (u32 walk = 0; walk < 32; walk++) {
		u32 low = v & low_mask, high = v >> low_bits & high_mask;

		high ^= ls_feistel_round(low, seed) & high_mask;
		low ^= ls_feistel_round(high, seed ^ 0xa5a5a5a5u) & low_mask;
		high ^= ls_feistel_round(low, seed + 0x3c6ef372u) & high_mask;
		low ^= ls_feistel_round(high, seed ^ 0x5bd1e995u) & low_mask;
		v = high << low_bits | low;
		if (v < size)
			return v;
	}
	return position;
}

/* Candidate number `try` for this client: sets to->src and to->sport_be. `base` is the client's home address in the pool. False: no address. */
LS_INLINE bool ls_snat_candidate(const struct ls_env *e, const struct ls_pkt *p, u32 pool_id, u32 base, u32 try, struct ls_key *to,
				 u32 *pool_addr)
{
	const struct ls_config *c = port_config(e);
	const struct ls_pool *pool = &c->pool[pool_id & (LS_POOLS_MAX - 1)];
	u32 range = (u32)pool->port_hi - pool->port_lo + 1, address, position, client = ls_swap16(p->key.sport_be);
	u32 *cursor;

	if (!(pool->flags & 1) || pool->addrs == 0 || pool->port_hi < pool->port_lo)
		return false;
	address = pool->first_addr + (base + try / 16) % pool->addrs;
	cursor = port_snat_cursor(e, address);
	if (!cursor)
		return false;
	*pool_addr = address;
	to->src = c->pool_addr[address & (LS_POOL_ADDRS_MAX - 1)];
	if (p->flags & LS_PF_NO_PORTS) {
		to->sport_be = 0;
		return try == 0;
	}
	if (try == 0 && (pool->flags & 2) && client >= pool->port_lo && client <= pool->port_hi) {
		to->sport_be = p->key.sport_be;
		return true;
	}
	position = (u32)(((u64)range * port_worker_id(e)) / (port_workers(e) ? port_workers(e) : 1));
	/* The cursor moves once per flow, the tries of one flow are spread over the range: tries in a row would walk into the block that another
	 * worker has filled and give up in the middle of it, with most of the range free. */
	if (try == 0)
		*cursor = (*cursor + 1) % range;
	position = (u32)((position + *cursor + (u64)try * range / LS_SNAT_TRIES) % range);
	to->sport_be = ls_swap16((u16)(pool->port_lo + ls_permute(position, range, pool->seed + address)));
	return true;
}

#endif
