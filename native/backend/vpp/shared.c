#include "backend/vpp/shared.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backend/vpp/outbox.h"
#include "backend/vpp/segment.h"

#define PING "control_ping_51077d14"
#define PONG "control_ping_reply_f6b0b8ca"
#define PING_BYTES 10
#define PONG_BYTES 18
#define MARK 0xa0000000u  /* of the context of our own pings: callers' are below 0x80000000 */
#define WINDOW 512u       /* VPP's queue takes 1024 */
#define PING_EVERY 128u
#define HEAP_BYTES ((size_t)64 << 20) /* address space of the library's own heap; its table of messages takes less than 1 MB */
#define WATCH_MS 250
#define ANSWER_MS 5000
#define PREDECESSOR_MS 15000
#define LEAVE_MS 3000
#define FAILED_MAX 500u /* each connection that fails leaves a message in VPP's queue of 1024 */

struct ls_vpp_shared {
	struct ls_vpp_inbox in;
	const struct ls_vpp_library *vac;
	char name[LS_VPP_SHARED_NAME_MAX + 1];
	bool prefixed;
	int rx_queue, kick;
	struct ls_vpp_segment segment;
	pthread_mutex_t lock; /* of what follows */
	struct ls_vpp_outbox out;
	bool greeted, closing, over;
	int ping_id, pong_id;
	uint32_t index, written, acked; /* messages that VPP has seen, by its answer to our last ping */
	int pid;
	char why[LS_VPP_WHY];
	/* The thread's. */
	int pidfd;
};

/* The library has one of everything. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	bool prepared, prefix_known;
	struct ls_vpp_shared *owner; /* opened and not closed */
	bool busy;                   /* a thread is in the library, or between its connect and disconnect */
	char prefix[LS_VPP_SHARED_PREFIX_MAX + 1]; /* the library keeps the pointer */
	struct ls_vpp_file dead, failed; /* segment of a VPP that ended; of one that did not answer, `tries` times */
	unsigned int tries;
} the = { .lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER };

