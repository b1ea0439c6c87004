/* A configuration bank, routes and neighbours built in C, for tests: the packet path without the TypeScript compiler of configurations.
 * The order of insertion into open-addressed tables is free as long as no probe exceeds LS_HASH_PROBES; classifiers hold at most 64 rules.
 */
#ifndef LOCKSTEP_TEST_BANK_H
#define LOCKSTEP_TEST_BANK_H

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/table.h"
#include "table/fib.h"
#include "pipeline/pipeline.h"

static inline struct ls_addr addr(const char *text)
{
	struct ls_addr a;
	u8 four[4];

	if (inet_pton(AF_INET6, text, a.b) == 1)
		return a;
	assert(inet_pton(AF_INET, text, four) == 1);
	ls_addr_from4(&a, four);
	return a;
}

/* First and last address of "10.0.0.0/8", "fd00::/16" or one address. "" is everything. */
static inline void span(const char *text, struct ls_addr *low, struct ls_addr *high)
{
	char copy[64], *slash;
	u32 bits = 128;

	if (!text || !*text) {
		memset(low, 0, 16);
		memset(high, 0xff, 16);
		return;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (slash) {
		*slash = 0;
		bits = (u32)atoi(slash + 1) + (strchr(copy, ':') ? 0 : 96);
	}
	*low = *high = addr(copy);
	for (u32 i = 0; i < 128; i++)
		if (i >= bits) {
			low->b[i / 8] &= (u8)~(0x80 >> i % 8);
			high->b[i / 8] |= (u8)(0x80 >> i % 8);
		}
}

/* What a rule of a classifier accepts; zero and empty mean anything. */
struct bank_match {
	u64 zones_in, zones_out; /* bit per zone */
	u32 proto;
	const char *src, *dst;
	u16 sport_lo, sport_hi;
	u16 dport_lo, dport_hi;
};

static inline u16 bank_row(struct ls_classifier *c, u32 *rows, u64 bits)
{
	for (u32 i = 0; i < *rows; i++)
		if (c->row[i].bits[0] == bits)
			return (u16)i;
	c->row[*rows].bits[0] = bits;
	return (u16)(*rows)++;
}

static inline int addr_order(const void *a, const void *b) { return memcmp(a, b, 16); }

/* Smallest address above `a`; false after the last. */
static inline bool addr_after(struct ls_addr *a)
{
	for (int i = 15; i >= 0; i--)
		if (++a->b[i])
			return true;
	return false;
}

static inline void bank_class_addr(struct ls_classifier *c, u32 *rows, struct ls_class_addr *d, const struct bank_match *m, u32 n, bool dst)
{
	struct ls_addr cut[130] = { 0 }, low, high;
	u32 cuts = 1;

	for (u32 i = 0; i < n; i++) {
		span(dst ? m[i].dst : m[i].src, &low, &high);
		cut[cuts++] = low;
		if (addr_after(&high))
			cut[cuts++] = high;
	}
	qsort(cut, cuts, 16, addr_order);
	d->count = 0;
	for (u32 k = 0; k < cuts; k++) {
		u64 bits = 0;

		if (k && memcmp(&cut[k], &cut[k - 1], 16) == 0)
			continue;
		for (u32 i = 0; i < n; i++) {
			span(dst ? m[i].dst : m[i].src, &low, &high);
			if (memcmp(&low, &cut[k], 16) <= 0 && memcmp(&cut[k], &high, 16) <= 0)
				bits |= 1ULL << i;
		}
		d->start[d->count] = cut[k];
		d->row[d->count++] = bank_row(c, rows, bits);
	}
}

static inline void bank_class_port(struct ls_classifier *c, u32 *rows, struct ls_class_port *d, const struct bank_match *m, u32 n, bool dst)
{
	u64 previous = ~0ULL;

	d->count = 0;
	for (u32 v = 0; v < 65536; v++) {
		u64 bits = 0;

		for (u32 i = 0; i < n; i++) {
			u32 low = dst ? m[i].dport_lo : m[i].sport_lo, high = dst ? m[i].dport_hi : m[i].sport_hi;

			bits |= (u64)((!low && !high) || (low <= v && v <= high)) << i;
		}
		if (bits == previous)
			continue;
		previous = bits;
		d->start[d->count] = (u16)v;
		d->row[d->count++] = bank_row(c, rows, bits);
	}
}

static inline void bank_classifier(struct ls_classifier *c, const struct bank_match *m, u32 n)
{
	u32 rows = 1;

	assert(n <= 64);
	memset(c, 0, sizeof(*c));
	c->rules = n;
	c->words = 1;
	for (u32 z = 0; z < LS_ZONES_MAX; z++) {
		u64 in = 0, out = 0;

		for (u32 i = 0; i < n; i++) {
			in |= (u64)(!m[i].zones_in || m[i].zones_in >> z & 1) << i;
			out |= (u64)(!m[i].zones_out || m[i].zones_out >> z & 1) << i;
		}
		c->zone_in[z] = bank_row(c, &rows, in);
		c->zone_out[z] = bank_row(c, &rows, out);
	}
	for (u32 p = 0; p < 256; p++) {
		u64 bits = 0;

		for (u32 i = 0; i < n; i++)
			bits |= (u64)(!m[i].proto || m[i].proto == p) << i;
		c->proto[p] = bank_row(c, &rows, bits);
	}
	bank_class_addr(c, &rows, &c->src, m, n, false);
	bank_class_addr(c, &rows, &c->dst, m, n, true);
	bank_class_port(c, &rows, &c->sport, m, n, false);
	bank_class_port(c, &rows, &c->dport, m, n, true);
	c->active.bits[0] = n == 64 ? ~0ULL : (1ULL << n) - 1;
}

static inline void bank_iface_add(struct ls_config *c, u32 id, struct ls_iface i)
{
	u32 h = ls_config_hash_step(c->hash_seed, i.device | (u32)i.outer_vlan << 16);

	c->iface[id] = i;
	h = ls_config_hash_step(h, i.inner_vlan);
	for (u32 n = 0; n < LS_HASH_PROBES; n++) {
		struct ls_iface_slot *s = &c->iface_hash[ls_config_probe(h, n, LS_IFACE_HASH)];

		if (s->iface)
			continue;
		*s = (struct ls_iface_slot){ .device = i.device, .outer_vlan = i.outer_vlan, .inner_vlan = i.inner_vlan, .iface = (u16)id };
		return;
	}
	assert(!"interface hash");
}

static inline void bank_local_add(struct ls_config *c, struct ls_local l)
{
	u32 h = ls_config_hash_step(ls_addr_hash(c->hash_seed, &l.addr), l.domain);

	for (u32 n = 0; n < LS_HASH_PROBES; n++) {
		struct ls_local *s = &c->local[ls_config_probe(h, n, LS_LOCALS_HASH)];

		if (s->kind)
			continue;
		*s = l;
		return;
	}
	assert(!"local hash");
}

static inline void bank_vip_add(struct ls_config *c, u32 id, struct ls_vip v)
{
	struct ls_addr masked;
	u32 h, n;

	c->vip[id] = v;
	c->vips++;
	ls_addr_mask(&masked, &v.addr, v.prefix);
	h = ls_addr_hash(c->hash_seed, &masked);
	h = ls_config_hash_step(h, (u32)v.port_be | (u32)v.proto << 16 | (u32)v.prefix << 24);
	h = ls_config_hash_step(h, 0);
	for (n = 0; n < LS_HASH_PROBES; n++) {
		struct ls_vip_slot *s = &c->vip_hash[ls_config_probe(h, n, LS_VIP_HASH)];

		if (s->vip)
			continue;
		*s = (struct ls_vip_slot){ .addr = masked, .port_be = v.port_be, .proto = v.proto, .prefix = v.prefix, .vip = (u16)id };
		break;
	}
	assert(n < LS_HASH_PROBES);
	for (n = 0; n < LS_VIP_PLENS_MAX && c->vip_plens[n] != 0xff; n++)
		if (c->vip_plens[n] == v.prefix)
			return;
	assert(n < LS_VIP_PLENS_MAX);
	while (n && c->vip_plens[n - 1] < v.prefix) {
		c->vip_plens[n] = c->vip_plens[n - 1];
		n--;
	}
	c->vip_plens[n] = v.prefix;
}

static inline void bank_static_add(struct ls_config *c, struct ls_static_nat s)
{
	u32 out = ls_config_hash_step(ls_addr_hash(c->hash_seed, &s.outside), s.domain);
	u32 in = ls_config_hash_step(ls_addr_hash(c->hash_seed, &s.inside), s.domain);

	for (u32 n = 0; n < LS_HASH_PROBES; n++) {
		struct ls_static_nat *to = &c->static_out[ls_config_probe(out, n, LS_STATIC_HASH)];

		if (to->id)
			continue;
		*to = s;
		break;
	}
	for (u32 n = 0; n < LS_HASH_PROBES; n++) {
		struct ls_static_nat *to = &c->static_in[ls_config_probe(in, n, LS_STATIC_HASH)];

		if (to->id)
			continue;
		*to = s;
		break;
	}
}

/* Timeouts of defs/phase.def, group seeds, no tables: what every bank starts from. Free it. */
static inline struct ls_config *bank_new(void)
{
	struct ls_config *c = calloc(1, sizeof(*c));
	static const u32 ms[LS_PHASE_COUNT] = {
#define X(name, ms, text) ms,
#include "lockstep/defs/phase.def"
#undef X
	};

	c->generation = 1;
	c->hash_seed = 0x12345678;
	for (u32 a = 0; a < LS_APPS_MAX; a++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++)
			c->timeout_ns[a][p] = (u64)ms[p] * 1000000;
	memset(c->vip_plens, 0xff, sizeof(c->vip_plens));
	c->host_port_lo = 32768;
	c->host_port_hi = 60999;
	return c;
}

/* Routes as "prefix" -> (kind, iface, gateway); longest prefix wins. */
struct bank_route {
	const char *prefix;
	u32 kind; /* enum ls_nexthop_kind */
	u32 iface;
	const char *gateway;
};

static inline void bank_fib(struct ls_fib *f, const struct bank_route *r, u32 n)
{
	struct ls_addr cut[130] = { 0 }, low[64], high[64];
	u32 cuts = 1;

	assert(n < 64);
	memset(f, 0, sizeof(*f));
	for (u32 i = 0; i < n; i++) {
		struct ls_addr next;

		span(r[i].prefix, &low[i], &high[i]);
		f->nexthop[i + 1] = (struct ls_nexthop){ .kind = (u8)r[i].kind, .iface = (u16)r[i].iface };
		if (r[i].gateway)
			f->nexthop[i + 1].gateway = addr(r[i].gateway);
		cut[cuts++] = low[i];
		next = high[i];
		if (addr_after(&next))
			cut[cuts++] = next;
	}
	f->nexthops = n + 1;
	qsort(cut, cuts, 16, addr_order);
	for (u32 k = 0; k < cuts; k++) {
		u32 best = 0;

		if (k && memcmp(&cut[k], &cut[k - 1], 16) == 0)
			continue;
		for (u32 i = 0; i < n; i++)
			if (memcmp(&low[i], &cut[k], 16) <= 0 && memcmp(&cut[k], &high[i], 16) <= 0 &&
			    (!best || memcmp(&low[i], &low[best - 1], 16) > 0 || memcmp(&high[i], &high[best - 1], 16) < 0))
				best = i + 1;
		f->start[f->count] = cut[k];
		f->nexthop_of[f->count++] = (u16)best;
	}
}

static inline void bank_neigh(struct ls_neigh *table, const char *ip, u32 device, const u8 mac[6])
{
	struct ls_addr a = addr(ip);
	u32 at = ls_neigh_index(&a, device);

	for (u32 n = 0; n < LS_NEIGH_PROBES; n++) {
		struct ls_neigh *x = &table[(at + n) & (LS_NEIGHS - 1)];

		if (x->seq)
			continue;
		*x = (struct ls_neigh){ .seq = 2, .addr = a, .device = device, .state = LS_NEIGH_VALID };
		memcpy(x->mac, mac, 6);
		return;
	}
	assert(!"neighbour table");
}

#endif
