/* Lookups in the open-addressed configuration tables: local addresses, VIPs, static NAT. At most LS_HASH_PROBES probes each. */
#ifndef LOCKSTEP_PIPELINE_LOOKUP_H
#define LOCKSTEP_PIPELINE_LOOKUP_H

#include "parse.h"

LS_INLINE u32 ls_addr_hash(u32 h, const struct ls_addr *a)
{
	for (u32 i = 0; i < 4; i++)
		h = ls_config_hash_step(h, a->w[i]);
	return h;
}

LS_PART u32 ls_local_index(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 h;

	LS_GIVEN(c && a);
	h = ls_config_hash_step(ls_addr_hash(c->hash_seed, a), domain);
	for (u32 i = 0; i < LS_HASH_PROBES; i++) {
		u32 at = ls_config_probe(h, i, LS_LOCALS_HASH);
		const struct ls_local *s = &c->local[at];

		if (s->kind == LS_LOCAL_NONE)
			return 0;
		if (s->domain == domain && ls_addr_equal(&s->addr, a))
			return at + 1;
	}
	return 0;
}

/* The entry of an address that is ours, or NULL. */
LS_INLINE const struct ls_local *ls_local_find(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 i = ls_local_index(c, a, domain);

	return i ? &c->local[(i - 1) & (LS_LOCALS_HASH - 1)] : NULL;
}

#define LS_VIP_SERVICE(port_be, proto, prefix) ((u32)(port_be) | (u32)(proto) << 16 | (u32)(prefix) << 24)

LS_PART u32 ls_vip_probe(const struct ls_config *c, const struct ls_addr *a, u32 service, u32 domain)
{
	u32 h;

	LS_GIVEN(c && a);
	h = ls_config_hash_step(ls_config_hash_step(ls_addr_hash(c->hash_seed, a), service), domain);
	for (u32 i = 0; i < LS_HASH_PROBES; i++) {
		const struct ls_vip_slot *s = &c->vip_hash[ls_config_probe(h, i, LS_VIP_HASH)];

		if (s->vip == 0)
			return 0;
		if (LS_VIP_SERVICE(s->port_be, s->proto, s->prefix) == service && s->domain == domain && ls_addr_equal(&s->addr, a))
			return s->vip & (LS_VIPS_MAX - 1);
	}
	return 0;
}

LS_INLINE void ls_addr_mask(struct ls_addr *to, const struct ls_addr *from, u32 prefix)
{
	for (u32 i = 0; i < 2; i++) {
		u32 bits = prefix > i * 64 ? prefix - i * 64 : 0;
		u64 mask = bits >= 64 ? ~0ULL : bits == 0 ? 0 : ~(~0ULL >> bits);

		to->d[i] = from->d[i] & __builtin_bswap64(mask);
	}
}

/* VIP id of a destination: longest prefix first, then exact port before any port, this protocol before both. 0 = none. */
LS_PART u32 ls_vip_find(const struct ls_config *c, const struct ls_key *key)
{
	bool both;

	LS_GIVEN(c && key);
	both = key->proto == LS_IPPROTO_TCP || key->proto == LS_IPPROTO_UDP; /* what a VIP without a protocol means */
	if (c->vips == 0)
		return 0;
	for (u32 n = 0; n < LS_VIP_PLENS_MAX; n++) {
		u32 prefix = c->vip_plens[n], vip;
		struct ls_addr a;

		if (prefix > 128)
			break;
		ls_addr_mask(&a, &key->dst, prefix);
		vip = ls_vip_probe(c, &a, LS_VIP_SERVICE(key->dport_be, key->proto, prefix), key->domain);
		if (!vip && both)
			vip = ls_vip_probe(c, &a, LS_VIP_SERVICE(key->dport_be, 0, prefix), key->domain);
		if (!vip)
			vip = ls_vip_probe(c, &a, LS_VIP_SERVICE(0, key->proto, prefix), key->domain);
		if (!vip && both)
			vip = ls_vip_probe(c, &a, LS_VIP_SERVICE(0, 0, prefix), key->domain);
		if (vip)
			return vip;
	}
	return 0;
}

LS_PART u32 ls_static_out_index(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 h;

	LS_GIVEN(c && a);
	h = ls_config_hash_step(ls_addr_hash(c->hash_seed, a), domain);
	for (u32 i = 0; i < LS_HASH_PROBES; i++) {
		u32 at = ls_config_probe(h, i, LS_STATIC_HASH);
		const struct ls_static_nat *s = &c->static_out[at];

		if (s->id == 0)
			return 0;
		if (s->domain == domain && ls_addr_equal(&s->outside, a))
			return at + 1;
	}
	return 0;
}

/* Static NAT entry by its outside address, or NULL. */
LS_INLINE const struct ls_static_nat *ls_static_out_find(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 i = ls_static_out_index(c, a, domain);

	return i ? &c->static_out[(i - 1) & (LS_STATIC_HASH - 1)] : NULL;
}

LS_PART u32 ls_static_in_index(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 h;

	LS_GIVEN(c && a);
	h = ls_config_hash_step(ls_addr_hash(c->hash_seed, a), domain);
	for (u32 i = 0; i < LS_HASH_PROBES; i++) {
		u32 at = ls_config_probe(h, i, LS_STATIC_HASH);
		const struct ls_static_nat *s = &c->static_in[at];

		if (s->id == 0)
			return 0;
		if (s->domain == domain && ls_addr_equal(&s->inside, a))
			return at + 1;
	}
	return 0;
}

/* The same by its inside address. */
LS_INLINE const struct ls_static_nat *ls_static_in_find(const struct ls_config *c, const struct ls_addr *a, u32 domain)
{
	u32 i = ls_static_in_index(c, a, domain);

	return i ? &c->static_in[(i - 1) & (LS_STATIC_HASH - 1)] : NULL;
}

#endif
