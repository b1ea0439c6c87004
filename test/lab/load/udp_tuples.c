/* UDP flows for the lab, to see which translated tuples a source NAT gives: `udp_tuples server PORT FLOWS` and
 * `udp_tuples client TO PORT FLOWS RATE FROM[,FROM…]`, IPv4.
 *
 * The client sends one datagram for each flow, numbered, from ports 1024 and up of its addresses, over a raw socket: no socket for each flow. The
 * server notes under which source each number arrives and prints one line of JSON at SIGTERM: distinct sources, and numbers that shared one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define PORTS 64512
#define SOURCES (1u << 20) /* slots of the server's table of sources */

static int serve(int port, uint32_t count)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) }, from;
	struct timeval wait = { .tv_usec = 100000 };
	struct { uint64_t source; uint32_t flow; } *seen = calloc(SOURCES, sizeof(*seen));
	uint64_t *source_of = calloc(count, sizeof(*source_of)), datagrams = 0, shared = 0, moved = 0;
	uint32_t sources = 0, flows = 0, low = 65535, high = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 16 << 20;

	if (!seen || !source_of)
		fail("memory");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0)
		fail("bind");
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		uint32_t flow, i;
		uint64_t source;
		socklen_t bytes = sizeof(from);

		if (recvfrom(fd, &flow, sizeof(flow), 0, (struct sockaddr *)&from, &bytes) != sizeof(flow) || flow >= count)
			continue;
		datagrams++;
		source = (uint64_t)ntohl(from.sin_addr.s_addr) << 16 | ntohs(from.sin_port);
		if (source_of[flow] && source_of[flow] != source)
			moved++;
		if (!source_of[flow])
			flows++;
		source_of[flow] = source;
		for (i = (uint32_t)((source * 0x9e3779b97f4a7c15u) >> 44); seen[i].source && seen[i].source != source; i = (i + 1) % SOURCES)
			;
		if (!seen[i].source) {
			sources++;
			low = ntohs(from.sin_port) < low ? ntohs(from.sin_port) : low;
			high = ntohs(from.sin_port) > high ? ntohs(from.sin_port) : high;
			seen[i].source = source;
			seen[i].flow = flow;
		} else if (seen[i].flow != flow) {
			shared++;
		}
	}
	printf("{\"datagrams\":%llu,\"flows\":%u,\"sources\":%u,\"shared\":%llu,\"moved\":%llu,\"low\":%u,\"high\":%u}\n", (unsigned long long)datagrams, flows,
	       sources, (unsigned long long)shared, (unsigned long long)moved, low, high);
	return 0;
}

static uint32_t add(const void *bytes, size_t n, uint32_t sum)
{
	const uint16_t *w = bytes;

	for (; n > 1; n -= 2)
		sum += *w++;
	return sum;
}

static int run(char **a)
{
	struct { struct iphdr ip; struct udphdr udp; uint32_t flow; } __attribute__((packed)) p = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint32_t count = (uint32_t)atoi(a[2]), froms = 0, sent = 0;
	in_addr_t from[64];
	double rate = atof(a[3]);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	uint64_t begun;

	if (fd < 0)
		fail("raw socket");
	if (inet_pton(AF_INET, a[0], &to.sin_addr) != 1)
		return 2;
	for (char *text = strtok(a[4], ","); text && froms < 64; text = strtok(NULL, ","))
		inet_pton(AF_INET, text, &from[froms++]);
	if (!froms || count > froms * PORTS)
		return 2;
	p.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(sizeof(p)), .daddr = to.sin_addr.s_addr };
	begun = now_ns();
	for (uint32_t i = 0; i < count && !stop; i++) {
		uint32_t sum;

		while ((double)i > (double)(now_ns() - begun) / 1e9 * rate)
			usleep(500);
		p.ip.saddr = from[i % froms];
		p.udp = (struct udphdr){ .source = htons((uint16_t)(1024 + i / froms)), .dest = htons((uint16_t)atoi(a[1])), .len = htons(sizeof(p) - sizeof(p.ip)) };
		p.flow = i;
		sum = add(&p.ip.saddr, 8, 0) + add(&p.udp, sizeof(p) - sizeof(p.ip), 0) + htons(IPPROTO_UDP) + p.udp.len;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		p.udp.check = (uint16_t)~sum ? (uint16_t)~sum : 0xffff;
		if (sendto(fd, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(p))
			sent++;
	}
	printf("{\"sent\":%u,\"seconds\":%.3f}\n", sent, (double)(now_ns() - begun) / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (argc == 4 && strcmp(argv[1], "server") == 0)
		return serve(atoi(argv[2]), (uint32_t)atoi(argv[3]));
	if (argc == 7 && strcmp(argv[1], "client") == 0)
		return run(argv + 2);
	fprintf(stderr, "usage: udp_tuples server PORT FLOWS | udp_tuples client TO PORT FLOWS RATE FROM[,FROM...]\n");
	return 2;
}
