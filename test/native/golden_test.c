/* The golden packets (golden.h) in the userspace build, and their generator: `golden_test --record test/fixtures/packets` writes them anew from the cases
 * below; the test reads the files only.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "golden.h"

static struct lane *open_standard(void)
{
	struct ls_table *t = table_new(1 << 10);

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	return lane_open(t, 0);
}

static void close_standard(struct lane *w)
{
	struct ls_table *t = w->t;

	ls_worker_detach(t, 0);
	ls_table_close(t);
	free(w);
}

/* --- recording ---------------------------------------------------------------------------------------------------------------------------- */

static FILE *file;
static struct lane *router;

static void labelled(const char *label, const u8 *b, u32 n)
{
	if (!n)
		return;
	fprintf(file, "  %-5s ", label);
	for (u32 i = 0; i < n; i++)
		fprintf(file, "%s%02x", i % 32 == 0 ? (i ? "\n        " : "") : i % 4 == 0 ? "  " : " ", b[i]);
	fputc('\n', file);
}

static void network_rows(const u8 *b, u32 n, u32 depth);

static void transport_rows(u32 proto, const u8 *b, u32 n, u32 depth)
{
	u32 head = proto == 6 && n >= 20 ? (b[12] >> 4) * 4u : 8;

	if ((proto == 4 || proto == 41) && depth < 2) {
		network_rows(b, n, depth + 1);
		return;
	}
	if (proto == 47 && n > 4 && depth < 2) {
		labelled("gre", b, 4);
		network_rows(b + 4, n - 4, depth + 1);
		return;
	}
	if (head > n)
		head = n;
	labelled(proto == 6 ? "tcp" : proto == 17 ? "udp" : proto == 1 || proto == 58 ? "icmp" : "l4", b, head);
	if (depth == 0 && n > head && ((proto == 1 && (b[0] == 3 || b[0] == 11)) || (proto == 58 && b[0] >= 1 && b[0] <= 4)))
		network_rows(b + head, n - head, 2);
	else
		labelled("data", b + head, n - head);
}

static void network_rows(const u8 *b, u32 n, u32 depth)
{
	u32 head = b[0] >> 4 == 6 ? 40 : (b[0] & 15u) * 4, proto = b[0] >> 4 == 6 ? b[6] : b[9];

	if (n < 20 || head > n) {
		labelled("data", b, n);
		return;
	}
	labelled(b[0] >> 4 == 6 ? "ip6" : "ip4", b, head);
	transport_rows(proto, b + head, n - head, depth);
}

static void frame_rows(const u8 *b, u32 n)
{
	u32 l3 = frame_l3(b, n);

	if (!l3 || n < l3 + 20) {
		labelled("eth", b, n < 14 ? n : 14);
		if (n > 14)
			labelled("arp", b + 14, n - 14);
		return;
	}
	labelled("eth", b, l3);
	network_rows(b + l3, n - l3, 0);
}

static void record(u32 port, struct packet p)
{
	char text[1024];
	u32 v = lane_send(router, port, p.b, p.len);
	const char *wrong = accounted(router, v);

	if (!wrong && (v == LS_V_TX || v == LS_V_NEIGH))
		wrong = frame_wrong(router);
	if (wrong) {
		printf("not recorded: %s\n", wrong);
		exit(1);
	}
	fprintf(file, "\nin port %u\n", port);
	frame_rows(p.b, p.len);
	verdict_text(router, v, text, sizeof(text));
	fprintf(file, "verdict %s\n", text);
	if (v == LS_V_TX || v == LS_V_NEIGH) {
		fprintf(file, "out\n");
		frame_rows(router->frame.data, router->frame.len);
	}
	counters_text(router, text, sizeof(text));
	fprintf(file, "counters %s\n", text);
}

static void pause_for(u32 seconds)
{
	router->shift_ns += seconds * 1000000000ULL;
	fprintf(file, "\nwait %u\n", seconds);
}

static const u8 *out_l3(void) { return router->frame.data + frame_l3(router->frame.data, router->frame.len); }
static const u8 *out_l4(void) { return out_l3() + (out_l3()[0] >> 4 == 6 ? 40 : 20); }

static const char *out_src(void)
{
	static char text[64];

	inet_ntop(out_l3()[0] >> 4 == 6 ? AF_INET6 : AF_INET, out_l3() + (out_l3()[0] >> 4 == 6 ? 8 : 12), text, sizeof(text));
	return text;
}

static struct packet with_ttl(struct packet p, u32 ttl)
{
	bool v6 = is6(&p, p.l3);

	p.b[p.l3 + (v6 ? 7 : 8)] = (u8)ttl;
	if (!v6)
		finish(&p, 255);
	return p;
}

