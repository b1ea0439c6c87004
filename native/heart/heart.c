/* The heart: sends heartbeats, hears the peer's, and keeps the leases of what its agent said it owns (R23). The agent may die and come back; what it said last holds
 * meanwhile; a lease is let go of when a peer owns the group in a newer epoch, or asks for it.
 *
 * A second thread, on other CPUs, does what the first is late with: a kernel that does not preempt itself lets no thread run on a CPU, whatever its priority, while a
 * neighbour's call there goes on (300 ms were seen while rings of AF_PACKET were made). Everything below but ls_heart_start, ls_heart_stop and the waiting is done under
 * the lock.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "heart/api.h"
#include "heart/datagram.h"
#include "heart/path.h"
#include "table/table.h"

#define MS 1000000ULL
#define TELL_NS (1000 * MS)
#define HEAR_MAX 64 /* datagrams of a path in one round: a flood keeps no lease from being renewed */

enum { POLL_STOP, POLL_LISTENER, POLL_AGENT, POLL_PATHS };
#define POLLS (POLL_PATHS + LS_HEART_PATHS_MAX)

struct ls_heart {
	struct ls_heart_words words;
	pthread_t thread, spare;
	bool has_spare;
	pthread_mutex_t lock; /* of everything below but stop and listener */
	int stop, listener, agent; /* agent -1: away */
	u8 boot[16];
	u64 seq, next_ns;
	u64 awake_ns;      /* listens without a pause since then */
	bool set_up, said; /* an agent has said how, what */
	bool speak;        /* a heartbeat is due before its time */
	bool stamped;      /* every other stamp goes with a heartbeat */
	bool asked;        /* the agent waits for an answer */
	u64 turn;
	u32 dropped;       /* groups whose lease ended or was given up, until a word says another role or epoch */
	struct ls_heart_setup setup;
	struct hmac_sha256_ctx key;
	struct ls_heart_word word;
	u8 body[LS_HEART_BODY_MAX];
	u32 body_bytes;
	struct ls_path path[LS_HEART_PATHS_MAX];
	u64 refused[LS_HEART_FAULTS], told_ns;
	u8 in[LS_HEART_FRAME_MAX];
	u32 in_bytes;
};

/* --- to the agent ------------------------------------------------------------------------------------------------------------------ */

static void agent_gone(struct ls_heart *h)
{
	if (h->agent >= 0) {
		shutdown(h->agent, SHUT_RDWR); /* while somebody polls it, closing it alone ends nothing */
		close(h->agent);
	}
	h->agent = -1;
	h->asked = false;
	h->in_bytes = 0;
	h->speak = true;
}

