/* Screens: packets that no honest host sends, and rates beyond a zone's limits. Each zone names its screens by bit.
 *
 * Rates are counted in windows of 2^30 ns (1.07 s) in one word, window << 40 | count, shared by all workers. A fixed window lets up to
 * twice the limit pass around its edge; it needs no timer and one atomic add per packet.
 */
#ifndef LOCKSTEP_PIPELINE_SCREEN_H
#define LOCKSTEP_PIPELINE_SCREEN_H

#include "pkt.h"

#define LS_RATE_SHIFT 30
#define LS_RATE_COUNT_BITS 40

/* Counts one event; the number in this window so far. */
LS_INLINE u64 ls_rate_add(u64 *word, u64 now_ns)
{
	u64 window = now_ns >> LS_RATE_SHIFT << LS_RATE_COUNT_BITS, seen = LS_LOAD(word);

	if ((seen >> LS_RATE_COUNT_BITS) != (window >> LS_RATE_COUNT_BITS)) {
		u64 found = LS_CAS(word, seen, window | 1);

		if (found == seen)
			return 1;
	}
	return (LS_FETCH_ADD(word, 1) + 1) & ((1ULL << LS_RATE_COUNT_BITS) - 1);
}

LS_INLINE bool ls_rate_exceeds(u64 *word, u64 now_ns, u32 limit) { return ls_rate_add(word, now_ns) > limit; }

/* The entry of a source in a zone, taken over when its window is stale; NULL when the slot is busy with another source. */
LS_INLINE struct ls_source *ls_source_of(const struct ls_env *e, const struct ls_pkt *p)
{
	struct ls_key key = { .src = p->key.src, .domain = p->zone_in };
	struct ls_hash h = ls_hash_key(port_hash_key(e), &key, 0xffffffff);
	u64 window = (port_now(e) >> LS_RATE_SHIFT) & 0xffffffff, mine = window << 32 | h.tag;

	for (u32 n = 0; n < 4; n++) {
		struct ls_source *s = port_source(e, h.bucket + n);
		u64 owner;

		if (!s)
			return NULL;
		owner = LS_LOAD_ACQ(&s->owner);
		if (owner == mine)
			return s;
		if ((owner >> 32) == window)
			continue;
		if (LS_CAS(&s->owner, owner, mine) != owner)
			continue;
		LS_STORE(&s->syn, 0);
		LS_STORE(&s->sessions, 0);
		LS_STORE(&s->ports, 0);
		LS_STORE(&s->zone, p->zone_in);
		ls_words_store(&s->addr, &p->key.src, 2);
		return s;
	}
	return NULL;
}

LS_STAGE u32 ls_screen_shape(const struct ls_env *e, struct ls_pkt *p, u32 on)
{
	LS_GIVEN(e && p);
	u32 flags = p->tcp_flags;

	if ((on >> LS_SCREEN_LAND & 1) && !(p->flags & LS_PF_ICMP_ERROR) && ls_addr_equal(&p->key.src, &p->key.dst) && p->key.sport_be == p->key.dport_be)
		return ls_drop_screen(e, p, LS_SCREEN_LAND, LS_DROP_SCREEN_LAND);
	if ((on >> LS_SCREEN_SOURCE_ROUTE & 1) && (p->flags & LS_PF_SOURCE_ROUTE))
		return ls_drop_screen(e, p, LS_SCREEN_SOURCE_ROUTE, LS_DROP_SCREEN_SOURCE_ROUTE);
	if (p->flags & LS_PF_FRAG) {
		if ((on >> LS_SCREEN_PING_OF_DEATH & 1) && p->frag_offset + p->l4_bytes > 65535)
			return ls_drop_screen(e, p, LS_SCREEN_PING_OF_DEATH, LS_DROP_SCREEN_PING_OF_DEATH);
		if ((on >> LS_SCREEN_TEARDROP & 1) && ((p->more_frags && (p->l4_bytes & 7)) || p->l4_bytes == 0 ||
						       (p->frag_offset > 0 && p->frag_offset < 24)))
			return ls_drop_screen(e, p, LS_SCREEN_TEARDROP, LS_DROP_SCREEN_TEARDROP);
	}
	if (p->key.proto != LS_IPPROTO_TCP || (p->flags & (LS_PF_LATER | LS_PF_ICMP_ERROR)))
		return LS_V_NEXT;
	if ((on >> LS_SCREEN_SYN_FIN & 1) && (flags & (LS_TCP_SYN | LS_TCP_FIN)) == (LS_TCP_SYN | LS_TCP_FIN))
		return ls_drop_screen(e, p, LS_SCREEN_SYN_FIN, LS_DROP_SCREEN_SYN_FIN);
	if ((on >> LS_SCREEN_NO_FLAGS & 1) && !(flags & (LS_TCP_SYN | LS_TCP_FIN | LS_TCP_RST | LS_TCP_ACK | LS_TCP_PSH | LS_TCP_URG)))
		return ls_drop_screen(e, p, LS_SCREEN_NO_FLAGS, LS_DROP_SCREEN_NO_FLAGS);
	if ((on >> LS_SCREEN_FIN_NO_ACK & 1) && (flags & (LS_TCP_FIN | LS_TCP_ACK)) == LS_TCP_FIN)
		return ls_drop_screen(e, p, LS_SCREEN_FIN_NO_ACK, LS_DROP_SCREEN_FIN_NO_ACK);
	return LS_V_NEXT;
}

