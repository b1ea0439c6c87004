/* The eBPF backend as its callers see it: maps, program and links of one instance. Published, they are pinned under one folder of bpffs and outlive the
 * process; before that the maps are memory like any other, which another dataplane may work on.
 *
 * Sessions are not reached from here: each region of the table is a map whose descriptor the caller lays its table over (table/api.h). One controlling
 * thread calls these. Every failure fills struct ls_bpf_error.
 */
#ifndef LOCKSTEP_EBPF_API_H
#define LOCKSTEP_EBPF_API_H

#include "lockstep/table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_BPF_PORTS_MAX 64 /* devices; ids from 1 */
#define LS_BPF_NAME 64      /* of a port, with the zero */
#define LS_BPF_INTERFACE 16

struct ls_bpf_error {
	int err_no;
	char text[512];
};

struct ls_bpf;

/* The maps: those that are pinned in `folder`, or new ones, of which `header` gives the sizes and becomes the header. Pins that an interrupted creation
 * left are removed. A folder that exists is taken for this process: a second one gets LS_E_BUSY.
 * LS_E_LAYOUT: pinned by another layout version, both named. LS_E_PERMISSION. LS_E_NOMEM. */
enum ls_status ls_bpf_open(const char *folder, const struct ls_header *header, struct ls_bpf **out, struct ls_bpf_error *error);
/* The program over the maps. LS_E_UNSUPPORTED: the kernel refuses it; ls_bpf_log() tells why. Once. */
enum ls_status ls_bpf_load(struct ls_bpf *b, struct ls_bpf_error *error);
/* Takes the folder and pins the maps, the header last. LS_E_BUSY; LS_E_UNSUPPORTED: no bpffs. Nothing when it is done already. */
enum ls_status ls_bpf_publish(struct ls_bpf *b, struct ls_bpf_error *error);
/* The role of the freer of a published table, for this process: waits at most `wait_ms` for who has it. LS_E_BUSY. */
enum ls_status ls_bpf_freer(struct ls_bpf *b, u32 wait_ms, struct ls_bpf_error *error);
/* Whatever is pinned in `folder`, by any version: removed, links and all. LS_E_BUSY: an agent has it. LS_E_NOT_FOUND. */
enum ls_status ls_bpf_remove(const char *folder, struct ls_bpf_error *error);
/* Links, pins and folder go; the maps stay for whoever has them. */
enum ls_status ls_bpf_unpublish(struct ls_bpf *b, struct ls_bpf_error *error);
/* The table was there before: adopt it. */
bool ls_bpf_existed(const struct ls_bpf *b);
/* Programs that forward by now, this process's or an earlier one's: at most `max`. */
struct ls_bpf_link {
	char name[LS_BPF_NAME]; /* of the port */
	u32 device;
};
u32 ls_bpf_links(const struct ls_bpf *b, struct ls_bpf_link *out, u32 max);
/* Descriptor of a region's map, owned by `b`. */
int ls_bpf_region(const struct ls_bpf *b, u32 region);
/* The verifier's log of the last load; empty when there was nothing to say. */
const char *ls_bpf_log(const struct ls_bpf *b);

enum ls_bpf_mode { LS_BPF_DRIVER, LS_BPF_GENERIC };
struct ls_bpf_port {
	char name[LS_BPF_NAME];      /* of the pin */
	char interface[LS_BPF_INTERFACE];
	char netns[128];             /* path; empty = this process's */
	u32 device;                  /* id in the configuration bank, 1 to LS_BPF_PORTS_MAX - 1 */
	u32 generic;                 /* 1: fall back to generic mode where the driver cannot */
	/* result */
	u32 ifindex;
	u32 mode; /* enum ls_bpf_mode */
	u32 redirect; /* see ways.h */
	u32 recorded; /* 1: flows that the host opens by it are recorded; 0: the kernel has no tcx (Linux 6.6) */
	u16 mtu;
	u8 mac[6];
};
/* Frames can leave by the port, and are known if they come in; flows that the host opens by it are recorded. */
enum ls_status ls_bpf_ways(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error);
/* The program runs on the port from here on; a pinned link of this name is taken over without a gap.
 * LS_E_NO_DEVICE, LS_E_BUSY (another program is there, named), LS_E_UNSUPPORTED (driver mode refused). */
enum ls_status ls_bpf_attach(struct ls_bpf *b, struct ls_bpf_port *port, struct ls_bpf_error *error);
/* LS_E_NOT_FOUND: there is none of this name. */
enum ls_status ls_bpf_detach(struct ls_bpf *b, const char *name, struct ls_bpf_error *error);
/* Links of ports that no configuration names any more: detached. How many. */
u32 ls_bpf_detach_others(struct ls_bpf *b, const char names[][LS_BPF_NAME], u32 n);

/* What the kernel has, each tried. At most `max`, 16 are enough. */
struct ls_bpf_feature {
	const char *name;
	bool ok;
	bool needed; /* false: the backend runs without it, and can do less */
	char reason[160];
};
u32 ls_bpf_probe(struct ls_bpf_feature *out, u32 max);

/* Lets go of the descriptors; pins stay and forwarding goes on. */
void ls_bpf_close(struct ls_bpf *b);

#ifdef __cplusplus
}
#endif

#endif
