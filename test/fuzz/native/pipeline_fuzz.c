/* Fuzzes parse and pipeline: each input is a short program - packets from templates with bytes patched, answers to what went out, ICMP errors that quote
 * it, what another node hands over, time, table operations - against the router of test/native/topology.h. The decoder is total: every input means something, so that libFuzzer's own
 * mutations stay in the language.
 *
 * After each packet: one drop reason or a verdict; right checksums out when they were right in; no access outside the frame (a heap block of its own
 * size); an ICMP error changed no session (R19). At the end and every 64 packets: verify is clean, drained records are well formed. A broken invariant
 * aborts. Worker 0 takes frames one by one, worker 1 as bursts and with no room behind them.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "../../native/packet.h"
#include "pipeline/burst.h"

#include <stdio.h>

struct input {
	const u8 *at, *end;
};

static u32 take(struct input *in) { return in->at < in->end ? *in->at++ : 0; }
static u32 take16(struct input *in) { u32 high = take(in); return high << 8 | take(in); }

static struct ls_table *table;
static struct lane *lane[2];
static struct ls_config *bank; /* as standard_bank() makes it */

#define BROKEN(...)                           \
	do {                                  \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr);          \
		abort();                      \
	} while (0)

static struct ls_table *new_table(struct ls_geometry g)
{
	struct ls_table *t;
	int err_no;

	if (ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no) != LS_OK)
		BROKEN("no table: %s", strerror(err_no));
	return t;
}

/* The router, and the same buckets and cookies in every run. */
static void furnish(struct ls_table *t)
{
	table = t;
	for (u32 i = 0; i < 10; i++)
		table->env.header->hash.nh[i] = 0x9e3779b9u * (i + 1);
	table->env.header->hash.mul = 0xbf58476d1ce4e5b9ULL;
	table->env.header->hash.add = 0x94d049bb133111ebULL;
	table->env.header->defence.cookie_key[0] = 3;
	table->env.header->defence.cookie_key[1] = 5;
	standard_table(table);
	ls_table_feed(table, true);
	bank = malloc(sizeof(*bank));
	memcpy(bank, &table->env.banks[table->env.header->active_bank & 1], sizeof(*bank));
}

static void setup(void)
{
	furnish(new_table((struct ls_geometry){ .capacity = 1 << 10, .threads = 2, .arena = 4096 }));
	for (u32 i = 0; i < 2; i++)
		lane[i] = lane_open(table, i);
}

static void check_table(void)
{
	static struct ls_wire_record out[4096];
	struct ls_verify_report r;
	u64 overruns;
	u32 n;

	ls_table_verify(table, &r);
	for (u32 k = 0; k < LS_VF_COUNT; k++)
		if (r.fault[k])
			BROKEN("verify: fault %u, %llu times, first at %u", k, (unsigned long long)r.fault[k], r.first[k]);
	n = ls_table_drain(table, out, 4096, &overruns);
	for (u32 i = 0; i < n; i++)
		if (ls_wire_check(&out[i]) != LS_OK)
			BROKEN("a drained record is malformed: kind %u", out[i].kind);
}

/* Every input starts from the same empty table. */
static void reset(void)
{
	struct ls_filter all = { 0 };
	struct ls_delete_result gone;

	ls_table_delete_filter(table, &all, LS_CLOSE_ADMIN, NULL, &gone);
	ls_table_refill(table);
	check_table();
	for (u32 i = 0; i < LS_RGS_MAX; i++) {
		ls_table_set_role(table, i, LS_ROLE_OWNER, 0, ~0ULL);
		table->env.rgs[i].seen_floor_ns = 0;
	}
	table->env.header->defence.pressure = LS_PRESSURE_NONE; /* it outlasts what caused it */
	table->env.header->defence.cookie_ns = 0;
	memset(table->env.counters, 0, sizeof(struct ls_worker_counters) * 2);
	memset(table->env.rates, 0, sizeof(*table->env.rates) * LS_ZONES_MAX);
	memset(table->env.sources, 0, sizeof(*table->env.sources) * LS_SOURCES);
	memset(table->env.frags, 0, sizeof(*table->env.frags) * LS_FRAGS);
	{
		struct ls_config *c = &table->env.banks[table->env.header->active_bank & 1];

		memcpy(c->zone, bank->zone, sizeof(c->zone));
		memcpy(c->real, bank->real, sizeof(c->real));
		c->policy.active = bank->policy.active;
		c->fabric = bank->fabric;
	}
}

