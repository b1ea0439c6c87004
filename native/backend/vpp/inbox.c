#include "backend/vpp/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST ((size_t)64 << 10)

static size_t frame_bytes(const uint8_t *header)
{
	uint32_t be;

	memcpy(&be, header + LS_VPP_LENGTH_AT, sizeof(be));
	return LS_VPP_HEADER + (size_t)__builtin_bswap32(be);
}

void ls_vpp_inbox_init(struct ls_vpp_inbox *in, void (*ready)(void *), void *arg)
{
	memset(in, 0, sizeof(*in));
	pthread_mutex_init(&in->lock, NULL);
	in->ready = ready;
	in->arg = arg;
}

void ls_vpp_inbox_free(struct ls_vpp_inbox *in)
{
	pthread_mutex_destroy(&in->lock);
	free(in->bytes);
	in->bytes = NULL;
}

static int make_room(struct ls_vpp_inbox *in, size_t n)
{
	size_t room = in->room == 0 ? ROOM_LEAST : in->room;
	uint8_t *bytes;

	if (in->used + n > LS_VPP_INBOX_MAX)
		return ENOBUFS;
	while (room < in->used + n)
		room *= 2;
	if (room == in->room)
		return 0;
	bytes = realloc(in->bytes, room);
	if (!bytes)
		return ENOMEM;
	in->bytes = bytes;
	in->room = room;
	return 0;
}

/* Moves `whole` behind the last frame that is all there. */
static int find_whole(struct ls_vpp_inbox *in)
{
	while (in->used - in->whole >= LS_VPP_HEADER) {
		size_t frame = frame_bytes(in->bytes + in->whole);

		if (frame > LS_VPP_FRAME_MAX)
			return EMSGSIZE;
		if (in->used - in->whole < frame)
			break;
		in->whole += frame;
	}
	return 0;
}

/* Under the lock: whether the taker must be told now. */
static bool tell(struct ls_vpp_inbox *in)
{
	bool news = !in->told && (in->whole > 0 || in->over);

	in->told |= news;
	return news;
}

int ls_vpp_inbox_put(struct ls_vpp_inbox *in, const uint8_t *bytes, size_t n)
{
	bool news;
	int failed;

	pthread_mutex_lock(&in->lock);
	failed = make_room(in, n);
	if (failed == 0) {
		memcpy(in->bytes + in->used, bytes, n);
		in->used += n;
		failed = find_whole(in);
	}
	news = tell(in);
	pthread_mutex_unlock(&in->lock);
	if (news)
		in->ready(in->arg);
	return failed;
}

void ls_vpp_inbox_end(struct ls_vpp_inbox *in, int error)
{
	bool news;

	pthread_mutex_lock(&in->lock);
	in->over = true;
	in->error = error;
	in->told = false;
	news = tell(in);
	pthread_mutex_unlock(&in->lock);
	if (news)
		in->ready(in->arg);
}

uint8_t *ls_vpp_inbox_take(struct ls_vpp_inbox *in, size_t *n)
{
	uint8_t *taken = NULL, *rest = NULL;
	size_t left;

	pthread_mutex_lock(&in->lock);
	in->told = false;
	*n = in->whole;
	left = in->used - in->whole;
	if (*n > 0 && left > 0)
		rest = malloc(left > ROOM_LEAST ? left : ROOM_LEAST);
	if (*n > 0 && (left == 0 || rest)) {
		if (rest)
			memcpy(rest, in->bytes + in->whole, left);
		taken = in->bytes;
		in->bytes = rest;
		in->room = rest ? (left > ROOM_LEAST ? left : ROOM_LEAST) : 0;
		in->used = left;
		in->whole = 0;
	}
	pthread_mutex_unlock(&in->lock);
	return taken;
}

bool ls_vpp_inbox_over(struct ls_vpp_inbox *in, int *error)
{
	bool over;

	pthread_mutex_lock(&in->lock);
	over = in->over;
	*error = in->error;
	pthread_mutex_unlock(&in->lock);
	return over;
}
