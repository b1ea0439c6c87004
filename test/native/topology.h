/* The router that pipeline tests, golden packets and fuzzers share, "standard":
 *
 *   zone 1 trust    port 1           10.0.1.0/24  fd00:1::/64    clients .10 .20 .130 .200
 *   zone 2 untrust  port 2           198.51.100.0/24  2001:db8:2::/64, default routes by .254 and ::fe
 *   zone 3 dmz      port 3 mtu 1400  10.0.3.0/24  fd00:3::/64    servers .10 .11 .12 .30
 *   zone 4 guests   port 1 vlan 100  10.0.4.0/24;  port 1 vlan 200 inner 300  10.0.5.0/24
 *   no zone         port 5           fabric, once the bank names it
 *
 * Host addresses end in .1; every MAC is 02:00:00:00:00:xx (routers 11 22 33 44 55, neighbours as listed in standard_neighbours).
 */
#ifndef LOCKSTEP_TEST_TOPOLOGY_H
#define LOCKSTEP_TEST_TOPOLOGY_H

#include "bank.h"

enum { PORT_TRUST = 1, PORT_UNTRUST, PORT_DMZ, PORT_MANAGEMENT, PORT_FABRIC };
enum { IF_TRUST = 1, IF_UNTRUST, IF_DMZ, IF_VLAN, IF_QINQ, IF_MANAGEMENT, IF_DOWN, IF_FABRIC };
enum { ZONE_TRUST = 1, ZONE_UNTRUST, ZONE_DMZ, ZONE_GUESTS, ZONE_MANAGEMENT };
enum { POLICY_OUT = 1, POLICY_WEB, POLICY_DMZ, POLICY_REJECT, POLICY_DENY, POLICY_SCHEDULED, POLICY_PING, POLICY_GUESTS, POLICY_ANY_DMZ, POLICY_STATIC };
enum { VIP_WEB = 1, VIP_L2, VIP_IPIP, VIP_GRE, VIP_WEB6, VIP_SNAT, VIP_EMPTY, VIP_PREFIX, VIP_IPIP6 };
enum { POOL_OUT = 1, POOL_INTERFACE, POOL_DMZ, POOL_SMALL, POOL_KEEP };
enum { RULE_SCHEDULED = 3 }; /* index of the scheduled policy rule */
#define RING_SIZE 251

static const struct {
	const char *ip;
	u32 device;
	u8 mac;
} standard_neighbours[] = {
	{ "10.0.1.10", PORT_TRUST, 0xa1 }, { "10.0.1.20", PORT_TRUST, 0xa2 }, { "10.0.1.130", PORT_TRUST, 0xa3 }, { "10.0.1.200", PORT_TRUST, 0xa4 },
	{ "fd00:1::10", PORT_TRUST, 0xa6 }, { "10.0.4.10", PORT_TRUST, 0xa7 }, { "10.0.5.10", PORT_TRUST, 0xa8 }, { "10.0.1.210", PORT_TRUST, 0xa5 },
	{ "198.51.100.254", PORT_UNTRUST, 0xb1 }, { "2001:db8:2::fe", PORT_UNTRUST, 0xb6 }, { "198.51.100.50", PORT_UNTRUST, 0xb2 },
	{ "198.51.100.66", PORT_UNTRUST, 0xb3 }, { "10.0.3.10", PORT_DMZ, 0xc1 }, { "10.0.3.11", PORT_DMZ, 0xc2 }, { "10.0.3.12", PORT_DMZ, 0xc3 },
	{ "10.0.3.30", PORT_DMZ, 0xc4 }, { "fd00:3::10", PORT_DMZ, 0xc6 }, { "fd00:3::11", PORT_DMZ, 0xc7 },
};

static inline void mac_of(u8 last, u8 mac[6])
{
	memset(mac, 0, 6);
	mac[0] = 2;
	mac[5] = last;
}

static inline void standard_iface(struct ls_config *c, u32 id, u32 device, u32 outer, u32 inner, u32 zone, u32 mtu, u8 mac, const char *a4, const char *a6)
{
	struct ls_iface i = { .device = (u16)device, .outer_vlan = (u16)outer, .inner_vlan = (u16)inner, .zone = (u16)zone, .mtu = (u16)mtu, .flags = LS_IF_UP };

	mac_of(mac, i.mac);
	i.addr4 = addr(a4);
	bank_local_add(c, (struct ls_local){ .addr = i.addr4, .kind = LS_LOCAL_HOST, .iface = (u16)id, .pool_addr = id == IF_UNTRUST ? 3 : id == IF_DMZ ? 4 : 0 });
	if (a6) {
		i.addr6 = addr(a6);
		bank_local_add(c, (struct ls_local){ .addr = i.addr6, .kind = LS_LOCAL_HOST, .iface = (u16)id });
	}
	bank_iface_add(c, id, i);
}

