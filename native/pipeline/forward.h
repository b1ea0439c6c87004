/* The way out: route, MTU, TTL, rewrite, encapsulation for direct server return, link header.
 *
 * Everything that may answer the sender (no route, too big) runs before the first byte is changed, so that the answer quotes the
 * packet as it came. Sources: RFC 2003 (IP in IP), 2784 (GRE), 4213 and 7597 for outer header choices.
 */
#ifndef LOCKSTEP_PIPELINE_FORWARD_H
#define LOCKSTEP_PIPELINE_FORWARD_H

#include "answer.h"

LS_INLINE u32 ls_encap_bytes(u32 mode, bool outer6)
{
	u32 ip = outer6 ? 40 : 20;

	return mode == LS_MODE_IPIP ? ip : mode == LS_MODE_GRE ? ip + 4 : 0;
}

/* Wraps the packet for a real: outer source is the egress interface's own address. The outer header replaces the link header's place. */
LS_STAGE u32 ls_encapsulate(const struct ls_env *e, struct ls_pkt *p, u32 mode, const struct ls_addr *real, const struct ls_iface *out)
{
	LS_GIVEN(e && p && real && out);
	bool outer6 = !ls_addr_is4(real), inner6 = p->key.family == LS_IP6;
	const struct ls_addr *from = outer6 ? &out->addr6 : &out->addr4;
	u32 ip = outer6 ? 40 : 20, add = ls_encap_bytes(mode, outer6), inner = p->l3_bytes;
	u8 *h;

	if (ls_addr_zero(from))
		return LS_DROP_ENCAP_FAMILY;
	if (!port_trim(p->buf, p->l3 + inner) || !port_push(p->buf, add))
		return LS_DROP_NO_HEADROOM;
	p->l4 = p->l3; /* offsets of the inner packet are of no more use */
	h = port_at(p->buf, p->l3, 40);
	if (!h)
		return LS_DROP_TRUNCATED;
	if (outer6) {
		h[0] = 0x60;
		h[1] = h[2] = h[3] = 0;
		ls_put16(h + 4, (u16)(inner + add - 40));
		h[6] = mode == LS_MODE_GRE ? LS_IPPROTO_GRE : inner6 ? LS_IPPROTO_IPV6 : LS_IPPROTO_IPIP;
		h[7] = 64;
		ls_copy16(h + 8, from->b);
		ls_copy16(h + 24, real->b);
	} else {
		h[0] = 0x45;
		h[1] = p->tos;
		ls_put16(h + 2, (u16)(inner + add));
		ls_put32(h + 4, p->flags & LS_PF_DF ? 0x4000 : 0);
		h[8] = 64;
		h[9] = mode == LS_MODE_GRE ? LS_IPPROTO_GRE : inner6 ? LS_IPPROTO_IPV6 : LS_IPPROTO_IPIP;
		ls_put16(h + 10, 0);
		ls_copy4(h + 12, &from->w[3]);
		ls_copy4(h + 16, &real->w[3]);
		ls_set_raw16(h + 10, (be16)~ls_fold(ls_sum_words(h, 10)));
	}
	if (mode == LS_MODE_GRE) {
		h = port_at(p->buf, p->l3 + ip, 4);
		if (!h)
			return LS_DROP_TRUNCATED;
		ls_put16(h, 0);
		ls_put16(h + 2, inner6 ? LS_ETH_IP6 : LS_ETH_IP4);
	}
	p->ethertype = outer6 ? LS_ETH_IP6 : LS_ETH_IP4;
	ls_count(e, LS_CTR_ENCAPSULATED, 1);
	return LS_DROP_NONE;
}

/* Next hop of `to`. LS_V_NEXT: p->route holds (unresolved counts as a route); otherwise the verdict. */
LS_INLINE u32 ls_route_to(const struct ls_env *e, const struct ls_config *c, struct ls_pkt *p, const struct ls_addr *to, u32 family)
{
	LS_GIVEN(e && c && p && to);
	port_route(e, to, family, p->key.domain, &p->route);
	switch (p->route.result) {
	case LS_ROUTE_OK:
	case LS_ROUTE_UNRESOLVED:
		p->out_iface = p->route.iface & (LS_IFACES_MAX - 1);
		p->zone_out = c->iface[p->out_iface & (LS_IFACES_MAX - 1)].zone & (LS_ZONES_MAX - 1);
		return LS_V_NEXT;
	case LS_ROUTE_BLACKHOLE:
		return ls_drop(e, p, LS_DROP_NO_ROUTE);
	case LS_ROUTE_LOCAL:
		return ls_drop(e, p, LS_DROP_HOST_INBOUND);
	default:
		return ls_answer_unreachable(e, p, LS_DROP_NO_ROUTE);
	}
}

/* Too big for the way out? Tunnels make room for themselves: the sender is told the inner MTU (R19). */
LS_INLINE bool ls_too_big(const struct ls_pkt *p, u32 mode, bool outer6, u32 *mtu)
{
	u32 add = ls_encap_bytes(mode, outer6);

	*mtu = p->route.mtu > add ? p->route.mtu - add : 0;
	return p->l3_bytes > *mtu;
}

/* Counts and finishes a frame whose link header is written. */
LS_INLINE void ls_sent(const struct ls_env *e, const struct ls_pkt *p)
{
	struct ls_counters *c = port_counters(e);
	u32 bytes = port_len(p->buf);

	if (!c)
		return;
	ls_bump(&c->global[LS_CTR_TX_PACKETS], 1);
	ls_bump(&c->global[LS_CTR_TX_BYTES], bytes);
	ls_count_pair(c->iface_tx[p->out_iface & (LS_IFACES_MAX - 1)], bytes);
}

/* Sends the packet on with tuple p->to over p->route; `mode` other than LS_MODE_NAT leaves the packet as it is and wraps it. */
LS_INLINE u32 ls_leave(const struct ls_env *e, const struct ls_config *c, struct ls_counters *n, struct ls_pkt *p, u32 mode)
{
	const struct ls_iface *out = &c->iface[p->out_iface & (LS_IFACES_MAX - 1)];
	u32 why;

	if (!(out->flags & LS_IF_UP))
		return ls_drop(e, p, LS_DROP_TX_DOWN);
	if (!ls_decrement_ttl(p))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	if (n)
		ls_count_pair(n->zone_out[p->zone_out & (LS_ZONES_MAX - 1)], p->l3_bytes);
	if (mode == LS_MODE_NAT) {
		if (!ls_rewrite(p, &p->to))
			return ls_drop(e, p, LS_DROP_TRUNCATED);
	} else if (mode != LS_MODE_L2) {
		why = ls_encapsulate(e, p, mode, &p->real_addr, out);
		if (why != LS_DROP_NONE)
			return ls_drop(e, p, why);
	}
	why = ls_write_link(p, out);
	if (why != LS_DROP_NONE)
		return ls_drop(e, p, why);
	return p->route.result == LS_ROUTE_UNRESOLVED ? LS_V_NEIGH : LS_V_TX;
}

/* The same as a stage of its own, for packets that open a session. */
LS_STAGE u32 ls_forward(const struct ls_env *e, struct ls_pkt *p, u32 mode)
{
	LS_GIVEN(e && p);
	return ls_leave(e, port_config(e), port_counters(e), p, mode);
}

#endif
