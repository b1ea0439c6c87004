/* How full the NAT pools are: one walk counts the sessions behind each translated address. */
#include "table/table.h"

#include <string.h>

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "pipeline/lookup.h"

void ls_table_nat_usage(const struct ls_table *t, struct ls_nat_usage *out)
{
	const struct ls_config *c = &t->env.banks[LS_LOAD(&t->env.header->active_bank) & 1];
	struct ls_session s;

	for (u32 i = 0; i < LS_POOL_ADDRS_MAX; i++) {
		out[i] = (struct ls_nat_usage){ .created = LS_LOAD(&t->env.nat[i].created), .failed = LS_LOAD(&t->env.nat[i].failed) };
	}
	for (u32 slot = 0; slot < t->env.slots; slot++) {
		const struct ls_local *l;

		if (!ls_session_read(t, slot, &s) || !(s.flags & LS_SF_SNAT))
			continue;
		l = ls_local_find(c, &s.reply.dst, s.key.domain);
		if (l && l->pool_addr && l->pool_addr <= LS_POOL_ADDRS_MAX)
			out[l->pool_addr - 1].in_use++;
	}
}
