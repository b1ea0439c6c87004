/* Every bound of Lockstep, in one place. They are enum constants, so that the generator can read
 * them from type information and hand them to TypeScript and the documentation.
 */
#ifndef LOCKSTEP_LIMITS_H
#define LOCKSTEP_LIMITS_H

enum ls_limits {
	/* session table */
	LS_CAPACITY_MIN = 1 << 10,
	LS_CAPACITY_MAX = 1 << 24,
	LS_CAPACITY_DEFAULT = 1 << 20,
	LS_BUCKET_ENTRIES = 8,
	LS_WANTED = 16,             /* unresolved next hops that a worker of XDP or DPDK remembers; a power of two */
	LS_PROCESS_END_MS = 2000,   /* an adopter waits so long for a process whose workers it takes over from */
	LS_PROCESS_SILENT_MS = 5000, /* a process whose worker stays in one burst so long is ended by who waits for it; bursts take microseconds (R5 has the same for a freer) */
	LS_WORKERS_MAX = 256,       /* possible CPUs + threads (R10) */
	LS_THREADS_MAX = 16,        /* packet worker threads of one process */
	LS_FREE_RING_MIN = 256,     /* F = clamp(capacity / 4W, min, max) (R10) */
	LS_FREE_RING_MAX = 65536,
	LS_NOTICE_RING_MIN = 1024,  /* notices per worker */
	LS_NOTICE_RING_MAX = 262144,
	LS_LOG_RING = 1024,         /* log records per worker */
	LS_FREER_BATCH = 4096,      /* slots in one free batch (R5) */
	LS_WRITER_BATCH = 4096,     /* records per hold of the table writer (R7) */
	LS_CLOCK_LAG_MS = 100,      /* what a worker's clock can be behind at most: ticks of 10 ms of which some are missed */
	LS_MARK_HALF_OPEN = 80,     /* percent of the capacity taken: half-open sessions end after LS_PRESSED_MS */
	LS_MARK_COOKIES = 90,       /* from here on SYNs are answered with cookies */
	LS_MARK_RELIEF = 70,        /* below it, and LS_PRESSURE_HOLD_MS later, it is over */
	LS_PRESSED_MS = 3000,       /* a client that is there has sent its SYN twice by then */
	LS_PRESSURE_HOLD_MS = 10000, /* a flood pauses; what it does not fill says nothing about it */
	LS_INSERT_TRIES = 8,        /* CAS retries on one bucket pair before table_full */

	/* configuration */
	LS_RGS_MAX = 16,
	LS_RG_NONE = 255,           /* a flow of the host itself: never synced (R17) */
	LS_ZONES_MAX = 64,          /* zone 0 is "no zone": nothing is permitted from or to it */
	LS_IFACES_MAX = 64,         /* logical interfaces (device + VLAN); 0 is "none" */
	LS_DEVICES_MAX = 32,        /* ports the backend opens */
	LS_IFACE_HASH = 256,
	LS_POLICIES_MAX = 1024,     /* policy ids; 0 is the default policy */
	LS_RULES_MAX = 1024,        /* classifier rules: one per policy and application term */
	LS_RULE_WORDS = LS_RULES_MAX / 64,
	LS_CLASS_BOUNDS = 2 * LS_RULES_MAX + 2, /* elementary intervals of one dimension */
	LS_CLASS_ROWS = 9216,       /* distinct bitmaps of one classifier */
	LS_CLASS_STEPS = 12,        /* binary search steps: 2^12 > LS_CLASS_BOUNDS */
	LS_APPS_MAX = 64,           /* timeout rows: 0 is the default application */
	LS_PHASES_MAX = 16,
	LS_VIPS_MAX = 2048,         /* 0 is "no VIP" */
	LS_VIP_HASH = 8192,
	LS_VIP_PLENS_MAX = 8,       /* distinct prefix lengths among prefix VIPs */
	LS_REALS_MAX = 16384,       /* 0 is "no real" */
	LS_RING_MAX = 65537,        /* Maglev entries of one VIP (a prime) */
	LS_RING_ELEMENT = 32,       /* u16 entries in one 64-byte arena element */
	LS_POOLS_MAX = 64,          /* NAT pools; 0 is "none" */
	LS_POOL_ADDRS_MAX = 1024,   /* SNAT addresses, all pools together */
	LS_LOCALS_HASH = 2048,      /* addresses answered or owned by this host */
	LS_HASH_PROBES = 8,         /* bound of every open-addressed configuration table */
	LS_SERVICES_MAX = 32,       /* host-inbound services of one zone */
	LS_MGMT_PORTS_MAX = 8,      /* management allow (D1) */
	LS_SNAT_TRIES = 32,         /* reply tuples tried before snat_exhausted (R18) */

	/* packets */
	LS_VLANS_MAX = 2,
	LS_EXT_HEADERS_MAX = 8,     /* IPv6 extension headers walked */
	LS_HEADER_BYTES_MAX = 384,  /* deepest header byte the pipeline reads */
	LS_BURST_MAX = 16,          /* frames whose memory is fetched together: about what a core keeps in flight */
	LS_FRAME_MAX = 9216,
	LS_HEADROOM = 128,          /* bytes a port keeps free before the frame (encapsulation) */

	/* per-host tables beside the sessions */
	LS_FRAGS = 4096,
	LS_FRAG_TIMEOUT_MS = 30000, /* as the reassembly timer of RFC 8200 4.5 is 60 s at most */
	LS_SOURCES = 8192,          /* tracked flood sources */
	LS_NEIGHS = 8192,
	LS_NEXTHOPS_MAX = 4096,
	LS_ROUTES_MAX = 65536,
	LS_FIB_BOUNDS = 2 * LS_ROUTES_MAX + 2,
	LS_FIB_STEPS = 18,

	/* fabric header (R15) */
	LS_ETHERTYPE_FABRIC = 0x88b5,
	LS_FABRIC_VERSION = 1,
	LS_FABRIC_BYTES = 12,       /* between link header and packet: what the fabric's MTU must have more */
	LS_FABRIC_HOPS = 1,         /* crossings of one packet */
};

#endif
