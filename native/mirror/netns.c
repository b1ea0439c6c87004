/* Network namespaces are entered by a thread of their own: setns(2) changes the calling thread only. */
#include "mirror/api.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct netns_call {
	const char *path;
	void (*fn)(void *);
	void *arg;
	char *error;
	bool ok;
};

static void *netns_main(void *arg)
{
	struct netns_call *c = arg;
	int fd = open(c->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
		snprintf(c->error, LS_MIRROR_ERROR_BYTES, "network namespace %s: %s", c->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	close(fd);
	c->ok = true;
	c->fn(c->arg);
	return NULL;
}

bool ls_in_netns(const char *path, void (*fn)(void *), void *arg, char error[LS_MIRROR_ERROR_BYTES])
{
	struct netns_call c = { .path = path, .fn = fn, .arg = arg, .error = error };
	pthread_t thread;

	if (!path[0]) {
		fn(arg);
		return true;
	}
	if (pthread_create(&thread, NULL, netns_main, &c) != 0) {
		snprintf(error, LS_MIRROR_ERROR_BYTES, "no thread for network namespace %s", path);
		return false;
	}
	pthread_join(thread, NULL);
	return c.ok;
}
