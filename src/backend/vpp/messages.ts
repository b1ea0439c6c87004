/**
 * The messages of VPP's binary API that are used here, by the key that VPP's own message table has: name and CRC of the layout. A key in the peer's table
 * means that it understands these bytes, whatever its release (checked for 22.02 to 26.10); where a release changed a layout there is a key for each.
 *
 * A field is `type name`, packed, big-endian: u8 u16 u32 u64 i32 bool; `f64`, which VPP leaves in host order; ip4 ip6 mac; `address` (family, then 16 bytes of
 * which IPv4 is the first four) and `prefix` (address, length), which are text here; `string[64]` with zeros behind, `string` with its length before it;
 * `type name[4]`, or `type name[count]` with the number in a field before it. Headers (id, client index, context) are not fields.
 */
import type { FieldsOf } from './notation.js'

/** Types that are made of others. */
export const structures = {
  lb_vip: 'prefix pfx, u8 protocol, u16 port',
  prefix_matcher: 'u8 le, u8 ge',
  nat_timeouts: 'u32 udp, u32 tcp_established, u32 tcp_transitory, u32 icmp',
  table_entry: 'u16 index, string[64] name',
  thread: 'u32 id, string[64] name, string[64] type, u32 pid, u32 cpu_id, u32 core, u32 cpu_socket',
  fib_label: 'u8 is_uniform, u32 label, u8 ttl, u8 exp',
  fib_path: 'u32 sw_if_index, u32 table_id, u32 rpf_id, u8 weight, u8 preference, u32 type, u32 flags, u32 proto, ip6 nh, u32 via_label, u32 obj_id, u32 classify_table_index, u8 n_labels, fib_label label_stack[16]',
  ip_route: 'u32 table_id, u32 stats_index, prefix prefix, u8 n_paths, fib_path paths[n_paths]'
} as const

const vip = 'prefix pfx, u8 protocol, u16 port'
const vipSettings = 'u32 encap, u8 dscp, u32 type, u16 target_port, u16 node_port, u32 new_flows_table_length'
const natSession = 'ip4 outside_ip_address, u16 outside_port, ip4 inside_ip_address, u16 inside_port, u16 protocol, u8 flags, u64 last_heard'
const natTotals = 'u64 total_bytes, u32 total_pkts, ip4 ext_host_address, u16 ext_host_port'
const natUser = 'u32 vrf_id, ip4 ip_address, u32 nsessions, u32 nstaticsessions'
const natRunning = 'i32 retval, u32 inside_vrf, u32 outside_vrf, u32 users, u32 sessions, u32 user_sessions, u32 user_buckets, u32 translation_buckets, bool forwarding_enabled, bool ipfix_logging_enabled, nat_timeouts timeouts, u8 log_level, u8 flags'
const retval = 'i32 retval'

