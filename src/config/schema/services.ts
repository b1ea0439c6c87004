/** Schema of `nat` and `vips`. */
import { formatDuration } from '../units.js'
import { healthLimits } from '../../contract/health-limits.js'
import { limits } from '../../generated/layout.js'
import { applications, choice, domain, duration, flag, integer, listOf, mapOf, name, object, oneOrMany, ports, redundancyGroup, spans, text, zones, type JsonSchema } from './common.js'

const match = {
  name: name('Unique name among all NAT rules.'),
  description: text('For people.'),
  from: zones('Zones the first packet comes from, or any.'),
  source: spans('Client addresses.'),
  applications: applications('What is spoken.'),
}

export const nat = object('Address translation.', {
  'interface-ports': ports('Ports used behind an interface’s own address: outside `agent.host-ports`.', { default: '1024-32767' }),
  pools: mapOf('Pools of source addresses by name.', object('A pool, of one address family.', {
    addresses: oneOrMany('Addresses, ranges or prefixes, all of them used.', text('span'), { minItems: 1, examples: [['192.0.2.10-192.0.2.13']] }),
    ports: ports('Port range.', { default: '1024-65535' }),
    'redundancy-group': { ...redundancyGroup, default: 0, description: 'The group whose zones use the pool.' },
    'port-ranges': {
      type: 'object', propertyNames: { pattern: '^(\\d|1[0-5])$' }, description: 'Instead of `ports` and `redundancy-group`: a disjoint range per group, `{0: 1024-33279, 1: 33280-65535}`.',
      additionalProperties: ports('ports'), minProperties: 1,
    },
    'keep-port': flag('Keep the client’s port when it is free.', false),
    domain,
  }, ['addresses'])),
  source: listOf('Source NAT rules in order: the first match decides; without one the source stays.', object('A source NAT rule.', {
    ...match,
    to: zones('Zones the packet leaves to, or any.'),
    destination: spans('Server addresses, after destination NAT.'),
    translate: choice('interface: the egress interface’s address; pool: one of `pool`; off: leave.', ['interface', 'pool', 'off']),
    pool: name('With translate: pool.'),
  }, ['name', 'translate']), { default: [] }),
  destination: listOf('Destination NAT rules in order.', object('A destination NAT rule.', {
    ...match,
    destination: { ...spans('Addresses as the client sees them.'), default: undefined },
    translate: {
      type: ['object', 'string'], pattern: '^off$', additionalProperties: false, description: 'The real destination, or off to leave it.',
      properties: { address: text('Real address.'), port: integer('Real port. Default: as sent.', 1, 65535) }, required: ['address'],
    },
  }, ['name', 'destination', 'translate']), { default: [] }),
  static: listOf('Static one-to-one NAT, both ways.', object('A static mapping.', {
    name: match.name,
    description: match.description,
    outside: text('Address or prefix seen outside.'),
    inside: text('Address or prefix of the same length inside.'),
    'redundancy-group': { ...redundancyGroup, default: 0 },
    domain,
  }, ['name', 'outside', 'inside']), { default: [] }),
})

const real = object('A real server.', {
  name: name('Unique in the VIP. Default: its address and port.'),
  address: text('Address.'),
  port: integer('Port. Default: the VIP’s.', 1, 65535),
  weight: integer('Share of new sessions, 0-100; 0 takes none.', 0, 100, { default: 100 }),
  healthcheck: name('One of `healthchecks`, or `none`. Default: the VIP’s.'),
}, ['address'])

export const vips: JsonSchema = mapOf('Virtual services by name.', object('A VIP: what clients connect to.', {
  description: text('For people.'),
  address: text('Address, or a prefix: every address of it.', { examples: ['192.0.2.80', '2001:db8::/64'] }),
  port: { type: ['integer', 'string'], minimum: 1, maximum: 65535, pattern: '^any$', default: 'any', description: 'Destination port, or any.' },
  protocol: choice('tcp, udp, or any for both.', ['tcp', 'udp', 'any'], 'tcp'),
  mode: choice('nat rewrites the destination; l2 rewrites the MAC, ipip and gre encapsulate (direct server return).', ['nat', 'l2', 'ipip', 'gre'], 'nat'),
  'redundancy-group': { ...redundancyGroup, default: 0 },
  domain,
  'ring-size': integer('Maglev entries: a prime well above the number of reals.', 2, limits.LS_RING_MAX, { default: 65537 }),
  'source-ip-sticky': flag('All flows of a client address go to one real.', false),
  'snat-pool': name('Hide clients behind this NAT pool. Mode nat only.'),
  application: name('Application whose timeouts hold.'),
  healthcheck: name('One of `healthchecks`, for all reals that name no other. Without one a real counts as up.'),
  quorum: integer('Usable weight that a pool must have to serve; when none has so much, the one with the most does, and the VIP is degraded.', 1, 100 * limits.LS_REALS_MAX, { default: 1 }),
  'panic-threshold': integer('When fewer per cent of the reals of the serving pool are up, those that are down get flows again: so that the rest is not run over. 0: never.', 0, 100, { default: 0 }),
  'flush-on-down': flag('Sessions of a real that goes down end with it; otherwise they stay on it.', true),
  'slow-start': duration(`A real that comes up takes its share little by little, for so long; at most ${formatDuration(healthLimits.slowStartMsMax)}.`, '0s'),
  pools: listOf('Pools in order: the first with usable weight serves.', object('A pool of reals.', {
    name: name('Unique in the VIP. Default: pool-1, pool-2, ...'),
    reals: listOf('Servers.', real, { minItems: 1 }),
  }, ['reals']), { minItems: 1 }),
}, ['address', 'pools']))
