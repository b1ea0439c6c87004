#include "health/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipeline/addr.h"

#define BATCH 256

static socklen_t name_of(struct sockaddr_storage *out, const struct ls_addr *a, u16 port)
{
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (ls_addr_is4(a)) {
		four->sin_family = AF_INET;
		four->sin_addr.s_addr = a->w[3];
		four->sin_port = port;
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	memcpy(&six->sin6_addr, a->b, 16);
	six->sin6_port = port;
	return sizeof(*six);
}

/* By a reset: neither end keeps anything. */
static void reset(int fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static int error_of(int fd)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

int ls_connect_begin(struct ls_connects *c, const struct ls_addr *to, u16 port, const struct ls_addr *source, int *fd)
{
	struct sockaddr_storage name;
	struct epoll_event event = { .events = EPOLLOUT };
	socklen_t bytes;
	int s, failed;

	if (source && ls_addr_is4(source) != ls_addr_is4(to))
		return EAFNOSUPPORT;
	if (c->poll < 0) {
		c->poll = epoll_create1(EPOLL_CLOEXEC);
		if (c->poll < 0)
			return errno;
	}
	s = socket(ls_addr_is4(to) ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0)
		return errno;
	if (source) {
		bytes = name_of(&name, source, 0);
		if (bind(s, (struct sockaddr *)&name, bytes) != 0)
			goto failed;
	}
	bytes = name_of(&name, to, port);
	if (connect(s, (struct sockaddr *)&name, bytes) == 0) {
		reset(s);
		return 0;
	}
	if (errno != EINPROGRESS)
		goto failed;
	{
		struct pollfd now = { .fd = s, .events = POLLOUT };

		if (poll(&now, 1, 0) == 1) { /* a neighbour on this host has answered meanwhile */
			failed = error_of(s);
			reset(s);
			return failed;
		}
	}
	event.data.fd = s;
	if (epoll_ctl(c->poll, EPOLL_CTL_ADD, s, &event) != 0)
		goto failed;
	*fd = s;
	return EINPROGRESS;
failed:
	failed = errno;
	close(s);
	return failed;
}

u32 ls_connect_ended(struct ls_connects *c, int *fd, int *error, u32 max)
{
	struct epoll_event events[BATCH];
	int n = c->poll < 0 ? 0 : epoll_wait(c->poll, events, max < BATCH ? (int)max : BATCH, 0);

	for (int i = 0; i < n; i++) {
		fd[i] = events[i].data.fd;
		error[i] = error_of(fd[i]);
		reset(fd[i]);
	}
	return n < 0 ? 0 : (u32)n;
}

void ls_connect_cancel(int fd) { reset(fd); }

void ls_connects_close(struct ls_connects *c)
{
	if (c->poll >= 0)
		close(c->poll);
	c->poll = -1;
}
