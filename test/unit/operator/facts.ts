/** A host on which nothing is wrong for the ebpf backend, and ways to spoil it. */
import type { HostFacts, InterfaceFacts, Link, NamespaceFacts } from '../../../src/operator/doctor/facts.js'
import { examine } from '../../../src/operator/doctor/examine.js'
import type { Finding } from '../../../src/operator/doctor/finding.js'
import type { Rule } from '../../../src/operator/doctor/ruleset.js'
import type { Scope } from '../../../src/operator/doctor/scope.js'
import { known, type Seen } from '../../../src/operator/doctor/seen.js'
import { desired } from '../config/support.js'

export const seen = <T>(value: T): Seen<T> => known(value, 'made up')

const goodLink: Link = { index: 2, kind: '', mtu: 1500, up: true, carrier: true, rxQueues: 4, addresses: ['192.0.2.1/24'], xdp: [] }

export const goodInterface: InterfaceFacts = {
  device: 'wan', netns: null, link: seen(goodLink), driver: seen('ice'), xdpFeatures: seen(null),
  sysctl: seen({ forwarding4: 0, forwarding6: 0, rpFilter: 2, rpFilterAll: 0 }),
  features: seen({ 'large-receive-offload': false, 'rx-gro-hw': false, 'generic-receive-offload': true, 'rx-vlan-offload': false, 'tx-checksumming': true }),
  channels: seen({ current: 4, max: 4, kind: 'combined' as const }), rss: seen({ key: ['6d', '5a', '6d', '5a'], symmetric: false }), tc: seen([]), peer: null
}

export const goodNamespace: NamespaceFacts = {
  netns: null, ruleset: seen({ chains: [] }), legacyTables: seen([]), conntrack: seen({ count: 0, max: 1000 }), localPorts: seen({ from: 32768, to: 60999 })
}

export const goodHost: HostFacts = {
  kernel: { release: '6.1.0-13-amd64', version: '#1 SMP PREEMPT_DYNAMIC Debian' }, root: true, cpus: 4, pageBytes: seen(4096),
  clock: seen({ current: 'tsc', available: ['tsc', 'hpet'] }), ntp: seen(true), memory: seen({ totalBytes: 8 * 2 ** 30, availableBytes: 4 * 2 ** 30 }),
  cgroup: seen({ path: '/', version: 2 as const, limitBytes: null, usedBytes: 0 }), hugepages: seen({ total: 200, free: 200 }), memlockBytes: seen(8 << 20),
  bpffs: seen(true), jit: seen({ enable: 1, harden: 0 }), nohzFull: seen(''), programs: seen([]), bpfLinks: seen([]), bpftoolVersion: seen([7, 3] as const),
  dpdk: seen(''), pci: seen({ '0000:03:00.0': 'vfio-pci' }), namespaces: [goodNamespace], interfaces: [goodInterface]
}

export const config = (more = ''): string => `
agent: {backend: ebpf, table: {capacity: 1M, hugepages: on}${more}}
interfaces:
  wan: {zone: z}
  tagged: {port: wan, vlan: 7, zone: z}
zones: {z: {}}
nat: {source: [{name: out, translate: interface}]}
`

export const ebpf: Scope = { backend: 'ebpf', desired: desired(config()), running: false }
export const userspace: Scope = { ...ebpf, backend: 'userspace' }
const physical = (hugepages: string): string => `
agent: {backend: dpdk, dpdk: {hugepages: "${hugepages}"}}
interfaces: {wan: {port: "dpdk:wan0", devargs: "03:00.0", zone: z}}
zones: {z: {}}
`
export const dpdk = (hugepages = 'auto'): Scope => ({ backend: 'dpdk', desired: desired(physical(hugepages)), running: false })
/** Without a configuration. */
export const bare: Scope = { backend: 'ebpf', desired: null, running: false }

export interface Change {
  readonly host?: Partial<HostFacts>
  readonly namespace?: Partial<NamespaceFacts>
  readonly interface?: Partial<InterfaceFacts>
  readonly link?: Partial<Link>
}

export function spoiled (c: Change): HostFacts {
  return {
    ...goodHost,
    namespaces: [{ ...goodNamespace, ...c.namespace }],
    interfaces: [{ ...goodInterface, ...(c.link === undefined ? {} : { link: seen({ ...goodLink, ...c.link }) }), ...c.interface }],
    ...c.host
  }
}

/** What one check says. */
export const findings = (id: string, change: Change = {}, scope: Scope = ebpf): Finding[] => examine(spoiled(change), scope).filter((f) => f.id === id)

export const rule = (r: Partial<Rule>): Rule => ({ handle: 1, input: null, other: false, forwardedOnly: false, conntrack: false, actions: [], ...r })
