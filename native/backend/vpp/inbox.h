/* Frames of VPP's binary API on their way from the thread that reads them to whoever takes them. A frame is 16 bytes of header (of which only the length of
 * the payload means anything: big-endian u32 at 8) and the payload. VPP keeps unsent output in its own heap without bound, so the reader always drains, and
 * what nobody takes is bounded here: the link ends when it is reached.
 * Threads: one reader puts, any one thread takes. */
#ifndef LOCKSTEP_BACKEND_VPP_INBOX_H
#define LOCKSTEP_BACKEND_VPP_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LS_VPP_HEADER 16u
#define LS_VPP_LENGTH_AT 8u
#define LS_VPP_FRAME_MAX (64u << 20) /* the largest known is get_api_json_reply, 1.6 MB */
#define LS_VPP_INBOX_MAX ((size_t)256 << 20)

struct ls_vpp_inbox {
	pthread_mutex_t lock;
	uint8_t *bytes;
	size_t used, room, whole; /* whole frames end at `whole` */
	bool told, over;
	int error; /* why it is over: an errno; 0: VPP closed the connection */
	void (*ready)(void *arg); /* on the reader: there is something to take, or it is over. Once until it is taken. */
	void *arg;
};

void ls_vpp_inbox_init(struct ls_vpp_inbox *in, void (*ready)(void *), void *arg);
void ls_vpp_inbox_free(struct ls_vpp_inbox *in);
/* Bytes of the stream, cut anywhere. 0, or why the link must end: EMSGSIZE a frame longer than LS_VPP_FRAME_MAX, ENOBUFS nobody took LS_VPP_INBOX_MAX bytes,
 * ENOMEM. */
int ls_vpp_inbox_put(struct ls_vpp_inbox *in, const uint8_t *bytes, size_t n);
void ls_vpp_inbox_end(struct ls_vpp_inbox *in, int error);
/* All whole frames, oldest first, in memory that the caller frees; NULL: none. */
uint8_t *ls_vpp_inbox_take(struct ls_vpp_inbox *in, size_t *n);
/* True: no frame comes after those that can still be taken. */
bool ls_vpp_inbox_over(struct ls_vpp_inbox *in, int *error);

#endif
