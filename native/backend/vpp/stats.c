#include "backend/vpp/stats_map.h"

#include <string.h>
#include <time.h>

/* An entry of the directory. */
#define ENTRY_BYTES 144
#define TYPE_AT 0
#define WORD_AT 8 /* value or pointer; of a symlink: u32 entry, u32 column */
#define NAME_AT 16

#define NOWHERE 0xffffffffu

static const u8 modern[] = { LS_STATS_UNKNOWN, LS_STATS_SCALAR, LS_STATS_SIMPLE, LS_STATS_COMBINED, LS_STATS_NAMES, LS_STATS_EMPTY, LS_STATS_SYMLINK,
			     LS_STATS_HISTOGRAM, LS_STATS_RING, LS_STATS_GAUGE };
/* VPP 21.06 to 22.02; 4 was an error counter */
static const u8 legacy[] = { LS_STATS_UNKNOWN, LS_STATS_SCALAR, LS_STATS_SIMPLE, LS_STATS_COMBINED, LS_STATS_UNKNOWN, LS_STATS_NAMES, LS_STATS_EMPTY,
			     LS_STATS_SYMLINK };

static enum ls_stats_kind kind_of(bool old, u32 type)
{
	if (old)
		return type < sizeof(legacy) ? legacy[type] : LS_STATS_UNKNOWN;
	return type < sizeof(modern) ? modern[type] : LS_STATS_UNKNOWN;
}

const char *ls_stats_kind_name(enum ls_stats_kind kind)
{
	static const char *const names[LS_STATS_KINDS] = { "unknown", "empty", "scalar", "gauge", "simple", "combined", "names", "symlink", "histogram", "ring" };

	return kind < LS_STATS_KINDS ? names[kind] : names[LS_STATS_UNKNOWN];
}

/* --- passes --- */

enum ls_status ls_stats_begin(const struct ls_stats *s, struct ls_stats_pass *p)
{
	struct ls_stats_vector directory;

	*p = (struct ls_stats_pass){ .stats = s, .room = 4 * s->size };
	p->epoch = LS_LOAD_ACQ((const ls_u64a *)(s->map + LS_STATS_EPOCH_AT));
	if (LS_LOAD_ACQ((const ls_u64a *)(s->map + LS_STATS_IN_PROGRESS_AT)))
		return LS_E_BUSY;
	p->legacy = ls_stats_at(s, ls_stats_u64(s->map + LS_STATS_ERRORS_AT), 1) != NULL;
	p->directory = ls_stats_u64(s->map + LS_STATS_DIRECTORY_AT);
	if (!p->directory)
		return LS_OK;
	if (!ls_stats_vector(s, p->directory, ENTRY_BYTES, &directory))
		return LS_E_GEOMETRY;
	p->entry = directory.at;
	p->entries = directory.len;
	return LS_OK;
}

/* in_progress before epoch: the other way round a change that ends between the two loads would go unseen. */
enum ls_status ls_stats_end(const struct ls_stats_pass *p)
{
	const struct ls_stats *s = p->stats;
	struct ls_stats_vector directory = { 0 };

	LS_FENCE_ACQ();
	if (LS_LOAD_ACQ((const ls_u64a *)(s->map + LS_STATS_IN_PROGRESS_AT)))
		return LS_E_BUSY;
	if (ls_stats_u64(s->map + LS_STATS_EPOCH_AT) != p->epoch || ls_stats_u64(s->map + LS_STATS_DIRECTORY_AT) != p->directory)
		return LS_E_BUSY;
	if (p->directory)
		ls_stats_vector(s, p->directory, ENTRY_BYTES, &directory);
	if (directory.len != p->entries)
		return LS_E_BUSY;
	return p->overdrawn ? LS_E_GEOMETRY : LS_OK;
}

enum ls_status ls_stats_read(const struct ls_stats *s, void (*take)(struct ls_stats_pass *p, void *arg), void *arg)
{
	struct timespec wait = { .tv_sec = s->wait_us / 1000000, .tv_nsec = s->wait_us % 1000000 * 1000L };
	struct ls_stats_pass p;
	enum ls_status status = LS_E_BUSY;

	for (u32 i = 0; i < s->tries && status == LS_E_BUSY; i++) {
		if (i)
			nanosleep(&wait, NULL);
		status = ls_stats_begin(s, &p);
		if (status != LS_OK)
			continue;
		take(&p, arg);
		status = ls_stats_end(&p);
	}
	return status;
}

