/* Atomics with one spelling for BPF (clang 14, -mcpu=v3) and user space.
 *
 * Relaxed loads and stores are single instructions everywhere. Publication goes through LS_STORE_REL or LS_CAS; BPF has no release
 * store before -mcpu=v4, so there it is an exchange, which is a full barrier (R10).
 */
#ifndef LOCKSTEP_PIPELINE_ATOMICS_H
#define LOCKSTEP_PIPELINE_ATOMICS_H

#include "lockstep/types.h"

#define LS_INLINE static inline __attribute__((always_inline))
/* A stage of its own, called rather than copied: keeps the hot path small. LS_PART is copied into its callers in user space.
 * Under BPF both are global functions, which the verifier proves once, whoever calls them: they return a number, and what their pointers point to
 * must be said to be there. A call and its guarded return cost a program about 9 ns (docs/performance.md), so what a hit runs through is LS_INLINE.
 * LS_GIVEN says what cannot be otherwise; the verifier sees a function that returns 0 if it is. */
#ifdef __bpf__
#define LS_STAGE __attribute__((noinline, weak))
#define LS_PART __attribute__((noinline, weak))
#define LS_GIVEN(condition)                                              \
	do {                                                             \
		if (!(condition)) {                                      \
			__asm__ volatile("r0 = 0\n\texit" ::: "r0");     \
			__builtin_unreachable();                         \
		}                                                        \
	} while (0)
#else
#define LS_STAGE static __attribute__((noinline, unused))
#define LS_PART LS_INLINE
#define LS_GIVEN(condition) ((void)0)
#endif
#define LS_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LS_LIKELY(x) __builtin_expect(!!(x), 1)

/* Under BPF: makes the compiler compare this very register, so that the verifier learns the bound of what is used as an index. */
#ifdef __bpf__
#define LS_OPAQUE(v) __asm__ volatile("" : "+r"(v))
/* 0 instead of what is not below `bound`, a constant; `v` is a u64. In assembly, because older kernels lose the bound in clang's copies. */
#define LS_CLIP(v, bound) __asm__ volatile("if %0 < %1 goto +1\n\t%0 = 0" : "+r"(v) : "i"(bound))
#else
#define LS_CLIP(v, bound) ((v) = (v) < (bound) ? (v) : 0)
#define LS_OPAQUE(v) ((void)0)
#endif

/* Shared words are read through these whatever struct they belong to. */
typedef u64 __attribute__((may_alias)) ls_u64a;
typedef u32 __attribute__((may_alias)) ls_u32a;
typedef u16 __attribute__((may_alias)) ls_u16a;

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
/* ThreadSanitizer does not model fences, and GCC says so. What they order here are atomic words, so nothing is hidden by it. */
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#ifdef __bpf__
#define LS_LOAD(p) (*(volatile __typeof__(*(p)) *)(p))
#define LS_LOAD_ACQ(p) LS_LOAD(p)
#define LS_STORE(p, v) (*(volatile __typeof__(*(p)) *)(p) = (v))
#define LS_STORE_REL(p, v) ((void)__sync_lock_test_and_set((p), (v)))
#define LS_ADD(p, v) ((void)__sync_fetch_and_add((p), (v)))
#define LS_FETCH_ADD(p, v) __sync_fetch_and_add((p), (v))
#define LS_CAS(p, old, new) __sync_val_compare_and_swap((p), (old), (new))
#define LS_FENCE_ACQ() __asm__ volatile("" ::: "memory")
#define LS_FENCE_REL() __asm__ volatile("" ::: "memory")
#else
#define LS_LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define LS_LOAD_ACQ(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define LS_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define LS_STORE_REL(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define LS_ADD(p, v) ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define LS_FETCH_ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define LS_FENCE_ACQ() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define LS_FENCE_REL() __atomic_thread_fence(__ATOMIC_RELEASE)
/* The value found; equal to `old` when it was replaced. Sequentially consistent, as __sync is. */
#define LS_CAS(p, old, new)                                                                          \
	({                                                                                           \
		__typeof__(*(p)) ls_cas_old = (old);                                                 \
		__atomic_compare_exchange_n((p), &ls_cas_old, (new), false, __ATOMIC_SEQ_CST,        \
					    __ATOMIC_SEQ_CST);                                       \
		ls_cas_old;                                                                          \
	})
#endif

/* Between placing an entry and scanning for a twin: the store must be visible before the loads. A locked instruction already is a
 * full barrier on x86-64; BPF programs get the kernel's fully ordered cmpxchg. */
#if defined(__bpf__) || defined(__x86_64__)
#define LS_FENCE_AFTER_CAS() __asm__ volatile("" ::: "memory")
#else
#define LS_FENCE_AFTER_CAS() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/* Copies of shared memory, word by word; n counts 8-byte words and is a constant. */
LS_INLINE void ls_words_load(void *to_bytes, const void *shared, u32 n)
{
	const ls_u64a *from = shared;
	ls_u64a *to = to_bytes;

	for (u32 i = 0; i < n; i++)
		to[i] = LS_LOAD(&from[i]);
}

LS_INLINE void ls_words_store(void *shared, const void *from_bytes, u32 n)
{
	ls_u64a *to = shared;
	const ls_u64a *from = from_bytes;

	for (u32 i = 0; i < n; i++)
		LS_STORE(&to[i], from[i]);
}

#endif
