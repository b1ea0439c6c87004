/* The process that runs DPDK, asked over its socket as the agent asks it. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "own_netns.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lockstep/dpdk.h"
#include "table_fixture.h"

static struct {
	struct ls_table *table;
	pid_t pid;
	int socket;
	u32 seq;
} child;

static struct ls_dpdk_answer last;
static struct ls_dpdk_xstat xstat[1024];
static u32 links_down; /* LS_DPDK_LINK with up == 0, so far */

static bool hear(void *to, size_t bytes) { return recv(child.socket, to, bytes, MSG_WAITALL) == (ssize_t)bytes; }

/* The next message; its kind, 0: it ended. An answer is in `last` and `xstat`. */
static u32 next(void)
{
	struct ls_dpdk_head head;
	struct ls_dpdk_which which;
	struct ls_dpdk_hello hello;
	struct ls_dpdk_stats stats;
	size_t rest;

	if (!hear(&head, sizeof(head)))
		return 0;
	rest = head.bytes - sizeof(head);
	if (head.kind == LS_DPDK_HELLO)
		return rest == sizeof(hello) && hear(&hello, rest) ? head.kind : 0;
	if (head.kind == LS_DPDK_LINK) {
		if (rest != sizeof(which) || !hear(&which, rest))
			return 0;
		links_down += !which.up;
		return head.kind;
	}
	if (head.kind != LS_DPDK_ANSWER || head.seq != child.seq || !hear(&last, sizeof(last)))
		return 0;
	rest -= sizeof(last);
	if (!rest)
		return head.kind;
	return rest == sizeof(stats) + last.count * sizeof(xstat[0]) && last.count <= 1024 && hear(&stats, sizeof(stats)) && hear(xstat, rest - sizeof(stats)) ? head.kind : 0;
}

/* The status that it answers with. */
static u32 ask(u32 kind, const void *body, size_t bytes)
{
	struct ls_dpdk_head head = { .bytes = (u32)(sizeof(head) + bytes), .kind = (u16)kind, .seq = ++child.seq };
	u32 got;

	memset(&last, 0, sizeof(last));
	if (send(child.socket, &head, sizeof(head), MSG_NOSIGNAL) != (ssize_t)sizeof(head) || (bytes && send(child.socket, body, bytes, MSG_NOSIGNAL) != (ssize_t)bytes))
		return LS_E_SYSTEM;
	while ((got = next()) == LS_DPDK_LINK)
		;
	return got == LS_DPDK_ANSWER ? last.status : (u32)LS_E_SYSTEM;
}

static u32 ask_which(u32 kind, u32 port, u32 device) { return ask(kind, &(struct ls_dpdk_which){ .port = port, .device = device }, sizeof(struct ls_dpdk_which)); }

static u32 ask_add(const char *name, const char *devargs, const char *tap)
{
	struct ls_dpdk_port p = { 0 };

	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.devargs, sizeof(p.devargs), "%s", devargs);
	snprintf(p.tap, sizeof(p.tap), "%s", tap);
	return ask(LS_DPDK_ADD, &p, sizeof(p));
}

static char prefix[64];

