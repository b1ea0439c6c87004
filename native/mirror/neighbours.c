/* The neighbour table: what the kernel says of its entries, what is asked of it. Next hops behind kernel interfaces are resolved by the kernel (a neighbour
 * entry with NTF_USE makes it probe); on ports without one the owner asks. Sources: rtnetlink(7), RFC 826, RFC 4861.
 */
#include "mirror/mirror.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "table/fib.h"

#define STAYS (NUD_PERMANENT | NUD_NOARP)

static void neigh_write(struct ls_neigh *n, const struct ls_addr *a, u32 device, const u8 *mac, u32 state, bool stays)
{
	u64 seq = LS_LOAD(&n->seq);
	struct ls_neigh image = { .addr = *a, .device = device, .state = (u8)state, .stays = stays, .updated_ns = ls_clock_ns() };

	if (mac)
		memcpy(image.mac, mac, 6);
	LS_STORE_REL(&n->seq, seq | 1);
	LS_FENCE_REL();
	ls_words_store(&n->addr, &image.addr, 7);
	LS_STORE_REL(&n->seq, (seq | 1) + 1);
}

void ls_mirror_put(struct ls_mirror *m, const struct ls_addr *a, u32 device, const u8 *mac, u32 state, bool stays)
{
	struct ls_neigh *table = m->table->env.neighs, *free_entry = NULL, *oldest = NULL;
	u32 at = ls_neigh_index(a, device);

	for (u32 i = 0; i < LS_NEIGH_PROBES; i++) {
		struct ls_neigh *n = &table[(at + i) & (LS_NEIGHS - 1)];

		if (n->seq == 0) {
			if (!free_entry)
				free_entry = n;
			break;
		}
		if (n->device == device && ls_addr_equal(&n->addr, a)) {
			neigh_write(n, a, device, mac, state, stays);
			return;
		}
		if (n->state != LS_NEIGH_VALID && !free_entry)
			free_entry = n;
		if (!oldest || n->updated_ns < oldest->updated_ns)
			oldest = n;
	}
	if (state == LS_NEIGH_VALID || free_entry)
		neigh_write(free_entry ? free_entry : oldest, a, device, mac, state, stays);
}

void ls_mirror_on_neigh(struct ls_mirror *m, const struct nlmsghdr *h)
{
	const struct ndmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const void *dst = NULL;
	const u8 *mac = NULL;
	u32 device = m->ports.device(m->ports.owner, (u32)g->ndm_ifindex);
	bool valid = h->nlmsg_type == RTM_NEWNEIGH && (g->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP));
	struct ls_addr addr;

	if (!device || (g->ndm_family != AF_INET && g->ndm_family != AF_INET6))
		return;
	mnl_attr_for_each(a, h, sizeof(*g)) {
		if (mnl_attr_get_type(a) == NDA_DST && mnl_attr_get_payload_len(a) >= (g->ndm_family == AF_INET ? 4 : 16))
			dst = mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6)
			mac = mnl_attr_get_payload(a);
	}
	if (!dst)
		return;
	ls_mirror_addr(&addr, g->ndm_family, dst);
	ls_mirror_put(m, &addr, device, valid ? mac : NULL,
		  valid && mac ? LS_NEIGH_VALID : g->ndm_state & NUD_FAILED ? LS_NEIGH_FAILED : LS_NEIGH_INCOMPLETE, valid && g->ndm_state & STAYS);
	if (valid && mac && m->ports.resolved)
		m->ports.resolved(m->ports.owner);
}

static struct nlmsghdr *about(u8 *buffer, struct ls_mirror *m, u16 type, u16 flags, const struct ls_mirror_ask *a, u32 ifindex, u8 entry_flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct ndmsg *g;
	bool v4 = ls_addr_is4(&a->addr);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++m->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->ndm_family = v4 ? AF_INET : AF_INET6;
	g->ndm_ifindex = (int)ifindex;
	g->ndm_state = NUD_NONE;
	g->ndm_flags = entry_flags;
	mnl_attr_put(h, NDA_DST, v4 ? 4 : 16, v4 ? (const void *)&a->addr.w[3] : a->addr.b);
	return h;
}

