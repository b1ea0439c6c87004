/* The fabric (docs/design/0012-fabric.md): two routers of topology.h with one configuration, frames carried between them by hand. Every test says what one
 * node does with a packet, and what becomes of it at the other.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "lane_check.h"
#include "table_fixture.h"

#define S LS_TCP_SYN
#define A LS_TCP_ACK

static struct lane *here, *there;

static struct lane *node_open(void)
{
	struct ls_table *t = table_new(1 << 10);

	standard_table(t);
	t->env.banks[t->env.header->active_bank & 1].fabric = IF_FABRIC;
	return lane_open(t, 0);
}

static void node_close(struct lane *w)
{
	struct ls_table *t = w->t;

	ls_worker_detach(t, w->e.worker_id);
	CHECK_CLEAN(t);
	ls_table_close(t);
	free(w);
}

static struct ls_config *bank_of(struct lane *w) { return &w->e.banks[w->e.header->active_bank & 1]; }

static void role_of(struct lane *w, u32 role)
{
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++)
		ls_table_set_role(w->t, rg, role, 1, ~0ULL);
}

/* `here` is a standby of all groups, `there` their owner. */
static void open_pair(void)
{
	here = node_open();
	there = node_open();
	role_of(here, LS_ROLE_STANDBY);
}

static void close_pair(void)
{
	node_close(here);
	node_close(there);
}

/* What left, as it arrives at the other end. */
static struct packet left(const struct lane *w)
{
	struct packet p = { .len = 0 };

	put(&p, w->frame.data, w->frame.len);
	return p;
}

static u32 sessions(struct lane *w)
{
	u32 n = 0;

	for (u32 i = 0; i < w->t->env.slots; i++)
		n += LS_STATE_LIFECYCLE(w->t->env.sessions[i].state) != LS_FREE;
	return n;
}

/* Every way in which a packet gets its group (R15): the VIP's, the pool's, the zone's. */
static struct {
	const char *what;
	u32 port, zone, rg, out;
	struct packet p;
} kind[8];
enum { KINDS = 8 };

static void kinds(void)
{
	kind[0] = (typeof(*kind)){ "VIP, TCP", PORT_UNTRUST, ZONE_UNTRUST, 2, IF_DMZ, tcp("198.51.100.50", 4000, "192.0.2.10", 80, S) };
	kind[1] = (typeof(*kind)){ "VIP, IPv6", PORT_UNTRUST, ZONE_UNTRUST, 2, IF_DMZ, tcp("2001:db8:9::1", 4000, "2001:db8:10::10", 80, S) };
	kind[2] = (typeof(*kind)){ "VIP, l2", PORT_UNTRUST, ZONE_UNTRUST, 2, IF_DMZ, udp("198.51.100.50", 4000, "192.0.2.11", 53, 20) };
	kind[3] = (typeof(*kind)){ "VIP, gre", PORT_UNTRUST, ZONE_UNTRUST, 2, IF_DMZ, udp("198.51.100.50", 4000, "192.0.2.13", 443, 20) };
	kind[4] = (typeof(*kind)){ "pool", PORT_TRUST, ZONE_TRUST, 3, IF_UNTRUST, udp("10.0.1.200", 4000, "198.51.100.50", 53, 20) };
	kind[5] = (typeof(*kind)){ "zone, VLAN", PORT_TRUST, ZONE_GUESTS, 1, IF_DMZ, tagged(udp("10.0.4.10", 4000, "10.0.3.10", 53, 20), (u32[]){ 100 }, 1) };
	kind[6] = (typeof(*kind)){ "zone, two VLANs", PORT_TRUST, ZONE_GUESTS, 1, IF_DMZ, tagged(tcp("10.0.5.10", 4000, "10.0.3.10", 80, S), (u32[]){ 200, 300 }, 2) };
	kind[7] = (typeof(*kind)){ "VIP with a pool", PORT_UNTRUST, ZONE_UNTRUST, 2, IF_DMZ, tcp("198.51.100.50", 4000, "192.0.2.14", 80, S) };
}