/** One reply. */
export const requests = {
  control_ping_51077d14: { fields: '', reply: 'control_ping_reply_f6b0b8ca' },
  show_version_51077d14: { fields: '', reply: 'show_version_reply_c919bde1' },
  show_vpe_system_time_51077d14: { fields: '', reply: 'show_vpe_system_time_reply_7ffd8193' },
  show_threads_51077d14: { fields: '', reply: 'show_threads_reply_efd78e83' },
  cli_inband_f8377302: { fields: 'string cmd', reply: 'cli_inband_reply_05879051' },
  get_api_json_51077d14: { fields: '', reply: 'get_api_json_reply_ea715b59' },
  want_interface_events_476f5a08: { fields: 'u32 enable_disable, u32 pid', reply: 'want_interface_events_reply_e8d4e804' },
  sw_interface_set_flags_f5aec1b8: { fields: 'u32 sw_if_index, u32 flags', reply: 'sw_interface_set_flags_reply_e8d4e804' },
  sw_interface_add_del_address_5463d73b: { fields: 'u32 sw_if_index, bool is_add, bool del_all, prefix prefix', reply: 'sw_interface_add_del_address_reply_e8d4e804' },
  ip_route_lookup_710d6471: { fields: 'u32 table_id, u8 exact, prefix prefix', reply: 'ip_route_lookup_reply_5d8febcb' },
  lb_conf_56cd3261: { fields: 'ip4 ip4_src_address, ip6 ip6_src_address, u32 sticky_buckets_per_core, u32 flow_timeout', reply: 'lb_conf_reply_e8d4e804' },
  lb_conf_get_51077d14: { fields: '', reply: 'lb_conf_get_reply_923427ac' },
  lb_add_del_vip_v2_7c520e0f: { fields: `${vip}, ${vipSettings}, bool src_ip_sticky, bool is_del`, reply: 'lb_add_del_vip_v2_reply_e8d4e804' },
  lb_add_del_as_v2_2f1d3b0e: { fields: `${vip}, address as_address, u8 weight, bool is_del, bool is_flush`, reply: 'lb_add_del_as_v2_reply_e8d4e804' },
  lb_as_set_weight_2d89bdbd: { fields: `${vip}, address as_address, u8 weight, bool is_flush`, reply: 'lb_as_set_weight_reply_e8d4e804' },
  lb_flush_vip_1063f819: { fields: vip, reply: 'lb_flush_vip_reply_e8d4e804' },
  lb_add_del_intf_nat4_47d6e753: { fields: 'bool is_add, u32 sw_if_index', reply: 'lb_add_del_intf_nat4_reply_e8d4e804' },
  lb_add_del_intf_nat6_47d6e753: { fields: 'bool is_add, u32 sw_if_index', reply: 'lb_add_del_intf_nat6_reply_e8d4e804' },
  nat44_ei_show_running_config_51077d14: { fields: '', reply: 'nat44_ei_show_running_config_reply_41b66a81' },
  nat44_ei_plugin_enable_disable_bf692144: { fields: 'u32 inside_vrf, u32 outside_vrf, u32 users, u32 user_memory, u32 sessions, u32 session_memory, u32 user_sessions, bool enable, u8 flags', reply: 'nat44_ei_plugin_enable_disable_reply_e8d4e804' },
  nat44_ei_add_del_address_range_35f21abc: { fields: 'ip4 first_ip_address, ip4 last_ip_address, u32 vrf_id, bool is_add', reply: 'nat44_ei_add_del_address_range_reply_e8d4e804' },
  nat44_ei_interface_add_del_feature_63a2db8b: { fields: 'bool is_add, u8 flags, u32 sw_if_index', reply: 'nat44_ei_interface_add_del_feature_reply_e8d4e804' },
  nat44_ei_ha_set_listener_e4a8cb4e: { fields: 'ip4 ip_address, u16 port, u32 path_mtu', reply: 'nat44_ei_ha_set_listener_reply_e8d4e804' },
  nat44_ei_ha_set_failover_718246af: { fields: 'ip4 ip_address, u16 port, u32 session_refresh_interval', reply: 'nat44_ei_ha_set_failover_reply_e8d4e804' },
  nat44_ei_ha_get_listener_51077d14: { fields: '', reply: 'nat44_ei_ha_get_listener_reply_123ea41f' },
  nat44_ei_ha_get_failover_51077d14: { fields: '', reply: 'nat44_ei_ha_get_failover_reply_a67d8752' },
  nat44_ei_ha_flush_51077d14: { fields: '', reply: 'nat44_ei_ha_flush_reply_e8d4e804' },
  nat44_ei_del_session_74969ffe: { fields: 'ip4 address, u8 protocol, u16 port, u32 vrf_id, u8 flags, ip4 ext_host_address, u16 ext_host_port', reply: 'nat44_ei_del_session_reply_e8d4e804' },
  nat44_show_running_config_51077d14: { fields: '', reply: 'nat44_show_running_config_reply_93d8e267' },
  nat44_del_session_15a5bf8c: { fields: 'ip4 address, u8 protocol, u16 port, u32 vrf_id, u8 flags, ip4 ext_host_address, u16 ext_host_port', reply: 'nat44_del_session_reply_e8d4e804' },
  nat44_add_del_static_mapping_v2_5e205f1a: { fields: 'bool is_add, bool match_pool, u8 flags, ip4 pool_ip_address, ip4 local_ip_address, ip4 external_ip_address, u8 protocol, u16 local_port, u16 external_port, u32 external_sw_if_index, u32 vrf_id, string[64] tag', reply: 'nat44_add_del_static_mapping_v2_reply_e8d4e804' }
} as const

