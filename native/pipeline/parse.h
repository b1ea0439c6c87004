/* Parse: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension headers, fragments, TCP, UDP, ICMP.
 *
 * Fills the packet's tuple and offsets; every truncated or malformed packet is a drop reason. ARP and link protocols are left to
 * the caller by `ethertype`. Sources: RFC 791, 8200, 9293, 768, 792, 4443, IEEE 802.1Q.
 */
#ifndef LOCKSTEP_PIPELINE_PARSE_H
#define LOCKSTEP_PIPELINE_PARSE_H

#include "pkt.h"

LS_INLINE u32 ls_config_probe(u32 h, u32 i, u32 size) { return (h + i) & (size - 1); }

/* Logical interface of (device, outer VLAN, inner VLAN); 0 = none. */
LS_INLINE u32 ls_iface_find(const struct ls_config *c, u32 device, u32 outer, u32 inner)
{
	u32 h = ls_config_hash_step(c->hash_seed, device | outer << 16);

	h = ls_config_hash_step(h, inner);
	for (u32 i = 0; i < LS_HASH_PROBES; i++) {
		const struct ls_iface_slot *s = &c->iface_hash[ls_config_probe(h, i, LS_IFACE_HASH)];

		if (s->iface == 0)
			return 0;
		if (s->device == device && s->outer_vlan == outer && s->inner_vlan == inner)
			return s->iface & (LS_IFACES_MAX - 1);
	}
	return 0;
}

/* Link layer. LS_DROP_NONE, or why not. Sets in_iface, zone_in, ethertype, l3. */
LS_INLINE u32 ls_parse_link(const struct ls_config *c, struct ls_pkt *p, u32 device)
{
	LS_GIVEN(c && p);
	const u8 *h = port_at(p->buf, 0, 14);
	const struct ls_iface *iface;
	u32 outer = 0, inner = 0, offset = 14, type, i;

	if (!h)
		return LS_DROP_TRUNCATED;
	type = ls_get16(h + 12);
	for (u32 n = 0; n < LS_VLANS_MAX && (type == LS_ETH_VLAN || type == LS_ETH_QINQ); n++) {
		const u8 *tag = port_at(p->buf, offset, 4);

		if (!tag)
			return LS_DROP_TRUNCATED;
		if (n == 0)
			outer = ls_get16(tag) & 0xfff;
		else
			inner = ls_get16(tag) & 0xfff;
		type = ls_get16(tag + 2);
		offset += 4;
	}
	if (type == LS_ETH_VLAN || type == LS_ETH_QINQ)
		return LS_DROP_TOO_MANY_VLANS;
	p->ethertype = (u16)type;
	p->l3 = (u16)offset;
	i = ls_iface_find(c, device, outer, inner);
	if (i == 0)
		return LS_DROP_UNKNOWN_IFACE;
	iface = &c->iface[i];
	p->in_iface = (u16)i;
	p->zone_in = iface->zone & (LS_ZONES_MAX - 1);
	p->key.domain = iface->domain;
	h = port_at(p->buf, 0, 14);
	if (!h)
		return LS_DROP_TRUNCATED;
	if (h[0] & 1)
		p->flags |= LS_PF_BROADCAST;
	else if (!ls_same6(h, iface->mac))
		p->flags |= LS_PF_OTHER_MAC;
	return LS_DROP_NONE;
}

/* IPv4 options from `at` to before `end`: loose and strict source route, RFC 791 3.1. */
LS_PART u32 ls_parse_options(struct ls_pkt *p, u32 at, u32 end)
{
	LS_GIVEN(p);
	for (u32 n = 0; n < 40 && at < end; n++) {
		const u8 *o = port_at(p->buf, at, 1), *l;

		if (!o || o[0] == 0)
			break;
		if (o[0] == 131 || o[0] == 137)
			p->flags |= LS_PF_SOURCE_ROUTE;
		if (o[0] == 1) {
			at++;
			continue;
		}
		l = port_at(p->buf, at + 1, 1);
		if (!l || l[0] < 2 || at + l[0] > end)
			return LS_DROP_MALFORMED_IP4;
		at += l[0];
	}
	return LS_DROP_NONE;
}

