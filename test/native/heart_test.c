/* Hearts over loopback: what is heard and what is refused, whose leases are renewed and when they are let go of. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "heart/api.h"
#include "heart/datagram.h"
#include "table/table.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FOREVER (~0ULL >> 1)
#define PATIENCE_S 20

struct side {
	char name[64];
	struct ls_rg rgs[LS_RGS_MAX];
	struct ls_worker workers[2];
	struct ls_heart *h;
	int agent;
	struct ls_heart_setup setup;
	struct ls_heart_word word;
};

struct frame {
	u32 kind; /* 0: the connection ended */
	u32 bytes;
	union {
		u8 raw[LS_HEART_FRAME_MAX + 1];
		struct ls_heart_hello hello;
		struct ls_heart_heard heard;
		struct ls_heart_lapsed lapsed;
	};
};

static struct frame got;
static int left[16]; /* to be closed whatever a test does */
static u32 lefts;
static struct side sides[2];

static int keep(int fd)
{
	left[lefts++ % 16] = fd;
	return fd;
}

static void patience(int fd)
{
	struct timeval t = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static u16 free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && getsockname(fd, (struct sockaddr *)&a, &length) == 0);
	close(fd);
	return ntohs(a.sin_port);
}

static struct ls_heart_address address(const char *text, u16 port)
{
	struct ls_heart_address a = { .port = port };

	a.addr.w[2] = htonl(0xffff);
	inet_pton(AF_INET, text, &a.addr.w[3]);
	return a;
}

static void put(int fd, u32 kind, const void *what, size_t bytes, const char *body)
{
	struct ls_heart_frame f = { .bytes = (u32)(sizeof(f) + bytes + strlen(body)), .kind = kind };
	u8 d[LS_HEART_FRAME_MAX];

	memcpy(d, &f, sizeof(f));
	memcpy(d + sizeof(f), what, bytes);
	memcpy(d + sizeof(f) + bytes, body, strlen(body));
	CHECK_EQ(send(fd, d, f.bytes, MSG_NOSIGNAL), f.bytes);
}

static u32 get(int fd)
{
	struct ls_heart_frame f;
	ssize_t n = recv(fd, &f, sizeof(f), MSG_WAITALL);

	got.kind = 0;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) /* reset: it did not read all we said */
		return 0;
	CHECK_EQ(n, sizeof(f));
	CHECK(f.bytes >= sizeof(f) && f.bytes <= LS_HEART_FRAME_MAX);
	got.bytes = f.bytes - (u32)sizeof(f);
	if (got.bytes)
		CHECK_EQ(recv(fd, got.raw, got.bytes, MSG_WAITALL), got.bytes);
	got.raw[got.bytes] = 0;
	got.kind = f.kind;
	return f.kind;
}

static void await(int fd, u32 kind)
{
	while (get(fd) != kind)
		if (got.kind == 0)
			CHECK_FAIL("the connection ended before a frame of kind %u", kind);
}

static int call(struct side *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, LS_HEART_SOCKET "%s", s->name);
	int fd = keep(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	patience(fd);
	CHECK(connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0);
	CHECK_EQ(get(fd), LS_HEART_HELLO);
	return fd;
}

static void hang_up(int fd)
{
	close(fd);
	for (u32 i = 0; i < 16; i++)
		if (left[i] == fd)
			left[i] = -1;
}

static void say_setup(struct side *s) { put(s->agent, LS_HEART_SETUP, &s->setup, sizeof(s->setup), ""); }
static void say_word(struct side *s, const char *body) { put(s->agent, LS_HEART_WORD, &s->word, sizeof(s->word), body); }

/* Workers that live for ever, every group a standby. */
static struct side *side_open(u32 index)
{
	struct side *s = &sides[index];
	struct ls_heart_words words = { .rgs = s->rgs, .workers = s->workers, .cpus = 0, .agent = 1 };
	int err_no;

	*s = (struct side){ .setup = { .node = index + 1, .interval_ms = 50, .count = 10, .lease_ns = 425000000ULL, .key = "both have it" } };
	snprintf(s->name, sizeof(s->name), "-test-%d-%u", getpid(), index);
	s->workers[0].attached = 1;
	LS_STORE(&s->workers[0].alive_ns, FOREVER);
	for (u32 g = 0; g < LS_RGS_MAX; g++)
		s->rgs[g].role = s->word.role[g] = LS_ROLE_STANDBY;
	CHECK_EQ(ls_heart_start(s->name, &words, &s->h, &err_no), LS_OK);
	s->agent = call(s);
	return s;
}

