/* The session record: 192 bytes, three cache lines, one record for both directions of a flow.
 *
 * Line 0 (identity) and line 1 (decision) do not change while the record is live, except that a
 * revival in place (R8) gives it a new generation, id and decision ids under the same two tuples.
 * Line 2 (state) is what packets write. `gen` is odd while the slot is in use and even while it is free;
 * readers compare, then re-read it. The lifecycle is in `state` and changes by CAS only (R1).
 */
#ifndef LOCKSTEP_SESSION_H
#define LOCKSTEP_SESSION_H

#include "codes.h"
#include "limits.h"
#include "types.h"

#define LS_ALIGN_LINE __attribute__((aligned(64)))

enum ls_family { LS_IP4 = 4, LS_IP6 = 6 };

enum ls_direction { LS_FORWARD = 0, LS_REPLY = 1 };

/* The tuple of a packet as it is on the wire. ICMP echo: sport = identifier and dport = 0 in requests, the
 * reverse in replies (R19), so that the reply of a flow is always its reversed tuple. */
struct ls_key {
	struct ls_addr src;
	struct ls_addr dst;
	be16 sport_be;
	be16 dport_be;
	u8 proto;  /* IANA protocol number */
	u8 family; /* enum ls_family */
	u16 domain; /* routing domain */
};
LS_ASSERT_SIZE(struct ls_key, 40);

/* Never changes on sync or takeover (D5). All zero: no session. */
struct ls_session_id {
	u64 origin; /* random per table creation */
	u64 serial; /* slot << 32 | gen at the origin */
};
LS_ASSERT_SIZE(struct ls_session_id, 16);

enum ls_session_flags {
	LS_SF_SNAT = 1 << 0,     /* source translated */
	LS_SF_DNAT = 1 << 1,     /* destination translated (DNAT, static NAT or VIP mode nat) */
	LS_SF_VIP = 1 << 2,      /* chosen by a VIP */
	LS_SF_HALF = 1 << 3,     /* only the forward direction passes here (direct server return) */
	LS_SF_HOST = 1 << 4,     /* opened by this host; never synced */
	LS_SF_HAIRPIN = 1 << 5,
	LS_SF_PEER = 1 << 6,     /* installed from a peer */
	LS_SF_NO_SYNC = 1 << 7,  /* policy says sync never */
	LS_SF_LOG_CLOSE = 1 << 8,
	LS_SF_STATIC = 1 << 9,   /* static NAT */
	LS_SF_COOKIE = 1 << 10,  /* sequence numbers are shifted by syn_offset (R21) */
	LS_SF_LATE = 1 << 11,    /* policy says sync after: a peer is told of it when it is sync_after old */
	LS_SF_PROGRAM = 1 << 12, /* of a dataplane with sessions of its own, which says when it ends while it is in force */
};

/* The state word, one u64, compare-and-swap only (R1):
 *   lifecycle 0-7 | phase 8-15 | dirty 16-23 | close reason 24-31 | flow bits 32-47 | life 48-63
 * `life` is the incarnation, so that words of two lives of a slot differ: the low bits of gen / 2; while CREATING, the worker that creates. */
#define LS_STATE_LIFECYCLE(w) ((u32)((w) & 0xff))
#define LS_STATE_PHASE(w) ((u32)(((w) >> 8) & 0xff))
#define LS_STATE_DIRTY(w) ((u32)(((w) >> 16) & 0xff))
#define LS_STATE_CLOSE(w) ((u32)(((w) >> 24) & 0xff))
#define LS_STATE_FLOW(w) ((u32)(((w) >> 32) & 0xffff))
#define LS_STATE_MAKE(lifecycle, phase, dirty, close, flow)                               \
	((u64)(lifecycle) | (u64)(phase) << 8 | (u64)(dirty) << 16 | (u64)(close) << 24 | \
	 (u64)(flow) << 32)
#define LS_STATE_SET_LIFECYCLE(w, l) (((w) & ~0xffULL) | (u64)(l))
#define LS_STATE_SET_PHASE(w, p) (((w) & ~0xff00ULL) | (u64)(p) << 8)
#define LS_STATE_SET_CLOSE(w, c) (((w) & ~0xff000000ULL) | (u64)(c) << 24)
#define LS_STATE_LIFE(w) ((u32)((w) >> 48))
#define LS_STATE_SET_LIFE(w, x) (((w) & ~(0xffffULL << 48)) | (u64)(x) << 48)
#define LS_LIFE_OF(gen) ((u32)(gen) >> 1 & 0xffff)
#define LS_STATE_DIRTY_BIT (1ULL << 16)
#define LS_STATE_FLOW_BIT(b) ((u64)(b) << 32)

enum ls_flow_bits {
	LS_FLOW_REPLIED = 1 << 0,    /* a reply packet was seen */
	LS_FLOW_FIN_FWD = 1 << 1,
	LS_FLOW_FIN_REPLY = 1 << 2,
	LS_FLOW_FIN_FWD_ACKED = 1 << 3,
	LS_FLOW_FIN_REPLY_ACKED = 1 << 4,
	LS_FLOW_ADMIN = 1 << 5,      /* DYING by order: no packet saves it */
	LS_FLOW_ACK_FWD = 1 << 6,    /* ack_fwd holds a value */
	LS_FLOW_ACK_REPLY = 1 << 7,
	LS_FLOW_SHARED = 1 << 8,     /* LS_SF_LATE: a peer was told of it, or told us */
};

struct ls_session {
	/* line 0: identity. Writer: the creator, before LIVE. */
	u32 gen;
	u32 flags; /* enum ls_session_flags */
	struct ls_key key;
	u16 zone_in;
	u16 zone_out;
	u8 rg;
	u8 pad0;
	u16 sync_after; /* seconds, with LS_SF_LATE */
	u64 created_ns; /* CLOCK_MONOTONIC of this host */

	/* line 1: decision. The reply key is the wire tuple of the return packet, so it holds the whole translation:
	 * the forward packet leaves with src = reply.dst, dst = reply.src and the ports likewise. */
	struct ls_key reply;
	struct ls_session_id id;
	u16 policy;
	u16 vip;
	u16 real;
	u8 app; /* row of the timeout table */
	u8 pad1;

	/* line 2: state and counters. Writers: any packet worker, the freer. */
	u64 state;
	u64 last_seen_ns;
	u64 packets[2]; /* by direction; layer-3 bytes (R20) */
	u64 bytes[2];
	u32 syn_offset;
	u32 ack[2]; /* last acknowledgement number sent in each direction, host order: RST checks */
	u32 pad2;
} LS_ALIGN_LINE;
LS_ASSERT_SIZE(struct ls_session, 192);
LS_ASSERT_OFFSET(struct ls_session, key, 8);
LS_ASSERT_OFFSET(struct ls_session, zone_in, 48);
LS_ASSERT_OFFSET(struct ls_session, rg, 52);
LS_ASSERT_OFFSET(struct ls_session, sync_after, 54);
LS_ASSERT_OFFSET(struct ls_session, created_ns, 56);
LS_ASSERT_OFFSET(struct ls_session, reply, 64);
LS_ASSERT_OFFSET(struct ls_session, id, 104);
LS_ASSERT_OFFSET(struct ls_session, policy, 120);
LS_ASSERT_OFFSET(struct ls_session, app, 126);
LS_ASSERT_OFFSET(struct ls_session, state, 128);

#endif
