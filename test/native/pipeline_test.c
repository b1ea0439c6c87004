/* The packet path against truth tables: what each packet becomes, why each drop, every checksum recomputed from scratch. The router is
 * topology.h; golden packets for other builds are in test/fixtures/packets (golden_test.c).
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "lane_check.h"
#include "pipeline/host_flow.h"
#include "table_fixture.h"

#define S LS_TCP_SYN
#define A LS_TCP_ACK
#define F LS_TCP_FIN
#define R LS_TCP_RST
#define P LS_TCP_PSH

static struct lane *left_open; /* by a test that failed */

static struct lane *open_router(void)
{
	struct ls_table *t;

	if (left_open) {
		ls_table_close(left_open->t);
		free(left_open);
	}
	t = table_new(1 << 10);
	standard_table(t);
	return left_open = lane_open(t, 0);
}

static void close_router(struct lane *w)
{
	struct ls_table *t = w->t;

	ls_worker_detach(t, w->e.worker_id);
	CHECK_CLEAN(t);
	left_open = NULL;
	ls_table_close(t);
	free(w);
}

#define CHECK_V(w, port, packet, verdict)                                                                                         \
	do {                                                                                                                      \
		u32 check_v = lane_run(w, port, packet);                                                                        \
		if (check_v != (verdict))                                                                                         \
			CHECK_FAIL("verdict %u (drop %s), expected %s", check_v, drop_names[(w)->pkt.drop], #verdict);            \
	} while (0)
#define CHECK_TX(w, port, packet, iface)                        \
	do {                                                    \
		CHECK_V(w, port, packet, LS_V_TX);              \
		CHECK_EQ((w)->pkt.out_iface, iface);            \
	} while (0)

static const u8 *l3_of(const struct lane *w) { return w->frame.data + frame_l3(w->frame.data, w->frame.len); }
static const u8 *l4_of(const struct lane *w) { return l3_of(w) + (l3_of(w)[0] >> 4 == 6 ? 40 : (l3_of(w)[0] & 15u) * 4); }

static bool ip_is(const u8 *l3, bool dst, const char *want)
{
	struct ls_addr a = addr(want);

	return l3[0] >> 4 == 6 ? memcmp(l3 + (dst ? 24 : 8), a.b, 16) == 0 : memcmp(l3 + (dst ? 16 : 12), &a.w[3], 4) == 0;
}
#define CHECK_IP(l3, src, dst)                     \
	do {                                       \
		CHECK(ip_is(l3, false, src));      \
		CHECK(ip_is(l3, true, dst));       \
	} while (0)

static bool mac_is(const u8 *b, u8 last)
{
	u8 mac[6];

	mac_of(last, mac);
	return memcmp(b, mac, 6) == 0;
}

static struct packet cut(struct packet p, u32 len)
{
	p.len = len;
	return p;
}

static struct ls_session *session_of(struct lane *w, const struct packet *p, u32 *dir)
{
	struct ls_pkt k = { 0 };
	struct ls_buf b = { .data = (u8 *)p->b, .len = p->len };
	u32 gen, ref;

	k.buf = &b;
	if (ls_parse_link(port_config(&w->e), &k, PORT_TRUST) != LS_DROP_NONE || ls_parse_network(&k) != LS_DROP_NONE)
		return NULL;
	ref = ls_index_find(&w->e, ls_hash_key(port_hash_key(&w->e), &k.key, port_bucket_mask(&w->e)), &k.key, LS_SLOT_NONE, &gen);
	if (dir)
		*dir = LS_REF_DIR(ref);
	return ref == LS_REF_NONE ? NULL : &w->t->env.sessions[LS_REF_SLOT(ref)];
}

/* --- parse ------------------------------------------------------------------------------------------------------------------------------ */

TEST("parse: every packet cut at every byte is a counted drop, never a read beyond its end")
{
	struct lane *w = open_router();
	struct packet inner = tcp("192.0.2.100", 5000, "198.51.100.50", 80, S), kind[] = {
		udp("10.0.1.10", 1, "198.51.100.50", 2, 9), tcp("10.0.1.10", 1, "198.51.100.50", 2, S), echo("10.0.1.10", "198.51.100.50", 9, false, 5),
		udp("fd00:1::10", 1, "2001:db8:9::1", 2, 9), tcp("fd00:1::10", 1, "2001:db8:9::1", 2, S), echo("fd00:1::10", "2001:db8:9::1", 9, false, 5),
		icmp_error("198.51.100.50", "192.0.2.100", 3, 1, 0, inner.b + inner.l3, 28), tagged(udp("10.0.4.10", 1, "198.51.100.50", 2, 9), (u32[]){ 100 }, 1),
	};

	for (u32 k = 0; k < sizeof(kind) / sizeof(*kind); k++)
		for (u32 len = 0; len < kind[k].len; len++) {
			u8 *exact = malloc(len ? len : 1); /* its own allocation: the sanitizer sees the end */
			u32 v, reason;

			memcpy(exact, kind[k].b, len);
			CHECK_AT("kind %u cut to %u", k, len);
			v = lane_run_bytes(w, kind[k].b[5] == 0x22 ? PORT_UNTRUST : PORT_TRUST, exact, len);
			free(exact);
			reason = w->pkt.drop;
			CHECK_EQ(v, LS_V_DROP);
			CHECK(reason == LS_DROP_TRUNCATED || (len >= 14 && len < 18 && reason == LS_DROP_UNKNOWN_IFACE));
		}
	close_router(w);
}

TEST("parse: every packet shortened in its headers' own words is malformed or truncated")
{
	struct lane *w = open_router();
	struct packet kind[] = { udp("10.0.1.10", 1, "198.51.100.50", 2, 9), tcp("10.0.1.10", 1, "198.51.100.50", 2, S),
		echo("10.0.1.10", "198.51.100.50", 9, false, 5), udp("fd00:1::10", 1, "2001:db8:9::1", 2, 9),
		tcp("fd00:1::10", 1, "2001:db8:9::1", 2, S), echo("fd00:1::10", "2001:db8:9::1", 9, false, 5) };

	for (u32 k = 0; k < 6; k++) {
		bool v6 = k >= 3;
		u32 full = kind[k].len - kind[k].l3, need = (v6 ? 40u : 20u) + (k % 3 == 1 ? 20 : 8);

		for (u32 total = 0; total < 65536; total += total < 200 ? 1 : 997) {
			struct packet p = kind[k];
			u32 v;

			if (v6 && total < 40)
				continue;
			ls_put16(p.b + p.l3 + (v6 ? 4 : 2), (u16)(v6 ? total - 40 : total));
			if (!v6) {
				ls_put16(p.b + p.l3 + 10, 0);
				ls_put16(p.b + p.l3 + 10, (u16)~plain_sum(p.b + p.l3, 20, 0));
			}
			CHECK_AT("kind %u total %u", k, total);
			v = lane_send(w, PORT_TRUST, p.b, p.len);
			CHECK(accounted(w, v) == NULL);
			if (total > full) {
				CHECK_EQ(w->pkt.drop, LS_DROP_TRUNCATED);
			} else if (!v6 && total < 20) {
				CHECK_EQ(w->pkt.drop, LS_DROP_MALFORMED_IP4);
			} else if (total < need || (k % 3 == 0 && total < full)) { /* UDP: its length field now lies */
				CHECK_EQ(w->pkt.drop, LS_DROP_MALFORMED_L4);
			} else {
				CHECK(v != LS_V_DROP);
			}
		}
	}
	close_router(w);
}

TEST("parse: malformed headers, one by one")
{
	struct lane *w = open_router();
	struct packet p, u4 = udp("10.0.1.10", 1, "198.51.100.50", 2, 9), t4 = tcp("10.0.1.10", 1, "198.51.100.50", 2, S),
		u6 = udp("fd00:1::10", 1, "2001:db8:9::1", 2, 9);

	p = u4; p.b[p.l3] = 0x55; CHECK_DROP(w, PORT_TRUST, p, MALFORMED_IP4);
	p = u4; p.b[p.l3] = 0x44; CHECK_DROP(w, PORT_TRUST, p, MALFORMED_IP4);
	p = u4; p.b[p.l3 + 10] ^= 1; CHECK_DROP(w, PORT_TRUST, p, BAD_CHECKSUM);
	p = u4; p.b[p.l3 + 16] ^= 1; CHECK_DROP(w, PORT_TRUST, p, BAD_CHECKSUM);
	p = u6; p.b[p.l3] = 0x40; CHECK_DROP(w, PORT_TRUST, p, MALFORMED_IP6);
	p = t4; p.b[p.l4 + 12] = 0x40; CHECK_DROP(w, PORT_TRUST, p, MALFORMED_L4);
	p = t4; p.b[p.l4 + 12] = 0x60; CHECK_DROP(w, PORT_TRUST, p, MALFORMED_L4);
	p = u4; ls_put16(p.b + p.l4 + 4, 7); CHECK_DROP(w, PORT_TRUST, p, MALFORMED_L4);
	p = u4; ls_put16(p.b + p.l4 + 4, 18); CHECK_DROP(w, PORT_TRUST, p, MALFORMED_L4);
	p = ip(58, "10.0.1.10", "198.51.100.50"); filler(&p, 8); finish(&p, 255); CHECK_DROP(w, PORT_TRUST, p, UNKNOWN_PROTOCOL);
	p = ip(1, "fd00:1::10", "2001:db8:9::1"); filler(&p, 8); finish(&p, 255); CHECK_DROP(w, PORT_TRUST, p, UNKNOWN_PROTOCOL);
	p = u4; ls_put16(p.b + 12, 0x1234); CHECK_DROP(w, PORT_TRUST, p, UNKNOWN_ETHERTYPE);
	p = u4; ls_put16(p.b + 12, LS_ETH_LLDP); CHECK_V(w, PORT_TRUST, p, LS_V_HOST);
	p = u4; ls_put16(p.b + 12, LS_ETH_SLOW); CHECK_V(w, PORT_TRUST, p, LS_V_HOST);
	p = u4; p.b[5] = 0x12; CHECK_DROP(w, PORT_TRUST, p, NOT_FOR_US);
	CHECK_DROP(w, 8, u4, UNKNOWN_IFACE);
	/* padding after the packet is no part of it */
	p = u4; put(&p, NULL, 30); CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
	close_router(w);
}

TEST("what a policy says about replication is in the record, and in that of its next life")
{
	struct lane *w = open_router();
	struct packet now = udp("10.0.1.10", 1, "10.0.3.10", 2, 9), late = udp("10.0.3.10", 1, "198.51.100.50", 2, 9), never = udp("10.0.4.10", 1, "198.51.100.50", 2, 9);
	const u32 mask = LS_SF_NO_SYNC | LS_SF_LATE;
	struct ls_session *s;

	for (u32 i = 0; i < LS_RGS_MAX; i++)
		w->t->env.rgs[i].seen_floor_ns = 0;
	CHECK_TX(w, PORT_TRUST, now, IF_DMZ);
	CHECK_TX(w, PORT_TRUST, tagged(never, (u32[]){ 100 }, 1), IF_UNTRUST);
	CHECK_TX(w, PORT_DMZ, late, IF_UNTRUST);
	CHECK_EQ(session_of(w, &now, NULL)->flags & mask, 0);
	CHECK_EQ(session_of(w, &never, NULL)->flags & mask, LS_SF_NO_SYNC);
	s = session_of(w, &late, NULL);
	CHECK_EQ(s->flags & mask, LS_SF_LATE);
	CHECK_EQ(s->sync_after, 30);
	CHECK(ls_session_private(s) && !ls_session_private(session_of(w, &now, NULL)));
	s->state |= LS_STATE_FLOW_BIT(LS_FLOW_SHARED);
	CHECK(!ls_session_private(s));
	w->shift_ns = 31000000000ULL;
	CHECK_TX(w, PORT_DMZ, late, IF_UNTRUST);
	CHECK_EQ(counted(w, LS_CTR_SESSIONS_REVIVED), 1);
	CHECK(s->sync_after == 30 && ls_session_private(s)); /* nobody was told of this life */
	close_router(w);
}

TEST("bytes: a zone counts layer 3 on both sides, without tags and padding; the wire counts frames (R20)")
{
	struct lane *w = open_router();
	struct ls_counters *c = &w->e.worker_counters->c;
	struct packet p = tagged(udp("10.0.4.10", 1, "10.0.3.10", 2, 9), (u32[]){ 100 }, 1), q = udp("10.0.1.10", 1, "10.0.3.10", 2, 9);

	put(&p, NULL, 30);
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	CHECK_EQ(c->zone_in[ZONE_GUESTS][0], 1);
	CHECK_EQ(c->zone_in[ZONE_GUESTS][1], 20 + 8 + 9);
	CHECK_EQ(c->zone_out[ZONE_DMZ][0], 1);
	CHECK_EQ(c->zone_out[ZONE_DMZ][1], 20 + 8 + 9);
	CHECK_EQ(c->iface_rx[IF_VLAN][1], p.len);
	CHECK_EQ(c->iface_tx[IF_DMZ][1], port_len(&w->frame));
	/* what is not IP counts from behind its link header */
	ls_put16(q.b + 12, 0x1234);
	CHECK_DROP(w, PORT_TRUST, q, UNKNOWN_ETHERTYPE);
	CHECK_EQ(c->zone_in[ZONE_TRUST][1], q.len - 14);
	close_router(w);
}

TEST("parse: zero to three VLAN tags, priority tags, and the tag of the way out")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.4.10", 1, "10.0.3.10", 2, 9), q = udp("10.0.5.10", 1, "10.0.3.10", 2, 9);

	CHECK_TX(w, PORT_TRUST, tagged(p, (u32[]){ 100 }, 1), IF_DMZ);
	CHECK_EQ(w->pkt.zone_in, ZONE_GUESTS);
	CHECK_EQ(ls_get16(w->frame.data + 12), LS_ETH_IP4);
	CHECK_TX(w, PORT_TRUST, tagged(p, (u32[]){ 0x3000 | 100 }, 1), IF_DMZ); /* priority bits are not part of the id */
	CHECK_DROP(w, PORT_TRUST, tagged(p, (u32[]){ 101 }, 1), UNKNOWN_IFACE);
	CHECK_TX(w, PORT_TRUST, tagged(q, (u32[]){ 200, 300 }, 2), IF_DMZ);
	CHECK_DROP(w, PORT_TRUST, tagged(q, (u32[]){ 200 }, 1), UNKNOWN_IFACE);
	CHECK_DROP(w, PORT_TRUST, tagged(q, (u32[]){ 300, 200 }, 2), UNKNOWN_IFACE);
	CHECK_DROP(w, PORT_TRUST, tagged(q, (u32[]){ 1, 200, 300 }, 3), TOO_MANY_VLANS);
	/* VLAN 0: only a priority, the frame is untagged */
	CHECK_TX(w, PORT_TRUST, tagged(udp("10.0.1.10", 1, "10.0.3.10", 2, 9), (u32[]){ 0x6000 }, 1), IF_DMZ);
	/* and back: one tag, two tags */
	CHECK_TX(w, PORT_DMZ, udp("10.0.3.10", 2, "10.0.4.10", 1, 9), IF_VLAN);
	CHECK_EQ(ls_get16(w->frame.data + 12), LS_ETH_VLAN);
	CHECK_EQ(ls_get16(w->frame.data + 14), 100);
	CHECK(mac_is(w->frame.data, 0xa7) && mac_is(w->frame.data + 6, 0x44));
	CHECK_TX(w, PORT_DMZ, udp("10.0.3.10", 2, "10.0.5.10", 1, 9), IF_QINQ);
	CHECK_EQ(ls_get16(w->frame.data + 12), LS_ETH_QINQ);
	CHECK_EQ(ls_get16(w->frame.data + 14), 200);
	CHECK_EQ(ls_get16(w->frame.data + 16), LS_ETH_VLAN);
	CHECK_EQ(ls_get16(w->frame.data + 18), 300);
	CHECK_EQ(ls_get16(w->frame.data + 20), LS_ETH_IP4);
	close_router(w);
}

