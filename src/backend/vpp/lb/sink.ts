/**
 * The load balancer of a VPP as the rest of the agent sees it: told what is wanted whenever that changes, given a client for each life of VPP, and asked what
 * VPP has. What VPP refused is tried again by itself; everything else follows from the next change, the next life, or the next look.
 */
import { createHash } from 'node:crypto'
import type { Drift, LoadBalancerSink, RingReading } from '../../../contract/dataplane.js'
import type { Desired, VppSettings } from '../../../contract/desired.js'
import { LockstepError } from '../../../contract/errors.js'
import { groupBy } from '../../../lib/group-by.js'
import type { NativeVppStats } from '../../../native/binding.js'
import type { VppClient } from '../client.js'
import { applied } from './applied.js'
import { hostPrefix, LbCounters, type Counted, type Four } from './counters.js'
import { lbDriver } from './driver.js'
import { NatInterfaces } from './nat-interfaces.js'
import type { Operation } from './plan.js'
import { LbReconciler, type Pass } from './reconciler.js'
import { vipKey, type LbSettings, type Observed, type ObservedVip, type Wanted, type WantedVip } from './state.js'
import { NO_SOURCE4, NO_SOURCE6, wantedOf, type WeightOf } from './wanted.js'

export type Tell = (name: string, fields: Readonly<Record<string, string | number | null>>) => void

export interface LbSinkOptions {
  readonly nowMs: () => number
  readonly random: () => number
  readonly tell: Tell
  /** What was counted since the last time, by id. */
  readonly count: (kind: 'vip' | 'real', id: number, counted: Four) => void
}

/** Those that VPP has. */
export type Interfaces = () => ReadonlyArray<{ readonly name: string, readonly device: number }>

const COUNT_MS = 1000

const settingsOf = ({ tunnelSource4, tunnelSource6, stickyBuckets, flowTimeoutMs }: VppSettings): LbSettings => ({ source4: tunnelSource4 ?? NO_SOURCE4, source6: tunnelSource6 ?? NO_SOURCE6, stickyBuckets, flowTimeoutS: flowTimeoutMs / 1000 })

export class LbSink implements LoadBalancerSink {
  private wanted: Wanted | null = null
  /** Of the configuration in force, by id of the real: where it is. */
  private reals: ReadonlyMap<number, { readonly vips: readonly WantedVip[], readonly address: string }> = new Map()
  private reconciler: LbReconciler | null = null
  private observed: Observed | null = null
  private timer: NodeJS.Timeout | null = null
  private counters: LbCounters | null = null
  private natInterfaces: NatInterfaces | null = null
  private interfaces: Interfaces = () => []
  private natNames: readonly string[] = []
  private counting: NodeJS.Timeout | null = null
  private ids: ReadonlyMap<string, number> = new Map()
  private readonly performed: Record<Operation['kind'], number> = { settings: 0, 'vip-add': 0, 'vip-remove': 0, 'real-add': 0, 'real-remove': 0, 'real-weight': 0 }

  constructor (private readonly o: LbSinkOptions) {}

  /** @throws unsupported LS_V_VIP: what VPP cannot have, all of it */
  check (d: Desired): void {
    const { refused } = wantedOf(d, settingsOf(d.agent.vpp), () => 0)
    const [first] = refused
    if (first === undefined) return
    throw new LockstepError('unsupported', 'LS_V_VIP', refused.length === 1 ? `VPP cannot have this: ${first.reason}` : `VPP cannot have these: ${refused.map(({ object, found, reason }) => `${object} (${found}): ${reason}`).join('; ')}`, {
      object: refused.length === 1 ? first.object : `${refused.length} settings`, ...refused.length === 1 ? { found: first.found } : {}, next: 'change them, or use another backend'
    })
  }

  /** What is wanted from now on. Returns what of it VPP does in its own way. */
  want (d: Desired, weight: WeightOf): readonly string[] {
    const { wanted, warnings } = wantedOf(d, settingsOf(d.agent.vpp), weight)
    this.wanted = wanted
    this.natNames = d.agent.vpp.natInterfaces
    this.ids = new Map(Object.entries(d.ids.vip))
    const byName = groupBy(wanted.vips, ({ name }) => name)
    this.reals = new Map(d.vips.flatMap(({ name, pools }) => pools.flatMap(({ reals }) => reals.flatMap(({ name: real, address }) => {
      const id = d.ids.real[`${name}/${real}`]
      return id === undefined ? [] : [[id, { vips: byName.get(name) ?? [], address }] as const]
    }))))
    this.reconciler?.want(wanted)
    return warnings
  }

