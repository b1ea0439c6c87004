/**
 * Families of VIPs, their reals, and what health checks found. Labels are names of configured objects and ids of targets, which are bounded by the
 * configuration; a series ends with its object. A target that was not probed yet has no duration.
 */
import type { Registry } from 'prom-client'
import type { VipState, VipStatus } from '../contract/balancing.js'
import { healthStates, type TargetStatus } from '../contract/health.js'
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
  target('target_state', 'What is known of a target of health checks: 1 for the state it is in', ['target', 'state'], ({ id, state }) => states({ target: id }, 'state', healthStates, state))
  target('target_share', 'What the agent of a target said last that it can take, 0 to 100; 100 without an agent', ['target'], ({ id, sharePct }) => [[{ target: id }, sharePct]])
  target('target_probe_seconds', 'How long the latest probe of a target took', ['target'], ({ id, last }): Series[] => last === null ? [] : [[{ target: id }, last.tookMs / 1000]])
  addCounter(registry, {
    name: 'target_probe_results', help: 'Probes of a target since the agent started, by what they found', labelNames: ['target', 'code'],
    series: () => read().targets.flatMap(({ id, results }) => Object.entries(results).map(([code, n]): Series => [{ target: id, code }, n]))
  })
  addCounter(registry, { name: 'target_probe_duration_seconds', help: 'Time that all probes of a target took since the agent started', labelNames: ['target'], series: () => read().targets.map(({ id, tookMs }): Series => [{ target: id }, tookMs / 1000]) })
  addCounter(registry, {
    name: 'target_transitions', help: 'Changes of what is known of a target since the agent started', labelNames: ['target', 'from', 'to'],
    series: () => read().targets.flatMap(({ id, changes }) => changes.map(({ from, to, count }): Series => [{ target: id, from, to }, count]))
  })
  addCounter(registry, {
    name: 'target_probes', help: 'Probes of a target since the agent started, by result', labelNames: ['target', 'result'],
    series: () => read().targets.flatMap(({ id, passed, failed }): Series[] => [[{ target: id, result: 'passed' }, passed], [{ target: id, result: 'failed' }, failed]])
  })
}
