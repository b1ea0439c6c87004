/* What the agent and the process that runs DPDK for it say to each other, in frames over a unix stream socket: a head, then what its kind has. Both are of one
 * build and one host. The agent asks, one question after the other; each gets one answer. native/dpdk has the code, docs/design/0020-dpdk-backend.md the reasons.
 */
#ifndef LOCKSTEP_DPDK_H
#define LOCKSTEP_DPDK_H

#include "limits.h"
#include "types.h"

#define LS_DPDK_CONTROL_FD 3 /* the socket; the table's descriptors follow, one for each region or one for all */
#define LS_DPDK_TEXT 256

enum ls_dpdk_kind {
	/* to the agent */
	LS_DPDK_HELLO = 1, /* ls_dpdk_hello; first, once the workers run */
	LS_DPDK_ANSWER,    /* ls_dpdk_answer; after that of LS_DPDK_STATS ls_dpdk_stats and ls_dpdk_xstat, `count` of them */
	LS_DPDK_LINK,      /* ls_dpdk_which; unasked */
	/* from the agent */
	LS_DPDK_ADD = 16, /* ls_dpdk_port: probes and starts it, nobody receives from it yet */
	LS_DPDK_REMOVE,   /* ls_dpdk_which: of `port`; unbinds it first */
	LS_DPDK_BIND,     /* ls_dpdk_which: `port` is `device` of the configuration; frames can leave by it */
	LS_DPDK_ENABLE,   /* of `device`, LS_E_NO_DEVICE: no port is bound to it; frames that came before are another's */
	LS_DPDK_DISABLE,  /* the same */
	LS_DPDK_STATS,    /* of `port` */
	LS_DPDK_STOP,     /* as if the socket ended */
};

struct ls_dpdk_head {
	u32 bytes; /* with this */
	u16 kind;  /* enum ls_dpdk_kind */
	u16 pad;
	u32 seq;   /* of a question and its answer */
	u32 pad2;
};
LS_ASSERT_SIZE(struct ls_dpdk_head, 16);

struct ls_dpdk_hello {
	char version[48]; /* of DPDK */
	u32 workers;
	u32 mbuf_bytes;   /* longest frame that a buffer holds */
};

struct ls_dpdk_port {
	char name[64];     /* of the port, for texts */
	char devargs[256];
	char netns[128];   /* path, or empty: where a driver over a kernel interface finds it */
	char tap[16];      /* TAP that stands for the port in the kernel; empty: it has an interface of its own there */
	u32 shared;        /* 1: others receive copies of the same frames */
	u32 pad;
};

struct ls_dpdk_which {
	u32 port;   /* DPDK's id */
	u32 device; /* id in the configuration */
	u32 up;
	u32 pad;
};

struct ls_dpdk_answer {
	u32 status; /* enum ls_status */
	u32 port;
	u32 count;  /* of ls_dpdk_xstat */
	u16 mtu;
	u16 rx_queues, tx_queues;
	u8 mac[6];
	char driver[64];
	char text[LS_DPDK_TEXT]; /* with another status than LS_OK: why */
};

struct ls_dpdk_stats {
	u64 rx_packets, tx_packets, rx_bytes, tx_bytes;
	u64 rx_missed, rx_errors, tx_errors, rx_nombuf;
	u32 up;
	u32 speed_mbit; /* 0: it does not tell */
};

struct ls_dpdk_xstat {
	char name[64];
	u64 value;
};

#endif
