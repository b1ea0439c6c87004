/** lockstep.v1.Cluster: which groups and which node a caller means is settled here, what then happens is the agent's. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { ClusterControl, ClusterGroupStatus, ClusterStatus, CommandResult } from '../contract/cluster.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import {
  GroupDifferences, type ClusterEvents, type ClusterGetStatusRequest, type ClusterGetStatusResponse, type ClusterHoldRequest, type ClusterHoldResponse, type ClusterReleaseRequest, type ClusterReleaseResponse, type ClusterListDifferencesRequest, type ClusterListDifferencesResponse, type ClusterResetRequest, type ClusterResyncRequest, type ClusterResyncResponse,
  type ClusterResetResponse, type ClusterSwitchoverRequest, type ClusterSwitchoverResponse, type ClusterVerifyRequest, type ClusterVerifyResponse, type ClusterWatchRequest, type SessionDifference
} from '../generated/proto/lockstep/v1/cluster.js'
import { claims } from '../ha/rg.js'
import { noCluster } from '../ha/standalone.js'
import { eventMessage, standing, statusMessage, verificationMessage } from './cluster-message.js'
import { eventsLost } from '../ha/event-log.js'
import { watchEvents } from './event-watch.js'
import { streaming, unary } from './handler.js'
import { listed } from './listing.js'
import type { MutationContext } from './mutation.js'
import type { ServiceNeeds } from './needs.js'
import { sessionMessage } from './session-message.js'
import { sessionsById } from './sessions-by-id.js'
import { Seats, TableTurns, Turnstile } from './turns.js'

export const CLUSTER_WATCHERS_MAX = 32
const VERIFY_MS = 30_000
const VERIFY_MS_MAX = 600_000

interface Named { readonly rgs: readonly number[], readonly all: boolean }

export function clusterImplementation (services: AgentServices, { onBug, mutations, onLost, subscribers }: ServiceNeeds): UntypedServiceImplementation {
  const { cluster } = services
  const turns = new TableTurns()
  const watchers = new Seats('watchers of the cluster', CLUSTER_WATCHERS_MAX)
  const commands = new Turnstile('commands to the cluster', 4, 16)
  const verifies = new Turnstile('verifications of groups', 1, 16)
  const status = async (): Promise<ClusterStatus> => {
    const found = await cluster.status()
    if (found === null) throw noCluster()
    return found
  }
  const command = async (named: Named, { dryRun, signal }: MutationContext, run: (rgs: readonly number[]) => Promise<CommandResult>, trial: (group: ClusterGroupStatus) => readonly string[] = () => []): Promise<ClusterHoldResponse> => {
    const groups = groupsOf(named, await status())
    if (dryRun) return resultMessage(tried(groups, trial))
    return resultMessage(await commands.run(signal, async () => await run(groups.map((g) => g.rg))))
  }
  const compared = async (request: ClusterVerifyRequest, signal: AbortSignal, run: ClusterControl['verify']): Promise<ClusterVerifyResponse> => {
    if (request.timeoutMs > VERIFY_MS_MAX) throw new LockstepError('invalid', 'LS_R_TIMEOUT', 'too long', { object: 'timeout_ms', found: String(request.timeoutMs), expected: `at most ${VERIFY_MS_MAX}` })
    const copies = copiesOf(request, await status())
    if (copies.length === 0) return { groups: [] }
    const results = await verifies.run(signal, async () => await run(copies, AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMs === 0 ? VERIFY_MS : request.timeoutMs)])))
    return { groups: results.map(verificationMessage) }
  }
  return {
    getStatus: unary<ClusterGetStatusRequest, ClusterGetStatusResponse>(onBug, async () => statusMessage(await status())),

    switchover: mutations.method<ClusterSwitchoverRequest, ClusterSwitchoverResponse>(async (request, context) => {
      const { node, ...found } = await status()
      const to = targetOf(request.to, { node, ...found })
      return { to, ...await command(request, context, async (rgs) => await cluster.switchover(rgs, to, context.signal), (group) => unfit(group, to, node)) }
    }),
    hold: mutations.method<ClusterHoldRequest, ClusterHoldResponse>(async (request, context) => await command(request, context, async (rgs) => await cluster.hold(rgs))),
    release: mutations.method<ClusterReleaseRequest, ClusterReleaseResponse>(async (request, context) => await command(request, context, async (rgs) => await cluster.release(rgs))),
    reset: mutations.method<ClusterResetRequest, ClusterResetResponse>(async (request, context) => await command(request, context, async (rgs) => await cluster.reset(rgs))),

    verify: unary<ClusterVerifyRequest, ClusterVerifyResponse>(onBug, async (request, { signal }) => await compared(request, signal, cluster.verify)),
    resync: mutations.method<ClusterResyncRequest, ClusterResyncResponse>(async (request, { dryRun, signal }) => {
      if (!dryRun) return await compared(request, signal, cluster.resync)
      const found = await status()
      const copies = copiesOf(request, found)
      return { groups: found.groups.filter(({ rg }) => copies.includes(rg)).map(standing) }
    }),

    listDifferences: unary<ClusterListDifferencesRequest, ClusterListDifferencesResponse>(onBug, async ({ rgs, listing }, { signal }) => {
      if (rgs.length > 0) groupsOf({ rgs, all: false }, await status())
      const repairs = (await cluster.repairs()).filter(({ rg }) => rgs.length === 0 || rgs.includes(rg))
      const here = await verifies.run(signal, async () => await sessionsById(services, new Set(repairs.flatMap(({ askedIds, endedIds }) => [...askedIds, ...endedIds])), turns, signal))
      const difference = (session: string, onlyHere: boolean): SessionDifference => {
        const row = here.get(session)
        return { session, onlyHere, now: row === undefined ? undefined : sessionMessage(row, services.names) }
      }
      const found = repairs.map(({ rg, at, asked, askedIds, ended, endedIds }) => ({ rg, atMs: BigInt(Math.round(at)), asked: BigInt(asked), ended: BigInt(ended), sessions: [...askedIds.map(id => difference(id, false)), ...endedIds.map(id => difference(id, true))] }))
      const { rows: groups, nextPageToken } = listed(found, ({ rg, atMs }) => `${rg} ${atMs}`, listing, GroupDifferences)
      return { groups, nextPageToken }
    }),

    watch: streaming<ClusterWatchRequest, ClusterEvents>(onBug, async (_request, context) => {
      await status()
      await watchers.hold(async () => { await watchEvents({ watch: cluster.watch, lost: (n) => { onLost(n); return eventsLost(n) }, enter: standing => subscribers.enter('Cluster', 'events', context.caller, () => ({ ...standing(), position: null, resyncs: 0, detail: '' })) }, (events) => ({ events: events.map(eventMessage) }), context) })
    })
  }
}

/** @throws invalid LS_R_GROUPS, LS_R_GROUP */
function groupsOf ({ rgs, all }: Named, { groups }: ClusterStatus): readonly ClusterGroupStatus[] {
  if (all !== (rgs.length === 0)) throw new LockstepError('invalid', 'LS_R_GROUPS', all ? 'some groups or all, not both' : 'no group is named', { object: 'rgs', next: 'name groups, or set `all`' })
  const unknown = rgs.find((rg) => !groups.some((g) => g.rg === rg))
  if (unknown !== undefined) throw new LockstepError('invalid', 'LS_R_GROUP', 'no such redundancy group', { object: 'rgs', found: String(unknown), expected: `one of ${groups.map((g) => g.rg).join(' ')}` })
  return groups.filter((g) => all || rgs.includes(g.rg))
}

