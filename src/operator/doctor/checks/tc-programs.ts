/** Programs of others on the hooks of tc. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'
import { isOurs } from '../pins.js'

export const tcPrograms: InterfaceCheck = {
  id: 'tc-programs',
  look: ({ tc }, { facts, scope }) => from([tc, facts.programs, facts.bpfLinks], ([attached, programs, links], source) => {
    const others = attached.filter((p) => !isOurs(p.id, programs, links))
    if (others.length === 0) return [ok('no tc program of anybody else', source)]
    return [note({
      finding: `tc programs of somebody else: ${others.map((p) => `${p.name} (id ${p.id}, ${p.hook})`).join(', ')}`, source,
      consequence: scope.backend === 'ebpf' ? 'they see what the program passes to the stack and what the host sends, not what is redirected' : 'those on ingress see packets after the agent; those on egress see what the agent sends'
    })]
  })
}
