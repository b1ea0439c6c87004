/** What a configuration needs a backend to be able to do, so that it is refused before anything is touched, with the reason. Pure. */
import type { Capability } from '../contract/dataplane.js'
import type { Desired } from '../contract/desired.js'
import type { ConfigIssue } from '../contract/services.js'
import { capability } from '../generated/codes.js'
import { pointer } from './issues.js'

export type CapabilityName = (typeof capability)[number]['name']
/** `paths`: what asks for it, at least one. */
export interface Requirement { readonly capability: CapabilityName, readonly paths: readonly string[] }

/** One entry per capability. */
export function requiredCapabilities (d: Desired): Requirement[] {
  const out = new Map<CapabilityName, string[]>()
  const need = (name: CapabilityName, path: string): void => {
    const paths = out.get(name)
    if (paths === undefined) out.set(name, [path])
    else paths.push(path)
  }
  if (d.zones.length > 0) need('zones', '/zones')
  if (d.agent.workers > 1) need('many_workers', '/agent/workers')
  if (d.agent.table.hugepages === 'on') need('hugepages', '/agent/table/hugepages')
  for (const i of d.interfaces) {
    const path = pointer('/interfaces', i.name)
    const kind = d.ports.find(port => port.name === i.port)?.kind
    if (kind !== undefined) need(({ packet: 'ports_packet', pcap: 'ports_pcap', tap: 'ports_tap', source: 'ports_source', dpdk: 'ports_dpdk' } as const)[kind], pointer(path, 'port'))
    if (i.vlan > 0) need('vlan', pointer(path, 'vlan'))
    if (i.role === 'fabric') need('fabric', pointer(path, 'role'))
    if (i.floating.length > 0) need('address_answers', pointer(path, 'floating-addresses'))
    if ([...i.addresses, ...i.floating].some(a => a.includes(':'))) need('ipv6', pointer(path, 'addresses'))
  }
  for (const zone of d.zones) {
    if (zone.screen !== null) need('screens', pointer('/zones', zone.name, 'screen'))
    if (zone.hostInbound.any || zone.hostInbound.ping || zone.hostInbound.services.length > 0) need('host_traffic', pointer('/zones', zone.name, 'host-inbound'))
  }
  d.policies.forEach((policy, i) => {
    if (policy.schedule !== null) need('schedules', pointer('/policies', i, 'schedule'))
    if (policy.sync.mode === 'before-forward') need('before_forward_sync', pointer('/policies', i, 'sync'))
  })
  if (d.nat.source.some(rule => rule.translate.kind !== 'off') || d.vips.some(vip => vip.snatPool !== null)) need('snat', '/nat/source')
  if (d.nat.destination.some(rule => rule.translate !== null)) need('dnat', '/nat/destination')
  if (d.nat.static.length > 0) need('static_nat', '/nat/static')
  if (d.nat.pools.length > 0) need('address_answers', '/nat/pools')
  for (const vip of d.vips) need(({ nat: 'vip_nat', l2: 'vip_l2', ipip: 'vip_ipip', gre: 'vip_gre' } as const)[vip.mode], pointer('/vips', vip.name, 'mode'))
  return [...out].map(([capability, paths]) => ({ capability, paths }))
}

/** Issues for what these capabilities deny. A capability that is not listed is not judged. */
export function unsupportedIssues (d: Desired, capabilities: readonly Capability[]): ConfigIssue[] {
  const known = new Map(capabilities.map(c => [c.name, c]))
  return requiredCapabilities(d).flatMap(({ capability: name, paths }) => {
    const found = known.get(name)
    if (found === undefined || found.supported) return []
    const text = capability.find(c => c.name === name)?.text ?? name
    return [{ path: paths[0] ?? '', line: null, column: null, code: 'LS_C_UNSUPPORTED', message: `the backend cannot do this: ${text}`, found: found.reason === '' ? name : found.reason, expected: 'a configuration without it, or another backend' }]
  })
}