static inline void standard_vip(struct ls_config *c, u32 id, const char *a, u32 prefix, u32 port, u32 proto, u32 mode, u32 ring, u32 size, u32 rg)
{
	struct ls_vip v = { .addr = addr(a), .prefix = (u8)prefix, .port_be = htons((u16)port), .proto = (u8)proto, .mode = (u8)mode, .ring = ring,
		.ring_size = size, .used = 1, .rg = (u8)rg };

	bank_vip_add(c, id, v);
	if (prefix == 128)
		bank_local_add(c, (struct ls_local){ .addr = v.addr, .kind = LS_LOCAL_VIP, .rg = (u8)rg });
}

static inline void standard_real(struct ls_config *c, u32 id, u32 vip, const char *a, u32 port)
{
	c->real[id] = (struct ls_real){ .addr = addr(a), .port_be = htons((u16)port), .vip = (u16)vip, .up = 1, .used = 1 };
}

/* The bank. Reals 1-3 serve VIP_WEB, 10 + n the n-th VIP. */
static inline struct ls_config *standard_bank(void)
{
	static const struct bank_match policies[] = {
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .dst = "198.51.100.66" },                             /* 0 reject */
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .dst = "2001:db8:2::66" },                            /* 1 reject */
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .dst = "198.51.100.67" },                             /* 2 deny, logged */
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .dst = "198.51.100.68" },                             /* 3 scheduled */
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .dst = "198.51.100.68" },                             /* 4 deny */
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST },                                                     /* 5 out */
		{ .zones_in = 1 << ZONE_TRUST | 1 << ZONE_GUESTS, .zones_out = 1 << ZONE_DMZ },                                      /* 6 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 6, .dport_lo = 80, .dport_hi = 80 },           /* 7 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 6, .dport_lo = 8080, .dport_hi = 8081 },       /* 8 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 6, .dport_lo = 443, .dport_hi = 443 },         /* 9 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 17, .dport_lo = 1, .dport_hi = 65535 },        /* 10 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 6, .dport_lo = 22, .dport_hi = 22 },           /* 11 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 1, .sport_lo = 8, .sport_hi = 8 },             /* 12 ping */
		{ .zones_in = 1 << ZONE_GUESTS, .zones_out = 1 << ZONE_UNTRUST },                                                    /* 13 */
		{ .zones_in = 1 << ZONE_DMZ, .zones_out = 1 << ZONE_UNTRUST | 1 << ZONE_DMZ },                                       /* 14 */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .dst = "10.0.3.30" },                                   /* 15 static */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .dst = "fd00:3::30" },                                  /* 16 static */
		{ .zones_in = 1 << ZONE_UNTRUST, .zones_out = 1 << ZONE_DMZ, .proto = 47 },                                          /* 17 GRE */
	};
	static const struct ls_rule rules[] = {
		{ POLICY_REJECT, LS_ACT_REJECT, 0, 0, 0 }, { POLICY_REJECT, LS_ACT_REJECT, 0, 0, 0 }, { POLICY_DENY, LS_ACT_DENY, 0, LS_RF_LOG_DENY, 0 },
		{ POLICY_SCHEDULED, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_DENY, LS_ACT_DENY, 0, 0, 0 }, { POLICY_OUT, LS_ACT_PERMIT, 0, LS_RF_LOG_OPEN, 0 },
		{ POLICY_DMZ, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_WEB, LS_ACT_PERMIT, 1, 0, 0 }, { POLICY_WEB, LS_ACT_PERMIT, 1, 0, 0 }, { POLICY_WEB, LS_ACT_PERMIT, 0, 0, 0 },
		{ POLICY_WEB, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_WEB, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_PING, LS_ACT_PERMIT, 0, 0, 0 },
		{ POLICY_GUESTS, LS_ACT_PERMIT, 0, LS_RF_NO_SYNC | LS_RF_LOG_CLOSE, 0 }, { POLICY_ANY_DMZ, LS_ACT_PERMIT, 0, 0, 30 },
		{ POLICY_STATIC, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_STATIC, LS_ACT_PERMIT, 0, 0, 0 }, { POLICY_WEB, LS_ACT_PERMIT, 0, 0, 0 },
	};
	static const struct bank_match snat[] = {
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .src = "10.0.1.200" },
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .src = "10.0.1.210" },
		{ .zones_in = 1 << ZONE_TRUST, .zones_out = 1 << ZONE_UNTRUST, .src = "10.0.1.128/25" },
		{ .zones_in = 1 << ZONE_TRUST | 1 << ZONE_GUESTS, .zones_out = 1 << ZONE_UNTRUST, .src = "10.0.0.0/16" },
		{ .zones_in = 1 << ZONE_DMZ, .zones_out = 1 << ZONE_DMZ, .src = "10.0.3.0/24" },
	};
	static const struct bank_match dnat[] = {
		{ .zones_in = 1 << ZONE_UNTRUST, .proto = 6, .dst = "192.0.2.20", .dport_lo = 8022, .dport_hi = 8022 },
		{ .zones_in = 1 << ZONE_UNTRUST, .proto = 17, .dst = "192.0.2.20" },
		{ .zones_in = 1 << ZONE_UNTRUST, .proto = 6, .dst = "192.0.2.21" }, /* leave alone */
		{ .zones_in = 1 << ZONE_UNTRUST, .dst = "192.0.2.21" },
	};
	struct ls_config *c = bank_new();

	standard_iface(c, IF_TRUST, PORT_TRUST, 0, 0, ZONE_TRUST, 1500, 0x11, "10.0.1.1", "fd00:1::1");
	standard_iface(c, IF_UNTRUST, PORT_UNTRUST, 0, 0, ZONE_UNTRUST, 1500, 0x22, "198.51.100.1", "2001:db8:2::1");
	standard_iface(c, IF_DMZ, PORT_DMZ, 0, 0, ZONE_DMZ, 1400, 0x33, "10.0.3.1", "fd00:3::1");
	standard_iface(c, IF_VLAN, PORT_TRUST, 100, 0, ZONE_GUESTS, 1500, 0x44, "10.0.4.1", NULL);
	standard_iface(c, IF_QINQ, PORT_TRUST, 200, 300, ZONE_GUESTS, 1500, 0x55, "10.0.5.1", NULL);
	standard_iface(c, IF_MANAGEMENT, PORT_MANAGEMENT, 0, 0, ZONE_MANAGEMENT, 1500, 0x66, "10.0.6.1", "fd00:6::1");
	standard_iface(c, IF_DOWN, 9, 0, 0, ZONE_UNTRUST, 1500, 0x77, "10.0.7.1", NULL);
	standard_iface(c, IF_FABRIC, PORT_FABRIC, 0, 0, 0, 1500, 0x88, "169.254.77.1", NULL);
	c->iface[IF_DOWN].flags = 0;
	c->iface[IF_MANAGEMENT].flags |= LS_IF_MANAGEMENT;
	c->iface[IF_UNTRUST].pool4 = POOL_INTERFACE;
	c->mgmt_port[0] = 22;
	c->mgmt_port[1] = 9440;
	for (u32 z = 1; z <= ZONE_MANAGEMENT; z++)
		c->zone[z].rg = z == ZONE_GUESTS ? 1 : LS_RG_NONE;
	c->zone[ZONE_TRUST].flags = LS_ZF_PING | LS_ZF_DHCP;
	c->zone[ZONE_TRUST].services = 2;
	c->zone[ZONE_TRUST].service[0] = (struct ls_service){ .proto = 17, .port_lo = 53, .port_hi = 53 };
	c->zone[ZONE_TRUST].service[1] = (struct ls_service){ .proto = 6, .port_lo = 179, .port_hi = 180 };
	c->zone[ZONE_DMZ].flags = LS_ZF_MULTICAST | LS_ZF_TCP_LOOSE;
	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[1][p] = 5000000000ULL; /* application 1: five seconds */

	standard_vip(c, VIP_WEB, "192.0.2.10", 128, 80, 6, LS_MODE_NAT, 0, RING_SIZE, 2);
	standard_vip(c, VIP_L2, "192.0.2.11", 128, 0, 0, LS_MODE_L2, 8, RING_SIZE, 2);
	standard_vip(c, VIP_IPIP, "192.0.2.12", 128, 443, 6, LS_MODE_IPIP, 16, RING_SIZE, 2);
	standard_vip(c, VIP_GRE, "192.0.2.13", 128, 443, 17, LS_MODE_GRE, 24, RING_SIZE, 2);
	standard_vip(c, VIP_WEB6, "2001:db8:10::10", 128, 80, 6, LS_MODE_NAT, 32, RING_SIZE, 2);
	standard_vip(c, VIP_SNAT, "192.0.2.14", 128, 80, 6, LS_MODE_NAT, 40, RING_SIZE, 2);
	standard_vip(c, VIP_EMPTY, "192.0.2.15", 128, 80, 6, LS_MODE_NAT, 0, 0, 2);
	standard_vip(c, VIP_PREFIX, "203.0.113.0", 96 + 28, 0, 6, LS_MODE_NAT, 48, RING_SIZE, 2);
	standard_vip(c, VIP_IPIP6, "192.0.2.16", 128, 443, 6, LS_MODE_IPIP, 56, RING_SIZE, 2);
	c->vip[VIP_SNAT].flags = LS_VF_SNAT;
	c->vip[VIP_SNAT].snat_pool = POOL_DMZ;
	standard_real(c, 1, VIP_WEB, "10.0.3.10", 8080);
	standard_real(c, 2, VIP_WEB, "10.0.3.11", 8080);
	standard_real(c, 3, VIP_WEB, "10.0.3.12", 8081);
	standard_real(c, 10 + VIP_L2, VIP_L2, "10.0.3.10", 0);
	standard_real(c, 10 + VIP_IPIP, VIP_IPIP, "10.0.3.11", 0);
	standard_real(c, 10 + VIP_GRE, VIP_GRE, "10.0.3.12", 0);
	standard_real(c, 10 + VIP_WEB6, VIP_WEB6, "fd00:3::10", 8080);
	standard_real(c, 10 + VIP_SNAT, VIP_SNAT, "10.0.3.10", 8080);
	standard_real(c, 10 + VIP_PREFIX, VIP_PREFIX, "10.0.3.11", 0);
	standard_real(c, 10 + VIP_IPIP6, VIP_IPIP6, "fd00:3::11", 0);

	c->pool[POOL_OUT] = (struct ls_pool){ .first_addr = 0, .addrs = 2, .port_lo = 1024, .port_hi = 65535, .rg = LS_RG_NONE, .flags = 1, .seed = 0xfeed };
	c->pool[POOL_INTERFACE] = (struct ls_pool){ .first_addr = 2, .addrs = 1, .port_lo = 1024, .port_hi = 32767, .rg = LS_RG_NONE, .flags = 1, .seed = 7 };
	c->pool[POOL_DMZ] = (struct ls_pool){ .first_addr = 3, .addrs = 1, .port_lo = 61000, .port_hi = 65535, .rg = LS_RG_NONE, .flags = 1, .seed = 8 };
	c->pool[POOL_SMALL] = (struct ls_pool){ .first_addr = 4, .addrs = 1, .port_lo = 2000, .port_hi = 2015, .rg = 3, .flags = 1, .seed = 9 };
	c->pool[POOL_KEEP] = (struct ls_pool){ .first_addr = 5, .addrs = 1, .port_lo = 1024, .port_hi = 65535, .rg = LS_RG_NONE, .flags = 3, .seed = 10 };
	c->pool_addr[0] = addr("192.0.2.100");
	c->pool_addr[1] = addr("192.0.2.101");
	c->pool_addr[2] = addr("198.51.100.1");
	c->pool_addr[3] = addr("10.0.3.1");
	c->pool_addr[4] = addr("192.0.2.102");
	c->pool_addr[5] = addr("192.0.2.103");
	for (u32 i = 0; i < 6; i++)
		if (i < 2 || i > 3)
			bank_local_add(c, (struct ls_local){ .addr = c->pool_addr[i], .kind = LS_LOCAL_POOL, .rg = i == 4 ? 3 : LS_RG_NONE, .pool_addr = (u16)(i + 1) });
	bank_static_add(c, (struct ls_static_nat){ .outside = addr("192.0.2.30"), .inside = addr("10.0.3.30"), .id = 1, .rg = LS_RG_NONE });
	bank_static_add(c, (struct ls_static_nat){ .outside = addr("2001:db8:10::30"), .inside = addr("fd00:3::30"), .id = 2, .rg = LS_RG_NONE });
	bank_local_add(c, (struct ls_local){ .addr = addr("192.0.2.30"), .kind = LS_LOCAL_STATIC, .rg = LS_RG_NONE });
	bank_local_add(c, (struct ls_local){ .addr = addr("2001:db8:10::30"), .kind = LS_LOCAL_STATIC, .rg = LS_RG_NONE });

	bank_classifier(&c->policy, policies, sizeof(policies) / sizeof(*policies));
	memcpy(c->rule, rules, sizeof(rules));
	c->policy.active.bits[0] &= ~(1ULL << RULE_SCHEDULED);
	bank_classifier(&c->snat, snat, sizeof(snat) / sizeof(*snat));
	c->snat_rule[0] = (struct ls_nat_rule){ .action = LS_SNAT_POOL, .pool = POOL_SMALL };
	c->snat_rule[1] = (struct ls_nat_rule){ .action = LS_SNAT_POOL, .pool = POOL_KEEP };
	c->snat_rule[2] = (struct ls_nat_rule){ .action = LS_SNAT_INTERFACE };
	c->snat_rule[3] = (struct ls_nat_rule){ .action = LS_SNAT_POOL, .pool = POOL_OUT };
	c->snat_rule[4] = (struct ls_nat_rule){ .action = LS_SNAT_POOL, .pool = POOL_DMZ };
	bank_classifier(&c->dnat, dnat, sizeof(dnat) / sizeof(*dnat));
	c->dnat_rule[0] = (struct ls_nat_rule){ .action = 1, .addr = addr("10.0.3.10"), .port_be = htons(22) };
	c->dnat_rule[1] = (struct ls_nat_rule){ .action = 1, .addr = addr("10.0.3.11") };
	c->dnat_rule[2] = (struct ls_nat_rule){ .action = 0 };
	c->dnat_rule[3] = (struct ls_nat_rule){ .action = 1, .addr = addr("10.0.3.12") };
	return c;
}

