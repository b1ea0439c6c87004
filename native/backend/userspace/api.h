/* The userspace backend as its callers see it: opaque, no inline code, readable from C++. One controlling thread calls these. */
#ifndef LOCKSTEP_USERSPACE_API_H
#define LOCKSTEP_USERSPACE_API_H

#include "table/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_US_WORKERS_MAX LS_THREADS_MAX
#define LS_US_ERROR_BYTES 256

enum ls_device_kind { LS_DEV_NONE, LS_DEV_PACKET, LS_DEV_PCAP, LS_DEV_TAP, LS_DEV_SOURCE };

struct ls_device_spec {
	u32 kind; /* enum ls_device_kind */
	char name[64];     /* interface, file or source name */
	char netns[128];   /* path or empty */
	char out[256];     /* pcap: file to write, or empty */
	char in[256];      /* pcap: file to read */
	u8 mac[6];         /* pcap, tap and source: ours; zero = made from the name */
	u16 mtu;
	u32 rate;          /* source, pcap: packets per second, 0 = as recorded (pcap) or as fast as it goes (source) */
	u32 flows;         /* source: concurrent flows */
	u32 loops;         /* pcap: times to play, 0 = for ever */
	u32 reflect;       /* source: 1 = answers what it is sent, 0 = opens flows */
	struct ls_addr src, dst; /* source: first client, destination */
	u16 dport;
	u8 proto;          /* source */
	u32 device;        /* the id it should have, 0 = any */
	u32 parked;        /* known, with an id, but not open: another dataplane receives from it (packet ports only) */
};

struct ls_device_stats {
	u64 rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
};

struct ls_us;
struct ls_us *ls_us_new(struct ls_table *t, u32 workers);
/* Opens a device for every worker. LS_OK and the dense id (from 1), or a status and a text. */
enum ls_status ls_us_add(struct ls_us *us, const struct ls_device_spec *spec, u32 *id, char *error);
/* Workers receive from the device from here on: call it when the configuration in force knows the device. */
void ls_us_enable(struct ls_us *us, u32 id);
/* Workers no longer receive from the device; they can still send by it. */
void ls_us_disable(struct ls_us *us, u32 id);
/* Opens a parked device, for sending at first; the other way round: closes it for every worker, after a grace. */
enum ls_status ls_us_unpark(struct ls_us *us, u32 id, char *error);
enum ls_status ls_us_park(struct ls_us *us, u32 id);
void ls_us_remove(struct ls_us *us, u32 id);
enum ls_status ls_us_start(struct ls_us *us);
void ls_us_stop(struct ls_us *us);
void ls_us_free(struct ls_us *us);
void ls_us_stats(const struct ls_us *us, u32 id, struct ls_device_stats *out);

/* What is known of a port; false when there is none with this id. */
struct ls_device_info {
	u32 kind, ifindex, up;
	u16 mtu;
	u8 mac[6];
	char name[64];
	struct ls_device_stats stats;
};
bool ls_us_port(const struct ls_us *us, u32 id, struct ls_device_info *out);
u64 ls_us_stop_ns(const struct ls_us *us);

/* links.c: kernel links, addresses, routes and neighbours through netlink (libmnl) */
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
struct ls_static_route {
	struct ls_addr dst;
	struct ls_addr gateway; /* zero = connected */
	u8 prefix; /* of the mapped address */
	u8 kind;   /* enum ls_nexthop_kind */
	u16 iface;
	u32 metric;
};
LS_ASSERT_SIZE(struct ls_static_route, 40); /* packed by src/config/compile/routes.ts */
struct ls_static_neighbour {
	struct ls_addr addr;
	u32 device;
	u8 mac[6];
	u8 pad[6];
};
LS_ASSERT_SIZE(struct ls_static_neighbour, 32);
enum ls_status ls_links_start(struct ls_us *us, const char *netns, char *error);
void ls_links_stop(struct ls_us *us);
/* Copies of what is known; returns how many there are (at most `max` written). */
u32 ls_links_list(struct ls_us *us, struct ls_link_info *out, u32 max);
u32 ls_links_addresses(struct ls_us *us, struct ls_link_addr *out, u32 max);
/* Replaces the static routes and rebuilds; called after every configuration flip as well, because interfaces map to ids there. */
enum ls_status ls_links_routes(struct ls_us *us, const struct ls_static_route *routes, u32 n);
/* Routes that did not fit, the kernel's and static ones together: the widest prefixes beyond LS_ROUTES_MAX, and those beyond LS_NEXTHOPS_MAX next hops. */
u32 ls_links_routes_left_out(const struct ls_us *us);
/* `wait` false: from a worker, which must not wait for a lock whose holder may wait for the worker's grace. False: not done. */
bool ls_links_neighbour(struct ls_us *us, const struct ls_addr *addr, u32 device, const u8 *mac, u32 state, bool wait);
/* At most `max` of the known neighbours. */
struct ls_neighbour_info {
	struct ls_addr addr;
	u32 device;
	u8 mac[6];
	u8 state; /* enum ls_neigh_state */
	u8 pad;
};
u32 ls_links_neighbours(const struct ls_us *us, struct ls_neighbour_info *out, u32 max);

#ifdef __cplusplus
}
#endif

#endif
