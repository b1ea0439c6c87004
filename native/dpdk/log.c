/* DPDK's log as lines for the agent, each with the level DPDK gave it: its stream does not carry that. */
#include <rte_log.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dpdk/dpdk.h"

static ssize_t line(void *cookie, const char *text, size_t bytes)
{
	char out[1024];
	size_t n = bytes;
	int level = rte_log_cur_msg_loglevel(), length;

	(void)cookie;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	length = snprintf(out, sizeof(out), "<%d>%.*s\n", level < 0 ? (int)RTE_LOG_INFO : level, (int)(n < sizeof(out) - 16 ? n : sizeof(out) - 16), text);
	if (n && write(STDERR_FILENO, out, (size_t)length) < 0)
		return 0;
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
