/**
 * What the operator wants, in one form: every default filled, every name checked, every list expanded. Plain readonly data, so that it
 * can be compared, stored and handed to a worker. src/config makes it from YAML; backends compile it; nobody else parses YAML.
 *
 * Addresses are canonical text: dotted quad, or RFC 5952. A *span* is `10.0.0.0/8`, `192.0.2.7` or `192.0.2.7-192.0.2.9`. Durations are
 * milliseconds. References are names that exist; numeric ids are in `ids` (R11).
 */
import type { BgpSettings } from './bgp.js'
import type { ClusterSettings } from './cluster.js'
import type { BackendName } from './dataplane.js'
import type { HealthCheck } from './health.js'
import type { TracingSettings } from './tracing.js'

export interface Desired {
  readonly agent: AgentSettings
  readonly reload: ReloadSettings
  /** Phase name (codes.ts `phase`) -> milliseconds, all phases. */
  readonly timeouts: Timeouts
  /** Sorted by name: those declared and those of the well-known list that are used. */
  readonly applications: readonly Application[]
  readonly redundancyGroups: readonly RedundancyGroup[]
  readonly screens: readonly ScreenProfile[]
  readonly schedules: readonly Schedule[]
  readonly zones: readonly Zone[]
  readonly ports: readonly Port[]
  readonly interfaces: readonly Interface[]
  /** In order: the first match decides. Disabled ones are not here. */
  readonly policies: readonly Policy[]
  readonly nat: Nat
  /** Sorted by name. */
  readonly healthChecks: readonly HealthCheck[]
  readonly vips: readonly Vip[]
  /** Of reals that are there: what operators gave them instead of what is configured. Sorted by VIP and real. */
  readonly adjustments: readonly Adjustment[]
  readonly routes: readonly Route[]
  /** `null`: no sessions are read. */
  readonly bgp: BgpSettings | null
  /** `null`: standalone. */
  readonly cluster: ClusterSettings | null
  /** Routing domains in use; `default` is always one. */
  readonly domains: readonly string[]
  /** Empty until the configuration authority has allocated them (`withIds`). */
  readonly ids: IdTable
}

/** Name -> id per kind. Real names are `vip/real`; interface NAT pools are `@interface.4` and `@interface.6`. */
export type IdTable = Readonly<Record<IdKind, Readonly<Record<string, number>>>>
export type IdKind = 'zone' | 'policy' | 'vip' | 'real' | 'pool' | 'app' | 'interface' | 'domain' | 'nat'

export type Timeouts = Readonly<Record<string, number>>
/** Inclusive. */
export interface PortRange { readonly from: number, readonly to: number }

export interface AgentSettings {
  readonly node: string
  readonly instance: string
  readonly stateDir: string
  readonly socketPath: string
  readonly backend: BackendName
  /** Network namespace of the ports that name no other; `null` = the agent's own. */
  readonly netns: string | null
  /** Packet workers; 0 = one per usable CPU. */
  readonly workers: number
  /** For whoever watches the node. */
  readonly labels: Readonly<Record<string, string>>
  /** Translated sessions that have ended, and are kept for who asks who had an address. */
  readonly natHistory: number
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly table: { readonly capacity: number, readonly hugepages: 'auto' | 'on' | 'off' }
  /** TCP ports that no configuration can close (D1), and where: on every interface when the list is empty. */
  readonly management: { readonly ports: readonly number[], readonly interfaces: readonly string[] }
  /** Who sets interface addresses (D2). */
  readonly manage: 'none' | 'addresses'
  /** The host's ephemeral ports: disjoint from source NAT on the host's own addresses (R17). */
  readonly hostPorts: PortRange
  readonly vpp: VppSettings
  readonly dpdk: DpdkSettings
  /** Listeners of `lockstep gateway`, `host:port`; `null` = closed. */
  readonly gateway: { readonly grpc: string | null, readonly metrics: string | null }
  /** Where spans of control operations go; `null` = nothing is traced. */
  readonly tracing: TracingSettings | null
}

/** Of the process that runs DPDK for the dpdk backend. */
export interface DpdkSettings {
  /** CPUs of its packet workers, in turn; empty: those of the agent. */
  readonly cpus: readonly number[]
  readonly hugepages: 'auto' | 'on' | 'off'
  /** MiB of its memory where that is not in huge pages. */
  readonly memoryMib: number
  /** Packet buffers, and the longest frame that one holds. */
  readonly buffers: number
  readonly frameBytes: number
  /** Workers without packets: they sleep, or poll on. */
  readonly idle: 'sleep' | 'poll'
  /** More arguments for EAL. */
  readonly eal: readonly string[]
}

