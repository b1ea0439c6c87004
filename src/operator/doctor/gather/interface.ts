/** Facts of interfaces: what iproute2 and ethtool say, and their sysctls. */
import { xdpFeatures } from '../../../native/xdp-features.js'
import type { InterfaceFacts, InterfaceSysctl, Link, Peer, TcProgram, XdpProgram } from '../facts.js'
import { isUnseen, known, mapSeen, readSeen, unseen, type Seen } from '../seen.js'
import { readAll } from './files.js'
import { list, number, object, parseArray, text, type Json } from './json.js'
import { notRoot, runTool } from './tool.js'

/** `ip -j -d addr show` of one namespace, by device. */
export type Links = ReadonlyMap<string, Json>

export async function gatherLinks (netns: string | null, signal?: AbortSignal): Promise<Seen<Links>> {
  return readSeen(await runTool('ip', ['-j', '-d', 'addr', 'show'], { netns, signal }), (out) => new Map(parseArray(out).map((l) => [text(l['ifname']), l] as const)))
}

export async function gatherInterface (device: string, netns: string | null, links: Seen<Links>, tc: Seen<ReadonlyMap<string, readonly TcProgram[]>>, signal?: AbortSignal): Promise<InterfaceFacts> {
  const raw = mapSeen(links, (l) => l.get(device) ?? null)
  const link = readSeen(raw, (l) => l === null ? null : linkOf(l))
  const none = isUnseen(link) ? link : link.value === null ? unseen('there is no such interface', link.source) : null
  const [sysctl, driver, features, channels, rss] = await Promise.all([
    none ?? gatherSysctl(device, netns, signal),
    none ?? gatherDriver(device, netns, signal),
    none ?? gatherFeatures(device, netns, signal),
    none ?? gatherChannels(device, netns, signal),
    none ?? gatherRss(device, netns, signal)
  ])
  const peer = isUnseen(link) || link.value?.kind !== 'veth' || isUnseen(raw) || raw.value === null || isUnseen(links) ? null : await gatherPeer(raw.value, netns, links.value, signal)
  return { device, netns, link, sysctl, driver, xdpFeatures: none ?? gatherXdpFeatures(isUnseen(link) ? 0 : link.value?.index ?? 0, netns), features, channels, rss, tc: mapSeen(tc, (all) => all.get(device) ?? []), peer }
}

/** Up, and not the loopback: what is looked at when nothing is claimed. */
export function isUp (l: Json): boolean {
  const flags = list(l['flags']).map(text)
  return flags.includes('UP') && !flags.includes('LOOPBACK')
}

const MODES = { 1: 'driver', 2: 'generic', 3: 'offload' } as const

function linkOf (l: Json): Link {
  const flags = list(l['flags']).map(text)
  return {
    index: number(l['ifindex']),
    kind: l['linkinfo'] === undefined ? '' : text(object(l['linkinfo'])['info_kind']),
    mtu: number(l['mtu']),
    up: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    rxQueues: number(l['num_rx_queues']),
    addresses: list(l['addr_info']).map(object).filter((a) => text(a['scope']) !== 'link' && text(a['scope']) !== 'host').map((a) => `${text(a['local'])}/${number(a['prefixlen'])}`),
    xdp: xdpOf(l)
  }
}

function xdpOf (l: Json): XdpProgram[] {
  if (l['xdp'] === undefined) return []
  const xdp = object(l['xdp'])
  const attached = list(xdp['attached']).map(object)
  return (attached.length > 0 ? attached : [xdp]).flatMap((a) => {
    const mode = MODES[number(a['mode']) as keyof typeof MODES]
    if (mode === undefined) return []
    const program = a['prog'] === undefined ? {} : object(a['prog'])
    return [{ mode, id: number(program['id']), name: text(program['name']) }]
  })
}

async function gatherSysctl (device: string, netns: string | null, signal?: AbortSignal): Promise<Seen<InterfaceSysctl>> {
  const own = (family: string, key: string): string => `/proc/sys/net/${family}/conf/${device}/${key}`
  const all = (key: string): string => `/proc/sys/net/ipv4/conf/all/${key}`
  const paths = [own('ipv4', 'forwarding'), own('ipv6', 'forwarding'), own('ipv4', 'rp_filter'), all('rp_filter')]
  return readSeen(await readAll(netns, paths, signal), (files) => {
    const [forwarding4 = null, forwarding6 = null, rpFilter = null, rpFilterAll = null] = paths.map((p) => {
      const value = files.get(p)
      return value === undefined ? null : Number(value)
    })
    if (forwarding4 === null || rpFilter === null || rpFilterAll === null) throw new Error(`not all of ${own('ipv4', '*')} can be read`)
    return { forwarding4, forwarding6, rpFilter, rpFilterAll }
  })
}

/** Neither of these has JSON in every release. */
const gatherDriver = async (device: string, netns: string | null, signal?: AbortSignal): Promise<Seen<string>> =>
  readSeen(await runTool('ethtool', ['-i', device], { netns, signal }), (out) => {
    const name = /^driver: (.*)$/m.exec(out)?.[1]
    if (name === undefined) throw new Error('no line "driver:"')
    return name
  })

