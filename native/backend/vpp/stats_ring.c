/* Rings of the stats segment. VPP overwrites the oldest record without asking, so a record counts only if its slot was not yet the next one when its copy was done. */
#include "backend/vpp/stats_map.h"

#include <string.h>

/* Header, at VPP's pointer: words of 4 bytes. */
#define RECORD_BYTES_AT 0
#define SLOTS_AT 4
#define THREADS_AT 8
#define METADATA_AT 20
#define DATA_AT 24
#define HEADER_BYTES 28

/* Metadata of one thread. */
#define THREAD_BYTES 64
#define SCHEMA_VERSION_AT 4
#define SEQUENCE_AT 8
#define SCHEMA_AT 16 /* from the header */
#define SCHEMA_BYTES_AT 20

static bool fits(const struct ls_stats_ring *r)
{
	u64 ring = (u64)r->record_bytes * r->slots;

	if (ring == 0 || r->threads > LS_STATS_THREADS_MAX || r->data > r->bytes || r->metadata > r->bytes || r->metadata % 8)
		return false;
	return ring <= r->bytes && ring * r->threads <= r->bytes - r->data && (u64)r->threads * THREAD_BYTES <= r->bytes - r->metadata;
}

bool ls_stats_ring_of(const struct ls_stats_pass *p, const struct ls_stats_entry *e, struct ls_stats_ring *r)
{
	const struct ls_stats *s = p->stats;
	const u8 *at = e->kind == LS_STATS_RING ? ls_stats_at(s, e->word, HEADER_BYTES) : NULL;

	if (!at)
		return false;
	*r = (struct ls_stats_ring){
		.at = at,
		.bytes = (u64)(s->map + s->size - at),
		.record_bytes = ls_stats_u32(at + RECORD_BYTES_AT),
		.slots = ls_stats_u32(at + SLOTS_AT),
		.threads = ls_stats_u32(at + THREADS_AT),
		.metadata = ls_stats_u32(at + METADATA_AT),
		.data = ls_stats_u32(at + DATA_AT),
	};
	return fits(r);
}

static const u8 *metadata_of(const struct ls_stats_ring *r, u32 thread) { return r->at + r->metadata + (u64)thread * THREAD_BYTES; }

static u64 written(const struct ls_stats_ring *r, u32 thread) { return LS_LOAD_ACQ((const ls_u64a *)(metadata_of(r, thread) + SEQUENCE_AT)); }

bool ls_stats_ring_look(const struct ls_stats_ring *r, u32 thread, struct ls_stats_ring_state *t)
{
	const u8 *metadata;
	u32 schema;

	if (thread >= r->threads)
		return false;
	metadata = metadata_of(r, thread);
	schema = ls_stats_u32(metadata + SCHEMA_AT);
	*t = (struct ls_stats_ring_state){
		.written = written(r, thread),
		.schema_bytes = ls_stats_u32(metadata + SCHEMA_BYTES_AT),
		.schema_version = ls_stats_u32(metadata + SCHEMA_VERSION_AT),
	};
	if (schema && schema <= r->bytes && t->schema_bytes <= r->bytes - schema)
		t->schema = r->at + schema;
	else
		t->schema_bytes = 0;
	return true;
}

/* The first record whose slot VPP is not about to write. */
static u64 oldest(const struct ls_stats_ring *r, u64 sequence) { return sequence < r->slots ? 0 : sequence - r->slots + 1; }

u32 ls_stats_ring_read(const struct ls_stats_ring *r, u32 thread, u64 *next, u32 max, u8 *out, u64 *first, u64 *lost)
{
	u64 from, safe, asked = *next;
	u32 n, gone;

	*first = *next;
	*lost = 0;
	if (thread >= r->threads)
		return 0;
	safe = written(r, thread);
	if (asked > safe)
		asked = 0;
	from = asked > oldest(r, safe) ? asked : oldest(r, safe);
	n = safe - from < max ? (u32)(safe - from) : max;
	for (u32 i = 0; i < n; i++)
		ls_stats_copy(out + (u64)i * r->record_bytes, r->at + r->data + ((u64)thread * r->slots + (from + i) % r->slots) * r->record_bytes, r->record_bytes);
	LS_FENCE_ACQ();
	safe = oldest(r, written(r, thread)); /* what was overwritten meanwhile */
	gone = safe <= from ? 0 : safe - from < n ? (u32)(safe - from) : n;
	if (gone)
		memmove(out, out + (u64)gone * r->record_bytes, (u64)(n - gone) * r->record_bytes);
	*first = from + gone;
	*lost = *first - asked;
	*next = from + n;
	return n - gone;
}