/* --- the directory --- */

static const u8 *entry_at(const struct ls_stats_pass *p, u32 index) { return p->entry + (u64)index * ENTRY_BYTES; }

static enum ls_stats_kind entry_kind(const struct ls_stats_pass *p, u32 index)
{
	return kind_of(p->legacy, ls_stats_u32(entry_at(p, index) + TYPE_AT));
}

enum ls_stats_kind ls_stats_describe(const struct ls_stats_pass *p, u32 index, char name[LS_STATS_NAME + 1])
{
	u64 words[LS_STATS_NAME / 8] = { 0 };
	enum ls_stats_kind kind = LS_STATS_UNKNOWN;

	if (index < p->entries) {
		ls_words_load(words, entry_at(p, index) + NAME_AT, LS_STATS_NAME / 8);
		kind = entry_kind(p, index);
	}
	memcpy(name, words, LS_STATS_NAME);
	name[LS_STATS_NAME] = 0;
	return kind;
}

bool ls_stats_handle_init(struct ls_stats_handle *h, const char *name)
{
	size_t bytes = strlen(name), counts = bytes < LS_STATS_NAME ? bytes + 1 : bytes; /* the NUL as well, where there is one */

	memset(h, 0, sizeof(*h));
	if (bytes > LS_STATS_NAME)
		return false;
	memcpy(h->name, name, bytes);
	h->words = (u32)(counts + 7) / 8;
	memset(&h->last_mask, 0xff, counts - (h->words - 1) * 8);
	h->index = NOWHERE;
	return true;
}

/* Behind a NUL VPP leaves what was there. */
static bool is_named(const struct ls_stats_pass *p, u32 index, const struct ls_stats_handle *h)
{
	const ls_u64a *name = (const ls_u64a *)(entry_at(p, index) + NAME_AT);
	u32 last = h->words - 1;

	for (u32 i = 0; i < last; i++)
		if (LS_LOAD(&name[i]) != h->name[i])
			return false;
	return ((LS_LOAD(&name[last]) ^ h->name[last]) & h->last_mask) == 0;
}

static bool walk(const struct ls_stats_pass *p, struct ls_stats_handle *h)
{
	if (h->index == NOWHERE && h->missed_epoch == p->epoch && h->missed_directory == p->directory && h->missed_entries == p->entries)
		return false;
	for (h->index = 0; h->index < p->entries; h->index++)
		if (is_named(p, h->index, h))
			return true;
	h->index = NOWHERE;
	h->missed_epoch = p->epoch;
	h->missed_directory = p->directory;
	h->missed_entries = p->entries;
	return false;
}

static void load(const struct ls_stats_pass *p, u32 index, struct ls_stats_entry *e)
{
	*e = (struct ls_stats_entry){ .index = index, .kind = entry_kind(p, index), .column = LS_STATS_ALL };
	e->word = ls_stats_u64(entry_at(p, index) + WORD_AT);
}

static bool follow(const struct ls_stats_pass *p, struct ls_stats_entry *e)
{
	u32 link[2];

	memcpy(link, &e->word, sizeof(link));
	if (link[0] >= p->entries || link[1] == LS_STATS_ALL)
		return false;
	load(p, link[0], e);
	e->column = link[1];
	return e->kind == LS_STATS_SIMPLE || e->kind == LS_STATS_COMBINED;
}

bool ls_stats_find(const struct ls_stats_pass *p, struct ls_stats_handle *h, struct ls_stats_entry *e)
{
	if ((h->index >= p->entries || !is_named(p, h->index, h)) && !walk(p, h))
		return false;
	load(p, h->index, e);
	return e->kind != LS_STATS_SYMLINK || follow(p, e);
}

/* --- values --- */

static bool has_rows(const struct ls_stats_entry *e)
{
	return e->kind == LS_STATS_SIMPLE || e->kind == LS_STATS_COMBINED || e->kind == LS_STATS_HISTOGRAM;
}

static u32 width_of(const struct ls_stats_entry *e) { return e->kind == LS_STATS_COMBINED ? 2 : 1; }

static bool threads_of(const struct ls_stats_pass *p, const struct ls_stats_entry *e, struct ls_stats_vector *v)
{
	if (!has_rows(e) || !ls_stats_vector(p->stats, e->word, sizeof(u64), v))
		return false;
	if (v->len > LS_STATS_THREADS_MAX)
		v->len = LS_STATS_THREADS_MAX;
	return true;
}

