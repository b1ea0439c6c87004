/* The operations on a session table, for callers outside it: no inline code, plain C types, readable from C++.
 *
 * All are batch operations that return counts; none throws, none is called per session. Thread: any, unless a line says otherwise.
 */
#ifndef LOCKSTEP_TABLE_API_H
#define LOCKSTEP_TABLE_API_H

#include "lockstep/config.h"
#include "lockstep/filter.h"
#include "lockstep/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ls_table;

struct ls_geometry {
	u32 capacity; /* a power of two, LS_CAPACITY_MIN to LS_CAPACITY_MAX */
	u32 cpus;     /* worker ids below belong to XDP; 0 when the table is user space's alone */
	u32 threads;  /* packet worker threads */
	u32 arena;    /* 64-byte elements for Maglev rings; 0 = default */
};

enum ls_huge { LS_HUGE_NEVER, LS_HUGE_TRY, LS_HUGE_MUST };

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
/* Lays a table over regions that are a mmapable object each, as BPF maps are, and adopts what is there (R6). The first holds the header already; the
 * descriptors stay the caller's, and so does the right to be the only one. `created`: they are new. `programs`: the workers below header.cpus live. */
enum ls_status ls_table_over(const int regions[LS_REGION_COUNT], bool created, bool programs, struct ls_table **out, int *err_no);
/* Maps a table that another process holds, for packet workers of this one: nothing is adopted or locked, and only ls_worker_join(), ls_env_worker() and
 * graces are for it. Regions of their own, or one descriptor for all. */
enum ls_status ls_table_join(const int *fds, u32 n, struct ls_table **out, int *err_no);
void ls_table_close(struct ls_table *t);

/* wire.c */
void ls_wire_pack(const struct ls_session *s, u32 slot, u32 kind, u64 now_ns, struct ls_wire_record *out);
enum ls_status ls_wire_check(const struct ls_wire_record *r);

/* session_table.c: lookups, install, delete */
/* Takes a coherent copy of a live session; false when the slot is not live. */
bool ls_session_read(const struct ls_table *t, u32 slot, struct ls_session *out);
enum ls_status ls_table_find(const struct ls_table *t, const struct ls_key *key, u32 *slot, u32 *gen);
/* The session that owns the tuple, in either direction, as it is now. LS_E_NOT_FOUND: none, or it ended meanwhile. */
enum ls_status ls_table_get(const struct ls_table *t, const struct ls_key *key, struct ls_wire_record *out);

enum ls_install_flags {
	LS_INSTALL_MARK = 1 << 0,
	LS_INSTALL_TELL = 1 << 1, /* opened here: told like those of workers, and not of a peer */
	LS_INSTALL_TOUCH = 1 << 2, /* counters and last seen of what is here; LS_E_NOT_FOUND: it is not */
};
struct ls_install_result {
	u64 installed, replaced, conflicts, full, invalid;
};
/* `n` packed records of `stride` bytes (at least sizeof the record; what follows is ignored). status[n], if given, gets enum ls_status, slots[n] where each
 * is now, or LS_SLOT_NONE. */
void ls_table_install(struct ls_table *t, const u8 *records, u32 stride, u32 n, u32 flags, u8 *status, u32 *slots,
		      struct ls_install_result *result);

struct ls_delete_result {
	u64 matched, deleted;
	u64 grace_ns;
};
/* Frees `n` slots whose generation still is gens[i], for `reason`. */
void ls_table_free_slots(struct ls_table *t, const u32 *slots, const u32 *gens, u32 n, u32 reason, struct ls_delete_result *result);
void ls_table_delete_ids(struct ls_table *t, const struct ls_wire_delete *rows, u32 n, struct ls_delete_result *result);
void ls_table_delete_filter(struct ls_table *t, const struct ls_filter *f, u32 reason, const u32 *cancel,
			    struct ls_delete_result *result);
