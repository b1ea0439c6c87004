/* The segment of VPP's binary API as a file: found before libvppapiclient is let near it, which would wait for one that is not there, make one that VPP
 * then cannot, and map it over whatever lies in its place. */
#ifndef LOCKSTEP_BACKEND_VPP_SEGMENT_H
#define LOCKSTEP_BACKEND_VPP_SEGMENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/vpp/shared_library.h"

struct ls_vpp_file {
	dev_t dev;
	ino_t ino;
};

struct ls_vpp_segment {
	char path[128];
	struct ls_vpp_file file;
};

/* `prefix`: of `api-segment { prefix ... }`; NULL: none. LS_E_SYSTEM it is not there; LS_E_PERMISSION; LS_E_BUSY something of this process lies in its place. */
enum ls_status ls_vpp_segment_find(const char *prefix, struct ls_vpp_segment *out, char why[LS_VPP_WHY]);
/* False: a VPP that started or stopped since has put another there, or none. */
bool ls_vpp_segment_stands(const struct ls_vpp_segment *s);
/* That process has it mapped, so it is of our pid namespace, and likely VPP. */
bool ls_vpp_segment_mapped_by(const struct ls_vpp_segment *s, int pid);
/* Of no file at all: false. */
bool ls_vpp_same_file(struct ls_vpp_file a, struct ls_vpp_file b);

#endif
