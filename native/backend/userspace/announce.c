/* Announcements: frames that tell every host on a link where an address is from now on, so that none sends to where it was until its entry ages.
 *
 * They leave by a socket of their own, past the queues and the programs of the interface: whoever forwards on a port does not matter. Sources: RFC 5227 3,
 * RFC 5944 4.6, RFC 4861 7.2.6, IEEE 802.1Q.
 */
#include "backend/userspace/neighbour_frames.h"
#include "backend/userspace/userspace.h"

#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

u32 ls_announcement_frame(const struct ls_announcement *a, u32 n, u8 frame[LS_NEIGHBOUR_FRAME_BYTES])
{
	const struct ls_frame_link l = { a->mac, a->outer_vlan, a->inner_vlan };

	if (!ls_addr_is4(&a->addr))
		return n == 0 ? ls_nd_advertisement(frame, &l, &a->addr) : 0;
	/* Sender and target are the same. Some hosts heed the request only, some the reply. */
	return n == 0 ? ls_arp_frame(frame, &l, ARPOP_REQUEST, &a->addr, NULL, &a->addr) : n == 1 ? ls_arp_frame(frame, &l, ARPOP_REPLY, &a->addr, a->mac, &a->addr) : 0;
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
	u8 frame[LS_NEIGHBOUR_FRAME_BYTES];

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
