/** Programs of others on the XDP hook. A hook holds one program or one link; ours does not start beside another and does not push it out. */
import type { BpfLink, BpfProgram, XdpProgram } from '../facts.js'
import { error, from, ok, warning, type InterfaceCheck, type Outcome } from '../finding.js'
import { isOurs, PINS } from '../pins.js'
import { isUnseen } from '../seen.js'
import { fix } from '../shell.js'

export const xdpPrograms: InterfaceCheck = {
  id: 'xdp-programs',
  look: ({ device, netns, link: seen }, { facts, scope }) => from([seen], ([l], source) => {
    if (l === null) return []
    if (l.xdp.length === 0) return [ok('no XDP program', source)]
    const blind = [facts.programs, facts.bpfLinks].find(isUnseen)
    if (blind !== undefined) {
      return l.xdp.map((x) => warning({ finding: `${shown(x)}; whose it is cannot be told: ${blind.unseen}`, consequence: 'if it is not Lockstep\'s, the kernel refuses ours while it is there', command: blind.command, source: `${source}, ${blind.source}` }))
    }
    return from([facts.programs, facts.bpfLinks], ([programs, links], pins) => l.xdp.map((x): Outcome => {
      const name = shown(x)
      if (isOurs(x.id, programs, links)) return ok(`${name} is Lockstep's: it is pinned under ${PINS}`, `${source}, ${pins}`)
      const text = { finding: `${name} of somebody else`, command: fix(netns, removal(device, x, programs, links)), source: `${source}, ${pins}` }
      if (scope.backend === 'ebpf') return error({ ...text, consequence: `the kernel refuses ours while it is there${x.name === 'xdp_dispatcher' ? '; it is the dispatcher of libxdp, which runs several programs: ours is not made for it' : ''}` })
      return warning({ ...text, consequence: 'what it drops, redirects or changes does not reach the agent as it was on the wire' })
    }))
  })
}

const shown = (x: XdpProgram): string => `XDP program ${x.name === '' ? 'without a name' : x.name} (id ${x.id}, ${x.mode} mode)`

function removal (device: string, x: XdpProgram, programs: readonly BpfProgram[], links: readonly BpfLink[]): string {
  if (x.name === 'xdp_dispatcher' && programs.some((p) => p.id === x.id)) return `xdp-loader unload ${device} --all`
  const held = links.find((l) => l.programId === x.id)
  if (held !== undefined) return `bpftool link detach id ${held.id}`
  return `ip link set dev ${device} ${{ driver: 'xdpdrv', generic: 'xdpgeneric', offload: 'xdpoffload' }[x.mode]} off`
}