/* The last frames that went out: what answers and errors are made of. */
static u8 sent[4][PACKET_MAX];
static u32 sent_len[4], sent_next;

/* The last frames that came in: more of the same flow is made of them. */
static struct packet came[4];
static u32 came_port[4], came_next;

static const char *const hosts4[] = { "10.0.1.10", "10.0.1.20", "10.0.1.130", "10.0.1.200", "10.0.1.210", "198.51.100.50", "198.51.100.66", "198.51.100.67",
	"198.51.100.68", "10.0.3.10", "10.0.3.30", "10.0.3.12", "10.0.4.10", "10.0.5.10", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14",
	"192.0.2.15", "192.0.2.16", "192.0.2.20", "192.0.2.21", "192.0.2.30", "192.0.2.100", "192.0.2.102", "203.0.113.5", "10.0.1.1", "198.51.100.1", "10.66.1.1",
	"10.67.1.1", "224.0.0.5", "255.255.255.255", "10.0.3.99", "127.0.0.1", "10.0.6.1" };
static const char *const hosts6[] = { "fd00:1::10", "fd00:3::10", "2001:db8:9::1", "2001:db8:2::66", "2001:db8:10::10", "2001:db8:10::30", "fd00:1::1",
	"ff02::1:ff00:10", "fe80::10", "fd00:67::1", "::1", "fd00:3::11" };
#define PICK(list, n) list[(n) % (sizeof(list) / sizeof(*list))]

static const u16 ports[] = { 80, 443, 53, 22, 8022, 8080, 4000, 4001, 4002, 179, 67, 9440, 40000, 2000, 2001, 0 };

/* What the router has rules for: without these most programs would end at the default policy. */
static const struct {
	const char *src, *dst;
	u16 dport;
} flows[] = {
	{ "10.0.1.10", "10.0.3.10", 80 }, { "fd00:1::10", "fd00:3::10", 80 }, { "10.0.4.10", "10.0.3.10", 53 }, { "10.0.5.10", "198.51.100.50", 53 },
	{ "10.0.1.10", "198.51.100.50", 80 }, { "10.0.1.130", "198.51.100.50", 80 }, { "10.0.1.200", "198.51.100.50", 80 }, { "10.0.1.210", "198.51.100.50", 80 },
	{ "fd00:1::10", "2001:db8:9::1", 80 }, { "10.0.1.10", "198.51.100.66", 80 }, { "fd00:1::10", "2001:db8:2::66", 80 }, { "10.0.1.10", "198.51.100.68", 80 },
	{ "198.51.100.50", "192.0.2.10", 80 }, { "2001:db8:9::1", "2001:db8:10::10", 80 }, { "198.51.100.50", "203.0.113.9", 443 },
	{ "198.51.100.50", "192.0.2.14", 80 }, { "10.0.3.12", "192.0.2.14", 80 }, { "198.51.100.50", "192.0.2.15", 80 }, { "198.51.100.50", "192.0.2.11", 80 },
	{ "198.51.100.50", "192.0.2.12", 443 }, { "198.51.100.50", "192.0.2.13", 443 }, { "198.51.100.50", "192.0.2.16", 443 },
	{ "198.51.100.50", "192.0.2.20", 8022 }, { "198.51.100.50", "10.0.3.10", 22 }, { "198.51.100.50", "192.0.2.20", 53 }, { "198.51.100.50", "192.0.2.30", 80 },
	{ "2001:db8:9::1", "2001:db8:10::30", 80 }, { "10.0.3.30", "198.51.100.50", 80 }, { "10.0.1.10", "10.0.1.1", 53 }, { "10.0.6.10", "10.0.6.1", 22 },
	{ "10.0.1.10", "10.66.1.1", 80 }, { "10.0.1.10", "10.67.1.1", 80 }, { "10.0.1.10", "10.0.7.9", 80 }, { "10.0.1.10", "10.0.3.99", 80 },
	{ "198.51.100.50", "192.0.2.100", 2000 }, { "198.51.100.50", "192.0.2.102", 2000 },
};

