/* The host's end of a port that is DPDK's alone (D2): a TAP with the port's MAC. What the pipeline has for the host goes in, what the host sends goes to the wire as it is, so
 * ARP, neighbour discovery, routing daemons and addresses are the kernel's affair as on any interface. It stays when the process goes,
 * as its addresses are the operator's, and goes with the port.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

#define READS 64 /* frames of the host at a time */

static enum ls_status settle(const struct dpdk_port *p, char *error)
{
	struct ifreq request = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(request.ifr_name, p->spec.tap, sizeof(p->spec.tap) - 1);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, p->mac, 6);
	ok = s >= 0 && ioctl(s, SIOCSIFHWADDR, &request) == 0;
	request.ifr_mtu = p->mtu;
	ok = ok && ioctl(s, SIOCSIFMTU, &request) == 0;
	ok = ok && ioctl(s, SIOCGIFFLAGS, &request) == 0;
	request.ifr_flags |= IFF_UP;
	ok = ok && ioctl(s, SIOCSIFFLAGS, &request) == 0;
	if (!ok)
		snprintf(error, LS_DPDK_TEXT, "TAP %s: %s", p->spec.tap, strerror(errno));
	if (s >= 0)
		close(s);
	return ok ? LS_OK : LS_E_SYSTEM;
}

int dpdk_tap_open(const struct dpdk_port *p, char *error)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	memcpy(request.ifr_name, p->spec.tap, sizeof(p->spec.tap) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0 || ioctl(fd, TUNSETPERSIST, 1) != 0) {
		snprintf(error, LS_DPDK_TEXT, "TAP %s: %s", p->spec.tap, errno == EPERM || errno == EACCES ? "needs CAP_NET_ADMIN" : strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (settle(p, error) != LS_OK) {
		close(fd);
		return -1;
	}
	return fd;
}

void dpdk_tap_carrier(const struct dpdk_port *p, bool up)
{
	int on = up;

	if (p->tap >= 0 && ioctl(p->tap, TUNSETCARRIER, &on) != 0)
		return; /* before Linux 5.0: the interface stays as it is */
}

void dpdk_tap_forget(const struct dpdk_port *p)
{
	if (p->tap >= 0 && ioctl(p->tap, TUNSETPERSIST, 0) != 0)
		return; /* it stays: `ip link del` removes it */
}

static void lose(struct dpdk_port *p)
{
	int fd = p->tap;

	p->tap = -1;
	ls_table_grace(dpdk.table); /* a worker may be about to write there */
	close(fd);
	dpdk_port_lose(p, p->spec.tap);
}

void dpdk_tap_serve(struct dpdk_port *p, short events)
{
	u8 frame[LS_FRAME_MAX];

	if (events & (POLLERR | POLLHUP | POLLNVAL))
		return lose(p); /* tun_chr_poll() of the kernel: there is no interface any more */
	for (u32 n = 0; n < READS; n++) {
		ssize_t len = read(p->tap, frame, sizeof(frame));

		if (len < 14)
			return;
		dpdk_port_send(p, frame, (u32)len);
	}
}
