/* First matching rule of a classifier: one bitmap per dimension, and of all of them the first common bit (config.h tells the source). */
#ifndef LOCKSTEP_PIPELINE_CLASSIFY_H
#define LOCKSTEP_PIPELINE_CLASSIFY_H

#include "interval.h"
#include "pkt.h"

#define LS_RULE_NONE 0xffffffffu

/* Row of a port, and of an address. */
LS_PART u32 ls_class_port_row(const struct ls_class_port *d, u32 value)
{
	u32 low = 0, high;

	LS_GIVEN(d);
	high = d->count;
	for (u32 i = 0; i < LS_CLASS_STEPS; i++) {
		u32 middle = (low + high) / 2, le;

		LS_OPAQUE(middle);
		if (middle <= low || middle >= LS_CLASS_BOUNDS)
			break;
		le = 1 ^ ls_less64(value, d->start[middle]);
		low = ls_pick(le, middle, low);
		high = ls_pick(le, high, middle);
	}
	LS_OPAQUE(low);
	return d->row[low < LS_CLASS_BOUNDS ? low : 0];
}

LS_PART u32 ls_class_addr_row(const struct ls_class_addr *d, const struct ls_addr *value)
{
	LS_GIVEN(d && value);
	return d->row[ls_interval_addr(d->start, d->count, LS_CLASS_STEPS, LS_CLASS_BOUNDS, value)];
}

LS_INLINE const struct ls_row *ls_class_row(const struct ls_classifier *c, u64 row)
{
	LS_CLIP(row, LS_CLASS_ROWS);
	return &c->row[row];
}

struct ls_class_input {
	const struct ls_addr *src;
	const struct ls_addr *dst;
	u32 sport; /* host order; ICMP: type */
	u32 dport; /* ICMP: code */
	u32 zone_in;
	u32 zone_out;
	u32 proto;
};

LS_STAGE u32 ls_class_match(const struct ls_classifier *c, const struct ls_addr *src, const struct ls_addr *dst, u32 ports, u32 zones)
{
	const struct ls_row *a, *b, *d, *f, *g, *h, *k;

	LS_GIVEN(c && src && dst);
	if (c->rules == 0)
		return LS_RULE_NONE;
	a = ls_class_row(c, c->zone_in[zones & (LS_ZONES_MAX - 1)]);
	b = ls_class_row(c, c->zone_out[zones >> 8 & (LS_ZONES_MAX - 1)]);
	d = ls_class_row(c, c->proto[zones >> 16 & 255]);
	f = ls_class_row(c, ls_class_addr_row(&c->src, src));
	g = ls_class_row(c, ls_class_addr_row(&c->dst, dst));
	h = ls_class_row(c, ls_class_port_row(&c->sport, ports & 0xffff));
	k = ls_class_row(c, ls_class_port_row(&c->dport, ports >> 16));
	for (u32 i = 0; i < LS_RULE_WORDS; i++) {
		u64 bits;

		if (i >= c->words)
			break;
		bits = a->bits[i] & b->bits[i] & d->bits[i] & f->bits[i] & g->bits[i] & h->bits[i] & k->bits[i] &
		       LS_LOAD(&c->active.bits[i]);
		if (bits)
			return i * 64 + ls_ctz(bits);
	}
	return LS_RULE_NONE;
}

/* Index of the first active rule that matches, or LS_RULE_NONE. */
LS_INLINE u32 ls_classify(const struct ls_classifier *c, const struct ls_class_input *in)
{
	return ls_class_match(c, in->src, in->dst, (in->sport & 0xffff) | in->dport << 16, (in->zone_in & 255) | (in->zone_out & 255) << 8 | in->proto << 16);
}

/* The classifier's view of a packet whose destination may have been translated. */
LS_INLINE void ls_class_input_of(struct ls_class_input *in, const struct ls_pkt *p, const struct ls_addr *dst, be16 dport_be)
{
	bool icmp = p->key.proto == LS_IPPROTO_ICMP || p->key.proto == LS_IPPROTO_ICMP6;

	in->src = &p->key.src;
	in->dst = dst;
	in->sport = icmp ? p->icmp_type : ls_swap16(p->key.sport_be);
	in->dport = icmp ? p->icmp_code : ls_swap16(dport_be);
	in->zone_in = p->zone_in;
	in->zone_out = p->zone_out;
	in->proto = p->key.proto;
}

#endif