static void add_path(struct side *s, struct ls_heart_address local, struct ls_heart_address remote)
{
	s->setup.path[s->setup.paths++] = (struct ls_heart_path){ .local = local, .remote = remote };
}

static void own(struct side *s, u32 g, u64 epoch)
{
	s->word.role[g] = LS_ROLE_OWNER;
	s->word.epoch[g] = epoch;
	LS_STORE(&s->rgs[g].epoch, epoch);
	LS_STORE(&s->rgs[g].lease_deadline_ns, FOREVER);
	LS_STORE_REL(&s->rgs[g].role, LS_ROLE_OWNER);
}

/* --- a peer played by the test: a socket where the heart sends to --- */

struct peer {
	int fd;
	struct hmac_sha256_ctx key;
	struct ls_heartbeat head; /* to send */
	u8 d[LS_HEART_DATAGRAM_MAX];
	size_t bytes;
};
static struct peer peer;

static void peer_open(struct side *s)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(free_port()) };
	struct sockaddr_in there = here;

	there.sin_port = htons(free_port());
	peer = (struct peer){ .fd = keep(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
		.head = { .magic = LS_HEART_MAGIC, .version = LS_HEART_VERSION, .node = 99, .body = 4, .seq = 1 } };
	patience(peer.fd);
	hmac_sha256_set_key(&peer.key, LS_HEART_KEY_BYTES, s->setup.key);
	CHECK(bind(peer.fd, (struct sockaddr *)&here, sizeof(here)) == 0 && connect(peer.fd, (struct sockaddr *)&there, sizeof(there)) == 0);
	add_path(s, address("127.0.0.1", ntohs(there.sin_port)), address("127.0.0.1", ntohs(here.sin_port)));
}

static void peer_seal(void)
{
	memcpy(peer.d, &peer.head, sizeof(peer.head));
	memcpy(peer.d + sizeof(peer.head), "body", 4);
	peer.bytes = ls_heartbeat_seal(&peer.key, peer.d);
}

static void peer_send(void)
{
	CHECK_EQ(send(peer.fd, peer.d, peer.bytes, 0), peer.bytes);
}

static void peer_say(void)
{
	peer_seal();
	peer_send();
}

/* The next heartbeat of the heart. */
static struct ls_heartbeat peer_hear(void)
{
	struct ls_heartbeat head;
	u8 d[LS_HEART_DATAGRAM_MAX];
	ssize_t n;

	while ((n = recv(peer.fd, d, sizeof(d), 0)) < 0 && errno == ECONNREFUSED)
		;
	CHECK(n > 0);
	CHECK_EQ(ls_heartbeat_open(&peer.key, 99, d, (size_t)n, &head), LS_HEART_SOUND);
	return head;
}

