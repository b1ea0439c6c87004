/* New UDP flows at a rate: `udp_flows TO FIRST COUNT RATE`, IPv4.
 *
 * One datagram of 32 bytes for each flow, numbered from FIRST, over a raw socket in batches: little CPU, so that the daemons get the rest.
 * Realtime at the lowest priority, below the daemons and above everything else of the host: what else runs does not make the rate.
 * Who is late starts its clock again instead of catching up: a burst would test buffers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BATCH 32
#define PORTS 64000u
#define LATE_NS 5000000.0

int main(int argc, char **argv)
{
	static struct { struct iphdr ip; struct udphdr udp; uint32_t flow; } __attribute__((packed)) p[BATCH];
	static struct mmsghdr m[BATCH];
	static struct iovec v[BATCH];
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct sched_param lowest = { .sched_priority = 1 };
	uint32_t first, count, done = 0, sent = 0;
	uint64_t begun, ended;
	double rate, clock;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || (rate = atof(argv[4])) <= 0) {
		fprintf(stderr, "usage: udp_flows TO FIRST COUNT RATE\n");
		return 2;
	}
	first = (uint32_t)strtoul(argv[2], NULL, 10);
	count = (uint32_t)strtoul(argv[3], NULL, 10);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0)
		fail("raw socket");
	(void)sched_setscheduler(0, SCHED_RR, &lowest); /* not everywhere allowed; the rate is reported */
	for (int i = 0; i < BATCH; i++) {
		p[i].ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(sizeof(p[i])), .daddr = to.sin_addr.s_addr };
		p[i].udp = (struct udphdr){ .dest = htons(9), .len = htons(sizeof(p[i]) - sizeof(p[i].ip)) };
		v[i] = (struct iovec){ &p[i], sizeof(p[i]) };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &v[i], .msg_iovlen = 1 };
	}
	begun = now_ns();
	clock = (double)begun;
	while (done < count && !stop) {
		double late = (double)now_ns() - clock - (double)done / rate * 1e9;
		uint32_t due;
		int n;

		if (late > LATE_NS) {
			clock += late - LATE_NS;
			late = LATE_NS;
		}
		due = late > 0 ? (uint32_t)(late / 1e9 * rate) : 0;
		if (!due) {
			usleep(300);
			continue;
		}
		due = due > BATCH ? BATCH : due;
		due = due > count - done ? count - done : due;
		for (uint32_t i = 0; i < due; i++) {
			uint32_t flow = first + done + i;

			p[i].ip.saddr = htonl(0x0a800000u + flow / PORTS); /* 10.128.0.0 and up */
			p[i].udp.source = htons((uint16_t)(1024 + flow % PORTS));
			p[i].flow = flow;
		}
		n = sendmmsg(fd, m, due, 0);
		if (n < 0 && errno != ENOBUFS)
			fail("sendmmsg");
		sent += n > 0 ? (uint32_t)n : 0;
		done += n > 0 ? (uint32_t)n : due; /* a flow that could not be sent is not tried again */
	}
	ended = now_ns();
	printf("{\"sent\":%u,\"seconds\":%.3f}\n", sent, (double)(ended - begun) / 1e9);
	return 0;
}
