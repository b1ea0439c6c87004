/* Packets for tests: written layer by layer, checked from scratch (no incremental sums here), and a worker to push them through.
 *
 *   struct packet p = udp4("10.0.1.10", 1234, "198.51.100.50", 53, 20);
 *   CHECK_EQ(send_on(&w, PORT_TRUST, &p), LS_V_TX);
 *   CHECK(sums_ok(&w));
 */
#ifndef LOCKSTEP_TEST_PACKET_H
#define LOCKSTEP_TEST_PACKET_H

#include "topology.h"

#define PACKET_MAX 2048

struct packet {
	u8 b[PACKET_MAX];
	u32 len;
	u32 l3, l4; /* where the headers start */
};

static inline void put(struct packet *p, const void *bytes, u32 n)
{
	assert(p->len + n <= PACKET_MAX);
	if (bytes)
		memcpy(p->b + p->len, bytes, n);
	else
		memset(p->b + p->len, 0, n);
	p->len += n;
}

static inline void put8(struct packet *p, u32 v) { put(p, &(u8){ (u8)v }, 1); }
static inline void put16(struct packet *p, u32 v) { put(p, &(u16){ htons((u16)v) }, 2); }
static inline void put32(struct packet *p, u32 v) { put(p, &(u32){ htonl(v) }, 4); }

