/** Schema of `bgp`: where sessions of routing daemons are read. */
import { bgpDefaults as usual, bgpLimits as max } from '../../contract/bgp-limits.js'
import { bgpAnnounce } from './bgp-announce.js'
import { bgpReport } from './bgp-report.js'
import { formatDuration } from '../units.js'
import { choice, duration, listOf, mapOf, name, object, text } from './common.js'

const span = (from: number, to: number): string => `${formatDuration(from)} to ${formatDuration(to)}.`

const source = object('A place where sessions are read.', {
  type: choice('A routing daemon (frr, bird, gobgp), routers that connect and tell (bmp, RFC 7854), or the kernel’s TCP connections (kernel), which add round trips and decide only where no daemon is asked.', ['frr', 'bird', 'gobgp', 'bmp', 'kernel']),
  socket: text(`Of frr: bgpd’s vty socket, ${usual.frr} unless there is a pathspace. Of bird: its control socket, ${usual.bird}.`, { examples: ['/run/bird/bird.ctl'] }),
  pathspace: { ...name('Of frr: that bgpd was started with (`-N`).'), examples: ['edge'] },
  address: text(`Of gobgp: \`unix:///run/gobgp.sock\`, or an address of loopback and a port. Default: ${usual.gobgp}.`, { examples: ['unix:///run/gobgp.sock'] }),
  listen: text(`Of bmp: an address of loopback and a port. Default: ${usual.bmp}.`, { examples: ['127.0.0.1:11019'] }),
  namespaces: listOf('Of kernel: names of network namespaces (`ip netns`), or default, the agent’s own. Default: all of them.', name('namespace'), { examples: [['default', 'vrf1']] }),
  vrf: { ...name('What its default VRF is called here: tells sessions of several daemons apart.'), examples: ['blue'] },
}, ['type'])

export const bgp = object('BGP sessions of the routing daemons of this host: read, watched and counted. Nothing of a daemon is changed but by `announce`.', {
  interval: duration(`Between two readings of a source, ${span(max.intervalMsMin, max.intervalMsMax)} Daemons that tell of changes (gobgp, bmp) are read at once.`, formatDuration(usual.intervalMs)),
  timeout: duration(`Of one reading, ${span(max.timeoutMsMin, max.timeoutMsMax)}`, formatDuration(usual.timeoutMs)),
  'max-age': duration(`A session that was read longer ago is unknown: ${span(max.maxAgeMsMin, max.maxAgeMsMax)} More than the interval and the timeout.`, formatDuration(usual.maxAgeMs)),
  announce: bgpAnnounce,
  report: bgpReport,
  sources: mapOf(`Where sessions are read, by name; at most ${max.sourcesMax}.`, source),
})
