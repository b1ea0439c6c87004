/* What the C bench programs share: samples as JSON lines on stdout, huge pages for the run, sessions to work on.
 *
 * A program alternates its variants within each repeat and prints every sample; medians and ratios are made by bench/lib/samples.ts.
 */
#ifndef LOCKSTEP_BENCH_H
#define LOCKSTEP_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

/* --- what must be given back, however this program ends ------------------------------------------------------------------------------------ */

/* A child that runs `clean` when this program has ended. It sees what is set before the call. */
static inline void bench_at_end(void (*clean)(void))
{
	int end[2];
	char byte;

	if (pipe(end) != 0 || fork() != 0)
		return; /* our end of the pipe stays open until we end */
	setsid();
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	close(end[1]);
	while (read(end[0], &byte, 1) < 0 && errno == EINTR)
		;
	clean();
	_exit(0);
}

/* --- huge pages: lent for the run as root -------------------------------------------------------------------------------------------------- */
#define BENCH_HUGE "/proc/sys/vm/nr_hugepages"
static long bench_huge_taken;

/* Adds `pages` (or takes away) under a lock, since other benches may do the same; what really came, 0 without root. */
static inline long bench_huge_change(long pages)
{
	int fd = open(BENCH_HUGE, O_RDWR | O_CLOEXEC);
	char text[32] = { 0 };
	long before = 0, after = 0;

	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_EX) == 0 && pread(fd, text, sizeof(text) - 1, 0) > 0) {
		before = after = strtol(text, NULL, 10);
		snprintf(text, sizeof(text), "%ld\n", before + pages > 0 ? before + pages : 0);
		if (pwrite(fd, text, strlen(text), 0) > 0 && pread(fd, text, sizeof(text) - 1, 0) > 0)
			after = strtol(text, NULL, 10);
	}
	close(fd);
	return after - before;
}

static inline void bench_huge_give_back(void)
{
	bench_huge_change(-bench_huge_taken);
}

/* Lends huge pages for a table of this geometry. Small tables do without. */
static inline void bench_huge_reserve(const struct ls_geometry *g)
{
	struct ls_header h;

	if (ls_header_init(&h, g) != LS_OK || h.total_bytes < 128 << 20)
		return;
	bench_huge_taken = bench_huge_change((long)(h.total_bytes / (2 << 20)));
	if (bench_huge_taken > 0)
		bench_at_end(bench_huge_give_back);
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
		 "2 MiB pages of the host" : huge ? "4 KiB pages (no huge pages: a small table, no root, or none to be had)" : "4 KiB pages", t->bytes >> 20);
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
