/* The XDP program as clang compiled it, BTF included: what bpf_object__open_mem() takes. */
#ifndef LOCKSTEP_EBPF_OBJECT_H
#define LOCKSTEP_EBPF_OBJECT_H

#include "lockstep/types.h"

extern const u8 ls_bpf_object[], ls_bpf_object_end[];
#define ls_bpf_object_bytes ((size_t)(ls_bpf_object_end - ls_bpf_object))

#endif