LS_INLINE u32 ls_parse_ip4(struct ls_pkt *p, u32 offset)
{
	LS_GIVEN(p);
	const u8 *h = port_at(p->buf, offset, 20);
	u32 ihl, total, frag, have = port_len(p->buf) - offset;

	if (!h)
		return LS_DROP_TRUNCATED;
	ihl = (h[0] & 15u) * 4;
	total = ls_get16(h + 2);
	if (h[0] >> 4 != 4 || ihl < 20 || total < ihl)
		return LS_DROP_MALFORMED_IP4;
	if (total > have)
		return LS_DROP_TRUNCATED;
	p->l3_bytes = (u16)total;
	p->tos = h[1];
	p->ttl = h[8];
	p->key.proto = h[9];
	p->key.family = LS_IP4;
	ls_addr_from4(&p->key.src, h + 12);
	ls_addr_from4(&p->key.dst, h + 16);
	p->ident = ls_get16(h + 4);
	frag = ls_get16(h + 6);
	if (frag & 0x4000)
		p->flags |= LS_PF_DF;
	p->frag_offset = (u16)((frag & 0x1fff) * 8);
	p->more_frags = (frag & 0x2000) != 0;
	if (p->frag_offset || p->more_frags)
		p->flags |= LS_PF_FRAG;
	if (p->frag_offset)
		p->flags |= LS_PF_LATER;
	p->l4 = (u16)(offset + ihl);
	p->l4_bytes = total - ihl;
	if (ihl > 20) {
		h = port_at(p->buf, offset, ihl);
		if (!h)
			return LS_DROP_TRUNCATED;
		if (!port_sum_good(p->buf) && ls_fold(ls_sum_words(h, ihl / 2 > 30 ? 30 : ihl / 2)) != 0xffff)
			return LS_DROP_BAD_CHECKSUM;
		return ls_parse_options(p, offset + 20, offset + ihl);
	}
	return port_sum_good(p->buf) || ls_fold(ls_sum_words(h, 10)) == 0xffff ? LS_DROP_NONE : LS_DROP_BAD_CHECKSUM;
}

LS_PART u32 ls_parse_ip6(struct ls_pkt *p, u32 offset)
{
	LS_GIVEN(p);
	const u8 *h = port_at(p->buf, offset, 40);
	u32 payload, at, next, end, fragments = 0, have = port_len(p->buf) - offset;

	if (!h)
		return LS_DROP_TRUNCATED;
	payload = ls_get16(h + 4);
	if (h[0] >> 4 != 6)
		return LS_DROP_MALFORMED_IP6;
	if (payload + 40 > have)
		return LS_DROP_TRUNCATED;
	if (payload > 0xffff - 40)
		return LS_DROP_MALFORMED_IP6;
	p->l3_bytes = (u16)(payload + 40);
	p->tos = (u8)(h[0] << 4 | h[1] >> 4);
	p->ttl = h[7];
	p->key.family = LS_IP6;
	ls_copy16(p->key.src.b, h + 8);
	ls_copy16(p->key.dst.b, h + 24);
	p->flags |= LS_PF_DF;
	next = h[6];
	at = 40;
	end = payload + 40;
	for (u32 n = 0; n < LS_EXT_HEADERS_MAX; n++) {
		const u8 *x;
		u32 bytes;

		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 && next != 135)
			break;
		if (at + 8 > end)
			return LS_DROP_MALFORMED_IP6;
		if (offset + at + 8 > LS_HEADER_BYTES_MAX)
			return LS_DROP_EXT_HEADERS;
		x = port_at(p->buf, offset + at, 8);
		if (!x)
			return LS_DROP_TRUNCATED;
		if (next == 0 && n != 0)
			return LS_DROP_EXT_HEADERS; /* hop-by-hop is first or nowhere, RFC 8200 4.1 */
		if (next == 43 && x[2] == 0)
			p->flags |= LS_PF_SOURCE_ROUTE;
		if (next == 44) {
			u32 frag = ls_get16(x + 2);

			if (fragments++)
				return LS_DROP_EXT_HEADERS; /* at most one, RFC 8200 4.1 */

			bytes = 8;
			p->ident = ls_get32(x + 4);
			p->frag_offset = (u16)(frag & 0xfff8);
			p->more_frags = frag & 1;
			if (p->frag_offset || p->more_frags)
				p->flags |= LS_PF_FRAG;
			if (p->frag_offset) {
				p->flags |= LS_PF_LATER;
				next = x[0];
				at += bytes;
				break; /* what follows is data */
			}
		} else {
			bytes = next == 51 ? (x[1] + 2u) * 4 : (x[1] + 1u) * 8;
		}
		next = x[0];
		at += bytes;
		if (at > end)
			return LS_DROP_MALFORMED_IP6;
	}
	if (!(p->flags & LS_PF_LATER) && (next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135))
		return LS_DROP_EXT_HEADERS;
	if (offset + at + 60 > LS_HEADER_BYTES_MAX) /* the longest TCP header */
		return LS_DROP_EXT_HEADERS;
	p->key.proto = (u8)next;
	p->l4 = (u16)(offset + at);
	p->l4_bytes = end - at;
	return LS_DROP_NONE;
}

