/* The stream between two nodes, version 1: frames over TCP with TLS. Little-endian; tuples in network byte order as in struct ls_key.
 *
 * A frame is struct ls_frame, a body of `rows` rows of `row` bytes, and zeroes up to a multiple of 8. A newer peer may append fields to a row: a reader takes the row's size from the
 * frame and ignores what it does not know. Frames with a `seq` are ordered: one queue, numbered without a gap within the life of the sender's stream, and
 * acknowledged by number; what must be ordered with changes of sessions travels there. Frames with seq 0 are answers and questions beside it.
 * docs/design/0010-replication.md has the rules, proto/lockstep/peer/v1/peer.proto the hello.
 */
#ifndef LOCKSTEP_PEER_H
#define LOCKSTEP_PEER_H

#include "wire.h"

#define LS_PEER_VERSION 1

enum ls_frame_type {
	LS_FRAME_HELLO = 1,  /* first in each direction; body: peer.v1.Hello */
	LS_FRAME_STREAM,     /* ls_frame_stream: numbered frames from here on are of this stream */
	LS_FRAME_ACK,        /* ls_frame_ack: installed up to seq of the receiver's stream */
	LS_FRAME_CELLS_WANT, /* ls_frame_cells: send these cells of the cut */
	LS_FRAME_CELLS,      /* ls_frame_cells, then the packed cells */
	LS_FRAME_NEED,       /* rows: session ids, to be sent again */
	LS_FRAME_CUT_WANT,   /* ls_frame_want: another cut; of more cells */
	LS_FRAME_BULK_WANT,  /* the whole group is wanted */
	LS_FRAME_BYE,        /* body: text, why the sender closes */
	LS_FRAME_MOVE,       /* body: peer.v1.Move, one end of a planned move to the other */
	LS_FRAME_CONFIG,     /* body: peer.v1.Config, a generation to be applied */
	LS_FRAME_CONFIG_ACK, /* body: peer.v1.ConfigAck */
	LS_FRAME_RINGS,      /* body: peer.v1.Rings */
	LS_FRAME_UPSERTS = 32, /* from here on ordered. Rows: ls_wire_record */
	LS_FRAME_DELETES,      /* rows: ls_wire_delete */
	LS_FRAME_ACTIVITY,     /* rows: ls_activity */
	LS_FRAME_BULK_BEGIN,   /* every session of the group follows, among other changes, up to */
	LS_FRAME_BULK_END,     /* what did not is stale */
	LS_FRAME_CUT,          /* ls_frame_cut: the sender's sketch at this place of the stream */
};

struct ls_frame {
	u32 bytes; /* of the frame, this header included */
	u32 crc;   /* CRC-32 (IEEE 802.3) of all behind this field */
	u8 type;   /* enum ls_frame_type */
	u8 rg;     /* of all rows; LS_RG_NONE: of no group */
	u16 row;   /* bytes of a row */
	u32 rows;
	u64 seq;   /* place in the sender's stream; 0: beside it */
	u64 epoch; /* of the group: older ones are refused (R24) */
};
LS_ASSERT_SIZE(struct ls_frame, 32);

#define LS_FRAME_BYTES_MAX 4194304
#define LS_FRAME_ROWS_MAX 4096

#define LS_SKETCH_CELLS 4096 /* kept of each group all the time: about 3000 differences without a scan */
#define LS_SKETCH_MAX 4194304

struct ls_frame_stream {
	u64 stream;
	u64 first; /* place of the first frame that follows: what was sent before and is sent again counts */
};
LS_ASSERT_SIZE(struct ls_frame_stream, 16);

struct ls_frame_ack {
	u64 stream;
	u64 seq;
};
LS_ASSERT_SIZE(struct ls_frame_ack, 16);

/* Items are counted with the first cell, which holds them all: two equal first cells of one cut are two equal sets (error 2^-64). */
struct ls_frame_cut {
	u64 items;
	u64 sum[3];
	u64 hash;
	u32 cells; /* that may be asked for */
	u32 pad;
	u64 audit_age_ns; /* since the start of the last whole audit pass that lost nothing; all ones: none yet */
	u64 key[2];       /* of the group's sketch: under another one the receiver counts anew */
};
LS_ASSERT_SIZE(struct ls_frame_cut, 72);

struct ls_frame_cells {
	u64 cut; /* seq of the cut */
	u64 items;
	u32 from;
	u32 n;
};
LS_ASSERT_SIZE(struct ls_frame_cells, 24);

struct ls_frame_want {
	u32 cells; /* the cut shall have; 0: as it is */
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_frame_want, 8);

/* When a session was last seen, so that it does not age after a takeover. */
struct ls_activity {
	struct ls_session_id id;
	u64 idle_ns;
};
LS_ASSERT_SIZE(struct ls_activity, 24);

#endif
