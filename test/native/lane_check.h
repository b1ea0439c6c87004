/* A frame through a lane, checked as every frame is: what it is counted as, and what leaves. */
#ifndef LOCKSTEP_TEST_LANE_CHECK_H
#define LOCKSTEP_TEST_LANE_CHECK_H

#include "check.h"
#include "packet.h"

static inline u32 lane_run_bytes(struct lane *w, u32 port, const u8 *b, u32 len)
{
	u32 v = lane_send(w, port, b, len);
	const char *wrong = accounted(w, v);

	if (!wrong && (v == LS_V_TX || v == LS_V_NEIGH))
		wrong = frame_wrong(w);
	if (wrong)
		CHECK_FAIL("%s", wrong);
	return v;
}

static inline u32 lane_run(struct lane *w, u32 port, struct packet p) { return lane_run_bytes(w, port, p.b, p.len); }

#define CHECK_OUT(w, port, packet, iface)                                                                             \
	do {                                                                                                          \
		u32 check_v = lane_run(w, port, packet);                                                              \
		if (check_v != LS_V_TX)                                                                               \
			CHECK_FAIL("verdict %u (drop %s), expected to be sent", check_v, drop_names[(w)->pkt.drop]); \
		CHECK_EQ((w)->pkt.out_iface, iface);                                                                  \
	} while (0)
#define CHECK_DROP(w, port, packet, reason)                                                                                             \
	do {                                                                                                                            \
		u32 check_v = lane_run(w, port, packet);                                                                                \
		if (check_v != LS_V_DROP || (w)->pkt.drop != LS_DROP_##reason)                                                          \
			CHECK_FAIL("verdict %u reason %s, expected drop %s", check_v, drop_names[(w)->pkt.drop], drop_names[LS_DROP_##reason]); \
	} while (0)

#endif