u32 ls_stats_threads(const struct ls_stats_pass *p, const struct ls_stats_entry *e)
{
	struct ls_stats_vector v;

	return threads_of(p, e, &v) ? v.len : 0;
}

static struct ls_stats_row row_of(const struct ls_stats_pass *p, const struct ls_stats_entry *e, const struct ls_stats_vector *threads, u32 thread)
{
	struct ls_stats_row row = { .width = width_of(e) };
	struct ls_stats_vector v;

	if (!ls_stats_vector(p->stats, ls_stats_u64(threads->at + (u64)thread * sizeof(u64)), row.width * (u32)sizeof(u64), &v))
		return row;
	row.at = (const u64 *)v.at;
	row.columns = v.len;
	if (e->column == LS_STATS_ALL)
		return row;
	row.columns = e->column < v.len;
	if (row.columns)
		row.at += (u64)e->column * row.width;
	return row;
}

static bool hand_out(struct ls_stats_pass *p, u64 bytes)
{
	if (bytes > p->room)
		p->overdrawn = true;
	else
		p->room -= bytes;
	return !p->overdrawn;
}

struct ls_stats_row ls_stats_row_of(struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 thread)
{
	struct ls_stats_row row = { .width = width_of(e) };
	struct ls_stats_vector threads;

	if (!threads_of(p, e, &threads) || thread >= threads.len)
		return row;
	row = row_of(p, e, &threads, thread);
	if (!hand_out(p, (u64)row.columns * row.width * sizeof(u64)))
		row.columns = 0;
	return row;
}

bool ls_stats_sum(const struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 column, u64 sum[2])
{
	struct ls_stats_vector threads;
	u32 at = e->column == LS_STATS_ALL ? column : 0;
	bool found = false;

	sum[0] = sum[1] = 0;
	if (e->kind == LS_STATS_SCALAR || e->kind == LS_STATS_GAUGE) {
		sum[0] = e->word;
		return true;
	}
	if (e->kind == LS_STATS_HISTOGRAM || !threads_of(p, e, &threads))
		return false;
	for (u32 t = 0; t < threads.len; t++) {
		struct ls_stats_row row = row_of(p, e, &threads, t);

		if (at >= row.columns)
			continue;
		found = true;
		for (u32 i = 0; i < row.width; i++)
			sum[i] += LS_LOAD(&row.at[(u64)at * row.width + i]);
	}
	return found;
}

struct one {
	struct ls_stats_handle *handle;
	u32 column;
	u64 *sum;
	bool found;
};

static void take_one(struct ls_stats_pass *p, void *arg)
{
	struct one *one = arg;
	struct ls_stats_entry e;

	one->found = ls_stats_find(p, one->handle, &e) && ls_stats_sum(p, &e, one->column, one->sum);
}

enum ls_status ls_stats_counter(const struct ls_stats *s, struct ls_stats_handle *h, u32 column, u64 sum[2])
{
	struct one one = { .handle = h, .column = column, .sum = sum };
	enum ls_status status = ls_stats_read(s, take_one, &one);

	return status == LS_OK && !one.found ? LS_E_NOT_FOUND : status;
}

/* --- names --- */

static bool names_of(const struct ls_stats_pass *p, const struct ls_stats_entry *e, struct ls_stats_vector *v)
{
	return e->kind == LS_STATS_NAMES && ls_stats_vector(p->stats, e->word, sizeof(u64), v);
}

u32 ls_stats_names(const struct ls_stats_pass *p, const struct ls_stats_entry *e)
{
	struct ls_stats_vector v;

	return names_of(p, e, &v) ? v.len : 0;
}

bool ls_stats_name(struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 i, char *out, u32 bytes)
{
	struct ls_stats_vector v, name;
	u32 copied;

	if (!names_of(p, e, &v) || i >= v.len || !ls_stats_vector(p->stats, ls_stats_u64(v.at + (u64)i * sizeof(u64)), 1, &name))
		return false;
	copied = name.len < bytes ? name.len : bytes - 1;
	if (!hand_out(p, copied))
		return false;
	ls_stats_copy(out, name.at, copied);
	out[copied] = 0;
	return true;
}

void ls_stats_copy(void *out, const u8 *from, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		((u8 *)out)[i] = LS_LOAD(&from[i]);
}
