/* The shared session table: one position-independent memory layout for every reader and writer.
 *
 * A table is a header followed by regions. In user space all of them are one mapping (a memfd, in huge pages when
 * there are any); under eBPF each region is one mmapable array, so every element is a multiple of 8 bytes.
 * Nothing here is a pointer. docs/design/0001-session-table.md tells why, 0002 the protocols.
 */
#ifndef LOCKSTEP_TABLE_H
#define LOCKSTEP_TABLE_H

#include "session.h"

#define LS_TABLE_MAGIC 0x504554534b434f4cULL /* "LOCKSTEP", little endian */
#define LS_LAYOUT_VERSION 2

enum ls_region_kind {
	LS_REGION_HEADER,
	LS_REGION_SESSIONS,
	LS_REGION_INDEX,
	LS_REGION_WORKERS,
	LS_REGION_FREE,     /* free rings of all workers, free_ring elements each */
	LS_REGION_NOTICES,
	LS_REGION_LOGS,
	LS_REGION_COUNTERS,
	LS_REGION_CONFIG,   /* two banks */
	LS_REGION_ARENA,    /* Maglev rings */
	LS_REGION_RGS,
	LS_REGION_FREER,
	LS_REGION_SCREENS,  /* zone rates */
	LS_REGION_SOURCES,
	LS_REGION_FRAGS,
	LS_REGION_NEIGHS,
	LS_REGION_FIB,      /* two banks */
	LS_REGION_NAT,      /* occupancy and cursor start per SNAT address */
	LS_REGION_WANTED,   /* next hops that workers outside the agent found unresolved, LS_WANTED each */
	LS_REGION_COUNT
};

struct ls_region {
	u64 offset;  /* from the header */
	u32 element; /* bytes, a multiple of 8 */
	u32 count;
};
LS_ASSERT_SIZE(struct ls_region, 16);

/* NH words and finaliser of the index hash (R10): secret, random per table. */
struct ls_hash_key {
	u32 nh[10];
	u64 mul;   /* odd */
	u64 add;
	u64 pad;
};
LS_ASSERT_SIZE(struct ls_hash_key, 64);

enum ls_pressure { LS_PRESSURE_NONE, LS_PRESSURE_HALF_OPEN, LS_PRESSURE_COOKIES };

/* Against floods (D12). */
struct ls_defence {
	u64 cookie_key[2]; /* of SYN cookies; from creation on */
	u64 cookie_ns;     /* workers: when one was last sent, to the second; acknowledgements are looked at for a while after it */
	u64 pressed_ns;    /* the freer */
	u32 pressure;      /* the freer: enum ls_pressure */
	u32 pad;
};


struct ls_header {
	/* fixed at creation */
	u64 magic;
	u32 layout_version;
	u32 header_size;
	u32 capacity;     /* sessions promised; a power of two */
	u32 slots;        /* capacity + rings + quarantine reserve (R10) */
	u32 buckets;      /* a power of two: capacity / 2 */
	u32 workers;
	u32 free_ring;    /* elements per worker, a power of two */
	u32 notice_ring;
	u32 log_ring;
	u32 cpus;         /* worker ids below are XDP's, from here on threads' */
	u64 origin;       /* of session ids created here (D5) */
	u64 total_bytes;
	u8 boot_id[16];   /* of the host that created it: CLOCK_MONOTONIC is comparable only within one boot */
	u8 table_id[16];
	struct ls_hash_key hash;
	struct ls_region regions[32];
	u64 checksum;     /* of all above, so that a torn header is refused */

	/* changes while running; each word has one writer, named */
	LS_ALIGN_LINE u32 active_bank; /* agent: configuration bank in force */
	u32 active_fib;                /* agent */
	u64 config_generation;         /* agent: of the active bank */
	u32 host_flows;                /* agent: 1 while programs record what the host opens itself (D1); replies are told from other packets by that */
	u32 host_pad;
	LS_ALIGN_LINE struct ls_defence defence;
	LS_ALIGN_LINE u64 freer_stamp_ns; /* the freer: last sign of life */
	u32 freer_pid;
	u32 freer_pad;
	LS_ALIGN_LINE u64 live;        /* the freer: sessions counted by the last full pass */
	u64 pass_count;                /* the freer: full expiry passes */
	u64 freed_total;               /* the freer */
	u64 installed_total;           /* the writer */
	u64 freed_by[16];              /* by close reason */
};
LS_ASSERT_OFFSET(struct ls_header, hash, 96);
LS_ASSERT_OFFSET(struct ls_header, regions, 160);
#define LS_HEADER_BYTES 4096
_Static_assert(sizeof(struct ls_header) <= LS_HEADER_BYTES, "header region is one page");

