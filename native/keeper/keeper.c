/* lockstep-keeper: outlives the agent and stands in for it (D3). It holds the pinned table of one instance; while the agent is away it is the freer, so
 * that sessions go on ending in time and workers go on getting free slots.
 *
 * Usage: lockstep-keeper FOLDER SOCKET
 *   FOLDER  of the instance in bpffs
 *   SOCKET  unix stream socket. An agent connects and stays: while it is connected the role of the freer is the agent's, when the connection ends it is
 *           the keeper's. The keeper answers "yours\n" once it has let go. "quit\n" from the agent ends the keeper.
 * SOCKET.freer is the lock of whoever is the freer, so that two never are, whatever else fails (R5). An agent that is connected and gives no sign of life
 * for SILENT_NS is killed: its connection ends with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lockstep/regions.h"
#include "table/api.h"

#define TICK_MS 200
#define SILENT_NS 5000000000ULL
#define PATIENCE_NS 5000000000ULL /* for the first agent to connect */

struct keeper {
	const char *folder;
	char lock_path[200];
	int listener, agent, signals, lock;
	int region[LS_REGION_COUNT];
	struct ls_header *header; /* mapped for reading */
	struct ls_table *table;   /* while standing in */
	u64 alone_since_ns;       /* 0: an agent is connected */
};

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("lockstep-keeper: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static int object_get(const char *folder, const char *name)
{
	char path[320];
	union bpf_attr attr = { 0 };

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	attr.pathname = (u64)(uintptr_t)path;
	return (int)syscall(__NR_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
}

static bool open_regions(struct keeper *k)
{
	void *page;

	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		k->region[i] = object_get(k->folder, ls_region_name[i]);
		if (k->region[i] < 0) {
			say("%s/%s: %s", k->folder, ls_region_name[i], strerror(errno));
			return false;
		}
	}
	page = mmap(NULL, LS_HEADER_BYTES, PROT_READ, MAP_SHARED, k->region[LS_REGION_HEADER], 0);
	if (page == MAP_FAILED) {
		say("%s/header: %s", k->folder, strerror(errno));
		return false;
	}
	k->header = page;
	return true;
}

static bool listen_at(struct keeper *k, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	bool bound;

	if (strlen(path) >= sizeof(a.sun_path))
		return say("%s: too long for a socket", path), false;
	strcpy(a.sun_path, path);
	k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* of a keeper that is dead: this one holds its lock */
	mask = umask(0177);
	bound = k->listener >= 0 && bind(k->listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(k->listener, 4) == 0;
	umask(mask);
	if (!bound)
		say("%s: %s", path, strerror(errno));
	return bound;
}

/* One keeper for a socket. */
static bool alone(const char *path)
{
	char lock[220];
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) != 0) {
		say("%s: %s", lock, fd < 0 ? strerror(errno) : "another keeper runs");
		return false;
	}
	return true; /* held as long as the process lives */
}

static bool take_role(struct keeper *k)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	enum ls_status status;
	int err_no = 0;

	k->lock = open(k->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock < 0 || fcntl(k->lock, F_OFD_SETLK, &whole) != 0)
		goto refused;
	status = ls_table_over(k->region, false, true, &k->table, &err_no);
	if (status != LS_OK) {
		say("the table cannot be taken over: status %d, %s", status, strerror(err_no));
		goto refused;
	}
	if (ls_freer_start(k->table) != LS_OK) {
		ls_table_close(k->table);
		k->table = NULL;
		goto refused;
	}
	say("no agent: standing in");
	return true;
refused:
	if (k->lock >= 0)
		close(k->lock);
	k->lock = -1;
	return false;
}

static void give_role(struct keeper *k)
{
	if (!k->table)
		return;
	ls_table_close(k->table); /* stops the freer between two batches */
	k->table = NULL;
	close(k->lock);
	k->lock = -1;
}

static void agent_gone(struct keeper *k)
{
	close(k->agent);
	k->agent = -1;
	k->alone_since_ns = ls_clock_ns();
}

/* False: the agent said quit. */
static bool hear(struct keeper *k)
{
	char text[16];
	ssize_t n = recv(k->agent, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			agent_gone(k);
		return true;
	}
	text[n] = 0;
	return strcmp(text, "quit\n") != 0;
}

static void welcome(struct keeper *k)
{
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (k->agent >= 0) { /* one at a time: the folder's lock keeps a second agent out before it comes here */
		close(fd);
		return;
	}
	give_role(k);
	k->agent = fd;
	k->alone_since_ns = 0;
	if (send(fd, "yours\n", 6, MSG_NOSIGNAL) != 6)
		agent_gone(k);
}

/* Connected, but its freer has not run for SILENT_NS. */
static void watch(struct keeper *k, u64 now)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	u64 stamp = __atomic_load_n(&k->header->freer_stamp_ns, __ATOMIC_RELAXED);

	if (k->agent < 0 || stamp == 0 || now < stamp + SILENT_NS)
		return;
	if (getsockopt(k->agent, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.pid <= 1)
		return;
	say("agent %d has given no sign of life for %llu s: killing it", peer.pid, (unsigned long long)((now - stamp) / 1000000000ULL));
	kill(peer.pid, SIGKILL);
}

int main(int argc, char **argv)
{
	struct keeper k = { .agent = -1, .lock = -1 };
	sigset_t ends;
	bool on = true;

	if (argc != 3) {
		fprintf(stderr, "usage: lockstep-keeper FOLDER SOCKET\n");
		return 2;
	}
	k.folder = argv[1];
	if (snprintf(k.lock_path, sizeof(k.lock_path), "%s.freer", argv[2]) >= (int)sizeof(k.lock_path))
		return say("%s: too long for a socket", argv[2]), 2;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL); /* before any thread */
	k.signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!alone(argv[2]) || !open_regions(&k) || !listen_at(&k, argv[2]))
		return 1;
	k.alone_since_ns = ls_clock_ns();
	while (on) {
		struct pollfd f[3] = { { .fd = k.signals, .events = POLLIN }, { .fd = k.listener, .events = POLLIN }, { .fd = k.agent, .events = POLLIN } };
		u64 now;

		if (poll(f, 3, TICK_MS) < 0 && errno != EINTR)
			break;
		if (f[0].revents)
			break;
		if (f[2].revents)
			on = hear(&k);
		if (f[1].revents)
			welcome(&k);
		now = ls_clock_ns();
		watch(&k, now);
		/* the first agent is on its way when the keeper starts; later ones died */
		if (k.agent < 0 && !k.table && (k.header->freer_stamp_ns == 0 ? now > k.alone_since_ns + PATIENCE_NS : true))
			take_role(&k);
	}
	give_role(&k);
	unlink(argv[2]);
	return 0;
}
