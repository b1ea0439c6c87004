/* ICMP echo (RFC 792, RFC 4443) for health checks: one socket for each address family, of the network namespace of the thread that opens it. */
#ifndef LOCKSTEP_HEALTH_ECHO_H
#define LOCKSTEP_HEALTH_ECHO_H

#include "lockstep/types.h"
#include "table/api.h"

struct ls_echo {
	int fd;      /* -1: closed */
	int family;  /* AF_INET or AF_INET6 */
	bool raw;    /* with CAP_NET_RAW; else the kernel's ping socket, where the host allows it (net.ipv4.ping_group_range) */
	u16 id;      /* of a raw socket's requests, network order; a ping socket has the kernel's */
	u64 cookie;  /* payload that replies must bring back */
};

#ifdef __cplusplus
extern "C" {
#endif

/* 0, or an errno. */
int ls_echo_open(struct ls_echo *e, int family);
void ls_echo_close(struct ls_echo *e);
/* `source`: NULL = the kernel's choice. 0, or an errno: the socket's buffer is full (EAGAIN), there is no route, no such source. */
int ls_echo_send(struct ls_echo *e, const struct ls_addr *to, const struct ls_addr *source, u16 sequence);
/* The next reply to a request of this socket. False: there is none now. */
bool ls_echo_receive(struct ls_echo *e, struct ls_addr *from, u16 *sequence);

#ifdef __cplusplus
}
#endif

#endif
