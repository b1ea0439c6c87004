/* The reader of VPP's stats segment, against segments made by hand: what it reads, what it refuses, and that it survives every damage and every moment. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "stats_segment.h"

#define SMALL 16384

enum { RX, TX, LINK, NAMES, HEARTBEAT, GAUGE, HISTOGRAM, RING, REMOVED, ENTRIES };

/* Memory of exactly that size, so that AddressSanitizer sees the first byte beyond. */
static struct segment small(void)
{
	static const char *const names[] = { "local0", NULL, "host-fxc0" };
	struct segment g;

	segment_init(&g, aligned_alloc(16, SMALL), SMALL, ENTRIES);
	segment_set(&g, RX, 3, "/if/rx", segment_counters(&g, 2, 4, 2, 1000));
	segment_set(&g, TX, 2, "/if/tx", segment_counters(&g, 2, 4, 1, 5000));
	segment_set(&g, LINK, 6, "/interfaces/host-fxc0/rx", segment_link(RX, 2));
	segment_set(&g, NAMES, 4, "/if/names", segment_names(&g, names, 3));
	segment_set(&g, HEARTBEAT, 1, "/sys/heartbeat", 195);
	segment_set(&g, GAUGE, 9, "/sys/vector_rate", 7);
	segment_set(&g, HISTOGRAM, 7, "/latency", segment_counters(&g, 1, 5, 1, 4));
	segment_set(&g, RING, 8, "/events", segment_ring(&g));
	segment_set(&g, REMOVED, 5, "", 0);
	CHECK(g.used < SMALL / 2);
	return g;
}

static struct ls_stats_handle handle(const char *name)
{
	struct ls_stats_handle h;

	CHECK(ls_stats_handle_init(&h, name));
	return h;
}

/* Found in a pass that holds. */
static bool find(const struct segment *g, const char *name, struct ls_stats_pass *p, struct ls_stats_entry *e)
{
	struct ls_stats_handle h = handle(name);
	bool found;

	CHECK_EQ(ls_stats_begin(&g->stats, p), LS_OK);
	found = ls_stats_find(p, &h, e);
	CHECK_EQ(ls_stats_end(p), LS_OK);
	return found;
}

/* --- the socket --- */

enum answer { SEGMENT, TWICE, NOTHING, CLOSE, LEAVE };

struct server {
	pthread_t thread;
	struct sockaddr_un name;
	int fd, passed;
	enum answer answer;
};

static void send_descriptor(int to, int fd, u32 times)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(times * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(times * sizeof(int));
	for (u32 i = 0; i < times; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(fd), &fd, sizeof(fd));
	sendmsg(to, &m, 0);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	char byte;

	if (s->answer == SEGMENT || s->answer == TWICE)
		send_descriptor(fd, s->passed, s->answer == TWICE ? 2 : 1);
	if (s->answer == NOTHING)
		(void)!recv(fd, &byte, 1, 0);
	close(fd);
	return NULL;
}

static void listen_at(struct server *s, enum answer answer, int passed)
{
	const char *folder = getenv("TMPDIR");

	*s = (struct server){ .name = { .sun_family = AF_UNIX }, .answer = answer, .passed = passed };
	snprintf(s->name.sun_path, sizeof(s->name.sun_path), "%s/ls-stats-%d.sock", folder ? folder : P_tmpdir, getpid());
	unlink(s->name.sun_path);
	s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CHECK(bind(s->fd, (struct sockaddr *)&s->name, sizeof(s->name)) == 0 && listen(s->fd, 1) == 0);
	if (answer != LEAVE)
		CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
}

static void unlisten(struct server *s)
{
	if (s->answer != LEAVE)
		pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->name.sun_path);
}

static int memory(const void *bytes, size_t n, off_t size)
{
	int fd = memfd_create("segment", MFD_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, size) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
	return fd;
}

