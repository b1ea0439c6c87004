/* Maglev rings: full build and minimal-move repair.
 *
 * build    Reals take turns; at its turn a real takes the first free entry of its own permutation, (offset + k * skip) mod size. A real of weight w
 *          takes its k-th turn in round k * wmax / w; turns end when the share by weight, rounded to whole entries, is reached. With equal weights
 *          this is the paper's algorithm. Most of the paper's steps are spent on the last few hundred free entries: there the step at which a
 *          real reaches an entry is computed, (entry - offset) / skip mod size, and the nearest entry is taken. The ring is the same.
 * repair   Every share is floor or ceil of the ideal. Entries without a real and those above ceil are released; if that is less than what the reals
 *          below floor need, reals above their ideal release one each. Lower bounds on the moves are both sums, so this is the minimum.
 */
#include "table/maglev.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/hash.h"

#define TAIL 256   /* free entries left when the nearest one is computed: about the square root of the largest size */
#define ROUNDS 128 /* power of two above the largest gap between two turns of a real */
#define NONE 0xffffffffu

/* One real in canonical order. */
struct rank {
	const struct ls_maglev_real *real;
	u32 share; /* entries it is to have; repair: at least */
};

/* One real taking turns: 24 bytes, so that a thousand of them stay in the first-level cache beside the bitmap of used entries. */
struct turn {
	u32 at;    /* next position of the permutation to look at */
	u32 skip;
	u32 taken;
	u32 share;
	u32 next;  /* in the list of its round */
	u16 id;
	u16 weight;
};