/* The IPv4 packet with `options` (a multiple of four bytes) put in. */
static struct packet with_options(struct packet p, const u8 *options, u32 n)
{
	memmove(p.b + p.l3 + 20 + n, p.b + p.l3 + 20, p.len - p.l3 - 20);
	memcpy(p.b + p.l3 + 20, options, n);
	p.len += n;
	p.l4 += n;
	p.b[p.l3] = (u8)(0x45 + n / 4);
	finish(&p, p.b[p.l3 + 9]);
	return p;
}

TEST("parse: IPv4 options pass, broken ones do not, source routes are a screen's business")
{
	static const u8 nops[40] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0 };
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 1, "10.0.3.10", 2, 9);

	for (u32 n = 4; n <= 40; n += 4)
		CHECK_TX(w, PORT_TRUST, with_options(p, nops, n), IF_DMZ);
	CHECK_TX(w, PORT_TRUST, with_options(p, (u8[]){ 148, 4, 0, 0 }, 4), IF_DMZ);
	CHECK_TX(w, PORT_TRUST, with_options(p, (u8[]){ 0, 9, 9, 9 }, 4), IF_DMZ); /* end of list */
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 148, 5, 0, 0 }, 4), MALFORMED_IP4);
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 148, 1, 0, 0 }, 4), MALFORMED_IP4);
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 148, 0, 0, 0 }, 4), MALFORMED_IP4);
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 1, 1, 1, 148 }, 4), MALFORMED_IP4);
	CHECK_TX(w, PORT_TRUST, with_options(p, (u8[]){ 131, 3, 4, 0 }, 4), IF_DMZ);
	w->t->env.banks[w->t->env.header->active_bank & 1].zone[ZONE_TRUST].screens = 1 << LS_SCREEN_SOURCE_ROUTE;
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 131, 3, 4, 0 }, 4), SCREEN_SOURCE_ROUTE);
	CHECK_DROP(w, PORT_TRUST, with_options(p, (u8[]){ 1, 137, 3, 4 }, 4), SCREEN_SOURCE_ROUTE);
	CHECK_TX(w, PORT_TRUST, with_options(p, (u8[]){ 148, 4, 0, 0 }, 4), IF_DMZ);
	close_router(w);
}

/* An IPv6 UDP packet with the extension headers of `types`, each eight bytes. */
static struct packet chain(const u8 *types, u32 n)
{
	struct packet p = ip(n ? types[0] : 17, "fd00:1::10", "fd00:3::10");

	for (u32 i = 0; i < n; i++) {
		put8(&p, i + 1 < n ? types[i + 1] : 17);
		put8(&p, 0);
		put16(&p, types[i] == 43 ? 0x0400 : 0); /* routing: type 4; fragment: offset 0, no more */
		put32(&p, 7);
	}
	p.l4 = p.len;
	put16(&p, 1);
	put16(&p, 2);
	put32(&p, 0);
	filler(&p, 8);
	finish(&p, 17);
	return p;
}

TEST("parse: IPv6 extension chains in order pass up to the bound, others have their reason")
{
	struct lane *w = open_router();
	struct packet p;

	CHECK_TX(w, PORT_TRUST, chain(NULL, 0), IF_DMZ);
	CHECK_TX(w, PORT_TRUST, chain((u8[]){ 0 }, 1), IF_DMZ);
	CHECK_TX(w, PORT_TRUST, chain((u8[]){ 0, 60, 43, 60 }, 4), IF_DMZ);
	CHECK_TX(w, PORT_TRUST, chain((u8[]){ 44 }, 1), IF_DMZ); /* an atomic fragment, RFC 6946 */
	CHECK_TX(w, PORT_TRUST, chain((u8[]){ 60, 60, 60, 60, 60, 60, 60, 60 }, 8), IF_DMZ);
	CHECK_DROP(w, PORT_TRUST, chain((u8[]){ 60, 60, 60, 60, 60, 60, 60, 60, 60 }, 9), EXT_HEADERS);
	CHECK_DROP(w, PORT_TRUST, chain((u8[]){ 60, 0 }, 2), EXT_HEADERS);
	CHECK_DROP(w, PORT_TRUST, chain((u8[]){ 44, 44 }, 2), EXT_HEADERS);
	p = chain((u8[]){ 60 }, 1);
	p.b[p.l3 + 41] = 9; /* longer than the packet */
	CHECK_DROP(w, PORT_TRUST, p, MALFORMED_IP6);
	p = chain((u8[]){ 51 }, 1); /* AH counts in words of four */
	p.b[p.l3 + 41] = 0;
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	p = ip(60, "fd00:1::10", "fd00:3::10");
	filler(&p, 4);
	finish(&p, 255);
	CHECK_DROP(w, PORT_TRUST, p, MALFORMED_IP6);
	p = chain((u8[]){ 43 }, 1);
	p.b[p.l3 + 42] = 0; /* routing type 0 */
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	w->t->env.banks[w->t->env.header->active_bank & 1].zone[ZONE_TRUST].screens = 1 << LS_SCREEN_SOURCE_ROUTE;
	CHECK_DROP(w, PORT_TRUST, p, SCREEN_SOURCE_ROUTE);
	CHECK_V(w, PORT_TRUST, ip(59, "fd00:1::10", "2001:db8:2::66"), LS_V_TX); /* no next header: a protocol like any other, here rejected */
	CHECK_EQ(w->pkt.drop, LS_DROP_POLICY_REJECT);
	close_router(w);
}

TEST("martians are not forwarded: loopback, multicast sources, 0/8, class E, v4-mapped IPv6, link-local IPv6 to elsewhere")
{
	struct lane *w = open_router();
	static const char *const bad[][2] = { { "127.0.0.1", "10.0.3.10" }, { "10.0.1.10", "127.0.0.1" }, { "224.0.0.1", "10.0.3.10" }, { "0.0.0.0", "10.0.3.10" },
		{ "0.1.2.3", "10.0.3.10" }, { "255.255.255.255", "10.0.3.10" }, { "10.0.1.10", "0.0.0.0" }, { "::1", "fd00:3::10" }, { "fd00:1::10", "::1" },
		{ "ff02::1", "fd00:3::10" }, { "::", "fd00:3::10" }, { "fd00:1::10", "::" } };

	for (u32 i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct packet p = udp(bad[i][0], 1, bad[i][1], 2, 9);

		p.b[5] = 0x11;
		CHECK_AT("%s > %s", bad[i][0], bad[i][1]);
		CHECK_DROP(w, PORT_TRUST, p, MARTIAN);
	}
	{
		struct packet p = udp("fd00:1::10", 1, "fd00:3::10", 2, 9);
		struct ls_addr mapped = addr("192.0.2.10");

		check_where[0] = 0;
		memcpy(p.b + p.l3 + 24, mapped.b, 16);
		finish(&p, 17);
		CHECK_DROP(w, PORT_TRUST, p, MARTIAN);
		p = udp("fd00:1::10", 1, "fd00:3::10", 2, 9);
		memcpy(p.b + p.l3 + 8, mapped.b, 16);
		finish(&p, 17);
		CHECK_DROP(w, PORT_TRUST, p, MARTIAN);
		p = udp("fe80::10", 1, "fd00:3::10", 2, 9);
		p.b[5] = 0x11;
		CHECK_DROP(w, PORT_TRUST, p, MARTIAN);
		p = udp("fd00:1::10", 1, "fe80::99", 2, 9);
		CHECK_DROP(w, PORT_TRUST, p, MARTIAN);
	}
	close_router(w);
}

/* --- fragments ---------------------------------------------------------------------------------------------------------------------------- */

/* Fragment of `p` (a finished UDP or TCP packet): payload bytes from..to of the network payload. */
static struct packet fragment(const struct packet *whole, u32 from, u32 to)
{
	struct packet p = *whole;
	u32 end = whole->len - whole->l3, head = is6(whole, whole->l3) ? 40 : 20, more = to < end - head;

	if (is6(whole, whole->l3)) {
		p.len = p.l3 + 40;
		p.b[p.l3 + 6] = 44;
		put8(&p, whole->b[whole->l3 + 6]);
		put8(&p, 0);
		put16(&p, from | more);
		put32(&p, 0x01020304);
		put(&p, whole->b + whole->l3 + 40 + from, to - from);
		ls_put16(p.b + p.l3 + 4, (u16)(p.len - p.l3 - 40));
	} else {
		p.len = p.l3 + 20;
		ls_put16(p.b + p.l3 + 6, (u16)(from / 8 | (more ? 0x2000 : 0)));
		put(&p, whole->b + whole->l3 + 20 + from, to - from);
		finish(&p, 255);
	}
	return p;
}

TEST("later fragments follow the first through NAT; without it, or where the zone says so, they are dropped")
{
	static const char *const pair[][3] = { { "10.0.1.10", "198.51.100.50", "192.0.2.10" }, { "fd00:1::10", "2001:db8:9::1", "2001:db8:10::10" } };

	for (u32 k = 0; k < 2; k++) {
		struct lane *w = open_router();
		struct packet whole = udp(pair[k][0], 4000, pair[k][1], 53, 100), first = fragment(&whole, 0, 48), later = fragment(&whole, 48, 96),
			last = fragment(&whole, 96, 108), tiny;
		u8 rebuilt[256];
		const u8 *h;
		u32 head = k ? 48 : 20;

		CHECK_AT("family %u", k);
		CHECK_DROP(w, PORT_TRUST, later, FRAG_NO_FIRST);
		CHECK_TX(w, PORT_TRUST, first, IF_UNTRUST);
		memcpy(rebuilt, l3_of(w) + head, 48);
		CHECK_TX(w, PORT_TRUST, later, IF_UNTRUST);
		h = l3_of(w);
		memcpy(rebuilt + 48, h + head, 48);
		CHECK_TX(w, PORT_TRUST, last, IF_UNTRUST);
		memcpy(rebuilt + 96, l3_of(w) + head, 12);
		/* put together again the datagram has a right sum: addresses of all fragments agree */
		{
			u8 all[512];

			memcpy(all, l3_of(w), 40);
			memcpy(all + (k ? 40 : 20), rebuilt, 108);
			CHECK_EQ(l4_sum(all, 0, k ? 40 : 20, (k ? 40 : 20) + 108, 17), 0xffff);
		}
		CHECK_EQ(session_of(w, &whole, NULL)->packets[0], 3);
		/* another identification is another datagram */
		tiny = later;
		tiny.b[k ? tiny.l3 + 47 : tiny.l3 + 5] ^= 1;
		if (!k)
			finish(&tiny, 255);
		CHECK_DROP(w, PORT_TRUST, tiny, FRAG_NO_FIRST);
		w->shift_ns = (LS_FRAG_TIMEOUT_MS + 1) * 1000000ULL;
		CHECK_DROP(w, PORT_TRUST, later, FRAG_NO_FIRST);
		w->t->env.banks[w->t->env.header->active_bank & 1].zone[ZONE_TRUST].flags |= LS_ZF_FRAGS_DROP;
		CHECK_DROP(w, PORT_TRUST, first, FRAG_DROPPED);
		CHECK_DROP(w, PORT_TRUST, later, FRAG_DROPPED);
		close_router(w);
	}
}

TEST("fragments that cut or overlap a TCP header are dropped (RFC 3128)")
{
	struct lane *w = open_router();
	struct packet whole = tcp("10.0.1.10", 4000, "198.51.100.50", 53, S), cut8 = fragment(&whole, 0, 8), at8 = fragment(&whole, 8, 20),
		whole6 = tcp("fd00:1::10", 4000, "2001:db8:2::50", 53, S), cut6 = fragment(&whole6, 0, 16), at16 = fragment(&whole6, 16, 20);

	CHECK_DROP(w, PORT_TRUST, cut8, FRAG_OVERLAP);
	CHECK_DROP(w, PORT_TRUST, at8, FRAG_OVERLAP);
	CHECK_DROP(w, PORT_TRUST, cut6, FRAG_OVERLAP);
	CHECK_DROP(w, PORT_TRUST, at16, FRAG_OVERLAP);
	close_router(w);
}

/* --- screens -------------------------------------------------------------------------------------------------------------------------------- */

static struct ls_zone *zone_of(struct lane *w, u32 zone) { return &w->t->env.banks[w->t->env.header->active_bank & 1].zone[zone]; }

TEST("screens by shape: each fires on its packet, counts, and lets the honest one pass")
{
	struct lane *w = open_router();
	struct packet big = udp("10.0.1.10", 1, "198.51.100.50", 2, 108), p;
	u32 all = 0;

	for (u32 i = LS_SCREEN_LAND; i <= LS_SCREEN_FIN_NO_ACK; i++)
		all |= 1u << i;
	zone_of(w, ZONE_TRUST)->screens = all;
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "10.0.1.10", 7, S), SCREEN_LAND);
	CHECK_EQ(w->e.worker_counters->c.screens[ZONE_TRUST][LS_SCREEN_LAND], 1);
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 7, "10.0.1.10", 7, 1), SCREEN_LAND);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, S | F), SCREEN_SYN_FIN);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, S | F | A), SCREEN_SYN_FIN);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, 0), SCREEN_NO_FLAGS);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, F), SCREEN_FIN_NO_ACK);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, F | P), SCREEN_FIN_NO_ACK);
	p = fragment(&big, 0, 44); /* not a multiple of eight with more to come */
	CHECK_DROP(w, PORT_TRUST, p, SCREEN_TEARDROP);
	p = fragment(&big, 8, 24);
	CHECK_DROP(w, PORT_TRUST, p, SCREEN_TEARDROP);
	p = fragment(&big, 0, 48);
	CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
	p = echo("10.0.1.10", "198.51.100.50", 5, false, 100);
	p = fragment(&p, 40, 108);
	ls_put16(p.b + p.l3 + 6, 0x1fff);
	finish(&p, 255);
	CHECK_DROP(w, PORT_TRUST, p, SCREEN_PING_OF_DEATH);
	CHECK_TX(w, PORT_TRUST, tcp("10.0.1.10", 7, "198.51.100.50", 8, S), IF_UNTRUST);
	close_router(w);
}

TEST("screens by rate: the packet after the limit is dropped, the next window starts anew; ICMP errors are ICMP")
{
	struct lane *w = open_router();
	struct ls_zone *z = zone_of(w, ZONE_TRUST);
	struct packet inner = udp("198.51.100.50", 9, "192.0.2.100", 9, 8), unmatched = icmp_error("10.0.1.10", "198.51.100.50", 3, 1, 0, inner.b + inner.l3, 28),
		broken = icmp_error("10.0.1.10", "10.0.1.1", 3, 1, 0, inner.b, 28);

	for (u32 i = 0; i < 16; i++)
		z->limit[i] = 3;
	z->screens = 1 << LS_SCREEN_UDP_FLOOD | 1 << LS_SCREEN_ICMP_FLOOD | 1 << LS_SCREEN_SYN_FLOOD;
	for (u32 round = 0; round < 2; round++) {
		/* start inside a window, not at its end */
		w->shift_ns = (2 + 2 * round) * (1ULL << 30) - ls_clock_ns() % (1ULL << 30);
		for (u32 i = 0; i < 5; i++) {
			CHECK_AT("round %u packet %u", round, i);
			if (i < 3) {
				CHECK_TX(w, PORT_TRUST, udp("10.0.1.10", 1000 + i, "198.51.100.50", 2, 9), IF_UNTRUST);
				CHECK_TX(w, PORT_TRUST, tcp("10.0.1.10", 1000 + i, "198.51.100.50", 2 + round, S), IF_UNTRUST);
			} else {
				CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1000 + i, "198.51.100.50", 2, 9), SCREEN_UDP_FLOOD);
				CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 1000 + i, "198.51.100.50", 2 + round, S), SCREEN_SYN_FLOOD);
			}
		}
		CHECK_TX(w, PORT_TRUST, echo("10.0.1.10", "198.51.100.50", 1, false, 8), IF_UNTRUST);
		/* errors count too, whatever they quote, and so do those that quote nonsense */
		CHECK_DROP(w, PORT_TRUST, unmatched, ICMP_UNMATCHED);
		CHECK_V(w, PORT_TRUST, broken, LS_V_HOST);
		CHECK_DROP(w, PORT_TRUST, unmatched, SCREEN_ICMP_FLOOD);
		CHECK_DROP(w, PORT_TRUST, broken, SCREEN_ICMP_FLOOD);
		CHECK_DROP(w, PORT_TRUST, echo("10.0.1.10", "198.51.100.50", 1, false, 8), SCREEN_ICMP_FLOOD);
	}
	close_router(w);
}

