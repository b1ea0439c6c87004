/* Routes that routing daemons announce: one look at what the table has, and one message for each difference. Source: rtnetlink(7). */
#include "mirror/api.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "pipeline/addr.h"

struct job {
	u32 table;
	struct ls_own_route *wanted, *had;
	u32 n, has, room;
	u8 family; /* being looked at */
	struct ls_own_routes_changed *changed;
	int err_no; /* 0: done */
	const char *doing;
};

static int compare(const void *a, const void *b) { return memcmp(a, b, sizeof(struct ls_own_route)); }

static bool failed(struct job *j, const char *doing, int err_no)
{
	j->doing = doing;
	j->err_no = err_no;
	return false;
}

static int on_route(const struct nlmsghdr *h, void *arg)
{
	struct job *j = arg;
	const struct rtmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ls_own_route *r;
	u32 table;

	/* the kernel selects only when asked strictly: who reads all looks at each */
	if (h->nlmsg_type != RTM_NEWROUTE || g->rtm_family != j->family || g->rtm_protocol != LS_ROUTE_PROTOCOL)
		return MNL_CB_OK;
	table = g->rtm_table;
	mnl_attr_for_each(a, h, sizeof(*g))
		if (mnl_attr_get_type(a) == RTA_TABLE)
			table = mnl_attr_get_u32(a);
	if (table != j->table)
		return MNL_CB_OK;
	if (j->has == j->room) {
		u32 room = j->room ? j->room * 2 : 64;
		struct ls_own_route *grown = realloc(j->had, room * sizeof(*grown));

		if (!grown) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		j->had = grown;
		j->room = room;
	}
	r = memset(&j->had[j->has++], 0, sizeof(*r));
	r->prefix = g->rtm_dst_len + (j->family == AF_INET ? 96 : 0);
	if (j->family == AF_INET)
		ls_addr_from4(&r->addr, (const u8[4]){ 0 }); /* a default route has no destination */
	mnl_attr_for_each(a, h, sizeof(*g)) {
		if (mnl_attr_get_type(a) != RTA_DST || mnl_attr_get_payload_len(a) < (j->family == AF_INET ? 4 : 16))
			continue;
		if (j->family == AF_INET)
			ls_addr_from4(&r->addr, mnl_attr_get_payload(a));
		else
			memcpy(&r->addr, mnl_attr_get_payload(a), 16);
	}
	return MNL_CB_OK;
}

static bool list(struct job *j, struct mnl_socket *s, u8 family)
{
	char buffer[32768];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct rtmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	ssize_t n;
	u32 seq = family;

	j->family = g->rtm_family = family;
	g->rtm_protocol = LS_ROUTE_PROTOCOL;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	mnl_attr_put_u32(h, RTA_TABLE, j->table);
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return failed(j, "reading", errno);
	while ((n = mnl_socket_recvfrom(s, buffer, sizeof(buffer))) > 0) {
		int ret = mnl_cb_run(buffer, (size_t)n, seq, mnl_socket_get_portid(s), on_route, j);

		if (ret == MNL_CB_STOP)
			return true;
		if (ret < 0)
			break;
	}
	/* no such table has nothing in it, and a kernel without IPv6 has no such routes */
	return errno == ENOENT || errno == EAFNOSUPPORT || errno == EOPNOTSUPP ? true : failed(j, "reading", errno);
}

