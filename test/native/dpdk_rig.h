/* DPDK in a test: EAL without huge pages and files, and a port that receives what it sends (net_ring), under the table of a test. */
#ifndef LOCKSTEP_TEST_DPDK_RIG_H
#define LOCKSTEP_TEST_DPDK_RIG_H

#include <rte_eal.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "dpdk/dpdk.h"

#define SKIPPED 77
#define RIG_BUFFERS 1024
#define RIG_FRAME 16384 /* the longest of the golden packets and its head */

/* EAL keeps what it has to the end. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

static char rig_prefix[64];

static inline void rig_over(void)
{
	char folder[128];

	rte_eal_cleanup();
	snprintf(folder, sizeof(folder), "/var/run/dpdk/%s", rig_prefix + strlen("--file-prefix="));
	if (rmdir(folder) != 0 && geteuid() == 0)
		printf("left: %s\n", folder);
}

/* NULL, or why DPDK cannot be had here. */
static inline const char *rig_missing(void)
{
	static char *args[] = { "test", "--no-huge", "-m", "128", "--no-shconf", "--no-pci", "--no-telemetry", "--lcores=0", "--log-level=critical", rig_prefix, NULL };

	snprintf(rig_prefix, sizeof(rig_prefix), "--file-prefix=lockstep-test-%d", getpid());
	if (rte_eal_init(10, args) < 0)
		return "EAL does not start here";
	atexit(rig_over);
	dpdk.frame_bytes = RIG_FRAME;
	dpdk.workers = 1;
	dpdk.pool = rte_pktmbuf_pool_create("test", RIG_BUFFERS, 0, 0, RIG_FRAME + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return dpdk.pool ? NULL : "no memory for packet buffers";
}

/* With a TAP of that name. */
static inline struct dpdk_port *rig_port_tap(const char *name, const char *devargs, const char *tap, enum ls_status *status, char *error)
{
	struct ls_dpdk_port spec = { 0 };

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	snprintf(spec.devargs, sizeof(spec.devargs), "%s", devargs);
	snprintf(spec.tap, sizeof(spec.tap), "%s", tap);
	return dpdk_port_add(&spec, status, error);
}

static inline struct dpdk_port *rig_port(const char *name, const char *devargs, enum ls_status *status, char *error)
{
	return rig_port_tap(name, devargs, "", status, error);
}

static inline int rig_main(int argc, char **argv)
{
	const char *why = rig_missing();

	if (!why)
		return check_main(argc, argv);
	printf("SKIPPED: %s\n", why);
	return SKIPPED;
}

/* A frame that comes in by its first queue. */
static inline void rig_send(const struct dpdk_port *p, const u8 *bytes, u32 len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(dpdk.pool);

	memcpy(rte_pktmbuf_append(m, (u16)len), bytes, len);
	if (rte_eth_tx_burst(p->id, 0, &m, 1) != 1)
		rte_pktmbuf_free(m);
}

#endif
