/* What user space supplies to the pipeline: frames in plain memory, routes from the mirrored kernel tables. */
#ifndef LOCKSTEP_USERSPACE_PORT_IMPL_H
#define LOCKSTEP_USERSPACE_PORT_IMPL_H

#include "table/env.h"

/* One frame with room before and after it. */
struct ls_buf {
	u8 *data;
	u32 len;
	u32 head; /* free bytes before data */
	u32 tail; /* free bytes after data + len */
	bool sum_good; /* the port has found the IPv4 header's sum right; of the header that came first, so gone with a pull */
	void **from; /* of a port whose frames can leave as they are: what this one lies in, emptied by who sends it; NULL: plain memory */
};
typedef struct ls_buf *ls_frame;

LS_INLINE u32 port_len(const struct ls_buf *b) { return b->len; }

LS_INLINE bool port_sum_good(const struct ls_buf *b) { return b->sum_good; }

LS_INLINE u8 *port_at(const struct ls_buf *b, u32 offset, u32 len)
{
	return LS_LIKELY(offset <= b->len && len <= b->len - offset) ? b->data + offset : NULL;
}

LS_INLINE bool port_push(struct ls_buf *b, u32 bytes)
{
	if (bytes > b->head)
		return false;
	b->head -= bytes;
	b->data -= bytes;
	b->len += bytes;
	return true;
}

LS_INLINE bool port_pull(struct ls_buf *b, u32 bytes)
{
	if (bytes > b->len)
		return false;
	b->head += bytes;
	b->data += bytes;
	b->len -= bytes;
	b->sum_good = false;
	return true;
}

LS_INLINE bool port_trim(struct ls_buf *b, u32 len)
{
	if (len > b->len)
		return false;
	b->tail += b->len - len;
	b->len = len;
	return true;
}

LS_INLINE bool port_grow(struct ls_buf *b, u32 len)
{
	if (len < b->len || len - b->len > b->tail)
		return false;
	b->tail -= len - b->len;
	b->len = len;
	return true;
}

LS_INLINE u32 port_sum(const struct ls_buf *b, u32 offset, u32 len)
{
	const u8 *p = port_at(b, offset, len);
	u32 sum = 0; /* a frame is far below the 2^17 bytes that could overflow it */

	if (!p)
		return 0;
	for (u32 i = 0; i + 1 < len; i += 2)
		sum += ls_raw16(p + i);
	if (len & 1)
		sum += p[len - 1];
	return sum;
}

#include "table/fib.h"

struct ls_route;
LS_INLINE void port_route(const struct ls_env *e, const struct ls_addr *to, u32 family, u32 domain, struct ls_route *r)
{
	const struct ls_fib *f = &e->fibs[LS_LOAD(&e->header->active_fib) & 1];
	const struct ls_nexthop *n = ls_fib_find(f, to);
	const struct ls_iface *i;

	(void)family;
	(void)domain;
	r->result = LS_ROUTE_NONE;
	if (!n || n->kind == LS_NH_NONE)
		return;
	if (n->kind == LS_NH_LOCAL || n->kind == LS_NH_BLACKHOLE) {
		r->result = n->kind == LS_NH_LOCAL ? LS_ROUTE_LOCAL : LS_ROUTE_BLACKHOLE;
		return;
	}
	r->iface = n->iface & (LS_IFACES_MAX - 1);
	i = &e->config->iface[r->iface];
	r->mtu = i->mtu;
	r->next_hop = n->kind == LS_NH_GATEWAY ? n->gateway : *to;
	if (ls_neigh_find(e->neighs, &r->next_hop, i->device, r->dst_mac)) {
		r->result = LS_ROUTE_OK;
		return;
	}
	__builtin_memset(r->dst_mac, 0, 6);
	r->result = LS_ROUTE_UNRESOLVED;
}

#endif
