/** R17: the ports of the host's own connections are not those of source NAT. */
import { error, from, ok, warning, type NamespaceCheck } from '../finding.js'
import type { PortRange } from '../../../contract/desired.js'
import { claimedIn } from '../scope.js'
import { fix } from '../shell.js'

const overlap = (a: PortRange, b: PortRange): boolean => a.from <= b.to && b.from <= a.to
const shown = (r: PortRange): string => `${r.from}-${r.to}`

export const portRanges: NamespaceCheck = {
  id: 'port-ranges',
  look: ({ netns, localPorts }, { facts, scope: { desired, backend } }) => {
    if (desired === null || claimedIn(facts, netns).length === 0) return []
    return from([localPorts], ([own], source) => {
      const { from: low, to: high } = desired.agent.hostPorts
      const command = fix(netns, `sysctl -w net.ipv4.ip_local_port_range='${low} ${high}'`)
      const interfaceNat = desired.nat.source.some((r) => r.translate.kind === 'interface')
      if (interfaceNat && overlap(own, desired.nat.interfacePorts)) {
        return [error({ finding: `the host's own connections use ports ${shown(own)}, source NAT behind interface addresses uses ${shown(desired.nat.interfacePorts)}`, consequence: 'both may take the same port of the same address: replies to the host go to a client, or the flow is dropped (host_port_conflict)', command, source })]
      }
      // The ebpf backend records what the host opens; the other knows replies by their port.
      if (backend === 'userspace' && (own.from < low || own.to > high)) {
        return [warning({ finding: `the host's own connections use ports ${shown(own)}, agent.host-ports says ${low}-${high}`, consequence: 'replies to ports outside agent.host-ports are dropped: some connections of the host fail, now and then', command, source })]
      }
      return [ok(`the host's own connections use ports ${shown(own)}${interfaceNat ? `, source NAT ${shown(desired.nat.interfacePorts)}` : ''}`, source)]
    })
  }
}
