/** The loops: each source by itself, deadlines, back-off, what is told, and what a change of the configuration keeps. */
import t, { type Test } from 'tap'
import type { BgpEvent } from '../../../src/bgp/events.js'
import { EACH_MAX } from '../../../src/bgp/events.js'
import type { Provider } from '../../../src/bgp/providers/provider.js'
import { BgpRunner, NEIGHBOURS_MAX } from '../../../src/bgp/runner.js'
import type { BgpReading, BgpSettings, BgpSource } from '../../../src/contract/bgp.js'
import { bad, good, row } from './support.js'
import { until } from '../../until.js'

interface Fake { readonly type: BgpSource, answer: (signal: AbortSignal) => Promise<readonly BgpReading[]>, reads: number, told: (reading: BgpReading | null) => void, follows: number }

function rig (t: Test): { readonly runner: BgpRunner, readonly events: BgpEvent[], readonly fakes: Map<string, Fake>, readonly names: () => string[] } {
  const events: BgpEvent[] = []
  const fakes = new Map<string, Fake>()
  const runner = new BgpRunner({
    onEvent: (event) => { events.push(event) }, random: () => 0.5,
    provider: ({ name, type }): Provider => {
      const fake = fakes.get(name) ?? { type, answer: async () => await Promise.resolve([good(Date.now(), [], name, type)]), reads: 0, told: () => undefined, follows: 0 }
      fakes.set(name, fake)
      return {
        source: type, scope: name,
        read: type === 'bmp' ? null : async (signal) => { fake.reads++; return await fake.answer(signal) },
        follow: (told) => { fake.told = told; fake.follows++; return () => { fake.follows-- } }
      }
    }
  })
  t.teardown(() => { runner.close() })
  return { runner, events, fakes, names: () => events.map(({ name, object }) => `${name} ${object}`.trim()) }
}
const settings = (names: Readonly<Record<string, BgpSource>>, more: Partial<BgpSettings> = {}): BgpSettings => ({
  intervalMs: 20, timeoutMs: 50, maxAgeMs: 60_000, report: null, announce: null, ...more,
  sources: Object.entries(names).map(([name, type]) => type === 'gobgp' ? { name, vrf: null, type, address: 'x' } : type === 'bmp' ? { name, vrf: null, type, listen: 'x' } : type === 'kernel' ? { name, vrf: null, type, namespaces: null } : { name, vrf: null, type, socket: 'x' })
})
const fakeOf = (fakes: Map<string, Fake>, name: string): Fake => fakes.get(name) ?? (() => { throw new Error(`no ${name}`) })()

t.test('a source that hangs delays no other, fails by its deadline, and is told once', async (t) => {
  const { runner, fakes, events, names } = rig(t)
  runner.configure(settings({ hung: 'bird', well: 'frr' }))
  fakeOf(fakes, 'hung').answer = async () => await new Promise(() => undefined)
  await until('the well one is read again and again', () => fakeOf(fakes, 'well').reads >= 5)
  await until('the hung one fails, and is tried again', () => fakeOf(fakes, 'hung').reads >= 3)
  t.same(names().sort(), ['source-failed source hung', 'source-read source well'])
  t.match(events.find(({ name }) => name === 'source-failed'), { level: 'warn', fields: { source: 'bird', reason: 'no answer within 50 ms' } })
  t.match(runner.view.sources().find(({ scope }) => scope === 'hung'), { goodAt: null, failed: 'no answer within 50 ms' })
  fakeOf(fakes, 'hung').answer = async () => await Promise.resolve([good(Date.now(), [row('192.0.2.1')], 'hung', 'bird')])
  await until('it answers', () => names().includes('source-answers source hung'))
  t.same(names().filter(name => name.startsWith('neighbour')), [], 'what there is at first is one event, not one a neighbour')
})

t.test('a source that fails is asked less often', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ bad: 'frr', well: 'bird' }))
  fakeOf(fakes, 'bad').answer = async () => await Promise.reject(new Error('no daemon listens'))
  await until('time passes', () => fakeOf(fakes, 'well').reads >= 40)
  t.ok(fakeOf(fakes, 'bad').reads < 15, `${fakeOf(fakes, 'bad').reads} of 40`)
})

t.test('what tells is read at once, whatever the interval', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ g: 'gobgp', f: 'frr', m: 'bmp' }, { intervalMs: 300_000 }))
  await until('both are read', () => fakeOf(fakes, 'g').reads === 1 && fakeOf(fakes, 'f').reads === 1)
  fakeOf(fakes, 'g').told(null)
  await until('it is read again', () => fakeOf(fakes, 'g').reads === 2)
  t.equal(fakeOf(fakes, 'f').reads, 1)
  fakeOf(fakes, 'm').told(good(Date.now(), [row('192.0.2.1')], 'm', 'bmp'))
  t.match(runner.view.neighbours(), [{ peer: '192.0.2.1', source: 'bmp' }])
  await until('what a router tells is read of the daemons', () => fakeOf(fakes, 'f').reads === 2 && fakeOf(fakes, 'g').reads === 3)
})

t.test('a storm of hints is a few readings', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ g: 'gobgp' }, { intervalMs: 300_000 }))
  await until('it is read', () => fakeOf(fakes, 'g').reads === 1)
  for (let i = 0; i < 10_000; i++) fakeOf(fakes, 'g').told(null)
  await until('and again', () => fakeOf(fakes, 'g').reads === 2)
  await new Promise((resolve) => { setTimeout(resolve, 300) })
  t.equal(fakeOf(fakes, 'g').reads, 2)
})

