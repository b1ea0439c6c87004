/* The stream socket of VPP's binary API: one thread of its own reads whatever comes, whoever is busy elsewhere (VPP has no back-pressure towards a socket:
 * what is not read grows in its heap). Requests are written by the caller as long as the socket takes them, the rest by the thread. */
#ifndef LOCKSTEP_BACKEND_VPP_SOCKET_H
#define LOCKSTEP_BACKEND_VPP_SOCKET_H

#include "backend/vpp/inbox.h"

struct ls_vpp_socket;

/* 0 or an errno: ENOENT, ECONNREFUSED nobody listens, EACCES, EAGAIN its queue of connections is full (it hangs), ENAMETOOLONG. `ready` is called on the
 * thread. */
int ls_vpp_socket_open(const char *path, void (*ready)(void *), void *arg, struct ls_vpp_socket **out);
struct ls_vpp_inbox *ls_vpp_socket_inbox(struct ls_vpp_socket *s);
/* Whole frames. Never waits. 0; EPIPE the link is over; ENOBUFS LS_VPP_OUTBOX_MAX bytes wait already, and nothing of these was taken. */
int ls_vpp_socket_send(struct ls_vpp_socket *s, const uint8_t *frames, size_t n);
/* Ends the thread and frees all. */
void ls_vpp_socket_close(struct ls_vpp_socket *s);

#endif