/** Of the VPP that the vpp backend programs. */
export interface VppSettings {
  readonly apiSocket: string
  /** auto: the socket. */
  readonly transport: 'auto' | 'socket' | 'shm'
  /** Of its shared memory; '' = none. */
  readonly apiPrefix: string
  /** Path of libvppapiclient.so; '' = searched. */
  readonly library: string
  /** `null`: it has no stats segment. */
  readonly statsSocket: string | null
  /** Outer source of encapsulated packets; `null`: none is set. */
  readonly tunnelSource4: string | null
  readonly tunnelSource6: string | null
  /** Names. */
  readonly natInterfaces: readonly string[]
  /** Each holds four flows; a power of two. */
  readonly stickyBuckets: number
  readonly flowTimeoutMs: number
  /** Sessions of its NAT44-EI are kept here, and given to a peer; `null`: they are not. */
  readonly natSessions: VppNatSettings | null
  /** Those of its NAT44-ED are shown in the session table; `null`: they are not. */
  readonly natEdSessions: VppNatEdSettings | null
}

/** IPv4. */
export interface SocketAddress { readonly address: string, readonly port: number }
export interface VppNatEdSettings { readonly redundancyGroup: number, /** Between two reads. */ readonly intervalMs: number }
export interface VppNatSettings {
  /** Where VPP tells of its sessions: of this host, and reached by an interface of VPP. */
  readonly agent: SocketAddress
  /** Where VPP takes sessions: of one of its interfaces. */
  readonly vpp: SocketAddress
  readonly redundancyGroup: number
  /** How often VPP tells of counters. */
  readonly refreshMs: number
}

export interface ReloadSettings {
  /** Sessions are looked up in the new policies after an apply, and those now denied are closed. */
  readonly policyRematch: boolean
}

export interface ApplicationTerm {
  /** IANA numbers; empty = any. */
  readonly protocols: readonly number[]
  /** Empty = any. */
  readonly sourcePorts: readonly PortRange[]
  readonly destinationPorts: readonly PortRange[]
  readonly icmpType: number | null
  readonly icmpCode: number | null
}

export interface Application {
  readonly name: string
  readonly terms: readonly ApplicationTerm[]
  /** Only the phases that differ from the default. */
  readonly timeouts: Timeouts
  /** Written in place, like `tcp/8080`: no id and no timeouts of its own. */
  readonly inline: boolean
}

export interface RedundancyGroup { readonly id: number, readonly description: string }

export interface ScreenProfile {
  readonly name: string
  /** Screen name (codes.ts `screen`) -> events per second; absent = off. Screens without a rate have 1. */
  readonly limits: Readonly<Record<string, number>>
}

export type Weekday = 0 | 1 | 2 | 3 | 4 | 5 | 6
/** Minutes of the local day, `from` inclusive, `to` exclusive (up to 1440); `to` <= `from` reaches into the next day. */
export interface WeeklyWindow { readonly days: readonly Weekday[], readonly from: number, readonly to: number }
/** Local wall-clock time `YYYY-MM-DDTHH:MM` in the schedule's zone, `from` inclusive, `to` exclusive. */
export interface DateWindow { readonly from: string, readonly to: string }
export interface Schedule {
  readonly name: string
  /** IANA name. */
  readonly timeZone: string
  readonly weekly: readonly WeeklyWindow[]
  readonly dates: readonly DateWindow[]
}

export interface HostService { readonly protocol: number, readonly ports: PortRange }
export interface Zone {
  readonly name: string
  readonly redundancyGroup: number
  readonly hostInbound: { readonly any: boolean, readonly ping: boolean, readonly services: readonly HostService[] }
  readonly screen: string | null
  readonly fragments: 'follow' | 'drop'
  readonly tcpLoose: boolean
  readonly multicast: boolean
  readonly dhcp: boolean
  readonly icmpErrors: boolean
}

/** What a backend opens. Several interfaces (VLANs) may share one. */
export interface Port {
  /** As written, with `@netns` when it is not the agent's: the key of HostFacts.ports. */
  readonly name: string
  readonly kind: 'packet' | 'tap' | 'pcap' | 'source' | 'dpdk'
  /** Kernel device, TAP name (of a dpdk port: the TAP that is the host's end of it) or traffic source; empty for pcap. */
  readonly device: string
  /** Capture files of a pcap port. */
  readonly input: string | null
  readonly output: string | null
  readonly netns: string | null
  /** Our MAC on a port without a kernel; `null` = made from the name. */
  readonly mac: string | null
  /** How a pcap port plays its input; `null` = not a pcap port. */
  readonly replay: { /** Packets per second, 0 = as recorded. */ readonly rate: number, /** Times to play, 0 = for ever. */ readonly loops: number } | null
  /** What DPDK finds a dpdk port by; `null` = another kind. */
  readonly devargs: string | null
  /** What a source port does; `null` = not a source port. */
  readonly source: TrafficSource | null
}

