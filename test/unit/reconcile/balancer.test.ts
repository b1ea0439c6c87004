/** What follows from configuration and health, over time. */
import t from 'tap'
import { parseConfig } from '../../../src/config/parse.js'
import type { Desired } from '../../../src/contract/desired.js'
import type { HealthState, KnownHealth } from '../../../src/contract/health.js'
import { Balancer } from '../../../src/reconcile/lb/balancer.js'
import { placed, targetsOf } from '../../../src/reconcile/lb/targets.js'
import { options } from '../config/support.js'

const config = (more = '', agent = ''): Desired => {
  const { desired, issues } = parseConfig(`
interfaces: {wan: {port: w, zone: out, addresses: [198.51.100.1/24]}, lan: {port: l, zone: in, addresses: [10.0.0.1/24]}}
zones: {out: {}, in: {}}
healthchecks: {web: {type: http, interval: 1s${agent}}, ping: {type: icmp}}
vips:
  www: {address: 198.51.100.80, port: 80, healthcheck: web, ${more} pools: [{reals: [{name: a, address: 10.0.0.11}, {name: b, address: 10.0.0.12, port: 8080}]}, {reals: [{name: c, address: 10.0.0.13, healthcheck: none}]}]}
  xyz: {address: 198.51.100.81, port: 80, pools: [{reals: [{name: a, address: 10.0.0.11, healthcheck: web}, {name: p, address: 10.0.0.14, healthcheck: ping}]}]}
`, options)
  if (desired === null) throw new Error(JSON.stringify(issues))
  return desired
}
const heard = (id: string, from: 'unknown' | 'up' | 'down', to: 'up' | 'down'): { id: string, transition: { from: typeof from, to: typeof to } } => ({ id, transition: { from, to } })
const [a, b] = ['web/10.0.0.11:80', 'web/10.0.0.12:8080']
const known = (states: ReadonlyArray<readonly [string, HealthState]>, shares: ReadonlyArray<readonly [string, number]> = []): KnownHealth => ({ states: new Map(states), shares: new Map(shares) })

t.test('each target once, with the port of the check, the real or the VIP', async t => {
  t.same(targetsOf(placed(config())).map(({ id }) => id), [a, b, 'ping/10.0.0.14'])
})

t.test('nobody is known: the pool that nobody checks serves; then the first, as it comes up', async t => {
  const balancer = new Balancer(() => 0)
  const d = config()
  t.same(balancer.configure(d), { edits: [{ kind: 'vip-added', vip: 'www', reals: 3 }, { kind: 'vip-added', vip: 'xyz', reals: 2 }], weights: [], states: [], flush: [] })
  t.match(balancer.status()[0], { name: 'www', state: 'up', pool: 'pool-2' })
  const changes = balancer.heard([heard(a, 'unknown', 'up')])
  t.same(changes.weights.map(w => `${w.vip}/${w.real} ${w.from} ${w.to}`), ['www/a 0 100', 'www/c 100 0', 'xyz/a 0 100'])
  t.same(changes.states.map(s => `${s.vip} ${s.from} ${s.to} ${s.pool ?? ''}`), ['www up up pool-1', 'xyz unknown up pool-1'])
  t.same(balancer.heard([heard(a, 'up', 'down')]).flush, [{ vip: 'www', real: 'a' }, { vip: 'xyz', real: 'a' }])
})

t.test('a configuration that is not in force yet is weighed by what is known', async t => {
  const balancer = new Balancer(() => 0, known([[a, 'up'], [b, 'down']]))
  t.same(balancer.preview(config()).get('www')?.reals.map(r => r.weight), [100, 0, 0])
})

