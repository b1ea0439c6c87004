/** XDP in the driver, and as a target of redirects. */
import { xdpSupport } from '../drivers.js'
import { error, from, note, ok, warning, type InterfaceCheck } from '../finding.js'

export const driver: InterfaceCheck = {
  id: 'driver',
  look: ({ link, driver: seen }, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([seen, link], ([name, l], source) => {
      if (l?.xdp.some((x) => x.mode === 'driver') === true) return [ok(`driver ${name} runs an XDP program now`, source)]
      switch (xdpSupport(name)) {
        case 'redirect': return [ok(`driver ${name} runs XDP and takes redirected frames`, source)]
        case 'no-redirect-target': return [error({ finding: `driver ${name} runs XDP, but takes no redirected frames`, consequence: 'packets that another interface redirects to this one are lost: use it for one-armed forwarding only', source })]
        case 'none': return [warning({ finding: `driver ${name} has no XDP of its own`, consequence: 'generic mode is used: it works at a few times the cost of each packet', source })]
        case null: return [note({ finding: `cannot tell whether driver ${name} runs XDP: it is not in the list, and no tool here reads the features that drivers declare`, consequence: 'if it does not, generic mode is used; `lockstep doctor` says which after the agent has attached', source })]
      }
    })
}