TEST("screens by source: one source reaches its limit, its neighbour does not; scans and session limits")
{
	struct lane *w = open_router();
	struct ls_zone *z = zone_of(w, ZONE_TRUST);

	w->shift_ns = 2 * (1ULL << 30) - ls_clock_ns() % (1ULL << 30);
	z->limit[LS_SCREEN_SYN_SOURCE] = 3;
	z->screens = 1 << LS_SCREEN_SYN_SOURCE;
	for (u32 i = 0; i < 3; i++)
		CHECK_TX(w, PORT_TRUST, tcp("10.0.1.10", 1000 + i, "198.51.100.50", 80, S), IF_UNTRUST);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 2000, "198.51.100.50", 80, S), SCREEN_SYN_SOURCE);
	CHECK_TX(w, PORT_TRUST, tcp("10.0.1.20", 1000, "198.51.100.50", 80, S), IF_UNTRUST);
	z->screens = 1 << LS_SCREEN_PORT_SCAN;
	z->limit[LS_SCREEN_PORT_SCAN] = 8;
	{
		u32 hits = 0;

		for (u32 i = 0; i < 40; i++)
			hits += lane_run(w, PORT_TRUST, tcp("10.0.1.130", 3000, "198.51.100.50", 100 + i, S)) == LS_V_DROP;
		CHECK(hits >= 20);
		CHECK_EQ(w->pkt.drop, LS_DROP_SCREEN_PORT_SCAN);
	}
	z->screens = 1 << LS_SCREEN_SESSION_LIMIT;
	z->limit[LS_SCREEN_SESSION_LIMIT] = 2;
	w->shift_ns += 2 * (1ULL << 30);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.10", 5001, "198.51.100.50", 80, 1), IF_UNTRUST);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.10", 5002, "198.51.100.50", 80, 1), IF_UNTRUST);
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 5003, "198.51.100.50", 80, 1), SESSION_LIMIT_SOURCE);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.10", 5002, "198.51.100.50", 80, 1), IF_UNTRUST);
	close_router(w);
}

/* --- sessions: TCP ---------------------------------------------------------------------------------------------------------------------------- */

TEST("TCP: the state machine as a numbered table (Linux conntrack's names)")
{
	enum { FWD = LS_FORWARD, REP = LS_REPLY };
	static const struct {
		const char *what;
		u32 phase, flow, dir, flags, fit;
		u32 step, next, add; /* flow bits that appear */
	} row[] = {
		{ "SYN again", LS_TCP_SYN_SENT, 0, FWD, S, 0, LS_TCP_PASS, LS_TCP_SYN_SENT, 0 },
		{ "SYN+ACK answers", LS_TCP_SYN_SENT, 0, REP, S | A, 0, LS_TCP_PASS, LS_TCP_SYN_RECV, LS_FLOW_REPLIED },
		{ "SYN meets SYN", LS_TCP_SYN_SENT, 0, REP, S, 0, LS_TCP_PASS, LS_TCP_SYN_RECV, LS_FLOW_REPLIED },
		{ "SYN+ACK from the client is no opening", LS_TCP_SYN_SENT, 0, FWD, S | A, 0, LS_TCP_INVALID, LS_TCP_SYN_SENT, 0 },
		{ "ACK before the handshake", LS_TCP_SYN_SENT, 0, FWD, A, 0, LS_TCP_INVALID, LS_TCP_SYN_SENT, 0 },
		{ "a challenge to the SYN goes through and changes nothing (RFC 5961 4.2)", LS_TCP_SYN_SENT, 0, REP, A, 0, LS_TCP_PASS, LS_TCP_SYN_SENT, 0 },
		{ "FIN from the server before the handshake", LS_TCP_SYN_SENT, 0, REP, F | A, 0, LS_TCP_INVALID, LS_TCP_SYN_SENT, 0 },
		{ "FIN before the handshake", LS_TCP_SYN_SENT, 0, FWD, F | A, 0, LS_TCP_INVALID, LS_TCP_SYN_SENT, 0 },
		{ "connection refused", LS_TCP_SYN_SENT, 0, REP, R | A, 2, LS_TCP_PASS, LS_TCP_CLOSE, LS_FLOW_REPLIED },
		{ "third step", LS_TCP_SYN_RECV, LS_FLOW_REPLIED, FWD, A, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "third step with data", LS_TCP_SYN_RECV, LS_FLOW_REPLIED, FWD, A | P, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "SYN+ACK again", LS_TCP_SYN_RECV, LS_FLOW_REPLIED, REP, S | A, 0, LS_TCP_PASS, LS_TCP_SYN_RECV, 0 },
		{ "FIN right after the handshake", LS_TCP_SYN_RECV, 0, FWD, F | A, 0, LS_TCP_PASS, LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD },
		{ "data", LS_TCP_ESTABLISHED, 0, FWD, A, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "data back", LS_TCP_ESTABLISHED, 0, REP, A | P, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, LS_FLOW_REPLIED },
		{ "SYN inside a connection is a challenge, not a reset", LS_TCP_ESTABLISHED, 0, FWD, S, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "client closes", LS_TCP_ESTABLISHED, 0, FWD, F | A, 0, LS_TCP_PASS, LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD },
		{ "server closes", LS_TCP_ESTABLISHED, 0, REP, F | A, 0, LS_TCP_PASS, LS_TCP_FIN_WAIT, LS_FLOW_FIN_REPLY | LS_FLOW_REPLIED },
		{ "the FIN again", LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD, FWD, F | A, 0, LS_TCP_PASS, LS_TCP_FIN_WAIT, 0 },
		{ "the FIN is acknowledged", LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD, REP, A, 0, LS_TCP_PASS, LS_TCP_CLOSE_WAIT, LS_FLOW_REPLIED },
		{ "an ACK of the side that closed", LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD, FWD, A, 0, LS_TCP_PASS, LS_TCP_FIN_WAIT, 0 },
		{ "both close", LS_TCP_FIN_WAIT, LS_FLOW_FIN_FWD, REP, F | A, 0, LS_TCP_PASS, LS_TCP_LAST_ACK, LS_FLOW_FIN_REPLY | LS_FLOW_REPLIED },
		{ "half closed, then the other", LS_TCP_CLOSE_WAIT, LS_FLOW_FIN_FWD, REP, F | A, 0, LS_TCP_PASS, LS_TCP_LAST_ACK, LS_FLOW_FIN_REPLY },
		{ "half closed, data goes on", LS_TCP_CLOSE_WAIT, LS_FLOW_FIN_FWD, REP, A, 0, LS_TCP_PASS, LS_TCP_CLOSE_WAIT, 0 },
		{ "the last ACK", LS_TCP_LAST_ACK, LS_FLOW_FIN_FWD | LS_FLOW_FIN_REPLY, FWD, A, 0, LS_TCP_PASS, LS_TCP_TIME_WAIT, 0 },
		{ "a late FIN", LS_TCP_TIME_WAIT, LS_FLOW_FIN_FWD | LS_FLOW_FIN_REPLY, REP, F | A, 0, LS_TCP_PASS, LS_TCP_TIME_WAIT, 0 },
		{ "a new connection on an old tuple", LS_TCP_TIME_WAIT, 0, FWD, S, 0, LS_TCP_REOPEN, LS_TCP_TIME_WAIT, 0 },
		{ "a new connection after a reset", LS_TCP_CLOSE, 0, FWD, S, 0, LS_TCP_REOPEN, LS_TCP_CLOSE, 0 },
		{ "SYN from the server on a closed tuple", LS_TCP_TIME_WAIT, 0, REP, S, 0, LS_TCP_PASS, LS_TCP_TIME_WAIT, 0 },
		{ "exact RST", LS_TCP_ESTABLISHED, 0, REP, R, 2, LS_TCP_PASS, LS_TCP_CLOSE, 0 },
		{ "plausible RST", LS_TCP_ESTABLISHED, 0, REP, R, 1, LS_TCP_PASS, LS_TCP_FIN_WAIT, 0 },
		{ "H82 blind RST", LS_TCP_ESTABLISHED, 0, REP, R, 0, LS_TCP_RST_INVALID, LS_TCP_ESTABLISHED, 0 },
		{ "blind RST of the client", LS_TCP_ESTABLISHED, 0, FWD, R | A, 0, LS_TCP_RST_INVALID, LS_TCP_ESTABLISHED, 0 },
		{ "the answer to a plausible RST restores", LS_TCP_FIN_WAIT, 0, FWD, A, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "exact RST while closing", LS_TCP_LAST_ACK, LS_FLOW_FIN_FWD | LS_FLOW_FIN_REPLY, FWD, R, 2, LS_TCP_PASS, LS_TCP_CLOSE, 0 },
		{ "plausible RST while closing changes nothing", LS_TCP_CLOSE_WAIT, LS_FLOW_FIN_FWD, FWD, R, 1, LS_TCP_PASS, LS_TCP_CLOSE_WAIT, 0 },
		{ "nothing set", LS_TCP_ESTABLISHED, 0, FWD, 0, 0, LS_TCP_PASS, LS_TCP_ESTABLISHED, 0 },
		{ "RST after the end", LS_TCP_CLOSE, 0, FWD, R, 2, LS_TCP_PASS, LS_TCP_CLOSE, 0 },
	};

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		u64 state = LS_STATE_MAKE(LS_LIVE, row[i].phase, 1, 0, row[i].flow | LS_FLOW_ACK_FWD), next;
		u32 step = ls_tcp_next(state, row[i].dir, row[i].flags, row[i].fit, &next);

		CHECK_AT("row %u: %s", i, row[i].what);
		CHECK_EQ(step, row[i].step);
		CHECK_EQ(LS_STATE_PHASE(next), row[i].next);
		if (step != LS_TCP_PASS) {
			CHECK_EQ(next, state);
			continue;
		}
		CHECK_EQ(LS_STATE_LIFECYCLE(next), LS_LIVE);
		CHECK_EQ(LS_STATE_DIRTY(next), 1);
		CHECK_EQ(LS_STATE_FLOW(next) & (row[i].add | row[i].flow | LS_FLOW_ACK_FWD), row[i].add | row[i].flow | LS_FLOW_ACK_FWD);
		CHECK_EQ(next >> 48, 0);
	}
}

TEST("TCP: exhaustively, no input leaves the machine's states or touches lifecycle and dirty")
{
	for (u32 phase = LS_TCP_SYN_SENT; phase <= LS_TCP_CLOSE; phase++)
		for (u32 flow = 0; flow < 256; flow++)
			for (u32 flags = 0; flags < 64; flags++)
				for (u32 fit = 0; fit < 3; fit++)
					for (u32 dir = 0; dir < 2; dir++)
						for (u32 close = 0; close < 4; close++) {
							u64 state = LS_STATE_MAKE(LS_DYING, phase, 1, close, flow), next;
							u32 step = ls_tcp_next(state, dir, flags, fit, &next);

							CHECK(step <= LS_TCP_RST_INVALID);
							CHECK(LS_STATE_PHASE(next) <= LS_TCP_CLOSE);
							CHECK_EQ(next & 0xff00ff00000000ffULL & ~0xff000000000000ULL, state & 0xff00ff00000000ffULL & ~0xff000000000000ULL);
							CHECK_EQ(LS_STATE_LIFECYCLE(next), LS_DYING);
							CHECK_EQ(LS_STATE_DIRTY(next), 1);
							CHECK_EQ(LS_STATE_FLOW(next) & flow, flow); /* bits only appear */
							CHECK(!(ls_tcp_closed(phase) && step == LS_TCP_PASS && !ls_tcp_closed(LS_STATE_PHASE(next)) ));
						}
}

TEST("RST fit: exact, inside the window, outside, around the wrap of sequence numbers")
{
	static const struct {
		bool known;
		u32 seq, expected, want;
	} row[] = { { false, 1, 99, 2 }, { true, 5, 5, 2 }, { true, 6, 5, 1 }, { true, 4, 5, 0 }, { true, 5 + LS_RST_WINDOW - 1, 5, 1 }, { true, 5 + LS_RST_WINDOW, 5, 0 },
		{ true, 3, 0xfffffff0, 1 }, { true, 0xfffffff0, 3, 0 }, { true, 0x80000005, 5, 0 } };

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		CHECK_AT("row %u", i);
		CHECK_EQ(ls_rst_fit(row[i].known, row[i].seq, row[i].expected), row[i].want);
	}
}

static void handshake(struct lane *w, const char *c, u32 cp, const char *s, u32 sp)
{
	CHECK_TX(w, PORT_TRUST, tcp_at(c, cp, s, sp, S, 100, 0, 0), IF_DMZ);
	CHECK_TX(w, PORT_DMZ, tcp_at(s, sp, c, cp, S | A, 500, 101, 0), IF_TRUST);
	CHECK_TX(w, PORT_TRUST, tcp_at(c, cp, s, sp, A, 101, 501, 0), IF_DMZ);
}

TEST("TCP: a connection from SYN to TIME_WAIT, counted in both directions, then opened anew in place")
{
	struct lane *w = open_router();
	struct packet syn = tcp("10.0.1.10", 4000, "10.0.3.10", 80, S);
	struct ls_session *s;
	u32 gen;
	u64 serial;

	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.3.10", 80, A), TCP_NOT_SYN);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.3.10", 80, S | A), TCP_NOT_SYN);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.3.10", 80, R), TCP_NOT_SYN);
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.3.10", 80, S | F), TCP_NOT_SYN);
	handshake(w, "10.0.1.10", 4000, "10.0.3.10", 80);
	s = session_of(w, &syn, NULL);
	CHECK(s);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_ESTABLISHED);
	CHECK_EQ(s->packets[0], 2);
	CHECK_EQ(s->packets[1], 1);
	CHECK_EQ(s->bytes[0], 80);
	CHECK_EQ(s->policy, POLICY_DMZ);
	CHECK_EQ(s->id.origin, w->t->env.header->origin);
	CHECK_EQ(s->id.serial >> 32, (u64)(s - w->t->env.sessions));
	CHECK_EQ((u32)s->id.serial, s->gen);
	CHECK_TX(w, PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, F | A, 101, 501, 0), IF_DMZ);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_FIN_WAIT);
	CHECK_TX(w, PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, F | A, 501, 102, 0), IF_TRUST);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_LAST_ACK);
	CHECK_TX(w, PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, A, 102, 502, 0), IF_DMZ);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_TIME_WAIT);
	CHECK_EQ(LS_STATE_CLOSE(s->state), LS_CLOSE_FIN);
	gen = s->gen;
	serial = s->id.serial;
	CHECK_TX(w, PORT_TRUST, syn, IF_DMZ);
	CHECK_EQ(counted(w, LS_CTR_SESSIONS_REVIVED), 1);
	CHECK(session_of(w, &syn, NULL) == s);
	CHECK_EQ(s->gen, gen + 2);
	CHECK(s->id.serial != serial);
	CHECK_EQ((u32)s->id.serial, s->gen);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_SYN_SENT);
	CHECK_EQ(LS_STATE_FLOW(s->state), 0);
	CHECK_EQ(LS_STATE_CLOSE(s->state), 0);
	CHECK_EQ(s->packets[0], 1);
	CHECK_EQ(s->packets[1], 0);
	CHECK_EQ(s->ack[0], 0);
	close_router(w);
}

TEST("H82 a blind RST neither closes nor passes; the exact one does both, in both directions")
{
	struct lane *w = open_router();
	struct packet syn = tcp("10.0.1.10", 4000, "10.0.3.10", 80, S);
	struct ls_session *s;

	handshake(w, "10.0.1.10", 4000, "10.0.3.10", 80);
	s = session_of(w, &syn, NULL);
	CHECK_TX(w, PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, A, 501, 101, 0), IF_TRUST);
	CHECK_DROP(w, PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, R, 0x7000000, 0, 0), TCP_BAD_RST);
	CHECK_DROP(w, PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, R, 0x7000000, 0, 0), TCP_BAD_RST);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_ESTABLISHED);
	CHECK_TX(w, PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, R, 501 + 1000, 0, 0), IF_TRUST); /* near: passes, shortens */
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_FIN_WAIT);
	CHECK_TX(w, PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, A, 101, 501, 0), IF_DMZ); /* the challenge ACK restores */
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_ESTABLISHED);
	CHECK_TX(w, PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, R, 501, 0, 0), IF_TRUST);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_TCP_CLOSE);
	CHECK_EQ(LS_STATE_CLOSE(s->state), LS_CLOSE_RST);
	close_router(w);
}

