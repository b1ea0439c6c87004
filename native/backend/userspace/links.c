/* The backend's ports as the mirror of the kernel sees them; next hops on ports without a kernel interface are asked for by ARP or neighbour solicitation.
 * Sources: RFC 826, RFC 4861.
 */
#include "backend/userspace/userspace.h"

#include <stdio.h>
#include <string.h>

/* Ports of other namespaces are not ours to match by ifindex. */
static u32 device_of(void *owner, u32 ifindex)
{
	const struct ls_us *us = owner;

	for (u32 i = 1; i < us->devices; i++)
		if (us->device[i] && us->device[i]->spec.kind == LS_DEV_PACKET && us->device[i]->ifindex == ifindex &&
		    strcmp(us->device[i]->spec.netns, us->netns) == 0)
			return i;
	return 0;
}

static u32 ifindex_of(void *owner, u32 device)
{
	const struct ls_us *us = owner;
	const struct ls_device *d = device < LS_DEVICES_MAX ? us->device[device] : NULL;

	return d && d->spec.kind == LS_DEV_PACKET && strcmp(d->spec.netns, us->netns) == 0 ? d->ifindex : 0;
}

static void link_is(void *owner, u32 device, bool up) { ((struct ls_us *)owner)->device[device]->up = up; }
static void resolved(void *owner) { ls_us_wake(owner); }

/* The question itself, on a port without a kernel. */
static void ask(void *owner, const struct ls_mirror_ask *a)
{
	struct ls_us *us = owner;
	struct ls_device *d = a->device < LS_DEVICES_MAX ? us->device[a->device] : NULL;
	const struct ls_config *c = &us->table->env.banks[LS_LOAD(&us->table->env.header->active_bank) & 1];
	const struct ls_iface *i = &c->iface[a->iface & (LS_IFACES_MAX - 1)];
	bool v4 = ls_addr_is4(&a->addr);
	u8 f[128] = { 0 };
	struct ls_buf frame = { .data = f };
	u32 at = 14;

	if (!d)
		return;
	memcpy(f + 6, d->mac, 6);
	if (i->outer_vlan) {
		ls_put16(f + 12, LS_ETH_VLAN);
		ls_put16(f + 14, i->outer_vlan);
		at = 18;
	}
	if (v4) {
		memset(f, 0xff, 6);
		ls_put16(f + at - 2, LS_ETH_ARP);
		ls_put16(f + at, 1);
		ls_put16(f + at + 2, LS_ETH_IP4);
		f[at + 4] = 6;
		f[at + 5] = 4;
		ls_put16(f + at + 6, 1);
		memcpy(f + at + 8, d->mac, 6);
		memcpy(f + at + 14, &i->addr4.w[3], 4);
		memcpy(f + at + 24, &a->addr.w[3], 4);
		frame.len = at + 28;
	} else {
		u8 *h = f + at;
		u32 sum;

		f[0] = f[1] = 0x33;
		f[2] = 0xff;
		memcpy(f + 3, a->addr.b + 13, 3);
		ls_put16(f + at - 2, LS_ETH_IP6);
		h[0] = 0x60;
		ls_put16(h + 4, 32);
		h[6] = LS_IPPROTO_ICMP6;
		h[7] = 255;
		memcpy(h + 8, i->addr6.b, 16);
		h[24] = 0xff;
		h[25] = 2;
		h[35] = 1;
		h[36] = 0xff;
		memcpy(h + 37, a->addr.b + 13, 3);
		h[40] = 135;
		memcpy(h + 48, a->addr.b, 16);
		h[64] = 1;
		h[65] = 1;
		memcpy(h + 66, d->mac, 6);
		sum = ls_sum_words(h + 8, 32) + ls_swap16(32) + ls_swap16(LS_IPPROTO_ICMP6);
		ls_set_raw16(h + 42, (be16)~ls_fold(sum));
		frame.len = at + 72;
	}
	if (d->ops == &ls_device_tap || d->ops == &ls_device_pcap || d->ops == &ls_device_source)
		d->ops->tx(d, 0, &frame); /* these serialise or write whole frames */
}

enum ls_status ls_us_mirror_start(struct ls_us *us, const char *netns, char *error)
{
	struct ls_mirror_ports ports = { .owner = us, .device = device_of, .ifindex = ifindex_of, .link = link_is, .resolved = resolved, .ask = ask };

	if (us->mirror)
		return LS_OK;
	snprintf(us->netns, sizeof(us->netns), "%s", netns);
	return ls_mirror_start(us->table, &ports, netns, &us->mirror, error);
}

struct ls_mirror *ls_us_mirror(const struct ls_us *us) { return us->mirror; }
