/* What the host itself sends (D1, R17): flows it opens become sessions of their own, so that their replies come in whatever the zone serves. Runs on the way
 * out of an interface, for frames that were born here; never holds one back but where its reply would be taken for another session's.
 */
#ifndef LOCKSTEP_PIPELINE_HOST_FLOW_H
#define LOCKSTEP_PIPELINE_HOST_FLOW_H

#include "open.h"

/* Does the frame open a flow, or belong to one? What answers a service that the zone has anyway does not. */
LS_INLINE bool ls_host_opens(const struct ls_config *c, struct ls_pkt *p)
{
	u32 proto = p->key.proto;
	bool serves;

	if (proto == LS_IPPROTO_ICMP || proto == LS_IPPROTO_ICMP6)
		return p->flags & LS_PF_ECHO;
	if (proto == LS_IPPROTO_TCP && (p->tcp_flags & LS_TCP_RST))
		return false;
	if (proto == LS_IPPROTO_TCP && (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK)) == LS_TCP_SYN)
		return true;
	ls_key_reverse(&p->scratch, &p->key);
	p->to = p->key;
	p->key = p->scratch;
	serves = ls_host_serves(c, p);
	p->key = p->to;
	return !serves;
}

/* The session of a frame that found one. */
LS_STAGE u32 ls_host_hit(const struct ls_env *e, struct ls_pkt *p, u32 ref, u32 gen)
{
	LS_GIVEN(e && p);
	u32 slot = LS_REF_SLOT(ref), dir = LS_REF_DIR(ref), life, v;
	struct ls_session *s = port_session(e, slot);
	struct ls_choice x = { .mode = LS_MODE_NAT, .flags = LS_SF_HOST, .rg = LS_RG_NONE };
	u64 state;

	if (!s)
		return LS_V_HOST;
	state = LS_LOAD_ACQ(&s->state);
	life = LS_STATE_LIFECYCLE(state);
	if (LS_LOAD_ACQ(&s->gen) != gen || (life != LS_LIVE && life != LS_DYING) || !(LS_LOAD(&s->flags) & LS_SF_HOST))
		return LS_V_HOST;
	if (dir == LS_FORWARD && port_now(e) > ls_deadline(e, port_config(e), s, state))
		v = LS_V_REVIVE;
	else
		v = ls_hit_record(e, p, s, ref, gen, state);
	if (v == LS_V_REVIVE && dir == LS_FORWARD) {
		p->to = p->key;
		ls_renew(e, p, &x, (u64)slot << 32 | gen);
	}
	return LS_V_HOST;
}

/* A frame of the host's own on its way out of `device`, whose tag, if the frame does not carry it, is `vlan`. LS_V_HOST: it goes; else LS_V_DROP. */
LS_INLINE u32 ls_host_out(const struct ls_env *e, struct ls_pkt *p, u32 device, u32 vlan)
{
	const struct ls_config *c = port_config(e);
	struct ls_choice x = { .mode = LS_MODE_NAT, .flags = LS_SF_HOST, .rg = LS_RG_NONE };
	const struct ls_local *l;
	u32 ref, gen = 0;

	ref = ls_parse_link(c, p, device);
	if ((ref != LS_DROP_NONE && !(ref == LS_DROP_UNKNOWN_IFACE && vlan)) || (p->ethertype != LS_ETH_IP4 && p->ethertype != LS_ETH_IP6) ||
	    ls_parse_network(p) != LS_DROP_NONE)
		return LS_V_HOST;
	if (vlan) {
		p->in_iface = (u16)ls_iface_find(c, device, vlan, 0);
		p->zone_in = c->iface[p->in_iface & (LS_IFACES_MAX - 1)].zone & (LS_ZONES_MAX - 1);
		p->key.domain = c->iface[p->in_iface & (LS_IFACES_MAX - 1)].domain;
	}
	if ((p->flags & (LS_PF_LATER | LS_PF_ICMP_ERROR | LS_PF_ND | LS_PF_BROADCAST)) || ls_is_multicast(&p->key.dst, p->key.family))
		return LS_V_HOST;
	l = ls_local_find(c, &p->key.src, p->key.domain);
	if (!l || l->kind != LS_LOCAL_HOST)
		return LS_V_HOST;
	p->hash = ls_hash_key(port_hash_key(e), &p->key, port_bucket_mask(e));
	ref = ls_index_find(e, p->hash, &p->key, LS_SLOT_NONE, &gen);
	if (ref != LS_REF_NONE)
		return ls_host_hit(e, p, ref, gen);
	if (!ls_host_opens(c, p))
		return LS_V_HOST;
	p->to = p->key;
	p->zone_out = p->zone_in;
	p->zone_in = 0;
	/* full: what comes back is told by the host's sockets alone (LS_V_SOCKET) */
	if (ls_create(e, p, &x) != LS_DROP_CREATE_RACE || ls_index_find(e, p->hash, &p->key, LS_SLOT_NONE, &gen) != LS_REF_NONE)
		return LS_V_HOST;
	return ls_drop(e, p, LS_DROP_HOST_PORT_CONFLICT);
}

#endif
