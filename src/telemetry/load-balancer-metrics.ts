/**
 * Families of VIPs, their reals, and what health checks found. Labels are names of configured objects and ids of targets, which are bounded by the
 * configuration; a series ends with its object. A target that was not probed yet has no duration.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { VipState, VipStatus } from '../contract/balancing.js'
import type { HealthState, TargetStatus } from '../contract/health.js'

/** As of this scrape. */
export interface LoadBalancerReading { readonly vips: readonly VipStatus[], readonly targets: readonly TargetStatus[] }

const vipStates: readonly VipState[] = ['unknown', 'up', 'degraded', 'panic', 'down']
const targetStates: readonly HealthState[] = ['unknown', 'up', 'down', 'paused', 'disabled']

type Series = readonly [labels: Readonly<Record<string, string>>, value: number]

export function addLoadBalancer (registry: Registry, read: () => LoadBalancerReading): void {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: readonly string[], seriesOf: (reading: LoadBalancerReading) => readonly Series[]): void => {
    new Gauge({
      name: `lockstep_${name}`, help, labelNames, registers,
      collect () {
        this.reset()
        for (const [labels, value] of seriesOf(read())) this.set(labels, value)
      }
    })
  }
  const states = (labels: Series[0], all: readonly string[], now: string): Series[] => all.map(state => [{ ...labels, state }, state === now ? 1 : 0])

  gauge('vip_state', 'Whether a VIP serves: 1 for the state it is in', ['vip', 'state'], ({ vips }) => vips.flatMap(vip => states({ vip: vip.name }, vipStates, vip.state)))
  gauge('real_weight', 'Share of new flows that a real has now, 0 to 100', ['vip', 'pool', 'real'], ({ vips }) => vips.flatMap(vip => vip.reals.map(({ pool, name, weight }): Series => [{ vip: vip.name, pool, real: name }, weight])))
  gauge('real_configured_weight', 'Share of new flows that the configuration gives a real, 0 to 100', ['vip', 'pool', 'real'], ({ vips }) => vips.flatMap(vip => vip.reals.map(({ pool, name, configuredWeight }): Series => [{ vip: vip.name, pool, real: name }, configuredWeight])))
  gauge('target_state', 'What is known of a target of health checks: 1 for the state it is in', ['target', 'state'], ({ targets }) => targets.flatMap(target => states({ target: target.id }, targetStates, target.state)))
  gauge('target_probe_seconds', 'How long the latest probe of a target took', ['target'], ({ targets }) => targets.flatMap(({ id, last }): Series[] => last === null ? [] : [[{ target: id }, last.tookMs / 1000]]))
  new Counter({
    name: 'lockstep_target_probes_total', help: 'Probes of a target since the agent started, by result', labelNames: ['target', 'result'], registers,
    collect () {
      this.reset()
      for (const { id, passed, failed } of read().targets) {
        this.inc({ target: id, result: 'passed' }, passed)
        this.inc({ target: id, result: 'failed' }, failed)
      }
    }
  })
}
