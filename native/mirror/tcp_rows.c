/* Established TCP connections of a network namespace with one port at either end, as the kernel's diagnosis tells them. The kernel filters: one dump for each
 * family, and no row that nobody wants. Source: sock_diag(7), linux/inet_diag.h. */
#include "mirror/api.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "pipeline/addr.h"

/* enum of linux/tcp.h's users; the header of the C library that has it cannot stand beside linux/tcp.h */
enum { ESTABLISHED = 1 };

struct question {
	u16 port;
	struct ls_tcp_row *row;
	u32 rows, room;
	int err_no; /* 0: answered */
	char *error;
};

static void address(struct ls_addr *a, u8 family, const __be32 from[4])
{
	if (family == AF_INET)
		ls_addr_from4(a, (const u8 *)from);
	else
		memcpy(a->b, from, 16);
}

static struct ls_tcp_row *next(struct question *q)
{
	if (q->rows == q->room) {
		u32 room = q->room ? q->room * 2 : 64;
		struct ls_tcp_row *row = q->rows < LS_TCP_ROWS_MAX ? realloc(q->row, room * sizeof(*row)) : NULL;

		if (!row) {
			q->err_no = q->rows < LS_TCP_ROWS_MAX ? ENOMEM : ENOSPC;
			return NULL;
		}
		q->row = row;
		q->room = room;
	}
	return memset(&q->row[q->rows++], 0, sizeof(*q->row));
}

static int on_socket(const struct nlmsghdr *h, void *arg)
{
	struct question *q = arg;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct ls_tcp_row *row;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->idiag_state != ESTABLISHED)
		return MNL_CB_OK;
	row = next(q);
	if (!row)
		return MNL_CB_ERROR;
	address(&row->local, m->idiag_family, m->id.idiag_src);
	address(&row->remote, m->idiag_family, m->id.idiag_dst);
	row->local_port = ntohs(m->id.idiag_sport);
	row->remote_port = ntohs(m->id.idiag_dport);
	row->cookie = (u64)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
	if (m->id.idiag_if && !if_indextoname(m->id.idiag_if, row->device))
		row->device[0] = 0;
	mnl_attr_for_each(a, h, sizeof(*m)) {
		/* its length is the kernel's: an older one tells less */
		if (mnl_attr_get_type(a) == INET_DIAG_INFO && mnl_attr_get_payload_len(a) >= offsetof(struct tcp_info, tcpi_rtt) + 4)
			memcpy(&row->rtt_us, (const u8 *)mnl_attr_get_payload(a) + offsetof(struct tcp_info, tcpi_rtt), 4);
	}
	return MNL_CB_OK;
}

/* A row is wanted when its local or its remote port is this one. A comparison takes two places, the second one has the port; a jump to the end accepts, one
 * beyond it refuses. The kernel takes jumps only to places that lie on the way of those who agree: hence the jump over the second half. */
static u32 wanted(struct inet_diag_bc_op op[9], u16 port)
{
	const struct inet_diag_bc_op program[9] = {
		{ INET_DIAG_BC_S_GE, 8, 20 }, { .no = port }, { INET_DIAG_BC_S_LE, 8, 12 }, { .no = port },
		{ INET_DIAG_BC_JMP, 4, 20 },
		{ INET_DIAG_BC_D_GE, 8, 20 }, { .no = port }, { INET_DIAG_BC_D_LE, 8, 12 }, { .no = port },
	};

	memcpy(op, program, sizeof(program));
	return sizeof(program);
}

static bool dump(struct question *q, struct mnl_socket *s, u8 family)
{
	char buffer[32768];
	struct inet_diag_bc_op program[9];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *r;
	u32 seq = family;
	ssize_t n;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->sdiag_family = family;
	r->sdiag_protocol = IPPROTO_TCP;
	r->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	r->idiag_states = 1 << ESTABLISHED;
	mnl_attr_put(h, INET_DIAG_REQ_BYTECODE, wanted(program, q->port), program);
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
		q->err_no = errno;
		return false;
	}
	while ((n = mnl_socket_recvfrom(s, buffer, sizeof(buffer))) > 0) {
		int ret = mnl_cb_run(buffer, (size_t)n, seq, mnl_socket_get_portid(s), on_socket, q);

		if (ret == MNL_CB_STOP)
			return true;
		if (ret < 0)
			break;
	}
	if (!q->err_no)
		q->err_no = errno;
	/* a kernel without IPv6 has no such sockets */
	if (family == AF_INET6 && q->err_no == ENOENT)
		q->err_no = 0;
	return q->err_no == 0;
}

static void look(void *arg)
{
	struct question *q = arg;
	struct mnl_socket *s = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 1 }; /* the kernel answers while it is read */

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
		q->err_no = errno;
	else if (dump(q, s, AF_INET))
		dump(q, s, AF_INET6);
	if (s)
		mnl_socket_close(s);
}

enum ls_status ls_tcp_established(const char *netns, u16 port, struct ls_tcp_row **rows, u32 *n, char error[LS_MIRROR_ERROR_BYTES])
{
	struct question q = { .port = port, .error = error };
	bool entered;

	error[0] = 0;
	*rows = NULL;
	*n = 0;
	entered = ls_in_netns(netns, look, &q, error);
	if (entered && q.err_no == 0) {
		*rows = q.row;
		*n = q.rows;
		return LS_OK;
	}
	free(q.row);
	if (!entered)
		return LS_E_SYSTEM;
	if (q.err_no == ENOSPC) {
		snprintf(error, LS_MIRROR_ERROR_BYTES, "more than %u TCP connections of port %u", LS_TCP_ROWS_MAX, port);
		return LS_E_FULL;
	}
	snprintf(error, LS_MIRROR_ERROR_BYTES, "TCP connections of port %u: %s", port, strerror(q.err_no));
	return q.err_no == EPERM || q.err_no == EACCES ? LS_E_PERMISSION : q.err_no == ENOMEM ? LS_E_NOMEM : LS_E_SYSTEM;
}
