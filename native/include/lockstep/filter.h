/* Which sessions a scan, count or delete means. All conditions must hold; a zero `match` matches every live session. */
#ifndef LOCKSTEP_FILTER_H
#define LOCKSTEP_FILTER_H

#include "session.h"

enum ls_filter_match {
	LS_FM_SRC = 1 << 0,      /* source prefix */
	LS_FM_DST = 1 << 1,
	LS_FM_ADDR = 1 << 2,     /* src prefix matches any of the four addresses */
	LS_FM_SPORT = 1 << 3,
	LS_FM_DPORT = 1 << 4,
	LS_FM_PORT = 1 << 5,     /* sport matches any of the four ports */
	LS_FM_PROTO = 1 << 6,
	LS_FM_FAMILY = 1 << 7,
	LS_FM_ZONE_IN = 1 << 8,
	LS_FM_ZONE_OUT = 1 << 9,
	LS_FM_POLICY = 1 << 10,
	LS_FM_VIP = 1 << 11,
	LS_FM_REAL = 1 << 12,
	LS_FM_RG = 1 << 13,
	LS_FM_PHASES = 1 << 14,
	LS_FM_FLAGS = 1 << 15,   /* (flags & flags_mask) == flags_value */
	LS_FM_IDLE = 1 << 16,    /* idle at least min_idle_ns */
	LS_FM_AGE = 1 << 17,
	LS_FM_ID = 1 << 18,
	LS_FM_DOMAIN = 1 << 19,
	LS_FM_APP = 1 << 20,
	LS_FM_YOUNGER = 1 << 21, /* age below min_age_ns instead of at least */
};

struct ls_filter {
	u32 match; /* enum ls_filter_match */
	u32 phases; /* bit per enum ls_phase */
	struct ls_addr src;
	struct ls_addr dst;
	u8 src_prefix; /* 0-128 of the mapped address */
	u8 dst_prefix;
	u8 proto;
	u8 family;
	be16 sport_be;
	be16 dport_be;
	u16 zone_in;
	u16 zone_out;
	u16 policy;
	u16 vip;
	u16 real;
	u16 domain;
	u8 rg;
	u8 app;
	u16 pad;
	u32 flags_mask;
	u32 flags_value;
	u64 min_idle_ns;
	u64 min_age_ns;
	struct ls_session_id id;
};
LS_ASSERT_SIZE(struct ls_filter, 104);

/* Columns of a listing (defs/column.def); a request names them by bit. */
#define X(name, bytes, kind, text) LS_COL_##name,
enum ls_column {
#include "defs/column.def"
	LS_COLUMN_COUNT
};
#undef X

#endif
