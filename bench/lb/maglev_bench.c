/* Maglev rings of 65 537 entries for 1000 reals.
 *
 *   maglev_bench [--repeats 7]
 *
 * build: anew; repair: with the fewest moves, when one real goes. extra disruption: the fraction of entries that move although their real stays.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "pipeline/hash.h"

#include "lib/bench.h"
#include "table/maglev.h"

#define REALS 1000
#define RING 65537

static struct ls_addr v4(u32 host)
{
	return (struct ls_addr){ .w = { 0, 0, __builtin_bswap32(0xffff), __builtin_bswap32(host) } };
}

static u32 disruption(const u16 *a, const u16 *b, u16 removed)
{
	u32 n = 0;

	for (u32 e = 0; e < RING; e++)
		n += a[e] != b[e] && a[e] != removed;
	return n;
}

static void bench_maglev(u64 repeats)
{
	static struct ls_maglev_real reals[REALS];
	static u16 ring[RING], repaired[RING], rebuilt[RING];
	struct ls_maglev_change change;
	u64 extra = 0, plain = 0, rounds = 20;

	for (u32 i = 0; i < REALS; i++)
		reals[i] = (struct ls_maglev_real){ .addr = v4(0xc6130000 + i), .port_be = 80, .id = (u16)(i + 1), .weight = 100 };
	for (u64 r = 0; r < 3 * repeats; r++) {
		u64 began = bench_clock();

		if (ls_maglev_build(reals, REALS, RING, ring) != LS_OK)
			bench_fail("ls_maglev_build", 0);
		bench_sample("maglev_build_ns", (double)(bench_clock() - began));
		for (u32 i = 0; i < REALS; i++)
			reals[i].weight = 1 + i % 100;
		began = bench_clock();
		ls_maglev_build(reals, REALS, RING, ring);
		bench_sample("maglev_build_weighted_ns", (double)(bench_clock() - began));
		for (u32 i = 0; i < REALS; i++)
			reals[i].weight = 100;
	}
	ls_maglev_build(reals, REALS, RING, ring);
	for (u64 r = 0; r < rounds; r++) {
		u32 out = (u32)(ls_mix64(r + 1) % REALS);
		u64 began;

		reals[out].weight = 0;
		began = bench_clock();
		ls_maglev_repair(ring, reals, REALS, RING, repaired, &change);
		bench_sample("maglev_repair_ns", (double)(bench_clock() - began));
		ls_maglev_build(reals, REALS, RING, rebuilt);
		extra += disruption(ring, repaired, reals[out].id);
		plain += disruption(ring, rebuilt, reals[out].id);
		reals[out].weight = 100;
	}
	bench_sample("maglev_extra_disruption", (double)extra / (double)(rounds * RING));
	bench_sample("maglev_rebuild_disruption", (double)plain / (double)(rounds * RING));
}

int main(int argc, char **argv)
{
	bench_maglev(bench_number(argc, argv, "repeats", 7));
	return 0;
}