TEST("a loose zone opens on a mid-stream segment, never on RST or SYN+ACK")
{
	struct lane *w = open_router();
	struct packet p = tcp("10.0.3.10", 80, "198.51.100.50", 4000, A);

	CHECK_DROP(w, PORT_DMZ, tcp("10.0.3.10", 80, "198.51.100.50", 4000, R | A), TCP_NOT_SYN);
	CHECK_DROP(w, PORT_DMZ, tcp("10.0.3.10", 80, "198.51.100.50", 4000, S | A), TCP_NOT_SYN);
	CHECK_TX(w, PORT_DMZ, p, IF_UNTRUST);
	CHECK_EQ(LS_STATE_PHASE(session_of(w, &p, NULL)->state), LS_TCP_ESTABLISHED);
	close_router(w);
}

/* --- expiry in the packet path ------------------------------------------------------------------------------------------------------------------ */

TEST("D4 expired means miss: forward revives under policy, the reply is dropped, a changed policy refuses")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 8), back = udp("10.0.3.10", 53, "10.0.1.10", 4000, 8);
	struct ls_session *s;
	u32 gen;

	for (u32 i = 0; i < LS_RGS_MAX; i++)
		w->t->env.rgs[i].seen_floor_ns = 0;
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	s = session_of(w, &p, NULL);
	gen = s->gen;
	w->shift_ns = 29000000000ULL;
	CHECK_TX(w, PORT_DMZ, back, IF_TRUST);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_UDP_STREAM);
	w->shift_ns += 119000000000ULL;
	CHECK_TX(w, PORT_DMZ, back, IF_TRUST);
	CHECK_EQ(s->gen, gen);
	w->shift_ns += 121000000000ULL;
	CHECK_DROP(w, PORT_DMZ, back, EXPIRED_BUSY);
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	CHECK_EQ(counted(w, LS_CTR_SESSIONS_REVIVED), 1);
	CHECK_EQ(s->gen, gen + 2);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_UDP_NEW);
	CHECK_TX(w, PORT_DMZ, back, IF_TRUST);
	w->shift_ns += 121000000000ULL;
	w->t->env.banks[w->t->env.header->active_bank & 1].policy.active.bits[0] = 0;
	CHECK_DROP(w, PORT_TRUST, p, POLICY_DEFAULT);
	CHECK_EQ(s->gen, gen + 2);
	close_router(w);
}

TEST("D4 an expired TCP session takes no data: a SYN revives it, anything else is dropped")
{
	struct lane *w = open_router();
	struct packet syn = tcp("10.0.1.10", 4000, "10.0.3.10", 80, S);

	for (u32 i = 0; i < LS_RGS_MAX; i++)
		w->t->env.rgs[i].seen_floor_ns = 0;
	handshake(w, "10.0.1.10", 4000, "10.0.3.10", 80);
	w->shift_ns = 3601000000000ULL;
	CHECK_DROP(w, PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.3.10", 80, A), TCP_NOT_SYN);
	CHECK_DROP(w, PORT_DMZ, tcp("10.0.3.10", 80, "10.0.1.10", 4000, A), EXPIRED_BUSY);
	CHECK_TX(w, PORT_TRUST, syn, IF_DMZ);
	CHECK_EQ(counted(w, LS_CTR_SESSIONS_REVIVED), 1);
	close_router(w);
}

TEST("R8 a revival keeps the translated port, also one that was moved aside; a changed translation waits for the freer")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 4000, "198.51.100.50", 53, 8);
	struct ls_config *c;
	u16 port;

	for (u32 i = 0; i < LS_RGS_MAX; i++)
		w->t->env.rgs[i].seen_floor_ns = 0;
	CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
	port = ls_get16(l4_of(w));
	w->shift_ns = 31000000000ULL;
	CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
	CHECK_EQ(counted(w, LS_CTR_SESSIONS_REVIVED), 1);
	CHECK_EQ(ls_get16(l4_of(w)), port);
	CHECK_EQ(session_of(w, &p, NULL)->flags & LS_SF_SNAT, LS_SF_SNAT);
	w->shift_ns += 31000000000ULL;
	c = &w->t->env.banks[w->t->env.header->active_bank & 1];
	c->snat_rule[3].pool = POOL_KEEP;
	CHECK_DROP(w, PORT_TRUST, p, EXPIRED_BUSY);
	close_router(w);
}

TEST("a session being removed drops its packets and creates nothing (R3)")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 8), back = udp("10.0.3.10", 53, "10.0.1.10", 4000, 8);
	struct ls_session *s;
	u64 live;

	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	s = session_of(w, &p, NULL);
	live = s->state;
	s->state = LS_STATE_SET_LIFECYCLE(live, LS_DYING) | LS_STATE_FLOW_BIT(LS_FLOW_ADMIN);
	CHECK_DROP(w, PORT_TRUST, p, SESSION_CLOSING);
	CHECK_DROP(w, PORT_DMZ, back, SESSION_CLOSING);
	s->state = LS_STATE_SET_LIFECYCLE(live, LS_DEAD);
	CHECK_DROP(w, PORT_TRUST, p, SESSION_CLOSING);
	s->state = LS_STATE_SET_LIFECYCLE(live, LS_CREATING);
	CHECK_DROP(w, PORT_TRUST, p, CREATE_RACE);
	s->state = LS_STATE_SET_LIFECYCLE(live, LS_DYING); /* chosen for its timeout, but not past it: the packet saves it */
	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	CHECK_EQ(LS_STATE_LIFECYCLE(s->state), LS_DYING);
	s->state = live;
	close_router(w);
}

TEST("a slot that was undone and reborn between lookup and use is not taken for the old session")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 8);
	struct ls_session *s;
	u32 gen, v;

	CHECK_TX(w, PORT_TRUST, p, IF_DMZ);
	s = session_of(w, &p, NULL);
	gen = s->gen;
	/* what a worker sees that read the index before the undo and the record after the rebirth */
	memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
	w->pkt.buf = &w->frame;
	w->frame.len = p.len;
	memcpy(w->frame.data, p.b, p.len);
	CHECK_EQ(ls_parse_link(port_config(&w->e), &w->pkt, PORT_TRUST), LS_DROP_NONE);
	CHECK_EQ(ls_parse_network(&w->pkt), LS_DROP_NONE);
	v = ls_hit(&w->e, &w->pkt, LS_REF((u32)(s - w->t->env.sessions), 0), gen - 2);
	CHECK_EQ(v, LS_V_DROP);
	CHECK_EQ(w->pkt.drop, LS_DROP_CREATE_RACE);
	close_router(w);
}

/* --- NAT ------------------------------------------------------------------------------------------------------------------------------------------ */

TEST("source NAT: pool, interface and kept port; replies come back whole; one client keeps one address")
{
	struct lane *w = open_router();
	static const u32 protos[] = { LS_IPPROTO_TCP, LS_IPPROTO_UDP, LS_IPPROTO_ICMP };
	char home[32] = "";

	for (u32 k = 0; k < 3; k++)
		for (u32 n = 0; n < 20; n++) {
			const char *out;
			u16 port;
			struct packet p = k == 0 ? tcp("10.0.1.10", 4000 + n, "198.51.100.50", 80, S) : k == 1 ? udp("10.0.1.10", 4000 + n, "198.51.100.50", 80, n)
				: echo("10.0.1.10", "198.51.100.50", 4000 + n, false, n), back;

			CHECK_AT("protocol %u packet %u", protos[k], n);
			CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
			CHECK(ip_is(l3_of(w), true, "198.51.100.50"));
			out = ip_is(l3_of(w), false, "192.0.2.100") ? "192.0.2.100" : "192.0.2.101";
			CHECK(ip_is(l3_of(w), false, out));
			if (!home[0])
				snprintf(home, sizeof(home), "%s", out);
			CHECK(strcmp(home, out) == 0);
			port = ls_get16(l4_of(w) + (k == 2 ? 4 : 0));
			CHECK(port >= 1024);
			CHECK(mac_is(w->frame.data, 0xb2) && mac_is(w->frame.data + 6, 0x22));
			CHECK_EQ(l3_of(w)[8], 63);
			back = k == 0 ? tcp("198.51.100.50", 80, out, port, S | A) : k == 1 ? udp("198.51.100.50", 80, out, port, n)
				: echo("198.51.100.50", out, port, true, n);
			CHECK_TX(w, PORT_UNTRUST, back, IF_TRUST);
			CHECK_IP(l3_of(w), "198.51.100.50", "10.0.1.10");
			CHECK_EQ(ls_get16(l4_of(w) + (k == 2 ? 4 : 2)), 4000 + n);
			CHECK(mac_is(w->frame.data, 0xa1));
		}
	/* what nobody asked for is not let in */
	CHECK_DROP(w, PORT_UNTRUST, udp("198.51.100.50", 80, "192.0.2.100", 9, 4), HOST_INBOUND);
	CHECK_DROP(w, PORT_UNTRUST, echo("198.51.100.50", "192.0.2.100", 4000, true, 4), HOST_INBOUND);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.130", 4000, "198.51.100.50", 80, 4), IF_UNTRUST);
	CHECK(ip_is(l3_of(w), false, "198.51.100.1"));
	CHECK(ls_get16(l4_of(w)) <= 32767);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.210", 4000, "198.51.100.50", 80, 4), IF_UNTRUST);
	CHECK(ip_is(l3_of(w), false, "192.0.2.103"));
	CHECK_EQ(ls_get16(l4_of(w)), 4000);
	/* a UDP sum of zero stays zero */
	{
		struct packet p = udp("10.0.1.10", 4100, "198.51.100.50", 80, 4);

		ls_put16(p.b + p.l4 + 6, 0);
		CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
		CHECK_EQ(ls_get16(l4_of(w) + 6), 0);
	}
	close_router(w);
}

TEST("source NAT: a protocol without ports takes one address each, and is refused when it is taken")
{
	struct lane *w = open_router();
	struct packet p = ip(47, "10.0.1.200", "198.51.100.50"), q;

	filler(&p, 12);
	finish(&p, 255);
	CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
	CHECK(ip_is(l3_of(w), false, "192.0.2.102"));
	q = ip(47, "10.0.1.200", "198.51.100.66");
	(void)q;
	q = p;
	CHECK_TX(w, PORT_TRUST, q, IF_UNTRUST); /* the same flow again: a hit */
	w->t->env.banks[w->t->env.header->active_bank & 1].snat_rule[3].pool = POOL_SMALL;
	q = ip(47, "10.0.1.20", "198.51.100.50");
	filler(&q, 12);
	finish(&q, 255);
	CHECK_DROP(w, PORT_TRUST, q, NAT_UNTRANSLATABLE);
	close_router(w);
}

TEST("source NAT: every port of a small pool is used once, then exhausted; another destination has them all again")
{
	struct lane *w = open_router();
	bool used[65536] = { false };

	for (u32 dst = 50; dst < 52; dst++) {
		char to[32];

		snprintf(to, sizeof(to), "198.51.100.%u", dst);
		memset(used, 0, sizeof(used));
		for (u32 i = 0; i < 16; i++) {
			u32 v = lane_run(w, PORT_TRUST, udp("10.0.1.200", 5000 + i, to, 53, 1)), port;

			CHECK_AT("%s flow %u", to, i);
			CHECK(v == LS_V_TX || v == LS_V_NEIGH);
			port = ls_get16(l4_of(w));
			CHECK(port >= 2000 && port <= 2015 && !used[port]);
			used[port] = true;
		}
		CHECK_DROP(w, PORT_TRUST, udp("10.0.1.200", 6000, to, 53, 1), SNAT_EXHAUSTED);
	}
	CHECK(w->t->env.nat[4].failed >= 2);
	CHECK_EQ(w->t->env.nat[4].created, 32);
	close_router(w);
}

static struct ls_table *big_router(void)
{
	struct ls_table *t = table_new(1 << 17);

	standard_table(t);
	return t;
}

/* One address to one destination from `lanes` workers in turn until nothing fits; the flows placed and the refusals before the last placement. */
static u32 fill_address(struct ls_table *t, u32 lanes, u32 *early, bool uneven)
{
	static bool used[65536];
	struct lane *w[2];
	u32 placed = 0, failed = 0, in_row = 0;

	memset(used, 0, sizeof(used));
	*early = 0;
	for (u32 i = 0; i < lanes; i++)
		w[i] = lane_open(t, i);
	for (u32 n = 0; in_row < 3000 && n < 400000; n++) {
		struct lane *at = w[uneven ? n % 16 == 0 : n % lanes];
		char from[32];
		struct packet p;
		u32 v;

		snprintf(from, sizeof(from), "10.0.1.%u", 2 + n / 60000);
		p = udp("10.0.1.210", 1024 + n % 60000, "198.51.100.50", 53, 0);
		p.b[p.l3 + 15] = (u8)(211 + n / 60000);
		finish(&p, 17);
		v = lane_send(at, PORT_TRUST, p.b, p.len);
		if (n % 64 == 0)
			ls_table_refill(t);
		if (v == LS_V_TX) {
			u32 port = ls_get16(l4_of(at));

			CHECK(!used[port]);
			used[port] = true;
			placed++;
			*early += in_row;
			failed += in_row;
			in_row = 0;
		} else {
			CHECK_EQ(at->pkt.drop, LS_DROP_SNAT_EXHAUSTED);
			in_row++;
		}
	}
	for (u32 i = 0; i < lanes; i++) {
		ls_worker_detach(t, i);
		free(w[i]);
	}
	return placed;
}

TEST("source NAT: one address to one destination fills to 99 % and more, every tuple unique, by one worker and by two")
{
	u32 range = 65535 - 1024 + 1;

	for (u32 k = 0; k < 3; k++) {
		struct ls_table *t = big_router();
		struct ls_config *c = &t->env.banks[t->env.header->active_bank & 1];
		u32 early, placed;

		/* all of 10.0.1.128/25 behind the one address */
		c->snat_rule[2] = (struct ls_nat_rule){ .action = LS_SNAT_POOL, .pool = POOL_KEEP };
		c->pool[POOL_KEEP].flags = 1;
		placed = fill_address(t, k ? 2 : 1, &early, k == 2);
		printf("    %s: %u of %u ports, %u refusals on the way\n", k == 0 ? "one worker" : k == 1 ? "two workers" : "two workers 15:1", placed, range, early);
		CHECK_AT("case %u", k);
		CHECK(placed * 100ULL >= range * 99ULL);
		CHECK(early <= range / 50); /* nobody is turned away in numbers while ports are free */
		ls_table_close(t);
	}
}

TEST("the port permutation is a bijection for every size from 1 to 65536 (sampled), and depends on its seed")
{
	static u8 seen[65536];
	u32 differ = 0;

	for (u32 size = 1; size <= 65536; size += size < 300 ? 1 : size < 60000 ? 1 + check_below(997) : 1 + check_below(199)) {
		u32 seed = (u32)check_random();

		memset(seen, 0, size);
		for (u32 i = 0; i < size; i++) {
			u32 v = ls_permute(i, size, seed);

			CHECK_AT("size %u seed %u position %u", size, seed, i);
			CHECK(v < size && !seen[v]++);
			differ += v != ls_permute(i, size, seed + 1);
		}
	}
	for (u32 k = 0; k < 4; k++) {
		static const u32 sizes[] = { 65536, 65535, 64512, 32769 };

		memset(seen, 0, sizeof(seen));
		for (u32 i = 0; i < sizes[k]; i++) {
			u32 v = ls_permute(i, sizes[k], 0xfeed);

			CHECK_AT("size %u position %u", sizes[k], i);
			CHECK(v < sizes[k] && !seen[v]++);
		}
	}
	CHECK(differ > 100000);
}

