/* The far end of a link, over a packet socket:
 *
 *     peer INTERFACE play IN OUT        the capture IN once, each frame when it is due after the first; what arrives goes into the capture OUT
 *     peer INTERFACE repeat IN RATE     the capture IN for ever, RATE frames a second; 0 = as fast as can be
 *     peer INTERFACE answer             each UDP datagram goes back where it came from
 *
 * Prints `ready`, and plays from when a line arrives on its standard input. Captures are classic pcap, microseconds, in this machine's byte order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FRAME 65536
#define BATCH 64
#define TAG 4

struct record {
	uint32_t s, us, have, len;
};

static int link_fd, out_fd = -1;
static const uint8_t *capture, *end, *at;

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void load(const char *path)
{
	struct stat s;
	uint8_t *bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s) != 0 || !(bytes = malloc((size_t)s.st_size)) || read(fd, bytes, (size_t)s.st_size) != s.st_size)
		fail(path);
	close(fd);
	capture = at = bytes + 24;
	end = bytes + s.st_size;
}

static void open_link(const char *name)
{
	struct sockaddr_ll me = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name) };
	int on = 1, bytes = 32 << 20;

	link_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link_fd < 0 || setsockopt(link_fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0 || setsockopt(link_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
	    setsockopt(link_fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 || bind(link_fd, (struct sockaddr *)&me, sizeof(me)) != 0)
		fail(name);
}

/* One frame as it was on the wire: the kernel has taken its VLAN tag out. 0 = there is none. */
static size_t receive(uint8_t *frame)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec v = { frame + TAG, FRAME - TAG };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(link_fd, &m, 0);
	uint16_t tag[2] = { 0 };

	if (n < 0 && errno != EAGAIN && errno != ENETDOWN)
		fail("receive");
	if (n <= 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID) {
			tag[0] = htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETHERTYPE_VLAN);
			tag[1] = htons(aux.tp_vlan_tci);
		}
	}
	if (!tag[0]) {
		memmove(frame, frame + TAG, (size_t)n);
		return (size_t)n;
	}
	memmove(frame, frame + TAG, 2 * ETH_ALEN);
	memcpy(frame + 2 * ETH_ALEN, tag, sizeof(tag));
	return (size_t)n + TAG;
}

static void transmit(const uint8_t *frame, size_t n)
{
	if (send(link_fd, frame, n, 0) < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ENETDOWN)
		fail("send");
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t t[8];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

/* Sums stay as they are: the same words in another order. */
static void answer(uint8_t *f, size_t n)
{
	if (n < 42 || f[12] != 8 || f[13] != 0 || f[14] != 0x45 || f[23] != IPPROTO_UDP)
		return;
	swap(f, f + 6, 6);
	swap(f + 26, f + 30, 4);
	swap(f + 34, f + 36, 2);
	transmit(f, n);
}

static void put(const void *bytes, size_t n)
{
	if (write(out_fd, bytes, n) != (ssize_t)n)
		fail("write");
}

static void arrived(uint8_t *frame, size_t n, bool answers)
{
	struct record r = { .have = (uint32_t)n, .len = (uint32_t)n };

	if (answers)
		answer(frame, n);
	if (out_fd < 0)
		return;
	put(&r, sizeof(r));
	put(frame, n);
}

/* The next frame goes out. False: it was the last one. */
static bool play(void)
{
	struct record r;

	memcpy(&r, at, sizeof(r));
	transmit(at + sizeof(r), r.have);
	at += sizeof(r) + r.have;
	return at < end;
}

static uint64_t due(void)
{
	struct record first, next;

	memcpy(&first, capture, sizeof(first));
	memcpy(&next, at, sizeof(next));
	return (uint64_t)(next.s - first.s) * 1000000 + next.us - first.us;
}

int main(int argc, char **argv)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, FRAME - 1, 1 };
	static uint8_t frame[FRAME];
	bool once = argc == 5 && strcmp(argv[2], "play") == 0, again = argc == 5 && strcmp(argv[2], "repeat") == 0, answers = argc == 3 && strcmp(argv[2], "answer") == 0;
	uint64_t begun = 0, sent = 0, rate = again ? strtoull(argv[4], NULL, 10) : 0;
	bool playing = false;
	char line[16];
	size_t n;

	if (!once && !again && !answers)
		return fprintf(stderr, "usage: peer INTERFACE play IN OUT | repeat IN RATE | answer\n"), 2;
	open_link(argv[1]);
	if (!answers)
		load(argv[3]);
	if (once) {
		out_fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (out_fd < 0)
			fail(argv[4]);
		put(head, sizeof(head));
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2] = { { .fd = link_fd, .events = POLLIN }, { .fd = begun ? -1 : STDIN_FILENO, .events = POLLIN } };

		poll(p, 2, !playing ? -1 : again && !rate ? 0 : 1);
		if (!begun && p[1].revents) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				return 0;
			begun = now_us();
			playing = capture && at < end;
		}
		for (unsigned i = 0; i < BATCH && (n = receive(frame)) > 0; i++)
			arrived(frame, n, answers);
		for (unsigned i = 0; i < BATCH && playing; i++) {
			if (once ? due() > now_us() - begun : rate && sent * 1000000 > (now_us() - begun) * rate)
				break;
			sent++;
			if (!play()) {
				at = capture;
				playing = again;
			}
		}
	}
}
