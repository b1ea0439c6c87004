/* The packed session record that leaves a table: peers, exports, gRPC columns. Little-endian, version 1, 184 bytes.
 * Addresses and ports are in network byte order as in struct ls_key. Times are ages in nanoseconds at the moment of
 * packing, so that no two hosts compare clocks (hazard 30). A newer peer may append fields: a reader takes the record size from
 * the frame and ignores what it does not know (04-ha.md).
 */
#ifndef LOCKSTEP_WIRE_H
#define LOCKSTEP_WIRE_H

#include "session.h"

#define LS_WIRE_VERSION 1

struct ls_wire_record {
	u8 version;      /* LS_WIRE_VERSION */
	u8 kind;         /* enum ls_notice_kind */
	u8 phase;        /* enum ls_phase */
	u8 close_reason; /* enum ls_close_reason */
	u8 rg;
	u8 app;
	u16 flow;        /* enum ls_flow_bits */
	struct ls_session_id id;
	struct ls_key key;
	struct ls_key reply;
	u32 flags;       /* enum ls_session_flags */
	u16 zone_in;
	u16 zone_out;
	u16 policy;
	u16 vip;
	u16 real;
	u16 pad;
	u64 idle_ns;     /* since last_seen */
	u64 age_ns;      /* since creation */
	u64 packets[2];
	u64 bytes[2];
	u32 syn_offset;
	u32 ack[2];
	u32 slot;        /* at the sender, for its own reference */
};
LS_ASSERT_SIZE(struct ls_wire_record, 184);
LS_ASSERT_OFFSET(struct ls_wire_record, id, 8);
LS_ASSERT_OFFSET(struct ls_wire_record, key, 24);
LS_ASSERT_OFFSET(struct ls_wire_record, flags, 104);
LS_ASSERT_OFFSET(struct ls_wire_record, idle_ns, 120);
LS_ASSERT_OFFSET(struct ls_wire_record, syn_offset, 168);

/* A delete: find by tuple, compare the id (D5), so that a late delete cannot kill a re-opened tuple. */
struct ls_wire_delete {
	struct ls_session_id id;
	struct ls_key key;
	u8 reason; /* enum ls_close_reason */
	u8 pad[7];
};
LS_ASSERT_SIZE(struct ls_wire_delete, 64);

#endif
