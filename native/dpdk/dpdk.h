/* The process that runs DPDK: what its parts share. One thread (EAL's main lcore) talks with the agent; the packet workers of the userspace backend run on the other
 * lcores, over ports that are DPDK's (port.c).
 */
#ifndef LOCKSTEP_DPDK_PARTS_H
#define LOCKSTEP_DPDK_PARTS_H

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include "backend/userspace/userspace.h"
#include "lockstep/dpdk.h"

struct dpdk_port {
	struct ls_dpdk_port spec;
	u16 id; /* DPDK's */
	bool used;
	u32 device; /* in the configuration; 0 = not bound */
	u32 workers, rx_queues, tx_queues;
	u16 mtu;
	u32 frame_max; /* of what comes whole; longer frames were cut */
	u8 mac[6];
	bool up;
	bool gone;    /* its device or its host's end was deleted: it is down until it is added anew */
	_Atomic bool unplugged; /* DPDK says so; written by its thread of events */
	u32 ifindex;  /* of the kernel's interface that the driver works over; 0: none */
	int kernel;   /* a socket in that one's namespace; -1: none */
	_Atomic int tap; /* -1: none. Readers: workers, in a burst */
	rte_spinlock_t lock[LS_THREADS_MAX]; /* by transmit queue; the host sends by the first */
};

struct dpdk {
	struct ls_table *table;
	struct ls_us *us;
	struct rte_mempool *pool;
	u32 workers;
	u32 frame_bytes;
	struct dpdk_port port[LS_DEVICES_MAX];
	int control, changed; /* changed: an eventfd of link events */
};
extern struct dpdk dpdk;

/* log.c: DPDK's lines to standard error, `<LEVEL>text`, by its own levels. False: no memory. */
bool dpdk_log_open(void);

/* port.c */
/* The port with DPDK's id; NULL: none. */
struct dpdk_port *dpdk_port_of(u32 id);
/* Finds, sets up and starts it. NULL with *status and a text of LS_DPDK_TEXT bytes; LS_E_CONFLICT: another port has the device, which goes on. */
struct dpdk_port *dpdk_port_add(const struct ls_dpdk_port *spec, enum ls_status *status, char *error);
enum ls_status dpdk_port_bind(struct dpdk_port *p, u32 device, char *error);
void dpdk_port_remove(struct dpdk_port *p);
/* It is down from here on, and told of once. `what` of it was deleted. */
void dpdk_port_lose(struct dpdk_port *p, const char *what);
/* Reads the link; true when it changed. */
bool dpdk_port_link(struct dpdk_port *p);
/* From the thread that talks with the agent. */
void dpdk_port_send(struct dpdk_port *p, const u8 *frame, u32 len);

/* kernel_link.c: the kernel's interface under a driver. All but the first are of a port; one without such an interface is up, and not gone. */
/* A socket in the calling thread's network namespace; -1: none. */
int dpdk_kernel_open(u32 ifindex);
/* Frames to all groups are received as long as the socket lives. */
bool dpdk_kernel_multicast(const struct dpdk_port *p);
bool dpdk_kernel_gone(const struct dpdk_port *p);
bool dpdk_kernel_up(const struct dpdk_port *p);
/* 0: it has none. */
u32 dpdk_kernel_mtu(const struct dpdk_port *p);

/* tap.c: the host's end of a port that the kernel has no interface for. */
int dpdk_tap_open(const struct dpdk_port *p, char *error);
void dpdk_tap_carrier(const struct dpdk_port *p, bool up);
/* The interface goes with the port. */
void dpdk_tap_forget(const struct dpdk_port *p);
/* After poll(2): what the host sends, to the wire as it is; or the interface was deleted, and the port with it. */
void dpdk_tap_serve(struct dpdk_port *p, short events);

#endif