TEST("R15 a packet of a group that another node owns crosses as it came; the owner opens its session, and the next one is a hit")
{
	open_pair();
	kinds();
	for (u32 i = 0; i < KINDS; i++) {
		struct packet want = crossing(kind[i].p, kind[i].rg, kind[i].zone), over;

		want.b[11] = 0x88; /* this node's own */
		CHECK_AT("%s", kind[i].what);
		CHECK_OUT(here, kind[i].port, kind[i].p, IF_FABRIC);
		CHECK_EQ(here->frame.len, want.len);
		CHECK(memcmp(here->frame.data, want.b, want.len) == 0);
		CHECK_EQ(counted(here, LS_CTR_FABRIC_OUT), 1);
		CHECK_EQ(counted(here, LS_CTR_FABRIC_OUT_BYTES), kind[i].p.len - kind[i].p.l3);
		CHECK_EQ(here->e.worker_counters->c.iface_tx[IF_FABRIC][0], i + 1);
		CHECK_EQ(sessions(here), 0);
		over = left(here);
		for (u32 n = 0; n < 2; n++) {
			CHECK_OUT(there, PORT_FABRIC, over, kind[i].out);
			CHECK_EQ(counted(there, LS_CTR_FABRIC_IN), 1);
			CHECK_EQ(counted(there, LS_CTR_FABRIC_IN_BYTES), kind[i].p.len - kind[i].p.l3);
			CHECK_EQ(counted(there, n ? LS_CTR_SESSION_HITS : LS_CTR_SESSIONS_CREATED), 1);
			CHECK_EQ(there->frame.data[5] >> 4, kind[i].out == IF_DMZ ? 0xc : 0xb);
			CHECK_EQ(there->frame.data[11], kind[i].out == IF_DMZ ? 0x33 : 0x22);
		}
		CHECK_EQ(there->e.worker_counters->c.zone_in[kind[i].zone][0] > 0, 1);
		CHECK_EQ(sessions(there), i + 1);
	}
	close_pair();
}

TEST("the owner forwards what crossed as it forwards what came in by its own interface: the same bytes")
{
	open_pair();
	kinds();
	for (u32 i = 0; i < KINDS; i++) {
		struct packet own;

		CHECK_AT("%s", kind[i].what);
		CHECK_OUT(there, kind[i].port, kind[i].p, kind[i].out);
		own = left(there);
		CHECK_OUT(there, PORT_FABRIC, crossing(kind[i].p, kind[i].rg, kind[i].zone), kind[i].out);
		CHECK_EQ(there->frame.len, own.len);
		CHECK(memcmp(there->frame.data, own.b, own.len) == 0);
	}
	close_pair();
}

TEST("each role: who forwards hits, who opens, what crosses; a standby's records stay as they are (R15, R22)")
{
	static const struct {
		u32 role;
		u64 deadline;
		bool hits, opens;
	} row[] = {
		{ LS_ROLE_INIT, ~0ULL, false, false }, { LS_ROLE_STANDBY, ~0ULL, false, false }, { LS_ROLE_HOLD, ~0ULL, false, false },
		{ LS_ROLE_OWNER, ~0ULL, true, true }, { LS_ROLE_YIELD, ~0ULL, true, false }, { LS_ROLE_TAKE, ~0ULL, true, false },
		{ LS_ROLE_OWNER, 1, false, false }, { LS_ROLE_YIELD, 1, false, false },
	};

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++)
		for (u32 v6 = 0; v6 < 2; v6++) {
			const char *client = v6 ? "2001:db8:9::1" : "198.51.100.50", *vip = v6 ? "2001:db8:10::10" : "192.0.2.10";
			struct packet known = tcp(client, 4000, vip, 80, S), fresh = tcp(client, 5000, vip, 80, S), stray = tcp(client, 6000, vip, 80, A), error;
			struct ls_session before;
			char real[64];

			CHECK_AT("role %u, deadline %llu, IPv%u", row[i].role, (unsigned long long)row[i].deadline, v6 ? 6 : 4);
			open_pair();
			role_of(here, LS_ROLE_OWNER);
			CHECK_OUT(here, PORT_UNTRUST, known, IF_DMZ);
			inet_ntop(v6 ? AF_INET6 : AF_INET, here->frame.data + (v6 ? 38 : 30), real, sizeof(real));
			error = icmp_error(real, client, v6 ? 1 : 3, 3, 0, here->frame.data + 14, v6 ? 60 : 40);
			ls_table_set_role(here->t, 2, row[i].role, 1, row[i].deadline);
			for (u32 slot = 0; slot < here->t->env.slots; slot++)
				if (LS_STATE_LIFECYCLE(here->t->env.sessions[slot].state) == LS_LIVE)
					before = here->t->env.sessions[slot];
			CHECK_OUT(here, PORT_UNTRUST, known, row[i].hits ? IF_DMZ : IF_FABRIC);
			CHECK_OUT(here, PORT_DMZ, error, row[i].hits ? IF_UNTRUST : IF_FABRIC);
			for (u32 slot = 0; !row[i].hits && slot < here->t->env.slots; slot++)
				if (LS_STATE_LIFECYCLE(here->t->env.sessions[slot].state) == LS_LIVE)
					CHECK(memcmp(&before, &here->t->env.sessions[slot], sizeof(before)) == 0);
			CHECK_OUT(here, PORT_UNTRUST, fresh, row[i].opens ? IF_DMZ : IF_FABRIC);
			if (row[i].opens)
				CHECK_DROP(here, PORT_UNTRUST, stray, TCP_NOT_SYN);
			else
				CHECK_OUT(here, PORT_UNTRUST, stray, IF_FABRIC);
			CHECK_EQ(sessions(here), row[i].opens ? 2 : 1);

			/* and what comes over: once at most */
			if (row[i].hits)
				CHECK_OUT(here, PORT_FABRIC, crossing(known, 2, ZONE_UNTRUST), IF_DMZ);
			else if (row[i].deadline == 1)
				CHECK_DROP(here, PORT_FABRIC, crossing(known, 2, ZONE_UNTRUST), RG_LEASE);
			else
				CHECK_DROP(here, PORT_FABRIC, crossing(known, 2, ZONE_UNTRUST), RG_NOT_OWNER);
			if (row[i].opens)
				CHECK_OUT(here, PORT_FABRIC, crossing(tcp(client, 7000, vip, 80, S), 2, ZONE_UNTRUST), IF_DMZ);
			else
				CHECK_DROP(here, PORT_FABRIC, crossing(tcp(client, 7000, vip, 80, S), 2, ZONE_UNTRUST), RG_NOT_OWNER);
			close_pair();
		}
}

