/* Mirror of the kernel's links, addresses, routes and neighbours, through libmnl; resolver of next hops.
 *
 * One thread, the only writer of the neighbour table and the route banks. It dumps everything at start, then follows the multicast groups; an overrun
 * (ENOBUFS) dumps again. Routes are rebuilt at most every 20 ms. Next hops behind kernel interfaces are resolved by the kernel (a neighbour entry with
 * NTF_USE makes it probe); on ports without a kernel this thread asks by ARP or neighbour solicitation itself.
 * Stated limits: main and local tables only, no policy routing; of a multipath route the first next hop. Sources: rtnetlink(7), RFC 826, RFC 4861.
 */
#include "backend/userspace/userspace.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LINKS_MAX 1024
#define ADDRS_MAX 4096
#define ASKS 1024
#define REBUILD_NS 20000000ULL
#define REFRESH_NS 30000000000ULL

struct route {
	struct ls_addr dst, gateway;
	u32 ifindex; /* kernel routes */
	u16 iface;   /* static routes */
	u8 prefix, kind;
	u32 metric;
};

struct ask {
	struct ls_addr addr;
	u32 device;
	u16 iface;
};

struct ls_links {
	struct ls_us *us;
	struct mnl_socket *events, *dumps, *asking; /* events followed, dumps, neighbour requests */
	pthread_t thread;
	bool started, ready;
	atomic_bool run;
	int wake_fd;
	u32 seq;
	char netns[128]; /* the one that is mirrored: ports of others are not ours to match by ifindex */
	pthread_mutex_t lock; /* of everything below */
	struct ls_link_info link[LINKS_MAX];
	u32 links;
	struct ls_link_addr addr[ADDRS_MAX];
	u32 addrs;
	struct route *route; /* kernel's */
	u32 routes, room;
	struct route *fixed; /* configured */
	u32 fixeds;
	bool dirty;
	u64 rebuilt_ns, refreshed_ns;
	atomic_uint left_out; /* routes beyond LS_ROUTES_MAX, or whose next hop is beyond LS_NEXTHOPS_MAX */
	struct ask asks[ASKS];
	u32 ask_head, ask_tail;
	u64 *wanted_seen; /* by worker and place: the last request that was served */
};

static void mapped(struct ls_addr *a, u32 family, const void *bytes)
{
	if (family == AF_INET)
		ls_addr_from4(a, bytes);
	else
		memcpy(a->b, bytes, 16);
}

/* --- neighbours ---------------------------------------------------------------------------------------------------- */

static void neigh_write(struct ls_neigh *n, const struct ls_addr *a, u32 device, const u8 *mac, u32 state)
{
	u64 seq = LS_LOAD(&n->seq);
	struct ls_neigh image = { .addr = *a, .device = device, .state = (u8)state, .updated_ns = ls_clock_ns() };

	if (mac)
		memcpy(image.mac, mac, 6);
	LS_STORE_REL(&n->seq, seq | 1);
	LS_FENCE_REL();
	ls_words_store(&n->addr, &image.addr, 7);
	LS_STORE_REL(&n->seq, (seq | 1) + 1);
}

/* Holds l->lock. */
static void neigh_put(struct ls_links *l, const struct ls_addr *a, u32 device, const u8 *mac, u32 state)
{
	struct ls_neigh *table = l->us->table->env.neighs, *free_entry = NULL, *oldest = NULL;
	u32 at = ls_neigh_index(a, device);

	for (u32 i = 0; i < LS_NEIGH_PROBES; i++) {
		struct ls_neigh *n = &table[(at + i) & (LS_NEIGHS - 1)];

		if (n->seq == 0) {
			if (!free_entry)
				free_entry = n;
			break;
		}
		if (n->device == device && ls_addr_equal(&n->addr, a)) {
			neigh_write(n, a, device, mac, state);
			return;
		}
		if (n->state != LS_NEIGH_VALID && !free_entry)
			free_entry = n;
		if (!oldest || n->updated_ns < oldest->updated_ns)
			oldest = n;
	}
	if (state == LS_NEIGH_VALID || free_entry)
		neigh_write(free_entry ? free_entry : oldest, a, device, mac, state);
}

