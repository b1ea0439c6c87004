/**
 * The lab of a pair: a client and a server, each on a bridge that both routers are on, and three links between the routers.
 *
 *     PREFIX-client        PREFIX-outside        PREFIX-r1, PREFIX-r2       PREFIX-inside       PREFIX-s1, PREFIX-s2
 *     eth0 10.77.1.2 ----- [br0] ---------------- wan 10.77.1.3, .4
 *                                                 lan 10.77.2.3, .4 ------- [br0] ------------ eth0 10.77.2.11, .12
 *                                                 sync 10.77.7.1 -- .2   (first path of the stream and of heartbeats)
 *                                                 spare 10.77.8.1 -- .2  (second path)
 *                                                 fabric -- fabric
 *
 * The floating addresses 10.77.1.1 and 10.77.2.1 are the gateways of client and servers, as in the lab of one router.
 */
import { ports } from './servers.js'
import { addresses, macs, netnsOf, type HostAddresses, type HostName, type Plan } from './topology.js'
import type { Command } from './shell.js'

export const routers = ['r1', 'r2'] as const
export type RouterName = typeof routers[number]
export const own = {
  r1: { wan: { v4: '10.77.1.3', v6: 'fd77:1::3' }, lan: { v4: '10.77.2.3', v6: 'fd77:2::3' }, sync: '10.77.7.1', spare: '10.77.8.1', index: 1 },
  r2: { wan: { v4: '10.77.1.4', v6: 'fd77:1::4' }, lan: { v4: '10.77.2.4', v6: 'fd77:2::4' }, sync: '10.77.7.2', spare: '10.77.8.2', index: 2 }
} as const
const mac = (link: number, end: number): string => `02:78:0${link}:00:00:${end.toString(16).padStart(2, '0')}`

const hosts: readonly HostName[] = ['client', 'outside', 'r1', 'r2', 'inside', 's1', 's2']

/** Ready at once (no duplicate address detection), no forwarding by the kernel, no advertisements, every error sent. */
export const quiet = (netns: string): Command => ({
  netns, argv: ['sh', '-c', [
    ['ipv6/conf/all/accept_dad', 0], ['ipv6/conf/default/accept_dad', 0], ['ipv6/conf/default/dad_transmits', 0], ['ipv6/conf/default/accept_ra', 0], ['ipv6/conf/default/router_solicitations', 0],
    ['ipv4/ip_forward', 0], ['ipv6/conf/all/forwarding', 0], ['ipv6/conf/default/forwarding', 0], ['ipv4/conf/all/rp_filter', 0], ['ipv4/conf/default/rp_filter', 0],
    ['ipv4/icmp_ratelimit', 0], ['ipv6/icmp/ratelimit', 0]
  ].map(([key, value]) => `echo ${value} > /proc/sys/net/${key}`).join(' && ')]
})

