/* How full the NAT pools are: one walk counts the sessions behind each translated address. */
#include "table/table.h"

#include <string.h>

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "pipeline/lookup.h"

u32 ls_table_nat_usage(const struct ls_table *t, struct ls_nat_row *out, u32 max)
{
	const struct ls_config *c = &t->env.banks[LS_LOAD(&t->env.header->active_bank) & 1];
	u16 row_of[LS_POOL_ADDRS_MAX];
	struct ls_session s;
	u32 n = 0;

	memset(row_of, 0xff, sizeof(row_of));
	for (u32 p = 1; p < LS_POOLS_MAX; p++) {
		const struct ls_pool *pool = &c->pool[p];

		for (u32 a = pool->first_addr; (pool->flags & 1) && a < (u32)pool->first_addr + pool->addrs && a < LS_POOL_ADDRS_MAX && n < max; a++) {
			row_of[a] = (u16)n;
			out[n++] = (struct ls_nat_row){ .addr = c->pool_addr[a], .pool = (u16)p, .ports = (u32)pool->port_hi - pool->port_lo + 1,
				.created = LS_LOAD(&t->env.nat[a].created), .failed = LS_LOAD(&t->env.nat[a].failed) };
		}
	}
	for (u32 slot = 0; slot < t->env.slots; slot++) {
		const struct ls_local *l;

		if (LS_STATE_LIFECYCLE(LS_LOAD(&t->env.sessions[slot].state)) != LS_LIVE || !ls_session_read(t, slot, &s) ||
		    (s.flags & (LS_SF_SNAT | LS_SF_STATIC)) != LS_SF_SNAT)
			continue;
		l = ls_local_find(c, &s.reply.dst, s.key.domain);
		if (l && l->pool_addr && l->pool_addr <= LS_POOL_ADDRS_MAX && row_of[l->pool_addr - 1] < n)
			out[row_of[l->pool_addr - 1]].in_use++;
	}
	return n;
}
