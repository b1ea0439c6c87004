/* Routes: the kernel's and the configured ones become the elementary intervals of the idle route bank, which is then flipped. */
#include "mirror/mirror.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

void ls_mirror_on_route(struct ls_mirror *m, const struct nlmsghdr *h)
{
	const struct rtmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ls_mirror_route r = { .prefix = (u8)(g->rtm_dst_len + (g->rtm_family == AF_INET ? 96 : 0)) };
	u32 table = g->rtm_table, i;
	bool gateway = false;

	if ((g->rtm_family != AF_INET && g->rtm_family != AF_INET6) || (g->rtm_flags & RTM_F_CLONED))
		return;
	if (g->rtm_family == AF_INET)
		ls_addr_from4(&r.dst, (const u8[4]){ 0 });
	mnl_attr_for_each(a, h, sizeof(*g)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_DST: ls_mirror_addr(&r.dst, g->rtm_family, mnl_attr_get_payload(a)); break;
		case RTA_GATEWAY:
			ls_mirror_addr(&r.gateway, g->rtm_family, mnl_attr_get_payload(a));
			gateway = true;
			break;
		case RTA_VIA: {
			const struct rtvia *via = mnl_attr_get_payload(a);

			ls_mirror_addr(&r.gateway, via->rtvia_family, via->rtvia_addr);
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
				ls_mirror_addr(&r.gateway, g->rtm_family, mnl_attr_get_payload(x));
				gateway = true;
			}
			break;
		}
		default: break;
		}
	}
	if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL)
		return;
	switch (g->rtm_type) {
	case RTN_UNICAST: r.kind = gateway ? LS_NH_GATEWAY : LS_NH_CONNECTED; break;
	case RTN_LOCAL:
	case RTN_ANYCAST:
	case RTN_BROADCAST: r.kind = LS_NH_LOCAL; break;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT: r.kind = LS_NH_BLACKHOLE; break;
	default: return;
	}
	for (i = m->dumping ? m->routes : 0; i < m->routes; i++) /* a dump names each once */
		if (m->route[i].prefix == r.prefix && m->route[i].metric == r.metric && m->route[i].kind == r.kind &&
		    ls_addr_equal(&m->route[i].dst, &r.dst) && (h->nlmsg_type == RTM_NEWROUTE || m->route[i].ifindex == r.ifindex))
			break;
	if (h->nlmsg_type == RTM_DELROUTE) {
		if (i < m->routes)
			m->route[i] = m->route[--m->routes];
	} else if (i < m->routes && (h->nlmsg_flags & NLM_F_REPLACE)) {
		m->route[i] = r;
	} else {
		if (m->routes == m->room) {
			u32 room = m->room ? m->room * 2 : 256;
			struct ls_mirror_route *grown = realloc(m->route, room * sizeof(*grown));

			if (!grown)
				return;
			m->route = grown;
			m->room = room;
		}
		m->route[m->routes++] = r;
	}
	m->dirty = true;
}

static int compare_addr(const struct ls_addr *a, const struct ls_addr *b) { return memcmp(a->b, b->b, 16); }

/* By start, then the wider first, then the worse metric first, so that the better overwrites. */
static int compare_route(const void *x, const void *y)
{
	const struct ls_mirror_route *a = x, *b = y;
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
	const struct ls_mirror_route *a = x, *b = y;

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

static u16 iface_of(const struct ls_mirror *m, u32 ifindex)
{
	const struct ls_config *c = &m->table->env.banks[LS_LOAD(&m->table->env.header->active_bank) & 1];

	for (u32 i = 1; i < LS_IFACES_MAX; i++)
		if (c->iface[i].device && c->iface[i].ifindex == ifindex && m->ports.device(m->ports.owner, ifindex) == c->iface[i].device)
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
void ls_mirror_build(struct ls_mirror *m)
{
	struct ls_table *t = m->table;
	u32 idle = !(LS_LOAD(&t->env.header->active_fib) & 1), n = 0, nexthops = 1, depth = 0, left_out = m->fixed_left_out;
	struct ls_fib *f = &t->env.fibs[idle];
	struct ls_mirror_route *all = malloc(sizeof(*all) * (m->routes + m->fixeds + 1));
	struct { struct ls_addr end; bool wraps; u16 nexthop; } stack[130];
	struct ls_addr zero = { .d = { 0, 0 } };

	if (!all)
		return;
	ls_table_grace(t); /* readers of the idle bank from before the last flip are gone */
	for (u32 i = 0; i < m->fixeds; i++) {
		const struct ls_static_route *r = &m->fixed[i];

		all[n++] = (struct ls_mirror_route){ .dst = r->dst, .gateway = r->gateway, .iface = r->iface, .prefix = r->prefix, .kind = r->kind, .metric = r->metric };
	}
	for (u32 i = 0; i < m->routes; i++) {
		struct ls_mirror_route r = m->route[i];

		if (r.kind == LS_NH_CONNECTED || r.kind == LS_NH_GATEWAY) {
			r.iface = iface_of(m, r.ifindex);
			if (!r.iface)
				continue; /* leads out of an interface that is not ours */
		}
		all[n++] = r;
	}
	if (n > LS_ROUTES_MAX) {
		left_out += n - LS_ROUTES_MAX;
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
	f->fixeds = m->fixeds;
	memcpy(f->fixed, m->fixed, sizeof(*m->fixed) * m->fixeds);
	atomic_store(&m->left_out, left_out);
	f->generation++;
	LS_STORE_REL(&t->env.header->active_fib, idle);
	free(all);
	m->dirty = false;
	m->warm = true;
	m->rebuilt_ns = ls_clock_ns();
}
