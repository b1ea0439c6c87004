/* A packet that found its session: is it still one, what does the packet change, how does it leave. */
#ifndef LOCKSTEP_PIPELINE_HIT_H
#define LOCKSTEP_PIPELINE_HIT_H

#include "cookie.h"
#include "create.h"
#include "forward.h"
#include "tcp.h"

#define LS_V_RACED 101 /* internal: another worker opened the flow meanwhile; look it up once more (R2) */
#define LS_V_REVIVE 100 /* internal: expired or closed, and this packet may open the tuple anew */

/* Deadline by R8: the later of the last packet and the group's promotion, plus the phase's timeout. */
LS_INLINE u64 ls_deadline(const struct ls_env *e, const struct ls_config *c, const struct ls_session *s, u64 state)
{
	u64 seen;
	u32 rg;

	LS_GIVEN(e && c && s);
	seen = LS_LOAD(&s->last_seen_ns);
	rg = LS_LOAD(&s->rg);

	if (rg != LS_RG_NONE) {
		const struct ls_rg *r = port_rg(e, rg);
		u64 floor = r ? LS_LOAD(&r->seen_floor_ns) : 0;

		if (floor > seen)
			seen = floor;
	}
	return seen + c->timeout_ns[LS_LOAD(&s->app) & (LS_APPS_MAX - 1)][LS_STATE_PHASE(state) & (LS_PHASES_MAX - 1)];
}

/* The tuple a packet of direction `dir` leaves with. */
LS_INLINE void ls_leaving(struct ls_key *to, const struct ls_session *s, u32 dir)
{
	struct ls_key other;

	ls_words_load(&other, dir == LS_FORWARD ? &s->reply : &s->key, 5);
	ls_key_reverse(to, &other);
}

/* Changes the state word from what the packet saw; the word found, equal to `state` when it was changed. A change of phase is told once per drain:
 * `dirty` is set in the same CAS and taken back if the ring is full. */
LS_PART u64 ls_state_move(const struct ls_env *e, struct ls_session *s, u64 serial, u64 state, u64 next)
{
	bool tell = LS_STATE_PHASE(next) != LS_STATE_PHASE(state) && !LS_STATE_DIRTY(state);
	u32 slot = (u32)(serial >> 32), gen = (u32)serial;
	u64 found;

	LS_GIVEN(e && s);
	if (tell)
		next |= LS_STATE_DIRTY_BIT;
	found = LS_CAS(&s->state, state, next);
	if (found != state || !tell || ls_notice_push(e, slot, gen, LS_NOTICE_UPDATE, 0))
		return found;
	/* The mark goes whatever else happened to this life meanwhile: a mark without a notice would silence the session for good. */
	for (u32 n = 0; n < 8; n++) {
		u64 now = LS_LOAD(&s->state);

		if (LS_STATE_LIFE(now) != LS_LIFE_OF(gen) || !LS_STATE_DIRTY(now) || LS_CAS(&s->state, now, now & ~LS_STATE_DIRTY_BIT) == now)
			break;
	}
	return state;
}

LS_INLINE u64 ls_state_update(const struct ls_env *e, struct ls_session *s, u32 slot, u32 gen, u64 state, u64 next)
{
	return next == state ? state : ls_state_move(e, s, (u64)slot << 32 | gen, state, next);
}

LS_INLINE u32 ls_mode_of(const struct ls_config *c, const struct ls_session *s, struct ls_pkt *p)
{
	LS_GIVEN(c && s && p);
	p->vip = LS_LOAD(&s->vip);
	p->real = LS_LOAD(&s->real);
	p->policy = LS_LOAD(&s->policy);
	if (!(LS_LOAD(&s->flags) & LS_SF_HALF))
		return LS_MODE_NAT;
	p->real_addr = c->real[p->real & (LS_REALS_MAX - 1)].addr;
	return c->vip[p->vip & (LS_VIPS_MAX - 1)].mode;
}