/* What TCP says in good faith, and now and then anything. */
static u32 tcp_flags(u32 x)
{
	static const u8 usual[] = { LS_TCP_SYN, LS_TCP_SYN | LS_TCP_ACK, LS_TCP_ACK, LS_TCP_ACK | LS_TCP_PSH, LS_TCP_FIN | LS_TCP_ACK, LS_TCP_RST,
		LS_TCP_RST | LS_TCP_ACK, LS_TCP_SYN };

	return x & 0x40 ? x & 0x3f : usual[x & 7];
}

/* New flags and numbers of a TCP segment at `l4`, as the one who got `ack` would write them, or near. */
static void tcp_go_on(struct packet *p, u32 l4, u32 x, u32 seq, u32 ack)
{
	p->b[l4 + 13] = (u8)tcp_flags(x);
	ls_put32(p->b + l4 + 4, seq + (x & 8 ? 1u << (x >> 4 & 3) * 8 : 0));
	ls_put32(p->b + l4 + 8, ack + (x & 0x10));
}

/* A frame to push in, from one opcode and its operands. */
static struct packet build(struct input *in, u32 op, u32 *port)
{
	u32 a = take(in), b = take(in), from = take(in), to = take(in), x = take(in);
	u32 sport = from & 0x80 ? 30000 + from : PICK(ports, from), dport = PICK(ports, to);
	const char *src = op & 1 ? PICK(hosts6, a) : PICK(hosts4, a), *dst = op & 1 ? PICK(hosts6, b) : PICK(hosts4, b);
	u32 last = (sent_next + 3 - (x & 1)) % 4;
	struct packet p;

