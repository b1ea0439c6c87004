/* Announcements: frames that tell every host on a link where an address is from now on, so that none sends to where it was until its entry ages.
 *
 * They leave by a socket of their own, past the queues and the programs of the interface: whoever forwards on a port does not matter. Sources: RFC 5227 3,
 * RFC 5944 4.6, RFC 4861 7.2.6, IEEE 802.1Q.
 */
#include "backend/userspace/userspace.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static u32 link_header(u8 *f, const struct ls_announcement *a, const u8 to[6], u16 type)
{
	u32 at = 12;

	memcpy(f, to, 6);
	memcpy(f + 6, a->mac, 6);
	if (a->outer_vlan) {
		ls_put16(f + at, a->inner_vlan ? LS_ETH_QINQ : LS_ETH_VLAN);
		ls_put16(f + at + 2, a->outer_vlan);
		at += 4;
	}
	if (a->inner_vlan) {
		ls_put16(f + at, LS_ETH_VLAN);
		ls_put16(f + at + 2, a->inner_vlan);
		at += 4;
	}
	ls_put16(f + at, type);
	return at + 2;
}

/* Sender and target are the same. Some hosts heed the request only, some the reply. */
static u32 arp_frame(u8 *f, const struct ls_announcement *a, u16 operation)
{
	static const u8 everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	u32 at = link_header(f, a, everyone, LS_ETH_ARP);
	u8 *h = f + at;

	memset(h, 0, 28);
	ls_put16(h, ARPHRD_ETHER);
	ls_put16(h + 2, LS_ETH_IP4);
	h[4] = 6;
	h[5] = 4;
	ls_put16(h + 6, operation);
	memcpy(h + 8, a->mac, 6);
	memcpy(h + 14, &a->addr.w[3], 4);
	if (operation == ARPOP_REPLY)
		memcpy(h + 18, a->mac, 6);
	memcpy(h + 24, &a->addr.w[3], 4);
	return at + 28;
}

/* To all nodes; with the flags that answers of the pipeline have (pipeline/answer.h). */
static u32 advertisement_frame(u8 *f, const struct ls_announcement *a)
{
	static const u8 all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	u32 at = link_header(f, a, all_nodes_mac, LS_ETH_IP6);
	u8 *h = f + at;

	memset(h, 0, 72);
	h[0] = 0x60;
	ls_put16(h + 4, 32);
	h[6] = LS_IPPROTO_ICMP6;
	h[7] = 255;
	memcpy(h + 8, a->addr.b, 16);
	h[24] = 0xff;
	h[25] = 2;
	h[39] = 1;
	h[40] = 136;
	ls_put32(h + 44, 0xa0000000u); /* router, override */
	memcpy(h + 48, a->addr.b, 16);
	h[64] = 2; /* target link-layer address */
	h[65] = 1;
	memcpy(h + 66, a->mac, 6);
	ls_set_raw16(h + 42, (be16)~ls_fold(ls_sum_words(h + 8, 16) + ls_sum_words(h + 40, 16) + ls_swap16(32) + ls_swap16(LS_IPPROTO_ICMP6)));
	return at + 72;
}

u32 ls_announcement_frame(const struct ls_announcement *a, u32 n, u8 frame[LS_ANNOUNCEMENT_BYTES])
{
	if (!ls_addr_is4(&a->addr))
		return n == 0 ? advertisement_frame(frame, a) : 0;
	return n < 2 ? arp_frame(frame, a, n == 0 ? ARPOP_REQUEST : ARPOP_REPLY) : 0;
}

static void open_voice(void *arg)
{
	struct ls_device *d = arg;
	int one = 1;

	d->voice = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->voice >= 0)
		setsockopt(d->voice, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
}

/* The socket is kept: closing one waits for the whole network stack. */
static bool say(struct ls_device *d, const u8 *frame, u32 len)
{
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_ifindex = (int)d->ifindex };
	char error[LS_US_ERROR_BYTES];

	if (d->spec.kind != LS_DEV_PACKET)
		return d->ops->tx(d, 0, &(struct ls_buf){ .data = (u8 *)frame, .len = len }); /* these serialise or write whole frames */
	if (d->voice < 0 && !ls_in_netns(d->spec.netns, open_voice, d, error))
		return false;
	return d->voice >= 0 && sendto(d->voice, frame, len, MSG_DONTWAIT, (struct sockaddr *)&link, sizeof(link)) == (ssize_t)len;
}

static bool owned(const struct ls_us *us, u32 rg)
{
	const struct ls_rg *r = rg < LS_RGS_MAX ? &us->table->env.rgs[rg] : NULL;

	return r && LS_LOAD(&r->role) == LS_ROLE_OWNER && LS_LOAD(&r->lease_deadline_ns) > ls_clock_ns();
}

void ls_us_announce(struct ls_us *us, u32 rg, const struct ls_announcement *a, u32 n, struct ls_announced *out)
{
	u8 frame[LS_ANNOUNCEMENT_BYTES];

	*out = (struct ls_announced){ 0 };
	for (u32 i = 0; i < n && owned(us, rg); i++) {
		struct ls_device *d = a[i].device < LS_DEVICES_MAX ? us->device[a[i].device] : NULL;
		u32 len;

		for (u32 k = 0; d && (len = ls_announcement_frame(&a[i], k, frame)) != 0; k++) {
			if (say(d, frame, len))
				out->sent++;
			else
				out->unsent++;
		}
	}
}
