/* libvppapiclient.so of the VPP that runs here, loaded when it is asked for: it must be of that very release, so nothing is linked to it and no header of it
 * is included. The declarations are the documented ones of its client interface.
 *
 * One for the life of the process: it keeps its state in globals, and has put exit handlers and threads where a library that is unloaded would leave holes. */
#ifndef LOCKSTEP_BACKEND_VPP_SHARED_LIBRARY_H
#define LOCKSTEP_BACKEND_VPP_SHARED_LIBRARY_H

#include <stddef.h>

#include "lockstep/codes.h"

#define LS_VPP_WHY 512

struct ls_vpp_library {
	/* 0, or below it. Blocks: 10 ms at least, 10 s when VPP is dead, 100 s when its segment is not complete. Keeps `chroot_prefix`. */
	int (*vac_connect)(char *name, char *chroot_prefix, void (*message)(unsigned char *data, int bytes), int rx_queue);
	/* Spins for 2 s when VPP is dead. */
	int (*vac_disconnect)(void);
	/* Writes its own client_index over bytes 2 to 5. Blocks while VPP's queue is full, for ever when VPP is dead. */
	int (*vac_write)(char *message, int bytes);
	int (*vac_get_msg_index)(char *name_crc);
	void (*vac_mem_init)(size_t bytes);
	void (*vac_set_error_handler)(void (*warning)(void *arg, unsigned char *text, int bytes));
};

/* `path` NULL: libvppapiclient.so where the linker finds it, else the newest in the usual folders. Thread: one at a time.
 * LS_E_SYSTEM it cannot be loaded; LS_E_UNSUPPORTED a symbol is missing; LS_E_BUSY another one is loaded already. */
enum ls_status ls_vpp_library_load(const char *path, const struct ls_vpp_library **out, char why[LS_VPP_WHY]);

#endif
