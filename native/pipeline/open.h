/* A packet without a session: choose destination (VIP, static NAT, DNAT), route, policy, source NAT, ownership; then create and forward.
 * The same decisions revive an expired or closed session in place when its translation stays (R8).
 */
#ifndef LOCKSTEP_PIPELINE_OPEN_H
#define LOCKSTEP_PIPELINE_OPEN_H

#include "classify.h"
#include "hit.h"
#include "host.h"
#include "snat.h"

struct ls_choice {
	u32 mode;   /* enum ls_vip_mode */
	u32 flags;  /* enum ls_session_flags */
	u32 pool;   /* source NAT pool, 0 = none */
	u32 rg;
	u32 rule;   /* of the policy classifier */
	u32 app;
	u32 sync_after;
};

#define LS_REPICKS 16

/* Real for a new flow of `vip`: its Maglev entry, or the next ones while that real is down. 0 = none. */
LS_PART u32 ls_pick_real(const struct ls_env *e, const struct ls_pkt *p, u32 vip)
{
	LS_GIVEN(e && p);
	const struct ls_config *c = port_config(e);
	const struct ls_vip *v = &c->vip[vip & (LS_VIPS_MAX - 1)];
	u32 h;

	if (v->ring_size == 0)
		return 0;
	h = ls_ring_hash(&p->key, v->flags & LS_VF_SOURCE_STICKY) % v->ring_size;
	for (u32 n = 0; n < LS_REPICKS; n++) {
		u32 real = port_ring_entry(e, v->ring, h) & (LS_REALS_MAX - 1);

		if (real && c->real[real].used && c->real[real].up)
			return real;
		h = (h + 1) % v->ring_size;
	}
	return 0;
}

/* Where the packet really goes: p->to, p->vip, p->real. LS_V_NEXT, or the verdict. */
LS_STAGE u32 ls_choose_destination(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x, u32 keep_real)
{
	LS_GIVEN(e && p && x);
	const struct ls_config *c = port_config(e);
	const struct ls_static_nat *fixed;
	const struct ls_local *l;
	struct ls_class_input in;
	u32 vip = ls_vip_find(c, &p->key), rule;

	p->to = p->key;
	if (vip) {
		const struct ls_vip *v = &c->vip[vip & (LS_VIPS_MAX - 1)];
		const struct ls_real *r;
		u32 real = keep_real;

		if (!real || !c->real[real & (LS_REALS_MAX - 1)].up || c->real[real & (LS_REALS_MAX - 1)].vip != vip)
			real = ls_pick_real(e, p, vip);
		p->vip = (u16)vip;
		if (!real) {
			struct ls_counters *n = port_counters(e);

			if (n)
				ls_bump(&n->vip[vip & (LS_VIPS_MAX - 1)][3], 1);
			return ls_answer_unreachable(e, p, LS_DROP_VIP_NO_REAL);
		}
		r = &c->real[real & (LS_REALS_MAX - 1)];
		p->real = (u16)real;
		p->real_addr = r->addr;
		x->mode = v->mode;
		x->rg = v->rg;
		x->app = v->app;
		x->flags |= LS_SF_VIP;
		if (v->flags & LS_VF_SNAT)
			x->pool = v->snat_pool;
		if (v->mode != LS_MODE_NAT) {
			x->flags |= LS_SF_HALF;
			return LS_V_NEXT;
		}
		x->flags |= LS_SF_DNAT;
		p->to.dst = r->addr;
		if (r->port_be && !(p->flags & (LS_PF_NO_PORTS | LS_PF_ECHO)))
			p->to.dport_be = r->port_be;
		return LS_V_NEXT;
	}
	fixed = ls_static_out_find(c, &p->key.dst, p->key.domain);
	if (fixed) {
		p->to.dst = fixed->inside;
		x->flags |= LS_SF_DNAT | LS_SF_STATIC;
		x->rg = fixed->rg;
		return LS_V_NEXT;
	}
	ls_class_input_of(&in, p, &p->key.dst, p->key.dport_be);
	in.zone_out = 0;
	rule = ls_classify(&c->dnat, &in);
	if (rule != LS_RULE_NONE && c->dnat_rule[rule & (LS_RULES_MAX - 1)].action) {
		const struct ls_nat_rule *r = &c->dnat_rule[rule & (LS_RULES_MAX - 1)];

		p->to.dst = r->addr;
		if (r->port_be && !(p->flags & (LS_PF_NO_PORTS | LS_PF_ECHO)))
			p->to.dport_be = r->port_be;
		x->flags |= LS_SF_DNAT;
		return LS_V_NEXT;
	}
	l = ls_local_find(c, &p->key.dst, p->key.domain);
	return l ? ls_host_inbound(e, p, l) : LS_V_NEXT;
}

