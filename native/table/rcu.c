/* The grace of XDP programs (R4). They pass no quiescent points of their own, but the kernel runs each inside an RCU read section: a grace period of RCU has
 * seen the end of every run that began before it.
 */
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "table/table.h"

static int bpf(int command, union bpf_attr *a) { return (int)syscall(SYS_bpf, command, a, sizeof(*a)); }

/* Changing an element of an array of maps waits for RCU too, also where isolated CPUs (nohz_full) forbid the membarrier. */
static bool grace_by_maps(void)
{
	union bpf_attr a;
	u32 zero = 0;
	int inner, outer = -1, done = -1;

	memset(&a, 0, sizeof(a));
	a.map_type = BPF_MAP_TYPE_ARRAY;
	a.key_size = a.value_size = 4;
	a.max_entries = 1;
	inner = bpf(BPF_MAP_CREATE, &a);
	if (inner >= 0) {
		a.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
		a.inner_map_fd = (u32)inner;
		outer = bpf(BPF_MAP_CREATE, &a);
	}
	if (outer >= 0) {
		memset(&a, 0, sizeof(a));
		a.map_fd = (u32)outer;
		a.key = (u64)(uintptr_t)&zero;
		a.value = (u64)(uintptr_t)&inner;
		done = bpf(BPF_MAP_UPDATE_ELEM, &a);
		close(outer);
	}
	if (inner >= 0)
		close(inner);
	return done == 0;
}

bool ls_rcu_grace(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 || grace_by_maps(); }

void ls_programs_grace(const struct ls_table *t)
{
	for (u32 w = 0; w < t->env.header->cpus; w++) {
		if (!LS_LOAD_ACQ(&t->env.workers[w].attached))
			continue;
		while (!ls_rcu_grace()) /* without proof nothing may be freed */
			usleep(10000);
		return;
	}
}
