/* Native tests in C: a registry of promises and assertions that say what was found.
 *
 *   TEST("a late delete misses a re-opened tuple (H26)") { CHECK_EQ(deleted, 0); }
 *   CHECK_MAIN
 *
 * One executable per file. A failed check ends its test, not the program; exit code 1 if any failed. Arguments: words that a test's promise must
 * contain to run. LS_SEED fixes the seed that is printed at the start.
 */
#ifndef LOCKSTEP_TEST_CHECK_H
#define LOCKSTEP_TEST_CHECK_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockstep/types.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif
#ifndef CHECK_SANITIZED
#define CHECK_SANITIZED 0
#endif

struct check_test {
	const char *promise;
	void (*run)(void);
	struct check_test *next;
};

static struct check_test *check_first, **check_last = &check_first;
static jmp_buf check_exit;
static u64 check_seed, check_state;
static char check_where[256]; /* what the test was at: shown with a failure */

#define CHECK_JOIN2(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN2(a, b)
#define TEST(text) CHECK_TEST(text, CHECK_JOIN(check_test_, __LINE__))
#define CHECK_TEST(text, name)                                             \
	static void name(void);                                            \
	static struct check_test CHECK_JOIN(name, _entry) = { text, name, NULL }; \
	__attribute__((constructor)) static void CHECK_JOIN(name, _add)(void) \
	{                                                                  \
		*check_last = &CHECK_JOIN(name, _entry);                   \
		check_last = &CHECK_JOIN(name, _entry).next;               \
	}                                                                  \
	static void name(void)

#define CHECK_FAIL(...)                                                        \
	do {                                                                   \
		printf("    %s:%d: ", __FILE__, __LINE__);                     \
		printf(__VA_ARGS__);                                           \
		printf("%s%s\n", check_where[0] ? " | at: " : "", check_where); \
		fflush(stdout);                                                \
		longjmp(check_exit, 1);                                        \
	} while (0)
#define CHECK(what)                                        \
	do {                                               \
		if (!(what))                               \
			CHECK_FAIL("expected: %s", #what); \
	} while (0)
#define CHECK_EQ(found, wanted)                                                                                    \
	do {                                                                                                       \
		unsigned long long check_a = (unsigned long long)(found), check_b = (unsigned long long)(wanted);  \
		if (check_a != check_b)                                                                            \
			CHECK_FAIL("%s is %llu (0x%llx), expected %s = %llu (0x%llx)", #found, check_a, check_a, #wanted, check_b, check_b); \
	} while (0)
#define CHECK_AT(...) ((void)snprintf(check_where, sizeof(check_where), __VA_ARGS__))

/* Numbers from the seed: splitmix64. */
static inline u64 check_random(void)
{
	u64 z = (check_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline u32 check_below(u32 n) { return (u32)(check_random() % n); }

/* A whole number from the environment. */
static inline u64 check_env(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int check_main(int argc, char **argv)
{
	static u32 run, failed; /* static: longjmp leaves them alone */
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	check_seed = check_env("LS_SEED", (u64)ts.tv_sec * 1000003u ^ (u64)ts.tv_nsec);
	printf("seed %llu\n", (unsigned long long)check_seed);
	for (struct check_test *t = check_first; t; t = t->next) {
		bool wanted = true;

		for (int i = 1; i < argc; i++)
			wanted &= argv[i][0] == '-' || strstr(t->promise, argv[i]) != NULL;
		if (!wanted)
			continue;
		run++;
		check_state = check_seed;
		check_where[0] = 0;
		fflush(stdout);
		if (setjmp(check_exit) == 0) {
			t->run();
			printf("ok %u %s\n", run, t->promise);
		} else {
			failed++;
			printf("not ok %u %s (LS_SEED=%llu)\n", run, t->promise, (unsigned long long)check_seed);
		}
	}
	printf("%u run, %u failed\n", run, failed);
	return failed || !run;
}

#define CHECK_MAIN                     \
	int main(int argc, char **argv) \
	{                               \
		return check_main(argc, argv); \
	}

#endif