/* May this packet open a session at all? LS_DROP_NONE, or why not. */
LS_INLINE u32 ls_may_open(const struct ls_env *e, struct ls_pkt *p)
{
	const struct ls_zone *z = &port_config(e)->zone[p->zone_in & (LS_ZONES_MAX - 1)];

	if (p->flags & LS_PF_LATER)
		return LS_DROP_FRAG_NO_FIRST;
	if (p->key.proto == LS_IPPROTO_TCP && (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK | LS_TCP_RST | LS_TCP_FIN)) != LS_TCP_SYN) {
		if (ls_cookie_acked(e, p))
			p->flags |= LS_PF_COOKIE;
		else if (!(z->flags & LS_ZF_TCP_LOOSE) || (p->tcp_flags & (LS_TCP_RST | LS_TCP_SYN)))
			return LS_DROP_TCP_NOT_SYN;
	}
	if (p->key.proto == LS_IPPROTO_ICMP || p->key.proto == LS_IPPROTO_ICMP6) {
		if (p->flags & LS_PF_ECHO_REPLY)
			return LS_DROP_ICMP_UNMATCHED;
		if (!(p->flags & LS_PF_ECHO))
			return LS_DROP_ICMP_TYPE;
	}
	return LS_DROP_NONE;
}

LS_STAGE bool ls_log_decision(const struct ls_env *e, const struct ls_pkt *p, u32 action, u32 drop)
{
	struct ls_log l;

	LS_GIVEN(e && p);
	l = (struct ls_log){ .time_ns = port_now(e), .key = p->key, .zone_in = p->zone_in, .zone_out = p->zone_out, .policy = p->policy,
		.action = (u8)action, .drop = (u8)drop };
	return ls_log_push(e, &l);
}

LS_STAGE u32 ls_policy(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x)
{
	LS_GIVEN(e && p && x);
	const struct ls_config *c = port_config(e);
	const struct ls_rule *r;
	struct ls_class_input in;
	struct ls_counters *n = port_counters(e);
	u32 rule;

	ls_class_input_of(&in, p, &p->to.dst, p->to.dport_be);
	rule = ls_classify(&c->policy, &in);
	if (rule == LS_RULE_NONE) {
		p->policy = 0;
		if (n)
			ls_count_pair(n->policy[0], p->l3_bytes);
		return ls_drop(e, p, LS_DROP_POLICY_DEFAULT);
	}
	r = &c->rule[rule & (LS_RULES_MAX - 1)];
	p->policy = r->policy;
	x->rule = rule;
	if (r->app)
		x->app = r->app;
	if (r->action == LS_ACT_PERMIT) {
		if (r->flags & LS_RF_LOG_OPEN)
			ls_log_decision(e, p, LS_ACT_PERMIT, LS_DROP_NONE);
		if (r->flags & LS_RF_LOG_CLOSE)
			x->flags |= LS_SF_LOG_CLOSE;
		if (r->flags & LS_RF_NO_SYNC)
			x->flags |= LS_SF_NO_SYNC;
		if (r->sync_after)
			x->flags |= LS_SF_LATE;
		x->sync_after = r->sync_after;
		return LS_V_NEXT;
	}
	if (n)
		ls_count_pair(n->policy[p->policy & (LS_POLICIES_MAX - 1)], p->l3_bytes);
	if (r->flags & LS_RF_LOG_DENY)
		ls_log_decision(e, p, r->action, LS_DROP_POLICY_DENY);
	return r->action == LS_ACT_REJECT ? ls_answer_reject(e, p) : ls_drop(e, p, LS_DROP_POLICY_DENY);
}