TEST("DNAT, static NAT both ways, and the rule that says leave it")
{
	struct lane *w = open_router();

	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.20", 8022, S), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.10");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 22);
	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.10", 22, "198.51.100.50", 4000, S | A), IF_UNTRUST);
	CHECK_IP(l3_of(w), "192.0.2.20", "198.51.100.50");
	CHECK_EQ(ls_get16(l4_of(w)), 8022);
	CHECK_TX(w, PORT_UNTRUST, udp("198.51.100.50", 4000, "192.0.2.20", 514, 3), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.11");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 514);
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.21", 80, S), POLICY_DEFAULT); /* untranslated: routed to untrust */
	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.30", 1234, S), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.30");
	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.30", 1234, "198.51.100.50", 4000, S | A), IF_UNTRUST);
	CHECK_IP(l3_of(w), "192.0.2.30", "198.51.100.50");
	CHECK_TX(w, PORT_DMZ, udp("10.0.3.30", 99, "198.51.100.50", 53, 8), IF_UNTRUST);
	CHECK_IP(l3_of(w), "192.0.2.30", "198.51.100.50");
	CHECK_EQ(ls_get16(l4_of(w)), 99);
	CHECK_TX(w, PORT_UNTRUST, udp("198.51.100.50", 53, "192.0.2.30", 99, 8), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.30");
	CHECK_TX(w, PORT_UNTRUST, echo("198.51.100.50", "192.0.2.30", 5, false, 8), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.30");
	CHECK_V(w, PORT_UNTRUST, tcp("2001:db8:9::1", 4000, "2001:db8:10::30", 80, S), LS_V_NEIGH);
	CHECK_IP(l3_of(w), "2001:db8:9::1", "fd00:3::30");
	close_router(w);
}

TEST("hairpin: a server reaches its neighbour through the VIP, with its source hidden so that the answer comes back")
{
	struct lane *w = open_router();
	u16 port;

	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.12", 4000, "192.0.2.14", 80, S), IF_DMZ);
	CHECK_IP(l3_of(w), "10.0.3.1", "10.0.3.10");
	CHECK_EQ(counted(w, LS_CTR_HAIRPINS), 1);
	port = ls_get16(l4_of(w));
	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.10", 8080, "10.0.3.1", port, S | A), IF_DMZ);
	CHECK_IP(l3_of(w), "192.0.2.14", "10.0.3.12");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 4000);
	close_router(w);
}

TEST("two destinations of ours that lead to one server keep two flows of one client port apart")
{
	struct lane *w = open_router();
	struct ls_config *c = &w->t->env.banks[w->t->env.header->active_bank & 1];
	struct packet a = tcp("198.51.100.50", 4000, "192.0.2.10", 80, S), b = tcp("198.51.100.50", 4000, "203.0.113.5", 80, S);
	u16 moved;

	c->real[1].up = c->real[3].up = 0; /* both VIPs: 10.0.3.11 */
	c->real[2].port_be = htons(80);
	CHECK_TX(w, PORT_UNTRUST, a, IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.11");
	CHECK_TX(w, PORT_UNTRUST, b, IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.11");
	moved = ls_get16(l4_of(w));
	CHECK(moved != 4000);
	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.11", 80, "198.51.100.50", moved, S | A), IF_UNTRUST);
	CHECK_IP(l3_of(w), "203.0.113.5", "198.51.100.50");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 4000);
	CHECK_TX(w, PORT_DMZ, tcp("10.0.3.11", 80, "198.51.100.50", 4000, S | A), IF_UNTRUST);
	CHECK_IP(l3_of(w), "192.0.2.10", "198.51.100.50");
	/* an error about the moved flow finds its way too */
	{
		struct packet inner = tcp("198.51.100.50", moved, "10.0.3.11", 80, S);

		CHECK_TX(w, PORT_DMZ, icmp_error("10.0.3.11", "198.51.100.50", 3, 3, 0, inner.b + inner.l3, 40), IF_UNTRUST);
		CHECK_IP(l3_of(w), "203.0.113.5", "198.51.100.50");
		CHECK_EQ(ls_get16(l4_of(w) + 8 + 20), 4000);
	}
	close_router(w);
}

/* --- VIPs --------------------------------------------------------------------------------------------------------------------------------------------- */

TEST("VIPs: nat, sticky by flow, dead reals are passed over, none left is answered; prefix, any port, protocol")
{
	struct lane *w = open_router();
	struct ls_config *c = &w->t->env.banks[w->t->env.header->active_bank & 1];
	u32 got[4] = { 0 };

	for (u32 i = 0; i < 300; i++) {
		struct packet p = tcp("198.51.100.50", 2000 + i, "192.0.2.10", 80, S);
		struct ls_session *s;

		ls_table_refill(w->t);
		CHECK_TX(w, PORT_UNTRUST, p, IF_DMZ);
		s = session_of(w, &p, NULL);
		CHECK(s);
		CHECK(s->real >= 1 && s->real <= 3);
		got[s->real]++;
		CHECK_EQ(ls_get16(l4_of(w) + 2), s->real == 3 ? 8081 : 8080);
		CHECK_EQ(s->vip, VIP_WEB);
		CHECK_EQ(s->app, 1);
		CHECK_EQ(s->rg, 2);
	}
	for (u32 r = 1; r <= 3; r++)
		CHECK(got[r] > 60 && got[r] < 140);
	CHECK_EQ(w->e.worker_counters->c.vip[VIP_WEB][2], 300);
	c->real[1].up = c->real[2].up = 0;
	for (u32 i = 0; i < 50; i++) {
		CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 3000 + i, "192.0.2.10", 80, S), IF_DMZ);
		CHECK(ip_is(l3_of(w), true, "10.0.3.12"));
	}
	c->real[3].up = 0;
	CHECK_V(w, PORT_UNTRUST, tcp("198.51.100.50", 3500, "192.0.2.10", 80, S), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_VIP_NO_REAL);
	CHECK(w->pkt.flags & LS_PF_GENERATED);
	CHECK_EQ(w->pkt.out_iface, IF_UNTRUST);
	CHECK_EQ(l4_of(w)[0], 3);
	CHECK_EQ(l4_of(w)[1], 1);
	CHECK_EQ(w->e.worker_counters->c.vip[VIP_WEB][3], 1);
	CHECK_V(w, PORT_UNTRUST, tcp("198.51.100.50", 3500, "192.0.2.15", 80, S), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_VIP_NO_REAL);
	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 3500, "203.0.113.5", 443, S), IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "10.0.3.11");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 443);
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 3500, "203.0.113.16", 443, S), POLICY_DEFAULT);
	CHECK_DROP(w, PORT_UNTRUST, udp("198.51.100.50", 3500, "203.0.113.5", 443, 1), POLICY_DEFAULT);
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 3500, "192.0.2.10", 81, S), HOST_INBOUND);
	CHECK_TX(w, PORT_UNTRUST, tcp("2001:db8:9::1", 3500, "2001:db8:10::10", 80, S), IF_DMZ);
	CHECK_IP(l3_of(w), "2001:db8:9::1", "fd00:3::10");
	CHECK_EQ(ls_get16(l4_of(w) + 2), 8080);
	CHECK_TX(w, PORT_DMZ, tcp("fd00:3::10", 8080, "2001:db8:9::1", 3500, S | A), IF_UNTRUST);
	CHECK_IP(l3_of(w), "2001:db8:10::10", "2001:db8:9::1");
	close_router(w);
}

TEST("a VIP of TCP and UDP is for TCP and UDP: ping is the router's own answer, other protocols have no VIP")
{
	struct lane *w = open_router();
	struct packet p;

	CHECK_DROP(w, PORT_UNTRUST, echo("198.51.100.50", "192.0.2.11", 5, false, 8), HOST_INBOUND);
	CHECK_V(w, PORT_TRUST, echo("10.0.1.10", "192.0.2.11", 5, false, 8), LS_V_TX);
	CHECK(w->pkt.flags & LS_PF_GENERATED);
	CHECK_IP(l3_of(w), "192.0.2.11", "10.0.1.10");
	p = ip(47, "198.51.100.50", "192.0.2.11");
	filler(&p, 8);
	finish(&p, 255);
	CHECK_DROP(w, PORT_UNTRUST, p, HOST_INBOUND);
	close_router(w);
}

TEST("direct server return: l2 leaves the packet alone, ipip and gre wrap it, half flows age by their own phases")
{
	struct lane *w = open_router();
	struct packet p = tcp("198.51.100.50", 4000, "192.0.2.11", 80, S);
	struct ls_session *s;

	CHECK_TX(w, PORT_UNTRUST, p, IF_DMZ);
	CHECK_IP(l3_of(w), "198.51.100.50", "192.0.2.11");
	CHECK(mac_is(w->frame.data, 0xc1));
	s = session_of(w, &p, NULL);
	CHECK_EQ(s->flags, LS_SF_VIP | LS_SF_HALF);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_HALF_NEW);
	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.11", 80, A), IF_DMZ);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_HALF_STREAM);
	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.11", 80, F | A), IF_DMZ);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_HALF_CLOSING);
	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.11", 80, S), IF_DMZ);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_HALF_NEW);

	p = tcp_at("198.51.100.50", 4000, "192.0.2.12", 443, S, 1, 0, 33);
	CHECK_TX(w, PORT_UNTRUST, p, IF_DMZ);
	CHECK_IP(l3_of(w), "10.0.3.1", "10.0.3.11");
	CHECK_EQ(l3_of(w)[9], LS_IPPROTO_IPIP);
	CHECK_EQ(ls_get16(l3_of(w) + 2), 20 + 73);
	CHECK_IP(l4_of(w), "198.51.100.50", "192.0.2.12");
	CHECK_EQ(l4_of(w)[8], 63);
	CHECK_EQ(w->frame.len, 14 + 20 + 73);
	CHECK_EQ(counted(w, LS_CTR_ENCAPSULATED), 1);

	p = udp("198.51.100.50", 4000, "192.0.2.13", 443, 7);
	put(&p, NULL, 5); /* padding of a short frame must not travel inside the tunnel */
	CHECK_TX(w, PORT_UNTRUST, p, IF_DMZ);
	CHECK_IP(l3_of(w), "10.0.3.1", "10.0.3.12");
	CHECK_EQ(l3_of(w)[9], LS_IPPROTO_GRE);
	CHECK_EQ(ls_get32(l4_of(w)), LS_ETH_IP4);
	CHECK_EQ(ls_get16(l3_of(w) + 2), 20 + 4 + 35);
	CHECK(sums_wrong(l4_of(w) + 4, 35, false) == NULL);
	CHECK_EQ(w->frame.len, 14 + 20 + 4 + 35);

	CHECK_TX(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.16", 443, S), IF_DMZ);
	CHECK_EQ(ls_get16(w->frame.data + 12), LS_ETH_IP6);
	CHECK_IP(l3_of(w), "fd00:3::1", "fd00:3::11");
	CHECK_EQ(l3_of(w)[6], LS_IPPROTO_IPIP);
	CHECK_EQ(ls_get16(l3_of(w) + 4), 40);
	CHECK(mac_is(w->frame.data, 0xc7));
	/* no address to send from: a reason of its own */
	w->t->env.banks[w->t->env.header->active_bank & 1].iface[IF_DMZ].addr6 = (struct ls_addr){ 0 };
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.16", 443, A), ENCAP_FAMILY);
	close_router(w);
}

TEST("a frame without head room cannot be wrapped or answered, and says so")
{
	struct lane *w = open_router();
	struct packet p = tcp("198.51.100.50", 4000, "192.0.2.12", 443, S);
	struct ls_buf *b = &w->frame;

	for (u32 room = 0; room < 24; room++) {
		memcpy(w->memory + LS_HEADROOM, p.b, p.len);
		*b = (struct ls_buf){ .data = w->memory + LS_HEADROOM, .len = p.len, .head = room, .tail = 0 };
		memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
		w->pkt.buf = b;
		w->e.now_ns = ls_clock_ns();
		CHECK_AT("room %u", room);
		if (room < 20) {
			CHECK_EQ(ls_pipeline(&w->e, &w->pkt, PORT_UNTRUST), LS_V_DROP);
			CHECK_EQ(w->pkt.drop, LS_DROP_NO_HEADROOM);
		} else {
			CHECK_EQ(ls_pipeline(&w->e, &w->pkt, PORT_UNTRUST), LS_V_TX);
		}
	}
	close_router(w);
}

/* --- policy, routes ------------------------------------------------------------------------------------------------------------------------------------- */

TEST("policy: first match, default deny, logs, schedules through the active row, reject by RST and by ICMP")
{
	struct lane *w = open_router();
	struct ls_config *c = &w->t->env.banks[w->t->env.header->active_bank & 1];
	struct ls_log log[8];
	const u8 *h;

	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.67", 2, 3), POLICY_DENY);
	CHECK_EQ(ls_table_drain_logs(w->t, log, 8), 1);
	CHECK_EQ(log[0].policy, POLICY_DENY);
	CHECK_EQ(log[0].action, LS_ACT_DENY);
	CHECK_EQ(log[0].zone_in, ZONE_TRUST);
	CHECK_EQ(log[0].zone_out, ZONE_UNTRUST);
	CHECK_DROP(w, PORT_UNTRUST, udp("198.51.100.50", 1, "10.0.1.10", 2, 3), POLICY_DEFAULT);
	CHECK_EQ(w->e.worker_counters->c.policy[0][0], 1);
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.68", 2, 3), POLICY_DENY);
	c->policy.active.bits[0] |= 1ULL << RULE_SCHEDULED;
	CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.68", 2, 3), LS_V_NEIGH);
	CHECK_EQ(w->pkt.policy, POLICY_SCHEDULED);
	c->policy.active.bits[0] &= ~(1ULL << RULE_SCHEDULED);
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 5, "198.51.100.68", 2, 3), POLICY_DENY);
	CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.68", 2, 3), LS_V_NEIGH); /* what is open stays until re-evaluated */

	/* RST to a SYN: acknowledges it; to a segment with ACK: takes its sequence from there */
	CHECK_V(w, PORT_TRUST, tcp_at("10.0.1.10", 4000, "198.51.100.66", 80, S, 777, 0, 0), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_POLICY_REJECT);
	h = l4_of(w);
	CHECK_IP(l3_of(w), "198.51.100.66", "10.0.1.10");
	CHECK_EQ(ls_get16(h), 80);
	CHECK_EQ(ls_get16(h + 2), 4000);
	CHECK_EQ(h[13], R | A);
	CHECK_EQ(ls_get32(h + 4), 0);
	CHECK_EQ(ls_get32(h + 8), 778);
	CHECK_EQ(w->frame.len, 14 + 40);
	CHECK(mac_is(w->frame.data, 0x99) && mac_is(w->frame.data + 6, 0x11));
	CHECK_EQ(counted(w, LS_CTR_RST_SENT), 1);
	CHECK_V(w, PORT_TRUST, with_options(tcp_at("10.0.1.10", 4000, "198.51.100.66", 80, S, 777, 0, 9), (u8[]){ 1, 1, 1, 0 }, 4), LS_V_TX);
	CHECK_EQ(ls_get32(l4_of(w) + 8), 777 + 1 + 9);
	CHECK_V(w, PORT_TRUST, tcp_at("fd00:1::10", 4000, "2001:db8:2::66", 80, S, 777, 0, 3), LS_V_TX);
	CHECK_IP(l3_of(w), "2001:db8:2::66", "fd00:1::10");
	CHECK_EQ(ls_get32(l4_of(w) + 8), 781);
	CHECK_EQ(w->frame.len, 14 + 60);
	for (u32 n = 0; n < 1400; n += n < 20 ? 1 : 61) {
		CHECK_AT("payload %u", n);
		w->shift_ns += 2ULL << 30;
		CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 4000, "198.51.100.66", 80, n), LS_V_TX);
		CHECK_EQ(l4_of(w)[0], 3);
		CHECK_EQ(l4_of(w)[1], 13);
		CHECK_EQ(w->frame.len - 14, n + 28 > 548 ? 576 : n + 56);
		CHECK_V(w, PORT_TRUST, udp("fd00:1::10", 4000, "2001:db8:2::66", 80, n), LS_V_TX);
		CHECK_EQ(l4_of(w)[0], 1);
		CHECK_EQ(l4_of(w)[1], 1);
		CHECK_EQ(w->frame.len - 14, n + 48 > 1232 ? 1280 : n + 96);
	}
	close_router(w);
}

