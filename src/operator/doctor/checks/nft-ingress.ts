/** Chains of others on the ingress hook of claimed interfaces. */
import { from, note, ok, type NamespaceCheck } from '../finding.js'
import { chainName } from '../ruleset.js'
import { claimedIn } from '../scope.js'

export const nftIngress: NamespaceCheck = {
  id: 'nft-ingress',
  look: ({ netns, ruleset }, { facts, scope }) => {
    const devices = claimedIn(facts, netns)
    if (devices.length === 0) return []
    return from([ruleset], ([{ chains }], source) => {
      const found = chains.flatMap((c) => {
        if (c.base?.hook !== 'ingress') return []
        // Not every nft says on which device: then it may be one of ours.
        const on = c.base.devices.length === 0 ? null : c.base.devices.filter((d) => devices.includes(d))
        return on?.length === 0 ? [] : [`${chainName(c)}${on === null ? ' (on a device that nft does not tell here)' : ` on ${on.join(', ')}`}`]
      })
      if (found.length === 0) return [ok('no ingress chain of anybody else', source)]
      return [note({
        finding: `ingress chains of others: ${found.join('; ')}`, source,
        consequence: scope.backend === 'ebpf' ? 'they see only what the program passes to the stack, and may drop it' : 'they do not keep packets from the agent, which sees them first; what the agent leaves to the host may be dropped'
      })]
    })
  }
}
