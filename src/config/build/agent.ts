/** `agent`, `reload` and `timeouts`. */
import type { AgentSettings, DpdkSettings, PortRange, RedundancyGroup, ReloadSettings, SocketAddress, Timeouts, VppNatEdSettings, VppNatSettings, VppSettings } from '../../contract/desired.js'
import { phase } from '../../generated/codes.js'
import { limits } from '../../generated/layout.js'
import { familyOf, formatAddress, parseAddress, parseEndpoint } from '../../lib/address.js'
import { pointer } from '../issues.js'
import type { RawAgent, RawConfig, Scalar } from '../raw.js'
import { kebab, NAT_HISTORY } from '../schema/agent.js'
import { parseCount, parseDuration, parsePorts } from '../units.js'
import { entries, type Build, type HostDefaults } from './context.js'
import { groupOf } from './zones.js'

export function buildAgent (b: Build, raw: RawConfig, host: HostDefaults, groups: readonly RedundancyGroup[]): AgentSettings {
  const agent = raw.agent ?? {}
  const instance = agent.instance ?? 'default'
  const suffix = instance === 'default' ? '' : `-${instance}`
  if (agent.manage === 'addresses') b.issue('/agent/manage', 'LS_C_UNSUPPORTED', 'the agent does not set interface addresses in this version', 'addresses', 'none: set them with the operator\'s tools')
  return {
    node: host.node,
    instance,
    stateDir: absolute(b, '/agent/state-dir', agent['state-dir'] ?? host.stateDir + suffix),
    socketPath: absolute(b, '/agent/socket', agent.socket ?? host.socketPath.replace(/(\.sock)?$/, `${suffix}$1`), 107),
    backend: agent.backend ?? 'userspace',
    netns: agent.netns ?? null,
    workers: agent.workers === 'auto' ? 0 : agent.workers ?? 1,
    labels: agent.labels ?? {},
    natHistory: agent['nat-history'] ?? NAT_HISTORY,
    logLevel: agent['log-level'] ?? 'info',
    table: { capacity: capacity(b, agent.table?.capacity), hugepages: agent.table?.hugepages ?? 'auto' },
    management: {
      ports: [...new Set(agent.management?.ports ?? [22])],
      interfaces: b.each('/agent/management/interfaces', agent.management?.interfaces)
        .filter(([path, name]) => b.refers(path, 'interface', '/interfaces', name, new Map(entries(raw.interfaces)))).map(([, name]) => name),
    },
    manage: agent.manage ?? 'none',
    hostPorts: portRange(b, '/agent/host-ports', agent['host-ports'] ?? '32768-60999', 1024),
    vpp: buildVpp(b, agent.vpp, groups),
    dpdk: buildDpdk(b, agent.dpdk),
    gateway: {
      grpc: listener(b, '/agent/gateway/grpc', agent.gateway?.grpc, '127.0.0.1:50461'),
      metrics: listener(b, '/agent/gateway/metrics', agent.gateway?.metrics, '127.0.0.1:9461'),
    },
    tracing: agent.tracing === undefined ? null : { endpoint: collector(b, '/agent/tracing/endpoint', agent.tracing.endpoint, agent.tracing.plain ?? false), sample: agent.tracing.sample ?? 1 },
  }
}

function buildDpdk (b: Build, raw: RawAgent['dpdk'] = {}): DpdkSettings {
  const cpus = raw.cpus === undefined ? [] : String(raw.cpus).split(',').flatMap(part => {
    const [from = 0, to = from] = part.split('-').map(Number)
    return from <= to && to < 4096 ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : []
  })
  if (raw.cpus !== undefined && cpus.length === 0) b.issue('/agent/dpdk/cpus', 'LS_C_VALUE', 'not a list of CPUs', raw.cpus, 'numbers and ranges like 2-3 or 1,3')
  return {
    cpus, hugepages: raw.hugepages ?? 'auto', memoryMib: raw.memory ?? 128, buffers: raw.buffers ?? 16384, frameBytes: raw['frame-bytes'] ?? 2048, idle: raw.idle ?? 'sleep', eal: raw['eal-options'] ?? []
  }
}

const socketPathMax = 107 // sun_path, with its zero
const flowTimeoutMsMax = 86_400_000
const refreshMsMax = 3_600_000