/** Groups of which this node has a copy. @throws invalid LS_R_GROUP_OWNED */
function copiesOf (named: Named, status: ClusterStatus): readonly number[] {
  const groups = groupsOf(named, status)
  const owned = groups.find((g) => claims(g.role))
  if (owned !== undefined && !named.all) throw new LockstepError('invalid', 'LS_R_GROUP_OWNED', 'this node owns the group, and the copy is elsewhere', { object: `rg ${owned.rg}`, next: `ask ${status.peers[0]?.node ?? 'its peer'}` })
  return groups.filter((g) => !claims(g.role)).map((g) => g.rg)
}

/** @throws invalid LS_R_NODE */
function targetOf (to: string, { node, peers }: ClusterStatus): string {
  const nodes = [node, ...peers.map((p) => p.node)]
  const target = to === '' ? peers[0]?.node : nodes.find((n) => n === to)
  if (target === undefined) throw new LockstepError('invalid', 'LS_R_NODE', 'no such node', { object: 'to', found: to, expected: `one of ${nodes.join(' ')}` })
  return target
}

/** What a command would come to, as far as it is known before. */
const tried = (groups: readonly ClusterGroupStatus[], trial: (group: ClusterGroupStatus) => readonly string[]): CommandResult => {
  const judged = groups.map(group => ({ rg: group.rg, reasons: trial(group) }))
  return { done: judged.filter(({ reasons }) => reasons.length === 0).map(({ rg }) => rg), refused: judged.filter(({ reasons }) => reasons.length > 0) }
}

/** Why `to` would not take the group over now. */
function unfit ({ owner, ready, reasons, peer }: ClusterGroupStatus, to: string, node: string): readonly string[] {
  if (owner === to) return []
  if (to === node) return ready ? [] : reasons
  if (peer === null) return ['the peer has not said how it is']
  return peer.ready ? [] : peer.reasons
}

const resultMessage = ({ done, refused }: CommandResult): ClusterHoldResponse => ({ done: [...done], refused: refused.map(({ rg, reasons }) => ({ rg, reasons: [...reasons] })) })