#define S LS_TCP_SYN
#define A LS_TCP_ACK

static void case_forward(void)
{
	record(PORT_TRUST, udp("10.0.1.10", 4000, "10.0.3.10", 53, 5));
	record(PORT_DMZ, udp("10.0.3.10", 53, "10.0.1.10", 4000, 9));
	record(PORT_TRUST, tagged(udp("10.0.4.10", 4000, "10.0.3.10", 53, 1), (u32[]){ 100 }, 1));
	record(PORT_DMZ, udp("10.0.3.10", 53, "10.0.4.10", 4000, 1));
	record(PORT_TRUST, tagged(udp("10.0.5.10", 4000, "10.0.3.10", 53, 1), (u32[]){ 200, 300 }, 2));
	record(PORT_DMZ, udp("10.0.3.10", 53, "10.0.5.10", 4000, 1));
	record(PORT_TRUST, udp("fd00:1::10", 4000, "fd00:3::10", 53, 3));
	record(PORT_DMZ, udp("fd00:3::10", 53, "fd00:1::10", 4000, 3));
	record(PORT_TRUST, udp("10.0.1.10", 4000, "10.0.3.99", 53, 3));
}

static void case_tcp(void)
{
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, S, 100, 0, 0));
	record(PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, S | A, 500, 101, 0));
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, A, 101, 501, 7));
	record(PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, LS_TCP_RST, 0x9000000, 0, 0));
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, LS_TCP_FIN | A, 108, 501, 0));
	record(PORT_DMZ, tcp_at("10.0.3.10", 80, "10.0.1.10", 4000, LS_TCP_FIN | A, 501, 109, 0));
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, A, 109, 502, 0));
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "10.0.3.10", 80, S, 9000, 0, 0));
	record(PORT_TRUST, tcp("10.0.1.20", 4000, "10.0.3.10", 80, A));
}

static void case_snat(void)
{
	static const char *const dst = "198.51.100.50";
	u32 port;

	record(PORT_TRUST, tcp("10.0.1.10", 4000, dst, 80, S));
	port = ls_get16(out_l4());
	record(PORT_UNTRUST, tcp(dst, 80, out_src(), port, S | A));
	record(PORT_TRUST, udp("10.0.1.10", 4000, dst, 53, 4));
	port = ls_get16(out_l4());
	record(PORT_UNTRUST, udp(dst, 53, out_src(), port, 4));
	record(PORT_TRUST, echo("10.0.1.10", dst, 7, false, 3));
	port = ls_get16(out_l4() + 4);
	record(PORT_UNTRUST, echo(dst, out_src(), port, true, 3));
	record(PORT_TRUST, udp("10.0.1.130", 4000, dst, 53, 4));
	record(PORT_TRUST, udp("10.0.1.210", 4000, dst, 53, 4));
	{
		struct packet p = udp("10.0.1.10", 4001, dst, 53, 4);

		ls_put16(p.b + p.l4 + 6, 0);
		record(PORT_TRUST, p);
	}
	record(PORT_UNTRUST, udp(dst, 53, "192.0.2.100", 9, 4));
}

static void case_dnat(void)
{
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.20", 8022, S));
	record(PORT_DMZ, tcp("10.0.3.10", 22, "198.51.100.50", 4000, S | A));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.30", 81, S));
	record(PORT_DMZ, tcp("10.0.3.30", 81, "198.51.100.50", 4000, S | A));
	record(PORT_DMZ, udp("10.0.3.30", 99, "198.51.100.50", 53, 2));
	record(PORT_UNTRUST, udp("198.51.100.50", 53, "192.0.2.30", 99, 2));
	record(PORT_UNTRUST, tcp("2001:db8:9::1", 4000, "2001:db8:10::30", 80, S));
}

static void case_vip(void)
{
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.10", 80, S));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4001, "192.0.2.10", 80, S));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4002, "192.0.2.10", 80, S));
	record(PORT_UNTRUST, tcp("2001:db8:9::1", 4000, "2001:db8:10::10", 80, S));
	record(PORT_DMZ, tcp("fd00:3::10", 8080, "2001:db8:9::1", 4000, S | A));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "203.0.113.9", 443, S));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.15", 80, S));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.10", 81, S));
}

static void case_dsr(void)
{
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.11", 80, S));
	record(PORT_UNTRUST, tcp_at("198.51.100.50", 4000, "192.0.2.12", 443, S, 1, 0, 5));
	record(PORT_UNTRUST, udp("198.51.100.50", 4000, "192.0.2.13", 443, 7));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.16", 443, S));
}

static void case_hairpin(void)
{
	u32 port;

	record(PORT_DMZ, tcp("10.0.3.12", 4000, "192.0.2.14", 80, S));
	port = ls_get16(out_l4());
	record(PORT_DMZ, tcp("10.0.3.10", 8080, "10.0.3.1", port, S | A));
}