/* Sessions of all reals whose bit is set, in one walk. */
void ls_table_delete_reals(struct ls_table *t, const u64 reals[LS_REALS_MAX / 64], struct ls_delete_result *result);
/* Of a dataplane that is programmed. `lives`: leases are kept. `keeps`: its sessions (LS_SF_PROGRAM) do not end by time, it says when; no policy of ours is theirs. */
void ls_table_programmed(struct ls_table *t, bool lives, bool keeps);
/* Drains notices and the deletion feed into packed records; *overruns counts what was lost since the last call. */
u32 ls_table_drain(struct ls_table *t, struct ls_wire_record *out, u32 max, u64 *overruns);
u32 ls_table_drain_logs(struct ls_table *t, struct ls_log *out, u32 max);
void ls_table_feed(struct ls_table *t, bool on);

/* reevaluate.c: frees the sessions that the policies in force no longer permit. */
void ls_table_reevaluate(struct ls_table *t, struct ls_delete_result *result);

/* nat_usage.c: one row per address of a configured pool; how many, at most `max`. */
struct ls_nat_row {
	struct ls_addr addr;
	u16 pool; /* id */
	u16 pad;
	u32 ports; /* that one destination can see at a time */
	u64 in_use; /* sessions, all destinations together */
	u64 created;
	u64 failed; /* no free port found */
};
u32 ls_table_nat_usage(const struct ls_table *t, struct ls_nat_row *out, u32 max);

/* session_tally.c: live sessions by phase, by id of the zone they came from, by IANA protocol number. Each sums up to the same. */
struct ls_session_tally {
	u64 phase[LS_PHASE_COUNT];
	u64 zone[LS_ZONES_MAX];
	u64 proto[256];
};
void ls_table_session_tally(const struct ls_table *t, struct ls_session_tally *out);

/* freer.c */
/* Waits until every attached worker has passed a quiescent point (R4). A child of this process whose worker stays in one burst for LS_PROCESS_SILENT_MS (stopped, or
 * its driver hangs) is killed: a dead one is not waited for, and its end is told as any (waitpid). Threads, and processes that are not our children, are waited for. */
void ls_table_grace(struct ls_table *t);
/* The same for XDP programs, whoever holds the table; false: this host cannot tell when they are done. */
bool ls_rcu_grace(void);
/* Fills the workers' rings from the list of free slots; how many slots are in neither: sessions, and what is on its way. */
u64 ls_table_refill(struct ls_table *t);
void ls_worker_attach(struct ls_table *t, u32 worker);
void ls_worker_detach(struct ls_table *t, u32 worker);
/* Attaches from a process that only joined the table, and says so in the worker's words: nobody waits for it when it is dead. Who holds the table fills its
 * ring, and detaches it or adopts from it once the process ended. False: somebody has the id. */
bool ls_worker_join(struct ls_table *t, u32 worker);
/* A process ended, or there is none with this id any more: also one that nobody has waited for. */
bool ls_process_gone(u32 pid);
/* Programs record what the host opens itself: its replies are known by their sessions, not by their ports (D1). */
void ls_table_host_flows(struct ls_table *t, bool on);
/* No peer knows of it, or is to know: whoever has it ends it, and it counts for nobody else. */
bool ls_session_private(const struct ls_session *s);
/* Looks at the next `slots` slots and frees the expired; how many. */
u32 ls_table_expire(struct ls_table *t, u32 slots);
enum ls_status ls_freer_start(struct ls_table *t);
void ls_freer_stop(struct ls_table *t);

/* adopt.c: after the holder of the table died, or workers of it (R6). `living`, one per worker id: who forwards on meanwhile; NULL: nobody.
 * LS_OK or LS_E_NOMEM, which leaves the table as it was. */
