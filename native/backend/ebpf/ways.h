/* Between kernel interfaces and the devices of a configuration bank: shared by the program and its loader. */
#ifndef LOCKSTEP_EBPF_WAYS_H
#define LOCKSTEP_EBPF_WAYS_H

#include "lockstep/types.h"

#define LS_WAYS_IN 1024 /* a power of two: the low bits of an interface's number find its element */

struct ls_way_in {
	u32 ifindex; /* 0: none */
	u32 device;
	u32 redirect; /* 1: what turns around here goes by redirect. veth wakes the peer for XDP_TX only if that has a program too (drivers/net/veth.c, veth_xdp_flush) */
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_way_in, 16);

#endif
