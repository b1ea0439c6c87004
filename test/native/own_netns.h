/* A network namespace for a test alone, with links of its own: nothing it does is seen outside. */
#ifndef LOCKSTEP_TEST_OWN_NETNS_H
#define LOCKSTEP_TEST_OWN_NETNS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What goes back in; -1: this process may not, and the reason is printed. */
static inline int netns_enter(void)
{
	int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (before >= 0 && unshare(CLONE_NEWNET) == 0)
		return before;
	printf("SKIPPED: a network namespace needs CAP_SYS_ADMIN\n");
	if (before >= 0)
		close(before);
	return -1;
}

static inline void netns_leave(int before)
{
	if (setns(before, CLONE_NEWNET) != 0)
		abort();
	close(before);
}

/* In the namespace of the calling thread. */
static inline bool sh(const char *command) { return system(command) == 0; }

#endif
