/* The compiled configuration: what the pipeline reads. Two banks; the agent writes the idle one and flips
 * `active_bank` (R4: after a grace the old bank may be written again). Arrays are indexed by ids that the
 * configuration authority allocated once per name (R11), so counters and sessions keep their meaning over reloads.
 */
#ifndef LOCKSTEP_CONFIG_H
#define LOCKSTEP_CONFIG_H

#include "table.h"

enum ls_zone_flags {
	LS_ZF_FRAGS_DROP = 1 << 0,     /* later fragments are dropped, not followed */
	LS_ZF_MULTICAST = 1 << 1,      /* multicast goes to the host */
	LS_ZF_DHCP = 1 << 2,           /* DHCP goes to the host */
	LS_ZF_TCP_LOOSE = 1 << 3,      /* a non-SYN TCP miss may open a session */
	LS_ZF_PING = 1 << 4,           /* echo requests to host addresses are allowed */
	LS_ZF_HOST_ANY = 1 << 5,       /* every service of the host is allowed */
	LS_ZF_ICMP_ERRORS_OFF = 1 << 6, /* generate no ICMP errors toward this zone */
};

/* Host-inbound service: a protocol and a destination port range. */
struct ls_service {
	u8 proto;
	u8 pad;
	u16 port_lo; /* host order */
	u16 port_hi;
	u16 pad2;
};
LS_ASSERT_SIZE(struct ls_service, 8);

struct ls_zone {
	u32 flags; /* enum ls_zone_flags */
	u32 screens; /* bit per enum ls_screen */
	u32 limit[16]; /* events per second, 0 = no limit; PORT_SCAN: ports per second */
	u16 services;
	u8 rg;
	u8 pad[5];
	struct ls_service service[LS_SERVICES_MAX];
};

enum ls_iface_flags { LS_IF_UP = 1 << 0, LS_IF_MANAGEMENT = 1 << 1, LS_IF_PROMISC = 1 << 3 };

/* A logical interface: a device, or a VLAN (or two) of one. */
struct ls_iface {
	u16 device; /* dense id of the port the backend opened */
	u16 outer_vlan; /* 0 = untagged; host order */
	u16 inner_vlan;
	u16 zone;
	u16 domain;
	u16 mtu; /* layer 3 */
	u8 rg;
	u8 pad;
	u8 mac[6];
	u32 flags; /* enum ls_iface_flags */
	u32 ifindex; /* kernel's, 0 = none */
	u16 pool4; /* interface source NAT: the pool of the primary address, 0 = none */
	u16 pool6;
	struct ls_addr addr4; /* primary addresses: source of generated ICMP and of interface SNAT; zero = none */
	struct ls_addr addr6;
};
LS_ASSERT_SIZE(struct ls_iface, 64);

/* (device, outer, inner) -> iface, open addressed by ls_iface_hash(). */
struct ls_iface_slot {
	u16 device;
	u16 outer_vlan;
	u16 inner_vlan;
	u16 iface; /* 0 = empty */
};
LS_ASSERT_SIZE(struct ls_iface_slot, 8);

enum ls_local_kind { LS_LOCAL_NONE, LS_LOCAL_HOST, LS_LOCAL_VIP, LS_LOCAL_POOL, LS_LOCAL_STATIC, LS_LOCAL_FLOAT };

/* An address that is ours: answered by ARP and ND when the RG is owned, except HOST, which the kernel answers. */
struct ls_local {
	struct ls_addr addr;
	u16 domain;
	u16 iface; /* 0 = any */
	u8 kind;   /* enum ls_local_kind */
	u8 rg;
	u16 pool_addr; /* LS_LOCAL_POOL or interface SNAT: index + 1 into pool_addr[] */
};
LS_ASSERT_SIZE(struct ls_local, 24);

enum ls_vip_mode { LS_MODE_NAT, LS_MODE_L2, LS_MODE_IPIP, LS_MODE_GRE };
enum ls_vip_flags { LS_VF_SOURCE_STICKY = 1 << 0, LS_VF_SNAT = 1 << 1 };

struct ls_vip {
	struct ls_addr addr;
	u8 prefix; /* of the mapped address, 0-128 */
	u8 mode;   /* enum ls_vip_mode */
	u8 proto;  /* 0 = TCP and UDP */
	u8 rg;
	be16 port_be; /* 0 = any */
	u16 flags;
	u32 ring; /* arena element of the Maglev ring in force */
	u32 ring_size; /* entries, 0 = no usable real */
	u16 snat_pool; /* with LS_VF_SNAT: clients are hidden behind this pool */
	u8 app;
	u8 used; /* 1 = this id is configured */
	u32 pad;
};
LS_ASSERT_SIZE(struct ls_vip, 40);

/* (masked address, port, proto, domain) -> vip. */
struct ls_vip_slot {
	struct ls_addr addr;
	be16 port_be;
	u8 proto;
	u8 prefix;
	u16 domain;
	u16 vip; /* 0 = empty */
};
LS_ASSERT_SIZE(struct ls_vip_slot, 24);

struct ls_real {
	struct ls_addr addr;
	be16 port_be; /* 0 = the VIP's */
	u16 vip;
	u8 up;   /* takes new flows */
	u8 used;
	u16 pad;
};
LS_ASSERT_SIZE(struct ls_real, 24);

enum ls_rule_action { LS_ACT_DENY, LS_ACT_PERMIT, LS_ACT_REJECT };
enum ls_rule_flags { LS_RF_LOG_OPEN = 1 << 0, LS_RF_LOG_CLOSE = 1 << 1, LS_RF_NO_SYNC = 1 << 2, LS_RF_LOG_DENY = 1 << 3 };