	if (a & 0x80) {
		src = PICK(flows, b).src;
		dst = PICK(flows, b).dst;
		dport = PICK(flows, b).dport;
	}
	switch (op >> 1 & 7) {
	case 0:
		if (x >> 5 == 7) { /* a protocol without ports */
			p = ip(LS_IPPROTO_GRE, src, dst);
			filler(&p, x & 31);
			finish(&p, 255);
			break;
		}
		p = udp(src, sport, dst, dport, x >> 5 == 6 ? 1330 + (x & 31) * 6 : x & 31); /* around the MTU of the servers' side */
		if (!is6(&p, p.l3) && (x & 0x20)) {
			p.b[p.l3 + 6] = 0x40;
			finish(&p, LS_IPPROTO_UDP);
		}
		break;
	case 1: p = tcp_at(src, sport, dst, dport, tcp_flags(x), 1000 + take(in), 5000 + take(in), x >> 6); break;
	case 2: /* a frame that came in before, the next segment if it is TCP */
		p = came[(came_next + 3 - (a & 3)) % 4];
		if (p.len <= p.l4 + 20 || p.l4 < p.l3 + 20) {
			p = tcp(src, sport, dst, dport, LS_TCP_SYN);
		} else {
			u32 proto = is6(&p, p.l3) ? p.b[p.l3 + 6] : p.b[p.l3 + 9];

			if (proto == LS_IPPROTO_TCP && p.l4 == p.l3 + (is6(&p, p.l3) ? 40u : 20u)) {
				tcp_go_on(&p, p.l4, x, ls_get32(p.b + p.l4 + 4) + 1, ls_get32(p.b + p.l4 + 8));
				finish(&p, proto);
			}
		}
		*port = came_port[(came_next + 3 - (a & 3)) % 4];
		if (*port)
			return p;
		break;
	case 3: p = echo(src, dst, sport, x & 1, x >> 4); break;
	case 4: /* a later or first fragment of whatever the patches make of it */
		p = udp(src, sport, dst, dport, 48);
		if (op & 1) {
			p.b[p.l3 + 6] = 44;
			memmove(p.b + p.l4 + 8, p.b + p.l4, p.len - p.l4);
			memcpy(p.b + p.l4, (u8[]){ 17, 0, 0, (u8)((x & 15) << 3 | (x >> 4 & 1)), 0, 0, 0, (u8)(x >> 6) }, 8);
			p.len += 8;
		} else {
			ls_put16(p.b + p.l3 + 6, (u16)((x & 15) | (x & 16 ? 0x2000 : 0)));
		}
		finish(&p, 255);
		break;
	case 5: /* the answer to a frame that went out */
	case 6: { /* an error about it */
		const u8 *f = sent[last];
		u32 l3 = sent_len[last] ? frame_l3(f, sent_len[last]) : 0, len = sent_len[last] - l3, head;
		char from[64], to[64], hop[64];
		bool v6;

		if (!l3 || len < 40 || len > 400) {
			p = udp(src, sport, dst, dport, 0);
			break;
		}
		v6 = f[l3] >> 4 == 6;
		head = v6 ? 40 : (f[l3] & 15u) * 4;
		if (head + 8 > len) {
			p = udp(src, sport, dst, dport, 0);
			break;
		}
		inet_ntop(v6 ? AF_INET6 : AF_INET, f + l3 + (v6 ? 8 : 12), to, sizeof(to));
		inet_ntop(v6 ? AF_INET6 : AF_INET, f + l3 + (v6 ? 24 : 16), from, sizeof(from));
		snprintf(hop, sizeof(hop), "%s", x & 2 ? from : v6 ? PICK(hosts6, a) : PICK(hosts4, a));
		if ((op >> 1 & 7) == 6) {
			u32 quote = x & 4 ? len : b & 1 ? b % (head + 8) : head + 8 + b % (len - head - 7);

			p = icmp_error(hop, to, v6 ? 1 + (x >> 4) % 4 : (u32[]){ 3, 11, 12, 4 }[x >> 4 & 3], x >> 6, x & 8 ? 1400 : 80 + b, f + l3, quote);
		} else {
			u32 proto = f[l3 + (v6 ? 6 : 9)];

			p = ip(proto, from, to);
			put(&p, f + l3 + head, len - head);
			if (proto == 6 || proto == 17) {
				memcpy(p.b + p.l4, f + l3 + head + 2, 2);
				memcpy(p.b + p.l4 + 2, f + l3 + head, 2);
				if (proto == 6 && len - head >= 20)
					tcp_go_on(&p, p.l4, x >> 1, ls_get32(f + l3 + head + 8), ls_get32(f + l3 + head + 4) + 1);
			} else if (proto == 1) {
				p.b[p.l4] = 0;
			} else if (proto == 58) {
				p.b[p.l4] = 129;
			}
			finish(&p, proto == 6 && len - head < 20 ? 255 : proto);
		}
		break;
	}
	default:
		p = ether(0x11, op & 1 ? LS_ETH_ARP : LS_ETH_IP6);
		if (op & 1) {
			p.l3 = p.l4 = p.len;
			put(&p, (u8[]){ 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x99, 198, 51, 100, 50, 0, 0, 0, 0, 0, 0, 192, 0, 2, (u8)b }, 28);
		} else {
			struct ls_addr target = addr(PICK(hosts6, b));

			p.len = 0;
			p = ip(58, "2001:db8:2::50", PICK(hosts6, a));
			put32(&p, (x & 1 ? 135u : 130u + x % 14) << 24);
			put32(&p, 0);
			put(&p, target.b, 16);
			put(&p, (u8[]){ 1, 1, 2, 0, 0, 0, 0, 0x99 }, 8);
			p.b[p.l3 + 7] = 255;
			finish(&p, 58);
		}
	}
	*port = p.b[5] == 0x11 || p.b[5] == 0x44 || p.b[5] == 0x55 ? PORT_TRUST : p.b[5] == 0x33 ? PORT_DMZ : p.b[5] == 0x66 ? PORT_MANAGEMENT : PORT_UNTRUST;
	if (p.b[5] == 0x44)
		p = tagged(p, (u32[]){ 100 }, 1);
	else if (p.b[5] == 0x55)
		p = tagged(p, (u32[]){ 200, 300 }, 2);
	return p;
}

/* Of everything in the records that a packet may change. */
static u64 digest(void)
{
	u64 sum = 0;

	for (u32 slot = 0; slot < table->env.slots; slot++) {
		const struct ls_session *s = &table->env.sessions[slot];

		sum = sum * 31 + s->state + s->last_seen_ns + s->gen + s->packets[0] * 3 + s->packets[1] * 5;
	}
	return sum;
}