static u32 descriptors(void)
{
	u32 n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

TEST("attached over the socket: the segment is mapped, read, and no descriptor is left, however many came")
{
	struct segment g = small();
	struct ls_stats_handle h = handle("/sys/heartbeat"), none = handle("/no");

	for (enum answer answer = SEGMENT; answer <= TWICE; answer++) {
		u32 before = descriptors();
		int fd = memory(g.map, SMALL, SMALL), err_no = -1;
		struct server server;
		struct ls_stats s;
		char why[LS_STATS_WHY] = "";
		u64 sum[2];

		listen_at(&server, answer, fd);
		CHECK_EQ(ls_stats_attach(server.name.sun_path, 1000, &s, why, &err_no), LS_OK);
		unlisten(&server);
		close(fd);
		CHECK_EQ(descriptors(), before);
		CHECK_EQ(s.size, SMALL);
		CHECK_EQ(ls_stats_counter(&s, &h, 0, sum), LS_OK);
		CHECK_EQ(sum[0], 195);
		CHECK_EQ(ls_stats_counter(&s, &none, 0, sum), LS_E_NOT_FOUND);
		ls_stats_detach(&s);
		ls_stats_detach(&s);
	}
	free(g.map);
}

TEST("who cannot be attached to is told apart: nobody there, nobody listens, no right, no descriptor, a closed door, a full queue")
{
	struct ls_stats s;
	struct server server;
	char why[LS_STATS_WHY] = "", path[200];
	int err_no = -1, queued[8];
	uid_t user = geteuid();
	enum ls_status status;
	u64 began;

	listen_at(&server, LEAVE, -1);
	strcpy(path, server.name.sun_path);
	for (u32 i = 0; i < 8; i++) {
		queued[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		(void)!connect(queued[i], (struct sockaddr *)&server.name, sizeof(server.name));
	}
	began = now_ms();
	CHECK_EQ(ls_stats_attach(path, 50, &s, why, &err_no), LS_E_BUSY);
	CHECK_EQ(err_no, ETIMEDOUT);
	CHECK(now_ms() - began >= 40 && now_ms() - began < 5000);
	for (u32 i = 0; i < 8; i++)
		close(queued[i]);
	chmod(path, 0);
	CHECK_EQ(seteuid(user ? user : 65534), 0); /* root may connect to anything */
	status = ls_stats_attach(path, 50, &s, why, &err_no);
	CHECK_EQ(seteuid(user), 0);
	CHECK_EQ(status, LS_E_PERMISSION);
	CHECK_EQ(err_no, EACCES);
	close(server.fd);
	chmod(path, 0777);
	CHECK_EQ(ls_stats_attach(path, 50, &s, why, &err_no), LS_E_SYSTEM);
	CHECK_EQ(err_no, ECONNREFUSED);
	unlink(path);
	CHECK_EQ(ls_stats_attach(path, 50, &s, why, &err_no), LS_E_SYSTEM);
	CHECK_EQ(err_no, ENOENT);
	listen_at(&server, NOTHING, -1);
	began = now_ms();
	CHECK_EQ(ls_stats_attach(path, 50, &s, why, &err_no), LS_E_BUSY);
	CHECK_EQ(err_no, ETIMEDOUT);
	CHECK(now_ms() - began >= 40 && now_ms() - began < 5000);
	unlisten(&server);
	listen_at(&server, CLOSE, -1);
	CHECK_EQ(ls_stats_attach(path, 1000, &s, why, &err_no), LS_E_BUSY);
	CHECK_EQ(err_no, 0);
	unlisten(&server);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	CHECK_EQ(ls_stats_attach(path, 50, &s, why, &err_no), LS_E_INVALID);
	CHECK(s.map == NULL);
}

TEST("what is not a segment is refused, and the text says what was found")
{
	static const struct {
		u64 version, base;
		off_t size;
		enum ls_status status;
		const char *text;
	} table[] = {
		{ 2, SEGMENT_BASE, 0, LS_E_TRUNCATED, "0 bytes" },
		{ 2, SEGMENT_BASE, 47, LS_E_TRUNCATED, "47 bytes" },
		{ 2, SEGMENT_BASE, 48, LS_OK, "" },
		{ 1, SEGMENT_BASE, 4096, LS_E_VERSION, "version 1, expected 2" },
		{ 3, SEGMENT_BASE, 4096, LS_E_VERSION, "version 3, expected 2" },
		{ 2, 0, 4096, LS_E_GEOMETRY, "address" },
		{ 2, ~0ull - 4095, 4096, LS_E_GEOMETRY, "address" },
		{ 2, ~0ull - 4096, 4096, LS_OK, "" },
	};
	struct ls_stats s;

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u64 header[2] = { table[i].version, table[i].base };
		char why[LS_STATS_WHY] = "";
		int fd = memory(header, table[i].size < 16 ? 0 : 16, table[i].size), err_no = -1;

		CHECK_AT("row %u", i);
		CHECK_EQ(ls_stats_attach_fd(fd, &s, why, &err_no), table[i].status);
		CHECK(strstr(why, table[i].text) != NULL);
		CHECK((s.map != NULL) == (table[i].status == LS_OK));
		ls_stats_detach(&s);
		close(fd);
	}
}

/* --- the directory --- */

TEST("types of every release mean the same kinds")
{
	static const u8 modern[12] = { LS_STATS_UNKNOWN, LS_STATS_SCALAR, LS_STATS_SIMPLE, LS_STATS_COMBINED, LS_STATS_NAMES, LS_STATS_EMPTY, LS_STATS_SYMLINK,
				       LS_STATS_HISTOGRAM, LS_STATS_RING, LS_STATS_GAUGE, LS_STATS_UNKNOWN, LS_STATS_UNKNOWN };
	static const u8 legacy[12] = { LS_STATS_UNKNOWN, LS_STATS_SCALAR, LS_STATS_SIMPLE, LS_STATS_COMBINED, LS_STATS_UNKNOWN, LS_STATS_NAMES, LS_STATS_EMPTY,
				       LS_STATS_SYMLINK, LS_STATS_UNKNOWN, LS_STATS_UNKNOWN, LS_STATS_UNKNOWN, LS_STATS_UNKNOWN };
	static const u64 errors[] = { 0, SEGMENT_BASE - 8, SEGMENT_BASE, SEGMENT_BASE + SMALL, SEGMENT_BASE + 4096 };
	struct segment g = small();
	struct ls_stats_pass p;
	char name[LS_STATS_NAME + 1];

	for (u32 i = 0; i < 5; i++) {
		put_header(&g, LS_STATS_ERRORS_AT, errors[i]);
		for (u32 type = 0; type < 12; type++) {
			put32(&g, segment_entry(&g, RX), type);
			CHECK_AT("errors %llx, type %u", (unsigned long long)errors[i], type);
			CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
			CHECK_EQ(ls_stats_describe(&p, RX, name), i == 4 ? legacy[type] : modern[type]);
			CHECK(strcmp(name, "/if/rx") == 0);
		}
	}
	CHECK_EQ(ls_stats_describe(&p, ENTRIES, name), LS_STATS_UNKNOWN);
	CHECK(name[0] == 0);
	CHECK(strcmp(ls_stats_kind_name(LS_STATS_RING), "ring") == 0 && strcmp(ls_stats_kind_name(99), "unknown") == 0);
	free(g.map);
}

TEST("a handle finds its entry wherever it went, and walks in vain once for each state of the directory")
{
	struct segment g = small();
	struct ls_stats_handle h = handle("/if/rx"), none = handle("/if/rx2");
	struct ls_stats_pass p;
	struct ls_stats_entry e;

	ls_stats_begin(&g.stats, &p);
	CHECK(ls_stats_find(&p, &h, &e) && e.index == RX && h.index == RX);
	CHECK(!ls_stats_find(&p, &none, &e));
	/* renamed and another took the name, without an epoch: VPP's rename of symlinks */
	segment_name(&g, RX, "/if/rx2");
	segment_name(&g, TX, "/if/rx");
	CHECK(ls_stats_find(&p, &h, &e) && e.index == TX);
	CHECK(!ls_stats_find(&p, &none, &e)); /* not looked for again in this state */
	put_header(&g, LS_STATS_EPOCH_AT, 2);
	ls_stats_begin(&g.stats, &p);
	CHECK(ls_stats_find(&p, &none, &e) && e.index == RX);
	/* removed */
	segment_set(&g, TX, 5, "", 0);
	CHECK(!ls_stats_find(&p, &h, &e));
	/* the directory got shorter */
	put32(&g, p.directory - 8, RX);
	ls_stats_begin(&g.stats, &p);
	CHECK_EQ(p.entries, RX);
	CHECK(!ls_stats_find(&p, &none, &e));
	free(g.map);
}

TEST("names are compared to their NUL, of any length up to the whole field")
{
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_handle h;
	char name[LS_STATS_NAME + 2], seen[LS_STATS_NAME + 1];

	for (u32 n = 1; n <= LS_STATS_NAME; n++) {
		memset(name, 'x', n);
		name[n] = 0;
		CHECK_AT("%u bytes", n);
		memset(g.map + (segment_entry(&g, TX) + 16 - SEGMENT_BASE), '?', LS_STATS_NAME);
		segment_name(&g, TX, name);
		CHECK(find(&g, name, &p, &e) && e.index == TX);
		ls_stats_describe(&p, TX, seen);
		CHECK(strcmp(seen, name) == 0);
		name[n - 1] = 0;
		CHECK(!find(&g, name, &p, &e) || e.index != TX);
	}
	memset(name, 'x', sizeof(name));
	name[LS_STATS_NAME + 1] = 0;
	CHECK(!ls_stats_handle_init(&h, name));
	free(g.map);
}

TEST("a directory that is not there has no entries; one that is outside of the mapping is refused; one that is too long ends with it")
{
	static const struct {
		u64 directory;
		enum ls_status status;
	} table[] = {
		{ 0, LS_OK },
		{ SEGMENT_BASE - 8, LS_E_GEOMETRY },
		{ SEGMENT_BASE, LS_E_GEOMETRY },
		{ SEGMENT_BASE + 8, LS_E_GEOMETRY },
		{ SEGMENT_BASE + 20, LS_E_GEOMETRY }, /* not aligned */
		{ SEGMENT_BASE + SMALL, LS_OK }, /* no room behind its length */
		{ SEGMENT_BASE + SMALL + 8, LS_E_GEOMETRY },
		{ 4, LS_E_GEOMETRY },
		{ ~0ull, LS_E_GEOMETRY },
	};
	struct segment g = small();
	struct ls_stats_pass p;

	put32(&g, segment_entry(&g, 0) - 8, 0x7fffffff);
	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
	CHECK_EQ(p.entries, (SMALL - (segment_entry(&g, 0) - SEGMENT_BASE)) / SEGMENT_ENTRY);
	put32(&g, SEGMENT_BASE + SMALL - 8, 77);
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CHECK_AT("row %u", i);
		put_header(&g, LS_STATS_DIRECTORY_AT, table[i].directory);
		CHECK_EQ(ls_stats_begin(&g.stats, &p), table[i].status);
		CHECK_EQ(p.entries, 0);
	}
	free(g.map);
}