struct ls_rule {
	u16 policy; /* id */
	u8 action;
	u8 app;
	u16 flags; /* enum ls_rule_flags */
	u16 sync_after; /* seconds until a peer is told of a session; 0 = at once */
};
LS_ASSERT_SIZE(struct ls_rule, 8);

/* A classifier by bit vectors (Lakshman and Stiliadis, SIGCOMM 1998): each dimension maps a value to a bitmap of the
 * rules that accept it; the first bit of the conjunction is the first matching rule. Rows are shared and deduplicated;
 * row 0 is all zero. Interval i of a dimension covers [start[i], start[i+1]). */
struct ls_class_addr {
	u32 count; /* intervals, at least 1 */
	u32 pad;
	struct ls_addr start[LS_CLASS_BOUNDS];
	u16 row[LS_CLASS_BOUNDS];
	u8 pad2[4];
};
struct ls_class_port {
	u32 count;
	u32 pad;
	u16 start[LS_CLASS_BOUNDS]; /* host order */
	u16 row[LS_CLASS_BOUNDS];
};
struct ls_row {
	u64 bits[LS_RULE_WORDS];
};
struct ls_classifier {
	u32 rules;
	u32 words; /* in use of each row */
	u16 zone_in[LS_ZONES_MAX];  /* -> row */
	u16 zone_out[LS_ZONES_MAX];
	u16 proto[256];
	struct ls_class_addr src;
	struct ls_class_addr dst;
	struct ls_class_port sport; /* ICMP: sport = type, dport = code (host order) */
	struct ls_class_port dport;
	struct ls_row active; /* schedules: rules in force now; written in place */
	struct ls_row row[LS_CLASS_ROWS];
};

enum ls_snat_action { LS_SNAT_NONE, LS_SNAT_POOL, LS_SNAT_INTERFACE };

/* Result of the NAT classifiers, by rule index. */
struct ls_nat_rule {
	u8 action; /* snat: enum ls_snat_action; dnat: 1 = translate, 0 = leave */
	u8 pad;
	u16 pool;  /* snat */
	u16 id;    /* stable id of the rule, for counters */
	be16 port_be; /* dnat: 0 = keep */
	struct ls_addr addr; /* dnat */
};
LS_ASSERT_SIZE(struct ls_nat_rule, 24);

struct ls_pool {
	u16 first_addr; /* into pool_addr[] */
	u16 addrs;
	u16 port_lo; /* host order, inclusive */
	u16 port_hi;
	u8 rg;
	u8 flags; /* 1 = used, 2 = keep the client's port when free */
	u16 pad;
	u32 seed; /* of the port permutation */
};
LS_ASSERT_SIZE(struct ls_pool, 16);

/* Static 1:1 NAT, both ways, in two hash tables over the same slots. */
struct ls_static_nat {
	struct ls_addr outside;
	struct ls_addr inside;
	u16 domain;
	u16 id; /* 0 = empty */
	u8 rg;
	u8 pad[3];
};
LS_ASSERT_SIZE(struct ls_static_nat, 40);
#define LS_STATIC_HASH 512

struct ls_config {
	u64 generation;
	u32 hash_seed; /* of the tables below; chosen so that no probe exceeds LS_HASH_PROBES */
	u32 flags;
	u64 timeout_ns[LS_APPS_MAX][LS_PHASES_MAX];
	u16 mgmt_port[LS_MGMT_PORTS_MAX]; /* TCP, host order, 0 = none (D1) */
	u16 host_port_lo; /* the host's own ephemeral ports: disjoint from every SNAT range */
	u16 host_port_hi;
	u32 reserve; /* slots that packets do not get: room for the installs of a peer (D12); 0 without one */
	u8 vip_plens[LS_VIP_PLENS_MAX]; /* distinct prefix lengths, longest first; 0xff ends */
	u32 vips;
	u32 fabric; /* interface that leads to the other node (R15), 0 = none */
	struct ls_zone zone[LS_ZONES_MAX];
	struct ls_iface iface[LS_IFACES_MAX];
	struct ls_iface_slot iface_hash[LS_IFACE_HASH];
	struct ls_local local[LS_LOCALS_HASH];
	struct ls_vip vip[LS_VIPS_MAX];
	struct ls_vip_slot vip_hash[LS_VIP_HASH];
	struct ls_real real[LS_REALS_MAX];
	struct ls_pool pool[LS_POOLS_MAX];
	struct ls_addr pool_addr[LS_POOL_ADDRS_MAX];
	struct ls_static_nat static_out[LS_STATIC_HASH]; /* by outside address */
	struct ls_static_nat static_in[LS_STATIC_HASH];  /* by inside address */
	struct ls_rule rule[LS_RULES_MAX];
	struct ls_nat_rule snat_rule[LS_RULES_MAX];
	struct ls_nat_rule dnat_rule[LS_RULES_MAX];
	struct ls_classifier policy;
	struct ls_classifier snat;
	struct ls_classifier dnat;
};
_Static_assert(sizeof(struct ls_config) % 8 == 0, "a region element is a multiple of 8 bytes");

/* Hash of the configuration tables: multiply-xorshift over 32-bit words; the agent writes them with the same function
 * (src/config/compile), the seed comes from ls_config.hash_seed. Not secret: contents are the operator's. */
static inline u32 ls_config_hash_step(u32 h, u32 word)
{
	h ^= word;
	h *= 0x9e3779b1u;
	h ^= h >> 15;
	return h;
}

#endif
