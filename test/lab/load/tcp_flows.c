/* Many short TCP connections for the lab: `tcp_flows server PORT` and `tcp_flows client TO PORT RATE SECONDS TIMEOUT_MS FROM[,FROM…]`.
 *
 * A flow: connect, 64 bytes, an answer of 64 bytes, the server closes first. The client opens RATE flows a second on time whatever becomes of the
 * earlier ones, and prints one line of JSON at the end. Reference: epoll(7), ip(7) IP_BIND_ADDRESS_NO_PORT. One thread each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BYTES 64
#define EVENTS 512
#define FROM_MAX 64
#define ERRNOS 200
#define FLOWS_MAX 262144 /* open at one time */

static socklen_t parse(const char *text, int port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return sizeof(*v6);
	}
	fprintf(stderr, "%s is no address\n", text);
	exit(2);
}

/* --- server ---------------------------------------------------------------------------------------------------------- */

static int serve(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), one = 1, zero = 0;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[EVENTS];
	uint64_t served = 0;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(listener, 65535) != 0)
		fail("listen");
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		int n = epoll_wait(poll, events, EVENTS, 200);

		for (int i = 0; i < n; i++) {
			char bytes[BYTES];

			if (events[i].data.fd == listener) {
				for (int k = 0; k < EVENTS; k++) {
					int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

					if (fd < 0)
						break;
					event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
					epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
				}
				continue;
			}
			if (read(events[i].data.fd, bytes, BYTES) == BYTES && write(events[i].data.fd, bytes, BYTES) == BYTES)
				served++;
			close(events[i].data.fd);
		}
	}
	printf("{\"served\":%llu}\n", (unsigned long long)served);
	return 0;
}

/* --- client ---------------------------------------------------------------------------------------------------------- */

struct flow {
	uint64_t begun_ns;
	int fd;
	uint32_t next; /* in order of begin: the oldest times out first */
	bool sent, used;
	uint8_t got;
};

static struct flow *flows;
static uint32_t first_free, oldest = UINT32_MAX, newest = UINT32_MAX;
static uint64_t ok, refused, failures[ERRNOS], late;
static float *times;

static int compare(const void *a, const void *b) { return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b); }

static void end(uint32_t i, int error)
{
	struct flow *f = &flows[i];
	float ms = (float)(now_ns() - f->begun_ns) / 1e6f;

	close(f->fd);
	f->fd = -1;
	if (error == 0) {
		times[ok++] = ms;
		late += ms > 900;
	} else {
		failures[error < ERRNOS ? error : 0]++;
	}
}

static void progress(uint32_t i)
{
	struct flow *f = &flows[i];
	char bytes[BYTES];
	ssize_t n;

	if (!f->sent) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		memset(bytes, 'a' + (int)(i % 26), BYTES);
		if (error == 0 && write(f->fd, bytes, BYTES) != BYTES)
			error = errno;
		if (error) {
			end(i, error);
			return;
		}
		f->sent = true;
	}
	while ((n = read(f->fd, bytes, BYTES)) > 0) {
		for (ssize_t k = 0; k < n; k++)
			if (bytes[k] != 'a' + (int)(i % 26)) {
				end(i, EBADMSG);
				return;
			}
		f->got = (uint8_t)(f->got + n);
	}
	if (n == 0)
		end(i, f->got == BYTES ? 0 : EPIPE);
	else if (errno != EAGAIN)
		end(i, errno);
}

/* Takes flows that are over out of the order, and ends those that take too long. */
static void sweep(uint64_t now, uint64_t timeout_ns, bool all)
{
	while (oldest != UINT32_MAX) {
		struct flow *f = &flows[oldest];
		uint32_t i = oldest;

		if (f->fd >= 0) {
			if (!all && now - f->begun_ns < timeout_ns)
				break;
			end(i, ETIMEDOUT);
		}
		oldest = f->next;
		if (oldest == UINT32_MAX)
			newest = UINT32_MAX;
		f->used = false;
		f->next = first_free;
		first_free = i;
	}
}