/* Source translation, false if none: static first, then the VIP's own pool, then the rules. */
LS_STAGE bool ls_choose_source(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x)
{
	LS_GIVEN(e && p && x);
	const struct ls_config *c = port_config(e);
	const struct ls_static_nat *fixed;
	struct ls_class_input in;
	u32 rule;

	if (x->flags & LS_SF_HALF)
		return false;
	fixed = ls_static_in_find(c, &p->key.src, p->key.domain);
	if (fixed && !x->pool) {
		p->to.src = fixed->outside;
		x->flags |= LS_SF_SNAT | LS_SF_STATIC;
		if (x->rg == LS_RG_NONE) /* the VIP's or the destination's comes first (R15) */
			x->rg = fixed->rg;
		return true;
	}
	if (!x->pool) {
		const struct ls_nat_rule *r;
		const struct ls_iface *out = &c->iface[p->out_iface & (LS_IFACES_MAX - 1)];

		ls_class_input_of(&in, p, &p->to.dst, p->to.dport_be);
		rule = ls_classify(&c->snat, &in);
		if (rule == LS_RULE_NONE)
			return false;
		r = &c->snat_rule[rule & (LS_RULES_MAX - 1)];
		if (r->action == LS_SNAT_POOL)
			x->pool = r->pool;
		else if (r->action == LS_SNAT_INTERFACE)
			x->pool = p->key.family == LS_IP6 ? out->pool6 : out->pool4;
		if (!x->pool)
			return false;
	}
	x->flags |= LS_SF_SNAT;
	if (x->rg == LS_RG_NONE)
		x->rg = c->pool[x->pool & (LS_POOLS_MAX - 1)].rg;
	return true;
}

/* All decisions. LS_V_NEXT: create (or revive) and forward. */
LS_STAGE u32 ls_decide(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x, u32 keep_real)
{
	LS_GIVEN(e && p && x);
	const struct ls_config *c = port_config(e);
	u32 v, mtu, zone_rg = c->zone[p->zone_in & (LS_ZONES_MAX - 1)].rg;
	bool outer6;

	*x = (struct ls_choice){ .mode = LS_MODE_NAT, .rg = LS_RG_NONE };
	v = ls_choose_destination(e, p, x, keep_real);
	if (v != LS_V_NEXT)
		return v;
	if (ls_link_local(p))
		return ls_drop(e, p, LS_DROP_MARTIAN);
	v = ls_may_open(e, p);
	if (v != LS_DROP_NONE) {
		u32 rg = x->rg != LS_RG_NONE ? x->rg : zone_rg;

		/* of a session perhaps that its owner has and this node not yet */
		return ls_rg_owned(e, rg) ? ls_drop(e, p, v) : ls_fabric_out(e, p, rg, v);
	}
	if (p->ttl <= 1)
		return ls_answer_ttl(e, p);
	outer6 = x->mode != LS_MODE_NAT && !ls_addr_is4(&p->real_addr);
	v = ls_route_to(e, c, p, x->mode == LS_MODE_NAT ? &p->to.dst : &p->real_addr,
			x->mode == LS_MODE_NAT ? p->key.family : outer6 ? LS_IP6 : LS_IP4);
	if (v != LS_V_NEXT)
		return v;
	v = ls_policy(e, p, x);
	if (v != LS_V_NEXT)
		return v;
	ls_choose_source(e, p, x);
	if (x->rg == LS_RG_NONE)
		x->rg = zone_rg;
	if (!ls_rg_owned(e, x->rg))
		return ls_fabric_out(e, p, x->rg, LS_DROP_RG_NOT_OWNER);
	if (ls_too_big(p, x->mode, outer6, &mtu)) {
		if ((p->flags & LS_PF_DF) || x->mode != LS_MODE_NAT)
			return ls_answer_too_big(e, p, mtu);
		return ls_drop(e, p, LS_DROP_MTU_EXCEEDED);
	}
	if ((x->flags & LS_SF_DNAT) && p->out_iface == p->in_iface) {
		x->flags |= LS_SF_HAIRPIN;
		ls_count(e, LS_CTR_HAIRPINS, 1);
	}
	return LS_V_NEXT;
}

