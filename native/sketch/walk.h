/* The walk of an item: the cells it is in, in ascending order, drawn from its hash. Cell i has it with probability 1 / (1 + i/2), each cell by itself
 * (Yang, Gilad and Alizadeh, Practical Rateless Set Reconciliation, SIGCOMM 2024); this is that paper's generator, step for step:
 *
 *   state *= 0xda942042e4dd58b5;  index += ceil((index + 1.5) * (2^32 / sqrt(state + 1) - 1))        first state = hash, first index = 0
 *
 * Two hosts must draw the same cells, so every operation is one IEEE 754 double rounded to nearest: no x87, no fused multiply and add, no approximation
 * (native_arithmetic in sources.gypi; ls_sketch_self_test() at start). It is most of what a change costs. Beside the formula it is arranged so that
 *  - the root and the division of one step do not wait for the index of the step before: only a product, a rounding and a sum do;
 *  - nothing branches but the end: neither the conversion of the state nor the rounding, whose outcomes are coin tosses.
 */
#ifndef LOCKSTEP_SKETCH_WALK_H
#define LOCKSTEP_SKETCH_WALK_H

#include <float.h>

#include "lockstep/types.h"

#if FLT_EVAL_METHOD != 0
#error "doubles must be computed as doubles"
#endif

#define LS_WALK_INLINE static inline __attribute__((always_inline))

/* Two walks side by side, as vector units have it. */
typedef double ls_f64x2 __attribute__((vector_size(16)));
typedef s64 ls_s64x2 __attribute__((vector_size(16)));

struct ls_walk {
	u64 state;
	double at; /* index + 1.5, exactly; beyond 2^52 merely large */
};

LS_WALK_INLINE struct ls_walk ls_walk_begin(u64 hash) { return (struct ls_walk){ .state = hash, .at = 1.5 }; }

/* `at` of index n: walks are below n while their `at` is less. n up to 2^31. */
LS_WALK_INLINE double ls_walk_end(u32 n) { return (double)(s64)n + 1.5; }

/* The index; only of a walk that is below some ls_walk_end(). */
LS_WALK_INLINE u32 ls_walk_index(double at) { return (u32)((s64)at - 1); }

/* (double)state + 1, from halves that are exact: one rounding in the sum, as the conversion has it, but no branch on the top bit. */
LS_WALK_INLINE double ls_walk_draw(u64 state)
{
	return ((double)(s64)(state >> 32) * 4294967296.0 + (double)(s64)(u32)state) + 1.0;
}

/* at + ceil(at * factor). Adding 2^52 and taking it off rounds to a whole number, to nearest; what fell below is put right by a mask. */
LS_WALK_INLINE ls_f64x2 ls_walk_jump(ls_f64x2 at, ls_f64x2 factor)
{
	const ls_f64x2 one = { 1.0, 1.0 };
	ls_f64x2 x = at * factor, whole = (x + 4503599627370496.0) - 4503599627370496.0;

	return (at + whole) + (ls_f64x2)((ls_s64x2)(whole < x) & (ls_s64x2)one);
}

LS_WALK_INLINE void ls_walk_next(struct ls_walk *w)
{
	w->state *= 0xda942042e4dd58b5ULL;
	w->at = ls_walk_jump((ls_f64x2){ w->at }, (ls_f64x2){ 4294967296.0 / __builtin_sqrt(ls_walk_draw(w->state)) - 1.0 })[0];
}

/* Two at once: the vector root and division cost what the scalar ones do. A half in the low bits of a double of 2^52 is that half once 2^52 is taken off. */
LS_WALK_INLINE void ls_walk_next2(u64 state[2], ls_f64x2 *at)
{
	const ls_s64x2 exponent = { 0x433LL << 52, 0x433LL << 52 };
	ls_f64x2 high, low, draw;

	state[0] *= 0xda942042e4dd58b5ULL;
	state[1] *= 0xda942042e4dd58b5ULL;
	high = (ls_f64x2)((ls_s64x2){ (s64)(state[0] >> 32), (s64)(state[1] >> 32) } | exponent) - 4503599627370496.0;
	low = (ls_f64x2)((ls_s64x2){ (u32)state[0], (u32)state[1] } | exponent) - 4503599627370496.0;
	draw = (high * 4294967296.0 + low) + 1.0;
	*at = ls_walk_jump(*at, 4294967296.0 / (ls_f64x2){ __builtin_sqrt(draw[0]), __builtin_sqrt(draw[1]) } - 1.0);
}

#endif