/* An agent that does not read is as good as away: nothing waits for it, and it gets whole frames or none. */
static void tell(struct ls_heart *h, u32 kind, const void *what, size_t bytes, const void *more, size_t more_bytes)
{
	struct ls_heart_frame frame = { .bytes = (u32)(sizeof(frame) + bytes + more_bytes), .kind = kind };
	struct iovec parts[3] = { { &frame, sizeof(frame) }, { (void *)what, bytes }, { (void *)more, more_bytes } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	if (h->agent >= 0 && sendmsg(h->agent, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)frame.bytes)
		agent_gone(h);
}

__attribute__((format(printf, 2, 3))) static void problem(struct ls_heart *h, const char *format, ...)
{
	char text[LS_HEART_PROBLEM_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell(h, LS_HEART_PROBLEM, text, strlen(text), NULL, 0);
}

static void report_refused(struct ls_heart *h, u64 now)
{
	char text[LS_HEART_PROBLEM_MAX - 64];
	u64 total = 0;
	int at = 0;

	if (now < h->told_ns + TELL_NS)
		return;
	for (u32 i = 1; i < LS_HEART_FAULTS; i++) {
		if (h->refused[i])
			at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%s %llu", total ? ", " : "", ls_heart_fault_text[i], (unsigned long long)h->refused[i]);
		total += h->refused[i];
	}
	if (!total)
		return;
	memset(h->refused, 0, sizeof(h->refused));
	h->told_ns = now;
	problem(h, "%llu datagrams were refused: %s", (unsigned long long)total, text);
}

/* --- leases ------------------------------------------------------------------------------------------------------------------------ */

static bool claims(u32 role) { return role == LS_ROLE_OWNER || role == LS_ROLE_YIELD; }
static bool forwards(u32 role) { return claims(role) || role == LS_ROLE_TAKE; }

/* Groups that the agent's word has us keep a lease for. */
static u32 held(const struct ls_heart *h)
{
	u32 groups = 0;

	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (h->set_up && h->said && forwards(h->word.role[g]) && !(h->dropped >> g & 1))
			groups |= 1u << g;
	return groups;
}

/* Of those, the ones that an agent that comes back goes on owning. In the middle of a move it has forgotten what it gave away. */
static u32 owned(const struct ls_heart *h)
{
	u32 groups = held(h);

	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (h->word.role[g] != LS_ROLE_OWNER)
			groups &= ~(1u << g);
	return groups;
}

static void stamp(struct ls_heart *h, u64 now)
{
	struct ls_heart_lapsed lapsed = { 0 };
	u32 groups = held(h);
	bool lives = groups && ls_heart_lives(&h->words, now);

	for (u32 g = 0; g < LS_RGS_MAX; g++) {
		struct ls_rg *r = &h->words.rgs[g];
		u64 deadline;

		/* between the agent's word and its hand on the table there is a moment: only where both agree */
		if (!(groups >> g & 1) || LS_LOAD_ACQ(&r->role) != h->word.role[g] || LS_LOAD(&r->epoch) != h->word.epoch[g])
			continue;
		deadline = LS_LOAD(&r->lease_deadline_ns);
		if (deadline <= now)
			lapsed.groups |= 1u << g;
		else if (lives) /* what the agent writes meanwhile stays */
			__atomic_compare_exchange_n(&r->lease_deadline_ns, &deadline, now + h->setup.lease_ns, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	if (!lapsed.groups)
		return;
	h->dropped |= lapsed.groups;
	h->speak = true;
	tell(h, LS_HEART_LAPSED, &lapsed, sizeof(lapsed), NULL, 0);
}

static void drop(struct ls_heart *h, u32 groups)
{
	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (groups >> g & 1) {
			LS_STORE(&h->words.rgs[g].lease_deadline_ns, 0);
			LS_STORE_REL(&h->words.rgs[g].role, LS_ROLE_STANDBY);
		}
	h->dropped |= groups;
	h->speak |= groups != 0;
}

/* While there is nobody to decide, the newer epoch wins, and a peer that asks for what we own, and knows the epoch, has waited long enough for our agent. */
static void yield_to(struct ls_heart *h, const struct ls_heartbeat *peer)
{
	u32 groups = held(h), lost = 0;

	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (groups >> g & 1 && (claims(peer->role[g]) ? peer->epoch[g] > h->word.epoch[g] : peer->asks >> g & 1 && peer->epoch[g] >= h->word.epoch[g]))
			lost |= 1u << g;
	drop(h, lost);
}

/* --- the peer ---------------------------------------------------------------------------------------------------------------------- */

static void beat(struct ls_heart *h, u64 now)
{
	u8 d[LS_HEART_DATAGRAM_MAX];
	struct ls_heartbeat head = { .magic = LS_HEART_MAGIC, .version = LS_HEART_VERSION, .flags = (u8)(h->word.flags & ~(u32)LS_HEART_AWAY), .node = (u8)h->setup.node,
		.body = (u16)h->body_bytes, .dropped = (u16)h->dropped, .restart_hold_ms = h->word.restart_hold_ms, .asks = h->word.asks, .seq = ++h->seq };
	char error[LS_PATH_ERROR_BYTES];

	h->speak = false;
	if (h->agent < 0)
		head.flags |= LS_HEART_AWAY;
	memcpy(head.boot, h->boot, sizeof(head.boot));
	for (u32 g = 0; g < LS_RGS_MAX; g++) {
		head.role[g] = h->dropped >> g & 1 ? LS_ROLE_HOLD : h->word.role[g];
		head.epoch[g] = h->word.epoch[g];
	}
	memcpy(d + sizeof(head), h->body, h->body_bytes);
	for (u32 i = 0; i < h->setup.paths; i++) {
		head.path = (u8)i;
		memcpy(d, &head, sizeof(head));
		if (!ls_path_send(&h->path[i], i, d, ls_heartbeat_seal(&h->key, d), now, error))
			problem(h, "%s", error);
	}
}

static void hear_path(struct ls_heart *h, u32 index)
{
	u8 d[LS_HEART_DATAGRAM_MAX + 1];
	size_t bytes;

	for (u32 n = 0; n < HEAR_MAX && (bytes = ls_path_receive(&h->path[index], d, sizeof(d))) > 0; n++) {
		struct ls_heart_heard heard = { .at_ns = ls_clock_ns(), .path = index };
		enum ls_heart_fault fault = ls_heartbeat_open(&h->key, h->setup.node, d, bytes, &heard.head);

		if (fault != LS_HEART_SOUND) {
			h->refused[fault]++;
			continue;
		}
		if (h->agent < 0)
			yield_to(h, &heard.head);
		else
			tell(h, LS_HEART_HEARD, &heard, sizeof(heard), d + sizeof(heard.head), heard.head.body);
	}
}

static void spare_start(struct ls_heart *h);

/* --- from the agent ---------------------------------------------------------------------------------------------------------------- */

static const char *setup_fault(const struct ls_heart_setup *s)
{
	u64 interval_ns = s->interval_ms * MS;

	if (s->node > 255)
		return "node index";
	if (s->interval_ms < LS_HEART_INTERVAL_MS_MIN || s->interval_ms > LS_HEART_INTERVAL_MS_MAX)
		return "interval";
	if (s->count < 2 || s->count > LS_HEART_COUNT_MAX)
		return "count";
	if (!s->lease_ns || s->lease_ns >= interval_ns * (s->count - 1))
		return "lease";
	return s->paths > LS_HEART_PATHS_MAX ? "number of paths" : NULL;
}

static const char *set_up(struct ls_heart *h, const u8 *at, size_t bytes)
{
	struct ls_heart_setup s;
	const char *fault;

	if (bytes != sizeof(s))
		return "setup of another length";
	memcpy(&s, at, sizeof(s));
	fault = setup_fault(&s);
	if (fault || (h->set_up && memcmp(&s, &h->setup, sizeof(s)) == 0))
		return fault;
	hmac_sha256_set_key(&h->key, LS_HEART_KEY_BYTES, s.key);
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++) {
		ls_path_close(&h->path[i]);
		h->path[i] = (struct ls_path){ .at = s.path[i], .fd = -1 };
	}
	h->setup = s;
	h->speak = true;
	h->next_ns = h->awake_ns = ls_clock_ns();
	if (!h->set_up)
		spare_start(h);
	h->set_up = true;
	return NULL;
}

static const char *take_word(struct ls_heart *h, const u8 *at, size_t bytes)
{
	struct ls_heart_word w;

	if (bytes < sizeof(w) || bytes > sizeof(w) + LS_HEART_BODY_MAX)
		return "word of another length";
	memcpy(&w, at, sizeof(w));
	for (u32 g = 0; g < LS_RGS_MAX; g++) {
		if (w.role[g] > LS_ROLE_TAKE)
			return "role";
		if (w.role[g] != h->word.role[g] || w.epoch[g] != h->word.epoch[g])
			h->dropped &= ~(1u << g);
	}
	/* what a peer decides by goes at once */
	h->speak |= !h->said || memcmp(&w, &h->word, sizeof(w)) != 0;
	h->said = true;
	h->word = w;
	h->body_bytes = (u32)(bytes - sizeof(w));
	memcpy(h->body, at + sizeof(w), h->body_bytes);
	return NULL;
}

static const char *take_question(struct ls_heart *h, const u8 *at, size_t bytes)
{
	struct ls_heart_ask ask;

	if (bytes != sizeof(ask))
		return "question of another length";
	memcpy(&ask, at, sizeof(ask));
	h->turn = ask.turn;
	h->asked = true;
	return NULL;
}

static const char *take_frame(struct ls_heart *h, u32 kind, const u8 *at, size_t bytes)
{
	switch (kind) {
	case LS_HEART_SETUP: return set_up(h, at, bytes);
	case LS_HEART_WORD: return take_word(h, at, bytes);
	case LS_HEART_RESIGN: return drop(h, held(h)), NULL;
	case LS_HEART_ASK: return take_question(h, at, bytes);
	default: return "kind of frame";
	}
}

static void hear_agent(struct ls_heart *h)
{
	ssize_t n = recv(h->agent, h->in + h->in_bytes, sizeof(h->in) - h->in_bytes, MSG_DONTWAIT);
	u32 at = 0;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			agent_gone(h);
		return;
	}
	h->in_bytes += (u32)n;
	while (h->in_bytes - at >= sizeof(struct ls_heart_frame)) {
		struct ls_heart_frame f;
		const char *fault;

		memcpy(&f, h->in + at, sizeof(f));
		if (f.bytes >= sizeof(f) && f.bytes <= sizeof(h->in) && f.bytes > h->in_bytes - at)
			break; /* the rest is on its way */
		fault = f.bytes < sizeof(f) || f.bytes > sizeof(h->in) ? "length of a frame" : take_frame(h, f.kind, h->in + at + sizeof(f), f.bytes - sizeof(f));
		if (fault) {
			problem(h, "what the agent says is not of version %u of the heart: %s; the connection is closed", LS_HEART_VERSION, fault);
			agent_gone(h);
			return;
		}
		at += f.bytes;
	}
	h->in_bytes -= at;
	memmove(h->in, h->in + at, h->in_bytes);
}

static void welcome(struct ls_heart *h)
{
	struct ls_heart_hello hello = { .pid = (u32)getpid(), .resumed = h->set_up && h->said, .held = owned(h) };
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	/* an abstract socket has no owner: only our own user may be the agent */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != geteuid()) {
		close(fd);
		return;
	}
	agent_gone(h); /* the newer one has a reason to come */
	h->agent = fd;
	memcpy(hello.boot, h->boot, sizeof(hello.boot));
	for (u32 g = 0; g < LS_RGS_MAX; g++)
		hello.epoch[g] = hello.held >> g & 1 ? h->word.epoch[g] : 0;
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++)
		h->path[i].told = 0;
	tell(h, LS_HEART_HELLO, &hello, sizeof(hello), NULL, 0);
}

