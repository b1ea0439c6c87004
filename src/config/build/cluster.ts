/** `cluster`, and what `redundancy-groups` say about ownership. Nothing is read or opened here; what the rest of the file owes a pair is in pair.ts. */
import { basename } from 'node:path'
import { clusterDefaults, clusterLimits as max } from '../../contract/cluster-limits.js'
import type { ClusterGroup, ClusterNode, ClusterSettings, Endpoint, Monitor } from '../../contract/cluster.js'
import type { Interface, RedundancyGroup } from '../../contract/desired.js'
import { familyOf, formatAddress, formatEndpoint, parseEndpoint } from '../../lib/address.js'
import { oneOf, pointer } from '../issues.js'
import type { RawCluster, RawConfig, RawGroup, RawMonitor, Scalar } from '../raw.js'
import { formatDuration, parseDuration } from '../units.js'
import { singleAddress } from './addresses.js'
import { absolute } from './agent.js'
import { entries, type Build } from './context.js'
import { unusable } from './interfaces.js'

/** `node`: which one this is. */
export function buildCluster (b: Build, raw: RawConfig, node: string, groups: readonly RedundancyGroup[], interfaces: readonly Interface[]): ClusterSettings | null {
  if (b.raw('/cluster') === undefined) {
    for (const [id, group] of entries(raw['redundancy-groups'])) refuseOwnership(b, pointer('/redundancy-groups', id), group)
    return null
  }
  const { cluster } = raw
  if (cluster === undefined) return null
  const nodes = buildNodes(b, cluster)
  ownNode(b, raw, node)
  const { heartbeat, monitor, certificates } = cluster
  const duration = (key: string, value: Scalar | undefined, fallback: number, from: number, to: number): number => bounded(b, `/cluster/${key}`, value, fallback, from, to)
  const { timing: usual, timers } = clusterDefaults
  const timing = { intervalMs: duration('heartbeat/interval', heartbeat?.interval, usual.intervalMs, max.intervalMsMin, max.intervalMsMax), count: heartbeat?.count ?? usual.count }
  const settings: ClusterSettings = {
    nodes,
    keyFile: absolute(b, '/cluster/key-file', cluster['key-file']),
    certificates: certificates === undefined
      ? null
      : {
          certificate: absolute(b, '/cluster/certificates/certificate', certificates.certificate),
          key: absolute(b, '/cluster/certificates/key', certificates.key),
          authority: absolute(b, '/cluster/certificates/authority', certificates.authority),
        },
    timing,
    timers: {
      restartHoldMs: duration('restart-hold', cluster['restart-hold'], timers.restartHoldMs, 0, max.restartHoldMsMax),
      moveTimeoutMs: duration('move-timeout', cluster['move-timeout'], timers.moveTimeoutMs, max.moveTimeoutMsMin, max.moveTimeoutMsMax),
      degradedAfterMs: duration('degraded-after', cluster['degraded-after'], timers.degradedAfterMs, max.degradedAfterMsMin, max.degradedAfterMsMax),
      worseAfterMs: duration('monitor/worse-after', monitor?.['worse-after'], timers.worseAfterMs, 0, max.dampingMsMax),
      betterAfterMs: duration('monitor/better-after', monitor?.['better-after'], timers.betterAfterMs, 0, max.dampingMsMax),
    },
    groups: groups.map(({ id }) => buildGroup(b, pointer('/redundancy-groups', id), id, raw['redundancy-groups']?.[id] ?? {}, nodes, interfaces)),
  }
  outlastDetection(b, cluster, settings)
  return settings
}

function refuseOwnership (b: Build, path: string, group: RawGroup): void {
  for (const key of ['priority', 'preempt', 'monitors'] as const) {
    if (group[key] !== undefined) b.issue(pointer(path, key), 'LS_C_REQUIRED', `${key} without a pair`, group[key], `cluster, which names the two nodes; or no ${key}`)
  }
}

function bounded (b: Build, path: string, value: Scalar | undefined, fallback: number, from: number, to: number): number {
  const ms = value === undefined ? fallback : parseDuration(value)
  if (ms !== null && ms >= from && ms <= to) return ms
  b.issue(path, 'LS_C_VALUE', 'not a usable duration', value, `${formatDuration(from)} to ${formatDuration(to)}`)
  return fallback
}

/** Waits that end before a silent peer is known to be lost would not do what they are for. */
function outlastDetection (b: Build, raw: RawCluster, { timing, timers }: ClusterSettings): void {
  const detectionMs = timing.intervalMs * timing.count
  for (const [key, ms] of [['restart-hold', timers.restartHoldMs], ['degraded-after', timers.degradedAfterMs]] as const) {
    if (ms > 0 && ms <= detectionMs) b.issue(`/cluster/${key}`, 'LS_C_CONFLICT', 'not longer than the detection of a lost peer', raw[key], `more than ${formatDuration(detectionMs)}, interval times count of heartbeat`)
  }
}

// --- nodes ----------------------------------------------------------------------------------------------------------------------------------

/** Names as the file has them, wrong entries included. */
const namesOf = (b: Build): string[] => {
  const nodes = b.raw('/cluster/nodes')
  return nodes !== null && typeof nodes === 'object' ? Object.keys(nodes) : []
}

