/** What a configuration changes, and in which order. */
import t from 'tap'
import { parseConfig } from '../../../src/config/parse.js'
import { editsBetween, type Edit } from '../../../src/reconcile/lb/edits.js'
import { placed, type PlacedVip } from '../../../src/reconcile/lb/targets.js'
import { options } from '../config/support.js'
import { Random } from '../../simulation/random.js'

const vips = (text: string): PlacedVip[] => {
  const { desired, issues } = parseConfig(`
interfaces: {wan: {port: w, zone: out, addresses: [198.51.100.1/24]}, lan: {port: l, zone: in, addresses: [10.0.0.1/24]}}
zones: {out: {}, in: {}}
vips: {${text}}
`, options)
  if (desired === null) throw new Error(JSON.stringify(issues))
  return placed(desired)
}
const vip = (name: string, last: number, reals: Readonly<Record<string, string>>, more = ''): string =>
  `${name}: {address: 198.51.100.${last}, port: 80, ${more} pools: [{reals: [${Object.entries(reals).map(([real, address]) => `{name: ${real}, address: 10.0.0.${address}}`).join(', ')}]}]}`
const words = (edits: readonly Edit[]): string[] => edits.map(e => [e.kind, e.vip, 'real' in e ? e.real : e.reals, ...(e.kind === 'vip-recreated' ? [e.because] : [])].join(' '))

t.test('what comes goes before what goes, and a VIP with another service is made anew', async t => {
  const before = vips([vip('gone', 80, { a: '11' }), vip('stays', 81, { a: '11', b: '12', c: '13' }), vip('moves', 82, { a: '11' }), vip('same', 83, { a: '11' })].join(', '))
  const after = vips([vip('moves', 92, { a: '11', b: '12' }, 'mode: l2,'), vip('stays', 81, { a: '11', c: '14', d: '15' }), vip('same', 83, { a: '11' }), vip('new', 84, { a: '11', b: '12' })].join(', '))
  t.same(words(editsBetween(before, after)), ['vip-added new 2', 'real-added stays c', 'real-added stays d', 'vip-recreated moves 2 address,mode', 'real-removed stays b', 'real-removed stays c', 'vip-removed gone 1'])
  t.same(editsBetween(after, after), [])
  t.same(words(editsBetween([], after)), ['vip-added moves 2', 'vip-added new 2', 'vip-added same 1', 'vip-added stays 3'])
})

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? 1)
t.test(`played on what was, the edits give what is (LOCKSTEP_TEST_SEED=${seed})`, async t => {
  const random = new Random(seed)
  const some = (): string => ['w', 'x', 'y', 'z'].filter(() => random.chance(0.6)).map((name, i) => vip(name, 80 + i + random.below(2) * 10, Object.fromEntries(['a', 'b', 'c'].filter((r) => r === 'a' || random.chance(0.5)).map(r => [r, String(11 + random.below(3) * 10 + r.charCodeAt(0) - 97)])))).join(', ')
  const facts = (of: readonly PlacedVip[]): Map<string, Set<string>> => new Map(of.map(p => [`${p.vip.name}`, new Set(p.pools.flatMap(({ reals }) => reals.map(({ real }) => `${real.name} ${real.address} ${real.port}`)))]))
  for (let i = 0; i < 200; i++) {
    const [before, after] = [vips(some()), vips(some())]
    const state = facts(before)
    const wanted = facts(after)
    for (const e of editsBetween(before, after)) {
      switch (e.kind) {
        case 'vip-added': t.notOk(state.has(e.vip)); state.set(e.vip, wanted.get(e.vip) ?? new Set()); break
        case 'vip-removed': t.ok(state.delete(e.vip)); break
        case 'vip-recreated': t.ok(state.has(e.vip)); state.set(e.vip, wanted.get(e.vip) ?? new Set()); break
        case 'real-added': state.get(e.vip)?.add(`${e.real} ${e.address} ${e.port}`); break
        case 'real-removed': t.ok(state.get(e.vip)?.delete(`${e.real} ${e.address} ${e.port}`))
      }
      t.ok([...state.values()].every(reals => reals.size > 0), 'no VIP is ever without a real on the way')
    }
    t.same([...state].map(([name, reals]) => [name, [...reals].sort()]).sort(), [...wanted].map(([name, reals]) => [name, [...reals].sort()]).sort())
  }
})