/* False: it does not run here. */
static bool process_start(void)
{
	int pair[2];

	snprintf(prefix, sizeof(prefix), "--file-prefix=lockstep-test-%d", getpid());
	child.table = table_new(1 << 10);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	fflush(stdout);
	child.pid = fork();
	if (child.pid == 0) {
		int table = dup(child.table->fd), control = dup(pair[1]);

		setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* EAL keeps what it has to the end */
		dup2(control, LS_DPDK_CONTROL_FD);
		dup2(table, LS_DPDK_CONTROL_FD + 1);
		execl(LS_DPDK_PROGRAM, "lockstep-dpdk", "0", "1", "512", "2048", "sleep", "1", "--", "--no-huge", "-m", "64", "--no-shconf", "--no-pci", "--no-telemetry", "--lcores=0@0,1@0",
			"--log-level=critical", prefix, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	child.socket = pair[0];
	if (next() == LS_DPDK_HELLO)
		return true;
	printf("SKIPPED: EAL does not start here\n");
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	return false;
}

/* It ends by itself, with this code. */
static int process_stop(void)
{
	struct ls_dpdk_head stop = { .bytes = sizeof(stop), .kind = LS_DPDK_STOP };
	char folder[128];
	int status;

	if (send(child.socket, &stop, sizeof(stop), MSG_NOSIGNAL) != (ssize_t)sizeof(stop) || waitpid(child.pid, &status, 0) != child.pid)
		return -1;
	close(child.socket);
	snprintf(folder, sizeof(folder), "/var/run/dpdk/%s", prefix + strlen("--file-prefix="));
	rmdir(folder);
	ls_table_close(child.table);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST("a question about a port or a device that is not there is refused, whatever it asks; of one that is there it is done")
{
	static const u32 of_port[] = { LS_DPDK_REMOVE, LS_DPDK_BIND, LS_DPDK_STATS }, of_device[] = { LS_DPDK_ENABLE, LS_DPDK_DISABLE };

	if (!process_start())
		return;
	for (u32 i = 0; i < 3; i++)
		CHECK(ask_which(of_port[i], 7, 1) == LS_E_NO_DEVICE && strstr(last.text, "7"));
	for (u32 device = 0; device < 2 * LS_DEVICES_MAX; device += LS_DEVICES_MAX / 2)
		for (u32 i = 0; i < 2; i++) {
			CHECK_AT("device %u", device);
			CHECK_EQ(ask_which(of_device[i], 0, device), LS_E_NO_DEVICE);
			CHECK(last.text[0]);
		}
	CHECK_EQ(ask_add("null", "net_null0", ""), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_ENABLE, last.port, 3), LS_E_NO_DEVICE); /* not bound yet */
	CHECK_EQ(ask_which(LS_DPDK_BIND, 0, 3), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_ENABLE, 0, 3), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_DISABLE, 0, 3), LS_OK);
	CHECK_EQ(ask(99, NULL, 0), LS_E_UNSUPPORTED);
	CHECK_EQ(ask_which(LS_DPDK_REMOVE, 0, 0), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_DISABLE, 0, 3), LS_E_NO_DEVICE);
	CHECK_EQ(process_stop(), 0);
}

TEST("all figures of a driver come, each by its name once")
{
	u32 known = 0;

	if (!process_start())
		return;
	CHECK_EQ(ask_add("null", "net_null0", ""), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_STATS, 0, 0), LS_OK);
	CHECK(last.count > 0 && strcmp(last.driver, "net_null") == 0);
	for (u32 i = 0; i < last.count; i++) {
		known += strcmp(xstat[i].name, "rx_good_packets") == 0 || strcmp(xstat[i].name, "tx_good_bytes") == 0;
		for (u32 k = 0; k < i; k++)
			CHECK(strcmp(xstat[i].name, xstat[k].name) != 0);
	}
	CHECK_EQ(known, 2);
	CHECK_EQ(process_stop(), 0);
}

TEST("a TAP that is deleted is told as a link that went down, unasked, and all else goes on")
{
	int before = netns_enter();

	if (before < 0)
		return;
	if (access("/dev/net/tun", R_OK | W_OK) != 0 || !process_start()) {
		printf("SKIPPED: needs /dev/net/tun and DPDK\n");
		return netns_leave(before);
	}
	links_down = 0;
	CHECK_EQ(ask_add("wan", "net_null0", "host"), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_BIND, 0, 1), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_ENABLE, 0, 1), LS_OK);
	CHECK_EQ(links_down, 0);
	CHECK(sh("ip link del host"));
	while (!links_down)
		CHECK_EQ(next(), LS_DPDK_LINK);
	CHECK_EQ(ask_which(LS_DPDK_STATS, 0, 0), LS_OK);
	CHECK_EQ(ask_which(LS_DPDK_REMOVE, 0, 0), LS_OK);
	CHECK_EQ(ask_add("wan", "net_null0", "host"), LS_OK); /* anew */
	CHECK_EQ(ask_which(LS_DPDK_REMOVE, last.port, 0), LS_OK);
	CHECK_EQ(process_stop(), 0);
	netns_leave(before);
}

CHECK_MAIN
