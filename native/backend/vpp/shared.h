/* The shared memory of VPP's binary API, by libvppapiclient: what socket.h does, through rings in memory that this process and VPP both write. One
 * connection for a process. A thread of its own makes the connection, writes, watches VPP and takes the connection down: each of these can block inside the
 * library. The library's own thread brings what VPP says.
 *
 * VPP's queue is never filled from here: after at most WINDOW messages a control ping of our own must have come back. So a VPP that dies or hangs
 * leaves the library able to disconnect, and our requests never take more of VPP's heap than WINDOW x LS_VPP_SHARED_MESSAGE_MAX; the library
 * aborts the process when that heap is exhausted. The answers to those pings are taken out of what is given on.
 *
 * The library says nothing when VPP dies. Ended by: the pid that our ping brought, if that process has the segment mapped (a VPP in another pid namespace is
 * not found); the name of the segment leading to another file or to none, which a VPP that starts or stops causes; else nothing: the caller's own pings.
 *
 * What remains of a peer in one memory: a process of ours that is stopped, or killed while it holds a lock of the region, stops VPP's API. */
#ifndef LOCKSTEP_BACKEND_VPP_SHARED_H
#define LOCKSTEP_BACKEND_VPP_SHARED_H

#include "backend/vpp/inbox.h"
#include "backend/vpp/shared_library.h"

#define LS_VPP_SHARED_MESSAGE_MAX 8192u
#define LS_VPP_SHARED_PREFIX_MAX 63
#define LS_VPP_SHARED_NAME_MAX 63

struct ls_vpp_shared;

struct ls_vpp_shared_options {
	const char *library; /* NULL: searched */
	const char *prefix;  /* of `api-segment { prefix ... }`; NULL: none */
	const char *name;    /* shown by `show api clients` */
	int rx_queue;        /* messages; VPP's main thread waits while it is full */
};

/* Returns at once; ls_vpp_shared_greeted says when requests can be sent. `ready` is called on another thread: greeted, or something to take, or over.
 * LS_E_BUSY this process has a connection, or its library or prefix is another; LS_E_SYSTEM, LS_E_UNSUPPORTED the library; LS_E_SYSTEM nobody listens
 * (the segment is not there); LS_E_PERMISSION; LS_E_INVALID; LS_E_NOMEM. */
enum ls_status ls_vpp_shared_open(const struct ls_vpp_shared_options *o, void (*ready)(void *), void *arg, struct ls_vpp_shared **out, char why[LS_VPP_WHY]);
struct ls_vpp_inbox *ls_vpp_shared_inbox(struct ls_vpp_shared *s);
/* True: connected, and VPP has answered; *index is what its events carry in the place of a context. */
bool ls_vpp_shared_greeted(struct ls_vpp_shared *s, uint32_t *index);
/* Id of a message, of this connection alone; -1: this VPP has none, or not greeted. Thread: the one that closes. */
int ls_vpp_shared_lookup(struct ls_vpp_shared *s, const char *name_crc);
/* Whole frames, as ls_vpp_socket_send; bytes 2 to 5 of a payload do not matter. Never waits. 0; EPIPE it is over; EAGAIN not greeted; ENOBUFS as there;
 * EMSGSIZE a payload longer than LS_VPP_SHARED_MESSAGE_MAX, EINVAL no whole frames. Of these nothing was taken. */
int ls_vpp_shared_send(struct ls_vpp_shared *s, const uint8_t *frames, size_t n);
/* Why it is over, in words. */
void ls_vpp_shared_why(struct ls_vpp_shared *s, char why[LS_VPP_WHY]);
/* Returns at once; `ready` is not called any more. The library disconnects on the thread (2 s when VPP is dead), and the next connection waits for that; the end of the
 * process waits for 3 s. */
void ls_vpp_shared_close(struct ls_vpp_shared *s);

#endif
