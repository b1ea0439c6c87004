/* Lifecycle of the userspace backend: devices added while running, workers started, everything stopped within 100 ms. */
#include "backend/userspace/userspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ls_us *ls_us_new(struct ls_table *t, u32 first, u32 workers)
{
	struct ls_us *us;

	if (workers < 1 || workers > LS_US_WORKERS_MAX || first + workers > ls_thread_workers(t))
		return NULL;
	us = calloc(1, sizeof(*us));
	if (!us)
		return NULL;
	us->table = t;
	us->workers = workers;
	us->worker = calloc(workers, sizeof(*us->worker));
	for (u32 i = 0; us->worker && i < workers; i++) {
		us->worker[i].us = us;
		us->worker[i].index = i;
		us->worker[i].id = t->env.header->cpus + first + i;
		us->worker[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		us->worker[i].pending_memory = malloc((size_t)LS_US_PENDING * (LS_FRAME_MAX + LS_HEADROOM));
	}
	if (!us->worker) {
		free(us);
		return NULL;
	}
	return us;
}

static void mac_from_name(const char *name, u8 mac[6])
{
	u32 h = 0x6c6f636b;

	for (; *name; name++)
		h = ls_config_hash_step(h, (u8)*name);
	mac[0] = 0x02;
	mac[1] = 0x4c;
	memcpy(mac + 2, &h, 4);
}

struct open_call {
	struct ls_device *d;
	u32 workers;
	char *error;
	enum ls_status status;
};

static void open_all(void *arg)
{
	struct open_call *c = arg;
	u32 opened = 0;

	for (u32 w = 0; w < c->workers; w++) {
		c->status = c->d->ops->open(c->d, w, c->error);
		if (c->status != LS_OK)
			break;
		opened = w + 1;
	}
	if (c->status != LS_OK) {
		while (opened)
			c->d->ops->close(c->d, --opened);
		return;
	}
	__atomic_store_n(&c->d->workers, opened, __ATOMIC_RELEASE); /* from here on they use it */
}

static void look(void *arg)
{
	struct open_call *c = arg;

	c->status = c->d->ops->look(c->d, c->error);
}

static const struct ls_device_ops *ops_of(u32 kind)
{
	switch (kind) {
	case LS_DEV_PACKET: return &ls_device_packet;
	case LS_DEV_PCAP: return &ls_device_pcap;
	case LS_DEV_TAP: return &ls_device_tap;
	case LS_DEV_SOURCE: return &ls_device_source;
	default: return NULL;
	}
}

enum ls_status ls_us_add(struct ls_us *us, const struct ls_device_spec *spec, u32 *id, char *error)
{
	return ls_us_add_by(us, spec, ops_of(spec->kind), NULL, id, error);
}

enum ls_status ls_us_add_by(struct ls_us *us, const struct ls_device_spec *spec, const struct ls_device_ops *ops, void *owner, u32 *id, char *error)
{
	struct ls_device *d = calloc(1, sizeof(*d));
	struct open_call c = { .d = d, .workers = us->workers, .error = error };
	u32 slot = 1;

	error[0] = 0;
	if (!d)
		return LS_E_NOMEM;
	while (slot < LS_DEVICES_MAX && us->device[slot])
		slot++;
	if (spec->device)
		slot = spec->device < LS_DEVICES_MAX && !us->device[spec->device] ? spec->device : LS_DEVICES_MAX;
	d->spec = *spec;
	d->ops = ops;
	d->owner = owner;
	d->voice = -1;
	d->mtu = spec->mtu ? spec->mtu : 1500;
	memcpy(d->mac, spec->mac, 6);
	if (!(d->mac[0] | d->mac[1] | d->mac[2] | d->mac[3] | d->mac[4] | d->mac[5]))
		mac_from_name(spec->name, d->mac);
	if (!d->ops || slot == LS_DEVICES_MAX) {
		snprintf(error, LS_US_ERROR_BYTES, "port %s: at most %d ports, each with an id of its own (limits.h LS_DEVICES_MAX)", spec->name, LS_DEVICES_MAX - 1);
		free(d);
		return LS_E_INVALID;
	}
	d->id = slot;
	if (spec->parked && !d->ops->look) {
		snprintf(error, LS_US_ERROR_BYTES, "port %s: only a packet port can be parked", spec->name);
		free(d);
		return LS_E_UNSUPPORTED;
	}
	if (!ls_in_netns(spec->netns, spec->parked ? look : open_all, &c, error))
		c.status = errno == EPERM ? LS_E_PERMISSION : LS_E_NO_DEVICE;
	if (c.status != LS_OK) {
		free(d);
		return c.status;
	}
	d->up = 1;
	__atomic_store_n(&us->device[slot], d, __ATOMIC_SEQ_CST);
	if (us->devices <= slot)
		us->devices = slot + 1;
	ls_us_wake(us);
	*id = slot;
	return LS_OK;
}

void ls_us_enable(struct ls_us *us, u32 id)
{
	struct ls_device *d = id < LS_DEVICES_MAX ? us->device[id] : NULL;

	if (!d)
		return;
	/* here, not by the workers: who asked may end the other forwarder as soon as we return, and what comes from then on is ours */
	for (u32 w = 0; w < d->workers && d->ops->fresh && !d->ready; w++)
		d->ops->fresh(d, w);
	d->ready = 1;
	ls_us_wake(us);
}

void ls_us_disable(struct ls_us *us, u32 id)
{
	if (id < LS_DEVICES_MAX && us->device[id]) {
		us->device[id]->ready = 0;
		ls_table_grace(us->table);
	}
}

enum ls_status ls_us_unpark(struct ls_us *us, u32 id, char *error)
{
	struct ls_device *d = id < LS_DEVICES_MAX ? us->device[id] : NULL;
	struct open_call c = { .d = d, .workers = us->workers, .error = error };

	error[0] = 0;
	if (!d)
		return LS_E_NO_DEVICE;
	if (d->workers)
		return LS_OK;
	if (!ls_in_netns(d->spec.netns, open_all, &c, error))
		c.status = errno == EPERM ? LS_E_PERMISSION : LS_E_NO_DEVICE;
	return c.status;
}

static void close_all(void *arg)
{
	struct open_call *c = arg;

	for (u32 w = 0; w < c->workers; w++)
		c->d->ops->close(c->d, w);
}

enum ls_status ls_us_park(struct ls_us *us, u32 id)
{
	struct ls_device *d = id < LS_DEVICES_MAX ? us->device[id] : NULL;
	struct open_call c = { .d = d };

	if (!d || !d->ops->look)
		return d ? LS_E_UNSUPPORTED : LS_E_NO_DEVICE;
	d->ready = 0;
	c.workers = __atomic_exchange_n(&d->workers, 0, __ATOMIC_SEQ_CST);
	ls_table_grace(us->table);
	close_all(&c);
	return LS_OK;
}

/* No worker uses the device any more. */
static void release(struct ls_device *d)
{
	for (u32 w = 0; w < d->workers; w++)
		d->ops->close(d, w);
	if (d->voice >= 0)
		close(d->voice);
	free(d);
}

void ls_us_remove(struct ls_us *us, u32 id)
{
	struct ls_device *d;

	if (id == 0 || id >= LS_DEVICES_MAX || !us->device[id])
		return;
	d = us->device[id];
	d->up = 0;
	ls_mirror_hold(us->mirror);
	__atomic_store_n(&us->device[id], NULL, __ATOMIC_SEQ_CST);
	ls_mirror_release(us->mirror);
	ls_us_wake(us);
	ls_table_grace(us->table);
	release(d);
}

enum ls_status ls_us_start(struct ls_us *us)
{
	if (us->run)
		return LS_OK;
	us->run = true;
	for (u32 i = 0; i < us->workers; i++) {
		struct ls_us_worker *w = &us->worker[i];

		ls_worker_attach(us->table, w->id);
		ls_env_worker(us->table, w->id, &w->env);
		if (pthread_create(&w->thread, NULL, ls_us_worker_main, w) != 0) {
			ls_worker_detach(us->table, w->id);
			ls_us_stop(us);
			return LS_E_NOMEM;
		}
		w->started = true;
	}
	return LS_OK;
}

void ls_us_wake(struct ls_us *us)
{
	for (u32 i = 0; i < us->workers; i++) {
		u64 one = 1;

		if (us->worker[i].wake_fd >= 0 && write(us->worker[i].wake_fd, &one, 8) < 0)
			continue; /* already pending */
	}
}

void ls_us_stop(struct ls_us *us)
{
	u64 start = ls_clock_ns();

	us->run = false;
	ls_us_wake(us);
	for (u32 i = 0; i < us->workers; i++) {
		struct ls_us_worker *w = &us->worker[i];

		if (!w->started)
			continue;
		pthread_join(w->thread, NULL);
		w->started = false;
		ls_worker_detach(us->table, w->id);
	}
	us->stop_ns = ls_clock_ns() - start;
}

void ls_us_free(struct ls_us *us)
{
	if (!us)
		return;
	ls_us_stop(us);
	ls_mirror_stop(us->mirror);
	for (u32 i = 0; i < LS_DEVICES_MAX; i++)
		if (us->device[i])
			release(us->device[i]);
	for (u32 i = 0; i < us->workers; i++) {
		if (us->worker[i].wake_fd >= 0)
			close(us->worker[i].wake_fd);
		free(us->worker[i].pending_memory);
	}
	free(us->worker);
	free(us);
}

void ls_us_stats(const struct ls_us *us, u32 id, struct ls_device_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (id >= LS_DEVICES_MAX || !us->device[id])
		return;
	for (u32 w = 0; w < us->workers; w++) {
		const u64 *from = (const u64 *)&us->device[id]->stats[w];
		u64 *to = (u64 *)out;

		for (size_t i = 0; i < sizeof(*out) / 8; i++)
			to[i] += LS_LOAD(&from[i]);
	}
}

bool ls_us_port(const struct ls_us *us, u32 id, struct ls_device_info *out)
{
	const struct ls_device *d = id < LS_DEVICES_MAX ? us->device[id] : NULL;

	if (!d)
		return false;
	*out = (struct ls_device_info){ .kind = d->spec.kind, .ifindex = d->ifindex, .up = d->up, .mtu = d->mtu };
	memcpy(out->mac, d->mac, 6);
	memcpy(out->name, d->spec.name, sizeof(out->name));
	ls_us_stats(us, id, &out->stats);
	return true;
}

u64 ls_us_stop_ns(const struct ls_us *us) { return us->stop_ns; }
