/** What is not as it should be now, from what every part says of itself. Pure. */
import type { VipStatus } from '../contract/balancing.js'
import type { BgpRouteSink } from '../contract/bgp-announce.js'
import type { BgpNeighbourStatus, BgpSinkStatus, BgpSourceStatus } from '../contract/bgp.js'
import type { ClusterStatus } from '../contract/cluster.js'
import type { TargetStatus } from '../contract/health.js'
import type { AgentInfo, ConfigStatus } from '../contract/services.js'

export interface Alarm {
  readonly severity: 'warning' | 'error'
  readonly area: 'agent' | 'config' | 'load-balancer' | 'cluster' | 'bgp'
  /** '': the agent. */
  readonly object: string
  readonly text: string
  /** Unix ms; `null`: not known. */
  readonly since: number | null
  /** '': nothing is right everywhere. */
  readonly next: string
}

export interface AlarmFacts {
  readonly info: Pick<AgentInfo, 'state' | 'reasons' | 'reasonsSince' | 'startedAt'>
  readonly config: Pick<ConfigStatus, 'unconfirmed' | 'drift'>
  readonly vips: readonly VipStatus[]
  readonly targets: readonly TargetStatus[]
  /** `null`: standalone. */
  readonly cluster: ClusterStatus | null
  readonly bgp: { readonly neighbours: readonly BgpNeighbourStatus[], readonly sources: readonly BgpSourceStatus[], readonly sinks: readonly BgpSinkStatus[], readonly routeSinks: readonly BgpRouteSink[] }
}

/** Errors first, then by area and object. */
export function alarmsOf (facts: AlarmFacts): readonly Alarm[] {
  return [...agentAlarms(facts), ...vipAlarms(facts), ...targetAlarms(facts), ...clusterAlarms(facts), ...bgpAlarms(facts)].sort((a, b) => order(a) - order(b) || compare(a.area, b.area) || compare(a.object, b.object) || compare(a.text, b.text))
}

const order = ({ severity }: Alarm): number => severity === 'error' ? 0 : 1
const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

function agentAlarms ({ info, config: { unconfirmed, drift } }: AlarmFacts): readonly Alarm[] {
  return [
    ...info.state === 'starting' || info.state === 'stopping' ? [{ severity: 'error', area: 'agent', object: '', text: `the agent is ${info.state}`, since: info.startedAt, next: '' } as const] : [],
    ...info.reasons.map((text, i): Alarm => ({ severity: 'warning', area: 'agent', object: '', text, since: info.reasonsSince[i] ?? null, next: '' })),
    ...unconfirmed?.confirmBy == null ? [] : [{ severity: 'warning', area: 'config', object: `generation ${unconfirmed.generation}`, text: `it is rolled back at ${new Date(unconfirmed.confirmBy).toISOString()} unless it is confirmed`, since: unconfirmed.appliedAt, next: 'lockstep confirm' } as const],
    ...drift ? [{ severity: 'warning', area: 'config', object: 'startup', text: 'what runs is not what the next start would read', since: null, next: 'lockstep save' } as const] : []
  ]
}

function vipAlarms ({ vips, targets }: AlarmFacts): readonly Alarm[] {
  const since = new Map(targets.map(target => [target.id, target.since]))
  return vips.flatMap((vip): readonly Alarm[] => {
    if (vip.state === 'up' || vip.state === 'unknown') return []
    const down = vip.reals.filter(({ state }) => state !== 'serving' && state !== 'standby')
    const latest = Math.max(...down.map(({ target }) => since.get(target ?? '') ?? -Infinity))
    const [severity, text] = vip.state === 'down' ? ['error', `nobody serves it: ${down.length} of ${vip.reals.length} reals take no flows`] as const
      : vip.state === 'panic' ? ['error', 'too few reals are up: those that are down serve, too'] as const
        : ['warning', `it is served without its quorum: ${down.length} of ${vip.reals.length} reals take no flows`] as const
    return [{ severity, area: 'load-balancer', object: `vip ${vip.name}`, text, since: Number.isFinite(latest) ? latest : null, next: `lockstep vip list ${vip.name}` }]
  })
}

const targetAlarms = ({ targets }: AlarmFacts): readonly Alarm[] => targets.filter(({ state }) => state === 'down').map(({ id, since, last }) =>
  ({ severity: 'warning', area: 'load-balancer', object: `target ${id}`, text: last === null ? 'it is down' : `it is down: ${last.code}${last.detail === '' ? '' : `, ${last.detail}`}`, since, next: '' }))

function clusterAlarms ({ cluster }: AlarmFacts): readonly Alarm[] {
  if (cluster === null) return []
  const about = (rg: number): string => `group ${rg}`
  return [
    ...cluster.peers.filter(({ liveness }) => liveness !== 'alive').map((peer): Alarm => ({ severity: peer.liveness === 'suspect' ? 'warning' : 'error', area: 'cluster', object: `node ${peer.node}`, text: `its heartbeats are not heard: ${peer.liveness}`, since: null, next: 'lockstep cluster status' })),
    ...cluster.groups.filter(({ owner }) => owner === null).map(({ rg, history }): Alarm => ({ severity: 'error', area: 'cluster', object: about(rg), text: 'nobody owns it', since: history.at(-1)?.at ?? null, next: 'lockstep cluster status' })),
    ...cluster.groups.filter(({ owner, ready }) => owner !== null && owner !== cluster.node && !ready).map(({ rg, reasons }): Alarm => ({ severity: 'warning', area: 'cluster', object: about(rg), text: `this node would not take it over: ${reasons.join(', ')}`, since: null, next: 'docs/operations/cluster.md has what each reason wants' })),
    ...cluster.groups.filter(({ monitorsDown }) => monitorsDown.length > 0).map(({ rg, monitorsDown }): Alarm => ({ severity: 'warning', area: 'cluster', object: about(rg), text: `monitors are down: ${monitorsDown.join(', ')}`, since: null, next: '' }))
  ]
}

/** Who was shut down on this side is as somebody wants it. */
const bgpAlarms = ({ bgp: { neighbours, sources, sinks, routeSinks } }: AlarmFacts): readonly Alarm[] => [
  ...neighbours.filter(({ state, adminDown }) => state !== 'up' && !adminDown).map((n): Alarm => ({
    severity: 'warning', area: 'bgp', object: `neighbour ${n.vrf}/${n.peer}`, text: n.state === 'down' ? `its session is down${n.reason === null ? '' : `: ${n.reason}`}` : `nobody knows its session: ${n.unknownBecause ?? ''}`, since: n.changedAt, next: ''
  })),
  ...sources.filter(({ failed }) => failed !== null).map((s): Alarm => ({ severity: 'warning', area: 'bgp', object: `source ${s.scope}`, text: `it cannot be read: ${s.failed ?? ''}`, since: s.goodAt, next: 'lockstep bgp sources' })),
  ...routeSinks.filter(({ failed }) => failed !== null).map((s): Alarm => ({ severity: 'error', area: 'bgp', object: s.name, text: `routes to VIPs are not as they should be there: ${s.failed ?? ''}`, since: s.goodAt, next: 'lockstep bgp routes' })),
  ...sinks.filter(({ stage, lastError }) => stage === 'refused' || (stage !== 'stopped' && lastError !== null)).map((s): Alarm => ({ severity: 'warning', area: 'bgp', object: `sink ${s.sink}`, text: `${s.stage === 'refused' ? 'it takes no reports' : 'the last report failed'}: ${s.lastError ?? ''}`, since: s.lastLandedAt, next: 'lockstep bgp pending' }))
]