static void case_icmp_errors(void)
{
	u8 out[PACKET_MAX];
	char src[64];
	struct packet p;

	record(PORT_TRUST, udp("10.0.1.10", 4000, "198.51.100.50", 33434, 8));
	memcpy(out, out_l3(), 36);
	snprintf(src, sizeof(src), "%s", out_src());
	record(PORT_UNTRUST, icmp_error("203.0.113.77", src, 11, 0, 0, out, 36));
	record(PORT_UNTRUST, icmp_error("198.51.100.50", src, 3, 3, 0, out, 28));
	record(PORT_UNTRUST, icmp_error("198.51.100.50", "192.0.2.30", 3, 3, 0, out, 36));
	record(PORT_UNTRUST, tcp("198.51.100.50", 4000, "192.0.2.20", 8022, S));
	memcpy(out, out_l3(), 40);
	record(PORT_DMZ, icmp_error("10.0.3.10", "198.51.100.50", 3, 3, 0, out, 40));
	record(PORT_UNTRUST, tcp("2001:db8:9::1", 4000, "2001:db8:10::10", 80, S));
	memcpy(out, out_l3(), 60);
	record(PORT_DMZ, icmp_error("fd00:3::10", "2001:db8:9::1", 1, 4, 0, out, 60));
	p = icmp_error("198.51.100.50", "198.51.100.1", 3, 3, 0, out, 20);
	record(PORT_UNTRUST, p);
}

static void case_answers(void)
{
	struct packet p;

	record(PORT_TRUST, with_ttl(udp("10.0.1.10", 4000, "198.51.100.50", 33434, 9), 1));
	record(PORT_TRUST, with_ttl(udp("fd00:1::10", 4000, "2001:db8:9::1", 33434, 9), 1));
	record(PORT_TRUST, udp("10.0.1.10", 4000, "10.67.1.1", 53, 3));
	record(PORT_TRUST, udp("fd00:1::10", 4000, "fd00:67::1", 53, 3));
	record(PORT_TRUST, tcp_at("10.0.1.10", 4000, "198.51.100.66", 80, S, 777, 0, 0));
	record(PORT_TRUST, tcp_at("fd00:1::10", 4000, "2001:db8:2::66", 80, S, 777, 0, 3));
	record(PORT_TRUST, udp("10.0.1.10", 4000, "198.51.100.66", 80, 7));
	record(PORT_TRUST, udp("fd00:1::10", 4000, "2001:db8:2::66", 80, 7));
	p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 1373);
	p.b[p.l3 + 6] = 0x40;
	finish(&p, 17);
	record(PORT_TRUST, p);
	p.b[p.l3 + 6] = 0;
	finish(&p, 17);
	record(PORT_TRUST, p);
	record(PORT_TRUST, udp("fd00:1::10", 4000, "fd00:3::10", 53, 1353));
	record(PORT_TRUST, with_ttl(echo("10.0.1.10", "192.0.2.10", 7, false, 5), 3));
	record(PORT_TRUST, echo("fd00:1::10", "2001:db8:10::10", 7, false, 5));
}

static void case_neighbours(void)
{
	struct packet p = ether(0xff, LS_ETH_ARP);

	memset(p.b, 0xff, 6);
	put(&p, (u8[]){ 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x99, 198, 51, 100, 50, 0, 0, 0, 0, 0, 0, 192, 0, 2, 10 }, 28);
	record(PORT_UNTRUST, p);
	p.b[14 + 27] = 99;
	record(PORT_UNTRUST, p);
	for (u32 k = 0; k < 2; k++) {
		struct ls_addr target = addr("2001:db8:10::10");

		p = ip(58, k ? "::" : "2001:db8:2::50", "ff02::1:ff00:10");
		p.b[0] = 0x33;
		put32(&p, 135u << 24);
		put32(&p, 0);
		put(&p, target.b, 16);
		if (!k)
			put(&p, (u8[]){ 1, 1, 2, 0, 0, 0, 0, 0x99 }, 8);
		p.b[p.l3 + 7] = 255;
		finish(&p, 58);
		record(PORT_UNTRUST, p);
	}
}