t.test('H90 a dataplane that went on is left in peace until its reals are known', async t => {
  let now = 0
  const balancer = new Balancer(() => now, known([]), 5000)
  balancer.configure(config())
  t.match(balancer.status()[0]?.reals.map(r => r.weight), [100, 100, 0])
  t.same(balancer.heard([heard(a, 'unknown', 'down')]).weights.map(w => `${w.vip}/${w.real} ${w.to}`), ['www/a 0', 'xyz/a 0'])
  t.equal(balancer.nextMs(), 5000)
  now = 5000
  t.same(balancer.tick().weights.map(w => `${w.vip}/${w.real} ${w.to}`), ['www/b 0', 'www/c 100', 'xyz/p 0'])
  t.equal(balancer.nextMs(), null)
})

t.test('slow start: ten steps, for one that was down before, and the clock says when', async t => {
  let now = 1000
  const balancer = new Balancer(() => now, known([[a, 'up'], [b, 'up']]))
  balancer.configure(config('slow-start: 10s,'))
  t.equal(balancer.nextMs(), null)
  balancer.heard([heard(b, 'up', 'down')])
  balancer.heard([heard(b, 'down', 'up')])
  const weight = (): number | undefined => balancer.status()[0]?.reals[1]?.weight
  t.equal(weight(), 10)
  t.equal(balancer.nextMs(), 2000)
  const seen: Array<number | undefined> = []
  for (let next = balancer.nextMs(); next !== null; next = balancer.nextMs()) {
    now = next
    balancer.tick()
    seen.push(weight())
  }
  t.same(seen, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
})

t.test('who comes to own a group ends what its reals were to end while somebody else did', async t => {
  const balancer = new Balancer(() => 0, known([[a, 'up'], [b, 'up']]))
  balancer.configure(config())
  t.same(balancer.owns(0), [])
  t.same(balancer.heard([heard(a, 'up', 'down')]).flush, [{ vip: 'www', real: 'a' }, { vip: 'xyz', real: 'a' }])
  t.same(balancer.owns(0), [{ vip: 'www', real: 'a' }, { vip: 'xyz', real: 'a' }])
  t.same(balancer.owns(1), [])
  balancer.heard([heard(a, 'down', 'up')])
  t.same(balancer.owns(0), [])
})

t.test('what an agent says is a share of the weight, beside slow start, and nothing is a drain', async t => {
  let now = 0
  const balancer = new Balancer(() => now, known([[a, 'up'], [b, 'up']], [[b, 40]]))
  balancer.configure(config('slow-start: 10s,', ', agent: {port: 9}'))
  const reals = (): string[] => balancer.status()[0]?.reals.map(r => `${r.name} ${r.weight} ${r.state}`) ?? []
  t.same(reals(), ['a 100 serving', 'b 40 serving', 'c 0 standby'])
  t.same(balancer.shared([{ id: a, sharePct: 75 }, { id: b, sharePct: 100 }]).weights.map(w => `${w.vip}/${w.real} ${w.to}`), ['www/a 75', 'www/b 100', 'xyz/a 75'])
  balancer.shared([{ id: b, sharePct: 0 }])
  t.same(reals(), ['a 75 serving', 'b 0 drained', 'c 0 standby'])
  balancer.shared([{ id: b, sharePct: 50 }])
  balancer.heard([heard(b, 'up', 'down')])
  balancer.heard([heard(b, 'down', 'up')])
  now = 4000
  balancer.tick()
  t.same(reals(), ['a 75 serving', 'b 20 serving', 'c 0 standby'], 'half of four tenths')
  t.same([...balancer.known.shares], [[b, 50], [a, 75]].sort())
  const without = new Balancer(() => now, known([[a, 'up'], [b, 'up']], [[b, 40]]))
  without.configure(config())
  t.equal(without.status()[0]?.reals[1]?.weight, 100, 'the check has no agent any more')
})

t.test('what is no longer configured is forgotten', async t => {
  const balancer = new Balancer(() => 0, known([[a, 'up']]))
  balancer.configure({ ...config(), vips: [] })
  balancer.configure(config())
  t.equal(balancer.status()[0]?.reals[0]?.weight, 0)
})
