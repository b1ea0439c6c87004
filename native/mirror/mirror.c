/* Lifecycle of the mirror: one thread follows the kernel. Routes are rebuilt at most every REBUILD_NS. */
#include "mirror/mirror.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REBUILD_NS 20000000ULL
#define REFRESH_NS 30000000000ULL
#define WARM_NS 1000000000ULL
#define POLL_MS 200
#define POLL_BUSY_MS 20 /* while routes wait to be built, or programs may want a next hop */

static void *mirror_main(void *arg)
{
	struct ls_mirror *m = arg;

	pthread_setname_np(pthread_self(), "ls-mirror");
	while (atomic_load_explicit(&m->run, memory_order_relaxed)) {
		struct pollfd fds[3] = { { .fd = m->wake_fd, .events = POLLIN }, { .fd = mnl_socket_get_fd(m->events), .events = POLLIN },
			{ .fd = mnl_socket_get_fd(m->asking), .events = POLLIN } };
		bool busy = (m->dirty && m->building) || ls_mirror_programs(m);
		u64 count, now;

		if (poll(fds, 3, busy ? POLL_BUSY_MS : POLL_MS) < 0 && errno != EINTR)
			break;
		if ((fds[0].revents & POLLIN) && read(m->wake_fd, &count, 8) < 0)
			continue;
		pthread_mutex_lock(&m->lock);
		if (fds[1].revents || fds[2].revents)
			ls_mirror_read(m);
		ls_mirror_serve(m);
		now = ls_clock_ns();
		if (m->building && m->dirty && now - m->rebuilt_ns > REBUILD_NS)
			ls_mirror_build(m);
		if (now - m->refreshed_ns > REFRESH_NS)
			ls_mirror_refresh(m);
		if (m->building && m->warm && now - m->warmed_ns > WARM_NS)
			ls_mirror_warm(m);
		pthread_mutex_unlock(&m->lock);
	}
	return NULL;
}

static void release(struct ls_mirror *m)
{
	ls_mirror_close(m);
	close(m->wake_fd);
	pthread_mutex_destroy(&m->lock);
	free(m->route);
	free(m->fixed);
	free(m->wanted_seen);
	free(m);
}

enum ls_status ls_mirror_start(struct ls_table *t, const struct ls_mirror_ports *ports, const char *netns, struct ls_mirror **out, char error[LS_MIRROR_ERROR_BYTES])
{
	struct ls_mirror *m = calloc(1, sizeof(*m));
	const struct ls_fib *f = &t->env.fibs[LS_LOAD(&t->env.header->active_fib) & 1];

	error[0] = 0;
	if (!m)
		return LS_E_NOMEM;
	m->table = t;
	m->ports = *ports;
	m->fixed = calloc(LS_ROUTES_MAX, sizeof(*m->fixed));
	if (t->env.header->cpus)
		m->wanted_seen = calloc(t->env.header->workers * LS_WANTED, sizeof(u64));
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&m->lock, NULL);
	if (!m->fixed || m->wake_fd < 0) {
		release(m);
		return LS_E_NOMEM;
	}
	m->fixeds = f->fixeds < LS_ROUTES_MAX ? f->fixeds : LS_ROUTES_MAX;
	memcpy(m->fixed, f->fixed, sizeof(*m->fixed) * m->fixeds);
	if (!ls_mirror_open(m, netns, error)) {
		release(m);
		return LS_E_SYSTEM;
	}
	ls_mirror_dump(m);
	m->refreshed_ns = ls_clock_ns();
	m->run = true;
	if (pthread_create(&m->thread, NULL, mirror_main, m) != 0) {
		release(m);
		return LS_E_NOMEM;
	}
	m->started = true;
	*out = m;
	return LS_OK;
}

void ls_mirror_stop(struct ls_mirror *m)
{
	u64 one = 1;

	if (!m)
		return;
	atomic_store(&m->run, false);
	if (write(m->wake_fd, &one, 8) >= 0)
		pthread_join(m->thread, NULL);
	release(m);
}

