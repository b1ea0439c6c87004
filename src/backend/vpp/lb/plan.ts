/**
 * From what VPP has to what it should have: operations in the order in which they break nothing. A VIP comes before its reals; reals come, and weights grow,
 * before others shrink or go; VIPs go last, unless their prefix must be free for one that comes (VPP has one encapsulation for a prefix, and either one VIP
 * of all ports on it or VIPs of single ports). Pure.
 */
import { groupBy } from '../../../lib/group-by.js'
import { vipKey, type LbSettings, type Observed, type ObservedVip, type VipKey, type VppVip, type Wanted, type WantedVip } from './state.js'

export type Operation =
  | { readonly kind: 'settings', readonly settings: LbSettings }
  | { readonly kind: 'vip-add', readonly vip: VppVip }
  | { readonly kind: 'vip-remove', readonly vip: VppVip }
  | { readonly kind: 'real-add', readonly vip: VipKey, readonly real: string, readonly weight: number }
  | { readonly kind: 'real-remove', readonly vip: VipKey, readonly real: string, readonly flush: boolean }
  | { readonly kind: 'real-weight', readonly vip: VipKey, readonly real: string, readonly weight: number, readonly from: number, /** Its flows end. */ readonly flush: boolean }

export interface Plan {
  /** Before all else; `null`: as it should be. */
  readonly settings: Operation | null
  /** Of each prefix on its own: nothing of one waits for another. */
  readonly prefixes: ReadonlyMap<string, readonly Operation[]>
  /** VIPs that are given up and made anew, and why: what VPP cannot change in place. */
  readonly recreated: ReadonlyMap<string, string>
}

/** Reals whose flows end, `VIP key` -> addresses. */
export type Flushes = ReadonlyMap<string, ReadonlySet<string>>

/** 65536 is read back as 0: 16 bits. */
const sameLength = (a: number, b: number): boolean => (a & 0xffff) === (b & 0xffff)

/** What of a VIP cannot be changed in place; '': nothing. */
function differs (wanted: WantedVip, observed: ObservedVip): string {
  if (wanted.encap !== observed.encap) return 'encapsulation'
  if (wanted.targetPort !== observed.targetPort) return 'port of the reals'
  if (!sameLength(wanted.tableLength, observed.tableLength)) return 'ring size'
  return wanted.sourceIpSticky === observed.sourceIpSticky ? '' : 'source-ip-sticky'
}

function weightOperations (wanted: WantedVip, observed: ObservedVip, flushed: ReadonlySet<string>): Operation[] {
  const changed = [...wanted.reals].flatMap(([real, weight]): Array<Extract<Operation, { kind: 'real-weight' }>> => {
    const was = observed.reals.get(real)
    const flush = flushed.has(real)
    return was === undefined || (was.weight === weight && !flush) ? [] : [{ kind: 'real-weight', vip: wanted, real, weight, from: was.weight, flush }]
  })
  return [...changed.filter(({ weight, from }) => weight > from), ...changed.filter(({ weight, from }) => weight <= from)]
}

function prefixOperations (wanted: readonly WantedVip[], observed: readonly ObservedVip[], flushes: Flushes, recreated: Map<string, string>): Operation[] {
  const had = new Map(observed.map(vip => [vipKey(vip), vip]))
  const names = new Set(wanted.map(vipKey))
  for (const vip of wanted) {
    const was = had.get(vipKey(vip))
    const why = was === undefined ? '' : differs(vip, was)
    if (why !== '') recreated.set(vipKey(vip), why)
  }
  const stays = (vip: VipKey): boolean => names.has(vipKey(vip)) && !recreated.has(vipKey(vip))
  const come = wanted.filter(vip => !had.has(vipKey(vip)) || recreated.has(vipKey(vip)))
  const go = observed.filter(vip => !stays(vip))
  const clash = (vip: ObservedVip): boolean => recreated.has(vipKey(vip)) || come.some(other => other.encap !== vip.encap || (other.port === 0) !== (vip.port === 0))
  const leave = (vip: VipKey, real: string): Operation => ({ kind: 'real-remove', vip, real, flush: flushes.get(vipKey(vip))?.has(real) ?? false })
  const remove = (vip: ObservedVip): Operation[] => [...[...vip.reals.keys()].map(real => leave(vip, real)), { kind: 'vip-remove', vip }]
  const add = (vip: WantedVip, real: string, weight: number): Operation => ({ kind: 'real-add', vip, real, weight })

  const kept = wanted.filter(stays).flatMap((vip) => {
    const was = had.get(vipKey(vip))
    return was === undefined ? [] : [{ vip, was }]
  })
  return [
    ...go.filter(clash).flatMap(remove),
    ...come.flatMap((vip): Operation[] => [{ kind: 'vip-add', vip }, ...[...vip.reals].map(([real, weight]) => add(vip, real, weight))]),
    ...kept.flatMap(({ vip, was }) => [...vip.reals].filter(([real]) => !was.reals.has(real)).map(([real, weight]) => add(vip, real, weight))),
    ...kept.flatMap(({ vip, was }) => weightOperations(vip, was, flushes.get(vipKey(vip)) ?? new Set())),
    ...kept.flatMap(({ vip, was }) => [...was.reals.keys()].filter(real => !vip.reals.has(real)).map(real => leave(vip, real))),
    ...go.filter(vip => !clash(vip)).flatMap(remove)
  ]
}

const byPrefix = <T extends VipKey>(vips: readonly T[]): Map<string, T[]> => groupBy(vips, ({ prefix }) => prefix)

export function planBetween (wanted: Wanted, observed: Observed, flushes: Flushes = new Map()): Plan {
  const [after, before] = [byPrefix(wanted.vips), byPrefix(observed.vips)]
  const recreated = new Map<string, string>()
  const prefixes = new Map<string, readonly Operation[]>()
  for (const prefix of new Set([...after.keys(), ...before.keys()])) {
    const operations = prefixOperations(after.get(prefix) ?? [], before.get(prefix) ?? [], flushes, recreated)
    if (operations.length > 0) prefixes.set(prefix, operations)
  }
  const { settings } = wanted
  const same = (Object.keys(settings) as Array<keyof LbSettings>).every(key => settings[key] === observed.settings[key])
  return { settings: same ? null : { kind: 'settings', settings }, prefixes, recreated }
}
