/* Neighbours' questions and announcements as whole frames, with the tags of their port. Sources: RFC 826, RFC 4861 4.3 and 4.4, IEEE 802.1Q. */
#ifndef LOCKSTEP_BACKEND_NEIGHBOUR_FRAMES_H
#define LOCKSTEP_BACKEND_NEIGHBOUR_FRAMES_H

#include "backend/userspace/api.h"

#define LS_ND_SOLICITATION 135
#define LS_ND_ADVERTISEMENT 136

/* Where a frame leaves. */
struct ls_frame_link {
	const u8 *mac;
	u16 outer_vlan, inner_vlan; /* host order; 0 = untagged */
};

/* Lengths of the frames. `target_mac` NULL: it is asked for. */
u32 ls_arp_frame(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, u16 operation, const struct ls_addr *sender, const u8 *target_mac, const struct ls_addr *target);
/* To the target's solicited-node group, from `sender`. */
u32 ls_nd_solicitation(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, const struct ls_addr *sender, const struct ls_addr *target);
/* To all nodes, from the target; with the flags that answers of the pipeline have (pipeline/answer.h). */
u32 ls_nd_advertisement(u8 f[LS_NEIGHBOUR_FRAME_BYTES], const struct ls_frame_link *l, const struct ls_addr *target);

#endif
