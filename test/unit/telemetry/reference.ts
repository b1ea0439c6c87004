/** docs/reference/metrics.md: every family of the metrics page, by what it is about. */
import type { Registry } from 'prom-client'

interface Family { readonly name: string, readonly help: string, readonly labelNames: readonly string[], readonly type: string }

/** The first whose pattern fits. What is left is a counter of the dataplane. */
const parts: ReadonlyArray<readonly [title: string, pattern: RegExp]> = [
  ['The agent', /^lockstep_(build_info|agent_state|start_time|event_loop_delay|thread_|events_total|trace_)/],
  ['Configuration', /^lockstep_config_/],
  ['Backends', /^lockstep_(backend|program)_/],
  ['Sessions', /^lockstep_(sessions|session_table|phase_sessions|zone_sessions|protocol_sessions)/],
  ['Drops and screens', /^lockstep_(dropped_packets|screen_hits|zone_dropped)/],
  ['Zones, interfaces, ports and policies', /^lockstep_(zone|interface|port|policy)_(?!permit|deny|default|reject)/],
  ['NAT pools', /^lockstep_nat_pool_/],
  ['VIPs, reals and health checks', /^lockstep_(vip|real|target)_/],
  ['A pair', /^lockstep_cluster_/],
  ['gRPC and watches', /^lockstep_(grpc|watch)_/],
  ['The process, by prom-client', /^lockstep_(process|nodejs)_/]
]
const rest = 'Counters of the dataplane'

/** `page`: as it was rendered, which has the types. */
export function familiesOf (registry: Registry, page: string): Family[] {
  const types = new Map([...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]))
  return registry.getMetricsAsArray().map((metric) => {
    const { name, help, labelNames } = metric as unknown as Family
    return { name, help, labelNames, type: types.get(name) ?? '' }
  })
}

export function renderMetrics (families: readonly Family[]): string {
  const titleOf = ({ name }: Family): string => parts.find(([, pattern]) => pattern.test(name))?.[0] ?? rest
  return [...parts.map(([title]) => title), rest].flatMap((title) => {
    const mine = families.filter(family => titleOf(family) === title)
    return mine.length === 0 ? [] : [`## ${title}\n\n| family | type | labels | what it is |\n|---|---|---|---|\n${mine.map(({ name, type, labelNames, help }) => `| \`${name}\` | ${type} | ${labelNames.map(label => `\`${label}\``).join(' ')} | ${help.replaceAll('|', '\\|')} |`).join('\n')}`]
  }).join('\n\n')
}