/** The place that says which node this is. */
function ownNode (b: Build, raw: RawConfig, node: string): void {
  const names = namesOf(b)
  if (names.length === 0 || names.includes(node)) return
  const path = raw.nodes !== undefined && Object.hasOwn(raw.nodes, node) ? pointer('/nodes', node) : raw.agent?.node === node ? '/agent/node' : '/cluster/nodes'
  b.issue(path, 'LS_C_REFERENCE', 'no such node in the cluster', node, `${oneOf(names)}; --node, agent.node or the host name says which this is`)
}

interface Listener { readonly path: string, readonly endpoint: Endpoint | null }
interface Sites { readonly path: string, readonly node: ClusterNode, readonly sync: readonly Listener[], readonly heartbeat: readonly Listener[] }

const pathsMax = { sync: max.syncPathsMax, heartbeat: max.heartbeatPathsMax } as const
const pathKinds = ['sync', 'heartbeat'] as const
type PathKind = typeof pathKinds[number]
const usable = (kind: PathKind, paths: number): boolean => paths >= 1 && paths <= pathsMax[kind]

function buildNodes (b: Build, raw: RawCluster): ClusterNode[] {
  const count = namesOf(b).length
  if (count !== max.nodes) b.issue('/cluster/nodes', 'LS_C_LIMIT', 'a cluster is a pair', count, `${max.nodes} nodes`)
  const sites = entries(raw.nodes).sort(([x], [y]) => x < y ? -1 : 1).map(([name, entry]): Sites => {
    const path = pointer('/cluster/nodes', name)
    const at = (place: string, text: string): Listener => ({ path: place, endpoint: endpoint(b, place, text) })
    const of = (kind: PathKind): Listener[] => {
      const listeners = b.each(pointer(path, kind), entry[kind]).map(([place, text]) => at(place, text))
      if (!usable(kind, listeners.length)) b.issue(pointer(path, kind), 'LS_C_LIMIT', `not a usable number of ${kind} paths`, listeners.length, `1 to ${pathsMax[kind]}, better two`)
      return listeners
    }
    const [sync, heartbeat] = [of('sync'), of('heartbeat')]
    const ends = (listeners: readonly Listener[]): Endpoint[] => listeners.map(l => l.endpoint ?? nowhere)
    return { path, sync, heartbeat, node: { name, index: entry.index, sync: ends(sync), heartbeats: ends(heartbeat) } }
  })
  const [first, second, more] = sites
  if (first !== undefined && second !== undefined && more === undefined) checkEnds(b, first, second)
  return sites.map(site => site.node)
}

/** In place of an endpoint that was refused. */
const nowhere: Endpoint = { host: '0.0.0.0', port: 0 }
const text = ({ host, port }: Endpoint): string => formatEndpoint(host, port)
const family = ({ host }: Endpoint): 4 | 6 => host.includes(':') ? 6 : 4
const loopback = (host: string): boolean => host.startsWith('127.') || host === '::1'

function checkEnds (b: Build, first: Sites, second: Sites): void {
  if (first.node.index === second.node.index) b.issue(pointer(second.path, 'index'), 'LS_C_DUPLICATE', 'two nodes have one index', second.node.index, `another one than ${first.node.name}`)
  for (const kind of pathKinds) {
    const [paths, others] = [first[kind].length, second[kind].length]
    if (paths !== others && usable(kind, paths) && usable(kind, others)) b.issue(pointer(second.path, kind), 'LS_C_CONFLICT', `the nodes differ in ${kind} paths`, others, `${paths}, as ${first.node.name}: each path has an end at both`)
    else if (kind === 'heartbeat' && paths === 1 && others === 1) b.warn('/cluster/nodes', 'there is one heartbeat path: with two over different links a cut of one is harmless')
    for (const [i, end] of second[kind].entries()) {
      const other = first[kind][i]?.endpoint ?? null
      if (end.endpoint !== null && other !== null && family(end.endpoint) !== family(other)) b.issue(end.path, 'LS_C_CONFLICT', 'the two ends of a path are of two address families', text(end.endpoint), `IPv${family(other)}, as ${text(other)} of ${first.node.name}`)
    }
  }
  const seen = new Map<string, string>()
  const all = [first, second].flatMap(site => [...site.sync, ...site.heartbeat])
  for (const { path, endpoint: end } of all) {
    if (end === null) continue
    const known = seen.get(text(end))
    if (known !== undefined) b.issue(path, 'LS_C_DUPLICATE', 'the endpoint is given twice', text(end), `an address and port that ${known} does not have`)
    else seen.set(text(end), path)
  }
  const local = all.find(({ endpoint: end }) => end !== null && loopback(end.host))
  const remote = all.find(({ endpoint: end }) => end !== null && !loopback(end.host))
  if (local?.endpoint != null && remote?.endpoint != null) b.issue(local.path, 'LS_C_CONFLICT', 'a loopback address does not reach the other node', text(local.endpoint), `an address like ${text(remote.endpoint)}; or loopback everywhere, for two agents of one host`)
}

