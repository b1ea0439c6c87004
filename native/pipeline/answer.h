/* Answers the pipeline itself gives, built in place of the packet that asked: ARP and neighbour advertisements for owned addresses (D2), echo
 * replies of VIPs, ICMP errors (time exceeded, too big, unreachable) and TCP resets. Sources: RFC 826, 4861, 792, 4443, 1812 4.3.2, 9293 3.10.7.
 */
#ifndef LOCKSTEP_PIPELINE_ANSWER_H
#define LOCKSTEP_PIPELINE_ANSWER_H

#include "fabric.h"
#include "lookup.h"
#include "rewrite.h"
#include "screen.h"

#define LS_ICMP_ERRORS_PER_WINDOW 1000 /* of one zone, as Linux icmp_msgs_per_sec */
/* answer types beside those of ICMP */
#define LS_ANSWER_RESET 256
#define LS_ANSWER_COOKIE 257    /* SYN+ACK with a cookie: p->answer_info is its sequence number, p->ident its MSS */
#define LS_ANSWER_HANDSHAKE 258 /* the acknowledgement of a server's SYN+ACK */
#define LS_COOKIE_WINDOW 65535
#define LS_QUOTE_DEPTH 92 /* most of an error that lies before the packet a tunnel carried: IPv6, ICMPv6, IPv6, GRE */

/* Turns the Ethernet header around; the frame leaves where it came from. */
LS_INLINE bool ls_answer_link(const struct ls_env *e, struct ls_pkt *p)
{
	const struct ls_iface *i = &port_config(e)->iface[p->in_iface & (LS_IFACES_MAX - 1)];
	u8 *h = port_at(p->buf, 0, 14);

	if (!h)
		return false;
	ls_copy6(h, h + 6);
	ls_copy6(h + 6, i->mac);
	p->out_iface = p->in_iface;
	p->flags |= LS_PF_GENERATED;
	return true;
}

/* By the exact clock, which is read only when the end may be near: after it another node may own the group. */
LS_INLINE bool ls_lease_ended(const struct ls_env *e, const struct ls_rg *r)
{
	u64 deadline = LS_LOAD(&r->lease_deadline_ns);

	return LS_UNLIKELY(deadline <= port_now(e) + LS_CLOCK_LAG_MS * 1000000ULL) && deadline <= port_now_exact(e);
}

LS_INLINE bool ls_rg_owned(const struct ls_env *e, u32 rg)
{
	const struct ls_rg *r;

	if (rg == LS_RG_NONE)
		return true;
	r = port_rg(e, rg);
	return r && LS_LOAD(&r->role) == LS_ROLE_OWNER && !ls_lease_ended(e, r);
}

/* ARP: answered for addresses that are ours but not the host's; everything else belongs to the host's stack. */
LS_STAGE u32 ls_arp(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_config *c = port_config(e);
	u8 *a = port_at(p->buf, p->l3, 28);
	const struct ls_local *l;
	struct ls_addr target;

	if (!a)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	if (ls_get16(a) != 1 || ls_get16(a + 2) != 0x0800 || ls_get16(a + 6) != 1)
		return ls_to_host(e, p);
	ls_addr_from4(&target, a + 24);
	l = ls_local_find(c, &target, p->key.domain);
	if (!l || l->kind == LS_LOCAL_HOST || (l->iface && l->iface != p->in_iface))
		return ls_to_host(e, p);
	if (!ls_rg_owned(e, l->rg))
		return ls_drop(e, p, LS_DROP_OWN_ADDRESS);
	ls_put16(a + 6, 2);
	__builtin_memcpy(a + 18, a + 8, 10); /* the asker becomes the target */
	ls_copy6(a + 8, c->iface[p->in_iface & (LS_IFACES_MAX - 1)].mac);
	ls_copy4(a + 14, &target.w[3]);
	if (!ls_answer_link(e, p))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	ls_count(e, LS_CTR_ARP_REPLIES, 1);
	return LS_V_TX;
}

