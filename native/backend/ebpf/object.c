/* Takes the compiled XDP program in, from the build folder (LS_BPF_OBJECT names the file). */
#include "backend/ebpf/object.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	".globl ls_bpf_object\n"
	"ls_bpf_object:\n"
	".incbin \"" LS_BPF_OBJECT "\"\n"
	".globl ls_bpf_object_end\n"
	"ls_bpf_object_end:\n"
	".byte 0\n"
	".previous\n");