TEST("routes: blackhole, none, unresolved, down, local; answers where an answer is due")
{
	struct lane *w = open_router();

	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "10.66.1.1", 2, 3), NO_ROUTE);
	CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 1, "10.67.1.1", 2, 3), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_NO_ROUTE);
	CHECK_EQ(w->pkt.out_iface, IF_TRUST);
	CHECK_EQ(l4_of(w)[0], 3);
	CHECK_EQ(l4_of(w)[1], 1);
	CHECK_IP(l3_of(w), "10.0.1.1", "10.0.1.10");
	CHECK_IP(l4_of(w) + 8, "10.0.1.10", "10.67.1.1");
	CHECK_V(w, PORT_TRUST, udp("fd00:1::10", 1, "fd00:67::1", 2, 3), LS_V_TX);
	CHECK_EQ(l4_of(w)[0], 1);
	CHECK_EQ(l4_of(w)[1], 0);
	CHECK_EQ(live_count(w->t), 0);
	CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 1, "10.0.3.99", 2, 3), LS_V_NEIGH);
	CHECK_EQ(w->pkt.out_iface, IF_DMZ);
	CHECK(memcmp(&w->pkt.route.next_hop, &(struct ls_addr){ .b = { [10] = 0xff, 0xff, 10, 0, 3, 99 } }, 16) == 0);
	CHECK_V(w, PORT_TRUST, udp("10.0.1.10", 1, "203.0.114.1", 2, 3), LS_V_TX); /* by the gateway */
	CHECK(mac_is(w->frame.data, 0xb1));
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "10.0.7.9", 2, 3), TX_DOWN);
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "10.0.1.77", 2, 3), HOST_INBOUND);
	/* an answer is not given to a broadcast, to an error, nor where the zone forbids it */
	zone_of(w, ZONE_TRUST)->flags |= LS_ZF_ICMP_ERRORS_OFF;
	CHECK_DROP(w, PORT_TRUST, udp("10.0.1.10", 1, "10.67.1.1", 2, 3), NO_ROUTE);
	close_router(w);
}

TEST("answers are limited in number")
{
	struct lane *w = open_router();
	u32 sent = 0;

	w->shift_ns = 2 * (1ULL << 30) - ls_clock_ns() % (1ULL << 30);
	for (u32 i = 0; i < 1200; i++) {
		u32 v = lane_run(w, PORT_TRUST, udp("10.0.1.10", 1, "10.67.1.1", 2, 3));

		CHECK_EQ(w->pkt.drop, LS_DROP_NO_ROUTE);
		sent += v == LS_V_TX;
	}
	CHECK(sent >= 1000 && sent <= 1200);
	close_router(w);
}

TEST("TTL: the last hop answers on a hit and on a miss, in both families; the quote is the packet as it came")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 4000, "198.51.100.50", 33434, 9), q = udp("fd00:1::10", 4000, "2001:db8:2::50", 33434, 9);

	for (u32 round = 0; round < 2; round++) {
		struct packet dying = p, dying6 = q;

		for (u32 ttl = 0; ttl < 2; ttl++) {
			dying.b[dying.l3 + 8] = (u8)ttl;
			finish(&dying, 17);
			dying6.b[dying6.l3 + 7] = (u8)ttl;
			CHECK_AT("round %u ttl %u", round, ttl);
			CHECK_V(w, PORT_TRUST, dying, LS_V_TX);
			CHECK_EQ(w->pkt.drop, LS_DROP_TTL_EXPIRED);
			CHECK_EQ(w->pkt.out_iface, IF_TRUST);
			CHECK_IP(l3_of(w), "10.0.1.1", "10.0.1.10");
			CHECK_EQ(l4_of(w)[0], 11);
			CHECK(memcmp(l4_of(w) + 8, dying.b + dying.l3, dying.len - dying.l3) == 0);
			CHECK_V(w, PORT_TRUST, dying6, LS_V_TX);
			CHECK_EQ(l4_of(w)[0], 3);
			CHECK(memcmp(l4_of(w) + 8, dying6.b + dying6.l3, dying6.len - dying6.l3) == 0);
		}
		CHECK_EQ(live_count(w->t), round ? 2 : 0);
		CHECK_TX(w, PORT_TRUST, p, IF_UNTRUST);
		CHECK_V(w, PORT_TRUST, q, LS_V_NEIGH);
	}
	/* on a tagged port the answer is tagged alike */
	{
		struct packet t = udp("10.0.5.10", 1, "10.0.3.10", 2, 9);

		t.b[t.l3 + 8] = 1;
		finish(&t, 17);
		CHECK_V(w, PORT_TRUST, tagged(t, (u32[]){ 200, 300 }, 2), LS_V_TX);
		CHECK_EQ(ls_get16(w->frame.data + 14), 200);
		CHECK_EQ(ls_get16(w->frame.data + 18), 300);
		CHECK_IP(l3_of(w), "10.0.5.1", "10.0.5.10");
	}
	close_router(w);
}

TEST("MTU: too big with DF is answered with the MTU, without DF dropped; tunnels make room for themselves")
{
	struct lane *w = open_router();
	struct packet p;

	for (u32 round = 0; round < 2; round++) {
		p = udp("10.0.1.10", 4000, "10.0.3.10", 53, round ? 1373 : 1372);
		p.b[p.l3 + 6] = 0x40;
		finish(&p, 17);
		CHECK_AT("round %u", round);
		CHECK_V(w, PORT_TRUST, p, LS_V_TX);
		if (!round) {
			CHECK_EQ(w->pkt.out_iface, IF_DMZ);
			continue;
		}
		CHECK_EQ(w->pkt.drop, LS_DROP_MTU_EXCEEDED);
		CHECK_EQ(l4_of(w)[0], 3);
		CHECK_EQ(l4_of(w)[1], 4);
		CHECK_EQ(ls_get32(l4_of(w) + 4), 1400);
		CHECK_IP(l3_of(w), "10.0.1.1", "10.0.1.10");
		p.b[p.l3 + 6] = 0;
		finish(&p, 17);
		CHECK_DROP(w, PORT_TRUST, p, MTU_EXCEEDED);
		p = udp("fd00:1::10", 4000, "fd00:3::10", 53, 1353);
		CHECK_V(w, PORT_TRUST, p, LS_V_TX);
		CHECK_EQ(l4_of(w)[0], 2);
		CHECK_EQ(ls_get32(l4_of(w) + 4), 1400);
		CHECK_EQ(w->frame.len, 14 + 1280);
	}
	check_where[0] = 0;
	CHECK_TX(w, PORT_UNTRUST, tcp_at("198.51.100.50", 4000, "192.0.2.12", 443, S, 1, 0, 1380 - 40), IF_DMZ);
	CHECK_V(w, PORT_UNTRUST, tcp_at("198.51.100.50", 4000, "192.0.2.12", 443, A, 1, 0, 1381 - 40), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_MTU_EXCEEDED);
	CHECK_EQ(ls_get32(l4_of(w) + 4), 1380);
	CHECK_V(w, PORT_UNTRUST, tcp_at("198.51.100.50", 4001, "192.0.2.16", 443, S, 1, 0, 1361 - 40), LS_V_TX);
	CHECK_EQ(ls_get32(l4_of(w) + 4), 1360);
	CHECK_V(w, PORT_UNTRUST, udp("198.51.100.50", 4001, "192.0.2.13", 443, 1377 - 28), LS_V_TX);
	CHECK_EQ(ls_get32(l4_of(w) + 4), 1376);
	close_router(w);
}

/* --- ICMP errors -------------------------------------------------------------------------------------------------------------------------------------------- */

TEST("ICMP errors are translated with what they quote, in both directions, through SNAT, DNAT, static NAT and VIPs, in both families")
{
	struct lane *w = open_router();
	static const struct {
		const char *what, *client, *server; /* as the client sends */
		u32 client_port, server_port, port;
	} flow[] = {
		{ "source NAT", "10.0.1.10", "198.51.100.50", PORT_TRUST, PORT_UNTRUST, 80 },
		{ "interface NAT", "10.0.1.130", "198.51.100.50", PORT_TRUST, PORT_UNTRUST, 80 },
		{ "DNAT", "198.51.100.50", "192.0.2.20", PORT_UNTRUST, PORT_DMZ, 8022 },
		{ "static NAT", "198.51.100.50", "192.0.2.30", PORT_UNTRUST, PORT_DMZ, 80 },
		{ "VIP", "198.51.100.50", "192.0.2.10", PORT_UNTRUST, PORT_DMZ, 80 },
		{ "VIP behind a pool", "198.51.100.50", "192.0.2.14", PORT_UNTRUST, PORT_DMZ, 80 },
		{ "plain", "10.0.1.10", "10.0.3.10", PORT_TRUST, PORT_DMZ, 80 },
		{ "VIP6", "2001:db8:9::1", "2001:db8:10::10", PORT_UNTRUST, PORT_DMZ, 80 },
		{ "plain6", "fd00:1::10", "fd00:3::10", PORT_TRUST, PORT_DMZ, 80 },
	};

	for (u32 i = 0; i < sizeof(flow) / sizeof(*flow); i++)
		for (u32 proto = 0; proto < 3; proto++)
			for (u32 from_router = 0; from_router < 2; from_router++)
				for (u32 quote_short = 0; quote_short < 2; quote_short++) {
					const char *c = flow[i].client, *s = flow[i].server, *hop;
					bool v6 = strchr(c, ':') != NULL;
					u32 head = v6 ? 40 : 20, quote, cp = 4000 + i;
					struct packet sent, error, answer;
					u8 out[PACKET_MAX], back[PACKET_MAX];
					u32 out_len;
					char dst[64], src[64];
					u64 seen, packets;
					struct ls_session *session;

					if ((proto == 2 && (i == 2 || i == 4 || i == 5 || i == 7)) || (proto == 1 && (i == 4 || i == 5 || i == 7)))
						continue; /* VIPs and the DNAT rule are for TCP */
					CHECK_AT("%s, protocol %u, from %s, %s quote", flow[i].what, proto, from_router ? "a hop" : "the end", quote_short ? "short" : "long");
					sent = proto == 0 ? tcp(c, cp, s, flow[i].port, S) : proto == 1 ? udp(c, cp, s, flow[i].port, 11) : echo(c, s, cp, false, 11);
					{
						u32 v = lane_run(w, flow[i].client_port, sent);

						CHECK(v == LS_V_TX || v == LS_V_NEIGH);
					}
					session = session_of(w, &sent, NULL);
					CHECK(session);
					seen = session->last_seen_ns;
					packets = session->packets[0] + session->packets[1];
					out_len = w->frame.len - frame_l3(w->frame.data, w->frame.len);
					memcpy(out, l3_of(w), out_len);
					quote = quote_short ? head + 8 : out_len;

					/* from the server's side about what the client sent: to the address it came from */
					inet_ntop(v6 ? AF_INET6 : AF_INET, out + (v6 ? 8 : 12), src, sizeof(src));
					inet_ntop(v6 ? AF_INET6 : AF_INET, out + (v6 ? 24 : 16), dst, sizeof(dst));
					hop = from_router ? (v6 ? "fd00:3::77" : "203.0.114.7") : dst;
					error = icmp_error(hop, src, v6 ? 1 : 3, 3, 0, out, quote);
					error.b[5] = flow[i].server_port == PORT_DMZ ? 0x33 : 0x22;
					{
						u32 v = lane_run(w, flow[i].server_port, error);

						CHECK(v == LS_V_TX || v == LS_V_NEIGH);
					}
					CHECK(ip_is(l3_of(w), true, c));
					if (from_router)
						CHECK(ip_is(l3_of(w), false, hop));
					else
						CHECK(ip_is(l3_of(w), false, s));
					/* the quote is what the client had sent, but for TTL and the sums that follow it */
					{
						const u8 *q = l4_of(w) + 8;

						CHECK_IP(q, c, s);
						CHECK(memcmp(q + head, sent.b + sent.l4, quote - head < 16 ? quote - head : 16) == 0);
						if (!quote_short)
							CHECK(sums_wrong(q, quote, true) == NULL);
					}

					/* the other way: the server answers, and something behind the client cannot take it */
					answer = proto == 0 ? tcp(dst, flow[i].port, src, cp, S | A) : proto == 1 ? udp(dst, flow[i].port, src, cp, 5) : echo(dst, src, cp, true, 5);
					if (proto == 0) {
						ls_put16(answer.b + answer.l4, ls_get16(out + head + 2));
						ls_put16(answer.b + answer.l4 + 2, ls_get16(out + head));
					} else if (proto == 1) {
						ls_put16(answer.b + answer.l4, ls_get16(out + head + 2));
						ls_put16(answer.b + answer.l4 + 2, ls_get16(out + head));
					} else {
						ls_put16(answer.b + answer.l4 + 4, ls_get16(out + head + 4));
					}
					finish(&answer, proto == 0 ? 6 : proto == 1 ? 17 : v6 ? 58 : 1);
					answer.b[5] = flow[i].server_port == PORT_DMZ ? 0x33 : 0x22;
					{
						u32 v = lane_run(w, flow[i].server_port, answer);

						CHECK(v == LS_V_TX || v == LS_V_NEIGH);
					}
					CHECK_IP(l3_of(w), s, c);
					out_len = w->frame.len - frame_l3(w->frame.data, w->frame.len);
					memcpy(back, l3_of(w), out_len);
					seen = session->last_seen_ns;
					packets = session->packets[0] + session->packets[1];
					quote = quote_short ? head + 8 : out_len;
					error = icmp_error(from_router ? (v6 ? "2001:db8:9::77" : "10.0.1.20") : c, s, v6 ? 1 : 3, v6 ? 4 : 3, 0, back, quote);
					error.b[5] = flow[i].client_port == PORT_TRUST ? 0x11 : 0x22;
					{
						u32 v = lane_run(w, flow[i].client_port, error);

						CHECK(v == LS_V_TX || v == LS_V_NEIGH);
					}
					CHECK(ip_is(l3_of(w), true, dst));
					if (!from_router)
						CHECK(ip_is(l3_of(w), false, src));
					CHECK_IP(l4_of(w) + 8, dst, src);
					CHECK(memcmp(l4_of(w) + 8 + head, answer.b + answer.l4, 8) == 0 || proto == 1 || proto == 2);
					CHECK_EQ(session->last_seen_ns, seen); /* R19: no refresh, no count */
					CHECK_EQ(session->packets[0] + session->packets[1], packets);
					{
						struct ls_delete_result gone;
						u32 slot = (u32)(session - w->t->env.sessions);

						ls_table_free_slots(w->t, &slot, &session->gen, 1, LS_CLOSE_ADMIN, &gone);
						CHECK_EQ(gone.deleted, 1);
					}
				}
	close_router(w);
}

