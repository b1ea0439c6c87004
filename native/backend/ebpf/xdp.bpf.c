/* The pipeline as one XDP program: one frame a run, one CPU a worker. The object is embedded in the addon and loaded by libbpf (load.c).
 *
 *   window in -> first half -> second half -> (answer: more of the frame, then its answer) -> window out -> redirect, turn around, up, or drop
 *
 * Lives in this file: what becomes of a verdict in XDP. Everything a packet may meet on the way is the pipeline's.
 */
#define LS_PORT_IMPL "backend/ebpf/port_impl.h"
#include "backend/ebpf/run.h"
#include "backend/ebpf/ways.h"
#include "pipeline/pipeline.h"

/* One CPU's working memory: larger than the stack, too large to clear for each packet. */
struct ls_scratch {
	struct ls_run run;
	struct ls_env env;
	u64 device; /* the frame came from */
	struct ls_pkt pkt;
};

struct {
	LS_BTF_INT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	LS_BTF_INT(max_entries, 1);
	LS_BTF_TYPE(key, u32);
	LS_BTF_TYPE(value, struct ls_scratch);
} ls_map_scratch LS_SEC(".maps");

/* Between kernel interfaces and the devices of a configuration bank: written before the program is attached there. */
LS_MAP(ways_in, struct ls_way_in, LS_WAYS_IN);
struct {
	LS_BTF_INT(type, BPF_MAP_TYPE_DEVMAP);
	LS_BTF_INT(max_entries, 2 * LS_DEVICES_MAX);
	LS_BTF_INT(key_size, 4);
	LS_BTF_INT(value_size, 4);
} ls_map_ways_out LS_SEC(".maps");

LS_INLINE u32 ls_device_of(u32 ifindex)
{
	const struct ls_way_in *w = ls_element(&ls_map_ways_in, ifindex & (LS_WAYS_IN - 1));

	return w && w->ifindex == ifindex ? w->device : 0;
}

/* Brings the first `want` bytes of the frame into the window; what is there already stays. */
LS_PART u32 ls_frame_load(struct xdp_md *ctx, struct ls_pkt *p, u32 want)
{
	u32 have, n;

	LS_GIVEN(p);
	have = p->buf->have;
	n = p->buf->len < want ? p->buf->len : want;
	if (n <= have)
		return 0;
	n -= have;
	LS_OPAQUE(have);
	LS_OPAQUE(n);
	if (have > LS_HEADER_BYTES_MAX || n == 0 || n > LS_WINDOW_LOAD)
		return 1;
	if (bpf_xdp_load_bytes(ctx, have, &p->buf->bytes[LS_HEADROOM + have], n) != 0)
		return 1;
	p->buf->have = have + n;
	return 0;
}

/* Gives the frame the length it has by now and its window. */
LS_PART u32 ls_frame_store(struct xdp_md *ctx, struct ls_pkt *p)
{
	s32 grown;
	u32 n, at;

	LS_GIVEN(p);
	if (p->buf->pushed && bpf_xdp_adjust_head(ctx, -p->buf->pushed) != 0)
		return 1;
	grown = (s32)p->buf->len - (s32)(u32)bpf_xdp_get_buff_len(ctx);
	if (grown && bpf_xdp_adjust_tail(ctx, grown) != 0)
		return 1;
	n = p->buf->have;
	at = p->buf->head;
	LS_OPAQUE(n);
	LS_OPAQUE(at);
	if (n == 0 || n > LS_WINDOW_LOAD || at > LS_HEADROOM + 8)
		return 1;
	return bpf_xdp_store_bytes(ctx, 0, &p->buf->bytes[at], n) != 0;
}

LS_SEC("xdp.frags") int ls_xdp(struct xdp_md *ctx)
{
	struct ls_header_page *page = ls_element(&ls_map_header, 0);
	struct ls_scratch *s = ls_element(&ls_map_scratch, 0);
	struct ls_env *e;
	struct ls_pkt *p;
	u32 v, device;

	if (!page || !s)
		return XDP_ABORTED;
	e = &s->env;
	p = &s->pkt;
	e->now_ns = bpf_ktime_get_ns();
	e->origin = page->h.origin;
	e->worker_id = bpf_get_smp_processor_id();
	e->workers = page->h.workers;
	e->bucket_mask = page->h.buckets - 1;
	e->bank = LS_LOAD(&page->h.active_bank);
	e->fib = LS_LOAD(&page->h.active_fib);
	e->free_ring = page->h.free_ring;
	e->notice_ring = page->h.notice_ring;
	device = ls_device_of(ctx->ingress_ifindex);
	s->device = device;
	__builtin_memset(&p->key, 0, offsetof(struct ls_pkt, to) - offsetof(struct ls_pkt, key));
	p->buf->len = (u32)bpf_xdp_get_buff_len(ctx);
	p->buf->head = LS_HEADROOM;
	p->buf->have = 0;
	p->buf->pushed = 0;
	if (ls_frame_load(ctx, p, LS_HEADER_BYTES_MAX))
		return XDP_ABORTED;

	v = ls_pipeline_front(e, p, device);
	if (v == LS_V_NEXT)
		v = ls_pipeline_back(e, p);
	if (v == LS_V_ANSWER && ls_frame_load(ctx, p, LS_WINDOW_LOAD))
		v = LS_V_DROP;
	v = ls_pipeline_end(e, p, v);

	s->run = (struct ls_run){ .verdict = v, .drop = p->drop, .out_iface = p->out_iface, .flags = p->flags };
	if (v == LS_V_HOST)
		return XDP_PASS;
	if (v == LS_V_NEIGH) {
		/* translated already: the kernel must not have it. Resolution is the agent's, as in user space. */
		ls_count(e, LS_CTR_NEIGH_MISSES, 1);
		ls_drop(e, p, LS_DROP_NO_NEIGHBOUR);
	}
	if ((v != LS_V_TX && v != LS_V_NEIGH) || ls_frame_store(ctx, p) || v == LS_V_NEIGH)
		return XDP_DROP;
	device = port_config(e)->iface[p->out_iface & (LS_IFACES_MAX - 1)].device;
	if (device == s->device)
		return XDP_TX;
	return (int)bpf_redirect_map(&ls_map_ways_out, device, XDP_DROP);
}

/* What the kernel is told. bpf_fib_lookup, and nothing that is used here, is for programs under a licence compatible with the GPL only. */
#ifndef LS_BPF_LICENSE
#define LS_BPF_LICENSE "Apache-2.0"
#endif
char ls_license[] LS_SEC("license") = LS_BPF_LICENSE;
