/** What many readings make of a neighbour: the truth table of up, down and unknown; flaps and uptime over lives of the daemon; and random histories. */
import t from 'tap'
import fc from 'fast-check'
import { Neighbours, type BgpChanges } from '../../../src/bgp/neighbours.js'
import { collected } from '../../../src/bgp/providers/provider.js'
import type { BgpNeighbour, BgpNeighbourStatus, BgpReading, BgpSource } from '../../../src/contract/bgp.js'
import { bad, good, row } from './support.js'

const PEER = '192.0.2.1'
const MAX_AGE = 30_000

class Rig {
  now = 1_000_000
  readonly all: Neighbours
  readonly told: string[] = []
  constructor (kernelDecides = false) { this.all = new Neighbours({ maxAgeMs: MAX_AGE, kernelDecides }, () => this.now, () => this.now) }

  reads (...rows: readonly BgpNeighbour[]): this { return this.hears(good(this.now, rows)) }
  fails (reason?: string): this { return this.hears(bad(this.now, reason)) }
  hears (reading: BgpReading): this { return this.tell(this.all.observe(reading)) }
  passes (ms: number): this {
    this.now += ms
    return this.tell(this.all.tick())
  }
  private tell ({ neighbours, sources }: BgpChanges): this {
    this.told.push(...neighbours.map(({ kind, status }) => `${kind} ${status.vrf}/${status.peer}`), ...sources.map(({ scope, failed }) => `${scope} ${failed ?? 'answers'}`))
    return this
  }
  get one (): BgpNeighbourStatus | null { return this.all.find(PEER, null) }
  get is (): readonly unknown[] { return [this.one?.state, this.one?.flaps] }
}
const up = (since: number, more: Partial<BgpNeighbour> = {}): BgpNeighbour => row(PEER, { since, drops: 0, fsm: 'established', ...more })
const down = (since: number | null, more: Partial<BgpNeighbour> = {}): BgpNeighbour => row(PEER, { since, drops: 0, established: false, fsm: 'active', ...more })

// --- three values ---

t.test('a failed reading holds the last value, then it is unknown, and never down', async (t) => {
  const rig = new Rig().reads(up(500_000))
  t.same(rig.is, ['up', 0])
  for (let i = 0; i < 5; i++) rig.passes(MAX_AGE / 10).fails('it hangs')
  t.same(rig.is, ['up', 0], 'younger than the maximum age')
  rig.passes(MAX_AGE).fails('it hangs')
  t.match(rig.one, { state: 'unknown', unknownBecause: 'it hangs', flaps: 0, seenAt: 1_000_000, rttNs: null, established: true })
  rig.passes(100_000).reads(up(500_000))
  t.match(rig.one, { state: 'up', flaps: 0, since: 500_000, unknownBecause: null }, 'the same session: nothing happened to it')
  t.same(rig.told, ['new default/192.0.2.1', 'edge it hangs', 'unknown default/192.0.2.1', 'up default/192.0.2.1', 'edge answers'], 'transitions alone')
})

t.test('what was down is unknown too, and a source that says nothing at all', async (t) => {
  const rig = new Rig().reads(down(null)).passes(MAX_AGE + 1)
  t.match(rig.one, { state: 'unknown', unknownBecause: 'nothing was read for 30 s' })
})

t.test('a source that never answered has no neighbours, and says why', async (t) => {
  const rig = new Rig().fails('no daemon listens').fails('no daemon listens')
  t.same(rig.all.neighbours(), [])
  t.match(rig.all.sources(), [{ source: 'frr', scope: 'edge', goodAt: null, failed: 'no daemon listens', failures: 2, readings: { ok: 0, failed: 2 }, neighbours: 0 }])
})

t.test('reference defect 1: one place that cannot be read makes nobody down', async (t) => {
  const [other, rig] = [row('192.0.2.9', { since: 1 }), new Rig()]
  const look = (a: boolean): void => {
    rig.hears(a ? good(rig.now, [up(500_000)], 'ns-a') : bad(rig.now, 'cannot be entered', 'ns-a'))
    rig.hears(good(rig.now, [other], 'ns-b'))
  }
  look(true)
  for (let i = 0; i < 100; i++) {
    rig.passes(1000)
    look(false)
    t.not(rig.one?.state, 'down')
  }
  t.equal(rig.one?.state, 'unknown')
  t.equal(rig.all.find('192.0.2.9', 'default')?.state, 'up', 'who can be read is not touched')
})

