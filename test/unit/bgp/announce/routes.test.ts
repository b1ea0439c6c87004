/** Which VIPs are announced: a table by hand, and what holds over random histories. */
import t from 'tap'
import { decide, type AnnouncedVip, type Decision } from '../../../../src/bgp/announce/routes.js'
import { Random } from '../../../simulation/random.js'

const vip = (over: Partial<AnnouncedVip> = {}): AnnouncedVip => ({ name: 'web', prefix: '192.0.2.1/32', redundancyGroup: 1, domain: 'default', state: 'up', ...over })
const mine = (): boolean => true
const serving = { when: 'serving', withdrawAfterMs: 0 } as const
const one = (vips: readonly AnnouncedVip[], owns: (rg: number) => boolean = mine, settings: Parameters<typeof decide>[2] = serving, before: readonly Decision[] = [], now = 1000): readonly [boolean, string] => {
  const [route] = decide(vips, owns, settings, before, now).routes
  return [route?.announced ?? false, route?.reason ?? '']
}

t.test('a VIP is announced while its group is owned here and a real serves', async (t) => {
  for (const state of ['up', 'degraded', 'panic'] as const) t.same(one([vip({ state })]), [true, `web is ${state}`])
  t.same(one([vip({ state: 'down' })]), [false, 'no real serves'])
  t.same(one([vip({ state: 'unknown' })]), [false, 'nothing is known of its reals'])
  t.same(one([vip()], rg => rg !== 1), [false, 'redundancy group 1 is not owned here'])
  t.same(one([vip({ domain: 'blue' })]), [false, 'routes of domain blue are not announced'])
  t.same(one([vip({ state: 'down' })], mine, { when: 'owned', withdrawAfterMs: 0 }), [true, 'its group is owned here'])
  t.same(one([vip({ state: 'up' })], () => false, { when: 'owned', withdrawAfterMs: 60_000 }), [false, 'redundancy group 1 is not owned here'])
})

t.test('VIPs of one address: one that wants it is enough', async (t) => {
  const { routes } = decide([vip({ name: 'https', state: 'down' }), vip({ name: 'dns', redundancyGroup: 2 }), vip({ name: 'v6', prefix: '2001:db8::1/128' })], rg => rg === 2, serving, [], 5)
  t.match(routes, [{ prefix: '192.0.2.1/32', vips: ['dns', 'https'], announced: true, reason: 'dns is up', since: 5 }, { prefix: '2001:db8::1/128', announced: false }])
  t.same(one([vip({ redundancyGroup: 3 }), vip({ name: 'b', redundancyGroup: 2 })], () => false), [false, 'redundancy group 2 and 3 is not owned here'])
})

t.test('the last real is gone: the route stays for the time it is given, not longer; a move of the group ends it at once', async (t) => {
  const settings = { when: 'serving', withdrawAfterMs: 100 } as const
  const up = decide([vip()], mine, settings, [], 1000)
  const down = decide([vip({ state: 'down' })], mine, settings, up.routes, 1040)
  t.match(down, { routes: [{ announced: true, reason: 'no real serves', since: 1000, servedAt: 1000 }], nextAt: 1100 })
  t.match(decide([vip({ state: 'down' })], mine, settings, down.routes, 1100), { routes: [{ announced: false, since: 1100 }], nextAt: null })
  t.match(decide([vip()], mine, settings, down.routes, 1090), { routes: [{ announced: true, since: 1000, servedAt: 1090 }], nextAt: null })
  const moved = decide([vip({ state: 'down' })], () => false, settings, down.routes, 1050)
  t.match(moved, { routes: [{ announced: false, servedAt: null }], nextAt: null })
  t.match(decide([vip({ state: 'down' })], mine, settings, moved.routes, 1060), { routes: [{ announced: false }] }, 'who comes back without a real is not announced for what was')
})

/** What is wrong, or null. */
function history (random: Random): string | null {
  const withdrawAfterMs = random.below(3) * 50
  const states = ['up', 'down', 'unknown', 'degraded', 'panic'] as const
  let [before, now]: [readonly Decision[], number] = [[], 0]
  for (let step = 0; step < 60; step++) {
    now += random.below(60)
    const vips = Array.from({ length: random.below(5) }, (_, i) => vip({ name: `v${i}`, prefix: `192.0.2.${random.below(3)}/32`, redundancyGroup: random.below(3), state: states[random.below(5)] ?? 'up' }))
    const owned = random.below(8)
    const owns = (rg: number): boolean => (owned >> rg & 1) === 1
    const { routes, nextAt } = decide(vips, owns, { when: 'serving', withdrawAfterMs }, before, now)
    for (const { prefix, announced, since } of routes) {
      const here = vips.filter(v => v.prefix === prefix && owns(v.redundancyGroup))
      const serves = here.some(({ state }) => state !== 'down' && state !== 'unknown')
      const last = before.find(route => route.prefix === prefix)
      const lingers = announced && here.length > 0 && last?.announced === true && (last.servedAt ?? -Infinity) + withdrawAfterMs > now
      if (serves !== announced && !lingers) return `${prefix} at ${now}: serves ${serves}, announced ${announced}`
      if (since !== (last?.announced === announced ? last.since : now)) return `${prefix} at ${now}: since ${since}`
    }
    if (nextAt !== null && nextAt <= now) return `the next look is not later: ${nextAt} at ${now}`
    before = routes
  }
  return null
}

t.test('over random histories nothing is announced that nobody wants', async (t) => {
  const first = Number(process.env['SEED'] ?? 20_261_123)
  t.comment(`SEED=${first}`)
  for (let seed = first; seed < first + 200; seed++) {
    const wrong = history(new Random(seed))
    if (wrong !== null) t.fail(`seed ${seed}: ${wrong}`)
  }
  t.pass('200 histories')
})
