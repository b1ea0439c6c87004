/* Is the packet of a connection that a socket of this host has? Asked of what no session claims and the zone does not serve: connections from before the
 * programs ran, and those that found the table full, go on. Source: bpf-helpers(7), bpf_skc_lookup_tcp and bpf_sk_lookup_udp.
 */
#ifndef LOCKSTEP_EBPF_SOCKETS_H
#define LOCKSTEP_EBPF_SOCKETS_H

#include "pipeline/pkt.h"

struct ls_sock_tuple4 {
	u32 src, dst;
	be16 sport, dport;
};
struct ls_sock_tuple6 {
	u32 src[4], dst[4];
	be16 sport, dport;
};

LS_INLINE struct bpf_sock *ls_socket_of(struct xdp_md *ctx, const void *tuple, u32 bytes, bool tcp)
{
	return tcp ? bpf_skc_lookup_tcp(ctx, tuple, bytes, BPF_F_CURRENT_NETNS, 0) : bpf_sk_lookup_udp(ctx, tuple, bytes, BPF_F_CURRENT_NETNS, 0);
}

/* A listening socket, and one that takes datagrams from anybody, do not count. */
LS_PART u32 ls_socket_connected(struct xdp_md *ctx, const struct ls_pkt *p)
{
	struct bpf_sock *s;
	bool tcp;
	u32 yes;

	LS_GIVEN(p);
	tcp = p->key.proto == LS_IPPROTO_TCP;
	if (!tcp && p->key.proto != LS_IPPROTO_UDP)
		return 0;
	if (p->key.family == LS_IP4) {
		struct ls_sock_tuple4 t = { .src = p->key.src.w[3], .dst = p->key.dst.w[3], .sport = p->key.sport_be, .dport = p->key.dport_be };

		s = ls_socket_of(ctx, &t, sizeof(t), tcp);
	} else {
		struct ls_sock_tuple6 t = { .sport = p->key.sport_be, .dport = p->key.dport_be };

		__builtin_memcpy(t.src, &p->key.src, 16);
		__builtin_memcpy(t.dst, &p->key.dst, 16);
		s = ls_socket_of(ctx, &t, sizeof(t), tcp);
	}
	if (!s)
		return 0;
	yes = tcp ? s->state != BPF_TCP_LISTEN : s->dst_port != 0;
	bpf_sk_release(s);
	return yes;
}

#endif
