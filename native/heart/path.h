/* One way to the peer: a UDP socket bound to our address and connected to the peer's, so that the kernel passes up nothing else. */
#ifndef LOCKSTEP_HEART_PATH_H
#define LOCKSTEP_HEART_PATH_H

#include "lockstep/heart.h"

struct ls_path {
	struct ls_heart_path at;
	int fd;       /* -1: not open */
	int told;     /* errno of what was told last; 0: nothing since it worked */
	u64 again_ns; /* when to try again */
};

#define LS_PATH_ERROR_BYTES 256

void ls_path_close(struct ls_path *p);
/* Opens what is not open. False: there is something to tell that was not told yet, in `error`. */
bool ls_path_send(struct ls_path *p, u32 index, const u8 *d, size_t bytes, u64 now_ns, char error[LS_PATH_ERROR_BYTES]);
/* Bytes of the next datagram, 0: none. */
size_t ls_path_receive(struct ls_path *p, u8 *d, size_t max);

#endif