TEST("replies, errors and fragments of a session that only the owner has find it there")
{
	struct packet p = tcp("10.0.1.200", 4000, "198.51.100.50", 80, S), first, later, big, error;
	char real[16];
	u32 port;

	open_pair();
	CHECK_OUT(here, PORT_TRUST, p, IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_UNTRUST);
	port = ls_get16(there->frame.data + 34);
	big = left(there);
	/* to a pool's address: nothing here knows of the session */
	CHECK_OUT(here, PORT_UNTRUST, tcp("198.51.100.50", 80, "192.0.2.102", port, S | A), IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_TRUST);
	CHECK_OUT(here, PORT_TRUST, tcp("10.0.1.20", 4000, "192.0.2.10", 80, S), IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_DMZ);
	inet_ntop(AF_INET, there->frame.data + 30, real, sizeof(real));
	CHECK_OUT(there, PORT_DMZ, tcp(real, ls_get16(there->frame.data + 36), "10.0.1.20", 4000, S | A), IF_TRUST);
	CHECK_OUT(here, PORT_TRUST, tcp("10.0.1.20", 4000, "192.0.2.10", 80, A), IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_DMZ);
	/* an error about a session that is not here: nothing tells its group */
	error = icmp_error("198.51.100.50", "192.0.2.102", 3, 3, 0, big.b + 14, 40);
	CHECK_DROP(here, PORT_UNTRUST, error, ICMP_UNMATCHED);
	CHECK_OUT(there, PORT_FABRIC, crossing(error, 3, ZONE_UNTRUST), IF_TRUST);
	CHECK_EQ(counted(there, LS_CTR_ICMP_ERRORS), 1);

	first = udp("198.51.100.50", 4000, "192.0.2.11", 53, 40);
	ls_put16(first.b + first.l3 + 6, 0x2000);
	finish(&first, 255);
	later = ip(LS_IPPROTO_UDP, "198.51.100.50", "192.0.2.11");
	filler(&later, 24);
	ls_put16(later.b + later.l3 + 6, 48 / 8);
	finish(&later, 255);
	CHECK_OUT(here, PORT_UNTRUST, first, IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_DMZ);
	CHECK_OUT(here, PORT_UNTRUST, later, IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_DMZ);
	close_pair();
}

