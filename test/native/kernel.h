/* The XDP program in the kernel over maps of its own, one frame at a time by BPF_PROG_TEST_RUN: what lane_send() is for the userspace build.
 *
 * One CPU, the first: it is worker 0. Frames come from the loopback interface, whose device is set for each.
 */
#ifndef LOCKSTEP_TEST_KERNEL_H
#define LOCKSTEP_TEST_KERNEL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/ebpf/object.h"
#include "backend/ebpf/run.h"
#include "backend/ebpf/ways.h"
#include "check.h"
#include "lockstep/regions.h"
#include "packet.h"

#define LOOPBACK 1 /* its interface number in every namespace */
#define SKIPPED 77

static const char *const action_names[] = { "aborted", "drop", "pass", "tx", "redirect" };

static struct {
	struct bpf_object *object;
	int program, ways_in, scratch;
	u8 *elements; /* of the scratch map, one for each possible CPU */
} kernel;

static char log_text[1 << 20];

static int kernel_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static int map_fd(const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "ls_map_%s", name);
	return bpf_object__find_map_fd_by_name(kernel.object, full);
}

/* Maps of the right sizes, the program over them, a table over the maps. */
static struct ls_table *kernel_load(const struct ls_geometry *g)
{
	int fd[LS_REGION_COUNT], err_no = 0, failed;
	struct ls_table *t = NULL;
	struct ls_header h;
	u32 loopback = LOOPBACK;
	void *page;

	LIBBPF_OPTS(bpf_object_open_opts, open, .object_name = "lockstep", .kernel_log_buf = log_text, .kernel_log_size = sizeof(log_text));
	CHECK_EQ(ls_header_init(&h, g), LS_OK);
	kernel.object = bpf_object__open_mem(ls_bpf_object, ls_bpf_object_bytes, &open);
	CHECK(kernel.object);
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		char full[64];
		struct bpf_map *map;

		snprintf(full, sizeof(full), "ls_map_%s", ls_region_name[i]);
		map = bpf_object__find_map_by_name(kernel.object, full);
		CHECK(map);
		CHECK_EQ(bpf_map__value_size(map), h.regions[i].element);
		CHECK_EQ(bpf_map__set_max_entries(map, h.regions[i].count), 0);
	}
	failed = bpf_object__load(kernel.object);
	if (failed)
		CHECK_FAIL("the kernel refuses the program: %s\n%s", strerror(-failed), log_text + (strlen(log_text) > 2000 ? strlen(log_text) - 2000 : 0));
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		fd[i] = map_fd(ls_region_name[i]);
	kernel.program = bpf_program__fd(bpf_object__find_program_by_name(kernel.object, "ls_xdp"));
	kernel.ways_in = map_fd("ways_in");
	kernel.scratch = map_fd("scratch");
	kernel.elements = calloc((size_t)libbpf_num_possible_cpus(), (bpf_map__value_size(bpf_object__find_map_by_name(kernel.object, "ls_map_scratch")) + 7) & ~7u);
	CHECK(kernel.elements);
	for (u32 device = 1; device < LS_DEVICES_MAX; device++)
		CHECK_EQ(bpf_map_update_elem(map_fd("ways_out"), &device, &loopback, 0), 0);
	page = mmap(NULL, LS_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd[LS_REGION_HEADER], 0);
	CHECK(page != MAP_FAILED);
	memcpy(page, &h, sizeof(h));
	munmap(page, LS_HEADER_BYTES);
	CHECK_EQ(ls_table_over(fd, true, false, &t, &err_no), LS_OK);
	return t;
}

static u32 action_of(const struct lane *w, u32 port, u32 v)
{
	switch (v) {
	case LS_V_HOST: return XDP_PASS;
	case LS_V_TX: return w->e.banks[w->e.header->active_bank & 1].iface[w->pkt.out_iface].device == port ? XDP_TX : XDP_REDIRECT;
	default: return XDP_DROP;
	}
}

/* One frame through the program, as if it came by device `port`; lane_send() of the kernel. */
static u32 kernel_send(struct lane *w, u32 port, const u8 *bytes, u32 len)
{
	struct ls_way_in in = { .ifindex = LOOPBACK, .device = port };
	u32 slot = LOOPBACK, zero = 0;
	struct ls_run run;
	int failed;

	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = bytes, .data_size_in = len, .data_out = w->memory, .data_size_out = sizeof(w->memory), .repeat = 1);
	CHECK_EQ(bpf_map_update_elem(kernel.ways_in, &slot, &in, 0), 0);
	memcpy(w->before.global, w->e.worker_counters->c.global, sizeof(w->before.global));
	memcpy(w->before.drops, w->e.worker_counters->c.drops, sizeof(w->before.drops));
	failed = bpf_prog_test_run_opts(kernel.program, &o);
	if (failed)
		CHECK_FAIL("test run: %s", strerror(-failed));
	CHECK_EQ(bpf_map_lookup_elem(kernel.scratch, &zero, kernel.elements), 0);
	memcpy(&run, kernel.elements, sizeof(run)); /* CPU 0 comes first */
	w->pkt.drop = (u8)run.drop;
	w->pkt.out_iface = (u16)run.out_iface;
	w->pkt.flags = run.flags;
	w->frame = (struct ls_buf){ .data = w->memory, .len = o.data_size_out };
	if (o.retval != action_of(w, port, run.verdict))
		CHECK_FAIL("action %s for verdict %u", o.retval <= XDP_REDIRECT ? action_names[o.retval] : "?", run.verdict);
	return run.verdict;
}

static void kernel_close(void)
{
	bpf_object__close(kernel.object);
	free(kernel.elements);
	kernel.object = NULL;
}

/* Why the program cannot be tried here, or NULL. */
static const char *kernel_missing(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, mmapable, .map_flags = BPF_F_MMAPABLE);
	cpu_set_t first;
	int fd;

	libbpf_set_print(kernel_quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lockstep_probe", 4, 8, 1, &mmapable);
	if (fd < 0)
		return errno == EPERM ? "bpf() is not permitted (CAP_BPF, CAP_NET_ADMIN)" : "the kernel has no mmapable BPF arrays";
	close(fd);
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	return sched_setaffinity(0, sizeof(first), &first) == 0 ? NULL : "CPU 0 is not ours to run on";
}

#endif
