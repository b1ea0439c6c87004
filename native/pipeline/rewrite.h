/* Rewriting a packet to the tuple it leaves with. Checksums are updated incrementally (RFC 1624); an IPv4 UDP checksum of zero stays zero
 * (RFC 768), and a sum that becomes zero is sent as all ones.
 */
#ifndef LOCKSTEP_PIPELINE_REWRITE_H
#define LOCKSTEP_PIPELINE_REWRITE_H

#include "pkt.h"

LS_INLINE bool ls_put_addr(struct ls_pkt *p, u32 l3, bool source, const struct ls_addr *a)
{
	u8 *h;

	if (p->key.family == LS_IP4) {
		h = port_at(p->buf, l3 + (source ? 12u : 16u), 4);
		if (!h)
			return false;
		ls_copy4(h, &a->w[3]);
	} else {
		h = port_at(p->buf, l3 + (source ? 8u : 24u), 16);
		if (!h)
			return false;
		ls_copy16(h, a->b);
	}
	return true;
}

LS_INLINE bool ls_update_sum(struct ls_pkt *p, u32 offset, u32 removed, u32 added, bool udp)
{
	u8 *h = port_at(p->buf, offset, 2);
	be16 sum;

	if (!h)
		return false;
	sum = ls_raw16(h);
	if (udp && sum == 0 && p->key.family == LS_IP4)
		return true;
	sum = ls_sum_update(sum, removed, added);
	if (udp && sum == 0)
		sum = 0xffff;
	ls_set_raw16(h, sum);
	return true;
}

/* `to` is the tuple the packet leaves with; p->key the one it came with. False: the frame ended early (a bug upstream). */
LS_INLINE bool ls_rewrite(struct ls_pkt *p, const struct ls_key *to)
{
	LS_GIVEN(p && to);
	const struct ls_key *from = &p->key;
	bool later = p->flags & LS_PF_LATER, ok = true, icmp = from->proto == LS_IPPROTO_ICMP || from->proto == LS_IPPROTO_ICMP6;
	bool src = !ls_addr_equal(&from->src, &to->src), dst = !ls_addr_equal(&from->dst, &to->dst);
	u32 removed = 0, added = 0, ports_removed, ports_added;

	if (src) {
		removed += ls_addr_sum(&from->src);
		added += ls_addr_sum(&to->src);
		ok &= ls_put_addr(p, p->l3, true, &to->src);
	}
	if (dst) {
		removed += ls_addr_sum(&from->dst);
		added += ls_addr_sum(&to->dst);
		ok &= ls_put_addr(p, p->l3, false, &to->dst);
	}
	if ((src || dst) && from->family == LS_IP4)
		ok &= ls_update_sum(p, p->l3 + 10u, removed, added, false);
	if (later || !ok)
		return ok;
	ports_removed = (u32)from->sport_be + from->dport_be;
	ports_added = (u32)to->sport_be + to->dport_be;
	if (from->proto == LS_IPPROTO_ICMP)
		removed = added = 0; /* no pseudo-header */
	if (icmp) {
		u8 *id;

		if (!(p->flags & (LS_PF_ECHO | LS_PF_ECHO_REPLY)))
			return from->proto == LS_IPPROTO_ICMP ? ok : ok && ls_update_sum(p, p->l4 + 2u, removed, added, false);
		id = port_at(p->buf, p->l4 + 4u, 2);
		if (!id)
			return false;
		ls_set_raw16(id, p->flags & LS_PF_ECHO ? to->sport_be : to->dport_be);
		return ls_update_sum(p, p->l4 + 2u, removed + ports_removed, added + ports_added, false);
	}
	if (from->proto == LS_IPPROTO_TCP || from->proto == LS_IPPROTO_UDP) {
		u8 *h = port_at(p->buf, p->l4, 4);

		if (!h)
			return false;
		ls_set_raw16(h, to->sport_be);
		ls_set_raw16(h + 2, to->dport_be);
		return ls_update_sum(p, p->l4 + (from->proto == LS_IPPROTO_TCP ? 16u : 6u), removed + ports_removed, added + ports_added,
				     from->proto == LS_IPPROTO_UDP);
	}
	return ok;
}

/* Decrements TTL or hop limit; the IPv4 header sum follows. */
LS_INLINE bool ls_decrement_ttl(struct ls_pkt *p)
{
	u8 *h = port_at(p->buf, p->l3, 20);

	if (!h)
		return false;
	if (p->key.family == LS_IP6) {
		h[7]--;
		return true;
	}
	{
		be16 old = ls_raw16(h + 8), now = (be16)((old & 0xff00) | ((old - 1) & 0xff));

		ls_set_raw16(h + 8, now);
		ls_set_raw16(h + 10, ls_sum_update(ls_raw16(h + 10), old, now));
	}
	return true;
}

/* An ICMP error of direction `dir`: `to` is the tuple a packet of that direction leaves with (already translated), `key` the tuple matched.
 * The outer destination and the embedded source are the same translated end; the embedded destination and, when the error came from the far
 * end itself, the outer source are the other. */