/* Rings, routes and neighbours of the bank, then the bank itself. */
static inline void standard_table(struct ls_table *t)
{
	static const struct bank_route routes[] = {
		{ "::ffff:0.0.0.0/96", LS_NH_NONE, 0, NULL }, /* replaced below: an IPv4 default is a /96 of the mapped space */
		{ "::/0", LS_NH_GATEWAY, IF_UNTRUST, "2001:db8:2::fe" },
		{ "10.0.1.0/24", LS_NH_CONNECTED, IF_TRUST, NULL }, { "10.0.3.0/24", LS_NH_CONNECTED, IF_DMZ, NULL },
		{ "10.0.4.0/24", LS_NH_CONNECTED, IF_VLAN, NULL }, { "10.0.5.0/24", LS_NH_CONNECTED, IF_QINQ, NULL },
		{ "198.51.100.0/24", LS_NH_CONNECTED, IF_UNTRUST, NULL }, { "fd00:1::/64", LS_NH_CONNECTED, IF_TRUST, NULL },
		{ "fd00:3::/64", LS_NH_CONNECTED, IF_DMZ, NULL }, { "2001:db8:2::/64", LS_NH_CONNECTED, IF_UNTRUST, NULL },
		{ "10.0.1.1", LS_NH_LOCAL, IF_TRUST, NULL }, { "10.0.3.1", LS_NH_LOCAL, IF_DMZ, NULL }, { "198.51.100.1", LS_NH_LOCAL, IF_UNTRUST, NULL },
		{ "10.66.0.0/16", LS_NH_BLACKHOLE, 0, NULL }, { "10.67.0.0/16", LS_NH_NONE, 0, NULL }, { "fd00:67::/32", LS_NH_NONE, 0, NULL },
		{ "10.0.7.0/24", LS_NH_CONNECTED, IF_DOWN, NULL }, { "10.0.1.77", LS_NH_LOCAL, IF_TRUST, NULL },
	};
	struct bank_route list[sizeof(routes) / sizeof(*routes)];
	struct ls_config *c = standard_bank();
	u16 ring[RING_SIZE];

	memcpy(list, routes, sizeof(routes));
	list[0] = (struct bank_route){ "0.0.0.0/0", LS_NH_GATEWAY, IF_UNTRUST, "198.51.100.254" };
	bank_fib(&t->env.fibs[LS_LOAD(&t->env.header->active_fib) & 1], list, sizeof(list) / sizeof(*list));
	for (u32 i = 0; i < sizeof(standard_neighbours) / sizeof(*standard_neighbours); i++) {
		u8 mac[6];

		mac_of(standard_neighbours[i].mac, mac);
		bank_neigh(t->env.neighs, standard_neighbours[i].ip, standard_neighbours[i].device, mac);
	}
	for (u32 v = VIP_WEB; v <= VIP_IPIP6; v++) {
		for (u32 i = 0; i < RING_SIZE; i++)
			ring[i] = (u16)(v == VIP_WEB ? 1 + i % 3 : 10 + v);
		if (v != VIP_EMPTY)
			ls_table_write_arena(t, c->vip[v].ring, ring, sizeof(ring));
	}
	ls_table_write_config(t, c, sizeof(*c));
	free(c);
}

#endif
