/* The golden packets (golden.h) in the kernel: the XDP program over maps, each frame by BPF_PROG_TEST_RUN. Beside it the userspace build gets the same
 * frames over a table of its own; what both tell by notices has to be equal too.
 *
 * One CPU, the first: it is worker 0, as the files say. Frames come from the loopback interface, whose device the test sets for each.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

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
#include "golden.h"
#include "lockstep/regions.h"

#define LOOPBACK 1 /* its interface number in every namespace */
#define SKIPPED 77

static const char *const action_names[] = { "aborted", "drop", "pass", "tx", "redirect" };

static struct {
	struct bpf_object *object;
	int program, ways_in, scratch;
	u8 *elements; /* of the scratch map, one for each possible CPU */
	struct lane *user; /* the same frames in user space */
} kernel;

static char log_text[1 << 20];

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
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
static struct ls_table *load(u32 capacity)
{
	struct ls_geometry g = { .capacity = capacity, .cpus = 1, .threads = 1, .arena = 4096 };
	int fd[LS_REGION_COUNT], err_no = 0, failed;
	struct ls_table *t = NULL;
	struct ls_header h;
	u32 loopback = LOOPBACK;
	void *page;

	LIBBPF_OPTS(bpf_object_open_opts, open, .object_name = "lockstep", .kernel_log_buf = log_text, .kernel_log_size = sizeof(log_text));
	CHECK_EQ(ls_header_init(&h, &g), LS_OK);
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

static struct lane *open_user(void)
{
	struct ls_table *t = table_new(1 << 10);

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	return lane_open(t, 0);
}

static struct lane *open_kernel(void)
{
	struct ls_table *t = load(1 << 10);

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	kernel.user = open_user();
	return lane_open(t, 0);
}

static void close_lane(struct lane *w)
{
	ls_worker_detach(w->t, 0);
	ls_table_close(w->t);
	free(w);
}

/* What both builds tell about their sessions, but for times and the numbers that are random per table. */
static void compare_notices(struct lane *w)
{
	struct ls_wire_record mine[64], user[64];
	u64 lost;
	u32 n = ls_table_drain(w->t, mine, 64, &lost);

	CHECK_EQ(lost, 0);
	CHECK_EQ(n, ls_table_drain(kernel.user->t, user, 64, &lost));
	for (u32 i = 0; i < n; i++) {
		mine[i].id.origin = user[i].id.origin = 0;
		mine[i].idle_ns = user[i].idle_ns = mine[i].age_ns = user[i].age_ns = 0;
		if (memcmp(&mine[i], &user[i], sizeof(mine[i])))
			CHECK_FAIL("notice %u (kind %u, slot %u) differs from the userspace build's (kind %u, slot %u)", i, mine[i].kind, mine[i].slot, user[i].kind,
				   user[i].slot);
	}
}

static void close_kernel(struct lane *w)
{
	compare_notices(w);
	CHECK_CLEAN(w->t);
	close_lane(kernel.user);
	close_lane(w);
	bpf_object__close(kernel.object);
	free(kernel.elements);
	kernel.object = NULL;
}

static u32 action_of(const struct lane *w, u32 port, u32 v)
{
	switch (v) {
	case LS_V_HOST: return XDP_PASS;
	case LS_V_TX: return w->e.banks[w->e.header->active_bank & 1].iface[w->pkt.out_iface].device == port ? XDP_TX : XDP_REDIRECT;
	default: return XDP_DROP;
	}
}

static bool send_kernel(struct lane *w, u32 port, const u8 *bytes, u32 len, u32 *verdict)
{
	struct ls_way_in in = { .ifindex = LOOPBACK, .device = port };
	u32 slot = LOOPBACK, zero = 0;
	struct ls_run run;
	int failed;

	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = bytes, .data_size_in = len, .data_out = w->memory, .data_size_out = sizeof(w->memory), .repeat = 1);
	if (len < 14)
		return false; /* the kernel takes no frame without a link header */
	lane_send(kernel.user, port, bytes, len);
	CHECK_EQ(bpf_map_update_elem(kernel.ways_in, &slot, &in, 0), 0);
	memcpy(w->before.global, w->e.worker_counters->c.global, sizeof(w->before.global));
	memcpy(w->before.drops, w->e.worker_counters->c.drops, sizeof(w->before.drops));
	failed = bpf_prog_test_run_opts(kernel.program, &o);
	if (failed)
		CHECK_FAIL("test run: %s", strerror(-failed));
	CHECK_EQ(bpf_map_lookup_elem(kernel.scratch, &zero, kernel.elements), 0);
	memcpy(&run, kernel.elements, sizeof(run)); /* CPU 0 comes first */
	*verdict = run.verdict;
	w->pkt.drop = (u8)run.drop;
	w->pkt.out_iface = (u16)run.out_iface;
	w->pkt.flags = run.flags;
	w->frame = (struct ls_buf){ .data = w->memory, .len = o.data_size_out };
	if (o.retval != action_of(w, port, *verdict))
		CHECK_FAIL("action %s for verdict %u", o.retval <= XDP_REDIRECT ? action_names[o.retval] : "?", *verdict);
	if (*verdict == LS_V_NEIGH) { /* the program's own affair, counted after the pipeline's verdict */
		CHECK_EQ(counted(w, LS_CTR_NEIGH_MISSES), 1);
		CHECK_EQ(drops_by(w, LS_DROP_NO_NEIGHBOUR), 1);
		w->before.global[LS_CTR_NEIGH_MISSES]++;
		w->before.global[LS_CTR_DROPS]++;
		w->before.drops[LS_DROP_NO_NEIGHBOUR]++;
	}
	return true;
}