t.test('all places fail: nobody is down', async (t) => {
  const rig = new Rig().hears(good(1_000_000, [up(1)], 'a')).hears(good(1_000_000, [row('192.0.2.2', { since: 1 })], 'b'))
  for (let i = 0; i < 100; i++) rig.passes(1000).hears(bad(rig.now, 'x', 'a')).hears(bad(rig.now, 'x', 'b'))
  t.same(rig.all.neighbours().map(n => n.state), ['unknown', 'unknown'])
})

t.test('a neighbour that good readings no longer have is gone after the maximum age', async (t) => {
  const rig = new Rig().reads(up(1)).passes(1000).reads()
  t.equal(rig.one?.state, 'up')
  rig.passes(MAX_AGE - 1).reads()
  t.equal(rig.one?.state, 'up')
  rig.passes(1).reads()
  t.equal(rig.one, null)
  t.same(rig.told, ['new default/192.0.2.1', 'gone default/192.0.2.1'])
  rig.reads(up(2))
  t.same(rig.is, ['up', 0], 'one that comes again begins anew')
})

t.test('a source that is no longer configured takes its neighbours along, and its kernel scopes', async (t) => {
  const rig = new Rig(true).hears(good(rig0, [row(PEER)], 'k/default', 'kernel')).hears(good(rig0, [row('192.0.2.2')], 'k/a', 'kernel'))
  rig.all.forget('kernel', 'k')
  t.same([rig.all.neighbours(), rig.all.sources()], [[], []])
})
const rig0 = 1_000_000

// --- flaps and uptime ---

t.test('flaps by what daemons tell', async (t) => {
  const SINCE = 500_000
  const table: Readonly<Record<string, readonly [before: Partial<BgpNeighbour>, after: Partial<BgpNeighbour>, flaps: number, since: number | null]>> = {
    'nothing happened': [{}, {}, 0, SINCE],
    'the moment shakes by a rounded second': [{}, { since: SINCE + 1000 }, 0, SINCE],
    'it is down': [{}, { established: false, since: 1_004_000, drops: 1 }, 1, 1_004_000],
    'it is down, and the daemon has not counted': [{}, { established: false, since: 1_004_000 }, 1, 1_004_000],
    'it went and came between two looks': [{}, { since: 1_004_000, drops: 1 }, 1, 1_004_000],
    'three times': [{}, { since: 1_004_000, drops: 3 }, 3, 1_004_000],
    'the counter alone tells': [{}, { drops: 1 }, 1, SINCE],
    'the moment alone tells': [{ drops: null }, { drops: null, since: 1_004_000 }, 1, 1_004_000],
    'the daemon began anew: a smaller counter is a flap, not a negative one': [{ drops: 7 }, { drops: 0, since: 1_004_000 }, 1, 1_004_000],
    'the daemon began anew, and it ended once more': [{ drops: 7 }, { drops: 1, since: 1_004_000 }, 2, 1_004_000],
    'the daemon began anew with the same counter': [{ drops: 0 }, { drops: 0, since: 1_004_000 }, 1, 1_004_000],
    'the clock was set forward: an old session is no new one': [{}, { since: SINCE + 60_000 }, 0, SINCE],
    'after 20 hours only the day is told': [{}, { since: SINCE - 400_000 }, 0, SINCE],
    'only another socket tells': [{ since: null, drops: null, cookie: 1n }, { since: null, drops: null, cookie: 2n }, 1, 1_005_000],
    'a socket beside a moment tells nothing': [{ cookie: 1n }, { cookie: 2n }, 0, SINCE],
    'it was down and came up': [{ established: false, drops: 4 }, { since: 1_004_000, drops: 4 }, 0, 1_004_000],
    'it was down, came up and went again': [{ established: false, drops: 4 }, { established: false, drops: 5, since: 1_004_000 }, 1, 1_004_000]
  }
  for (const [what, [before, after, flaps, since]] of Object.entries(table)) {
    const rig = new Rig().reads(up(SINCE, before)).passes(5000).reads(up(SINCE, after))
    t.same([rig.one?.flaps, rig.one?.since], [flaps, since], what)
    rig.passes(5000).reads(up(SINCE, after))
    t.equal(rig.one?.flaps, flaps, `${what}: told once`)
  }
})