bool ls_links_neighbour(struct ls_us *us, const struct ls_addr *a, u32 device, const u8 *mac, u32 state, bool wait)
{
	struct ls_links *l = us->links;

	if (!l || (wait ? pthread_mutex_lock(&l->lock) : pthread_mutex_trylock(&l->lock)) != 0)
		return false;
	neigh_put(l, a, device, mac, state);
	pthread_mutex_unlock(&l->lock);
	return true;
}

/* Dense id of the port on this kernel interface; 0 = not ours. */
static u32 device_of(const struct ls_us *us, u32 ifindex)
{
	for (u32 i = 1; i < us->devices; i++)
		if (us->device[i] && us->device[i]->spec.kind == LS_DEV_PACKET && us->device[i]->ifindex == ifindex &&
		    strcmp(us->device[i]->spec.netns, us->links->netns) == 0)
			return i;
	return 0;
}

static void on_neigh(struct ls_links *l, const struct nlmsghdr *h)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const void *dst = NULL;
	const u8 *mac = NULL;
	u32 device = device_of(l->us, (u32)m->ndm_ifindex);
	bool valid = h->nlmsg_type == RTM_NEWNEIGH && (m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP));
	struct ls_addr addr;

	if (!device || (m->ndm_family != AF_INET && m->ndm_family != AF_INET6))
		return;
	mnl_attr_for_each(a, h, sizeof(*m)) {
		if (mnl_attr_get_type(a) == NDA_DST && mnl_attr_get_payload_len(a) >= (m->ndm_family == AF_INET ? 4 : 16))
			dst = mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6)
			mac = mnl_attr_get_payload(a);
	}
	if (!dst)
		return;
	mapped(&addr, m->ndm_family, dst);
	neigh_put(l, &addr, device, valid ? mac : NULL,
		  valid && mac ? LS_NEIGH_VALID : m->ndm_state & NUD_FAILED ? LS_NEIGH_FAILED : LS_NEIGH_INCOMPLETE);
	if (valid && mac)
		ls_us_wake(l->us);
}

/* --- links and addresses -------------------------------------------------------------------------------------------- */

static void on_link(struct ls_links *l, const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ls_link_info info = { .ifindex = (u32)m->ifi_index, .flags = m->ifi_flags };
	u32 i, device = device_of(l->us, info.ifindex);

	mnl_attr_for_each(a, h, sizeof(*m)) {
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			snprintf(info.name, sizeof(info.name), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == IFLA_MTU)
			info.mtu = (u16)(mnl_attr_get_u32(a) > 65535 ? 65535 : mnl_attr_get_u32(a));
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == 6)
			memcpy(info.mac, mnl_attr_get_payload(a), 6);
	}
	for (i = 0; i < l->links && l->link[i].ifindex != info.ifindex; i++)
		;
	if (h->nlmsg_type == RTM_DELLINK) {
		if (i < l->links)
			l->link[i] = l->link[--l->links];
	} else if (i < LINKS_MAX) {
		l->link[i] = info;
		if (i == l->links)
			l->links++;
	}
	if (device)
		l->us->device[device]->up = h->nlmsg_type == RTM_NEWLINK && (info.flags & IFF_UP) && (info.flags & IFF_RUNNING);
	l->dirty = true;
}

