/* The fabric: the link by which a node hands packets of a redundancy group to the node that owns it (R15). The packet crosses as it came, behind
 *
 *   Ethernet, to everybody | version u8 | hops u8 | group u8 | 0 | zone_in u16 | domain u16 | 0 u16 | ethertype u16 | IPv4 or IPv6 packet
 *
 * and goes through the pipeline there as if it had come in by an interface of that zone and domain. Once at most: what came by the fabric never leaves by it.
 * docs/design/0012-fabric.md has the reasons.
 */
#ifndef LOCKSTEP_PIPELINE_FABRIC_H
#define LOCKSTEP_PIPELINE_FABRIC_H

#include "link.h"

/* Takes the packet, none of whose bytes has changed, to the owner of `rg`. Without a fabric, and when it came by that: the drop for `why`. */
LS_STAGE u32 ls_fabric_out(const struct ls_env *e, struct ls_pkt *p, u32 rg, u32 why)
{
	LS_GIVEN(e && p);
	const struct ls_config *c = port_config(e);
	const struct ls_iface *out = &c->iface[c->fabric & (LS_IFACES_MAX - 1)];
	u32 type = p->ethertype;
	u8 *h;

	if (c->fabric == 0 || (p->flags & LS_PF_FABRIC))
		return ls_drop(e, p, why);
	if (!(out->flags & LS_IF_UP))
		return ls_drop(e, p, LS_DROP_TX_DOWN);
	if (p->l3_bytes + LS_FABRIC_BYTES > out->mtu)
		return ls_drop(e, p, LS_DROP_FABRIC_MTU);
	if (!port_trim(p->buf, (u32)p->l3 + p->l3_bytes))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	if (!port_push(p->buf, LS_FABRIC_BYTES))
		return ls_drop(e, p, LS_DROP_NO_HEADROOM);
	p->ethertype = LS_ETHERTYPE_FABRIC;
	__builtin_memset(p->route.dst_mac, 0xff, 6);
	why = ls_write_link(p, out);
	if (why != LS_DROP_NONE)
		return ls_drop(e, p, why);
	h = port_at(p->buf, p->l3, LS_FABRIC_BYTES);
	if (!h)
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	h[0] = LS_FABRIC_VERSION;
	h[1] = LS_FABRIC_HOPS;
	h[2] = (u8)rg;
	h[3] = 0;
	ls_put16(h + 4, p->zone_in);
	ls_put16(h + 6, p->key.domain);
	ls_put16(h + 8, 0);
	ls_put16(h + 10, (u16)type);
	p->out_iface = c->fabric & (LS_IFACES_MAX - 1);
	ls_count(e, LS_CTR_FABRIC_OUT, 1);
	ls_count(e, LS_CTR_FABRIC_OUT_BYTES, p->l3_bytes);
	return LS_V_TX;
}

/* A frame of the fabric's ethertype: from here on the packet in it, by the zone and domain where the other node got it. LS_DROP_NONE, or why not. */
LS_STAGE u32 ls_fabric_in(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const u8 *h = port_at(p->buf, p->l3, LS_FABRIC_BYTES);
	u32 zone, type;

	if (p->in_iface != port_config(e)->fabric)
		return LS_DROP_FABRIC_IFACE;
	if (p->flags & LS_PF_OTHER_MAC)
		return LS_DROP_NOT_FOR_US;
	if (!h)
		return LS_DROP_TRUNCATED;
	zone = ls_get16(h + 4);
	type = ls_get16(h + 10);
	if (h[0] != LS_FABRIC_VERSION || h[1] > LS_FABRIC_HOPS || h[2] >= LS_RGS_MAX || zone == 0 || zone >= LS_ZONES_MAX || (type != LS_ETH_IP4 && type != LS_ETH_IP6))
		return LS_DROP_FABRIC_HEADER;
	p->zone_in = (u16)zone;
	p->key.domain = ls_get16(h + 6);
	p->ethertype = (u16)type;
	p->l3 += LS_FABRIC_BYTES;
	p->flags = (p->flags & ~(u32)LS_PF_BROADCAST) | LS_PF_FABRIC;
	ls_count(e, LS_CTR_FABRIC_IN, 1);
	ls_count(e, LS_CTR_FABRIC_IN_BYTES, port_len(p->buf) - p->l3);
	return LS_DROP_NONE;
}

/* An answer whose asker is not where the frame came from goes by this node's own way to it: the frame becomes one that came in there. LS_V_TX, LS_V_NEIGH, or
 * LS_V_DROP: there is no way. */
LS_STAGE u32 ls_fabric_back(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_iface *i;
	u32 l4 = (u32)p->l4 - p->l3;
	u8 *h;

	port_route(e, &p->key.src, p->key.family, p->key.domain, &p->route);
	if (p->route.result != LS_ROUTE_OK && p->route.result != LS_ROUTE_UNRESOLVED)
		return LS_V_DROP;
	i = &port_config(e)->iface[p->route.iface & (LS_IFACES_MAX - 1)];
	if (!(i->flags & LS_IF_UP) || ls_write_link(p, i) != LS_DROP_NONE)
		return LS_V_DROP;
	h = port_at(p->buf, 6, 6);
	if (!h)
		return LS_V_DROP;
	ls_copy6(h, p->route.dst_mac);
	p->l4 = (u16)(p->l3 + l4);
	p->in_iface = p->route.iface & (LS_IFACES_MAX - 1);
	return p->route.result == LS_ROUTE_OK ? LS_V_TX : LS_V_NEIGH;
}

#endif