t.test('a session that just began is one session', async (t) => {
  const rig = new Rig().reads(down(null)).passes(1000).reads(up(1_000_500))
  for (let i = 0; i < 5; i++) rig.passes(1000).reads(up(1_000_000 + 500 * (i % 3)))
  t.same(rig.is, ['up', 0])
})

t.test('unknown in between: what happened meanwhile is counted', async (t) => {
  const rig = new Rig().reads(up(500_000)).passes(MAX_AGE + 1).fails()
  t.equal(rig.one?.state, 'unknown')
  rig.passes(1000).reads(up(rig.now - 3000))
  t.same(rig.is, ['up', 1])
  rig.passes(MAX_AGE + 1).fails().passes(1000).reads(down(rig.now))
  t.same(rig.is, ['down', 2])
})

t.test('a daemon is killed and comes again', async (t) => {
  const rig = new Rig().reads(up(500_000, { drops: 3 })).passes(2000).fails('no daemon listens').passes(2000).reads(down(null, { drops: 0 })).passes(4000).reads(up(rig1(7000), { drops: 0 }))
  t.same(rig.is, ['up', 1])
  t.equal(rig.one?.since, rig1(7000))
})
const rig1 = (ms: number): number => 1_000_000 + ms

t.test('a daemon that begins answers before it has its configuration: nobody is gone, and the flap is counted', async (t) => {
  const rig = new Rig().reads(up(500_000, { drops: 3 })).passes(1000).fails('no daemon listens').passes(1000).reads().passes(1000).reads().passes(1000).reads(down(null, { drops: 0 })).passes(4000).reads(up(rig1(7500), { drops: 0 }))
  t.same(rig.is, ['up', 1])
  t.same(rig.told, ['new default/192.0.2.1', 'edge no daemon listens', 'edge answers', 'down default/192.0.2.1', 'up default/192.0.2.1'])
  t.equal(rig.passes(1000).reads().passes(MAX_AGE - 1).reads().one?.state, 'up', 'who was there in between is missed anew')
})

t.test('when the state changed last is told, and when it was seen last', async (t) => {
  const rig = new Rig().reads(up(1)).passes(1000).reads(up(1))
  t.match(rig.one, { changedAt: 1_000_000, seenAt: 1_001_000 })
  rig.passes(1000).reads(down(rig.now))
  t.match(rig.one, { changedAt: 1_002_000 })
})

// --- sources beside each other ---

const socket = (more: Partial<BgpNeighbour> = {}): BgpNeighbour => row(PEER, { local: '192.0.2.0', rttNs: 1_001_000, cookie: 7n, ...more })
const kernel = (at: number, rows: readonly BgpNeighbour[], place = 'default'): BgpReading => good(at, rows, `k/${place}`, 'kernel')

t.test('round trip and socket are the kernel’s, the state is the daemon’s', async (t) => {
  const rig = new Rig().reads(up(1)).hears(kernel(rig0, [socket()]))
  t.match(rig.one, { state: 'up', source: 'frr', rttNs: 1_001_000, cookie: 7n })
  rig.passes(1000).reads(down(rig.now))
  t.match(rig.one, { state: 'down', rttNs: null, cookie: null })
})

t.test('reference defect 11: a connection is no session: OpenSent with an established socket is down', async (t) => {
  const rig = new Rig().hears(kernel(rig0, [socket()]))
  t.equal(rig.one, null, 'beside a daemon the kernel alone makes nobody')
  rig.reads(down(1, { fsm: 'open-sent' })).hears(kernel(rig0, [socket()]))
  t.match(rig.one, { state: 'down', fsm: 'open-sent', rttNs: null })
})