/* Neighbour solicitation for an owned address: advertisement in place (72 bytes of IPv6 from the header on). */
LS_STAGE u32 ls_nd(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_config *c = port_config(e);
	u8 *h = port_at(p->buf, p->l3, 64);
	const struct ls_local *l;
	struct ls_addr target;
	u32 sum;
	bool dad;

	if (p->icmp_type != 135 || !h || p->l4 != p->l3 + 40 || (p->flags & LS_PF_FABRIC))
		return ls_to_host(e, p);
	if (p->ttl != 255)
		return ls_drop(e, p, LS_DROP_MARTIAN); /* RFC 4861 7.1.1 */
	ls_copy16(target.b, h + 48);
	l = ls_local_find(c, &target, p->key.domain);
	if (!l || l->kind == LS_LOCAL_HOST || (l->iface && l->iface != p->in_iface))
		return ls_to_host(e, p);
	if (!ls_rg_owned(e, l->rg))
		return ls_drop(e, p, LS_DROP_OWN_ADDRESS);
	dad = ls_addr_zero(&p->key.src);
	if (!port_trim(p->buf, p->l3 + 64u) || !port_grow(p->buf, p->l3 + 72u))
		return ls_drop(e, p, LS_DROP_NO_HEADROOM);
	if (!ls_answer_link(e, p))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	h = port_at(p->buf, 0, 6);
	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	if (dad) {
		static const u8 all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

		ls_copy6(h, all_nodes_mac);
	}
	h = port_at(p->buf, p->l3, 72);
	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	h[0] = 0x60;
	h[1] = h[2] = h[3] = 0;
	ls_put16(h + 4, 32);
	h[6] = LS_IPPROTO_ICMP6;
	h[7] = 255;
	if (dad) {
		__builtin_memset(h + 24, 0, 16);
		h[24] = 0xff;
		h[25] = 2;
		h[39] = 1;
	} else {
		ls_copy16(h + 24, p->key.src.b);
	}
	ls_copy16(h + 8, target.b);
	h[40] = 136;
	h[41] = 0;
	h[42] = h[43] = 0;
	ls_put32(h + 44, dad ? 0xa0000000u : 0xe0000000u); /* router, solicited, override */
	h[64] = 2;
	h[65] = 1;
	ls_copy6(h + 66, c->iface[p->in_iface & (LS_IFACES_MAX - 1)].mac);
	sum = ls_sum_words(h + 8, 16) + ls_sum_words(h + 40, 16) + ls_swap16(32) + ls_swap16(LS_IPPROTO_ICMP6);
	ls_set_raw16(h + 42, (be16)~ls_fold(sum));
	ls_count(e, LS_CTR_ND_REPLIES, 1);
	return LS_V_TX;
}

/* Echo reply for an address of ours that no host stack answers (VIPs, pools). */
LS_STAGE u32 ls_answer_echo(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	u32 v = p->flags & LS_PF_FABRIC ? ls_fabric_back(e, p) : LS_V_TX;
	bool v6 = p->key.family == LS_IP6;
	be16 was;
	u8 *h;

	if (v == LS_V_DROP)
		return ls_drop(e, p, LS_DROP_NO_ROUTE);
	h = port_at(p->buf, p->l4, 8);
	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	was = ls_raw16(h);
	h[0] = v6 ? 129 : 0;
	ls_set_raw16(h + 2, ls_sum_update(ls_raw16(h + 2), was, ls_raw16(h)));
	h = port_at(p->buf, p->l3, 20);
	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	if (v6) {
		h[7] = 64;
	} else {
		was = ls_raw16(h + 8);
		h[8] = 64; /* ours, not what was left of the asker's (RFC 1122 3.2.1.7) */
		ls_set_raw16(h + 10, ls_sum_update(ls_raw16(h + 10), was, ls_raw16(h + 8)));
	}
	/* swapping the addresses leaves every sum as it is */
	if (!ls_put_addr(p, p->l3, true, &p->key.dst) || !ls_put_addr(p, p->l3, false, &p->key.src) || !ls_answer_link(e, p))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	return v;
}

