/* VLAN 100 for a host whose kernel has no VLAN devices: takes its tag off what comes in, and drops the rest. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int untag(struct __sk_buff *s)
{
	if (!s->vlan_present || (s->vlan_tci & 0xfff) != 100 || bpf_skb_vlan_pop(s) != 0)
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

char licence[] SEC("license") = "GPL";
