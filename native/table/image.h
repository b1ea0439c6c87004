/* A packed record as a session of this host: the inverse of ls_wire_pack. */
#ifndef LOCKSTEP_TABLE_IMAGE_H
#define LOCKSTEP_TABLE_IMAGE_H

#include "lockstep/wire.h"

/* Member by member: a compound literal is cleared by a string instruction whose bytes the copy into the table then has to wait for. */
static inline void ls_wire_unpack(const struct ls_wire_record *r, u64 now_ns, u32 flags, u64 state, struct ls_session *s)
{
	s->gen = 0;
	s->flags = flags;
	s->key = r->key;
	s->zone_in = r->zone_in;
	s->zone_out = r->zone_out;
	s->rg = r->rg;
	s->pad0 = 0;
	s->sync_after = 0;
	s->created_ns = now_ns > r->age_ns ? now_ns - r->age_ns : 0;
	s->reply = r->reply;
	s->id = r->id;
	s->policy = r->policy;
	s->vip = r->vip;
	s->real = r->real;
	s->app = r->app;
	s->pad1 = 0;
	s->state = state;
	s->last_seen_ns = now_ns > r->idle_ns ? now_ns - r->idle_ns : 0;
	for (u32 d = 0; d < 2; d++) {
		s->packets[d] = r->packets[d];
		s->bytes[d] = r->bytes[d];
		s->ack[d] = r->ack[d];
	}
	s->syn_offset = r->syn_offset;
	s->pad2 = 0;
}

#endif
