/* The process-private half of a session table: the mapping, the writer lock, the agent's free list, the feed of deletions.
 *
 * One process holds a table (an OFD lock on its descriptor, R5). Threads: packet workers touch shared memory only; every other change goes
 * through the one writer (R7): install, free, refill, delete each hold it for at most LS_WRITER_BATCH records.
 */
#ifndef LOCKSTEP_TABLE_TABLE_H
#define LOCKSTEP_TABLE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lockstep/filter.h"
#include "lockstep/wire.h"
#include "table/env.h"

struct ls_geometry {
	u32 capacity; /* a power of two, LS_CAPACITY_MIN to LS_CAPACITY_MAX */
	u32 cpus;     /* worker ids below belong to XDP; 0 when the table is user space's alone */
	u32 threads;  /* packet worker threads */
	u32 arena;    /* 64-byte elements for Maglev rings; 0 = default */
};

enum ls_huge { LS_HUGE_NEVER, LS_HUGE_TRY, LS_HUGE_MUST };

/* Deletions leave as packed wire records, because the slot is reused at once. Bounded; a full feed counts and forgets (level-triggered). */
#define LS_FEED 65536
struct ls_feed {
	pthread_mutex_t lock;
	struct ls_wire_record *record; /* LS_FEED of them, NULL while nobody listens */
	u64 head, tail, lost, lost_seen;
};

struct ls_table {
	struct ls_env env; /* as the agent: worker id = workers - 1 */
	int fd;
	u64 bytes;
	bool huge;
	pthread_mutex_t writer;
	u32 *list; /* the agent's free slots */
	u32 listed;
	u32 scan_slot;    /* expiry: next slot to look at */
	u64 pass_started_ns;
	u64 pass_live;
	u64 *marks;       /* bitmap of slots received since bulkBegin */
	struct ls_feed feed;
	pthread_t freer_thread;
	atomic_bool freer_run;
	bool freer_started;
	_Atomic u64 grace_ns_total, graces;
	pthread_mutex_t freer; /* one free batch at a time: expiry and deletions share the work region */
};

u64 ls_clock_ns(void);
u32 ls_thread_workers(const struct ls_table *t);

/* region.c: sizes, creation, opening */
enum ls_status ls_geometry_check(const struct ls_geometry *g);
enum ls_status ls_header_init(struct ls_header *h, const struct ls_geometry *g);
enum ls_status ls_header_check(const struct ls_header *h, u64 bytes);
/* A new table in a memfd (path NULL) or a file. *err_no tells a failed system call. */
enum ls_status ls_table_create(const struct ls_geometry *g, enum ls_huge huge, const char *path, struct ls_table **out, int *err_no);
/* Maps an existing one and adopts it (R6). The descriptor is duplicated. */
enum ls_status ls_table_open(int fd, struct ls_table **out, int *err_no);
void ls_table_close(struct ls_table *t);
void ls_env_worker(const struct ls_table *t, u32 worker_id, struct ls_env *out);

/* wire.c */
void ls_wire_pack(const struct ls_session *s, u32 slot, u32 kind, u64 now_ns, struct ls_wire_record *out);
enum ls_status ls_wire_check(const struct ls_wire_record *r);

/* session_table.c: lookups, install, delete */
/* Takes a coherent copy of a live session; false when the slot is not live. */
bool ls_session_read(const struct ls_table *t, u32 slot, struct ls_session *out);
enum ls_status ls_table_find(const struct ls_table *t, const struct ls_key *key, u32 *slot, u32 *gen);

enum ls_install_flags { LS_INSTALL_MARK = 1 << 0 };
struct ls_install_result {
	u64 installed, replaced, conflicts, full, invalid;
};
/* `n` packed records of `stride` bytes (at least sizeof the record; what follows is ignored). status[n], if given, gets enum ls_status. */
void ls_table_install(struct ls_table *t, const u8 *records, u32 stride, u32 n, u32 flags, u8 *status, struct ls_install_result *result);

struct ls_delete_result {
	u64 matched, deleted;
	u64 grace_ns;
};
/* Frees `n` slots whose generation still is gens[i], for `reason`. */
void ls_table_free_slots(struct ls_table *t, const u32 *slots, const u32 *gens, u32 n, u32 reason, struct ls_delete_result *result);
void ls_table_delete_ids(struct ls_table *t, const struct ls_wire_delete *rows, u32 n, struct ls_delete_result *result);
void ls_table_delete_filter(struct ls_table *t, const struct ls_filter *f, u32 reason, const atomic_bool *cancel,
			    struct ls_delete_result *result);