static void on_addr(struct ls_links *l, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const void *bytes = NULL;
	struct ls_link_addr info = { .ifindex = m->ifa_index, .scope = m->ifa_scope,
		.prefix = (u8)(m->ifa_prefixlen + (m->ifa_family == AF_INET ? 96 : 0)) };
	u32 i;

	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return;
	mnl_attr_for_each(a, h, sizeof(*m))
		if (mnl_attr_get_type(a) == IFA_LOCAL || (mnl_attr_get_type(a) == IFA_ADDRESS && !bytes))
			bytes = mnl_attr_get_payload(a);
	if (!bytes)
		return;
	mapped(&info.addr, m->ifa_family, bytes);
	for (i = 0; i < l->addrs && !(l->addr[i].ifindex == info.ifindex && ls_addr_equal(&l->addr[i].addr, &info.addr)); i++)
		;
	if (h->nlmsg_type == RTM_DELADDR) {
		if (i < l->addrs)
			l->addr[i] = l->addr[--l->addrs];
	} else if (i < ADDRS_MAX) {
		l->addr[i] = info;
		if (i == l->addrs)
			l->addrs++;
	}
}

/* --- routes ---------------------------------------------------------------------------------------------------------- */

static void on_route(struct ls_links *l, const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct route r = { .prefix = (u8)(m->rtm_dst_len + (m->rtm_family == AF_INET ? 96 : 0)) };
	u32 table = m->rtm_table, i;
	bool gateway = false;

	if ((m->rtm_family != AF_INET && m->rtm_family != AF_INET6) || (m->rtm_flags & RTM_F_CLONED))
		return;
	if (m->rtm_family == AF_INET)
		ls_addr_from4(&r.dst, (const u8[4]){ 0 });
	mnl_attr_for_each(a, h, sizeof(*m)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_DST: mapped(&r.dst, m->rtm_family, mnl_attr_get_payload(a)); break;
		case RTA_GATEWAY:
			mapped(&r.gateway, m->rtm_family, mnl_attr_get_payload(a));
			gateway = true;
			break;
		case RTA_VIA: {
			const struct rtvia *via = mnl_attr_get_payload(a);

			mapped(&r.gateway, via->rtvia_family, via->rtvia_addr);
			gateway = true;
			break;
		}
		case RTA_OIF: r.ifindex = mnl_attr_get_u32(a); break;
		case RTA_PRIORITY: r.metric = mnl_attr_get_u32(a); break;
		case RTA_TABLE: table = mnl_attr_get_u32(a); break;
		case RTA_MULTIPATH: {
			const struct rtnexthop *n = mnl_attr_get_payload(a);
			const struct nlattr *x = (const struct nlattr *)(n + 1);

			if (mnl_attr_get_payload_len(a) < sizeof(*n))
				break;
			r.ifindex = (u32)n->rtnh_ifindex;
			if (n->rtnh_len > sizeof(*n) && mnl_attr_get_type(x) == RTA_GATEWAY) {
				mapped(&r.gateway, m->rtm_family, mnl_attr_get_payload(x));
				gateway = true;
			}
			break;
		}
		default: break;
		}
	}
	if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL)
		return;
	switch (m->rtm_type) {
	case RTN_UNICAST: r.kind = gateway ? LS_NH_GATEWAY : LS_NH_CONNECTED; break;
	case RTN_LOCAL:
	case RTN_ANYCAST:
	case RTN_BROADCAST: r.kind = LS_NH_LOCAL; break;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT: r.kind = LS_NH_BLACKHOLE; break;
	default: return;
	}
	for (i = 0; i < l->routes; i++)
		if (l->route[i].prefix == r.prefix && l->route[i].metric == r.metric && l->route[i].kind == r.kind &&
		    ls_addr_equal(&l->route[i].dst, &r.dst) && (h->nlmsg_type == RTM_NEWROUTE || l->route[i].ifindex == r.ifindex))
			break;
	if (h->nlmsg_type == RTM_DELROUTE) {
		if (i < l->routes)
			l->route[i] = l->route[--l->routes];
	} else if (i < l->routes && (h->nlmsg_flags & NLM_F_REPLACE)) {
		l->route[i] = r;
	} else {
		if (l->routes == l->room) {
			u32 room = l->room ? l->room * 2 : 256;
			struct route *grown = realloc(l->route, room * sizeof(*grown));

			if (!grown)
				return;
			l->route = grown;
			l->room = room;
		}
		l->route[l->routes++] = r;
	}
	l->dirty = true;
}

