/* User space's view of a mapped table: what the packet code reaches through port.h, and the private part of the process that
 * holds it. The BPF build has its own (backend/ebpf/port_impl.h).
 */
#ifndef LOCKSTEP_TABLE_ENV_H
#define LOCKSTEP_TABLE_ENV_H

#include "lockstep/config.h"
#include "pipeline/atomics.h"

struct ls_env {
	struct ls_header *header;
	struct ls_session *sessions;
	struct ls_bucket *index;
	struct ls_worker *workers;
	u64 *free_rings;
	struct ls_notice *notices;
	struct ls_log *logs;
	struct ls_worker_counters *counters;
	struct ls_config *banks;
	struct ls_bucket *arena; /* 64-byte elements */
	struct ls_rg *rgs;
	struct ls_freer_work *freer;
	struct ls_zone_rates *rates;
	struct ls_source *sources;
	struct ls_frag *frags;
	struct ls_neigh *neighs;
	struct ls_fib *fibs;
	struct ls_nat_usage *nat;
	struct ls_wanted *wanted;
	u32 slots;
	u32 bucket_mask;
	u32 arena_elements;

	/* of one worker; the agent's own is the last id */
	u32 worker_id;
	struct ls_worker *worker;
	struct ls_worker_counters *worker_counters;
	const struct ls_config *config; /* refreshed at the start of each burst */
	u64 now_ns;                     /* likewise */
};

LS_INLINE struct ls_session *port_session(const struct ls_env *e, u32 slot)
{
	return LS_LIKELY(slot < e->slots) ? &e->sessions[slot] : NULL;
}

LS_INLINE struct ls_bucket *port_bucket(const struct ls_env *e, u32 i)
{
	return &e->index[i & e->bucket_mask];
}

LS_INLINE struct ls_defence *port_defence(const struct ls_env *e) { return &e->header->defence; }
LS_INLINE bool port_host_flows(const struct ls_env *e) { return LS_LOAD(&e->header->host_flows); }
LS_INLINE u32 port_bucket_mask(const struct ls_env *e) { return e->bucket_mask; }
LS_INLINE const struct ls_hash_key *port_hash_key(const struct ls_env *e) { return &e->header->hash; }
LS_INLINE u64 port_origin(const struct ls_env *e) { return e->header->origin; }
LS_INLINE struct ls_worker *port_worker(const struct ls_env *e) { return e->worker; }
LS_INLINE u32 port_worker_id(const struct ls_env *e) { return e->worker_id; }
LS_INLINE u64 port_now(const struct ls_env *e) { return e->now_ns; }
LS_INLINE u64 port_now_exact(const struct ls_env *e) { return e->now_ns; }

LS_INLINE u64 *port_free_slot(const struct ls_env *e, u64 position)
{
	u32 size = e->header->free_ring;

	return &e->free_rings[(u64)e->worker_id * size + (position & (size - 1))];
}

LS_INLINE struct ls_notice *port_notice(const struct ls_env *e, u64 position)
{
	u32 size = e->header->notice_ring;

	return &e->notices[(u64)e->worker_id * size + (position & (size - 1))];
}

LS_INLINE u32 port_notice_ring(const struct ls_env *e) { return e->header->notice_ring; }

LS_INLINE struct ls_log *port_log(const struct ls_env *e, u64 position)
{
	u32 size = e->header->log_ring;

	return &e->logs[(u64)e->worker_id * size + (position & (size - 1))];
}

LS_INLINE u32 port_log_ring(const struct ls_env *e) { return e->header->log_ring; }
LS_INLINE struct ls_counters *port_counters(const struct ls_env *e) { return &e->worker_counters->c; }
LS_INLINE u32 *port_snat_cursor(const struct ls_env *e, u32 i)
{
	return &e->worker_counters->snat.at[i & (LS_POOL_ADDRS_MAX - 1)];
}
LS_INLINE u32 port_workers(const struct ls_env *e) { return e->header->workers; }
LS_INLINE const struct ls_config *port_config(const struct ls_env *e) { return e->config; }
LS_INLINE struct ls_rg *port_rg(const struct ls_env *e, u32 i) { return &e->rgs[i & (LS_RGS_MAX - 1)]; }
LS_INLINE struct ls_zone_rates *port_rates(const struct ls_env *e, u32 zone) { return &e->rates[zone & (LS_ZONES_MAX - 1)]; }
LS_INLINE struct ls_source *port_source(const struct ls_env *e, u32 i) { return &e->sources[i & (LS_SOURCES - 1)]; }
LS_INLINE struct ls_frag *port_frag(const struct ls_env *e, u32 i) { return &e->frags[i & (LS_FRAGS - 1)]; }
LS_INLINE struct ls_nat_usage *port_nat(const struct ls_env *e, u32 i) { return &e->nat[i & (LS_POOL_ADDRS_MAX - 1)]; }

/* Real id at entry `i` of a Maglev ring that starts at arena element `ring`. */
LS_INLINE u16 port_ring_entry(const struct ls_env *e, u32 ring, u32 i)
{
	u32 element = ring + i / LS_RING_ELEMENT;

	if (LS_UNLIKELY(element >= e->arena_elements))
		return 0;
	return ((const ls_u16a *)&e->arena[element])[i % LS_RING_ELEMENT];
}

#endif
