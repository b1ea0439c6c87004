/** `interfaces`: logical interfaces, and the ports that they need opened. */
import { resolve } from 'node:path'
import type { AgentSettings, Interface, Port, RedundancyGroup, TrafficSource, Zone } from '../../contract/desired.js'
import { limits } from '../../generated/layout.js'
import { formatAddress, formatNetwork, formatPrefix, networkOf, parseMac, parsePrefix, prefixSpan, spansOverlap, type PrefixValue } from '../../lib/address.js'
import { deviceName, isOwnDeviceName } from '../../lib/devargs.js'
import { pointer } from '../issues.js'
import type { Many, RawConfig, RawInterface } from '../raw.js'
import { addressHint, singleAddress } from './addresses.js'
import { entries, type Build } from './context.js'
import { buildSources } from './sources.js'
import { groupOf } from './zones.js'

export interface Ports { readonly ports: Port[], readonly interfaces: Interface[] }

export function buildInterfaces (b: Build, raw: RawConfig, agent: AgentSettings, zones: readonly Zone[], groups: readonly RedundancyGroup[], directory: string): Ports {
  const ports = new Map<string, Port>()
  const taken = new Map<string, string>()
  const sources = buildSources(b, raw['traffic-sources'])
  const zoneOf = new Map(zones.map(zone => [zone.name, zone]))
  const list = entries(raw.interfaces).sort(([x], [y]) => x < y ? -1 : 1)
  const interfaces = list.flatMap(([name, entry]) => {
    const path = pointer('/interfaces', name)
    const port = portOf(b, pointer(path, 'port'), entry.port ?? name, entry.netns ?? agent.netns, agent.netns, directory)
    if (port === null) return []
    joinPort(b, path, entry, port, ports, sources)
    const vlan = entry.vlan ?? 0
    const innerVlan = entry['inner-vlan'] ?? 0
    if (innerVlan > 0 && vlan === 0) b.issue(pointer(path, 'inner-vlan'), 'LS_C_REQUIRED', 'vlan is missing', innerVlan, 'vlan beside inner-vlan')
    const key = `${port.name} vlan ${vlan}.${innerVlan}`
    const other = taken.get(key)
    if (other !== undefined) b.issue(path, 'LS_C_DUPLICATE', 'two interfaces are the same VLAN of one port', key, `another port or vlan than interface ${other}`)
    taken.set(key, name)
    return [{ ...base(b, path, name, entry, zoneOf, groups), port: port.name, vlan, innerVlan }]
  })
  b.limit('/interfaces', 'interfaces', interfaces.length, limits.LS_IFACES_MAX - 1, 'LS_IFACES_MAX')
  b.limit('/interfaces', 'ports', ports.size, limits.LS_DEVICES_MAX - 1, 'LS_DEVICES_MAX - 1')
  overlaps(b, interfaces)
  oneFabric(b, interfaces)
  return { interfaces, ports: [...ports.values()].sort((x, y) => x.name < y.name ? -1 : 1) }
}

function base (b: Build, path: string, name: string, raw: RawInterface, zoneOf: ReadonlyMap<string, Zone>, groups: readonly RedundancyGroup[]): Omit<Interface, 'port' | 'vlan' | 'innerVlan'> {
  const role = raw.role ?? 'data'
  let zone = ''
  if (raw.zone !== undefined) {
    if (role === 'fabric') b.issue(pointer(path, 'zone'), 'LS_C_CONFLICT', 'the fabric link belongs to no zone', raw.zone, 'no zone with role: fabric')
    if (b.refers(pointer(path, 'zone'), 'zone', '/zones', raw.zone, zoneOf)) zone = raw.zone
  } else if (role === 'data' && !wasGiven(b, path, 'zone')) b.issue(path, 'LS_C_REQUIRED', 'zone is missing', name, 'zone: the security zone of the interface')
  const ownGroup = raw['redundancy-group']
  const zoneGroup = zoneOf.get(zone)?.redundancyGroup
  const redundancyGroup = ownGroup === undefined ? zoneGroup ?? 0 : groupOf(b, pointer(path, 'redundancy-group'), ownGroup, groups)
  if (ownGroup !== undefined && zoneGroup !== undefined && ownGroup !== zoneGroup) {
    b.issue(pointer(path, 'redundancy-group'), 'LS_C_CONFLICT', 'not the redundancy group of its zone', ownGroup, `${zoneGroup}, as zone ${zone} (R15)`)
  }
  const addresses = hostAddresses(b, pointer(path, 'addresses'), raw.addresses)
  const floating = hostAddresses(b, pointer(path, 'floating-addresses'), raw['floating-addresses'])
  return {
    name, zone, redundancyGroup, role, mtu: raw.mtu ?? null, domain: raw.domain ?? 'default',
    addresses: addresses.map(formatPrefix), floating: floating.map(formatPrefix),
    neighbours: neighbours(b, pointer(path, 'neighbours'), raw.neighbours, [...addresses, ...floating]),
  }
}