static int compare_addr(const struct ls_addr *a, const struct ls_addr *b) { return memcmp(a->b, b->b, 16); }

/* By start, then the wider first, then the worse metric first, so that the better overwrites. */
static int compare_route(const void *x, const void *y)
{
	const struct route *a = x, *b = y;
	int c = compare_addr(&a->dst, &b->dst);

	if (c)
		return c;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return a->metric > b->metric ? -1 : a->metric < b->metric;
}

/* Longest prefix first, then the better metric: what is cut off the end is the least precise, so that no packet follows a wider route against a narrower
 * one that did not fit. It has no route, which is counted. */
static int compare_precise(const void *x, const void *y)
{
	const struct route *a = x, *b = y;

	if (a->prefix != b->prefix)
		return a->prefix > b->prefix ? -1 : 1;
	return a->metric < b->metric ? -1 : a->metric > b->metric;
}

/* First address after a prefix; false when it wraps. */
static bool prefix_end(const struct ls_addr *start, u32 prefix, struct ls_addr *end)
{
	*end = *start;
	if (prefix == 0)
		return false;
	for (int i = (int)(prefix - 1) / 8; i >= 0; i--) {
		u32 step = i == (int)(prefix - 1) / 8 ? 1u << (7 - (prefix - 1) % 8) : 1, sum = end->b[i] + step;

		end->b[i] = (u8)sum;
		if (sum < 256)
			return true;
	}
	return false;
}

static u16 iface_of(const struct ls_us *us, u32 ifindex)
{
	const struct ls_config *c = &us->table->env.banks[LS_LOAD(&us->table->env.header->active_bank) & 1];

	for (u32 i = 1; i < LS_IFACES_MAX; i++)
		if (c->iface[i].device && c->iface[i].ifindex == ifindex && device_of(us, ifindex) == c->iface[i].device)
			return (u16)i;
	return 0;
}

static void boundary(struct ls_fib *f, const struct ls_addr *at, u16 nexthop)
{
	if (f->count && compare_addr(&f->start[f->count - 1], at) == 0) {
		f->nexthop_of[f->count - 1] = nexthop;
		return;
	}
	if (f->count && f->nexthop_of[f->count - 1] == nexthop)
		return;
	if (f->count == LS_FIB_BOUNDS)
		return;
	f->start[f->count] = *at;
	f->nexthop_of[f->count++] = nexthop;
}

static u16 nexthop_id(struct ls_fib *f, u32 *n, const struct ls_nexthop *h)
{
	u32 from = *n > 64 ? *n - 64 : 1; /* neighbours in address order mostly share their next hop */

	for (u32 i = from; i < *n; i++)
		if (memcmp(&f->nexthop[i], h, sizeof(*h)) == 0)
			return (u16)i;
	for (u32 i = 1; i < from; i++)
		if (memcmp(&f->nexthop[i], h, sizeof(*h)) == 0)
			return (u16)i;
	if (*n == LS_NEXTHOPS_MAX)
		return 0;
	f->nexthop[*n] = *h;
	return (u16)(*n)++;
}

