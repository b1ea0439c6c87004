/** The overlay of what was put while the agent runs: what a change makes of it, what of it has ended, and how it is laid over a configuration. Pure. */
import { LockstepError } from '../contract/errors.js'
import type { Vip } from '../contract/desired.js'
import { noOverlay, ttlMsMax, type Held, type Overlay, type OverlayChange } from '../contract/overlay.js'
import { namePattern } from './schema/common.js'
import { formatDuration } from './units.js'

type Put = Extract<OverlayChange, { readonly ttlMs: number | null }>

const reasonMax = 255
/** Of JSON: a configuration goes to the peer with it in one frame. */
const bytesMax = 1 << 20

const notFound = (object: string, found: string, next: string): LockstepError => new LockstepError('stale', 'LS_E_NOT_FOUND', `no such ${object}`, { object, found, next })

function heldBy (change: Put, nowMs: number): Held {
  const { owner, reason, ttlMs } = change
  if (owner === '' || owner.length > 63) throw new LockstepError('invalid', 'LS_V_OWNER', 'what is put needs an owner', { object: 'owner', found: owner === '' ? 'none' : `${owner.length} characters`, expected: '1 to 63 characters' })
  if (reason.length > reasonMax) throw new LockstepError('invalid', 'LS_V_REASON', 'the reason is too long', { object: 'reason', found: `${reason.length} characters`, expected: `at most ${reasonMax}` })
  if (ttlMs !== null && !(ttlMs >= 1000 && ttlMs <= ttlMsMax)) throw new LockstepError('invalid', 'LS_V_TTL', 'not a usable time to live', { object: 'ttl', found: `${ttlMs} ms`, expected: `1s to ${formatDuration(ttlMsMax)}, or none` })
  return { owner, reason, since: nowMs, until: ttlMs === null ? null : nowMs + ttlMs }
}

/** `vips`: those in force. @throws invalid LS_V_OWNER, LS_V_TTL, LS_V_WEIGHT; stale LS_V_CONFIGURED, LS_V_OWNED, LS_E_NOT_FOUND */
export function changed (o: Overlay, change: OverlayChange, vips: readonly Vip[], nowMs: number): Overlay {
  const next = following(o, change, vips, nowMs)
  const bytes = JSON.stringify(next).length
  if (bytes > bytesMax) throw new LockstepError('exhausted', 'LS_V_TOO_MUCH', 'too much was put', { object: `vip ${change.vip}`, found: `${bytes} bytes`, expected: `at most ${bytesMax}`, next: 'take back what is not needed, or configure it' })
  return next
}