LS_STAGE bool ls_rewrite_icmp_error(struct ls_pkt *p, const struct ls_key *key, const struct ls_key *to)
{
	LS_GIVEN(p && key && to);
	bool v6 = key->family == LS_IP6, far_end = false;
	u32 icmp_removed = 0, icmp_added = 0, ip_removed = 0, ip_added = 0;
	u8 *h;
	struct ls_addr outer_src, outer_dst;

	/* embedded addresses: its source is what the error's direction calls dst */
	if (!ls_put_addr(p, p->embedded_l3, true, &to->dst) || !ls_put_addr(p, p->embedded_l3, false, &to->src))
		return false;
	ip_removed = ls_addr_sum(&key->dst) + ls_fold(ls_addr_sum(&key->src));
	ip_added = ls_addr_sum(&to->dst) + ls_fold(ls_addr_sum(&to->src));
	if (!v6) {
		/* the embedded header sum absorbs the address change, so the ICMP sum sees both cancel out: update by parts all the same */
		be16 before, after;

		h = port_at(p->buf, p->embedded_l3 + 10u, 2);
		if (!h)
			return false;
		before = ls_raw16(h);
		after = ls_sum_update(before, ip_removed, ip_added);
		ls_set_raw16(h, after);
		icmp_removed += before;
		icmp_added += after;
	}
	icmp_removed += ls_fold(ip_removed);
	icmp_added += ls_fold(ip_added);

	/* embedded ports or identifier */
	h = port_at(p->buf, p->embedded_l4, 8);
	if (!h)
		return false;
	if (p->embedded_proto == LS_IPPROTO_TCP || p->embedded_proto == LS_IPPROTO_UDP) {
		ls_set_raw16(h, to->dport_be);
		ls_set_raw16(h + 2, to->sport_be);
		icmp_removed += (u32)key->dport_be + key->sport_be;
		icmp_added += (u32)to->dport_be + to->sport_be;
		if (p->embedded_proto == LS_IPPROTO_UDP && ls_raw16(h + 6) != 0) {
			be16 before = ls_raw16(h + 6), after;

			after = ls_sum_update(before, ls_fold(ip_removed) + (u32)key->dport_be + key->sport_be,
					      ls_fold(ip_added) + (u32)to->dport_be + to->sport_be);
			if (after == 0)
				after = 0xffff;
			ls_set_raw16(h + 6, after);
			icmp_removed += before;
			icmp_added += after;
		} else if (p->embedded_proto == LS_IPPROTO_TCP) {
			u8 *sum = port_at(p->buf, p->embedded_l4 + 16u, 2);

			if (sum && p->embedded_l4 + 18u <= (u32)p->l3 + p->l3_bytes) {
				be16 before = ls_raw16(sum), after;

				after = ls_sum_update(before, ls_fold(ip_removed) + (u32)key->dport_be + key->sport_be,
						      ls_fold(ip_added) + (u32)to->dport_be + to->sport_be);
				ls_set_raw16(sum, after);
				icmp_removed += before;
				icmp_added += after;
			}
		}
	} else if (p->embedded_proto == LS_IPPROTO_ICMP || p->embedded_proto == LS_IPPROTO_ICMP6) {
		/* one of each pair of ports is the identifier, the other zero */
		be16 sum_before = ls_raw16(h + 2), sum_after, id = to->dport_be | to->sport_be, was = ls_raw16(h + 4);
		bool pseudo = p->embedded_proto == LS_IPPROTO_ICMP6;

		sum_after = ls_sum_update(sum_before, (u32)was + (pseudo ? ls_fold(ip_removed) : 0u), (u32)id + (pseudo ? ls_fold(ip_added) : 0u));
		ls_set_raw16(h + 2, sum_after);
		ls_set_raw16(h + 4, id);
		icmp_removed += (u32)was + sum_before;
		icmp_added += (u32)id + sum_after;
	}

	/* outer addresses */
	if (v6) {
		h = port_at(p->buf, p->l3 + 8u, 32);
		if (!h)
			return false;
		ls_copy16(outer_src.b, h);
		ls_copy16(outer_dst.b, h + 16);
	} else {
		h = port_at(p->buf, p->l3 + 12u, 8);
		if (!h)
			return false;
		ls_addr_from4(&outer_src, h);
		ls_addr_from4(&outer_dst, h + 4);
	}
	far_end = ls_addr_equal(&outer_src, &key->src);
	{
		u32 removed = ls_addr_sum(&outer_dst), added = ls_addr_sum(&to->dst);

		if (!ls_put_addr(p, p->l3, false, &to->dst))
			return false;
		if (far_end) {
			removed += ls_fold(ls_addr_sum(&outer_src));
			added += ls_fold(ls_addr_sum(&to->src));
			if (!ls_put_addr(p, p->l3, true, &to->src))
				return false;
		}
		if (v6) {
			icmp_removed += ls_fold(removed);
			icmp_added += ls_fold(added);
		} else if (!ls_update_sum(p, p->l3 + 10u, removed, added, false)) {
			return false;
		}
	}
	return ls_update_sum(p, p->l4 + 2u, icmp_removed, icmp_added, false);
}

#endif