/* Nested prefixes to disjoint intervals: a sweep with the stack of what is open. */
static void rebuild(struct ls_links *l)
{
	struct ls_table *t = l->us->table;
	u32 idle = !(LS_LOAD(&t->env.header->active_fib) & 1), n = 0, nexthops = 1, depth = 0, left_out = 0;
	struct ls_fib *f = &t->env.fibs[idle];
	struct route *all = malloc(sizeof(*all) * (l->routes + l->fixeds + 1));
	struct { struct ls_addr end; bool wraps; u16 nexthop; } stack[130];
	struct ls_addr zero = { .d = { 0, 0 } };

	if (!all)
		return;
	ls_table_grace(t); /* readers of the idle bank from before the last flip are gone */
	for (u32 i = 0; i < l->fixeds; i++)
		all[n++] = l->fixed[i];
	for (u32 i = 0; i < l->routes; i++) {
		struct route r = l->route[i];

		if (r.kind == LS_NH_CONNECTED || r.kind == LS_NH_GATEWAY) {
			r.iface = iface_of(l->us, r.ifindex);
			if (!r.iface)
				continue; /* leads out of an interface that is not ours */
		}
		all[n++] = r;
	}
	if (n > LS_ROUTES_MAX) {
		left_out = n - LS_ROUTES_MAX;
		qsort(all, n, sizeof(*all), compare_precise);
		n = LS_ROUTES_MAX;
	}
	qsort(all, n, sizeof(*all), compare_route);
	f->count = 0;
	boundary(f, &zero, 0);
	for (u32 i = 0; i <= n; i++) {
		struct ls_nexthop h = { 0 };
		struct ls_addr end;
		bool wraps;
		u16 nexthop;

		/* close what ends before the next prefix begins */
		while (depth && (i == n || (!stack[depth - 1].wraps && compare_addr(&stack[depth - 1].end, &all[i].dst) <= 0))) {
			depth--;
			if (!stack[depth].wraps)
				boundary(f, &stack[depth].end, depth ? stack[depth - 1].nexthop : 0);
		}
		if (i == n)
			break;
		h.kind = all[i].kind;
		h.iface = all[i].iface;
		if (h.kind == LS_NH_GATEWAY)
			h.gateway = all[i].gateway;
		wraps = !prefix_end(&all[i].dst, all[i].prefix, &end);
		nexthop = nexthop_id(f, &nexthops, &h);
		left_out += nexthop == 0;
		boundary(f, &all[i].dst, nexthop);
		if (depth && stack[depth - 1].wraps == wraps && (wraps || compare_addr(&stack[depth - 1].end, &end) == 0) && i &&
		    all[i - 1].prefix == all[i].prefix && ls_addr_equal(&all[i - 1].dst, &all[i].dst)) {
			stack[depth - 1].nexthop = f->nexthop_of[f->count - 1]; /* the same prefix, a better metric */
			continue;
		}
		if (depth < 130) {
			stack[depth].end = end;
			stack[depth].wraps = wraps;
			stack[depth++].nexthop = f->nexthop_of[f->count - 1];
		}
	}
	f->nexthops = nexthops;
	atomic_store(&l->left_out, left_out);
	f->generation++;
	LS_STORE_REL(&t->env.header->active_fib, idle);
	free(all);
	l->dirty = false;
	l->rebuilt_ns = ls_clock_ns();
}

/* --- netlink ----------------------------------------------------------------------------------------------------------- */

static int on_message(const struct nlmsghdr *h, void *arg)
{
	struct ls_links *l = arg;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: on_link(l, h); break;
	case RTM_NEWADDR:
	case RTM_DELADDR: on_addr(l, h); break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: on_route(l, h); break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: on_neigh(l, h); break;
	default: break;
	}
	return MNL_CB_OK;
}

static bool dump(struct ls_links *l, u16 type, u8 family)
{
	u8 buffer[32768];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	u32 seq = ++l->seq, port = mnl_socket_get_portid(l->dumps);
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
	if (mnl_socket_sendto(l->dumps, h, h->nlmsg_len) < 0)
		return false;
	while ((n = mnl_socket_recvfrom(l->dumps, buffer, sizeof(buffer))) > 0) {
		int ret = mnl_cb_run(buffer, (size_t)n, seq, port, on_message, l);

		if (ret <= MNL_CB_STOP)
			return ret == MNL_CB_STOP;
	}
	return false;
}

