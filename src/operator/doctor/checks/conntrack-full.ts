/** A full connection table drops new flows of the host itself. */
import { error, from, ok, warning, type NamespaceCheck } from '../finding.js'
import { fix } from '../shell.js'

export const conntrackFull: NamespaceCheck = {
  id: 'conntrack-full',
  look: ({ netns, conntrack: state }) => from([state], ([table], source) => {
    if (table === null) return []
    const text = `${table.count} of ${table.max} tracked connections`
    // Only the first namespace may change the limit of all.
    const fault = { finding: text, command: fix(null, `sysctl -w net.netfilter.nf_conntrack_max=${table.max * 2}`), source }
    if (table.count >= table.max) return [error({ ...fault, consequence: 'the kernel drops every new flow that it should track, management sessions too' })]
    if (table.count >= table.max * 0.8) return [warning({ ...fault, consequence: 'when it is full, the kernel drops every new flow that it should track, management sessions too' })]
    return netns === null || table.count > 0 ? [ok(text, source)] : []
  })
}
