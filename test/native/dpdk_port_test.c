/* Ports of DPDK: found and refused, divided among workers, given back. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "own_netns.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "check.h"
#include "dpdk_rig.h"
#include "pipeline/parse.h"
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

TEST("devargs of a device that a port has are refused by the port's name, and that port forwards on")
{
	u8 frame[64] = { 0 };
	struct ls_buf got[2];
	struct dpdk_port *p;

	open_workers(1);
	p = rig_port("first", "net_ring_r", &status, error);
	CHECK(p != NULL);
	CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
	for (u32 i = 0; i < 2; i++) {
		CHECK(rig_port("second", i ? "vdev:net_ring_r" : "net_ring_r", &status, error) == NULL);
		CHECK_EQ(status, LS_E_CONFLICT);
		CHECK(strstr(error, "second") && strstr(error, "first") && strstr(error, "net_ring_r"));
		rig_send(p, frame, sizeof(frame));
		CHECK_EQ(dpdk.us->device[1]->ops->rx(dpdk.us->device[1], 0, got, 2, 0), 1);
	}
	dpdk_port_remove(p);
	p = rig_port("second", "net_ring_r", &status, error); /* it is free again */
	CHECK(p != NULL);
	dpdk_port_remove(p);
	close_workers();
}

TEST("a port of one queue belongs to one worker, and the next port to the next; all can send")
{
	static const char *const names[] = { "a", "b", "c" };
	struct dpdk_port *p[3];
	u32 receivers[2] = { 0 };
	int before = netns_enter();

	if (before < 0)
		return;
	CHECK(sh("ip link set lo mtu 1500 up"));
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
			return netns_leave(before);
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
	netns_leave(before);
}

TEST("a frame that came before a shared port was enabled is not received, one that came after it is; of a port of its own both are")
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
		ls_us_enable(dpdk.us, 1);
		rig_send(p, frame, sizeof(frame)); /* before the worker has looked even once */
		CHECK_EQ(d->ops->rx(d, 0, got, 4, 0), shared ? 1 : 2);
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

/* net_ring passes the flags on as the sender set them: it stands for a driver whose hardware looked. */
TEST("an IPv4 header whose sum the port found right is not summed again, until what is before it is taken off")
{
	static const struct { u64 flags; bool good; } cases[] = {
		{ RTE_MBUF_F_RX_IP_CKSUM_GOOD, true }, { RTE_MBUF_F_RX_IP_CKSUM_BAD, false }, { RTE_MBUF_F_RX_IP_CKSUM_NONE, false }, { 0, false },
	};
	u8 frame[64] = { [12] = 8, [14] = 0x45, [17] = 50, [22] = 64, [23] = 253 }; /* its sum is wrong */
	struct dpdk_port *p;
	struct ls_device *d;

	open_workers(1);
	p = rig_port("ring", "net_ring_r", &status, error);
	CHECK(p != NULL);
	CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
	d = dpdk.us->device[1];
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ls_pkt pkt = { .l3 = 14 };
		struct rte_mbuf *m = rte_pktmbuf_alloc(dpdk.pool);
		struct ls_buf got;

		memcpy(rte_pktmbuf_append(m, sizeof(frame)), frame, sizeof(frame));
		m->ol_flags = cases[i].flags;
		CHECK_EQ(rte_eth_tx_burst(p->id, 0, &m, 1), 1);
		CHECK_EQ(d->ops->rx(d, 0, &got, 1, 0), 1);
		CHECK_EQ(got.sum_good, cases[i].good);
		pkt.buf = &got;
		CHECK_EQ(ls_parse_ip4(&pkt, 14), cases[i].good ? LS_DROP_NONE : LS_DROP_BAD_CHECKSUM);
		CHECK(port_push(&got, 4) && port_pull(&got, 4));
		CHECK_EQ(ls_parse_ip4(&pkt, 14), LS_DROP_BAD_CHECKSUM);
	}
	dpdk_port_remove(p);
	close_workers();
}

/* net_tap looks itself; the kernel sends. */
TEST("a driver that can look at the sums of IPv4 headers is asked to")
{
	u8 frame[64] = { [5] = 2, [12] = 8, [14] = 0x45, [17] = 50, [22] = 64, [23] = 253 }, got_good[2] = { 0, 0 }, seen = 0;
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct dpdk_port *p;
	struct ls_device *d;
	int fd;

	open_workers(1);
	p = rig_port("tap", "net_tap_sums,iface=lstsums", &status, error);
	if (!p) {
		printf("SKIPPED: net_tap: %s\n", error);
		return close_workers();
	}
	CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
	d = dpdk.us->device[1];
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	CHECK(fd >= 0);
	to.sll_ifindex = (int)if_nametoindex("lstsums");
	for (u32 right = 0; right < 2; right++) {
		frame[15] = (u8)right; /* by it they are told apart */
		ls_put16(frame + 24, 0);
		ls_set_raw16(frame + 24, (be16)~ls_fold(ls_sum_words(frame + 14, 10)));
		frame[25] ^= !right;
		CHECK_EQ(sendto(fd, frame, sizeof(frame), 0, (void *)&to, sizeof(to)), sizeof(frame));
	}
	for (u32 tries = 0; seen < 2 && tries < 5000; tries++) { /* the kernel has frames of its own for a new link */
		struct ls_buf got;

		usleep(1000);
		if (d->ops->rx(d, 0, &got, 1, 0) != 1 || got.len < 34 || got.data[23] != 253)
			continue;
		got_good[got.data[15] & 1] = got.sum_good;
		seen++;
	}
	close(fd);
	CHECK_EQ(seen, 2);
	CHECK(!got_good[0]);
	CHECK(got_good[1]);
	dpdk_port_remove(p);
	close_workers();
}