LS_INLINE void ls_count_session(struct ls_counters *c, const struct ls_pkt *p)
{
	ls_count_pair(c->policy[p->policy & (LS_POLICIES_MAX - 1)], p->l3_bytes);
	if (p->vip)
		ls_count_pair(c->vip[p->vip & (LS_VIPS_MAX - 1)], p->l3_bytes);
	if (p->real)
		ls_count_pair(c->real[p->real & (LS_REALS_MAX - 1)], p->l3_bytes);
}

/* Route, MTU, then out. */
LS_INLINE u32 ls_hit_forward(const struct ls_env *e, const struct ls_config *c, struct ls_counters *n, struct ls_pkt *p, u32 mode)
{
	LS_GIVEN(e && c && p);
	bool outer6 = mode != LS_MODE_NAT && !ls_addr_is4(&p->real_addr);
	const struct ls_addr *next = mode == LS_MODE_NAT ? &p->to.dst : &p->real_addr;
	u32 v = ls_route_to(e, c, p, next, mode == LS_MODE_NAT ? p->key.family : outer6 ? LS_IP6 : LS_IP4), mtu;

	if (v != LS_V_NEXT)
		return v;
	if (ls_too_big(p, mode, outer6, &mtu)) {
		if (p->flags & LS_PF_DF || mode != LS_MODE_NAT)
			return ls_answer_too_big(e, p, mtu);
		return ls_drop(e, p, LS_DROP_MTU_EXCEEDED);
	}
	return ls_leave(e, c, n, p, mode);
}

/* An ICMP error about a session: translated and forwarded; never refreshes, revives or changes it (R19). */
LS_STAGE u32 ls_hit_icmp_error(const struct ls_env *e, struct ls_pkt *p, struct ls_session *s, u32 dir)
{
	LS_GIVEN(e && p && s);
	const struct ls_config *c = port_config(e);
	u32 v;

	if (LS_LOAD(&s->flags) & LS_SF_HOST)
		return ls_to_host(e, p);
	if (LS_LOAD(&s->flags) & LS_SF_HALF)
		return ls_drop(e, p, LS_DROP_ICMP_UNMATCHED);
	ls_leaving(&p->to, s, dir);
	p->policy = LS_LOAD(&s->policy);
	if (p->ttl <= 1)
		return ls_drop(e, p, LS_DROP_TTL_EXPIRED);
	v = ls_route_to(e, c, p, &p->to.dst, p->key.family);
	if (v != LS_V_NEXT)
		return v;
	if (!(c->iface[p->out_iface & (LS_IFACES_MAX - 1)].flags & LS_IF_UP))
		return ls_drop(e, p, LS_DROP_TX_DOWN);
	p->scratch = p->key;
	if (!ls_decrement_ttl(p) || !ls_rewrite_icmp_error(p, &p->scratch, &p->to))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	v = ls_write_link(p, &c->iface[p->out_iface & (LS_IFACES_MAX - 1)]);
	if (v != LS_DROP_NONE)
		return ls_drop(e, p, v);
	ls_count(e, LS_CTR_ICMP_ERRORS, 1);
	return p->route.result == LS_ROUTE_UNRESOLVED ? LS_V_NEIGH : LS_V_TX;
}