TEST("ICMP errors that match nothing, lie about their origin, or quote rubbish are dropped or left to the host")
{
	struct lane *w = open_router();
	struct packet sent = udp("10.0.1.10", 4000, "198.51.100.50", 80, 8), inner = udp("10.9.9.9", 1, "10.8.8.8", 2, 8), e;
	u8 out[PACKET_MAX];
	char src[64];

	CHECK_DROP(w, PORT_UNTRUST, icmp_error("198.51.100.50", "192.0.2.100", 3, 3, 0, inner.b + inner.l3, 36), ICMP_UNMATCHED);
	inner = udp("198.51.100.1", 40000, "198.51.100.50", 2, 8);
	CHECK_V(w, PORT_UNTRUST, icmp_error("198.51.100.50", "198.51.100.1", 3, 3, 0, inner.b + inner.l3, 36), LS_V_HOST);
	CHECK_TX(w, PORT_TRUST, sent, IF_UNTRUST);
	memcpy(out, l3_of(w), 36);
	inet_ntop(AF_INET, out + 12, src, sizeof(src));
	CHECK_TX(w, PORT_UNTRUST, icmp_error("198.51.100.50", src, 3, 3, 0, out, 36), IF_TRUST);
	/* sent to somebody else than the one who sent what it quotes */
	CHECK_DROP(w, PORT_UNTRUST, icmp_error("198.51.100.50", "192.0.2.30", 3, 3, 0, out, 36), ICMP_UNMATCHED);
	CHECK_DROP(w, PORT_UNTRUST, icmp_error("198.51.100.50", "10.0.1.10", 3, 3, 0, out, 36), ICMP_UNMATCHED);
	for (u32 n = 0; n < 28; n++) {
		CHECK_AT("quote of %u", n);
		CHECK_DROP(w, PORT_UNTRUST, icmp_error("198.51.100.50", src, 3, 3, 0, out, n), ICMP_UNMATCHED);
	}
	check_where[0] = 0;
	e = icmp_error("198.51.100.50", src, 3, 3, 0, out, 36);
	e.b[e.l4 + 8] = 0x44;
	finish(&e, 1);
	CHECK_DROP(w, PORT_UNTRUST, e, ICMP_UNMATCHED);
	e = icmp_error("198.51.100.50", src, 3, 3, 0, out, 36);
	e.b[e.l4 + 8 + 7] = 5; /* quotes a later fragment */
	finish(&e, 1);
	CHECK_DROP(w, PORT_UNTRUST, e, ICMP_UNMATCHED);
	e = icmp_error("198.51.100.50", src, 3, 3, 0, out, 36);
	e.b[e.l3 + 8] = 1;
	finish(&e, 1);
	CHECK_DROP(w, PORT_UNTRUST, e, TTL_EXPIRED); /* no error about an error */
	e = icmp_error("198.51.100.50", src, 3, 3, 0, out, 36);
	e.b[5] = 0x23;
	CHECK_DROP(w, PORT_UNTRUST, e, NOT_FOR_US);
	/* for a group another node owns: translated all the same (R19) */
	w->t->env.rgs[0].seen_floor_ns = 0;
	/* past the timeout it is a miss like any other (D4) */
	w->shift_ns = 200000000000ULL;
	CHECK_DROP(w, PORT_UNTRUST, icmp_error("198.51.100.50", src, 3, 3, 0, out, 36), ICMP_UNMATCHED);
	/* types that are not forwarded */
	w->shift_ns = 0;
	e = ip(1, "10.0.1.10", "198.51.100.50");
	put32(&e, 13u << 24);
	put32(&e, 0);
	put32(&e, 0);
	finish(&e, 1);
	CHECK_DROP(w, PORT_TRUST, e, ICMP_TYPE);
	CHECK_DROP(w, PORT_TRUST, echo("10.0.1.10", "198.51.100.50", 77, true, 8), ICMP_UNMATCHED);
	close_router(w);
}

TEST("R19 a node that does not own the group translates errors and forwards nothing else")
{
	struct lane *w = open_router();
	struct packet syn = tcp("198.51.100.50", 4000, "192.0.2.10", 80, S);
	u8 out[PACKET_MAX];
	u32 role;

	CHECK_TX(w, PORT_UNTRUST, syn, IF_DMZ);
	memcpy(out, l3_of(w), 40);
	for (role = LS_ROLE_INIT; role <= LS_ROLE_TAKE; role++) {
		bool hits = role == LS_ROLE_OWNER || role == LS_ROLE_YIELD || role == LS_ROLE_TAKE;
		char dst[64];

		CHECK_AT("role %u", role);
		ls_table_set_role(w->t, 2, role, 1, ~0ULL);
		if (hits)
			CHECK_TX(w, PORT_UNTRUST, syn, IF_DMZ);
		else
			CHECK_DROP(w, PORT_UNTRUST, syn, RG_NOT_OWNER);
		if (role != LS_ROLE_OWNER)
			CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 5000 + role, "192.0.2.10", 80, S), RG_NOT_OWNER);
		inet_ntop(AF_INET, out + 16, dst, sizeof(dst));
		CHECK_TX(w, PORT_DMZ, icmp_error(dst, "198.51.100.50", 3, 3, 0, out, 40), IF_UNTRUST);
		CHECK_IP(l3_of(w), "192.0.2.10", "198.51.100.50");
	}
	ls_table_set_role(w->t, 2, LS_ROLE_OWNER, 1, 1); /* a lease that ran out */
	CHECK_DROP(w, PORT_UNTRUST, syn, RG_LEASE);
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 6000, "192.0.2.10", 80, S), RG_NOT_OWNER);
	CHECK_DROP(w, PORT_TRUST, echo("10.0.1.10", "192.0.2.10", 1, false, 1), OWN_ADDRESS);
	close_router(w);
}

/* --- the router's own addresses ---------------------------------------------------------------------------------------------------------------------------------- */

static struct packet arp(u8 dst_mac, const char *asks, const char *for_whom, u32 op)
{
	struct packet p = ether(dst_mac, LS_ETH_ARP);
	struct ls_addr a = addr(asks), b = addr(for_whom);
	u8 mac[6];

	if (dst_mac == 0xff)
		memset(p.b, 0xff, 6);
	p.l3 = p.len;
	put16(&p, 1);
	put16(&p, 0x0800);
	put16(&p, 0x0604);
	put16(&p, op);
	mac_of(0x99, mac);
	put(&p, mac, 6);
	put(&p, &a.w[3], 4);
	put(&p, NULL, 6);
	put(&p, &b.w[3], 4);
	return p;
}

TEST("ARP: owned addresses are answered, the host's and strangers' are not, another owner's are silent")
{
	struct lane *w = open_router();
	struct packet p = arp(0xff, "198.51.100.50", "192.0.2.10", 1);
	u8 want[28] = { 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0x22, 192, 0, 2, 10, 2, 0, 0, 0, 0, 0x99, 198, 51, 100, 50 };

	put(&p, NULL, 18); /* to the minimum frame */
	CHECK_TX(w, PORT_UNTRUST, p, IF_UNTRUST);
	CHECK(memcmp(w->frame.data + 14, want, 28) == 0);
	CHECK(mac_is(w->frame.data, 0x99) && mac_is(w->frame.data + 6, 0x22));
	CHECK_EQ(w->frame.len, 60);
	CHECK_EQ(counted(w, LS_CTR_ARP_REPLIES), 1);
	CHECK_TX(w, PORT_UNTRUST, arp(0xff, "198.51.100.50", "192.0.2.100", 1), IF_UNTRUST);
	CHECK_TX(w, PORT_UNTRUST, arp(0x22, "198.51.100.50", "192.0.2.30", 1), IF_UNTRUST);
	CHECK_V(w, PORT_UNTRUST, arp(0xff, "198.51.100.50", "198.51.100.1", 1), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, arp(0xff, "198.51.100.50", "198.51.100.77", 1), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, arp(0x22, "198.51.100.50", "192.0.2.10", 2), LS_V_HOST);
	ls_table_set_role(w->t, 2, LS_ROLE_STANDBY, 1, ~0ULL);
	CHECK_DROP(w, PORT_UNTRUST, p, OWN_ADDRESS);
	p = arp(0xff, "198.51.100.50", "192.0.2.10", 1);
	for (u32 n = 14; n < p.len; n++) {
		CHECK_AT("cut to %u", n);
		CHECK_DROP(w, PORT_UNTRUST, cut(p, n), TRUNCATED);
	}
	close_router(w);
}

static struct packet solicitation(const char *src, const char *dst, const char *target, u32 ttl)
{
	struct packet p = ip(58, src, dst);
	struct ls_addr a = addr(target);

	p.b[5] = 0x22;
	if (strncmp(dst, "ff", 2) == 0)
		p.b[0] = 0x33;
	put32(&p, 135u << 24);
	put32(&p, 0);
	put(&p, a.b, 16);
	put16(&p, 0x0101);
	put(&p, (u8[]){ 2, 0, 0, 0, 0, 0x99 }, 6);
	p.b[p.l3 + 7] = (u8)ttl;
	finish(&p, 58);
	return p;
}

TEST("ND: solicitations of owned addresses are advertised, also for address detection; the rest is the host's")
{
	struct lane *w = open_router();
	struct packet p = solicitation("2001:db8:2::50", "ff02::1:ff00:10", "2001:db8:10::10", 255);
	const u8 *h;

	for (u32 k = 0; k < 3; k++) {
		struct packet q = k == 0 ? p : k == 1 ? solicitation("2001:db8:2::50", "2001:db8:10::10", "2001:db8:10::10", 255)
			: solicitation("::", "ff02::1:ff00:10", "2001:db8:10::10", 255);

		CHECK_AT("kind %u", k);
		CHECK_TX(w, PORT_UNTRUST, q, IF_UNTRUST);
		h = l3_of(w);
		CHECK_EQ(w->frame.len, 14 + 72);
		CHECK_IP(h, "2001:db8:10::10", k == 2 ? "ff02::1" : "2001:db8:2::50");
		CHECK_EQ(h[7], 255);
		CHECK_EQ(h[40], 136);
		CHECK_EQ(h[44], k == 2 ? 0xa0 : 0xe0);
		CHECK(memcmp(h + 48, addr("2001:db8:10::10").b, 16) == 0);
		CHECK_EQ(ls_get16(h + 64), 0x0201);
		CHECK(mac_is(h + 66, 0x22));
		CHECK(k == 2 ? memcmp(w->frame.data, (u8[]){ 0x33, 0x33, 0, 0, 0, 1 }, 6) == 0 : mac_is(w->frame.data, 0x99));
		CHECK_EQ(counted(w, LS_CTR_ND_REPLIES), 1);
	}
	CHECK_DROP(w, PORT_UNTRUST, solicitation("2001:db8:2::50", "ff02::1:ff00:10", "2001:db8:10::10", 254), MARTIAN);
	CHECK_V(w, PORT_UNTRUST, solicitation("2001:db8:2::50", "ff02::1:ff00:1", "2001:db8:2::1", 255), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, solicitation("2001:db8:2::50", "ff02::1:ff00:99", "2001:db8:2::99", 255), LS_V_HOST);
	ls_table_set_role(w->t, 2, LS_ROLE_STANDBY, 1, ~0ULL);
	CHECK_V(w, PORT_UNTRUST, solicitation("2001:db8:2::50", "ff02::1:ff00:30", "2001:db8:10::30", 255), LS_V_TX);
	close_router(w);
}

TEST("D1 host-inbound: management always, services of the zone, replies to the host's own flows, nothing else")
{
	struct lane *w = open_router();
	static const struct {
		u32 port, proto;
		const char *src, *dst;
		u32 sport, dport, flags;
		bool allowed;
	} row[] = {
		{ PORT_MANAGEMENT, 6, "10.0.6.10", "10.0.6.1", 4000, 22, S, true }, { PORT_MANAGEMENT, 6, "10.0.6.10", "10.0.6.1", 4000, 22, A, true },
		{ PORT_MANAGEMENT, 6, "10.0.6.10", "10.0.6.1", 4000, 9440, S, true }, { PORT_MANAGEMENT, 6, "10.0.6.10", "10.0.6.1", 4000, 23, S, false },
		{ PORT_MANAGEMENT, 17, "10.0.6.10", "10.0.6.1", 4000, 22, 0, false }, { PORT_TRUST, 6, "10.0.1.10", "10.0.1.1", 4000, 22, S, false },
		{ PORT_TRUST, 17, "10.0.1.10", "10.0.1.1", 4000, 53, 0, true }, { PORT_TRUST, 17, "10.0.1.10", "10.0.1.1", 4000, 54, 0, false },
		{ PORT_TRUST, 6, "10.0.1.10", "10.0.1.1", 4000, 53, S, false }, { PORT_TRUST, 6, "10.0.1.10", "10.0.1.1", 4000, 179, S, true },
		{ PORT_TRUST, 6, "10.0.1.10", "10.0.1.1", 4000, 180, S, true }, { PORT_TRUST, 6, "10.0.1.10", "10.0.1.1", 4000, 181, S, false },
		{ PORT_TRUST, 17, "10.0.1.10", "10.0.1.1", 68, 67, 0, true }, { PORT_UNTRUST, 17, "198.51.100.50", "198.51.100.1", 68, 67, 0, false },
		{ PORT_UNTRUST, 17, "198.51.100.50", "198.51.100.1", 53, 40000, 0, true }, { PORT_UNTRUST, 17, "198.51.100.50", "198.51.100.1", 53, 32767, 0, false },
		{ PORT_UNTRUST, 6, "198.51.100.50", "198.51.100.1", 179, 40000, S | A, true }, { PORT_UNTRUST, 6, "198.51.100.50", "198.51.100.1", 179, 40000, A, true },
		{ PORT_UNTRUST, 6, "198.51.100.50", "198.51.100.1", 179, 40000, S, false }, { PORT_UNTRUST, 6, "198.51.100.50", "198.51.100.1", 179, 61001, A, false },
		{ PORT_TRUST, 6, "fd00:1::10", "fd00:1::1", 4000, 179, S, true }, { PORT_TRUST, 17, "10.0.1.10", "198.51.100.1", 4000, 53, 0, true },
	};

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct packet p = row[i].proto == 6 ? tcp(row[i].src, row[i].sport, row[i].dst, row[i].dport, row[i].flags)
			: udp(row[i].src, row[i].sport, row[i].dst, row[i].dport, 4);

		CHECK_AT("row %u", i);
		if (row[i].allowed)
			CHECK_V(w, row[i].port, p, LS_V_HOST);
		else
			CHECK_DROP(w, row[i].port, p, HOST_INBOUND);
	}
	check_where[0] = 0;
	CHECK_V(w, PORT_TRUST, echo("10.0.1.10", "10.0.1.1", 1, false, 8), LS_V_HOST);
	CHECK_DROP(w, PORT_UNTRUST, echo("198.51.100.50", "198.51.100.1", 1, false, 8), HOST_INBOUND);
	CHECK_V(w, PORT_UNTRUST, echo("198.51.100.50", "198.51.100.1", 1, true, 8), LS_V_HOST);
	zone_of(w, ZONE_UNTRUST)->flags |= LS_ZF_HOST_ANY;
	CHECK_V(w, PORT_UNTRUST, tcp("198.51.100.50", 4000, "198.51.100.1", 9999, S), LS_V_HOST);
	CHECK_EQ(live_count(w->t), 0);
	close_router(w);
}

/* A frame of the host's own leaves by `port`, seen from the way out. */
static u32 leaves(struct lane *w, u32 port, struct packet p)
{
	lane_load(w, p.b, p.len);
	return ls_host_out(&w->e, &w->pkt, port, 0);
}

