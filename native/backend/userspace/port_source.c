/* In-process traffic source: clients that open, use and close flows, or (reflect) servers that answer what reaches them. No privileges.
 *
 * A client walks each flow through TCP's handshake, a request, and both FINs, or through a UDP question and answer, at `rate` packets per second.
 * It is a generator for demonstrations, tests and benches, not a TCP stack: nothing is retransmitted.
 */
#include "backend/userspace/userspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 1024 /* answers waiting to be received */

struct source_state {
	pthread_mutex_t lock;
	u64 started_ns, produced;
	u32 flow;
	u8 *memory;                /* frames of one burst */
	u8 (*queue)[256];          /* what was sent to us and is answered next rx */
	u16 queue_len[QUEUE];
	u32 head, tail;
};

#define STEPS 5 /* SYN, ACK, request, FIN, last ACK: what a client sends */

static u32 put_ip(u8 *h, const struct ls_addr *src, const struct ls_addr *dst, u32 proto, u32 payload, bool v6)
{
	if (v6) {
		memset(h, 0, 8);
		h[0] = 0x60;
		ls_put16(h + 4, (u16)payload);
		h[6] = (u8)proto;
		h[7] = 64;
		memcpy(h + 8, src->b, 16);
		memcpy(h + 24, dst->b, 16);
		return 40;
	}
	memset(h, 0, 20);
	h[0] = 0x45;
	ls_put16(h + 2, (u16)(payload + 20));
	ls_put16(h + 6, 0x4000);
	h[8] = 64;
	h[9] = (u8)proto;
	memcpy(h + 12, &src->w[3], 4);
	memcpy(h + 16, &dst->w[3], 4);
	ls_set_raw16(h + 10, (be16)~ls_fold(ls_sum_words(h, 10)));
	return 20;
}

static void finish_sum(u8 *l4, u32 bytes, u32 proto, const struct ls_addr *src, const struct ls_addr *dst)
{
	u32 sum = ls_addr_sum(src) + ls_addr_sum(dst) + ls_swap16((u16)bytes) + ls_swap16((u16)proto), at = proto == LS_IPPROTO_TCP ? 16 : 6;

	ls_put16(l4 + at, 0);
	ls_set_raw16(l4 + at, (be16)~ls_fold(sum + ls_sum_words(l4, bytes / 2)));
}

/* Packet `step` of flow `f`; its length. */
static u32 client_packet(const struct ls_device *d, u32 f, u32 step, u8 *to)
{
	static const u8 flags[STEPS] = { LS_TCP_SYN, LS_TCP_ACK, LS_TCP_ACK | LS_TCP_PSH, LS_TCP_ACK | LS_TCP_FIN, LS_TCP_ACK };
	struct ls_addr src = d->spec.src;
	bool v6 = !ls_addr_is4(&src), tcp = d->spec.proto != LS_IPPROTO_UDP;
	u32 l4_bytes = tcp ? 20 + (step == 2 ? 20 : 0) : 8 + 20, port = 1024 + f % 60000, l3, at;
	u8 *h;

	src.w[3] = ls_swap32(ls_swap32(src.w[3]) + f / 60000);
	memcpy(to, d->mac, 6);
	memset(to + 6, 0, 6);
	to[6] = 0x02;
	to[11] = 0x51;
	ls_put16(to + 12, v6 ? LS_ETH_IP6 : LS_ETH_IP4);
	l3 = put_ip(to + 14, &src, &d->spec.dst, tcp ? LS_IPPROTO_TCP : LS_IPPROTO_UDP, l4_bytes, v6);
	at = 14 + l3;
	h = to + at;
	memset(h, 0, l4_bytes);
	ls_put16(h, (u16)port);
	ls_put16(h + 2, d->spec.dport);
	if (tcp) {
		u32 seq = f * 0x9e3779b1u + (step == 0 ? 0 : step <= 2 ? 1 : step == 3 ? 21 : 22);

		ls_put32(h + 4, seq);
		ls_put32(h + 8, step == 0 ? 0 : f * 0x85ebca6bu + (step <= 2 ? 1 : 21 + (step == 4)));
		h[12] = 0x50;
		h[13] = flags[step];
		ls_put16(h + 14, 65535);
	} else {
		ls_put16(h + 4, (u16)l4_bytes);
	}
	finish_sum(h, l4_bytes, tcp ? LS_IPPROTO_TCP : LS_IPPROTO_UDP, &src, &d->spec.dst);
	return at + l4_bytes;
}