static void dump_all(struct ls_links *l)
{
	l->links = l->addrs = l->routes = 0;
	dump(l, RTM_GETLINK, AF_UNSPEC);
	dump(l, RTM_GETADDR, AF_UNSPEC);
	dump(l, RTM_GETROUTE, AF_INET);
	dump(l, RTM_GETROUTE, AF_INET6);
	dump(l, RTM_GETNEIGH, AF_INET);
	dump(l, RTM_GETNEIGH, AF_INET6);
	l->dirty = true;
}

/* Makes the kernel resolve, as if it had a packet to send. */
static void ask_kernel(struct ls_links *l, const struct ask *a, u32 ifindex)
{
	u8 buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct ndmsg *m;
	bool v4 = a->addr.d[0] == 0 && a->addr.w[2] == ls_swap32(0xffff);

	h->nlmsg_type = RTM_NEWNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	h->nlmsg_seq = ++l->seq;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = v4 ? AF_INET : AF_INET6;
	m->ndm_ifindex = (int)ifindex;
	m->ndm_state = NUD_NONE;
	m->ndm_flags = NTF_USE;
	mnl_attr_put(h, NDA_DST, v4 ? 4 : 16, v4 ? (const void *)&a->addr.w[3] : a->addr.b);
	if (mnl_socket_sendto(l->asking, h, h->nlmsg_len) < 0)
		return;
}