TEST("a frame of the fabric: only by the fabric, only with a header that can be; each is counted")
{
	static const struct {
		u32 at, value;
	} bad[] = { { 14, 0 }, { 14, 2 }, { 15, 2 }, { 15, 255 }, { 16, LS_RGS_MAX }, { 16, 255 }, { 19, 0 }, { 19, LS_ZONES_MAX }, { 18, 1 }, { 24, 0x81 }, { 25, 6 }, { 25, 0xb5 } };
	struct packet p = crossing(tcp("198.51.100.50", 4000, "192.0.2.10", 80, S), 2, ZONE_UNTRUST), q;

	open_pair();
	for (u32 i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		q = p;
		CHECK_AT("byte %u is %u", bad[i].at, bad[i].value);
		q.b[bad[i].at] = (u8)bad[i].value;
		CHECK_DROP(there, PORT_FABRIC, q, FABRIC_HEADER);
		CHECK_EQ(counted(there, LS_CTR_FABRIC_IN), 0);
	}
	for (u32 n = 14; n < p.len; n++) {
		q = p;
		q.len = n;
		CHECK_AT("cut to %u", n);
		CHECK_DROP(there, PORT_FABRIC, q, TRUNCATED);
	}
	check_where[0] = 0;
	for (u32 port = PORT_TRUST; port <= PORT_MANAGEMENT; port++)
		CHECK_DROP(there, port, p, FABRIC_IFACE);
	bank_of(there)->fabric = 0;
	CHECK_DROP(there, PORT_FABRIC, p, FABRIC_IFACE);
	bank_of(there)->fabric = IF_FABRIC;
	q = p;
	memcpy(q.b, (u8[]){ 2, 0, 0, 0, 0, 0x12 }, 6);
	CHECK_DROP(there, PORT_FABRIC, q, NOT_FOR_US);
	q.b[5] = 0x88;
	CHECK_OUT(there, PORT_FABRIC, q, IF_DMZ); /* to this node alone */
	CHECK_DROP(there, PORT_FABRIC, crossing(tcp("198.51.100.50", 4001, "192.0.2.10", 80, S), 2, ZONE_TRUST + 20), POLICY_DEFAULT); /* a zone without a rule */
	CHECK_EQ(sessions(there), 1);
	close_pair();
}

