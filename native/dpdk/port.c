/* A port of DPDK: found by its devargs, its queues divided among the workers. Frames lie in mbufs and leave as they came: the pipeline works in place, and whoever
 * sends takes the mbuf out of the frame (`from`).
 *
 * Each worker has a receive queue where the driver has enough, spread by RSS with a key that is symmetric; else queues go to workers in turn, so that ports of one
 * queue share the load. Which worker meets a frame does not matter: all have the same table.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <rte_dev.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

#define DESCRIPTORS 1024
#define SEND_BATCH 64

struct dpdk dpdk;

struct queue { /* of one worker */
	struct dpdk_port *port;
	bool receives;
	u16 rx, tx;
	u32 helds, outs;
	struct rte_mbuf *held[LS_US_BURST]; /* handed out at the last rx; NULL: sent since */
	struct rte_mbuf *out[SEND_BATCH];
};

static void take_mbuf(struct rte_mbuf **held, u32 *n)
{
	for (u32 i = 0; i < *n; i++)
		if (held[i])
			rte_pktmbuf_free(held[i]);
	*n = 0;
}

static enum ls_status open_queue(struct ls_device *d, u32 worker, char *error)
{
	struct dpdk_port *p = d->owner;
	struct queue *q = rte_zmalloc("queue", sizeof(*q), RTE_CACHE_LINE_SIZE);

	if (!q) {
		snprintf(error, LS_US_ERROR_BYTES, "port %s: no memory", p->spec.name);
		return LS_E_NOMEM;
	}
	q->port = p;
	q->rx = (u16)((worker + p->workers - d->id % p->workers) % p->workers);
	q->receives = q->rx < p->rx_queues;
	q->tx = (u16)(worker % p->tx_queues);
	d->state[worker] = q;
	return LS_OK;
}

