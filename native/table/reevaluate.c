/* After a configuration flip: sessions that the new policy denies (R11). Run in bulk over the table, after the grace of the flip. */
#include "table/table.h"

#include <string.h>

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "pipeline/classify.h"

/* Would this session be opened today? The destination is the translated one, as at creation; a half flow keeps the VIP's. */
static bool permitted(const struct ls_config *c, const struct ls_session *s, u16 *policy)
{
	bool half = s->flags & LS_SF_HALF, icmp = s->key.proto == LS_IPPROTO_ICMP || s->key.proto == LS_IPPROTO_ICMP6;
	struct ls_class_input in = { .src = &s->key.src, .dst = half ? &s->key.dst : &s->reply.src,
		.sport = icmp ? (s->key.family == LS_IP6 ? 128 : 8) : ls_swap16(s->key.sport_be),
		.dport = icmp ? 0 : ls_swap16(half ? s->key.dport_be : s->reply.sport_be), .zone_in = s->zone_in, .zone_out = s->zone_out,
		.proto = s->key.proto };
	u32 rule = ls_classify(&c->policy, &in);

	if (rule == LS_RULE_NONE)
		return false;
	*policy = c->rule[rule & (LS_RULES_MAX - 1)].policy;
	return c->rule[rule & (LS_RULES_MAX - 1)].action == LS_ACT_PERMIT;
}

void ls_table_reevaluate(struct ls_table *t, struct ls_delete_result *result)
{
	const struct ls_config *c = &t->env.banks[LS_LOAD(&t->env.header->active_bank) & 1];
	u32 slots[LS_FREER_BATCH], gens[LS_FREER_BATCH], m = 0;
	struct ls_delete_result part;
	struct ls_session s;
	u16 policy;

	memset(result, 0, sizeof(*result));
	for (u32 slot = 0; slot <= t->env.slots; slot++) {
		if (slot < t->env.slots && ls_session_read(t, slot, &s) && !(s.flags & (LS_SF_HOST | LS_SF_PROGRAM)) && !permitted(c, &s, &policy)) {
			slots[m] = slot;
			gens[m++] = s.gen;
		}
		if (m == LS_FREER_BATCH || (slot == t->env.slots && m)) {
			ls_table_free_slots(t, slots, gens, m, LS_CLOSE_POLICY, &part);
			result->matched += part.matched;
			result->deleted += part.deleted;
			result->grace_ns += part.grace_ns;
			m = 0;
		}
	}
}