/* Drains notices and the deletion feed into packed records; *overruns counts what was lost since the last call. */
u32 ls_table_drain(struct ls_table *t, struct ls_wire_record *out, u32 max, u64 *overruns);
u32 ls_table_drain_logs(struct ls_table *t, struct ls_log *out, u32 max);
void ls_table_feed(struct ls_table *t, bool on);

/* freer.c */
/* Waits until every attached worker has passed a quiescent point (R4). */
void ls_table_grace(struct ls_table *t);
void ls_table_refill(struct ls_table *t);
void ls_worker_attach(struct ls_table *t, u32 worker);
void ls_worker_detach(struct ls_table *t, u32 worker);
/* Looks at the next `slots` slots and frees the expired; how many. */
u32 ls_table_expire(struct ls_table *t, u32 slots);
enum ls_status ls_freer_start(struct ls_table *t);
void ls_freer_stop(struct ls_table *t);

/* adopt.c */
struct ls_adopt_result {
	u64 live, undone, finished, listed, entries_cleared;
};
void ls_table_adopt(struct ls_table *t, struct ls_adopt_result *result);

/* scan.c */
bool ls_filter_match(const struct ls_filter *f, const struct ls_session *s, u64 now_ns);
/* Rows as columns: for each bit of `columns` in order, rows * size bytes, packed one column after the other with room for `max_rows` each.
 * Returns the rows; *cursor moves on, to 0xffffffff when done. Stops after `max_ns` as well. */
u32 ls_scan_columns(const struct ls_table *t, const struct ls_filter *f, u32 columns, u32 *cursor, u8 *out, u32 max_rows, u64 max_ns);
/* The same as packed wire records. */
u32 ls_scan_records(const struct ls_table *t, const struct ls_filter *f, u32 *cursor, struct ls_wire_record *out, u32 max_rows,
		    u64 max_ns);
u64 ls_scan_count(const struct ls_table *t, const struct ls_filter *f, const atomic_bool *cancel);
u32 ls_column_bytes(u32 column);
/* Walks all three lines of every live record; the sum of packets, so that nothing is optimised away. */
u64 ls_scan_walk(const struct ls_table *t, u64 *live);

/* reconcile.c */
struct ls_reconcile_result {
	u64 scanned, stale, deleted;
	u64 walk_ns, clear_ns, grace_ns;
};
void ls_bulk_begin(struct ls_table *t);
enum ls_status ls_reconcile(struct ls_table *t, u32 peer_owned, bool began, bool source_failed, struct ls_reconcile_result *result);

/* verify.c */
enum ls_verify_fault {
	LS_VF_LIVE_ENTRIES,     /* a live slot without exactly its two entries */
	LS_VF_ENTRY_DEAD,       /* an entry that points to a free slot */
	LS_VF_ENTRY_FOREIGN,    /* an entry under another tuple's hash or bucket */
	LS_VF_TWIN,             /* two live sessions for one tuple */
	LS_VF_FREE_TWICE,       /* a slot in two free places */
	LS_VF_FREE_LIVE,        /* a free place names a slot in use */
	LS_VF_LOST,             /* a free slot that is in no free place */
	LS_VF_GENERATION,       /* lifecycle and generation disagree */
	LS_VF_COUNT
};
struct ls_verify_report {
	u64 slots, live, creating, dying, dead, free, entries;
	u64 fault[LS_VF_COUNT];
	u32 first[LS_VF_COUNT];
	u64 duration_ns;
};
/* Exact while no worker runs; with traffic, what is in motion is re-checked before it is called a fault. */
void ls_table_verify(struct ls_table *t, struct ls_verify_report *report);

/* writer.c: configuration, ownership */
enum ls_status ls_table_write_config(struct ls_table *t, const void *bank, u64 bytes);
void ls_table_set_role(struct ls_table *t, u32 rg, u32 role, u64 epoch, u64 lease_deadline_ns);
enum ls_status ls_table_write_arena(struct ls_table *t, u32 element, const void *bytes, u64 count);
/* Sums the counters of all workers into `out`, sizeof(struct ls_counters). */
void ls_table_counters(const struct ls_table *t, struct ls_counters *out);

#endif
