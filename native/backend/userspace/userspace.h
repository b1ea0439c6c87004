/* The userspace backend: worker threads run the pipeline over devices; a links thread mirrors kernel routes and neighbours.
 *
 * Threads: ls_us_* functions are called by one controlling thread (the agent's). Workers touch devices, their own queues and the table; the links
 * thread alone writes neighbours and routes.
 */
#ifndef LOCKSTEP_USERSPACE_H
#define LOCKSTEP_USERSPACE_H

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "pipeline/pkt.h"
#include "table/table.h"

#define LS_US_WORKERS_MAX 16
#define LS_US_BURST 64
#define LS_US_PENDING 256        /* frames of one worker that wait for a neighbour */
#define LS_US_PENDING_NS 1000000000ULL
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
};

struct ls_device_stats {
	u64 rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped;
};

struct ls_device;
/* What a kind of port does. rx gives at most `max` frames whose memory is the device's until the next rx of the same worker. */
struct ls_device_ops {
	enum ls_status (*open)(struct ls_device *d, u32 worker, char *error);
	u32 (*rx)(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns);
	bool (*tx)(struct ls_device *d, u32 worker, const struct ls_buf *frame);
	void (*flush)(struct ls_device *d, u32 worker);
	int (*poll_fd)(struct ls_device *d, u32 worker); /* -1: poll by time */
	void (*close)(struct ls_device *d, u32 worker);
};

struct ls_device {
	struct ls_device_spec spec;
	const struct ls_device_ops *ops;
	u32 id;      /* dense; index into ls_us.device */
	u32 workers; /* that opened it */
	u32 ifindex;
	u8 mac[6];
	u16 mtu;
	_Atomic u32 up;
	void *state[LS_US_WORKERS_MAX];
	struct ls_device_stats stats[LS_US_WORKERS_MAX];
	u32 gso_frames[LS_US_WORKERS_MAX]; /* refused since the last rx: longer than the MTU allows */
};

extern const struct ls_device_ops ls_device_packet, ls_device_pcap, ls_device_tap, ls_device_source;

struct ls_us_worker {
	struct ls_us *us;
	u32 index;  /* of the thread */
	u32 id;     /* worker id in the table */
	pthread_t thread;
	bool started;
	struct ls_env env;
	struct ls_pkt pkt;
	int wake_fd;
	struct pending_frame {
		u8 *bytes;
		u32 len;
		u32 device;
		u16 iface;
		u64 deadline_ns;
		struct ls_addr next_hop;
	} pending[LS_US_PENDING];
	u32 pendings;
	u8 *pending_memory;
	u64 busy_ns, idle_ns;
};

struct ls_us {
	struct ls_table *table;
	u32 workers;
	struct ls_us_worker *worker;
	struct ls_device *device[LS_DEVICES_MAX];
	_Atomic u32 devices; /* published after the device is complete */
	atomic_bool run;
	struct ls_links *links;
	u64 stop_ns; /* how long the last stop took */
};

struct ls_us *ls_us_new(struct ls_table *t, u32 workers);
/* Opens a device for every worker. LS_OK and the dense id (from 1), or a status and a text. */
enum ls_status ls_us_add(struct ls_us *us, const struct ls_device_spec *spec, u32 *id, char *error);
void ls_us_remove(struct ls_us *us, u32 id);
enum ls_status ls_us_start(struct ls_us *us);
void ls_us_stop(struct ls_us *us);
void ls_us_free(struct ls_us *us);
void ls_us_stats(const struct ls_us *us, u32 id, struct ls_device_stats *out);

/* worker.c */
void *ls_us_worker_main(void *arg);
void ls_us_wake(struct ls_us *us);

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
	u16 iface;
	u8 prefix; /* of the mapped address */
	u8 kind;   /* enum ls_nexthop_kind */
	u32 metric;
};
enum ls_status ls_links_start(struct ls_us *us, const char *netns, char *error);
void ls_links_stop(struct ls_us *us);
/* Copies of what is known; returns how many there are (at most `max` written). */
u32 ls_links_list(struct ls_us *us, struct ls_link_info *out, u32 max);
u32 ls_links_addresses(struct ls_us *us, struct ls_link_addr *out, u32 max);
/* Replaces the static routes and rebuilds; called after every configuration flip as well, because interfaces map to ids there. */
enum ls_status ls_links_routes(struct ls_us *us, const struct ls_static_route *routes, u32 n);
/* `wait` false: from a worker, which must not wait for a lock whose holder may wait for the worker's grace. False: not done. */
bool ls_links_neighbour(struct ls_us *us, const struct ls_addr *addr, u32 device, const u8 *mac, u32 state, bool wait);
/* From a worker: this next hop is wanted. Never blocks; duplicates are fine. */
void ls_links_resolve(struct ls_us *us, const struct ls_addr *addr, u32 device, u16 iface);

/* Runs fn(arg) on a thread inside a network namespace (path, or empty for this one). False: the namespace cannot be entered. */
bool ls_in_netns(const char *path, void (*fn)(void *), void *arg, char *error);

#endif