/* Who the library's messages are for. */
static struct {
	pthread_mutex_t lock;
	struct ls_vpp_shared *to;
	char warning[LS_VPP_WHY];
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_be32(uint8_t *at, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(at, &v, sizeof(v));
}

static struct timespec after(clockid_t clock, uint32_t ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static uint64_t now_ms(void)
{
	struct timespec ts = after(CLOCK_MONOTONIC, 0);

	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void kick(struct ls_vpp_shared *s)
{
	uint64_t one = 1;

	while (write(s->kick, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Once; what is said first counts. `ready` is called under the lock: after close() it is not. */
static void end(struct ls_vpp_shared *s, int error, const char *why)
{
	pthread_mutex_lock(&s->lock);
	if (!s->over && !s->closing) {
		snprintf(s->why, sizeof(s->why), "%s", why);
		ls_vpp_inbox_end(&s->in, error);
	}
	s->over = true;
	pthread_mutex_unlock(&s->lock);
}

/* ---- on the library's threads */

static void on_warning(void *arg __attribute__((unused)), unsigned char *text, int bytes)
{
	int n = bytes;

	while (n > 0 && isspace(text[n - 1]))
		n--;
	pthread_mutex_lock(&gate.lock);
	snprintf(gate.warning, sizeof(gate.warning), "%.*s", n, (const char *)text);
	pthread_mutex_unlock(&gate.lock);
}

/* True: the answer to a ping of our own. */
static bool acknowledges(struct ls_vpp_shared *s, const uint8_t *data, int bytes)
{
	bool ours = bytes == PONG_BYTES && (be32(data + 2) & 0xe0000000u) == MARK;

	if (!ours)
		return false;
	pthread_mutex_lock(&s->lock);
	ours = (data[0] << 8 | data[1]) == s->pong_id;
	if (ours) {
		/* `written` when the ping was, of which the context has the lower bits */
		s->acked = s->written - ((s->written - be32(data + 2)) & ~0xe0000000u);
		s->index = be32(data + 10);
		s->pid = (int)be32(data + 14);
	}
	pthread_mutex_unlock(&s->lock);
	if (ours)
		kick(s);
	return ours;
}

static void on_message(unsigned char *data, int bytes)
{
	uint8_t header[LS_VPP_HEADER] = { 0 };
	struct ls_vpp_shared *s;
	int failed;

	pthread_mutex_lock(&gate.lock);
	s = gate.to;
	if (s && bytes >= 0 && !acknowledges(s, data, bytes)) {
		put_be32(header + LS_VPP_LENGTH_AT, (uint32_t)bytes);
		failed = ls_vpp_inbox_put(&s->in, header, sizeof(header));
		if (failed == 0)
			failed = ls_vpp_inbox_put(&s->in, data, (size_t)bytes);
		if (failed != 0) {
			gate.to = NULL; /* the library goes on draining */
			end(s, failed, strerror(failed));
		}
	}
	pthread_mutex_unlock(&gate.lock);
}

static void close_gate(const struct ls_vpp_shared *s)
{
	pthread_mutex_lock(&gate.lock);
	if (gate.to == s)
		gate.to = NULL;
	pthread_mutex_unlock(&gate.lock);
}

/* ---- the thread */

static void watch(struct ls_vpp_shared *s)
{
	if (!ls_vpp_segment_mapped_by(&s->segment, s->pid))
		return;
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd >= 0)
		fcntl(s->pidfd, F_SETFD, FD_CLOEXEC);
}

static void remember_dead(const struct ls_vpp_shared *s)
{
	pthread_mutex_lock(&the.lock);
	the.dead = s->segment.file;
	pthread_mutex_unlock(&the.lock);
}

/* Messages that may be written now; a ping of ours among them. */
static uint32_t window(struct ls_vpp_shared *s)
{
	uint32_t room;

	pthread_mutex_lock(&s->lock);
	room = WINDOW - (s->written - s->acked);
	pthread_mutex_unlock(&s->lock);
	return room;
}

static int write_one(struct ls_vpp_shared *s, const uint8_t *payload, uint32_t bytes)
{
	/* Before, as its answer can be here first. */
	pthread_mutex_lock(&s->lock);
	s->written++;
	pthread_mutex_unlock(&s->lock);
	return s->vac->vac_write((char *)payload, (int)bytes);
}

static int write_ping(struct ls_vpp_shared *s)
{
	uint8_t ping[PING_BYTES] = { (uint8_t)(s->ping_id >> 8), (uint8_t)s->ping_id };

	put_be32(ping + 6, MARK | ((s->written + 1) & ~0xe0000000u));
	return write_one(s, ping, sizeof(ping));
}

/* What was sent, as far as the window goes: from `at` on. */
static size_t write_some(struct ls_vpp_shared *s, const uint8_t *frames, size_t at, size_t n)
{
	for (uint32_t room = window(s); at < n && room >= 2; room--) {
		uint32_t bytes = be32(frames + at + LS_VPP_LENGTH_AT);
		int failed = write_one(s, frames + at + LS_VPP_HEADER, bytes);

		at += LS_VPP_HEADER + bytes;
		if (failed == 0 && s->written % PING_EVERY == 0) {
			failed = write_ping(s);
			room--;
		}
		if (failed != 0) {
			char why[64];

			snprintf(why, sizeof(why), "vac_write failed: %d", failed);
			end(s, EIO, why);
			return n;
		}
	}
	return at;
}

static bool closing(struct ls_vpp_shared *s, bool *over)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->closing;
	*over = s->over;
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* What waits to be written, taken over. */
static uint8_t *outgoing(struct ls_vpp_shared *s, size_t *n)
{
	uint8_t *frames;

	pthread_mutex_lock(&s->lock);
	frames = s->out.bytes;
	*n = s->out.used;
	s->out = (struct ls_vpp_outbox){ 0 };
	pthread_mutex_unlock(&s->lock);
	return frames;
}

/* Until it is kicked, VPP ends, or WATCH_MS. */
static void rest(struct ls_vpp_shared *s)
{
	struct pollfd fds[2] = { { s->kick, POLLIN, 0 }, { s->pidfd, POLLIN, 0 } };
	uint64_t kicks;
	char why[96];
	int n = poll(fds, s->pidfd >= 0 ? 2 : 1, WATCH_MS);

	if (n > 0 && fds[0].revents && read(s->kick, &kicks, sizeof(kicks)) < 0)
		errno = 0;
	if (n > 0 && s->pidfd >= 0 && fds[1].revents) {
		snprintf(why, sizeof(why), "VPP, process %d, has ended", s->pid);
		close(s->pidfd);
		s->pidfd = -1;
		remember_dead(s);
		end(s, ECONNRESET, why);
	} else if (n == 0 && !ls_vpp_segment_stands(&s->segment))
		end(s, ECONNRESET, "VPP has ended or was started anew: its segment is another");
}

/* Until it is closed. */
static void serve(struct ls_vpp_shared *s)
{
	uint8_t *frames = NULL;
	size_t at = 0, n = 0;
	bool over;

	while (!closing(s, &over)) {
		if (at == n) {
			free(frames);
			frames = outgoing(s, &n);
			at = 0;
		}
		at = over ? n : write_some(s, frames, at, n);
		if (over || n == 0 || at < n)
			rest(s);
	}
	free(frames);
}

/* VPP has seen us when it answers a ping. */
static void greet(struct ls_vpp_shared *s)
{
	uint64_t until = now_ms() + ANSWER_MS;
	bool over = false, answered = false;

	s->ping_id = s->vac->vac_get_msg_index((char *)PING);
	s->pong_id = s->vac->vac_get_msg_index((char *)PONG);
	if (s->ping_id < 0 || s->pong_id < 0) {
		end(s, EPROTO, "what is connected does not have control_ping: it is not the API of VPP, or libvppapiclient is of another release");
		return;
	}
	pthread_mutex_lock(&gate.lock);
	pthread_mutex_lock(&s->lock);
	gate.to = s->closing ? NULL : s;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&gate.lock);
	if (write_ping(s) != 0) {
		end(s, EIO, "vac_write failed for the first message");
		return;
	}
	while (!answered && !over && now_ms() < until && !closing(s, &over)) {
		pthread_mutex_lock(&s->lock);
		answered = s->acked == s->written;
		pthread_mutex_unlock(&s->lock);
		if (!answered)
			rest(s);
	}
	if (!answered) {
		end(s, ETIMEDOUT, "VPP took the connection and does not answer");
		return;
	}
	watch(s);
	pthread_mutex_lock(&s->lock);
	s->greeted = true;
	if (!s->closing && !s->over)
		s->in.ready(s->in.arg);
	pthread_mutex_unlock(&s->lock);
}

/* The library is ours when it is true. */
static bool wait_for_predecessor(struct ls_vpp_shared *s)
{
	struct timespec until = after(CLOCK_REALTIME, PREDECESSOR_MS);
	bool mine;

	pthread_mutex_lock(&the.lock);
	while (the.busy && pthread_cond_timedwait(&the.freed, &the.lock, &until) == 0)
		;
	mine = !the.busy;
	the.busy |= mine;
	if (mine && !the.prepared) {
		s->vac->vac_mem_init(HEAP_BYTES);
		s->vac->vac_set_error_handler(on_warning);
		the.prepared = true;
	}
	pthread_mutex_unlock(&the.lock);
	return mine;
}

static void leave_library(void)
{
	pthread_mutex_lock(&the.lock);
	the.busy = false;
	pthread_cond_broadcast(&the.freed);
	pthread_mutex_unlock(&the.lock);
}

/* A process that ends within the library can leave a lock of VPP's memory behind, and one that does not disconnect its registration. */
static void at_exit(void)
{
	struct timespec until = after(CLOCK_REALTIME, LEAVE_MS);
	struct ls_vpp_shared *s;

	pthread_mutex_lock(&the.lock);
	s = the.owner;
	pthread_mutex_unlock(&the.lock);
	if (s)
		ls_vpp_shared_close(s);
	pthread_mutex_lock(&the.lock);
	while (the.busy && pthread_cond_timedwait(&the.freed, &the.lock, &until) == 0)
		;
	pthread_mutex_unlock(&the.lock);
}

static bool connect_library(struct ls_vpp_shared *s)
{
	char why[LS_VPP_WHY];
	int failed;

	pthread_mutex_lock(&gate.lock);
	gate.warning[0] = '\0';
	pthread_mutex_unlock(&gate.lock);
	failed = s->vac->vac_connect(s->name, s->prefixed ? the.prefix : NULL, on_message, s->rx_queue);
	atexit(at_exit); /* Node.js runs no hooks of ours on process.exit(). Each time, as the library does, whose handlers must be called after ours. */
	if (failed == 0)
		return true;
	pthread_mutex_lock(&gate.lock);
	snprintf(why, sizeof(why), "vac_connect failed: %d%s%.400s", failed, gate.warning[0] != '\0' ? ", " : "", gate.warning);
	pthread_mutex_unlock(&gate.lock);
	pthread_mutex_lock(&the.lock);
	the.tries = ls_vpp_same_file(the.failed, s->segment.file) ? the.tries + 1 : 1;
	the.failed = s->segment.file;
	pthread_mutex_unlock(&the.lock);
	end(s, ECONNREFUSED, why);
	return false;
}

static void release(struct ls_vpp_shared *s)
{
	if (s->pidfd >= 0)
		close(s->pidfd);
	close(s->kick);
	pthread_mutex_destroy(&s->lock);
	ls_vpp_inbox_free(&s->in);
	free(s->out.bytes);
	free(s);
}

static void *keep(void *arg)
{
	struct ls_vpp_shared *s = arg;
	bool mine = wait_for_predecessor(s), over, connected = false;

	if (!mine)
		end(s, EBUSY, "libvppapiclient is still giving up the connection before this one; if that does not end, VPP died with a lock of its memory, and this process must be restarted");
	else if (!closing(s, &over))
		connected = connect_library(s);
	if (connected)
		greet(s);
	serve(s);
	close_gate(s);
	if (connected)
		s->vac->vac_disconnect();
	if (mine)
		leave_library();
	release(s);
	return NULL;
}

/* ---- the caller's */

static bool fits(const char *text, size_t most)
{
	return text[0] != '\0' && strlen(text) <= most && !strchr(text, '/');
}

/* Under the lock of `the`. */
static enum ls_status check(const struct ls_vpp_shared_options *o, struct ls_vpp_shared *s, char why[LS_VPP_WHY])
{
	enum ls_status status;

	if ((o->prefix && !fits(o->prefix, LS_VPP_SHARED_PREFIX_MAX)) || strlen(o->name) > LS_VPP_SHARED_NAME_MAX || o->rx_queue < 1) {
		snprintf(why, LS_VPP_WHY, "a prefix of 1 to %d bytes without /, a name of at most %d bytes and a queue are expected", LS_VPP_SHARED_PREFIX_MAX, LS_VPP_SHARED_NAME_MAX);
		return LS_E_INVALID;
	}
	if (the.owner) {
		snprintf(why, LS_VPP_WHY, "this process has a connection through shared memory already: libvppapiclient keeps one");
		return LS_E_BUSY;
	}
	if (the.prefix_known && strcmp(the.prefix, o->prefix ? o->prefix : "") != 0) {
		snprintf(why, LS_VPP_WHY, "this process has used the prefix \"%s\": libvppapiclient does not forget it", the.prefix);
		return LS_E_BUSY;
	}
	status = ls_vpp_library_load(o->library, &s->vac, why);
	if (status == LS_OK)
		status = ls_vpp_segment_find(o->prefix, &s->segment, why);
	if (status != LS_OK)
		return status;
	if (ls_vpp_same_file(s->segment.file, the.dead)) {
		snprintf(why, LS_VPP_WHY, "%s is of a VPP that has ended", s->segment.path);
		return LS_E_SYSTEM;
	}
	if (ls_vpp_same_file(s->segment.file, the.failed) && the.tries >= FAILED_MAX) {
		snprintf(why, LS_VPP_WHY, "%s: VPP did not answer %u connections: no more are tried until it is started anew", s->segment.path, the.tries);
		return LS_E_SYSTEM;
	}
	return LS_OK;
}

static int start(struct ls_vpp_shared *s)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int failed;

	/* Threads of the library are made by ours, and none of them is to take signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &attr, keep, s);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return failed;
}

enum ls_status ls_vpp_shared_open(const struct ls_vpp_shared_options *o, void (*ready)(void *), void *arg, struct ls_vpp_shared **out, char why[LS_VPP_WHY])
{
	struct ls_vpp_shared *s = calloc(1, sizeof(*s));
	enum ls_status status = s ? LS_OK : LS_E_NOMEM;
	int failed;

	why[0] = '\0';
	if (!s)
		return status;
	ls_vpp_inbox_init(&s->in, ready, arg);
	pthread_mutex_init(&s->lock, NULL);
	s->pidfd = -1;
	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_lock(&the.lock);
	status = s->kick < 0 ? LS_E_SYSTEM : check(o, s, why);
	if (status == LS_OK) {
		if (!the.prefix_known)
			snprintf(the.prefix, sizeof(the.prefix), "%s", o->prefix ? o->prefix : "");
		the.prefix_known = true;
		s->prefixed = o->prefix != NULL;
		s->rx_queue = o->rx_queue;
		snprintf(s->name, sizeof(s->name), "%s", o->name);
		failed = start(s);
		if (failed != 0) {
			status = LS_E_SYSTEM;
			snprintf(why, LS_VPP_WHY, "a thread: %s", strerror(failed));
		} else
			the.owner = s;
	}
	pthread_mutex_unlock(&the.lock);
	if (status != LS_OK) {
		release(s);
		return status;
	}
	*out = s;
	return LS_OK;
}

struct ls_vpp_inbox *ls_vpp_shared_inbox(struct ls_vpp_shared *s) { return &s->in; }

bool ls_vpp_shared_greeted(struct ls_vpp_shared *s, uint32_t *index)
{
	bool greeted;

	pthread_mutex_lock(&s->lock);
	greeted = s->greeted;
	*index = s->index;
	pthread_mutex_unlock(&s->lock);
	return greeted;
}

int ls_vpp_shared_lookup(struct ls_vpp_shared *s, const char *name_crc)
{
	uint32_t index;

	/* The table stays until the thread disconnects, which is after we close. */
	return ls_vpp_shared_greeted(s, &index) ? s->vac->vac_get_msg_index((char *)name_crc) : -1;
}

static int check_frames(const uint8_t *frames, size_t n)
{
	for (size_t at = 0; at < n;) {
		uint32_t bytes = n - at < LS_VPP_HEADER ? 0 : be32(frames + at + LS_VPP_LENGTH_AT);

		if (bytes > LS_VPP_SHARED_MESSAGE_MAX)
			return EMSGSIZE;
		if (bytes < 6 || n - at < LS_VPP_HEADER + (size_t)bytes)
			return EINVAL; /* the library writes an index at 2 */
		at += LS_VPP_HEADER + bytes;
	}
	return 0;
}

int ls_vpp_shared_send(struct ls_vpp_shared *s, const uint8_t *frames, size_t n)
{
	int failed = check_frames(frames, n);

	if (failed != 0)
		return failed;
	pthread_mutex_lock(&s->lock);
	failed = s->over ? EPIPE : !s->greeted ? EAGAIN : ls_vpp_outbox_put(&s->out, frames, n);
	pthread_mutex_unlock(&s->lock);
	if (failed == 0)
		kick(s);
	return failed;
}

void ls_vpp_shared_why(struct ls_vpp_shared *s, char why[LS_VPP_WHY])
{
	pthread_mutex_lock(&s->lock);
	memcpy(why, s->why, LS_VPP_WHY);
	pthread_mutex_unlock(&s->lock);
}

void ls_vpp_shared_close(struct ls_vpp_shared *s)
{
	pthread_mutex_lock(&the.lock);
	the.owner = NULL;
	pthread_mutex_unlock(&the.lock);
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	kick(s);
	pthread_mutex_unlock(&s->lock);
	/* From here on `s` is the thread's, which may have freed it; a message on its way is through, and none follows. */
	close_gate(s);
}
