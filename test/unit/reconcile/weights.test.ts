/** Which reals take new flows: the rules one by one, and what must hold for any VIP. */
import t from 'tap'
import type { HealthState } from '../../../src/contract/health.js'
import { weigh, type RealInput, type VipInput } from '../../../src/reconcile/lb/weights.js'
import { Random } from '../../simulation/random.js'

const real = (name: string, health: HealthState | null = 'up', more: Partial<RealInput> = {}): RealInput => ({ name, weight: 100, health, drained: false, sharePct: 100, ...more })
const vip = (pools: readonly RealInput[][], more: Partial<VipInput> = {}): VipInput => ({ pools: pools.map((reals, i) => ({ name: `p${i + 1}`, reals })), quorum: 1, panicPct: 0, flushOnDown: true, ...more })
const shares = (input: VipInput): Record<string, number> => Object.fromEntries(weigh(input).reals.map(r => [r.name, r.weight]))

t.test('reals that are up, or that nobody checks, share; the others do not', async t => {
  t.same(shares(vip([[real('a'), real('b', null), real('c', 'down'), real('d', 'unknown'), real('e', 'paused'), real('f', 'disabled'), real('g', 'up', { drained: true }), real('h', 'up', { weight: 0 })]])),
    { a: 100, b: 100, c: 0, d: 0, e: 0, f: 0, g: 0, h: 0 })
})

t.test('the first pool with its quorum serves; when none has it, the one with the most', async t => {
  const pools = [[real('a', 'down'), real('b')], [real('c'), real('d')]]
  t.match(weigh(vip(pools)), { state: 'up', pool: 'p1' })
  t.match(weigh(vip(pools, { quorum: 150 })), { state: 'up', pool: 'p2' })
  t.match(weigh(vip(pools, { quorum: 500 })), { state: 'degraded', pool: 'p2' })
  t.match(weigh(vip([[real('a', 'down')], [real('c', 'down')]])), { state: 'down', pool: null })
  t.match(weigh(vip([[real('a', 'unknown')], [real('c', 'down')]])), { state: 'unknown', pool: null })
  t.equal(weigh(vip(pools)).reals.find(r => r.name === 'c')?.state, 'standby')
})

t.test('panic is told, takes in what is down, and nobody whom an operator took out', async t => {
  const pools = [[real('a'), real('b', 'down'), real('c', 'down'), real('d', 'disabled'), real('e', 'down', { drained: true }), real('f', 'unknown')]]
  t.match(weigh(vip(pools)), { state: 'up' })
  t.match(weigh(vip(pools, { panicPct: 50 })), { state: 'panic', pool: 'p1' })
  t.same(shares(vip(pools, { panicPct: 50 })), { a: 100, b: 100, c: 100, d: 0, e: 0, f: 0 })
  t.match(weigh(vip(pools, { panicPct: 33 })), { state: 'up' }, 'a third is up')
  t.match(weigh(vip([[real('a', 'down')]], { panicPct: 1 })), { state: 'panic' }, 'nobody is up: all serve')
  t.same(weigh(vip(pools, { panicPct: 50 })).reals.filter(r => r.flush).map(r => r.name), ['d', 'e'], 'who serves in panic keeps its sessions')
})

t.test('H91 sessions end with a real that is disabled, and with one that is down unless that is not wanted', async t => {
  const pools = [[real('a', 'down'), real('b', 'disabled'), real('c', 'unknown'), real('d', 'paused'), real('e', 'up', { drained: true })]]
  t.same(weigh(vip(pools)).reals.filter(r => r.flush).map(r => r.name), ['a', 'b'])
  t.same(weigh(vip(pools, { flushOnDown: false })).reals.filter(r => r.flush).map(r => r.name), ['b'])
})

t.test('a share that is asked for or grows slowly leaves at least one', async t => {
  t.same(shares(vip([[real('a', 'up', { sharePct: 10 }), real('b', 'up', { weight: 3, sharePct: 10 }), real('c', 'up', { sharePct: 0 })]])), { a: 10, b: 1, c: 0 })
})

t.test('of any VIP: one pool serves, nobody takes more than its weight, and a VIP that is up serves', async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const random = new Random(seed)
  const states: ReadonlyArray<HealthState | null> = ['unknown', 'up', 'up', 'down', 'paused', 'disabled', null]
  for (let run = 0; run < 5000; run++) {
    const input = vip(Array.from({ length: 1 + random.below(3) }, (_, p) => Array.from({ length: random.below(5) }, (_, r) =>
      real(`${p}.${r}`, states[random.below(states.length)] ?? null, { weight: random.below(101), drained: random.chance(0.1), sharePct: random.below(101) }))), { quorum: 1 + random.below(200), panicPct: random.below(101), flushOnDown: random.chance(0.5) })
    const out = weigh(input)
    const serving = new Set(out.reals.filter(r => r.weight > 0).map(r => r.pool))
    const wrong = serving.size > 1 || (out.pool !== null && serving.size === 1 && !serving.has(out.pool)) || (out.pool === null && serving.size > 0) ||
      out.reals.some((r, i) => r.weight < 0 || r.weight > (input.pools.flatMap(p => p.reals)[i]?.weight ?? 0)) || out.reals.some(r => r.weight > 0 && (r.flush || r.state === 'disabled' || r.state === 'drained' || r.state === 'paused')) ||
      ((out.state === 'up' || out.state === 'degraded' || out.state === 'panic') !== (serving.size === 1)) || (input.panicPct === 0 && out.state === 'panic')
    if (wrong) return t.fail(`${JSON.stringify(input)} gives ${JSON.stringify(out)}`)
  }
  t.pass('5000 VIPs')
})
