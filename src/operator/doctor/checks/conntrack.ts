/** The kernel's own connection tracking beside our sessions. */
import { from, ok, warning, type NamespaceCheck } from '../finding.js'
import { notrack } from '../notrack.js'
import { tracks, untracked } from '../ruleset.js'
import { claimedIn } from '../scope.js'

export const conntrack: NamespaceCheck = {
  id: 'conntrack',
  look: ({ netns, ruleset, conntrack: state }, { facts, scope }) => {
    const devices = claimedIn(facts, netns)
    if (devices.length === 0) return []
    return from([state, ruleset], ([table, rules], source) => {
      if (table === null) return [ok('this kernel does not track connections', source)]
      if (!tracks(rules) && table.count === 0) return [ok('nothing asks the kernel to track connections', source)]
      if (scope.backend !== 'ebpf') return [ok('the kernel tracks connections, but no forwarded packet of these interfaces reaches it', source)]
      const kept = untracked(rules, devices)
      const open = devices.filter((d) => !kept.includes(d))
      if (open.length === 0) return [ok(`forwarded packets of ${devices.join(', ')} are kept from connection tracking`, source)]
      return [warning({
        finding: `the kernel tracks connections (${table.count} of ${table.max} now), and nothing keeps packets of ${open.join(', ')} from it`,
        consequence: 'what the program passes to the stack is tracked a second time from half of its packets: it fills the table, and rules that drop invalid packets end the flow',
        command: notrack(netns, open), source
      })]
    })
  }
}
