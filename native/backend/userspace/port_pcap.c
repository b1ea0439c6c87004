/* Capture-file port: plays a pcap file in, writes what is sent to another. No privileges.
 *
 * Classic pcap, both byte orders, micro- and nanosecond stamps, link type Ethernet (draft-ietf-opsawg-pcap). The file is read whole and checked
 * before it is accepted. Only the first worker plays; any may write.
 */
#include "backend/userspace/userspace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_BYTES_MAX (1ull << 30)

struct pcap_file {
	u8 *bytes;
	u64 size, at;
	bool swapped, nano;
	u32 rounds;
	u64 first_stamp_ns, started_ns;
	u64 sent;
	u8 *memory; /* one burst of frames, with head-room */
	FILE *out;
	pthread_mutex_t lock;
};

static u32 word(const struct pcap_file *f, u64 at)
{
	u32 v;

	memcpy(&v, f->bytes + at, 4);
	return f->swapped ? ls_swap32(v) : v;
}

static enum ls_status refuse(struct pcap_file *f, char *error, const char *name, const char *what, enum ls_status status)
{
	snprintf(error, LS_US_ERROR_BYTES, "port %s: %s", name, what);
	if (f->out)
		fclose(f->out);
	free(f->bytes);
	free(f->memory);
	free(f);
	return status;
}

static const char *check(struct pcap_file *f)
{
	u32 magic;
	u64 at = 24;

	if (f->size < 24)
		return "the capture file is shorter than its header";
	memcpy(&magic, f->bytes, 4);
	f->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	f->nano = magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d && !f->swapped)
		return "not a pcap capture file (pcapng is not read: convert it with editcap -F pcap)";
	if ((word(f, 20) & 0xffff) != 1)
		return "the capture's link type is not Ethernet";
	while (at < f->size) {
		if (f->size - at < 16 || word(f, at + 8) > f->size - at - 16)
			return "the capture file ends inside a packet";
		at += 16 + word(f, at + 8);
	}
	return at == 24 ? "the capture file holds no packet" : NULL;
}

static enum ls_status pcap_open(struct ls_device *d, u32 worker, char *error)
{
	struct pcap_file *f;
	FILE *in;
	long size;

	if (worker > 0) {
		d->state[worker] = d->state[0];
		return LS_OK;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return LS_E_NOMEM;
	pthread_mutex_init(&f->lock, NULL);
	f->memory = malloc((size_t)LS_US_BURST * (LS_FRAME_MAX + 2 * LS_HEADROOM));
	if (!f->memory)
		return refuse(f, error, d->spec.name, "memory", LS_E_NOMEM);
	if (d->spec.in[0]) {
		in = fopen(d->spec.in, "rb");
		if (!in || fseek(in, 0, SEEK_END) != 0 || (size = ftell(in)) < 0 || (u64)size > PCAP_BYTES_MAX) {
			snprintf(error, LS_US_ERROR_BYTES, "port %s: %s: %s", d->spec.name, d->spec.in, in ? "unreadable or over 1 GiB" : strerror(errno));
			if (in)
				fclose(in);
			free(f->memory);
			free(f);
			return LS_E_INVALID;
		}
		rewind(in);
		f->size = (u64)size;
		f->bytes = malloc(f->size ? f->size : 1);
		if (!f->bytes || fread(f->bytes, 1, f->size, in) != f->size) {
			fclose(in);
			return refuse(f, error, d->spec.name, "the capture file cannot be read whole", LS_E_SYSTEM);
		}
		fclose(in);
		{
			const char *wrong = check(f);

			if (wrong)
				return refuse(f, error, d->spec.name, wrong, LS_E_INVALID);
		}
		f->at = 24;
	}
	if (d->spec.out[0]) {
		static const u32 header[6] = { 0xa1b23c4d, 4u << 16 | 2, 0, 0, LS_FRAME_MAX, 1 };

		f->out = fopen(d->spec.out, "wb");
		if (!f->out || fwrite(header, sizeof(header), 1, f->out) != 1)
			return refuse(f, error, d->spec.name, "the output capture cannot be written", LS_E_SYSTEM);
	}
	d->state[0] = f;
	return LS_OK;
}

static u32 pcap_rx(struct ls_device *d, u32 worker, struct ls_buf *frames, u32 max, u64 now_ns)
{
	struct pcap_file *f = d->state[worker];
	u32 n = 0;

	if (worker > 0 || !f->bytes)
		return 0;
	while (n < max && n < LS_US_BURST) {
		u64 stamp, due;
		u32 len;
		u8 *to;

		if (f->at >= f->size) {
			f->rounds++;
			if (d->spec.loops && f->rounds >= d->spec.loops)
				return n;
			f->at = 24;
			f->started_ns = 0;
		}
		stamp = (u64)word(f, f->at) * 1000000000ULL + (u64)word(f, f->at + 4) * (f->nano ? 1 : 1000);
		if (f->started_ns == 0) {
			f->started_ns = now_ns;
			f->first_stamp_ns = stamp;
			f->sent = 0;
		}
		due = d->spec.rate ? f->started_ns + f->sent * 1000000000ULL / d->spec.rate : f->started_ns + (stamp - f->first_stamp_ns);
		if (stamp >= f->first_stamp_ns && due > now_ns)
			return n;
		len = word(f, f->at + 8);
		if (len <= LS_FRAME_MAX) {
			to = f->memory + (size_t)n * (LS_FRAME_MAX + 2 * LS_HEADROOM) + LS_HEADROOM;
			memcpy(to, f->bytes + f->at + 16, len);
			frames[n++] = (struct ls_buf){ .data = to, .len = len, .head = LS_HEADROOM, .tail = LS_FRAME_MAX + LS_HEADROOM - len };
		} else {
			d->notes[worker].long_frames++;
		}
		f->at += 16 + word(f, f->at + 8);
		f->sent++;
	}
	return n;
}

static bool pcap_tx(struct ls_device *d, u32 worker, const struct ls_buf *frame)
{
	struct pcap_file *f = d->state[worker];
	bool ok = true;

	if (!f->out)
		return true; /* nobody listens: the wire without a host at its end */
	pthread_mutex_lock(&f->lock);
	{
		u64 now = ls_clock_ns();
		u32 header[4] = { (u32)(now / 1000000000ULL), (u32)(now % 1000000000ULL), frame->len, frame->len };

		ok = fwrite(header, sizeof(header), 1, f->out) == 1 && fwrite(frame->data, frame->len, 1, f->out) == 1;
	}
	pthread_mutex_unlock(&f->lock);
	return ok;
}

static void pcap_flush(struct ls_device *d, u32 worker)
{
	struct pcap_file *f = d->state[worker];

	if (f->out && worker == 0)
		fflush(f->out);
}

static int pcap_poll_fd(struct ls_device *d, u32 worker)
{
	struct pcap_file *f = d->state[worker];

	return worker > 0 || !f->bytes ? -2 : -1;
}

static void pcap_close(struct ls_device *d, u32 worker)
{
	struct pcap_file *f = d->state[worker];

	d->state[worker] = NULL;
	if (!f || worker > 0)
		return;
	if (f->out)
		fclose(f->out);
	pthread_mutex_destroy(&f->lock);
	free(f->bytes);
	free(f->memory);
	free(f);
}

const struct ls_device_ops ls_device_pcap = { .open = pcap_open, .rx = pcap_rx, .tx = pcap_tx, .flush = pcap_flush, .poll_fd = pcap_poll_fd,
	.close = pcap_close };