#define PEER_AWAITS(condition)                                    \
	do {                                                      \
		struct ls_heartbeat beat;                         \
		u32 tries = 0;                                    \
		do {                                              \
			beat = peer_hear();                       \
			if (++tries > 400)                        \
				CHECK_FAIL("never: %s", #condition); \
		} while (!(condition));                           \
	} while (0)

/* Two whole intervals, by the heart's own count, from a heartbeat on that was made after everything that was said to it. */
static void ticks(struct side *s)
{
	u64 from;

	s->word.restart_hold_ms++;
	say_word(s, "");
	PEER_AWAITS(beat.restart_hold_ms == s->word.restart_hold_ms && (from = beat.seq));
	PEER_AWAITS(beat.seq >= from + 3);
}

static void away_ticks(void)
{
	u64 from;

	PEER_AWAITS(beat.flags & LS_HEART_AWAY && (from = beat.seq));
	PEER_AWAITS(beat.seq >= from + 3);
}

static void all_close(void)
{
	for (u32 i = 0; i < 2; i++) {
		ls_heart_stop(sides[i].h);
		sides[i].h = NULL;
	}
	for (u32 i = 0; i < 16; i++) {
		if (lefts > i && left[i] >= 0)
			close(left[i]);
		left[i] = -1;
	}
	lefts = 0;
}

TEST("two hearts hear each other on every path, with one sequence for all of them")
{
	all_close();
	struct side *a = side_open(0), *b = side_open(1);
	u16 ports[4] = { free_port(), free_port(), free_port(), free_port() };
	u32 seen = 0;
	u64 seq = 0;

	add_path(a, address("127.0.0.1", ports[0]), address("127.0.0.2", ports[1]));
	add_path(a, address("127.0.0.3", ports[2]), address("127.0.0.4", ports[3]));
	add_path(b, address("127.0.0.2", ports[1]), address("127.0.0.1", ports[0]));
	add_path(b, address("127.0.0.4", ports[3]), address("127.0.0.3", ports[2]));
	own(b, 3, 0x702);
	b->word.restart_hold_ms = 1234;
	say_setup(a);
	say_word(a, "a");
	say_setup(b);
	say_word(b, "the body of b");
	while (seen != 3) {
		await(a->agent, LS_HEART_HEARD);
		CHECK_EQ(got.heard.head.node, 2);
		CHECK_EQ(got.heard.head.role[3], LS_ROLE_OWNER);
		CHECK_EQ(got.heard.head.epoch[3], 0x702);
		CHECK_EQ(got.heard.head.restart_hold_ms, 1234);
		CHECK_EQ(got.heard.head.flags, 0);
		CHECK_EQ(got.heard.head.path, got.heard.path);
		CHECK_EQ(got.bytes, sizeof(got.heard) + 13);
		CHECK(memcmp(got.raw + sizeof(got.heard), "the body of b", 13) == 0);
		CHECK(got.heard.at_ns && got.heard.at_ns <= ls_clock_ns());
		seen = got.heard.head.seq == seq ? seen | 1u << got.heard.path : 1u << got.heard.path;
		seq = got.heard.head.seq;
	}
	all_close();
}

TEST("nothing but an authentic heartbeat of another node comes in, and what was refused is told by cause")
{
	all_close();
	struct side *a = side_open(0);
	u64 before;

	peer_open(a);
	say_setup(a);
	say_word(a, "");
	PEER_AWAITS(beat.seq);
	peer_seal();
	peer.d[peer.bytes - 1] ^= 1;
	peer_send();
	await(a->agent, LS_HEART_PROBLEM);
	CHECK(strstr((char *)got.raw, "another key 1"));
	peer_seal();
	peer.d[offsetof(struct ls_heartbeat, epoch)] ^= 1;
	peer_send();
	peer.head.version = LS_HEART_VERSION + 1;
	peer_say();
	peer.head.version = LS_HEART_VERSION;
	peer_seal();
	peer.bytes--;
	peer_send();
	peer.bytes = 7;
	peer_send();
	peer.head.node = 1;
	peer_say();
	peer.head.node = 99;
	peer.head.role[15] = LS_ROLE_TAKE + 1;
	peer_say();
	peer.head.role[15] = 0;
	await(a->agent, LS_HEART_PROBLEM);
	CHECK(strstr((char *)got.raw, "6 datagrams"));
	CHECK(strstr((char *)got.raw, "wrong length 2") && strstr((char *)got.raw, "another version 1") && strstr((char *)got.raw, "another key 1"));
	CHECK(strstr((char *)got.raw, "our own node index 1") && strstr((char *)got.raw, "unknown role 1"));
	for (u32 i = 0; i < 10000; i++) {
		u32 shape = check_below(4);
		u8 sealed[sizeof(peer.d)];
		size_t bytes;

		peer_seal();
		bytes = peer.bytes;
		memcpy(sealed, peer.d, sizeof(sealed));
		if (shape == 0)
			peer.bytes = 1 + check_below(sizeof(peer.d));
		for (u32 n = shape < 2 ? (u32)peer.bytes : 1 + check_below(4); n; n--)
			peer.d[check_below((u32)peer.bytes)] = (u8)check_random();
		if (peer.bytes == bytes && memcmp(peer.d, sealed, bytes) == 0)
			peer.d[peer.bytes - 1] ^= 1; /* chance has changed nothing */
		if (send(peer.fd, peer.d, peer.bytes, 0) < 0)
			CHECK_EQ(errno, ECONNREFUSED);
	}
	peer.head.seq = before = 77;
	peer_say();
	peer_say(); /* a replay: what it is worth, the detector decides by its sequence (H65) */
	for (u32 n = 0; n < 2; n++) {
		await(a->agent, LS_HEART_HEARD);
		CHECK_EQ(got.heard.head.seq, before);
		CHECK(memcmp(got.raw + sizeof(got.heard), "body", 4) == 0);
	}
	all_close();
}

TEST("a lease is renewed where word and table agree and the dataplane lives, and nowhere else")
{
	all_close();
	struct side *a = side_open(0);
	u64 until;

	peer_open(a);
	own(a, 2, 0x501);
	own(a, 4, 0x501);
	LS_STORE(&a->rgs[4].epoch, 0x601); /* the agent's next word is on its way */
	say_setup(a);
	ticks(a);
	until = LS_LOAD(&a->rgs[2].lease_deadline_ns);
	CHECK(until < ls_clock_ns() + a->setup.lease_ns);
	CHECK_EQ(LS_LOAD(&a->rgs[4].lease_deadline_ns), FOREVER);
	CHECK_EQ(LS_LOAD(&a->rgs[5].lease_deadline_ns), 0);
	ticks(a);
	CHECK(LS_LOAD(&a->rgs[2].lease_deadline_ns) > until);

	LS_STORE(&a->workers[0].alive_ns, 1);
	ticks(a);
	LS_STORE(&a->rgs[2].lease_deadline_ns, FOREVER);
	ticks(a);
	CHECK_EQ(LS_LOAD(&a->rgs[2].lease_deadline_ns), FOREVER);
	LS_STORE(&a->workers[0].alive_ns, FOREVER);
	all_close();
}

TEST("a lease that has ended is not renewed, and that is told once")
{
	all_close();
	struct side *a = side_open(0);

	peer_open(a);
	own(a, 2, 0x501);
	own(a, 3, 0x501);
	LS_STORE(&a->rgs[2].lease_deadline_ns, 1);
	say_setup(a);
	say_word(a, "");
	await(a->agent, LS_HEART_LAPSED);
	CHECK_EQ(got.lapsed.groups, 1 << 2);
	PEER_AWAITS(beat.role[2] == LS_ROLE_HOLD && beat.dropped == 1 << 2 && beat.role[3] == LS_ROLE_OWNER);
	ticks(a); /* the same word again */
	CHECK_EQ(LS_LOAD(&a->rgs[2].lease_deadline_ns), 1);
	own(a, 2, 0x601);
	LS_STORE(&a->rgs[3].lease_deadline_ns, 1);
	say_word(a, "");
	await(a->agent, LS_HEART_LAPSED);
	CHECK_EQ(got.lapsed.groups, 1 << 3);
	PEER_AWAITS(beat.role[2] == LS_ROLE_OWNER && beat.epoch[2] == 0x601 && beat.dropped == 1 << 3);
	ticks(a);
	CHECK(LS_LOAD(&a->rgs[2].lease_deadline_ns) < FOREVER);
	all_close();
}

TEST("H72 without its agent a heart says so and keeps the leases, until a peer owns in a newer epoch")
{
	all_close();
	struct side *a = side_open(0);
	u64 seq;

	peer_open(a);
	own(a, 2, 0x501);
	own(a, 3, 0x501);
	say_setup(a);
	ticks(a);
	peer.head.role[2] = LS_ROLE_OWNER;
	peer.head.epoch[2] = 0x602;
	peer_say(); /* the agent is there: it decides */
	await(a->agent, LS_HEART_HEARD);
	ticks(a);
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_OWNER);

	hang_up(a->agent);
	away_ticks();
	CHECK(LS_LOAD(&a->rgs[2].lease_deadline_ns) > ls_clock_ns());
	peer.head.epoch[2] = 0x402; /* a peer that comes back from its past */
	peer_say();
	peer.head.role[3] = LS_ROLE_STANDBY; /* no owner, whatever it has heard of */
	peer.head.epoch[3] = 0x702;
	peer_say();
	peer.head.epoch[3] = 0x402; /* asks for what was owned in an older epoch */
	peer.head.asks = 1 << 3 | 1 << 4;
	peer_say();
	peer.head.asks = 0;
	away_ticks();
	CHECK_EQ(LS_LOAD(&a->rgs[3].role), LS_ROLE_OWNER);
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_OWNER);
	peer.head.epoch[2] = 0x602;
	peer_say();
	PEER_AWAITS(beat.dropped == 1 << 2 && beat.role[2] == LS_ROLE_HOLD && (seq = beat.seq));
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_STANDBY);
	CHECK_EQ(LS_LOAD(&a->rgs[2].lease_deadline_ns), 0);
	CHECK_EQ(LS_LOAD(&a->rgs[3].role), LS_ROLE_OWNER);

	a->agent = call(a);
	CHECK_EQ(got.hello.resumed, 1);
	CHECK_EQ(got.hello.held, 1 << 3);
	CHECK_EQ(got.hello.epoch[3], 0x501);
	CHECK_EQ(got.hello.epoch[2], 0);
	PEER_AWAITS(!(beat.flags & LS_HEART_AWAY) && beat.seq > seq);
	all_close();
}

