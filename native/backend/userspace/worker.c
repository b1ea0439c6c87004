/* A packet worker: bursts from its devices through the pipeline and out; fair between devices; sleeps when there is nothing.
 *
 * Each round is one burst per device between two quiescent points (R4), so a grace lasts at most one round.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "backend/userspace/userspace.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/burst.h"

#define IDLE_ROUNDS 64  /* empty rounds before the worker sleeps */
#define SLEEP_NS 20000000 /* longest sleep: bounds stop time and pending retries */
#define NAP_NS_MIN 20000  /* where nothing wakes the worker but time */
#define NAP_NS_MAX 1000000

static struct ls_device *device_of_iface(struct ls_us_worker *w, u32 iface)
{
	u32 id = w->env.config->iface[iface & (LS_IFACES_MAX - 1)].device;

	return id < LS_DEVICES_MAX ? __atomic_load_n(&w->us->device[id], __ATOMIC_ACQUIRE) : NULL;
}

static void transmit(struct ls_us_worker *w, struct ls_pkt *p)
{
	struct ls_device *d = device_of_iface(w, p->out_iface);

	if (!d || !d->up) {
		ls_drop(&w->env, p, LS_DROP_TX_DOWN);
		return;
	}
	if (d->ops->tx(d, w->index, p->buf)) {
		ls_bump(&d->stats[w->index].tx_packets, 1);
		ls_bump(&d->stats[w->index].tx_bytes, p->buf->len);
	} else {
		ls_bump(&d->stats[w->index].tx_dropped, 1);
		ls_drop(&w->env, p, LS_DROP_TX_FULL);
	}
}

/* Tells the mirror, which another process has, of the address that a frame would go to. */
static void want(const struct ls_env *e, const struct ls_addr *a, u32 device)
{
	struct ls_wanted *w = &e->wanted[e->worker_id * LS_WANTED + ((a->w[3] ^ a->w[3] >> 16 ^ a->w[3] >> 24) & (LS_WANTED - 1))];

	LS_STORE(&w->seq, LS_LOAD(&w->seq) | 1);
	LS_FENCE_REL();
	w->addr = *a;
	w->device = device;
	LS_STORE_REL(&w->seq, LS_LOAD(&w->seq) + 1);
}

/* Holds a finished frame until its next hop resolves; bounded per next hop, so that a dead one leaves room for the others. */
static void hold(struct ls_us_worker *w, struct ls_pkt *pkt)
{
	struct pending_frame *p;
	u32 same = 0;
	const struct ls_iface *i = &w->env.config->iface[pkt->out_iface & (LS_IFACES_MAX - 1)];

	if (w->us->mirror)
		ls_mirror_resolve(w->us->mirror, &(struct ls_mirror_ask){ .addr = pkt->route.next_hop, .device = i->device, .iface = pkt->out_iface });
	else
		want(&w->env, &pkt->route.next_hop, i->device);
	ls_count(&w->env, LS_CTR_NEIGH_MISSES, 1);
	for (u32 i = 0; i < w->pendings; i++)
		same += ls_addr_equal(&w->pending[i].next_hop, &pkt->route.next_hop);
	if (same >= LS_US_PENDING_PER_HOP || w->pendings == LS_US_PENDING || !w->pending_memory || pkt->buf->len > LS_FRAME_MAX) {
		ls_drop(&w->env, pkt, LS_DROP_NO_NEIGHBOUR);
		return;
	}
	p = &w->pending[w->pendings];
	p->bytes = w->pending_memory + (size_t)w->pendings * (LS_FRAME_MAX + LS_HEADROOM);
	memcpy(p->bytes, pkt->buf->data, pkt->buf->len);
	p->len = pkt->buf->len;
	p->device = i->device;
	p->iface = pkt->out_iface;
	p->next_hop = pkt->route.next_hop;
	p->deadline_ns = w->env.now_ns + LS_US_PENDING_NS;
	w->pendings++;
}