t.test('a dead peer whose socket still stands, and one whose socket is gone while the daemon holds it', async (t) => {
  const rig = new Rig().reads(up(1)).hears(kernel(rig0, [socket()])).passes(1000).reads(up(1)).hears(kernel(rig0 + 1000, []))
  t.match(rig.one, { state: 'up', rttNs: null }, 'truth is of the daemon')
})

t.test('reference defect 10: of duplicate sockets one that is up makes it up', async (t) => {
  const [opening, standing] = [socket({ established: false, cookie: 9n, rttNs: null }), socket()]
  for (const rows of [[opening, standing], [standing, opening]]) t.match(new Rig(true).hears(kernel(rig0, collected(rows))).one, { state: 'up', cookie: 7n, rttNs: 1_001_000 }, 'whichever comes last')
})

t.test('the kernel decides where no daemon is asked: a connection that is gone is down, and one that fails to be read is not', async (t) => {
  const rig = new Rig(true).hears(kernel(rig0, [socket()]))
  t.match(rig.one, { state: 'up', source: 'kernel', fsm: null, rttNs: 1_001_000 })
  rig.passes(1000).hears(bad(rig.now, 'cannot be entered', 'k/default', 'kernel'))
  t.same(rig.is, ['up', 0])
  rig.passes(1000).hears(kernel(rig.now, []))
  t.same(rig.is, ['down', 1])
  rig.passes(1000).hears(kernel(rig.now, [])).passes(1000).hears(kernel(rig.now, [socket({ cookie: 8n })]))
  t.same(rig.is, ['up', 1])
  rig.passes(1000).hears(kernel(rig.now, [socket({ cookie: 9n })]))
  t.same(rig.is, ['up', 2], 'another socket is another connection')
  rig.passes(1000).hears(kernel(rig.now, [])).passes(3_600_001).hears(kernel(rig.now, []))
  t.equal(rig.one, null, 'and is forgotten at last')
})

t.test('one address in several VRFs: the socket is the one with the session’s own address', async (t) => {
  const rig = new Rig().reads(up(1, { vrf: 'a', local: '192.0.2.0' }), up(1, { vrf: 'b', local: '198.51.100.0' }), up(1, { vrf: 'c' }))
  rig.hears(kernel(rig0, [socket({ vrf: 'a', rttNs: 1000 })], 'x')).hears(kernel(rig0, [socket({ vrf: 'y', local: '198.51.100.0', rttNs: 2000 })], 'y'))
  t.same(['a', 'b', 'c'].map(vrf => rig.all.find(PEER, vrf)?.rttNs), [1000, 2000, null], 'no guess where two could be it')
  t.equal(rig.all.find(PEER, null), null, 'nor which of them is meant')
})

t.test('BMP: truth where no daemon is read; beside one that is read, the daemon’s', async (t) => {
  const bmp = (rows: readonly BgpNeighbour[]): BgpReading => good(rig.now, rows, 'm', 'bmp')
  const rig = new Rig()
  rig.hears(bmp([up(1)]))
  t.match(rig.one, { state: 'up', source: 'bmp' })
  rig.passes(MAX_AGE * 10)
  t.equal(rig.one?.state, 'up', 'silence says that nothing happened')
  rig.reads(down(rig.now))
  t.match(rig.one, { state: 'down', source: 'frr' })
  rig.passes(MAX_AGE + 1)
  t.match(rig.one, { state: 'up', source: 'bmp' }, 'the daemon answers no more: what the router told last')
  rig.hears(bad(rig.now, 'the router closed the connection', 'm', 'bmp'))
  t.equal(rig.one?.state, 'up')
  rig.passes(MAX_AGE + 1)
  t.equal(rig.one?.state, 'unknown')
})

t.test('BMP: a session that it puts into the default VRF is the one that the daemon has in another', async (t) => {
  const rig = new Rig().hears(good(rig0, [up(1)], 'm', 'bmp'))
  t.same(rig.all.neighbours().map(n => `${n.vrf} ${n.source}`), ['default bmp'])
  rig.reads(up(1, { vrf: 'blue' }))
  t.same(rig.all.neighbours().map(n => `${n.vrf} ${n.source}`), ['blue frr'])
  rig.reads().passes(MAX_AGE).reads()
  t.same(rig.all.neighbours().map(n => `${n.vrf} ${n.source}`), ['default bmp'], 'it is not forgotten')
})