/* One bucket is one cache line of entries: tag << 32 | ref, ref = slot << 1 | direction. 0 is empty, a tag is never 0. */
struct ls_bucket {
	u64 entry[LS_BUCKET_ENTRIES];
} LS_ALIGN_LINE;
LS_ASSERT_SIZE(struct ls_bucket, 64);
#define LS_ENTRY(tag, ref) ((u64)(tag) << 32 | (u64)(ref))
#define LS_ENTRY_TAG(e) ((u32)((e) >> 32))
#define LS_ENTRY_REF(e) ((u32)(e))
#define LS_REF(slot, dir) ((u32)(slot) << 1 | (u32)(dir))
#define LS_REF_SLOT(ref) ((ref) >> 1)
#define LS_REF_DIR(ref) ((ref) & 1)

/* Per-worker words. Rings are single producer, single consumer; positions are free-running u64. */
struct ls_worker {
	/* writer: the worker */
	LS_ALIGN_LINE u64 free_tail;   /* consumed from the free ring */
	u64 notice_head;
	u64 log_head;
	u64 spare;         /* slot + 1 in hand: set before it leaves the ring, cleared when it is LIVE, kept by an undone creation (R2); 0 = none */
	u64 overrun;       /* notices lost; the drain compares with what it has seen */
	u64 quiescent;     /* odd while inside a burst, even outside (R4) */
	u64 alive_ns;      /* last burst or idle round */
	u64 snat_turn;     /* spreads successive flows over the addresses of a pool */
	/* writer: the agent */
	LS_ALIGN_LINE u64 free_head;   /* produced into the free ring */
	u64 notice_tail;
	u64 log_tail;
	u64 overrun_seen;
	u64 attached;      /* 1 while a thread or CPU runs with this id, or the pid of another process that has it: graces wait only for these */
	u64 pad[3];
};
LS_ASSERT_SIZE(struct ls_worker, 128);

struct ls_notice {
	u32 slot;
	u32 gen;
	u8 kind; /* enum ls_notice_kind */
	u8 worker;
	u16 pad;
	u32 aux; /* DELETE: close reason */
};
LS_ASSERT_SIZE(struct ls_notice, 16);

/* A policy decision worth a line: no slot, so a ring of its own (R9). */
struct ls_log {
	u64 time_ns;
	struct ls_key key;
	u16 zone_in;
	u16 zone_out;
	u16 policy;
	u8 action; /* enum ls_rule_action */
	u8 drop;   /* enum ls_drop */
	u64 pad;
};
LS_ASSERT_SIZE(struct ls_log, 64);

enum ls_role { LS_ROLE_INIT, LS_ROLE_STANDBY, LS_ROLE_OWNER, LS_ROLE_HOLD, LS_ROLE_YIELD, LS_ROLE_TAKE };

/* Ownership of one redundancy group. Without a peer the deadline is 2^64-1 (R23). */
struct ls_rg {
	u32 role; /* enum ls_role */
	u32 pad;
	u64 epoch;
	u64 lease_deadline_ns;
	u64 seen_floor_ns; /* promotion time: a takeover expires nobody (R8) */
	u64 pad2[4];
};
LS_ASSERT_SIZE(struct ls_rg, 64);

enum ls_freer_phase {
	LS_FREER_IDLE,
	LS_FREER_CHOSEN,   /* slots listed, being moved LIVE -> DYING */
	LS_FREER_GRACED,   /* grace over: re-read, DYING -> DEAD or back to LIVE */
	LS_FREER_CLEARED,  /* entries cleared, gen even */
	LS_FREER_LISTING,  /* second grace over: slots become FREE and go to the agent's list */
};

/* The freer's work in progress, to look at: a successor needs none of it, adoption finds the slots by their states (R6). */
struct ls_freer_work {
	u32 phase; /* enum ls_freer_phase */
	u32 count;
	u32 slots[LS_FREER_BATCH];
	u8 reasons[LS_FREER_BATCH]; /* enum ls_close_reason */
};

/* Rate state of one zone: events in the current second, one word per screen (window << 40 | count). */
struct ls_zone_rates {
	u64 rate[LS_SCREEN_COUNT + 3];
};
LS_ASSERT_SIZE(struct ls_zone_rates, 128);

/* Rate state of one source address in one zone. `owner` is window << 32 | hash: a stale window is taken by CAS. */
struct ls_source {
	u64 owner;
	struct ls_addr addr;
	u64 syn;
	u64 sessions;
	u64 ports; /* bloom of destination ports touched, 64 bits */
	u16 zone;
	u16 pad[7];
};
LS_ASSERT_SIZE(struct ls_source, 64);

