/**
 * The file after the schema has passed: the shape of its values, nothing filled in. Keys are those of the YAML. A value that the schema
 * refused is left out before the builders see it (shape.ts), so every member is optional here except what `required` guarantees.
 */
import type { RealSettings, VipSettings } from '../contract/overlay.js'

export type Many<T> = T | readonly T[]
export type Scalar = string | number
type Named<T> = Readonly<Record<string, T>>

export interface RawConfig {
  readonly agent?: RawAgent
  readonly reload?: { readonly 'policy-rematch'?: boolean }
  readonly timeouts?: Named<Scalar>
  readonly cluster?: RawCluster
  readonly 'redundancy-groups'?: Named<RawGroup>
  readonly interfaces?: Named<RawInterface>
  readonly 'traffic-sources'?: Named<RawSource>
  readonly zones?: Named<RawZone>
  readonly screens?: Named<Named<number | boolean>>
  readonly 'address-book'?: Named<Many<string>>
  readonly applications?: Named<RawApplication>
  readonly schedules?: Named<RawSchedule>
  readonly policies?: readonly RawPolicy[]
  readonly nat?: RawNat
  readonly healthchecks?: Named<RawHealthCheck>
  readonly vips?: Named<RawVip>
  readonly routes?: readonly RawRoute[]
  readonly bgp?: RawBgp
  readonly nodes?: Named<{ readonly agent?: Omit<RawAgent, 'node'>, readonly interfaces?: Named<RawInterface>, readonly bgp?: RawBgp }>
}

export interface RawAgent {
  readonly node?: string
  readonly instance?: string
  readonly 'state-dir'?: string
  readonly socket?: string
  readonly backend?: 'userspace' | 'ebpf' | 'dpdk' | 'vpp'
  readonly netns?: string
  readonly workers?: number | 'auto'
  readonly 'nat-history'?: number
  readonly 'log-level'?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly manage?: 'none' | 'addresses'
  readonly 'host-ports'?: Scalar
  readonly table?: { readonly capacity?: Scalar, readonly hugepages?: 'auto' | 'on' | 'off' }
  readonly management?: { readonly ports?: readonly number[], readonly interfaces?: readonly string[] }
  readonly dpdk?: { readonly cpus?: Scalar, readonly hugepages?: 'auto' | 'on' | 'off', readonly memory?: number, readonly buffers?: number, readonly 'frame-bytes'?: number, readonly idle?: 'sleep' | 'poll', readonly 'eal-options'?: readonly string[] }
  readonly vpp?: { readonly 'api-socket'?: string, readonly transport?: 'auto' | 'socket' | 'shm', readonly 'api-prefix'?: string, readonly library?: string, readonly 'stats-socket'?: string | null, readonly 'tunnel-source4'?: string, readonly 'tunnel-source6'?: string, readonly 'nat-interfaces'?: readonly string[], readonly 'sticky-buckets'?: number, readonly 'flow-timeout'?: Scalar, readonly 'nat-sessions'?: { readonly agent: string, readonly vpp: string, readonly 'redundancy-group'?: number, readonly refresh?: Scalar }, readonly 'nat44-ed-sessions'?: { readonly 'redundancy-group'?: number, readonly interval?: Scalar } }
  readonly labels?: Named<string>
  readonly gateway?: { readonly grpc?: string | null, readonly metrics?: string | null }
  readonly tracing?: { readonly endpoint: string, readonly sample?: number, readonly plain?: boolean }
}

export interface RawBgpReport {
  readonly interval?: Scalar
  readonly grace?: Scalar
  readonly debounce?: Scalar
  readonly refresh?: Scalar
  readonly 'refresh-jitter'?: number
  readonly spacing?: Scalar
  readonly sinks: Named<RawBgpSink>
}

export interface RawBgpSink {
  readonly type: 'file' | 'webhook' | 'solana'
  readonly path?: string
  readonly url?: string
  readonly 'secret-file'?: string
  readonly timeout?: Scalar
  readonly batch?: number
  readonly program?: string
  readonly device?: string
  readonly 'keypair-file'?: string
  readonly 'dry-run'?: boolean
  readonly commitment?: 'confirmed' | 'finalized'
  readonly 'compute-unit-price'?: number
  readonly 'balance-min'?: number
}

export interface RawCluster {
  readonly 'key-file': string
  readonly certificates?: { readonly certificate: string, readonly key: string, readonly authority: string }
  readonly heartbeat?: { readonly interval?: Scalar, readonly count?: number }
  readonly 'restart-hold'?: Scalar
  readonly 'move-timeout'?: Scalar
  readonly 'degraded-after'?: Scalar
  readonly monitor?: { readonly 'worse-after'?: Scalar, readonly 'better-after'?: Scalar }
  readonly nodes: Named<{ readonly index: number, readonly sync: Many<string>, readonly heartbeat: Many<string> }>
}

export interface RawMonitor {
  readonly name?: string
  readonly weight: number
  readonly interface?: string
  readonly neighbour?: string
  readonly script?: readonly string[]
  readonly interval?: Scalar
  readonly timeout?: Scalar
}
export interface RawGroup {
  readonly description?: string
  readonly priority?: Named<number>
  readonly preempt?: boolean
  readonly monitors?: readonly RawMonitor[]
}

export interface RawInterface {
  readonly port?: string
  readonly vlan?: number
  readonly 'inner-vlan'?: number
  readonly zone?: string
  readonly 'redundancy-group'?: number
  readonly domain?: string
  readonly mtu?: number
  readonly role?: 'data' | 'fabric'
  readonly addresses?: Many<string>
  readonly 'floating-addresses'?: Many<string>
  readonly neighbours?: Named<string>
  readonly netns?: string
  readonly mac?: string
  readonly devargs?: string
  readonly replay?: { readonly rate?: number, readonly loops?: number }
}