static void begin(int poll, const struct sockaddr_storage *to, socklen_t to_size, const struct sockaddr_storage *from)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int one = 1, fd;
	uint32_t i = first_free;

	if (i == UINT32_MAX) {
		refused++;
		return;
	}
	fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		refused++;
		return;
	}
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	first_free = flows[i].next;
	flows[i] = (struct flow){ .begun_ns = now_ns(), .fd = fd, .next = UINT32_MAX, .used = true };
	if (newest == UINT32_MAX)
		oldest = i;
	else
		flows[newest].next = i;
	newest = i;
	if (bind(fd, (const struct sockaddr *)from, to_size) != 0 || (connect(fd, (const struct sockaddr *)to, to_size) != 0 && errno != EINPROGRESS)) {
		end(i, errno);
		return;
	}
	event.data.u32 = i;
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static double quantile(double q) { return ok ? times[(uint64_t)(q * (double)(ok - 1))] : 0; }

static int run(char **a)
{
	struct sockaddr_storage to, from[FROM_MAX];
	socklen_t size = parse(a[0], atoi(a[1]), &to);
	double rate = atof(a[2]), seconds = atof(a[3]);
	uint64_t timeout_ns = (uint64_t)atoi(a[4]) * 1000000u, attempted = 0, begun, tick;
	uint32_t froms = 0;
	int poll = epoll_create1(0), comma = 0;
	struct epoll_event events[EVENTS];

	for (char *text = strtok(a[5], ","); text && froms < FROM_MAX; text = strtok(NULL, ","))
		parse(text, 0, &from[froms++]);
	flows = calloc(FLOWS_MAX, sizeof(*flows));
	times = malloc(sizeof(*times) * ((size_t)(rate * seconds) + 1024));
	if (!flows || !times || !froms)
		fail("memory");
	for (uint32_t i = 0; i < FLOWS_MAX; i++)
		flows[i] = (struct flow){ .fd = -1, .next = i + 1 < FLOWS_MAX ? i + 1 : UINT32_MAX };
	begun = now_ns();
	for (;;) {
		double elapsed = (double)(now_ns() - begun) / 1e9, until = elapsed < seconds && !stop ? elapsed : -1;
		int n;

		/* what is due, at most a burst: a late loop catches up without a flood */
		for (int burst = 0; until >= 0 && burst < 64 && (double)attempted < until * rate; burst++)
			begin(poll, &to, size, &from[attempted++ % froms]);
		n = epoll_wait(poll, events, EVENTS, 1);
		for (int i = 0; i < n; i++)
			if (flows[events[i].data.u32].fd >= 0)
				progress(events[i].data.u32);
		tick = now_ns();
		sweep(tick, timeout_ns, false);
		if (until < 0 && oldest == UINT32_MAX)
			break;
	}
	qsort(times, ok, sizeof(*times), compare);
	printf("{\"attempted\":%llu,\"ok\":%llu,\"late\":%llu,\"seconds\":%.3f,\"ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"failures\":{",
	       (unsigned long long)(attempted + refused), (unsigned long long)ok, (unsigned long long)late, (double)(now_ns() - begun) / 1e9,
	       quantile(0.5), quantile(0.9), quantile(0.99), quantile(1));
	for (int i = 0; i < ERRNOS; i++)
		if (failures[i])
			printf("%s\"%s\":%llu", comma++ ? "," : "", strerror(i), (unsigned long long)failures[i]);
	if (refused)
		printf("%s\"too many at one time\":%llu", comma++ ? "," : "", (unsigned long long)refused);
	printf("}}\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = 1 << 19, .rlim_max = 1 << 19 };

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && strcmp(argv[1], "server") == 0)
		return serve(atoi(argv[2]));
	if (argc == 8 && strcmp(argv[1], "client") == 0)
		return run(argv + 2);
	fprintf(stderr, "usage: tcp_flows server PORT | tcp_flows client TO PORT RATE SECONDS TIMEOUT_MS FROM[,FROM...]\n");
	return 2;
}
