/** Frames merged by the hardware are no longer those of the wire. GRO of the kernel is harmless: programs run before it. */
import { from, ok, warning, type InterfaceCheck } from '../finding.js'
import { fix } from '../shell.js'

const MERGES = { 'large-receive-offload': 'lro', 'rx-gro-hw': 'rx-gro-hw' } as const

export const lro: InterfaceCheck = {
  id: 'lro',
  look: ({ device, netns, features }, { scope }) => from([features], ([f], source) => {
    const on = Object.entries(MERGES).filter(([name]) => f[name] === true)
    if (on.length === 0) return [ok('the hardware does not merge frames', source)]
    const names = on.map(([name]) => name).join(' and ')
    if (scope.backend === 'userspace') return [ok(`${names} is on; the agent switches it off while it has the port`, source)]
    return [warning({ finding: `${names} is on`, consequence: 'drivers refuse an XDP program, or hand it frames longer than the wire\'s, which cannot be sent on', command: fix(netns, ...on.map(([, short]) => `ethtool -K ${device} ${short} off`)), source })]
  })
}
