/**
 * The nft ruleset that keeps packets of claimed ports away from the host's stack, except those the host is meant to have (R16): AF_PACKET sees a
 * frame before the ingress hook, so the pipeline has its copy whatever the chain says. Pure: text out. The verdicts mirror
 * native/pipeline/host.h.
 */
import type { Desired, Zone } from '../../contract/desired.js'
import { parseAddress, parsePrefix } from '../../lib/address.js'

export interface IngressPort {
  /** Kernel device. */
  readonly device: string
  readonly zones: readonly Zone[]
  /** With prefix length. */
  readonly addresses: readonly string[]
  readonly management: boolean
}

const ND = '{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }'
const ERRORS4 = '{ destination-unreachable, time-exceeded, parameter-problem, source-quench, echo-reply }'
const ERRORS6 = '{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-reply }'

export const ingressTable = (instance: string): string => `lockstep_${instance.replace(/[^A-Za-z0-9_]/g, '_')}`

/** What the instance's table holds. */
export const ingressChains = (ports: readonly IngressPort[], d: Desired): string => ports.map((port, i) => chain(port, i, d)).join('')

function chain (port: IngressPort, i: number, d: Desired): string {
  const own4 = ownAddresses(port.addresses, 4)
  const own6 = ownAddresses(port.addresses, 6)
  const rules: string[] = [
    'ether type { arp, 0x88cc, 0x8809 } accept',
    `icmpv6 type ${ND} accept`
  ]
  if (port.zones.some(z => z.multicast)) rules.push('pkttype multicast accept', 'ip daddr 224.0.0.0/4 accept', 'ip6 daddr ff00::/8 accept')
  if (port.zones.some(z => z.dhcp)) rules.push('udp dport { 67, 68, 546, 547 } accept')
  for (const [family, own] of [['ip', own4], ['ip6', own6]] as const) {
    if (own.length === 0) continue
    rules.push(`${family} daddr { ${own.join(', ')} } jump host_${i}`)
  }
  const text = (name: string, head: string, lines: readonly string[]): string => `\tchain ${name} {\n${head}${lines.map(line => `\t\t${line}\n`).join('')}\t}\n`
  return text(`host_${i}`, '', hostRules(port, d)) +
    text(`port_${i}`, `\t\ttype filter hook ingress device "${port.device}" priority -500; policy drop;\n`, rules)
}

function ownAddresses (addresses: readonly string[], family: 4 | 6): string[] {
  return [...new Set(addresses.flatMap(text => {
    const prefix = parsePrefix(text)
    const host = text.split('/')[0] ?? ''
    return prefix !== null && prefix.family === family && parseAddress(host) !== null ? [host] : []
  }))]
}

/** What an address of the host may receive: management first, translated ports never, then replies and the zone's services. */
function hostRules (port: IngressPort, d: Desired): string[] {
  const rules: string[] = []
  if (port.management && d.agent.management.ports.length > 0) rules.push(`tcp dport { ${d.agent.management.ports.join(', ')} } accept`)
  const nat = d.nat.interfacePorts
  if (d.nat.source.some(rule => rule.translate.kind === 'interface')) rules.push(`meta l4proto { tcp, udp } th dport ${nat.from}-${nat.to} drop`)
  if (port.zones.some(z => z.hostInbound.any)) return [...rules, 'accept']
  const own = d.agent.hostPorts
  rules.push(`icmp type ${ERRORS4} accept`, `icmpv6 type ${ERRORS6} accept`)
  if (port.zones.some(z => z.hostInbound.ping)) rules.push('icmp type echo-request accept', 'icmpv6 type echo-request accept')
  rules.push(`tcp dport ${own.from}-${own.to} tcp flags & (syn | ack) != syn accept`, `udp dport ${own.from}-${own.to} accept`)
  for (const zone of port.zones) {
    for (const { protocol, ports } of zone.hostInbound.services) {
      if (protocol === 6 || protocol === 17) rules.push(`${protocol === 6 ? 'tcp' : 'udp'} dport ${ports.from}-${ports.to} accept`)
      else rules.push(`meta l4proto ${protocol} accept`)
    }
  }
  return rules
}
