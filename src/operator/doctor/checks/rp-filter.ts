/** Reverse path filtering of what reaches the kernel's stack. Of the interface's value and that of `all` the larger counts; 1 is strict, 2 loose. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix, sysctlKey } from '../shell.js'

export const rpFilter: InterfaceCheck = {
  id: 'rp-filter',
  look: ({ device, netns, sysctl }) => from([sysctl], ([s], source) => Math.max(s.rpFilter, s.rpFilterAll) !== 1
    ? [ok('reverse path filtering is not strict', source)]
    : [note({
        finding: `reverse path filtering is strict (rp_filter ${s.rpFilter}, all ${s.rpFilterAll})`,
        consequence: 'packets to the host itself are dropped when the route back to their source leads elsewhere; forwarded ones do not meet it',
        command: fix(netns, `sysctl -w ${sysctlKey('net', 'ipv4', 'conf', device, 'rp_filter')}=2`), source
      })])
}