/* Ones' complement sum over bytes, byte by byte: nothing in common with the code under test. */
static inline u32 plain_sum(const u8 *b, u32 n, u32 sum)
{
	for (u32 i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (u32)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline struct packet ether(u8 router_mac, u32 type)
{
	struct packet p = { .len = 0 };
	u8 mac[6];

	mac_of(router_mac, mac);
	put(&p, mac, 6);
	mac_of(0x99, mac);
	put(&p, mac, 6);
	put16(&p, type);
	return p;
}

static inline void ip4(struct packet *p, u32 proto, const char *src, const char *dst)
{
	struct ls_addr s = addr(src), d = addr(dst);

	p->l3 = p->len;
	put32(p, 0x45000000);
	put32(p, 0x12340000);
	put32(p, 64u << 24 | proto << 16);
	put(p, &s.w[3], 4);
	put(p, &d.w[3], 4);
	p->l4 = p->len;
}

static inline void ip6(struct packet *p, u32 proto, const char *src, const char *dst)
{
	struct ls_addr s = addr(src), d = addr(dst);

	p->l3 = p->len;
	put32(p, 0x60000000);
	put16(p, 0);
	put8(p, proto);
	put8(p, 64);
	put(p, s.b, 16);
	put(p, d.b, 16);
	p->l4 = p->len;
}

static inline bool is6(const struct packet *p, u32 l3) { return p->b[l3] >> 4 == 6; }

/* Sum of pseudo-header and transport of the packet at l3 whose transport begins at l4 and ends at `end`. */
static inline u32 l4_sum(const u8 *b, u32 l3, u32 l4, u32 end, u32 proto)
{
	u32 sum = 0;

	if (proto != LS_IPPROTO_ICMP) {
		sum = b[l3] >> 4 == 6 ? plain_sum(b + l3 + 8, 32, 0) : plain_sum(b + l3 + 12, 8, 0);
		sum += proto + (end - l4);
	}
	return plain_sum(b + l4, end - l4, sum);
}

static inline int sum_at(u32 proto)
{
	return proto == LS_IPPROTO_TCP ? 16 : proto == LS_IPPROTO_UDP ? 6 : proto == LS_IPPROTO_ICMP || proto == LS_IPPROTO_ICMP6 ? 2 : -1;
}

/* Lengths and checksums of everything from l3 on. `proto` is the transport's. */
static inline void finish(struct packet *p, u32 proto)
{
	u32 end = p->len;
	int at = sum_at(proto);

	if (is6(p, p->l3)) {
		ls_put16(p->b + p->l3 + 4, (u16)(end - p->l3 - 40));
	} else {
		ls_put16(p->b + p->l3 + 2, (u16)(end - p->l3));
		ls_put16(p->b + p->l3 + 10, 0);
		ls_put16(p->b + p->l3 + 10, (u16)~plain_sum(p->b + p->l3, (p->b[p->l3] & 15u) * 4, 0));
	}
	if (proto == LS_IPPROTO_UDP)
		ls_put16(p->b + p->l4 + 4, (u16)(end - p->l4));
	if (at >= 0) {
		u16 sum;

		ls_put16(p->b + p->l4 + at, 0);
		sum = (u16)~l4_sum(p->b, p->l3, p->l4, end, proto);
		ls_put16(p->b + p->l4 + at, proto == LS_IPPROTO_UDP && !sum ? 0xffff : sum);
	}
}

static inline void filler(struct packet *p, u32 n)
{
	for (u32 i = 0; i < n; i++)
		put8(p, 0x41 + i % 26);
}

/* The router's MAC on the port a source address lives behind. */
static inline u8 mac_toward(const char *src)
{
	if (strncmp(src, "10.0.1.", 7) == 0 || strncmp(src, "fd00:1:", 7) == 0)
		return 0x11;
	if (strncmp(src, "10.0.3.", 7) == 0 || strncmp(src, "fd00:3:", 7) == 0)
		return 0x33;
	if (strncmp(src, "10.0.4.", 7) == 0)
		return 0x44;
	if (strncmp(src, "10.0.5.", 7) == 0)
		return 0x55;
	if (strncmp(src, "10.0.6.", 7) == 0 || strncmp(src, "fd00:6:", 7) == 0)
		return 0x66;
	return 0x22;
}

static inline struct packet ip(u32 proto, const char *src, const char *dst)
{
	bool v6 = strchr(src, ':') != NULL;
	struct packet p = ether(mac_toward(src), v6 ? LS_ETH_IP6 : LS_ETH_IP4);

	if (v6)
		ip6(&p, proto, src, dst);
	else
		ip4(&p, proto, src, dst);
	return p;
}

static inline struct packet udp(const char *src, u32 sport, const char *dst, u32 dport, u32 payload)
{
	struct packet p = ip(LS_IPPROTO_UDP, src, dst);

	put16(&p, sport);
	put16(&p, dport);
	put32(&p, 0);
	filler(&p, payload);
	finish(&p, LS_IPPROTO_UDP);
	return p;
}

static inline struct packet tcp_at(const char *src, u32 sport, const char *dst, u32 dport, u32 flags, u32 seq, u32 ack, u32 payload)
{
	struct packet p = ip(LS_IPPROTO_TCP, src, dst);

	put16(&p, sport);
	put16(&p, dport);
	put32(&p, seq);
	put32(&p, ack);
	put16(&p, 0x5000 | flags);
	put16(&p, 65535);
	put32(&p, 0);
	filler(&p, payload);
	finish(&p, LS_IPPROTO_TCP);
	return p;
}

static inline struct packet tcp(const char *src, u32 sport, const char *dst, u32 dport, u32 flags)
{
	return tcp_at(src, sport, dst, dport, flags, 1000, flags & LS_TCP_ACK ? 5000 : 0, 0);
}

/* type 8/0 for IPv4, 128/129 for IPv6 by `reply`. */
static inline struct packet echo(const char *src, const char *dst, u32 id, bool reply, u32 payload)
{
	bool v6 = strchr(src, ':') != NULL;
	u32 proto = v6 ? LS_IPPROTO_ICMP6 : LS_IPPROTO_ICMP;
	struct packet p = ip(proto, src, dst);

	put16(&p, (v6 ? (reply ? 129u : 128u) : (reply ? 0u : 8u)) << 8);
	put16(&p, 0);
	put16(&p, id);
	put16(&p, 1);
	filler(&p, payload);
	finish(&p, proto);
	return p;
}

/* An ICMP error that quotes `quote` bytes of the network packet `inner`. */
static inline struct packet icmp_error(const char *src, const char *dst, u32 type, u32 code, u32 info, const u8 *inner, u32 quote)
{
	bool v6 = strchr(src, ':') != NULL;
	u32 proto = v6 ? LS_IPPROTO_ICMP6 : LS_IPPROTO_ICMP;
	struct packet p = ip(proto, src, dst);

	put16(&p, type << 8 | code);
	put16(&p, 0);
	put32(&p, info);
	put(&p, inner, quote);
	finish(&p, proto);
	return p;
}

/* Inserts tags after the MAC addresses: outer, then inner (0 = none). */
static inline struct packet tagged(struct packet p, const u32 *tags, u32 n)
{
	memmove(p.b + 12 + 4 * n, p.b + 12, p.len - 12);
	p.len += 4 * n;
	for (u32 i = 0; i < n; i++) {
		ls_put16(p.b + 12 + 4 * i, i + 1 < n ? LS_ETH_QINQ : LS_ETH_VLAN);
		ls_put16(p.b + 14 + 4 * i, (u16)tags[i]);
	}
	p.l3 += 4 * n;
	p.l4 += 4 * n;
	return p;
}

/* The packet of zone `zone` as another node hands it over: the layout in docs/design/0012-fabric.md, byte by byte. */
static inline struct packet crossing(struct packet inner, u32 rg, u32 zone)
{
	struct packet p = { .len = 0, .l3 = 26, .l4 = 26 + inner.l4 - inner.l3 };
	u32 type = ls_get16(inner.b + inner.l3 - 2);

	put(&p, (u8[]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x89, 0x88, 0xb5, 1, 1, (u8)rg, 0 }, 18);
	put16(&p, zone);
	put32(&p, 0);
	put16(&p, type);
	if (inner.len > inner.l3)
		put(&p, inner.b + inner.l3, inner.len - inner.l3);
	return p;
}

/* A worker with one frame in hand. */
struct lane {
	struct ls_table *t;
	struct ls_env e;
	struct ls_pkt pkt;
	struct ls_buf frame;
	u8 memory[LS_HEADROOM + PACKET_MAX + 256];
	u64 shift_ns;             /* added to the clock: time travel */
	struct {
		u64 global[64], drops[128];
	} before; /* counters of this worker before the last packet */
};

static inline struct lane *lane_open(struct ls_table *t, u32 worker)
{
	struct lane *w = calloc(1, sizeof(*w));

	w->t = t;
	ls_worker_attach(t, worker);
	ls_env_worker(t, worker, &w->e);
	return w;
}

/* The frame into w->frame, the clock and the bank as they are now. */
static inline void lane_load(struct lane *w, const u8 *bytes, u32 len)
{
	memset(w->memory + LS_HEADROOM - 64, 0xd5, len + 192);
	memcpy(w->memory + LS_HEADROOM, bytes, len);
	w->frame = (struct ls_buf){ .data = w->memory + LS_HEADROOM, .len = len, .head = LS_HEADROOM, .tail = PACKET_MAX + 256 - len };
	w->e.config = &w->e.banks[LS_LOAD_ACQ(&w->e.header->active_bank) & 1];
	w->e.now_ns = ls_clock_ns() + w->shift_ns;
	memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
	w->pkt.buf = &w->frame;
}

/* One frame, one burst. The frame after it is w->frame; counters of before are kept. */
static inline u32 lane_send(struct lane *w, u32 port, const u8 *bytes, u32 len)
{
	u32 v;

	memcpy(w->before.global, w->e.worker_counters->c.global, sizeof(w->before.global));
	memcpy(w->before.drops, w->e.worker_counters->c.drops, sizeof(w->before.drops));
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_SEQ_CST);
	lane_load(w, bytes, len);
	v = ls_pipeline(&w->e, &w->pkt, port);
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_RELEASE);
	return v;
}

