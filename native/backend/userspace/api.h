/* The userspace backend as its callers see it: opaque, no inline code, readable from C++. One controlling thread calls these. */
#ifndef LOCKSTEP_USERSPACE_API_H
#define LOCKSTEP_USERSPACE_API_H

#include "mirror/api.h"
#include "table/api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_US_WORKERS_MAX LS_THREADS_MAX
#define LS_US_ERROR_BYTES 256

enum ls_device_kind { LS_DEV_NONE, LS_DEV_PACKET, LS_DEV_PCAP, LS_DEV_TAP, LS_DEV_SOURCE, LS_DEV_DPDK };

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
/* Over the workers `first` to `first + workers - 1` of the table's threads. */
struct ls_us *ls_us_new(struct ls_table *t, u32 first, u32 workers);
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

/* An address that is behind a port from now on. */
struct ls_announcement {
	struct ls_addr addr;
	u32 device;
	u16 outer_vlan; /* 0 = untagged; host order */
	u16 inner_vlan;
	u8 mac[6];
	u8 pad[2];
};
LS_ASSERT_SIZE(struct ls_announcement, 32);
struct ls_announced {
	u32 sent, unsent; /* frames */
};
#define LS_NEIGHBOUR_FRAME_BYTES 94 /* the longest: two tags and a neighbour discovery message */
/* The `n`th frame of an announcement, from 0: two for IPv4, one for IPv6. Its length; 0 = there is no such frame. */
u32 ls_announcement_frame(const struct ls_announcement *a, u32 n, u8 frame[LS_NEIGHBOUR_FRAME_BYTES]);
/* Says each on its port while redundancy group `rg` is owned here and its lease lasts; who is not the owner says nothing. Thread: the controlling one. */
void ls_us_announce(struct ls_us *us, u32 rg, const struct ls_announcement *a, u32 n, struct ls_announced *out);

u64 ls_us_stop_ns(const struct ls_us *us);

/* The mirror of the kernel in the namespace `netns`, over the backend's ports. NULL before. */
enum ls_status ls_us_mirror_start(struct ls_us *us, const char *netns, char *error);
struct ls_mirror *ls_us_mirror(const struct ls_us *us);

#ifdef __cplusplus
}
#endif

#endif
