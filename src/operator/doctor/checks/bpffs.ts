/** Where programs and tables outlive the agent. */
import { from, note, ok, type HostCheck } from '../finding.js'

export const bpffs: HostCheck = {
  id: 'bpffs',
  look: (facts, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([facts.bpffs], ([mounted], source) => mounted
      ? [ok('the BPF file system is mounted at /sys/fs/bpf', source)]
      : [note({ finding: 'no BPF file system at /sys/fs/bpf', consequence: 'the agent mounts it when it starts; tools that look for its pins before that find nothing', command: 'mount -t bpf bpf /sys/fs/bpf', source })])
}