/* --- values --- */

TEST("counters are read by thread and summed over threads; their length is what it is now")
{
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_row row;
	u64 sum[2], rows;

	CHECK(find(&g, "/if/rx", &p, &e));
	CHECK_EQ(ls_stats_threads(&p, &e), 2);
	row = ls_stats_row_of(&p, &e, 1);
	CHECK(row.columns == 4 && row.width == 2 && row.at[0] == 1100 && row.at[7] == 1107);
	CHECK(ls_stats_sum(&p, &e, 3, sum) && sum[0] == 2112 && sum[1] == 2114);
	CHECK(!ls_stats_sum(&p, &e, 4, sum) && !ls_stats_sum(&p, &e, LS_STATS_ALL, sum));
	CHECK_EQ(ls_stats_row_of(&p, &e, 2).columns, 0);
	/* one thread grew in place */
	rows = e.word;
	put32(&g, get64(&g, rows + 8) - 8, 5);
	CHECK_EQ(ls_stats_row_of(&p, &e, 0).columns, 4);
	CHECK_EQ(ls_stats_row_of(&p, &e, 1).columns, 5);
	CHECK(ls_stats_sum(&p, &e, 4, sum));
	/* a thread without a vector, and with an empty one */
	put64(&g, rows, 0);
	CHECK_EQ(ls_stats_row_of(&p, &e, 0).columns, 0);
	CHECK(ls_stats_sum(&p, &e, 0, sum) && sum[0] == 1100);
	put32(&g, get64(&g, rows + 8) - 8, 0);
	CHECK(!ls_stats_sum(&p, &e, 0, sum));
	CHECK(find(&g, "/if/tx", &p, &e) && ls_stats_sum(&p, &e, 1, sum) && sum[0] == 10102 && sum[1] == 0);
	CHECK(find(&g, "/sys/heartbeat", &p, &e) && ls_stats_sum(&p, &e, 9, sum) && sum[0] == 195);
	CHECK(find(&g, "/sys/vector_rate", &p, &e) && e.kind == LS_STATS_GAUGE && ls_stats_sum(&p, &e, 0, sum) && sum[0] == 7);
	CHECK(find(&g, "/latency", &p, &e) && !ls_stats_sum(&p, &e, 0, sum));
	row = ls_stats_row_of(&p, &e, 0);
	CHECK(row.columns == 5 && row.at[0] == 4 && row.at[4] == 8);
	CHECK(!find(&g, "/sys/no", &p, &e));
	free(g.map);
}

