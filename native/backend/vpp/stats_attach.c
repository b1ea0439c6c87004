/* VPP's stats socket: it answers a connection with one message of no bytes that carries a descriptor, and closes. */
#include "backend/vpp/stats_map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VERSION 2
#define TRIES 10
#define WAIT_US 1000

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

/* What is left of the time for the next call on the socket; a timeout of 0 would be none. SO_SNDTIMEO holds for connect. */
static void limit(int fd, int option, u64 deadline)
{
	u64 now = now_ms(), ms = deadline > now ? deadline - now : 1;
	struct timeval left = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	setsockopt(fd, SOL_SOCKET, option, &left, sizeof(left));
}

/* The descriptor, or -1: errno is 0 when the message, or the end, came without one. */
static int receive(int socket)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	/* CMSG_LEN, not CMSG_SPACE: in the padding the kernel would place a second descriptor */
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *c;
	ssize_t got;
	int fd;

	do
		got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	errno = 0;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static enum ls_status refused(enum ls_status status, char *why, const char *text, int *err_no, int error)
{
	snprintf(why, LS_STATS_WHY, "%s", text);
	*err_no = error;
	return status;
}

static enum ls_status not_connected(int error, char *why, int *err_no)
{
	if (error == EACCES || error == EPERM)
		return refused(LS_E_PERMISSION, why, "may not connect to the stats socket", err_no, error);
	if (error == ENOENT || error == ECONNREFUSED)
		return refused(LS_E_SYSTEM, why, "nobody listens on the stats socket", err_no, error);
	if (error == EAGAIN) /* of a blocking socket: its queue was full for as long as SO_SNDTIMEO allows */
		return refused(LS_E_BUSY, why, "the stats socket accepts nobody", err_no, ETIMEDOUT);
	return refused(LS_E_SYSTEM, why, "cannot connect to the stats socket", err_no, error);
}

enum ls_status ls_stats_attach(const char *path, u32 deadline_ms, struct ls_stats *s, char why[LS_STATS_WHY], int *err_no)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	u64 deadline = now_ms() + deadline_ms;
	enum ls_status status;
	int fd = -1, socket_fd, error;

	memset(s, 0, sizeof(*s));
	if (strlen(path) >= sizeof(name.sun_path))
		return refused(LS_E_INVALID, why, "the path of the stats socket is too long", err_no, 0);
	strcpy(name.sun_path, path);
	socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (socket_fd < 0)
		return refused(LS_E_SYSTEM, why, "socket", err_no, errno);
	limit(socket_fd, SO_SNDTIMEO, deadline);
	if (connect(socket_fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
		status = not_connected(errno, why, err_no);
		goto out;
	}
	limit(socket_fd, SO_RCVTIMEO, deadline);
	fd = receive(socket_fd);
	if (fd < 0) {
		error = errno == EAGAIN ? ETIMEDOUT : errno;
		status = refused(LS_E_BUSY, why, "connected, but no descriptor came", err_no, error);
		goto out;
	}
	status = ls_stats_attach_fd(fd, s, why, err_no);
	close(fd);
out:
	close(socket_fd);
	return status;
}

/* What is looked at once: neither changes while VPP lives. */
static enum ls_status recognise(struct ls_stats *s, char *why, int *err_no)
{
	u64 version = ls_stats_u64(s->map + LS_STATS_VERSION_AT);

	*err_no = 0;
	if (version != VERSION) {
		snprintf(why, LS_STATS_WHY, "the segment has version %llu, expected %d", (unsigned long long)version, VERSION);
		return LS_E_VERSION;
	}
	s->base = ls_stats_u64(s->map + LS_STATS_BASE_AT);
	if (s->base == 0 || s->base > UINT64_MAX - s->size)
		return refused(LS_E_GEOMETRY, why, "the segment's own address cannot be one", err_no, 0);
	return LS_OK;
}

enum ls_status ls_stats_attach_fd(int fd, struct ls_stats *s, char why[LS_STATS_WHY], int *err_no)
{
	struct stat st;
	enum ls_status status;
	void *map;

	memset(s, 0, sizeof(*s));
	if (fstat(fd, &st) != 0)
		return refused(LS_E_SYSTEM, why, "fstat", err_no, errno);
	if (st.st_size < LS_STATS_HEADER_BYTES) {
		snprintf(why, LS_STATS_WHY, "the descriptor has %lld bytes, a segment at least %d", (long long)st.st_size, LS_STATS_HEADER_BYTES);
		*err_no = 0;
		return LS_E_TRUNCATED;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return refused(LS_E_SYSTEM, why, "mmap", err_no, errno);
	*s = (struct ls_stats){ .map = map, .size = (u64)st.st_size, .tries = TRIES, .wait_us = WAIT_US };
	status = recognise(s, why, err_no);
	if (status != LS_OK)
		ls_stats_detach(s);
	return status;
}

void ls_stats_detach(struct ls_stats *s)
{
	if (s->map)
		munmap((void *)s->map, s->size);
	s->map = NULL;
}
