/* Nanoseconds per packet of the XDP program, beside the same program over kernel hash maps (peer.bpf.c), by BPF_PROG_TEST_RUN.
 *
 *   xdp_bench [--sessions 1048576] [--repeats 7] [--warm 1]
 *
 * warm 1: hits of 32 TCP sessions again and again, the parts of a hit, a pick from a Maglev ring, new flows. Always: cold hits, the sessions in random
 * order, while another CPU gets their replies.
 *
 * A call has about 20 ms of waiting in it, so CPU time is taken, as everywhere in the benches, and at least a million runs make one sample; new flows, of
 * which a worker has 65536 slots in hand, are sampled over slices with the table's upkeep in between.
 */
#include "setup.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "backend/ebpf/ways.h"
#include "lanes.h"
#include "lockstep/regions.h"

#define LOOPBACK 1 /* where frames of a test run come from */
#define RUNS 1000000
#define HOT 32
#define SETS 3 /* of them: hits, datagrams to the VIP, hits that leave where they came from */
#define SLICE 32768 /* flows between two upkeeps, at most: half a worker's free ring */
#define ONCE 4000

struct side {
	struct bpf_object *object;
	struct bench_lane *lanes;
	u8 *frames;
};

static struct side ours, peer;
static struct ls_table *table;
static u64 cold;  /* frames of a direction */
static u32 slice; /* flows between two upkeeps */

static int map_fd(const struct side *s, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(s->object, name);

	if (fd < 0)
		bench_fail(name, fd);
	return fd;
}

static void *map_memory(const struct side *s, const char *name, u64 bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(s, name), 0);

	if (at == MAP_FAILED)
		bench_fail(name, errno);
	return at;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* --- programs and maps ---------------------------------------------------------------------------------------------------------------------- */
static void resize(const struct side *s, const char *name, u64 entries)
{
	if (bpf_map__set_max_entries(bpf_object__find_map_by_name(s->object, name), (u32)entries) != 0)
		bench_fail(name, errno);
}

/* The peer works on the regions of ours: one configuration, one set of counters. */
static void load(struct side *s, const char *file, const struct ls_header *h, u64 frames, u64 sessions)
{
	static char log_text[1 << 20];
	struct bpf_program *program;
	u32 device;
	int failed;

	LIBBPF_OPTS(bpf_object_open_opts, open, .kernel_log_buf = log_text, .kernel_log_size = sizeof(log_text));
	s->object = bpf_object__open_file(file, &open);
	if (!s->object)
		bench_fail(file, errno);
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		char name[64];

		snprintf(name, sizeof(name), "ls_map_%s", ls_region_name[i]);
		if (s == &ours)
			resize(s, name, h->regions[i].count);
		else if (bpf_map__reuse_fd(bpf_object__find_map_by_name(s->object, name), map_fd(&ours, name)) != 0)
			bench_fail(name, errno);
	}
	resize(s, "ls_map_frames", frames);
	if (s == &peer) {
		resize(s, "peer_forward", sessions);
		resize(s, "peer_reply", sessions);
	}
	bpf_object__for_each_program(program, s->object)
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), "ls_out") != 0);
	failed = bpf_object__load(s->object);
	if (failed) {
		fprintf(stderr, "%s\n", log_text + (strlen(log_text) > 4000 ? strlen(log_text) - 4000 : 0));
		bench_fail("the kernel refuses the program", failed);
	}
	s->lanes = map_memory(s, "ls_map_lanes", LANES * sizeof(struct bench_lane));
	s->frames = map_memory(s, "ls_map_frames", frames * sizeof(struct bench_frame));
	for (device = 1; device <= 2; device++) {
		u32 loopback = LOOPBACK;

		if (bpf_map_update_elem(map_fd(s, "ls_map_ways_out"), &device, &loopback, 0) != 0)
			bench_fail("ls_map_ways_out", errno);
	}
	{
		struct ls_way_in in = { .ifindex = LOOPBACK, .device = 1 };
		u32 slot = LOOPBACK;

		if (bpf_map_update_elem(map_fd(s, "ls_map_ways_in"), &slot, &in, 0) != 0)
			bench_fail("ls_map_ways_in", errno);
	}
}

