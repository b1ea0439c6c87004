/* Insert, iterate and look up of the session table, beside DPDK's rte_hash with the same key and record.
 *
 *   rte_hash_bench [--sessions 1048576] [--repeats 7]
 *
 * rte_hash in its quickest mode: one writer, no locks, CRC hash in hardware, bulk lookups of 32. Two rows a session as real systems keep them: the tuple and the reply
 * tuple, both with the record. Ours is in huge pages where there are any; rte_hash and its records in anonymous memory that is advised to be.
 */
#include <rte_hash.h>
#include <sys/mman.h>
#include <rte_hash_crc.h>

#include "lib/eal.h"
#include "pipeline/create_user.h"

#define BULK 32

struct peer_rows {
	struct rte_hash *rows;
	struct ls_session *records;
	u64 used;
};

static struct rte_hash *rows_for(u64 sessions)
{
	struct rte_hash_parameters p = { .name = "sessions", .entries = (u32)(2 * sessions + sessions / 4), .key_len = sizeof(struct ls_key), .hash_func = rte_hash_crc };
	struct rte_hash *h = rte_hash_create(&p);

	if (!h)
		bench_fail("rte_hash_create", (int)p.entries);
	return h;
}

/* A session as a row's owner would write it. */
static void fill(struct ls_session *s, const struct ls_wire_record *r)
{
	memset(s, 0, sizeof(*s));
	s->key = r->key;
	s->reply = r->reply;
	s->id = r->id;
	s->gen = 1;
	s->last_seen_ns = 1;
}

static u64 inserted(struct peer_rows *p, const struct ls_wire_record *r, u64 n, bool both)
{
	u64 began = bench_clock();

	for (u64 i = 0; i < n; i++) {
		struct ls_session *s = &p->records[i];

		fill(s, &r[i]);
		if (rte_hash_add_key_data(p->rows, &r[i].key, s) != 0 || (both && rte_hash_add_key_data(p->rows, &r[i].reply, s) != 0))
			bench_fail("rte_hash_add_key_data", (int)i);
	}
	return bench_clock() - began;
}

static u64 walked(const struct peer_rows *p, u64 *met, u64 *sum)
{
	const void *key;
	void *data;
	u32 at = 0;
	u64 began = bench_clock();

	while (rte_hash_iterate(p->rows, &key, &data, &at) >= 0) {
		const struct ls_session *s = data;

		*sum += s->packets[0] + s->key.src.d[1] + s->reply.dst.d[1] + s->bytes[1];
		(*met)++;
	}
	return bench_clock() - began;
}

/* Tuples in random order, in bursts: bulk lookup there, buckets and records fetched ahead here, as the pipeline does it. */
static u64 found_by_peer(const struct peer_rows *p, const struct ls_key **keys, u64 n, u64 *sum)
{
	void *data[BULK];
	u64 hits, began = bench_clock();

	for (u64 at = 0; at + BULK <= n; at += BULK) {
		if (rte_hash_lookup_bulk_data(p->rows, (const void **)(keys + at), BULK, &hits, data) != BULK)
			bench_fail("rte_hash_lookup_bulk_data", (int)at);
		for (u32 i = 0; i < BULK; i++)
			*sum += ((const struct ls_session *)data[i])->last_seen_ns != 0;
	}
	return bench_clock() - began;
}

