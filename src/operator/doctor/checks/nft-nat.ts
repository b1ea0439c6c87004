/** Address translation by the kernel on top of ours. It needs connection tracking: what is not tracked is not translated. */
import { from, ok, warning, type NamespaceCheck } from '../finding.js'
import { notrack } from '../notrack.js'
import { chainName, concerns, untracked } from '../ruleset.js'
import { claimedIn } from '../scope.js'

const TRANSLATE = ['masquerade', 'snat', 'dnat', 'redirect']

export const nftNat: NamespaceCheck = {
  id: 'nft-nat',
  look: ({ netns, ruleset }, { facts, scope }) => {
    const devices = claimedIn(facts, netns)
    if (devices.length === 0 || scope.backend !== 'ebpf') return []
    return from([ruleset], ([rules], source) => {
      const kept = untracked(rules, devices)
      const met = rules.chains.flatMap((chain) => chain.rules.flatMap((r) => {
        const action = r.actions.find((a) => TRANSLATE.includes(a))
        const open = devices.filter((d) => !kept.includes(d) && concerns(r, d))
        return action === undefined || open.length === 0 ? [] : [{ rule: `${action} in chain ${chainName(chain)} (handle ${r.handle})`, open }]
      }))
      if (met.length === 0) return [ok('the kernel translates no addresses of these interfaces', source)]
      const open = [...new Set(met.flatMap((m) => m.open))]
      return [warning({
        finding: `rules that translate addresses may meet packets of ${open.join(', ')}: ${met.map((m) => m.rule).join(', ')}`,
        consequence: 'what the program passes to the stack is translated a second time: the other side answers to an address that no session has',
        command: notrack(netns, open), source
      })]
    })
  }
}
