/** BPF as machine code, and without the blinding of constants that is meant for programs of strangers. */
import { from, note, ok, warning, type HostCheck } from '../finding.js'

export const bpfJit: HostCheck = {
  id: 'bpf-jit',
  look: (facts, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([facts.jit], ([{ enable, harden }], source) => {
      if (enable === 0) return [warning({ finding: 'BPF programs are interpreted', consequence: 'each packet costs several times as much', command: 'sysctl -w net.core.bpf_jit_enable=1', source })]
      if (harden === 2) return [note({ finding: 'constants of BPF programs are blinded, root\'s too (net.core.bpf_jit_harden=2)', consequence: 'each packet costs more; 1 hardens programs of other users only', command: 'sysctl -w net.core.bpf_jit_harden=1', source })]
      return [ok('BPF programs are compiled', source)]
    })
}
