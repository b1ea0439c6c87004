/** Before Linux 5.11 maps counted as locked memory; since then they count in the memory cgroup. */
import { error, ok, from, type HostCheck } from '../finding.js'
import { mebibytes, tableBytes } from '../table-size.js'

export const memlock: HostCheck = {
  id: 'memlock',
  look: (facts, { scope }) => {
    if (scope.backend !== 'ebpf' || scope.running) return []
    const [major = 0, minor = 0] = facts.kernel.release.split('.').map((part) => parseInt(part, 10))
    if (major > 5 || (major === 5 && minor >= 11)) return [ok('locked memory has no limit for BPF maps: since Linux 5.11 they count in the memory cgroup', 'uname -r')]
    return from([facts.memlockBytes], ([limit], source) => {
      const wanted = scope.desired === null ? 0 : tableBytes(scope.desired.agent.table.capacity)
      if (limit === null || (wanted > 0 && limit >= wanted)) return [ok('locked memory is enough for the BPF maps', source)]
      return [error({ finding: `at most ${mebibytes(limit)} of memory may be locked`, consequence: 'the table\'s BPF maps cannot be made', command: 'ulimit -l unlimited', source })]
    })
  }
}
