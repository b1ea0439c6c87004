/* AF_PACKET port: a real interface, through a mapped TPACKET_V2 receive ring and sendmmsg.
 *
 * V2 and not V3: V3 hands a block over when it is full or its timer (a kernel tick, up to 4 ms) runs out, which each hop would add to every round
 * trip; V2 hands over frames. Sending copies: a mapped transmit ring is released by skb_orphan in veth while the peer still reads the pages.
 * Frames of the host itself come with unfinished checksums and without their VLAN tag: both are restored here (R16). The kernel's own reception is
 * held back by the ingress chain that src/backend/userspace writes. Sources: Documentation/networking/packet_mmap.rst, uapi/linux/if_packet.h.
 */
#include "backend/userspace/aggregation.h"
#include "backend/userspace/userspace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

#define RING_BYTES (8u << 20)
#define BLOCK_BYTES (1u << 18)
#define SEND_BATCH 64

struct packet_state {
	int fd;
	u8 *ring;
	u32 frame_bytes, frames, at;
	u32 held[LS_US_BURST]; /* frames handed out since the last rx */
	u32 helds;
	struct mmsghdr message[SEND_BATCH];
	struct iovec vector[SEND_BATCH];
	u8 *send_memory;
	u32 queued;
	u32 aggregation; /* claim */
};

static enum ls_status fail(char *error, const char *what, const char *name, struct packet_state *s)
{
	int saved = errno;

	snprintf(error, LS_US_ERROR_BYTES, "port %s: %s: %s", name, what, strerror(saved));
	if (s) {
		if (s->ring)
			munmap(s->ring, RING_BYTES);
		if (s->fd >= 0)
			close(s->fd);
		free(s->send_memory);
		free(s);
	}
	return saved == EPERM || saved == EACCES ? LS_E_PERMISSION : saved == ENODEV || saved == ENXIO ? LS_E_NO_DEVICE : LS_E_SYSTEM;
}

static enum ls_status look_by(int fd, struct ls_device *d, char *error)
{
	struct ifreq request = { 0 };
	const char *name = d->spec.name;

	if (strlen(name) >= IFNAMSIZ) {
		errno = ENODEV;
		return fail(error, "interface name is longer than 15 characters", name, NULL);
	}
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCGIFINDEX, &request) != 0)
		return fail(error, "no such interface", name, NULL);
	d->ifindex = (u32)request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &request) != 0)
		return fail(error, "hardware address", name, NULL);
	memcpy(d->mac, request.ifr_hwaddr.sa_data, 6);
	if (ioctl(fd, SIOCGIFMTU, &request) != 0)
		return fail(error, "MTU", name, NULL);
	d->mtu = request.ifr_mtu > 9180 ? 9180 : (u16)request.ifr_mtu;
	return LS_OK;
}

static enum ls_status packet_look(struct ls_device *d, char *error)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enum ls_status status = fd < 0 ? fail(error, "socket", d->spec.name, NULL) : look_by(fd, d, error);

	if (fd >= 0)
		close(fd);
	return status;
}

static enum ls_status packet_open(struct ls_device *d, u32 worker, char *error)
{
	const char *name = d->spec.name;
	struct packet_state *s = calloc(1, sizeof(*s));
	struct tpacket_req ring;
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int version = TPACKET_V2, reserve = LS_HEADROOM, one = 1;
	enum ls_status status;
	u32 need;

