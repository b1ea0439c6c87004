/* The backend's ports as the mirror of the kernel sees them; next hops on ports without a kernel interface are asked for by ARP or neighbour solicitation. */
#include "backend/userspace/neighbour_frames.h"
#include "backend/userspace/userspace.h"

#include <net/if_arp.h>
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
	u8 f[LS_NEIGHBOUR_FRAME_BYTES];
	struct ls_buf frame = { .data = f };

	if (!d)
		return;
	const struct ls_frame_link l = { d->mac, i->outer_vlan, i->inner_vlan };
	frame.len = ls_addr_is4(&a->addr) ? ls_arp_frame(f, &l, ARPOP_REQUEST, &i->addr4, NULL, &a->addr) : ls_nd_solicitation(f, &l, &i->addr6, &a->addr);
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