export function pairPlan (prefix: string): Plan {
  const ns = (host: HostName): string => netnsOf(prefix, host)
  const here = (...argv: string[]): Command => ({ netns: null, argv })
  const at = (host: HostName, ...argv: string[]): Command => ({ netns: ns(host), argv })
  const veth = (a: HostName, aName: string, aMac: string, b: HostName, bName: string, bMac: string): Command =>
    here('ip', 'link', 'add', aName, 'netns', ns(a), 'address', aMac, 'type', 'veth', 'peer', 'name', bName, 'netns', ns(b), 'address', bMac)
  const give = (host: HostName, dev: string, { v4, v6 }: HostAddresses): Command[] => [at(host, 'ip', 'addr', 'add', `${v4}/24`, 'dev', dev), at(host, 'ip', 'addr', 'add', `${v6}/64`, 'dev', dev, 'nodad')]
  const plain = (host: HostName, dev: string, ...more: string[]): Command => at(host, 'ethtool', '-K', dev, 'lro', 'off', 'tso', 'off', 'gso', 'off', 'tx', 'off', ...more)
  const end = (host: HostName, address: HostAddresses, gateway: HostAddresses): Command[] => [
    at(host, 'ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gro', 'on'), ...give(host, 'eth0', address), at(host, 'ip', 'link', 'set', 'eth0', 'up'),
    at(host, 'ip', 'route', 'add', 'default', 'via', gateway.v4), at(host, 'ip', '-6', 'route', 'add', 'default', 'via', gateway.v6)
  ]
  const bridge = (host: HostName, ports: readonly string[]): Command[] => [
    at(host, 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0'), at(host, 'ip', 'link', 'set', 'br0', 'up'),
    ...ports.flatMap((dev) => [plain(host, dev, 'gro', 'on'), at(host, 'ip', 'link', 'set', dev, 'master', 'br0'), at(host, 'ip', 'link', 'set', dev, 'up')])
  ]
  const up = (host: HostName, dev: string, ...gro: string[]): Command[] => [plain(host, dev, 'gro', ...gro), at(host, 'ip', 'link', 'set', dev, 'up')]
  return {
    hosts,
    commands: [
      ...hosts.map((h) => here('ip', 'netns', 'add', ns(h))), ...hosts.map((h) => quiet(ns(h))), ...hosts.map((h) => at(h, 'ip', 'link', 'set', 'lo', 'up')),
      at('client', 'sh', '-c', 'echo "1024 65535" > /proc/sys/net/ipv4/ip_local_port_range'),
      veth('outside', 'to-client', mac(1, 0x12), 'client', 'eth0', macs.client), veth('inside', 'to-s1', mac(2, 0x21), 's1', 'eth0', macs.s1), veth('inside', 'to-s2', mac(2, 0x22), 's2', 'eth0', macs.s2),
      ...routers.flatMap((r, i) => [veth(r, 'wan', mac(1, 3 + i), 'outside', `to-${r}`, mac(1, 0x13 + i)), veth(r, 'lan', mac(2, 3 + i), 'inside', `to-${r}`, mac(2, 0x13 + i))]),
      veth('r1', 'sync', mac(7, 1), 'r2', 'sync', mac(7, 2)), veth('r1', 'spare', mac(8, 1), 'r2', 'spare', mac(8, 2)), veth('r1', 'fabric', mac(9, 1), 'r2', 'fabric', mac(9, 2)), ...routers.map((r) => at(r, 'ip', 'link', 'set', 'fabric', 'mtu', '1600')),
      ...bridge('outside', ['to-client', 'to-r1', 'to-r2']), ...bridge('inside', ['to-s1', 'to-s2', 'to-r1', 'to-r2']),
      ...end('client', addresses.client, addresses.routerClient), ...end('s1', addresses.s1, addresses.routerServer), ...end('s2', addresses.s2, addresses.routerServer),
      ...routers.flatMap((r) => [
        ...give(r, 'wan', own[r].wan), ...give(r, 'lan', own[r].lan), at(r, 'ip', 'addr', 'add', `${own[r].sync}/24`, 'dev', 'sync'), at(r, 'ip', 'addr', 'add', `${own[r].spare}/24`, 'dev', 'spare'),
        ...['wan', 'lan'].flatMap((dev) => up(r, dev, 'off')), ...['sync', 'spare', 'fabric'].flatMap((dev) => up(r, dev, 'on'))
      ])
    ]
  }
}

export interface PairConfig {
  readonly backend: 'userspace' | 'ebpf'
  readonly keyFile: string
  readonly heartbeat?: { readonly interval: string, readonly count: number }
  /** Of r1 and r2 in group 0. */
  readonly priority?: readonly [number, number]
  readonly capacity?: string
  /** More YAML, behind the VIPs. */
  readonly more?: string
}

/** One file for both; `--node` says who reads it. */
/** Where routing daemons would take routes to VIPs from. */
export const ANNOUNCE_TABLE = 179

export function pairConfig (o: PairConfig): string {
  const { interval, count } = o.heartbeat ?? { interval: '100ms', count: 3 }
  const each = (line: (r: RouterName) => string): string => routers.map(line).join('\n')
  return `agent:
  backend: ${o.backend}
  table: {capacity: ${o.capacity ?? '64k'}}
  management: {ports: [22]}
nodes:
${each((r) => `  ${r}:
    interfaces:
      wan: {addresses: [${own[r].wan.v4}/24, "${own[r].wan.v6}/64"]}
      lan: {addresses: [${own[r].lan.v4}/24, "${own[r].lan.v6}/64"]}`)}
cluster:
  key-file: ${o.keyFile}
  heartbeat: {interval: ${interval}, count: ${count}}
  nodes:
${each((r) => `    ${r}: {index: ${own[r].index}, sync: ["${own[r].sync}:7946", "${own[r].spare}:7946"], heartbeat: ["${own[r].sync}:7945", "${own[r].spare}:7945"]}`)}
redundancy-groups:
  0: {priority: {r1: ${o.priority?.[0] ?? 200}, r2: ${o.priority?.[1] ?? 100}}}
interfaces:
  wan: {zone: clients, floating-addresses: [${addresses.routerClient.v4}/24, "${addresses.routerClient.v6}/64"]}
  lan: {zone: servers, floating-addresses: [${addresses.routerServer.v4}/24, "${addresses.routerServer.v6}/64"]}
  fabric: {role: fabric}
zones:
  clients: {host-inbound: [ping]}
  servers: {host-inbound: [ping]}
policies:
  - {name: guests, from: clients, to: servers, destination: ${addresses.s2.v4}, applications: udp/${ports.echo}, action: permit, sync: never}
  - {name: patient, from: clients, to: servers, destination: ${addresses.s2.v4}, applications: tcp/${ports.echo}, action: permit, sync: 3s}
  - {name: all, from: clients, to: servers, action: permit}
  - {name: out, from: servers, to: clients, action: permit}
bgp: {announce: {kernel-table: ${ANNOUNCE_TABLE}}}
vips:
  web4:
    address: ${addresses.vip.v4}
    port: 80
    pools: [{reals: [{name: one, address: ${addresses.s1.v4}}, {name: two, address: ${addresses.s2.v4}}]}]
${o.more ?? ''}`
}
