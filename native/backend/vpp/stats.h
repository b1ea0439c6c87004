/* Reads the stats segment of a running VPP: shared memory with a directory of named counters, which VPP changes while it is read.
 *
 * A pass is a look at the segment with an end that says whether what was seen held together: VPP changes its layout between in_progress = 1 and
 * epoch + 1, so a pass counts when neither moved and the directory stayed where and as long as it was. That last check is for VPP's symlinks, which are
 * added without either. Counters are 64-bit words that change under a pass; the two words of a combined counter may be of different moments.
 *
 *   void take(struct ls_stats_pass *pass, void *arg)     copies what it wants, from the beginning each time it is called
 *   ls_stats_read(&stats, take, arg)                               calls it until a pass holds, at most `tries` times
 *
 * Whatever the bytes are, reading them never faults: every pointer and length found is checked against the mapping, at every look. VPP allocates the segment
 * once and never shrinks it. What cannot be followed reads as absent.
 *
 * One thread uses a struct ls_stats_handle; a struct ls_stats can be shared once it is attached. Source: the layout of VPP 21.06 to 26.10 (version 2 of the
 * segment), checked against images of 26.10 in test/fixtures/vpp/stats.
 */
#ifndef LOCKSTEP_VPP_STATS_H
#define LOCKSTEP_VPP_STATS_H

#include "lockstep/codes.h"
#include "lockstep/types.h"

#define LS_STATS_NAME 128 /* bytes of a name; one that fills them has no NUL */
#define LS_STATS_WHY 128
#define LS_STATS_THREADS_MAX 1024 /* more than VPP can have; a longer vector is read so far */
#define LS_STATS_ALL 0xffffffffu

/* Entries by what they are; releases number them differently. */
enum ls_stats_kind {
	LS_STATS_UNKNOWN, /* of another release, or none */
	LS_STATS_EMPTY,   /* was removed: its place waits for another */
	LS_STATS_SCALAR,
	LS_STATS_GAUGE,
	LS_STATS_SIMPLE,   /* a vector of u64 for each thread */
	LS_STATS_COMBINED, /* a vector of packets and bytes for each thread */
	LS_STATS_NAMES,
	LS_STATS_SYMLINK, /* one column of a simple or combined entry */
	LS_STATS_HISTOGRAM, /* for each thread: exponent of the first bin, then counts of 2^(exponent + i) */
	LS_STATS_RING,
	LS_STATS_KINDS
};

struct ls_stats {
	const u8 *map; /* NULL: not attached */
	u64 size, base; /* `base`: where VPP has the mapping; its pointers count from there */
	u32 tries, wait_us; /* of ls_stats_read: passes at most, and the wait between them */
};

struct ls_stats_pass {
	const struct ls_stats *stats;
	u64 epoch, directory;
	const u8 *entry; /* the directory here */
	u32 entries;
	bool legacy; /* types as VPP 22.02 and older number them */
	u64 room; /* bytes that may still be handed out: see ls_stats_row_of */
	bool overdrawn;
};

/* An entry as one pass saw it. */
struct ls_stats_entry {
	u32 index;
	u32 kind;   /* enum ls_stats_kind */
	u32 column; /* the one that a symlink led to; LS_STATS_ALL */
	u64 word;   /* value, or VPP's pointer */
};

/* A name, and the place in the directory where it was last: a hint that is checked at each use, so a handle never goes stale. */
struct ls_stats_handle {
	u64 name[LS_STATS_NAME / 8];
	u64 last_mask; /* of the last word that counts */
	u32 words;     /* that are compared */
	u32 index;
	u64 missed_epoch, missed_directory; /* the directory that was walked in vain */
	u32 missed_entries;
};