/* Ports of the first fragment, for the later ones. `seq` odd while written. */
struct ls_frag {
	u64 seq;
	u64 deadline_ns;
	struct ls_addr src;
	struct ls_addr dst;
	u32 ident;
	be16 sport_be;
	be16 dport_be;
	u8 proto;
	u8 family;
	u16 domain;
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_frag, 64);

enum ls_neigh_state { LS_NEIGH_NONE, LS_NEIGH_INCOMPLETE, LS_NEIGH_VALID, LS_NEIGH_FAILED };

/* A resolved next hop. Writer: the mirror; readers by seq. */
struct ls_neigh {
	u64 seq;
	struct ls_addr addr;
	u32 device; /* dense device id */
	u8 mac[6];
	u8 state; /* enum ls_neigh_state */
	u8 stays; /* 1: somebody made it to stay in the kernel */
	u64 updated_ns;
	u64 pad2[2];
};
LS_ASSERT_SIZE(struct ls_neigh, 64);

/* A next hop that a program would send to: the mirror asks for it. Writer: the worker; `seq` odd while written. */
struct ls_wanted {
	u64 seq;
	struct ls_addr addr;
	u32 device;
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_wanted, 32);

enum ls_nexthop_kind { LS_NH_NONE, LS_NH_CONNECTED, LS_NH_GATEWAY, LS_NH_LOCAL, LS_NH_BLACKHOLE };

struct ls_nexthop {
	struct ls_addr gateway;
	u16 iface; /* logical interface id */
	u8 kind;   /* enum ls_nexthop_kind */
	u8 pad[5];
};
LS_ASSERT_SIZE(struct ls_nexthop, 24);

struct ls_static_route {
	struct ls_addr dst;
	struct ls_addr gateway; /* zero = connected */
	u8 prefix; /* of the mapped address */
	u8 kind;   /* enum ls_nexthop_kind */
	u16 iface;
	u32 metric;
};
LS_ASSERT_SIZE(struct ls_static_route, 40); /* packed by src/config/compile/routes.ts */

/* Longest-prefix match as elementary intervals: interval i holds addresses from start[i] up to before start[i+1],
 * sorted, next hop 0 = none. IPv4 lives at its v4-mapped place. One bank; built by the agent, flipped after grace. */
struct ls_fib {
	u32 count;
	u32 nexthops;
	u64 generation;
	struct ls_addr start[LS_FIB_BOUNDS];
	u16 nexthop_of[LS_FIB_BOUNDS];
	u32 fixeds;
	struct ls_nexthop nexthop[LS_NEXTHOPS_MAX];
	struct ls_static_route fixed[LS_ROUTES_MAX]; /* the configured ones it was built from, for who builds the next bank after the writer's death */
};

/* Occupancy of one SNAT address (all destinations together; allocation itself is "insert the reply entry"). */
struct ls_nat_usage {
	u64 in_use;   /* the freer: sessions with this translated source, by the last full pass */
	u64 created;  /* atomic add */
	u64 failed;   /* atomic add: no free port found */
	u64 tries;    /* atomic add */
};
LS_ASSERT_SIZE(struct ls_nat_usage, 32);

/* Counters of one worker; ids are stable, so they are the index. */
struct ls_counters {
	u64 global[64];
	u64 drops[128];
	u64 zone_in[LS_ZONES_MAX][2];  /* packets, bytes */
	u64 zone_out[LS_ZONES_MAX][2];
	u64 zone_drops[LS_ZONES_MAX];
	u64 screens[LS_ZONES_MAX][16];
	u64 iface_rx[LS_IFACES_MAX][2];
	u64 iface_tx[LS_IFACES_MAX][2];
	u64 policy[LS_POLICIES_MAX][2];
	u64 vip[LS_VIPS_MAX][4];       /* packets, bytes, new sessions, no real */
	u64 real[LS_REALS_MAX][4];     /* packets, bytes, new sessions, spare */
};
_Static_assert(LS_COUNTER_COUNT <= 64 && LS_DROP_COUNT <= 128 && LS_SCREEN_COUNT <= 16, "counter blocks");
/* SNAT cursors of one worker, beside its counters: position in the permuted port range of each pool address. */
struct ls_cursors {
	u32 at[LS_POOL_ADDRS_MAX];
};
struct ls_worker_counters {
	struct ls_counters c;
	struct ls_cursors snat;
};

#endif