/* When the paths were read: what waited in them comes first. */
static void answer(struct ls_heart *h)
{
	struct ls_heart_answer answer = { .turn = h->turn, .awake_ns = h->awake_ns };

	h->asked = false;
	tell(h, LS_HEART_ANSWER, &answer, sizeof(answer), NULL, 0);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------------- */

/* Before other work of the host, if we may. */
static void prefer(void)
{
	struct sched_param first = { .sched_priority = 10 };

	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &first) != 0)
		setpriority(PRIO_PROCESS, 0, -10); /* of this thread alone: Linux */
}

/* Absolute deadlines: being late once makes nothing later but this once. */
static void tick(struct ls_heart *h, u64 now)
{
	u64 half = h->setup.interval_ms * MS / 2;

	if (now > h->next_ns + half * h->setup.count)
		h->awake_ns = now;
	stamp(h, now);
	h->stamped = !h->stamped;
	h->speak |= h->stamped;
	h->next_ns += half;
	if (h->next_ns <= now)
		h->next_ns = now + half;
	report_refused(h, now);
}

static void all_polls(const struct ls_heart *h, struct pollfd f[POLLS])
{
	f[POLL_STOP] = (struct pollfd){ .fd = h->stop, .events = POLLIN };
	f[POLL_LISTENER] = (struct pollfd){ .fd = h->listener, .events = POLLIN };
	f[POLL_AGENT] = (struct pollfd){ .fd = h->agent, .events = POLLIN };
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++)
		f[POLL_PATHS + i] = (struct pollfd){ .fd = h->path[i].fd, .events = POLLIN };
}

