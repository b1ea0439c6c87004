/* The process-private half of replication: what was sent or installed of each slot, where an id is, and a sketch per group. */
#ifndef LOCKSTEP_SYNC_REPLICA_H
#define LOCKSTEP_SYNC_REPLICA_H

#include <pthread.h>

#include "sync/api.h"
#include "table/table.h"

/* What the peer has, or shall have, of a slot. */
struct ls_shadow {
	struct ls_sketch_item item;
	u8 rg;
	u8 used;
	u8 turn; /* of the key it is counted under */
	u8 pad;
	u32 doomed; /* generation of the session here that is on its way out */
};
LS_ASSERT_SIZE(struct ls_shadow, 32);

/* Items on their way into, or out of, the cells below m of their group: together they cost half. */
#define LS_SYNC_BATCH 64
struct ls_sync_batch {
	struct ls_sketch_item items[LS_SYNC_BATCH];
	u32 n, m;
};

struct ls_sync_group {
	struct ls_sketch_key key;
	struct ls_sketch_cell *cells; /* without what is in the batches */
	struct ls_sync_batch in, out;
	u32 m;          /* cells that hold every item */
	u32 more;       /* cells from m up to here hold the items of slots below more_at; m: none are being built */
	u32 more_at;
	u32 counted_at; /* slots below are counted under this key; the number of slots: all are */
	u8 turn;
	u64 items;

	struct ls_sketch_cell *cut; /* the sketch at the last cut */
	u32 cut_cells, cut_room;
	u64 cut_items;

	struct ls_sketch_decoder *decoder;
	u64 peer_items;
	u32 fed;
	double spread, weight; /* of the counts of the cells that were fed, and how much of it one difference makes */
	struct ls_session_id *need; /* of the last comparison: what the peer is asked for */
	u32 needed;
	struct ls_session_id *gone; /* and what was deleted here */
	u32 gone_n;
};

struct ls_doomed {
	u32 slot, gen;
	u8 reason;
};

/* A record whose tuple is still another session's. */
struct ls_sync_waiting {
	struct ls_wire_record record;
	u64 since_ns;
	u32 flags; /* enum ls_install_flags */
	u32 pad;
};
#define LS_WAITING_MAX 4096
#define LS_WAITING_NS 2000000000ULL

struct ls_replica {
	struct ls_table *t;
	struct ls_shadow *shadow; /* by slot */
	u32 *byid;                /* slot + 1 and some of the hash, open addressing */
	u32 byid_mask;
	u64 byid_key[2];          /* secret: ids come from the peer */
	struct ls_sync_group group[LS_RGS_MAX];
	u64 late_conflicts, late_full; /* of rows that had to wait */

	pthread_mutex_t lock; /* all above and below */
	pthread_cond_t wake, idle;
	pthread_t thread;
	bool stop, busy, populated;
	struct ls_doomed *doomed; /* grows with what comes in at once; slots bound it */
	u32 dooms, doomed_room;
	struct ls_sync_waiting *waiting; /* LS_WAITING_MAX */
	u32 waits;
};

/* replica.c. All hold r->lock. */
u64 ls_sync_hash(const struct ls_replica *r, const struct ls_session_id *id);
/* Slot, or LS_SLOT_NONE. `h`, here and below: ls_sync_hash() of the id. */
u32 ls_sync_find(const struct ls_replica *r, const struct ls_session_id *id, u64 h);
/* Into the cache what ls_sync_find() will read: `far` ahead its first place, then what is there. */
void ls_sync_fetch(const struct ls_replica *r, u64 h, bool far);
void ls_sync_forget(struct ls_replica *r, u32 slot);
void ls_sync_remember(struct ls_replica *r, u32 slot, const struct ls_wire_record *record, u64 h);
bool ls_sync_is_current(const struct ls_replica *r, u32 slot, const struct ls_wire_record *record);
/* Does the slot hold the session of that id and group now? Its generation. */
bool ls_sync_holds(const struct ls_replica *r, u32 slot, const struct ls_session_id *id, u32 rg, u32 *gen);
/* Batches into the cells, before anybody looks at them. */
void ls_sync_flush(struct ls_sync_group *g);
/* Once a session that is told late is old enough, it is the peer's as well from here on. False: it is not late, not of these groups, or too young. */
bool ls_sync_ripen(struct ls_replica *r, u32 owned, u32 slot);
/* A live session that is for peers, as it is now. */
bool ls_sync_read(const struct ls_replica *r, u32 slot, u64 now_ns, struct ls_wire_record *out);

/* incoming.c */
bool ls_sync_doom(struct ls_replica *r, u32 slot, u32 gen, u32 reason);
void *ls_sync_reaper(void *replica);

LS_INLINE bool ls_sync_same(const struct ls_session_id *a, const struct ls_session_id *b) { return a->origin == b->origin && a->serial == b->serial; }

#endif