t.test('who watches is called when something changed but numbers', async (t) => {
  const rig = new Rig()
  let calls = 0
  const unwatch = rig.all.watch(() => { calls++ })
  rig.reads(up(1)).passes(1000).reads(up(1, { prefixesReceived: 9 }))
  t.equal(calls, 1)
  rig.passes(1000).reads(down(rig.now))
  t.equal(calls, 2)
  unwatch()
  rig.passes(1000).reads(up(rig.now))
  t.equal(calls, 2)
})

// --- random histories ---

/** A session with its daemon as it really is: what is read must follow from it. */
class World {
  up = false
  since = 0
  drops = 0
  flaps = 0
  alive = true
  constructor (private readonly clock: () => number) {}
  establish (): void { if (this.alive && !this.up) { this.up = true; this.since = this.clock() } }
  end (): void { if (this.up) { this.up = false; this.since = this.clock(); this.drops++; this.flaps++ } }
  kill (): void {
    if (!this.alive) return
    if (this.up) this.flaps++
    this.up = this.alive = false
    this.drops = 0
  }
  start (): void { if (!this.alive) { this.alive = true; this.since = this.clock() } }
  row (): BgpNeighbour { return this.up ? up(Math.floor(this.since / 1000) * 1000, { drops: this.drops }) : down(Math.floor(this.since / 1000) * 1000, { drops: this.drops }) }
}

t.test('random histories: never a down that was not read, unknown by age alone, no flap invented and each told once', async (t) => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ does: fc.constant('read' as const), ms: fc.integer({ min: 100, max: 9000 }) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('fail' as const), ms: fc.integer({ min: 100, max: 40_000 }) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('establish' as const, 'end' as const), ms: fc.integer({ min: 3000, max: 9000 }) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('kill' as const, 'start' as const), ms: fc.integer({ min: 3000, max: 9000 }) }) })
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const rig = new Rig()
    const world = new World(() => rig.now)
    let [read, told]: [{ readonly up: boolean, readonly at: number } | null, number] = [null, 0]
    for (const { does, ms } of steps) {
      rig.passes(ms)
      if (does === 'read' && world.alive) {
        rig.reads(world.row())
        read = { up: world.up, at: rig.now }
      } else if (does === 'read' || does === 'fail') rig.fails()
      else world[does]()
      const { one } = rig
      if (read === null) {
        if (one !== null) throw new Error('a neighbour that nobody told of')
        continue
      }
      const stale = rig.now - read.at > MAX_AGE
      const expected = stale ? 'unknown' : read.up ? 'up' : 'down'
      if (one?.state !== expected) throw new Error(`${one?.state ?? 'gone'} where ${expected} was read`)
      if (one.flaps > world.flaps) throw new Error(`${one.flaps} flaps told, ${world.flaps} happened`)
      if (one.flaps < told) throw new Error('a flap was taken back')
      told = one.flaps
    }
  }), { numRuns: 400 })
  t.pass()
})

t.test('random histories: looked at after each step, every flap is counted', async (t) => {
  fc.assert(fc.property(fc.array(fc.constantFrom('establish' as const, 'end' as const, 'kill' as const, 'start' as const), { maxLength: 200 }), (steps) => {
    const rig = new Rig()
    const world = new World(() => rig.now)
    rig.reads(world.row())
    for (const does of steps) {
      rig.passes(5000)
      world[does]()
      if (world.alive) rig.reads(world.row())
      else rig.fails()
      if (world.alive && rig.one?.flaps !== world.flaps) throw new Error(`${rig.one?.flaps ?? 0} of ${world.flaps} flaps`)
    }
  }), { numRuns: 400 })
  t.pass()
})