/* What came may have been taken by the other one meanwhile, and its descriptor may be another's: nothing here waits. */
static void take_turn(struct ls_heart *h, const struct pollfd f[POLLS])
{
	u64 now = ls_clock_ns();

	if (h->set_up && now >= h->next_ns) /* first: nothing else may take the time of a lease */
		tick(h, now);
	if (f[POLL_AGENT].revents && f[POLL_AGENT].fd == h->agent)
		hear_agent(h);
	if (f[POLL_LISTENER].revents)
		welcome(h);
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++)
		if (f[POLL_PATHS + i].revents && f[POLL_PATHS + i].fd == h->path[i].fd)
			hear_path(h, i);
	if (h->asked)
		answer(h);
	if (h->speak && h->set_up && h->said)
		beat(h, ls_clock_ns());
}

/* `late_ns` behind what is due next. NULL: until something comes. */
static const struct timespec *until_due(const struct ls_heart *h, u64 late_ns, struct timespec *t)
{
	u64 now = ls_clock_ns(), at = h->next_ns + late_ns, ns = at > now ? at - now : 0;

	*t = (struct timespec){ (time_t)(ns / (1000 * MS)), (long)(ns % (1000 * MS)) };
	return h->set_up ? t : NULL;
}

static void *heart_main(void *arg)
{
	struct ls_heart *h = arg;

	pthread_setname_np(pthread_self(), "ls-heart");
	prefer();
	for (;;) {
		struct pollfd f[POLLS];
		const struct timespec *wait;
		struct timespec t;
		int n;

		pthread_mutex_lock(&h->lock);
		all_polls(h, f);
		wait = until_due(h, 0, &t);
		pthread_mutex_unlock(&h->lock);
		n = ppoll(f, POLLS, wait, NULL);
		if (n >= 0 && f[POLL_STOP].revents)
			return NULL;
		if (n < 0)
			continue;
		pthread_mutex_lock(&h->lock);
		take_turn(h, f);
		pthread_mutex_unlock(&h->lock);
	}
}