TEST("without a fabric, or with one that is down or too narrow, a packet of another's group is dropped and told apart")
{
	struct packet p = udp("198.51.100.50", 4000, "192.0.2.11", 53, 1500 - 12 - 28);
	struct packet big = udp("198.51.100.50", 4000, "192.0.2.11", 53, 1500 - 12 - 27);

	open_pair();
	CHECK_OUT(here, PORT_UNTRUST, p, IF_FABRIC);
	CHECK_EQ(here->frame.len, 14 + 1500);
	CHECK_DROP(here, PORT_UNTRUST, big, FABRIC_MTU);
	CHECK_EQ(counted(here, LS_CTR_ICMP_SENT), 0);
	bank_of(here)->iface[IF_FABRIC].flags = 0;
	CHECK_DROP(here, PORT_UNTRUST, p, TX_DOWN);
	bank_of(here)->fabric = 0;
	CHECK_DROP(here, PORT_UNTRUST, p, RG_NOT_OWNER);
	CHECK_DROP(here, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.10", 80, A), TCP_NOT_SYN);
	close_pair();
}

TEST("padding stays behind, tags do not cross, and a tagged fabric carries its own tag")
{
	struct packet p = udp("198.51.100.50", 4000, "192.0.2.11", 53, 0), over;

	open_pair();
	put(&p, NULL, 60 - p.len);
	CHECK_OUT(here, PORT_UNTRUST, p, IF_FABRIC);
	CHECK_EQ(here->frame.len, 14 + 12 + 28);
	for (u32 i = 0; i < 2; i++) {
		struct ls_config *c = bank_of(i ? there : here);

		c->iface[IF_FABRIC].outer_vlan = 77;
		bank_iface_add(c, IF_FABRIC, c->iface[IF_FABRIC]);
	}
	CHECK_OUT(here, PORT_UNTRUST, p, IF_FABRIC);
	CHECK_EQ(here->frame.len, 18 + 12 + 28);
	CHECK_EQ(ls_get16(here->frame.data + 12), LS_ETH_VLAN);
	CHECK_EQ(ls_get16(here->frame.data + 14), 77);
	over = left(here);
	put(&over, NULL, 4); /* a switch pads too */
	CHECK_OUT(there, PORT_FABRIC, over, IF_DMZ);
	close_pair();
}

TEST("what the owner answers leaves by its own way to the sender, not over the fabric")
{
	struct packet p = udp("10.0.4.10", 4000, "10.0.3.10", 53, 8), q;
	const u8 *h;

	open_pair();
	/* time exceeded, to a client behind a VLAN: the standby leaves it to the owner on a hit, and says it itself otherwise */
	CHECK_OUT(there, PORT_FABRIC, crossing(p, 1, ZONE_GUESTS), IF_DMZ);
	p.b[p.l3 + 8] = 1;
	finish(&p, LS_IPPROTO_UDP);
	CHECK_OUT(there, PORT_FABRIC, crossing(p, 1, ZONE_GUESTS), IF_VLAN);
	CHECK(there->pkt.flags & LS_PF_GENERATED);
	CHECK_EQ(there->frame.data[5], 0xa7);
	CHECK_EQ(there->frame.data[11], 0x44);
	CHECK_EQ(ls_get16(there->frame.data + 14), 100);
	h = there->frame.data + 18;
	CHECK(memcmp(h + 12, &addr("10.0.4.1").w[3], 4) == 0 && memcmp(h + 16, &addr("10.0.4.10").w[3], 4) == 0);
	CHECK_EQ(h[20], 11);
	CHECK_EQ(there->frame.len, 18 + 28 + 36);

	/* too big, IPv6 */
	q = udp("2001:db8:9::1", 4000, "2001:db8:10::30", 53, 1400);
	CHECK_OUT(there, PORT_FABRIC, crossing(q, 1, ZONE_UNTRUST), IF_UNTRUST);
	h = there->frame.data + 14;
	CHECK_EQ(h[40], 2);
	CHECK_EQ(ls_get32(h + 44), 1400);

	/* a reset of a policy */
	q = tcp("10.0.1.10", 4000, "198.51.100.66", 80, S);
	CHECK_OUT(there, PORT_FABRIC, crossing(q, 1, ZONE_TRUST), IF_TRUST);
	CHECK_EQ(there->frame.data[5], 0xa1);
	CHECK_EQ(there->frame.data[14 + 33], LS_TCP_RST | LS_TCP_ACK);
	CHECK_EQ(there->frame.len, 54);

	/* an echo of an address of ours */
	q = echo("10.0.1.10", "192.0.2.10", 7, false, 30);
	CHECK_OUT(here, PORT_TRUST, q, IF_FABRIC);
	CHECK_OUT(there, PORT_FABRIC, left(here), IF_TRUST);
	CHECK_EQ(there->frame.data[5], 0xa1);
	CHECK_EQ(there->frame.data[14 + 20], 0);
	CHECK_EQ(there->frame.len, q.len);

	/* a sender to whom there is no way is told nothing */
	q = udp("10.67.1.1", 4000, "10.0.3.10", 53, 8);
	q.b[q.l3 + 8] = 1;
	finish(&q, LS_IPPROTO_UDP);
	CHECK_DROP(there, PORT_FABRIC, crossing(q, 1, ZONE_GUESTS), TTL_EXPIRED);
	close_pair();
}

TEST("D1 nothing that crossed reaches the host's stack: neither its addresses, nor multicast, nor discovery; no other ethertype crosses")
{
	struct packet nd = ip(58, "2001:db8:2::50", "2001:db8:10::10");
	struct ls_addr target = addr("2001:db8:10::10");

	put32(&nd, 135u << 24);
	put32(&nd, 0);
	put(&nd, target.b, 16);
	put(&nd, (u8[]){ 1, 1, 2, 0, 0, 0, 0, 0x99 }, 8);
	nd.b[nd.l3 + 7] = 255;
	finish(&nd, 58);
	open_pair();
	CHECK_DROP(there, PORT_FABRIC, crossing(nd, 2, ZONE_UNTRUST), HOST_INBOUND);
	CHECK_DROP(there, PORT_FABRIC, crossing(udp("10.0.1.10", 4000, "10.0.1.1", 53, 4), 1, ZONE_TRUST), HOST_INBOUND);
	CHECK_DROP(there, PORT_FABRIC, crossing(udp("10.0.3.10", 4000, "224.0.0.5", 53, 4), 1, ZONE_DMZ), HOST_INBOUND);
	CHECK_EQ(lane_run(here, PORT_TRUST, udp("10.0.1.10", 4000, "10.0.1.1", 53, 4)), LS_V_HOST); /* a standby's own */
	CHECK_EQ(lane_run(here, PORT_UNTRUST, nd), LS_V_DROP);
	CHECK_EQ(here->pkt.drop, LS_DROP_OWN_ADDRESS);
	CHECK_OUT(here, PORT_TRUST, udp("10.0.1.10", 4000, "10.0.3.10", 53, 4), IF_DMZ); /* of no group */
	CHECK_EQ(counted(here, LS_CTR_FABRIC_OUT), 0);
	close_pair();
}

CHECK_MAIN