TEST("a pointer that cannot be followed reads as absent, and a length ends with the mapping")
{
	static const u64 wild[] = { 0, 7, SEGMENT_BASE, SEGMENT_BASE + 4, SEGMENT_BASE + SMALL + 8, SEGMENT_BASE - 4096, ~0ull, 0x8000000000000000ull };
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_row row;
	u64 word, sum[2], at;

	CHECK(find(&g, "/if/rx", &p, &e));
	word = e.word;
	for (u32 i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		CHECK_AT("pointer %llx", (unsigned long long)wild[i]);
		segment_set(&g, RX, 3, "/if/rx", wild[i]);
		CHECK(find(&g, "/if/rx", &p, &e) && ls_stats_threads(&p, &e) == 0 && !ls_stats_sum(&p, &e, 0, sum));
		CHECK(find(&g, "/interfaces/host-fxc0/rx", &p, &e) && ls_stats_threads(&p, &e) == 0);
		segment_set(&g, RX, 3, "/if/rx", word);
		at = get64(&g, word);
		put64(&g, word, wild[i]);
		CHECK(find(&g, "/if/rx", &p, &e) && ls_stats_threads(&p, &e) == 2 && ls_stats_row_of(&p, &e, 0).columns == 0);
		put64(&g, word, at);
	}
	put32(&g, get64(&g, word) - 8, 0xffffffff);
	row = ls_stats_row_of(&p, &e, 0);
	CHECK_EQ(row.columns, (SMALL - (get64(&g, word) - SEGMENT_BASE)) / 16);
	put32(&g, word - 8, 0xffffffff);
	CHECK_EQ(ls_stats_threads(&p, &e), LS_STATS_THREADS_MAX);
	/* all of them at once are more than there can be */
	for (u32 t = 0; t < 100; t++)
		put64(&g, word + 8 * t, get64(&g, word));
	for (u32 t = 0; t < 100; t++)
		row = ls_stats_row_of(&p, &e, t);
	CHECK_EQ(row.columns, 0);
	CHECK_EQ(ls_stats_end(&p), LS_E_GEOMETRY);
	free(g.map);
}

TEST("a symlink leads one step, to a column of counters, or nowhere")
{
	static const struct {
		u32 index, column, columns;
		bool found;
	} table[] = {
		{ RX, 0, 1, true },        { RX, 3, 1, true },  { RX, 4, 0, true }, { RX, 0x00ffffff, 0, true }, { RX, LS_STATS_ALL, 0, false },
		{ TX, 1, 1, true },        { LINK, 0, 0, false }, { NAMES, 0, 0, false }, { HEARTBEAT, 0, 0, false }, { REMOVED, 0, 0, false },
		{ ENTRIES, 0, 0, false },  { 0x00ffffff, 0, 0, false }, { 0xffffffff, 0, 0, false }, { RING, 0, 0, false },
	};
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	u64 sum[2];

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CHECK_AT("row %u", i);
		segment_set(&g, LINK, 6, "/link", segment_link(table[i].index, table[i].column));
		CHECK_EQ(find(&g, "/link", &p, &e), table[i].found);
		if (!table[i].found)
			continue;
		CHECK_EQ(ls_stats_row_of(&p, &e, 1).columns, table[i].columns);
		CHECK_EQ(ls_stats_sum(&p, &e, 0, sum), table[i].columns == 1);
	}
	segment_set(&g, LINK, 6, "/link", segment_link(RX, 2));
	CHECK(find(&g, "/link", &p, &e) && ls_stats_row_of(&p, &e, 1).at[1] == 1105 && ls_stats_sum(&p, &e, 0, sum) && sum[0] == 2108);
	/* to a symlink, and two in a circle */
	segment_set(&g, GAUGE, 6, "/second", segment_link(LINK, 0));
	CHECK(!find(&g, "/second", &p, &e));
	segment_set(&g, LINK, 6, "/link", segment_link(GAUGE, 0));
	CHECK(!find(&g, "/link", &p, &e));
	free(g.map);
}