static void retry_pending(struct ls_us_worker *w)
{
	u32 kept = 0;

	for (u32 n = 0; n < w->pendings; n++) {
		struct pending_frame *p = &w->pending[n];
		struct ls_buf frame = { .data = p->bytes, .len = p->len };

		if (ls_neigh_find(w->env.neighs, &p->next_hop, p->device, p->bytes)) {
			memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
			w->pkt.buf = &frame;
			w->pkt.out_iface = p->iface;
			ls_sent(&w->env, &w->pkt);
			transmit(w, &w->pkt);
		} else if (p->deadline_ns < w->env.now_ns) {
			memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
			ls_drop(&w->env, &w->pkt, LS_DROP_NO_NEIGHBOUR);
		} else {
			if (kept != n) {
				u8 *to = w->pending_memory + (size_t)kept * (LS_FRAME_MAX + LS_HEADROOM);

				memmove(to, p->bytes, p->len);
				w->pending[kept] = *p;
				w->pending[kept].bytes = to;
			}
			kept++;
		}
	}
	w->pendings = kept;
}

/* ARP replies and neighbour advertisements on ports without a kernel: nobody else listens to them. */
static void learn(struct ls_us_worker *w, const struct ls_device *d, const struct ls_pkt *p)
{
	struct ls_addr a;
	const u8 *h;

	if (p->ethertype == LS_ETH_ARP) {
		h = port_at(p->buf, p->l3, 28);
		if (!h)
			return;
		ls_addr_from4(&a, h + 14);
		ls_mirror_neighbour(w->us->mirror, &a, d->id, h + 8, LS_NEIGH_VALID, false);
	} else if ((p->flags & LS_PF_ND) && p->icmp_type == 136) {
		h = port_at(p->buf, p->l4, 32);
		if (!h || h[24] != 2)
			return;
		memcpy(a.b, h + 8, 16);
		ls_mirror_neighbour(w->us->mirror, &a, d->id, h + 26, LS_NEIGH_VALID, false);
	}
}

static void conclude(struct ls_us_worker *w, struct ls_device *d, struct ls_pkt *p, u32 verdict)
{
	switch (verdict) {
	case LS_V_TX: transmit(w, p); break;
	case LS_V_NEIGH: hold(w, p); break;
	case LS_V_HOST:
		if (d->ops->host)
			d->ops->host(d, w->index, p->buf);
		else if (d->spec.kind != LS_DEV_PACKET)
			learn(w, d, p);
		break;
	default: ls_bump(&d->stats[w->index].rx_dropped, 1);
	}
}

static void count_refused(struct ls_us_worker *w, u32 n, u32 reason, u64 *device_counter)
{
	for (; n; n--) {
		memset(&w->pkt, 0, offsetof(struct ls_pkt, to));
		ls_drop(&w->env, &w->pkt, reason);
		ls_bump(device_counter, 1);
	}
}

/* What the port refused by itself is a drop like any other: one reason each. */
static void count_notes(struct ls_us_worker *w, struct ls_device *d)
{
	struct ls_port_notes *n = &d->notes[w->index];
	struct ls_device_stats *s = &d->stats[w->index];

	if (LS_LIKELY(!(n->gso_frames | n->long_frames | n->unsent | n->completed)))
		return;
	ls_bump(&s->rx_packets, n->gso_frames + n->long_frames);
	count_refused(w, n->gso_frames, LS_DROP_GSO_FRAME, &s->rx_dropped);
	count_refused(w, n->long_frames, LS_DROP_FRAME_TOO_LONG, &s->rx_dropped);
	count_refused(w, n->unsent, LS_DROP_TX_FULL, &s->tx_dropped);
	ls_count(&w->env, LS_CTR_CHECKSUMS_COMPLETED, n->completed);
	*n = (struct ls_port_notes){ 0 };
}

static u32 receive(struct ls_us_worker *w, struct ls_device *d)
{
	struct ls_buf frames[LS_US_BURST];
	u32 n;

	n = d->ops->rx(d, w->index, frames, LS_US_BURST, w->env.now_ns);
	count_notes(w, d);
	for (u32 at = 0; at < n; at += LS_BURST_MAX) {
		u32 m = n - at < LS_BURST_MAX ? n - at : LS_BURST_MAX, verdict[LS_BURST_MAX];

		for (u32 i = 0; i < m; i++) {
			__builtin_prefetch(frames[at + i].data);
			memset(&w->burst[i], 0, offsetof(struct ls_pkt, to));
			w->burst[i].buf = &frames[at + i];
			ls_bump(&d->stats[w->index].rx_packets, 1);
			ls_bump(&d->stats[w->index].rx_bytes, frames[at + i].len);
		}
		ls_pipeline_burst(&w->env, w->burst, m, d->id, verdict);
		for (u32 i = 0; i < m; i++)
			conclude(w, d, &w->burst[i], verdict[i]);
	}
	return n;
}