/* Holds on to no descriptor while it waits. */
static void *spare_main(void *arg)
{
	struct ls_heart *h = arg;

	pthread_setname_np(pthread_self(), "ls-heart-spare");
	prefer();
	for (;;) {
		struct pollfd stop = { .fd = h->stop, .events = POLLIN }, f[POLLS];
		struct timespec t;
		u64 late_ns;

		pthread_mutex_lock(&h->lock);
		late_ns = h->setup.interval_ms * MS / 4;
		until_due(h, late_ns, &t);
		pthread_mutex_unlock(&h->lock);
		if (ppoll(&stop, 1, &t, NULL) > 0)
			return NULL;
		pthread_mutex_lock(&h->lock);
		if (ls_clock_ns() >= h->next_ns + late_ns) {
			all_polls(h, f);
			if (poll(f, POLLS, 0) >= 0)
				take_turn(h, f);
		}
		pthread_mutex_unlock(&h->lock);
	}
}

/* Every second CPU of those that this process may use, from the `index`th on; NULL: there is one. */
static const cpu_set_t *half_of_cpus(u32 index, cpu_set_t *out)
{
	cpu_set_t may;
	u32 seen = 0;

	CPU_ZERO(out);
	if (sched_getaffinity(getpid(), sizeof(may), &may) != 0)
		return NULL;
	for (u32 cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &may) && seen++ % 2 == index)
			CPU_SET(cpu, out);
	return seen < 2 ? NULL : out;
}

/* On the heart's thread, when there is something to be late with. Without it the heart goes on as well as one CPU lets it. */
static void spare_start(struct ls_heart *h)
{
	cpu_set_t first, second;

	if (!half_of_cpus(0, &first) || !half_of_cpus(1, &second) || pthread_create(&h->spare, NULL, spare_main, h) != 0)
		return;
	h->has_spare = true;
	pthread_setaffinity_np(h->thread, sizeof(first), &first);
	pthread_setaffinity_np(h->spare, sizeof(second), &second);
}

static int listen_as(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, LS_HEART_SOCKET "%s", name), failed;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0 && listen(fd, 4) == 0)
		return fd;
	failed = errno;
	if (fd >= 0)
		close(fd);
	errno = failed;
	return -1;
}

static void heart_free(struct ls_heart *h)
{
	int fds[] = { h->stop, h->listener, h->agent };

	for (u32 i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++)
		ls_path_close(&h->path[i]);
	pthread_mutex_destroy(&h->lock);
	explicit_bzero(h, sizeof(*h)); /* the key */
	free(h);
}

enum ls_status ls_heart_start(const char *name, const struct ls_heart_words *words, struct ls_heart **out, int *err_no)
{
	struct ls_heart *h;
	sigset_t all, before;
	int failed;

	*err_no = 0;
	if (strlen(name) > LS_HEART_NAME_MAX)
		return LS_E_INVALID;
	h = calloc(1, sizeof(*h));
	if (!h)
		return LS_E_NOMEM;
	pthread_mutex_init(&h->lock, NULL); /* no inheritance: that hands the lock to whoever waits, who may be the one without a CPU */
	h->words = *words;
	h->agent = h->listener = h->stop = -1;
	for (u32 i = 0; i < LS_HEART_PATHS_MAX; i++)
		h->path[i].fd = -1;
	h->stop = eventfd(0, EFD_CLOEXEC);
	h->listener = listen_as(name);
	if (h->stop < 0 || h->listener < 0 || getrandom(h->boot, sizeof(h->boot), 0) != sizeof(h->boot)) {
		*err_no = errno;
		heart_free(h);
		return *err_no == EADDRINUSE ? LS_E_BUSY : LS_E_SYSTEM;
	}
	sigfillset(&all); /* signals are for the threads that wait for them */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&h->thread, NULL, heart_main, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		*err_no = failed;
		heart_free(h);
		return LS_E_NOMEM;
	}
	*out = h;
	return LS_OK;
}

void ls_heart_stop(struct ls_heart *h)
{
	u64 one = 1;

	if (!h)
		return;
	while (write(h->stop, &one, sizeof(one)) != sizeof(one))
		;
	pthread_join(h->thread, NULL);
	if (h->has_spare)
		pthread_join(h->spare, NULL);
	heart_free(h);
}
