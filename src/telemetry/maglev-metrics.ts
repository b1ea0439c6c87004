/**
 * The page for dashboards and alerts made for vpp-maglev: its names, where we have what they say. What its documents do not tell is as ours: states are one
 * series each, 1 for the one it is in; durations are sum and count, without buckets. A backend is a real; where reals of one name are different servers in
 * different VIPs, it is `vip/real`.
 */
import { Registry } from 'prom-client'
import type { LoadBalancerControl, RealStatus } from '../contract/balancing.js'
import type { ProgramStatus } from '../contract/dataplane.js'
import { healthStates, type TargetStatus } from '../contract/health.js'
import { addCounter, addGauge, states, type Family, type Series } from './families.js'
import type { LoadBalancerReading } from './load-balancer-metrics.js'
import type { MetricsPage } from './metrics.js'

interface Backend { readonly vip: string, readonly real: RealStatus, readonly target: TargetStatus | undefined, readonly labels: { readonly backend: string } }

export function backendsOf ({ vips, targets }: LoadBalancerReading): Backend[] {
  const known = new Map(targets.map(target => [target.id, target]))
  const all = vips.flatMap(vip => vip.reals.map(real => ({ vip: vip.name, real })))
  const servers = new Map<string, Set<string>>()
  for (const { real: { name, address, target } } of all) servers.set(name, (servers.get(name) ?? new Set()).add(target ?? address))
  return all.map(({ vip, real }) => ({ vip, real, target: known.get(real.target ?? ''), labels: { backend: servers.get(real.name)?.size === 1 ? real.name : `${vip}/${real.name}` } }))
}

/** Theirs of what is done to VPP. */
const kinds = [['vip-add', 'vip_added'], ['vip-remove', 'vip_removed'], ['real-add', 'as_added'], ['real-remove', 'as_removed'], ['real-weight', 'as_weight_updated']] as const

/** `program`: of VPP, where it is the dataplane. */
export function createMaglevMetrics (lb: Pick<LoadBalancerControl, 'vips' | 'targets'>, program: () => Promise<ProgramStatus | null>): MetricsPage {
  const registry = new Registry()
  const ofVpp = new Registry() // what has no labels cannot be left out of a page: its whole part is
  let all: readonly Backend[] = []
  let checked: ReadonlyArray<Backend & { readonly target: TargetStatus }> = []
  let vpp: readonly ProgramStatus[] = []
  const family = (name: string, help: string, labelNames: readonly string[], series: () => readonly Series[]): Family => ({ prefix: 'maglev', name, help, labelNames, series })
  const gauge = (...f: Parameters<typeof family>): void => { addGauge(registry, family(...f)) }
  const counter = (...f: Parameters<typeof family>): void => { addCounter(registry, family(...f)) }

  gauge('backend_state', 'State of a backend: 1 for the one it is in', ['backend', 'state'], () => checked.flatMap(({ labels, target }) => states(labels, 'state', healthStates, target.state)))
  gauge('backend_health', 'Passes and failures so far: up from rise on', ['backend'], () => checked.map(({ labels, target }) => [labels, target.count]))
  gauge('backend_enabled', 'Whether no operator disabled it', ['backend'], () => checked.map(({ labels, target }) => [labels, target.state === 'disabled' ? 0 : 1]))
  gauge('frontend_pool_backend_weight', 'Configured weight, 0 to 100', ['frontend', 'pool', 'backend'], () => all.map(({ vip, real, labels }) => [{ frontend: vip, pool: real.pool, ...labels }, real.configuredWeight]))
  counter('probe', 'Probes, by what they found', ['backend', 'type', 'result', 'code'], () => checked.flatMap(({ labels, target: { type, results } }) =>
    Object.entries(results).map(([code, n]): Series => [{ ...labels, type, result: code === 'ok' ? 'success' : 'failure', code }, n])))
  gauge('probe_duration_seconds_sum', 'Time that probes took', ['backend', 'type'], () => checked.map(({ labels, target }) => [{ ...labels, type: target.type }, target.tookMs / 1000]))
  gauge('probe_duration_seconds_count', 'Probes that ended', ['backend', 'type'], () => checked.map(({ labels, target }) => [{ ...labels, type: target.type }, target.passed + target.failed]))
  counter('backend_transitions', 'Changes of state', ['backend', 'from', 'to'], () => checked.flatMap(({ labels, target }) => target.changes.map(({ from, to, count }): Series => [{ ...labels, from, to }, count])))

  addGauge(ofVpp, family('vpp_connected', 'Whether VPP answers', [], () => vpp.map(({ up }) => [{}, up ? 1 : 0])))
  addGauge(ofVpp, family('vpp_connected_seconds', 'For how long it does; 0 while it does not', [], () => vpp.map(({ up, since }) => [{}, up ? Math.max(0, (Date.now() - since) / 1000) : 0])))
  addGauge(ofVpp, family('vpp_info', 'Its version and process', ['version', 'build_date', 'pid'], () => vpp.flatMap(({ up, version, buildDate, pid }) => up ? [[{ version, build_date: buildDate, pid: String(pid) }, 1]] : [])))
  addCounter(ofVpp, family('vpp_lbsync', 'What was done to its load balancer', ['scope', 'kind'], () => vpp.flatMap(({ operations }) => kinds.map(([kind, name]): Series => [{ scope: 'all', kind: name }, operations[kind] ?? 0]))))

  return {
    contentType: registry.contentType,
    render: async () => {
      const [vips, targets, one] = await Promise.all([lb.vips(), lb.targets(), program()])
      vpp = one === null ? [] : [one]
      all = backendsOf({ vips, targets })
      checked = [...new Map(all.flatMap(b => b.target === undefined ? [] : [[b.labels.backend, { ...b, target: b.target }]])).values()]
      return one === null ? await registry.metrics() : `${await registry.metrics()}\n${await ofVpp.metrics()}`
    }
  }
}
