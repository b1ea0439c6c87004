/** What is put while the agent runs: changes, ends, and how it is laid over a configuration. */
import t from 'tap'
import { noOverlay, type Overlay, type OverlayChange } from '../../../src/contract/overlay.js'
import { changed, laidOver, nextEnd, readOverlay, sameEffect, unexpired } from '../../../src/config/overlay.js'
import { parseConfig } from '../../../src/config/parse.js'
import { options } from './support.js'

const text = `
vips:
  www:
    address: 192.0.2.80
    port: 80
    pools: [{reals: [{address: 10.0.0.1, name: one}, {address: 10.0.0.2, name: two}]}]
`
const vipsOf = (overlay: Overlay): NonNullable<ReturnType<typeof parseConfig>['desired']>['vips'] => parseConfig(text, { ...options, overlay }).desired?.vips ?? []
const by = (owner: string, ttlMs: number | null = null): { readonly owner: string, readonly reason: string, readonly ttlMs: number | null } => ({ owner, reason: 'test', ttlMs })
const after = (...changes: readonly OverlayChange[]): Overlay => changes.reduce((o, change, i) => changed(o, change, vipsOf(o), 1000 * i), noOverlay)
const putVip = (vip: string, owner = 'ctl', ttlMs: number | null = null): OverlayChange => ({ kind: 'put-vip', vip, settings: { address: '192.0.2.9', port: 443 }, ...by(owner, ttlMs) })
const putReals = (vip: string, owner: string, ...addresses: string[]): OverlayChange => ({ kind: 'put-reals', vip, pool: '', reals: addresses.map(address => ({ address })), ...by(owner) })
const drain = (real: string): OverlayChange => ({ kind: 'adjust', vip: 'www', real, weight: null, drained: true, ...by('op') })
const parsed = (overlay: Overlay): ReturnType<typeof parseConfig> => parseConfig(text, { ...options, overlay })

t.test('a VIP that was put forwards from its first real on, and goes with all that hangs on it', async t => {
  const waits = parsed(after(putVip('api')))
  t.same([waits.desired?.vips.map(v => v.name), waits.warnings], [['www'], ['/vips: VIP api waits for its first real']])
  const whole = after(putVip('api'), putReals('api', 'ctl', '10.0.0.7', '10.0.0.8'), putReals('api', 'other', '10.0.0.9'), { kind: 'adjust', vip: 'api', real: '10.0.0.7:443', weight: 5, drained: false, ...by('op') })
  const { desired } = parsed(whole)
  t.match(desired?.vips, [{ name: 'api', address: '192.0.2.9/32', port: 443, pools: [{ reals: [{ address: '10.0.0.7' }, { address: '10.0.0.8' }, { address: '10.0.0.9' }] }] }, { name: 'www' }])
  t.same(desired?.adjustments, [{ vip: 'api', real: '10.0.0.7:443', weight: 5, drained: false }])
  t.same(changed(whole, { kind: 'delete-vip', vip: 'api', owner: 'ctl' }, [], 0), noOverlay)
})

t.test('reals are of their owner: put again they replace its own, and nobody else\'s', async t => {
  const addresses = (o: Overlay): unknown => parsed(o).desired?.vips[0]?.pools.map(pool => pool.reals.map(real => real.address))
  const both = after(putReals('www', 'a', '10.0.1.1', '10.0.1.2'), putReals('www', 'b', '10.0.2.1'))
  t.same(addresses(both), [['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.0.1.2', '10.0.2.1']])
  const again = changed(both, putReals('www', 'a', '10.0.1.3'), vipsOf(both), 5000)
  t.same(addresses(again), [['10.0.0.1', '10.0.0.2', '10.0.1.3', '10.0.2.1']])
  t.same(addresses(changed(again, { kind: 'delete-reals', vip: 'www', owner: 'a' }, [], 0)), [['10.0.0.1', '10.0.0.2', '10.0.2.1']])
  const spare = after({ kind: 'put-reals', vip: 'www', pool: 'spare', reals: [{ address: '10.0.3.1' }], ...by('a') })
  t.same(addresses(spare), [['10.0.0.1', '10.0.0.2'], ['10.0.3.1']])
})

