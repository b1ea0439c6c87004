/** Rules of the older iptables, which nft does not show. */
import { from, note, ok, type NamespaceCheck } from '../finding.js'
import { claimedIn } from '../scope.js'

export const iptablesLegacy: NamespaceCheck = {
  id: 'iptables-legacy',
  look: ({ netns, legacyTables }, { facts, scope }) => claimedIn(facts, netns).length === 0 || scope.backend !== 'ebpf'
    ? []
    : from([legacyTables], ([tables], source) => tables.length === 0
      ? [ok('no tables of the older iptables', source)]
      : [note({ finding: `tables of the older iptables exist (${tables.join(', ')}); their rules are not looked at`, consequence: 'they judge what the program passes to the stack: read them with iptables-legacy-save', source })])
}
