#include "health/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipeline/addr.h"

struct packet {
	u8 type, code;
	u16 checksum, id, sequence; /* network order */
	u64 cookie;
} __attribute__((packed));

#define ICMP6_FILTER_OPTION 1 /* ICMPV6_FILTER of linux/icmpv6.h */

static u16 checksum(const void *data, u32 bytes)
{
	const u8 *p = data;
	u32 sum = 0;

	for (u32 i = 0; i + 1 < bytes; i += 2)
		sum += (u32)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((u16)~sum);
}

int ls_echo_open(struct ls_echo *e, int family)
{
	int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6, failed;

	memset(e, 0, sizeof(*e));
	e->family = family;
	e->raw = true;
	if (getrandom(&e->cookie, sizeof(e->cookie), 0) != (ssize_t)sizeof(e->cookie))
		e->cookie = ls_clock_ns();
	e->id = (u16)e->cookie;
	e->fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (e->fd < 0 && (errno == EPERM || errno == EACCES)) {
		e->raw = false;
		e->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	}
	if (e->fd < 0)
		return errno;
	if (e->raw && family == AF_INET6) {
		struct icmp6_filter only;

		memset(&only, 0xff, sizeof(only)); /* a set bit blocks */
		only.data[ICMPV6_ECHO_REPLY >> 5] &= ~(1u << (ICMPV6_ECHO_REPLY & 31));
		if (setsockopt(e->fd, IPPROTO_ICMPV6, ICMP6_FILTER_OPTION, &only, sizeof(only)) != 0)
			goto failed;
	}
	if (e->raw && family == AF_INET) {
		struct icmp_filter only = { .data = ~(1u << ICMP_ECHOREPLY) };

		if (setsockopt(e->fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only)) != 0)
			goto failed;
	}
	return 0;
failed:
	failed = errno;
	ls_echo_close(e);
	return failed;
}

void ls_echo_close(struct ls_echo *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

/* Control message that names the source. */
static void leave_from(struct msghdr *m, int family, const struct ls_addr *source, u8 *control)
{
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = family == AF_INET ? CMSG_SPACE(sizeof(struct in_pktinfo)) : CMSG_SPACE(sizeof(struct in6_pktinfo));
	c = CMSG_FIRSTHDR(m);
	if (family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst.s_addr = source->w[3] };

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = 0 };

		memcpy(&info.ipi6_addr, source->b, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

int ls_echo_send(struct ls_echo *e, const struct ls_addr *to, const struct ls_addr *source, u16 sequence)
{
	struct packet p = { .type = e->family == AF_INET ? ICMP_ECHO : ICMPV6_ECHO_REQUEST, .id = e->id, .sequence = htons(sequence), .cookie = e->cookie };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = to->w[3] };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct iovec part = { &p, sizeof(p) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	u8 control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = { 0 };

	if (ls_addr_is4(to) != (e->family == AF_INET) || (source && ls_addr_is4(source) != ls_addr_is4(to)))
		return EAFNOSUPPORT;
	memcpy(&six.sin6_addr, to->b, 16);
	m.msg_name = e->family == AF_INET ? (void *)&four : (void *)&six;
	m.msg_namelen = e->family == AF_INET ? sizeof(four) : sizeof(six);
	if (source)
		leave_from(&m, e->family, source, control);
	if (e->family == AF_INET) /* of IPv6 the kernel's */
		p.checksum = checksum(&p, sizeof(p));
	return sendmsg(e->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

bool ls_echo_receive(struct ls_echo *e, struct ls_addr *from, u16 *sequence)
{
	for (;;) {
		u8 buffer[256];
		struct sockaddr_in6 peer;
		socklen_t length = sizeof(peer);
		ssize_t got = recvfrom(e->fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&peer, &length);
		u32 at = e->raw && e->family == AF_INET ? (buffer[0] & 15u) * 4u : 0u;
		struct packet p;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if ((size_t)got < at + sizeof(p))
			continue;
		memcpy(&p, buffer + at, sizeof(p));
		if (p.type != (e->family == AF_INET ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY) || p.cookie != e->cookie || (e->raw && p.id != e->id))
			continue; /* somebody else's */
		memset(from, 0, sizeof(*from));
		if (e->family == AF_INET) {
			from->w[2] = htonl(0xffff);
			from->w[3] = ((const struct sockaddr_in *)&peer)->sin_addr.s_addr;
		} else {
			memcpy(from->b, &peer.sin6_addr, 16);
		}
		*sequence = ntohs(p.sequence);
		return true;
	}
}