TEST("a heart lets go of what a peer asks for, and only while its agent is away")
{
	all_close();
	struct side *a = side_open(0);

	peer_open(a);
	own(a, 2, 0x501);
	own(a, 3, 0x501);
	say_setup(a);
	ticks(a);
	peer.head.role[2] = LS_ROLE_STANDBY;
	peer.head.epoch[2] = 0x501;
	peer.head.asks = 1 << 2;
	peer_say();
	await(a->agent, LS_HEART_HEARD);
	CHECK_EQ(got.heard.head.asks, 1 << 2);
	ticks(a);
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_OWNER);

	hang_up(a->agent);
	away_ticks();
	peer.head.epoch[2] = 0x401; /* said in another time */
	peer_say();
	away_ticks();
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_OWNER);
	peer.head.epoch[2] = 0x602; /* one that it has on its disk, and never used */
	peer_say();
	PEER_AWAITS(beat.dropped == 1 << 2 && beat.role[2] == LS_ROLE_HOLD && beat.epoch[2] == 0x501 && beat.role[3] == LS_ROLE_OWNER);
	CHECK_EQ(LS_LOAD(&a->rgs[2].role), LS_ROLE_STANDBY);
	CHECK_EQ(LS_LOAD(&a->rgs[2].lease_deadline_ns), 0);
	CHECK_EQ(LS_LOAD(&a->rgs[3].role), LS_ROLE_OWNER);
	all_close();
}

