/** What happens to a cluster: a list of actions from a seed, each for itself, so that any of them can be left out. */
import { paths } from './heartbeats.js'
import { Random } from './random.js'

type At = 0 | 1
export type Action =
  | { readonly kind: 'pass', readonly ms: number }
  | { readonly kind: 'open' | 'change' | 'end', readonly tuple: number, readonly lost: boolean }
  | { readonly kind: 'switchover', readonly at: At, readonly rgs: readonly number[], readonly to: At }
  | { readonly kind: 'hold' | 'release' | 'reset', readonly at: At, readonly rgs: readonly number[] }
  | { readonly kind: 'monitors', readonly at: At, readonly rg: number, readonly lost: number }
  | { readonly kind: 'path', readonly from: At, readonly path: string }
  | { readonly kind: 'partition', readonly stream: boolean }
  | { readonly kind: 'heal' }
  | { readonly kind: 'weather', readonly loss: number, readonly doubled: number, readonly jitterMs: number, readonly delayMs: number, readonly speed: number }
  | { readonly kind: 'replay', readonly from: At, readonly path: string, readonly nth: number }
  | { readonly kind: 'replayMove', readonly nth: number }
  | { readonly kind: 'cut' | 'corrupt' | 'freeze' }
  | { readonly kind: 'agentCrash', readonly at: At, readonly ms: number }
  | { readonly kind: 'agentHang' | 'hostHang' | 'diskFull', readonly at: At, readonly ms: number }
  | { readonly kind: 'hostCrash', readonly at: At, readonly ms: number, readonly diskLost: boolean, readonly silent: boolean }
  | { readonly kind: 'backend', readonly at: At, readonly outlives: boolean }
  | { readonly kind: 'apply', readonly at: At, readonly laterMs: number, readonly ids: boolean }

export interface Shape { readonly tuples: number, readonly windowBytes: number, readonly faults: number, /** Commands, connections and weather, and nothing that breaks a host: moves come to their end. */ readonly gentle: boolean, readonly groups: readonly number[] }

export function shapeOf (seed: number): Shape {
  const random = new Random(seed)
  return {
    tuples: 20 + random.below(random.chance(0.2) ? 400 : 100), windowBytes: random.chance(0.2) ? 30_000 : 8 << 20, faults: 0.01 + random.next() * 0.06, gentle: seed % 3 === 0,
    groups: [0, 3, 15].slice(0, 1 + random.below(3))
  }
}

const faults: ReadonlyArray<readonly [number, Action['kind'], (r: Random, shape: Shape) => Action]> = [
  [10, 'switchover', (r, s) => ({ kind: 'switchover', at: side(r), rgs: some(r, s), to: side(r) })],
  [1, 'hold', (r, s) => ({ kind: 'hold', at: side(r), rgs: some(r, s) })],
  [3, 'release', (r, s) => ({ kind: 'release', at: side(r), rgs: s.groups })],
  [1, 'reset', (r, s) => ({ kind: 'reset', at: side(r), rgs: s.groups })],
  [2, 'monitors', (r, s) => ({ kind: 'monitors', at: side(r), rg: s.groups[r.below(s.groups.length)] ?? 0, lost: [0, 0, 20, 255][r.below(4)] ?? 0 })],
  [3, 'path', (r) => ({ kind: 'path', from: side(r), path: paths[r.below(2)] ?? 'x' })],
  [2, 'partition', (r) => ({ kind: 'partition', stream: r.chance(0.7) })],
  [7, 'heal', () => ({ kind: 'heal' })],
  [2, 'weather', (r) => ({ kind: 'weather', loss: r.next() * 0.2, doubled: r.next() * 0.1, jitterMs: 1 + r.below(60), delayMs: r.below(30), speed: r.chance(0.2) ? 200 : 1e6 })],
  [3, 'replay', (r) => ({ kind: 'replay', from: side(r), path: paths[r.below(2)] ?? 'x', nth: r.below(r.chance(0.5) ? 6 : 200) })],
  [3, 'replayMove', (r) => ({ kind: 'replayMove', nth: r.below(20) })],
  [2, 'cut', () => ({ kind: 'cut' })],
  [1, 'corrupt', () => ({ kind: 'corrupt' })],
  [0.5, 'freeze', () => ({ kind: 'freeze' })],
  [3, 'agentCrash', (r) => ({ kind: 'agentCrash', at: side(r), ms: 100 + r.below(r.chance(0.3) ? 20_000 : 3000) })],
  [1, 'agentHang', (r) => ({ kind: 'agentHang', at: side(r), ms: r.below(1500) })],
  [1.5, 'hostHang', (r) => ({ kind: 'hostHang', at: side(r), ms: r.below(1500) })],
  [1, 'diskFull', (r) => ({ kind: 'diskFull', at: side(r), ms: r.below(5000) })],
  [2, 'hostCrash', (r) => ({ kind: 'hostCrash', at: side(r), ms: r.chance(0.3) ? 50 + r.below(300) : 300 + r.below(6000), diskLost: r.chance(0.25), silent: r.chance(0.5) })],
  [1.5, 'backend', (r) => ({ kind: 'backend', at: side(r), outlives: r.chance(0.6) })],
  [1, 'apply', (r) => ({ kind: 'apply', at: side(r), laterMs: r.below(2500), ids: r.chance(0.4) })]
]
const gentle: ReadonlyArray<Action['kind']> = ['switchover', 'weather', 'replay', 'replayMove', 'cut', 'heal', 'agentHang', 'release']
const side = (r: Random): At => (r.chance(0.5) ? 1 : 0)
const some = (r: Random, { groups }: Shape): readonly number[] => (r.chance(0.4) ? groups : [groups[r.below(groups.length)] ?? 0])

/** The nth action of a seed, whatever the others are. */
export function actionOf (seed: number, n: number, shape: Shape): Action {
  const r = Random.of(seed, n)
  const what = r.next()
  const tuple = r.below(shape.tuples)
  const lost = r.chance(0.01)
  if (what < shape.faults) {
    const possible = shape.gentle ? faults.filter(([, kind]) => gentle.includes(kind)) : faults
    let at = r.next() * possible.reduce((all, [weight]) => all + weight, 0)
    for (const [weight, , make] of possible) if ((at -= weight) < 0) return make(r, shape)
  }
  if (what < 0.34) return { kind: 'open', tuple, lost }
  if (what < 0.42) return { kind: 'change', tuple, lost }
  if (what < 0.52) return { kind: 'end', tuple, lost }
  return { kind: 'pass', ms: r.next() * 80 }
}

export const say = ({ kind, ...rest }: Action): string => `${kind} ${Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'number' ? Math.round(value * 100) / 100 : JSON.stringify(value)}`).join(' ')}`
