/* lockstep-keeper: outlives the agent and stands in for it (D3). It holds the pinned table of one instance; while the agent is away it is the freer, so
 * that sessions go on ending in time and workers go on getting free slots, and the mirror of the kernel's routes and neighbours, so that packets go where
 * the kernel would send them. It is always the one that renews the leases of redundancy groups and sends heartbeats (native/heart), as the agent has said.
 *
 * Usage: lockstep-keeper FOLDER [NETNS], the folder of the instance in bpffs and the path of the namespace whose routes count (this process's if absent).
 *
 * It listens on the abstract unix socket LS_KEEPER_SOCKET FOLDER. An agent connects and stays: while it is connected the role of the freer is the agent's,
 * when the connection ends it is the keeper's. The keeper answers "yours PID\n" once it has let go. "quit\n" from the agent ends the keeper. FOLDER/lock_freer is
 * the lock of whoever is the freer, so that two never are, whatever else fails (R5). An agent that is connected and gives no sign of life for SILENT_NS is
 * killed: its connection ends with it. When the folder is gone the keeper ends too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "heart/api.h"
#include "keeper/keeper.h"
#include "lockstep/regions.h"
#include "mirror/api.h"
#include "table/table.h"

#define TICK_MS 200
#define SILENT_NS 5000000000ULL
#define PATIENCE_NS 5000000000ULL /* for the first agent to connect */

struct keeper {
	const char *folder, *netns;
	int listener, agent, signals, lock;
	int region[LS_REGION_COUNT];
	struct ls_header *header; /* mapped for reading */
	struct ls_heart *heart;
	struct ls_table *table;   /* while standing in */
	struct ls_mirror *mirror; /* likewise */
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

static void *map_region(const struct keeper *k, u32 region, size_t bytes, int how)
{
	void *at = mmap(NULL, bytes, how, MAP_SHARED, k->region[region], 0);

	if (at != MAP_FAILED)
		return at;
	say("%s/%s: %s", k->folder, ls_region_name[region], strerror(errno));
	return NULL;
}

static bool open_regions(struct keeper *k)
{
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		k->region[i] = object_get(k->folder, ls_region_name[i]);
		if (k->region[i] < 0) {
			say("%s/%s: %s", k->folder, ls_region_name[i], strerror(errno));
			return false;
		}
	}
	k->header = map_region(k, LS_REGION_HEADER, LS_HEADER_BYTES, PROT_READ);
	return k->header != NULL;
}

static bool start_heart(struct keeper *k)
{
	struct ls_heart_words words = { .rgs = map_region(k, LS_REGION_RGS, sizeof(struct ls_rg) * LS_RGS_MAX, PROT_READ | PROT_WRITE),
		.workers = map_region(k, LS_REGION_WORKERS, sizeof(struct ls_worker) * k->header->workers, PROT_READ), .cpus = k->header->cpus, .agent = k->header->workers - 1,
		.folder = k->folder };
	enum ls_status status;
	int err_no = 0;

	if (!words.rgs || !words.workers)
		return false;
	status = ls_heart_start(k->folder, &words, &k->heart, &err_no);
	if (status != LS_OK)
		say("no leases and no heartbeats: status %d, %s", status, strerror(err_no));
	return status == LS_OK;
}

static bool listen_for(struct keeper *k)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, LS_KEEPER_SOCKET "%s", k->folder);

	if (n >= (int)sizeof(a.sun_path) - 1)
		return say("%s: too long", k->folder), false;
	k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->listener < 0 || bind(k->listener, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) != 0 || listen(k->listener, 4) != 0)
		return say("%s: %s", k->folder, errno == EADDRINUSE ? "another keeper runs" : strerror(errno)), false;
	return true;
}

/* A folder in the folder, held by flock as long as the process lives: bpffs has no files. */
static int lock_take(const char *folder, const char *name)
{
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The configuration in force says which port is on which interface. */
static const struct ls_config *config_of(const struct keeper *k)
{
	const struct ls_env *e = &k->table->env;

	return &e->banks[LS_LOAD(&e->header->active_bank) & 1];
}

static u32 device_of(void *owner, u32 ifindex)
{
	const struct ls_config *c = config_of(owner);

	for (u32 i = 1; ifindex && i < LS_IFACES_MAX; i++)
		if (c->iface[i].ifindex == ifindex)
			return c->iface[i].device;
	return 0;
}

static u32 ifindex_of(void *owner, u32 device)
{
	const struct ls_config *c = config_of(owner);

	for (u32 i = 1; device && i < LS_IFACES_MAX; i++)
		if (c->iface[i].device == device)
			return c->iface[i].ifindex;
	return 0;
}

static void mirror(struct keeper *k)
{
	struct ls_mirror_ports ports = { .owner = k, .device = device_of, .ifindex = ifindex_of };
	char error[LS_MIRROR_ERROR_BYTES];

	if (ls_mirror_start(k->table, &ports, k->netns, &k->mirror, error) == LS_OK)
		ls_mirror_resume(k->mirror);
	else
		say("routes and neighbours stay as they are: %s", error);
}

static bool take_role(struct keeper *k)
{
	enum ls_status status;
	int err_no = 0;

	k->lock = lock_take(k->folder, LS_FREER_LOCK);
	if (k->lock < 0)
		return false;
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
	mirror(k);
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
	ls_mirror_stop(k->mirror);
	k->mirror = NULL;
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
	struct ucred peer;
	socklen_t length = sizeof(peer);
	char text[32];
	int n;
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	/* one at a time: the folder's lock keeps a second agent out before it comes here. An abstract socket has no owner: only our own user may be the agent */
	if (k->agent >= 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != geteuid()) {
		close(fd);
		return;
	}
	give_role(k);
	k->agent = fd;
	k->alone_since_ns = 0;
	n = snprintf(text, sizeof(text), "yours %d\n", getpid());
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
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

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: lockstep-keeper FOLDER [NETNS]\n");
		return 2;
	}
	k.folder = argv[1];
	k.netns = argc == 3 ? argv[2] : "";
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL); /* before any thread */
	k.signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!open_regions(&k) || !listen_for(&k) || !start_heart(&k))
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
		if (access(k.folder, F_OK) != 0)
			break;
		now = ls_clock_ns();
		watch(&k, now);
		/* the first agent is on its way when the keeper starts; later ones died */
		if (k.agent < 0 && !k.table && (k.header->freer_stamp_ns == 0 ? now > k.alone_since_ns + PATIENCE_NS : true))
			take_role(&k);
	}
	ls_heart_stop(k.heart);
	give_role(&k);
	return 0;
}