/* The tuple of the packet inside an ICMP error, swapped: the direction the error travels (R19). */
LS_STAGE u32 ls_parse_embedded(struct ls_pkt *p, u32 offset)
{
	LS_GIVEN(p);
	const u8 *h;
	struct ls_addr from;
	u32 l4, proto;

	p->embedded_l3 = (u16)offset;
	if (p->key.family == LS_IP4) {
		h = port_at(p->buf, offset, 20);
		if (!h || h[0] >> 4 != 4 || (h[0] & 15) < 5)
			return LS_DROP_ICMP_UNMATCHED;
		if (ls_get16(h + 6) & 0x1fff)
			return LS_DROP_ICMP_UNMATCHED;
		proto = h[9];
		ls_addr_from4(&from, h + 12);
		ls_addr_from4(&p->key.src, h + 16);
		l4 = offset + (h[0] & 15u) * 4;
	} else {
		h = port_at(p->buf, offset, 40);
		if (!h || h[0] >> 4 != 6)
			return LS_DROP_ICMP_UNMATCHED;
		proto = h[6];
		ls_copy16(from.b, h + 8);
		ls_copy16(p->key.src.b, h + 24);
		l4 = offset + 40;
	}
	/* an error goes to whoever sent what it quotes (RFC 1122 3.2.2, RFC 4443 2.2): another destination is a forgery that would be led to
	 * somebody's session. Swapped, the quoted source is the tuple's destination, so key.dst is right already. */
	if (!ls_addr_equal(&from, &p->key.dst))
		return LS_DROP_ICMP_UNMATCHED;
	if (l4 + 8 > (u32)p->l3 + p->l3_bytes)
		return LS_DROP_ICMP_UNMATCHED;
	h = port_at(p->buf, l4, 8);
	if (!h || l4 + 20 > LS_HEADER_BYTES_MAX)
		return LS_DROP_ICMP_UNMATCHED;
	p->embedded_l4 = (u16)l4;
	p->embedded_proto = (u8)proto;
	p->key.proto = (u8)proto;
	if (proto == LS_IPPROTO_TCP || proto == LS_IPPROTO_UDP) {
		p->key.dport_be = ls_raw16(h);
		p->key.sport_be = ls_raw16(h + 2);
	} else if ((proto == LS_IPPROTO_ICMP && (h[0] == 8 || h[0] == 0)) ||
		   (proto == LS_IPPROTO_ICMP6 && (h[0] == 128 || h[0] == 129))) {
		bool request = h[0] == 8 || h[0] == 128;

		/* the embedded request has sport = id; swapped, the error travels like its reply */
		p->key.sport_be = request ? 0 : ls_raw16(h + 4);
		p->key.dport_be = request ? ls_raw16(h + 4) : 0;
	} else {
		p->key.sport_be = 0;
		p->key.dport_be = 0;
		if (proto == LS_IPPROTO_ICMP || proto == LS_IPPROTO_ICMP6)
			return LS_DROP_ICMP_UNMATCHED;
	}
	return LS_DROP_NONE;
}