	if (!s)
		return LS_E_NOMEM;
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fail(error, "AF_PACKET socket (needs CAP_NET_RAW)", name, s);
	status = look_by(s->fd, d, error);
	if (status != LS_OK) {
		close(s->fd);
		free(s);
		return status;
	}
	/* room for the ring's header, our head-room, the frame with two tags, and tunnels at the tail */
	need = TPACKET_ALIGN(sizeof(struct tpacket2_hdr) + sizeof(struct sockaddr_ll) + 16 + LS_HEADROOM + d->mtu + 22 + 64);
	s->frame_bytes = 2048;
	while (s->frame_bytes < need)
		s->frame_bytes *= 2;
	ring = (struct tpacket_req){ .tp_block_size = BLOCK_BYTES, .tp_block_nr = RING_BYTES / BLOCK_BYTES, .tp_frame_size = s->frame_bytes,
		.tp_frame_nr = RING_BYTES / s->frame_bytes };
	s->frames = ring.tp_frame_nr;
	if (setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof(reserve)) != 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) != 0)
		return fail(error, "receive ring", name, s);
	setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	s->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd, 0);
	if (s->ring == MAP_FAILED) {
		s->ring = NULL;
		return fail(error, "mapping the receive ring", name, s);
	}
	link.sll_ifindex = (int)d->ifindex;
	if (bind(s->fd, (struct sockaddr *)&link, sizeof(link)) != 0)
		return fail(error, "bind", name, s);
	if (worker > 0) {
		/* flows stay on one worker: the kernel's flow hash is symmetric */
		int fanout = (int)(d->ifindex & 0xffff) | PACKET_FANOUT_HASH << 16;

		if (setsockopt(s->fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)) != 0)
			return fail(error, "fanout", name, s);
		if (worker == 1) {
			struct packet_state *first = d->state[0];

			if (setsockopt(first->fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)) != 0)
				return fail(error, "fanout", name, s);
		}
	}
	s->send_memory = malloc((size_t)SEND_BATCH * (LS_FRAME_MAX + LS_HEADROOM));
	if (!s->send_memory)
		return fail(error, "memory", name, s);
	if (worker == 0)
		s->aggregation = ls_aggregation_off(name);
	d->state[worker] = s;
	return LS_OK;
}

/* The sum the hardware would have finished: from scratch over the transport layer. */
static void complete_checksum(struct ls_buf *b)
{
	u32 l3 = 14, type, proto, l4, bytes, sum, field;
	u8 *h = port_at(b, 12, 2);

	if (!h)
		return;
	type = ls_get16(h);
	while ((type == LS_ETH_VLAN || type == LS_ETH_QINQ) && (h = port_at(b, l3 + 2, 2))) {
		type = ls_get16(h);
		l3 += 4;
	}
	if (type == LS_ETH_IP4) {
		h = port_at(b, l3, 20);
		if (!h || (ls_get16(h + 6) & 0x3fff))
			return;
		proto = h[9];
		l4 = l3 + (h[0] & 15u) * 4;
		bytes = ls_get16(h + 2) - (h[0] & 15u) * 4;
		sum = ls_sum_words(h + 12, 4);
	} else if (type == LS_ETH_IP6) {
		h = port_at(b, l3, 40);
		if (!h)
			return;
		proto = h[6];
		l4 = l3 + 40;
		bytes = ls_get16(h + 4);
		sum = ls_sum_words(h + 8, 16);
	} else {
		return;
	}
	if (proto != LS_IPPROTO_TCP && proto != LS_IPPROTO_UDP)
		return;
	field = l4 + (proto == LS_IPPROTO_TCP ? 16 : 6);
	h = port_at(b, field, 2);
	if (!h || !port_at(b, l4, bytes))
		return;
	ls_set_raw16(h, 0);
	sum += port_sum(b, l4, bytes) + ls_swap16((u16)bytes) + ls_swap16((u16)proto);
	{
		be16 check = (be16)~ls_fold(sum);

		ls_set_raw16(h, proto == LS_IPPROTO_UDP && check == 0 ? 0xffff : check);
	}
}

