/* START HERE. The packet pipeline: one frame in, one verdict out. Written once; compiled for user space, BPF and DPDK.
 *
 *   parse -> screens -> session lookup -> hit:  state + counters -> rewrite            -> route -> out
 *                                      -> miss: VIP or DNAT -> policy -> SNAT -> create -> route -> out
 *                       of a group that another node owns, either -> fabric (fabric.h)
 *
 * No allocation, no libc, no logging, constant loop bounds, no #ifdef inside a stage. What the substrate supplies is in port.h.
 * Every drop has one reason, counted where it happens. docs/design/0003-pipeline.md has the order and the reasons for it.
 */
#ifndef LOCKSTEP_PIPELINE_PIPELINE_H
#define LOCKSTEP_PIPELINE_PIPELINE_H

#include "fragment.h"
#include "open.h"
#include "tunnel.h"

/* An ICMP error whose quote is no session's packet: about one that was wrapped here or at the peer, or the host's own affair if it is addressed to the host. */
LS_STAGE u32 ls_error_unmatched(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	bool v6 = p->key.family == LS_IP6;
	const u8 *h = port_at(p->buf, p->l3, v6 ? 40 : 20);
	const struct ls_local *l;
	struct ls_addr dst;
	u32 mtu;

	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	mtu = ls_tunnel_too_big(e, p);
	if (mtu)
		return ls_answer_too_big(e, p, mtu);
	if (v6)
		ls_copy16(dst.b, h + 24);
	else
		ls_addr_from4(&dst, h + 16);
	l = ls_local_find(port_config(e), &dst, p->key.domain);
	return l && l->kind == LS_LOCAL_HOST ? ls_to_host(e, p) : ls_drop(e, p, LS_DROP_ICMP_UNMATCHED);
}

/* IPv4 and IPv6 after their headers (`why`: what ls_parse_network() said), up to the hash of the tuple. LS_V_NEXT: look the session up. */
LS_INLINE u32 ls_front_ip(const struct ls_env *e, const struct ls_config *c, struct ls_pkt *p, u32 why)
{
	LS_GIVEN(e && c && p);
	u32 v;

	if (why != LS_DROP_NONE && why != LS_DROP_ICMP_UNMATCHED)
		return ls_drop(e, p, why);
	if (p->flags & LS_PF_OTHER_MAC)
		return ls_drop(e, p, LS_DROP_NOT_FOR_US);
	if (p->flags & LS_PF_FRAG) {
		ls_count(e, LS_CTR_FRAGMENTS, 1);
		v = ls_screens(e, c, p);
		if (v != LS_V_NEXT)
			return v;
		if (p->flags & LS_PF_ICMP_ERROR) /* errors are small: none is fragmented in good faith */
			return ls_error_unmatched(e, p);
		if (c->zone[p->zone_in & (LS_ZONES_MAX - 1)].flags & LS_ZF_FRAGS_DROP)
			return ls_drop(e, p, LS_DROP_FRAG_DROPPED);
		if (!(p->flags & LS_PF_LATER)) {
			ls_frag_remember(e, p);
		} else if (!ls_frag_recall(e, p)) {
			const struct ls_local *l = ls_local_find(c, &p->key.dst, p->key.domain);

			return l && l->kind == LS_LOCAL_HOST && ls_host_allows(e, p) ? ls_to_host(e, p) : ls_drop(e, p, LS_DROP_FRAG_NO_FIRST);
		}
	} else {
		v = ls_screens(e, c, p);
		if (v != LS_V_NEXT)
			return v;
		if (why != LS_DROP_NONE) /* an error whose quote names nobody */
			return ls_error_unmatched(e, p);
	}
	if ((p->flags & LS_PF_BROADCAST) || ls_is_multicast(&p->key.dst, p->key.family)) {
		if ((p->flags & LS_PF_ND) && p->icmp_type == 135)
			return ls_nd(e, p);
		return ls_host_multicast(e, p);
	}
	if (p->flags & LS_PF_ND) {
		/* unicast neighbour solicitation of an owned address, or the host's business */
		return p->icmp_type == 135 ? ls_nd(e, p) : ls_to_host(e, p);
	}
	if (ls_martian(p))
		return ls_drop(e, p, LS_DROP_MARTIAN);
	ls_key_join(&p->key);
	p->hash = ls_hash_key(port_hash_key(e), &p->key, port_bucket_mask(e));
	return LS_V_NEXT;
}

