/* The process-private half of a session table: the mapping, the writer lock, the agent's free list, the feed of deletions.
 *
 * One process holds a table (an OFD lock on its descriptor, R5). Threads: packet workers touch shared memory only; every other change goes
 * through the one writer (R7): install, free, refill, delete each hold it for at most LS_WRITER_BATCH records.
 */
#ifndef LOCKSTEP_TABLE_TABLE_H
#define LOCKSTEP_TABLE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "table/api.h"
#include "table/env.h"

/* Deletions, and what the agent opened, leave as packed wire records: the slot of a deletion is reused at once. Bounded; a full feed counts and forgets (level-triggered). */
#define LS_FEED 65536
struct ls_feed {
	pthread_mutex_t lock;
	struct ls_wire_record *record; /* LS_FEED of them, NULL while nobody listens */
	u64 head, tail, lost, lost_seen;
};

struct ls_mapping {
	void *at;
	u64 bytes;
};

struct ls_table {
	struct ls_env env; /* as the agent: worker id = workers - 1 */
	struct ls_mapping mapping[LS_REGION_COUNT]; /* one for all regions, or one each */
	u32 mappings;
	int fd; /* of the one mapping; -1 */
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
	u32 program_lives, program_keeps; /* ls_table_programmed */
	pthread_t freer_thread;
	atomic_bool freer_run;
	bool freer_started;
	_Atomic u64 grace_ns_total, graces;
	u32 silent_ms;        /* LS_PROCESS_SILENT_MS */
	_Atomic u32 silenced; /* the last process that a grace ended; 0: none */
	pthread_mutex_t freer; /* one free batch at a time: expiry and deletions share the work region */
};

/* The table as worker `worker_id` sees it. */
void ls_env_worker(const struct ls_table *t, u32 worker_id, struct ls_env *out);
void ls_feed_push(struct ls_table *t, const struct ls_session *s, u32 slot, u32 kind, u32 reason);
/* Waits for every run of an XDP program that began before, if any CPU is attached. */
void ls_programs_grace(const struct ls_table *t);
/* Frees what a predecessor left DYING or DEAD. The caller holds t->freer. */
void ls_freer_finish(struct ls_table *t, const u32 *slots, u32 n);
/* ls_table_free_slots with a reason for each slot. */
void ls_free_slots_by(struct ls_table *t, const u32 *slots, const u32 *gens, const u8 *reasons, u32 n, struct ls_delete_result *result);

#endif