struct ls_adopt_result {
	u64 live, undone, finished, listed, entries_cleared;
};
enum ls_status ls_table_adopt(struct ls_table *t, const bool *living, struct ls_adopt_result *result);
/* Adopts from workers `first` to `first + n - 1`, whose process ended; the others live. It is waited for, at most LS_PROCESS_END_MS. */
enum ls_status ls_table_adopt_from(struct ls_table *t, u32 first, u32 n, struct ls_adopt_result *result);

/* scan.c */
bool ls_filter_match(const struct ls_filter *f, const struct ls_session *s, u64 now_ns);
/* Rows as columns: for each bit of `columns` in order, rows * size bytes, packed one column after the other with room for `max_rows` each.
 * Returns the rows; *cursor moves on, to 0xffffffff when done. Stops after `max_ns` as well. */
u32 ls_scan_columns(const struct ls_table *t, const struct ls_filter *f, u32 columns, u32 *cursor, u8 *out, u32 max_rows, u64 max_ns);
/* The same as packed wire records. */
u32 ls_scan_records(const struct ls_table *t, const struct ls_filter *f, u32 *cursor, struct ls_wire_record *out, u32 max_rows,
		    u64 max_ns);
/* Records that match, in order, at `out`, which may be where they are; how many. */
u32 ls_records_select(const struct ls_filter *f, const struct ls_wire_record *records, u32 n, struct ls_wire_record *out);
/* Records as ls_scan_columns would give their sessions: room for `n` rows. What ends is told as it was last. */
void ls_records_columns(const struct ls_table *t, const struct ls_wire_record *records, u32 n, u32 columns, u8 *out);
u64 ls_scan_count(const struct ls_table *t, const struct ls_filter *f, const u32 *cancel);
u32 ls_column_bytes(u32 column);
/* Walks all three lines of every live record; the sum of packets, so that nothing is optimised away. */
u64 ls_scan_walk(const struct ls_table *t, u64 *live);

/* reconcile.c */
struct ls_reconcile_result {
	u64 scanned; /* received, or the peer's and looked at */
	u64 stale, deleted;
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
enum ls_status ls_table_read_config(const struct ls_table *t, void *bank, u64 bytes);
void ls_table_set_role(struct ls_table *t, u32 rg, u32 role, u64 epoch, u64 lease_deadline_ns);
struct ls_rg ls_table_group(const struct ls_table *t, u32 rg);
enum ls_status ls_table_write_arena(struct ls_table *t, u32 element, const void *bytes, u64 count);
/* Sums the counters of all workers into `out`, sizeof(struct ls_counters). */
void ls_table_counters(const struct ls_table *t, struct ls_counters *out);
/* Adds to `n` counters from word `first` of struct ls_counters on: what a dataplane with counters of its own has counted. False: outside of it. Any thread. */
bool ls_table_add_counters(struct ls_table *t, u32 first, const u64 *add, u32 n);


/* What a table is and holds now. */
struct ls_table_info {
	u64 bytes, origin, live, passes, freed, installed, generation, graces, grace_ns;
	u64 freed_by[16]; /* by enum ls_close_reason */
	u32 capacity, slots, buckets, workers, cpus, threads, free_ring, notice_ring, arena_elements, listed, pressure; /* enum ls_pressure */
	s32 fd;
	u32 huge;
	u32 silenced; /* process that was ended because a worker of it stayed in one burst; 0: none */
};
void ls_table_info(const struct ls_table *t, struct ls_table_info *out);
/* Rings that the configuration in force picks from; at most `max`. */
struct ls_ring_place {
	u32 element; /* of the arena */
	u32 entries;
};
u32 ls_table_rings(const struct ls_table *t, struct ls_ring_place *out, u32 max);
enum ls_status ls_table_read_arena(const struct ls_table *t, u32 element, void *out, u64 bytes);
/* Events of one zone in the current window by screen (LS_SCREEN_COUNT numbers); 0 when the window is over. */
void ls_table_rates(const struct ls_table *t, u32 zone, u64 *out);

#ifdef __cplusplus
}
#endif

#endif