TEST("names are cut to what fits; an element that is not there is none")
{
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	char name[16];

	CHECK(find(&g, "/if/names", &p, &e));
	CHECK_EQ(ls_stats_names(&p, &e), 3);
	CHECK(ls_stats_name(&p, &e, 0, name, sizeof(name)) && strcmp(name, "local0") == 0);
	CHECK(!ls_stats_name(&p, &e, 1, name, sizeof(name)));
	CHECK(ls_stats_name(&p, &e, 2, name, 5) && strcmp(name, "host") == 0);
	CHECK(!ls_stats_name(&p, &e, 3, name, sizeof(name)));
	put64(&g, e.word, SEGMENT_BASE + SMALL + 64);
	CHECK(!ls_stats_name(&p, &e, 0, name, sizeof(name)));
	put64(&g, e.word, get64(&g, e.word + 16));
	put32(&g, get64(&g, e.word) - 8, 0xffffffff);
	CHECK(ls_stats_name(&p, &e, 0, name, sizeof(name)) && strcmp(name, "host-fxc0") == 0);
	CHECK(find(&g, "/if/rx", &p, &e) && ls_stats_names(&p, &e) == 0);
	free(g.map);
}

/* --- passes --- */

TEST("a pass counts only if nothing was changed under it")
{
	struct segment g = small();
	u64 directory = get64(&g, SEGMENT_BASE + LS_STATS_DIRECTORY_AT);
	struct ls_stats_pass p;

	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
	CHECK_EQ(ls_stats_end(&p), LS_OK);
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 1);
	CHECK_EQ(ls_stats_end(&p), LS_E_BUSY);
	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_E_BUSY);
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 0);
	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 1);
	put_header(&g, LS_STATS_EPOCH_AT, 896);
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 0);
	CHECK_EQ(ls_stats_end(&p), LS_E_BUSY);
	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
	put_header(&g, LS_STATS_DIRECTORY_AT, directory + SEGMENT_ENTRY);
	CHECK_EQ(ls_stats_end(&p), LS_E_BUSY);
	put_header(&g, LS_STATS_DIRECTORY_AT, directory);
	CHECK_EQ(ls_stats_end(&p), LS_OK);
	put32(&g, directory - 8, ENTRIES - 1);
	CHECK_EQ(ls_stats_end(&p), LS_E_BUSY);
	put_header(&g, LS_STATS_DIRECTORY_AT, 0);
	CHECK_EQ(ls_stats_begin(&g.stats, &p), LS_OK);
	CHECK_EQ(ls_stats_end(&p), LS_OK);
	free(g.map);
}

struct spoil {
	struct segment *g;
	u32 calls, spoiled;
};

static void take_spoiled(struct ls_stats_pass *p, void *arg)
{
	struct spoil *s = arg;

	s->calls++;
	if (s->calls <= s->spoiled)
		put_header(s->g, LS_STATS_EPOCH_AT, p->epoch + 1);
}

TEST("a pass that does not count is taken again, as often as it may be and no more")
{
	struct segment g = small();
	struct spoil s = { .g = &g, .spoiled = 2 };

	g.stats.tries = 3;
	CHECK_EQ(ls_stats_read(&g.stats, take_spoiled, &s), LS_OK);
	CHECK_EQ(s.calls, 3);
	s = (struct spoil){ .g = &g, .spoiled = 3 };
	CHECK_EQ(ls_stats_read(&g.stats, take_spoiled, &s), LS_E_BUSY);
	CHECK_EQ(s.calls, 3);
	s.calls = 0;
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 1);
	CHECK_EQ(ls_stats_read(&g.stats, take_spoiled, &s), LS_E_BUSY);
	CHECK_EQ(s.calls, 0);
	put_header(&g, LS_STATS_IN_PROGRESS_AT, 0);
	put_header(&g, LS_STATS_DIRECTORY_AT, 64);
	CHECK_EQ(ls_stats_read(&g.stats, take_spoiled, &s), LS_E_GEOMETRY);
	CHECK_EQ(s.calls, 0);
	free(g.map);
}

/* --- rings --- */