static u64 found_by_us(const struct ls_table *t, const struct ls_key **keys, u64 n, u64 *sum)
{
	const struct ls_env *e = &t->env;
	struct ls_hash h[BULK];
	u64 began = bench_clock();

	for (u64 at = 0; at + BULK <= n; at += BULK) {
		for (u32 i = 0; i < BULK; i++) {
			h[i] = ls_hash_key(&e->header->hash, keys[at + i], e->bucket_mask);
			__builtin_prefetch(port_bucket(e, h[i].bucket));
			__builtin_prefetch(port_bucket(e, ls_other_bucket(h[i].bucket, h[i].tag, e->bucket_mask)));
		}
		for (u32 i = 0; i < BULK; i++) {
			const struct ls_bucket *b = port_bucket(e, h[i].bucket);
			u32 bits = ls_bucket_matches(b, h[i].tag);

			if (!bits) {
				b = port_bucket(e, ls_other_bucket(h[i].bucket, h[i].tag, e->bucket_mask));
				bits = ls_bucket_matches(b, h[i].tag);
			}
			if (bits) {
				const struct ls_session *s = port_session(e, LS_REF_SLOT(LS_ENTRY_REF(LS_LOAD(&b->entry[__builtin_ctz(bits)]))));

				__builtin_prefetch(s);
				__builtin_prefetch(&s->state);
			}
		}
		for (u32 i = 0; i < BULK; i++) {
			u32 gen = 0, ref = LS_REF_NONE;
			const struct ls_session *s = ls_index_first(e, h[i], keys[at + i], &ref, &gen);

			if (!s)
				bench_fail("a session that is not found", (int)(at + i));
			*sum += s->last_seen_ns != 0;
		}
	}
	return bench_clock() - began;
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20) / BULK * BULK, repeats = bench_number(argc, argv, "repeats", 7), state = 1;
	struct ls_wire_record *records = bench_records(0, sessions);
	const struct ls_key **keys = malloc(sessions * sizeof(*keys));
	struct ls_key *flat = malloc(sessions * sizeof(*flat)); /* as packets bring them: one after the other, of sessions at random */
	struct peer_rows peer = { .records = aligned_alloc(2 << 20, (sessions * sizeof(struct ls_session) + (2 << 20) - 1) & ~((2ULL << 20) - 1)) };
	struct ls_table *t;

	if (!bench_eal((u32)(sessions * 400 >> 20) + 128, 0))
		return 0;
	if (!keys || !flat || !peer.records)
		bench_fail("out of memory", 0);
	t = bench_table(bench_capacity(sessions), true);
	madvise(peer.records, sessions * sizeof(struct ls_session), MADV_HUGEPAGE);
	for (u64 i = 0; i < sessions; i++)
		flat[i] = records[i].key, keys[i] = &flat[i];
	for (u64 i = sessions; i > 1; i--) {
		u64 j = (state = ls_mix64(state)) % i;
		struct ls_key x = flat[i - 1];

		flat[i - 1] = flat[j];
		flat[j] = x;
	}
	peer.rows = rows_for(sessions);
	for (u64 r = 0; r <= repeats; r++) {
		struct ls_install_result result;
		u64 began = bench_clock(), ours, one, two, met = 0, sum = 0, live = 0;

		ls_table_install(t, (const u8 *)records, sizeof(*records), (u32)sessions, 0, NULL, NULL, &result);
		ours = bench_clock() - began;
		if (result.installed != sessions)
			bench_fail("not every session was installed", (int)result.full);
		one = inserted(&peer, records, sessions, false);
		if (r) {
			u64 theirs = walked(&peer, &met, &sum);

			began = bench_clock();
			ls_scan_walk(t, &live);
			bench_sample("rte_walk_ours_ns", (double)(bench_clock() - began) / (double)sessions);
			bench_sample("rte_walk_ns", (double)theirs / (double)sessions);
			if (met != sessions || live != sessions)
				bench_fail("the walks met another number of sessions", (int)met);
		}
		rte_hash_reset(peer.rows);
		two = inserted(&peer, records, sessions, true);
		if (r) {
			u64 hits = 0, theirs = found_by_peer(&peer, keys, sessions, &hits);

			bench_sample("rte_lookup_ours_ns", (double)found_by_us(t, keys, sessions, &hits) / (double)sessions);
			bench_sample("rte_lookup_ns", (double)theirs / (double)sessions);
			if (hits != 2 * sessions)
				bench_fail("sessions that were not found", (int)hits);
			bench_sample("rte_insert_ours_ns", (double)ours / (double)sessions);
			bench_sample("rte_insert_one_row_ns", (double)one / (double)sessions);
			bench_sample("rte_insert_ns", (double)two / (double)sessions);
		}
		rte_hash_reset(peer.rows);
		bench_clear(t);
	}
	rte_hash_free(peer.rows);
	ls_table_close(t);
	return 0;
}