/** `192.0.2.1:7946`, `[2001:db8::1]:7946`. */
function endpoint (b: Build, path: string, given: string): Endpoint | null {
  const { address: value, port } = parseEndpoint(given) ?? { address: null, port: 0 }
  if (value === null || port === 0) {
    b.issue(path, 'LS_C_VALUE', 'not an address with port', given, 'an address of the node and a port, like 192.0.2.1:7946 or [2001:db8::1]:7946')
    return null
  }
  const host = formatAddress(value)
  const reason = loopback(host) ? null : unreachable(value)
  if (reason === null) return { host, port }
  b.issue(path, 'LS_C_VALUE', reason, given, 'one address of the node, which the other node reaches')
  return null
}

/** Why an address alone does not say which host is meant, or `null`. */
function unreachable (value: bigint): string | null {
  const v = familyOf(value)
  if (value === 0n || formatAddress(value) === '0.0.0.0') return 'a wildcard address'
  if (value >> 118n === 0x3fan) return 'a link-local address is on every link'
  return unusable({ family: v, address: value, length: v === 4 ? 32 : 128 })
}

// --- groups ---------------------------------------------------------------------------------------------------------------------------------

function buildGroup (b: Build, path: string, rg: number, raw: RawGroup, nodes: readonly ClusterNode[], interfaces: readonly Interface[]): ClusterGroup {
  const known = new Map(nodes.map(node => [node.name, node]))
  for (const name of Object.keys(raw.priority ?? {})) b.refers(pointer(path, 'priority', name), 'node in the cluster', '/cluster/nodes', name, known)
  const unique = b.unique('monitors of the group')
  const monitors = b.each(pointer(path, 'monitors'), raw.monitors).flatMap(([place, entry]) => {
    const built = buildMonitor(b, place, entry, interfaces)
    if (built !== null) unique(entry.name === undefined ? place : pointer(place, 'name'), built.name)
    return built ?? []
  })
  return { rg, priority: Object.fromEntries(nodes.map(({ name }) => [name, raw.priority?.[name] ?? clusterDefaults.priority])), preempt: raw.preempt ?? false, monitors }
}

const kinds = ['interface', 'neighbour', 'script'] as const

function buildMonitor (b: Build, path: string, raw: RawMonitor, interfaces: readonly Interface[]): Monitor | null {
  const given = kinds.filter(kind => b.raw(pointer(path, kind)) !== undefined)
  if (given.length === 0) b.issue(path, 'LS_C_REQUIRED', 'nothing is monitored', b.raw(path), oneOf(kinds))
  if (given.length > 1) b.issue(path, 'LS_C_CONFLICT', 'a monitor watches one thing', given.join(', '), `${oneOf(kinds)}; another monitor for another thing`)
  if (given.length !== 1) return null
  for (const key of ['interval', 'timeout'] as const) {
    if (raw[key] !== undefined && given[0] !== 'script') b.issue(pointer(path, key), 'LS_C_CONFLICT', `only a script has ${key === 'interval' ? 'an' : 'a'} ${key}`, raw[key], `no ${key}`)
  }
  const { weight } = raw
  if (raw.interface !== undefined) {
    b.refers(pointer(path, 'interface'), 'interface', '/interfaces', raw.interface, new Map(interfaces.map(i => [i.name, i])))
    return { kind: 'interface', interface: raw.interface, name: raw.name ?? raw.interface, weight }
  }
  if (raw.neighbour !== undefined) {
    const value = singleAddress(b, pointer(path, 'neighbour'), raw.neighbour)
    const reason = value === null ? null : unreachable(value)
    if (reason !== null) b.issue(pointer(path, 'neighbour'), 'LS_C_VALUE', reason, raw.neighbour, 'the address of another host')
    if (value === null) return null
    const address = formatAddress(value)
    return { kind: 'neighbour', address, name: raw.name ?? address, weight }
  }
  const [program] = raw.script ?? []
  return raw.script === undefined || program === undefined ? null : script(b, path, raw, raw.script, raw.name ?? basename(program))
}

function script (b: Build, path: string, raw: RawMonitor, argv: readonly string[], name: string): Monitor {
  for (const [place, argument] of b.each(pointer(path, 'script'), argv)) {
    if (argument === argv[0]) absolute(b, place, argument)
    else if (argument.includes('\0')) b.issue(place, 'LS_C_VALUE', 'an argument ends at U+0000', argument, 'text without it')
  }
  const usual = clusterDefaults.script
  const intervalMs = bounded(b, pointer(path, 'interval'), raw.interval, usual.intervalMs, max.scriptMsMin, max.scriptMsMax)
  const timeoutMs = bounded(b, pointer(path, 'timeout'), raw.timeout, Math.min(usual.timeoutMs, intervalMs), max.scriptMsMin, max.scriptMsMax)
  if (timeoutMs > intervalMs) b.issue(pointer(path, 'timeout'), 'LS_C_CONFLICT', 'the timeout of a script is longer than its interval', raw.timeout, `at most ${formatDuration(intervalMs)}`)
  return { kind: 'script', argv, intervalMs, timeoutMs, name, weight: raw.weight }
}
