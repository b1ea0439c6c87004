/* The product's program under the bench, and parts of it. */
#include "backend/ebpf/xdp.bpf.c"
#include "wrapper.bpf.h"

/* Up to the hash of the tuple: frame in, headers, screens, counters. */
LS_SEC("xdp.frags") int bench_parse(struct xdp_md *ctx)
{
	struct bench_lane *lane = bench_restore(ctx);
	struct ls_scratch *s;
	u32 device = 0;

	if (!lane)
		return XDP_ABORTED;
	s = ls_frame_begin(ctx, &device);
	if (!s || ls_pipeline_front(&s->env, &s->pkt, device) != LS_V_NEXT)
		return XDP_DROP;
	lane->sent++;
	return XDP_DROP;
}

/* What a balancer without sessions does: frame in, headers, the VIP, its Maglev ring, the real written into the frame, and out where it came from, as
 * Katran does it. */
LS_SEC("xdp.frags") int bench_maglev(struct xdp_md *ctx)
{
	struct bench_lane *lane = bench_restore(ctx);
	const struct ls_config *c;
	struct ls_scratch *s;
	struct ls_env *e;
	struct ls_pkt *p;
	u32 device = 0, real;

	if (!lane)
		return XDP_ABORTED;
	s = ls_frame_begin(ctx, &device);
	if (!s)
		return XDP_ABORTED;
	e = &s->env;
	p = &s->pkt;
	c = port_config(e);
	if (ls_parse_link(c, p, device) != LS_DROP_NONE || ls_parse_network(p) != LS_DROP_NONE)
		return XDP_DROP;
	real = ls_pick_real(e, p, ls_vip_find(c, &p->key)) & (LS_REALS_MAX - 1);
	if (!real)
		return XDP_DROP;
	p->to = p->key;
	p->to.dst = c->real[real].addr;
	if (!ls_decrement_ttl(p) || !ls_rewrite(p, &p->to) || ls_write_link(p, &c->iface[2]) != LS_DROP_NONE || ls_frame_store(ctx, p))
		return XDP_DROP;
	lane->sent++;
	return XDP_TX;
}