  /** Nothing is, and what there is goes with the next pass. */
  wantNothing (): void {
    if (this.wanted === null) return
    this.wanted = { ...this.wanted, vips: [] }
    this.reconciler?.want(this.wanted)
  }

  /** A VPP that knows nothing of us. @throws what the first pass throws; unsupported LS_V_NO_LB */
  async up (client: VppClient, stats: NativeVppStats | null, interfaces: Interfaces): Promise<void> {
    const driver = lbDriver(client)
    if (driver === null) {
      if ((this.wanted?.vips.length ?? 0) === 0) return
      throw new LockstepError('unsupported', 'LS_V_NO_LB', 'this VPP has no load balancer', { next: 'enable its plugin: plugins { plugin lb_plugin.so { enable } } in startup.conf' })
    }
    this.reconciler = new LbReconciler({ driver, nowMs: this.o.nowMs, random: this.o.random })
    this.natInterfaces = new NatInterfaces(client)
    this.interfaces = interfaces
    if (stats !== null) {
      this.counters = new LbCounters(client, stats)
      this.counting = setInterval(() => { this.count() }, COUNT_MS)
    }
    if (this.wanted === null) return
    this.reconciler.want(this.wanted)
    await this.pass()
  }

  down (): void {
    if (this.counting !== null) {
      clearInterval(this.counting)
      this.count()
    }
    this.counters = null
    this.natInterfaces = null
    this.counting = null
    this.reconciler = null
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  /** Kept in the session table, where every surface reads counters. */
  private count (): void {
    let counted: ReturnType<LbCounters['read']> | undefined
    try {
      counted = this.counters?.read()
    } catch {
      return // the layout is being changed: nothing is lost, the next look has it
    }
    for (const [id, four] of counted?.vips ?? []) this.o.count('vip', id, four)
    for (const [id, four] of counted?.reals ?? []) this.o.count('real', id, four)
  }

  /** VIPs with their places in VPP's pool, and reals by address. */
  private counted (): Counted {
    const readings = this.readings()
    const onPrefix = groupBy(readings, ({ vip: { prefix } }) => prefix)
    return {
      vips: [...groupBy(readings, ({ name }) => name)].flatMap(([name, mine]) => {
        const [first] = mine
        const id = this.ids.get(name)
        if (id === undefined || first === undefined) return []
        const { vip: { prefix } } = first
        return [{ id, indexes: mine.flatMap(({ vip: { index } }) => index ?? []), prefix, alone: onPrefix.get(prefix)?.every(other => other.name === name) ?? false }]
      }),
      reals: [...this.reals].map(([id, { address }]) => ({ id, address }))
    }
  }

  /** `routes`: they may lead elsewhere by now. `null`: VPP is not there. */
  async pass (routes: 'same' | 'changed' = 'same'): Promise<Pass | null> {
    const { reconciler } = this
    if (reconciler === null) return null
    const pass = await reconciler.pass()
    if (this.reconciler !== reconciler) return pass // of a life that has ended meanwhile
    // The place of a new VIP in VPP's pool, by which it is counted, is VPP's to say.
    this.observed = pass.done.some(({ kind }) => kind === 'vip-add') ? await reconciler.read().catch(() => null) : applied(pass.observed, pass.done)
    for (const [vip, because] of pass.recreated) this.o.tell('vpp-lb-vip-recreated', { vip, because })
    for (const { vip, operation, reason, tries } of pass.failed) this.o.tell('vpp-lb-error', { vip, operation, reason, tries })
    for (const { kind } of pass.done) this.performed[kind]++
    if (pass.done.length > 0) this.o.tell('vpp-lb-sync', { operations: pass.done.length, ...countsOf(pass.done), tookMs: Math.round(pass.tookMs * 10) / 10 })
    await this.natInterfaces?.enable(this.natNames, this.interfaces())
    await this.counters?.count(this.counted(), routes === 'changed' ? 'all' : new Set(pass.done.flatMap(prefixesOf)))
    this.again(reconciler)
    return pass
  }

  /** What was refused, when its time has come. */
  private again (reconciler: LbReconciler): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const { dueMs } = reconciler
    if (dueMs === null || this.reconciler !== reconciler) return
    this.timer = setTimeout(() => { void this.pass().catch(() => undefined) }, Math.max(10, dueMs - this.o.nowMs()))
  }

