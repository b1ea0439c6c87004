/** From looks to a sink: nothing is lost, nothing is told twice while one is out, over failures and restarts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { BgpReport, BgpState } from '../../../../src/contract/bgp.js'
import { Outlet } from '../../../../src/bgp/reporting/outlet.js'
import type { ReportTiming } from '../../../../src/bgp/reporting/machine.js'
import type { QueueOptions } from '../../../../src/bgp/reporting/queue.js'
import { FileSink } from '../../../../src/bgp/sinks/file.js'
import { SinkError, each } from '../../../../src/bgp/sinks/sink.js'
import { Random } from '../../../simulation/random.js'
import { KeptLog, MovedClock, ToldSink, look, neighbour, settled, subject, until } from './world.js'

const timing: ReportTiming = { graceMs: 0, debounceMs: 0, refreshMs: 6 * 3_600_000, jitter: 0, spacingMs: 0 }
const scratch = (t: Test): string => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpr-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

interface World { readonly clock: MovedClock, readonly log: KeptLog, readonly sink: ToldSink, readonly outlet: Outlet, readonly directory: string, /** A look, and all that is due after it. */ see (...sessions: ReadonlyArray<readonly [string, BgpState]>): Promise<void>, /** The look alone. */ glance (...sessions: ReadonlyArray<readonly [string, BgpState]>): Promise<void>, idle (): Promise<void> }

function made (t: Test, { sink = new ToldSink(), directory = scratch(t), clock = new MovedClock(), queue = {}, ...more }: { sink?: ToldSink, directory?: string, clock?: MovedClock, queue?: Partial<QueueOptions> } & Partial<ReportTiming> = {}): World {
  const log = new KeptLog()
  const outlet = new Outlet({ sink, target: 'target', timing: { ...timing, ...more }, directory, clock, random: () => 1, log, queue, wantsLook: () => {} })
  t.teardown(async () => { await outlet.stop() })
  outlet.start()
  const idle = async (): Promise<void> => {
    const busy = (): boolean => outlet.pending().some(({ stage, retryAt }) => stage === 'in-flight' || (stage !== 'held' && (retryAt ?? 0) <= clock.now()))
    for (let i = 0; i < 3; i++) {
      await until(() => !busy(), 'nothing is due')
      await settled(5)
    }
  }
  const glance: World['glance'] = async (...sessions) => {
    await until(() => outlet.tallies().stage !== 'starting' || sink.startError !== null, 'started')
    await outlet.tick(look(sessions.map(([peer, state]) => neighbour(peer, state))))
  }
  return { clock, log, sink, outlet, directory, idle, glance, see: async (...sessions) => {
    await glance(...sessions)
    await idle()
  } }
}

const hanging = async (): Promise<never> => await new Promise<never>(() => {})
const told = ({ sink }: World): string[][] => sink.sent.map(batch => batch.map(({ subject, state }: BgpReport) => `${subject} ${state}`))

t.test('a change is told once, a tick later there is nothing to tell', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'up'), subject('b', 'up')]
  await world.see(['a', 'up'], ['b', 'down'])
  await world.see(['a', 'up'], ['b', 'down'])
  t.same(told(world), [['b down']])
  t.same(world.outlet.pending(), [])
  t.equal(world.outlet.tallies().reports.down.landed, 1)
})

t.test('restart seeding through a tick: what is on record is not told again, and what differs is', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'up', { recordedAt: world.clock.now() - 1000 }), subject('b', 'down', { recordedAt: world.clock.now() - 1000 }), subject('c', 'unknown')]
  await world.see(['a', 'up'], ['b', 'up'], ['c', 'down'])
  t.same(told(world), [['b up', 'c down']])
})

t.test('grace from end to end, over a restart in the middle of it', async t => {
  const clock = new MovedClock()
  const directory = scratch(t)
  const first = made(t, { clock, directory, graceMs: 60_000 })
  first.sink.list = [subject('a', 'up')]
  await first.see(['a', 'up'])
  await clock.move(50_000)
  await first.see(['a', 'down'])
  await first.outlet.stop()
  const second = made(t, { clock, directory, graceMs: 60_000 })
  second.sink.list = first.sink.list
  await clock.move(20_000)
  await second.see(['a', 'down'])
  t.same([told(first), told(second)], [[], []])
  await clock.move(59_999)
  await second.see(['a', 'down'])
  t.same(told(second), [])
  await clock.move(1)
  await second.see(['a', 'down'])
  t.same(told(second), [['a down']])
})