/** No tool of Debian 12 asks this. */
function gatherXdpFeatures (index: number, netns: string | null): InterfaceFacts['xdpFeatures'] {
  const source = `generic netlink netdev, dev-get ifindex ${index}${netns === null ? '' : ` in ${netns}`}`
  try {
    return known(xdpFeatures(netns ?? '', index), source)
  } catch (error) {
    const { message } = error as Error
    return /not permitted|permission denied/i.test(message) ? notRoot(source) : unseen(message, source)
  }
}

async function gatherFeatures (device: string, netns: string | null, signal?: AbortSignal): Promise<Seen<Readonly<Record<string, boolean>>>> {
  const json = await runTool('ethtool', ['--json', '-k', device], { netns, signal })
  if (!isUnseen(json)) {
    return readSeen(json, (out) => Object.fromEntries(parseArray(out).flatMap((o) => Object.entries(o)).flatMap(([name, f]) => typeof f === 'object' && f !== null && 'active' in f ? [[name, f.active === true]] : [])))
  }
  return readSeen(await runTool('ethtool', ['-k', device], { netns, signal }), parseFeatures)
}

/** `tx-checksumming: on`, `\ttx-checksum-ipv4: off [fixed]`. */
export const parseFeatures = (out: string): Record<string, boolean> => Object.fromEntries([...out.matchAll(/^\s*([a-z0-9-]+): (on|off)\b/gm)].map(([, name = '', state]) => [name, state === 'on']))

const UNSUPPORTED = /not supported/i

async function gatherChannels (device: string, netns: string | null, signal?: AbortSignal): Promise<InterfaceFacts['channels']> {
  const seen = await runTool('ethtool', ['-l', device], { netns, signal })
  if (isUnseen(seen)) return UNSUPPORTED.test(seen.unseen) ? known(null, seen.source) : seen
  return readSeen(seen, parseChannels)
}

export function parseChannels (out: string): { current: number, max: number, kind: 'combined' | 'rx' } | null {
  const [maxima = '', current = ''] = out.split(/^Current hardware settings:$/m)
  const count = (part: string, key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(part)?.[1] ?? 0)
  if (count(maxima, 'Combined') > 0) return { current: count(current, 'Combined'), max: count(maxima, 'Combined'), kind: 'combined' }
  if (count(maxima, 'RX') > 0) return { current: count(current, 'RX'), max: count(maxima, 'RX'), kind: 'rx' }
  return null
}

async function gatherRss (device: string, netns: string | null, signal?: AbortSignal): Promise<InterfaceFacts['rss']> {
  const seen = await runTool('ethtool', ['-x', device], { netns, signal })
  if (isUnseen(seen)) return UNSUPPORTED.test(seen.unseen) ? known(null, seen.source) : seen
  return readSeen(seen, parseRss)
}

export function parseRss (out: string): { key: string[], symmetric: boolean } | null {
  const key = /^RSS hash key:\s*\n([0-9a-f]{2}(?::[0-9a-f]{2})+)\s*$/m.exec(out)?.[1]
  return key === undefined ? null : { key: key.split(':'), symmetric: /^\s*symmetric-(?:or-)?xor: on$/m.test(out) }
}

/** The other end is in this namespace, or in one that has a name. */
async function gatherPeer (l: Json, netns: string | null, links: Links, signal?: AbortSignal): Promise<Peer> {
  const place = await peerPlace(l, netns, links, signal)
  if (isUnseen(place)) return { place, features: place }
  return { place, features: await gatherFeatures(place.value.device, place.value.netns, signal) }
}

async function peerPlace (l: Json, netns: string | null, links: Links, signal?: AbortSignal): Promise<Peer['place']> {
  const found = (p: Json, at: string | null) => ({ device: text(p['ifname']), netns: at, mtu: number(p['mtu']), xdp: xdpOf(p).some((x) => x.mode === 'driver') })
  const source = 'ip -j -d addr show'
  if (l['link'] !== undefined) {
    const own = links.get(text(l['link']))
    return own === undefined ? unseen('the other end of the pair is not listed', source) : known(found(own, netns), source)
  }
  const id = l['link_netnsid']
  const names = readSeen(await runTool('ip', ['-j', 'netns', 'list-id'], { netns, signal }), (out) => parseArray(out).find((n) => n['nsid'] === id)?.['name'])
  if (isUnseen(names)) return names
  if (id === undefined || typeof names.value !== 'string') return unseen('the other end of the pair is in a namespace without a name', names.source, 'ip netns attach NAME PID_OF_A_PROCESS_IN_IT')
  const path = `/run/netns/${names.value}`
  return readSeen(await gatherLinks(path, signal), (there) => {
    const peer = [...there.values()].find((p) => p['ifindex'] === l['link_index'])
    if (peer === undefined) throw new Error('the other end of the pair is not listed')
    return found(peer, path)
  })
}
