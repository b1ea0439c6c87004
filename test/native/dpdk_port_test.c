/* Ports of DPDK: found and refused, divided among workers, given back. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "check.h"
#include "dpdk_rig.h"
#include "table_fixture.h"

static char error[LS_DPDK_TEXT];
static enum ls_status status;

static void open_workers(u32 n)
{
	dpdk.table = NULL;
	CHECK_EQ(ls_table_create(&(struct ls_geometry){ .capacity = 1 << 10, .threads = n }, LS_HUGE_NEVER, NULL, &dpdk.table, &(int){ 0 }), LS_OK);
	dpdk.workers = n;
	dpdk.us = ls_us_new(dpdk.table, 0, n);
}

static void close_workers(void)
{
	ls_us_free(dpdk.us);
	ls_table_close(dpdk.table);
	CHECK_EQ(rte_mempool_avail_count(dpdk.pool), RIG_BUFFERS);
}

TEST("what DPDK does not find is refused with its devargs, and leaves nothing")
{
	open_workers(1);
	CHECK(rig_port("wan", "net_nosuch0", &status, error) == NULL);
	CHECK_EQ(status, LS_E_NO_DEVICE);
	CHECK(strstr(error, "wan") && strstr(error, "net_nosuch0"));
	CHECK(rig_port("wan", "net_af_packet_x,iface=nosuchlink", &status, error) == NULL);
	CHECK(status != LS_OK);
	for (u32 i = 0; i < LS_DEVICES_MAX; i++)
		CHECK(!dpdk.port[i].used);
	close_workers();
}

TEST("a port of one queue belongs to one worker, and the next port to the next; all can send")
{
	static const char *const names[] = { "a", "b", "c" };
	struct dpdk_port *p[3];
	u32 receivers[2] = { 0 };

	open_workers(2);
	for (u32 i = 0; i < 3; i++) {
		char devargs[64];

		snprintf(devargs, sizeof(devargs), "net_pcap_%s,iface=lo", names[i]);
		p[i] = rig_port(names[i], devargs, &status, error);
		if (!p[i]) {
			printf("SKIPPED: net_pcap on lo: %s\n", error);
			while (i)
				dpdk_port_remove(p[--i]);
			close_workers();
			return;
		}
		CHECK_EQ(p[i]->rx_queues, 1);
		CHECK_EQ(dpdk_port_bind(p[i], i + 1, error), LS_OK);
		for (u32 w = 0; w < 2; w++)
			receivers[w] += dpdk.us->device[i + 1]->ops->poll_fd(dpdk.us->device[i + 1], w) == -1;
	}
	CHECK_EQ(receivers[0] + receivers[1], 3);
	CHECK(receivers[0] && receivers[1]);
	for (u32 i = 0; i < 3; i++)
		dpdk_port_remove(p[i]);
	close_workers();
}

TEST("a frame that came before a shared port was enabled is not received; of a port of its own it is")
{
	u8 frame[64] = { 0 };
	struct ls_buf got[4];

	for (u32 shared = 0; shared < 2; shared++) {
		struct dpdk_port *p;
		struct ls_device *d;

		open_workers(1);
		p = rig_port("ring", "net_ring_r", &status, error);
		CHECK(p != NULL);
		p->spec.shared = shared;
		CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
		d = dpdk.us->device[1];
		rig_send(p, frame, sizeof(frame));
		d->ops->fresh(d, 0);
		CHECK_EQ(d->ops->rx(d, 0, got, 4, 0), shared ? 0 : 1);
		dpdk_port_remove(p);
		close_workers();
	}
}

/* What is sent from plain memory (a frame that waited for its next hop) is copied, and refused when it is too long. */
TEST("frames from plain memory leave too")
{
	static u8 frame[RIG_FRAME + 1];
	struct ls_buf b = { .data = frame, .len = 60 }, got[2];
	struct dpdk_port *p;
	struct ls_device *d;

	open_workers(1);
	p = rig_port("ring", "net_ring_r", &status, error);
	CHECK(p != NULL);
	CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
	d = dpdk.us->device[1];
	CHECK(d->ops->tx(d, 0, &b));
	b.len = RIG_FRAME + 1;
	CHECK(!d->ops->tx(d, 0, &b));
	d->ops->flush(d, 0);
	CHECK_EQ(d->ops->rx(d, 0, got, 2, 0), 1);
	CHECK_EQ(got[0].len, 60);
	dpdk_port_remove(p);
	close_workers();
}

int main(int argc, char **argv) { return rig_main(argc, argv); }
