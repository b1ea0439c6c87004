/* EAL for a bench: no huge pages and no files but a folder that goes with it; DPDK's memory is in small pages, so what it is compared with is, too. */
#ifndef LOCKSTEP_BENCH_EAL_H
#define LOCKSTEP_BENCH_EAL_H

#include <rte_eal.h>

#include "bench.h"

static char bench_eal_prefix[64];

static inline void bench_eal_over(void)
{
	char folder[128];

	snprintf(folder, sizeof(folder), "/var/run/dpdk/%s", bench_eal_prefix + strlen("--file-prefix="));
	rmdir(folder);
}

/* Lcores 0 to `workers`, wherever the kernel puts them. False with the reason as a note. */
static inline bool bench_eal(u32 mib, u32 workers)
{
	static char memory[16], lcores[64];
	static char *args[] = { "bench", "--no-huge", "-m", memory, "--no-shconf", "--no-pci", "--no-telemetry", "--log-level=critical", bench_eal_prefix, lcores, NULL };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	snprintf(memory, sizeof(memory), "%u", mib);
	snprintf(bench_eal_prefix, sizeof(bench_eal_prefix), "--file-prefix=lockstep-bench-%d", (int)getpid());
	snprintf(lcores, sizeof(lcores), "--lcores=(0-%u)@(0-%ld)", workers, cpus - 1);
	if (rte_eal_init(10, args) < 0) {
		bench_note("dpdk_skipped", "EAL does not start here");
		return false;
	}
	atexit(bench_eal_over);
	return true;
}

#endif
