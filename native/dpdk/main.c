/* lockstep-dpdk: packet workers on DPDK's lcores, over a session table that the agent holds. A child of the agent's: what EAL does to a process (it takes its
 * memory, its signals, at times its life) is done to this one, and the agent adopts what it leaves (R6).
 *
 * Usage: lockstep-dpdk FIRST WORKERS MBUFS FRAME_BYTES sleep|poll DESCRIPTORS -- EAL ARGUMENTS: the packet threads FIRST to FIRST + WORKERS - 1 of the table; lcore 0
 * is for this thread, 1 to WORKERS are the workers'. Descriptors: LS_DPDK_CONTROL_FD, then DESCRIPTORS of the table. Standard error has the log (log.c). It ends when
 * the socket does, and dies with the agent.
 */
#include <errno.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

#define LINK_MS 1000 /* drivers without link events are asked */

struct question {
	struct ls_dpdk_head head;
	union {
		struct ls_dpdk_port port;
		struct ls_dpdk_which which;
	};
};

static bool say(u32 kind, u32 seq, const void *a, u32 a_bytes, const void *b, u32 b_bytes)
{
	struct ls_dpdk_head head = { .bytes = (u32)sizeof(head) + a_bytes + b_bytes, .kind = (u16)kind, .seq = seq };
	const struct { const void *at; u32 bytes; } part[] = { { &head, sizeof(head) }, { a, a_bytes }, { b, b_bytes } };

	for (u32 i = 0; i < 3; i++)
		for (u32 at = 0; at < part[i].bytes;) {
			ssize_t n = send(dpdk.control, (const u8 *)part[i].at + at, part[i].bytes - at, MSG_NOSIGNAL);

			if (n < 0 && errno != EINTR)
				return false;
			at += n > 0 ? (u32)n : 0;
		}
	return true;
}

static bool hear(void *to, u32 bytes)
{
	for (u32 at = 0; at < bytes;) {
		ssize_t n = recv(dpdk.control, (u8 *)to + at, bytes - at, 0);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? (u32)n : 0;
	}
	return true;
}

static void describe(struct ls_dpdk_answer *a, const struct dpdk_port *p)
{
	struct rte_eth_dev_info info;

	a->port = p->id;
	a->mtu = p->mtu;
	a->rx_queues = (u16)p->rx_queues;
	a->tx_queues = (u16)p->tx_queues;
	memcpy(a->mac, p->mac, 6);
	if (rte_eth_dev_info_get(p->id, &info) == 0 && info.driver_name)
		snprintf(a->driver, sizeof(a->driver), "%s", info.driver_name);
}

struct figures {
	struct ls_dpdk_stats stats;
	struct ls_dpdk_xstat xstat[];
};

/* What every driver counts, then `*n` figures of its own, however many it has. The caller frees it. NULL: no memory. */
static struct figures *count(const struct dpdk_port *p, u32 *n)
{
	int has = rte_eth_xstats_get_names(p->id, NULL, 0);
	u32 max = has > 0 ? (u32)has : 0;
	struct figures *f = calloc(1, sizeof(*f) + max * sizeof(f->xstat[0]));
	struct rte_eth_xstat_name *name = calloc(max + 1, sizeof(*name));
	struct rte_eth_xstat *value = calloc(max + 1, sizeof(*value));
	struct rte_eth_stats s = { 0 };
	struct rte_eth_link link = { 0 };

	*n = 0;
	if (!f || !name || !value)
		goto done;
	if (rte_eth_stats_get(p->id, &s) != 0)
		memset(&s, 0, sizeof(s));
	if (rte_eth_link_get_nowait(p->id, &link) != 0)
		link.link_speed = RTE_ETH_SPEED_NUM_UNKNOWN;
	f->stats = (struct ls_dpdk_stats){ .rx_packets = s.ipackets, .tx_packets = s.opackets, .rx_bytes = s.ibytes, .tx_bytes = s.obytes, .rx_missed = s.imissed, .rx_errors = s.ierrors,
		.tx_errors = s.oerrors, .rx_nombuf = s.rx_nombuf, .up = p->up, .speed_mbit = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed };
	if (rte_eth_xstats_get_names(p->id, name, max) != has || rte_eth_xstats_get(p->id, value, max) != has)
		goto done;
	for (*n = 0; *n < max; ++*n) {
		memcpy(f->xstat[*n].name, name[value[*n].id].name, sizeof(f->xstat[*n].name));
		f->xstat[*n].value = value[*n].value;
	}
done:
	free(name);
	free(value);
	return f;
}

