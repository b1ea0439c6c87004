/* What XDP supplies to the pipeline: one mmapable array per region, the frame through a window, routes from the kernel.
 *
 * The frame. struct ls_pkt is larger than the BPF stack and lives in a per-CPU element, and a packet pointer cannot be kept there: the verifier forgets
 * what it was. So the head of the frame is copied into a window of the same element before the pipeline runs, and back afterwards (entry: ls_frame_load,
 * ls_frame_store). port_at() masks its offset, so that its bounds are constants to the verifier. docs/design/0003 says what that costs.
 *
 * Declarations of the kernel's interface are written out here (uapi linux/bpf.h, GPL-2.0 WITH Linux-syscall-note): the check builds without kernel headers.
 */
#ifndef LOCKSTEP_EBPF_PORT_IMPL_H
#define LOCKSTEP_EBPF_PORT_IMPL_H

#include "lockstep/config.h"
#include "pipeline/atomics.h"

/* --- the kernel's interface ------------------------------------------------------------------------------------------------------------ */

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_F_MMAPABLE = 1 << 10 };
enum bpf_fib_result { BPF_FIB_SUCCESS, BPF_FIB_BLACKHOLE, BPF_FIB_UNREACHABLE, BPF_FIB_PROHIBIT, BPF_FIB_NOT_FWDED, BPF_FIB_FWD_DISABLED,
		      BPF_FIB_UNSUPP_LWT, BPF_FIB_NO_NEIGH, BPF_FIB_FRAG_NEEDED };
enum { LS_AF_INET = 2, LS_AF_INET6 = 10 };