TEST("a newer agent takes the place of an older one, and the same setup again changes nothing")
{
	all_close();
	struct side *a = side_open(0);
	struct ls_heart *second;
	struct ls_heart_words words = { .rgs = a->rgs, .workers = a->workers, .agent = 1 };
	u8 boot[16];
	u64 seq = 0;
	int older = a->agent, err_no;

	CHECK_EQ(got.hello.resumed, 0);
	CHECK_EQ(got.hello.pid, getpid());
	memcpy(boot, got.hello.boot, 16);
	peer_open(a);
	own(a, 2, 0x501);
	own(a, 4, 0x501); /* being given away when the agent is gone: it is not its own any more */
	a->word.role[4] = LS_ROLE_YIELD;
	LS_STORE_REL(&a->rgs[4].role, LS_ROLE_YIELD);
	say_setup(a);
	ticks(a);
	PEER_AWAITS(seq = beat.seq);
	a->agent = call(a);
	CHECK_EQ(got.hello.resumed, 1);
	CHECK_EQ(got.hello.held, 1 << 2);
	CHECK(memcmp(boot, got.hello.boot, 16) == 0);
	while (get(older))
		;
	say_setup(a);
	ticks(a);
	PEER_AWAITS(beat.seq > seq && memcmp(beat.boot, boot, 16) == 0 && !(beat.flags & LS_HEART_AWAY));
	CHECK_EQ(ls_heart_start(a->name, &words, &second, &err_no), LS_E_BUSY);
	all_close();
}

