#include "backend/vpp/socket.h"
#include "backend/vpp/outbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)

struct ls_vpp_socket {
	struct ls_vpp_inbox in;
	int fd, kick;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	struct ls_vpp_outbox out;
	bool closing, over;
};

/* Under the lock. Writes what the socket takes now. 0 or an errno. */
static int push(struct ls_vpp_socket *s)
{
	while (s->out.from < s->out.used) {
		ssize_t n = send(s->fd, s->out.bytes + s->out.from, s->out.used - s->out.from, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : errno;
		s->out.from += (size_t)n;
	}
	s->out.from = s->out.used = 0;
	return 0;
}

static bool waits(struct ls_vpp_socket *s, bool *closing)
{
	bool some;

	pthread_mutex_lock(&s->lock);
	some = s->out.from < s->out.used;
	*closing = s->closing;
	pthread_mutex_unlock(&s->lock);
	return some;
}

/* Reads until nothing is there. 0, or -1 with *error: the link is over. */
static int drain(struct ls_vpp_socket *s, uint8_t *buffer, int *error)
{
	for (;;) {
		ssize_t n = recv(s->fd, buffer, READ_BYTES, MSG_DONTWAIT);

		if (n > 0) {
			*error = ls_vpp_inbox_put(&s->in, buffer, (size_t)n);
			if (*error != 0)
				return -1;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		*error = n == 0 ? 0 : errno;
		return -1;
	}
}

static void *reader(void *arg)
{
	struct ls_vpp_socket *s = arg;
	uint8_t *buffer = malloc(READ_BYTES);
	int error = buffer ? 0 : ENOMEM;
	bool closing = false, more;

	while (buffer) {
		uint64_t kicks;

		more = waits(s, &closing);
		struct pollfd fds[2] = { { s->fd, (short)(POLLIN | (more ? POLLOUT : 0)), 0 }, { s->kick, POLLIN, 0 } };

		if (closing)
			break;
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			error = errno;
			break;
		}
		if (fds[1].revents && read(s->kick, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
			break;
		if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && drain(s, buffer, &error) != 0)
			break;
		if (fds[0].revents & POLLOUT) {
			pthread_mutex_lock(&s->lock);
			error = push(s);
			pthread_mutex_unlock(&s->lock);
			if (error != 0)
				break;
		}
	}
	free(buffer);
	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_mutex_unlock(&s->lock);
	if (!closing)
		ls_vpp_inbox_end(&s->in, error);
	return NULL;
}

static int connected(const char *path, int *out)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, failed = 0;

	if (strlen(path) >= sizeof(a.sun_path))
		return ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		failed = errno;
		close(fd);
	}
	*out = fd;
	return failed;
}

int ls_vpp_socket_open(const char *path, void (*ready)(void *), void *arg, struct ls_vpp_socket **out)
{
	struct ls_vpp_socket *s = calloc(1, sizeof(*s));
	int failed = s ? connected(path, &s->fd) : ENOMEM;

	if (failed != 0) {
		free(s);
		return failed;
	}
	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ls_vpp_inbox_init(&s->in, ready, arg);
	pthread_mutex_init(&s->lock, NULL);
	failed = s->kick < 0 ? errno : pthread_create(&s->thread, NULL, reader, s);
	if (failed != 0) {
		if (s->kick >= 0)
			close(s->kick);
		close(s->fd);
		ls_vpp_inbox_free(&s->in);
		free(s);
		return failed;
	}
	*out = s;
	return 0;
}

struct ls_vpp_inbox *ls_vpp_socket_inbox(struct ls_vpp_socket *s) { return &s->in; }

static void kick(struct ls_vpp_socket *s)
{
	uint64_t one = 1;

	while (write(s->kick, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int ls_vpp_socket_send(struct ls_vpp_socket *s, const uint8_t *frames, size_t n)
{
	bool rest;
	int failed;

	pthread_mutex_lock(&s->lock);
	failed = s->over ? EPIPE : ls_vpp_outbox_put(&s->out, frames, n);
	/* What the socket says against it, the thread is told by the socket too: it says why the link ended, after what had come before. */
	if (failed == 0 && push(s) != 0)
		s->out.from = s->out.used = 0;
	rest = s->out.from < s->out.used;
	pthread_mutex_unlock(&s->lock);
	if (rest)
		kick(s);
	return failed;
}

void ls_vpp_socket_close(struct ls_vpp_socket *s)
{
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_mutex_unlock(&s->lock);
	kick(s);
	pthread_join(s->thread, NULL);
	close(s->fd);
	close(s->kick);
	pthread_mutex_destroy(&s->lock);
	ls_vpp_inbox_free(&s->in);
	free(s->out.bytes);
	free(s);
}
