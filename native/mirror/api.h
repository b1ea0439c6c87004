/* The mirror of the kernel's links, addresses, routes and neighbours, as its callers see it: opaque, no inline code, readable from C++.
 *
 * It is the only writer of the neighbour table and of the route banks of a session table: the agent's while it lives, the keeper's while that stands in.
 * Functions may be called from any thread. Stated limits: main and local routing tables only, no policy routing; of a multipath route the first next hop.
 */
#ifndef LOCKSTEP_MIRROR_API_H
#define LOCKSTEP_MIRROR_API_H

#include "table/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_NETNS_BYTES 128
#define LS_MIRROR_ERROR_BYTES 256

struct ls_mirror;

/* An address that packets would go to, by the port (dense id) and logical interface it is behind. */
struct ls_mirror_ask {
	struct ls_addr addr;
	u32 device;
	u16 iface;
};

/* What the mirror asks its owner; called under the mirror's lock. */
struct ls_mirror_ports {
	void *owner;
	u32 (*device)(void *owner, u32 ifindex); /* dense id of the port on this kernel interface; 0 = not one of ours */
	u32 (*ifindex)(void *owner, u32 device); /* kernel interface of the port; 0 = it has none, or there is no such port */
	/* each may be NULL */
	void (*link)(void *owner, u32 device, bool up);
	void (*resolved)(void *owner);
	void (*ask)(void *owner, const struct ls_mirror_ask *ask); /* on a port without a kernel interface */
};

struct ls_link_info {
	u32 ifindex;
	u32 flags; /* IFF_* */
	u16 mtu;
	u8 mac[6];
	char name[16];
};
struct ls_link_addr {
	u32 ifindex;
	u8 prefix; /* of the mapped address */
	u8 scope;
	u8 pad[2];
	struct ls_addr addr;
};
struct ls_static_neighbour {
	struct ls_addr addr;
	u32 device;
	u8 mac[6];
	u8 pad[6];
};
LS_ASSERT_SIZE(struct ls_static_neighbour, 32);

/* Mirrors the network namespace `netns` (path; empty = the process's) into the table. Routes are built from the first ls_mirror_routes() or
 * ls_mirror_resume() on, when the owner knows its ports; until then those in force stay. LS_E_SYSTEM with a text, LS_E_NOMEM. */
enum ls_status ls_mirror_start(struct ls_table *t, const struct ls_mirror_ports *ports, const char *netns, struct ls_mirror **out, char error[LS_MIRROR_ERROR_BYTES]);
void ls_mirror_stop(struct ls_mirror *m);
/* Replaces the static routes and rebuilds; called after every configuration flip as well, because interfaces map to ids there. */
enum ls_status ls_mirror_routes(struct ls_mirror *m, const struct ls_static_route *routes, u32 n);
/* With the static routes that are in force. */
void ls_mirror_resume(struct ls_mirror *m);
/* Copies of what is known; returns how many there are (at most `max` written). */
u32 ls_mirror_links(struct ls_mirror *m, struct ls_link_info *out, u32 max);
u32 ls_mirror_addresses(struct ls_mirror *m, struct ls_link_addr *out, u32 max);
/* Routes that did not fit, the kernel's and static ones together: the widest prefixes beyond LS_ROUTES_MAX, and those beyond LS_NEXTHOPS_MAX next hops. */
u32 ls_mirror_left_out(const struct ls_mirror *m);
/* `wait` false: from a worker, which must not wait for a lock whose holder may wait for the worker's grace. False: not done. */
bool ls_mirror_neighbour(struct ls_mirror *m, const struct ls_addr *addr, u32 device, const u8 *mac, u32 state, bool wait);
/* From a worker: this next hop is wanted. Never blocks; duplicates are fine. */
void ls_mirror_resolve(struct ls_mirror *m, const struct ls_mirror_ask *ask);
/* At most `max` of the known neighbours. */
struct ls_neighbour_info {
	struct ls_addr addr;
	u32 device;
	u8 mac[6];
	u8 state; /* enum ls_neigh_state */
	u8 pad;
};
u32 ls_mirror_neighbours(struct ls_mirror *m, struct ls_neighbour_info *out, u32 max);
/* Is the link-layer address of `addr` known on any port? Like traffic to it, the question keeps it probed. */
bool ls_mirror_resolved(struct ls_mirror *m, const struct ls_addr *addr);
/* Next hops of redundancy group `rg` that are not resolved: gateways of routes by its interfaces, and reals of its VIPs that take new flows and are on a link
 * of ours. The mirror asks for them within a second. */
u32 ls_mirror_unresolved(struct ls_mirror *m, u32 rg);
/* The owner's ports are looked at under this lock: hold it while one goes away. */
void ls_mirror_hold(struct ls_mirror *m);
void ls_mirror_release(struct ls_mirror *m);

/* Runs fn(arg) on a thread inside a network namespace (path, or empty for this one). False with a text: the namespace cannot be entered. */
bool ls_in_netns(const char *path, void (*fn)(void *), void *arg, char error[LS_MIRROR_ERROR_BYTES]);
/* What the driver of an interface in `netns` declares about XDP at this moment: bits of enum netdev_xdp_act of linux/netdev.h.
 * LS_E_UNSUPPORTED: the kernel does not tell (before Linux 6.3). LS_E_NO_DEVICE, LS_E_PERMISSION, LS_E_SYSTEM. */
enum ls_status ls_xdp_features(const char *netns, u32 ifindex, u64 *features, char error[LS_MIRROR_ERROR_BYTES]);
/* An established TCP connection. */
#define LS_TCP_ROWS_MAX (1u << 17)
struct ls_tcp_row {
	struct ls_addr local, remote;
	u64 cookie; /* the kernel's name of the socket: no other has it while the host is up */
	u32 rtt_us; /* smoothed; 0: not known */
	u16 local_port, remote_port;
	char device[16]; /* that the socket is bound to, of a VRF for one; empty: to none */
};
LS_ASSERT_SIZE(struct ls_tcp_row, 64);
/* Those in `netns` with `port` at either end, IPv4 first; the caller frees `rows`. LS_E_FULL: more than LS_TCP_ROWS_MAX. LS_E_PERMISSION, LS_E_NOMEM,
 * LS_E_SYSTEM. */
enum ls_status ls_tcp_established(const char *netns, u16 port, struct ls_tcp_row **rows, u32 *n, char error[LS_MIRROR_ERROR_BYTES]);
/* Routes for routing daemons to announce, in a routing table of the kernel that nobody looks packets up in. They are blackholes, and of a protocol of their
 * own: routes of others in that table stay. */
#define LS_ROUTE_PROTOCOL 117 /* rtm_protocol; no other program has it (linux/rtnetlink.h, rt_protos of iproute2) */
#define LS_OWN_ROUTES_MAX 65536u
struct ls_own_route {
	struct ls_addr addr;
	u32 prefix; /* of the mapped address */
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_own_route, 24);
struct ls_own_routes_changed {
	u32 added, removed;
};
/* Makes `table` of `netns` have the routes `wanted`, and no others of LS_ROUTE_PROTOCOL. What was done until an error is in `changed`.
 * LS_E_INVALID: more than LS_OWN_ROUTES_MAX, a prefix that there is not, or a table that packets are looked up in (0, 253 to 255). LS_E_PERMISSION,
 * LS_E_NOMEM, LS_E_SYSTEM. */
enum ls_status ls_own_routes(const char *netns, u32 table, const struct ls_own_route *wanted, u32 n, struct ls_own_routes_changed *changed, char error[LS_MIRROR_ERROR_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