/* The creation met a twin: if that one is live by now it is this packet's session too, else the packet is lost (R2). */
LS_STAGE u32 ls_raced(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	u32 gen = 0, ref = ls_index_find(e, p->hash, &p->key, LS_SLOT_NONE, &gen), v;

	if (ref == LS_REF_NONE)
		return ls_drop(e, p, LS_DROP_CREATE_RACE);
	v = ls_hit(e, p, ref, gen);
	return v == LS_V_REVIVE ? ls_drop(e, p, LS_DROP_CREATE_RACE) : v;
}

/* The second half: the session, or a new one. */
LS_INLINE u32 ls_pipeline_back(const struct ls_env *e, struct ls_pkt *p)
{
	u32 v, ref = LS_REF_NONE, gen = 0;
	struct ls_session *s = ls_index_first(e, p->hash, &p->key, &ref, &gen);

	if (LS_UNLIKELY(ref == LS_REF_UNSURE)) {
		ref = ls_index_find(e, p->hash, &p->key, LS_SLOT_NONE, &gen);
		s = ref == LS_REF_NONE ? NULL : port_session(e, LS_REF_SLOT(ref));
	}
	if (s) {
		v = ls_hit_found(e, p, s, ref, gen);
		return v == LS_V_REVIVE ? ls_revive(e, p, ref, gen) : v;
	}
	if (p->flags & LS_PF_ICMP_ERROR)
		return ls_error_unmatched(e, p);
	v = ls_open(e, p);
	return v == LS_V_RACED ? ls_raced(e, p) : v;
}

/* Counts a frame received, its headers parsed as far as they go. The wire (global, interface) counts frames, a zone layer 3 as all behind it does (R20):
 * what the IP header says, without padding; of what has no such header, all behind the link header. */
LS_INLINE void ls_received(const struct ls_env *e, const struct ls_pkt *p)
{
	struct ls_counters *n = port_counters(e);
	u32 bytes = port_len(p->buf);

	if (!n)
		return;
	ls_bump(&n->global[LS_CTR_RX_PACKETS], 1);
	ls_bump(&n->global[LS_CTR_RX_BYTES], bytes);
	ls_count_pair(n->iface_rx[p->in_iface & (LS_IFACES_MAX - 1)], bytes);
	ls_count_pair(n->zone_in[p->zone_in & (LS_ZONES_MAX - 1)], p->l3_bytes ? p->l3_bytes : bytes - p->l3);
}

/* The first half: what the frame itself says. LS_V_NEXT: the second half decides; else the verdict. A burst runs this for all its frames first, so that
 * the table's lines are on their way (burst.h). */
LS_INLINE u32 ls_pipeline_front(const struct ls_env *e, struct ls_pkt *p, u32 device)
{
	const struct ls_config *c = port_config(e);
	u32 why = ls_parse_link(c, p, device);
	bool ip = why == LS_DROP_NONE && (p->ethertype == LS_ETH_IP4 || p->ethertype == LS_ETH_IP6);

	if (!ip && why == LS_DROP_NONE && p->ethertype == LS_ETHERTYPE_FABRIC) {
		why = ls_fabric_in(e, p);
		ip = why == LS_DROP_NONE;
	}
	if (ip)
		why = ls_parse_network(p);
	ls_received(e, p);
	if (ip)
		return ls_front_ip(e, c, p, why);
	if (why != LS_DROP_NONE)
		return ls_drop(e, p, why);
	switch (p->ethertype) {
	case LS_ETH_ARP:
		return ls_arp(e, p);
	case LS_ETH_LLDP:
	case LS_ETH_SLOW:
		return ls_to_host(e, p);
	default:
		return ls_drop(e, p, LS_DROP_UNKNOWN_ETHERTYPE);
	}
}

/* After both halves: tells the sender what it has to know, counts what leaves. */
LS_INLINE u32 ls_pipeline_end(const struct ls_env *e, struct ls_pkt *p, u32 v)
{
	if (v == LS_V_ANSWER)
		v = ls_answer(e, p);
	if (v == LS_V_SOCKET) /* the substrate could not tell, or told otherwise */
		v = ls_drop(e, p, LS_DROP_HOST_INBOUND);
	if (v == LS_V_TX)
		ls_sent(e, p);
	return v;
}

/* One frame received on `device`. `p` is the worker's scratch; its buffer is p->buf. */
LS_INLINE u32 ls_pipeline(const struct ls_env *e, struct ls_pkt *p, u32 device)
{
	u32 v = ls_pipeline_front(e, p, device);

	if (v == LS_V_NEXT)
		v = ls_pipeline_back(e, p);
	return ls_pipeline_end(e, p, v);
}

#endif