/* What this packet makes of the session's state. LS_V_NEXT: p->next_state holds it; LS_V_REVIVE; or the drop. */
LS_INLINE u32 ls_hit_step(const struct ls_env *e, struct ls_pkt *p, struct ls_session *s, u32 dir, u64 state)
{
	u32 other = dir == LS_FORWARD ? LS_FLOW_ACK_REPLY : LS_FLOW_ACK_FWD, fit, step;

	LS_GIVEN(e && p && s);
	p->next_state = state;
	if (p->flags & LS_PF_LATER)
		return LS_V_NEXT; /* no transport header: refreshes, changes nothing */
	if (LS_LOAD(&s->flags) & LS_SF_HALF) {
		if (dir == LS_REPLY)
			return ls_drop(e, p, LS_DROP_TCP_BAD_STATE);
		p->next_state = ls_half_next(state, p->key.proto == LS_IPPROTO_TCP, p->tcp_flags);
		return LS_V_NEXT;
	}
	if (p->key.proto != LS_IPPROTO_TCP) {
		if ((p->flags & (LS_PF_ECHO | LS_PF_ECHO_REPLY)) && (dir == LS_REPLY) != !!(p->flags & LS_PF_ECHO_REPLY))
			return ls_drop(e, p, LS_DROP_ICMP_UNMATCHED);
		p->next_state = ls_plain_next(state, dir);
		return LS_V_NEXT;
	}
	fit = p->tcp_flags & LS_TCP_RST ? ls_rst_fit(LS_STATE_FLOW(state) & other, p->tcp_seq, LS_LOAD(&s->ack[!dir])) : 0;
	step = ls_tcp_next(state, dir, p->tcp_flags, fit, &p->next_state);
	if (step == LS_TCP_REOPEN)
		return LS_V_REVIVE;
	if (step == LS_TCP_INVALID)
		return ls_drop(e, p, LS_DROP_TCP_BAD_STATE);
	if (step == LS_TCP_RST_INVALID)
		return ls_drop(e, p, LS_DROP_TCP_BAD_RST);
	if ((p->tcp_flags & (LS_TCP_ACK | LS_TCP_RST)) == LS_TCP_ACK) {
		LS_STORE(&s->ack[dir & 1], p->tcp_ack);
		p->next_state |= LS_STATE_FLOW_BIT(dir == LS_FORWARD ? LS_FLOW_ACK_FWD : LS_FLOW_ACK_REPLY);
	}
	return LS_V_NEXT;
}

#define LS_STATE_TRIES 3 /* a drain, the freer and a packet of the other direction may each move the word once meanwhile */

/* The packet is the session's: state, activity and counters of the record. LS_V_NEXT, or the verdict. */
LS_INLINE u32 ls_hit_record(const struct ls_env *e, struct ls_pkt *p, struct ls_session *s, u32 ref, u32 gen, u64 state)
{
	u32 slot = LS_REF_SLOT(ref), dir = LS_REF_DIR(ref), life, v;
	u64 now = port_now(e), found;

	/* A word that moved is looked at again if it is the same life; a FIN or a handshake must not be lost to a drain that cleared a mark. */
	for (u32 n = 0; n < LS_STATE_TRIES; n++) {
		v = ls_hit_step(e, p, s, dir, state);
		if (v != LS_V_NEXT)
			return v;
		LS_STORE(&s->last_seen_ns, now);
		found = ls_state_update(e, s, slot, gen, state, p->next_state);
		life = LS_STATE_LIFECYCLE(found);
		if (found == state || LS_STATE_LIFE(found) != LS_LIFE_OF(gen) || (life != LS_LIVE && life != LS_DYING))
			break;
		state = found;
	}
	LS_ADD(&s->packets[dir], 1);
	LS_ADD(&s->bytes[dir], p->l3_bytes);
	return LS_V_NEXT;
}