static inline u64 drops_by(const struct lane *w, u32 reason) { return w->e.worker_counters->c.drops[reason] - w->before.drops[reason]; }
static inline u64 counted(const struct lane *w, u32 counter) { return w->e.worker_counters->c.global[counter] - w->before.global[counter]; }

static const char *const drop_names[LS_DROP_COUNT] = {
#define X(name, text) #name,
#include "lockstep/defs/drop.def"
#undef X
};

/* The rule for every packet: a drop has exactly one reason, an answer of ours at most one, anything else none. NULL, or what is wrong. */
static inline const char *accounted(const struct lane *w, u32 v)
{
	static _Thread_local char text[160];
	u64 n = 0, all = counted(w, LS_CTR_DROPS);
	bool generated = w->pkt.flags & LS_PF_GENERATED;

	for (u32 i = 0; i < LS_DROP_COUNT; i++)
		n += drops_by(w, i);
	text[0] = 0;
	if (v > LS_V_NEIGH)
		snprintf(text, sizeof(text), "verdict %u", v);
	else if (n != all)
		snprintf(text, sizeof(text), "%llu reasons, %llu drops", (unsigned long long)n, (unsigned long long)all);
	else if (v == LS_V_DROP ? n != 1 || drops_by(w, w->pkt.drop) != 1 || w->pkt.drop == LS_DROP_NONE : generated ? n > 1 : n != 0)
		snprintf(text, sizeof(text), "verdict %u with %llu reasons (%s)", v, (unsigned long long)n, drop_names[w->pkt.drop]);
	else if (drops_by(w, LS_DROP_INTERNAL))
		snprintf(text, sizeof(text), "internal bound reached");
	else if (counted(w, LS_CTR_RX_PACKETS) != 1 || counted(w, LS_CTR_TX_PACKETS) != (v == LS_V_TX))
		snprintf(text, sizeof(text), "rx %llu tx %llu for verdict %u", (unsigned long long)counted(w, LS_CTR_RX_PACKETS),
			 (unsigned long long)counted(w, LS_CTR_TX_PACKETS), v);
	else if (counted(w, LS_CTR_TO_HOST) != (v == LS_V_HOST))
		snprintf(text, sizeof(text), "to_host %llu for verdict %u", (unsigned long long)counted(w, LS_CTR_TO_HOST), v);
	return text[0] ? text : NULL;
}