/* Whoever is asked for lives here, with this MAC: ARP and neighbour solicitations, answered in place; 0 = it was another frame. */
static u32 resolve(u8 *f, u32 len)
{
	static const u8 mac[6] = { 0x02, 0x4c, 0, 0, 0, 0x51 };
	u8 *h = f + 14, target[16];
	u32 sum;

	if (len >= 42 && ls_get16(f + 12) == LS_ETH_ARP && ls_get16(h + 6) == 1) {
		memcpy(target, h + 24, 4);
		memcpy(f, f + 6, 6);
		memcpy(f + 6, mac, 6);
		ls_put16(h + 6, 2);
		memcpy(h + 18, h + 8, 10);
		memcpy(h + 8, mac, 6);
		memcpy(h + 14, target, 4);
		return 42;
	}
	if (len >= 14 + 72 && ls_get16(f + 12) == LS_ETH_IP6 && h[6] == LS_IPPROTO_ICMP6 && h[40] == 135) {
		memcpy(target, h + 48, 16);
		memcpy(f, f + 6, 6);
		memcpy(f + 6, mac, 6);
		memcpy(h + 24, h + 8, 16);
		memcpy(h + 8, target, 16);
		h[40] = 136;
		ls_put16(h + 42, 0);
		ls_put32(h + 44, 0x60000000); /* solicited, override */
		h[64] = 2;
		memcpy(h + 66, mac, 6);
		sum = ls_sum_words(h + 8, 32) + ls_swap16(32) + ls_swap16(LS_IPPROTO_ICMP6);
		ls_set_raw16(h + 42, (be16)~ls_fold(sum));
		return 14 + 72;
	}
	return 0;
}

/* A server's answer to a frame, built in place; 0 = none. */
static u32 answer(u8 *f, u32 len)
{
	bool v6 = ls_get16(f + 12) == LS_ETH_IP6;
	u32 l3 = 14, l4 = l3 + (v6 ? 40 : 20), proto;
	struct ls_addr src, dst;
	u8 mac[6], *h;
	be16 port;

	if (len < l4 + 20 && len < l4 + 8)
		return 0;
	if (!v6 && (ls_get16(f + 12) != LS_ETH_IP4 || f[l3] != 0x45))
		return 0;
	proto = v6 ? f[l3 + 6] : f[l3 + 9];
	if (v6) {
		memcpy(dst.b, f + l3 + 8, 16);
		memcpy(src.b, f + l3 + 24, 16);
	} else {
		ls_addr_from4(&dst, f + l3 + 12);
		ls_addr_from4(&src, f + l3 + 16);
	}
	memcpy(mac, f, 6);
	memcpy(f, f + 6, 6);
	memcpy(f + 6, mac, 6);
	h = f + l4;
	port = ls_raw16(h);
	ls_set_raw16(h, ls_raw16(h + 2));
	ls_set_raw16(h + 2, port);
	if (proto == LS_IPPROTO_UDP) {
		put_ip(f + l3, &src, &dst, proto, len - l4, v6);
		finish_sum(h, (len - l4) & ~1u, proto, &src, &dst);
		return len;
	}
	if (proto != LS_IPPROTO_TCP || len < l4 + 20)
		return 0;
	{
		u32 seq = ls_get32(h + 4), ack = ls_get32(h + 8), data = len - l4 - (h[12] >> 4) * 4u, flags = h[13];

		if (flags & LS_TCP_RST)
			return 0;
		if (flags & LS_TCP_SYN) {
			ls_put32(h + 4, seq * 0x85ebca6bu);
			ls_put32(h + 8, seq + 1);
			h[13] = LS_TCP_SYN | LS_TCP_ACK;
		} else if (flags & LS_TCP_FIN) {
			ls_put32(h + 4, ack);
			ls_put32(h + 8, seq + data + 1);
			h[13] = LS_TCP_FIN | LS_TCP_ACK;
		} else if (data) {
			ls_put32(h + 4, ack);
			ls_put32(h + 8, seq + data);
			h[13] = LS_TCP_ACK;
		} else {
			return 0;
		}
		h[12] = 0x50;
		put_ip(f + l3, &src, &dst, proto, 20, v6);
		finish_sum(h, 20, proto, &src, &dst);
		return l4 + 20;
	}
}