static void lay_table(const struct ls_header *h)
{
	int fd[LS_REGION_COUNT], err_no = 0;
	void *page = map_memory(&ours, "ls_map_header", LS_HEADER_BYTES);

	memcpy(page, h, sizeof(*h));
	munmap(page, LS_HEADER_BYTES);
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		char name[64];

		snprintf(name, sizeof(name), "ls_map_%s", ls_region_name[i]);
		fd[i] = map_fd(&ours, name);
	}
	if (ls_table_over(fd, true, false, &table, &err_no) != LS_OK)
		bench_fail("the table cannot be laid over its maps", err_no);
}

static void peer_rows(int map, const void *keys, const void *values, u64 n, size_t key, size_t value)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	for (u64 i = 0; i < n; i += 4096) {
		u32 count = n - i < 4096 ? (u32)(n - i) : 4096;

		if ((values ? bpf_map_update_batch(map, (const u8 *)keys + i * key, (const u8 *)values + i * value, &count, &options) :
			      bpf_map_delete_batch(map, (const u8 *)keys + i * key, &count, &options)) != 0)
			bench_fail("batch call", errno);
	}
}

/* Sessions into both tables, a piece at a time. */
static void install(const struct ls_wire_record *r, u32 n)
{
	struct ls_session *records = aligned_alloc(64, n * sizeof(*records));
	struct ls_key *keys = malloc(n * sizeof(*keys)), *replies = malloc(n * sizeof(*replies));
	struct ls_install_result result;

	if (!records || !keys || !replies)
		bench_fail("out of memory", 0);
	ls_table_install(table, (const u8 *)r, sizeof(*r), n, 0, NULL, NULL, &result);
	if (result.installed != n)
		bench_fail("not every session was installed", (int)result.full);
	for (u32 i = 0; i < n; i++) {
		u32 slot, gen;

		keys[i] = r[i].key;
		replies[i] = r[i].reply;
		if (ls_table_find(table, &r[i].key, &slot, &gen) != LS_OK || !ls_session_read(table, slot, &records[i]))
			bench_fail("a session is not found", (int)i);
		records[i].gen = 1;
		records[i].state = LS_STATE_SET_LIFE(records[i].state, 0);
	}
	peer_rows(map_fd(&peer, "peer_forward"), keys, records, n, sizeof(*keys), sizeof(*records));
	peer_rows(map_fd(&peer, "peer_reply"), replies, keys, n, sizeof(*keys), sizeof(*keys));
	free(records);
	free(keys);
	free(replies);
}

/* --- runs --------------------------------------------------------------------------------------------------------------------------------------- */
struct job {
	struct side *side;
	const char *program;
	u32 cpu, first, frames;
	u64 runs;
	pthread_barrier_t *start;
	double ns;
};

static void on_cpu(u32 cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		bench_fail("sched_setaffinity", errno);
}

/* Each run has to do what it should: one that drops is quick and means nothing. */
static void *job_main(void *arg)
{
	struct job *j = arg;
	struct bench_lane *lane = &j->side->lanes[j->cpu];
	int fd = bpf_program__fd(bpf_object__find_program_by_name(j->side->object, j->program));
	u8 frame[FRAME] = { 0 };
	u64 began;

	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = FRAME, .repeat = (int)j->runs);
	on_cpu(j->cpu);
	lane->first = j->first;
	lane->mask = j->frames - 1;
	lane->sent = 0;
	if (j->start)
		pthread_barrier_wait(j->start);
	began = bench_clock();
	if (bpf_prog_test_run_opts(fd, &o) != 0)
		bench_fail(j->program, errno);
	j->ns = (double)(bench_clock() - began) / (double)j->runs;
	if (lane->sent != j->runs && strcmp(j->program, "bench_empty") != 0) {
		fprintf(stderr, "bench: %s: %" PRIu64 " of %" PRIu64 " done\n", j->program, lane->sent, j->runs);
		exit(1);
	}
	return NULL;
}

