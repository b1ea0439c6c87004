/** lockstep.v1.LoadBalancer: VIPs and targets as messages, and operators' words about targets. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { eventLevels, type LoadBalancerControl, type LoadBalancerEvent, type RingStatus, type VipState, type VipStatus } from '../contract/balancing.js'
import { LockstepError } from '../contract/errors.js'
import type { HealthInput, HealthState, TargetStatus } from '../contract/health.js'
import type { OverlayChange } from '../contract/overlay.js'
import {
  CheckTarget, TargetOperation, TargetState, VipState as VipStateMessage, VipStatus as VipMessage, type LoadBalancerAdjustRealRequest, type LoadBalancerDeleteRealsRequest, type LoadBalancerDeleteVipRequest,
  type LoadBalancerGetOverlayRequest, type LoadBalancerGetOverlayResponse, type LoadBalancerPutRealsRequest, type LoadBalancerPutVipRequest, type LoadBalancerReadBackRequest, type LoadBalancerReadBackResponse,
  type LoadBalancerEvents, type LoadBalancerReconcileRequest, type LoadBalancerReconcileResponse, type LoadBalancerRestoreRealRequest, type LoadBalancerWatchRequest, type LoadBalancerListTargetsRequest, type LoadBalancerListTargetsResponse, type LoadBalancerListVipsRequest,
  type LoadBalancerListVipsResponse, type LoadBalancerOperateTargetRequest, type LoadBalancerOperateTargetResponse
} from '../generated/proto/lockstep/v1/load_balancer.js'
import type { Mutation } from '../generated/proto/lockstep/v1/mutation.js'
import { balancingLost } from '../reconcile/lb/events.js'
import { fieldMessages } from './cluster-message.js'
import { watchEvents } from './event-watch.js'
import { listed } from './listing.js'
import type { ServiceNeeds } from './needs.js'
import { Seats } from './turns.js'
import { streaming, unary } from './handler.js'
import { termsOf, overlayMessage, realOf, vipOf } from './overlay-message.js'

const vipStates = {
  unknown: VipStateMessage.VIP_STATE_UNKNOWN, up: VipStateMessage.VIP_STATE_UP, degraded: VipStateMessage.VIP_STATE_DEGRADED, panic: VipStateMessage.VIP_STATE_PANIC, down: VipStateMessage.VIP_STATE_DOWN
} as const satisfies Record<VipState, VipStateMessage>

const targetStates = {
  unknown: TargetState.TARGET_STATE_UNKNOWN, up: TargetState.TARGET_STATE_UP, down: TargetState.TARGET_STATE_DOWN, paused: TargetState.TARGET_STATE_PAUSED, disabled: TargetState.TARGET_STATE_DISABLED
} as const satisfies Record<HealthState, TargetState>

const operations: Readonly<Partial<Record<TargetOperation, HealthInput>>> = {
  [TargetOperation.TARGET_OPERATION_PAUSE]: 'pause', [TargetOperation.TARGET_OPERATION_RESUME]: 'resume', [TargetOperation.TARGET_OPERATION_DISABLE]: 'disable', [TargetOperation.TARGET_OPERATION_ENABLE]: 'enable'
}

export const vipMessage = ({ redundancyGroup, state, pool, reals, ...vip }: VipStatus): VipMessage => ({
  ...vip, rg: redundancyGroup, state: vipStates[state], pool: pool ?? undefined, reals: reals.map(({ target, ...real }) => ({ ...real, target: target ?? undefined }))
})

export const targetMessage = ({ id, check, address, port, state, count, sharePct, since, last, passed, failed, history, probing, nextAt }: TargetStatus): CheckTarget => ({
  id, check, address, port, count, sharePct, state: targetStates[state], sinceMs: BigInt(since), passed: BigInt(passed), failed: BigInt(failed), probing, nextAtMs: nextAt === null ? undefined : BigInt(Math.round(nextAt)),
  last: last === null ? undefined : { atMs: BigInt(last.at), ok: last.ok, code: last.code, detail: last.detail, tookMs: last.tookMs },
  history: history.map(({ at, from, to, code, detail }) => ({ atMs: BigInt(at), from: targetStates[from], to: targetStates[to], code, detail }))
})

const WATCHERS_MAX = 64

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => a.id < b.id ? -1 : 1

/** @throws stale LS_E_NOT_FOUND */
function notFound (what: string, found: string): LockstepError {
  return new LockstepError('stale', 'LS_E_NOT_FOUND', `no such ${what}`, { object: what, found, next: `lockstep ${what} list shows them` })
}

/** What a reconciliation would put right, of what is read back: rings. */
const drifted = (rings: readonly RingStatus[]): LoadBalancerReconcileResponse =>
  ({ vips: rings.length, repaired: rings.filter(ring => ring.drifted > 0).map(({ vip, drifted: entries }) => ({ vip, entries })), configBytes: 0n, tookMs: 0 })

