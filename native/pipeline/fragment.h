/* Later fragments follow the first: its ports are remembered by (addresses, identification, protocol), bounded and timed.
 *
 * One entry per hash slot, guarded by `seq` (odd while written; a writer that finds it odd leaves it). A colliding datagram replaces the
 * older one: later fragments of that are then dropped and counted, never sent to a wrong session.
 */
#ifndef LOCKSTEP_PIPELINE_FRAGMENT_H
#define LOCKSTEP_PIPELINE_FRAGMENT_H

#include "pkt.h"

LS_INLINE u32 ls_frag_hash(const struct ls_env *e, const struct ls_pkt *p)
{
	struct ls_key key = p->key;

	key.sport_be = (be16)p->ident;
	key.dport_be = (be16)(p->ident >> 16);
	return ls_hash_key(port_hash_key(e), &key, 0xffffffff).bucket;
}

/* False: somebody else is at the entry. */
LS_STAGE bool ls_frag_remember(const struct ls_env *e, const struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	struct ls_frag *f = port_frag(e, ls_frag_hash(e, p));
	struct ls_frag image;
	u64 seq;

	if (!f)
		return false;
	seq = LS_LOAD_ACQ(&f->seq);
	if ((seq & 1) || LS_CAS(&f->seq, seq, seq + 1) != seq)
		return false;
	image = (struct ls_frag){ .deadline_ns = port_now(e) + LS_FRAG_TIMEOUT_MS * 1000000ULL, .src = p->key.src, .dst = p->key.dst,
		.ident = p->ident, .sport_be = p->key.sport_be, .dport_be = p->key.dport_be, .proto = p->key.proto,
		.family = p->key.family, .domain = p->key.domain };
	LS_FENCE_REL();
	ls_words_store(&f->deadline_ns, &image.deadline_ns, 7);
	LS_STORE_REL(&f->seq, seq + 2);
	return true;
}

/* Gives a later fragment the ports of its first; false when that is unknown. */
LS_STAGE bool ls_frag_recall(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	struct ls_frag *f = port_frag(e, ls_frag_hash(e, p));
	struct ls_frag seen;
	u64 seq;

	if (!f)
		return false;
	seq = LS_LOAD_ACQ(&f->seq);
	if (seq & 1)
		return false;
	ls_words_load(&seen.deadline_ns, &f->deadline_ns, 7);
	LS_FENCE_ACQ();
	if (LS_LOAD(&f->seq) != seq || seen.deadline_ns < port_now(e) || seen.ident != p->ident || seen.proto != p->key.proto ||
	    seen.family != p->key.family || seen.domain != p->key.domain || !ls_addr_equal(&seen.src, &p->key.src) ||
	    !ls_addr_equal(&seen.dst, &p->key.dst))
		return false;
	p->key.sport_be = seen.sport_be;
	p->key.dport_be = seen.dport_be;
	return true;
}

#endif