/* Where the network header of an outgoing frame starts; 0 when it is not IP. */
static inline u32 frame_l3(const u8 *b, u32 len)
{
	u32 at = 12, type;

	for (u32 i = 0; i < 3; i++) {
		if (at + 2 > len)
			return 0;
		type = ls_get16(b + at);
		if (type == LS_ETHERTYPE_FABRIC && at + 2 + LS_FABRIC_BYTES <= len) {
			at += LS_FABRIC_BYTES;
			type = ls_get16(b + at);
		}
		if (type != LS_ETH_VLAN && type != LS_ETH_QINQ)
			return type == LS_ETH_IP4 || type == LS_ETH_IP6 ? at + 2 : 0;
		at += 4;
	}
	return 0;
}

/* Checksums and lengths of a network packet, from scratch, the packet inside an ICMP error included as far as it is quoted. NULL, or what is wrong.
 * `len` bytes are there; bytes after the packet (padding) are none of its business. */
static inline const char *sums_wrong(const u8 *b, u32 len, bool embedded)
{
	u32 l4, end, proto, frag = 0;
	int at;
	bool whole;

	if (len < 20)
		return "no network header";
	if (b[0] >> 4 == 4) {
		l4 = (b[0] & 15u) * 4;
		end = ls_get16(b + 2);
		if (l4 < 20 || l4 > len || end < l4)
			return "IPv4 lengths";
		if (plain_sum(b, l4, 0) != 0xffff)
			return embedded ? "embedded IPv4 header sum" : "IPv4 header sum";
		proto = b[9];
		frag = ls_get16(b + 6) & 0x3fff;
	} else {
		if (len < 40)
			return "no IPv6 header";
		l4 = 40;
		end = 40u + ls_get16(b + 4);
		proto = b[6];
		while (proto == 0 || proto == 43 || proto == 60 || proto == 44) {
			if (l4 + 8 > len)
				return NULL;
			if (proto == 44)
				frag = ls_get16(b + l4 + 2) & 0xfff9;
			{
				u32 next = b[l4];

				l4 += proto == 44 ? 8 : (b[l4 + 1] + 1u) * 8;
				proto = next;
			}
			if (l4 > end)
				return "IPv6 extension headers";
		}
	}
	whole = end <= len;
	if (!whole && !embedded)
		return "packet longer than its frame";
	at = sum_at(proto);
	if (at < 0 || frag || !whole || end < l4 + (proto == LS_IPPROTO_TCP ? 20 : 8))
		return NULL;
	if (proto == LS_IPPROTO_UDP && b[0] >> 4 == 4 && ls_get16(b + l4 + 6) == 0)
		return NULL;
	if (proto == LS_IPPROTO_UDP && ls_get16(b + l4 + 4) != end - l4)
		return NULL; /* UDP shorter than IP: the sum covers less */
	if (l4_sum(b, 0, l4, end, proto) != 0xffff)
		return embedded ? "embedded transport sum" : proto == LS_IPPROTO_TCP ? "TCP sum" : proto == LS_IPPROTO_UDP ? "UDP sum" : "ICMP sum";
	if (proto == LS_IPPROTO_UDP && ls_get16(b + l4 + 6) == 0)
		return "UDP sum of zero";
	if (!embedded && ((proto == LS_IPPROTO_ICMP && (b[l4] == 3 || b[l4] == 11 || b[l4] == 12)) || (proto == LS_IPPROTO_ICMP6 && b[l4] >= 1 && b[l4] <= 4)))
		return sums_wrong(b + l4 + 8, end - l4 - 8, true);
	if (!embedded && (proto == LS_IPPROTO_IPIP || proto == LS_IPPROTO_IPV6))
		return sums_wrong(b + l4, end - l4, false);
	return NULL;
}

/* Of the frame in hand. */
static inline const char *frame_wrong(const struct lane *w)
{
	u32 l3 = frame_l3(w->frame.data, w->frame.len);

	return l3 ? sums_wrong(w->frame.data + l3, w->frame.len - l3, false) : NULL;
}

#endif
