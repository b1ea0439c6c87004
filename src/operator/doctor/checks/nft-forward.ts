/** Forward chains judge what the programs pass to the kernel's stack, and only that. */
import { note, from, ok, warning, type NamespaceCheck } from '../finding.js'
import { chainName, effectOf, type Chain } from '../ruleset.js'
import { claimedIn } from '../scope.js'
import { fix, nftNames } from '../shell.js'

export const nftForward: NamespaceCheck = {
  id: 'nft-forward',
  look: ({ netns, ruleset }, { facts, scope }) => {
    const devices = claimedIn(facts, netns)
    if (devices.length === 0) return []
    return from([ruleset], ([{ chains }], source) => {
      const forward = chains.filter((c) => c.base?.hook === 'forward')
      if (forward.length === 0) return [ok('no forward chain', source)]
      // The ingress chain of the userspace backend lets nothing through that would be forwarded.
      if (scope.backend === 'userspace') return [ok(`${forward.length} forward chains, which no packet of these interfaces reaches`, source)]
      return forward.map((chain) => {
        const { filtered, policyDrops } = effectOf(chain, devices)
        const name = `chain ${chainName(chain)}`
        if (filtered.length === 0) return ok(`${name} lets packets of ${devices.join(', ')} pass`, source)
        if (policyDrops.length === 0) {
          return note({ finding: `${name} has rules that may drop packets of ${filtered.join(', ')}`, consequence: 'packets that the program redirects do not see them, packets that it passes to the stack do: two policies for one flow', command: fix(netns, ...accept(chain, filtered)), source })
        }
        return warning({ finding: `${name} drops packets of ${policyDrops.join(', ')} by its policy`, consequence: 'redirected packets do not see it, but what the program passes to the stack is dropped: flows start and then stall', command: fix(netns, ...accept(chain, filtered)), source })
      })
    })
  }
}

/** In front of the others. Chains of iptables are left to iptables, which refuses rules it did not write. */
function accept ({ family, table, name }: Chain, devices: readonly string[]): string[] {
  if (table === 'filter' && name === 'FORWARD' && (family === 'ip' || family === 'ip6')) {
    const tool = family === 'ip' ? 'iptables' : 'ip6tables'
    return devices.map((d) => `${tool} -I FORWARD -i ${d} -j ACCEPT`)
  }
  return [`nft 'insert rule ${family} ${table} ${name} iifname ${nftNames(devices)} accept'`]
}