static double run(struct side *side, const char *program, u32 first, u64 frames, u64 runs)
{
	struct job j = { .side = side, .program = program, .first = first, .frames = (u32)frames, .runs = runs };

	job_main(&j);
	return j.ns;
}

/* Both directions of the same sessions at once, each on its CPU; the mean of the two. */
static double run_both(struct side *side, const char *program, u32 first)
{
	pthread_barrier_t start;
	pthread_t thread;
	struct job forward = { .side = side, .program = program, .cpu = 0, .first = first, .frames = (u32)cold, .runs = RUNS, .start = &start }, reply = forward;

	pthread_barrier_init(&start, NULL, 2);
	reply.cpu = 1;
	reply.first = first + (u32)cold;
	if (pthread_create(&thread, NULL, job_main, &reply) != 0)
		bench_fail("no thread", 0);
	job_main(&forward);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&start);
	return (forward.ns + reply.ns) / 2;
}

/* The program itself, one run a call, the frame given with the call: as Katran's tester measures Katran, and as there it
 * leaves where it came from. Timed inside the kernel; the median of many. */
static int by_value(const void *a, const void *b) { return *(const u32 *)a < *(const u32 *)b ? -1 : *(const u32 *)a > *(const u32 *)b; }
static double once(struct side *side, const char *program, u32 expected)
{
	static u32 ns[ONCE];
	int fd = bpf_program__fd(bpf_object__find_program_by_name(side->object, program));

	for (u32 i = 0; i < ONCE; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = side->frames + (u64)((SETS - 1) * HOT + i % HOT) * FRAME, .data_size_in = FRAME, .repeat = 1);
		if (bpf_prog_test_run_opts(fd, &o) != 0 || o.retval != expected)
			bench_fail(program, o.retval ? (int)o.retval : errno);
		ns[i] = o.duration;
	}
	qsort(ns, ONCE, sizeof(*ns), by_value);
	return ns[ONCE / 2];
}

/* --- what is measured ----------------------------------------------------------------------------------------------------------------------- */
static void hot(bool count)
{
	double empty = run(&ours, "bench_empty", 0, HOT, RUNS), wrapper = run(&ours, "bench_wrapper", 0, HOT, RUNS);
	double hit = run(&ours, "bench_run", 0, HOT, RUNS), other = run(&peer, "bench_run", 0, HOT, RUNS);
	double parse = run(&ours, "bench_parse", 0, HOT, RUNS), maglev = run(&ours, "bench_maglev", HOT, HOT, RUNS);

	if (!count)
		return;
	bench_sample("empty_ns", empty);
	bench_sample("wrapper_ns", wrapper);
	bench_sample("hit_ns", hit - wrapper);
	bench_sample("hit_peer_ns", other - wrapper);
	bench_sample("parse_ns", parse - wrapper);
	bench_sample("maglev_ns", maglev - wrapper);
	bench_sample("once_empty_ns", once(&ours, "bench_empty", XDP_DROP));
	bench_sample("once_hit_ns", once(&ours, "ls_xdp", XDP_TX));
	bench_sample("once_hit_peer_ns", once(&peer, "ls_xdp", XDP_TX));
}