/* May this packet be answered with an error at all? RFC 1122 3.2.2, RFC 4443 2.4(e). */
LS_INLINE bool ls_may_answer(const struct ls_env *e, const struct ls_pkt *p)
{
	const struct ls_zone *z = &port_config(e)->zone[p->zone_in & (LS_ZONES_MAX - 1)];
	struct ls_zone_rates *r;

	if ((p->flags & (LS_PF_BROADCAST | LS_PF_LATER | LS_PF_ICMP_ERROR | LS_PF_OTHER_MAC)) || (z->flags & LS_ZF_ICMP_ERRORS_OFF))
		return false;
	if (ls_addr_zero(&p->key.src) || p->key.src.b[0] == 0xff || (p->key.family == LS_IP4 && p->key.src.b[12] >= 224))
		return false;
	r = port_rates(e, p->zone_in);
	return r && !ls_rate_exceeds(&r->rate[LS_SCREEN_COUNT], port_now(e), LS_ICMP_ERRORS_PER_WINDOW);
}

/* Replaces the packet by the ICMP error p->answer_* about it, sent back. False: no answer was possible, the frame is gone either way. */
LS_STAGE bool ls_answer_error(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_iface *i = &port_config(e)->iface[p->in_iface & (LS_IFACES_MAX - 1)];
	bool v6 = p->key.family == LS_IP6;
	const struct ls_addr *from = v6 ? &i->addr6 : &i->addr4;
	u32 head = v6 ? 48 : 28, most = v6 ? 1280 - 48 : 576 - 28, quote = p->l3_bytes, l2 = p->l3, sum;
	u8 *h;
	const u8 *old;

	if (ls_addr_zero(from) || !ls_may_answer(e, p))
		return false;
	if (quote > most)
		quote = most;
	if (l2 < 14 || l2 > 22 || !port_trim(p->buf, l2 + quote) || !port_push(p->buf, head))
		return false;
	/* the link header moves to the new front */
	old = port_at(p->buf, head, 22);
	h = port_at(p->buf, 0, 22);
	if (!h || !old)
		return false;
	if (l2 == 14)
		__builtin_memmove(h, old, 14);
	else if (l2 == 18)
		__builtin_memmove(h, old, 18);
	else
		__builtin_memmove(h, old, 22);
	if (!ls_answer_link(e, p))
		return false;
	h = port_at(p->buf, l2, 48);
	if (!h)
		return false;
	if (v6) {
		h[0] = 0x60;
		h[1] = h[2] = h[3] = 0;
		ls_put16(h + 4, (u16)(quote + 8));
		h[6] = LS_IPPROTO_ICMP6;
		h[7] = 64;
		ls_copy16(h + 8, from->b);
		ls_copy16(h + 24, p->key.src.b);
	} else {
		h[0] = 0x45;
		h[1] = 0xc0;
		ls_put16(h + 2, (u16)(quote + 28));
		ls_put32(h + 4, 0);
		h[8] = 64;
		h[9] = LS_IPPROTO_ICMP;
		ls_put16(h + 10, 0);
		ls_copy4(h + 12, &from->w[3]);
		ls_copy4(h + 16, &p->key.src.w[3]);
		ls_set_raw16(h + 10, (be16)~ls_fold(ls_sum_words(h, 10)));
	}
	h = port_at(p->buf, l2 + head - 8, 8);
	if (!h)
		return false;
	h[0] = (u8)p->answer_type;
	h[1] = p->answer_code;
	h[2] = h[3] = 0;
	ls_put32(h + 4, p->answer_info);
	sum = port_sum(p->buf, l2 + head - 8, quote + 8);
	if (v6)
		sum = ls_fold(sum) + ls_fold(ls_addr_sum(from)) + ls_fold(ls_addr_sum(&p->key.src)) + ls_swap16((u16)(quote + 8)) +
		      ls_swap16(LS_IPPROTO_ICMP6);
	h = port_at(p->buf, l2 + head - 8, 8);
	if (!h)
		return false;
	ls_set_raw16(h + 2, (be16)~ls_fold(sum));
	ls_count(e, LS_CTR_ICMP_SENT, 1);
	return true;
}