TEST("an agent that resigns has no lease afterwards, and its peer hears that nobody owns")
{
	all_close();
	struct side *a = side_open(0);

	peer_open(a);
	own(a, 0, 0x501);
	own(a, 15, 0x601);
	say_setup(a);
	ticks(a);
	put(a->agent, LS_HEART_RESIGN, "", 0, "");
	hang_up(a->agent); /* it was in a hurry */
	PEER_AWAITS(beat.dropped == 0x8001 && beat.role[0] == LS_ROLE_HOLD && beat.role[15] == LS_ROLE_HOLD && beat.role[1] == LS_ROLE_STANDBY);
	CHECK_EQ(LS_LOAD(&a->rgs[0].lease_deadline_ns), 0);
	CHECK_EQ(LS_LOAD(&a->rgs[15].role), LS_ROLE_STANDBY);
	away_ticks();
	CHECK_EQ(LS_LOAD(&a->rgs[0].lease_deadline_ns), 0);
	all_close();
}

TEST("H76 a path whose address is not there is told once, and the others go on")
{
	all_close();
	struct side *a = side_open(0);

	add_path(a, address("192.0.2.1", 4784), address("192.0.2.2", 4784));
	peer_open(a);
	say_setup(a);
	say_word(a, "");
	await(a->agent, LS_HEART_PROBLEM);
	CHECK(strstr((char *)got.raw, "path 0 from 192.0.2.1:4784 to 192.0.2.2:4784: "));
	say_setup(a); /* the same: nothing begins anew */
	PEER_AWAITS(beat.seq > 12 && beat.path == 1); /* it was tried again meanwhile */
	peer_say();
	CHECK_EQ(get(a->agent), LS_HEART_HEARD);
	CHECK_EQ(got.heard.path, 1);
	all_close();
}

static struct ls_heart_answer answer_of(struct side *s, u64 turn)
{
	struct ls_heart_ask ask = { .turn = turn };
	struct ls_heart_answer answer;

	put(s->agent, LS_HEART_ASK, &ask, sizeof(ask), "");
	await(s->agent, LS_HEART_ANSWER);
	CHECK_EQ(got.bytes, sizeof(answer));
	memcpy(&answer, got.raw, sizeof(answer));
	return answer;
}

/* The whole process, the heart's thread with it. */
static void sleep_ms(u32 ms)
{
	pid_t parent = getpid(), child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		usleep(ms * 1000);
		kill(parent, SIGCONT);
		_exit(0);
	}
	raise(SIGSTOP);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

/* Of this process by that name. */
static u32 threads_of(const char *name, pid_t *out, u32 max)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	u32 n = 0;

	CHECK(d != NULL);
	while ((e = readdir(d)) && n < max) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f) && strncmp(comm, name, strlen(name)) == 0)
			out[n++] = atoi(e->d_name);
		if (f)
			fclose(f);
	}
	closedir(d);
	return n;
}

static void *hog(void *until)
{
	while (ls_clock_ns() < *(u64 *)until)
		;
	return NULL;
}

/* The one CPU of a thread is taken by somebody of a higher class for so long. */
static bool starve(pid_t thread, u32 ms, pthread_t *out, u64 *until)
{
	struct sched_param idle = { 0 }, first = { .sched_priority = 20 };
	pthread_attr_t attr;
	cpu_set_t cpus, one;
	u32 cpu = 0;
	int failed;

	CHECK(sched_getaffinity(thread, sizeof(cpus), &cpus) == 0);
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK(sched_setaffinity(thread, sizeof(one), &one) == 0 && sched_setscheduler(thread, SCHED_IDLE, &idle) == 0);
	*until = ls_clock_ns() + ms * 1000000ULL;
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &first);
	failed = pthread_create(out, &attr, hog, until);
	pthread_attr_destroy(&attr);
	return failed == 0;
}