/* The program reads the kernel's clock: instead of waiting, everything it may look at becomes older. */
static void wait_kernel(struct lane *w, u64 ns)
{
	kernel.user->shift_ns += ns;
	for (u32 i = 0; i < w->e.slots; i++)
		w->e.sessions[i].last_seen_ns -= ns;
}

TEST("golden packets in the kernel: the verdict, the bytes, the counters and the notices of every file")
{
	static const struct golden_build in_kernel = { open_kernel, send_kernel, wait_kernel, close_kernel };

	golden_folder(&in_kernel);
}

/* Frees a session that the program created: two graces with the CPU attached, and the slot comes back. */
TEST("a session of the program is freed after graces that wait for programs")
{
	struct lane *w = open_kernel();
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 5);
	struct ls_filter all = { 0 };
	struct ls_delete_result result;
	u64 ns = w->t->grace_ns_total;
	u32 v;

	CHECK(ls_rcu_grace());
	CHECK(send_kernel(w, PORT_TRUST, p.b, p.len, &v));
	CHECK_EQ(v, LS_V_TX);
	CHECK_EQ(live_count(w->t), 1);
	ls_table_delete_filter(w->t, &all, LS_CLOSE_ADMIN, NULL, &result);
	CHECK_EQ(result.deleted, 1);
	CHECK_EQ(live_count(w->t), 0);
	CHECK(w->t->grace_ns_total > ns);
	CHECK_CLEAN(w->t);
	ls_table_delete_filter(kernel.user->t, &all, LS_CLOSE_ADMIN, NULL, &result);
	close_kernel(w);
}

/* Why the program cannot be tried here, or NULL. */
static const char *missing(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, mmapable, .map_flags = BPF_F_MMAPABLE);
	cpu_set_t first;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lockstep_probe", 4, 8, 1, &mmapable);

	if (fd < 0)
		return errno == EPERM ? "bpf() is not permitted (CAP_BPF, CAP_NET_ADMIN)" : "the kernel has no mmapable BPF arrays";
	close(fd);
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	return sched_setaffinity(0, sizeof(first), &first) == 0 ? NULL : "CPU 0 is not ours to run on";
}

int main(int argc, char **argv)
{
	const char *why;

	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	why = missing();
	if (why) {
		printf("SKIPPED: %s\n", why);
		return SKIPPED;
	}
	return check_main(argc, argv);
}