  /** The flows of these reals end. */
  async flush (ids: readonly number[]): Promise<void> {
    const { reconciler } = this
    if (reconciler === null) return
    for (const { vips, address } of ids.flatMap(id => this.reals.get(id) ?? [])) for (const vip of vips) reconciler.flush(vip, address)
    await this.pass()
  }

  /** Done since the agent started, by kind. */
  get operations (): Readonly<Record<Operation['kind'], number>> { return this.performed }

  degraded (): string[] { return (this.reconciler?.failures ?? []).map(({ vip, operation, reason, tries }) => `VPP refuses VIP ${vip} (${operation}, ${tries} times): ${reason}`) }

  /** A VIP of two protocols is two in VPP, with one hash here. */
  ringHashes (): ReadonlyMap<string, bigint> {
    const hashes = new Map<string, bigint>()
    for (const { name, vip } of this.readings()) hashes.set(name, (hashes.get(name) ?? 0n) ^ hashOf(vip))
    return hashes
  }

  async readBack (): Promise<readonly RingReading[]> {
    const { reconciler } = this
    if (reconciler === null) throw gone()
    this.observed = await reconciler.read()
    const ids = new Map([...this.reals].flatMap(([id, { vips, address }]) => vips.map(vip => [`${vipKey(vip)} ${address}`, id] as const)))
    const wanted = new Map(this.wanted?.vips.map(vip => [vipKey(vip), vip]))
    return this.readings().map(({ name, vip }) => ({
      vip: name, ringSize: vip.tableLength, ringHash: hashOf(vip).toString(16).padStart(16, '0'), drifted: driftOf(wanted.get(vipKey(vip)), vip),
      reals: [...vip.reals].map(([address, { buckets }]) => ({ id: ids.get(`${vipKey(vip)} ${address}`) ?? 0, entries: buckets }))
    }))
  }

  async reconcile (): Promise<Drift> {
    const pass = await this.pass('changed')
    if (pass === null) throw gone()
    const names = new Map(this.wanted?.vips.map(vip => [vipKey(vip), vip.name]))
    const changed = new Map<string, number>()
    for (const operation of pass.done) {
      const key = operation.kind === 'settings' ? '(settings)' : names.get(vipKey(operation.vip)) ?? vipKey(operation.vip)
      changed.set(key, (changed.get(key) ?? 0) + 1)
    }
    return { vips: this.wanted?.vips.length ?? 0, rings: [...changed].map(([vip, entries]) => ({ vip, entries })), configBytes: 0, tookMs: pass.tookMs }
  }

  /** VIPs of the configuration that VPP has; the place of one in VPP's pool is the index of its counters. */
  private readings (): Array<{ readonly name: string, readonly vip: ObservedVip }> {
    const names = new Map(this.wanted?.vips.map(vip => [vipKey(vip), vip.name]))
    return (this.observed?.vips ?? []).flatMap((vip) => {
      const name = names.get(vipKey(vip))
      return name === undefined ? [] : [{ name, vip }]
    })
  }
}

const gone = (): LockstepError => new LockstepError('unavailable', 'LS_V_DOWN', 'VPP is not connected', { next: 'it is tried again by itself' })

/** Two VPPs with these make one table (26.10 and later). */
function hashOf (vip: ObservedVip): bigint {
  const reals = [...vip.reals].map(([address, { weight }]) => `${address}=${weight}`).sort()
  return createHash('sha256').update(JSON.stringify([vip.protocol, vip.port, vip.tableLength & 0xffff, vip.sourceIpSticky, reals])).digest().readBigUInt64BE()
}

/** Reals that are not there, or not as they should be. */
function driftOf (wanted: WantedVip | undefined, { reals }: ObservedVip): number {
  if (wanted === undefined) return reals.size
  return [...wanted.reals].filter(([address, weight]) => reals.get(address)?.weight !== weight).length + [...reals.keys()].filter(address => !wanted.reals.has(address)).length
}

/** Whose routes an operation makes or takes away. */
function prefixesOf (operation: Operation): string[] {
  switch (operation.kind) {
    case 'vip-add': case 'vip-remove': return [operation.vip.prefix]
    case 'real-add': case 'real-remove': return [hostPrefix(operation.real)]
    case 'settings': case 'real-weight': return []
  }
}

function countsOf (done: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of done) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}