LS_INLINE void ls_image_fill(const struct ls_env *e, struct ls_pkt *p, const struct ls_choice *x)
{
	struct ls_session *s = &p->image;
	u64 now = port_now(e);

	*s = (struct ls_session){ .flags = x->flags, .key = p->key, .zone_in = p->zone_in, .zone_out = p->zone_out, .rg = (u8)x->rg,
		.sync_after = (u16)x->sync_after, .created_ns = now, .policy = p->policy, .vip = p->vip, .real = p->real, .app = (u8)x->app,
		.state = LS_STATE_MAKE(LS_CREATING, ls_first_phase(p, x->flags & LS_SF_HALF), 0, 0, 0), .last_seen_ns = now };
	ls_key_reverse(&s->reply, &p->to);
	if (p->flags & LS_PF_COOKIE)
		s->syn_offset = p->tcp_ack - 1; /* until the server's is known */
	s->packets[LS_FORWARD] = 1;
	s->bytes[LS_FORWARD] = p->l3_bytes;
}

/* A reply tuple nobody holds: the translated one as it is, or SNAT candidates until one is free. LS_OK, LS_E_CONFLICT (none free), LS_E_FULL. */
LS_STAGE u32 ls_claim_reply(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x, struct ls_creation *n)
{
	LS_GIVEN(e && p && x && n);
	u32 base, status = LS_E_CONFLICT, pool_addr = 0;

	if (!x->pool) {
		ls_key_reverse(&p->scratch, &p->to);
		status = ls_create_reply(e, n, &p->scratch);
		if (status != LS_E_CONFLICT || !(x->flags & LS_SF_DNAT) || (x->flags & (LS_SF_STATIC | LS_SF_HALF)) || (p->flags & LS_PF_NO_PORTS))
			return status;
		/* two destinations of ours lead to the same server from the same client port: keep the address, change the port */
		for (u32 try = 0; try < LS_SNAT_TRIES; try++) {
			u32 r = ls_mix64(n->gen + ((u64)n->slot << 32) + try) & 0xffff;

			p->to.sport_be = ls_swap16((u16)(1024 + r % 64512));
			ls_key_reverse(&p->scratch, &p->to);
			status = ls_create_reply(e, n, &p->scratch);
			if (status != LS_E_CONFLICT)
				break;
		}
		x->flags |= LS_SF_SNAT;
		return status;
	}
	base = ls_ring_hash(&p->key, true);
	for (u32 try = 0; try < LS_SNAT_TRIES; try++) {
		struct ls_nat_usage *u;

		if (!ls_snat_candidate(e, p, x->pool, base, try, &p->to, &pool_addr))
			break;
		ls_key_reverse(&p->scratch, &p->to);
		status = ls_create_reply(e, n, &p->scratch);
		ls_count(e, LS_CTR_SNAT_TRIES, 1);
		if (status == LS_E_CONFLICT)
			continue;
		u = port_nat(e, pool_addr);
		if (u && status == LS_OK)
			LS_ADD(&u->created, 1);
		return status;
	}
	{
		struct ls_nat_usage *u = port_nat(e, pool_addr);

		if (u)
			LS_ADD(&u->failed, 1);
	}
	return status;
}

LS_INLINE void ls_count_opened(const struct ls_env *e, const struct ls_pkt *p)
{
	struct ls_counters *c = port_counters(e);

	if (!c)
		return;
	ls_count_session(c, p);
	if (p->vip)
		ls_bump(&c->vip[p->vip & (LS_VIPS_MAX - 1)][2], 1);
	if (p->real)
		ls_bump(&c->real[p->real & (LS_REALS_MAX - 1)][2], 1);
}