static void case_policy(void)
{
	record(PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.67", 2, 3));
	record(PORT_TRUST, udp("10.0.1.10", 1, "198.51.100.68", 2, 3));
	record(PORT_UNTRUST, udp("198.51.100.50", 1, "10.0.1.10", 2, 3));
	record(PORT_TRUST, udp("10.0.1.10", 1, "10.66.1.1", 2, 3));
	record(PORT_TRUST, udp("10.0.1.10", 1, "10.0.7.9", 2, 3));
}

static void case_host(void)
{
	record(PORT_MANAGEMENT, tcp("10.0.6.10", 4000, "10.0.6.1", 22, S));
	record(PORT_MANAGEMENT, tcp("10.0.6.10", 4000, "10.0.6.1", 23, S));
	record(PORT_TRUST, udp("10.0.1.10", 4000, "10.0.1.1", 53, 1));
	record(PORT_TRUST, tcp("10.0.1.10", 4000, "10.0.1.1", 22, S));
	record(PORT_UNTRUST, tcp("198.51.100.50", 179, "198.51.100.1", 40000, S | A));
	record(PORT_UNTRUST, tcp("198.51.100.50", 179, "198.51.100.1", 40000, S));
	record(PORT_TRUST, echo("10.0.1.10", "10.0.1.1", 3, false, 4));
	record(PORT_UNTRUST, echo("198.51.100.50", "198.51.100.1", 3, false, 4));
}

static void case_malformed(void)
{
	struct packet u = udp("10.0.1.10", 1, "10.0.3.10", 2, 9), p;

	p = u; p.len = 13; record(PORT_TRUST, p);
	p = u; p.len = 40; record(PORT_TRUST, p);
	p = u; p.b[p.l3] = 0x44; record(PORT_TRUST, p);
	p = u; p.b[p.l3 + 10] ^= 1; record(PORT_TRUST, p);
	p = u; ls_put16(p.b + p.l4 + 4, 7); record(PORT_TRUST, p);
	p = u; ls_put16(p.b + 12, 0x1234); record(PORT_TRUST, p);
	p = u; p.b[5] = 0x12; record(PORT_TRUST, p);
	record(8, u);
	record(PORT_TRUST, tagged(u, (u32[]){ 1, 2, 3 }, 3));
	p = udp("127.0.0.1", 1, "10.0.3.10", 2, 9); p.b[5] = 0x11; record(PORT_TRUST, p);
	p = udp("fd00:1::10", 1, "fd00:3::10", 2, 9); p.b[p.l3] = 0x40; record(PORT_TRUST, p);
}

static void case_expiry(void)
{
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 5), back = udp("10.0.3.10", 53, "10.0.1.10", 4000, 5);

	record(PORT_TRUST, p);
	record(PORT_DMZ, back);
	pause_for(121);
	record(PORT_DMZ, back);
	record(PORT_TRUST, p);
	record(PORT_DMZ, back);
}

static const struct {
	const char *file, *name;
	void (*run)(void);
} cases[] = {
	{ "forward", "packets between zones, with no, one and two VLAN tags, IPv4 and IPv6", case_forward },
	{ "tcp", "a TCP connection, a blind reset, a tuple used again", case_tcp },
	{ "snat", "source NAT by pool, by interface, with the port kept; replies; a UDP sum of zero", case_snat },
	{ "dnat", "destination NAT and static NAT", case_dnat },
	{ "vip", "virtual addresses in mode nat", case_vip },
	{ "dsr", "direct server return: l2, ipip, gre, ipip over IPv6", case_dsr },
	{ "hairpin", "a server reaches its neighbour through the virtual address", case_hairpin },
	{ "icmp-errors", "ICMP errors and the packets they quote", case_icmp_errors },
	{ "answers", "what the router answers: TTL, routes, rejects, too big, echo", case_answers },
	{ "neighbours", "ARP and neighbour solicitations for owned addresses", case_neighbours },
	{ "policy", "denied, scheduled, default, blackhole, interface down", case_policy },
	{ "host", "packets to the router itself", case_host },
	{ "malformed", "packets that are not what they say", case_malformed },
	{ "expiry", "a session past its timeout", case_expiry },
};

static int record_all(const char *folder)
{
	for (u32 i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s.golden", folder, cases[i].file);
		file = fopen(path, "w");
		if (!file)
			return 1;
		fprintf(file, "# Golden packets; format and generator: test/native/golden_test.c\nname %s\nconfig standard\nworker 0 of 3\n", cases[i].name);
		router = open_standard();
		cases[i].run();
		close_standard(router);
		fclose(file);
	}
	return 0;
}

/* --- replay ----------------------------------------------------------------------------------------------------------------------------------- */

static bool send_user(struct lane *w, u32 port, const u8 *bytes, u32 len, u32 *verdict)
{
	*verdict = lane_send(w, port, bytes, len);
	return true;
}

static void wait_user(struct lane *w, u64 ns) { w->shift_ns += ns; }

TEST("golden packets: the verdict, the bytes and the counters of every file")
{
	static const struct golden_build user = { open_standard, send_user, wait_user, close_standard };

	golden_folder(&user);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--record") == 0)
		return record_all(argv[2]);
	return check_main(argc, argv);
}