/* The record that `ref` led to. */
LS_PART u32 ls_hit_found(const struct ls_env *e, struct ls_pkt *p, struct ls_session *s, u32 ref, u32 gen)
{
	LS_GIVEN(e && p && s);
	const struct ls_config *c = port_config(e);
	struct ls_counters *n = port_counters(e);
	u32 dir = LS_REF_DIR(ref), life, rg, mode, v, flags;
	u64 now = port_now(e), state;

	if (!n)
		return LS_V_DROP; /* cannot be, and nowhere to count it */
	state = LS_LOAD_ACQ(&s->state);
	if (LS_UNLIKELY(LS_LOAD_ACQ(&s->gen) != gen))
		return ls_drop(e, p, LS_DROP_CREATE_RACE); /* the state was another life's: an undone slot is used again without a grace */
	life = LS_STATE_LIFECYCLE(state);
	if (life == LS_CREATING)
		return ls_drop(e, p, LS_DROP_CREATE_RACE);
	if (life == LS_DEAD || life == LS_FREE || (life == LS_DYING && (LS_STATE_FLOW(state) & LS_FLOW_ADMIN)))
		return ls_drop(e, p, LS_DROP_SESSION_CLOSING);
	rg = LS_LOAD(&s->rg);
	if (rg != LS_RG_NONE) {
		const struct ls_rg *r = port_rg(e, rg);
		u32 role = r ? LS_LOAD(&r->role) : LS_ROLE_INIT;

		/* a yielding or taking node forwards the hits it has (R22); a standby writes nothing (R15) */
		v = role != LS_ROLE_OWNER && role != LS_ROLE_YIELD && role != LS_ROLE_TAKE ? LS_DROP_RG_NOT_OWNER : ls_lease_ended(e, r) ? LS_DROP_RG_LEASE : LS_DROP_NONE;
		/* without a fabric, whoever holds the record translates an error about it (R19) */
		if (LS_UNLIKELY(v != LS_DROP_NONE) && (c->fabric || !(p->flags & LS_PF_ICMP_ERROR)))
			return ls_fabric_out(e, p, rg, v);
	}
	if (p->flags & LS_PF_ICMP_ERROR) {
		/* past the timeout it is a miss (D4) */
		if (now > ls_deadline(e, c, s, state))
			return ls_drop(e, p, LS_DROP_ICMP_UNMATCHED);
		return ls_hit_icmp_error(e, p, s, dir);
	}
	if (LS_UNLIKELY(now > ls_deadline(e, c, s, state)))
		return dir == LS_FORWARD && !(LS_LOAD(&s->flags) & LS_SF_HOST) ? LS_V_REVIVE : ls_drop(e, p, LS_DROP_EXPIRED_BUSY);
	flags = LS_LOAD(&s->flags);
	if (LS_UNLIKELY((flags & LS_SF_HOST) && dir == LS_FORWARD))
		return ls_drop(e, p, LS_DROP_MARTIAN); /* from outside, in the name of the host */
	if (p->ttl <= 1 && !(flags & LS_SF_HOST))
		return ls_answer_ttl(e, p);
	if (LS_UNLIKELY(flags & LS_SF_COOKIE)) {
		p->flags |= LS_PF_SHIFTED;
		v = ls_cookie_hit(e, p, s, dir, state);
		if (v != LS_V_NEXT)
			return v;
	}
	v = ls_hit_record(e, p, s, ref, gen, state);
	if (v != LS_V_NEXT)
		return v;
	ls_bump(&n->global[LS_CTR_SESSION_HITS], 1);
	if (LS_UNLIKELY(flags & LS_SF_HOST))
		return ls_to_host(e, p);
	if (LS_UNLIKELY(flags & LS_SF_COOKIE) && dir == LS_REPLY && (p->tcp_flags & LS_TCP_SYN))
		return ls_answered(e, p, LS_DROP_SYN_COOKIE, LS_ANSWER_HANDSHAKE, 0, 0);
	mode = ls_mode_of(c, s, p);
	ls_count_session(n, p);
	ls_leaving(&p->to, s, dir);
	return ls_hit_forward(e, c, n, p, mode);
}

LS_INLINE u32 ls_hit(const struct ls_env *e, struct ls_pkt *p, u32 ref, u32 gen)
{
	struct ls_session *s = port_session(e, LS_REF_SLOT(ref));

	return s ? ls_hit_found(e, p, s, ref, gen) : ls_drop(e, p, LS_DROP_INTERNAL);
}

#endif