/* R2. LS_DROP_NONE: it is live; CREATE_RACE: look it up once more; or why there is none, not counted yet. */
LS_STAGE u32 ls_create(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x)
{
	LS_GIVEN(e && p && x);
	struct ls_creation n = { 0 };
	struct ls_session *s;
	u32 status;

	n.slot = ls_slot_take(e);
	s = n.slot == LS_SLOT_NONE ? NULL : port_session(e, n.slot);
	if (!s)
		return LS_DROP_TABLE_FULL;
	ls_image_fill(e, p, x);
	ls_create_write(e, &n, &p->image);
	status = ls_claim_reply(e, p, x, &n);
	if (status == LS_OK) {
		if (x->flags != p->image.flags)
			LS_STORE(&s->flags, x->flags);
		status = ls_create_forward(e, &n, p->hash, &p->key);
		if (status == LS_E_CONFLICT)
			ls_count(e, LS_CTR_CREATE_RACES, 1);
		else if (status == LS_OK)
			goto live;
		status = status == LS_E_CONFLICT ? LS_DROP_CREATE_RACE : LS_DROP_TABLE_FULL;
	} else if (status == LS_E_CONFLICT) {
		status = x->pool ? LS_DROP_SNAT_EXHAUSTED : LS_DROP_CREATE_RACE;
		if (x->pool && (p->flags & LS_PF_NO_PORTS))
			status = LS_DROP_NAT_UNTRANSLATABLE;
	} else {
		status = LS_DROP_TABLE_FULL;
	}
	ls_create_undo(e, &n);
	return status;
live:
	ls_create_commit(e, &n);
	ls_slot_used(e);
	ls_notice_push(e, n.slot, n.gen, LS_NOTICE_CREATE, 0);
	ls_count(e, LS_CTR_SESSIONS_CREATED, 1);
	return LS_DROP_NONE;
}

/* The segment that acknowledges a cookie opens the session as the SYN would have. False: the frame cannot hold one. */
LS_INLINE bool ls_cookie_take(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x)
{
	x->flags |= LS_SF_COOKIE;
	ls_count(e, LS_CTR_COOKIES_ACCEPTED, 1);
	return ls_cookie_to_syn(p);
}

/* Does the new decision leave the session's translation as it is? */
LS_INLINE bool ls_same_translation(const struct ls_env *e, const struct ls_pkt *p, const struct ls_choice *x, const struct ls_session *s)
{
	const struct ls_config *c = port_config(e);
	struct ls_key reply;
	const struct ls_local *l;
	const struct ls_pool *pool;

	ls_words_load(&reply, &s->reply, 5);
	if (!ls_addr_equal(&reply.src, &p->to.dst) || reply.sport_be != p->to.dport_be)
		return false;
	if (!x->pool)
		return ls_addr_equal(&reply.dst, &p->to.src) && (reply.dport_be == p->to.sport_be || (x->flags & LS_SF_DNAT));
	pool = &c->pool[x->pool & (LS_POOLS_MAX - 1)];
	l = ls_local_find(c, &reply.dst, p->key.domain);
	return l && l->pool_addr && l->pool_addr - 1u >= pool->first_addr && l->pool_addr - 1u < (u32)pool->first_addr + pool->addrs &&
	       ls_swap16(reply.dport_be) >= pool->port_lo && ls_swap16(reply.dport_be) <= pool->port_hi;
}

