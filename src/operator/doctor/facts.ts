/** What is known about a host before anybody judges it. Plain data: tests make it up, gather/ reads it. */
import type { XdpFeature } from '../../native/xdp-features.js'
import type { Ruleset } from './ruleset.js'
import type { Seen } from './seen.js'

export interface HostFacts {
  /** uname: `6.1.0-13-amd64`, `#1 SMP PREEMPT_DYNAMIC Debian ...`. */
  readonly kernel: { readonly release: string, readonly version: string }
  readonly root: boolean
  readonly cpus: number
  readonly pageBytes: Seen<number>
  readonly clock: Seen<{ readonly current: string, readonly available: readonly string[] }>
  /** The wall clock follows a time source. */
  readonly ntp: Seen<boolean>
  readonly memory: Seen<{ readonly totalBytes: number, readonly availableBytes: number }>
  /** Memory cgroup of this process, from which an agent started here would take. */
  readonly cgroup: Seen<CgroupMemory>
  /** Of 2 MiB. */
  readonly hugepages: Seen<{ readonly total: number, readonly free: number }>
  /** RLIMIT_MEMLOCK; `null` = unlimited. */
  readonly memlockBytes: Seen<number | null>
  readonly bpffs: Seen<boolean>
  readonly jit: Seen<{ readonly enable: number, readonly harden: number }>
  /** CPUs without a tick, as the kernel lists them; empty = none. */
  readonly nohzFull: Seen<string>
  readonly programs: Seen<readonly BpfProgram[]>
  readonly bpfLinks: Seen<readonly BpfLink[]>
  readonly bpftoolVersion: Seen<readonly [major: number, minor: number]>
  /** Why the process that runs DPDK cannot run here; '' = it can, or nobody asks for it. */
  readonly dpdk: Seen<string>
  /** Driver of each device that a port of DPDK names by its PCI address; '' = none has it; `null` = there is no such device. */
  readonly pci: Seen<Readonly<Record<string, string | null>>>
  readonly namespaces: readonly NamespaceFacts[]
  readonly interfaces: readonly InterfaceFacts[]
}

/** Of the group with the least room on the way to the root; `limitBytes` `null` = none has a limit. */
export interface CgroupMemory { readonly path: string, readonly version: 1 | 2, readonly limitBytes: number | null, readonly usedBytes: number }
/** `pinned`: its paths in the BPF file system. */
export interface BpfProgram { readonly id: number, readonly name: string, readonly type: string, readonly pinned: readonly string[] }
export interface BpfLink { readonly id: number, readonly programId: number, readonly pinned: readonly string[] }

export interface NamespaceFacts {
  /** Path of the namespace; `null` = the one this process is in. */
  readonly netns: string | null
  readonly ruleset: Seen<Ruleset>
  /** Tables of the older iptables that hold rules: nft does not show them. */
  readonly legacyTables: Seen<readonly string[]>
  /** `null`: this kernel has no connection tracking. */
  readonly conntrack: Seen<{ readonly count: number, readonly max: number } | null>
  readonly localPorts: Seen<{ readonly from: number, readonly to: number }>
}

export interface InterfaceFacts {
  readonly device: string
  readonly netns: string | null
  /** `null`: there is no such interface. */
  readonly link: Seen<Link | null>
  readonly sysctl: Seen<InterfaceSysctl>
  readonly driver: Seen<string>
  /** What the driver declares about XDP now; `null`: the kernel does not tell. */
  readonly xdpFeatures: Seen<readonly XdpFeature[] | null>
  /** ethtool's names: `large-receive-offload` -> active. */
  readonly features: Seen<Readonly<Record<string, boolean>>>
  /** Queues that receive; `null`: the driver has no such setting. */
  readonly channels: Seen<{ readonly current: number, readonly max: number, readonly kind: 'combined' | 'rx' } | null>
  /** `key`: the Toeplitz key, bytes in hexadecimal; `symmetric`: the driver sorts addresses and ports first. `null`: the driver has none. */
  readonly rss: Seen<{ readonly key: readonly string[], readonly symmetric: boolean } | null>
  readonly tc: Seen<readonly TcProgram[]>
  /** The other end, of a veth pair. `null`: not a veth. */
  readonly peer: Peer | null
}

export interface Link {
  readonly index: number
  /** `veth`, `vlan`, `bridge` ...; empty: a device of its own. */
  readonly kind: string
  readonly mtu: number
  readonly up: boolean
  readonly carrier: boolean
  readonly rxQueues: number
  /** Addresses that are not of the link alone, with prefix length. */
  readonly addresses: readonly string[]
  readonly xdp: readonly XdpProgram[]
}

export interface XdpProgram { readonly mode: 'driver' | 'generic' | 'offload', readonly id: number, readonly name: string }
export interface TcProgram { readonly id: number, readonly name: string, readonly hook: string }

/** Of the interface itself; `all`: the setting of the same name that is combined with it. */
export interface InterfaceSysctl {
  readonly forwarding4: number
  /** `null`: no IPv6 here. */
  readonly forwarding6: number | null
  readonly rpFilter: number
  readonly rpFilterAll: number
}

export interface Peer {
  /** Where it is: device and namespace; unseen when its namespace has no name here. `xdp`: its driver runs a program. */
  readonly place: Seen<{ readonly device: string, readonly netns: string | null, readonly mtu: number, readonly xdp: boolean }>
  readonly features: Seen<Readonly<Record<string, boolean>>>
}
