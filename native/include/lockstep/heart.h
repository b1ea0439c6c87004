/* The heart keeps leases and sends heartbeats, whether the agent lives or not. Here is what it says: to its agent in frames over a unix stream socket, to the
 * hearts of other nodes in UDP datagrams. Little-endian, version 2. native/heart has the code, docs/design/0011-ownership.md the rules,
 * proto/lockstep/peer/v1/heartbeat.proto the body.
 */
#ifndef LOCKSTEP_HEART_H
#define LOCKSTEP_HEART_H

#include "limits.h"
#include "types.h"

#define LS_HEART_MAGIC 0x4248534c /* "LSHB" */
#define LS_HEART_VERSION 2
#define LS_HEART_PATHS_MAX 4
#define LS_HEART_KEY_BYTES 32
#define LS_HEART_MAC_BYTES 32     /* HMAC-SHA256, behind the body */
#define LS_HEART_BODY_MAX 3904    /* head and body are at most 4 KiB */
#define LS_HEART_PROBLEM_MAX 512
#define LS_HEART_INTERVAL_MS_MIN 10
#define LS_HEART_INTERVAL_MS_MAX 1000
#define LS_HEART_COUNT_MAX 10
#define LS_HEART_WORKER_MS 500    /* a packet worker that gave no sign of life for so long forwards nothing */

enum ls_heart_flags { LS_HEART_AWAY = 1 << 0 }; /* the sender's agent is not there */

/* A datagram: this, `body` bytes, the MAC over both. It goes out on every path with one `seq`. */
struct ls_heartbeat {
	u32 magic;
	u8 version;
	u8 flags;            /* enum ls_heart_flags */
	u8 node;             /* index of the sender */
	u8 path;             /* at the sender */
	u16 body;            /* bytes */
	u16 dropped;         /* a bit for each group whose lease ended or was given up since the agent said a role: its role here is hold */
	u32 restart_hold_ms; /* how long a peer should wait for the agent that is away; 0: not at all */
	u16 asks;            /* a bit for each group that the sender would own, if the receiver, whose agent is away, let go of it */
	u16 pad[3];
	u64 seq;             /* grows within the life that `boot` names */
	u8 boot[16];
	u8 role[LS_RGS_MAX]; /* enum ls_role; of groups that the body names */
	u64 epoch[LS_RGS_MAX];
};
LS_ASSERT_SIZE(struct ls_heartbeat, 192);
LS_ASSERT_OFFSET(struct ls_heartbeat, boot, 32);
LS_ASSERT_OFFSET(struct ls_heartbeat, epoch, 64);
_Static_assert(sizeof(struct ls_heartbeat) + LS_HEART_BODY_MAX == 4096, "head and body are at most 4 KiB");

enum ls_heart_kind {
	/* heart to agent */
	LS_HEART_HELLO = 1, /* ls_heart_hello; first */
	LS_HEART_HEARD,     /* ls_heart_heard, then the body of the datagram */
	LS_HEART_LAPSED,    /* ls_heart_lapsed */
	LS_HEART_PROBLEM,   /* text, once for each cause and connection */
	LS_HEART_ANSWER,    /* ls_heart_answer, behind all that was heard before the question */
	/* agent to heart */
	LS_HEART_SETUP = 16, /* ls_heart_setup; the same again changes nothing */
	LS_HEART_WORD,       /* ls_heart_word, then the body of the heartbeats from here on */
	LS_HEART_RESIGN,     /* nothing: drop all leases, and say so in the heartbeats */
	LS_HEART_ASK,        /* ls_heart_ask */
};

struct ls_heart_frame {
	u32 bytes; /* of the frame, this header included */
	u32 kind;  /* enum ls_heart_kind */
};
LS_ASSERT_SIZE(struct ls_heart_frame, 8);

struct ls_heart_hello {
	u8 boot[16];
	u32 pid;
	u32 resumed; /* 1: a setup and a word of an earlier connection are in force */
	u32 held;    /* a bit for each group that the agent owns and whose lease is kept for it */
	u32 pad;
	u64 epoch[LS_RGS_MAX]; /* of the groups held */
};
LS_ASSERT_SIZE(struct ls_heart_hello, 160);

struct ls_heart_heard {
	u64 at_ns; /* CLOCK_MONOTONIC, when it was received */
	u32 path;  /* at the receiver */
	u32 pad;
	struct ls_heartbeat head;
};
LS_ASSERT_SIZE(struct ls_heart_heard, 208);

/* These leases ended before they were renewed. They are not until a word says another role or epoch. */
struct ls_heart_lapsed {
	u32 groups; /* a bit each */
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_heart_lapsed, 8);

/* An agent that was held up asks for what it missed. */
struct ls_heart_ask {
	u64 turn; /* the agent's: the answer names it */
};
LS_ASSERT_SIZE(struct ls_heart_ask, 8);

struct ls_heart_answer {
	u64 turn;
	u64 awake_ns; /* CLOCK_MONOTONIC: since then the heart listened without a pause of half the detection time */
};
LS_ASSERT_SIZE(struct ls_heart_answer, 16);

struct ls_heart_address {
	struct ls_addr addr;
	u16 port;
	u16 pad;
	u32 scope; /* interface number of a link-local address */
};
LS_ASSERT_SIZE(struct ls_heart_address, 24);

struct ls_heart_path {
	struct ls_heart_address local;
	struct ls_heart_address remote;
};
LS_ASSERT_SIZE(struct ls_heart_path, 48);

struct ls_heart_setup {
	u32 node;        /* index */
	u32 interval_ms; /* LS_HEART_INTERVAL_MS_MIN to LS_HEART_INTERVAL_MS_MAX */
	u32 count;       /* intervals of silence after which a peer counts as lost */
	u32 paths;
	u64 lease_ns;    /* less than count - 1 intervals (R23) */
	u8 key[LS_HEART_KEY_BYTES];
	struct ls_heart_path path[LS_HEART_PATHS_MAX]; /* zeroes behind `paths` */
};
LS_ASSERT_SIZE(struct ls_heart_setup, 248);

struct ls_heart_word {
	u32 flags; /* of the heartbeats; LS_HEART_AWAY is the heart's own */
	u32 restart_hold_ms;
	u16 asks;  /* of the heartbeats */
	u16 pad[3];
	u8 role[LS_RGS_MAX];
	u64 epoch[LS_RGS_MAX];
};
LS_ASSERT_SIZE(struct ls_heart_word, 160);

#define LS_HEART_FRAME_MAX 4120 /* a heard datagram's */
_Static_assert(sizeof(struct ls_heart_frame) + sizeof(struct ls_heart_heard) + LS_HEART_BODY_MAX == LS_HEART_FRAME_MAX, "the longest frame");

#endif
