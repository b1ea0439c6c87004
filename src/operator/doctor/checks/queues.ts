/** How many CPUs can receive. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix } from '../shell.js'

export const queues: InterfaceCheck = {
  id: 'queues',
  look: ({ device, netns, channels }, { facts }) => from([channels], ([c], source) => {
    if (c === null) return [ok('the driver has no setting for queues', source)]
    const useful = Math.min(c.max, facts.cpus)
    if (c.current >= useful) return [ok(`${c.current} of ${c.max} queues receive, with ${facts.cpus} CPUs`, source)]
    return [note({ finding: `${c.current} of ${c.max} queues receive, with ${facts.cpus} CPUs`, consequence: 'the other CPUs take no packets of this interface from its driver', command: fix(netns, `ethtool -L ${device} ${c.kind} ${useful}`), source })]
  })
}
