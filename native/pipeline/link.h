/* The link header that a frame leaves with. */
#ifndef LOCKSTEP_PIPELINE_LINK_H
#define LOCKSTEP_PIPELINE_LINK_H

#include "pkt.h"

/* Tags and type behind the addresses of a frame with room for 22 bytes; where its network header begins. VLANs in host order, 0 = untagged. */
LS_INLINE u32 ls_put_tags(u8 *h, u32 outer, u32 inner, u32 type)
{
	u32 at = 12;

	if (outer) {
		ls_put16(h + at, (u16)(inner ? LS_ETH_QINQ : LS_ETH_VLAN));
		ls_put16(h + at + 2, (u16)outer);
		at += 4;
	}
	if (inner) {
		ls_put16(h + at, LS_ETH_VLAN);
		ls_put16(h + at + 2, (u16)inner);
		at += 4;
	}
	ls_put16(h + at, (u16)type);
	return at + 2;
}

/* Link header of the egress interface in front of the network header at p->l3. */
LS_INLINE u32 ls_write_link(struct ls_pkt *p, const struct ls_iface *out)
{
	LS_GIVEN(p && out);
	u32 need = 14 + (out->outer_vlan ? 4u : 0u) + (out->inner_vlan ? 4u : 0u), have = p->l3;
	u8 *h;

	if (need > have ? !port_push(p->buf, need - have) : need < have && !port_pull(p->buf, have - need))
		return LS_DROP_NO_HEADROOM;
	p->l3 = (u16)need;
	h = port_at(p->buf, 0, 22);
	if (!h)
		return LS_DROP_TRUNCATED;
	ls_copy6(h, p->route.dst_mac);
	ls_copy6(h + 6, out->mac);
	ls_put_tags(h, out->outer_vlan, out->inner_vlan, p->ethertype);
	return LS_DROP_NONE;
}

#endif
