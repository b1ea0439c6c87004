/* What the agent writes besides sessions: configuration banks, Maglev rings, ownership; and the sum of all workers' counters. */
#include "table/table.h"

#include <string.h>

#include "pipeline/atomics.h"

/* Writes the idle bank, flips, waits one grace: from then on no worker reads the old one. */
enum ls_status ls_table_write_config(struct ls_table *t, const void *bank, u64 bytes)
{
	u32 idle;

	if (bytes != sizeof(struct ls_config))
		return LS_E_INVALID;
	/* the freer is no worker: a grace does not wait for it, this lock does */
	pthread_mutex_lock(&t->freer);
	idle = !(LS_LOAD(&t->env.header->active_bank) & 1);
	memcpy(&t->env.banks[idle], bank, bytes);
	LS_STORE(&t->env.header->config_generation, t->env.banks[idle].generation);
	LS_STORE_REL(&t->env.header->active_bank, idle);
	pthread_mutex_unlock(&t->freer);
	ls_table_grace(t);
	t->env.config = &t->env.banks[idle];
	return LS_OK;
}

/* The bank in force, as workers see it. */
enum ls_status ls_table_read_config(const struct ls_table *t, void *bank, u64 bytes)
{
	if (bytes != sizeof(struct ls_config))
		return LS_E_INVALID;
	memcpy(bank, &t->env.banks[LS_LOAD(&t->env.header->active_bank) & 1], bytes);
	return LS_OK;
}

enum ls_status ls_table_write_arena(struct ls_table *t, u32 element, const void *bytes, u64 count)
{
	if (element > t->env.arena_elements || count > (u64)(t->env.arena_elements - element) * 64)
		return LS_E_INVALID;
	memcpy((u8 *)t->env.arena + (u64)element * 64, bytes, count);
	return LS_OK;
}

void ls_table_set_role(struct ls_table *t, u32 rg, u32 role, u64 epoch, u64 lease_deadline_ns)
{
	struct ls_rg *r;

	if (rg >= LS_RGS_MAX)
		return;
	r = &t->env.rgs[rg];
	if (role == LS_ROLE_OWNER && LS_LOAD(&r->role) != LS_ROLE_OWNER)
		LS_STORE(&r->seen_floor_ns, ls_clock_ns()); /* a takeover expires nobody (R8) */
	LS_STORE(&r->epoch, epoch);
	LS_STORE(&r->lease_deadline_ns, lease_deadline_ns);
	LS_STORE_REL(&r->role, role);
}

struct ls_rg ls_table_group(const struct ls_table *t, u32 rg)
{
	const struct ls_rg *r = &t->env.rgs[rg & (LS_RGS_MAX - 1)];

	return (struct ls_rg){ .role = LS_LOAD(&r->role), .epoch = LS_LOAD(&r->epoch), .lease_deadline_ns = LS_LOAD(&r->lease_deadline_ns) };
}

void ls_table_counters(const struct ls_table *t, struct ls_counters *out)
{
	u64 *sum = (u64 *)out;

	memset(out, 0, sizeof(*out));
	for (u32 w = 0; w < t->env.header->workers; w++) {
		const u64 *from = (const u64 *)&t->env.counters[w].c;

		for (size_t i = 0; i < sizeof(*out) / 8; i++)
			sum[i] += LS_LOAD(&from[i]);
	}
}

bool ls_table_add_counters(struct ls_table *t, u32 first, const u64 *add, u32 n)
{
	u64 *to = (u64 *)&t->env.counters[0].c;

	if (first > sizeof(struct ls_counters) / 8 || n > sizeof(struct ls_counters) / 8 - first)
		return false;
	for (u32 i = 0; i < n; i++)
		LS_ADD(&to[first + i], add[i]);
	return true;
}

void ls_table_info(const struct ls_table *t, struct ls_table_info *out)
{
	const struct ls_header *h = t->env.header;

	*out = (struct ls_table_info){ .bytes = t->bytes, .origin = h->origin, .live = LS_LOAD(&h->live), .passes = LS_LOAD(&h->pass_count),
		.freed = LS_LOAD(&h->freed_total), .installed = LS_LOAD(&h->installed_total), .generation = LS_LOAD(&h->config_generation),
		.graces = t->graces, .grace_ns = t->grace_ns_total, .capacity = h->capacity, .slots = h->slots, .buckets = h->buckets,
		.workers = h->workers, .cpus = h->cpus, .threads = ls_thread_workers(t), .free_ring = h->free_ring,
		.notice_ring = h->notice_ring, .arena_elements = t->env.arena_elements, .listed = t->listed, .pressure = LS_LOAD(&h->defence.pressure), .fd = t->fd, .huge = t->huge, .silenced = t->silenced };
	for (u32 i = 0; i < 16; i++)
		out->freed_by[i] = LS_LOAD(&h->freed_by[i]);
}

enum ls_status ls_table_read_arena(const struct ls_table *t, u32 element, void *out, u64 bytes)
{
	if (element > t->env.arena_elements || bytes > (u64)(t->env.arena_elements - element) * 64)
		return LS_E_INVALID;
	memcpy(out, (const u8 *)t->env.arena + (u64)element * 64, bytes);
	return LS_OK;
}

u32 ls_table_rings(const struct ls_table *t, struct ls_ring_place *out, u32 max)
{
	const struct ls_config *c = &t->env.banks[LS_LOAD_ACQ(&t->env.header->active_bank) & 1];
	u32 n = 0;

	for (u32 i = 1; i < LS_VIPS_MAX && n < max; i++)
		if (c->vip[i].used && c->vip[i].ring_size)
			out[n++] = (struct ls_ring_place){ .element = c->vip[i].ring, .entries = c->vip[i].ring_size };
	return n;
}

void ls_table_rates(const struct ls_table *t, u32 zone, u64 *out)
{
	u64 window = ls_clock_ns() >> 30 & 0xffffff; /* as pipeline/screen.h counts */

	for (u32 i = 0; i < LS_SCREEN_COUNT; i++) {
		u64 word = LS_LOAD(&t->env.rates[zone & (LS_ZONES_MAX - 1)].rate[i]);

		out[i] = word >> 40 == window ? word & ((1ULL << 40) - 1) : 0;
	}
}
