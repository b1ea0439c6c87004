/** Whether the kernel forwards what comes in here: bpf_fib_lookup and the stack ask the same setting. */
import { error, from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix, sysctlKey } from '../shell.js'

export const forwarding: InterfaceCheck = {
  id: 'forwarding',
  look: ({ device, netns, sysctl, link }, { scope }) => from([sysctl, link], ([s, l], source) => {
    const key4 = sysctlKey('net', 'ipv4', 'conf', device, 'forwarding')
    const key6 = sysctlKey('net', 'ipv6', 'conf', device, 'forwarding')
    if (scope.backend === 'ebpf') {
      const needs6 = l?.addresses.some((a) => a.includes(':')) === true
      const off = [
        ...(s.forwarding4 === 0 ? [{ family: 'IPv4', commands: [`sysctl -w ${key4}=1`] }] : []),
        ...(s.forwarding6 === 0 && needs6 ? [{ family: 'IPv6', commands: ['sysctl -w net.ipv6.conf.all.forwarding=1', `sysctl -w ${key6}=1`] }] : [])
      ]
      return off.length === 0
        ? [ok(`the kernel forwards IPv4${s.forwarding6 === 1 ? ' and IPv6' : ''} that comes in here`, source)]
        : off.map(({ family, commands }) => error({ finding: `the kernel does not forward ${family} that comes in here`, consequence: 'the program\'s route lookup is refused (bpf_fib_lookup asks this setting), and what it passes to the stack is dropped: nothing gets through', command: fix(netns, ...commands), source }))
    }
    if (scope.backend !== 'userspace') return []
    const on = [...(s.forwarding4 === 1 ? [{ family: 'IPv4', key: key4 }] : []), ...(s.forwarding6 === 1 ? [{ family: 'IPv6', key: key6 }] : [])]
    return on.length === 0
      ? [ok('the kernel does not forward what comes in here', source)]
      : on.map(({ family, key }) => note({ finding: `the kernel forwards ${family} that comes in here`, consequence: 'while no agent runs, packets pass without its policies', command: fix(netns, `sysctl -w ${key}=0`), source }))
  })
}