/* Ends what `keys` opened, in both tables. */
static void close_flows(const struct ls_key *keys)
{
	static u32 slots[SLICE], gens[SLICE];
	static struct ls_key replies[SLICE];
	struct ls_delete_result gone = { 0 };
	u64 deleted = 0;

	for (u32 n = 0; n < slice; n++) {
		if (ls_table_find(table, &keys[n], &slots[n], &gens[n]) != LS_OK)
			bench_fail("a flow has no session", (int)n);
		ls_key_reverse(&replies[n], &keys[n]);
	}
	for (u32 n = 0; n < slice; n += LS_FREER_BATCH) {
		ls_table_free_slots(table, slots + n, gens + n, slice - n < LS_FREER_BATCH ? slice - n : LS_FREER_BATCH, LS_CLOSE_ADMIN, &gone);
		deleted += gone.deleted;
	}
	if (deleted != slice)
		bench_fail("flows ended", (int)deleted);
	peer_rows(map_fd(&peer, "peer_forward"), keys, NULL, slice, sizeof(*keys), 0);
	peer_rows(map_fd(&peer, "peer_reply"), replies, NULL, slice, sizeof(*keys), 0);
}

/* Each frame from `first` on opens a flow; the table's upkeep between slices is the agent's, and not timed. */
static void opened(const struct ls_wire_record *fresh, u32 first, u32 slices, bool count)
{
	struct ls_worker *w = &table->env.workers[0];
	struct ls_key *keys = malloc(slice * sizeof(*keys));
	double wrapper = 0, create = 0, updates = 0;

	if (!keys)
		bench_fail("out of memory", 0);
	for (u32 i = 0; i < slices; i++) {
		u32 at = first + i * slice;

		for (u32 n = 0; n < slice; n++)
			keys[n] = fresh[i * slice + n].key;
		ls_worker_attach(table, 0);
		for (u32 n = 0; n <= slice / LS_WRITER_BATCH; n++)
			ls_table_refill(table);
		wrapper += run(&ours, "bench_wrapper", at, slice, slice);
		create += run(&ours, "bench_run", at, slice, slice);
		updates += run(&peer, "bench_run", at, slice, slice);
		w->notice_tail = w->notice_head;
		ls_worker_detach(table, 0);
		close_flows(keys);
	}
	free(keys);
	if (!count)
		return;
	bench_sample("new_flow_ns", (create - wrapper) / slices);
	bench_sample("new_flow_peer_ns", (updates - wrapper) / slices);
}

static void put_frame(u64 at, const struct ls_key *key)
{
	frame_of(ours.frames + at * FRAME, key, (u32)at);
	memcpy(peer.frames + at * FRAME, ours.frames + at * FRAME, FRAME);
}

