/* Between the XDP bench and its programs. */
#ifndef LOCKSTEP_BENCH_LANES_H
#define LOCKSTEP_BENCH_LANES_H

#include "lockstep/types.h"

#define LANES 256 /* CPUs */

struct bench_frame {
	u8 bytes[64];
};

/* What one CPU runs through: frames [first, first + mask], one a run, over and over. */
struct bench_lane {
	u32 first, mask;
	u64 at;
	u64 sent; /* runs that did what they should */
	u64 pad[5];
};
LS_ASSERT_SIZE(struct bench_lane, 64);

#endif