TEST("a heart beats on while the kernel gives one of its threads no CPU, whichever")
{
	for (u32 which = 0; which < 2; which++) {
		pid_t threads[8];
		struct ls_heartbeat head;
		u8 d[LS_HEART_DATAGRAM_MAX];
		pthread_t busy;
		u64 until;
		u32 beats = 0, found = 0;
		ssize_t n;

		all_close();
		struct side *a = side_open(0);

		peer_open(a);
		own(a, 1, 5);
		say_setup(a);
		say_word(a, "");
		PEER_AWAITS(beat.seq);
		for (u32 i = 0; i < 1000 && (found = threads_of("ls-heart", threads, 8)) < 2; i++) /* they name themselves */
			sleep_ms(1);
		if (found != 2 || !starve(threads[which], 700, &busy, &until)) {
			printf("    skipped: needs two CPUs and the right to SCHED_FIFO\n");
			all_close();
			return;
		}
		pthread_join(busy, NULL);
		while ((n = recv(peer.fd, d, sizeof(d), MSG_DONTWAIT)) > 0)
			beats += ls_heartbeat_open(&peer.key, 99, d, (size_t)n, &head) == LS_HEART_SOUND && head.role[1] == LS_ROLE_OWNER;
		CHECK(beats >= 3);
		CHECK_EQ(LS_LOAD(&a->rgs[1].role), LS_ROLE_OWNER);
		all_close();
	}
}

TEST("what was heard before a question comes before its answer, and a heart that slept says since when it is awake")
{
	struct ls_heart_answer answer;
	u64 before;

	all_close();
	struct side *a = side_open(0);
	peer_open(a);
	say_setup(a);
	say_word(a, "");
	PEER_AWAITS(beat.seq);
	before = ls_clock_ns();
	peer.head.seq = 5;
	peer_say();
	put(a->agent, LS_HEART_ASK, &(struct ls_heart_ask){ .turn = 1 }, sizeof(struct ls_heart_ask), "");
	await(a->agent, LS_HEART_HEARD);
	await(a->agent, LS_HEART_ANSWER);
	answer = answer_of(a, 2);
	CHECK_EQ(answer.turn, 2);
	CHECK(answer.awake_ns < before);
	before = ls_clock_ns();
	sleep_ms(600);
	usleep(60000); /* its first wake-up */
	CHECK(answer_of(a, 3).awake_ns > before + 500000000);
	all_close();
}

TEST("an agent that says what cannot be is told so and left")
{
	struct ls_heart_frame huge = { .bytes = LS_HEART_FRAME_MAX + 1, .kind = LS_HEART_WORD };

	for (u32 n = 0; n < 9; n++) {
		all_close();
		struct side *a = side_open(0);
		u8 noise[64];

		CHECK_AT("case %u", n);
		switch (n) {
		case 0: a->setup.interval_ms = 0; break;
		case 1: a->setup.lease_ns = 450000000; break;
		case 2: a->setup.paths = LS_HEART_PATHS_MAX + 1; break;
		case 3: a->word.role[3] = LS_ROLE_TAKE + 1; break;
		case 4: put(a->agent, LS_HEART_SETUP, "short", 5, ""); break;
		case 5: put(a->agent, LS_HEART_HELLO, "", 0, ""); break;
		case 6: put(a->agent, LS_HEART_ASK, "1234", 4, ""); break;
		case 7: CHECK_EQ(send(a->agent, &huge, sizeof(huge), MSG_NOSIGNAL), sizeof(huge)); break;
		default:
			for (u32 i = 0; i < sizeof(noise); i++)
				noise[i] = (u8)(check_random() | 128);
			CHECK_EQ(send(a->agent, noise, sizeof(noise), MSG_NOSIGNAL), sizeof(noise));
		}
		if (n < 3)
			say_setup(a);
		if (n == 3)
			say_word(a, "");
		CHECK_EQ(get(a->agent), LS_HEART_PROBLEM);
		CHECK(strstr((char *)got.raw, "not of version"));
		CHECK_EQ(get(a->agent), 0);
		all_close();
	}
}

TEST("an agent that does not read counts as away, and nothing waits for it")
{
	all_close();
	struct side *a = side_open(0);
	u32 sent = 0;
	bool away = false;

	peer_open(a);
	say_setup(a);
	say_word(a, "");
	PEER_AWAITS(beat.seq);
	while (!away && ++sent < 1000000) {
		struct ls_heartbeat head;
		u8 d[LS_HEART_DATAGRAM_MAX];
		ssize_t n;

		peer_say();
		while ((n = recv(peer.fd, d, sizeof(d), MSG_DONTWAIT)) > 0)
			away |= ls_heartbeat_open(&peer.key, 99, d, (size_t)n, &head) == LS_HEART_SOUND && head.flags & LS_HEART_AWAY;
	}
	CHECK(away);
	while (get(a->agent))
		;
	all_close();
}

CHECK_MAIN