function buildVpp (b: Build, vpp: RawAgent['vpp'] = {}, groups: readonly RedundancyGroup[]): VppSettings {
  const source = (key: 'tunnel-source4' | 'tunnel-source6', family: 4 | 6): string | null => {
    const text = vpp[key]
    const address = text === undefined ? null : parseAddress(text)
    if (text !== undefined && (address === null || familyOf(address) !== family)) b.issue(`/agent/vpp/${key}`, 'LS_C_VALUE', `not an IPv${family} address`, text, `an IPv${family} address`)
    return text ?? null
  }
  const stats = vpp['stats-socket'] === undefined ? '/run/vpp/stats.sock' : vpp['stats-socket']
  const stickyBuckets = vpp['sticky-buckets'] ?? 1024
  if (!Number.isInteger(Math.log2(stickyBuckets))) b.issue('/agent/vpp/sticky-buckets', 'LS_C_VALUE', 'not a power of two', stickyBuckets, `a power of two, for example ${2 ** Math.ceil(Math.log2(stickyBuckets))}`)
  const flowTimeoutMs = parseDuration(vpp['flow-timeout'] ?? '40s') ?? 0
  if (flowTimeoutMs < 1000 || flowTimeoutMs > flowTimeoutMsMax || flowTimeoutMs % 1000 !== 0) b.issue('/agent/vpp/flow-timeout', 'LS_C_VALUE', 'not a usable timeout', vpp['flow-timeout'], 'whole seconds from 1s to 1d')
  return {
    apiSocket: absolute(b, '/agent/vpp/api-socket', vpp['api-socket'] ?? '/run/vpp/api.sock', socketPathMax), transport: vpp.transport ?? 'auto', apiPrefix: vpp['api-prefix'] ?? '',
    library: vpp.library === undefined ? '' : absolute(b, '/agent/vpp/library', vpp.library), statsSocket: stats === null ? null : absolute(b, '/agent/vpp/stats-socket', stats, socketPathMax),
    tunnelSource4: source('tunnel-source4', 4), tunnelSource6: source('tunnel-source6', 6), natInterfaces: vpp['nat-interfaces'] ?? [], stickyBuckets, flowTimeoutMs,
    natSessions: buildNatSessions(b, '/agent/vpp/nat-sessions', vpp['nat-sessions'], groups), natEdSessions: buildNatEdSessions(b, '/agent/vpp/nat44-ed-sessions', vpp, groups)
  }
}

/** Whole seconds. */
function interval (b: Build, path: string, text: Scalar): number {
  const ms = parseDuration(text) ?? 0
  if (ms < 1000 || ms > refreshMsMax || ms % 1000 !== 0) b.issue(path, 'LS_C_VALUE', 'not a usable interval', text, 'whole seconds from 1s to 1h')
  return ms
}

function buildNatEdSessions (b: Build, path: string, vpp: NonNullable<RawAgent['vpp']>, groups: readonly RedundancyGroup[]): VppNatEdSettings | null {
  const raw = vpp['nat44-ed-sessions']
  if (raw === undefined) return null
  if (vpp['nat-sessions'] !== undefined) b.issue(path, 'LS_C_CONFLICT', 'sessions of one NAT are kept', 'nat-sessions and nat44-ed-sessions', 'the one that VPP has enabled')
  return { redundancyGroup: groupOf(b, pointer(path, 'redundancy-group'), raw['redundancy-group'], groups), intervalMs: interval(b, pointer(path, 'interval'), raw.interval ?? '30s') }
}

function buildNatSessions (b: Build, path: string, raw: NonNullable<RawAgent['vpp']>['nat-sessions'], groups: readonly RedundancyGroup[]): VppNatSettings | null {
  if (raw === undefined) return null
  const socket = (key: 'agent' | 'vpp'): SocketAddress => {
    const found = parseEndpoint(raw[key])
    if (found !== null && familyOf(found.address) === 4 && found.port > 0) return { address: formatAddress(found.address), port: found.port }
    b.issue(pointer(path, key), 'LS_C_VALUE', 'not an IPv4 address and a port', raw[key], 'address:port like 10.99.0.2:17100')
    return { address: '0.0.0.0', port: 0 }
  }
  const refreshMs = interval(b, pointer(path, 'refresh'), raw.refresh ?? '10s')
  const [agent, vpp] = [socket('agent'), socket('vpp')]
  if (agent.port !== 0 && agent.address === vpp.address) b.issue(pointer(path, 'vpp'), 'LS_C_CONFLICT', 'the agent and VPP have the same address', raw.vpp, 'an address of an interface of VPP')
  return { agent, vpp, redundancyGroup: groupOf(b, pointer(path, 'redundancy-group'), raw['redundancy-group'], groups), refreshMs }
}