/* Rates of TCP SYNs, UDP and ICMP packets. */
LS_STAGE u32 ls_screen_rate(const struct ls_env *e, struct ls_pkt *p, const struct ls_zone *z, u32 on)
{
	LS_GIVEN(e && p && z);
	struct ls_zone_rates *r = port_rates(e, p->zone_in);
	u64 now = port_now(e);

	if (!r || (p->flags & LS_PF_LATER))
		return LS_V_NEXT;
	if (p->flags & LS_PF_ICMP_ERROR) { /* the tuple is the quoted packet's, the packet is ICMP */
		if ((on >> LS_SCREEN_ICMP_FLOOD & 1) &&
		    ls_rate_exceeds(&r->rate[LS_SCREEN_ICMP_FLOOD], now, z->limit[LS_SCREEN_ICMP_FLOOD]))
			return ls_drop_screen(e, p, LS_SCREEN_ICMP_FLOOD, LS_DROP_SCREEN_ICMP_FLOOD);
	} else if (p->key.proto == LS_IPPROTO_TCP && (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK)) == LS_TCP_SYN) {
		struct ls_source *s;

		if ((on >> LS_SCREEN_SYN_FLOOD & 1) && ls_rate_exceeds(&r->rate[LS_SCREEN_SYN_FLOOD], now, z->limit[LS_SCREEN_SYN_FLOOD]))
			return ls_drop_screen(e, p, LS_SCREEN_SYN_FLOOD, LS_DROP_SCREEN_SYN_FLOOD);
		if (!(on & (1u << LS_SCREEN_SYN_SOURCE | 1u << LS_SCREEN_PORT_SCAN)))
			return LS_V_NEXT;
		s = ls_source_of(e, p);
		if (!s)
			return LS_V_NEXT;
		if ((on >> LS_SCREEN_SYN_SOURCE & 1) && LS_FETCH_ADD(&s->syn, 1) >= z->limit[LS_SCREEN_SYN_SOURCE])
			return ls_drop_screen(e, p, LS_SCREEN_SYN_SOURCE, LS_DROP_SCREEN_SYN_SOURCE);
		if (on >> LS_SCREEN_PORT_SCAN & 1) {
			u64 bit = 1ULL << ((ls_swap16(p->key.dport_be) * 0x9e3779b1u) >> 26), ports = LS_LOAD(&s->ports);

			if (!(ports & bit))
				LS_STORE(&s->ports, ports | bit);
			if ((u32)__builtin_popcountll(ports | bit) > z->limit[LS_SCREEN_PORT_SCAN])
				return ls_drop_screen(e, p, LS_SCREEN_PORT_SCAN, LS_DROP_SCREEN_PORT_SCAN);
		}
	} else if (p->key.proto == LS_IPPROTO_UDP) {
		if ((on >> LS_SCREEN_UDP_FLOOD & 1) && ls_rate_exceeds(&r->rate[LS_SCREEN_UDP_FLOOD], now, z->limit[LS_SCREEN_UDP_FLOOD]))
			return ls_drop_screen(e, p, LS_SCREEN_UDP_FLOOD, LS_DROP_SCREEN_UDP_FLOOD);
	} else if (p->key.proto == LS_IPPROTO_ICMP || (p->key.proto == LS_IPPROTO_ICMP6 && !(p->flags & LS_PF_ND))) {
		if ((on >> LS_SCREEN_ICMP_FLOOD & 1) &&
		    ls_rate_exceeds(&r->rate[LS_SCREEN_ICMP_FLOOD], now, z->limit[LS_SCREEN_ICMP_FLOOD]))
			return ls_drop_screen(e, p, LS_SCREEN_ICMP_FLOOD, LS_DROP_SCREEN_ICMP_FLOOD);
	}
	return LS_V_NEXT;
}

/* LS_V_NEXT: passed. */
LS_INLINE u32 ls_screens(const struct ls_env *e, const struct ls_config *c, struct ls_pkt *p)
{
	const struct ls_zone *z = &c->zone[p->zone_in & (LS_ZONES_MAX - 1)];
	u32 on = z->screens, v;

	if (LS_LIKELY(!on))
		return LS_V_NEXT;
	v = ls_screen_shape(e, p, on);
	return v == LS_V_NEXT ? ls_screen_rate(e, p, z, on) : v;
}

/* New sessions of one source in this window (screen session-limit); true = too many. */
LS_STAGE bool ls_source_session_limit(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_zone *z = &port_config(e)->zone[p->zone_in & (LS_ZONES_MAX - 1)];
	struct ls_source *s;

	if (!(z->screens >> LS_SCREEN_SESSION_LIMIT & 1))
		return false;
	s = ls_source_of(e, p);
	return s && LS_FETCH_ADD(&s->sessions, 1) >= z->limit[LS_SCREEN_SESSION_LIMIT];
}

#endif
