/* The whole pipeline as one XDP program: a build check (every stage compiles, no function exceeds the 512 bytes of BPF stack) and the start of the
 * eBPF backend. Which device a frame came from is its receive ifindex here; redirection to the way out is the backend's.
 */
#define LS_PORT_IMPL "backend/ebpf/port_impl.h"
#include "pipeline.h"

/* One CPU's working memory: larger than the stack, too large to clear for each packet. */
struct ls_scratch {
	struct ls_buf frame; /* first: ls_window() */
	struct ls_pkt pkt;
};

struct {
	LS_BTF_INT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	LS_BTF_INT(max_entries, 1);
	LS_BTF_TYPE(key, u32);
	LS_BTF_TYPE(value, struct ls_scratch);
} ls_map_scratch LS_SEC(".maps");

LS_INLINE struct ls_buf *ls_window(void)
{
	struct ls_scratch *s = ls_element(&ls_map_scratch, 0);

	return s ? &s->frame : NULL;
}

LS_STAGE u32 ls_frame_load(struct xdp_md *ctx, struct ls_buf *b)
{
	u32 len = (u32)bpf_xdp_get_buff_len(ctx), n = len;

	if (n > LS_WINDOW_LOAD)
		n = LS_WINDOW_LOAD;
	b->len = len;
	b->head = LS_HEADROOM;
	b->loaded = n;
	b->pushed = 0;
	if (n == 0 || n > LS_WINDOW_LOAD)
		return 1;
	return bpf_xdp_load_bytes(ctx, 0, b->bytes + LS_HEADROOM, n) != 0;
}

LS_STAGE u32 ls_frame_store(struct xdp_md *ctx, struct ls_buf *b)
{
	s32 grown = (s32)b->len - b->pushed - (s32)(u32)bpf_xdp_get_buff_len(ctx);
	u32 n = b->len, at = b->head;

	if (b->pushed && bpf_xdp_adjust_head(ctx, -b->pushed) != 0)
		return 1;
	if (grown && bpf_xdp_adjust_tail(ctx, grown) != 0)
		return 1;
	if (n > LS_WINDOW_LOAD)
		n = LS_WINDOW_LOAD;
	if (n == 0 || at > LS_HEADROOM)
		return 1;
	return bpf_xdp_store_bytes(ctx, 0, b->bytes + at, n) != 0;
}

LS_SEC("xdp") int ls_xdp(struct xdp_md *ctx)
{
	struct ls_header_page *page = ls_element(&ls_map_header, 0);
	struct ls_scratch *s = ls_element(&ls_map_scratch, 0);
	struct ls_env e = { .ctx = ctx };
	u32 v, out;

	if (!page || !s)
		return XDP_ABORTED;
	e.header = &page->h;
	e.worker_id = bpf_get_smp_processor_id();
	e.worker = ls_element(&ls_map_workers, e.worker_id);
	e.worker_counters = ls_element(&ls_map_counters, e.worker_id);
	e.config = ls_element(&ls_map_config, LS_LOAD(&page->h.active_bank) & 1);
	if (!e.worker || !e.worker_counters || !e.config)
		return XDP_ABORTED;
	e.bucket_mask = page->h.buckets - 1;
	e.now_ns = bpf_ktime_get_ns();
	if (ls_frame_load(ctx, &s->frame))
		return XDP_ABORTED;
	__builtin_memset(&s->pkt, 0, offsetof(struct ls_pkt, to));
	v = ls_pipeline(&e, &s->pkt, ctx->ingress_ifindex);
	if (v == LS_V_HOST)
		return XDP_PASS;
	if (v == LS_V_NEIGH) {
		/* translated already: the kernel must not have it. Resolution is the agent's, as in user space. */
		ls_drop(&e, &s->pkt, LS_DROP_NO_NEIGHBOUR);
		return XDP_DROP;
	}
	if (v != LS_V_TX || ls_frame_store(ctx, &s->frame))
		return XDP_DROP;
	out = e.config->iface[s->pkt.out_iface & (LS_IFACES_MAX - 1)].ifindex;
	return out == ctx->ingress_ifindex ? XDP_TX : (int)bpf_redirect(out, 0);
}

/* bpf_fib_lookup is for programs under a licence compatible with the GPL only: what the loaded program declares is the owner's decision. */
#ifndef LS_BPF_LICENSE
#define LS_BPF_LICENSE "Apache-2.0"
#endif
char ls_license[] LS_SEC("license") = LS_BPF_LICENSE;
