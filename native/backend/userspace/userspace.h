/* The userspace backend: worker threads run the pipeline over devices; a mirror of kernel routes and neighbours (native/mirror) beside them.
 *
 * Threads: ls_us_* functions are called by one controlling thread (the agent's). Workers touch devices, their own queues and the table; the
 * mirror alone writes neighbours and routes.
 */
#ifndef LOCKSTEP_USERSPACE_H
#define LOCKSTEP_USERSPACE_H

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#endif
#include "backend/userspace/api.h"
#include "mirror/api.h"
#include "pipeline/pkt.h"
#include "table/table.h"

#define LS_US_BURST 64
#define LS_US_PENDING 256        /* frames of one worker that wait for a neighbour */
#define LS_US_PENDING_PER_HOP 64
#define LS_US_PENDING_NS 1000000000ULL


struct ls_device;
/* What a kind of port does. rx gives at most `max` frames whose memory is the device's until the next rx of the same worker. */
struct ls_device_ops {
	/* What the kernel says of the interface, without opening it. NULL: a port that exists only while it is open. */
	enum ls_status (*look)(struct ls_device *d, char *error);
	enum ls_status (*open)(struct ls_device *d, u32 worker, char *error);
	u32 (*rx)(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns);
	bool (*tx)(struct ls_device *d, u32 worker, const struct ls_buf *frame);
	void (*flush)(struct ls_device *d, u32 worker);
	int (*poll_fd)(struct ls_device *d, u32 worker); /* -1: poll by time; -2: the worker receives nothing from it */
	void (*host)(struct ls_device *d, u32 worker, const struct ls_buf *frame); /* this one is for the host's stack. NULL: the kernel has it, or there is none */
	void (*fresh)(struct ls_device *d, u32 worker); /* no worker receives yet: what came until now is another's. NULL: nothing came */
	void (*close)(struct ls_device *d, u32 worker);
};

struct ls_device {
	struct ls_device_spec spec;
	const struct ls_device_ops *ops;
	void *owner; /* of ports that are not of this folder */
	u32 id;      /* dense; index into ls_us.device */
	u32 workers; /* that opened it */
	u32 ifindex;
	int voice; /* what announcements leave by; -1 = none yet */
	u8 mac[6];
	u16 mtu;
	_Atomic u32 up;
	_Atomic u32 ready; /* the configuration knows it: workers receive from it */
	void *state[LS_US_WORKERS_MAX];
	struct ls_device_stats stats[LS_US_WORKERS_MAX];
	/* what a port saw and its worker has not counted yet, by worker */
	struct ls_port_notes {
		u32 gso_frames;  /* refused: longer than the MTU allows */
		u32 long_frames; /* refused: longer than LS_FRAME_MAX */
		u32 unsent;      /* accepted for sending, refused by the kernel */
		u32 completed;   /* checksums finished for the host */
	} notes[LS_US_WORKERS_MAX];
};

extern const struct ls_device_ops ls_device_packet, ls_device_pcap, ls_device_tap, ls_device_source;

struct ls_us_worker {
	struct ls_us *us;
	u32 index;  /* of the thread */
	u32 id;     /* worker id in the table */
	pthread_t thread;
	bool started;
	struct ls_env env;
	struct ls_pkt pkt;                 /* for frames that come alone */
	struct ls_pkt burst[LS_BURST_MAX];
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
	u32 nap_ns; /* how long it sleeps where only time tells of frames: longer from nap to nap */
	u64 busy_ns, idle_ns;
};

struct ls_us {
	struct ls_table *table;
	u32 workers;
	bool sleepless; /* workers go round and round */
	struct ls_us_worker *worker;
	struct ls_device *device[LS_DEVICES_MAX];
	_Atomic u32 devices; /* published after the device is complete */
	atomic_bool run;
	struct ls_mirror *mirror;
	char netns[LS_NETNS_BYTES]; /* the one that is mirrored */
	u64 stop_ns; /* how long the last stop took */
};

/* ops.c */
enum ls_status ls_us_add_by(struct ls_us *us, const struct ls_device_spec *spec, const struct ls_device_ops *ops, void *owner, u32 *id, char *error);

/* worker.c */
void *ls_us_worker_main(void *arg);
void ls_us_wake(struct ls_us *us);

#endif
