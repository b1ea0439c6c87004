/** vrrp_instance, read: what of it a redundancy group can have. */
import { formatPrefix, parsePrefix } from '../../lib/address.js'
import { unusable } from '../build/interfaces.js'
import { noteOn, Section, type Directive } from './blocks.js'
import { tracked, type Scripts, type Watched } from './keepalived-track.js'
import { reasonsOf, type Notes } from './notes.js'
import { addressText, isOn, numberOf } from './values.js'

export interface Floating { readonly at: Directive, readonly address: string, readonly interface: string }

export interface Instance {
  readonly at: Directive
  readonly name: string
  readonly interface: string
  readonly master: boolean
  readonly priority: number
  readonly priorityAt: Directive
  readonly preempt: boolean
  readonly floating: readonly Floating[]
  readonly watched: readonly Watched[]
  /** Of this node and of its peer: where heartbeats and the stream can go. */
  readonly own: string | null
  readonly peer: string | null
}

export const vrrpReasons = reasonsOf([
  ['virtual_router_id', 'there is no VRRP on the wire: the two nodes speak over cluster.nodes, addresses move with the redundancy group'],
  ['advert_int down_timer_adverts', 'a lost peer is known after cluster.heartbeat interval times count, 100ms times 3 unless that says otherwise'],
  ['authentication', 'what the nodes say is authenticated with cluster.key-file'],
  ['virtual_routes virtual_rules', 'routes and rules of the host stay where they are: let the routing daemon or the network configuration set them at both nodes'],
  ['version native_ipv6', 'there is no VRRP on the wire'],
  ['use_vmac use_vmac_addr vmac_xmit_base use_ipvlan', 'floating addresses are answered with the MAC of the interface, and announced after a move'],
  ['garp_master_delay garp_master_repeat garp_lower_prio_delay garp_lower_prio_repeat garp_master_refresh garp_master_refresh_repeat garp_extra_if', 'floating addresses are announced after a move, by the agent\'s own times'],
  ['lower_prio_no_advert higher_prio_send_advert skip_check_adv_addr strict_mode check_unicast_src old_unicast_checksum unicast_ttl unicast_fault_no_peer mcast_dst_ip kernel_rx_buf_size', 'there is no VRRP on the wire'],
  ['accept no_accept', 'what the node itself accepts on floating addresses is host-inbound of the zone'],
  ['notify notify_master notify_backup notify_fault notify_stop notify_deleted notify_master_rx_lower_pri', 'no scripts are run; follow `lockstep cluster watch --json`'],
  ['notify_priority_changes', 'follow `lockstep cluster watch --json`'],
  ['smtp_alert', 'no mail is sent; alarm on the metrics'],
  ['lvs_sync_daemon_interface lvs_sync_daemon', 'the stream of sessions does this: every session of a group is at both nodes'],
  ['preempt_delay', 'a node takes a group back when it is ready: proven equal, and its monitors well for cluster.monitor.better-after'],
  ['track_src_ip', 'the peer hears when an address of this node is gone: its heartbeats end'],
  ['track_file track_process track_bfd', 'a monitor is of an interface, a neighbour or a script: write a script'],
  ['promote_secondaries linkbeat_use_polling debug vrf', 'the agent does not set this: the network configuration of the host does'],
  ['global_tracking sync_group_tracking_weight', 'every monitor is of the whole redundancy group'],
])

export function instanceOf (notes: Notes, d: Directive, scripts: Scripts): Instance | null {
  const section = Section.of(notes, d)
  const device = section.last('interface')?.words[1]
  if (device === undefined) {
    noteOn(notes, d, 'without an interface; nothing of it is carried')
    return null
  }
  const state = section.last('state')
  const priorityAt = section.last('priority')
  const priority = numberOf(notes, priorityAt, 1, 255) ?? 100
  const nopreempt = section.last('nopreempt')
  section.all('preempt')
  const loose = section.last('dont_track_primary')
  const floating = section.all('virtual_ipaddress', 'virtual_ipaddress_excluded').flatMap(list => (list.block ?? []).flatMap(entry => addressesOf(notes, entry, device)))
  const watched = [...(loose === null ? [{ interface: device, weight: 255 }] : []), ...tracked(section, scripts)]
  const ends = endsOf(section)
  section.rest(vrrpReasons)
  return {
    at: d, name: d.words[1] ?? '', interface: device, master: state?.words[1] === 'MASTER', priority, priorityAt: priorityAt ?? d,
    preempt: nopreempt === null || !isOn(nopreempt), floating, watched, ...ends,
  }
}

const addressOptions = new Set(['brd', 'scope', 'label', 'peer', 'preferred_lft'])

/** `192.0.2.1/24 dev eth1 label eth1:0`; several in one line when the block is on one line. */
function addressesOf (notes: Notes, entry: Directive, device: string): Floating[] {
  const out: Array<{ address: string, device: string }> = []
  const odd: string[] = []
  for (let i = 0; i < entry.words.length; i++) {
    const word = entry.words[i] ?? ''
    const prefix = parsePrefix(word)
    const last = out.at(-1)
    if (prefix !== null) {
      const reason = unusable(prefix)
      if (reason !== null) noteOn(notes, entry, `${word} is ${reason}: no host can have it; left out`)
      else out.push({ address: formatPrefix(prefix), device })
    } else if (word === 'dev' && last !== undefined) last.device = entry.words[++i] ?? device
    else if (addressOptions.has(word)) odd.push(`${word} ${entry.words[++i] ?? ''}`)
    else odd.push(word)
  }
  if (odd.length > 0) noteOn(notes, entry, `${odd.join(', ')}: ${out.length === 0 ? 'not an address' : 'a floating address has no such property'}; left out`)
  return out.map(({ address, device: on }) => ({ at: entry, address, interface: on }))
}

function endsOf (section: Section): Pick<Instance, 'own' | 'peer'> {
  const { notes } = section
  const source = section.last('unicast_src_ip', 'mcast_src_ip')
  const own = addressText(source?.words[1])
  if (source !== null && own === null) noteOn(notes, source, 'not an address; left out')
  const peers = section.all('unicast_peer').flatMap(block => block.block ?? [])
  let peer: string | null = null
  for (const entry of peers) {
    const addresses = entry.words.flatMap(word => addressText(word) ?? [])
    if (addresses.length === 0) noteOn(notes, entry, 'not an address; left out')
    else if (peer !== null || addresses.length > 1) noteOn(notes, entry, 'a cluster is a pair: one peer, the first')
    if (entry.words.some(word => word.endsWith('_ttl'))) noteOn(notes, entry, 'TTLs are not looked at: heartbeats are authenticated')
    peer ??= addresses[0] ?? null
  }
  return { own, peer }
}