t.test('defect 1: a subject of a scope that failed stays as it was, one of a healthy scope is told', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'up', { vrf: 'red' }), subject('b', 'up', { vrf: 'blue' }), subject('c', 'up', { peer: null, vrf: null })]
  await world.see()
  t.same(told(world), [['a down', 'b down', 'c down']], 'a whole look: who is not there is down')
  world.sink.list = [subject('a', 'up', { vrf: 'red' }), subject('b', 'up', { vrf: 'blue' }), subject('c', 'up', { peer: null, vrf: null })]
  await world.outlet.tick(look([neighbour('a', 'unknown', { vrf: 'red' }), neighbour('b', 'down', { vrf: 'blue' })], false))
  await world.idle()
  t.same(told(world).slice(1), [['b down']])
  t.same([world.outlet.tallies().observed, world.outlet.tallies().held.unknown], [{ up: 0, down: 1, unknown: 2 }, 2])
})

t.test('defect 4 through ticks: refresh with the tunnel missing', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'down', { peer: null, recordedAt: world.clock.now() })]
  await world.see()
  await world.clock.move(6 * 3_600_000 - 1)
  await world.see()
  t.same(told(world), [])
  await world.clock.move(1)
  await world.see()
  t.same(told(world), [['a down']])
})

t.test('defect 6: many at once go in batches, each in one piece', async t => {
  const world = made(t)
  const sessions = Array.from({ length: 100 }, (_, i) => [`s${i}`, 'down'] as const)
  world.sink.list = sessions.map(([id]) => subject(id, 'up'))
  await world.see(...sessions)
  await until(() => world.outlet.pending().length === 0, 'all told')
  t.same(world.sink.sent.map(({ length }) => length), [19, 19, 19, 19, 19, 5])
  t.equal(new Set(told(world).flat()).size, 100)
})

t.test('defect 7: a subject that leaves and comes back while its report is out is not told twice', async t => {
  const world = made(t)
  let answer = (): void => {}
  world.sink.answers = [async batch => await new Promise(resolve => { answer = () => { resolve(world.sink.land(batch)) } })]
  world.sink.list = [subject('a', 'up')]
  await world.glance(['a', 'down'])
  await until(() => world.sink.sent.length === 1, 'it is out')
  world.sink.list = []
  await world.outlet.tick(look([]))
  t.same(world.outlet.pending().map(({ stage }) => stage), ['in-flight'])
  world.sink.list = [subject('a', 'up')]
  await world.outlet.tick(look([neighbour('a', 'down')]))
  t.equal(world.outlet.pending().length, 1)
  answer()
  await world.idle()
  await world.see(['a', 'down'])
  t.same(told(world), [['a down']])
})

t.test('defect 7: what is queued leaves with its subject, and what is out is not queued again', async t => {
  const world = made(t)
  world.sink.answers = [batch => each(batch, { kind: 'transient', reason: 'busy', afterMs: null })]
  world.sink.list = [subject('a', 'up')]
  await world.see(['a', 'down'])
  t.match(world.outlet.pending(), [{ subject: 'a', stage: 'queued', attempts: 1, lastError: 'busy', retryAt: world.clock.now() + 1000 }])
  world.sink.list = []
  await world.see()
  t.same(world.outlet.pending(), [])
  await world.clock.move(600_000)
  t.equal(world.sink.sent.length, 1)
})

