/* Receive aggregation of kernel interfaces (GRO, LRO): merged frames are longer than the link carries and cannot be forwarded, so it is off while a port is ours (R16).
 *
 * Claims are counted for the process: during a switch two forwarders have the interface, and it gets back what it had when the last of them lets go. Thread: any.
 */
#ifndef LOCKSTEP_AGGREGATION_H
#define LOCKSTEP_AGGREGATION_H

#include "lockstep/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Turns it off for an interface of the calling thread's network namespace, which lives until the claim is given back. 0: nothing was claimed (no such interface, no
 * privilege, no memory), and nothing changed. */
u32 ls_aggregation_off(const char *interface);
/* Gives a claim back; 0 is none. An interface that is gone by now has nothing to get back. */
void ls_aggregation_back(u32 claim);

#ifdef __cplusplus
}
#endif

#endif
