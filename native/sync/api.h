/* A table's half of replication, for callers outside: what changed goes out as frames, what a peer sent comes in, and both are counted into sketches.
 *
 * Per slot it keeps the item last sent (of groups that this node owns) or last installed (of the peer's), so a sketch always stands for a place in the
 * stream and not for records that go on changing (D6). Process-private; one per table. Thread: one, the sync worker's; deletions and what has to wait for
 * them run on a thread of its own, under one lock.
 */
#ifndef LOCKSTEP_SYNC_API_H
#define LOCKSTEP_SYNC_API_H

#include "lockstep/peer.h"
#include "sketch/sketch.h"
#include "table/api.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ls_replica;

enum ls_status ls_replica_open(struct ls_table *t, struct ls_replica **out);
/* Waits for deletions under way. The table must still be open. */
void ls_replica_close(struct ls_replica *r);

/* Bytes of frames that ls_replica_note() may write for n records. */
#define LS_NOTE_BYTES(n) ((u64)(n) * (2 * sizeof(struct ls_frame) + sizeof(struct ls_wire_delete) + sizeof(struct ls_wire_record)))

/* Drained records (ls_table_drain) of the groups in `owned`, a bit each, as frames without seq and checksum, one group and type each, deletions first.
 * `out` holds LS_NOTE_BYTES(n). The bytes written; *rows gets the changes in them. */
u64 ls_replica_note(struct ls_replica *r, const struct ls_wire_record *records, u32 n, u32 owned, u8 *out, u64 *rows);

struct ls_apply_result {
	u64 installed; /* new or refreshed */
	u64 deleted;   /* found and on their way out */
	u64 unknown;   /* deletions of what is not here */
	u64 waiting;   /* tuples held by another session of the peer's, which goes first (R25) */
	u64 conflicts; /* tuples held by a session of ours: refused */
	u64 full, invalid;
};
/* Rows of one ordered frame of the peer's group `rg`. `mark`: within a bulk. LS_E_RECORD: no such type or a row too short; nothing was done. */
enum ls_status ls_replica_apply(struct ls_replica *r, u32 type, u32 rg, const u8 *rows, u32 row, u32 n, bool mark, struct ls_apply_result *result);
/* Another key for the group: its sketch is empty until ls_replica_count() has gone through the table. */
enum ls_status ls_replica_key(struct ls_replica *r, u32 rg, const u64 key[2]);
/* Counts sessions of `slots` more slots into sketches that are being built (new keys, more cells). True: all are whole. */
bool ls_replica_count(struct ls_replica *r, u32 slots);
/* The group's sketch shall have `cells` cells (up to LS_SKETCH_MAX), whole after ls_replica_count() says so. */
enum ls_status ls_replica_extend(struct ls_replica *r, u32 rg, u32 cells);

/* Remembers the group's sketch as it is now. LS_E_BUSY: it is being built, or rows wait. */
enum ls_status ls_replica_cut(struct ls_replica *r, u32 rg, struct ls_frame_cut *cut);
/* Cells [from, from + n) of the last cut, packed for the wire; at most `max` bytes. 0: no such cut or cells. */
u64 ls_replica_cells(struct ls_replica *r, u32 rg, u32 from, u32 n, u8 *out, u64 max);
/* Cells that the last cut of the group has. */
u32 ls_replica_cut_cells(const struct ls_replica *r, u32 rg);

/* Comparison of the last cut with the peer's of the same place. */
enum ls_compare { LS_COMPARE_MORE, LS_COMPARE_DONE, LS_COMPARE_FAILED };
/* Begins one; what an earlier one had is forgotten. `items`: of the peer. */
enum ls_status ls_replica_compare(struct ls_replica *r, u32 rg, u64 items);
/* The peer's next cells, packed. *found differences so far; *guess at how many there are, within 1.4 / sqrt(cells) of it as a rule.
 * LS_COMPARE_FAILED: cells that are none. */
enum ls_compare ls_replica_compare_cells(struct ls_replica *r, u32 rg, const u8 *cells, u64 bytes, u32 n, u64 *found, u64 *guess);
/* After LS_COMPARE_DONE: what only we have is deleted (*extra); *needed ids, of what the peer has and we have not, or not so, are for ls_replica_need(). */
enum ls_status ls_replica_compare_end(struct ls_replica *r, u32 rg, u64 *needed, u64 *extra);
/* Those from `from` on, at most `max`; how many. */
u32 ls_replica_need(const struct ls_replica *r, u32 rg, u32 from, struct ls_session_id *out, u32 max);
/* And what was deleted, until the next comparison. */
u32 ls_replica_gone(const struct ls_replica *r, u32 rg, u32 from, struct ls_session_id *out, u32 max);

/* Sessions as they are now, as one frame of upserts: those with these ids that the group still has. Bytes; 0: none. `out` holds a frame of n records. */
u64 ls_replica_records(struct ls_replica *r, u32 rg, const struct ls_session_id *ids, u32 n, u8 *out, u64 *rows);
/* The next sessions of the group from *cursor on, as one frame of upserts of at most `max` rows; *cursor is 0xffffffff at the end. */
u64 ls_replica_bulk(struct ls_replica *r, u32 rg, u32 *cursor, u32 max, u8 *out, u64 *rows);
/* Sessions of the owned groups that were seen since they were last told of, as frames of ls_activity; as ls_replica_bulk. */
u64 ls_replica_activity(struct ls_replica *r, u32 owned, u32 *cursor, u32 max, u64 since_ns, u8 *out, u64 *rows);

/* Holds records of `slots` slots from *cursor on against what was sent or installed. Of owned groups the frames that were missing, as ls_replica_note();
 * of others the sketch is put right, so that the next cut shows it. *cursor is 0xffffffff at the end; *found what differed. `out` holds
 * LS_NOTE_BYTES(slots). */
u64 ls_replica_audit(struct ls_replica *r, u32 owned, u32 *cursor, u32 slots, u8 *out, u64 *found);

/* A bulk of the peer's: rows are applied with `mark` from the one to the other. One at a time; the table's marks are used. How many sessions of the group
 * were stale. */
void ls_replica_bulk_begin(struct ls_replica *r);
u64 ls_replica_bulk_end(struct ls_replica *r, u32 rg);

/* Waits until no deletion is under way and no row waits. */
void ls_replica_settle(struct ls_replica *r);

struct ls_replica_info {
	u64 items[LS_RGS_MAX];
	u32 cells[LS_RGS_MAX];
	u64 waiting, deleting;
	u64 late_conflicts, late_full; /* rows that waited in vain: their tuple stayed another's, or there was no room */
	u64 bytes; /* of memory */
	bool populated; /* it is all there: no page of it is to be faulted in any more, where the kernel can do that ahead */
};
void ls_replica_info(const struct ls_replica *r, struct ls_replica_info *out);

#ifdef __cplusplus
}
#endif

#endif