/* A namespace with the link va - vb, and a port over va; NULL: it cannot be had here, and everything is as before. */
static struct dpdk_port *over_va(int *before, const char *mtu)
{
	struct dpdk_port *p;
	char command[128];

	*before = netns_enter();
	if (*before < 0)
		return NULL;
	snprintf(command, sizeof(command), "ip link add va mtu %s type veth peer name vb mtu %s && ip link set va up && ip link set vb up", mtu, mtu);
	if (!sh(command)) {
		printf("SKIPPED: needs iproute2 and veth\n");
		netns_leave(*before);
		return NULL;
	}
	open_workers(1);
	p = rig_port("wan", "net_af_packet_va,iface=va,framesz=2048", &status, error);
	if (p)
		CHECK_EQ(dpdk_port_bind(p, 1, error), LS_OK);
	return p;
}

static void leave_va(struct dpdk_port *p, int before)
{
	if (p)
		dpdk_port_remove(p);
	close_workers();
	netns_leave(before);
}

/* The kernel takes up to a second to make a change of the link known. */
static bool link_becomes(struct dpdk_port *p, bool up)
{
	for (u32 ms = 0; ms < 10000 && p->up != up; ms++) {
		usleep(1000);
		dpdk_port_link(p);
	}
	return p->up == up && dpdk.us->device[p->device]->up == up;
}

TEST("the link of a port over a kernel interface is that interface's, and when it is deleted the port is gone")
{
	int before;
	struct dpdk_port *p = over_va(&before, "1500");

	if (before < 0)
		return;
	CHECK(p && link_becomes(p, true));
	CHECK(sh("ip link set vb down") && link_becomes(p, false));
	CHECK(sh("ip link set vb up") && link_becomes(p, true));
	CHECK(sh("ip link set va down") && link_becomes(p, false));
	CHECK(sh("ip link set va up") && link_becomes(p, true));
	CHECK(!p->gone);
	CHECK(sh("ip link del va") && link_becomes(p, false));
	CHECK(p->gone);
	leave_va(p, before);
}

TEST("a kernel interface keeps its flags: multicast comes by a membership, which goes with the port")
{
	static const char *const promiscuous = "ip link show va | grep -q PROMISC";
	int before;
	struct dpdk_port *p = over_va(&before, "1500");

	if (before < 0)
		return;
	CHECK(p && !sh(promiscuous));
	CHECK(sh("ip -d link show va | grep -q 'promiscuity 0.*allmulti 1'"));
	dpdk_port_remove(p);
	CHECK(!sh(promiscuous));
	CHECK(sh("ip -d link show va | grep -q 'promiscuity 0.*allmulti 0'"));
	leave_va(NULL, before);
}

TEST("an MTU whose frames do not fit is refused with both sizes, the largest that does is taken; a frame that was cut is dropped with its reason")
{
	/* ring_room(2048) = 1982, two tags and the link's header */
	static const struct { const char *mtu; bool fits; } cases[] = { { "1959", true }, { "1960", false }, { "9000", false } };
	u8 frame[3000] = { [0 ... 5] = 0xff, [12] = 0x88, [13] = 0xb6 }; /* IEEE 802, local experiments */
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct ls_buf got[8];
	int before, fd;

	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dpdk_port *p = over_va(&before, cases[i].mtu);
		u32 whole = 0, cut = 0;

		if (before < 0)
			return;
		CHECK_AT("MTU %s", cases[i].mtu);
		CHECK_EQ(p != NULL, cases[i].fits);
		if (!p) {
			CHECK(status == LS_E_UNSUPPORTED && strstr(error, cases[i].mtu) && strstr(error, "1982"));
			leave_va(p, before);
			continue;
		}
		CHECK_EQ(p->mtu, atoi(cases[i].mtu));
		CHECK(sh("ip link set va mtu 4000 && ip link set vb mtu 4000") && link_becomes(p, true));
		fd = socket(AF_PACKET, SOCK_RAW, 0);
		to.sll_ifindex = (int)if_nametoindex("vb");
		CHECK_EQ(sendto(fd, frame, sizeof(frame), 0, (void *)&to, sizeof(to)), sizeof(frame));
		CHECK_EQ(sendto(fd, frame, 1981, 0, (void *)&to, sizeof(to)), 1981);
		close(fd);
		for (u32 tries = 0; tries < 5000 && !whole; tries++) {
			u32 n = dpdk.us->device[1]->ops->rx(dpdk.us->device[1], 0, got, 8, 0);

			for (u32 k = 0; k < n; k++)
				if (got[k].data[12] == 0x88 && got[k].data[13] == 0xb6)
					got[k].len == 1981 ? whole++ : cut++;
			usleep(1000);
		}
		CHECK_EQ(whole, 1);
		CHECK_EQ(cut, 0);
		CHECK_EQ(dpdk.us->device[1]->notes[0].long_frames, 1);
		leave_va(p, before);
	}
}

