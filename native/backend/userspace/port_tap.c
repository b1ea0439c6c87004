/* TAP port: the kernel is the host at the other end of the wire. The pipeline's side has a MAC and addresses of its own. Linux if_tun. */
#include "backend/userspace/userspace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct tap_state {
	int fd;
	u8 *memory;
};

static enum ls_status tap_open(struct ls_device *d, u32 worker, char *error)
{
	struct tap_state *s;
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (worker > 0) {
		d->state[worker] = d->state[0];
		return LS_OK;
	}
	if (strlen(d->spec.name) >= IFNAMSIZ) {
		snprintf(error, LS_US_ERROR_BYTES, "port tap:%s: the name is longer than 15 characters", d->spec.name);
		return LS_E_INVALID;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return LS_E_NOMEM;
	memcpy(request.ifr_name, d->spec.name, strlen(d->spec.name));
	s->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	s->memory = malloc((size_t)LS_US_BURST * (LS_FRAME_MAX + 2 * LS_HEADROOM));
	if (s->fd < 0 || !s->memory || ioctl(s->fd, TUNSETIFF, &request) != 0) {
		int saved = errno;

		snprintf(error, LS_US_ERROR_BYTES, "port tap:%s: %s (needs CAP_NET_ADMIN)", d->spec.name, strerror(saved));
		if (s->fd >= 0)
			close(s->fd);
		free(s->memory);
		free(s);
		return saved == EPERM || saved == EACCES ? LS_E_PERMISSION : LS_E_SYSTEM;
	}
	d->state[0] = s;
	return LS_OK;
}

static u32 tap_rx(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns)
{
	struct tap_state *s = d->state[worker];
	u32 n = 0;

	(void)now_ns;
	if (worker > 0)
		return 0;
	while (n < max && n < LS_US_BURST) {
		u8 *to = s->memory + (size_t)n * (LS_FRAME_MAX + 2 * LS_HEADROOM) + LS_HEADROOM;
		ssize_t len = read(s->fd, to, LS_FRAME_MAX);

		if (len <= 0)
			break;
		frames[n++] = (struct ls_buf){ .data = to, .len = (u32)len, .head = LS_HEADROOM, .tail = LS_FRAME_MAX + LS_HEADROOM - (u32)len };
	}
	return n;
}

static bool tap_tx(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	struct tap_state *s = d->state[worker];

	return write(s->fd, frame->data, frame->len) == (ssize_t)frame->len;
}

static int tap_poll_fd(struct ls_device *d, u32 worker)
{
	return worker > 0 ? -2 : ((struct tap_state *)d->state[0])->fd;
}

static void tap_close(struct ls_device *d, u32 worker)
{
	struct tap_state *s = d->state[worker];

	d->state[worker] = NULL;
	if (!s || worker > 0)
		return;
	close(s->fd);
	free(s->memory);
	free(s);
}

const struct ls_device_ops ls_device_tap = { .open = tap_open, .rx = tap_rx, .tx = tap_tx, .poll_fd = tap_poll_fd, .close = tap_close };