/* Holds the lock. Links may have become ports since they were dumped. */
static void build(struct ls_mirror *m)
{
	m->building = true;
	ls_mirror_dump(m);
	ls_mirror_build(m);
	ls_mirror_refresh(m); /* entries that the kernel dropped while nobody listened */
	ls_mirror_warm(m);
}

static int narrower(const void *x, const void *y) { return ((const struct ls_static_route *)y)->prefix - ((const struct ls_static_route *)x)->prefix; }

enum ls_status ls_mirror_routes(struct ls_mirror *m, const struct ls_static_route *routes, u32 n)
{
	struct ls_static_route *sorted = NULL;

	if (!m)
		return LS_E_INVALID;
	if (n > LS_ROUTES_MAX) {
		sorted = malloc(sizeof(*sorted) * n);
		if (!sorted)
			return LS_E_NOMEM;
		memcpy(sorted, routes, sizeof(*sorted) * n);
		qsort(sorted, n, sizeof(*sorted), narrower);
		routes = sorted;
	}
	pthread_mutex_lock(&m->lock);
	m->fixeds = n < LS_ROUTES_MAX ? n : LS_ROUTES_MAX;
	m->fixed_left_out = n - m->fixeds;
	memcpy(m->fixed, routes, sizeof(*m->fixed) * m->fixeds);
	build(m);
	pthread_mutex_unlock(&m->lock);
	free(sorted);
	return LS_OK;
}

void ls_mirror_resume(struct ls_mirror *m)
{
	pthread_mutex_lock(&m->lock);
	build(m);
	pthread_mutex_unlock(&m->lock);
}

u32 ls_mirror_links(struct ls_mirror *m, struct ls_link_info *out, u32 max)
{
	u32 n;

	if (!m)
		return 0;
	pthread_mutex_lock(&m->lock);
	n = m->links;
	memcpy(out, m->link, sizeof(*out) * (n < max ? n : max));
	pthread_mutex_unlock(&m->lock);
	return n;
}

u32 ls_mirror_addresses(struct ls_mirror *m, struct ls_link_addr *out, u32 max)
{
	u32 n;

	if (!m)
		return 0;
	pthread_mutex_lock(&m->lock);
	n = m->addrs;
	memcpy(out, m->addr, sizeof(*out) * (n < max ? n : max));
	pthread_mutex_unlock(&m->lock);
	return n;
}

u32 ls_mirror_left_out(const struct ls_mirror *m) { return m ? atomic_load(&m->left_out) : 0; }

bool ls_mirror_neighbour(struct ls_mirror *m, const struct ls_addr *a, u32 device, const u8 *mac, u32 state, bool wait)
{
	if (!m || (wait ? pthread_mutex_lock(&m->lock) : pthread_mutex_trylock(&m->lock)) != 0)
		return false;
	ls_mirror_put(m, a, device, mac, state, false);
	pthread_mutex_unlock(&m->lock);
	return true;
}

u32 ls_mirror_neighbours(struct ls_mirror *m, struct ls_neighbour_info *out, u32 max)
{
	u32 n = 0;

	if (!m)
		return 0;
	pthread_mutex_lock(&m->lock);
	for (u32 i = 0; i < LS_NEIGHS && n < max; i++) {
		const struct ls_neigh *x = &m->table->env.neighs[i];

		if (x->state == LS_NEIGH_NONE)
			continue;
		out[n] = (struct ls_neighbour_info){ .addr = x->addr, .device = x->device, .state = x->state };
		memcpy(out[n++].mac, x->mac, 6);
	}
	pthread_mutex_unlock(&m->lock);
	return n;
}

void ls_mirror_hold(struct ls_mirror *m)
{
	if (m)
		pthread_mutex_lock(&m->lock);
}

void ls_mirror_release(struct ls_mirror *m)
{
	if (m)
		pthread_mutex_unlock(&m->lock);
}
