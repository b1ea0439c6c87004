/** keepalived.conf -> configuration of a Lockstep pair with its VIPs. */
import { noteOn, Section, type Directive } from './blocks.js'
import { CheckBook } from './check-book.js'
import { importGroups } from './keepalived-groups.js'
import { importServices } from './keepalived-services.js'
import { readKeepalived } from './keepalived-text.js'
import { scriptsOf } from './keepalived-track.js'
import { instanceOf, type Instance } from './keepalived-vrrp.js'
import { cleanName, Names } from './names.js'
import { reasonsOf, unreadable, type Notes } from './notes.js'
import { importPair, type PairPath } from './pair.js'
import type { Source } from './source.js'
import type { Comment, Draft } from './write.js'

const reasons = reasonsOf([
  ['static_routes static_rules static_ipaddress', 'the agent does not set addresses, routes and rules of the host: the network configuration does'],
  ['static_track_group track_group', 'static addresses and routes are not carried'],
  ['track_file vrrp_track_file vrrp_track_process', 'a monitor is of an interface, a neighbour or a script: write a script'],
  ['bfd_instance', 'no equivalent; a monitor of a neighbour sees whether it answers ARP or ND'],
  ['garp_group', 'floating addresses are announced after a move, by the agent\'s own times'],
  ['interface_up_down_delays', 'cluster.monitor worse-after and better-after are the damping of all monitors'],
  ['linkbeat_interfaces', 'the carrier is read from the kernel'],
  ['SSL', 'probes of keepalived take any certificate, and so do these; `tls.authority` with `verify: full` of a check looks at it'],
  ['use_pid_dir child_wait_time include_check', 'how keepalived itself runs; the unit of systemd has this'],
  ['instance', 'agent.instance tells several agents of one host apart'],
  ['net_namespace_ipvs namespace_with_ipsets', 'there is no IPVS; agent.netns and `netns` of a check are the namespaces of ports and of probes'],
])
const known = new Set([...reasons.keys(), 'global_defs', 'virtual_server', 'virtual_server_group', 'vrrp_instance', 'vrrp_sync_group', 'vrrp_script', 'vrrp_track_script', 'net_namespace'])

const globalReasons = reasonsOf([
  ['notification_email notification_email_from smtp_server smtp_connect_timeout smtp_helo_name smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults', 'no mail is sent; alarm on the metrics'],
  ['enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_traps snmp_socket', 'there is no SNMP; the gateway serves metrics for Prometheus'],
  ['enable_dbus dbus_service_name dbus_no_interface_name', 'there is no D-Bus; the operator API is gRPC'],
  ['notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script lvs_notify_fifo lvs_notify_fifo_script startup_script shutdown_script', 'no scripts are run; follow `lockstep cluster watch --json`'],
  ['enable_script_security script_user', 'programs run as nobody'],
  ['lvs_sync_daemon lvs_flush lvs_flush_onstop lvs_timeouts', 'there is no IPVS; sessions have `timeouts` of their own'],
  ['vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat vrrp_garp_interval vrrp_gna_interval vrrp_garp_extra_if', 'floating addresses are announced after a move, by the agent\'s own times'],
  ['vrrp_strict vrrp_version vrrp_mcast_group4 vrrp_mcast_group6 vrrp_skip_check_adv_addr vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_check_unicast_src vrrp_down_timer_adverts', 'there is no VRRP on the wire'],
  ['vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_ifindex nftables_counters nftables_ipvs', 'the agent writes no rules of the firewall'],
  ['dynamic_interfaces default_interface', 'interfaces are named where they are used'],
])

export function importKeepalived (input: string | Uint8Array, source: Source, notes: Notes): Draft {
  const items = readKeepalived(input, { file: source.file, configId: source.configId }, notes)
  if (!items.some(d => known.has(d.key))) throw unreadable(source.file, items[0]?.line ?? null, 'nothing of keepalived is in it', items[0]?.words[0], 'virtual_server, vrrp_instance or another block of keepalived.conf(5)')
  const top = new Section(notes, items)
  const globals = new Section(notes, top.all('global_defs').flatMap(d => d.block ?? []))
  const routerId = globals.last('router_id')
  const router = routerId?.words[1]
  const netns = globals.last('net_namespace') ?? top.last('net_namespace')
  globals.rest(globalReasons, 'how keepalived itself runs; nothing of ours is like it')

  const scripts = scriptsOf(notes, top)
  const instances = top.all('vrrp_instance').flatMap(d => instanceOf(notes, d, scripts) ?? [])
  const node = source.node ?? (router === undefined ? 'node-1' : cleanName(router))
  if (routerId !== null && (instances.length === 0 || node !== router)) noteOn(notes, routerId, instances.length === 0 ? 'names the node of a pair; agent.node is the host name unless the file says it' : `the node is named ${node}`)
  const { groups, interfaces, zones, groupOf } = importGroups(notes, top, instances, scripts, node)
  scripts.unused(notes)
  const checks = new CheckBook()
  const vips = importServices(top, { file: source.file, notes, names: new Names(), checks, groupOf, pair: instances.length > 0 })
  const comments: Comment[] = []
  const cluster = instances.length === 0 ? {} : clusterOf(notes, instances, node, source, comments)
  top.rest(reasons)
  wholes(notes, comments, instances, Object.keys(vips).length > 0)
  return { config: { agent: agentOf(notes, netns), cluster, 'redundancy-groups': groups, interfaces, zones, healthchecks: checks.checks, vips }, comments }
}

function agentOf (notes: Notes, netns: Directive | null): Record<string, unknown> {
  const name = netns?.words[1]
  if (netns === null) return {}
  if (name !== undefined && cleanName(name) === name) return { netns: name }
  noteOn(notes, netns, 'not a name that a namespace has here; left out')
  return {}
}

function clusterOf (notes: Notes, instances: readonly Instance[], node: string, source: Source, comments: Comment[]): Record<string, unknown> {
  const paths = new Map<string, PairPath>()
  for (const { own, peer } of instances) if (own !== null || peer !== null) paths.set(`${own ?? ''} ${peer ?? ''}`, { own, peer })
  const peer = source.peer ?? (node === 'node-2' ? 'node-1' : 'node-2')
  return importPair(notes, { node, peer, first: instances.some(i => i.master), paths: [...paths.values()] }, comments)
}

/** What a file of keepalived never has. */
function wholes (notes: Notes, comments: Comment[], instances: readonly Instance[], vips: boolean): void {
  if (instances.length > 0) {
    notes.add(null, 'redundancy-groups', 'the priority of the other node stands in its own file; without it 100 is taken')
    const reason = 'each interface has a zone of its own name: join them as the policies need, and say what the host itself accepts (host-inbound)'
    notes.add(null, 'zones', reason)
    comments.push({ path: ['zones'], text: reason })
  }
  if (vips) notes.add(null, 'policies', 'interfaces, zones, and policies that permit what the VIPs serve are not in this file: without a policy nothing passes between zones')
}