t.test('what cannot be is refused, and by what it collides with', async t => {
  const o = after(putVip('api'))
  const refused = (change: OverlayChange, code: string, from = o): void => { t.throws(() => changed(from, change, vipsOf(from), 0), { code }, code) }
  refused(putVip('www'), 'LS_V_CONFIGURED')
  refused(putVip('api', 'another'), 'LS_V_OWNED')
  refused(putVip('new', ''), 'LS_V_OWNER')
  refused(putVip('new', 'x'.repeat(64)), 'LS_V_OWNER')
  refused(putVip('new', 'a', 999), 'LS_V_TTL')
  refused(putVip('new', 'a', NaN), 'LS_V_TTL')
  refused({ kind: 'delete-vip', vip: 'api', owner: 'another' }, 'LS_V_OWNED')
  refused({ kind: 'delete-vip', vip: 'www', owner: 'ctl' }, 'LS_E_NOT_FOUND')
  refused(putReals('nothing', 'a', '10.0.0.1'), 'LS_E_NOT_FOUND')
  refused(putReals('www', 'a'), 'LS_V_REALS')
  refused({ kind: 'delete-reals', vip: 'www', owner: 'a' }, 'LS_E_NOT_FOUND')
  refused(drain('three'), 'LS_E_NOT_FOUND')
  refused({ kind: 'adjust', vip: 'www', real: 'one', weight: 101, drained: false, ...by('op') }, 'LS_V_WEIGHT')
  refused({ kind: 'restore', vip: 'www', real: 'one' }, 'LS_E_NOT_FOUND')
  t.match(parsed(after(putReals('www', 'a', 'nowhere'))).issues, [{ path: '/vips/www/pools/0/reals/2/address' }])
  t.match(parsed(after(putReals('www', 'a', '10.0.0.2'), putReals('www', 'b', '10.0.0.2'))).issues, [{ code: 'LS_C_DUPLICATE' }])
})

t.test('a configuration that comes to have the VIP wins; what was put waits', async t => {
  const o = after(putVip('api'), putReals('api', 'ctl', '10.0.0.7'))
  const told: string[] = []
  const config = { vips: { api: { address: '192.0.2.10', pools: [{ reals: [{ address: '10.0.0.1' }] }] } } }
  t.match(laidOver(config, o, line => { told.push(line) }), { vips: { api: { address: '192.0.2.10', pools: [{ reals: [{ address: '10.0.0.1' }, { address: '10.0.0.7' }] }] } } })
  t.match(told, [/the configuration has it/])
  t.same(config.vips.api.pools[0]?.reals.length, 1, 'the configuration itself is as it was')
  t.match(laidOver({ vips: {} }, { ...o, vips: [] }, line => { told.push(line) }), { vips: {} })
  t.match(told[1], /the reals of ctl wait/)
  for (const odd of [null, [], 'text', { vips: [] }, { vips: { api: null } }]) t.doesNotThrow(() => laidOver(odd, o, () => undefined))
})

t.test('an adjustment of a real that an apply took away waits for it', async t => {
  t.same(parseConfig('vips: {www: {address: 192.0.2.80, pools: [{reals: [{address: 10.0.0.1, name: two}]}]}}', { ...options, overlay: after(drain('one')) }).desired?.adjustments, [])
})

t.test('ends: the next one, what is left, and a VIP takes its reals along', async t => {
  const o = after(putVip('api', 'ctl', 60_000), putReals('api', 'ctl', '10.0.0.7'), drain('one'))
  t.equal(nextEnd(o), 60_000)
  t.equal(nextEnd(noOverlay), Infinity)
  t.same(unexpired(o, 59_999), o)
  t.match(unexpired(o, 60_000), { vips: [], reals: [], adjusted: [{ real: 'one' }] })
})

t.test('the same reals for longer have no effect on the dataplane', async t => {
  const o = after(putReals('www', 'a', '10.0.1.1'), putReals('www', 'b', '10.0.1.2'))
  const refreshed = changed(o, putReals('www', 'a', '10.0.1.1'), vipsOf(o), 9000)
  t.notSame(refreshed, o)
  t.ok(sameEffect(refreshed, o))
  t.notOk(sameEffect(changed(o, putReals('www', 'a', '10.0.1.9'), vipsOf(o), 9000), o))
})

t.test('what a peer says is one, or none', async t => {
  t.same(readOverlay(''), noOverlay)
  const o = after(putVip('api'))
  t.same(readOverlay(JSON.stringify(o)), o)
  for (const odd of ['{', '[]', 'null', '{"vips":1}']) t.equal(readOverlay(odd), null)
})

t.test('a configuration of another shape is left as it is: whoever checks shapes says where', async t => {
  const o = after(putReals('www', 'a', '10.0.1.1'))
  for (const pools of ['[{name: a}]', '[{reals: 5}]', '[null]', '5', 'null']) {
    const { desired, issues } = parseConfig(`vips: {www: {address: 192.0.2.80, pools: ${pools}}}`, { ...options, overlay: o })
    t.equal(desired, null, pools)
    t.ok(issues.length > 0, pools)
  }
})

t.test('what is put is bounded, and its name is one', async t => {
  for (const name of ['a/b', 'x y', '__proto__', '', 'x'.repeat(64)]) t.throws(() => after(putVip(name)), { code: 'LS_V_VIP' }, name)
  t.throws(() => after({ ...drain('one'), reason: 'x'.repeat(256) } as OverlayChange), { code: 'LS_V_REASON' })
  t.throws(() => after(putReals('www', 'a', ...Array.from({ length: 60_000 }, (_, i) => `2001:db8::${i.toString(16)}`))), { code: 'LS_V_TOO_MUCH' })
  for (const odd of ['{"vips":[null],"reals":[],"adjusted":[]}', '{"vips":[],"reals":[{"vip":"a","owner":"o","until":null}],"adjusted":[]}', '{"vips":[],"reals":[],"adjusted":[{"vip":"a","owner":"o","until":"soon","real":"r"}]}']) t.equal(readOverlay(odd), null, odd)
})