/* Replaces a TCP segment by an answer to it, without data: `seq_ack` = sequence number << 32 | acknowledgement; `what` = flags | window << 8; MSS option unless
 * `mss` is 0. */
LS_STAGE bool ls_answer_segment(const struct ls_env *e, struct ls_pkt *p, u64 seq_ack, u32 what, u32 mss)
{
	LS_GIVEN(e && p);
	bool v6 = p->key.family == LS_IP6;
	u32 head = v6 ? 40 : 20, bytes = mss ? 24 : 20, sum;
	u8 *h;

	if (!port_trim(p->buf, p->l3 + head + bytes) && !port_grow(p->buf, p->l3 + head + bytes))
		return false;
	if (!ls_answer_link(e, p))
		return false;
	h = port_at(p->buf, p->l3, 20);
	if (!h)
		return false;
	if (v6) {
		h[0] = 0x60;
		h[1] = h[2] = h[3] = 0;
		ls_put16(h + 4, (u16)bytes);
		h[6] = LS_IPPROTO_TCP;
		h[7] = 64;
	} else {
		h[0] = 0x45;
		h[1] = 0;
		ls_put16(h + 2, (u16)(20 + bytes));
		ls_put32(h + 4, 0x4000);
		h[8] = 64;
		h[9] = LS_IPPROTO_TCP;
		ls_put16(h + 10, 0);
		ls_copy4(h + 12, &p->key.dst.w[3]);
		ls_copy4(h + 16, &p->key.src.w[3]);
		ls_set_raw16(h + 10, (be16)~ls_fold(ls_sum_words(h, 10)));
	}
	if (!ls_put_addr(p, p->l3, true, &p->key.dst) || !ls_put_addr(p, p->l3, false, &p->key.src))
		return false;
	h = port_at(p->buf, p->l3 + head, 24);
	if (!mss)
		h = port_at(p->buf, p->l3 + head, 20);
	if (!h)
		return false;
	ls_set_raw16(h, p->key.dport_be);
	ls_set_raw16(h + 2, p->key.sport_be);
	ls_put32(h + 4, (u32)(seq_ack >> 32));
	ls_put32(h + 8, (u32)seq_ack);
	h[12] = (u8)(bytes << 2);
	h[13] = (u8)what;
	ls_put16(h + 14, (u16)(what >> 8));
	ls_put32(h + 16, 0);
	if (mss)
		ls_put32(h + 20, 0x02040000u | (mss & 0xffff));
	sum = ls_sum_words(h, 10) + ls_addr_sum(&p->key.src) + ls_addr_sum(&p->key.dst) + ls_swap16((u16)bytes) + ls_swap16(LS_IPPROTO_TCP);
	if (mss)
		sum += ls_sum_words(h + 20, 2);
	ls_set_raw16(h + 16, (be16)~ls_fold(sum));
	return true;
}

/* The reset that a closed port would send. */
LS_STAGE bool ls_answer_reset(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	bool acked = p->tcp_flags & LS_TCP_ACK;
	u32 length;
	u8 *h;

	if ((p->tcp_flags & LS_TCP_RST) || !ls_may_answer(e, p))
		return false;
	h = port_at(p->buf, p->l4, 20);
	if (!h)
		return false;
	length = p->l4_bytes - (h[12] >> 4) * 4u + !!(p->tcp_flags & LS_TCP_SYN) + !!(p->tcp_flags & LS_TCP_FIN);
	if (!ls_answer_segment(e, p, acked ? (u64)p->tcp_ack << 32 : p->tcp_seq + length, acked ? LS_TCP_RST : LS_TCP_RST | LS_TCP_ACK, 0))
		return false;
	ls_count(e, LS_CTR_RST_SENT, 1);
	return true;
}

