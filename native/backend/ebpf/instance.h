/* What the parts of the eBPF backend share: one instance. */
#ifndef LOCKSTEP_EBPF_INSTANCE_H
#define LOCKSTEP_EBPF_INSTANCE_H

#include "backend/ebpf/api.h"
#include "keeper/keeper.h"

#define LS_BPF_PATH 384
#define LS_PIN_NAME (LS_BPF_NAME + 24)
#define LS_OUT_PREFIX "out_" /* of a pin: the program on a port's way out */

struct bpf_object;

struct ls_bpf {
	char folder[256];
	int lock;                     /* the folder, flock()ed: the lock ends with the process however that ends; -1: not taken */
	struct bpf_object *maps;      /* the regions alone */
	struct bpf_object *object;    /* the program over them; NULL: not loaded */
	int program;                  /* of `object`: ls_xdp */
	int out;                      /* of `object`: ls_out */
	int ways_out;                 /* devmap: device -> kernel interface */
	int ways_in;                  /* array: kernel interface -> device */
	int region[LS_REGION_COUNT];
	int freer;                    /* the lock of the freer's role; -1 */
	bool existed, published;
	char *log;
};

enum ls_status ls_bpf_fail(struct ls_bpf_error *error, enum ls_status status, int err_no, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The status that an errno means. */
enum ls_status ls_bpf_status(int err_no);
void ls_bpf_path(const struct ls_bpf *b, char *out, const char *name);

/* Takes and makes the folder. */
enum ls_status ls_pins_open(struct ls_bpf *b, struct ls_bpf_error *error);
/* Descriptor of a pinned object, or -errno. */
int ls_pin_get(const struct ls_bpf *b, const char *name);
int ls_pin_put(const struct ls_bpf *b, const char *name, int fd); /* 0 or -errno */
/* Calls `each` for every pin whose name begins with `prefix`; how many. */
u32 ls_pins_each(const struct ls_bpf *b, const char *prefix, void (*each)(struct ls_bpf *b, const char *name, void *arg), void *arg);
void ls_pins_remove(const struct ls_bpf *b, const char *prefix);

#endif
