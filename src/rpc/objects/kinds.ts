/** The kinds of objects that can be watched: where each is read, by what it is named, and which of its fields are no change by themselves. */
import { LockstepError } from '../../contract/errors.js'
import type { AgentServices } from '../../contract/services.js'
import type { AgentGetInfoResponse } from '../../generated/proto/lockstep/v1/agent.js'
import type { BgpNeighbour } from '../../generated/proto/lockstep/v1/bgp.js'
import type { ClusterGroup } from '../../generated/proto/lockstep/v1/cluster.js'
import type { CheckTarget } from '../../generated/proto/lockstep/v1/load_balancer.js'
import { ObjectKind, ObjectState } from '../../generated/proto/lockstep/v1/objects.js'
import { neighbourKey, neighbourMessage } from '../bgp-service.js'
import { infoMessage } from '../agent-service.js'
import { statusMessage } from '../cluster-message.js'
import { generationMessage } from '../config-service.js'
import { linkMessage } from '../links-service.js'
import { targetMessage, vipMessage } from '../load-balancer-service.js'
import { Source } from './source.js'

export type ObjectValue = NonNullable<ObjectState['value']>

/** `bytes`: without what makes no change, to compare by. */
export interface Watched { readonly value: ObjectValue, readonly bytes: Uint8Array }

/** Fields that are told with a change and make none. */
function quiet (value: ObjectValue): ObjectValue {
  switch (value.$case) {
    case 'agent': return { $case: 'agent', value: { ...value.value, tableLive: 0n, eventLoopDelayP99Ms: 0, rpcLoopDelayP99Ms: 0 } satisfies AgentGetInfoResponse }
    case 'target': return { $case: 'target', value: { ...value.value, last: undefined, passed: 0n, failed: 0n, probing: false, nextAtMs: undefined } satisfies CheckTarget }
    case 'group': return { $case: 'group', value: { ...value.value, sessions: 0n, provenEqualAtMs: undefined } satisfies ClusterGroup }
    case 'bgp': return { $case: 'bgp', value: { ...value.value, rttNs: undefined, prefixesReceived: undefined, seenAtMs: 0n } satisfies BgpNeighbour }
    default: return value
  }
}

const watched = (value: ObjectValue): Watched => ({ value, bytes: ObjectState.encode({ key: '', revision: 0n, createdRevision: 0n, value: quiet(value) }).finish() })
const same = (a: Watched, b: Watched): boolean => Buffer.compare(a.bytes, b.bytes) === 0

export type Sources = ReadonlyMap<ObjectKind, Source<Watched>>

/** `onBug`: told of what no source should throw; one that is away for a moment is read again. */
export function sourcesOf (services: AgentServices, onBug: (error: unknown) => void): Sources {
  const onError = (error: unknown): void => { if (!(error instanceof LockstepError) || error.errorClass === 'bug') onBug(error) }
  const { loadBalancer, bgp, cluster, config } = services
  const byKey = <T>(of: readonly T[], key: (one: T) => string, value: (one: T) => ObjectValue): Map<string, Watched> => new Map(of.map(one => [key(one), watched(value(one))]))
  const source = (read: () => Promise<ReadonlyMap<string, Watched>>, hint?: (changed: () => void) => () => void): Source<Watched> => new Source({ read, equals: same, onError, ...hint === undefined ? {} : { hint } })
  const balancing = (changed: () => void): (() => void) => loadBalancer.watch(changed)
  const clustering = (changed: () => void): (() => void) => cluster.watch(changed)
  /** Backends, states and generations change with an event of the journal. */
  const noted = (changed: () => void): (() => void) => services.journal.watch(null, ({ area }) => { if (area === 'agent' || area === 'config') changed() })
  const both = (...hints: ReadonlyArray<(changed: () => void) => () => void>) => (changed: () => void): (() => void) => { const ends = hints.map(hint => hint(changed)); return () => { for (const end of ends) end() } }
  const clusterStatus = async (): ReturnType<typeof cluster.status> => await cluster.status()
  return new Map<ObjectKind, Source<Watched>>([
    [ObjectKind.OBJECT_KIND_AGENT, source(async () => { const [info, status] = await Promise.all([services.info(), clusterStatus()]); return new Map([[info.node, watched({ $case: 'agent', value: infoMessage(info, status) })]]) }, both(noted, clustering))],
    [ObjectKind.OBJECT_KIND_VIP, source(async () => byKey(await loadBalancer.vips(), vip => vip.name, vip => ({ $case: 'vip', value: vipMessage(vip) })), balancing)],
    [ObjectKind.OBJECT_KIND_TARGET, source(async () => byKey(await loadBalancer.targets(), target => target.id, target => ({ $case: 'target', value: targetMessage(target) })), balancing)],
    [ObjectKind.OBJECT_KIND_BGP, source(async () => byKey(await bgp.neighbours(), neighbourKey, value => ({ $case: 'bgp', value: neighbourMessage(value) })), changed => bgp.watch(changed))],
    [ObjectKind.OBJECT_KIND_LINK, source(async () => byKey(await services.dataplane().links(), link => link.name, link => ({ $case: 'link', value: linkMessage(link) })))],
    [ObjectKind.OBJECT_KIND_GENERATION, source(async () => byKey(await config.history(), info => String(info.generation), info => ({ $case: 'generation', value: generationMessage(info) })), noted)],
    [ObjectKind.OBJECT_KIND_GROUP, source(async () => { const status = await clusterStatus(); return status === null ? new Map() : byKey(statusMessage(status).groups, group => String(group.rg), value => ({ $case: 'group', value })) }, clustering)],
    [ObjectKind.OBJECT_KIND_PEER, source(async () => { const status = await clusterStatus(); return status === null ? new Map() : byKey(statusMessage(status).peers, peer => peer.node, value => ({ $case: 'peer', value })) }, clustering)]
  ])
}