/* Drops the packet for `reason` and has its sender told, once the pipeline is through with it (ls_answer). */
LS_INLINE u32 ls_answered(const struct ls_env *e, struct ls_pkt *p, u32 reason, u32 type, u32 code, u32 info)
{
	ls_drop(e, p, reason);
	p->answer_type = (u16)type;
	p->answer_code = (u8)code;
	p->answer_info = info;
	return LS_V_ANSWER;
}

LS_INLINE u32 ls_answer_ttl(const struct ls_env *e, struct ls_pkt *p)
{
	return ls_answered(e, p, LS_DROP_TTL_EXPIRED, p->key.family == LS_IP6 ? 3 : 11, 0, 0);
}

LS_INLINE u32 ls_answer_unreachable(const struct ls_env *e, struct ls_pkt *p, u32 reason)
{
	bool v6 = p->key.family == LS_IP6;

	return ls_answered(e, p, reason, v6 ? 1 : 3, v6 ? 0 : 1, 0);
}

LS_INLINE u32 ls_answer_too_big(const struct ls_env *e, struct ls_pkt *p, u32 mtu)
{
	bool v6 = p->key.family == LS_IP6;

	return ls_answered(e, p, LS_DROP_MTU_EXCEEDED, v6 ? 2 : 3, v6 ? 0 : 4, mtu);
}

/* Policy action reject: a reset for TCP, administratively prohibited for the rest. */
LS_INLINE u32 ls_answer_reject(const struct ls_env *e, struct ls_pkt *p)
{
	bool v6 = p->key.family == LS_IP6;

	if (p->key.proto == LS_IPPROTO_TCP)
		return ls_answered(e, p, LS_DROP_POLICY_REJECT, LS_ANSWER_RESET, 0, 0);
	return ls_answered(e, p, LS_DROP_POLICY_REJECT, v6 ? 1 : 3, v6 ? 1 : 13, 0);
}

/* The packet that an error quotes, as much of it as is there, in place of the error. */
LS_STAGE bool ls_answer_quoted(struct ls_pkt *p)
{
	LS_GIVEN(p);
	u32 cut = (u32)p->embedded_l3 - p->l3, bytes = p->l3_bytes;

	if (cut > LS_QUOTE_DEPTH || cut >= bytes || !port_trim(p->buf, p->l3 + bytes) || !port_pull(p->buf, cut))
		return false;
	p->l3_bytes = (u16)(bytes - cut);
	p->l4 = p->l3;
	p->ethertype = p->key.family == LS_IP6 ? LS_ETH_IP6 : LS_ETH_IP4;
	return true;
}

/* After LS_V_ANSWER: the answer in place of the packet, or the drop alone when none may be given. Needs the packet as it came, as much of it as is quoted. */
LS_STAGE u32 ls_answer(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	u32 v = LS_V_TX;
	bool sent;

	if ((p->flags & LS_PF_QUOTED) && !ls_answer_quoted(p))
		return LS_V_DROP;
	if (p->flags & (LS_PF_FABRIC | LS_PF_QUOTED))
		v = ls_fabric_back(e, p);
	if (v == LS_V_DROP)
		return v;
	switch (p->answer_type) {
	case LS_ANSWER_RESET:
		sent = ls_answer_reset(e, p);
		break;
	case LS_ANSWER_COOKIE:
		sent = ls_answer_segment(e, p, (u64)p->answer_info << 32 | (u32)(p->tcp_seq + 1), LS_TCP_SYN | LS_TCP_ACK | LS_COOKIE_WINDOW << 8, p->ident);
		if (sent)
			ls_count(e, LS_CTR_COOKIES_SENT, 1);
		break;
	case LS_ANSWER_HANDSHAKE:
		sent = ls_answer_segment(e, p, (u64)p->tcp_ack << 32 | (u32)(p->tcp_seq + 1), LS_TCP_ACK | LS_COOKIE_WINDOW << 8, 0);
		break;
	default:
		sent = ls_answer_error(e, p);
	}
	return sent ? v : LS_V_DROP;
}

#endif
