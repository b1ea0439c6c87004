/* Serves a stats segment as VPP does: one descriptor to each who connects. The segment is a memory file, which lines on the standard input change:
 *
 *   stats-server IMAGE SOCKET
 *   image PATH                       the whole segment anew
 *   write OFFSET HEX ...             in this order
 *   shake MS OFFSET HEX ...          writes and puts back what was there, over and over; "begun", and "ok" when it is over
 *
 * Each line is answered with "ok". */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WRITES 8
#define WRITE_BYTES 128

struct patch {
	size_t offset, bytes;
	uint8_t value[WRITE_BYTES], before[WRITE_BYTES];
};

static int memory, listener;
static uint8_t *map;
static size_t size;

static void load(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		err(1, "%s", path);
	if (!map) {
		size = (size_t)st.st_size;
		memory = memfd_create("segment", 0);
		if (ftruncate(memory, st.st_size) != 0)
			err(1, "ftruncate");
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	}
	for (size_t at = 0; at < size;) {
		ssize_t got = read(fd, map + at, size - at);

		if (got <= 0)
			err(1, "%s", path);
		at += (size_t)got;
	}
	close(fd);
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct msghdr m = { .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &memory, sizeof(memory));
		if (sendmsg(fd, &m, MSG_NOSIGNAL) != 0)
			warn("sendmsg");
		close(fd);
	}
	return NULL;
}

/* What VPP changes are words, whole. */
static void put(size_t offset, const uint8_t *value, size_t bytes)
{
	uint64_t word;

	if (bytes == sizeof(word) && offset % sizeof(word) == 0) {
		memcpy(&word, value, sizeof(word));
		__atomic_store_n((uint64_t *)(map + offset), word, __ATOMIC_SEQ_CST);
	} else {
		memcpy(map + offset, value, bytes);
	}
}

static size_t parse(char *text, struct patch *p)
{
	size_t n = 0;

	for (char *offset = strtok(text, " "), *hex; offset && n < WRITES; offset = strtok(NULL, " "), n++) {
		hex = strtok(NULL, " ");
		p[n].offset = strtoull(offset, NULL, 10);
		p[n].bytes = hex ? strlen(hex) / 2 : 0;
		if (p[n].bytes > WRITE_BYTES || p[n].offset > size - p[n].bytes)
			errx(1, "write beyond the segment");
		for (size_t i = 0; i < p[n].bytes; i++)
			sscanf(hex + 2 * i, "%2hhx", &p[n].value[i]);
	}
	return n;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void shake(double ms, struct patch *p, size_t n)
{
	double until = now() + ms;

	for (size_t i = 0; i < n; i++)
		memcpy(p[i].before, map + p[i].offset, p[i].bytes);
	puts("begun");
	fflush(stdout);
	while (now() < until) {
		for (size_t i = 0; i < n; i++) {
			put(p[i].offset, p[i].value, p[i].bytes);
			usleep(20);
		}
		for (size_t i = 0; i < n; i++)
			put(p[i].offset, p[i].before, p[i].bytes);
		usleep(20);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	static struct patch patches[WRITES];
	static char line[8192];
	pthread_t thread;

	if (argc != 3 || strlen(argv[2]) >= sizeof(name.sun_path))
		errx(2, "stats-server IMAGE SOCKET");
	strcpy(name.sun_path, argv[2]);
	load(argv[1]);
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (bind(listener, (struct sockaddr *)&name, sizeof(name)) != 0 || listen(listener, 16) != 0 || pthread_create(&thread, NULL, serve, NULL) != 0)
		err(1, "%s", argv[2]);
	puts("ok");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line;

		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "image ", 6) == 0) {
			load(line + 6);
		} else if (strncmp(line, "write ", 6) == 0) {
			size_t n = parse(line + 6, patches);

			for (size_t i = 0; i < n; i++)
				put(patches[i].offset, patches[i].value, patches[i].bytes);
		} else if (strncmp(line, "shake ", 6) == 0) {
			double ms = strtod(line + 6, &rest);

			shake(ms, patches, parse(rest, patches));
		} else {
			errx(2, "%s", line);
		}
		puts("ok");
		fflush(stdout);
	}
	return 0;
}
