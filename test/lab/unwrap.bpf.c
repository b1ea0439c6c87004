/* A server behind a tunnel whose kernel has no tunnels: takes IP in IP and GRE off what comes in (RFC 2003, 2784, 4213). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FOUR 0x0008 /* ethertypes as they lie in memory */
#define SIX 0xdd86

static __always_inline int deeper(__u32 protocol, __u16 *type)
{
	*type = protocol == 4 ? FOUR : SIX;
	return protocol == 4 || protocol == 41;
}

SEC("xdp.frags") int unwrap(struct xdp_md *x)
{
	__u8 *h = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u16 mac[6], type;
	__u32 outer, protocol;

	if (h + 14 + 44 > end)
		return XDP_PASS;
	__builtin_memcpy(mac, h, 12);
	type = *(__u16 *)(h + 12);
	if (type != FOUR && type != SIX)
		return XDP_PASS;
	outer = type == FOUR ? 20 : 40;
	protocol = type == FOUR ? h[14 + 9] : h[14 + 6];
	if (protocol == 47) {
		type = *(__u16 *)(h + 14 + outer + 2);
		outer += 4;
	} else if (!deeper(protocol, &type)) {
		return XDP_PASS;
	}
	if (bpf_xdp_adjust_head(x, (int)outer) != 0)
		return XDP_DROP;
	h = (void *)(long)x->data;
	end = (void *)(long)x->data_end;
	if (h + 14 > end)
		return XDP_DROP;
	__builtin_memcpy(h, mac, 12);
	*(__u16 *)(h + 12) = type;
	return XDP_PASS;
}

char licence[] SEC("license") = "GPL";