static enum ls_status source_open(struct ls_device *d, u32 worker, char *error)
{
	struct source_state *s;

	(void)error;
	if (worker > 0) {
		d->state[worker] = d->state[0];
		return LS_OK;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return LS_E_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->memory = malloc((size_t)LS_US_BURST * (256 + 2 * LS_HEADROOM));
	s->queue = malloc(sizeof(*s->queue) * QUEUE);
	if (!s->memory || !s->queue) {
		free(s->memory);
		free(s->queue);
		free(s);
		return LS_E_NOMEM;
	}
	d->state[0] = s;
	return LS_OK;
}

static u32 source_rx(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns)
{
	struct source_state *s = d->state[worker];
	u32 n = 0;

	if (worker > 0)
		return 0;
	if (s->started_ns == 0)
		s->started_ns = now_ns;
	while (n < max && n < LS_US_BURST) {
		u8 *to = s->memory + (size_t)n * (256 + 2 * LS_HEADROOM) + LS_HEADROOM;
		u32 len = 0;

		pthread_mutex_lock(&s->lock);
		if (s->tail != s->head) {
			len = s->queue_len[s->tail % QUEUE];
			memcpy(to, s->queue[s->tail % QUEUE], len);
			s->tail++;
		}
		pthread_mutex_unlock(&s->lock);
		if (len) {
			u32 resolved = resolve(to, len);

			len = resolved ? resolved : d->spec.reflect ? answer(to, len) : 0;
			if (!len)
				continue;
		} else if (d->spec.reflect) {
			break;
		} else {
			u32 flows = d->spec.flows ? d->spec.flows : 1, steps = d->spec.proto == LS_IPPROTO_UDP ? 1 : STEPS;
			u64 round;

			if (d->spec.rate && s->produced >= (now_ns - s->started_ns) / 1000 * d->spec.rate / 1000000)
				break;
			/* flow f takes its next step each time the round comes by, so `flows` are open at once */
			round = s->produced / flows;
			len = client_packet(d, (u32)(s->produced % flows + round / steps % 64 * flows), (u32)(round % steps), to);
			s->produced++;
		}
		frames[n++] = (struct ls_buf){ .data = to, .len = len, .head = LS_HEADROOM, .tail = 256 + LS_HEADROOM - len };
	}
	return n;
}

static bool source_tx(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	struct source_state *s = d->state[worker];
	bool ok = true;

	/* clients only watch their answers go by, but say where they live */
	if (!d->spec.reflect && !(frame->len >= 42 && ls_get16(frame->data + 12) == LS_ETH_ARP) &&
	    !(frame->len >= 86 && ls_get16(frame->data + 12) == LS_ETH_IP6 && frame->data[20] == LS_IPPROTO_ICMP6))
		return true;
	if (frame->len > 256)
		return true; /* received, and not answered: only small frames are */
	pthread_mutex_lock(&s->lock);
	if (s->head - s->tail == QUEUE) {
		ok = false;
	} else {
		memcpy(s->queue[s->head % QUEUE], frame->data, frame->len);
		s->queue_len[s->head++ % QUEUE] = (u16)frame->len;
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

static int source_poll_fd(struct ls_device *d, u32 worker)
{
	(void)d;
	return worker > 0 ? -2 : -1;
}

static void source_close(struct ls_device *d, u32 worker)
{
	struct source_state *s = d->state[worker];

	d->state[worker] = NULL;
	if (!s || worker > 0)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->memory);
	free(s->queue);
	free(s);
}

const struct ls_device_ops ls_device_source = { .open = source_open, .rx = source_rx, .tx = source_tx, .poll_fd = source_poll_fd,
	.close = source_close };
