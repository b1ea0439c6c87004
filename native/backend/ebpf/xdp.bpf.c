/* The pipeline as one XDP program: one frame a run, one CPU a worker. The object is embedded in the addon and loaded by libbpf (load.c).
 *
 *   window in -> first half -> second half -> (answer: more of the frame, then its answer) -> window out -> redirect, turn around, up, or drop
 *
 * Lives in this file: what becomes of a verdict in XDP. Everything a packet may meet on the way is the pipeline's.
 */
#define LS_PORT_IMPL "backend/ebpf/port_impl.h"
#include "backend/ebpf/run.h"
#include "backend/ebpf/sockets.h"
#include "backend/ebpf/ways.h"
#include "pipeline/host_flow.h"
#include "pipeline/pipeline.h"

/* One CPU's working memory: larger than the stack, too large to clear for each packet. */
struct ls_scratch {
	struct ls_run run;
	struct ls_env env;
	u64 tick; /* in which env.now_ns was read */
	u64 back; /* device whose frames turn around by XDP_TX: the one this came from, or 0 */
	struct ls_pkt pkt;
};

struct {
	LS_BTF_INT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	LS_BTF_INT(max_entries, 2); /* in, out */
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

LS_INLINE const struct ls_way_in *ls_way_of(u32 ifindex)
{
	const struct ls_way_in *w = ls_element(&ls_map_ways_in, ifindex & (LS_WAYS_IN - 1));

	return w && w->ifindex == ifindex ? w : NULL;
}

#define LS_LINK_BYTES 14
#define LS_WINDOW_FIRST (LS_LINK_BYTES + 14 * 8) /* link header, IPv6 header, the longest TCP header: 14 + 40 + 60 */
#define LS_WINDOW_WORDS 128

/* The first bytes of the frame, by words straight from it: a call of the kernel's costs as much as a hundred bytes. Words begin where the IP header does:
 * no field of it or of the header behind it then lies in two of them, which a load would have to wait for. */
LS_INLINE void ls_frame_first(struct xdp_md *ctx, struct ls_pkt *p)
{
	const u8 *at = (const u8 *)(unsigned long)ctx->data, *end = (const u8 *)(unsigned long)ctx->data_end;
	u8 *to = &p->buf->bytes[LS_HEADROOM];
	u32 have = 0;

	if (at + LS_LINK_BYTES <= end) {
		ls_store64(to, ls_load64(at));
		ls_store32(to + 8, ls_load32(at + 8));
		ls_store16(to + 12, ls_load16(at + 12));
		have = LS_LINK_BYTES;
#pragma unroll
		for (u32 n = LS_LINK_BYTES; n < LS_WINDOW_FIRST; n += 8) {
			if (at + n + 8 > end)
				break;
			ls_store64(to + n, ls_load64(at + n));
			have = n + 8;
		}
	}
	LS_OPAQUE(have);
	if (have < LS_WINDOW_FIRST) { /* a short frame: the rest of it, less than a word */
		at += have;
		to += have;
		if (at + 4 <= end) {
			ls_store32(to, ls_load32(at));
			have += 4, at += 4, to += 4;
		}
		if (at + 2 <= end) {
			ls_store16(to, ls_load16(at));
			have += 2, at += 2, to += 2;
		}
		if (at + 1 <= end) {
			*to = *at;
			have++;
		}
	}
	p->buf->have = have;
}

#define LS_SHORTEST 60 /* bytes of an Ethernet frame without its checksum */

/* Bytes of the frame. Asking the kernel takes 9 ns, and is for frames that may go on behind their first buffer: not those whose packet ends in it. */
LS_INLINE u32 ls_frame_bytes(struct xdp_md *ctx, const struct ls_buf *b)
{
	const u8 *h = &b->bytes[LS_HEADROOM];
	u32 first = ctx->data_end - ctx->data, type = ls_get16(h + 12);
	u32 ends = LS_LINK_BYTES + (type == LS_ETH_IP4 ? ls_get16(h + 16) : type == LS_ETH_IP6 ? 40u + ls_get16(h + 18) : 0xffffu);

	return LS_LIKELY(first >= LS_SHORTEST && ends <= first) ? first : (u32)bpf_xdp_get_buff_len(ctx);
}

/* Does the pipeline need no more than that? The whole frame, or untagged TCP and UDP without options or extension headers. */
LS_INLINE bool ls_frame_plain(const struct ls_buf *b)
{
	const u8 *h = &b->bytes[LS_HEADROOM];
	u32 type = ls_get16(h + 12), proto = type == LS_ETH_IP4 && h[14] == 0x45 ? h[23] : type == LS_ETH_IP6 ? h[20] : 0;

	return b->have == b->len || (b->have == LS_WINDOW_FIRST && (proto == LS_IPPROTO_TCP || proto == LS_IPPROTO_UDP));
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
	n -= have + 1; /* one less: that there is a byte at least is then known to every verifier */
	LS_OPAQUE(have);
	LS_OPAQUE(n);
	if (have > LS_HEADER_BYTES_MAX || n >= LS_WINDOW_LOAD)
		return 1;
	if (bpf_xdp_load_bytes(ctx, have, &p->buf->bytes[LS_HEADROOM + have], n + 1) != 0)
		return 1;
	p->buf->have = have + n + 1;
	return 0;
}

/* A plain TCP or UDP packet over IPv4 that went its way: MAC addresses, TTL, addresses, ports and sums are all that can be new. Copied in the pieces in
 * which they were written; a load of more than one piece waits until they are in the cache. False: this is another frame. */
LS_INLINE bool ls_frame_patch(struct xdp_md *ctx, const struct ls_pkt *p)
{
	const struct ls_buf *b;
	const u8 *from;
	u8 *to = (u8 *)(unsigned long)ctx->data, *end = (u8 *)(unsigned long)ctx->data_end;
	bool tcp;

	LS_OPAQUE(p); /* addresses kept from earlier on would cost stack */
	b = p->buf;
	from = &b->bytes[LS_HEADROOM];
	tcp = p->key.proto == LS_IPPROTO_TCP;
	if (b->pushed || b->len != b->frame || p->ethertype != LS_ETH_IP4 || p->l3 != 14 || p->l4 != 34 || (!tcp && p->key.proto != LS_IPPROTO_UDP) ||
	    (p->flags & (LS_PF_FRAG | LS_PF_GENERATED | LS_PF_ICMP_ERROR | LS_PF_COOKIE | LS_PF_SHIFTED)) || to + 52 > end)
		return false;
	ls_copy6(to, from);
	ls_copy6(to + 6, from + 6);
	ls_store16(to + 22, ls_load16(from + 22));
	ls_store16(to + 24, ls_load16(from + 24));
	ls_store32(to + 26, ls_load32(from + 26));
	ls_store32(to + 30, ls_load32(from + 30));
	ls_store16(to + 34, ls_load16(from + 34));
	ls_store16(to + 36, ls_load16(from + 36));
	if (tcp)
		ls_store16(to + 50, ls_load16(from + 50));
	else
		ls_store16(to + 40, ls_load16(from + 40));
	return true;
}

/* Gives the frame the length it has by now and its window. */
LS_PART u32 ls_frame_replace(struct xdp_md *ctx, struct ls_pkt *p)
{
	s32 grown;
	u32 n, at, done = 0;
	u8 *to, *end;

	LS_GIVEN(p);
	if (p->buf->pushed && bpf_xdp_adjust_head(ctx, -p->buf->pushed) != 0)
		return 1;
	grown = (s32)p->buf->len - (s32)p->buf->frame - p->buf->pushed;
	if (grown && bpf_xdp_adjust_tail(ctx, grown) != 0)
		return 1;
	n = p->buf->have;
	at = p->buf->head;
	LS_OPAQUE(n);
	LS_OPAQUE(at);
	if (n == 0 || n > LS_WINDOW_LOAD || at > LS_HEADROOM + 8 + LS_QUOTE_DEPTH)
		return 1;
	to = (u8 *)(unsigned long)ctx->data;
	end = (u8 *)(unsigned long)ctx->data_end;
#pragma unroll
	for (; done < LS_WINDOW_WORDS; done += 8) {
		if (done + 8 > n || to + done + 8 > end)
			break;
		ls_store64(to + done, ls_load64(&p->buf->bytes[at + done]));
	}
	LS_OPAQUE(done);
	if (done >= n || done > LS_WINDOW_WORDS)
		return 0;
	if (n - done < 8) {
		to += done;
		at += done;
		if (n - done >= 4 && to + 4 <= end) {
			ls_store32(to, ls_load32(&p->buf->bytes[at]));
			done += 4, to += 4, at += 4;
		}
		if (n - done >= 2 && to + 2 <= end) {
			ls_store16(to, ls_load16(&p->buf->bytes[at]));
			done += 2, to += 2, at += 2;
		}
		if (n - done >= 1 && to + 1 <= end) {
			*to = p->buf->bytes[at];
			done++, at++;
		}
	} else {
		at += done;
	}
	n -= done + 1;
	LS_OPAQUE(n);
	if (n >= LS_WINDOW_LOAD)
		return 0;
	return bpf_xdp_store_bytes(ctx, done, &p->buf->bytes[at], n + 1) != 0;
}

LS_INLINE u32 ls_frame_store(struct xdp_md *ctx, struct ls_pkt *p) { return ls_frame_patch(ctx, p) ? 0 : ls_frame_replace(ctx, p); }

/* Tells the mirror of the address this frame would go to. */
LS_PART u32 ls_want(const struct ls_env *e, struct ls_pkt *p)
{
	const struct ls_addr *a = &p->route.next_hop;
	struct ls_wanted *w;
	u32 at;

	LS_GIVEN(e);
	LS_GIVEN(p);
	at = (a->w[3] ^ a->w[3] >> 16 ^ a->w[3] >> 24) & (LS_WANTED - 1);
	w = ls_element(&ls_map_wanted, e->worker_id * LS_WANTED + at);
	if (!w)
		return 1;
	LS_STORE(&w->seq, LS_LOAD(&w->seq) | 1);
	LS_FENCE_REL();
	w->addr = *a;
	w->device = port_config(e)->iface[p->out_iface & (LS_IFACES_MAX - 1)].device;
	LS_STORE_REL(&w->seq, LS_LOAD(&w->seq) + 1);
	return 0;
}

/* A run begins: this CPU's view of the table, a packet about which nothing is known. The clock moves, and what stays as long as the table does is read,
 * once a tick: a call of the kernel's takes 9 ns, the clock 20. */
LS_INLINE void ls_run_begin(struct ls_scratch *s, const struct ls_header_page *page)
{
	struct ls_env *e = &s->env;
	struct ls_pkt *p = &s->pkt;
	u64 tick = bpf_jiffies64();

	if (LS_UNLIKELY(s->tick != tick)) {
		s->tick = tick;
		e->now_ns = bpf_ktime_get_coarse_ns();
		e->origin = page->h.origin;
		e->worker_id = bpf_get_smp_processor_id();
		e->workers = page->h.workers;
		e->bucket_mask = page->h.buckets - 1;
		e->free_ring = page->h.free_ring;
		e->notice_ring = page->h.notice_ring;
		ls_words_load(&e->hash, &page->h.hash, sizeof(e->hash) / 8);
	}
	e->bank = LS_LOAD(&page->h.active_bank);
	e->fib = LS_LOAD(&page->h.active_fib);
	e->host_flows = LS_LOAD(&page->h.host_flows);
	__builtin_memset(&p->key, 0, offsetof(struct ls_pkt, to) - offsetof(struct ls_pkt, key));
	p->buf->head = LS_HEADROOM;
	p->buf->have = 0;
	p->buf->pushed = 0;
}

/* This CPU's memory with the frame in it, and which device that came from; NULL: cannot be. */
LS_INLINE struct ls_scratch *ls_frame_begin(struct xdp_md *ctx, u32 *device)
{
	struct ls_header_page *page = ls_element(&ls_map_header, 0);
	struct ls_scratch *s = ls_element(&ls_map_scratch, 0);
	struct ls_pkt *p;
	const struct ls_way_in *way;

	if (!page || !s)
		return NULL;
	p = &s->pkt;
	ls_run_begin(s, page);
	way = ls_way_of(ctx->ingress_ifindex);
	*device = way ? way->device : 0;
	s->back = way && !way->redirect ? *device : 0;
	ls_frame_first(ctx, p);
	p->buf->len = p->buf->frame = ls_frame_bytes(ctx, p->buf);
	return ls_frame_plain(p->buf) || !ls_frame_load(ctx, p, LS_HEADER_BYTES_MAX) ? s : NULL;
}

LS_INLINE int ls_frame_run(struct xdp_md *ctx)
{
	u32 v, device = 0;
	struct ls_scratch *s = ls_frame_begin(ctx, &device);
	struct ls_env *e;
	struct ls_pkt *p;

	if (!s)
		return XDP_ABORTED;
	e = &s->env;
	p = &s->pkt;
	v = ls_pipeline_front(e, p, device);
	if (v == LS_V_NEXT)
		v = ls_pipeline_back(e, p);
	if (v == LS_V_ANSWER && ls_frame_load(ctx, p, LS_WINDOW_LOAD))
		v = LS_V_DROP;
	if (v == LS_V_SOCKET && ls_socket_connected(ctx, p))
		v = ls_to_host(e, p);
	v = ls_pipeline_end(e, p, v);

	s->run = (struct ls_run){ .verdict = v, .drop = p->drop, .out_iface = p->out_iface, .flags = p->flags };
	if (v == LS_V_HOST)
		return XDP_PASS;
	if (v == LS_V_NEIGH) {
		/* translated already: the kernel must not have it. The agent asks for the address, as in user space; the sender tries again. */
		ls_want(e, p);
		ls_count(e, LS_CTR_NEIGH_MISSES, 1);
		ls_drop(e, p, LS_DROP_NO_NEIGHBOUR);
	}
	if ((v != LS_V_TX && v != LS_V_NEIGH) || ls_frame_store(ctx, p) || v == LS_V_NEIGH)
		return XDP_DROP;
	device = port_config(e)->iface[p->out_iface & (LS_IFACES_MAX - 1)].device;
	if (device == s->back)
		return XDP_TX;
	return (int)bpf_redirect_map(&ls_map_ways_out, device, XDP_DROP);
}

LS_SEC("xdp.frags") int ls_xdp(struct xdp_md *ctx) { return ls_frame_run(ctx); }

/* What the host sends, on its way out of a port. Frames that came in by another interface are the business of who forwards them. */
LS_SEC("tc") int ls_out(struct __sk_buff *skb)
{
	struct ls_header_page *page = ls_element(&ls_map_header, 0);
	struct ls_scratch *s = ls_element(&ls_map_scratch, 1);
	const struct ls_way_in *way = ls_way_of(skb->ifindex);
	u32 n = skb->len;

	if (skb->ingress_ifindex != 0 || !page || !s || !way)
		return TC_ACT_UNSPEC;
	ls_run_begin(s, page);
	s->pkt.buf->len = s->pkt.buf->frame = n;
	if (n > LS_HEADER_BYTES_MAX)
		n = LS_HEADER_BYTES_MAX;
	if (n < 14 || bpf_skb_load_bytes(skb, 0, &s->pkt.buf->bytes[LS_HEADROOM], n) != 0)
		return TC_ACT_UNSPEC;
	s->pkt.buf->have = n;
	return ls_host_out(&s->env, &s->pkt, way->device, skb->vlan_present ? skb->vlan_tci & 0xfff : 0) == LS_V_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* What the kernel is told. bpf_fib_lookup, and nothing that is used here, is for programs under a licence compatible with the GPL only. */
#ifndef LS_BPF_LICENSE
#define LS_BPF_LICENSE "Apache-2.0"
#endif
char ls_license[] LS_SEC("license") = LS_BPF_LICENSE;
