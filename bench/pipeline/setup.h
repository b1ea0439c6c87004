/* What both halves of the pipeline bench work on: two zones, one rule that permits, a default route, one VIP; frames of 64 bytes. */
#ifndef LOCKSTEP_BENCH_SETUP_H
#define LOCKSTEP_BENCH_SETUP_H

#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "pipeline/burst.h"

#include "lib/bench.h"
#include "table/maglev.h"

#define FRAME 64
#define REALS 1000
#define RING 65537
#define VIP 0xc0000201u

static const u8 mac_in[6] = { 2, 0, 0, 0, 0, 1 }, mac_out[6] = { 2, 0, 0, 0, 0, 2 }, mac_far[6] = { 2, 0, 0, 0, 0, 3 };

static struct ls_addr v4(u32 host)
{
	struct ls_addr a = { .w = { 0, 0, __builtin_bswap32(0xffff), __builtin_bswap32(host) } };

	return a;
}

/* --- configuration: two zones, one rule that permits, a default route, one VIP ------------------------------------------------------ */
static void accept_all(struct ls_classifier *c)
{
	c->rules = c->words = 1;
	c->zone_in[1] = c->zone_out[2] = 1;
	for (u32 i = 0; i < 256; i++)
		c->proto[i] = 1;
	c->src.count = c->dst.count = c->sport.count = c->dport.count = 1;
	c->src.row[0] = c->dst.row[0] = c->sport.row[0] = c->dport.row[0] = 1;
	c->active.bits[0] = c->row[1].bits[0] = 1;
}

static void configure(struct ls_table *t)
{
	struct ls_config *c = calloc(1, sizeof(*c));
	struct ls_maglev_real reals[REALS];
	static u16 ring[RING];
	struct ls_addr vip = v4(VIP), gateway = v4(0xc6120001), client = v4(0x0a000001);
	const struct ls_addr *hops[2] = { &client, &gateway };
	struct ls_fib *fib = &t->env.fibs[t->env.header->active_fib & 1];

	if (!c)
		bench_fail("out of memory", 0);
	c->generation = 1;
	c->hash_seed = 1;
	for (u32 a = 0; a < LS_APPS_MAX; a++)
		for (u32 p = 0; p < LS_PHASES_MAX; p++)
			c->timeout_ns[a][p] = 3600000000000ULL;
	for (u32 i = 1; i <= 2; i++) {
		u32 h = ls_config_hash_step(ls_config_hash_step(c->hash_seed, i), 0);

		c->iface[i] = (struct ls_iface){ .device = (u16)i, .zone = (u16)i, .mtu = 1500, .flags = LS_IF_UP };
		memcpy(c->iface[i].mac, i == 1 ? mac_in : mac_out, 6);
		while (c->iface_hash[h & (LS_IFACE_HASH - 1)].iface)
			h++;
		c->iface_hash[h & (LS_IFACE_HASH - 1)] = (struct ls_iface_slot){ .device = (u16)i, .iface = (u16)i };
	}
	accept_all(&c->policy);
	c->rule[0] = (struct ls_rule){ .policy = 1, .action = LS_ACT_PERMIT };
	c->vips = 1;
	memset(c->vip_plens, 0xff, sizeof(c->vip_plens));
	c->vip_plens[0] = 128;
	c->vip[1] = (struct ls_vip){ .addr = vip, .prefix = 128, .proto = 17, .port_be = __builtin_bswap16(443), .ring = 0, .ring_size = RING, .used = 1 };
	{
		u32 h = ls_addr_hash(c->hash_seed, &vip);

		h = ls_config_hash_step(h, (u32)c->vip[1].port_be | 17u << 16 | 128u << 24);
		h = ls_config_hash_step(h, 0);
		c->vip_hash[h & (LS_VIP_HASH - 1)] = (struct ls_vip_slot){ .addr = vip, .port_be = c->vip[1].port_be, .proto = 17, .prefix = 128, .vip = 1 };
	}
	for (u32 i = 0; i < REALS; i++) {
		reals[i] = (struct ls_maglev_real){ .addr = v4(0xc6130000 + i), .id = (u16)(i + 1), .weight = 100 };
		c->real[i + 1] = (struct ls_real){ .addr = reals[i].addr, .vip = 1, .up = 1, .used = 1 };
	}
	if (ls_maglev_build(reals, REALS, RING, ring) != LS_OK || ls_table_write_arena(t, 0, ring, sizeof(ring)) != LS_OK ||
	    ls_table_write_config(t, c, sizeof(*c)) != LS_OK)
		bench_fail("configuration", 0);
	/* clients of 10/8 behind interface 1, everything else behind interface 2 */
	fib->count = 3;
	fib->start[1] = v4(0x0a000000);
	fib->start[2] = v4(0x0b000000);
	fib->nexthop_of[0] = fib->nexthop_of[2] = 2;
	fib->nexthop_of[1] = 1;
	for (u32 i = 1; i <= 2; i++) {
		struct ls_neigh *n = &t->env.neighs[ls_neigh_index(hops[i - 1], i)];

		fib->nexthop[i] = (struct ls_nexthop){ .gateway = *hops[i - 1], .iface = (u16)i, .kind = LS_NH_GATEWAY };
		n->addr = *hops[i - 1];
		n->device = i;
		memcpy(n->mac, mac_far, 6);
		n->state = LS_NEIGH_VALID;
		n->seq = 2;
	}
	free(c);
}