function following (o: Overlay, change: OverlayChange, vips: readonly Vip[], nowMs: number): Overlay {
  const { vip } = change
  const put = o.vips.find(v => v.vip === vip)
  const owned = (what: string, by: string): LockstepError => new LockstepError('stale', 'LS_V_OWNED', 'another owner put it', { object: what, found: by, expected: 'owner' in change ? change.owner : by })
  switch (change.kind) {
    case 'put-vip': {
      if (!new RegExp(namePattern).test(vip) || vip === '__proto__') throw new LockstepError('invalid', 'LS_V_VIP', 'not usable as a name', { object: 'vip', found: vip, expected: 'letters, digits, _ . - and at most 63 of them' })
      if (put === undefined && vips.some(v => v.name === vip)) throw new LockstepError('stale', 'LS_V_CONFIGURED', 'the configuration has a VIP of this name', { object: `vip ${vip}`, next: 'put reals into it, or put a VIP of another name' })
      if (put !== undefined && put.owner !== change.owner) throw owned(`vip ${vip}`, put.owner)
      return { ...o, vips: [...o.vips.filter(v => v !== put), { vip, settings: change.settings, ...heldBy(change, nowMs) }] }
    }
    case 'delete-vip': {
      if (put === undefined) throw notFound('vip', vip, vips.some(v => v.name === vip) ? 'it is of the configuration: apply one without it' : 'lockstep overlay list shows what was put')
      if (put.owner !== change.owner) throw owned(`vip ${vip}`, put.owner)
      return { vips: o.vips.filter(v => v !== put), reals: o.reals.filter(r => r.vip !== vip), adjusted: o.adjusted.filter(a => a.vip !== vip) }
    }
    case 'put-reals': {
      if (put === undefined && !vips.some(v => v.name === vip)) throw notFound('vip', vip, 'lockstep vip list shows them')
      if (change.reals.length === 0) throw new LockstepError('invalid', 'LS_V_REALS', 'there are no reals to put', { object: `reals of ${change.owner} in ${vip}`, found: 'none', expected: 'at least one', next: 'delete them to have none' })
      return { ...o, reals: [...o.reals.filter(r => r.vip !== vip || r.owner !== change.owner), { vip, pool: change.pool, reals: change.reals, ...heldBy(change, nowMs) }] }
    }
    case 'delete-reals': {
      const reals = o.reals.filter(r => r.vip !== vip || r.owner !== change.owner)
      if (reals.length === o.reals.length) throw notFound('reals', `of ${change.owner} in ${vip}`, 'lockstep overlay list shows what was put')
      return { ...o, reals }
    }
    case 'adjust': case 'restore': {
      const { real } = change
      const others = o.adjusted.filter(a => a.vip !== vip || a.real !== real)
      if (change.kind === 'restore') {
        if (others.length === o.adjusted.length) throw notFound('changed real', `${vip}/${real}`, 'lockstep overlay list shows what was changed')
        return { ...o, adjusted: others }
      }
      if (!vips.some(v => v.name === vip && v.pools.some(({ reals }) => reals.some(r => r.name === real)))) throw notFound('real', `${vip}/${real}`, 'lockstep vip list shows them')
      const { weight, drained } = change
      if (weight !== null && !(Number.isInteger(weight) && weight >= 0 && weight <= 100)) throw new LockstepError('invalid', 'LS_V_WEIGHT', 'not a weight', { object: `real ${vip}/${real}`, found: String(weight), expected: '0 to 100' })
      return { ...o, adjusted: [...others, { vip, real, weight, drained, ...heldBy(change, nowMs) }] }
    }
  }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
function entriesOf (list: unknown, more: (entry: Readonly<Record<string, unknown>>) => boolean): boolean {
  return Array.isArray(list) && list.every(entry => isMap(entry) && typeof entry['vip'] === 'string' && typeof entry['owner'] === 'string' && (entry['until'] === null || typeof entry['until'] === 'number') && more(entry))
}

/** Of a peer, whose word is its own. `null`: it is none. */
export function readOverlay (text: string): Overlay | null {
  if (text === '') return noOverlay
  try {
    const { vips, reals, adjusted } = JSON.parse(text) as Readonly<Record<keyof Overlay, unknown>>
    return entriesOf(vips, v => isMap(v['settings'])) && entriesOf(reals, r => Array.isArray(r['reals'])) && entriesOf(adjusted, a => typeof a['real'] === 'string') ? { vips, reals, adjusted } as Overlay : null
  } catch {
    return null
  }
}

const ends = ({ vips, reals, adjusted }: Overlay): number[] => [...vips, ...reals, ...adjusted].map(({ until }) => until ?? Infinity)

/** When the next of it ends, Unix milliseconds; Infinity: nothing does. */
export const nextEnd = (o: Overlay): number => Math.min(Infinity, ...ends(o))

/** Without what has ended, and without what hangs on a VIP that was put and has. */
export function unexpired (o: Overlay, nowMs: number): Overlay {
  const lives = ({ until }: Held): boolean => until === null || until > nowMs
  const gone = new Set(o.vips.filter(v => !lives(v)).map(({ vip }) => vip))
  const stays = (entry: Held & { readonly vip: string }): boolean => lives(entry) && !gone.has(entry.vip)
  return { vips: o.vips.filter(stays), reals: o.reals.filter(stays), adjusted: o.adjusted.filter(stays) }
}

/** Both forward alike: who put it, why and until when aside, and VIPs that wait for their first real. */
export function sameEffect (a: Overlay, b: Overlay): boolean {
  const effect = ({ vips, reals, adjusted }: Overlay): string => JSON.stringify([
    vips.filter(v => reals.some(r => r.vip === v.vip)).map(({ vip, settings }) => [vip, settings]), reals.map(({ vip, owner, pool, reals }) => [vip, owner, pool, reals]), adjusted.map(({ vip, real, weight, drained }) => [vip, real, weight, drained])
  ].map(list => list.map(entry => JSON.stringify(entry)).sort()))
  return effect(a) === effect(b)
}

interface RawPools { pools: Array<{ name?: string, reals: unknown[] }> }
const isPool = (pool: unknown): boolean => isMap(pool) && Array.isArray(pool['reals'])

/** The `vips` of a configuration with what was put. `told`: what of it waits, in words. What is not of the shape of a configuration is left to whoever checks that. */
export function laidOver (config: unknown, { vips: put, reals }: Overlay, told: (text: string) => void): unknown {
  if ((put.length === 0 && reals.length === 0) || config === null || typeof config !== 'object' || Array.isArray(config)) return config
  const configured = (config as { readonly vips?: unknown }).vips ?? {}
  if (typeof configured !== 'object' || Array.isArray(configured)) return config
  const vips: Record<string, unknown> = Object.assign(Object.create(null) as Record<string, unknown>, configured)
  const dynamic = new Map<string, RawPools>()
  for (const { vip, settings, owner } of put) {
    if (Object.hasOwn(configured, vip)) told(`VIP ${vip}: the configuration has it; what ${owner} put waits until it does not`)
    else dynamic.set(vip, { ...settings, pools: [] })
  }
  for (const [vip, made] of dynamic) vips[vip] = made
  for (const { vip, pool, reals: added, owner } of [...reals].sort((a, b) => a.owner < b.owner ? -1 : 1)) {
    const into = Object.hasOwn(vips, vip) ? vips[vip] as Partial<RawPools> | null : null
    if (into === null) {
      told(`VIP ${vip}: it is not there; the reals of ${owner} wait for it`)
      continue
    }
    if (!isMap(into) || (into.pools !== undefined && !(Array.isArray(into.pools) && into.pools.every(isPool)))) continue
    const pools = into.pools ?? []
    const at = pool === '' ? 0 : pools.findIndex(({ name }, i) => (name ?? `pool-${i + 1}`) === pool)
    const found = pools[at]
    const grown = found === undefined ? { ...(pool === '' ? {} : { name: pool }), reals: [...added] } : { ...found, reals: [...found.reals, ...added] }
    vips[vip] = { ...into, pools: found === undefined ? [...pools, grown] : pools.with(at, grown) }
  }
  for (const [vip] of dynamic) {
    if ((vips[vip] as RawPools).pools.length > 0) continue
    delete vips[vip]
    told(`VIP ${vip} waits for its first real`)
  }
  return { ...config, vips }
}
