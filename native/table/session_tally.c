/* What the live sessions are: one walk counts them by phase, by the zone they came from, and by protocol. */
#include "table/table.h"

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "pipeline/lookup.h"

void ls_table_session_tally(const struct ls_table *t, struct ls_session_tally *out)
{
	struct ls_session s;

	*out = (struct ls_session_tally){ 0 };
	for (u32 slot = 0; slot < t->env.slots; slot++) {
		u32 phase;

		if (LS_STATE_LIFECYCLE(LS_LOAD(&t->env.sessions[slot].state)) != LS_LIVE || !ls_session_read(t, slot, &s))
			continue;
		phase = LS_STATE_PHASE(s.state);
		out->phase[phase < LS_PHASE_COUNT ? phase : 0]++;
		out->zone[s.zone_in < LS_ZONES_MAX ? s.zone_in : 0]++;
		out->proto[s.key.proto]++;
	}
}