static bool tap_ready(int *before)
{
	*before = netns_enter();
	if (*before >= 0 && access("/dev/net/tun", R_OK | W_OK) == 0)
		return true;
	printf("SKIPPED: needs /dev/net/tun\n");
	if (*before >= 0)
		netns_leave(*before);
	return false;
}

TEST("the host's end of a port whose link is down from the start has no carrier")
{
	struct dpdk_port *p;
	int before;

	if (!tap_ready(&before))
		return;
	open_workers(1);
	p = rig_port_tap("up", "net_null_u", "host", &status, error);
	CHECK(p != NULL);
	CHECK(p->up && sh("ethtool host | grep -q 'Link detected: yes'"));
	dpdk_tap_forget(p);
	dpdk_port_remove(p);
	p = rig_port_tap("down", "net_memif_m,role=server,socket-abstract=yes,socket=lockstep-test-nobody", "host", &status, error);
	if (!p) {
		printf("SKIPPED: net_memif: %s\n", error);
	} else {
		CHECK(!p->up && sh("ethtool host | grep -q 'Link detected: no'"));
		dpdk_tap_forget(p);
		dpdk_port_remove(p);
	}
	close_workers();
	netns_leave(before);
}

TEST("the host's end is deleted: its descriptor, which would be ready for ever, is closed, and the port is gone and down")
{
	struct pollfd f = { .events = POLLIN };
	struct dpdk_port *p;
	int before;

	if (!tap_ready(&before))
		return;
	open_workers(1);
	p = rig_port_tap("null", "net_null_u", "host", &status, error);
	CHECK(p && p->up && p->tap >= 0);
	CHECK(sh("ip link del host"));
	f.fd = p->tap;
	CHECK_EQ(poll(&f, 1, 0), 1);
	dpdk_tap_serve(p, f.revents);
	CHECK_EQ(p->tap, -1);
	CHECK(p->gone && dpdk_port_link(p) && !p->up);
	CHECK(!dpdk_port_link(p)); /* told once */
	dpdk_port_remove(p);
	close_workers();
	netns_leave(before);
}

TEST("the kernel's end of net_tap is deleted: the port is gone")
{
	struct dpdk_port *p;
	int before;

	if (!tap_ready(&before))
		return;
	open_workers(1);
	p = rig_port("tap", "net_tap_gone,iface=lstgone", &status, error);
	CHECK(p && !p->gone);
	CHECK(sh("ip link del lstgone"));
	dpdk_port_link(p);
	CHECK(p->gone && !p->up);
	dpdk_port_remove(p);
	close_workers();
	netns_leave(before);
}

TEST("a driver that complains all the time waits for nobody who does not read, and what it says is cut to a measure, which is told")
{
	static char said[1 << 20];
	int saved = dup(STDERR_FILENO), ends[2];
	u32 lines = 0, told = 0;
	size_t at = 0;
	ssize_t n;

	CHECK(saved >= 0 && pipe(ends) == 0);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO && dpdk_log_open());
	for (u32 i = 0; i < 1000; i++) /* 60 kB into 4: it would stand still here */
		RTE_LOG(CRIT, USER1, "complaint %4u, and something that makes a line of it\n", i);
	for (u32 i = 0; i < 100000; i++) {
		if (i % 8 == 0 && (n = read(ends[0], said + at, sizeof(said) - 1 - at)) > 0)
			at += (size_t)n;
		RTE_LOG(CRIT, USER1, "complaint\n");
	}
	for (u32 i = 0; i < 100 && !strstr(said, "lines were left out"); i++) { /* there is room again */
		usleep(20000);
		RTE_LOG(CRIT, USER1, "complaint\n");
		if ((n = read(ends[0], said + at, sizeof(said) - 1 - at)) > 0)
			at += (size_t)n;
	}
	rte_openlog_stream(NULL);
	dup2(saved, STDERR_FILENO);
	for (char *l = strtok(said, "\n"); l; l = strtok(NULL, "\n")) {
		told += strncmp(l, "<5>", 3) == 0 && strstr(l, "left out") != NULL;
		lines += strncmp(l, "<3>", 3) == 0;
	}
	close(saved);
	close(ends[0]);
	close(ends[1]);
	CHECK(lines > 0 && lines < 50000);
	CHECK(told > 0);
}

int main(int argc, char **argv) { return rig_main(argc, argv); }
