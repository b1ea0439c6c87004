/* What the C bench programs share: samples as JSON lines on stdout, huge pages for the run, sessions to work on.
 *
 * A program alternates its variants within each repeat and prints every sample; medians and ratios are made by bench/lib/samples.ts.
 */
#ifndef LOCKSTEP_BENCH_H
#define LOCKSTEP_BENCH_H

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/hash.h"
#include "table/table.h"

static inline void bench_sample(const char *name, double value) { printf("{\"sample\":\"%s\",\"value\":%.17g}\n", name, value); fflush(stdout); }
static inline void bench_note(const char *name, const char *text) { printf("{\"note\":\"%s\",\"text\":\"%s\"}\n", name, text); fflush(stdout); }

/* CPU time of this thread: other work on shared cores does not count. On an idle host it is the time that passes. */
static inline u64 bench_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * 1000000000ULL + (u64)ts.tv_nsec;
}

static inline void bench_fail(const char *what, int code)
{
	fprintf(stderr, "bench: %s: %d\n", what, code);
	exit(1);
}

/* Value of "--name", or `absent`. */
static inline const char *bench_option(int argc, char **argv, const char *name, const char *absent)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
			return argv[i + 1];
	return absent;
}

static inline u64 bench_number(int argc, char **argv, const char *name, u64 absent)
{
	const char *text = bench_option(argc, argv, name, NULL);

	return text ? strtoull(text, NULL, 10) : absent;
}

/* --- huge pages: reserved for the run as root, given back at exit and on SIGINT and SIGTERM (plain system calls: a handler may run it) --------- */
#define BENCH_HUGE "/proc/sys/vm/nr_hugepages"
static long bench_huge_taken;

static inline long bench_huge_pages(void)
{
	char text[32] = { 0 };
	int fd = open(BENCH_HUGE, O_RDONLY);
	long n = -1;

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		n = 0;
		for (int i = 0; text[i] >= '0' && text[i] <= '9'; i++)
			n = n * 10 + (text[i] - '0');
	}
	close(fd);
	return n;
}

static inline void bench_huge_set(long n)
{
	char text[32];
	int fd = open(BENCH_HUGE, O_WRONLY), at = sizeof(text);
	ssize_t written = 0;

	if (fd < 0)
		return;
	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	written = write(fd, text + at, sizeof(text) - (size_t)at);
	(void)written;
	close(fd);
}

static inline void bench_huge_give_back(void)
{
	long now = bench_huge_pages();

	if (bench_huge_taken > 0 && now >= 0)
		bench_huge_set(now > bench_huge_taken ? now - bench_huge_taken : 0);
	bench_huge_taken = 0;
}

static inline void bench_stopped(int signal)
{
	bench_huge_give_back();
	_exit(128 + signal);
}

/* Adds huge pages for a table of this geometry; true when they are there. Needs root; nothing happens without. */
static inline bool bench_huge_reserve(const struct ls_geometry *g)
{
	struct ls_header h;
	long before = bench_huge_pages(), need;

	if (before < 0 || geteuid() != 0 || ls_header_init(&h, g) != LS_OK)
		return false;
	need = (long)(h.total_bytes / (2 << 20));
	if (bench_huge_taken == 0) {
		atexit(bench_huge_give_back);
		signal(SIGINT, bench_stopped);
		signal(SIGTERM, bench_stopped);
	}
	bench_huge_set(before + need);
	bench_huge_taken += bench_huge_pages() - before;
	return bench_huge_pages() >= before + need;
}

/* --- tables --------------------------------------------------------------------------------------------------------------------------- */
static inline struct ls_table *bench_table(u32 capacity, bool huge)
{
	struct ls_geometry g = { .capacity = capacity, .threads = 1 };
	struct ls_table *t;
	int err_no;
	enum ls_status status;
	char text[160];

	if (huge)
		bench_huge_reserve(&g);
	status = ls_table_create(&g, huge ? LS_HUGE_TRY : LS_HUGE_NEVER, NULL, &t, &err_no);
	if (status != LS_OK)
		bench_fail("the session table cannot be created", status);
	snprintf(text, sizeof(text), "%s, %" PRIu64 " MiB", t->huge ? bench_huge_taken ? "2 MiB pages, reserved for this run and given back" :
		 "2 MiB pages of the host" : huge ? "4 KiB pages (huge pages need root or vm.nr_hugepages)" : "4 KiB pages", t->bytes >> 20);
	bench_note(huge ? "pages" : "pages_small", text);
	return t;
}

static inline u32 bench_capacity(u64 sessions)
{
	u32 capacity = LS_CAPACITY_MIN;

	while (capacity < sessions && capacity < LS_CAPACITY_MAX)
		capacity *= 2;
	return capacity;
}

/* Session `i` of a stream of distinct ones: clients of 10/8 talk UDP to servers of 198.18/15 (RFC 2544), half of them behind source NAT. */
static inline void bench_record(u64 i, struct ls_wire_record *r)
{
	u64 mixed = ls_mix64(i + 1);
	u32 client = 0x0a000000u | ((u32)i & 0xffffff), server = 0xc6120000u | ((u32)mixed & 0x1ffff);
	be16 sport = (be16)(1024 + (mixed >> 20) % 64000), dport = (be16)(__builtin_bswap16(443));

	memset(r, 0, sizeof(*r));
	r->version = LS_WIRE_VERSION;
	r->phase = LS_UDP_STREAM;
	r->id = (struct ls_session_id){ .origin = 7, .serial = i + 1 };
	r->key = (struct ls_key){ .sport_be = sport, .dport_be = dport, .proto = 17, .family = LS_IP4 };
	r->key.src.w[2] = r->key.dst.w[2] = __builtin_bswap32(0xffff);
	r->key.src.w[3] = __builtin_bswap32(client);
	r->key.dst.w[3] = __builtin_bswap32(server);
	r->reply = r->key;
	r->reply.src = r->key.dst;
	r->reply.dst = r->key.src;
	r->reply.sport_be = dport;
	r->reply.dport_be = sport;
	if (mixed >> 63) {
		r->flags = LS_SF_SNAT;
		r->reply.dst.w[3] = __builtin_bswap32(0xcb000000u | ((u32)i & 0xffffff));
	}
	r->zone_in = 1;
	r->zone_out = 2;
	r->policy = 1;
	r->packets[0] = mixed & 0xff;
	r->bytes[0] = (mixed & 0xff) * 100;
}

static inline struct ls_wire_record *bench_records(u64 first, u64 n)
{
	struct ls_wire_record *r = malloc(n * sizeof(*r));

	if (!r)
		bench_fail("out of memory", 0);
	for (u64 i = 0; i < n; i++)
		bench_record(first + i, &r[i]);
	return r;
}

static inline bool bench_verify(struct ls_table *t, u64 live)
{
	struct ls_verify_report report;
	bool ok;

	ls_table_verify(t, &report);
	ok = report.live == live && report.entries == 2 * live;
	for (u32 i = 0; i < LS_VF_COUNT; i++) {
		if (report.fault[i])
			fprintf(stderr, "bench: verify: fault %u: %" PRIu64 ", first %u\n", i, report.fault[i], report.first[i]);
		ok = ok && report.fault[i] == 0;
	}
	return ok;
}

/* Empties the table through the freer's protocol. */
static inline void bench_clear(struct ls_table *t)
{
	struct ls_reconcile_result result;

	ls_bulk_begin(t);
	ls_reconcile(t, 0xffff, true, false, &result);
}

#endif