/* A burst of `n` frames as a worker takes it; how many are to be sent is added to *sent. `out`, if given, is called with each of those. */
LS_INLINE void bench_burst(struct ls_env *e, struct ls_buf *buf, u32 n, u64 *sent, bool (*out)(void *, struct ls_buf *), void *arg)
{
	static __thread struct ls_pkt pkt[LS_BURST_MAX];
	u32 verdict[LS_BURST_MAX];

	__atomic_fetch_add(&e->worker->quiescent, 1, __ATOMIC_SEQ_CST);
	e->config = &e->banks[LS_LOAD_ACQ(&e->header->active_bank) & 1];
	e->now_ns = ls_clock_ns();
	for (u32 group = 0; group < n; group += LS_BURST_MAX) {
		for (u32 i = 0; i < LS_BURST_MAX; i++) {
			memset(&pkt[i], 0, offsetof(struct ls_pkt, to));
			pkt[i].buf = &buf[group + i];
		}
		ls_pipeline_burst(e, pkt, LS_BURST_MAX, 1, verdict);
		for (u32 i = 0; i < LS_BURST_MAX; i++)
			*sent += verdict[i] == LS_V_TX && (!out || out(arg, pkt[i].buf));
	}
	__atomic_fetch_add(&e->worker->quiescent, 1, __ATOMIC_RELEASE);
}

/* --- frames ----------------------------------------------------------------------------------------------------------------------------- */
/* A UDP datagram, or a TCP segment with an acknowledgement. `seed` varies the payload. */
static void frame_of(u8 *f, const struct ls_key *key, u32 seed)
{
	bool tcp = key->proto == LS_IPPROTO_TCP;
	u8 *check = f + (tcp ? 50 : 40);
	u32 sum;

	memset(f, 0, FRAME);
	memcpy(f, mac_in, 6);
	memcpy(f + 6, mac_far, 6);
	f[12] = 8;
	f[14] = 0x45;
	ls_put16(f + 16, FRAME - 14);
	f[22] = 64;
	f[23] = key->proto;
	memcpy(f + 26, &key->src.w[3], 4);
	memcpy(f + 30, &key->dst.w[3], 4);
	ls_set_raw16(f + 24, (be16)~ls_fold(ls_sum_words(f + 14, 10)));
	memcpy(f + 34, &key->sport_be, 2);
	memcpy(f + 36, &key->dport_be, 2);
	if (tcp) {
		f[46] = 5 << 4;
		f[47] = LS_TCP_ACK;
		memcpy(f + 54, &seed, 4);
	} else {
		ls_put16(f + 38, FRAME - 34);
		memcpy(f + 42, &seed, 4);
	}
	sum = ls_sum_words(f + 26, 4) + __builtin_bswap16(key->proto) + __builtin_bswap16(FRAME - 34) + ls_sum_words(f + 34, (FRAME - 34) / 2);
	ls_set_raw16(check, (be16)~ls_fold(sum));
}

#endif
