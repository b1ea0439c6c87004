/* The interface of the kernel that a driver works over (net_af_packet, net_af_xdp, net_pcap, net_tap): what such a driver does not say of it, or wrongly. net_af_packet calls
 * every link up and every MTU 1500, and would set the interface's own flag for what membership of a socket does; flags stay when the process goes, memberships do not.
 * Source: packet(7), netdevice(7).
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

/* Fills what `request` asks for by the interface's name of now. */
static bool ask(const struct dpdk_port *p, unsigned long request, struct ifreq *r)
{
	memset(r, 0, sizeof(*r));
	r->ifr_ifindex = (int)p->ifindex;
	return ioctl(p->kernel, SIOCGIFNAME, r) == 0 && (request == SIOCGIFNAME || ioctl(p->kernel, request, r) == 0);
}

int dpdk_kernel_open(u32 ifindex) { return ifindex ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : -1; }

bool dpdk_kernel_multicast(const struct dpdk_port *p)
{
	struct packet_mreq all = { .mr_ifindex = (int)p->ifindex, .mr_type = PACKET_MR_ALLMULTI };

	return p->kernel >= 0 && setsockopt(p->kernel, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) == 0;
}

bool dpdk_kernel_gone(const struct dpdk_port *p)
{
	struct ifreq r;

	return p->kernel >= 0 && !ask(p, SIOCGIFNAME, &r) && errno == ENODEV;
}

bool dpdk_kernel_up(const struct dpdk_port *p)
{
	struct ifreq r;

	return p->kernel < 0 || (ask(p, SIOCGIFFLAGS, &r) && (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING));
}

u32 dpdk_kernel_mtu(const struct dpdk_port *p)
{
	struct ifreq r;

	return p->kernel >= 0 && ask(p, SIOCGIFMTU, &r) && r.ifr_mtu > 0 ? (u32)r.ifr_mtu : 0;
}