/* Why this host cannot, or NULL. */
static const char *missing(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, mmapable, .map_flags = BPF_F_MMAPABLE);
	cpu_set_t mine;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lockstep_probe", 4, 8, 1, &mmapable);

	if (fd < 0)
		return errno == EPERM ? "bpf() is not permitted: CAP_BPF and CAP_NET_ADMIN are missing (run as root)" : "the kernel has no mmapable BPF arrays";
	close(fd);
	if (sched_getaffinity(0, sizeof(mine), &mine) != 0 || !CPU_ISSET(0, &mine) || !CPU_ISSET(1, &mine))
		return "CPU 0 and CPU 1 are not both ours to run on";
	return NULL;
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20), repeats = bench_number(argc, argv, "repeats", 7);
	bool warm = bench_number(argc, argv, "warm", 1);
	u64 slices = 0, fresh = 0, state = 1, capacity = bench_capacity(sessions + (warm ? sessions / 4 : 0)), need;
	struct ls_geometry g = { .capacity = (u32)capacity, .cpus = 2, .threads = 1 };
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct sysinfo memory;
	const char *why;
	struct ls_header h;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	libbpf_set_print(quiet);
	why = missing();
	if (why) {
		bench_note("xdp_skipped", why);
		return 0;
	}
	if (ls_header_init(&h, &g) != LS_OK)
		bench_fail("geometry", 0);
	slice = h.free_ring / 2 < SLICE ? h.free_ring / 2 : SLICE;
	slices = warm ? sessions / 4 / slice : 0;
	fresh = slices * slice;
	if (warm && slices == 0)
		bench_fail("--sessions is too small", (int)sessions);
	for (cold = 1; cold * 2 <= sessions && cold < 1 << 20; cold *= 2)
		;
	/* a slot and its index; two rows of the peer, each with about 64 bytes of the kernel's; what is left must do for everybody else */
	need = capacity * 240 + (sessions + fresh) * (40 + 192 + 40 + 40 + 2 * 64 + 8) + (1ULL << 30);
	sysinfo(&memory);
	if ((memory.freeram + memory.bufferram) * memory.mem_unit < need) {
		char text[120];

		snprintf(text, sizeof(text), "%" PRIu64 " MiB of memory are not free", need >> 20);
		bench_note(warm ? "xdp_skipped" : "xdp_cold_16m_skipped", text);
		return 0;
	}
	load(&ours, LS_BENCH_OBJECTS "/ours.bpf.o", &h, SETS * HOT + fresh + 2 * cold, 0);
	load(&peer, LS_BENCH_OBJECTS "/peer.bpf.o", &h, SETS * HOT + fresh + 2 * cold, sessions + fresh + 2 * HOT);
	lay_table(&h);
	configure(table);

	for (u64 at = 0; at < sessions; at += 65536) {
		u32 n = sessions - at < 65536 ? (u32)(sessions - at) : 65536;
		struct ls_wire_record *r = bench_records(at, n);

		install(r, n);
		free(r);
	}
	for (u64 i = 0; i < cold; i++) {
		struct ls_wire_record r;

		bench_record(cold == sessions ? (i * 0x9e3779b1u + 12345) & (sessions - 1) : (state = ls_mix64(state)) % sessions, &r);
		put_frame(SETS * HOT + fresh + i, &r.key);
		put_frame(SETS * HOT + fresh + cold + i, &r.reply);
	}
	if (warm) {
		struct ls_wire_record r[2 * HOT], *open = bench_records(sessions + 2 * HOT, fresh);

		for (u32 i = 0; i < HOT; i++) {
			bench_record(sessions + i, &r[i]);
			r[i].key.proto = r[i].reply.proto = LS_IPPROTO_TCP;
			r[i].phase = LS_TCP_ESTABLISHED;
			put_frame(i, &r[i].key);
			r[i].key.proto = LS_IPPROTO_UDP;
			r[i].key.dst = v4(VIP);
			put_frame(HOT + i, &r[i].key);
			r[i].key.proto = LS_IPPROTO_TCP;
			r[i].key.dst = r[i].reply.src;
			bench_record(sessions + HOT + i, &r[HOT + i]);
			r[HOT + i].key.proto = r[HOT + i].reply.proto = LS_IPPROTO_TCP;
			r[HOT + i].phase = LS_TCP_ESTABLISHED;
			put_frame(2 * HOT + i, &r[HOT + i].key);
			r[HOT + i].reply.src = v4(0x0a000001 + i); /* among the clients */
		}
		install(r, 2 * HOT);
		for (u64 i = 0; i < fresh; i++)
			put_frame(SETS * HOT + i, &open[i].key);
		for (u64 n = 0; n <= repeats; n++) {
			hot(n > 0);
			opened(open, SETS * HOT, (u32)slices, n > 0);
		}
		free(open);
	}
	for (u64 n = 0; n <= repeats; n++) {
		u32 first = (u32)(SETS * HOT + fresh);
		double wrapper = run_both(&ours, "bench_wrapper", first), hit = run_both(&ours, "bench_run", first), other = run_both(&peer, "bench_run", first);

		if (n == 0)
			continue;
		bench_sample("hit_cold_ns", hit - wrapper);
		bench_sample("hit_cold_peer_ns", other - wrapper);
	}
	ls_table_close(table);
	bpf_object__close(peer.object);
	bpf_object__close(ours.object);
	return 0;
}
