/* What net_af_packet asks of its sockets and a router must not have: it lets the kernel put IPv4 fragments together, into frames that are longer than the link carries.
 * Its driver has no argument for that. So this process has a setsockopt() of its own, which drivers meet before that of libc: it leaves the wish out, and adds that
 * frames that the host sends itself are not received, as in user space (R16).
 */
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set(int fd, int level, int option, const void *value, socklen_t bytes) { return (int)syscall(SYS_setsockopt, fd, level, option, value, bytes); }

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	int one = 1, fanout;

	if (level != SOL_PACKET || option != PACKET_FANOUT || bytes != sizeof(fanout))
		return set(fd, level, option, value, bytes);
	fanout = *(const int *)value & ~(PACKET_FANOUT_FLAG_DEFRAG << 16);
	set(fd, level, PACKET_IGNORE_OUTGOING, &one, sizeof(one)); /* since Linux 4.20; without it they are dropped as not for us */
	return set(fd, level, option, &fanout, sizeof(fanout));
}
