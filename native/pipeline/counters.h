/* Counters of the worker that runs: nobody else writes them, so a relaxed load and store suffice. */
#ifndef LOCKSTEP_PIPELINE_COUNTERS_H
#define LOCKSTEP_PIPELINE_COUNTERS_H

#include "port.h"

LS_INLINE void ls_bump(u64 *counter, u64 n) { LS_STORE(counter, LS_LOAD(counter) + n); }

LS_INLINE void ls_count(const struct ls_env *e, u32 counter, u64 n)
{
	struct ls_counters *c = port_counters(e);

	if (c)
		ls_bump(&c->global[counter & 63], n);
}

/* One packet of `bytes` into a {packets, bytes} pair. */
LS_INLINE void ls_count_pair(u64 *pair, u64 bytes)
{
	ls_bump(&pair[0], 1);
	ls_bump(&pair[1], bytes);
}

LS_INLINE void ls_count_screen(const struct ls_env *e, u32 zone, u32 screen)
{
	struct ls_counters *c = port_counters(e);

	if (c)
		ls_bump(&c->screens[zone & (LS_ZONES_MAX - 1)][screen & 15], 1);
}

#endif
