/* Packets of few flows, of every kind, for tests in which several workers meet in one table. */
#ifndef LOCKSTEP_TEST_MIX_H
#define LOCKSTEP_TEST_MIX_H

#include "packet.h"

static inline u64 next_random(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* A packet of one of `flows` client ports, by the random word `x`; sets the port it comes in by. */
static inline struct packet mixed_packet(u64 x, u32 flows, u32 *from)
{
	u32 flow = (u32)(x >> 8) % flows, port;
	struct packet p;

	switch (x % 12) {
	case 0: case 1: case 2: p = udp("10.0.1.10", 2000 + flow, "198.51.100.50", 53, x >> 40 & 63); port = PORT_TRUST; break;
	case 3: case 4: p = udp("10.0.1.10", 2000 + flow, "10.0.3.10", 53, 4); port = PORT_TRUST; break;
	case 5: p = udp("10.0.3.10", 53, "10.0.1.10", 2000 + flow, 4); port = PORT_DMZ; break;
	case 6: p = tcp("10.0.1.20", 2000 + flow, "10.0.3.10", 80, x >> 40 & 1 ? LS_TCP_SYN : x >> 41 & 0x17); port = PORT_TRUST; break;
	case 7: p = tcp("10.0.3.10", 80, "10.0.1.20", 2000 + flow, x >> 40 & 0x17); port = PORT_DMZ; break;
	case 8: p = tcp("198.51.100.50", 2000 + flow, "192.0.2.10", 80, x >> 40 & 3 ? LS_TCP_SYN : LS_TCP_ACK); port = PORT_UNTRUST; break;
	case 9: p = udp("198.51.100.50", 53, x >> 40 & 1 ? "192.0.2.100" : "192.0.2.101", (u32)(x >> 41) & 0xffff, 4); port = PORT_UNTRUST; break;
	case 10: p = echo("fd00:1::10", "fd00:3::10", flow & 0xffff, false, 3); port = PORT_TRUST; break;
	default: p = udp("10.0.1.200", 2000 + flow, "198.51.100.50", 53, 4); port = PORT_TRUST;
	}
	*from = port;
	return p;
}

#endif
