/** Both directions of a flow on one CPU: the receive hash must not care which end is the source. Its Toeplitz key then repeats every two bytes. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix } from '../shell.js'

export const rss: InterfaceCheck = {
  id: 'rss',
  look: ({ device, netns, link, rss: seen, channels }, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([link, seen, channels], ([l, r, c], source) => {
      if (l?.kind === 'veth') return [ok('not applicable: a veth has no receive hash', source)]
      if (c !== null && c.current < 2) return [ok('not applicable: one queue receives', source)]
      if (r === null) return [ok('not applicable: the driver shows no hash key', source)]
      if (r.symmetric || r.key.every((byte, n) => byte === r.key[n % 2])) return [ok('both directions of a flow have one receive hash', source)]
      const key = r.key.map((_, n) => n % 2 === 0 ? '6d' : '5a').join(':')
      return [note({ finding: 'the receive hash depends on the direction', consequence: 'the two directions of a flow are often handled by two CPUs, which share the session\'s cache lines: right, but slower', command: fix(netns, `ethtool -X ${device} hkey ${key}`), source })]
    })
}
