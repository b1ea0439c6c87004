/* What XDP supplies to the pipeline: one mmapable array per region, the frame through a window, routes from the table's mirror or the kernel.
 *
 * Every stage is a global function, which the verifier proves by itself: it knows nothing of what its caller knew. So struct ls_env holds numbers
 * only, and each stage reaches the table by map lookups; those of arrays are a handful of instructions, no call.
 *
 * The frame. struct ls_pkt is larger than the BPF stack and lives in a per-CPU element, where a packet pointer cannot be kept. So the head of the frame
 * is copied into a window inside struct ls_pkt before the pipeline runs, and what changed is copied back (entry: ls_frame_load, ls_frame_store).
 * port_at() masks its offset, so that its bounds are constants to the verifier.
 *
 * Declarations of the kernel's interface are written out here (uapi linux/bpf.h, GPL-2.0 WITH Linux-syscall-note): it compiles without kernel headers.
 */
#ifndef LOCKSTEP_EBPF_PORT_IMPL_H
#define LOCKSTEP_EBPF_PORT_IMPL_H

#include "lockstep/config.h"
#include "table/fib.h"

/* --- the kernel's interface ------------------------------------------------------------------------------------------------------------ */

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex;
};
enum tc_action { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 }; /* unspecified: whoever else is there is asked next */
struct bpf_sock {
	u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
	be16 dst_port;
	u16 pad;
	u32 dst_ip4, dst_ip6[4], state;
	s32 rx_queue_mapping;
};
/* enum of net/tcp_states.h */
enum { BPF_TCP_LISTEN = 10 };
#define BPF_F_CURRENT_NETNS (~0ULL)
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_DEVMAP = 14, BPF_F_MMAPABLE = 1 << 10 };
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*const bpf_jiffies64)(void) = (void *)118;
static u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static s64 (*const bpf_csum_diff)(const void *from, u32 from_size, const void *to, u32 to_size, u32 seed) = (void *)28;
static long (*const bpf_redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;
static long (*const bpf_xdp_load_bytes)(struct xdp_md *ctx, u32 offset, void *to, u32 len) = (void *)189;
static long (*const bpf_xdp_store_bytes)(struct xdp_md *ctx, u32 offset, void *from, u32 len) = (void *)190;
static long (*const bpf_skb_load_bytes)(struct __sk_buff *skb, u32 offset, void *to, u32 len) = (void *)26;
static struct bpf_sock *(*const bpf_sk_lookup_udp)(void *ctx, const void *tuple, u32 size, u64 netns, u64 flags) = (void *)85;
static long (*const bpf_sk_release)(void *sock) = (void *)86;
static struct bpf_sock *(*const bpf_skc_lookup_tcp)(void *ctx, const void *tuple, u32 size, u64 netns, u64 flags) = (void *)99;
static u64 (*const bpf_xdp_get_buff_len)(struct xdp_md *ctx) = (void *)188;

#define LS_SEC(name) __attribute__((section(name), used))
#define LS_BTF_INT(name, value) int (*name)[value]
#define LS_BTF_TYPE(name, type) __typeof__(type) *name

/* --- regions: user space sets max_entries from the header before it loads them ----------------------------------------------------------- */

#define LS_MAP(region, element, entries)                        \
	struct {                                                \
		LS_BTF_INT(type, BPF_MAP_TYPE_ARRAY);           \
		LS_BTF_INT(max_entries, entries);               \
		LS_BTF_INT(map_flags, BPF_F_MMAPABLE);          \
		LS_BTF_TYPE(key, u32);                          \
		LS_BTF_TYPE(value, element);                    \
	} ls_map_##region LS_SEC(".maps")

struct ls_header_page {
	struct ls_header h;
	u8 rest[LS_HEADER_BYTES - sizeof(struct ls_header)];
};
LS_ASSERT_SIZE(struct ls_header_page, LS_HEADER_BYTES);

LS_MAP(header, struct ls_header_page, 1);
LS_MAP(sessions, struct ls_session, 2048);
LS_MAP(index, struct ls_bucket, 512);
LS_MAP(workers, struct ls_worker, 4);
LS_MAP(free, u64, 1024);
LS_MAP(notices, struct ls_notice, 4096);
LS_MAP(logs, struct ls_log, 4096);
LS_MAP(counters, struct ls_worker_counters, 4);
LS_MAP(config, struct ls_config, 2);
LS_MAP(arena, struct ls_bucket, 4096);
LS_MAP(rgs, struct ls_rg, LS_RGS_MAX);
LS_MAP(freer, struct ls_freer_work, 1); /* not for packets: here so that one object makes every region */
LS_MAP(screens, struct ls_zone_rates, LS_ZONES_MAX);
LS_MAP(sources, struct ls_source, LS_SOURCES);
LS_MAP(frags, struct ls_frag, LS_FRAGS);
LS_MAP(neighs, struct ls_neigh, LS_NEIGHS);
LS_MAP(fib, struct ls_fib, 2);
LS_MAP(nat, struct ls_nat_usage, LS_POOL_ADDRS_MAX);
LS_MAP(wanted, struct ls_wanted, 4 * LS_WANTED);

LS_INLINE void *ls_element(void *map, u32 i) { return bpf_map_lookup_elem(map, &i); }

/* --- the worker: one CPU --------------------------------------------------------------------------------------------------------------------- */

#define LS_MEMOS 64

/* Where an address was found among the routes, and in which state of them: the search takes a step for each doubling of the table. Each CPU has its own,
 * in memory that only it sees. */
struct ls_route_memo {
	struct ls_addr to;
	u64 state; /* twice the bank's generation, which bank, plus one: none is zero */
	u32 nexthop;
	u32 neigh; /* where its neighbour was: a guess, looked at first */
};

struct ls_env {
	u64 now_ns;
	u64 origin;
	u32 worker_id;
	u32 workers;
	u32 bucket_mask;
	u32 bank;
	u32 fib;
	u32 free_ring;
	u32 notice_ring;
	u32 host_flows;
	struct ls_hash_key hash;
	struct ls_route_memo memo[LS_MEMOS];
};

LS_INLINE struct ls_session *port_session(const struct ls_env *e, u32 slot) { return ls_element(&ls_map_sessions, slot); }
LS_INLINE struct ls_bucket *port_bucket(const struct ls_env *e, u32 i) { return ls_element(&ls_map_index, i & e->bucket_mask); }
LS_INLINE struct ls_defence *port_defence(const struct ls_env *e)
{
	struct ls_header_page *page = ls_element(&ls_map_header, 0);

	LS_GIVEN(page);
	return &page->h.defence;
}
LS_INLINE bool port_host_flows(const struct ls_env *e) { return e->host_flows; }
LS_INLINE u32 port_bucket_mask(const struct ls_env *e) { return e->bucket_mask; }
LS_INLINE u64 port_origin(const struct ls_env *e) { return e->origin; }
LS_INLINE struct ls_worker *port_worker(const struct ls_env *e) { return ls_element(&ls_map_workers, e->worker_id); }
LS_INLINE u32 port_worker_id(const struct ls_env *e) { return e->worker_id; }
LS_INLINE u32 port_workers(const struct ls_env *e) { return e->workers; }
LS_INLINE u64 port_now(const struct ls_env *e) { return e->now_ns; } /* of the last tick: reading the clock itself takes 20 ns */
LS_INLINE u64 port_now_exact(const struct ls_env *e) { return bpf_ktime_get_ns(); }

LS_INLINE const struct ls_hash_key *port_hash_key(const struct ls_env *e) { return &e->hash; }

LS_INLINE const struct ls_config *port_config(const struct ls_env *e)
{
	const struct ls_config *c = ls_element(&ls_map_config, e->bank & 1);

	LS_GIVEN(c);
	return c;
}

LS_INLINE struct ls_worker_counters *ls_worker_counters_of(const struct ls_env *e) { return ls_element(&ls_map_counters, e->worker_id); }

LS_INLINE struct ls_counters *port_counters(const struct ls_env *e)
{
	struct ls_worker_counters *w = ls_worker_counters_of(e);

	return w ? &w->c : NULL;
}

LS_INLINE u32 *port_snat_cursor(const struct ls_env *e, u32 i)
{
	struct ls_worker_counters *w = ls_worker_counters_of(e);

	return w ? &w->snat.at[i & (LS_POOL_ADDRS_MAX - 1)] : NULL;
}

LS_INLINE u64 *port_free_slot(const struct ls_env *e, u64 position)
{
	return ls_element(&ls_map_free, e->worker_id * e->free_ring + ((u32)position & (e->free_ring - 1)));
}

LS_INLINE struct ls_notice *port_notice(const struct ls_env *e, u64 position)
{
	return ls_element(&ls_map_notices, e->worker_id * e->notice_ring + ((u32)position & (e->notice_ring - 1)));
}

LS_INLINE u32 port_notice_ring(const struct ls_env *e) { return e->notice_ring; }

LS_INLINE struct ls_log *port_log(const struct ls_env *e, u64 position)
{
	return ls_element(&ls_map_logs, e->worker_id * LS_LOG_RING + ((u32)position & (LS_LOG_RING - 1)));
}

LS_INLINE u32 port_log_ring(const struct ls_env *e) { return LS_LOG_RING; }
LS_INLINE struct ls_rg *port_rg(const struct ls_env *e, u32 i) { return ls_element(&ls_map_rgs, i & (LS_RGS_MAX - 1)); }
LS_INLINE struct ls_zone_rates *port_rates(const struct ls_env *e, u32 zone) { return ls_element(&ls_map_screens, zone & (LS_ZONES_MAX - 1)); }
LS_INLINE struct ls_source *port_source(const struct ls_env *e, u32 i) { return ls_element(&ls_map_sources, i & (LS_SOURCES - 1)); }
LS_INLINE struct ls_frag *port_frag(const struct ls_env *e, u32 i) { return ls_element(&ls_map_frags, i & (LS_FRAGS - 1)); }
LS_INLINE struct ls_nat_usage *port_nat(const struct ls_env *e, u32 i) { return ls_element(&ls_map_nat, i & (LS_POOL_ADDRS_MAX - 1)); }

LS_INLINE u16 port_ring_entry(const struct ls_env *e, u32 ring, u32 i)
{
	const struct ls_bucket *b = ls_element(&ls_map_arena, ring + i / LS_RING_ELEMENT);

	return b ? ((const ls_u16a *)b)[i % LS_RING_ELEMENT] : 0;
}

/* --- the frame ---------------------------------------------------------------------------------------------------------------------------------- */

#define LS_WINDOW 2048      /* offsets the pipeline may name; a power of two */
#define LS_WINDOW_SLACK 80  /* longest single access */
#define LS_WINDOW_LOAD 1408 /* bytes of the frame that fit: the longest quote of an ICMP error and its headers */

struct ls_buf {
	u32 len;    /* of the frame now */
	u32 head;   /* offset of its first byte in bytes[] */
	u32 have;   /* frame bytes that are in the window */
	s32 pushed; /* grown at the head by so much */
	u32 frame;  /* length as received */
	u32 pad;
	u8 bytes[LS_WINDOW + LS_WINDOW_SLACK];
};
typedef struct ls_buf ls_frame[1];

LS_INLINE u32 port_len(const struct ls_buf *b) { return b->len; }

LS_INLINE bool port_sum_good(const struct ls_buf *b)
{
	(void)b; /* XDP is not told what the driver found */
	return false;
}

LS_INLINE u8 *port_at(const struct ls_buf *b, u32 offset, u32 len)
{
	if (len > LS_WINDOW_SLACK || offset > b->have || len > b->have - offset)
		return NULL;
	offset = (b->head + offset) & (LS_WINDOW - 1);
	LS_OPAQUE(offset);
	return (u8 *)&b->bytes[offset & (LS_WINDOW - 1)];
}

LS_INLINE bool port_push(struct ls_buf *b, u32 bytes)
{
	if (bytes > b->head)
		return false;
	b->head -= bytes;
	b->len += bytes;
	b->have += bytes;
	b->pushed += (s32)bytes;
	return true;
}

LS_INLINE bool port_pull(struct ls_buf *b, u32 bytes)
{
	if (bytes > b->have)
		return false;
	b->head += bytes;
	b->len -= bytes;
	b->have -= bytes;
	b->pushed -= (s32)bytes;
	return true;
}

LS_INLINE bool port_trim(struct ls_buf *b, u32 len)
{
	if (len > b->len)
		return false;
	b->len = len;
	if (b->have > len)
		b->have = len;
	return true;
}

LS_INLINE bool port_grow(struct ls_buf *b, u32 len)
{
	if (len < b->len || b->have != b->len || len > LS_WINDOW_LOAD)
		return false;
	b->len = len;
	b->have = len;
	return true;
}

/* Whole words by the kernel, up to 512 bytes a call; the rest by hand. */
LS_INLINE u32 port_sum(struct ls_buf *b, u32 offset, u32 len)
{
	u32 sum = 0, at;

	if (offset > b->have || len > b->have - offset)
		return 0;
	at = b->head + offset;
	for (u32 n = 0; n < 3; n++) {
		u32 part = len > 512 ? 512 : len & ~3u;

		LS_OPAQUE(part);
		LS_OPAQUE(at);
		if (part == 0 || part > 512 || at > LS_WINDOW - 512)
			break;
		sum = (u32)bpf_csum_diff(NULL, 0, &b->bytes[at], part, sum);
		at += part;
		len -= part;
	}
	for (u32 n = 0; n < 3; n++) {
		u32 v = b->bytes[(at + n) & (LS_WINDOW - 1)];

		if (n >= len)
			break;
		sum = (sum & 0xffff) + (sum >> 16) + (n & 1 ? v << 8 : v);
	}
	return sum;
}

/* --- routes -------------------------------------------------------------------------------------------------------------------------------------------- */

/* By the table's mirror of the kernel's routes and neighbours, as in user space. bpf_fib_lookup would need a licence that the kernel takes for GPL
 * (docs/design/0008-ebpf.md). */
LS_INLINE u32 ls_mirror_neigh(const struct ls_env *e, const struct ls_addr *a, u32 device, struct ls_route *r, struct ls_route_memo *m)
{
	u32 at = m->neigh;

	LS_GIVEN(e && a && r);
	for (u32 n = 0; n <= LS_NEIGH_PROBES; n++) {
		const struct ls_neigh *x = ls_element(&ls_map_neighs, at & (LS_NEIGHS - 1));
		u32 found;

		if (!x)
			return 0;
		found = ls_neigh_match(x, a, device, r->dst_mac);
		if (found == LS_NEIGH_KNOWN) {
			m->neigh = at;
			return 1;
		}
		if (n && found == LS_NEIGH_UNKNOWN)
			return 0;
		at = n ? at + 1 : ls_neigh_index(a, device);
	}
	return 0;
}

/* This CPU's memory of the address, with its next hop. */
LS_INLINE struct ls_route_memo *ls_mirror_memo(const struct ls_env *e, const struct ls_fib *f, const struct ls_addr *to)
{
	u64 state = f->generation * 2 + (e->fib & 1) + 1, at = (to->d[0] ^ to->d[1]) * 0x9e3779b97f4a7c15ULL >> 58;
	struct ls_route_memo *m = (struct ls_route_memo *)&e->memo[at & (LS_MEMOS - 1)];

	if (LS_UNLIKELY(m->state != state || !ls_addr_equal(&m->to, to))) {
		m->to = *to;
		m->state = state;
		m->nexthop = f->count ? f->nexthop_of[ls_interval_addr(f->start, f->count, LS_FIB_STEPS, LS_FIB_BOUNDS, to)] : 0;
	}
	return m;
}

LS_INLINE void port_route(const struct ls_env *e, const struct ls_addr *to, u32 family, u32 domain, struct ls_route *r)
{
	const struct ls_fib *f = ls_element(&ls_map_fib, e->fib & 1);
	struct ls_route_memo *m;
	const struct ls_nexthop *hop;
	const struct ls_iface *i;
	u32 n;

	(void)family;
	(void)domain;
	r->result = LS_ROUTE_NONE;
	if (!f)
		return;
	m = ls_mirror_memo(e, f, to);
	n = m->nexthop;
	LS_OPAQUE(n);
	if (n == 0 || n >= LS_NEXTHOPS_MAX)
		return;
	hop = &f->nexthop[n];
	if (hop->kind == LS_NH_NONE)
		return;
	if (hop->kind == LS_NH_LOCAL || hop->kind == LS_NH_BLACKHOLE) {
		r->result = hop->kind == LS_NH_LOCAL ? LS_ROUTE_LOCAL : LS_ROUTE_BLACKHOLE;
		return;
	}
	r->iface = hop->iface & (LS_IFACES_MAX - 1);
	i = &port_config(e)->iface[r->iface & (LS_IFACES_MAX - 1)];
	r->mtu = i->mtu;
	r->next_hop = hop->kind == LS_NH_GATEWAY ? hop->gateway : *to;
	r->result = ls_mirror_neigh(e, &r->next_hop, i->device, r, m) ? LS_ROUTE_OK : LS_ROUTE_UNRESOLVED;
}

#endif
