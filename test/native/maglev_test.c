/* Maglev rings: shares by weight, independence of order, equality with the paper's algorithm, minimal moves. Seeded; a failure prints the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"
#include "table/maglev.h"

static u64 seed, state;
static u32 failures;
static const char *promise;

#define CHECK(what)                                                                                          \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			printf("FAILED: %s: %s (line %d, seed %llu)\n", promise, #what, __LINE__, (unsigned long long)seed); \
			failures++;                                                                          \
			return;                                                                              \
		}                                                                                            \
	} while (0)

static u32 pick(u32 below)
{
	state += 0x9e3779b97f4a7c15ULL;
	return (u32)(ls_mix64(state) % below);
}

static struct ls_maglev_real reals[LS_REALS_MAX], other[LS_REALS_MAX];
static u16 a[LS_RING_MAX], b[LS_RING_MAX], c[LS_RING_MAX];
static const u32 primes[] = { 2, 3, 5, 251, 257, 509, 4093, 65521, 65537 };

static void some_reals(u32 n, bool weighted)
{
	for (u32 i = 0; i < n; i++) {
		reals[i] = (struct ls_maglev_real){ .id = (u16)(i + 1), .port_be = (be16)pick(65536), .weight = weighted ? pick(101) : 1 };
		reals[i].addr.w[2] = 0xffff0000;
		reals[i].addr.w[3] = i * 2654435761u ^ (u32)seed;
	}
}

static void shuffle(u32 n)
{
	for (u32 i = n; i > 1; i--) {
		u32 j = pick(i);
		struct ls_maglev_real x = reals[i - 1];

		reals[i - 1] = reals[j];
		reals[j] = x;
	}
}

/* Every real's entries are its ideal share rounded down or up: within 1 % or one entry. */
static bool fair(const u16 *ring, u32 n, u32 size)
{
	static u32 held[LS_REALS_MAX];
	u64 weight = 0;

	memset(held, 0, sizeof(held));
	for (u32 e = 0; e < size; e++)
		held[ring[e]]++;
	for (u32 i = 0; i < n; i++)
		weight += reals[i].weight;
	if (weight == 0)
		return held[0] == size;
	for (u32 i = 0; i < n; i++) {
		u64 product = (u64)size * reals[i].weight, low = product / weight;

		if (held[reals[i].id] < low || held[reals[i].id] > low + (product % weight != 0))
			return false;
	}
	return held[0] == 0;
}

static u32 differ(const u16 *x, const u16 *y, u32 size)
{
	u32 n = 0;

	for (u32 e = 0; e < size; e++)
		n += x[e] != y[e];
	return n;
}

static void shares_follow_weights(void)
{
	u32 n = 1 + pick(1500), size = primes[3 + pick(6)];

	promise = "each real has its share by weight, rounded to whole entries";
	some_reals(n, pick(4) != 0);
	CHECK(ls_maglev_build(reals, n, size, a) == LS_OK);
	CHECK(fair(a, n, size));
}

static void order_does_not_matter(void)
{
	u32 n = 1 + pick(1000), size = primes[pick(9)];

	promise = "the ring does not depend on the order of the reals";
	some_reals(n, true);
	CHECK(ls_maglev_build(reals, n, size, a) == LS_OK);
	shuffle(n);
	CHECK(ls_maglev_build(reals, n, size, b) == LS_OK);
	CHECK(memcmp(a, b, size * 2) == 0);
	CHECK(ls_maglev_hash(a, size) == ls_maglev_hash(b, size));
	b[pick(size)] ^= 1;
	CHECK(ls_maglev_hash(a, size) != ls_maglev_hash(b, size));
}

static int by_address(const void *x, const void *y)
{
	const struct ls_maglev_real *p = x, *q = y;
	int order = memcmp(&p->addr, &q->addr, 16);

	return order ? order : memcmp(&p->port_be, &q->port_be, 2);
}