/* What the question is about; NULL and a text: there is none of that number. */
static struct dpdk_port *subject(const struct question *q, char *text)
{
	bool by_device = q->head.kind == LS_DPDK_ENABLE || q->head.kind == LS_DPDK_DISABLE;
	struct dpdk_port *p = by_device ? NULL : dpdk_port_of(q->which.port);

	for (u32 i = 0; by_device && q->which.device && i < LS_DEVICES_MAX; i++)
		if (dpdk.port[i].used && dpdk.port[i].device == q->which.device)
			p = &dpdk.port[i];
	if (!p)
		snprintf(text, LS_DPDK_TEXT, by_device ? "no port of DPDK is device %u" : "there is no port %u of DPDK", by_device ? q->which.device : q->which.port);
	return p;
}

/* False: the agent does not hear. */
static bool answer(const struct question *q)
{
	struct ls_dpdk_answer a = { .status = LS_OK };
	enum ls_status status = LS_OK;
	struct figures *f = NULL;
	struct dpdk_port *p;
	u32 more = 0;
	bool heard;

	switch (q->head.kind) {
	case LS_DPDK_ADD:
		p = dpdk_port_add(&q->port, &status, a.text);
		if (p)
			describe(&a, p);
		goto done;
	case LS_DPDK_REMOVE:
	case LS_DPDK_BIND:
	case LS_DPDK_ENABLE:
	case LS_DPDK_DISABLE:
	case LS_DPDK_STATS: p = subject(q, a.text); break;
	default:
		status = LS_E_UNSUPPORTED;
		snprintf(a.text, sizeof(a.text), "unknown question %u", q->head.kind);
		goto done;
	}
	if (!p) {
		status = LS_E_NO_DEVICE;
		goto done;
	}
	switch (q->head.kind) {
	case LS_DPDK_REMOVE:
		dpdk_tap_forget(p);
		dpdk_port_remove(p);
		break;
	case LS_DPDK_BIND: status = dpdk_port_bind(p, q->which.device, a.text); break;
	case LS_DPDK_ENABLE: ls_us_enable(dpdk.us, p->device); break;
	case LS_DPDK_DISABLE: ls_us_disable(dpdk.us, p->device); break;
	case LS_DPDK_STATS:
		f = count(p, &a.count);
		if (!f) {
			status = LS_E_NOMEM;
			break;
		}
		describe(&a, p);
		more = (u32)sizeof(*f) + a.count * (u32)sizeof(f->xstat[0]);
	}
done:
	a.status = status;
	heard = say(LS_DPDK_ANSWER, q->head.seq, &a, sizeof(a), f, more);
	free(f);
	return heard;
}

/* Text of the agent's ends where its field does. */
static void end_texts(struct ls_dpdk_port *p)
{
	p->name[sizeof(p->name) - 1] = 0;
	p->devargs[sizeof(p->devargs) - 1] = 0;
	p->netns[sizeof(p->netns) - 1] = 0;
	p->tap[sizeof(p->tap) - 1] = 0;
}

/* False: it is over. */
static bool serve(void)
{
	static struct question q;

	if (!hear(&q.head, sizeof(q.head)) || q.head.bytes < sizeof(q.head) || q.head.bytes > sizeof(q) || !hear(&q.port, q.head.bytes - (u32)sizeof(q.head)))
		return false;
	if (q.head.kind == LS_DPDK_STOP)
		return false;
	if (q.head.kind == LS_DPDK_ADD)
		end_texts(&q.port);
	return answer(&q);
}

static void look_at_links(void)
{
	for (u32 i = 0; i < LS_DEVICES_MAX; i++) {
		struct dpdk_port *p = &dpdk.port[i];

		if (p->used && dpdk_port_link(p))
			say(LS_DPDK_LINK, 0, &(struct ls_dpdk_which){ .port = p->id, .device = p->device, .up = p->up }, sizeof(struct ls_dpdk_which), NULL, 0);
	}
}

static void run(void)
{
	struct pollfd f[2 + LS_DEVICES_MAX] = { { .fd = dpdk.control, .events = POLLIN }, { .fd = dpdk.changed, .events = POLLIN } };
	u64 looked = ls_clock_ns(), count_of;

	for (bool on = true; on;) {
		for (u32 i = 0; i < LS_DEVICES_MAX; i++)
			f[2 + i] = (struct pollfd){ .fd = dpdk.port[i].used ? dpdk.port[i].tap : -1, .events = POLLIN };
		if (poll(f, 2 + LS_DEVICES_MAX, LINK_MS) < 0 && errno != EINTR)
			return;
		for (u32 i = 0; i < LS_DEVICES_MAX; i++)
			if (f[2 + i].revents)
				dpdk_tap_serve(&dpdk.port[i], f[2 + i].revents);
		if ((f[1].revents && read(dpdk.changed, &count_of, 8) > 0) || ls_clock_ns() > looked + LINK_MS * 1000000ULL) {
			looked = ls_clock_ns();
			look_at_links();
		}
		if (f[0].revents)
			on = serve();
	}
}