static u32 rx(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns)
{
	struct queue *q = d->state[worker];
	u32 n, got;

	(void)now_ns;
	take_mbuf(q->held, &q->helds);
	if (!q->receives)
		return 0;
	got = rte_eth_rx_burst(q->port->id, q->rx, q->held, (u16)(max < LS_US_BURST ? max : LS_US_BURST));
	n = 0;
	for (u32 i = 0; i < got; i++) {
		struct rte_mbuf *m = q->held[i];

		if (LS_UNLIKELY(m->pkt_len > q->port->frame_max || (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0))) {
			d->notes[worker].long_frames++;
			rte_pktmbuf_free(m);
			continue;
		}
		q->held[n] = m;
		frames[n] = (struct ls_buf){ .data = rte_pktmbuf_mtod(m, u8 *), .len = m->data_len, .head = rte_pktmbuf_headroom(m), .tail = rte_pktmbuf_tailroom(m),
			.sum_good = (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD, .from = (void **)&q->held[n] };
		n++;
	}
	q->helds = n;
	return n;
}

static void flush(struct ls_device *d, u32 worker)
{
	struct queue *q = d->state[worker];
	u32 sent = 0;

	if (!q->outs)
		return;
	rte_spinlock_lock(&q->port->lock[q->tx]); /* the host sends by it too */
	for (u32 n = 1; n && sent < q->outs; sent += n)
		n = rte_eth_tx_burst(q->port->id, q->tx, q->out + sent, (u16)(q->outs - sent));
	rte_spinlock_unlock(&q->port->lock[q->tx]);
	d->notes[worker].unsent += q->outs - sent;
	for (; sent < q->outs; sent++)
		rte_pktmbuf_free(q->out[sent]);
	q->outs = 0;
}

static struct rte_mbuf *copy_of(const u8 *data, u32 len)
{
	struct rte_mbuf *m = len <= dpdk.frame_bytes ? rte_pktmbuf_alloc(dpdk.pool) : NULL;

	if (m)
		memcpy(rte_pktmbuf_append(m, (u16)len), data, len);
	return m;
}

static bool tx(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	struct queue *q = d->state[worker];
	struct rte_mbuf *m;

	if (frame->from && *frame->from) {
		m = *frame->from;
		*frame->from = NULL;
		m->data_off = (u16)(frame->data - (u8 *)m->buf_addr);
		m->data_len = (u16)frame->len;
		m->pkt_len = frame->len;
		m->ol_flags = 0;
	} else {
		m = copy_of(frame->data, frame->len);
		if (!m)
			return false;
	}
	if (q->outs == SEND_BATCH)
		flush(d, worker);
	q->out[q->outs++] = m;
	return true;
}

static int poll_fd(struct ls_device *d, u32 worker) { return ((struct queue *)d->state[worker])->receives ? -1 : -2; }

static void to_host(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	const struct dpdk_port *p = d->owner;
	int tap = p->tap;

	if (tap >= 0 && write(tap, frame->data, frame->len) < 0)
		ls_bump(&d->stats[worker].rx_dropped, 1);
}

/* At most what the driver can have kept. */
static void fresh(struct ls_device *d, u32 worker)
{
	struct queue *q = d->state[worker];

	for (u32 n = 0; q->receives && q->port->spec.shared && n < 64 * DESCRIPTORS; n += q->helds) {
		take_mbuf(q->held, &q->helds);
		q->helds = rte_eth_rx_burst(q->port->id, q->rx, q->held, LS_US_BURST);
		if (!q->helds)
			return;
	}
	take_mbuf(q->held, &q->helds);
}

static void close_queue(struct ls_device *d, u32 worker)
{
	struct queue *q = d->state[worker];

	d->state[worker] = NULL;
	if (!q)
		return;
	take_mbuf(q->held, &q->helds);
	take_mbuf(q->out, &q->outs);
	rte_free(q);
}

static const struct ls_device_ops ops = { .open = open_queue, .rx = rx, .tx = tx, .flush = flush, .poll_fd = poll_fd, .host = to_host, .fresh = fresh, .close = close_queue };

/* From here on a thread of the port's network namespace. */
struct start {
	struct dpdk_port *p;
	char *error;
	enum ls_status status;
};

static void refuse(struct start *s, enum ls_status status, const char *what, int error)
{
	s->status = status;
	snprintf(s->error, LS_DPDK_TEXT, "port %s: %s: %s", s->p->spec.name, what, strerror(error < 0 ? -error : error));
}

static int on_event(u16 port, enum rte_eth_event_type type, void *arg, void *ret)
{
	u64 one = 1;

	(void)port, (void)ret;
	if (type == RTE_ETH_EVENT_INTR_RMV)
		((struct dpdk_port *)arg)->unplugged = true;
	return write(dpdk.changed, &one, 8) < 0;
}

static struct rte_eth_conf settings(const struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	/* 16 bits again and again: both directions of a flow have the same hash */
	static u8 key[64];
	struct rte_eth_conf c = { .intr_conf.lsc = (*info->dev_flags & RTE_ETH_DEV_INTR_LSC) != 0 };

	for (u32 i = 0; i < sizeof(key); i += 2)
		key[i] = 0x6d, key[i + 1] = 0x5a;
	if (p->rx_queues > 1 && info->flow_type_rss_offloads) {
		c.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		c.rx_adv_conf.rss_conf.rss_hf = (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info->flow_type_rss_offloads;
		if (info->hash_key_size && info->hash_key_size <= sizeof(key)) {
			c.rx_adv_conf.rss_conf.rss_key = key;
			c.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		}
	}
	/* not of TCP and UDP: a router does not look at them, and a peer in memory would leave them unfinished */
	c.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	/* all buffers are of one pool, and nobody keeps one that was sent */
	c.txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	return c;
}

static int set_queues(struct dpdk_port *p)
{
	u16 rx = DESCRIPTORS, tx = DESCRIPTORS;
	int error = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);

	for (u32 i = 0; !error && i < p->rx_queues; i++)
		error = rte_eth_rx_queue_setup(p->id, (u16)i, rx, SOCKET_ID_ANY, NULL, dpdk.pool);
	for (u32 i = 0; !error && i < p->tx_queues; i++)
		error = rte_eth_tx_queue_setup(p->id, (u16)i, tx, SOCKET_ID_ANY, NULL);
	return error;
}

static u32 least(u32 a, u32 b) { return a < b ? a : b; }

/* Bytes of a frame that a ring of net_af_packet holds: its header and the address lie before the link header, which the kernel puts so that what follows it is aligned
 * (tpacket_rcv() of net/packet/af_packet.c). `devargs`: framesz=, else the driver's 2048.
 */
static u32 ring_room(const char *devargs)
{
	const char *given = strstr(devargs, "framesz=");
	u32 before = TPACKET_ALIGN(TPACKET2_HDRLEN + 16) - RTE_ETHER_HDR_LEN, bytes = given ? (u32)strtoul(given + 8, NULL, 10) : 2048;

	return bytes > before ? bytes - before : 0;
}

/* The longest frame that the link can carry, two tags with it, must come whole. */
static bool fits(struct start *s, const char *driver)
{
	struct dpdk_port *p = s->p;
	bool ring = driver && strcmp(driver, "net_af_packet") == 0;
	u32 room = least(dpdk.frame_bytes, ring ? ring_room(p->spec.devargs) : UINT32_MAX), mtu = dpdk_kernel_mtu(p);

	if (!mtu)
		mtu = rte_eth_dev_get_mtu(p->id, &p->mtu) == 0 ? p->mtu : RTE_ETHER_MTU;
	p->frame_max = ring ? room - 1 : UINT32_MAX; /* a ring cuts what is longer, and does not say so: what fills it is taken for cut */
	p->mtu = (u16)least(mtu, UINT16_MAX);
	if (mtu + RTE_ETHER_HDR_LEN + 8 < room)
		return true;
	s->status = LS_E_UNSUPPORTED;
	snprintf(s->error, LS_DPDK_TEXT, "port %s: its MTU is %u and buffers hold frames of %u bytes: raise agent.dpdk.frame-bytes or lower the MTU", p->spec.name, mtu, room);
	return false;
}

static void set_up(struct start *s)
{
	struct dpdk_port *p = s->p;
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	struct rte_eth_conf conf;
	int error = rte_eth_dev_info_get(p->id, &info);

	if (error)
		return refuse(s, LS_E_SYSTEM, "what the driver says of it", error);
	p->ifindex = info.if_index;
	p->kernel = dpdk_kernel_open(p->ifindex);
	if (!fits(s, info.driver_name))
		return;
	p->workers = dpdk.workers;
	p->rx_queues = least(p->workers, info.max_rx_queues);
	p->tx_queues = least(p->workers, info.max_tx_queues); /* none of its own for the host: net_tap wants as many of both, a peer of net_memif has what it has */
	if (!p->rx_queues || !p->tx_queues)
		return refuse(s, LS_E_UNSUPPORTED, "it cannot receive or cannot send", ENOTSUP);
	conf = settings(p, &info);
	error = rte_eth_dev_configure(p->id, (u16)p->rx_queues, (u16)p->tx_queues, &conf);
	if (error)
		return refuse(s, LS_E_SYSTEM, "its settings", error);
	error = set_queues(p);
	if (error)
		return refuse(s, error == -ENOMEM ? LS_E_NOMEM : LS_E_SYSTEM, "its queues", error);
	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_LSC, on_event, p);
	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, on_event, p);
	error = rte_eth_dev_start(p->id);
	if (error)
		return refuse(s, LS_E_SYSTEM, "starting it", error);
	/* neighbour solicitations are multicast; who cannot choose gets everything anyway */
	if (rte_eth_allmulticast_enable(p->id) != 0 && !dpdk_kernel_multicast(p))
		rte_eth_promiscuous_enable(p->id);
	if (rte_eth_macaddr_get(p->id, &mac) == 0)
		memcpy(p->mac, mac.addr_bytes, 6);
}