static bool prime(u32 n)
{
	if (n < 2 || (n > 2 && n % 2 == 0))
		return false;
	for (u32 d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static int canonical(const void *a, const void *b)
{
	const struct ls_maglev_real *x = ((const struct rank *)a)->real, *y = ((const struct rank *)b)->real;
	int order = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return order ? order : memcmp(&x->port_be, &y->port_be, sizeof(x->port_be));
}

static int descending(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The reals in canonical order, checked; NULL with *status set. *weight is their sum. */
static struct rank *order(const struct ls_maglev_real *reals, u32 n, u32 size, u64 *weight, enum ls_status *status)
{
	struct rank *t;
	u64 seen[LS_REALS_MAX / 64] = { 0 };

	*weight = 0;
	*status = LS_E_INVALID;
	if (!prime(size) || size > LS_RING_MAX || n >= LS_REALS_MAX)
		return NULL;
	for (u32 i = 0; i < n; i++) {
		u32 id = reals[i].id;

		if (id == 0 || id >= LS_REALS_MAX || reals[i].weight > LS_MAGLEV_WEIGHT_MAX || (seen[id / 64] >> (id % 64) & 1))
			return NULL;
		seen[id / 64] |= 1ULL << (id % 64);
		*weight += reals[i].weight;
	}
	t = calloc(n + 1, sizeof(*t));
	if (!t) {
		*status = LS_E_NOMEM;
		return NULL;
	}
	for (u32 i = 0; i < n; i++)
		t[i].real = &reals[i];
	qsort(t, n, sizeof(*t), canonical);
	for (u32 i = 0; i + 1 < n; i++)
		if (canonical(&t[i], &t[i + 1]) == 0) {
			free(t);
			return NULL;
		}
	*status = LS_OK;
	return t;
}

/* Shares by largest remainder, ties in canonical order; their sum is `size`. */
static enum ls_status shares(struct rank *t, u32 n, u32 size, u64 weight)
{
	u64 *rest = malloc((n + 1) * sizeof(*rest));
	u32 left = size;

	if (!rest)
		return LS_E_NOMEM;
	for (u32 i = 0; i < n; i++) {
		u64 product = (u64)size * t[i].real->weight;

		t[i].share = (u32)(product / weight);
		left -= t[i].share;
		rest[i] = (product % weight) << 16 | (0xffff - i);
	}
	qsort(rest, n, sizeof(*rest), descending);
	for (u32 i = 0; i < left; i++)
		t[0xffff - (rest[i] & 0xffff)].share++;
	free(rest);
	return LS_OK;
}

static void permute(struct turn *t, const struct ls_maglev_real *r, u32 size)
{
	u64 h = ls_mix64(r->addr.d[0] ^ 0x9e3779b97f4a7c15ULL) + r->addr.d[1];

	h = ls_mix64(h ^ (u64)r->port_be << 48);
	t->at = (u32)(h % size);
	t->skip = (u32)(ls_mix64(h ^ 0xd1b54a32d192ed03ULL) % (size - 1)) + 1;
}

static u32 inverse(u32 a, u32 size)
{
	s64 r0 = size, r1 = a, s0 = 0, s1 = 1;

	while (r1) {
		s64 q = r0 / r1, r2 = r0 - q * r1, s2 = s0 - q * s1;

		r0 = r1;
		r1 = r2;
		s0 = s1;
		s1 = s2;
	}
	return (u32)(s0 < 0 ? s0 + size : s0);
}

LS_INLINE u32 wrap(u32 position, u32 size) { return position >= size ? position - size : position; }

/* The first free entry from t->at on. Four steps at a time: one branch to guess instead of four. */
LS_INLINE u32 walk(const struct turn *t, const u64 *used, u32 size)
{
	u32 s1 = t->skip, s2 = wrap(s1 + s1, size), s3 = wrap(s2 + s1, size), s4 = wrap(s2 + s2, size), at = t->at;

	for (;;) {
		u32 p[4] = { at, wrap(at + s1, size), wrap(at + s2, size), wrap(at + s3, size) };
		u32 open = 0;

#pragma GCC unroll 4
		for (u32 i = 0; i < 4; i++)
			open |= (u32)(~used[p[i] / 64] >> (p[i] % 64) & 1) << i;
		if (LS_LIKELY(open))
			return p[__builtin_ctz(open)];
		at = wrap(at + s4, size);
	}
}

/* Takes the free entry that `t` reaches first, and takes it off the list. `reciprocal` is 2^64 / size, rounded up. */
static u32 nearest(struct turn *t, u32 *open, u32 *count, u32 size, u64 reciprocal)
{
	u32 best = NONE, at = 0, entry, factor = inverse(t->skip, size);

	for (u32 i = 0; i < *count; i++) {
		u32 ahead = open[i] >= t->at ? open[i] - t->at : open[i] + size - t->at;
		u64 product = (u64)ahead * factor; /* at most 2^32, so the quotient below is exact */
		u32 steps = (u32)(product - (u64)((unsigned __int128)product * reciprocal >> 64) * size);

		if (steps < best) {
			best = steps;
			at = i;
		}
	}
	entry = open[at];
	open[at] = open[--*count];
	t->at = entry;
	return entry;
}

enum ls_status ls_maglev_build(const struct ls_maglev_real *reals, u32 n, u32 size, u16 *ring)
{
	u32 head[ROUNDS], tail[ROUNDS], open[TAIL], opened = 0, left = size, heaviest = 0;
	u64 weight, used[(LS_RING_MAX + 63) / 64];
	enum ls_status status;
	struct rank *ranks = order(reals, n, size, &weight, &status);
	struct turn *t = NULL;

	if (!ranks)
		return status;
	if (weight == 0) {
		memset(ring, 0, (size_t)size * sizeof(*ring));
		goto out;
	}
	status = shares(ranks, n, size, weight);
	if (status != LS_OK)
		goto out;
	t = malloc(n * sizeof(*t));
	if (!t) {
		status = LS_E_NOMEM;
		goto out;
	}
	memset(used, 0, sizeof(used));
	memset(head, 0xff, sizeof(head));
	for (u32 i = 0; i < n; i++) {
		const struct ls_maglev_real *r = ranks[i].real;

		if (ranks[i].share == 0)
			continue;
		t[i] = (struct turn){ .share = ranks[i].share, .id = r->id, .weight = (u16)r->weight, .next = NONE };
		permute(&t[i], r, size);
		if (head[0] == NONE)
			head[0] = i;
		else
			t[tail[0]].next = i;
		tail[0] = i;
		if (r->weight > heaviest)
			heaviest = r->weight;
	}
	for (u32 round = 0; left; round++) {
		u32 i = head[round % ROUNDS];

		head[round % ROUNDS] = NONE;
		while (i != NONE) {
			struct turn *me = &t[i];
			u32 at, self = i, due;

			i = me->next;
			if (left > TAIL) {
				at = me->at = walk(me, used, size);
			} else {
				if (!opened)
					for (u32 e = 0; e < size; e++)
						if (!(used[e / 64] >> (e % 64) & 1))
							open[opened++] = e;
				at = nearest(me, open, &opened, size, ~0ULL / size + 1);
			}
			used[at / 64] |= 1ULL << (at % 64);
			ring[at] = me->id;
			left--;
			if (++me->taken == me->share)
				continue;
			due = (me->weight == heaviest ? round + 1 : me->taken * heaviest / me->weight) % ROUNDS;
			me->next = NONE;
			if (head[due] == NONE)
				head[due] = self;
			else
				t[tail[due]].next = self;
			tail[due] = self;
		}
	}
out:
	free(t);
	free(ranks);
	return status;
}

/* Entries are looked at in this order, so that what a real gives up is spread over the ring. */
static u32 stride(u32 size)
{
	return size > 2 ? (u32)((u64)size * 40503 >> 16) | 1 : 1;
}

enum ls_status ls_maglev_repair(const u16 *old, const struct ls_maglev_real *reals, u32 n, u32 size, u16 *ring, struct ls_maglev_change *change)
{
	struct ls_maglev_change c = { 0 };
	u64 weight, worst = 0;
	u32 *held = NULL, *release = NULL, *rank = NULL, *freed = NULL, released = 0, needed = 0, given = 0;
	enum ls_status status;
	struct rank *t = order(reals, n, size, &weight, &status);

	if (!t)
		return status;
	held = calloc(n + 1, sizeof(*held));
	release = calloc(n + 1, sizeof(*release));
	rank = malloc(LS_REALS_MAX * sizeof(*rank));
	freed = malloc((size_t)size * sizeof(*freed));
	if (!held || !release || !rank || !freed) {
		status = LS_E_NOMEM;
		goto out;
	}
	if (weight == 0) {
		for (u32 e = 0; e < size; e++) {
			c.moved += old[e] != 0;
			ring[e] = 0;
		}
		goto out;
	}
	memset(rank, 0xff, LS_REALS_MAX * sizeof(*rank));
	for (u32 i = 0; i < n; i++)
		if (t[i].real->weight)
			rank[t[i].real->id] = i;
	for (u32 e = 0; e < size; e++) {
		u32 i = old[e] < LS_REALS_MAX ? rank[old[e]] : NONE;

		if (i == NONE)
			released++;
		else
			held[i]++;
	}
	/* floor and ceil: what is above goes, what is below is owed */
	for (u32 i = 0; i < n; i++) {
		u64 product = (u64)size * t[i].real->weight;
		u32 low = (u32)(product / weight), high = low + (product % weight != 0);

		t[i].share = low;
		if (held[i] > high)
			release[i] = held[i] - high;
		released += release[i];
		if (held[i] < low)
			needed += low - held[i];
	}
	/* still owed: those at ceil give one each, in canonical order */
	for (u32 i = 0; i < n && released < needed; i++)
		if (held[i] - release[i] > t[i].share) {
			release[i]++;
			released++;
		}
	if (ring != old)
		memcpy(ring, old, (size_t)size * sizeof(*ring));
	for (u32 k = 0, e = 0, step = stride(size) % size; k < size && given < released; k++, e = e + step >= size ? e + step - size : e + step) {
		u32 i = ring[e] < LS_REALS_MAX ? rank[ring[e]] : NONE;

		if (i != NONE && !release[i])
			continue;
		if (i != NONE) {
			release[i]--;
			held[i]--;
		}
		freed[given++] = e;
	}
	/* first to those below floor, then one each to those furthest below their ideal; a round at a time, so that neighbours are not one real's */
	for (bool more = true; more && given;) {
		more = false;
		for (u32 i = 0; i < n && given; i++)
			if (held[i] < t[i].share) {
				ring[freed[--given]] = t[i].real->id;
				held[i]++;
				c.moved++;
				more = true;
			}
	}
	if (given) {
		u64 *rest = malloc((n + 1) * sizeof(*rest));

		if (!rest) {
			status = LS_E_NOMEM;
			goto out;
		}
		for (u32 i = 0; i < n; i++)
			rest[i] = held[i] > t[i].share ? 0 : ((u64)size * t[i].real->weight % weight) << 16 | (0xffff - i);
		qsort(rest, n, sizeof(*rest), descending);
		for (u32 i = 0; i < n && given; i++) {
			struct rank *to = &t[0xffff - (rest[i] & 0xffff)];

			ring[freed[--given]] = to->real->id;
			held[to - t]++;
			c.moved++;
		}
		free(rest);
	}
	for (u32 i = 0; i < n; i++) {
		u64 ideal = (u64)size * 1000000 * t[i].real->weight / weight, has = (u64)held[i] * 1000000;
		u64 off = has > ideal ? has - ideal : ideal - has, skew;

		if (!t[i].real->weight || off <= 1000000)
			continue;
		skew = (off - 1000000) * 1000000 / ideal;
		worst = skew > worst ? skew : worst;
	}
	c.skew_ppm = (u32)worst;
	c.rebuild = c.skew_ppm > LS_MAGLEV_SKEW_PPM;
out:
	free(freed);
	free(rank);
	free(release);
	free(held);
	free(t);
	if (change)
		*change = c;
	return status;
}

u64 ls_maglev_hash(const u16 *ring, u32 size)
{
	u64 h = 0x9e3779b97f4a7c15ULL ^ size;
	u32 e = 0;

	for (; e + 4 <= size; e += 4) {
		u64 word = ring[e] | (u64)ring[e + 1] << 16 | (u64)ring[e + 2] << 32 | (u64)ring[e + 3] << 48;

		h = (h ^ word) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	for (; e < size; e++) {
		h = (h ^ ring[e]) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	return ls_mix64(h);
}