/* The listing of the paper, with the permutations of maglev.c. */
static void is_the_papers_ring(void)
{
	u32 n = 1 + pick(300), size = primes[3 + pick(6)], filled = 0;
	static u32 at[LS_REALS_MAX], skip[LS_REALS_MAX];

	promise = "with equal weights the ring is the one of the paper's algorithm";
	some_reals(n, false);
	CHECK(ls_maglev_build(reals, n, size, a) == LS_OK);
	qsort(reals, n, sizeof(reals[0]), by_address);
	for (u32 i = 0; i < n; i++) {
		u64 h = ls_mix64(reals[i].addr.d[0] ^ 0x9e3779b97f4a7c15ULL) + reals[i].addr.d[1];

		h = ls_mix64(h ^ (u64)reals[i].port_be << 48);
		at[i] = (u32)(h % size);
		skip[i] = (u32)(ls_mix64(h ^ 0xd1b54a32d192ed03ULL) % (size - 1)) + 1;
	}
	memset(b, 0, sizeof(b));
	for (;;)
		for (u32 i = 0; i < n; i++) {
			while (b[at[i]])
				at[i] = (at[i] + skip[i]) % size;
			b[at[i]] = reals[i].id;
			if (++filled == size)
				goto full;
		}
full:
	CHECK(memcmp(a, b, size * 2) == 0);
}

static void removal_moves_only_its_own(void)
{
	u32 n = 2 + pick(1000), size = primes[3 + pick(6)], left = n, moved = 0;
	struct ls_maglev_change change;

	promise = "removing a real moves its entries and no other";
	some_reals(n, pick(2));
	reals[0].weight = 1; /* somebody is left */
	CHECK(ls_maglev_build(reals, n, size, a) == LS_OK);
	for (u32 round = 0; round < 20 && left > 1; round++) {
		u32 out = 1 + pick(left - 1), id = reals[out].id;

		if (pick(2))
			reals[out].weight = 0; /* down: stays configured */
		else
			reals[out] = reals[--left];
		CHECK(ls_maglev_repair(a, reals, left, size, b, &change) == LS_OK);
		moved = 0;
		for (u32 e = 0; e < size; e++) {
			CHECK(b[e] != id);
			CHECK(a[e] == b[e] || a[e] == id);
			moved += a[e] != b[e];
		}
		CHECK(change.moved == moved && !change.rebuild && change.skew_ppm == 0);
		CHECK(fair(b, left, size));
		memcpy(a, b, sizeof(a));
	}
}

static void changes_move_the_minimum(void)
{
	u32 n = 1 + pick(800), size = primes[3 + pick(6)];
	struct ls_maglev_change change;

	promise = "adding a real or changing weights moves as few entries as whole-entry shares allow";
	some_reals(n, pick(2));
	reals[0].weight = 50;
	CHECK(ls_maglev_build(reals, n, size, a) == LS_OK);
	for (u32 round = 0; round < 20; round++) {
		static u32 held[LS_REALS_MAX];
		u64 weight = 0, out = 0, in = 0;

		switch (pick(3)) {
		case 0:
			reals[n] = (struct ls_maglev_real){ .id = (u16)(n + 1), .weight = 1 + pick(100) };
			reals[n].addr.w[3] = 0x80000000u + n;
			n++;
			break;
		case 1:
			reals[1 % n].weight = 1 + pick(100);
			break;
		default:
			reals[pick(n)].weight = 1 + pick(100);
			break;
		}
		memset(held, 0, sizeof(held));
		for (u32 e = 0; e < size; e++)
			held[a[e]]++;
		for (u32 i = 0; i < n; i++)
			weight += reals[i].weight;
		for (u32 i = 0; i < n; i++) {
			u64 low = (u64)size * reals[i].weight / weight, high = low + ((u64)size * reals[i].weight % weight != 0);

			out += held[reals[i].id] > high ? held[reals[i].id] - high : 0;
			in += held[reals[i].id] < low ? low - held[reals[i].id] : 0;
		}
		memcpy(c, a, sizeof(c));
		CHECK(ls_maglev_repair(a, reals, n, size, b, &change) == LS_OK);
		CHECK(differ(a, b, size) == (out > in ? out : in));
		CHECK(change.moved == differ(a, b, size));
		CHECK(fair(b, n, size));
		shuffle(n);
		CHECK(ls_maglev_repair(c, reals, n, size, c, &change) == LS_OK); /* in place, in another order */
		CHECK(memcmp(b, c, size * 2) == 0);
		memcpy(a, b, sizeof(a));
	}
}