static void take_down(struct dpdk_port *p)
{
	struct rte_eth_dev_info info = { 0 };

	if (rte_eth_dev_info_get(p->id, &info) != 0)
		info.device = NULL;
	if (p->kernel >= 0)
		close(p->kernel);
	rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_LSC, on_event, p);
	rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, on_event, p);
	rte_eth_dev_stop(p->id);
	rte_eth_dev_close(p->id);
	if (info.device)
		rte_dev_remove(info.device);
}

/* The device that the devargs name; RTE_MAX_ETHPORTS: there is none yet. */
static u16 named(const char *devargs)
{
	struct rte_dev_iterator it;
	u16 id = RTE_MAX_ETHPORTS;

	if (rte_eth_iterator_init(&it, devargs) == 0) {
		id = rte_eth_iterator_next(&it);
		if (id != RTE_MAX_ETHPORTS)
			rte_eth_iterator_cleanup(&it);
	}
	return id;
}

/* Two ports over one device would be one port that is set up twice, and gone when either is. */
static bool taken(struct start *s)
{
	const struct dpdk_port *other = dpdk_port_of(s->p->id);

	if (!other)
		return false;
	s->status = LS_E_CONFLICT;
	snprintf(s->error, LS_DPDK_TEXT, "port %s: %.120s is the device of port %s", s->p->spec.name, s->p->spec.devargs, other->spec.name);
	return true;
}

