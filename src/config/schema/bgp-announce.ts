/** Schema of `bgp.announce`: routes to VIPs, for the routing daemon to tell its neighbours. */
import { bgpAnnounceLimits as max, bgpDefaults as usual } from '../../contract/bgp-limits.js'
import { formatDuration } from '../units.js'
import { choice, duration, integer, listOf, object, text } from './common.js'

export const bgpAnnounce = object('Routes to the addresses of VIPs, for the routing daemon of this host to tell its neighbours: while this node owns the redundancy group of the VIP, and a real serves.', {
  when: choice('`serving`: while the redundancy group is owned here and a real serves. `owned`: while the group is owned here.', ['serving', 'owned'], 'serving'),
  'withdraw-after': duration(`How long a route stays when the last real is gone, 0s to ${formatDuration(max.withdrawAfterMsMax)}. When the group moves it is withdrawn at once.`, '0s'),
  'kernel-table': integer(`Number of a routing table of the kernel, of the agent’s network namespace, that is for this alone. FRR takes routes from it with \`ip import-table\` and \`redistribute table\`, BIRD with a \`protocol kernel\` that learns.`, max.tableMin, max.tableMax, { examples: [179] }),
  gobgp: text('GoBGP that is given the routes over its API: `unix:///run/gobgp.sock`, or an address of loopback and a port.', { examples: [`${usual.gobgp}`] }),
  communities: { ...listOf('That GoBGP sends with the routes (RFC 1997).', text('Two numbers.', { examples: ['64512:100'] })), maxItems: max.communitiesMax },
})
