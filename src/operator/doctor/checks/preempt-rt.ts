/** R4: on PREEMPT_RT a program can be interrupted by another on its CPU. */
import { error, ok, type HostCheck } from '../finding.js'

export const preemptRt: HostCheck = {
  id: 'preempt-rt',
  look: ({ kernel: { version } }, { scope }) => {
    if (scope.backend !== 'ebpf') return []
    const source = 'uname -v'
    if (!version.includes('PREEMPT_RT')) return [ok('not a PREEMPT_RT kernel', source)]
    return [error({ finding: 'this is a PREEMPT_RT kernel', consequence: 'the ebpf backend refuses to start: one program could interrupt another on the same CPU, and both would write one ring', source })]
  }
}
