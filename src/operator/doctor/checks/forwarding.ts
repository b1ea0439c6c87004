/** Whether the kernel forwards what comes in here. Lockstep does that itself, by its mirror of the kernel's routes; the kernel need not, and would do it without policies. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix, sysctlKey } from '../shell.js'

export const forwarding: InterfaceCheck = {
  id: 'forwarding',
  look: ({ device, netns, sysctl }, { scope }) => {
    if (scope.backend !== 'ebpf' && scope.backend !== 'userspace') return []
    return from([sysctl], ([s], source) => {
      const key = (family: 'ipv4' | 'ipv6'): string => sysctlKey('net', family, 'conf', device, 'forwarding')
      const on = [...(s.forwarding4 === 1 ? [{ family: 'IPv4', key: key('ipv4') }] : []), ...(s.forwarding6 === 1 ? [{ family: 'IPv6', key: key('ipv6') }] : [])]
      const consequence = scope.backend === 'ebpf'
        ? 'packets pass without policies while no program is attached, and so does what comes in by interfaces that are not ports'
        : 'while no agent runs, packets pass without its policies'
      return on.length === 0
        ? [ok('the kernel does not forward what comes in here', source)]
        : on.map(({ family, key }) => note({ finding: `the kernel forwards ${family} that comes in here`, consequence, command: fix(netns, `sysctl -w ${key}=0`), source }))
    })
  }
}
