/** R4: membarrier(2) has no global command when CPUs run without a tick. */
import { error, from, ok, type HostCheck } from '../finding.js'

export const nohzFull: HostCheck = {
  id: 'nohz-full',
  look: (facts, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([facts.nohzFull], ([cpus], source) => cpus === ''
      ? [ok('every CPU has its tick', source)]
      : [error({ finding: `CPUs ${cpus} run without a tick (nohz_full=)`, consequence: 'the kernel refuses the barrier that proves that no program uses a session any more: the ebpf backend does not start', source })])
}