/* One thread's vector: `columns` elements of `width` words, which VPP may be counting in: read them with relaxed atomic loads. */
struct ls_stats_row {
	const u64 *at;
	u32 columns, width;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Connects to VPP's stats socket and maps the segment it passes, all within `deadline_ms`. `why` has text and *err_no the errno, 0 if none, unless LS_OK.
 * LS_E_SYSTEM: nobody listens (ENOENT, ECONNREFUSED), or another call failed · LS_E_PERMISSION · LS_E_BUSY: connected, but no descriptor came (ETIMEDOUT: in
 * time) · else as ls_stats_attach_fd. */
enum ls_status ls_stats_attach(const char *path, u32 deadline_ms, struct ls_stats *s, char why[LS_STATS_WHY], int *err_no);
/* `fd` stays the caller's. LS_E_TRUNCATED: too small for a segment · LS_E_VERSION · LS_E_GEOMETRY: VPP's address cannot be one. */
enum ls_status ls_stats_attach_fd(int fd, struct ls_stats *s, char why[LS_STATS_WHY], int *err_no);
void ls_stats_detach(struct ls_stats *s);

/* LS_E_BUSY: the layout is being changed · LS_E_GEOMETRY: the directory is outside of the mapping. Before VPP has made a directory there are 0 entries. */
enum ls_status ls_stats_begin(const struct ls_stats *s, struct ls_stats_pass *p);
/* LS_E_BUSY: what was seen does not count · LS_E_GEOMETRY: more was handed out than a segment can hold. */
enum ls_status ls_stats_end(const struct ls_stats_pass *p);
/* Passes while they end with LS_E_BUSY, at most `tries`; sleeps between them. The status of the last. */
enum ls_status ls_stats_read(const struct ls_stats *s, void (*take)(struct ls_stats_pass *p, void *arg), void *arg);

/* What entry `index` is, and its name. A symlink is one here. */
enum ls_stats_kind ls_stats_describe(const struct ls_stats_pass *p, u32 index, char name[LS_STATS_NAME + 1]);
const char *ls_stats_kind_name(enum ls_stats_kind kind);

/* False: longer than a name can be. */
bool ls_stats_handle_init(struct ls_stats_handle *h, const char *name);
/* Walks the directory only when the name is not where it was, and once in vain for each state of the directory. A symlink is followed, by one step: *e is the
 * column it leads to. False: there is no such entry, or the symlink leads nowhere. */
bool ls_stats_find(const struct ls_stats_pass *p, struct ls_stats_handle *h, struct ls_stats_entry *e);

/* Simple, combined, histogram. 0: there is no vector. */
u32 ls_stats_threads(const struct ls_stats_pass *p, const struct ls_stats_entry *e);
/* No columns: the thread has no vector, or not the column of the symlink. Rows of one pass together are at most four times the segment, so that damage cannot
 * make a caller allocate without end; beyond that they have no columns and the pass does not count. */
struct ls_stats_row ls_stats_row_of(struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 thread);
/* Summed over threads: value or packets, and bytes (0: not a combined one). Scalars, gauges and what a symlink led to are a column already: `column` does not
 * count. False: no thread has that column. */
bool ls_stats_sum(const struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 column, u64 sum[2]);
/* ls_stats_sum in a pass of its own. LS_E_NOT_FOUND: there is no such counter. */
enum ls_status ls_stats_counter(const struct ls_stats *s, struct ls_stats_handle *h, u32 column, u64 sum[2]);

/* Elements of a names entry. */
u32 ls_stats_names(const struct ls_stats_pass *p, const struct ls_stats_entry *e);
/* Element `i`, cut to what fits and with a NUL; counts as a row does. False: there is none. */
bool ls_stats_name(struct ls_stats_pass *p, const struct ls_stats_entry *e, u32 i, char *out, u32 bytes);

/* A ring of records for each thread, which VPP writes without regard to readers or passes: the reader keeps its own sequence. */
struct ls_stats_ring {
	const u8 *at;
	u64 bytes; /* to the end of the mapping */
	u32 record_bytes, slots, threads, metadata, data; /* the last two: offsets */
};

struct ls_stats_ring_state {
	u64 written; /* records ever; the next one's sequence */
	const u8 *schema; /* NULL: none */
	u32 schema_bytes, schema_version;
};

/* False: not a ring, or one that does not fit where it is. */
bool ls_stats_ring_of(const struct ls_stats_pass *p, const struct ls_stats_entry *e, struct ls_stats_ring *r);
/* False: there is no such thread. */
bool ls_stats_ring_look(const struct ls_stats_ring *r, u32 thread, struct ls_stats_ring_state *t);
/* Records from *next on, at most `max`, oldest first, into `out`; returns how many and moves *next behind them. *first is the first one's sequence, *lost how
 * many before it were overwritten; the oldest slot of a full ring counts as such, because VPP may be writing it. A *next that was not written yet is of an
 * earlier life of the ring: begins at the oldest. */
u32 ls_stats_ring_read(const struct ls_stats_ring *r, u32 thread, u64 *next, u32 max, u8 *out, u64 *first, u64 *lost);

/* Bytes of the segment that VPP may be writing. */
void ls_stats_copy(void *out, const u8 *from, u32 bytes);

#ifdef __cplusplus
}
#endif

#endif
