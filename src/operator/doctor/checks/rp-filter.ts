/** Reverse path filtering of what reaches the kernel's stack. Of the interface's value and that of `all` the larger counts; 1 is strict, 2 loose. */
import { from, note, ok, warning, type InterfaceCheck } from '../finding.js'
import { fix, sysctlKey } from '../shell.js'

export const rpFilter: InterfaceCheck = {
  id: 'rp-filter',
  look: ({ device, netns, sysctl }, { scope }) => from([sysctl], ([s], source) => {
    if (Math.max(s.rpFilter, s.rpFilterAll) !== 1) return [ok('reverse path filtering is not strict', source)]
    const command = fix(netns, `sysctl -w ${sysctlKey('net', 'ipv4', 'conf', device, 'rp_filter')}=2`)
    const finding = `reverse path filtering is strict (rp_filter ${s.rpFilter}, all ${s.rpFilterAll})`
    return scope.backend === 'ebpf'
      ? [warning({ finding, consequence: 'what the program passes to the stack is dropped without a trace when the route back to its source leads elsewhere: with several uplinks, or after a failover', command, source })]
      : [note({ finding, consequence: 'packets to the host itself are dropped when the route back to their source leads elsewhere; forwarded ones do not meet it', command, source })]
  })
}