/** Any number of details, and nothing that says which is the last: a control ping right behind does. */
export const dumps = {
  sw_interface_dump_aa610c27: { fields: 'u32 sw_if_index, bool name_filter_valid, string name_filter', details: 'sw_interface_details_6c221fc7' },
  ip_address_dump_2d033de4: { fields: 'u32 sw_if_index, bool is_ipv6', details: 'ip_address_details_ee29b797' },
  lb_vip_dump_56110cb7: { fields: 'prefix pfx, prefix_matcher pfx_matcher, u8 protocol, u16 port', details: 'lb_vip_details_1329ec9b' },
  lb_as_v2_dump_1063f819: { fields: vip, details: 'lb_as_v2_details_90064aae' },
  nat44_ei_user_dump_51077d14: { fields: '', details: 'nat44_ei_user_details_355896c2' },
  nat44_ei_user_session_v2_dump_e1899c98: { fields: 'ip4 ip_address, u32 vrf_id', details: 'nat44_ei_user_session_v2_details_5bd3e9d6' },
  nat44_ei_user_session_dump_e1899c98: { fields: 'ip4 ip_address, u32 vrf_id', details: 'nat44_ei_user_session_details_19b7c0ac' },
  nat44_ei_address_dump_51077d14: { fields: '', details: 'nat44_ei_address_details_318f1202' },
  nat44_ei_interface_dump_51077d14: { fields: '', details: 'nat44_ei_interface_details_f446e508' },
  nat44_static_mapping_dump_51077d14: { fields: '', details: 'nat44_static_mapping_details_06cb40b2' },
  nat44_user_dump_51077d14: { fields: '', details: 'nat44_user_details_355896c2' },
  nat44_user_session_v3_dump_e1899c98: { fields: 'ip4 ip_address, u32 vrf_id', details: 'nat44_user_session_v3_details_edae926e' }
} as const