/* The question itself, on a port without a kernel. */
static void ask_wire(struct ls_links *l, const struct ask *a, struct ls_device *d)
{
	const struct ls_config *c = &l->us->table->env.banks[LS_LOAD(&l->us->table->env.header->active_bank) & 1];
	const struct ls_iface *i = &c->iface[a->iface & (LS_IFACES_MAX - 1)];
	bool v4 = a->addr.d[0] == 0 && a->addr.w[2] == ls_swap32(0xffff);
	u8 f[128] = { 0 };
	struct ls_buf frame = { .data = f };
	u32 at = 14;

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

void ls_links_resolve(struct ls_us *us, const struct ls_addr *addr, u32 device, u16 iface)
{
	struct ls_links *l = us->links;
	u64 one = 1;

	if (!l || pthread_mutex_trylock(&l->lock) != 0)
		return; /* the frame waits and asks again */
	if (l->ask_head - l->ask_tail < ASKS)
		l->asks[l->ask_head++ % ASKS] = (struct ask){ .addr = *addr, .device = device, .iface = iface };
	pthread_mutex_unlock(&l->lock);
	if (write(l->wake_fd, &one, 8) < 0)
		return;
}

static void serve_asks(struct ls_links *l)
{
	while (l->ask_tail != l->ask_head) {
		struct ask a = l->asks[l->ask_tail++ % ASKS];
		struct ls_device *d = a.device < LS_DEVICES_MAX ? l->us->device[a.device] : NULL;

		if (!d)
			continue;
		if (d->spec.kind == LS_DEV_PACKET)
			ask_kernel(l, &a, d->ifindex);
		else
			ask_wire(l, &a, d);
	}
}

static bool programs_run(const struct ls_links *l)
{
	return l->wanted_seen && LS_LOAD(&l->us->table->env.workers[0].attached); /* all CPUs are attached together */
}

/* What programs found unresolved since the last look. */
static void serve_wanted(struct ls_links *l)
{
	const struct ls_env *e = &l->us->table->env;

	for (u32 i = 0; programs_run(l) && i < e->header->cpus * LS_WANTED; i++) {
		const struct ls_wanted *w = &e->wanted[i];
		u64 seq = LS_LOAD_ACQ(&w->seq);
		struct ask a;

		if ((seq & 1) || seq == l->wanted_seen[i])
			continue;
		ls_words_load(&a.addr, &w->addr, 2);
		a.device = LS_LOAD(&w->device);
		LS_FENCE_ACQ();
		if (LS_LOAD(&w->seq) != seq)
			continue;
		l->wanted_seen[i] = seq;
		if (a.device < LS_DEVICES_MAX && l->us->device[a.device])
			ask_kernel(l, &a, l->us->device[a.device]->ifindex);
	}
}

/* What we forward to is used, though no packet of the kernel's shows it: keep its entries probed (RFC 4861 7.3). */
static void refresh_neighbours(struct ls_links *l)
{
	struct ls_neigh *table = l->us->table->env.neighs;

	for (u32 i = 0; i < LS_NEIGHS; i++) {
		struct ls_device *d = table[i].device < LS_DEVICES_MAX ? l->us->device[table[i].device] : NULL;

		if (table[i].state == LS_NEIGH_VALID && d && d->spec.kind == LS_DEV_PACKET) {
			struct ask a = { .addr = table[i].addr, .device = table[i].device };

			ask_kernel(l, &a, d->ifindex);
		}
	}
	l->refreshed_ns = ls_clock_ns();
}

static void *links_main(void *arg)
{
	struct ls_links *l = arg;
	u8 buffer[65536];

	pthread_setname_np(pthread_self(), "ls-links");
	while (atomic_load_explicit(&l->run, memory_order_relaxed)) {
		struct pollfd fds[3] = { { .fd = l->wake_fd, .events = POLLIN }, { .fd = l->events ? mnl_socket_get_fd(l->events) : -1, .events = POLLIN },
			{ .fd = mnl_socket_get_fd(l->asking), .events = POLLIN } };
		u64 count, now;

		if (poll(fds, 3, l->dirty || programs_run(l) ? 5 : 200) < 0 && errno != EINTR)
			break;
		if ((fds[0].revents & POLLIN) && read(l->wake_fd, &count, 8) < 0)
			continue;
		pthread_mutex_lock(&l->lock);
		if (fds[1].revents & (POLLIN | POLLERR)) {
			ssize_t n = recv(fds[1].fd, buffer, sizeof(buffer), MSG_DONTWAIT);

			if (n > 0)
				mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, l);
			else if (n < 0 && errno == ENOBUFS)
				dump_all(l);
		}
		if (fds[2].revents & POLLIN) /* answers to ask_kernel: errors only, the event tells the rest */
			while (recv(fds[2].fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
				;
		serve_asks(l);
		serve_wanted(l);
		now = ls_clock_ns();
		if (l->dirty && now - l->rebuilt_ns > REBUILD_NS)
			rebuild(l);
		if (now - l->refreshed_ns > REFRESH_NS)
			refresh_neighbours(l);
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

static void open_sockets(void *arg)
{
	struct ls_links *l = arg;
	u32 groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_NEIGH;
	int size = 4 << 20;

	l->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	l->dumps = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	l->asking = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!l->events || !l->dumps || !l->asking)
		return;
	setsockopt(mnl_socket_get_fd(l->events), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	l->ready = mnl_socket_bind(l->events, groups, MNL_SOCKET_AUTOPID) >= 0 && mnl_socket_bind(l->dumps, 0, MNL_SOCKET_AUTOPID) >= 0 &&
		   mnl_socket_bind(l->asking, 0, MNL_SOCKET_AUTOPID) >= 0;
}

static void free_links(struct ls_links *l)
{
	if (l->events)
		mnl_socket_close(l->events);
	if (l->dumps)
		mnl_socket_close(l->dumps);
	if (l->asking)
		mnl_socket_close(l->asking);
	close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	free(l->route);
	free(l->fixed);
	free(l->wanted_seen);
	free(l);
}

enum ls_status ls_links_start(struct ls_us *us, const char *netns, char *error)
{
	struct ls_links *l;

	if (us->links)
		return LS_OK;
	l = calloc(1, sizeof(*l));
	if (!l)
		return LS_E_NOMEM;
	l->us = us;
	if (us->table->env.header->cpus)
		l->wanted_seen = calloc(us->table->env.header->cpus * LS_WANTED, sizeof(u64));
	snprintf(l->netns, sizeof(l->netns), "%s", netns);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	if (!ls_in_netns(netns, open_sockets, l, error) || !l->ready) {
		if (!error[0])
			snprintf(error, LS_US_ERROR_BYTES, "netlink: %s", strerror(errno));
		free_links(l);
		return LS_E_SYSTEM;
	}
	us->links = l;
	pthread_mutex_lock(&l->lock);
	dump_all(l);
	rebuild(l);
	pthread_mutex_unlock(&l->lock);
	l->refreshed_ns = ls_clock_ns();
	l->run = true;
	if (pthread_create(&l->thread, NULL, links_main, l) != 0) {
		ls_links_stop(us);
		return LS_E_NOMEM;
	}
	l->started = true;
	return LS_OK;
}

void ls_links_stop(struct ls_us *us)
{
	struct ls_links *l = us->links;
	u64 one = 1;

	if (!l)
		return;
	atomic_store(&l->run, false);
	if (l->started && write(l->wake_fd, &one, 8) >= 0)
		pthread_join(l->thread, NULL);
	us->links = NULL;
	free_links(l);
}

u32 ls_links_list(struct ls_us *us, struct ls_link_info *out, u32 max)
{
	u32 n;

	if (!us->links)
		return 0;
	pthread_mutex_lock(&us->links->lock);
	n = us->links->links;
	memcpy(out, us->links->link, sizeof(*out) * (n < max ? n : max));
	pthread_mutex_unlock(&us->links->lock);
	return n;
}

u32 ls_links_addresses(struct ls_us *us, struct ls_link_addr *out, u32 max)
{
	u32 n;

	if (!us->links)
		return 0;
	pthread_mutex_lock(&us->links->lock);
	n = us->links->addrs;
	memcpy(out, us->links->addr, sizeof(*out) * (n < max ? n : max));
	pthread_mutex_unlock(&us->links->lock);
	return n;
}

enum ls_status ls_links_routes(struct ls_us *us, const struct ls_static_route *routes, u32 n)
{
	struct ls_links *l = us->links;
	struct route *fixed;

	if (!l)
		return LS_E_INVALID;
	fixed = calloc(n ? n : 1, sizeof(*fixed));
	if (!fixed)
		return LS_E_NOMEM;
	for (u32 i = 0; i < n; i++)
		fixed[i] = (struct route){ .dst = routes[i].dst, .gateway = routes[i].gateway, .iface = routes[i].iface,
			.prefix = routes[i].prefix, .kind = routes[i].kind, .metric = routes[i].metric };
	pthread_mutex_lock(&l->lock);
	free(l->fixed);
	l->fixed = fixed;
	l->fixeds = n;
	/* links may have been added as ports since they were dumped */
	dump_all(l);
	rebuild(l);
	pthread_mutex_unlock(&l->lock);
	return LS_OK;
}

u32 ls_links_routes_left_out(const struct ls_us *us) { return us->links ? atomic_load(&us->links->left_out) : 0; }

u32 ls_links_neighbours(const struct ls_us *us, struct ls_neighbour_info *out, u32 max)
{
	u32 n = 0;

	if (!us->links)
		return 0;
	pthread_mutex_lock(&us->links->lock);
	for (u32 i = 0; i < LS_NEIGHS && n < max; i++) {
		const struct ls_neigh *x = &us->table->env.neighs[i];

		if (x->state == LS_NEIGH_NONE)
			continue;
		out[n] = (struct ls_neighbour_info){ .addr = x->addr, .device = x->device, .state = x->state };
		memcpy(out[n++].mac, x->mac, 6);
	}
	pthread_mutex_unlock(&us->links->lock);
	return n;
}

void ls_links_hold(struct ls_us *us)
{
	if (us->links)
		pthread_mutex_lock(&us->links->lock);
}

void ls_links_release(struct ls_us *us)
{
	if (us->links)
		pthread_mutex_unlock(&us->links->lock);
}
