/* What the parts of the mirror share. One thread follows the kernel; everything below `lock` is changed under it. */
#ifndef LOCKSTEP_MIRROR_H
#define LOCKSTEP_MIRROR_H

#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/socket.h>

#include "mirror/api.h"
#include "pipeline/addr.h"
#include "table/table.h"

#define LS_MIRROR_LINKS 1024
#define LS_MIRROR_ADDRS 4096
#define LS_MIRROR_ASKS 1024

struct ls_mirror_route {
	struct ls_addr dst, gateway;
	u32 ifindex; /* the kernel's routes */
	u16 iface;   /* configured ones */
	u8 prefix, kind;
	u32 metric;
};

struct ls_mirror {
	struct ls_table *table;
	struct ls_mirror_ports ports;
	struct mnl_socket *events, *dumps, *asking; /* followed; for dumps; for neighbour requests */
	pthread_t thread;
	bool started, ready;
	atomic_bool run;
	int wake_fd;
	u32 seq;
	pthread_mutex_t lock; /* of everything below */
	struct ls_link_info link[LS_MIRROR_LINKS];
	u32 links;
	struct ls_link_addr addr[LS_MIRROR_ADDRS];
	u32 addrs;
	struct ls_mirror_route *route; /* the kernel's */
	u32 routes, room;
	struct ls_static_route *fixed; /* configured: LS_ROUTES_MAX of them */
	u32 fixeds, fixed_left_out;
	bool dumping;
	bool building; /* the owner's ports are known */
	bool dirty;
	u64 rebuilt_ns, refreshed_ns, warmed_ns;
	bool warm;            /* next hops of the last build are to be asked for */
	atomic_uint left_out; /* routes beyond LS_ROUTES_MAX, or whose next hop is beyond LS_NEXTHOPS_MAX */
	struct ls_mirror_ask asks[LS_MIRROR_ASKS];
	u32 ask_head, ask_tail;
	u64 *wanted_seen; /* by worker and place: the last request that was served */
};

static inline void ls_mirror_addr(struct ls_addr *a, u32 family, const void *bytes)
{
	if (family == AF_INET)
		ls_addr_from4(a, bytes);
	else
		memcpy(a->b, bytes, 16);
}

/* netlink.c */
bool ls_mirror_open(struct ls_mirror *m, const char *netns, char *error);
void ls_mirror_close(struct ls_mirror *m);
void ls_mirror_dump(struct ls_mirror *m);
void ls_mirror_read(struct ls_mirror *m); /* what has come, without waiting */

/* routes.c */
void ls_mirror_on_route(struct ls_mirror *m, const struct nlmsghdr *h);
void ls_mirror_build(struct ls_mirror *m);

/* neighbours.c */
void ls_mirror_on_neigh(struct ls_mirror *m, const struct nlmsghdr *h);
void ls_mirror_put(struct ls_mirror *m, const struct ls_addr *a, u32 device, const u8 *mac, u32 state, bool stays);
void ls_mirror_serve(struct ls_mirror *m);   /* what workers and programs asked for */
void ls_mirror_refresh(struct ls_mirror *m); /* keeps what is forwarded to probed */
void ls_mirror_warm(struct ls_mirror *m);    /* asks for gateways and reals before their first packet */
bool ls_mirror_programs(const struct ls_mirror *m);

#endif
