/* What is the same in all of them stands once: the link's header with its tags, and the body of a neighbour discovery message. */
#include "backend/userspace/neighbour_frames.h"

#include <net/if_arp.h>
#include <string.h>

#include "backend/userspace/userspace.h"
#include "pipeline/link.h"

static const u8 everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static u32 link_header(u8 *f, const struct ls_frame_link *l, const u8 to[6], u16 type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, l->mac, 6);
	return ls_put_tags(f, l->outer_vlan, l->inner_vlan, type);
}

u32 ls_arp_frame(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, u16 operation, const struct ls_addr *sender, const u8 *target_mac, const struct ls_addr *target)
{
	u32 at = link_header(f, l, everyone, LS_ETH_ARP);
	u8 *h = f + at;

	memset(h, 0, 28);
	ls_put16(h, ARPHRD_ETHER);
	ls_put16(h + 2, LS_ETH_IP4);
	h[4] = 6;
	h[5] = 4;
	ls_put16(h + 6, operation);
	memcpy(h + 8, l->mac, 6);
	memcpy(h + 14, &sender->w[3], 4);
	if (target_mac)
		memcpy(h + 18, target_mac, 6);
	memcpy(h + 24, &target->w[3], 4);
	return at + 28;
}

/* IPv6 header, message and the option with our link-layer address. */
static u32 nd_frame(u8 *f, const struct ls_frame_link *l, u8 type, const struct ls_addr *from, const u8 to[16], const struct ls_addr *target)
{
	const u8 to_mac[6] = { 0x33, 0x33, to[12], to[13], to[14], to[15] }; /* RFC 2464 7 */
	u32 at = link_header(f, l, to_mac, LS_ETH_IP6);
	u8 *h = f + at;

	memset(h, 0, 72);
	h[0] = 0x60;
	ls_put16(h + 4, 32);
	h[6] = LS_IPPROTO_ICMP6;
	h[7] = 255;
	memcpy(h + 8, from->b, 16);
	memcpy(h + 24, to, 16);
	h[40] = type;
	if (type == LS_ND_ADVERTISEMENT)
		ls_put32(h + 44, 0xa0000000u); /* router, override */
	memcpy(h + 48, target->b, 16);
	h[64] = type == LS_ND_ADVERTISEMENT ? 2 : 1; /* target's, source's */
	h[65] = 1;
	memcpy(h + 66, l->mac, 6);
	ls_set_raw16(h + 42, (be16)~ls_fold(ls_sum_words(h + 8, 32) + ls_swap16(32) + ls_swap16(LS_IPPROTO_ICMP6)));
	return at + 72;
}

u32 ls_nd_solicitation(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, const struct ls_addr *sender, const struct ls_addr *target)
{
	u8 group[16] = { 0xff, 0x02, [11] = 1, [12] = 0xff };

	memcpy(group + 13, target->b + 13, 3);
	return nd_frame(f, l, LS_ND_SOLICITATION, sender, group, target);
}

u32 ls_nd_advertisement(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, const struct ls_addr *target)
{
	static const u8 all_nodes[16] = { 0xff, 0x02, [15] = 1 };

	return nd_frame(f, l, LS_ND_ADVERTISEMENT, target, all_nodes, target);
}