/* An entry that somebody made to stay: it is taken as it is. NTF_USE would end that (net/core/neighbour.c, Linux 5.16). */
static bool stays(struct ls_mirror *m, const struct ls_mirror_ask *a, u32 ifindex)
{
	u8 buffer[4096];
	struct nlmsghdr *h = about(buffer, m, RTM_GETNEIGH, 0, a, ifindex, 0);
	u32 seq = h->nlmsg_seq;
	ssize_t n;

	if (mnl_socket_sendto(m->dumps, h, h->nlmsg_len) < 0)
		return false;
	do
		n = mnl_socket_recvfrom(m->dumps, buffer, sizeof(buffer));
	while (n > 0 && h->nlmsg_seq != seq);
	if (n <= 0 || !mnl_nlmsg_ok(h, (int)n) || h->nlmsg_type != RTM_NEWNEIGH ||
	    !(((const struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_state & STAYS))
		return false;
	ls_mirror_on_neigh(m, h);
	return true;
}

/* Makes the kernel resolve, as if it had a packet to send. */
static void ask_kernel(struct ls_mirror *m, const struct ls_mirror_ask *a, u32 ifindex)
{
	u8 buffer[256];
	struct nlmsghdr *h = about(buffer, m, RTM_NEWNEIGH, NLM_F_CREATE, a, ifindex, NTF_USE);

	if (mnl_socket_sendto(m->asking, h, h->nlmsg_len) < 0)
		return;
}

/* What the table does not have: the kernel may, from before the port was one. */
static void ask_unknown(struct ls_mirror *m, const struct ls_mirror_ask *a, u32 ifindex)
{
	if (!stays(m, a, ifindex))
		ask_kernel(m, a, ifindex);
}

static void ask(struct ls_mirror *m, const struct ls_mirror_ask *a)
{
	u32 ifindex = m->ports.ifindex(m->ports.owner, a->device);

	if (ifindex)
		ask_unknown(m, a, ifindex);
	else if (m->ports.ask)
		m->ports.ask(m->ports.owner, a);
}

void ls_mirror_resolve(struct ls_mirror *m, const struct ls_mirror_ask *a)
{
	u64 one = 1;

	if (!m || pthread_mutex_trylock(&m->lock) != 0)
		return; /* the frame waits and asks again */
	if (m->ask_head - m->ask_tail < LS_MIRROR_ASKS)
		m->asks[m->ask_head++ % LS_MIRROR_ASKS] = *a;
	pthread_mutex_unlock(&m->lock);
	if (write(m->wake_fd, &one, 8) < 0)
		return;
}

bool ls_mirror_programs(const struct ls_mirror *m)
{
	const struct ls_env *e = &m->table->env;

	if (m->wanted_seen && e->header->cpus && LS_LOAD(&e->workers[0].attached)) /* all CPUs are attached together */
		return true;
	for (u32 w = e->header->cpus; m->wanted_seen && w < e->header->workers; w++)
		if (LS_LOAD(&e->workers[w].attached) > 1)
			return true;
	return false;
}

/* What programs found unresolved since the last look. */
static void serve_wanted(struct ls_mirror *m)
{
	const struct ls_env *e = &m->table->env;

	for (u32 i = 0; ls_mirror_programs(m) && i < e->header->workers * LS_WANTED; i++) {
		const struct ls_wanted *w = &e->wanted[i];
		u64 seq = LS_LOAD_ACQ(&w->seq);
		struct ls_mirror_ask a = { 0 };

		if ((seq & 1) || seq == m->wanted_seen[i])
			continue;
		ls_words_load(&a.addr, &w->addr, 2);
		a.device = LS_LOAD(&w->device);
		LS_FENCE_ACQ();
		if (LS_LOAD(&w->seq) != seq)
			continue;
		m->wanted_seen[i] = seq;
		ask(m, &a);
	}
}

void ls_mirror_serve(struct ls_mirror *m)
{
	while (m->ask_tail != m->ask_head)
		ask(m, &m->asks[m->ask_tail++ % LS_MIRROR_ASKS]);
	serve_wanted(m);
}

/* What we forward to is used, though no packet of the kernel's shows it: keep its entries probed (RFC 4861 7.3). */
void ls_mirror_refresh(struct ls_mirror *m)
{
	struct ls_neigh *table = m->table->env.neighs;

	for (u32 i = 0; i < LS_NEIGHS; i++) {
		struct ls_mirror_ask a = { .addr = table[i].addr, .device = table[i].device };
		u32 ifindex = table[i].state == LS_NEIGH_VALID && !table[i].stays ? m->ports.ifindex(m->ports.owner, a.device) : 0;

		if (ifindex)
			ask_kernel(m, &a, ifindex);
	}
	m->refreshed_ns = ls_clock_ns();
	m->warm = true;
}

static const struct ls_config *config_of(const struct ls_mirror *m) { return &m->table->env.banks[LS_LOAD(&m->table->env.header->active_bank) & 1]; }
static const struct ls_fib *fib_of(const struct ls_mirror *m) { return &m->table->env.fibs[LS_LOAD(&m->table->env.header->active_fib) & 1]; }

/* Is this next hop the kernel's to resolve, and not known? Then it is asked for, if `asked`. */
static bool missing(struct ls_mirror *m, const struct ls_nexthop *h, const struct ls_addr *addr, bool asked)
{
	struct ls_mirror_ask a = { .addr = *addr, .device = config_of(m)->iface[h->iface & (LS_IFACES_MAX - 1)].device, .iface = h->iface };
	u32 ifindex = a.device ? m->ports.ifindex(m->ports.owner, a.device) : 0;
	u8 mac[6];

	if (!ifindex || ls_neigh_find(m->table->env.neighs, &a.addr, a.device, mac))
		return false;
	if (asked)
		ask_unknown(m, &a, ifindex);
	return true;
}

/* LS_RG_NONE: of every group. */
static u32 missing_gateways(struct ls_mirror *m, u32 rg, bool asked)
{
	const struct ls_config *c = config_of(m);
	const struct ls_fib *f = fib_of(m);
	u32 n = 0;

	for (u32 i = 1; i < f->nexthops && i < LS_NEXTHOPS_MAX; i++) {
		const struct ls_nexthop *h = &f->nexthop[i];

		if (h->kind == LS_NH_GATEWAY && (rg == LS_RG_NONE || c->iface[h->iface & (LS_IFACES_MAX - 1)].rg == rg))
			n += missing(m, h, &h->gateway, asked);
	}
	return n;
}

/* One that takes no new flows is asked for too, and not counted. */
static u32 missing_reals(struct ls_mirror *m, u32 rg, bool asked)
{
	const struct ls_config *c = config_of(m);
	const struct ls_fib *f = fib_of(m);
	u32 n = 0;

	for (u32 i = 1; i < LS_REALS_MAX; i++) {
		const struct ls_real *r = &c->real[i];
		const struct ls_nexthop *h = r->used && (rg == LS_RG_NONE || c->vip[r->vip & (LS_VIPS_MAX - 1)].rg == rg) ? ls_fib_find(f, &r->addr) : NULL;

		if (h && h->kind == LS_NH_CONNECTED)
			n += missing(m, h, &r->addr, asked) && r->up;
	}
	return n;
}

/* A first packet that finds its next hop unknown is lost where programs forward: gateways and the reals of VIPs are known in advance, so they are asked
 * for. Elsewhere it waits. */
void ls_mirror_warm(struct ls_mirror *m)
{
	missing_gateways(m, LS_RG_NONE, true);
	missing_reals(m, LS_RG_NONE, true);
	m->warm = false;
	m->warmed_ns = ls_clock_ns();
}

u32 ls_mirror_unresolved(struct ls_mirror *m, u32 rg)
{
	u32 n;

	if (!m)
		return 0;
	pthread_mutex_lock(&m->lock);
	n = missing_gateways(m, rg, false) + missing_reals(m, rg, false);
	m->warm |= n > 0;
	pthread_mutex_unlock(&m->lock);
	return n;
}

bool ls_mirror_resolved(struct ls_mirror *m, const struct ls_addr *addr)
{
	const struct ls_nexthop *h;
	bool known = false;
	u8 mac[6];

	if (!m)
		return false;
	pthread_mutex_lock(&m->lock);
	for (u32 device = 1; device < LS_DEVICES_MAX; device++)
		known |= ls_neigh_find(m->table->env.neighs, addr, device, mac);
	h = ls_fib_find(fib_of(m), addr);
	if (h && h->kind == LS_NH_CONNECTED)
		ask(m, &(struct ls_mirror_ask){ .addr = *addr, .device = config_of(m)->iface[h->iface & (LS_IFACES_MAX - 1)].device, .iface = h->iface });
	pthread_mutex_unlock(&m->lock);
	return known;
}
