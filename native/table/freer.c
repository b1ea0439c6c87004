/* The single freer (R3-R5): chooses expired sessions, frees batches in four phases, refills the workers' rings. A thread of the process that holds
 * the table; its work in progress lies in shared memory, so that a successor can finish it.
 *
 *   CHOSEN   LIVE -> DYING                         then a grace
 *   GRACED   last_seen re-read: still expired (or by order): DYING -> DEAD, else back to LIVE; the deletion is told; entries cleared; gen even
 *   CLEARED                                        then a grace
 *   LISTING  the slots are FREE, in the agent's list, and go from there to the rings
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/create_user.h"
#include "table/table.h"

#define TICK_NS 10000000ULL         /* one slice of the expiry pass */

bool ls_process_gone(u32 pid)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0), .events = POLLIN };
	bool gone = ended.fd < 0 ? errno == ESRCH : poll(&ended, 1, 0) > 0;

	if (ended.fd >= 0)
		close(ended.fd);
	return gone;
}

/* A worker of another process, which ended. */
static bool dead(const struct ls_worker *k)
{
	u64 pid = LS_LOAD(&k->attached);

	return pid > 1 && ls_process_gone((u32)pid);
}

/* Ends the child of ours that has this worker. Only of a child nobody else takes the id, as nobody else waits for it: another's may be of somebody new by now. */
static void silence(struct ls_table *t, const struct ls_worker *k)
{
	u64 pid = LS_LOAD(&k->attached);
	siginfo_t info;
	int fd = pid > 1 && pid != (u64)getpid() ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;

	if (fd < 0)
		return;
	if (waitid((idtype_t)3 /* P_PIDFD, Linux 5.4 */, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
		t->silenced = (u32)pid;
	close(fd);
}

/* Every attached worker was seen outside a burst, or in another burst than at the start. The fence pairs with the one at the start of a burst:
 * what was stored before is seen by every burst that begins later. */
void ls_table_grace(struct ls_table *t)
{
	u64 began = ls_clock_ns();

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (u32 w = 0; w < t->env.header->workers; w++) {
		struct ls_worker *k = &t->env.workers[w];
		u64 start = LS_LOAD_ACQ(&k->quiescent), silent_ns = 0;

		for (u32 spins = 0; (start & 1) && LS_LOAD_ACQ(&k->attached) && LS_LOAD_ACQ(&k->quiescent) == start; spins++) {
			if (spins < 64)
				sched_yield();
			else
				usleep(50);
			if (spins % 256 != 255)
				continue;
			if (dead(k))
				break; /* in the middle of a burst that goes on no more */
			if (!silent_ns)
				silent_ns = ls_clock_ns();
			else if (ls_clock_ns() > silent_ns + t->silent_ms * 1000000ULL)
				silence(t, k);
		}
	}
	ls_programs_grace(t);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	t->grace_ns_total += ls_clock_ns() - began;
	t->graces++;
}

/* Watermarks with hysteresis (D12), by the share of the capacity that is taken. */
static void defend(struct ls_table *t, u64 taken)
{
	struct ls_defence *d = &t->env.header->defence;
	u64 used = taken * 100 / t->env.header->capacity, now = ls_clock_ns();
	u32 was = LS_LOAD(&d->pressure), is = was;

	if (used >= LS_MARK_COOKIES)
		is = LS_PRESSURE_COOKIES;
	else if (used >= LS_MARK_HALF_OPEN && was < LS_PRESSURE_HALF_OPEN)
		is = LS_PRESSURE_HALF_OPEN;
	else if (used < LS_MARK_RELIEF && now > LS_LOAD(&d->pressed_ns) + LS_PRESSURE_HOLD_MS * 1000000ULL)
		is = LS_PRESSURE_NONE;
	if (is == LS_PRESSURE_COOKIES && used >= LS_MARK_HALF_OPEN)
		LS_STORE(&d->pressed_ns, now);
	if (is == was)
		return;
	if (was == LS_PRESSURE_NONE)
		LS_STORE(&d->pressed_ns, now);
	LS_STORE(&d->pressure, is);
}

/* Tops every attached worker's ring up from the agent's list, of which the reserve stays: packets cannot take the room of a peer's installs (D12). */
u64 ls_table_refill(struct ls_table *t)
{
	u32 size = t->env.header->free_ring, reserve = LS_LOAD(&t->env.banks[LS_LOAD_ACQ(&t->env.header->active_bank) & 1].reserve);
	struct ls_env worker;
	u64 waiting = 0 /* in rings */, used_up;

	pthread_mutex_lock(&t->writer);
	for (u32 w = 0; w + 1 < t->env.header->workers; w++) {
		struct ls_worker *k = &t->env.workers[w];
		u64 head = LS_LOAD(&k->free_head), used = head - LS_LOAD_ACQ(&k->free_tail);

		waiting += used;
		if (!LS_LOAD(&k->attached) || used > size / 2)
			continue;
		waiting -= used;
		ls_env_worker(t, w, &worker);
		for (u32 n = 0; used < size && t->listed > reserve && n < LS_WRITER_BATCH; n++, used++)
			LS_STORE(port_free_slot(&worker, head++), (u64)t->list[--t->listed]);
		LS_STORE_REL(&k->free_head, head);
		waiting += used;
	}
	used_up = t->env.slots - t->listed - waiting;
	defend(t, used_up);
	pthread_mutex_unlock(&t->writer);
	return used_up;
}

void ls_table_host_flows(struct ls_table *t, bool on) { LS_STORE(&t->env.header->host_flows, on); }

/* The worker may run from here on: its ring is filled before anybody counts on it. */
void ls_worker_attach(struct ls_table *t, u32 worker)
{
	LS_STORE_REL(&t->env.workers[worker].attached, 1);
	ls_table_refill(t);
}

/* The worker has stopped between two bursts: what it held goes back to the agent's list. One that died is adopted from (adopt.c). */
void ls_worker_detach(struct ls_table *t, u32 worker)
{
	struct ls_worker *k = &t->env.workers[worker];
	struct ls_env e;

	pthread_mutex_lock(&t->writer);
	ls_env_worker(t, worker, &e);
	LS_STORE_REL(&k->attached, 0);
	LS_STORE_REL(&k->quiescent, (LS_LOAD(&k->quiescent) + 1) & ~1ULL);
	for (u64 tail = k->free_tail; tail != k->free_head; tail++)
		t->list[t->listed++] = (u32)*port_free_slot(&e, tail);
	k->free_tail = k->free_head;
	if (k->spare) /* undone: a worker that stops has finished its creations */
		t->list[t->listed++] = (u32)(k->spare - 1);
	k->spare = 0;
	pthread_mutex_unlock(&t->writer);
}

bool ls_worker_join(struct ls_table *t, u32 worker)
{
	struct ls_worker *k = &t->env.workers[worker];
	u64 was = LS_LOAD_ACQ(&k->attached);

	if (was == 1 || (was > 1 && !dead(k)))
		return false;
	return LS_CAS(&k->attached, was, (u64)getpid()) == was;
}

void ls_feed_push(struct ls_table *t, const struct ls_session *s, u32 slot, u32 kind, u32 reason)
{
	struct ls_feed *f = &t->feed;

	pthread_mutex_lock(&f->lock);
	if (f->record) {
		if (f->head - f->tail >= LS_FEED) {
			f->lost++;
		} else {
			struct ls_wire_record *r = &f->record[f->head % LS_FEED];

			ls_wire_pack(s, slot, kind, ls_clock_ns(), r);
			r->close_reason = (u8)reason;
			f->head++;
		}
	}
	pthread_mutex_unlock(&f->lock);
}

static const struct ls_config *config_now(const struct ls_table *t)
{
	return &t->env.banks[LS_LOAD_ACQ(&t->env.header->active_bank) & 1];
}

/* Nobody has answered yet: what goes first when room gets scarce (D12). */
static bool half_open(u32 phase)
{
	return phase == LS_TCP_SYN_SENT || phase == LS_TCP_SYN_RECV || phase == LS_UDP_NEW || phase == LS_OTHER_NEW || phase == LS_HALF_NEW || phase == LS_ICMP_ECHO;
}

static u64 deadline(const struct ls_table *t, const struct ls_config *c, const struct ls_session *s, u64 state)
{
	u64 seen = LS_LOAD(&s->last_seen_ns), timeout;
	u32 rg = LS_LOAD(&s->rg), phase = LS_STATE_PHASE(state);

	if (rg != LS_RG_NONE) {
		u64 floor = LS_LOAD(&t->env.rgs[rg & (LS_RGS_MAX - 1)].seen_floor_ns);

		if (floor > seen)
			seen = floor;
	}
	timeout = c->timeout_ns[LS_LOAD(&s->app) & (LS_APPS_MAX - 1)][phase & (LS_PHASES_MAX - 1)];
	if (timeout > LS_PRESSED_MS * 1000000ULL && LS_LOAD(&t->env.header->defence.pressure) && half_open(phase))
		timeout = LS_PRESSED_MS * 1000000ULL;
	return seen + timeout;
}

bool ls_session_private(const struct ls_session *s)
{
	u32 flags = LS_LOAD(&s->flags);

	return flags & (LS_SF_HOST | LS_SF_NO_SYNC) || (flags & LS_SF_LATE && !(LS_STATE_FLOW(LS_LOAD(&s->state)) & LS_FLOW_SHARED));
}

void ls_table_programmed(struct ls_table *t, bool lives, bool keeps)
{
	LS_STORE(&t->program_lives, (u32)lives);
	LS_STORE(&t->program_keeps, (u32)keeps);
}

/* The owner of a group alone ends its sessions: who stands by has not seen their packets (hazard 29). One that no peer knows of is nobody else's to end. */
static bool ours(const struct ls_table *t, const struct ls_session *s)
{
	u32 rg = LS_LOAD(&s->rg);

	if (LS_LOAD(&t->program_keeps) && LS_LOAD(&s->flags) & LS_SF_PROGRAM)
		return false;
	return rg >= LS_RGS_MAX || LS_LOAD(&t->env.rgs[rg].role) == LS_ROLE_OWNER || ls_session_private(s);
}

/* The time by which "expired" is judged: no worker's clock is further behind, so a burst that begins later agrees. Only that of programs is behind. */
static u64 judged_ns(const struct ls_table *t)
{
	bool programs = t->env.header->cpus && LS_LOAD(&t->env.workers[0].attached); /* all CPUs are attached together */

	return ls_clock_ns() - (programs ? LS_CLOCK_LAG_MS * 1000000ULL : 0);
}

/* GRACED for one slot: true when its entries are gone and it waits for the second grace. */
static bool finish_one(struct ls_table *t, u32 slot, u32 reason, u64 chosen_ns)
{
	struct ls_env *e = &t->env;
	struct ls_session *s = &e->sessions[slot], copy;
	u64 state = LS_LOAD_ACQ(&s->state), next;

	for (;;) {
		u64 found;

		if (LS_STATE_LIFECYCLE(state) == LS_DEAD)
			break; /* a successor meets what its predecessor left */
		if (LS_STATE_LIFECYCLE(state) != LS_DYING)
			return false; /* revived by a packet */
		if (!(LS_STATE_FLOW(state) & LS_FLOW_ADMIN) && (!ours(t, s) || deadline(t, config_now(t), s, state) >= chosen_ns))
			next = LS_STATE_SET_LIFECYCLE(LS_STATE_CLOSE(state) == LS_CLOSE_TIMEOUT ? LS_STATE_SET_CLOSE(state, LS_CLOSE_NONE) : state, LS_LIVE);
		else
			next = LS_STATE_SET_LIFECYCLE(state, LS_DEAD);
		found = LS_CAS(&s->state, state, next);
		if (found == state) {
			if (LS_STATE_LIFECYCLE(next) == LS_LIVE)
				return false;
			break;
		}
		state = found;
	}
	ls_words_load(&copy, s, sizeof(copy) / 8);
	if (copy.gen & 1)
		ls_feed_push(t, &copy, slot, LS_NOTICE_DELETE, reason);
	ls_index_clear(e, ls_hash_key(&e->header->hash, &copy.key, e->bucket_mask), LS_REF(slot, LS_FORWARD));
	ls_index_clear(e, ls_hash_key(&e->header->hash, &copy.reply, e->bucket_mask), LS_REF(slot, LS_REPLY));
	if (copy.gen & 1)
		LS_STORE_REL(&s->gen, copy.gen + 1);
	return true;
}

/* Runs a listed batch from CHOSEN to the end; how many slots were freed. Holds t->freer. `chosen_ns` was read before the grace: "still expired" is
 * judged at that time, so that every burst that begins later has a later clock and agrees (docs/design/0002, lesson 2). */
static u32 run_batch(struct ls_table *t, u64 chosen_ns)
{
	struct ls_freer_work *w = t->env.freer;
	u32 freed = 0;

	ls_table_grace(t);
	w->phase = LS_FREER_GRACED;
	pthread_mutex_lock(&t->writer);
	for (u32 i = 0; i < w->count; i++) {
		if (i + 4 < w->count)
			__builtin_prefetch(&t->env.sessions[w->slots[i + 4]], 1);
		if (finish_one(t, w->slots[i], w->reasons[i], chosen_ns)) {
			w->slots[freed] = w->slots[i];
			t->env.header->freed_by[w->reasons[i] & 15]++;
			freed++;
		}
	}
	w->count = freed;
	w->phase = LS_FREER_CLEARED;
	pthread_mutex_unlock(&t->writer);
	ls_table_grace(t);
	pthread_mutex_lock(&t->writer);
	w->phase = LS_FREER_LISTING;
	for (u32 i = 0; i < freed; i++) {
		LS_STORE_REL(&t->env.sessions[w->slots[i]].state, LS_STATE_MAKE(LS_FREE, 0, 0, 0, 0));
		t->list[t->listed++] = w->slots[i];
	}
	t->env.header->freed_total += freed;
	w->count = 0;
	w->phase = LS_FREER_IDLE;
	pthread_mutex_unlock(&t->writer);
	return freed;
}

/* `reasons` of each slot, or `reason` of all when it is NULL. */
static void free_slots(struct ls_table *t, const u32 *slots, const u32 *gens, const u8 *reasons, u32 reason, u32 n,
		       struct ls_delete_result *result)
{
	struct ls_freer_work *w = t->env.freer;

	memset(result, 0, sizeof(*result));
	for (u32 at = 0; at < n;) {
		u64 graces = t->grace_ns_total, chosen_ns = judged_ns(t);

		pthread_mutex_lock(&t->freer);
		w->count = 0;
		w->phase = LS_FREER_CHOSEN;
		for (; at < n && w->count < LS_FREER_BATCH; at++) {
			struct ls_session *s;
			u64 state;

			if (slots[at] >= t->env.slots)
				continue;
			if (reasons)
				reason = reasons[at];
			s = &t->env.sessions[slots[at]];
			state = LS_LOAD_ACQ(&s->state);
			/* the word carries the life, so it cannot be another's by the time of the CAS */
			while (LS_STATE_LIFECYCLE(state) == LS_LIVE && LS_STATE_LIFE(state) == LS_LIFE_OF(gens[at]) && LS_LOAD_ACQ(&s->gen) == gens[at]) {
				u64 next = LS_STATE_SET_CLOSE(LS_STATE_SET_LIFECYCLE(state, LS_DYING), reason) | LS_STATE_FLOW_BIT(LS_FLOW_ADMIN);
				u64 found = LS_CAS(&s->state, state, next);

				if (found == state) {
					w->slots[w->count] = slots[at];
					w->reasons[w->count++] = (u8)reason;
					break;
				}
				state = found;
			}
		}
		result->matched += w->count;
		if (w->count)
			result->deleted += run_batch(t, chosen_ns);
		else
			w->phase = LS_FREER_IDLE;
		pthread_mutex_unlock(&t->freer);
		result->grace_ns += t->grace_ns_total - graces;
	}
}

void ls_table_free_slots(struct ls_table *t, const u32 *slots, const u32 *gens, u32 n, u32 reason, struct ls_delete_result *result)
{
	free_slots(t, slots, gens, NULL, reason, n, result);
}

void ls_free_slots_by(struct ls_table *t, const u32 *slots, const u32 *gens, const u8 *reasons, u32 n, struct ls_delete_result *result)
{
	free_slots(t, slots, gens, reasons, 0, n, result);
}

void ls_freer_finish(struct ls_table *t, const u32 *slots, u32 n)
{
	struct ls_freer_work *w = t->env.freer;

	for (u32 at = 0; at < n;) {
		u64 chosen_ns = judged_ns(t);

		w->phase = LS_FREER_CHOSEN;
		for (w->count = 0; at < n && w->count < LS_FREER_BATCH; at++) {
			u32 close = LS_STATE_CLOSE(LS_LOAD(&t->env.sessions[slots[at]].state));

			w->slots[w->count] = slots[at];
			w->reasons[w->count++] = (u8)(close < LS_CLOSE_COUNT ? close : (u32)LS_CLOSE_ADMIN);
		}
		run_batch(t, chosen_ns);
	}
	w->phase = LS_FREER_IDLE;
	w->count = 0;
}

u32 ls_table_expire(struct ls_table *t, u32 slots)
{
	struct ls_freer_work *w = t->env.freer;
	const struct ls_config *c;
	u64 now = judged_ns(t);
	u32 freed = 0, at, n = slots < t->env.slots ? slots : t->env.slots;

	pthread_mutex_lock(&t->freer);
	c = config_now(t); /* under the lock: ls_table_write_config rewrites the idle bank under it too */
	if (c->generation == 0) { /* nothing applied yet: no timeouts to judge by, and what was adopted waits for them */
		pthread_mutex_unlock(&t->freer);
		return 0;
	}
	at = t->scan_slot;
	w->count = 0;
	w->phase = LS_FREER_CHOSEN;
	while (n--) {
		struct ls_session *s = &t->env.sessions[at];
		u64 state = LS_LOAD(&s->state);

		if (LS_STATE_LIFECYCLE(state) == LS_LIVE) {
			t->pass_live++;
			if (now > deadline(t, c, s, state) && ours(t, s)) {
				u32 reason = LS_STATE_CLOSE(state) ? LS_STATE_CLOSE(state) : (u32)LS_CLOSE_TIMEOUT;

				if (LS_CAS(&s->state, state, LS_STATE_SET_CLOSE(LS_STATE_SET_LIFECYCLE(state, LS_DYING), reason)) == state) {
					w->slots[w->count] = at;
					w->reasons[w->count++] = (u8)reason;
				}
			}
		}
		if (++at == t->env.slots) {
			at = 0;
			t->env.header->live = t->pass_live;
			t->env.header->pass_count++;
			t->pass_live = 0;
		}
		if (w->count == LS_FREER_BATCH) {
			freed += run_batch(t, now);
			w->phase = LS_FREER_CHOSEN;
		}
	}
	if (w->count)
		freed += run_batch(t, now);
	w->phase = LS_FREER_IDLE;
	t->scan_slot = at;
	pthread_mutex_unlock(&t->freer);
	return freed;
}

/* Every slot is free: there is nothing to look at, and nobody to be counted. */
static void pass_empty(struct ls_table *t)
{
	pthread_mutex_lock(&t->freer);
	t->pass_live = 0;
	LS_STORE(&t->env.header->live, 0);
	LS_STORE(&t->env.header->pass_count, LS_LOAD(&t->env.header->pass_count) + 1);
	pthread_mutex_unlock(&t->freer);
}

/* One pass over the table takes about a second, up to eight for the largest; expired means miss, so nobody waits for it (D4). */
static void *freer_main(void *arg)
{
	struct ls_table *t = arg;
	u32 ticks = 100 * (1 + t->env.slots / (1u << 21)), slice;

	if (ticks > 800)
		ticks = 800;
	slice = t->env.slots / ticks + 1;
	pthread_setname_np(pthread_self(), "ls-freer");
	while (atomic_load_explicit(&t->freer_run, memory_order_acquire)) {
		struct timespec nap = { .tv_nsec = (long)TICK_NS };

		if (ls_table_refill(t) == 0) {
			pass_empty(t);
		} else {
			ls_table_expire(t, slice);
			ls_table_refill(t);
		}
		LS_STORE(&t->env.header->freer_stamp_ns, ls_clock_ns());
		nanosleep(&nap, NULL);
	}
	return NULL;
}

enum ls_status ls_freer_start(struct ls_table *t)
{
	if (t->freer_started)
		return LS_OK;
	atomic_store(&t->freer_run, true);
	t->env.header->freer_pid = (u32)getpid();
	if (pthread_create(&t->freer_thread, NULL, freer_main, t) != 0)
		return LS_E_NOMEM;
	t->freer_started = true;
	return LS_OK;
}

void ls_freer_stop(struct ls_table *t)
{
	if (!t->freer_started)
		return;
	atomic_store(&t->freer_run, false);
	pthread_join(t->freer_thread, NULL);
	t->freer_started = false;
}
