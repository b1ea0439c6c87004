/* DPDK's log as lines for the agent, each with the level DPDK gave it: its stream does not carry that. A worker writes them too, in a burst, so nobody may wait here: a driver
 * that complains of every frame would fill the pipe, and who reads that may be waiting for the end of the burst. What is too much is left out, which is told.
 */
#include <poll.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

#define LINES 200         /* that may come at once: what EAL says at its start, and some devices */
#define LINES_A_SECOND 20

/* Under the stream's lock. */
static struct {
	u64 counted_ns; /* until when `room` has grown; 0: never */
	u32 room;       /* lines that may be written */
	u64 left_out;
} pace;

static bool write_line(int level, const char *text, size_t bytes)
{
	char out[1024];
	struct pollfd f = { .fd = STDERR_FILENO, .events = POLLOUT };
	int length = snprintf(out, sizeof(out), "<%d>%.*s\n", level, (int)(bytes < sizeof(out) - 16 ? bytes : sizeof(out) - 16), text);

	return poll(&f, 1, 0) == 1 && (f.revents & POLLOUT) && write(STDERR_FILENO, out, (size_t)length) == length;
}

/* Room grows with time. */
static bool has_room(void)
{
	u64 now = ls_clock_ns(), more = pace.counted_ns ? (now - pace.counted_ns) * LINES_A_SECOND / 1000000000ULL : LINES;

	if (more) {
		pace.room = more > LINES - pace.room ? LINES : pace.room + (u32)more;
		pace.counted_ns = now;
	}
	return pace.room > 0;
}

static void say(int level, const char *text, size_t bytes)
{
	char told[96];
	bool many = pace.left_out > 0;

	if (!has_room()) {
		if (!many)
			write_line(RTE_LOG_WARNING, told, (size_t)snprintf(told, sizeof(told), "more than %u lines a second: some are left out", LINES_A_SECOND));
		pace.left_out++;
		return;
	}
	if (many && write_line(RTE_LOG_WARNING, told, (size_t)snprintf(told, sizeof(told), "%llu lines were left out", (unsigned long long)pace.left_out)))
		pace.left_out = 0;
	pace.room--;
	if (!write_line(level, text, bytes))
		pace.left_out++;
}

static ssize_t line(void *cookie, const char *text, size_t bytes)
{
	size_t n = bytes;
	int level = rte_log_cur_msg_loglevel();

	(void)cookie;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n)
		say(level < 0 ? (int)RTE_LOG_INFO : level, text, n);
	return (ssize_t)bytes;
}

bool dpdk_log_open(void)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = line });

	if (!stream)
		return false;
	setvbuf(stream, NULL, _IOLBF, 1024);
	return rte_openlog_stream(stream) == 0;
}