TEST("a ring gives the records since a sequence, and says how many it lost")
{
	static const struct {
		u64 next;
		u32 max, n;
		u64 first, lost;
	} table[] = {
		/* 11 written, 8 slots: 0-2 are gone, 3 is in the slot that is written next */
		{ 0, 8, 7, 4, 4 }, { 3, 8, 7, 4, 1 }, { 4, 8, 7, 4, 0 }, { 9, 8, 2, 9, 0 }, { 11, 8, 0, 11, 0 }, { 0, 2, 2, 4, 4 }, { 12, 8, 7, 4, 4 }, { 5, 0, 0, 5, 0 },
	};
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_ring r;
	struct ls_stats_ring_state state;
	u8 out[8 * 24];
	u64 first, lost;

	CHECK(find(&g, "/events", &p, &e) && ls_stats_ring_of(&p, &e, &r));
	CHECK(r.record_bytes == 24 && r.slots == 8 && r.threads == 2);
	for (u32 i = 0; i < 11; i++)
		segment_produce(&g, e.word, 0);
	segment_produce(&g, e.word, 1);
	CHECK(ls_stats_ring_look(&r, 0, &state) && state.written == 11 && state.schema_version == 3 && state.schema_bytes == 4 && memcmp(state.schema, "sava", 4) == 0);
	CHECK(ls_stats_ring_look(&r, 1, &state) && state.written == 1);
	CHECK(!ls_stats_ring_look(&r, 2, &state));
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u64 next = table[i].next;
		u32 n = ls_stats_ring_read(&r, 0, &next, table[i].max, out, &first, &lost);

		CHECK_AT("row %u", i);
		CHECK_EQ(n, table[i].n);
		CHECK_EQ(first, table[i].first);
		CHECK_EQ(lost, table[i].lost);
		CHECK_EQ(next, first + n);
		for (u32 k = 0; k < n; k++)
			CHECK_EQ(out[k * 24], first + k);
	}
	CHECK_EQ(ls_stats_ring_read(&r, 2, &(u64){ 0 }, 8, out, &first, &lost), 0);
	free(g.map);
}

TEST("records that are overwritten while they are copied are lost, and the whole ones behind them are given")
{
	static const struct {
		u64 written;
		u32 n;
		u64 first;
	} table[] = { { 11, 7, 4 }, { 12, 6, 5 }, { 13, 5, 6 }, { 17, 1, 10 }, { 18, 0, 11 }, { 100, 0, 11 } };

	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct segment g = small();
		struct ls_stats_pass p;
		struct ls_stats_entry e;
		struct ls_stats_ring r;
		u64 next = 3, first, lost;
		u8 *out;

		CHECK_AT("row %u", i);
		CHECK(find(&g, "/events", &p, &e) && ls_stats_ring_of(&p, &e, &r));
		for (u32 k = 0; k < 11; k++)
			segment_produce(&g, e.word, 0);
		/* the copy of record 4 lies over the sequence, so that it is another when the copies are done */
		out = g.map + (e.word + SEGMENT_RING_METADATA - SEGMENT_BASE);
		put32(&g, e.word + SEGMENT_RING_DATA + 4 * 24 + 8, (u32)table[i].written);
		put32(&g, e.word + SEGMENT_RING_DATA + 4 * 24 + 12, 0);
		CHECK_EQ(ls_stats_ring_read(&r, 0, &next, 8, out, &first, &lost), table[i].n);
		CHECK_EQ(first, table[i].first);
		CHECK_EQ(lost, table[i].first - 3);
		CHECK_EQ(next, 11);
		for (u32 k = 0; k < table[i].n; k++)
			CHECK_EQ(out[k * 24], first + k);
		free(g.map);
	}
}

TEST("a ring that does not fit where it is, is none; a schema that does not, neither")
{
	static const struct {
		u32 word, value;
		bool ring;
	} table[] = {
		{ 0, 0, false },	  { 0, 0xffffffff, false }, { 1, 0, false },		{ 1, 0xffffffff, false }, { 2, 0, true },
		{ 2, 0xffffffff, false }, { 2, 80, false },  { 2, 1024, false },	    { 5, 0xfffffff8, false },	{ 5, 450, false },	  { 5, SMALL, false },
		{ 6, 0xffffffff, false }, { 6, SMALL - 64, false },
	};
	struct segment g = small();
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_ring r;
	struct ls_stats_ring_state state;

	CHECK(find(&g, "/events", &p, &e));
	for (u32 i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		u32 before = ls_stats_u32(g.map + (e.word - SEGMENT_BASE) + 4 * table[i].word);

		CHECK_AT("row %u", i);
		put32(&g, e.word + 4 * table[i].word, table[i].value);
		CHECK_EQ(ls_stats_ring_of(&p, &e, &r), table[i].ring);
		put32(&g, e.word + 4 * table[i].word, before);
	}
	put32(&g, e.word + SEGMENT_RING_METADATA + 20, SMALL);
	CHECK(ls_stats_ring_of(&p, &e, &r) && ls_stats_ring_look(&r, 0, &state) && state.schema == NULL && state.schema_bytes == 0);
	e.word = SEGMENT_BASE + SMALL - 24;
	CHECK(!ls_stats_ring_of(&p, &e, &r));
	CHECK(find(&g, "/if/rx", &p, &e) && !ls_stats_ring_of(&p, &e, &r));
	free(g.map);
}

/* --- damage --- */

