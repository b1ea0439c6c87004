/* The peer: the same program with kernel hash maps for the index and the records, of the same key and record. Two rows a session, as real systems keep
 * them: tuple -> record, reply tuple -> tuple. A reply takes two lookups; it need not hash the tuple itself. Counters of the record are atomic in both.
 */
#define LS_PORT_IMPL "backend/ebpf/port_impl.h"
#include "pipeline/hash.h"
#define ls_hash_key(key, tuple, mask) ((void)(tuple), (struct ls_hash){ 0 })
#include "pipeline/pipeline.h"

enum { BPF_MAP_TYPE_HASH = 1, BPF_NOEXIST = 1 };
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;

#define PEER_MAP(name, of)                               \
	struct {                                         \
		LS_BTF_INT(type, BPF_MAP_TYPE_HASH);     \
		LS_BTF_INT(max_entries, 1);              \
		LS_BTF_TYPE(key, struct ls_key);         \
		LS_BTF_TYPE(value, of);                  \
	} name LS_SEC(".maps")
PEER_MAP(peer_forward, struct ls_session);
PEER_MAP(peer_reply, struct ls_key);

LS_STAGE u32 peer_create(const struct ls_env *e, struct ls_pkt *p, struct ls_choice *x)
{
	LS_GIVEN(e && p && x);
	ls_image_fill(e, p, x);
	p->image.gen = 1;
	p->image.state = LS_STATE_SET_LIFECYCLE(p->image.state, LS_LIVE);
	p->scratch = p->image.reply;
	if (bpf_map_update_elem(&peer_reply, &p->scratch, &p->key, BPF_NOEXIST) != 0 ||
	    bpf_map_update_elem(&peer_forward, &p->key, &p->image, BPF_NOEXIST) != 0)
		return ls_drop(e, p, LS_DROP_TABLE_FULL);
	ls_count(e, LS_CTR_SESSIONS_CREATED, 1);
	ls_count_opened(e, p);
	return ls_forward(e, p, x->mode);
}

LS_STAGE u32 peer_open(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	struct ls_choice x;
	u32 v;

	ls_count(e, LS_CTR_SESSION_MISSES, 1);
	v = ls_decide(e, p, &x, 0);
	return v == LS_V_NEXT ? peer_create(e, p, &x) : v;
}

LS_INLINE u32 peer_back(const struct ls_env *e, struct ls_pkt *p)
{
	struct ls_session *s = bpf_map_lookup_elem(&peer_forward, &p->key);
	u32 dir = LS_FORWARD;

	if (!s) {
		const struct ls_key *forward = bpf_map_lookup_elem(&peer_reply, &p->key);

		s = forward ? bpf_map_lookup_elem(&peer_forward, forward) : NULL;
		dir = LS_REPLY;
	}
	return s ? ls_hit_found(e, p, s, LS_REF(0, dir), s->gen) : peer_open(e, p);
}

#define ls_pipeline_back peer_back
#include "backend/ebpf/xdp.bpf.c"
#include "wrapper.bpf.h"
