/* Netlink: everything is dumped at start, then the multicast groups are followed; an overrun (ENOBUFS) dumps again. Source: rtnetlink(7). */
#include "mirror/mirror.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void on_link(struct ls_mirror *m, const struct nlmsghdr *h)
{
	const struct ifinfomsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ls_link_info info = { .ifindex = (u32)g->ifi_index, .flags = g->ifi_flags };
	u32 i, device = m->ports.device(m->ports.owner, info.ifindex);

	mnl_attr_for_each(a, h, sizeof(*g)) {
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			snprintf(info.name, sizeof(info.name), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == IFLA_MTU)
			info.mtu = (u16)(mnl_attr_get_u32(a) > 65535 ? 65535 : mnl_attr_get_u32(a));
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == 6)
			memcpy(info.mac, mnl_attr_get_payload(a), 6);
	}
	for (i = 0; i < m->links && m->link[i].ifindex != info.ifindex; i++)
		;
	if (h->nlmsg_type == RTM_DELLINK) {
		if (i < m->links)
			m->link[i] = m->link[--m->links];
	} else if (i < LS_MIRROR_LINKS) {
		m->link[i] = info;
		if (i == m->links)
			m->links++;
	}
	if (device && m->ports.link)
		m->ports.link(m->ports.owner, device, h->nlmsg_type == RTM_NEWLINK && (info.flags & IFF_UP) && (info.flags & IFF_RUNNING));
	m->dirty = true;
}

static void on_addr(struct ls_mirror *m, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const void *bytes = NULL;
	struct ls_link_addr info = { .ifindex = g->ifa_index, .scope = g->ifa_scope,
		.prefix = (u8)(g->ifa_prefixlen + (g->ifa_family == AF_INET ? 96 : 0)) };
	u32 i;

	if (g->ifa_family != AF_INET && g->ifa_family != AF_INET6)
		return;
	mnl_attr_for_each(a, h, sizeof(*g))
		if (mnl_attr_get_type(a) == IFA_LOCAL || (mnl_attr_get_type(a) == IFA_ADDRESS && !bytes))
			bytes = mnl_attr_get_payload(a);
	if (!bytes)
		return;
	ls_mirror_addr(&info.addr, g->ifa_family, bytes);
	for (i = 0; i < m->addrs && !(m->addr[i].ifindex == info.ifindex && ls_addr_equal(&m->addr[i].addr, &info.addr)); i++)
		;
	if (h->nlmsg_type == RTM_DELADDR) {
		if (i < m->addrs)
			m->addr[i] = m->addr[--m->addrs];
	} else if (i < LS_MIRROR_ADDRS) {
		m->addr[i] = info;
		if (i == m->addrs)
			m->addrs++;
	}
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	struct ls_mirror *m = arg;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: on_link(m, h); break;
	case RTM_NEWADDR:
	case RTM_DELADDR: on_addr(m, h); break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: ls_mirror_on_route(m, h); break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: ls_mirror_on_neigh(m, h); break;
	default: break;
	}
	return MNL_CB_OK;
}

static bool dump(struct ls_mirror *m, u16 type, u8 family)
{
	u8 buffer[32768];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	u32 seq = ++m->seq, port = mnl_socket_get_portid(m->dumps);
	struct rtgenmsg *g;
	ssize_t n;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	if (type == RTM_GETNEIGH)
		((struct ndmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg)))->ndm_family = family;
	else if (type == RTM_GETROUTE)
		((struct rtmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg)))->rtm_family = family;
	else if (type == RTM_GETLINK)
		((struct ifinfomsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg)))->ifi_family = family;
	else {
		g = mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
		g->rtgen_family = family;
	}
	if (mnl_socket_sendto(m->dumps, h, h->nlmsg_len) < 0)
		return false;
	while ((n = mnl_socket_recvfrom(m->dumps, buffer, sizeof(buffer))) > 0) {
		int ret = mnl_cb_run(buffer, (size_t)n, seq, port, on_message, m);

		if (ret <= MNL_CB_STOP)
			return ret == MNL_CB_STOP;
	}
	return false;
}

void ls_mirror_dump(struct ls_mirror *m)
{
	m->links = m->addrs = m->routes = 0;
	dump(m, RTM_GETLINK, AF_UNSPEC);
	dump(m, RTM_GETADDR, AF_UNSPEC);
	m->dumping = true;
	dump(m, RTM_GETROUTE, AF_INET);
	dump(m, RTM_GETROUTE, AF_INET6);
	m->dumping = false;
	dump(m, RTM_GETNEIGH, AF_INET);
	dump(m, RTM_GETNEIGH, AF_INET6);
	m->dirty = true;
}

void ls_mirror_read(struct ls_mirror *m)
{
	u8 buffer[65536];
	ssize_t n = recv(mnl_socket_get_fd(m->events), buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n > 0)
		mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, m);
	else if (n < 0 && errno == ENOBUFS)
		ls_mirror_dump(m);
	/* answers to requests for neighbours: errors only, the event tells the rest */
	while (recv(mnl_socket_get_fd(m->asking), buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
}

static void open_sockets(void *arg)
{
	struct ls_mirror *m = arg;
	u32 groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_NEIGH;
	int size = 4 << 20;

	m->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	m->dumps = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	m->asking = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!m->events || !m->dumps || !m->asking)
		return;
	setsockopt(mnl_socket_get_fd(m->events), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	m->ready = mnl_socket_bind(m->events, groups, MNL_SOCKET_AUTOPID) >= 0 && mnl_socket_bind(m->dumps, 0, MNL_SOCKET_AUTOPID) >= 0 &&
		   mnl_socket_bind(m->asking, 0, MNL_SOCKET_AUTOPID) >= 0;
}

bool ls_mirror_open(struct ls_mirror *m, const char *netns, char *error)
{
	if (!ls_in_netns(netns, open_sockets, m, error))
		return false;
	if (!m->ready)
		snprintf(error, LS_MIRROR_ERROR_BYTES, "netlink: %s", strerror(errno));
	return m->ready;
}

void ls_mirror_close(struct ls_mirror *m)
{
	if (m->events)
		mnl_socket_close(m->events);
	if (m->dumps)
		mnl_socket_close(m->dumps);
	if (m->asking)
		mnl_socket_close(m->asking);
}
