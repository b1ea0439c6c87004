/* What a substrate supplies to the pipeline. A missing primitive is a compile error; a missing feature is a cleared capability.
 *
 * The build names its implementation: -DLS_PORT_IMPL='"backend/userspace/port_impl.h"'. It defines `struct ls_env` (the table as this
 * worker sees it) and `struct ls_buf` (one frame), `ls_frame` (how a
 * packet holds it: by pointer, or in itself), and these inline functions:
 *
 *   table     port_session port_bucket port_bucket_mask port_hash_key port_origin port_worker port_worker_id port_workers
 *             port_free_slot port_notice port_notice_ring port_log port_log_ring port_counters port_snat_cursor port_config
 *             port_host_flows port_defence port_rg port_rates port_source port_frag port_nat port_ring_entry            (table/env.h in user space)
 *   time      port_now          nanoseconds of CLOCK_MONOTONIC, read once per burst; may be some ticks of the kernel behind (LS_CLOCK_LAG_MS)
 *             port_now_exact    behind by a burst at most
 *   frame     port_len          bytes in the frame
 *             port_sum_good     whether the port has found the IPv4 header's sum right
 *             port_at           pointer to `len` bytes at `offset`, NULL past the end
 *             port_push port_pull  grow or shrink the frame at its head; pointers from port_at die
 *             port_trim port_grow  set the length at the tail, shorter or longer
 *             port_sum          ones' complement sum of the words of a range of the frame
 *   route     port_route        next hop of an address: interface, MAC, MTU
 */
#ifndef LOCKSTEP_PIPELINE_PORT_H
#define LOCKSTEP_PIPELINE_PORT_H

#include "atomics.h"
#include "bytes.h"
#include "lockstep/config.h"

enum ls_route_result {
	LS_ROUTE_OK,
	LS_ROUTE_NONE,        /* no route */
	LS_ROUTE_LOCAL,       /* an address of this host */
	LS_ROUTE_BLACKHOLE,
	LS_ROUTE_UNRESOLVED,  /* next hop known, its MAC not yet */
};

struct ls_route {
	u32 result; /* enum ls_route_result */
	u16 iface;  /* logical interface */
	u16 mtu;
	u8 dst_mac[6];
	u8 pad[2];
	struct ls_addr next_hop; /* with UNRESOLVED: what to resolve */
};

#include LS_PORT_IMPL

#endif