static void start(void *arg)
{
	struct start *s = arg;
	struct dpdk_port *p = s->p;
	int error;

	p->id = named(p->spec.devargs);
	if (taken(s)) /* before it is probed, which may tell the driver of it */
		return;
	error = rte_dev_probe(p->spec.devargs);
	if (error) /* many drivers say -1, whatever it was; their lines in the log say more */
		return refuse(s, geteuid() != 0 && (error == -EPERM || error == -EACCES) ? LS_E_PERMISSION : LS_E_NO_DEVICE, p->spec.devargs, error == -1 ? ENODEV : error);
	p->id = named(p->spec.devargs);
	if (p->id == RTE_MAX_ETHPORTS)
		return refuse(s, LS_E_NO_DEVICE, p->spec.devargs, ENODEV);
	if (taken(s))
		return;
	set_up(s);
	if (s->status == LS_OK && p->spec.tap[0]) {
		p->tap = dpdk_tap_open(p, s->error);
		s->status = p->tap < 0 ? LS_E_SYSTEM : LS_OK;
	}
	if (s->status != LS_OK)
		take_down(p);
}

struct dpdk_port *dpdk_port_of(u32 id)
{
	for (u32 i = 0; i < LS_DEVICES_MAX; i++)
		if (dpdk.port[i].used && dpdk.port[i].id == id)
			return &dpdk.port[i];
	return NULL;
}

struct dpdk_port *dpdk_port_add(const struct ls_dpdk_port *spec, enum ls_status *status, char *error)
{
	struct dpdk_port *p = NULL;
	struct start s = { .error = error, .status = LS_OK };

	for (u32 i = 0; i < LS_DEVICES_MAX && !p; i++)
		p = dpdk.port[i].used ? NULL : &dpdk.port[i];
	if (!p) {
		snprintf(error, LS_DPDK_TEXT, "port %s: at most %d ports", spec->name, LS_DEVICES_MAX);
		*status = LS_E_FULL;
		return NULL;
	}
	memset(p, 0, sizeof(*p));
	p->spec = *spec;
	p->tap = p->kernel = -1;
	s.p = p;
	if (!ls_in_netns(spec->netns, start, &s, error))
		s.status = errno == EPERM ? LS_E_PERMISSION : LS_E_NO_DEVICE;
	*status = s.status;
	if (s.status != LS_OK)
		return NULL;
	p->used = true;
	dpdk_port_link(p);
	dpdk_tap_carrier(p, p->up); /* of a TAP it is on until somebody says so */
	return p;
}

enum ls_status dpdk_port_bind(struct dpdk_port *p, u32 device, char *error)
{
	struct ls_device_spec spec = { .kind = LS_DEV_DPDK, .device = device, .mtu = p->mtu };
	enum ls_status status;
	u32 id;

	if (p->device == device)
		return LS_OK;
	if (p->device)
		ls_us_remove(dpdk.us, p->device);
	p->device = 0;
	memcpy(spec.name, p->spec.name, sizeof(spec.name));
	memcpy(spec.mac, p->mac, 6);
	status = ls_us_add_by(dpdk.us, &spec, &ops, p, &id, error);
	if (status != LS_OK)
		return status;
	p->device = id;
	dpdk.us->device[id]->up = p->up;
	return LS_OK;
}

void dpdk_port_remove(struct dpdk_port *p)
{
	if (p->device)
		ls_us_remove(dpdk.us, p->device);
	if (p->tap >= 0)
		close(p->tap);
	take_down(p);
	p->used = false;
}

void dpdk_port_lose(struct dpdk_port *p, const char *what)
{
	if (!p->gone)
		RTE_LOG(ERR, USER1, "lockstep: port %s: %s is gone: nothing is received or sent there\n", p->spec.name, what);
	p->gone = true;
}

bool dpdk_port_link(struct dpdk_port *p)
{
	struct rte_eth_link link;
	bool was = p->up;

	if (p->unplugged || dpdk_kernel_gone(p))
		dpdk_port_lose(p, p->unplugged ? "its device" : "its interface");
	p->up = !p->gone && rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP && dpdk_kernel_up(p);
	if (p->device)
		dpdk.us->device[p->device]->up = p->up;
	if (p->up != was)
		dpdk_tap_carrier(p, p->up);
	return p->up != was;
}

void dpdk_port_send(struct dpdk_port *p, const u8 *frame, u32 len)
{
	struct rte_mbuf *m = copy_of(frame, len);

	if (!m)
		return;
	rte_spinlock_lock(&p->lock[0]);
	if (rte_eth_tx_burst(p->id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
	rte_spinlock_unlock(&p->lock[0]);
}