/** The in-process traffic source: clients that open flows, or servers that answer what reaches them. */
export interface TrafficSource {
  readonly name: string
  readonly mode: 'open' | 'answer'
  /** Packets per second, 0 = as fast as it goes. */
  readonly rate: number
  /** Flows at a time. */
  readonly flows: number
  /** Address of the first client; `null` with mode answer. */
  readonly source: string | null
  readonly destination: string | null
  readonly port: number
  /** IANA number: TCP or UDP. */
  readonly protocol: number
}

export interface Interface {
  readonly name: string
  readonly port: string
  /** 0 = untagged. */
  readonly vlan: number
  readonly innerVlan: number
  readonly zone: string
  readonly redundancyGroup: number
  readonly domain: string
  /** `null` = the port's. */
  readonly mtu: number | null
  readonly role: 'data' | 'fabric'
  /** Address and prefix length, `10.0.0.1/24`. */
  readonly addresses: readonly string[]
  /** Addresses that follow the redundancy group (R18). */
  readonly floating: readonly string[]
  readonly neighbours: ReadonlyArray<{ readonly address: string, readonly mac: string }>
}

export interface Policy {
  readonly name: string
  /** Zone names; empty = any. */
  readonly from: readonly string[]
  readonly to: readonly string[]
  /** Spans; empty = any. */
  readonly source: readonly string[]
  readonly destination: readonly string[]
  /** Application names; empty = any. */
  readonly applications: readonly string[]
  readonly action: 'permit' | 'deny' | 'reject'
  readonly schedule: string | null
  readonly log: { readonly open: boolean, readonly close: boolean, readonly deny: boolean }
  readonly sync: SyncMode
}
export type SyncMode = { readonly mode: 'now' | 'never' | 'before-forward' } | { readonly mode: 'after', readonly delayMs: number }

export interface Nat {
  readonly pools: readonly NatPool[]
  readonly source: readonly SourceNatRule[]
  readonly destination: readonly DestinationNatRule[]
  readonly static: readonly StaticNat[]
  /** Ports used by source NAT behind an interface's own address. */
  readonly interfacePorts: PortRange
}
export interface NatPool {
  readonly name: string
  readonly family: 4 | 6
  /** Single addresses, in order. */
  readonly addresses: readonly string[]
  /** One entry per redundancy group that may use the pool (R18). */
  readonly ranges: ReadonlyArray<{ readonly redundancyGroup: number, readonly ports: PortRange }>
  readonly keepPort: boolean
  readonly domain: string
}
interface NatMatch {
  readonly name: string
  readonly from: readonly string[]
  readonly source: readonly string[]
  readonly destination: readonly string[]
  readonly applications: readonly string[]
}
export interface SourceNatRule extends NatMatch {
  readonly to: readonly string[]
  readonly translate: { readonly kind: 'off' } | { readonly kind: 'interface' } | { readonly kind: 'pool', readonly pool: string }
}
export interface DestinationNatRule extends NatMatch {
  /** `null` = leave as it is. `port` 0 keeps the port. */
  readonly translate: { readonly address: string, readonly port: number } | null
}
export interface StaticNat {
  readonly name: string
  /** Prefixes of one length. */
  readonly outside: string
  readonly inside: string
  readonly redundancyGroup: number
  readonly domain: string
}

export type VipMode = 'nat' | 'l2' | 'ipip' | 'gre'
export interface Vip {
  readonly name: string
  /** Prefix; a single address has /32 or /128. */
  readonly address: string
  /** 0 = any. */
  readonly port: number
  /** IANA number; 0 = TCP and UDP. */
  readonly protocol: number
  readonly mode: VipMode
  readonly redundancyGroup: number
  readonly domain: string
  /** Maglev entries: a prime. */
  readonly ringSize: number
  readonly sourceIpSticky: boolean
  readonly snatPool: string | null
  readonly application: string | null
  /** Usable weight that a pool must have to serve; at least 1. */
  readonly quorum: number
  /** Per cent of the reals of the serving pool that must be up; 0 = never in panic. */
  readonly panicPct: number
  readonly flushOnDown: boolean
  readonly slowStartMs: number
  /** The first pool with usable weight serves. */
  readonly pools: ReadonlyArray<{ readonly name: string, readonly reals: readonly Real[] }>
}
export interface Real {
  /** Unique within the VIP. */
  readonly name: string
  readonly address: string
  /** 0 = the VIP's. */
  readonly port: number
  /** 0-100; 0 = takes no new flows. */
  readonly weight: number
  /** Name of its health check; `null`: it counts as up. */
  readonly check: string | null
}

export interface Adjustment { readonly vip: string, readonly real: string, /** `null`: as configured. */ readonly weight: number | null, readonly drained: boolean }

export interface Route {
  readonly prefix: string
  /** `null` for a connected or blackhole route. */
  readonly nextHop: string | null
  /** `null` = the interface whose subnet holds the next hop (resolved already where one does). */
  readonly interface: string | null
  readonly kind: 'gateway' | 'connected' | 'blackhole'
}
