/**
 * Families of VIPs, their reals, and what health checks found. Labels are names of configured objects and ids of targets, which are bounded by the
 * configuration; a series ends with its object. A target that was not probed yet has no duration.
 */
import type { Registry } from 'prom-client'
import type { VipState, VipStatus } from '../contract/balancing.js'
import type { TargetStatus } from '../contract/health.js'
import { addCounter, addGauge, states, type Series } from './families.js'

/** As of this scrape. */
export interface LoadBalancerReading { readonly vips: readonly VipStatus[], readonly targets: readonly TargetStatus[] }

const vipStates: readonly VipState[] = ['unknown', 'up', 'degraded', 'panic', 'down']

export function addLoadBalancer (registry: Registry, read: () => LoadBalancerReading): void {
  const vip = (name: string, help: string, labelNames: readonly string[], seriesOf: (vip: VipStatus) => readonly Series[]): void => { addGauge(registry, { name, help, labelNames, series: () => read().vips.flatMap(seriesOf) }) }
  const target = (name: string, help: string, labelNames: readonly string[], seriesOf: (target: TargetStatus) => readonly Series[]): void => { addGauge(registry, { name, help, labelNames, series: () => read().targets.flatMap(seriesOf) }) }

  vip('vip_state', 'Whether a VIP serves: 1 for the state it is in', ['vip', 'state'], ({ name, state }) => states({ vip: name }, 'state', vipStates, state))
  vip('real_weight', 'Share of new flows that a real has now, 0 to 100', ['vip', 'pool', 'real'], ({ name, reals }) => reals.map((real): Series => [{ vip: name, pool: real.pool, real: real.name }, real.weight]))
  vip('real_configured_weight', 'Share of new flows that the configuration gives a real, 0 to 100', ['vip', 'pool', 'real'], ({ name, reals }) => reals.map((real): Series => [{ vip: name, pool: real.pool, real: real.name }, real.configuredWeight]))
  target('target_state', 'What is known of a target of health checks: 1, and only the state it is in', ['target', 'state'], ({ id, state }) => [[{ target: id, state }, 1]]) // there may be thousands
  target('target_share', 'What the agent of a target said last that it can take, 0 to 100; 100 without an agent', ['target'], ({ id, sharePct }) => [[{ target: id }, sharePct]])
  target('target_probe_seconds', 'How long the latest probe of a target took', ['target'], ({ id, last }): Series[] => last === null ? [] : [[{ target: id }, last.tookMs / 1000]])
  const total = (name: string, help: string, labelNames: readonly string[], seriesOf: (target: TargetStatus) => readonly Series[]): void => { addCounter(registry, { name, help, labelNames, series: () => read().targets.flatMap(seriesOf) }) }
  total('target_probes', 'Probes of a target since the agent started, by what they found', ['target', 'code'], ({ id, results }) => Object.entries(results).map(([code, n]): Series => [{ target: id, code }, n]))
  total('target_probe_duration_seconds', 'Time that all probes of a target took since the agent started', ['target'], ({ id, tookMs }) => [[{ target: id }, tookMs / 1000]])
  total('target_transitions', 'Changes of the state of a target since the agent started', ['target'], ({ id, changes }) => [[{ target: id }, changes.reduce((sum, { count }) => sum + count, 0)]])
}
