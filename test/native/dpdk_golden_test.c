/* The golden packets (golden.h) through a port of DPDK: each frame comes out of an mbuf that the driver received, is worked on where it lies, and leaves by the
 * driver; what that then has is compared. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "golden.h"
#include "dpdk_rig.h"
#include "pipeline/burst.h"

static struct dpdk_port *port;
static struct ls_device *device;

static struct lane *open_dpdk(void)
{
	struct ls_table *t = table_new(1 << 10);
	enum ls_status status;
	char error[LS_DPDK_TEXT] = "";

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	dpdk.table = t;
	dpdk.us = ls_us_new(t, 0, 1);
	port = rig_port("golden", "net_ring_golden", &status, error);
	if (!port)
		CHECK_FAIL("%s", error);
	CHECK_EQ(dpdk_port_bind(port, 1, error), LS_OK);
	device = dpdk.us->device[1];
	return lane_open(t, 0);
}

static void close_dpdk(struct lane *w)
{
	dpdk_port_remove(port);
	ls_us_free(dpdk.us);
	CHECK_EQ(rte_mempool_avail_count(dpdk.pool), RIG_BUFFERS); /* every buffer is back */
	ls_worker_detach(w->t, 0);
	ls_table_close(w->t);
	free(w);
}

/* What the driver has now; one frame at most. */
static struct rte_mbuf *taken(void)
{
	struct rte_mbuf *m[2];
	u32 n = rte_eth_rx_burst(port->id, 0, m, 2);

	CHECK(n <= 1);
	return n ? m[0] : NULL;
}

static bool send_dpdk(struct lane *w, u32 from, const u8 *bytes, u32 len, u32 *verdict)
{
	struct ls_buf frame;
	struct rte_mbuf *m;

	if (len == 0)
		return false; /* no driver has such a frame */
	memcpy(w->before.global, w->e.worker_counters->c.global, sizeof(w->before.global));
	memcpy(w->before.drops, w->e.worker_counters->c.drops, sizeof(w->before.drops));
	lane_load(w, bytes, len);
	rig_send(port, bytes, len);
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(device->ops->rx(device, 0, &frame, 1, w->e.now_ns), 1);
	w->pkt.buf = &frame;
	ls_pipeline_burst(&w->e, &w->pkt, 1, from, verdict);
	w->frame.data = w->memory + LS_HEADROOM;
	if (*verdict == LS_V_TX) {
		CHECK(device->ops->tx(device, 0, &frame));
		device->ops->flush(device, 0);
		m = taken();
		CHECK(m != NULL);
		w->frame.len = m->pkt_len;
		memcpy(w->frame.data, rte_pktmbuf_mtod(m, u8 *), m->pkt_len);
		rte_pktmbuf_free(m);
	} else {
		w->frame.len = frame.len;
		memcpy(w->frame.data, frame.data, frame.len);
	}
	__atomic_fetch_add(&w->e.worker->quiescent, 1, __ATOMIC_RELEASE);
	CHECK_EQ(device->ops->rx(device, 0, &frame, 1, w->e.now_ns), 0); /* nothing else was sent; the buffer of a frame that was not is free */
	w->pkt.buf = &w->frame;
	return true;
}

static void wait_dpdk(struct lane *w, u64 ns) { w->shift_ns += ns; }

TEST("golden packets by DPDK: the verdict, the bytes and the counters of every file, and every buffer comes back")
{
	static const struct golden_build build = { open_dpdk, send_dpdk, wait_dpdk, close_dpdk };

	golden_folder(&build);
}

int main(int argc, char **argv) { return rig_main(argc, argv); }