t.test('defect 8: what may have landed is not sent again before the sink has said', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'up'), subject('b', 'up')]
  world.sink.answers = [() => { throw new Error('the connection broke') }]
  world.sink.resolutions = [batch => each(batch, { kind: 'uncertain', reason: 'not yet' }), batch => each(batch, { kind: 'transient', reason: 'expired', afterMs: 0 })]
  await world.see(['a', 'down'], ['b', 'down'])
  t.same(world.outlet.pending().map(({ stage, lastError }) => [stage, lastError]), [['uncertain', 'the connection broke'], ['uncertain', 'the connection broke']])
  await world.clock.move(1000)
  await world.idle()
  t.same([world.sink.sent.length, world.sink.resolved.length], [1, 1], 'asked, not sent')
  await world.clock.move(2000)
  await until(() => world.outlet.pending().length === 0, 'sent again')
  t.same([world.sink.sent.length, world.sink.resolved.length], [2, 2])
})

t.test('defect 8: a report that is refused is left alone for long, the others of its batch go on', async t => {
  const world = made(t)
  world.sink.list = ['a', 'b', 'c'].map(id => subject(id, 'up'))
  world.sink.answers = [batch => batch.map((_, i) => i === 1 ? { kind: 'permanent', reason: 'not allowed' } : { kind: 'transient', reason: 'another was refused', afterMs: 0 })]
  const all = [['a', 'down'], ['b', 'down'], ['c', 'down']] as const
  await world.see(...all)
  await until(() => world.sink.sent.length === 2, 'the rest is sent')
  await world.see(...all)
  t.same(told(world), [['a down', 'b down', 'c down'], ['a down', 'c down']])
  t.match(world.outlet.pending(), [{ subject: 'b', lastError: 'not allowed', retryAt: world.clock.now() + 600_000 }])
  await world.clock.move(599_999)
  t.equal(world.sink.sent.length, 2)
  await world.see(['a', 'down'], ['b', 'up'], ['c', 'down'])
  t.same(world.outlet.pending(), [], 'what need not be told any more is withdrawn')
})

t.test('defect 13: waits are those of the clock that is given', async t => {
  const world = made(t)
  world.sink.answers = Array.from({ length: 5 }, () => batch => each(batch, { kind: 'transient', reason: 'down', afterMs: null }))
  world.sink.list = [subject('a', 'up')]
  const began = world.clock.now()
  const tries: number[] = []
  world.sink.onPrepare = () => { tries.push(world.clock.now() - began) }
  await world.see(['a', 'down'])
  for (let i = 0; i < 40; i++) { await world.clock.move(1000); await world.idle() }
  t.same(tries, [0, 1000, 3000, 7000, 15_000, 31_000])
})

t.test('the clock of the host is set: waits and ages go on, what is shown and kept is by the new one', async t => {
  const YEAR = 365 * 86_400_000
  const world = made(t)
  world.sink.answers = [batch => each(batch, { kind: 'transient', reason: 'down', afterMs: null })]
  world.sink.list = [subject('a', 'up')]
  await world.see(['a', 'down'])
  const { decidedAt, queuedAt } = world.outlet.pending()[0] ?? {}
  t.same([decidedAt, queuedAt], [world.clock.wall(), world.clock.wall()])
  world.clock.ahead = YEAR
  t.match(world.outlet.pending(), [{ decidedAt, queuedAt, retryAt: world.clock.wall() + 1000 }])
  await world.clock.move(999)
  t.equal(world.sink.sent.length, 1)
  await world.clock.move(1)
  await until(() => world.outlet.pending().length === 0, 'told')
  world.sink.list = [subject('b', 'up')]
  world.sink.answers = [batch => each(batch, { kind: 'transient', reason: 'down', afterMs: null })]
  await world.see(['b', 'down'])
  t.match(world.outlet.pending(), [{ decidedAt: world.clock.wall(), queuedAt: world.clock.wall() }])
  t.match(world.outlet.tallies(), { lastTickAt: world.clock.wall(), lastLandedAt: world.clock.wall() })
})