/** The key was in the file although the sound part lacks it. */
const wasGiven = (b: Build, path: string, key: string): boolean => b.raw(pointer(path, key)) !== undefined

function hostAddresses (b: Build, path: string, raw: Many<string> | undefined): PrefixValue[] {
  return b.each(path, raw).flatMap(([place, text]) => {
    const prefix = text.includes('/') ? parsePrefix(text) : null
    if (prefix === null) {
      b.issue(place, 'LS_C_VALUE', 'not an address with prefix length', text, parsePrefix(text) === null ? addressHint(text) + ' with /LENGTH' : `${text}/24 or another length`)
      return []
    }
    const reason = unusable(prefix)
    if (reason !== null) b.issue(place, 'LS_C_VALUE', reason, text, 'a unicast address of a host')
    return [prefix]
  })
}

/** Why a host cannot have this address, or `null`. */
export function unusable (p: PrefixValue): string | null {
  const { address, family, length } = p
  if (family === 4) {
    const v4 = Number(address & 0xffffffffn)
    if (v4 >>> 24 === 0 || v4 >>> 24 === 127 || v4 >>> 28 >= 14) return 'not a unicast address'
    if (length < 31 && address === networkOf(p)) return 'the network’s own address'
    if (length < 31 && address === prefixSpan(p).to) return 'the broadcast address'
  } else if (address <= 1n || address >> 120n === 0xffn) return 'not a unicast address'
  return null
}

function neighbours (b: Build, path: string, raw: Readonly<Record<string, string>> | undefined, own: readonly PrefixValue[]): Interface['neighbours'] {
  return entries(raw).flatMap(([text, macText]) => {
    const place = pointer(path, text)
    const address = singleAddress(b, place, text)
    const mac = parseMac(macText)
    if (mac === null || (parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === '00:00:00:00:00:00') b.issue(place, 'LS_C_VALUE', 'not the MAC address of a host', macText, 'six octets like 02:00:00:00:00:01, unicast')
    if (address === null || mac === null) return []
    if (own.some(p => p.address === address)) b.issue(place, 'LS_C_CONFLICT', 'the interface has this address itself', text, 'the address of another host')
    else if (!own.some(p => spansOverlap(prefixSpan(p), { from: address, to: address })) && !text.toLowerCase().startsWith('fe80:')) b.warn(place, `${text} is in no subnet of the interface`)
    return [{ address: formatAddress(address), mac }]
  })
}

/** Options of the port, which only one of its interfaces may give. */
function joinPort (b: Build, path: string, raw: RawInterface, port: Port, ports: Map<string, Port>, sources: ReadonlyMap<string, TrafficSource>): void {
  const known = ports.get(port.name) ?? port
  const mac = raw.mac === undefined ? null : parseMac(raw.mac)
  if (raw.mac !== undefined && (mac === null || (parseInt(mac.slice(0, 2), 16) & 1) === 1)) b.issue(pointer(path, 'mac'), 'LS_C_VALUE', 'not the MAC address of a host', raw.mac, 'six octets like 02:00:00:00:00:01, unicast')
  if (mac !== null && (port.kind === 'packet' || port.kind === 'dpdk')) b.issue(pointer(path, 'mac'), 'LS_C_CONFLICT', 'the device has its own MAC address', raw.mac, 'no mac')
  if (mac !== null && known.mac !== null && known.mac !== mac) b.issue(pointer(path, 'mac'), 'LS_C_CONFLICT', 'two interfaces of one port differ in MAC address', raw.mac, known.mac)
  if (raw.replay !== undefined && port.kind !== 'pcap') b.issue(pointer(path, 'replay'), 'LS_C_CONFLICT', 'only a pcap port is played', port.name, 'replay with port: pcap:FILE')
  let source = known.source
  if (port.kind === 'source' && b.refers(pointer(path, 'port'), 'traffic source', '/traffic-sources', port.device, sources)) source = sources.get(port.device) ?? null
  const replay = port.kind === 'pcap' ? { rate: raw.replay?.rate ?? known.replay?.rate ?? 0, loops: raw.replay?.loops ?? known.replay?.loops ?? 1 } : null
  const devargs = raw.devargs ?? known.devargs
  if (raw.devargs !== undefined && port.kind !== 'dpdk') b.issue(pointer(path, 'devargs'), 'LS_C_CONFLICT', 'only a dpdk port has devargs', port.name, 'devargs with port: dpdk:NAME')
  if (raw.devargs !== undefined && known.devargs !== null && known.devargs !== raw.devargs) b.issue(pointer(path, 'devargs'), 'LS_C_CONFLICT', 'two interfaces of one port differ in devargs', raw.devargs, known.devargs)
  if (raw.devargs !== undefined) oneDevice(b, pointer(path, 'devargs'), raw.devargs, port, ports)
  if (port.kind === 'dpdk' && devargs === null) b.issue(path, 'LS_C_REQUIRED', 'devargs is missing', port.name, 'devargs: what DPDK finds the port by, for example 0000:03:00.0')
  ports.set(port.name, { ...known, mac: mac ?? known.mac, source, replay, devargs })
}

/** A process of DPDK has one device of a name, and one port of it. */
function oneDevice (b: Build, path: string, devargs: string, port: Port, ports: ReadonlyMap<string, Port>): void {
  const device = deviceName(devargs)
  const other = [...ports.values()].find(p => p.name !== port.name && p.devargs !== null && deviceName(p.devargs) === device)
  if (other !== undefined) b.issue(path, 'LS_C_CONFLICT', `port ${other.name} has this device of DPDK`, devargs, `a device other than ${device}: a process of DPDK has one of each name`)
  if (isOwnDeviceName(device)) b.issue(path, 'LS_C_CONFLICT', 'devices over kernel interfaces are named so by the agent', devargs, 'another name, for example net_af_packet0')
}

/** `eth0`, `tap:NAME`, `dpdk:NAME`, `pcap:IN[,OUT]`, `source:NAME`. */
function portOf (b: Build, path: string, text: string, netns: string | null, agentNetns: string | null, directory: string): Port | null {
  const colon = text.indexOf(':')
  const kind = colon === -1 ? '' : text.slice(0, colon)
  const rest = colon === -1 ? text : text.slice(colon + 1)
  const plain = { mac: null, replay: null, source: null, devargs: null }
  const suffix = netns === agentNetns || kind === 'pcap' || kind === 'source' ? '' : `@${netns ?? ''}`
  if (kind === 'pcap') {
    const [input = '', output, ...more] = rest.split(',')
    if (more.length === 0 && (input !== '' || (output !== undefined && output !== ''))) {
      const absolute = (file: string | undefined): string | null => file === undefined || file === '' ? null : resolve(directory, file)
      return { name: text, kind, device: '', input: absolute(input), output: absolute(output), netns: null, ...plain }
    }
  } else if (kind === 'source') {
    if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(rest)) return { name: text, kind, device: rest, input: null, output: null, netns: null, ...plain }
  } else if (kind === '' || kind === 'tap' || kind === 'packet' || kind === 'dpdk') {
    // dev_valid_name() of Linux.
    if (/^[^\s/:]{1,15}$/.test(rest) && rest !== '.' && rest !== '..') {
      const shown = kind === 'packet' ? rest : text
      return { name: shown + suffix, kind: kind === 'tap' || kind === 'dpdk' ? kind : 'packet', device: rest, input: null, output: null, netns, ...plain }
    }
  }
  b.issue(path, 'LS_C_VALUE', 'not a port', text, 'a kernel device of at most 15 characters, tap:NAME, dpdk:NAME, pcap:IN[,OUT] or source:NAME')
  return null
}

