/* A hash-collision flood by somebody who knows the secret: `collide HEADER TO PORT COUNT ROUNDS RATE FROM[,FROM…]`, IPv4.
 *
 * HEADER is the pinned header of a table. From its key the program finds COUNT UDP flows that all have the same two candidate buckets, and sends one datagram of
 * each, ROUNDS times, over a raw socket. Prints one line of JSON. The hash is the pipeline's own (compiled with -I native and native/include).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"
#include "pipeline/hash.h"

#define FROM_MAX 128
#define COUNT_MAX 256

struct flow {
	in_addr_t from;
	u16 sport;
};

static const struct ls_header *header_at(const char *path)
{
	union bpf_attr attr = { .pathname = (u64)(uintptr_t)path };
	int fd = (int)syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, LS_HEADER_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		fail(path);
	return page;
}

/* The pair of buckets of a flow, the smaller first. */
static u64 pair_of(const struct ls_header *h, in_addr_t from, in_addr_t to, u16 sport, u16 dport)
{
	struct ls_key key = { .sport_be = htons(sport), .dport_be = htons(dport), .proto = IPPROTO_UDP, .family = LS_IP4 };
	struct ls_hash hash;
	u32 other;

	key.src.w[2] = key.dst.w[2] = htonl(0xffff);
	key.src.w[3] = from;
	key.dst.w[3] = to;
	hash = ls_hash_key(&h->hash, &key, h->buckets - 1);
	other = ls_other_bucket(hash.bucket, hash.tag, h->buckets - 1);
	return hash.bucket < other ? (u64)hash.bucket << 32 | other : (u64)other << 32 | hash.bucket;
}

static u32 find(const struct ls_header *h, const in_addr_t *from, u32 froms, in_addr_t to, u16 dport, struct flow *flows, u32 count)
{
	u64 wanted = pair_of(h, from[0], to, 1024, dport);
	u32 n = 0;

	for (u32 sport = 1024; sport < 65536; sport++)
		for (u32 i = 0; i < froms && n < count; i++)
			if (pair_of(h, from[i], to, (u16)sport, dport) == wanted)
				flows[n++] = (struct flow){ .from = from[i], .sport = (u16)sport };
	return n;
}

int main(int argc, char **argv)
{
	struct { struct iphdr ip; struct udphdr udp; u32 number; } __attribute__((packed)) p = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	const struct ls_header *h;
	in_addr_t from[FROM_MAX];
	struct flow flows[COUNT_MAX];
	u32 froms = 0, count, found, sent = 0;
	u16 dport;
	int fd;

	if (argc != 8 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1 || (count = (u32)atoi(argv[4])) > COUNT_MAX) {
		fprintf(stderr, "usage: collide HEADER TO PORT COUNT ROUNDS RATE FROM[,FROM...]\n");
		return 2;
	}
	for (char *text = strtok(argv[7], ","); text && froms < FROM_MAX; text = strtok(NULL, ","))
		if (inet_pton(AF_INET, text, &from[froms++]) != 1)
			return 2;
	dport = (u16)atoi(argv[3]);
	h = header_at(argv[1]);
	found = find(h, from, froms, to.sin_addr.s_addr, dport, flows, count);
	if (found < count) {
		fprintf(stderr, "only %u of %u flows: give more source addresses or a smaller table (%u buckets)\n", found, count, h->buckets);
		return 1;
	}
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0)
		fail("raw socket");
	p.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(sizeof(p)), .daddr = to.sin_addr.s_addr };
	for (u32 round = 0; round < (u32)atoi(argv[5]); round++)
		for (u32 i = 0; i < count; i++) {
			p.ip.saddr = flows[i].from;
			p.udp = (struct udphdr){ .source = htons(flows[i].sport), .dest = htons(dport), .len = htons(sizeof(p) - sizeof(p.ip)) }; /* no checksum */
			p.number = i;
			sent += sendto(fd, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(p);
			usleep((useconds_t)(1000000 / atoi(argv[6])));
		}
	printf("{\"flows\":%u,\"buckets\":%u,\"sent\":%u}\n", found, h->buckets, sent);
	return 0;
}