t.test('the clock of the host is set: a record of our own grows old by time that passes, and what is kept of the future is of now', async t => {
  const HOUR = 3_600_000
  const [directory, clock] = [scratch(t), new MovedClock()]
  const path = join(directory, 'out.jsonl')
  const causes = (): string[] => readFileSync(path, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { cause: string }).cause)
  let outlet: Outlet | null = null
  t.teardown(async () => { await outlet?.stop() })
  const seen = async (written: number): Promise<void> => {
    await outlet?.tick(look([neighbour('192.0.2.1', 'up')]))
    await until(() => outlet?.pending().length === 0, 'told')
    t.equal(causes().length, written)
  }
  const life = async (): Promise<void> => {
    await outlet?.stop()
    outlet = new Outlet({ sink: new FileSink({ type: 'file', name: 'log', path }, 'n1'), target: 'log', timing: { ...timing, refreshMs: HOUR }, directory, clock, random: () => 1, log: new KeptLog(), wantsLook: () => {} })
    outlet.start()
    await until(() => outlet?.tallies().stage === 'ready', 'ready')
  }
  await life()
  await seen(1)
  clock.ahead = 1e12
  await clock.move(HOUR - 1)
  await seen(1)
  await clock.move(1)
  await seen(2)
  await life()
  await clock.move(HOUR - 1)
  await seen(2)
  clock.ahead = -1e12
  await life()
  await seen(2)
  await clock.move(HOUR - 1)
  await seen(2)
  await clock.move(1)
  await seen(3)
  t.same(causes(), ['first', 'refresh', 'refresh'])
})

t.test('while a report waits the latest wins, and what is true again is withdrawn', async t => {
  const world = made(t)
  world.sink.list = [subject('a', 'up'), subject('b', 'unknown')]
  world.sink.answers = [batch => each(batch, { kind: 'transient', reason: 'down', afterMs: 60_000 })]
  await world.see(['a', 'down'], ['b', 'up'])
  await world.see(['a', 'up'], ['b', 'down'])
  t.same(world.outlet.pending().map(({ subject: id, state }) => `${id} ${state}`), ['b down'])
  await world.clock.move(60_000)
  await until(() => world.outlet.pending().length === 0, 'told')
  t.same(told(world).slice(1), [['b down']])
})

t.test('what waits while its session is unknown, or within its grace, is held; a look that knows sends or withdraws it', async t => {
  const world = made(t, { graceMs: 300_000 })
  const busy = [(batch: readonly BgpReport[]) => each(batch, { kind: 'transient', reason: 'down', afterMs: 60_000 })]
  world.sink.list = [subject('a', 'unknown'), subject('b', 'unknown'), subject('c', 'down')]
  world.sink.answers = [...busy]
  await world.see(['a', 'down'], ['b', 'down'], ['c', 'up'])
  await world.glance(['a', 'unknown'], ['b', 'unknown'], ['c', 'down'])
  t.same(world.outlet.pending().map(({ subject: id, stage }) => `${id} ${stage}`), ['a held', 'b held', 'c held'])
  await world.clock.move(3_600_000)
  await world.idle()
  t.equal(world.sink.sent.length, 1, 'nobody knows whether it is still so')
  await world.see(['a', 'down'], ['b', 'up'], ['c', 'up'])
  t.same(told(world).slice(1), [['a down', 'b up', 'c up']])
  world.sink.list = [subject('d', 'up', { recordedAt: 0 })]
  world.sink.answers = [...busy]
  await world.see(['d', 'up'])
  await world.glance(['d', 'down'])
  t.match(world.outlet.pending(), [{ subject: 'd', state: 'up', cause: 'refresh', stage: 'held' }], 'a refresh of a session that is down')
  await world.clock.move(60_000)
  await world.idle()
  await world.see(['d', 'up'])
  t.same(told(world).slice(3), [['d up']], 'sent once it is up again')
})

t.test('what comes back from the sink while the looks say something else is not sent again', async t => {
  const world = made(t)
  let answer = (): void => {}
  world.sink.list = [subject('a', 'up'), subject('b', 'up'), subject('c', 'unknown')]
  world.sink.answers = [async batch => await new Promise(resolve => { answer = () => { resolve(each(batch, { kind: 'transient', reason: 'another was refused', afterMs: 0 })) } })]
  await world.glance(['a', 'down'], ['b', 'down'], ['c', 'down'])
  await until(() => world.sink.sent.length === 1, 'it is out')
  await world.outlet.tick(look([neighbour('a', 'up'), neighbour('b', 'unknown'), neighbour('c', 'up')]))
  answer()
  await until(() => world.outlet.pending().every(({ stage }) => stage === 'held'), 'held')
  await world.idle()
  t.equal(world.sink.sent.length, 1)
  await world.see(['a', 'up'], ['b', 'down'], ['c', 'up'])
  t.same(told(world).slice(1), [['b down', 'c up']])
})

