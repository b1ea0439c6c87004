/* The programs that the XDP bench runs, around whatever pipeline the file that includes this one has put together. Each writes the frame anew first:
 * BPF_PROG_TEST_RUN keeps what a run made of it. That alone is `bench_wrapper`, which is taken off.
 */
#include "lanes.h"

LS_MAP(frames, struct bench_frame, 1);
LS_MAP(lanes, struct bench_lane, LANES);

LS_INLINE struct bench_lane *bench_restore(struct xdp_md *ctx)
{
	struct bench_lane *lane = ls_element(&ls_map_lanes, bpf_get_smp_processor_id());
	u8 *to = (u8 *)(unsigned long)ctx->data;
	const struct bench_frame *f;

	if (!lane || to + sizeof(*f) > (u8 *)(unsigned long)ctx->data_end)
		return NULL;
	f = ls_element(&ls_map_frames, lane->first + ((u32)lane->at & lane->mask));
	if (!f)
		return NULL;
	lane->at++;
#pragma unroll
	for (u32 i = 0; i < sizeof(*f); i += 8)
		ls_store64(to + i, ls_load64(f->bytes + i));
	return lane;
}

LS_SEC("xdp.frags") int bench_empty(struct xdp_md *ctx) { return XDP_DROP; }

LS_SEC("xdp.frags") int bench_wrapper(struct xdp_md *ctx)
{
	struct bench_lane *lane = bench_restore(ctx);

	if (!lane)
		return XDP_ABORTED;
	lane->sent++;
	return XDP_REDIRECT;
}

LS_SEC("xdp.frags") int bench_run(struct xdp_md *ctx)
{
	struct bench_lane *lane = bench_restore(ctx);
	int action = lane ? ls_frame_run(ctx) : XDP_ABORTED;

	if (lane && (action == XDP_REDIRECT || action == XDP_TX))
		lane->sent++;
	return action;
}
