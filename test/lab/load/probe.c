/* Silence, seen from outside. `probe server PORT` echoes datagrams; `probe client TO PORT FLOWS RATE SECONDS` keeps FLOWS UDP flows going at RATE datagrams a
 * second each, and tells for how long each of them ever heard nothing.
 *
 * Standard output of the client: a line of JSON for every silence of the whole that is longer than SILENCE_NS (when it began and ended, Unix time in
 * microseconds), and at the end one line with the figures: longest silence of each flow as quantiles, sent and received.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "load.h"

#define FLOWS_MAX 20000
#define SILENCE_NS 10000000u

struct flow {
	int fd;
	uint32_t sent, received;
	uint64_t heard_ns, longest_ns;
};

struct packet {
	uint32_t flow, seq;
	char fill[56];
};

static struct flow flows[FLOWS_MAX];

static uint64_t wall_us(uint64_t monotonic)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u - (now_ns() - monotonic) / 1000u;
}

static int open_socket(const char *host, const char *port, int server)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_family = server ? AF_INET6 : AF_UNSPEC, .ai_flags = server ? AI_PASSIVE : 0 }, *found;
	int size = 4 << 20, fd;

	if (getaddrinfo(host, port, &hints, &found) != 0) {
		errno = EINVAL;
		fail(host ? host : port);
	}
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK * !server, 0);
	if (fd < 0)
		fail("socket");
	if (server) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	}
	if (server ? bind(fd, found->ai_addr, found->ai_addrlen) : connect(fd, found->ai_addr, found->ai_addrlen))
		fail(server ? "bind" : "connect");
	freeaddrinfo(found);
	return fd;
}

static int serve(const char *port)
{
	int fd = open_socket(NULL, port, 1);

	puts("ready");
	fflush(stdout);
	while (!stop) {
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		char data[2048];
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);

		if (n >= 0)
			sendto(fd, data, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, length);
	}
	puts("{}");
	return 0;
}

static uint64_t all_heard_ns;
static uint64_t received;

static void hear(struct flow *f)
{
	struct packet p;

	while (recv(f->fd, &p, sizeof(p), 0) == (ssize_t)sizeof(p)) {
		uint64_t now = now_ns();

		if (f->received && now - f->heard_ns > f->longest_ns)
			f->longest_ns = now - f->heard_ns;
		f->heard_ns = now;
		f->received++;
		if (received && now - all_heard_ns > SILENCE_NS) {
			printf("{\"from\":%llu,\"to\":%llu}\n", (unsigned long long)wall_us(all_heard_ns), (unsigned long long)wall_us(now));
			fflush(stdout);
		}
		all_heard_ns = now;
		received++;
	}
}

static int by_longest(const void *a, const void *b)
{
	const struct flow *x = a, *y = b;

	return x->longest_ns < y->longest_ns ? -1 : x->longest_ns > y->longest_ns;
}

static int ask(char **argv)
{
	uint32_t n = (uint32_t)atoi(argv[2]), silent = 0;
	double step, clock_ns;
	uint64_t begun, ends, sent = 0, last = 0;
	struct epoll_event events[256];
	int epoll = epoll_create1(0);
	struct rlimit files = { FLOWS_MAX + 100, FLOWS_MAX + 100 };

	if (n < 1 || n > FLOWS_MAX || atof(argv[3]) <= 0 || epoll < 0) {
		fprintf(stderr, "probe: 1 to %d flows, a rate above 0\n", FLOWS_MAX);
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	step = 1e9 / (atof(argv[3]) * n);
	for (uint32_t i = 0; i < n; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data = { .u32 = i } };

		flows[i].fd = open_socket(argv[0], argv[1], 0);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, flows[i].fd, &e) != 0)
			fail("epoll_ctl");
	}
	begun = now_ns();
	ends = begun + (uint64_t)(atof(argv[4]) * 1e9);
	clock_ns = (double)begun;
	puts("ready");
	fflush(stdout);
	for (uint32_t i = 0;; ) {
		uint64_t now = now_ns();
		struct timespec wait = { 0 };
		int found;

		if (!last && (stop || now >= ends))
			last = now + 500000000u; /* answers that are on their way */
		if (last && now >= last)
			break;
		while (!last && clock_ns <= (double)now) {
			struct packet p = { .flow = i, .seq = flows[i].sent++ };

			if (send(flows[i].fd, &p, sizeof(p), 0) == (ssize_t)sizeof(p))
				sent++;
			i = (i + 1) % n;
			clock_ns += step;
			if ((double)now - clock_ns > 5e6)
				clock_ns = (double)now; /* late: no bursts */
		}
		wait.tv_nsec = last ? 1000000 : clock_ns > (double)now ? (long)(clock_ns - (double)now) : 0;
		found = epoll_pwait2(epoll, events, 256, &wait, NULL);
		for (int k = 0; k < found; k++)
			hear(&flows[events[k].data.u32]);
	}
	for (uint32_t i = 0; i < n; i++)
		silent += flows[i].received == 0;
	qsort(flows, n, sizeof(*flows), by_longest);
	printf("{\"flows\":%u,\"sent\":%llu,\"received\":%llu,\"silent\":%u,\"longest_ms\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}}\n", n, (unsigned long long)sent, (unsigned long long)received, silent,
	       (double)flows[n / 2].longest_ns / 1e6, (double)flows[n - 1 - n / 100].longest_ns / 1e6, (double)flows[n - 1].longest_ns / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction end = { .sa_handler = on_signal };

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	setpriority(PRIO_PROCESS, 0, -20); /* what it measures is not its own waiting for a CPU; realtime would keep the kernel's packet threads from theirs */
	if (argc == 3 && strcmp(argv[1], "server") == 0)
		return serve(argv[2]);
	if (argc == 7 && strcmp(argv[1], "client") == 0)
		return ask(argv + 2);
	fprintf(stderr, "usage: probe server PORT | probe client TO PORT FLOWS RATE SECONDS\n");
	return 2;
}