/** The pipeline knows one way to the other node. */
function oneFabric (b: Build, interfaces: readonly Interface[]): void {
  const [first, ...more] = interfaces.filter(i => i.role === 'fabric')
  for (const i of more) b.issue(pointer('/interfaces', i.name, 'role'), 'LS_C_DUPLICATE', 'a second fabric link', i.name, `one: interface ${first?.name ?? ''} is it already`)
}

/** One address or subnet on two interfaces of a routing domain would make routes and answers ambiguous. */
function overlaps (b: Build, interfaces: readonly Interface[]): void {
  const all = interfaces.flatMap(i => [...i.addresses.map(a => ({ i, a, key: 'addresses' })), ...i.floating.map(a => ({ i, a, key: 'floating-addresses' }))])
    .flatMap(({ i, a, key }) => {
      const prefix = parsePrefix(a)
      return prefix === null || prefix.address >> 118n === 0x3fan ? [] : [{ i, a, key, prefix, span: prefixSpan(prefix) }]
    }).sort((x, y) => x.span.from < y.span.from ? -1 : x.span.from > y.span.from ? 1 : 0)
  for (const [n, x] of all.entries()) {
    for (let m = n + 1; m < all.length; m++) {
      const y = all[m]
      if (y === undefined || y.span.from > x.span.to) break
      if (x.i.domain !== y.i.domain) continue
      const path = pointer('/interfaces', y.i.name, y.key)
      if (x.prefix.address === y.prefix.address) b.issue(path, 'LS_C_DUPLICATE', 'the address is given twice', y.a, `an address that interface ${x.i.name} does not have`)
      else if (x.i !== y.i) b.issue(path, 'LS_C_OVERLAP', 'two interfaces share a subnet', y.a, `a subnet outside ${formatNetwork(x.prefix)} of interface ${x.i.name}, or another domain`)
    }
  }
}