TEST("D1 R17 flows of the host itself: recorded on the way out, so that replies come in and nothing else does")
{
	struct lane *w = open_router();
	struct packet out, in, late;
	struct ls_session *s;

	w->t->env.header->host_flows = 1;
	/* nobody asked: a substrate that knows sockets may ask them, this one drops */
	CHECK_DROP(w, PORT_UNTRUST, udp("198.51.100.50", 53, "198.51.100.1", 40000, 4), HOST_INBOUND);
	CHECK_DROP(w, PORT_UNTRUST, tcp("198.51.100.50", 179, "198.51.100.1", 40000, A), HOST_INBOUND);
	CHECK_DROP(w, PORT_UNTRUST, echo("198.51.100.50", "198.51.100.1", 1, true, 8), HOST_INBOUND);
	/* UDP, TCP and ping, in both families; the last hop's TTL is enough to get here */
	CHECK_EQ(leaves(w, PORT_UNTRUST, udp("198.51.100.1", 40000, "198.51.100.50", 53, 4)), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, udp("198.51.100.50", 53, "198.51.100.1", 40000, 4), LS_V_HOST);
	CHECK_DROP(w, PORT_UNTRUST, udp("198.51.100.66", 53, "198.51.100.1", 40000, 4), HOST_INBOUND);
	CHECK_EQ(leaves(w, PORT_UNTRUST, tcp("198.51.100.1", 40001, "198.51.100.50", 179, S)), LS_V_HOST);
	in = tcp("198.51.100.50", 179, "198.51.100.1", 40001, S | A);
	in.b[in.l3 + 8] = 1;
	finish(&in, 6);
	CHECK_V(w, PORT_UNTRUST, in, LS_V_HOST);
	CHECK_EQ(leaves(w, PORT_UNTRUST, echo("2001:db8:2::1", "2001:db8:2::50", 7, false, 8)), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, echo("2001:db8:2::50", "2001:db8:2::1", 7, true, 8), LS_V_HOST);
	CHECK_EQ(live_count(w->t), 3);
	/* the record: nobody's group, from no zone, both directions counted */
	out = udp("198.51.100.1", 40000, "198.51.100.50", 53, 4);
	s = session_of(w, &out, NULL);
	CHECK(s && s->flags == LS_SF_HOST && s->rg == LS_RG_NONE && s->zone_in == 0 && s->zone_out == ZONE_UNTRUST);
	CHECK(s && s->packets[0] == 1 && s->packets[1] == 1 && s->bytes[0] == 32);
	/* in the host's name from outside */
	mac_of(0x22, out.b);
	CHECK_DROP(w, PORT_UNTRUST, out, MARTIAN);
	/* answers of services, errors and what is not the host's are not recorded */
	CHECK_EQ(leaves(w, PORT_TRUST, udp("10.0.1.1", 53, "10.0.1.10", 4000, 4)), LS_V_HOST);
	CHECK_EQ(leaves(w, PORT_TRUST, tcp("10.0.1.1", 179, "10.0.1.10", 4000, S | A)), LS_V_HOST);
	CHECK_EQ(leaves(w, PORT_TRUST, echo("10.0.1.1", "10.0.1.10", 7, true, 8)), LS_V_HOST);
	CHECK_EQ(leaves(w, PORT_TRUST, udp("10.0.1.99", 40000, "10.0.1.10", 53, 4)), LS_V_HOST);
	CHECK_EQ(live_count(w->t), 3);
	/* a connection from before: its next segment records it, mid-stream */
	CHECK_EQ(leaves(w, PORT_UNTRUST, tcp("198.51.100.1", 40002, "198.51.100.50", 179, A)), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, tcp("198.51.100.50", 179, "198.51.100.1", 40002, A | P), LS_V_HOST);
	/* idle past its timeout: the reply is late, the next frame of the host opens it anew */
	late = echo("2001:db8:2::50", "2001:db8:2::1", 7, true, 8);
	w->shift_ns = 3600000000000ULL;
	CHECK_DROP(w, PORT_UNTRUST, late, EXPIRED_BUSY);
	CHECK_EQ(leaves(w, PORT_UNTRUST, echo("2001:db8:2::1", "2001:db8:2::50", 7, false, 8)), LS_V_HOST);
	CHECK_V(w, PORT_UNTRUST, late, LS_V_HOST);
	close_router(w);
}

TEST("R17 a flow of the host whose reply tuple a translated session has is held back, and says so")
{
	struct lane *w = open_router();

	w->t->env.header->host_flows = 1;
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.130", 5555, "198.51.100.50", 80, 4), IF_UNTRUST);
	CHECK_IP(l3_of(w), "198.51.100.1", "198.51.100.50");
	CHECK_EQ(leaves(w, PORT_UNTRUST, udp("198.51.100.1", ls_get16(l4_of(w)), "198.51.100.50", 80, 4)), LS_V_DROP);
	CHECK_EQ(w->pkt.drop, LS_DROP_HOST_PORT_CONFLICT);
	close_router(w);
}

TEST("an echo to an owned address is answered whole, with a TTL of its own; fragments of one are not")
{
	struct lane *w = open_router();

	for (u32 n = 0; n < 40; n++) {
		struct packet p = echo("10.0.1.10", "192.0.2.10", 7, false, n);

		p.b[p.l3 + 8] = (u8)(1 + n);
		finish(&p, 1);
		CHECK_AT("payload %u", n);
		CHECK_TX(w, PORT_TRUST, p, IF_TRUST);
		CHECK_IP(l3_of(w), "192.0.2.10", "10.0.1.10");
		CHECK_EQ(l4_of(w)[0], 0);
		CHECK_EQ(l3_of(w)[8], 64);
		CHECK(memcmp(l4_of(w) + 4, p.b + p.l4 + 4, 4 + n) == 0);
		CHECK_EQ(w->frame.len, p.len);
	}
	CHECK_TX(w, PORT_TRUST, echo("fd00:1::10", "2001:db8:10::10", 7, false, 9), IF_TRUST);
	CHECK_EQ(l4_of(w)[0], 129);
	{
		struct packet whole = echo("10.0.1.10", "192.0.2.10", 7, false, 100), first = fragment(&whole, 0, 48);

		CHECK_DROP(w, PORT_TRUST, first, HOST_INBOUND);
	}
	close_router(w);
}

TEST("multicast and broadcast are not forwarded; the host has what its zone says")
{
	struct lane *w = open_router();
	struct packet p = udp("10.0.1.10", 68, "255.255.255.255", 67, 8), m = udp("10.0.3.10", 5000, "224.0.0.18", 5000, 8);

	memset(p.b, 0xff, 6);
	CHECK_V(w, PORT_TRUST, p, LS_V_HOST);
	p = udp("10.0.1.10", 68, "255.255.255.255", 69, 8);
	memset(p.b, 0xff, 6);
	CHECK_DROP(w, PORT_TRUST, p, BROADCAST);
	p = udp("10.0.1.10", 68, "10.0.3.10", 69, 8);
	memset(p.b, 0xff, 6);
	CHECK_DROP(w, PORT_TRUST, p, BROADCAST);
	m.b[0] = 1;
	CHECK_V(w, PORT_DMZ, m, LS_V_HOST);
	m = udp("10.0.1.10", 5000, "224.0.0.18", 5000, 8);
	m.b[0] = 1;
	CHECK_DROP(w, PORT_TRUST, m, MULTICAST);
	m = udp("fd00:1::10", 5000, "ff02::fb", 5000, 8);
	m.b[0] = 0x33;
	CHECK_DROP(w, PORT_TRUST, m, MULTICAST);
	m = solicitation("fe80::10", "ff02::1", "fe80::1", 255);
	m.b[m.l4] = 134; /* router advertisement */
	finish(&m, 58);
	CHECK_V(w, PORT_UNTRUST, m, LS_V_HOST);
	close_router(w);
}

/* --- table limits seen from packets -------------------------------------------------------------------------------------------------------------------------------- */

TEST("a worker without slots drops table_full and recovers with the refill; notices overrun without loss of forwarding")
{
	struct lane *w = open_router();
	u32 ring = w->t->env.header->free_ring, opened = 0;

	for (u32 i = 0; i < ring + 10; i++) {
		u32 v = lane_run(w, PORT_TRUST, udp("10.0.1.10", 2000 + i, "10.0.3.10", 53, 1));

		if (v == LS_V_TX)
			opened++;
		else
			CHECK_EQ(w->pkt.drop, LS_DROP_TABLE_FULL);
	}
	CHECK_EQ(opened, ring);
	ls_table_refill(w->t);
	CHECK_TX(w, PORT_TRUST, udp("10.0.1.10", 9000, "10.0.3.10", 53, 1), IF_DMZ);
	close_router(w);
}

/* What the frame in hand says as TCP. */
static u32 seq_of(const struct lane *w) { return ls_get32(l4_of(w) + 4); }
static u32 ack_of(const struct lane *w) { return ls_get32(l4_of(w) + 8); }
static u32 flags_of(const struct lane *w) { return l4_of(w)[13]; }

TEST("D12 R21 SYN cookies: no state before the acknowledgement, then one connection with two sequence spaces")
{
	static const struct {
		const char *client, *to, *server;
		u32 port, in, back;
	} way[] = {
		{ "10.0.1.10", "198.51.100.50", "198.51.100.50", 80, PORT_TRUST, PORT_UNTRUST }, /* source NAT */
		{ "198.51.100.50", "192.0.2.10", NULL, 80, PORT_UNTRUST, PORT_DMZ },                /* a VIP */
		{ "fd00:1::10", "2001:db8:77::5", "2001:db8:77::5", 80, PORT_TRUST, PORT_UNTRUST },
	};

	for (u32 i = 0; i < sizeof(way) / sizeof(*way); i++)
		for (u32 first = 0; first < 2; first++) { /* the acknowledgement alone, or the first data with it */
			struct lane *w = open_router();
			struct packet p = tcp_at(way[i].client, 4000, way[i].to, way[i].port, S, 1000, 0, 0);
			u32 cookie, server_isn = 0xfffffff0, size, sport;
			char server[64], seen[64];
			u8 *l3;

			CHECK_AT("way %u", i * 2 + first);
			w->t->env.header->defence.pressure = LS_PRESSURE_COOKIES;
			CHECK_V(w, way[i].in, p, LS_V_TX);
			CHECK_EQ(w->pkt.drop, LS_DROP_SYN_COOKIE);
			CHECK_EQ(flags_of(w), S | A);
			CHECK_EQ(ack_of(w), 1001);
			CHECK_EQ(ls_get32(l4_of(w) + 20) >> 16, 0x0204);
			CHECK_EQ(counted(w, LS_CTR_COOKIES_SENT), 1);
			CHECK_EQ(live_count(w->t), 0);
			cookie = seq_of(w);
			/* a guess, another client's, and what is no acknowledgement open nothing */
			CHECK_DROP(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, A, 1001, cookie + 2, 0), TCP_NOT_SYN);
			CHECK_DROP(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, A, 1002, cookie + 1, 0), TCP_NOT_SYN);
			CHECK_DROP(w, way[i].in, tcp_at(way[i].client, 4001, way[i].to, way[i].port, A, 1001, cookie + 1, 0), TCP_NOT_SYN);
			CHECK_DROP(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, F | A, 1001, cookie + 1, 0), TCP_NOT_SYN);
			CHECK_EQ(live_count(w->t), 0);
			/* the acknowledgement becomes the SYN to the server */
			p = tcp_at(way[i].client, 4000, way[i].to, way[i].port, first ? P | A : A, 1001, cookie + 1, first ? 100 : 0);
			CHECK_V(w, way[i].in, p, LS_V_TX);
			CHECK_EQ(flags_of(w), S);
			CHECK_EQ(seq_of(w), 1000);
			CHECK_EQ(ack_of(w), 0);
			CHECK_EQ(live_count(w->t), 1);
			CHECK_EQ(counted(w, LS_CTR_COOKIES_ACCEPTED), 1);
			size = w->frame.len - frame_l3(w->frame.data, w->frame.len);
			CHECK_EQ(size, (l3_of(w)[0] >> 4 == 6 ? 40u : 20u) + 24u);
			l3 = (u8 *)l3_of(w);
			inet_ntop(l3[0] >> 4 == 6 ? AF_INET6 : AF_INET, l3 + (l3[0] >> 4 == 6 ? 24 : 16), server, sizeof(server));
			inet_ntop(l3[0] >> 4 == 6 ? AF_INET6 : AF_INET, l3 + (l3[0] >> 4 == 6 ? 8 : 12), seen, sizeof(seen));
			sport = ls_get16(l4_of(w));
			{
				u32 dport = ls_get16(l4_of(w) + 2);

				/* data before the server's answer asks the server again, if it is the first, else it is lost */
				CHECK_V(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, P | A, 1001, cookie + 1, 10), LS_V_TX);
				CHECK_EQ(flags_of(w), S);
				CHECK_DROP(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, P | A, 1011, cookie + 1, 10), SYN_COOKIE);
				/* the server's SYN+ACK is acknowledged here, also when it comes twice */
				for (u32 n = 0; n < 2; n++) {
					CHECK_V(w, way[i].back, tcp_at(server, dport, seen, sport, S | A, server_isn, 1001, 0), LS_V_TX);
					CHECK_EQ(flags_of(w), A);
					CHECK_EQ(seq_of(w), 1001);
					CHECK_EQ(ack_of(w), server_isn + 1);
					CHECK(ip_is(l3_of(w), true, server));
				}
				/* data both ways, each in the space of who gets it */
				CHECK_V(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, P | A, 1001, cookie + 1, 100), LS_V_TX);
				CHECK_EQ(seq_of(w), 1001);
				CHECK_EQ(ack_of(w), server_isn + 1);
				CHECK_V(w, way[i].back, tcp_at(server, dport, seen, sport, P | A, server_isn + 1, 1101, 50), LS_V_TX);
				CHECK_EQ(seq_of(w), cookie + 1);
				CHECK_EQ(ack_of(w), 1101);
				CHECK_V(w, way[i].in, tcp_at(way[i].client, 4000, way[i].to, way[i].port, A, 1101, cookie + 51, 0), LS_V_TX);
				CHECK_EQ(ack_of(w), server_isn + 51);
				/* a blind reset is known by the client's numbers, the server's own by its */
				CHECK_DROP(w, way[i].back, tcp_at(server, dport, seen, sport, R, server_isn + 51 + (1 << 21), 0, 0), TCP_BAD_RST);
				CHECK_V(w, way[i].back, tcp_at(server, dport, seen, sport, R, server_isn + 51, 0, 0), LS_V_TX);
				CHECK_EQ(seq_of(w), cookie + 51);
			}
			close_router(w);
		}
	check_where[0] = 0;
}

TEST("SYN cookies: a refusing server resets the client; an old cookie is none; off, nothing is looked at; without room they come by themselves")
{
	struct lane *w = open_router();
	struct packet p = tcp_at("10.0.1.130", 4000, "198.51.100.50", 80, S, 1000, 0, 0);
	u32 cookie, sport;
	u64 tail, spare;

	/* nobody sent one yet */
	CHECK_DROP(w, PORT_TRUST, tcp_at("10.0.1.130", 4000, "198.51.100.50", 80, A, 1001, 77, 0), TCP_NOT_SYN);
	w->t->env.header->defence.pressure = LS_PRESSURE_COOKIES;
	/* policy comes first; a half session cannot be watched */
	CHECK_V(w, PORT_TRUST, p, LS_V_TX);
	cookie = seq_of(w);
	w->t->env.header->defence.pressure = LS_PRESSURE_NONE;
	CHECK_TX(w, PORT_TRUST, tcp_at("10.0.1.130", 4000, "198.51.100.50", 80, A, 1001, cookie + 1, 0), IF_UNTRUST);
	sport = ls_get16(l4_of(w));
	CHECK_V(w, PORT_UNTRUST, tcp_at("198.51.100.50", 80, "198.51.100.1", sport, R | A, 0, 1001, 0), LS_V_TX);
	CHECK_EQ(seq_of(w), cookie + 1);
	CHECK(flags_of(w) & R);
	/* two ages later */
	w->t->env.header->defence.pressure = LS_PRESSURE_COOKIES;
	CHECK_V(w, PORT_TRUST, tcp_at("10.0.1.130", 4001, "198.51.100.50", 80, S, 1000, 0, 0), LS_V_TX);
	cookie = seq_of(w);
	w->shift_ns = 2ULL << LS_COOKIE_STEP;
	CHECK_DROP(w, PORT_TRUST, tcp_at("10.0.1.130", 4001, "198.51.100.50", 80, A, 1001, cookie + 1, 0), TCP_NOT_SYN);
	w->shift_ns = 0;
	/* no slot in hand, whatever the watermark says */
	w->t->env.header->defence.pressure = LS_PRESSURE_NONE;
	tail = w->e.worker->free_tail;
	spare = w->e.worker->spare;
	w->e.worker->free_tail = w->e.worker->free_head;
	w->e.worker->spare = 0;
	CHECK_V(w, PORT_TRUST, tcp_at("10.0.1.130", 4002, "198.51.100.50", 80, S, 1000, 0, 0), LS_V_TX);
	CHECK_EQ(w->pkt.drop, LS_DROP_SYN_COOKIE);
	w->e.worker->free_tail = tail;
	w->e.worker->spare = spare;
	close_router(w);
}

TEST("random bytes of every length never break the accounting")
{
	struct lane *w = open_router();
	u8 b[256];

	for (u32 i = 0; i < (CHECK_SANITIZED ? 50000u : 300000u); i++) {
		u32 len = check_below(200), v;
		const char *wrong;

		for (u32 k = 0; k < len; k++)
			b[k] = (u8)check_random();
		if (check_below(2) && len > 40) {
			static const u16 types[] = { LS_ETH_IP4, LS_ETH_IP6, LS_ETH_ARP, LS_ETH_VLAN, LS_ETH_QINQ };

			mac_of(0x11, b);
			ls_put16(b + 12, types[check_below(5)]);
			b[14] = check_below(2) ? 0x45 : 0x60;
		}
		v = lane_send(w, PORT_TRUST, b, len);
		wrong = accounted(w, v);
		if (wrong)
			CHECK_FAIL("round %u length %u: %s", i, len, wrong);
	}
	close_router(w);
}

CHECK_MAIN
