/* TCP connections that are made, looked at and reset, for health checks: many at a time, in the network namespace of the thread that begins them. Nothing of a
 * connection is left waiting at either end. */
#ifndef LOCKSTEP_HEALTH_CONNECT_H
#define LOCKSTEP_HEALTH_CONNECT_H

#include "lockstep/types.h"

struct ls_connects {
	int poll; /* epoll descriptor; -1: none yet */
};

#ifdef __cplusplus
extern "C" {
#endif

/* `source`: NULL = the kernel's choice; `port` in network order. 0 when it is made already, EINPROGRESS with *fd when it is under way, else the errno for which
 * there is none. */
int ls_connect_begin(struct ls_connects *c, const struct ls_addr *to, u16 port, const struct ls_addr *source, int *fd);
/* Of those that ended since: descriptor, which is closed, and 0 or an errno. How many; never waits. */
u32 ls_connect_ended(struct ls_connects *c, int *fd, int *error, u32 max);
/* One that is under way is not wanted any more. */
void ls_connect_cancel(int fd);
/* The descriptors under way are whoever began them's to cancel. */
void ls_connects_close(struct ls_connects *c);

#ifdef __cplusplus
}
#endif

#endif