/* True also when it is as wanted already: somebody may have been faster. */
static bool change(struct job *j, struct mnl_socket *s, const struct ls_own_route *to, bool add)
{
	char buffer[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct rtmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	bool four = ls_addr_is4(&to->addr);
	static u32 last;
	u32 seq = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	ssize_t n;

	h->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	h->nlmsg_seq = seq;
	g->rtm_family = four ? AF_INET : AF_INET6;
	g->rtm_dst_len = (u8)(to->prefix - (four ? 96 : 0));
	g->rtm_protocol = LS_ROUTE_PROTOCOL;
	g->rtm_scope = add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
	g->rtm_type = RTN_BLACKHOLE;
	mnl_attr_put_u32(h, RTA_TABLE, j->table);
	mnl_attr_put(h, RTA_DST, four ? 4 : 16, four ? to->addr.b + 12 : to->addr.b);
	n = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -1 : mnl_socket_recvfrom(s, buffer, sizeof(buffer));
	if (n > 0)
		n = mnl_cb_run(buffer, (size_t)n, seq, mnl_socket_get_portid(s), NULL, NULL);
	if (n >= 0)
		return true;
	return errno == (add ? EEXIST : ESRCH) ? true : failed(j, add ? "adding" : "removing", errno);
}

static void work(void *arg)
{
	struct job *j = arg;
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 1 }; /* the kernel answers while it is asked */
	bool good = s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) >= 0 && setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0;

	if (!good)
		failed(j, "opening a socket for", errno);
	good = good && list(j, s, AF_INET) && list(j, s, AF_INET6);
	if (good && j->has > 0)
		qsort(j->had, j->has, sizeof(*j->had), compare);
	/* who is withdrawn draws no traffic while others are added */
	for (u32 i = 0; good && i < j->has; i++)
		if (j->n == 0 || !bsearch(&j->had[i], j->wanted, j->n, sizeof(*j->wanted), compare)) {
			good = change(j, s, &j->had[i], false);
			j->changed->removed += good;
		}
	for (u32 i = 0; good && i < j->n; i++)
		if ((i == 0 || compare(&j->wanted[i], &j->wanted[i - 1]) != 0) && (j->has == 0 || !bsearch(&j->wanted[i], j->had, j->has, sizeof(*j->had), compare))) {
			good = change(j, s, &j->wanted[i], true);
			j->changed->added += good;
		}
	if (s)
		mnl_socket_close(s);
}

enum ls_status ls_own_routes(const char *netns, u32 table, const struct ls_own_route *wanted, u32 n, struct ls_own_routes_changed *changed, char error[LS_MIRROR_ERROR_BYTES])
{
	struct job j = { .table = table, .n = n, .changed = changed };
	bool entered;

	error[0] = 0;
	*changed = (struct ls_own_routes_changed){ 0 };
	if (n > LS_OWN_ROUTES_MAX || table == RT_TABLE_UNSPEC || (table >= RT_TABLE_DEFAULT && table <= RT_TABLE_LOCAL)) {
		snprintf(error, LS_MIRROR_ERROR_BYTES, "%u routes in table %u: at most %u, and not in a table that packets are looked up in", n, table, LS_OWN_ROUTES_MAX);
		return LS_E_INVALID;
	}
	for (u32 i = 0; i < n; i++)
		if (wanted[i].prefix > 128 || wanted[i].pad || (ls_addr_is4(&wanted[i].addr) && wanted[i].prefix < 96)) {
			snprintf(error, LS_MIRROR_ERROR_BYTES, "route %u has a prefix of %u bits", i, wanted[i].prefix);
			return LS_E_INVALID;
		}
	j.wanted = malloc(n ? n * sizeof(*wanted) : 1);
	if (!j.wanted) {
		snprintf(error, LS_MIRROR_ERROR_BYTES, "no memory for %u routes", n);
		return LS_E_NOMEM;
	}
	if (n) {
		memcpy(j.wanted, wanted, n * sizeof(*wanted));
		qsort(j.wanted, n, sizeof(*j.wanted), compare);
	}
	entered = ls_in_netns(netns, work, &j, error);
	free(j.wanted);
	free(j.had);
	if (!entered)
		return LS_E_SYSTEM;
	if (j.err_no == 0)
		return LS_OK;
	snprintf(error, LS_MIRROR_ERROR_BYTES, "%s routes of table %u: %s", j.doing, table, strerror(j.err_no));
	return j.err_no == EPERM || j.err_no == EACCES ? LS_E_PERMISSION : j.err_no == ENOMEM ? LS_E_NOMEM : LS_E_SYSTEM;
}