export interface RawSource {
  readonly mode?: 'open' | 'answer'
  readonly rate?: number
  readonly flows?: number
  readonly source?: string
  readonly destination?: string
  readonly port?: number
  readonly protocol?: 'tcp' | 'udp'
}

export type RawService = string | { readonly protocol: Scalar, readonly ports?: Scalar }
export interface RawZone {
  readonly 'redundancy-group'?: number
  readonly 'host-inbound'?: Many<RawService>
  readonly screen?: string
  readonly fragments?: 'follow' | 'drop'
  readonly 'tcp-loose'?: boolean
  readonly multicast?: boolean
  readonly dhcp?: boolean
  readonly 'icmp-errors'?: boolean
}

export interface RawTerm {
  readonly protocol?: Many<Scalar>
  readonly 'source-port'?: Many<Scalar>
  readonly 'destination-port'?: Many<Scalar>
  readonly 'icmp-type'?: number
  readonly 'icmp-code'?: number
}
export interface RawApplication extends RawTerm { readonly terms?: readonly RawTerm[], readonly timeouts?: Named<Scalar> }

export interface RawSchedule {
  readonly 'time-zone'?: string
  readonly weekly?: ReadonlyArray<{ readonly days?: Many<string>, readonly from: string, readonly to: string }>
  readonly dates?: ReadonlyArray<{ readonly from: string, readonly to: string }>
}

interface RawMatch {
  readonly name: string
  readonly from?: Many<string>
  readonly source?: Many<string>
  readonly destination?: Many<string>
  readonly applications?: Many<string>
}
export interface RawPolicy extends RawMatch {
  readonly enabled?: boolean
  readonly to?: Many<string>
  readonly action: 'permit' | 'deny' | 'reject'
  readonly schedule?: string
  readonly log?: Many<'open' | 'close' | 'deny'>
  readonly sync?: string
}

export interface RawSourceRule extends RawMatch { readonly to?: Many<string>, readonly translate: 'interface' | 'pool' | 'off', readonly pool?: string }
export interface RawDestinationRule extends RawMatch { readonly translate: 'off' | { readonly address: string, readonly port?: number } }
export interface RawStatic {
  readonly name: string
  readonly outside: string
  readonly inside: string
  readonly 'redundancy-group'?: number
  readonly domain?: string
}
export interface RawPool {
  readonly addresses: Many<string>
  readonly ports?: Scalar
  readonly 'redundancy-group'?: number
  readonly 'port-ranges'?: Named<Scalar>
  readonly 'keep-port'?: boolean
  readonly domain?: string
}
export interface RawNat {
  readonly 'interface-ports'?: Scalar
  readonly pools?: Named<RawPool>
  readonly source?: readonly RawSourceRule[]
  readonly destination?: readonly RawDestinationRule[]
  readonly static?: readonly RawStatic[]
}

export interface RawHealthCheck {
  readonly type: 'icmp' | 'tcp' | 'tls' | 'http' | 'grpc' | 'dns' | 'exec'
  readonly port?: number
  readonly interval?: Scalar
  readonly 'fast-interval'?: Scalar
  readonly 'down-interval'?: Scalar
  readonly timeout?: Scalar
  readonly rise?: number
  readonly fall?: number
  readonly jitter?: number
  readonly netns?: string
  readonly source?: Many<string>
  readonly tls?: { readonly 'server-name'?: string, readonly verify?: 'none' | 'expiry' | 'full', readonly authority?: string, readonly 'min-days'?: number }
  readonly http?: { readonly method?: 'GET' | 'HEAD' | 'OPTIONS' | 'POST', readonly path?: string, readonly host?: string, readonly headers?: Named<string>, readonly status?: Many<Scalar>, readonly body?: string }
  readonly dns?: { readonly name: string, readonly type?: 'A' | 'AAAA' | 'TXT' | 'SOA' | 'NS' | 'MX' | 'CNAME', readonly answer?: string }
  readonly grpc?: { readonly service?: string }
  readonly exec?: readonly string[]
  readonly agent?: { readonly port: number, readonly send?: string }
  readonly passive?: number
}

export type RawReal = RealSettings
export interface RawVip extends VipSettings {
  readonly domain?: string
  readonly 'ring-size'?: number
  readonly 'snat-pool'?: string
  readonly application?: string
  readonly quorum?: number
  readonly 'panic-threshold'?: number
  readonly 'flush-on-down'?: boolean
  readonly 'slow-start'?: Scalar
  readonly pools: ReadonlyArray<{ readonly name?: string, readonly reals: readonly RawReal[] }>
}

export interface RawBgpSource {
  readonly type: 'frr' | 'bird' | 'gobgp' | 'bmp' | 'kernel'
  readonly socket?: string
  readonly pathspace?: string
  readonly address?: string
  readonly listen?: string
  readonly namespaces?: readonly string[]
  readonly vrf?: string
}
export interface RawBgpAnnounce { readonly when?: 'serving' | 'owned', readonly 'withdraw-after'?: Scalar, readonly 'kernel-table'?: number, readonly gobgp?: string, readonly communities?: readonly string[] }
export interface RawBgp { readonly interval?: Scalar, readonly timeout?: Scalar, readonly 'max-age'?: Scalar, readonly sources?: Named<RawBgpSource>, readonly report?: RawBgpReport, readonly announce?: RawBgpAnnounce }

export interface RawRoute { readonly prefix: string, readonly via?: string, readonly interface?: string, readonly blackhole?: boolean }

export const many = <T>(value: Many<T> | undefined): readonly T[] => value === undefined ? [] : Array.isArray(value) ? value as readonly T[] : [value as T]
