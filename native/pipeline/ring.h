/* The worker's ends of its three rings: takes free slots, pushes notices and log records. Single producer, single consumer. */
#ifndef LOCKSTEP_PIPELINE_RING_H
#define LOCKSTEP_PIPELINE_RING_H

#include "counters.h"

/* A free slot, or LS_SLOT_NONE. It is in hand from before it leaves the ring: whoever adopts the table sees it in one of the two (R6). An undone one
 * is still in hand and comes first (R2). */
LS_INLINE u32 ls_slot_take(const struct ls_env *e)
{
	struct ls_worker *w = port_worker(e);
	u64 tail, *cell, slot;

	if (!w)
		return LS_SLOT_NONE;
	slot = LS_LOAD(&w->spare);
	if (slot)
		return (u32)(slot - 1);
	tail = LS_LOAD(&w->free_tail);
	if (tail == LS_LOAD_ACQ(&w->free_head))
		return LS_SLOT_NONE;
	cell = port_free_slot(e, tail);
	if (!cell)
		return LS_SLOT_NONE;
	slot = LS_LOAD(cell);
	LS_STORE(&w->spare, slot + 1);
	LS_STORE_REL(&w->free_tail, tail + 1);
	return (u32)slot;
}

/* The slot in hand is LIVE now. */
LS_INLINE void ls_slot_used(const struct ls_env *e)
{
	struct ls_worker *w = port_worker(e);

	if (w)
		LS_STORE_REL(&w->spare, 0);
}

/* True when the notice is in the ring; a full ring marks an overrun and forwarding goes on (R9). */
LS_INLINE bool ls_notice_push(const struct ls_env *e, u32 slot, u32 gen, u32 kind, u32 aux)
{
	struct ls_worker *w = port_worker(e);
	u64 head;
	struct ls_notice *n;

	if (!w)
		return false;
	head = LS_LOAD(&w->notice_head);
	n = port_notice(e, head);
	if (!n || head - LS_LOAD_ACQ(&w->notice_tail) >= port_notice_ring(e)) {
		LS_STORE(&w->overrun, LS_LOAD(&w->overrun) + 1);
		ls_count(e, LS_CTR_NOTICE_OVERRUNS, 1);
		return false;
	}
	*n = (struct ls_notice){ .slot = slot, .gen = gen, .kind = (u8)kind, .worker = (u8)port_worker_id(e), .aux = aux };
	LS_STORE_REL(&w->notice_head, head + 1);
	ls_count(e, LS_CTR_NOTICES, 1);
	return true;
}

LS_INLINE bool ls_log_push(const struct ls_env *e, const struct ls_log *record)
{
	struct ls_worker *w = port_worker(e);
	u64 head;
	struct ls_log *l;

	if (!w)
		return false;
	head = LS_LOAD(&w->log_head);
	l = port_log(e, head);
	if (!l || head - LS_LOAD_ACQ(&w->log_tail) >= port_log_ring(e)) {
		ls_count(e, LS_CTR_LOGS_LOST, 1);
		return false;
	}
	*l = *record;
	LS_STORE_REL(&w->log_head, head + 1);
	return true;
}

#endif