t.test('many changes are some events and a sum', async (t) => {
  const { runner, fakes, events } = rig(t)
  let up = true
  runner.configure(settings({ f: 'frr' }))
  fakeOf(fakes, 'f').answer = async () => await Promise.resolve([good(Date.now(), Array.from({ length: 1000 }, (_, i) => row(`10.0.${i >> 8}.${i & 255}`, { established: up })), 'f')])
  await until('they are there', () => runner.view.neighbours().length === 1000)
  up = false
  await until('they are down', () => runner.view.neighbours().every(({ state }) => state === 'down'))
  const told = events.filter(({ name }) => name === 'neighbour-down')
  t.equal(told.length, EACH_MAX)
  t.match(events.at(-1), { name: 'neighbours-changed', level: 'warn', fields: { more: 1000 - EACH_MAX, down: 1000 - EACH_MAX } })
})

t.test('a change of the configuration: what is as it was goes on, what is gone is forgotten, and null ends all', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ a: 'frr', b: 'bird' }))
  for (const [name, type, peer] of [['a', 'frr', '192.0.2.1'], ['b', 'bird', '192.0.2.2']] as const) fakeOf(fakes, name).answer = async () => await Promise.resolve([good(Date.now(), [row(peer)], name, type)])
  await until('both are read', () => runner.view.neighbours().length === 2)
  runner.configure(settings({ a: 'frr', c: 'bird' }))
  t.same(runner.view.neighbours().map(({ peer }) => peer), ['192.0.2.1'])
  t.same([fakeOf(fakes, 'a').follows, fakeOf(fakes, 'b').follows, fakeOf(fakes, 'c').follows], [1, 0, 1])
  runner.configure(settings({ a: 'frr', c: 'bird' }, { intervalMs: 40 }))
  t.same(runner.view.neighbours().map(({ peer }) => peer), ['192.0.2.1'], 'another pace forgets nothing')
  const { reads } = fakeOf(fakes, 'b')
  await until('the others go on', () => fakeOf(fakes, 'c').reads > 2)
  t.equal(fakeOf(fakes, 'b').reads, reads)
  runner.configure(null)
  t.same([runner.view.neighbours(), runner.view.sources(), fakeOf(fakes, 'a').follows], [[], [], 0])
})

t.test('places of a source that are gone are gone, and a pass that failed is over with the next', async (t) => {
  const { runner, fakes, names } = rig(t)
  runner.configure(settings({ k: 'kernel' }, { maxAgeMs: 600_000 }))
  const kernel = fakeOf(fakes, 'k')
  const places = (...list: readonly string[]) => async (): Promise<readonly BgpReading[]> => await Promise.resolve(list.map(place => good(Date.now(), [row('192.0.2.1', { vrf: place })], `k/${place}`, 'kernel')))
  kernel.answer = places('a', 'b')
  await until('both are read', () => runner.view.neighbours().length === 2)
  kernel.answer = async () => await Promise.reject(new Error('nobody can tell which there are'))
  await until('it fails', () => runner.view.sources().some(({ failed }) => failed !== null))
  t.equal(runner.view.neighbours().length, 2, 'nobody is gone by that')
  kernel.answer = places('a')
  await until('one is left', () => runner.view.sources().length === 1)
  t.match(runner.view.sources(), [{ scope: 'k/a', failed: null, fresh: true }])
  t.same(runner.view.neighbours().map(({ vrf }) => vrf), ['a'])
  t.same(names().filter(name => name.startsWith('neighbour')), ['neighbour-gone neighbour b/192.0.2.1'])
})

t.test('a daemon is asked as well: what the kernel alone had told is told anew', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ k: 'kernel' }))
  fakeOf(fakes, 'k').answer = async () => await Promise.resolve([good(Date.now(), [row('192.0.2.1'), row('192.0.2.9')], 'k/default', 'kernel')])
  await until('the kernel decides', () => runner.view.neighbours().length === 2)
  runner.configure(settings({ k: 'kernel', f: 'frr' }))
  t.same(runner.view.neighbours(), [], 'a connection is no session any more')
  fakeOf(fakes, 'f').answer = async () => await Promise.resolve([good(Date.now(), [row('192.0.2.1')], 'f')])
  await until('the daemon decides', () => runner.view.neighbours().length === 1)
  t.match(runner.view.neighbours(), [{ peer: '192.0.2.1', source: 'frr' }])
})

t.test('what only tells keeps its connections over another pace', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ m: 'bmp' }))
  const { told } = fakeOf(fakes, 'm')
  told(good(Date.now(), [row('192.0.2.1')], 'm', 'bmp'))
  runner.configure(settings({ m: 'bmp' }, { intervalMs: 40, timeoutMs: 70 }))
  t.equal(fakeOf(fakes, 'm').told, told, 'it is not begun anew')
  told(bad(Date.now(), 'the router closed the connection', 'm', 'bmp'))
  t.match(runner.view.sources(), [{ failed: 'the router closed the connection' }], 'and its end is heard')
})

t.test('too many neighbours are a reading that failed', async (t) => {
  const { runner, fakes } = rig(t)
  runner.configure(settings({ m: 'bmp' }))
  const one = row('192.0.2.1')
  fakeOf(fakes, 'm').told({ source: 'bmp', scope: 'm', at: Date.now(), ok: true, neighbours: Array.from({ length: NEIGHBOURS_MAX + 1 }, () => one) })
  t.match(runner.view.sources(), [{ failed: `too many neighbours: found ${NEIGHBOURS_MAX + 1}, expected at most ${NEIGHBOURS_MAX}`, neighbours: 0 }])
})