t.test('re-created subject: a queued report of the one before is dropped for its own', async t => {
  const world = made(t)
  world.sink.answers = [batch => each(batch, { kind: 'transient', reason: 'down', afterMs: 60_000 })]
  world.sink.list = [subject('a', 'up')]
  await world.see(['a', 'down'])
  world.sink.list = [subject('a', 'unknown', { incarnation: '2' })]
  await world.see(['a', 'up'])
  t.match(world.outlet.pending(), [{ subject: 'a', state: 'up', cause: 'first', attempts: 0 }])
})

t.test('a full queue drops, counts, and tells all of them in the end', async t => {
  const world = made(t, { queue: { max: 5 } })
  const sessions = Array.from({ length: 12 }, (_, i) => [`s${i}`, 'down'] as const)
  world.sink.list = sessions.map(([id]) => subject(id, 'up'))
  await world.see(...sessions)
  t.equal(world.outlet.tallies().offers.full, 7)
  for (let i = 0; i < 3; i++) await world.see(...sessions)
  t.equal(new Set(told(world).flat()).size, 12)
  t.equal(told(world).flat().length, 12)
})

t.test('restart with a batch out: it is resolved first, then nothing is lost and nothing sent twice', async t => {
  const clock = new MovedClock()
  const directory = scratch(t)
  const first = made(t, { clock, directory })
  first.sink.list = [subject('a', 'up'), subject('b', 'up'), subject('c', 'up')]
  first.sink.answers = [hanging]
  await first.glance(['a', 'down'], ['b', 'down'], ['c', 'up'])
  await until(() => first.sink.sent.length === 1, 'it is out')
  await first.outlet.stop()
  const second = made(t, { clock, directory })
  second.sink.list = first.sink.list
  second.sink.resolutions = [batch => [...second.sink.land(batch.slice(0, 1)), { kind: 'transient', reason: 'expired', afterMs: 0 }]]
  await until(() => second.sink.resolved.length === 1, 'resolved')
  t.same(second.sink.resolved[0]?.map(({ subject: id }) => id), ['a', 'b'])
  t.same(told(second), [], 'what is queued waits for a look')
  await second.see(['a', 'down'], ['b', 'down'], ['c', 'down'])
  t.same(told(second), [['b down', 'c down']])
})

t.test('a state file that is damaged, or of another target, is as if it had never been; damage is told', async t => {
  for (const text of ['', '{', '[]', 'null', '{"version":1,"target":"target","out":{"ticket":"x","entries":[{}]}}', '{"version":1,"target":"other","out":{"ticket":"x","entries":[]}}']) {
    const directory = scratch(t)
    writeFileSync(join(directory, 'bgp-report.told.json'), text)
    const world = made(t, { directory })
    world.sink.list = [subject('a', 'up')]
    await world.see(['a', 'down'])
    t.same([told(world), world.sink.resolved], [[['a down']], []], text)
    t.match(world.log.of('warn'), text.includes('other') ? [] : [/^warn bgp report told: .*bgp-report\.told\.json: (damaged|of another version|the batch that was out)/], text)
  }
})

t.test('the batch is on disk before it is sent, and gone from it when all is told', async t => {
  const world = made(t)
  const path = join(world.directory, 'bgp-report.told.json')
  const kept = (): { out: { ticket: string } | null } => JSON.parse(readFileSync(path, 'utf8')) as { out: { ticket: string } | null }
  let before: string | undefined
  world.sink.answers = [batch => { before = kept().out?.ticket; return world.sink.land(batch) }]
  world.sink.list = [subject('a', 'up')]
  await world.see(['a', 'down'])
  t.equal(before, 'ticket 0')
  await until(() => kept().out === null, 'forgotten')
})

