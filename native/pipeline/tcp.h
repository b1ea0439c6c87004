/* The TCP state machine of a session, without windows. Names are Linux conntrack's.
 *
 * A pure function of (phase, flow bits, direction, flags, RST verdict). RSTs follow the spirit of RFC 5961: one that is exactly the next
 * expected byte closes the session; one near it is forwarded and only shortens the timeout, because the end may answer with a challenge
 * ACK, which restores the state; any other is dropped (hazard 82: there is one path, so both agree).
 */
#ifndef LOCKSTEP_PIPELINE_TCP_H
#define LOCKSTEP_PIPELINE_TCP_H

#include "pkt.h"

enum ls_tcp_step {
	LS_TCP_PASS,   /* forward; state may have changed */
	LS_TCP_REOPEN, /* a new connection on a closed tuple: revive it under policy */
	LS_TCP_INVALID,
	LS_TCP_RST_INVALID,
};

#define LS_RST_WINDOW (1u << 20) /* bytes past the last acknowledgement in which a RST may lie */

/* 2 exact, 1 plausible, 0 not. `expected` is the last acknowledgement the other side sent. */
LS_INLINE u32 ls_rst_fit(bool known, u32 seq, u32 expected)
{
	if (!known || seq == expected)
		return 2;
	return (u32)(seq - expected) < LS_RST_WINDOW ? 1 : 0;
}

LS_INLINE bool ls_tcp_closed(u32 phase) { return phase == LS_TCP_TIME_WAIT || phase == LS_TCP_CLOSE; }

/* New state word in *next (lifecycle, dirty and the rest kept). */
LS_INLINE u32 ls_tcp_next(u64 state, u32 dir, u32 flags, u32 rst_fit, u64 *next)
{
	u32 phase = LS_STATE_PHASE(state), flow = LS_STATE_FLOW(state), close = LS_STATE_CLOSE(state);
	u32 fin_mine = dir == LS_FORWARD ? LS_FLOW_FIN_FWD : LS_FLOW_FIN_REPLY;
	u32 fin_other = dir == LS_FORWARD ? LS_FLOW_FIN_REPLY : LS_FLOW_FIN_FWD;
	bool syn = flags & LS_TCP_SYN, ack = flags & LS_TCP_ACK, fin = flags & LS_TCP_FIN;

	*next = state;
	if (dir == LS_REPLY)
		flow |= LS_FLOW_REPLIED;
	if (flags & LS_TCP_RST) {
		if (rst_fit == 0)
			return LS_TCP_RST_INVALID;
		if (rst_fit == 2 || phase == LS_TCP_SYN_SENT) {
			phase = LS_TCP_CLOSE;
			close = LS_CLOSE_RST;
		} else if (phase == LS_TCP_ESTABLISHED) {
			phase = LS_TCP_FIN_WAIT; /* no FIN bit: the next ACK restores it */
		}
	} else if (syn && !ack) {
		if (dir == LS_FORWARD && ls_tcp_closed(phase))
			return LS_TCP_REOPEN;
		if (dir == LS_REPLY && phase == LS_TCP_SYN_SENT)
			phase = LS_TCP_SYN_RECV; /* simultaneous open, RFC 9293 3.5 */
	} else if (syn) {
		if (phase == LS_TCP_SYN_SENT) {
			if (dir == LS_FORWARD)
				return LS_TCP_INVALID;
			phase = LS_TCP_SYN_RECV;
		}
	} else if (phase == LS_TCP_SYN_SENT) {
		/* A server that remembers the tuple's last connection challenges the SYN with an ACK; the client must see it to reset that (RFC 5961 4.2).
		 * Anything else is data before the handshake. */
		return dir == LS_REPLY && ack && !fin ? LS_TCP_PASS : LS_TCP_INVALID;
	} else if (fin) {
		flow |= fin_mine;
		if (!ls_tcp_closed(phase))
			phase = flow & fin_other ? LS_TCP_LAST_ACK : LS_TCP_FIN_WAIT;
		if (close == LS_CLOSE_NONE)
			close = LS_CLOSE_FIN;
	} else if (ack) {
		if (phase == LS_TCP_SYN_RECV && dir == LS_FORWARD)
			phase = LS_TCP_ESTABLISHED;
		else if (phase == LS_TCP_FIN_WAIT && !(flow & (fin_mine | fin_other)))
			phase = LS_TCP_ESTABLISHED;
		else if (phase == LS_TCP_FIN_WAIT && (flow & fin_other))
			phase = LS_TCP_CLOSE_WAIT;
		else if (phase == LS_TCP_LAST_ACK)
			phase = LS_TCP_TIME_WAIT;
	}
	*next = (state & ~(0xffffULL << 32 | 0xff00ULL | 0xff000000ULL)) | (u64)phase << 8 | (u64)close << 24 | (u64)flow << 32;
	return LS_TCP_PASS;
}

/* Direct server return: only the client's packets pass here (D10). */
LS_INLINE u64 ls_half_next(u64 state, bool tcp, u32 flags)
{
	u32 phase = LS_STATE_PHASE(state);

	if (tcp && (flags & (LS_TCP_FIN | LS_TCP_RST)))
		phase = LS_HALF_CLOSING;
	else if (tcp && (flags & LS_TCP_SYN))
		phase = LS_HALF_NEW;
	else if (phase == LS_HALF_NEW)
		phase = LS_HALF_STREAM;
	return LS_STATE_SET_PHASE(state, phase);
}

/* UDP, ICMP and the rest: seen in one direction, then in both. */
LS_INLINE u64 ls_plain_next(u64 state, u32 dir)
{
	u32 phase = LS_STATE_PHASE(state);

	if (dir != LS_REPLY)
		return state;
	if (phase == LS_UDP_NEW)
		phase = LS_UDP_STREAM;
	else if (phase == LS_OTHER_NEW)
		phase = LS_OTHER_STREAM;
	return LS_STATE_SET_PHASE(state, phase) | LS_STATE_FLOW_BIT(LS_FLOW_REPLIED);
}

/* Phase of a session opened by this packet. */
LS_INLINE u32 ls_first_phase(const struct ls_pkt *p, bool half)
{
	if (half)
		return p->key.proto == LS_IPPROTO_TCP && !(p->tcp_flags & LS_TCP_SYN) ? LS_HALF_STREAM : LS_HALF_NEW;
	switch (p->key.proto) {
	case LS_IPPROTO_TCP:
		return p->tcp_flags & LS_TCP_SYN ? LS_TCP_SYN_SENT : LS_TCP_ESTABLISHED;
	case LS_IPPROTO_UDP:
		return LS_UDP_NEW;
	case LS_IPPROTO_ICMP:
	case LS_IPPROTO_ICMP6:
		return LS_ICMP_ECHO;
	default:
		return LS_OTHER_NEW;
	}
}

#endif
