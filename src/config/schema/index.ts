/** The schema of the configuration file, JSON Schema 2020-12. src/config/schema.json is this; `UPDATE=1` of test/unit/config/documents writes it. */
import { agent, nodes, reload, timeouts } from './agent.js'
import { bgp } from './bgp.js'
import { cluster, redundancyGroups } from './cluster.js'
import { object } from './common.js'
import { interfaceSchema, interfaces, routes, screens, trafficSources, zones } from './network.js'
import { addressBook, applications, policies, schedules } from './policy.js'
import { healthchecks } from './health.js'
import { nat, vips } from './services.js'

const { description, ...root } = object('Configuration of a Lockstep agent.', {
  agent,
  reload,
  timeouts: timeouts('Idle timeouts by phase of a session.', true),
  cluster,
  'redundancy-groups': redundancyGroups,
  interfaces,
  'traffic-sources': trafficSources,
  zones,
  screens,
  'address-book': addressBook,
  applications,
  schedules,
  policies,
  nat,
  healthchecks,
  vips,
  routes,
  bgp,
  nodes: nodes(interfaceSchema, bgp),
})

/** Plain JSON: what editors read and what parse.ts enforces. */
export const configSchema = JSON.parse(JSON.stringify({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://lockstep.invalid/schema.json',
  title: 'Lockstep configuration',
  description,
  ...root,
})) as { readonly [keyword: string]: unknown }
