/* The object with a program more, which the verifier refuses: it reads beyond what it knows of the packet. */
#include "backend/ebpf/xdp.bpf.c"

LS_SEC("xdp") int ls_refused(struct xdp_md *ctx) { return ((const u8 *)(unsigned long)ctx->data)[100] ? XDP_PASS : XDP_DROP; }