/** What VPP sends: replies, details and events. The fields of an event begin where those of a details message do: its own header has our index there. */
export const answers = {
  sockclnt_create_reply_35166268: 'i32 response, u32 index, u16 count, table_entry message_table[count]',
  sockclnt_delete_reply_8f38b1ee: 'i32 response',
  control_ping_reply_f6b0b8ca: 'i32 retval, u32 client_index, u32 vpe_pid',
  show_version_reply_c919bde1: 'i32 retval, string[32] program, string[32] version, string[32] build_date, string[256] build_directory',
  show_vpe_system_time_reply_7ffd8193: 'i32 retval, f64 vpe_system_time',
  show_threads_reply_efd78e83: 'i32 retval, u32 count, thread thread_data[count]',
  cli_inband_reply_05879051: 'i32 retval, string reply',
  get_api_json_reply_ea715b59: 'i32 retval, string json',
  want_interface_events_reply_e8d4e804: retval,
  sw_interface_set_flags_reply_e8d4e804: retval,
  sw_interface_add_del_address_reply_e8d4e804: retval,
  ip_route_lookup_reply_5d8febcb: 'i32 retval, ip_route route',
  lb_conf_reply_e8d4e804: retval,
  lb_conf_get_reply_923427ac: 'i32 retval, ip4 ip4_src_address, ip6 ip6_src_address, u32 sticky_buckets_per_core, u32 flow_timeout',
  lb_add_del_vip_v2_reply_e8d4e804: retval,
  lb_add_del_as_v2_reply_e8d4e804: retval,
  lb_as_set_weight_reply_e8d4e804: retval,
  lb_flush_vip_reply_e8d4e804: retval,
  lb_add_del_intf_nat4_reply_e8d4e804: retval,
  lb_add_del_intf_nat6_reply_e8d4e804: retval,
  nat44_ei_show_running_config_reply_41b66a81: natRunning,
  nat44_ei_plugin_enable_disable_reply_e8d4e804: retval,
  nat44_ei_add_del_address_range_reply_e8d4e804: retval,
  nat44_ei_interface_add_del_feature_reply_e8d4e804: retval,
  nat44_ei_ha_set_listener_reply_e8d4e804: retval,
  nat44_ei_ha_set_failover_reply_e8d4e804: retval,
  nat44_ei_ha_get_listener_reply_123ea41f: 'i32 retval, ip4 ip_address, u16 port, u32 path_mtu',
  nat44_ei_ha_get_failover_reply_a67d8752: 'i32 retval, ip4 ip_address, u16 port, u32 session_refresh_interval',
  nat44_ei_ha_flush_reply_e8d4e804: retval,
  nat44_ei_del_session_reply_e8d4e804: retval,
  nat44_show_running_config_reply_93d8e267: natRunning,
  nat44_del_session_reply_e8d4e804: retval,
  nat44_add_del_static_mapping_v2_reply_e8d4e804: retval,
  sw_interface_details_6c221fc7: 'u32 sw_if_index, u32 sup_sw_if_index, mac l2_address, u32 flags, u32 type, u32 link_duplex, u32 link_speed, u16 link_mtu, u32 mtu[4], u32 sub_id, u8 sub_number_of_tags, u16 sub_outer_vlan_id, u16 sub_inner_vlan_id, u32 sub_if_flags, u32 vtr_op, u32 vtr_push_dot1q, u32 vtr_tag1, u32 vtr_tag2, u16 outer_tag, mac b_dmac, mac b_smac, u16 b_vlanid, u32 i_sid, string[64] interface_name, string[64] interface_dev_type, string[64] tag',
  ip_address_details_ee29b797: 'u32 sw_if_index, prefix prefix',
  lb_vip_details_1329ec9b: 'lb_vip vip, u32 encap, u8 dscp, u32 srv_type, u16 target_port, u16 flow_table_length',
  lb_as_v2_details_90064aae: 'lb_vip vip, address app_srv, u8 flags, u32 in_use_since, u8 weight, u32 num_buckets',
  nat44_ei_user_details_355896c2: natUser,
  nat44_ei_user_session_v2_details_5bd3e9d6: `${natSession}, u64 time_since_last_heard, ${natTotals}`,
  nat44_ei_user_session_details_19b7c0ac: `${natSession}, ${natTotals}`,
  nat44_ei_address_details_318f1202: 'ip4 ip_address, u32 vrf_id',
  nat44_ei_interface_details_f446e508: 'u8 flags, u32 sw_if_index',
  nat44_static_mapping_details_06cb40b2: 'u8 flags, ip4 local_ip_address, ip4 external_ip_address, u8 protocol, u16 local_port, u16 external_port, u32 external_sw_if_index, u32 vrf_id, string[64] tag',
  nat44_user_details_355896c2: natUser,
  nat44_user_session_v3_details_edae926e: `${natSession}, u64 time_since_last_heard, ${natTotals}, ip4 ext_host_nat_address, u16 ext_host_nat_port, bool is_timed_out`,
  sw_interface_event_2d3d95a7: 'u32 pid, u32 sw_if_index, u32 flags, bool deleted'
} as const

/** Key -> fields, of all. */
export const layouts: ReadonlyMap<string, string> = new Map([...[...Object.entries(requests), ...Object.entries(dumps)].map(([key, { fields }]) => [key, fields] as const), ...Object.entries(answers)])

export type Structures = typeof structures
export type RequestKey = keyof typeof requests
export type DumpKey = keyof typeof dumps
export type AnswerKey = keyof typeof answers
export type EventKey = Extract<AnswerKey, `${string}_event_${string}`>
export type Question<K extends RequestKey | DumpKey> = FieldsOf<(typeof requests & typeof dumps)[K]['fields'], Structures>
export type Answer<K extends AnswerKey> = FieldsOf<(typeof answers)[K], Structures>
export type ReplyOf<K extends RequestKey> = Answer<(typeof requests)[K]['reply']>
export type DetailsOf<K extends DumpKey> = Answer<(typeof dumps)[K]['details']>

/** Names of what `retval` says, of those that are met here (VPP's api_errno). */
export const retvals: Readonly<Record<number, string>> = {
  [-1]: 'unspecified error', [-2]: 'no such interface', [-3]: 'no such FIB', [-6]: 'no such entry', [-7]: 'invalid value', [-30]: 'the feature is disabled', [-31]: 'registered already', [-53]: 'not found',
  [-70]: 'invalid size of memory', [-73]: 'invalid argument', [-81]: 'it exists already', [-97]: 'wrong address family', [-165]: 'ask again'
}
