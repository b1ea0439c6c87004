/** ICMP redirects of the kernel. Sent when the interface or `all` says so, and the kernel forwards. */
import { from, ok, warning, type InterfaceCheck } from '../finding.js'
import { fix, sysctlKey } from '../shell.js'

export const sendRedirects: InterfaceCheck = {
  id: 'send-redirects',
  look: ({ device, netns, sysctl }, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([sysctl], ([s], source) => s.forwarding4 === 0 || (s.sendRedirects === 0 && s.sendRedirectsAll === 0)
      ? [ok('the kernel sends no ICMP redirects', source)]
      : [warning({
          finding: 'the kernel sends ICMP redirects',
          consequence: 'a packet that is passed to the stack and leaves where it came in tells the sender to go around this host: later packets of the flow miss their session and translation',
          command: fix(netns, 'sysctl -w net.ipv4.conf.all.send_redirects=0', `sysctl -w ${sysctlKey('net', 'ipv4', 'conf', device, 'send_redirects')}=0`), source
        })])
}