static void begin_burst(struct ls_us_worker *w)
{
	/* odd: what is read from here on must not be taken away; the exchange orders it before every load of the burst */
	__atomic_fetch_add(&w->env.worker->quiescent, 1, __ATOMIC_SEQ_CST);
	w->env.config = &w->env.banks[LS_LOAD_ACQ(&w->env.header->active_bank) & 1];
	w->env.now_ns = ls_clock_ns();
}

static void end_burst(struct ls_us_worker *w)
{
	LS_STORE(&w->env.worker->alive_ns, w->env.now_ns);
	__atomic_fetch_add(&w->env.worker->quiescent, 1, __ATOMIC_RELEASE);
}

/* What to sleep on. Collected inside the burst, where no device can go away; a descriptor that is closed meanwhile only wakes the worker. */
struct sleep {
	struct pollfd fds[LS_DEVICES_MAX + 1];
	u32 n;
	u32 timeout_ns;
};

static void collect_sleep(struct ls_us_worker *w, struct sleep *s)
{
	struct pollfd *fds = s->fds;
	bool timed = false;
	u32 n = 0;

	s->timeout_ns = w->pendings ? NAP_NS_MAX : SLEEP_NS;
	fds[n++] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
	for (u32 i = 1; i < w->us->devices; i++) {
		struct ls_device *d = __atomic_load_n(&w->us->device[i], __ATOMIC_ACQUIRE);
		int fd;

		if (!d || !d->ready || w->index >= d->workers)
			continue;
		fd = d->ops->poll_fd(d, w->index);
		if (fd >= 0)
			fds[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		else if (fd == -1)
			timed = true;
	}
	s->n = n;
	if (!timed)
		return;
	w->nap_ns = w->nap_ns < NAP_NS_MIN ? NAP_NS_MIN : 2 * w->nap_ns < NAP_NS_MAX ? 2 * w->nap_ns : NAP_NS_MAX;
	s->timeout_ns = w->nap_ns;
}

/* Until a device has a frame, somebody wakes the worker, or the time is over. */
static void sleep_on(struct ls_us_worker *w, struct sleep *s)
{
	struct timespec most = { .tv_nsec = s->timeout_ns };
	u64 count;

	if (ppoll(s->fds, s->n, &most, NULL) > 0 && (s->fds[0].revents & POLLIN) && read(w->wake_fd, &count, 8) < 0)
		return;
}

void *ls_us_worker_main(void *arg)
{
	struct ls_us_worker *w = arg;
	u32 empty = 0;
	struct sleep sleep;
	char name[16];

	snprintf(name, sizeof(name), "ls-worker-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	while (atomic_load_explicit(&w->us->run, memory_order_relaxed)) {
		u32 received = 0;

		begin_burst(w);
		for (u32 i = 1; i < w->us->devices; i++) {
			struct ls_device *d = __atomic_load_n(&w->us->device[i], __ATOMIC_ACQUIRE);

			if (d && d->ready && w->index < d->workers)
				received += receive(w, d);
		}
		if (w->pendings)
			retry_pending(w);
		for (u32 i = 1; i < w->us->devices; i++) {
			struct ls_device *d = __atomic_load_n(&w->us->device[i], __ATOMIC_ACQUIRE);

			if (d && w->index < d->workers && d->ops->flush)
				d->ops->flush(d, w->index);
		}
		empty = received || w->us->sleepless ? 0 : empty + 1;
		if (received)
			w->nap_ns = 0;
		if (empty > IDLE_ROUNDS)
			collect_sleep(w, &sleep);
		end_burst(w);
		if (empty > IDLE_ROUNDS) {
			sleep_on(w, &sleep);
			empty = IDLE_ROUNDS - 2;
		}
	}
	return NULL;
}
