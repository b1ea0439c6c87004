/* Frames on their way to VPP that could not be written yet. Bounded: VPP that does not read is told to whoever sends. Owner: who holds the lock beside it. */
#ifndef LOCKSTEP_BACKEND_VPP_OUTBOX_H
#define LOCKSTEP_BACKEND_VPP_OUTBOX_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LS_VPP_OUTBOX_MAX ((size_t)16 << 20)

struct ls_vpp_outbox {
	uint8_t *bytes;
	size_t from, used, room; /* bytes[from, used) wait */
};

/* 0; ENOBUFS more than LS_VPP_OUTBOX_MAX bytes would wait, ENOMEM: nothing of these was taken. */
static inline int ls_vpp_outbox_put(struct ls_vpp_outbox *o, const uint8_t *frames, size_t n)
{
	size_t pending = o->used - o->from, room = o->room == 0 ? 4096 : o->room;
	uint8_t *bytes;

	if (pending + n > LS_VPP_OUTBOX_MAX)
		return ENOBUFS;
	if (o->from > 0) {
		memmove(o->bytes, o->bytes + o->from, pending);
		o->from = 0;
		o->used = pending;
	}
	while (room < pending + n)
		room *= 2;
	if (room != o->room) {
		bytes = realloc(o->bytes, room);
		if (!bytes)
			return ENOMEM;
		o->bytes = bytes;
		o->room = room;
	}
	memcpy(o->bytes + o->used, frames, n);
	o->used += n;
	return 0;
}

#endif
