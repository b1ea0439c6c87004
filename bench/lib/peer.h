/* The peer: kernel hash maps with the same 40-byte key and the same 192-byte record, used as well as they can be: preallocated, batch calls of 4096.
 *
 * Two rows per session as real systems keep them: forward tuple -> record, reply tuple -> forward tuple.
 */
#ifndef LOCKSTEP_BENCH_PEER_H
#define LOCKSTEP_BENCH_PEER_H

#include <errno.h>
#include <sys/resource.h>

#if __has_include(<bpf/bpf.h>)
#include <bpf/bpf.h>
#define PEER_BUILT 1
#endif

#include "bench.h"

#define PEER_BATCH 4096

struct peer {
	int forward, reply;
	u64 n;
	struct ls_key *keys, *replies; /* [n], prepared: a batch call takes them as they are */
	struct ls_session *records;
};

#ifdef PEER_BUILT
static inline int peer_map(const char *name, u32 value, u32 entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);

	return bpf_map_create(BPF_MAP_TYPE_HASH, name, sizeof(struct ls_key), value, entries, &options);
}

/* False with the missing capability as a note. */
static inline bool peer_open(struct peer *p, u64 capacity)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char text[120];

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	memset(p, 0, sizeof(*p));
	p->forward = peer_map("bench_forward", sizeof(struct ls_session), (u32)capacity);
	p->reply = p->forward < 0 ? -1 : peer_map("bench_reply", sizeof(struct ls_key), (u32)capacity);
	if (p->forward >= 0 && p->reply >= 0)
		return true;
	if (errno == EPERM)
		snprintf(text, sizeof(text), "CAP_BPF is missing");
	else
		snprintf(text, sizeof(text), "bpf(BPF_MAP_CREATE): %s", strerror(errno));
	bench_note("peer_skipped", text);
	return false;
}

static inline void peer_load(struct peer *p, const struct ls_wire_record *r, u64 n)
{
	p->n = n;
	p->keys = malloc(n * sizeof(*p->keys));
	p->replies = malloc(n * sizeof(*p->replies));
	p->records = aligned_alloc(64, n * sizeof(*p->records));
	if (!p->keys || !p->replies || !p->records)
		bench_fail("out of memory", 0);
	for (u64 i = 0; i < n; i++) {
		p->keys[i] = r[i].key;
		p->replies[i] = r[i].reply;
		p->records[i] = (struct ls_session){ .gen = 1, .flags = r[i].flags, .key = r[i].key, .reply = r[i].reply, .rg = r[i].rg, .id = r[i].id,
			.zone_in = r[i].zone_in, .zone_out = r[i].zone_out, .policy = r[i].policy, .state = LS_STATE_MAKE(LS_LIVE, r[i].phase, 0, 0, 0),
			.packets = { r[i].packets[0], r[i].packets[1] }, .bytes = { r[i].bytes[0], r[i].bytes[1] } };
	}
}

/* Writes rows [first, first + n) of one of the maps; nanoseconds. */
static inline u64 peer_update(int map, const struct ls_key *keys, const void *values, size_t value, u64 n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	u64 began = bench_clock();

	for (u64 i = 0; i < n; i += PEER_BATCH) {
		u32 count = n - i < PEER_BATCH ? (u32)(n - i) : PEER_BATCH;

		if (bpf_map_update_batch(map, &keys[i], (const u8 *)values + i * value, &count, &options) != 0)
			bench_fail("bpf_map_update_batch", errno);
	}
	return bench_clock() - began;
}

static inline u64 peer_delete(int map, const struct ls_key *keys, u64 n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	u64 began = bench_clock();

	for (u64 i = 0; i < n; i += PEER_BATCH) {
		u32 count = n - i < PEER_BATCH ? (u32)(n - i) : PEER_BATCH;

		if (bpf_map_delete_batch(map, &keys[i], &count, &options) != 0)
			bench_fail("bpf_map_delete_batch", errno);
	}
	return bench_clock() - began;
}

/* Walks the forward map; `each` sees every record. How many there were. */
static inline u64 peer_walk(struct peer *p, void (*each)(const struct ls_key *, const struct ls_session *, void *), void *arg)
{
	static struct ls_key keys[PEER_BATCH];
	static struct ls_session values[PEER_BATCH];
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	u32 in = 0, out = 0;
	u64 seen = 0;

	for (bool more = true, first = true; more; first = false) {
		u32 count = PEER_BATCH;
		int failed = bpf_map_lookup_batch(p->forward, first ? NULL : &in, &out, keys, values, &count, &options);

		if (failed && errno != ENOENT)
			bench_fail("bpf_map_lookup_batch", errno);
		more = !failed;
		for (u32 i = 0; i < count; i++)
			each(&keys[i], &values[i], arg);
		seen += count;
		in = out;
	}
	return seen;
}

#else /* without libbpf's headers: the program runs, the peer does not */

static inline bool peer_open(struct peer *p, u64 capacity)
{
	(void)p;
	(void)capacity;
	bench_note("peer_skipped", "libbpf-dev was not installed when the bench was built");
	return false;
}
static inline void peer_load(struct peer *p, const struct ls_wire_record *r, u64 n) { (void)p; (void)r; (void)n; }
static inline u64 peer_update(int map, const struct ls_key *keys, const void *values, size_t value, u64 n) { (void)map; (void)keys; (void)values; (void)value; return n; }
static inline u64 peer_delete(int map, const struct ls_key *keys, u64 n) { (void)map; (void)keys; return n; }
static inline u64 peer_walk(struct peer *p, void (*each)(const struct ls_key *, const struct ls_session *, void *), void *arg) { (void)p; (void)each; (void)arg; return 0; }

#endif
#endif
