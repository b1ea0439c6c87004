/** tcx came with Linux 6.6, and bpftool shows it from 7.3 on. */
import { from, note, ok, type HostCheck } from '../finding.js'

export const tcx: HostCheck = {
  id: 'tcx',
  look: (facts) => {
    const [major = 0, minor = 0] = facts.kernel.release.split('.').map((part) => parseInt(part, 10))
    if (major < 6 || (major === 6 && minor < 6)) return []
    return from([facts.bpftoolVersion], ([[a, b]], source) => a > 7 || (a === 7 && b >= 3)
      ? [ok('bpftool shows programs of tcx, too', source)]
      : [note({ finding: `cannot tell whether tcx programs are attached: bpftool ${a}.${b} does not show them`, consequence: 'the check tc-programs sees those of the older tc only; bpftool 7.3 shows both', source })])
  }
}