/* For what is made of earlier frames. */
static void remember(const struct lane *w, u32 v, u32 port, const struct packet *p)
{
	if ((v == LS_V_TX || v == LS_V_NEIGH) && w->frame.len <= PACKET_MAX) {
		memcpy(sent[sent_next], w->frame.data, w->frame.len);
		sent_len[sent_next] = w->frame.len;
		sent_next = (sent_next + 1) % 4;
	}
	came[came_next] = *p;
	came_port[came_next] = port;
	came_next = (came_next + 1) % 4;
}

static void forget(void)
{
	memset(sent_len, 0, sizeof(sent_len));
	memset(came_port, 0, sizeof(came_port));
	memset(came, 0, sizeof(came));
	sent_next = came_next = 0;
}

static void push(struct lane *w, u32 port, const struct packet *p)
{
	u32 tail = w == lane[0] ? 8 : 0; /* an advertisement is longer than its solicitation may be */
	u8 *block = malloc(LS_HEADROOM + p->len + tail);
	u32 l3 = p->len > 14 ? frame_l3(p->b, p->len) : 0, v;
	bool right = l3 && sums_wrong(p->b + l3, p->len - l3, false) == NULL;
	const char *wrong;
	bool icmp = l3 && p->len > l3 + 20 && (p->b[l3] >> 4 == 4 ? p->b[l3 + 9] == LS_IPPROTO_ICMP : p->b[l3 + 6] == LS_IPPROTO_ICMP6);
	u64 before = icmp ? digest() : 0;

	memcpy(block + LS_HEADROOM, p->b, p->len);
	w->frame = (struct ls_buf){ .data = block + LS_HEADROOM, .len = p->len, .head = LS_HEADROOM, .tail = tail };
	memcpy(w->before.global, w->e.worker_counters->c.global, sizeof(w->before.global));
	memcpy(w->before.drops, w->e.worker_counters->c.drops, sizeof(w->before.drops));
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_SEQ_CST);
	w->e.config = &w->e.banks[LS_LOAD_ACQ(&w->e.header->active_bank) & 1];
	w->e.now_ns = ls_clock_ns();
	memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
	memset(&w->pkt.to, 0xa5, sizeof(w->pkt) - offsetof(struct ls_pkt, to)); /* written before read, it says */
	w->pkt.buf = &w->frame;
	if (w == lane[0])
		v = ls_pipeline(&w->e, &w->pkt, port);
	else
		ls_pipeline_burst(&w->e, &w->pkt, 1, port, &v);
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_RELEASE);
	if (w->frame.data < block || w->frame.data + w->frame.len > block + LS_HEADROOM + p->len + tail)
		BROKEN("the frame left its block");
	wrong = accounted(w, v);
	if (!wrong && right && (v == LS_V_TX || v == LS_V_NEIGH))
		wrong = frame_wrong(w);
	if (!wrong && icmp && (w->pkt.flags & LS_PF_ICMP_ERROR) && digest() != before)
		wrong = "an ICMP error changed a session";
	if (!wrong && v == LS_V_TX && w->pkt.out_iface == IF_FABRIC && (w->pkt.flags & LS_PF_FABRIC))
		wrong = "what came by the fabric left by it";
	if (wrong)
		BROKEN("%s (verdict %u, drop %s)", wrong, v, drop_names[w->pkt.drop]);
	remember(w, v, port, p);
	free(block);
}

static void age(u64 ns)
{
	for (u32 slot = 0; slot < table->env.slots; slot++) {
		struct ls_session *s = &table->env.sessions[slot];

		if (LS_STATE_LIFECYCLE(s->state) == LS_LIVE)
			s->last_seen_ns = s->last_seen_ns > ns ? s->last_seen_ns - ns : 0;
	}
}

/* Sessions from elsewhere, until nothing is free. */
static void fill(u32 n)
{
	static struct ls_wire_record r[1024];
	static u8 status[1024];
	struct ls_install_result result;

	for (u32 i = 0; i < n; i++) {
		r[i] = (struct ls_wire_record){ .version = LS_WIRE_VERSION, .kind = LS_NOTICE_CREATE, .phase = LS_UDP_STREAM, .id = { .origin = 7, .serial = i + 1 } };
		r[i].key = (struct ls_key){ .src = addr("10.9.0.1"), .dst = addr("10.9.0.2"), .sport_be = (be16)i, .proto = 17, .family = LS_IP4 };
		ls_key_reverse(&r[i].reply, &r[i].key);
	}
	ls_table_install(table, (u8 *)r, sizeof(*r), n, 0, status, NULL, &result);
}