/* Everything that can be read, however much is wrong. */
static void take_all(struct ls_stats_pass *p, void *arg)
{
	char name[LS_STATS_NAME + 1];
	u64 *seen = arg, sum[2], next = 0, first, lost;
	u8 records[24 * 8];

	for (u32 i = 0; i < p->entries; i++) {
		struct ls_stats_handle h;
		struct ls_stats_entry e;
		struct ls_stats_ring r;
		struct ls_stats_ring_state state;

		ls_stats_describe(p, i, name);
		if (!ls_stats_handle_init(&h, name) || !ls_stats_find(p, &h, &e))
			continue;
		ls_stats_sum(p, &e, i, sum);
		*seen += sum[0];
		for (u32 t = 0; t < ls_stats_threads(p, &e); t++) {
			struct ls_stats_row row = ls_stats_row_of(p, &e, t);

			for (u32 k = 0; k < row.columns * row.width; k++)
				*seen += row.at[k];
		}
		for (u32 k = 0; k < ls_stats_names(p, &e); k++)
			*seen += ls_stats_name(p, &e, k, name, sizeof(name));
		if (!ls_stats_ring_of(p, &e, &r))
			continue;
		for (u32 t = 0; t < r.threads; t++, next = 0) {
			if (ls_stats_ring_look(&r, t, &state) && state.schema)
				*seen += state.schema[state.schema_bytes ? state.schema_bytes - 1 : 0];
			if (r.record_bytes <= 24)
				*seen += ls_stats_ring_read(&r, t, &next, 8, records, &first, &lost);
		}
	}
}

/* A word as damage would have it: bits, lengths, and pointers to near and far. */
static u64 odd_word(u64 was)
{
	switch (check_below(6)) {
	case 0:
		return check_random();
	case 1:
		return was ^ 1ull << check_below(64);
	case 2:
		return SEGMENT_BASE + check_below(SMALL + 64);
	case 3:
		return SEGMENT_BASE + check_below(SMALL / 8) * 8;
	case 4:
		return check_below(2) ? ~0ull : 0;
	default:
		return (u64)check_below(12) | check_random() << 32;
	}
}

TEST("20000 damaged segments: none is read beyond its end")
{
	struct segment whole = small(), g = whole;
	u32 rounds = (u32)check_env("LS_ROUNDS", 20000), by_status[LS_STATUS_COUNT] = { 0 };
	u64 seen = 0;

	g.map = aligned_alloc(16, SMALL);
	g.stats.map = g.map;
	g.stats.tries = 1;
	for (u32 i = 0; i < rounds; i++) {
		CHECK_AT("round %u", i);
		memcpy(g.map, whole.map, SMALL);
		for (u32 k = 1 + check_below(8); k > 0; k--) {
			/* not version and base, which are looked at once */
			u64 at = SEGMENT_BASE + 16 + check_below((u32)(whole.used - 16) / 8) * 8;

			put64(&g, at, odd_word(get64(&g, at)));
		}
		by_status[ls_stats_read(&g.stats, take_all, &seen)]++;
	}
	printf("    %u held, %u busy, %u refused\n", by_status[LS_OK], by_status[LS_E_BUSY], by_status[LS_E_GEOMETRY]);
	CHECK(by_status[LS_OK] > rounds / 2);
	free(g.map);
	free(whole.map);
}

/* --- changes while it is read --- */

#define TORN_COLUMNS 64

/* Threads that share a processor with others may need longer until they have seen something. */
static bool goes_on(u64 began, bool seen_enough)
{
	u64 ms = now_ms() - began;

	return ms < check_env("LS_MS", 1000) || (!seen_enough && ms < 20000);
}

struct torn {
	struct segment g;
	u64 row[2][2]; /* two places for each thread's vector */
	atomic_bool stop;
	atomic_ullong held, given_up, torn;
};

/* Both threads' vectors move, get another length, and all their words become `generation`; what was there before becomes something else. */
static void change(struct torn *torn, u64 generation)
{
	struct segment *g = &torn->g;
	u64 threads = get64(g, segment_entry(g, RX) + 8);
	u32 side = generation & 1, columns = 1 + generation % TORN_COLUMNS;

	put_header(g, LS_STATS_IN_PROGRESS_AT, 1);
	LS_FENCE_REL();
	for (u32 t = 0; t < 2; t++) {
		put32(g, torn->row[t][side] - 8, columns);
		for (u32 i = 0; i < 2 * TORN_COLUMNS; i++)
			put64(g, torn->row[t][side] + 8 * i, generation);
		put64(g, threads + 8 * t, torn->row[t][side]);
		for (u32 i = 0; i < 2 * TORN_COLUMNS; i++)
			put64(g, torn->row[t][!side] + 8 * i, ~0ull);
	}
	segment_name(g, LINK, generation & 2 ? "/moved" : "/link");
	segment_name(g, TX, generation & 2 ? "/link" : "/moved");
	LS_STORE_REL((ls_u64a *)(g->map + LS_STATS_EPOCH_AT), generation);
	LS_STORE_REL((ls_u64a *)(g->map + LS_STATS_IN_PROGRESS_AT), 0);
}

static void *writer(void *arg)
{
	struct torn *torn = arg;
	u64 generation = 2;

	while (!atomic_load(&torn->stop)) {
		change(torn, generation++);
		if (generation % 64 == 0)
			usleep(50);
	}
	return NULL;
}

