/* Several frames at once, for substrates that receive bursts: the first half of the pipeline for all, then the index buckets, then the records, are
 * fetched while other frames are worked on. A session among a million costs one wait for memory per burst instead of three per packet.
 */
#ifndef LOCKSTEP_PIPELINE_BURST_H
#define LOCKSTEP_PIPELINE_BURST_H

#include "pipeline.h"

/* The record that the `ahead`-th creation from now will take. */
LS_INLINE const struct ls_session *ls_peek_free(const struct ls_env *e, u32 ahead)
{
	const struct ls_worker *w = port_worker(e);
	u64 at = LS_LOAD(&w->free_tail) + ahead;

	return at < LS_LOAD_ACQ(&w->free_head) ? port_session(e, (u32)LS_LOAD(port_free_slot(e, at))) : NULL;
}

/* Starts fetching the record that the first matching tag of the buckets names, or for a new flow the free record it will take: guesses, checked by the
 * lookup. `opened` counts the new flows of this burst. */
LS_INLINE void ls_prefetch_session(const struct ls_env *e, const struct ls_pkt *p, u32 *opened)
{
	const struct ls_bucket *b = port_bucket(e, p->hash.bucket);
	u32 bits = ls_bucket_matches(b, p->hash.tag);
	const struct ls_session *s;

	if (!bits) {
		b = port_bucket(e, ls_other_bucket(p->hash.bucket, p->hash.tag, port_bucket_mask(e)));
		bits = ls_bucket_matches(b, p->hash.tag);
	}
	if (bits) {
		s = port_session(e, LS_REF_SLOT(LS_ENTRY_REF(LS_LOAD(&b->entry[__builtin_ctz(bits) & (LS_BUCKET_ENTRIES - 1)]))));
		if (!s)
			return;
		__builtin_prefetch(s);
		__builtin_prefetch(&s->reply);
	} else {
		s = ls_peek_free(e, (*opened)++);
		if (!s)
			return;
		__builtin_prefetch(s, 1);
		__builtin_prefetch(&s->reply, 1);
	}
	__builtin_prefetch(&s->state, 1);
}

/* `n` at most LS_BURST_MAX frames of one device; verdict[i] is what ls_pipeline() would return for pkt[i]. */
LS_INLINE void ls_pipeline_burst(const struct ls_env *e, struct ls_pkt *pkt, u32 n, u32 device, u32 *verdict)
{
	u32 opened = 0;

	for (u32 i = 0; i < n; i++) {
		verdict[i] = ls_pipeline_front(e, &pkt[i], device);
		if (verdict[i] != LS_V_NEXT)
			continue;
		__builtin_prefetch(port_bucket(e, pkt[i].hash.bucket));
		__builtin_prefetch(port_bucket(e, ls_other_bucket(pkt[i].hash.bucket, pkt[i].hash.tag, port_bucket_mask(e))));
	}
	for (u32 i = 0; i < n; i++)
		if (verdict[i] == LS_V_NEXT)
			ls_prefetch_session(e, &pkt[i], &opened);
	for (u32 i = 0; i < n; i++) {
		if (verdict[i] == LS_V_NEXT)
			verdict[i] = ls_pipeline_back(e, &pkt[i]);
		verdict[i] = ls_pipeline_end(e, &pkt[i], verdict[i]);
	}
}

#endif