static void repair_heals_anything(void)
{
	u32 n = 1 + pick(500), size = primes[pick(9)];
	struct ls_maglev_change change;

	promise = "any bytes as the old ring end in a fair ring; an unchanged ring stays";
	some_reals(n, true);
	for (u32 e = 0; e < size; e++)
		a[e] = (u16)pick(65536);
	CHECK(ls_maglev_repair(a, reals, n, size, b, &change) == LS_OK);
	CHECK(fair(b, n, size));
	CHECK(ls_maglev_repair(b, reals, n, size, c, &change) == LS_OK);
	CHECK(change.moved == 0 && memcmp(b, c, size * 2) == 0);
}

static void bounds_are_checked(void)
{
	promise = "arguments outside their range are refused";
	some_reals(10, false);
	CHECK(ls_maglev_build(reals, 10, 65536, a) == LS_E_INVALID);
	CHECK(ls_maglev_build(reals, 10, 1, a) == LS_E_INVALID);
	CHECK(ls_maglev_build(reals, 10, 0, a) == LS_E_INVALID);
	CHECK(ls_maglev_build(reals, 10, 65539, a) == LS_E_INVALID);
	CHECK(ls_maglev_build(reals, LS_REALS_MAX, 65537, a) == LS_E_INVALID);
	memcpy(other, reals, sizeof(other));
	reals[3].id = 0;
	CHECK(ls_maglev_build(reals, 10, 251, a) == LS_E_INVALID);
	reals[3].id = reals[4].id;
	CHECK(ls_maglev_build(reals, 10, 251, a) == LS_E_INVALID);
	memcpy(reals, other, sizeof(other));
	reals[3].weight = 101;
	CHECK(ls_maglev_repair(a, reals, 10, 251, b, NULL) == LS_E_INVALID);
	memcpy(reals, other, sizeof(other));
	reals[3].addr = reals[7].addr;
	reals[3].port_be = reals[7].port_be;
	CHECK(ls_maglev_build(reals, 10, 251, a) == LS_E_INVALID);
	memcpy(reals, other, sizeof(other));
	CHECK(ls_maglev_build(reals, 0, 251, a) == LS_OK && fair(a, 0, 251));
	for (u32 i = 0; i < 10; i++)
		reals[i].weight = 0;
	CHECK(ls_maglev_build(reals, 10, 251, a) == LS_OK && fair(a, 10, 251));
	CHECK(ls_maglev_build(other, 10, 251, a) == LS_OK && ls_maglev_repair(a, reals, 10, 251, b, NULL) == LS_OK && fair(b, 10, 251));
	CHECK(ls_maglev_build(other, 10, 3, a) == LS_OK); /* fewer entries than reals */
}

int main(int argc, char **argv)
{
	u64 first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;

	bounds_are_checked();
	for (seed = first; seed < first + (argc > 1 ? 1 : 40); seed++) {
		state = seed;
		shares_follow_weights();
		order_does_not_matter();
		is_the_papers_ring();
		removal_moves_only_its_own();
		changes_move_the_minimum();
		repair_heals_anything();
	}
	printf("%s\n", failures ? "maglev: failed" : "maglev: ok");
	return failures != 0;
}