t.test('random readings of many sources: what is kept is what the newest readings have', async (t) => {
  const peers = ['192.0.2.1', '192.0.2.2', '192.0.2.3']
  const reading = fc.record({
    source: fc.constantFrom<BgpSource>('frr', 'bird', 'bmp', 'kernel'), ok: fc.boolean(), ms: fc.integer({ min: 0, max: 20_000 }),
    rows: fc.uniqueArray(fc.record({ peer: fc.constantFrom(...peers), vrf: fc.constantFrom('default', 'blue'), up: fc.boolean() }), { selector: r => `${r.vrf} ${r.peer}` })
  })
  fc.assert(fc.property(fc.array(reading, { maxLength: 60 }), fc.boolean(), (readings, kernelDecides) => {
    const rig = new Rig(kernelDecides)
    for (const { source, ok, ms, rows } of readings) {
      rig.passes(ms)
      rig.hears(ok ? good(rig.now, rows.map(({ peer, vrf, up: established }) => row(peer, { vrf, established: source === 'kernel' || established, since: rig.now })), source, source) : bad(rig.now, 'no', source, source))
      const keys = rig.all.neighbours().map(n => `${n.vrf}/${n.peer}`)
      if (new Set(keys).size !== keys.length || [...keys].sort().join() !== keys.join()) throw new Error(`not sorted, or twice: ${keys.join(' ')}`)
    }
    for (const source of ['frr', 'bird', 'bmp', 'kernel'] as const) rig.all.forget(source, source)
    if (rig.all.neighbours().length + rig.all.sources().length > 0) throw new Error('something is left')
    const inner = rig.all as unknown as Readonly<Record<'told' | 'keysOfPeer' | 'sockets', { readonly size: number }>>
    if (inner.told.size + inner.keysOfPeer.size + inner.sockets.size > 0) throw new Error('something is left inside')
  }), { numRuns: 300 })
  t.pass()
})

t.test('the host’s clock is set: ages go on evenly', async (t) => {
  let [wall, even] = [1_000_000, 5000]
  const all = new Neighbours({ maxAgeMs: MAX_AGE, kernelDecides: false }, () => wall, () => even)
  all.observe(good(wall, [up(500_000)]))
  wall += 86_400_000
  t.same(all.tick().neighbours, [], 'a day forward: what was read is as young as before')
  wall -= 10 * 86_400_000
  even += MAX_AGE + 1
  t.match(all.tick().neighbours, [{ kind: 'unknown' }], 'far back: what was read is as old as it is')
  t.match(all.sources(), [{ fresh: false, goodAt: 1_000_000 }])
})

t.test('BMP: what a router told is all there is once its connection has stood for the maximum age', async (t) => {
  const rig = new Rig().hears(good(rig0, [up(1)], 'm', 'bmp'))
  const whole = (): boolean | undefined => rig.all.sources()[0]?.whole
  t.equal(whole(), false)
  rig.passes(MAX_AGE)
  t.equal(whole(), true)
  rig.hears(bad(rig.now, 'the router closed the connection', 'm', 'bmp'))
  t.equal(whole(), false)
  rig.hears(good(rig.now, [up(1)], 'm', 'bmp')).passes(MAX_AGE - 1)
  t.equal(whole(), false)
  rig.passes(1)
  t.equal(whole(), true)
})

t.test('BMP: whom a router that came again does not tell is gone after the maximum age, however silent it is', async (t) => {
  const rig = new Rig().hears(good(rig0, [up(1), row('192.0.2.2')], 'm', 'bmp'))
  rig.hears(bad(rig.now, 'the router closed the connection', 'm', 'bmp')).hears(good(rig.now, [up(1)], 'm', 'bmp'))
  rig.passes(MAX_AGE - 1)
  t.same(rig.all.neighbours().map(({ peer, state }) => [peer, state]), [['192.0.2.1', 'up'], ['192.0.2.2', 'up']])
  rig.passes(1)
  t.same(rig.all.neighbours().map(({ peer, state }) => [peer, state]), [['192.0.2.1', 'up']])
  t.equal(rig.told.filter(text => text.startsWith('gone')).length, 1)
  rig.passes(10 * MAX_AGE)
  t.same(rig.all.neighbours().map(({ peer }) => peer), ['192.0.2.1'])
})