LS_INLINE u32 ls_parse_icmp(struct ls_pkt *p)
{
	const u8 *h = port_at(p->buf, p->l4, 8);
	bool v6 = p->key.proto == LS_IPPROTO_ICMP6;

	if (p->l4_bytes < 8 || !h)
		return LS_DROP_MALFORMED_L4;
	if (v6 != (p->key.family == LS_IP6))
		return LS_DROP_UNKNOWN_PROTOCOL;
	p->icmp_type = h[0];
	p->icmp_code = h[1];
	if (h[0] == (v6 ? 128 : 8)) {
		p->flags |= LS_PF_ECHO;
		p->key.sport_be = ls_raw16(h + 4);
		p->key.dport_be = 0;
		return LS_DROP_NONE;
	}
	if (h[0] == (v6 ? 129 : 0)) {
		p->flags |= LS_PF_ECHO_REPLY;
		p->key.sport_be = 0;
		p->key.dport_be = ls_raw16(h + 4);
		return LS_DROP_NONE;
	}
	if (v6 ? (h[0] >= 1 && h[0] <= 4) : (h[0] == 3 || h[0] == 4 || h[0] == 11 || h[0] == 12)) {
		p->flags |= LS_PF_ICMP_ERROR;
		return ls_parse_embedded(p, p->l4 + 8u);
	}
	if (v6 && h[0] >= 130 && h[0] <= 143)
		p->flags |= LS_PF_ND;
	p->flags |= LS_PF_NO_PORTS;
	p->key.sport_be = 0;
	p->key.dport_be = 0;
	return LS_DROP_NONE;
}

/* Transport header of an unfragmented packet or a first fragment. */
LS_INLINE u32 ls_parse_transport(struct ls_pkt *p)
{
	LS_GIVEN(p);
	const u8 *h;

	switch (p->key.proto) {
	case LS_IPPROTO_TCP:
		h = port_at(p->buf, p->l4, 20);
		if (p->l4_bytes < 20 || !h)
			return p->flags & LS_PF_FRAG ? LS_DROP_FRAG_OVERLAP : LS_DROP_MALFORMED_L4;
		if ((h[12] >> 4) < 5 || (h[12] >> 4) * 4u > p->l4_bytes)
			return LS_DROP_MALFORMED_L4;
		p->key.sport_be = ls_raw16(h);
		p->key.dport_be = ls_raw16(h + 2);
		p->tcp_seq = ls_get32(h + 4);
		p->tcp_ack = ls_get32(h + 8);
		p->tcp_flags = h[13] & 0x3f;
		return LS_DROP_NONE;
	case LS_IPPROTO_UDP:
		h = port_at(p->buf, p->l4, 8);
		if (p->l4_bytes < 8 || !h)
			return LS_DROP_MALFORMED_L4;
		if (!(p->flags & LS_PF_FRAG) && (ls_get16(h + 4) < 8 || ls_get16(h + 4) > p->l4_bytes))
			return LS_DROP_MALFORMED_L4;
		p->key.sport_be = ls_raw16(h);
		p->key.dport_be = ls_raw16(h + 2);
		return LS_DROP_NONE;
	case LS_IPPROTO_ICMP:
	case LS_IPPROTO_ICMP6:
		return ls_parse_icmp(p);
	default:
		p->flags |= LS_PF_NO_PORTS;
		p->key.sport_be = 0;
		p->key.dport_be = 0;
		return LS_DROP_NONE;
	}
}

/* Network and transport layers of an IPv4 or IPv6 frame. Later fragments keep zero ports: see fragment.h. */
LS_INLINE u32 ls_parse_network(struct ls_pkt *p)
{
	u32 why = p->ethertype == LS_ETH_IP4 ? ls_parse_ip4(p, p->l3) : ls_parse_ip6(p, p->l3);

	if (why != LS_DROP_NONE)
		return why;
	if (p->flags & LS_PF_LATER)
		return p->key.proto == LS_IPPROTO_TCP && p->frag_offset < 20 ? LS_DROP_FRAG_OVERLAP : LS_DROP_NONE;
	return ls_parse_transport(p);
}

#endif
