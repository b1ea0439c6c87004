/* One packet on its way through the pipeline, and what becomes of it. */
#ifndef LOCKSTEP_PIPELINE_PKT_H
#define LOCKSTEP_PIPELINE_PKT_H

#include "addr.h"
#include "counters.h"
#include "hash.h"

enum ls_proto { LS_IPPROTO_ICMP = 1, LS_IPPROTO_IPIP = 4, LS_IPPROTO_TCP = 6, LS_IPPROTO_UDP = 17, LS_IPPROTO_IPV6 = 41,
		LS_IPPROTO_GRE = 47, LS_IPPROTO_ICMP6 = 58, LS_IPPROTO_SCTP = 132 };

enum ls_ethertype { LS_ETH_IP4 = 0x0800, LS_ETH_ARP = 0x0806, LS_ETH_VLAN = 0x8100, LS_ETH_QINQ = 0x88a8, LS_ETH_IP6 = 0x86dd,
		    LS_ETH_LLDP = 0x88cc, LS_ETH_SLOW = 0x8809 };

enum ls_tcp_flag { LS_TCP_FIN = 1, LS_TCP_SYN = 2, LS_TCP_RST = 4, LS_TCP_PSH = 8, LS_TCP_ACK = 16, LS_TCP_URG = 32 };

/* What the caller does with the frame. */
enum ls_verdict {
	LS_V_DROP,    /* pkt.drop says why, already counted */
	LS_V_TX,      /* send it on pkt.out_iface; Ethernet header is written */
	LS_V_HOST,    /* the host's own stack has it or gets it */
	LS_V_NEIGH,   /* hold it until pkt.route.next_hop resolves, then ls_transmit() */
	LS_V_ANSWER,  /* within the pipeline only: dropped and counted, the sender is to be told (answer.h) */
	LS_V_SOCKET,  /* within a run only: the host's, if one of its sockets is connected to the sender (port_host_flows) */
	LS_V_NEXT,    /* between stages only: undecided, the next stage goes on. Not LS_V_TX, which an answer of ours already is */
};

enum ls_pkt_flags {
	LS_PF_FRAG = 1 << 0,        /* any fragment */
	LS_PF_LATER = 1 << 1,       /* not the first: no transport header here */
	LS_PF_ICMP_ERROR = 1 << 2,  /* key is the swapped tuple of the embedded packet */
	LS_PF_ECHO_REPLY = 1 << 3,
	LS_PF_ECHO = 1 << 4,
	LS_PF_NO_PORTS = 1 << 5,    /* a protocol without ports */
	LS_PF_BROADCAST = 1 << 6,   /* link-layer broadcast or multicast */
	LS_PF_ND = 1 << 7,          /* ICMPv6 neighbour discovery and MLD */
	LS_PF_GENERATED = 1 << 8,   /* the frame now holds an answer of ours */
	LS_PF_OTHER_MAC = 1 << 9,
	LS_PF_SOURCE_ROUTE = 1 << 10,
	LS_PF_DF = 1 << 11,
	LS_PF_COOKIE = 1 << 13,     /* acknowledges a SYN cookie of ours */
	LS_PF_EMBEDDED_SHORT = 1 << 12, /* the embedded transport checksum is not in the packet */
	LS_PF_SHIFTED = 1 << 14,    /* of a cookie's session: sequence numbers change as well */
	LS_PF_FABRIC = 1 << 15,     /* came by the fabric */
	LS_PF_QUOTED = 1 << 16,     /* what is answered is the packet at embedded_l3, which an error quotes (tunnel.h) */
};

struct ls_pkt {
	ls_frame buf; /* the port's: a pointer to the frame, or the frame itself */
	struct ls_key key;
	struct ls_hash hash;
	u32 flags; /* enum ls_pkt_flags */
	u16 in_iface;
	u16 out_iface;
	u16 zone_in;
	u16 zone_out;
	u16 ethertype;
	u16 l3;        /* offsets from the frame start */
	u16 l4;
	u16 l3_bytes;  /* total length by the IP header */
	u16 frag_offset; /* bytes */
	u8 ttl;
	u8 tos;
	u8 tcp_flags;
	u8 icmp_type;
	u8 icmp_code;
	u8 more_frags;
	u8 drop;       /* enum ls_drop */
	u8 session_rg;
	u32 ident;     /* of the fragmented datagram */
	u32 tcp_seq;   /* host order */
	u32 tcp_ack;
	u32 l4_bytes;  /* transport header and payload in this packet */
	u16 embedded_l3; /* ICMP errors: offsets of the embedded packet */
	u16 embedded_l4;
	u8 embedded_proto;
	u8 verdict_log;
	u16 vip;
	u16 real;
	u16 policy;
	u16 answer_type; /* LS_V_ANSWER: ICMP type of the packet's own family, or a TCP reset */
	u8 answer_code;
	u8 pad;
	u32 answer_info; /* the 32 bits after the sum: MTU */
	struct ls_route route;

	/* written before they are read: not cleared for each packet */
	struct ls_key to;         /* the tuple the packet leaves with */
	struct ls_key scratch;
	u64 next_state;           /* what the packet makes of its session's state word */
	struct ls_addr real_addr;
	struct ls_session image;  /* a session being created */
};

LS_INLINE u32 ls_drop(const struct ls_env *e, struct ls_pkt *p, u32 reason)
{
	struct ls_counters *c = port_counters(e);

	p->drop = (u8)reason;
	if (c) {
		ls_bump(&c->drops[reason & 127], 1);
		ls_bump(&c->global[LS_CTR_DROPS], 1);
		ls_bump(&c->zone_drops[p->zone_in & (LS_ZONES_MAX - 1)], 1);
	}
	return LS_V_DROP;
}

/* The host's stack gets frames as they came in, and none of another node's. */
LS_INLINE u32 ls_to_host(const struct ls_env *e, struct ls_pkt *p)
{
	if (LS_UNLIKELY(p->flags & LS_PF_FABRIC))
		return ls_drop(e, p, LS_DROP_HOST_INBOUND);
	ls_count(e, LS_CTR_TO_HOST, 1);
	return LS_V_HOST;
}

/* A screen that fired: its own counter as well. */
LS_INLINE u32 ls_drop_screen(const struct ls_env *e, struct ls_pkt *p, u32 screen, u32 reason)
{
	ls_count_screen(e, p->zone_in, screen);
	return ls_drop(e, p, reason);
}

/* The tuple's last word once more, as one store: its parts were written one by one, and a load of the whole would wait until they are in the cache. */
LS_INLINE void ls_key_join(struct ls_key *key)
{
	u64 word = key->domain;

	LS_OPAQUE(word);
	word = word << 8 | key->family;
	LS_OPAQUE(word);
	word = word << 8 | key->proto;
	LS_OPAQUE(word);
	word = word << 16 | key->dport_be;
	LS_OPAQUE(word);
	((ls_u64a *)key)[4] = word << 16 | key->sport_be;
}

LS_INLINE void ls_key_reverse(struct ls_key *to, const struct ls_key *from)
{
	to->src = from->dst;
	to->dst = from->src;
	to->sport_be = from->dport_be;
	to->dport_be = from->sport_be;
	to->proto = from->proto;
	to->family = from->family;
	to->domain = from->domain;
}

#endif
