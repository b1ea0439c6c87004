/** conntrackd.conf -> the ends of a pair and the size of its table. conntrackd.conf(5). */
import { limits } from '../../generated/layout.js'
import { directivesOf, noteOn, remarkOn, Section, type Directive } from './blocks.js'
import { reasonsOf, unreadable, type Notes } from './notes.js'
import { importPair, pairPorts, type PairPath } from './pair.js'
import type { Source } from './source.js'
import { sourceLines } from './text.js'
import { addressText, numberOf } from './values.js'
import { withoutComment, wordsOf } from './words.js'
import type { Comment, Draft } from './write.js'

const lag = 'the stream of sessions is reliable and acknowledged, its window is the agent\'s own: `lockstep cluster status` shows the lag'
const live = 'the copy of the standby is its live table: nothing is cached beside it, committed at a takeover or flushed after one'
const netlink = 'sessions are the agent\'s own, not read from the kernel over netlink'
const daemon = 'the unit of systemd has this, and the agent logs to standard output'

const modeReasons = reasonsOf([
  ['resendqueuesize ackwindowsize', lag],
  ['disableexternalcache disableinternalcache committimeout purgetimeout cachetimeout', live],
  ['startupresync', 'always so: a node that starts gets all sessions of the other, then is proven equal'],
  ['refreshtime', 'nothing is sent again and again: differences are found by comparing both tables, all the time'],
])
const linkReasons = reasonsOf([
  ['interface', 'a path is known by its addresses; the kernel chooses the interface'],
  ['sndsocketbuffer rcvsocketbuffer', lag],
  ['checksum', 'the stream is TCP, and authenticated'],
])
const optionReasons = reasonsOf([
  ['tcpwindowtracking', 'the TCP state of a session goes to the other node with it'],
  ['expectationsync', 'no equivalent: there are no helpers that expect related connections'],
])
const generalReasons = reasonsOf([
  ['hashsize', 'one table, sized by agent.table.capacity'],
  ['logfile syslog', daemon], ['lockfile systemd nice scheduler', daemon],
  ['unix', 'agent.socket is the socket of the operator API'],
  ['netlinkbuffersize netlinkbuffersizemaxgrowth netlinkoverrunresync netlinkeventsreliable pollsecs eventiterationlimit', netlink],
  ['filter', 'every session of a redundancy group is at both nodes; `sync: never` or `sync: 5s` of a policy leaves out what is not worth it, and the host\'s own connections are not in the table'],
])
const topReasons = reasonsOf([
  ['stats', 'no such mode: `log: [open, close]` of policies, counters and metrics tell of sessions'],
  ['helper', 'no equivalent: there are no helpers in user space'],
])
const syncModes: Readonly<Record<string, string>> = {
  alarm: 'carried as the reliable stream there is: changes are sent as they happen, nothing again and again',
  notrack: 'carried as the reliable stream there is',
}

export function importConntrackd (input: string | Uint8Array, source: Source, notes: Notes): Draft {
  const lines = sourceLines(input, source.file).map(({ line, text }) => ({ line, words: wordsOf(withoutComment(text, '#')).words }))
  const items = directivesOf(lines, source.file, word => word.toLowerCase())
  if (!items.some(d => ['sync', 'general', 'stats', 'helper'].includes(d.key))) {
    throw unreadable(source.file, items[0]?.line ?? null, 'nothing of conntrackd is in it', items[0]?.words[0], 'Sync, General, Stats or Helper, as in conntrackd.conf(5)')
  }
  const top = new Section(notes, items)
  const general = new Section(notes, top.all('general').flatMap(d => d.block ?? []))
  const capacity = capacityOf(general)
  general.rest(generalReasons)
  const comments: Comment[] = []
  const sync = top.all('sync')
  const paths = pathsOf(new Section(notes, sync.flatMap(d => d.block ?? [])))
  top.rest(topReasons)
  const [node, peer] = [source.node ?? 'node-1', source.peer ?? (source.node === 'node-2' ? 'node-1' : 'node-2')]
  const cluster = sync.length === 0 ? {} : importPair(notes, { node, peer, first: true, paths }, comments)
  if (sync.length > 0) notes.add(null, 'redundancy-groups, interfaces, zones', 'who owns what is not in this file: import keepalived.conf too, and drop the scripts that call conntrackd at a takeover')
  return { config: { agent: capacity === null ? {} : { table: { capacity } }, cluster }, comments }
}

/** The least power of two that holds HashLimit. */
function capacityOf (general: Section): string | number | null {
  const d = general.last('hashlimit')
  const wanted = numberOf(general.notes, d, 1, limits.LS_CAPACITY_MAX)
  if (d === null || wanted === null) return null
  const size = Math.max(limits.LS_CAPACITY_MIN, 2 ** Math.ceil(Math.log2(wanted)))
  noteOn(general.notes, d, `carried as agent.table.capacity ${size}, a power of two; conntrackd asks for twice the sessions of the kernel, so half of it may be enough`)
  return size % 2 ** 20 === 0 ? `${size / 2 ** 20}M` : size % 1024 === 0 ? `${size / 1024}k` : size
}

const linkKeys = ['multicast', 'udp', 'tcp'] as const

function pathsOf (sync: Section): PairPath[] {
  const { notes } = sync
  for (const d of sync.all('mode')) {
    const mode = (d.words[1] ?? '').toLowerCase()
    if (mode !== 'ftfw') remarkOn(notes, d, syncModes[mode] ?? 'no such mode: carried as the reliable stream there is')
    Section.of(notes, d).rest(modeReasons)
  }
  for (const d of sync.all('options')) Section.of(notes, d).rest(optionReasons)
  const links = sync.all(...linkKeys)
  const preferred = (d: Directive): boolean => d.words.slice(1).some(word => word.toLowerCase() === 'default')
  const paths = [...links.filter(preferred), ...links.filter(d => !preferred(d))].flatMap(d => pathOf(notes, d) ?? [])
  sync.rest(new Map())
  return paths
}

function pathOf (notes: Notes, d: Directive): PairPath | null {
  const section = Section.of(notes, d)
  const multicast = d.key === 'multicast'
  const own = multicast ? section.last('ipv4_interface', 'ipv6_interface') : section.last('ipv4_address', 'ipv6_address')
  const peer = multicast ? null : section.last('ipv4_destination_address', 'ipv6_destination_address')
  const port = section.last('port', 'group')
  if (port !== null) noteOn(notes, port, `sessions go over TCP ${pairPorts.sync}, heartbeats over UDP ${pairPorts.heartbeat}: let the firewalls between the nodes pass them`)
  if (multicast) {
    for (const group of section.all('ipv4_address', 'ipv6_address')) noteOn(notes, group, 'the nodes speak to each other alone, without multicast')
    remarkOn(notes, d, 'a path by multicast: the address of the other node is not in it')
  }
  section.rest(linkReasons)
  const path = { own: endOf(notes, own), peer: endOf(notes, peer) }
  return path.own === null && path.peer === null ? null : path
}

function endOf (notes: Notes, d: Directive | null): string | null {
  const address = addressText(d?.words[1])
  if (d === null) return null
  // An address of a link is on every interface.
  const why = address === null ? 'not an address; left out' : address.startsWith('fe80:') ? 'a link-local address does not say which link: give the path an address of its own; left out' : null
  if (why === null) return address
  noteOn(notes, d, why)
  return null
}
