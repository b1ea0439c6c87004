/* What drivers declare about XDP: generic netlink family "netdev" (Linux 6.3). Source: Documentation/netlink/specs/netdev.yaml. */
#include "mirror/api.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* linux/netdev.h is younger than the headers this is built with. */
enum { NETDEV_CMD_DEV_GET = 1, NETDEV_A_DEV_IFINDEX = 1, NETDEV_A_DEV_XDP_FEATURES = 3 };

struct question {
	u32 ifindex;
	u64 features;
	u16 family;
	bool found;
	int err_no; /* 0: answered */
	char *error;
};

static int on_family(const struct nlmsghdr *h, void *arg)
{
	struct question *q = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID && mnl_attr_validate(a, MNL_TYPE_U16) == 0)
			q->family = mnl_attr_get_u16(a);
	return MNL_CB_STOP;
}

static int on_device(const struct nlmsghdr *h, void *arg)
{
	struct question *q = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(a) != NETDEV_A_DEV_XDP_FEATURES || mnl_attr_validate(a, MNL_TYPE_U64) != 0)
			continue;
		q->features = mnl_attr_get_u64(a);
		q->found = true;
	}
	return MNL_CB_STOP;
}

static struct nlmsghdr *request(void *buffer, u16 family, u8 command)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = family; /* one question to each family */
	g->cmd = command;
	g->version = 1;
	return h;
}

/* One message there and one back. 0, or errno. */
static int ask(struct mnl_socket *s, struct nlmsghdr *h, mnl_cb_t on_answer, struct question *q)
{
	char answer[8192];
	u32 seq = h->nlmsg_seq;
	ssize_t n;

	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return errno;
	n = mnl_socket_recvfrom(s, answer, sizeof(answer));
	return n < 0 || mnl_cb_run(answer, (size_t)n, seq, mnl_socket_get_portid(s), on_answer, q) < 0 ? errno : 0;
}

static void look(void *arg)
{
	struct question *q = arg;
	struct mnl_socket *s = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 1 }; /* the kernel answers while it takes the question */
	char buffer[256];
	struct nlmsghdr *h;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
		q->err_no = errno;
		snprintf(q->error, LS_MIRROR_ERROR_BYTES, "generic netlink: %s", strerror(q->err_no));
	} else {
		h = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
		mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, "netdev");
		q->err_no = ask(s, h, on_family, q);
		if (q->err_no == ENOENT || (!q->err_no && !q->family)) {
			q->err_no = EOPNOTSUPP;
			snprintf(q->error, LS_MIRROR_ERROR_BYTES, "this kernel does not tell what drivers declare about XDP: it needs Linux 6.3");
		} else if (!q->err_no) {
			h = request(buffer, q->family, NETDEV_CMD_DEV_GET);
			mnl_attr_put_u32(h, NETDEV_A_DEV_IFINDEX, q->ifindex);
			q->err_no = ask(s, h, on_device, q);
			if (!q->err_no && !q->found)
				q->err_no = EBADMSG;
		}
		if (q->err_no && !q->error[0])
			snprintf(q->error, LS_MIRROR_ERROR_BYTES, "XDP features of interface number %u: %s", q->ifindex, strerror(q->err_no));
	}
	if (s)
		mnl_socket_close(s);
}

enum ls_status ls_xdp_features(const char *netns, u32 ifindex, u64 *features, char error[LS_MIRROR_ERROR_BYTES])
{
	struct question q = { .ifindex = ifindex, .error = error };

	error[0] = 0;
	if (!ls_in_netns(netns, look, &q, error))
		return LS_E_SYSTEM;
	*features = q.features;
	switch (q.err_no) {
	case 0: return LS_OK;
	case EOPNOTSUPP: return LS_E_UNSUPPORTED;
	case ENODEV: return LS_E_NO_DEVICE;
	case EPERM: return LS_E_PERMISSION;
	default: return LS_E_SYSTEM;
	}
}