t.test('a sink that refuses to start is asked again, rarely; one that cannot be reached soon', async t => {
  const sink = new ToldSink()
  sink.startError = new SinkError('permanent', 'another key')
  const world = made(t, { sink })
  await until(() => world.outlet.tallies().stage === 'refused', 'refused')
  t.same(world.log.of('warn'), ['warn bgp report told: refused to start: another key'])
  sink.startError = new SinkError('transient', 'no route')
  await world.clock.move(600_000)
  await until(() => world.outlet.tallies().stage === 'starting', 'asked again')
  sink.startError = null
  await world.clock.move(2000)
  await until(() => world.outlet.tallies().stage === 'ready', 'ready')
})

t.test('subjects that cannot be read decide nothing, and are told once', async t => {
  const world = made(t)
  await world.see()
  world.sink.subjects = async () => { throw await Promise.resolve(new Error('no route')) }
  for (let i = 0; i < 3; i++) await world.glance(['a', 'down'])
  t.equal(world.outlet.tallies().looks.failed, 3)
  t.equal(world.log.of('warn').length, 1)
})

t.test('any history of sessions, failures and restarts: in the end the record is the truth', async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  for (let run = 0; run < 12; run++) {
    const random = Random.of(seed, run)
    const clock = new MovedClock()
    const directory = scratch(t)
    const ids = Array.from({ length: 30 }, (_, i) => `s${i}`)
    const truth = new Map<string, BgpState>(ids.map(id => [id, 'up']))
    let list = ids.map(id => subject(id, 'unknown'))
    let open = new Set<string>()
    let wrong: string | null = null
    let looked = new Map<string, BgpState>()
    const chaos = (sink: ToldSink): void => {
      const { subjects } = sink
      sink.subjects = async () => {
        looked = new Map(truth)
        return await subjects.call(sink)
      }
      sink.onPrepare = batch => { for (const { subject: id, state } of batch) if (looked.get(id) !== state) wrong = `${id} is told as ${state}, and the last look said ${looked.get(id)}` }
      sink.answers = Array.from({ length: 400 }, () => batch => {
        for (const { subject: id, state } of batch) {
          if (open.has(id)) wrong = `${id} is sent while one is out`
          if (state === 'down' && truth.get(id) === undefined) wrong = `${id} is told and is none`
        }
        const chance = random.next()
        if (chance < 0.6) return sink.land(batch)
        if (chance < 0.7) return each(batch, { kind: 'transient', reason: 'busy', afterMs: null })
        open = new Set(batch.map(({ subject: id }) => id))
        if (chance < 0.9) sink.land(batch)
        throw new Error('broken')
      })
      sink.resolutions = Array.from({ length: 400 }, () => batch => {
        if (random.chance(0.4)) return each(batch, { kind: 'uncertain', reason: 'not yet' })
        open = new Set()
        return batch.map(({ subject: id, state }) => sink.list.find(one => one.id === id)?.recorded === state ? { kind: 'landed', mark: null } : { kind: 'transient', reason: 'expired', afterMs: 0 })
      })
    }
    let world = made(t, { clock, directory })
    world.sink.list = list
    chaos(world.sink)
    for (let i = 0; i < 40; i++) {
      for (const id of ids) if (random.chance(0.1)) truth.set(id, (['up', 'down', 'unknown'] as const)[random.below(3)] ?? 'up')
      await world.see(...truth)
      await clock.move(random.below(20_000))
      if (random.chance(0.1)) {
        list = world.sink.list
        await world.outlet.stop()
        world = made(t, { clock, directory })
        world.sink.list = list
        chaos(world.sink)
      }
    }
    for (const id of ids) if (truth.get(id) === 'unknown') truth.set(id, 'down')
    for (let i = 0; i < 30; i++) {
      await world.see(...truth)
      await clock.move(60_000)
    }
    await world.outlet.stop()
    if (wrong !== null) return t.fail(`run ${run}: ${wrong}`)
    t.same(new Map(world.sink.list.map(({ id, recorded }) => [id, recorded])), truth, `run ${run}`)
  }
})
