/* Packing a record for the wire and checking one that came from it. */
#include "table/table.h"

#include <string.h>

static u64 since(u64 then, u64 now) { return now > then ? now - then : 0; }

void ls_wire_pack(const struct ls_session *s, u32 slot, u32 kind, u64 now_ns, struct ls_wire_record *out)
{
	*out = (struct ls_wire_record){
		.version = LS_WIRE_VERSION, .kind = (u8)kind, .phase = (u8)LS_STATE_PHASE(s->state),
		.close_reason = (u8)LS_STATE_CLOSE(s->state), .rg = s->rg, .app = s->app, .flow = (u16)LS_STATE_FLOW(s->state), .id = s->id,
		.key = s->key, .reply = s->reply, .flags = s->flags, .zone_in = s->zone_in, .zone_out = s->zone_out, .policy = s->policy,
		.vip = s->vip, .real = s->real, .idle_ns = since(s->last_seen_ns, now_ns), .age_ns = since(s->created_ns, now_ns),
		.packets = { s->packets[0], s->packets[1] }, .bytes = { s->bytes[0], s->bytes[1] }, .syn_offset = s->syn_offset,
		.ack = { s->ack[0], s->ack[1] }, .slot = slot,
	};
}

static bool mapped(const struct ls_addr *a) { return a->d[0] == 0 && a->w[2] == __builtin_bswap32(0xffff); }

static bool key_sane(const struct ls_key *k)
{
	if (k->family == LS_IP4)
		return mapped(&k->src) && mapped(&k->dst);
	return k->family == LS_IP6 && !mapped(&k->src) && !mapped(&k->dst);
}

/* Everything a record could index with is bounded here (hazards 34-36). */
enum ls_status ls_wire_check(const struct ls_wire_record *r)
{
	if (r->version != LS_WIRE_VERSION)
		return LS_E_VERSION;
	if (r->kind >= LS_NOTICE_COUNT || r->phase >= LS_PHASE_COUNT || r->close_reason >= LS_CLOSE_COUNT ||
	    (r->rg >= LS_RGS_MAX && r->rg != LS_RG_NONE) || r->app >= LS_APPS_MAX || r->zone_in >= LS_ZONES_MAX ||
	    r->zone_out >= LS_ZONES_MAX || r->policy >= LS_POLICIES_MAX || r->vip >= LS_VIPS_MAX || r->real >= LS_REALS_MAX || r->pad ||
	    (r->id.origin | r->id.serial) == 0)
		return LS_E_RECORD;
	if (!key_sane(&r->key) || !key_sane(&r->reply) || r->key.family != r->reply.family || r->key.proto != r->reply.proto ||
	    r->key.domain != r->reply.domain)
		return LS_E_RECORD;
	return LS_OK;
}