export function loadBalancerImplementation (lb: LoadBalancerControl, { onBug, mutations, onLost, subscribers }: ServiceNeeds): UntypedServiceImplementation {
  const watchers = new Seats('watchers of the load balancer', WATCHERS_MAX)
  const change = <Req extends { readonly mutation?: Mutation | undefined }>(of: (request: Req) => OverlayChange): ReturnType<typeof unary<Req, object>> => mutations.method<Req, object>(async (request, { dryRun, signal }) => {
    await lb.change(of(request), dryRun, signal)
    return {}
  })
  return {
    listVips: unary<LoadBalancerListVipsRequest, LoadBalancerListVipsResponse>(onBug, async ({ name, listing }) => {
      const found = (await lb.vips()).filter(vip => name === '' || vip.name === name)
      if (name !== '' && found.length === 0) throw notFound('vip', name)
      const { rows: vips, nextPageToken } = listed(found.map(vipMessage), vip => vip.name, listing, VipMessage)
      return { vips, nextPageToken }
    }),
    listTargets: unary<LoadBalancerListTargetsRequest, LoadBalancerListTargetsResponse>(onBug, async ({ id, listing }) => {
      const found = (await lb.targets()).filter(target => id === '' || target.id === id)
      if (id !== '' && found.length === 0) throw notFound('target', id)
      const { rows: targets, nextPageToken } = listed(found.map(targetMessage).sort(byId), target => target.id, listing, CheckTarget)
      return { targets, nextPageToken }
    }),
    operateTarget: mutations.method<LoadBalancerOperateTargetRequest, LoadBalancerOperateTargetResponse>(async ({ id, operation }, { dryRun }) => {
      const input = operations[operation]
      if (input === undefined) throw new LockstepError('invalid', 'LS_R_OPERATION', 'no such operation', { object: 'operation', found: String(operation), expected: 'pause, resume, disable or enable' })
      if (!(dryRun ? (await lb.targets()).some(target => target.id === id) : await lb.operate(id, input))) throw notFound('target', id)
      return {}
    }),
    watch: streaming<LoadBalancerWatchRequest, LoadBalancerEvents>(onBug, async ({ minLevel, names }, context) => {
      const least = eventLevels.findIndex(level => level === (minLevel === '' ? 'info' : minLevel))
      if (least < 0) throw new LockstepError('invalid', 'LS_R_LEVEL', 'no such level', { object: 'min_level', found: minLevel, expected: eventLevels.join(', ') })
      const wanted = ({ name, level }: LoadBalancerEvent): boolean => eventLevels.indexOf(level) >= least && (names.length === 0 || names.includes(name))
      await watchers.hold(async () => { await watchEvents({ watch: lb.watch, lost: (n) => { onLost(n); return balancingLost(n) }, wanted, enter: standing => subscribers.enter('LoadBalancer', 'events', context.caller, () => ({ ...standing(), position: null, resyncs: 0, detail: '' })) }, (events) => ({ events: events.map(({ at, name, level, fields }) => ({ atMs: BigInt(at), name, level, fields: fieldMessages(fields) })) }), context) })
    }),
    readBack: unary<LoadBalancerReadBackRequest, LoadBalancerReadBackResponse>(onBug, async ({ vip }) => {
      const rings = (await lb.readBack()).filter(ring => vip === '' || ring.vip === vip)
      if (vip !== '' && rings.length === 0) throw notFound('vip', vip)
      return { rings: rings.map(({ reals, ...ring }) => ({ ...ring, reals: [...reals] })) }
    }),
    reconcile: mutations.method<LoadBalancerReconcileRequest, LoadBalancerReconcileResponse>(async (_request, { dryRun }) => {
      if (dryRun) return drifted(await lb.readBack())
      const { vips, rings, configBytes, tookMs } = await lb.reconcile()
      return { vips, repaired: [...rings], configBytes: BigInt(configBytes), tookMs }
    }),
    getOverlay: unary<LoadBalancerGetOverlayRequest, LoadBalancerGetOverlayResponse>(onBug, async () => overlayMessage(await lb.overlay())),
    putVip: change<LoadBalancerPutVipRequest>(({ vip, terms }) => {
      if (vip === undefined) throw new LockstepError('invalid', 'LS_V_VIP', 'there is no VIP to put', { object: 'vip', found: 'none' })
      return { kind: 'put-vip', vip: vip.name, settings: vipOf(vip), ...termsOf(terms) }
    }),
    deleteVip: change<LoadBalancerDeleteVipRequest>(({ name, owner }) => ({ kind: 'delete-vip', vip: name, owner })),
    putReals: change<LoadBalancerPutRealsRequest>(({ vip, pool, reals, terms }) => ({ kind: 'put-reals', vip, pool, reals: reals.map(realOf), ...termsOf(terms) })),
    deleteReals: change<LoadBalancerDeleteRealsRequest>(({ vip, owner }) => ({ kind: 'delete-reals', vip, owner })),
    adjustReal: change<LoadBalancerAdjustRealRequest>(({ vip, real, weight, drain, terms }) => ({ kind: 'adjust', vip, real, weight: weight ?? null, drained: drain, ...termsOf(terms) })),
    restoreReal: change<LoadBalancerRestoreRealRequest>(({ vip, real }) => ({ kind: 'restore', vip, real }))
  }
}