struct look {
	struct ls_stats_handle rx, link;
	bool torn;
};

/* In a pass that holds, everything is of one generation. */
static void take_generation(struct ls_stats_pass *p, void *arg)
{
	struct look *look = arg;
	struct ls_stats_entry e;
	u64 sum[2], generation = p->epoch;

	look->torn = !ls_stats_find(p, &look->rx, &e) || ls_stats_threads(p, &e) != 2;
	for (u32 t = 0; !look->torn && t < 2; t++) {
		struct ls_stats_row row = ls_stats_row_of(p, &e, t);

		look->torn |= row.columns != 1 + generation % TORN_COLUMNS;
		if (generation % 4 == t)
			sched_yield(); /* whole changes happen within the pass */
		for (u32 i = 0; i < row.columns * row.width; i++)
			look->torn |= LS_LOAD(&row.at[i]) != generation;
	}
	look->torn |= !ls_stats_find(p, &look->link, &e) || !ls_stats_sum(p, &e, 0, sum) || sum[0] != 2 * generation;
}

static void *reader(void *arg)
{
	struct torn *torn = arg;
	struct look look = { .rx = handle("/if/rx"), .link = handle("/link") };

	while (!atomic_load(&torn->stop)) {
		if (ls_stats_read(&torn->g.stats, take_generation, &look) != LS_OK) {
			atomic_fetch_add(&torn->given_up, 1);
			continue;
		}
		atomic_fetch_add(&torn->held, 1);
		atomic_fetch_add(&torn->torn, look.torn);
	}
	return NULL;
}

TEST("readers beside a writer that moves vectors, lengths and names: a pass that holds is of one moment")
{
	static struct torn torn;
	pthread_t threads[3];
	u64 all;

	memset(&torn, 0, sizeof(torn));
	segment_init(&torn.g, aligned_alloc(16, SMALL), SMALL, ENTRIES);
	torn.g.stats.tries = 100;
	torn.g.stats.wait_us = 1;
	all = segment_counters(&torn.g, 2, TORN_COLUMNS, 2, 0);
	for (u32 t = 0; t < 2; t++) {
		torn.row[t][0] = get64(&torn.g, all + 8 * t);
		torn.row[t][1] = segment_vector(&torn.g, TORN_COLUMNS, 16 * TORN_COLUMNS);
	}
	segment_set(&torn.g, RX, 3, "/if/rx", all);
	segment_set(&torn.g, TX, 6, "/moved", segment_link(RX, 0));
	segment_set(&torn.g, LINK, 6, "/link", segment_link(RX, 0));
	change(&torn, 1);
	CHECK(pthread_create(&threads[0], NULL, writer, &torn) == 0);
	for (u32 i = 1; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, reader, &torn) == 0);
	for (u64 began = now_ms(); goes_on(began, atomic_load(&torn.held) > 10);)
		usleep(10000);
	atomic_store(&torn.stop, true);
	for (u32 i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("    %llu passes held, %llu given up\n", (unsigned long long)torn.held, (unsigned long long)torn.given_up);
	CHECK_EQ(torn.torn, 0);
	CHECK(torn.held > 10);
	free(torn.g.map);
}

struct produced {
	struct segment g;
	u64 ring;
	atomic_bool stop;
};

static void *producer(void *arg)
{
	struct produced *produced = arg;

	/* at every pace from slower than the follower to several laps within its copy */
	for (u32 i = 0; !atomic_load(&produced->stop); i++) {
		segment_produce(&produced->g, produced->ring, 0);
		for (volatile u32 wait = i / 64 % 256; wait > 0;)
			wait = wait - 1;
	}
	return NULL;
}

TEST("a follower beside a producer that laps it: no record is torn, given twice, or missed unsaid")
{
	static struct produced produced;
	struct ls_stats_pass p;
	struct ls_stats_entry e;
	struct ls_stats_ring r;
	u64 next = 0, first, lost, all_lost = 0, got = 0, wrong = 0;
	u32 records[8 * 6];
	pthread_t thread;

	memset(&produced, 0, sizeof(produced));
	produced.g = small();
	CHECK(find(&produced.g, "/events", &p, &e) && ls_stats_ring_of(&p, &e, &r));
	produced.ring = e.word;
	CHECK(pthread_create(&thread, NULL, producer, &produced) == 0);
	for (u64 began = now_ms(); goes_on(began, got > 10 && all_lost > 10);) {
		u64 asked = next;
		u32 n = ls_stats_ring_read(&r, 0, &next, 8, (u8 *)records, &first, &lost);

		got += n;
		all_lost += lost;
		wrong += first != asked + lost || next != first + n;
		for (u32 i = 0; i < n * 6; i++)
			wrong += records[i] != (u32)(first + i / 6);
	}
	atomic_store(&produced.stop, true);
	pthread_join(thread, NULL);
	printf("    %llu records, %llu lost\n", (unsigned long long)got, (unsigned long long)all_lost);
	CHECK_EQ(wrong, 0);
	CHECK(got > 10 && all_lost > 10);
	CHECK_EQ(got + all_lost, next);
	free(produced.g.map);
}

CHECK_MAIN
