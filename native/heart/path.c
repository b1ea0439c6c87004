#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "heart/path.h"

#define AGAIN_NS 200000000ULL

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static bool is_four(const struct ls_addr *a) { return !a->d[0] && a->w[2] == htonl(0xffff); }

static socklen_t address_of(const struct ls_heart_address *a, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (is_four(&a->addr)) {
		out->four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(a->port), .sin_addr.s_addr = a->addr.w[3] };
		return sizeof(out->four);
	}
	out->six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope };
	memcpy(&out->six.sin6_addr, a->addr.b, 16);
	return sizeof(out->six);
}

static const char *text_of(const struct ls_heart_address *a, char out[INET6_ADDRSTRLEN])
{
	return is_four(&a->addr) ? inet_ntop(AF_INET, &a->addr.w[3], out, INET6_ADDRSTRLEN) : inet_ntop(AF_INET6, a->addr.b, out, INET6_ADDRSTRLEN);
}

void ls_path_close(struct ls_path *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* 0 or an errno: the address may come later, and so may the route. */
static int path_open(struct ls_path *p)
{
	union address local, remote;
	socklen_t local_bytes = address_of(&p->at.local, &local), remote_bytes = address_of(&p->at.remote, &remote);
	int fd = socket(local.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), failed;

	if (fd >= 0 && bind(fd, &local.any, local_bytes) == 0 && connect(fd, &remote.any, remote_bytes) == 0) {
		p->fd = fd;
		return 0;
	}
	failed = errno;
	if (fd >= 0)
		close(fd);
	return failed;
}

bool ls_path_send(struct ls_path *p, u32 index, const u8 *d, size_t bytes, u64 now_ns, char error[LS_PATH_ERROR_BYTES])
{
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];
	int failed = 0;

	if (p->fd < 0 && now_ns < p->again_ns)
		return true;
	if (p->fd < 0)
		failed = path_open(p);
	/* refused: nobody listens there yet, which silence tells as well; no room: the next one goes */
	if (!failed && send(p->fd, d, bytes, MSG_DONTWAIT) < 0 && errno != ECONNREFUSED && errno != EAGAIN && errno != ENOBUFS)
		failed = errno;
	if (!failed) {
		p->told = 0;
		return true;
	}
	ls_path_close(p);
	p->again_ns = now_ns + AGAIN_NS;
	if (p->told == failed)
		return true;
	p->told = failed;
	snprintf(error, LS_PATH_ERROR_BYTES, "path %u from %s:%u to %s:%u: %s; it is tried again until it works", index, text_of(&p->at.local, local), p->at.local.port,
		 text_of(&p->at.remote, remote), p->at.remote.port, strerror(failed));
	return false;
}

size_t ls_path_receive(struct ls_path *p, u8 *d, size_t max)
{
	ssize_t n = p->fd < 0 ? -1 : recv(p->fd, d, max, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}