/* The record gets another life with the decision in `x`. LS_DROP_NONE, or why not, not counted yet. */
LS_STAGE u32 ls_renew(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x, u64 serial)
{
	LS_GIVEN(e && p && x);
	u32 slot = (u32)(serial >> 32), gen = (u32)serial, fresh = gen + 2, phase;
	struct ls_session *s = port_session(e, slot);
	u64 state, creating;

	if (!s)
		return LS_DROP_INTERNAL;
	state = LS_LOAD_ACQ(&s->state);
	if ((LS_STATE_LIFECYCLE(state) != LS_LIVE && LS_STATE_LIFECYCLE(state) != LS_DYING) || (LS_STATE_FLOW(state) & LS_FLOW_ADMIN))
		return LS_DROP_SESSION_CLOSING;
	creating = LS_STATE_SET_LIFE(LS_STATE_SET_LIFECYCLE(state, LS_CREATING), port_worker_id(e));
	/* freed and reborn between lookup and CAS cannot happen inside one burst (grace); revived by a twin can, and that is another life */
	if (LS_STATE_LIFE(state) != LS_LIFE_OF(gen) || LS_CAS(&s->state, state, creating) != state)
		return LS_DROP_CREATE_RACE;
	LS_FENCE_REL(); /* who reads a new word below reads CREATING or later as well */
	ls_leaving(&p->to, s, LS_FORWARD);
	if (!x->pool && p->to.sport_be != p->key.sport_be)
		x->flags |= LS_SF_SNAT; /* moved aside when it was created */
	ls_image_fill(e, p, x);
	p->image.id.origin = port_origin(e);
	p->image.id.serial = (u64)slot << 32 | fresh;
	LS_STORE(&s->flags, p->image.flags);
	ls_words_store(&s->zone_in, &p->image.zone_in, 2);
	ls_words_store(&s->id, &p->image.id, 3);
	ls_words_store(&s->last_seen_ns, &p->image.last_seen_ns, 7);
	LS_STORE_REL(&s->gen, fresh);
	phase = LS_STATE_PHASE(p->image.state);
	LS_STORE_REL(&s->state, LS_STATE_SET_LIFE(LS_STATE_MAKE(LS_LIVE, phase, 0, 0, 0), LS_LIFE_OF(fresh)));
	ls_notice_push(e, slot, fresh, LS_NOTICE_RECREATE, 0);
	ls_count(e, LS_CTR_SESSIONS_REVIVED, 1);
	return LS_DROP_NONE;
}

/* R8: the same tuple again, on the same record, with a new generation and id. */
LS_STAGE u32 ls_revive(const struct ls_env *e, struct ls_pkt *p, u32 ref, u32 gen)
{
	LS_GIVEN(e && p);
	u32 slot = LS_REF_SLOT(ref), v;
	struct ls_session *s = port_session(e, slot);
	struct ls_choice x;

	if (!s)
		return ls_drop(e, p, LS_DROP_INTERNAL);
	v = ls_decide(e, p, &x, LS_LOAD(&s->real));
	if (v != LS_V_NEXT)
		return v;
	if (!ls_same_translation(e, p, &x, s))
		return ls_drop(e, p, LS_DROP_EXPIRED_BUSY);
	if (LS_UNLIKELY(p->flags & LS_PF_COOKIE) && !ls_cookie_take(e, p, &x))
		return ls_drop(e, p, LS_DROP_NO_HEADROOM);
	v = ls_renew(e, p, &x, (u64)slot << 32 | gen);
	if (v != LS_DROP_NONE)
		return ls_drop(e, p, v);
	ls_count_opened(e, p);
	return ls_forward(e, p, x.mode);
}

LS_STAGE u32 ls_open(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	struct ls_choice x;
	bool syn;
	u32 v;

	ls_count(e, LS_CTR_SESSION_MISSES, 1);
	v = ls_decide(e, p, &x, 0);
	if (v != LS_V_NEXT)
		return v;
	syn = ls_is_syn(p) && !(x.flags & LS_SF_HALF);
	if (LS_UNLIKELY(syn && LS_LOAD(&port_defence(e)->pressure) == LS_PRESSURE_COOKIES))
		return ls_cookie_offer(e, p);
	if (ls_source_session_limit(e, p))
		return ls_drop_screen(e, p, LS_SCREEN_SESSION_LIMIT, LS_DROP_SESSION_LIMIT_SOURCE);
	if (LS_UNLIKELY(p->flags & LS_PF_COOKIE) && !ls_cookie_take(e, p, &x))
		return ls_drop(e, p, LS_DROP_NO_HEADROOM);
	v = ls_create(e, p, &x);
	if (v == LS_DROP_TABLE_FULL && syn)
		return ls_cookie_offer(e, p);
	if (v != LS_DROP_NONE)
		return v == LS_DROP_CREATE_RACE ? LS_V_RACED : ls_drop(e, p, v);
	ls_count_opened(e, p);
	return ls_forward(e, p, x.mode);
}

#endif
