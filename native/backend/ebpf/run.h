/* What became of the last frame of a CPU: first in its element of ls_map_scratch, for whoever traces or tests one frame. */
#ifndef LOCKSTEP_EBPF_RUN_H
#define LOCKSTEP_EBPF_RUN_H

#include "lockstep/types.h"

struct ls_run {
	u32 verdict;   /* enum ls_verdict */
	u32 drop;      /* enum ls_drop */
	u32 out_iface; /* with a verdict that sends */
	u32 flags;     /* enum ls_pkt_flags */
};
LS_ASSERT_SIZE(struct ls_run, 16);

#endif