static void operate(struct input *in)
{
	struct ls_config *c = &table->env.banks[table->env.header->active_bank & 1];
	u32 op = take(in), x = take16(in);
	struct ls_delete_result gone;

	switch (op % 11) {
	case 0: age((u64)x * 10000000); break;
	case 1: age((u64)x * 100000000); break;
	case 2: ls_table_expire(table, table->env.slots); break;
	case 3: ls_table_delete_filter(table, &(struct ls_filter){ .match = LS_FM_SPORT, .sport_be = htons(PICK(ports, x)) }, LS_CLOSE_ADMIN, NULL, &gone); break;
	case 4:
		ls_table_set_role(table, x & 3, (x >> 8) % 6, x, x & 64 ? ~0ULL : 1);
		c->fabric = x & 32 ? IF_FABRIC : 0;
		break;
	case 5: c->zone[1 + (x & 3)].screens = x >> 3; c->zone[1 + (x & 3)].limit[x % 16] = x & 7; break;
	case 6: c->zone[1 + (x & 3)].flags = x >> 4; break;
	case 7: c->real[x & 31].up ^= 1; break;
	case 8: c->policy.active.bits[0] ^= 1ULL << (x & 31); break;
	case 9: fill(x & 1023); break;
	default: ls_table_refill(table);
	}
}

/* The frame that an opcode stands for. */
static struct packet next_packet(struct input *in, u32 op, u32 *port)
{
	struct packet p;

if (op == 0xee) { /* handed over by another node; or what this one handed over, back */
	u32 x = take(in), zone = take(in), last = (sent_next + 3) % 4;

	if ((x & 0x80) && sent_len[last] && ls_get16(sent[last] + 12) == LS_ETHERTYPE_FABRIC) {
		p.len = sent_len[last];
		memcpy(p.b, sent[last], p.len);
		p.l3 = p.l4 = 26;
	} else {
		p = next_packet(in, take(in) & 0x7f, port);
		p = crossing(p, x & 3, zone & 7);
	}
	*port = PORT_FABRIC;
} else if (op == 0xef) { /* bytes as they are */
	p.len = take(in);
	for (u32 i = 0; i < p.len; i++)
		p.b[i] = (u8)take(in);
	p.l3 = p.l4 = 14;
	*port = 1 + (p.len ? p.b[0] & 3 : 0);
} else {
	u32 patches = op >> 5 & 3;

	p = build(in, op & 15, port);
	for (; patches; patches--) {
		u32 at = take(in), value = take(in);

		if (at < p.len)
			p.b[at] ^= (u8)value;
	}
	if (op & 0x80) { /* cut or padded */
		u32 n = take(in);

		if (n < p.len)
			p.len = n;
		else
			put(&p, NULL, n & 31);
	} else if (op & 0x60 && p.len > p.l4 + 8 && p.l4 >= p.l3 + 20) { /* patched, then the sums made right */
		u32 proto = is6(&p, p.l3) ? p.b[p.l3 + 6] : p.b[p.l3 + 9];

		if ((p.b[p.l3] >> 4 == 4 && p.l3 + (p.b[p.l3] & 15u) * 4 == p.l4) || (is6(&p, p.l3) && p.l4 == p.l3 + 40))
			finish(&p, sum_at(proto) >= 0 && p.len >= p.l4 + (u32)sum_at(proto) + 2 ? proto : 255);
	}
}
	return p;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { .at = data, .end = data + size };
	u32 packets = 0;

	if (!table)
		setup();
	reset();
	forget();
	while (in.at < in.end && packets < 256) {
		u32 op = take(&in), port;
		struct packet p;

		if ((op & 0xf0) == 0xf0) {
			operate(&in);
			continue;
		}
		p = next_packet(&in, op, &port);
		push(lane[op >> 4 & 1], port, &p);
		if (++packets % 64 == 0)
			check_table();
	}
	check_table();
	return 0;
}