static int worker(void *arg)
{
	ls_us_worker_main(arg);
	return 0;
}

/* The lcores run from here on. */
static bool launch(bool sleepless)
{
	dpdk.us->sleepless = sleepless;
	dpdk.us->run = true;
	for (u32 i = 0; i < dpdk.workers; i++) {
		struct ls_us_worker *w = &dpdk.us->worker[i];

		if (!ls_worker_join(dpdk.table, w->id)) {
			RTE_LOG(ERR, USER1, "lockstep: packet thread %u of the table is taken\n", i);
			return false;
		}
		ls_env_worker(dpdk.table, w->id, &w->env);
		if (rte_eal_remote_launch(worker, w, i + 1) != 0) {
			RTE_LOG(ERR, USER1, "lockstep: there is no lcore %u\n", i + 1);
			return false;
		}
	}
	return true;
}

static void stop(void)
{
	dpdk.us->run = false;
	ls_us_wake(dpdk.us);
	rte_eal_mp_wait_lcore();
	for (u32 i = 0; i < LS_DEVICES_MAX; i++)
		if (dpdk.port[i].used)
			dpdk_port_remove(&dpdk.port[i]);
	ls_us_free(dpdk.us);
	ls_table_close(dpdk.table);
	rte_mempool_free(dpdk.pool);
	rte_eal_cleanup();
}

static bool join(u32 first, u32 descriptors)
{
	int fds[LS_REGION_COUNT], err_no = 0;
	enum ls_status status;

	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		fds[i] = LS_DPDK_CONTROL_FD + 1 + (int)i;
	status = ls_table_join(fds, descriptors, &dpdk.table, &err_no);
	if (status != LS_OK) {
		RTE_LOG(ERR, USER1, "lockstep: the table cannot be mapped: status %d, %s\n", status, strerror(err_no));
		return false;
	}
	dpdk.us = ls_us_new(dpdk.table, first, dpdk.workers);
	if (!dpdk.us)
		RTE_LOG(ERR, USER1, "lockstep: the table has room for %u packet threads, %u to %u were asked for\n", ls_thread_workers(dpdk.table), first, first + dpdk.workers - 1);
	return dpdk.us != NULL;
}

int main(int argc, char **argv)
{
	struct ls_dpdk_hello hello = { 0 };
	u32 first, mbufs;

	if (argc == 2 && strcmp(argv[1], "version") == 0)
		return puts(rte_version()) < 0;
	if (argc < 8 || strcmp(argv[7], "--") != 0) {
		fprintf(stderr, "usage: lockstep-dpdk FIRST WORKERS MBUFS FRAME_BYTES sleep|poll DESCRIPTORS -- EAL ARGUMENTS; the agent starts it\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever adopts the table counts on it */
	signal(SIGINT, SIG_IGN); /* of a terminal: the agent's affair */
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	first = (u32)strtoul(argv[1], NULL, 10);
	dpdk.workers = (u32)strtoul(argv[2], NULL, 10);
	mbufs = (u32)strtoul(argv[3], NULL, 10);
	dpdk.frame_bytes = (u32)strtoul(argv[4], NULL, 10);
	dpdk.control = LS_DPDK_CONTROL_FD;
	dpdk.changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dpdk.changed < 0 || !dpdk_log_open())
		return 1;
	argv[7] = argv[0];
	if (rte_eal_init(argc - 7, argv + 7) < 0)
		return 1;
	dpdk.pool = rte_pktmbuf_pool_create("lockstep", mbufs, 256, 0, (u16)(dpdk.frame_bytes + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	if (!dpdk.pool) {
		RTE_LOG(ERR, USER1, "lockstep: no memory for %u buffers of %u bytes: give agent.dpdk.memory more, or take fewer buffers\n", mbufs, dpdk.frame_bytes);
		return 1;
	}
	if (!join(first, (u32)strtoul(argv[6], NULL, 10)) || !launch(strcmp(argv[5], "poll") == 0))
		return 1;
	snprintf(hello.version, sizeof(hello.version), "%s", rte_version());
	hello.workers = dpdk.workers;
	hello.mbuf_bytes = dpdk.frame_bytes;
	if (say(LS_DPDK_HELLO, 0, &hello, sizeof(hello), NULL, 0))
		run();
	stop();
	return 0;
}
