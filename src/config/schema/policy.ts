/** Schema of `address-book`, `applications`, `schedules` and `policies`. */
import { applications as applicationList, choice, duration, flag, integer, listOf, mapOf, name, namePattern, object, oneOrMany, ports, spans, text, zones } from './common.js'
import { timeouts } from './agent.js'
import type { JsonSchema } from './common.js'

export const addressBook: JsonSchema = {
  type: 'object', propertyNames: { pattern: namePattern }, description: 'Named address lists. A list may name others.',
  additionalProperties: oneOrMany('Prefixes, addresses, ranges or names of other lists.', text('span'), { examples: [['10.0.0.0/8', '192.0.2.7', 'branch-offices']] }),
}

const term: JsonSchema = {
  protocol: oneOrMany('Name or IANA number.', { type: ['string', 'integer'] }, { examples: ['tcp', ['tcp', 'udp'], 89] }),
  'source-port': oneOrMany('Source ports.', ports('ports'), { default: 'any' }),
  'destination-port': oneOrMany('Destination ports.', ports('ports'), { default: 'any' }),
  'icmp-type': integer('ICMP or ICMPv6 type.', 0, 255),
  'icmp-code': integer('ICMP or ICMPv6 code.', 0, 255),
}
export const applications = mapOf('Applications by name, beside the well-known ones.', object('An application: one term, or several under `terms`.', {
  ...term,
  terms: listOf('Any of these.', object('A term.', term, ['protocol']), { minItems: 1 }),
  timeouts: timeouts('Timeouts of this application’s sessions, where they differ.', false),
}))

const time = text('HH:MM', { pattern: '^([01]\\d|2[0-3]):[0-5]\\d$|^24:00$' })
const moment = text('YYYY-MM-DD or YYYY-MM-DDTHH:MM', { pattern: '^\\d{4}-\\d\\d-\\d\\d(T([01]\\d|2[0-3]):[0-5]\\d)?$' })
export const schedules = mapOf('Schedules by name: a policy with one is in force inside its windows only.', object('Weekly windows, date windows, or both.', {
  'time-zone': text('IANA time zone.', { default: 'UTC', examples: ['Europe/Berlin'] }),
  weekly: listOf('Every week.', object('A window of the day.', {
    days: oneOrMany('mon ... sun, ranges like mon-fri, daily, weekdays, weekend.', text('day'), { default: 'daily' }),
    from: { ...time, description: 'Start, HH:MM.' },
    to: { ...time, description: 'End, HH:MM, up to 24:00. At or before `from`: of the next day.' },
  }, ['from', 'to']), { default: [] }),
  dates: listOf('Once.', object('A window of time, local to the time zone.', {
    from: { ...moment, description: 'Start.' }, to: { ...moment, description: 'End, exclusive.' },
  }, ['from', 'to']), { default: [] }),
}))

export const policies = listOf('Policies in order: the first match decides; without a match the packet is denied. They see the destination after destination NAT and load balancing, and the source before source NAT.', object('A policy.', {
  name: name('Unique name.'),
  description: text('For people.'),
  enabled: flag('false leaves the policy out.', true),
  from: zones('Zones the first packet comes from, or any.'),
  to: zones('Zones it leaves to, or any.'),
  source: spans('Client addresses.'),
  destination: spans('Server addresses.'),
  applications: applicationList('What is spoken.'),
  action: choice('permit, deny silently, or reject with RST or ICMP.', ['permit', 'deny', 'reject']),
  schedule: name('In force only inside this schedule. Default: always.'),
  log: oneOrMany('Log lines: when a session opens, closes, or a packet is denied.', choice('event', ['open', 'close', 'deny']), { default: [] }),
  sync: { ...duration('Whether and when sessions go to the peer of a pair: now; never, a failover drops them; 5s or the like, once they are that old; before-forward, before the first packet leaves (no backend can).'), type: 'string', default: 'now', examples: ['now', 'never', '5s', 'before-forward'] },
}, ['name', 'action']), { default: [] })