struct bpf_fib_lookup {
	u8 family;
	u8 l4_protocol;
	be16 sport, dport;
	u16 tot_len; /* result: MTU of the route */
	u32 ifindex; /* in: ingress; result: egress */
	u32 tos;
	u32 src[4]; /* IPv4 in the first word */
	u32 dst[4]; /* result: next hop */
	be16 vlan_proto, vlan_tci;
	u8 smac[6], dmac[6];
};
LS_ASSERT_SIZE(struct bpf_fib_lookup, 64);

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static s64 (*const bpf_csum_diff)(const void *from, u32 from_size, const void *to, u32 to_size, u32 seed) = (void *)28;
static long (*const bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;
static long (*const bpf_fib_lookup)(void *ctx, struct bpf_fib_lookup *params, int bytes, u32 flags) = (void *)69;
static long (*const bpf_xdp_load_bytes)(struct xdp_md *ctx, u32 offset, void *to, u32 len) = (void *)189;
static long (*const bpf_xdp_store_bytes)(struct xdp_md *ctx, u32 offset, void *from, u32 len) = (void *)190;
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
LS_MAP(screens, struct ls_zone_rates, LS_ZONES_MAX);
LS_MAP(sources, struct ls_source, LS_SOURCES);
LS_MAP(frags, struct ls_frag, LS_FRAGS);
LS_MAP(nat, struct ls_nat_usage, LS_POOL_ADDRS_MAX);

LS_INLINE void *ls_element(void *map, u32 i) { return bpf_map_lookup_elem(map, &i); }

/* --- the worker: one CPU --------------------------------------------------------------------------------------------------------------------- */

/* On the stack of the entry function: the verifier keeps track of pointers spilled there. */
struct ls_env {
	struct xdp_md *ctx;
	const struct ls_header *header;
	struct ls_worker *worker;
	struct ls_worker_counters *worker_counters;
	const struct ls_config *config;
	u64 now_ns;
	u32 worker_id;
	u32 bucket_mask;
};

LS_INLINE struct ls_session *port_session(const struct ls_env *e, u32 slot) { return ls_element(&ls_map_sessions, slot); }
LS_INLINE struct ls_bucket *port_bucket(const struct ls_env *e, u32 i) { return ls_element(&ls_map_index, i & e->bucket_mask); }
LS_INLINE u32 port_bucket_mask(const struct ls_env *e) { return e->bucket_mask; }
LS_INLINE const struct ls_hash_key *port_hash_key(const struct ls_env *e) { return &e->header->hash; }
LS_INLINE u64 port_origin(const struct ls_env *e) { return e->header->origin; }
LS_INLINE struct ls_worker *port_worker(const struct ls_env *e) { return e->worker; }
LS_INLINE u32 port_worker_id(const struct ls_env *e) { return e->worker_id; }
LS_INLINE u32 port_workers(const struct ls_env *e) { return e->header->workers; }
LS_INLINE u64 port_now(const struct ls_env *e) { return e->now_ns; }
LS_INLINE const struct ls_config *port_config(const struct ls_env *e) { return e->config; }
LS_INLINE struct ls_counters *port_counters(const struct ls_env *e) { return &e->worker_counters->c; }
LS_INLINE u32 *port_snat_cursor(const struct ls_env *e, u32 i) { return &e->worker_counters->snat.at[i & (LS_POOL_ADDRS_MAX - 1)]; }

LS_INLINE u64 *port_free_slot(const struct ls_env *e, u64 position)
{
	u32 size = e->header->free_ring;

	return ls_element(&ls_map_free, e->worker_id * size + ((u32)position & (size - 1)));
}

LS_INLINE struct ls_notice *port_notice(const struct ls_env *e, u64 position)
{
	u32 size = e->header->notice_ring;

	return ls_element(&ls_map_notices, e->worker_id * size + ((u32)position & (size - 1)));
}

LS_INLINE u32 port_notice_ring(const struct ls_env *e) { return e->header->notice_ring; }

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

#define LS_WINDOW 2048     /* offsets the pipeline may name; a power of two */
#define LS_WINDOW_SLACK 64 /* longest single access */
#define LS_WINDOW_LOAD 1408 /* bytes of the frame copied in: the longest quote of an ICMP error and its headers */

struct ls_buf {
	u32 len;    /* of the frame now */
	u32 head;   /* offset of its first byte in bytes[] */
	u32 loaded; /* frame bytes that were copied in */
	s32 pushed; /* grown at the head by so much */
	u8 bytes[LS_HEADROOM + LS_WINDOW + LS_WINDOW_SLACK];
};

/* The per-CPU element. The entry file declares the rest of it behind this (struct ls_scratch begins with a struct ls_buf). */
struct ls_scratch_map;
LS_INLINE struct ls_buf *ls_window(void);

LS_INLINE u32 port_len(const struct ls_buf *unused)
{
	const struct ls_buf *b = ls_window();

	return b ? b->len : 0;
}

LS_INLINE u8 *port_at(const struct ls_buf *unused, u32 offset, u32 len)
{
	struct ls_buf *b = ls_window();

	if (!b || len > LS_WINDOW_SLACK || offset > b->len || len > b->len - offset || offset >= LS_WINDOW - LS_HEADROOM)
		return NULL;
	return &b->bytes[(b->head + offset) & (LS_WINDOW - 1)];
}

LS_INLINE bool port_push(struct ls_buf *unused, u32 bytes)
{
	struct ls_buf *b = ls_window();

	if (!b || bytes > b->head)
		return false;
	b->head -= bytes;
	b->len += bytes;
	b->pushed += (s32)bytes;
	return true;
}

LS_INLINE bool port_pull(struct ls_buf *unused, u32 bytes)
{
	struct ls_buf *b = ls_window();

	if (!b || bytes > b->len || b->head + bytes > LS_HEADROOM)
		return false;
	b->head += bytes;
	b->len -= bytes;
	b->pushed -= (s32)bytes;
	return true;
}

LS_INLINE bool port_trim(struct ls_buf *unused, u32 len)
{
	struct ls_buf *b = ls_window();

	if (!b || len > b->len)
		return false;
	b->len = len;
	return true;
}

LS_INLINE bool port_grow(struct ls_buf *unused, u32 len)
{
	struct ls_buf *b = ls_window();

	if (!b || len < b->len || len > LS_WINDOW_LOAD)
		return false;
	b->len = len;
	return true;
}

/* Whole words by the kernel, up to 512 bytes a call; the rest by hand. */
LS_INLINE u32 port_sum(const struct ls_buf *unused, u32 offset, u32 len)
{
	struct ls_buf *b = ls_window();
	u32 sum = 0, at;

	if (!b || offset > b->len || len > b->len - offset || len > LS_WINDOW_LOAD)
		return 0;
	at = b->head + offset;
	for (u32 n = 0; n < 3; n++) {
		u32 part = len > 512 ? 512 : len & ~3u;
		const u8 *p = &b->bytes[at & (LS_WINDOW / 2 - 1)];

		if (part == 0 || part > 512)
			break;
		sum = (u32)bpf_csum_diff(NULL, 0, p, part, sum);
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

/* --- routes: the kernel's own ---------------------------------------------------------------------------------------------------------------------- */

/* Logical interface that goes out of a kernel interface; 0 = none that is ours. */
LS_INLINE u32 ls_iface_of(const struct ls_config *c, u32 ifindex)
{
	for (u32 i = 1; i < LS_IFACES_MAX; i++)
		if (c->iface[i].ifindex == ifindex)
			return i;
	return 0;
}

struct ls_route;
LS_INLINE void port_route(const struct ls_env *e, const struct ls_addr *to, u32 family, u32 domain, struct ls_route *r)
{
	struct bpf_fib_lookup f = { 0 };
	long result;
	u32 i;

	(void)domain;
	r->result = LS_ROUTE_NONE;
	f.ifindex = e->ctx->ingress_ifindex;
	if (family == LS_IP4) {
		f.family = LS_AF_INET;
		f.dst[0] = to->w[3];
	} else {
		f.family = LS_AF_INET6;
		for (u32 w = 0; w < 4; w++)
			f.dst[w] = to->w[w];
	}
	result = bpf_fib_lookup(e->ctx, &f, sizeof(f), 0);
	if (result == BPF_FIB_NOT_FWDED) {
		r->result = LS_ROUTE_LOCAL;
		return;
	}
	if (result == BPF_FIB_BLACKHOLE || result == BPF_FIB_PROHIBIT) {
		r->result = LS_ROUTE_BLACKHOLE;
		return;
	}
	if (result != BPF_FIB_SUCCESS && result != BPF_FIB_NO_NEIGH)
		return;
	i = ls_iface_of(e->config, f.ifindex);
	if (i == 0)
		return;
	r->iface = (u16)i;
	r->mtu = e->config->iface[i & (LS_IFACES_MAX - 1)].mtu;
	__builtin_memcpy(r->dst_mac, f.dmac, 6);
	if (family == LS_IP4) {
		r->next_hop.w[0] = r->next_hop.w[1] = 0;
		r->next_hop.w[2] = __builtin_bswap32(0xffff);
		r->next_hop.w[3] = f.dst[0];
	} else {
		for (u32 w = 0; w < 4; w++)
			r->next_hop.w[w] = f.dst[w];
	}
	r->result = result == BPF_FIB_SUCCESS ? LS_ROUTE_OK : LS_ROUTE_UNRESOLVED;
}

#endif
