/* "Too big" about a packet that was wrapped for a real. The router in between tells the node that wrapped it, or with equal routes another node of the cluster;
 * the client has to know, and whoever has the session can tell it: the quote holds the client's packet, which is answered as if it had been too big here.
 * Nothing is kept about the path. Sources: RFC 2003 5.1, RFC 2473 8.1, RFC 1191, RFC 8201.
 */
#ifndef LOCKSTEP_PIPELINE_TUNNEL_H
#define LOCKSTEP_PIPELINE_TUNNEL_H

#include "forward.h"
#include "index.h"

#define LS_MTU4_MIN 68   /* RFC 791 */
#define LS_MTU6_MIN 1280 /* RFC 8200 5: a smaller one is no reason for a client to send less */

/* What the quote wraps: where the client's packet begins, in which mode and family. */
struct ls_quoted {
	u32 at;
	u32 mode;
	bool v6;
};

LS_INLINE bool ls_quote_open(const struct ls_pkt *p, struct ls_quoted *q)
{
	const u8 *h;

	q->at = p->embedded_l4;
	q->mode = LS_MODE_IPIP;
	q->v6 = p->embedded_proto == LS_IPPROTO_IPV6;
	if (p->embedded_proto != LS_IPPROTO_GRE)
		return q->v6 || p->embedded_proto == LS_IPPROTO_IPIP;
	h = port_at(p->buf, q->at, 4);
	q->at += 4;
	q->mode = LS_MODE_GRE;
	if (!h || ls_get16(h) != 0)
		return false;
	q->v6 = ls_get16(h + 2) == LS_ETH_IP6;
	return q->v6 || ls_get16(h + 2) == LS_ETH_IP4;
}

/* The client's tuple, from the quote of its packet. */
LS_INLINE bool ls_quote_key(const struct ls_pkt *p, const struct ls_quoted *q, struct ls_key *key)
{
	const u8 *h = port_at(p->buf, q->at, q->v6 ? 40 : 20);
	u32 l4 = q->at + 40;

	if (!h || h[0] >> 4 != (q->v6 ? 6 : 4))
		return false;
	if (q->v6) {
		key->proto = h[6];
		ls_copy16(key->src.b, h + 8);
		ls_copy16(key->dst.b, h + 24);
	} else {
		l4 = q->at + (h[0] & 15u) * 4;
		if ((h[0] & 15) < 5 || (ls_get16(h + 6) & 0x1fff))
			return false;
		key->proto = h[9];
		ls_addr_from4(&key->src, h + 12);
		ls_addr_from4(&key->dst, h + 16);
	}
	key->family = q->v6 ? LS_IP6 : LS_IP4;
	key->domain = p->key.domain;
	key->sport_be = key->dport_be = 0;
	if (key->proto == LS_IPPROTO_TCP || key->proto == LS_IPPROTO_UDP) {
		h = port_at(p->buf, l4, 4);
		if (!h || l4 + 4 > (u32)p->l3 + p->l3_bytes)
			return false;
		key->sport_be = ls_raw16(h);
		key->dport_be = ls_raw16(h + 2);
	}
	ls_key_join(key);
	return true;
}

/* Whose session is it, and was it wrapped for that real? p->key.src is where the quoted packet went. */
LS_INLINE bool ls_quote_known(const struct ls_env *e, const struct ls_pkt *p, const struct ls_key *key, u32 mode)
{
	const struct ls_config *c = port_config(e);
	u32 gen = 0, ref = ls_index_find(e, ls_hash_key(port_hash_key(e), key, port_bucket_mask(e)), key, LS_SLOT_NONE, &gen), vip, real;
	const struct ls_session *s = ref == LS_REF_NONE || LS_REF_DIR(ref) != LS_FORWARD ? NULL : port_session(e, LS_REF_SLOT(ref));

	if (!s || !(LS_LOAD(&s->flags) & LS_SF_HALF))
		return false;
	vip = LS_LOAD(&s->vip) & (LS_VIPS_MAX - 1);
	real = LS_LOAD(&s->real) & (LS_REALS_MAX - 1);
	LS_FENCE_ACQ();
	return LS_LOAD(&s->gen) == gen && c->vip[vip].mode == mode && ls_addr_equal(&c->real[real].addr, &p->key.src);
}

/* The MTU to tell the client, after p->key and p->embedded_l3 are those of its packet; 0: the error is about nothing of ours. */
LS_STAGE u32 ls_tunnel_too_big(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	bool outer6 = p->key.family == LS_IP6;
	struct ls_quoted q;
	const u8 *h;
	u32 mtu, was, add;

	if (p->icmp_type != (outer6 ? 2 : 3) || (!outer6 && p->icmp_code != 4) || (p->flags & LS_PF_FRAG) || !ls_quote_open(p, &q))
		return 0;
	add = ls_encap_bytes(q.mode, outer6);
	h = port_at(p->buf, p->l4 + 4u, 4);
	if (!h || (u32)p->l4 + 8 != p->embedded_l3 || p->embedded_l4 != p->embedded_l3 + (outer6 ? 40 : 20))
		return 0;
	mtu = outer6 ? ls_get32(h) : ls_get16(h + 2);
	h = port_at(p->buf, p->embedded_l3, 20);
	if (!h)
		return 0;
	was = outer6 ? ls_get16(h + 4) + 40u : ls_get16(h + 2);
	if (mtu >= was || mtu < add + LS_MTU4_MIN || !ls_quote_key(p, &q, &p->scratch) || !ls_quote_known(e, p, &p->scratch, q.mode))
		return 0;
	p->key = p->scratch;
	p->embedded_l3 = (u16)q.at;
	p->flags = (p->flags & ~(u32)LS_PF_ICMP_ERROR) | LS_PF_QUOTED;
	mtu -= add;
	return q.v6 && mtu < LS_MTU6_MIN ? LS_MTU6_MIN : mtu;
}

#endif