static void release_held(struct packet_state *s)
{
	for (u32 i = 0; i < s->helds; i++) {
		struct tpacket2_hdr *h = (struct tpacket2_hdr *)(s->ring + (size_t)s->held[i] * s->frame_bytes);

		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
	s->helds = 0;
}

static u32 packet_rx(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns)
{
	struct packet_state *s = d->state[worker];
	u32 n = 0;

	(void)now_ns;
	release_held(s);
	while (n < max && s->helds < LS_US_BURST) {
		struct tpacket2_hdr *h = (struct tpacket2_hdr *)(s->ring + (size_t)s->at * s->frame_bytes);
		u32 status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
		struct ls_buf *b = &frames[n];

		if (!(status & TP_STATUS_USER))
			break;
		s->held[s->helds++] = s->at;
		s->at = s->at + 1 == s->frames ? 0 : s->at + 1;
		if (h->tp_len > h->tp_snaplen || h->tp_snaplen > d->mtu + 22u) {
			d->notes[worker].gso_frames++;
			continue;
		}
		*b = (struct ls_buf){ .data = (u8 *)h + h->tp_mac, .len = h->tp_snaplen, .head = LS_HEADROOM < h->tp_mac ? LS_HEADROOM : 0,
			.tail = s->frame_bytes - h->tp_mac - h->tp_snaplen };
		if (status & TP_STATUS_VLAN_VALID) {
			u16 tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;

			port_push(b, 4);
			memmove(b->data, b->data + 4, 12);
			ls_put16(b->data + 12, tpid);
			ls_put16(b->data + 14, h->tp_vlan_tci);
		}
		if (status & TP_STATUS_CSUMNOTREADY) {
			complete_checksum(b);
			d->notes[worker].completed++;
		}
		n++;
	}
	return n;
}

/* Frames since the socket was bound: who forwarded until now has had them. */
static void packet_fresh(struct ls_device *d, u32 worker)
{
	struct packet_state *s = d->state[worker];

	release_held(s);
	for (u32 n = 0; n < s->frames; n++) {
		struct tpacket2_hdr *h = (struct tpacket2_hdr *)(s->ring + (size_t)s->at * s->frame_bytes);

		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		s->at = s->at + 1 == s->frames ? 0 : s->at + 1;
	}
}

static void packet_flush(struct ls_device *d, u32 worker)
{
	struct packet_state *s = d->state[worker];
	u32 sent = 0;

	while (sent < s->queued) {
		int n = sendmmsg(s->fd, s->message + sent, s->queued - sent, MSG_DONTWAIT);

		if (n > 0) {
			sent += (u32)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* this one cannot go (queue full, link down): it is a drop, and the next is tried */
		if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV) {
			d->notes[worker].unsent += s->queued - sent;
			break;
		}
		d->notes[worker].unsent++;
		sent++;
	}
	s->queued = 0;
}

static bool packet_tx(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	struct packet_state *s = d->state[worker];
	u8 *to;

	if (frame->len > LS_FRAME_MAX)
		return false;
	if (s->queued == SEND_BATCH)
		packet_flush(d, worker);
	to = s->send_memory + (size_t)s->queued * (LS_FRAME_MAX + LS_HEADROOM);
	memcpy(to, frame->data, frame->len);
	s->vector[s->queued] = (struct iovec){ .iov_base = to, .iov_len = frame->len };
	s->message[s->queued] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &s->vector[s->queued], .msg_iovlen = 1 } };
	s->queued++;
	return true;
}

static int packet_poll_fd(struct ls_device *d, u32 worker) { return ((struct packet_state *)d->state[worker])->fd; }

static void packet_close(struct ls_device *d, u32 worker)
{
	struct packet_state *s = d->state[worker];

	if (!s)
		return;
	ls_aggregation_back(s->aggregation);
	munmap(s->ring, RING_BYTES);
	close(s->fd);
	free(s->send_memory);
	free(s);
	d->state[worker] = NULL;
}

const struct ls_device_ops ls_device_packet = { .look = packet_look, .open = packet_open, .rx = packet_rx, .tx = packet_tx, .flush = packet_flush,
	.poll_fd = packet_poll_fd, .fresh = packet_fresh, .close = packet_close };
