/** What the rest of a file owes a pair: addresses that move with their group, listeners that are reached, and nodes that agree (R18, R29). */
import type { Endpoint } from '../../contract/cluster.js'
import type { Desired, Interface } from '../../contract/desired.js'
import { familyOf, parseAddress } from '../../lib/address.js'
import { pointer } from '../issues.js'
import { interfacesBehindNat } from './checks.js'
import type { Build } from './context.js'

type Whole = Omit<Desired, 'ids'>

/** One node by itself. */
export function checkPair (b: Build, d: Whole): void {
  if (d.cluster === null) return
  floatingAddresses(b, d)
  listeners(b, d)
}

const hostOf = (prefix: string): string => prefix.slice(0, prefix.indexOf('/'))
const families = (prefixes: readonly string[]): Set<4 | 6> => new Set(prefixes.flatMap(prefix => {
  const value = parseAddress(hostOf(prefix))
  return value === null || value >> 118n === 0x3fan ? [] : [familyOf(value)]
}))

/** Interfaces for management are of a node, not of a group. */
function floatingAddresses (b: Build, d: Whole): void {
  const hiding = new Set(interfacesBehindNat(d))
  for (const i of d.interfaces) {
    if (i.role !== 'data' || i.zone === '' || d.agent.management.interfaces.includes(i.name)) continue
    const path = pointer('/interfaces', i.name, 'floating-addresses')
    const floating = families(i.floating)
    if (floating.size === 0) {
      if (hiding.has(i)) b.issue(path, 'LS_C_REQUIRED', 'there is none: source NAT hides sessions behind the interface, and in a pair they need an address that follows them', i.name, 'floating-addresses, or a NAT rule with a pool, or with a `to` that leaves this interface out (R18)')
      else b.warn(path, `no floating address: what uses this interface as its gateway does not follow redundancy group ${i.redundancyGroup} to the other node`)
      continue
    }
    if (!hiding.has(i)) continue
    for (const family of families(i.addresses)) {
      if (!floating.has(family)) b.warn(path, `no IPv${family} floating address: in a pair source NAT behind the interface leaves IPv${family} as it is (R18)`)
    }
  }
}

/** Listeners on addresses of claimed interfaces: only what a zone accepts gets to the host. */
function listeners (b: Build, d: Whole): void {
  const own = d.cluster?.nodes.find(node => node.name === d.agent.node)
  if (own === undefined) return
  const path = pointer('/cluster/nodes', own.name)
  const listen = (place: string, { host, port }: Endpoint, protocol: 'tcp' | 'udp'): void => {
    const has = (prefixes: readonly string[]): boolean => prefixes.some(prefix => hostOf(prefix) === host)
    const moving = d.interfaces.find(i => has(i.floating))
    if (moving !== undefined) b.issue(place, 'LS_C_CONFLICT', `a floating address of interface ${moving.name} is not always at this node`, host, 'an address of the node alone')
    const at = d.interfaces.find(i => has(i.addresses))
    if (at === undefined) return
    const { from, to } = d.nat.interfacePorts
    if (interfacesBehindNat(d).length > 0 && port >= from && port <= to) b.warn(place, `${protocol}/${port} is one of nat.interface-ports ${from}-${to}, which the host itself does not receive: choose a port outside`)
    const inbound = d.zones.find(zone => zone.name === at.zone)?.hostInbound
    if (inbound === undefined || inbound.any) return
    const number = protocol === 'tcp' ? 6 : 17
    if (!inbound.services.some(service => service.protocol === number && service.ports.from <= port && port <= service.ports.to)) b.warn(place, `zone ${at.zone} of interface ${at.name} does not accept it: add ${protocol}/${port} to its host-inbound`)
  }
  const each = (key: string, ends: readonly Endpoint[], protocol: 'tcp' | 'udp'): void => {
    ends.forEach((end, i) => { listen(ends.length === 1 ? pointer(path, key) : pointer(path, key, i), end, protocol) })
  }
  each('sync', own.sync, 'tcp')
  each('heartbeat', own.heartbeats, 'udp')
}

const keys = [['vlan', 'vlan'], ['innerVlan', 'inner-vlan'], ['domain', 'domain'], ['role', 'role'], ['zone', 'zone'], ['redundancyGroup', 'redundancy-group'], ['floating', 'floating-addresses']] as const

/** What ids and sessions refer to is the same at both; `b` is of the second. */
export function compareNodes (b: Build, first: Desired, second: Desired): void {
  if (![first, second].every(d => d.cluster?.nodes.some(node => node.name === d.agent.node) === true)) return
  const [here, there] = [first.agent.node, second.agent.node]
  const others = new Map(first.interfaces.map(i => [i.name, i]))
  const alone = (name: string, node: string): void => {
    b.issue(pointer('/nodes', node, 'interfaces', name), 'LS_C_CONFLICT', 'the nodes of a pair have the same interfaces', `${name} at ${node} only`, 'an interface of both nodes; port and addresses may differ')
  }
  for (const i of second.interfaces) {
    const other = others.get(i.name)
    others.delete(i.name)
    if (other === undefined) alone(i.name, there)
    else compareInterface(b, { node: here, interface: other }, { node: there, interface: i })
  }
  for (const name of others.keys()) alone(name, here)
}

interface Side { readonly node: string, readonly interface: Interface }

function compareInterface (b: Build, first: Side, second: Side): void {
  const { name, addresses } = second.interface
  const odd = keys.find(([field]) => JSON.stringify(first.interface[field]) !== JSON.stringify(second.interface[field]))
  if (odd !== undefined) {
    const [field, key] = odd
    const own = pointer('/nodes', first.node, 'interfaces', name, key)
    const [path, found, other] = b.raw(own) === undefined ? [pointer('/interfaces', name, key), second, first] : [own, first, second]
    b.issue(path, 'LS_C_CONFLICT', `the nodes of a pair differ in ${key}`, found.interface[field], `${JSON.stringify(other.interface[field])}, as at ${other.node}`)
  }
  const both = addresses.map(hostOf).find(host => first.interface.addresses.some(address => hostOf(address) === host))
  if (both !== undefined) b.warn(pointer('/interfaces', name, 'addresses'), `both nodes have ${both}: give each its own under nodes, or make it a floating address`)
}