export function absolute (b: Build, path: string, value: string, max = 4000): string {
  if (!value.startsWith('/') || value.includes('\0')) b.issue(path, 'LS_C_VALUE', 'not an absolute path', value, 'a path that begins with /')
  else if (Buffer.byteLength(value) > max) b.issue(path, 'LS_C_VALUE', 'the path is too long', value, `at most ${max} bytes`)
  return value
}

function capacity (b: Build, value: Scalar | undefined): number {
  const { LS_CAPACITY_DEFAULT, LS_CAPACITY_MIN, LS_CAPACITY_MAX } = limits
  const count = value === undefined ? LS_CAPACITY_DEFAULT : parseCount(value)
  if (count !== null && count >= LS_CAPACITY_MIN && count <= LS_CAPACITY_MAX && Number.isInteger(Math.log2(count))) return count
  const near = count === null || count < 1 ? LS_CAPACITY_DEFAULT : Math.min(Math.max(2 ** Math.ceil(Math.log2(count)), LS_CAPACITY_MIN), LS_CAPACITY_MAX)
  b.issue('/agent/table/capacity', 'LS_C_VALUE', 'not a power of two within the limits', value, `a power of two from ${LS_CAPACITY_MIN} to ${LS_CAPACITY_MAX}, for example ${near}`)
  return LS_CAPACITY_DEFAULT
}

/** A range for translation or ephemeral ports. */
export function portRange (b: Build, path: string, value: Scalar, lowest: number): PortRange {
  const range = parsePorts(value)
  if (range !== null && range.from >= lowest) return range
  b.issue(path, 'LS_C_VALUE', 'not a usable port range', value, `FROM-TO between ${lowest} and 65535`)
  return { from: lowest, to: 65535 }
}

/** `127.0.0.1:9461`, `[::]:9461`. */
function listener (b: Build, path: string, value: string | null | undefined, fallback: string): string | null {
  const text = value === undefined ? fallback : value
  if (text === null) return null
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  if (match === null || Number(match[3]) > 65535 || (host !== 'localhost' && parseAddress(host) === null)) {
    b.issue(path, 'LS_C_VALUE', 'not a listen address', text, 'address:port like 127.0.0.1:9461 or [::]:9461, or null')
  }
  return text
}

/** Of a collector. */
function collector (b: Build, path: string, text: string, plain: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : null
  const loopback = url !== null && (/^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname))
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') b.issue(path, 'LS_C_VALUE', 'not the URL of a collector', text, 'a URL like http://127.0.0.1:4318')
  else if (url.username !== '' || url.password !== '') b.issue(path, 'LS_C_VALUE', 'a URL here must not have a password', url.host, 'no user and no password: let a collector on this host have them')
  else if (url.protocol === 'http:' && !loopback && !plain) b.issue(path, 'LS_C_VALUE', 'plain http is for loopback', text, 'https, a collector on 127.0.0.1 or [::1], or plain: true')
  return text
}

export function buildReload (raw: RawConfig): ReloadSettings {
  return { policyRematch: raw.reload?.['policy-rematch'] ?? true }
}

const timeoutMsMax = 366 * 86_400_000

/** Only the phases that are given. */
export function buildTimeouts (b: Build, path: string, raw: Readonly<Record<string, Scalar>> | undefined): Timeouts {
  const out: Record<string, number> = {}
  for (const { name } of phase) {
    const value = raw?.[kebab(name)]
    if (value === undefined) continue
    const ms = parseDuration(value)
    if (ms === null || ms < 1000 || ms > timeoutMsMax) b.issue(pointer(path, kebab(name)), 'LS_C_VALUE', 'not a usable timeout', value, '1s to 366d, like 30s, 1h30m or seconds')
    else out[name] = ms
  }
  return out
}

export function allTimeouts (given: Timeouts): Timeouts {
  return Object.fromEntries(phase.map(p => [p.name, given[p.name] ?? p.ms]))
}
