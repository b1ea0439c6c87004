/* Packets to this host: the host-inbound stage (D1), multicast and broadcast, and addresses the pipeline answers itself. */
#ifndef LOCKSTEP_PIPELINE_HOST_H
#define LOCKSTEP_PIPELINE_HOST_H

#include "answer.h"

LS_INLINE bool ls_is_multicast(const struct ls_addr *a, u32 family)
{
	return family == LS_IP4 ? a->b[12] >= 224 : a->b[0] == 0xff;
}

/* Is the packet allowed to an address of the host, whatever the host does itself? */
LS_PART bool ls_host_serves(const struct ls_config *c, const struct ls_pkt *p)
{
	LS_GIVEN(c && p);
	const struct ls_zone *z = &c->zone[p->zone_in & (LS_ZONES_MAX - 1)];
	u32 port = ls_swap16(p->key.dport_be), proto = p->key.proto;

	if ((p->flags & LS_PF_ND) || (z->flags & LS_ZF_HOST_ANY))
		return true;
	if (proto == LS_IPPROTO_TCP && (c->iface[p->in_iface & (LS_IFACES_MAX - 1)].flags & LS_IF_MANAGEMENT))
		for (u32 i = 0; i < LS_MGMT_PORTS_MAX; i++)
			if (c->mgmt_port[i] && c->mgmt_port[i] == port)
				return true; /* management allow: no configuration removes it */
	if (p->flags & LS_PF_ICMP_ERROR)
		return true; /* its stack checks them */
	if (p->flags & LS_PF_ECHO)
		return z->flags & LS_ZF_PING;
	if (proto == LS_IPPROTO_UDP && (z->flags & LS_ZF_DHCP) && (port == 67 || port == 68 || port == 546 || port == 547))
		return true;
	for (u32 i = 0; i < LS_SERVICES_MAX; i++) {
		if (i >= z->services)
			break;
		if (z->service[i].proto == proto && port >= z->service[i].port_lo && port <= z->service[i].port_hi)
			return true;
	}
	return false;
}

/* May it be a reply to a flow that the host opened? Where programs record those, replies find their session and nothing else is one. */
LS_INLINE bool ls_host_replied(const struct ls_env *e, const struct ls_pkt *p)
{
	const struct ls_config *c = port_config(e);
	u32 port = ls_swap16(p->key.dport_be), proto = p->key.proto;

	if (port_host_flows(e))
		return false;
	if (p->flags & LS_PF_ECHO_REPLY)
		return true;
	/* the host's ephemeral range is disjoint from every translated range (R17) */
	return (proto == LS_IPPROTO_UDP || (proto == LS_IPPROTO_TCP && (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK)) != LS_TCP_SYN)) &&
	       port >= c->host_port_lo && port <= c->host_port_hi;
}

LS_INLINE bool ls_host_allows(const struct ls_env *e, const struct ls_pkt *p)
{
	return ls_host_serves(port_config(e), p) || ls_host_replied(e, p);
}

/* Multicast and broadcast are never forwarded; the zone says what the host may have. */
LS_STAGE u32 ls_host_multicast(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_config *c = port_config(e);
	const struct ls_zone *z = &c->zone[p->zone_in & (LS_ZONES_MAX - 1)];
	u32 port = ls_swap16(p->key.dport_be);

	if (p->flags & LS_PF_ND)
		return ls_to_host(e, p);
	if (z->flags & LS_ZF_MULTICAST)
		return ls_to_host(e, p);
	if (p->key.proto == LS_IPPROTO_UDP && (z->flags & LS_ZF_DHCP) && (port == 67 || port == 68 || port == 546 || port == 547))
		return ls_to_host(e, p);
	if (p->key.family == LS_IP4 && p->key.dst.w[3] == 0xffffffff)
		return ls_drop(e, p, LS_DROP_BROADCAST);
	return ls_drop(e, p, ls_is_multicast(&p->key.dst, p->key.family) ? LS_DROP_MULTICAST : LS_DROP_BROADCAST);
}

/* A packet to an address of ours that no session, VIP or translation claimed. */
LS_STAGE u32 ls_host_inbound(const struct ls_env *e, struct ls_pkt *p, const struct ls_local *l)
{
	LS_GIVEN(e && p && l);
	const struct ls_config *c = port_config(e);
	const struct ls_zone *z = &c->zone[p->zone_in & (LS_ZONES_MAX - 1)];

	if (l->kind == LS_LOCAL_HOST) {
		if (ls_host_allows(e, p))
			return ls_to_host(e, p);
		return port_host_flows(e) && !(p->flags & LS_PF_LATER) ? LS_V_SOCKET : ls_drop(e, p, LS_DROP_HOST_INBOUND);
	}
	if (!ls_rg_owned(e, l->rg))
		return ls_fabric_out(e, p, l->rg, LS_DROP_OWN_ADDRESS);
	if ((p->flags & LS_PF_ECHO) && !(p->flags & LS_PF_FRAG) && (z->flags & (LS_ZF_PING | LS_ZF_HOST_ANY)))
		return ls_answer_echo(e, p);
	return ls_drop(e, p, LS_DROP_HOST_INBOUND);
}

/* Link-local IPv6 stays on its link (RFC 4291 2.5.6): the host's own may come in, nothing is forwarded. */
LS_INLINE bool ls_link_local(const struct ls_pkt *p)
{
	return p->key.family == LS_IP6 && ((p->key.src.b[0] == 0xfe && (p->key.src.b[1] & 0xc0) == 0x80) ||
					   (p->key.dst.b[0] == 0xfe && (p->key.dst.b[1] & 0xc0) == 0x80));
}

/* Addresses that can be neither source nor destination of a forwarded packet: RFC 1812 5.3.7, RFC 6890. */
LS_INLINE bool ls_martian(const struct ls_pkt *p)
{
	const struct ls_addr *s = &p->key.src, *d = &p->key.dst;

	if (p->key.family == LS_IP4)
		return s->b[12] == 127 || d->b[12] == 127 || s->b[12] >= 224 || s->b[12] == 0 || d->b[12] == 0 || d->b[12] >= 240;
	/* a v4-mapped address on the wire would pass for IPv4 in every table */
	if (ls_addr_is4(s) || ls_addr_is4(d))
		return true;
	return s->b[0] == 0xff || (s->d[0] == 0 && s->w[2] == 0 && s->w[3] == ls_swap32(1)) ||
	       (d->d[0] == 0 && d->w[2] == 0 && (d->w[3] == ls_swap32(1) || d->w[3] == 0)) || ls_addr_zero(s);
}

#endif
