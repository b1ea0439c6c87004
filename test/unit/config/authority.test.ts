/** Apply is all or nothing; an unconfirmed generation rolls back by itself, also over a restart. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { LockstepError } from '../../../src/contract/errors.js'
import { noOverlay, type OverlayChange } from '../../../src/contract/overlay.js'
import type { ApplyOptions } from '../../../src/contract/services.js'
import { Authority, type AuthorityOptions } from '../../../src/config/authority.js'
import { ConfigError } from '../../../src/config/issues.js'
import { ConfigStore } from '../../../src/config/store.js'
import { fileIo, type StoreIo } from '../../../src/config/store-io.js'
import { FakeClock, FakeSink, settle } from './fake-sink.js'
import { options as parse } from './support.js'

const signal = new AbortController().signal
const how = (change: Partial<ApplyOptions> = {}): ApplyOptions => ({ author: 'op', comment: 'why', source: 'grpc', expectedGeneration: null, confirmWithinMs: null, requestId: null, dryRun: false, ...change })
const zones = (...names: string[]): string => `zones: {${names.map(n => `${n}: {}`).join(', ')}}\n`

interface World { readonly dir: string, readonly clock: FakeClock, sink: FakeSink, authority: Authority, problems: string[], restart: (change?: Partial<AuthorityOptions>) => Promise<Authority> }

async function world (t: { teardown: (run: () => void) => void }, change: Partial<AuthorityOptions> = {}): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-authority-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  const w: World = {
    dir, clock: new FakeClock(), sink: new FakeSink(), problems: [], authority: null as unknown as Authority,
    restart: async (more = {}) => {
      w.authority?.close()
      w.sink = new FakeSink()
      w.authority = new Authority({ sink: w.sink, store: await ConfigStore.open(dir), parse, clock: w.clock, bootId: 'boot-1', onProblem: what => { w.problems.push(what) }, ...change, ...more })
      return w.authority
    },
  }
  // The turn after all others: a question that is refused. Then a round of the event loop for what follows the turn.
  w.clock.idle = async () => {
    await w.authority.confirm(-1).catch(() => undefined)
    await new Promise(resolve => setImmediate(resolve))
  }
  await w.restart()
  t.teardown(() => { w.authority.close() })
  return w
}

t.test('an apply is numbered, in force, in the history, with its plan', async t => {
  const w = await world(t)
  t.equal(await w.authority.start(signal), null, 'nothing to start with')
  const { info, plan } = await w.authority.apply(zones('a'), how(), signal)
  t.match(info, { generation: 1, author: 'op', comment: 'why', source: 'grpc', state: 'running', confirmBy: null, hash: /^[0-9a-f]{64}$/ })
  t.ok(plan.some(step => step.kind === 'zone' && step.name === 'a'))
  t.equal(w.sink.zones, 'a')
  t.equal(w.sink.applied[0]?.desired.ids.zone['a'], 1, 'the dataplane gets ids')
  const second = await w.authority.apply(zones('a', 'b'), how(), signal)
  t.same(second.plan.map(s => `${s.action} ${s.kind} ${s.name}`), ['add zone b'])
  t.same(w.authority.history().map(g => [g.generation, g.state]), [[1, 'superseded'], [2, 'running']])
  t.equal(w.authority.text('running'), zones('a', 'b'))
  t.same((await w.authority.compare(1, 2, signal)).map(s => s.name), ['b'])
  t.same((await w.authority.compare(2, 1, signal)).map(s => s.action), ['remove'])
  await t.rejects(w.authority.compare(1, 9, signal), { errorClass: 'stale', code: 'LS_E_NOT_FOUND' })
  t.equal(w.authority.names.name('zone', 2), 'b')
})

t.test('a wrong text, a failing dataplane, an unsupported feature: the last good stays', async t => {
  const w = await world(t, { capabilities: () => [{ name: 'screens', supported: false, reason: 'not here' }] })
  await w.authority.apply(zones('a'), how(), signal)
  await t.rejects(w.authority.apply('zones: {b: {screen: 7}, c: {fragments: x}}\n', how(), signal), { errorClass: 'invalid', code: 'LS_C_INVALID', issues: [{ path: '/zones/b/screen' }, { path: '/zones/c/fragments' }] })
  w.sink.fail = new LockstepError('unavailable', 'LS_E_SYSTEM', 'no')
  await t.rejects(w.authority.apply(zones('b'), how(), signal), { code: 'LS_E_SYSTEM' })
  w.sink.fail = new ConfigError([{ path: '/interfaces/eth0/port', line: null, column: null, code: 'LS_C_PORT', message: 'no', found: '', expected: '' }], 'invalid', 'LS_C_PORT')
  await t.rejects(w.authority.apply(`${zones('b')}interfaces:\n  eth0: {zone: b}\n`, how(), signal), { code: 'LS_C_PORT', issues: [{ path: '/interfaces/eth0/port', line: 3, column: 3 }] })
  w.sink.fail = null
  await t.rejects(w.authority.apply('zones: {b: {screen: s}}\nscreens: {s: {land: true}}\n', how(), signal), { errorClass: 'unsupported', code: 'LS_C_INVALID', issues: [{ path: '/zones/b/screen', found: 'not here', line: 1, column: 13 }] })
  t.equal(w.sink.zones, 'a')
  t.equal(w.authority.status().running?.generation, 1)
  t.equal(w.authority.text('running'), zones('a'))
  t.same(w.authority.history().map(g => [g.generation, g.state]), [[1, 'running'], [2, 'failed'], [3, 'failed']], 'a failure of the dataplane is in the history, a wrong text is not')
  const { info } = await w.authority.apply(zones('c'), how(), signal)
  t.equal(info.generation, 4, 'its number is not used again')
})

t.test('check tells issues or the plan, and changes nothing; so does a dry run', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how(), signal)
  t.match(await w.authority.check('zones: {"": {}}', signal), { ok: false, issues: [{ path: '/zones/' }] })
  t.same((await w.authority.check(zones('b'), signal)).plan.map(s => `${s.action} ${s.name}`), ['add b', 'remove a'])
  const dry = await w.authority.apply(zones('b'), how({ dryRun: true }), signal)
  t.same(dry.plan.map(s => s.action), ['add', 'remove'])
  t.equal(w.sink.zones, 'a')
  t.equal(w.authority.history().length, 1)
})

t.test('not confirmed in time: the generation before is in force again', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how(), signal)
  const { info } = await w.authority.apply(zones('b'), how({ confirmWithinMs: 60_000 }), signal)
  t.match(info, { state: 'unconfirmed', confirmBy: w.clock.now() + 60_000 })
  t.equal(w.authority.status().unconfirmed?.generation, 2)
  await t.rejects(w.authority.apply(zones('c'), how(), signal), { errorClass: 'stale', code: 'LS_C_UNCONFIRMED' })
  await t.rejects(w.authority.save(), { code: 'LS_C_UNCONFIRMED' })
  await w.clock.advance(59_000)
  t.equal(w.sink.zones, 'b')
  await w.clock.advance(2000)
  t.equal(w.sink.zones, 'a')
  t.same(w.authority.history().map(g => [g.generation, g.state, g.source]), [[1, 'superseded', 'grpc'], [2, 'rolled-back', 'grpc'], [3, 'running', 'rollback']])
  t.equal(w.authority.status().unconfirmed, null)
  await w.authority.apply(zones('c'), how(), signal)
})

t.test('confirmed in time: it stays', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how({ confirmWithinMs: 60_000 }), signal)
  await t.rejects(w.authority.confirm(7), { errorClass: 'stale', code: 'LS_C_NOT_UNCONFIRMED' })
  t.match(await w.authority.confirm(1), { state: 'running', confirmBy: null })
  await w.clock.advance(600_000)
  t.equal(w.sink.zones, 'a')
  t.equal(w.sink.applied.length, 1)
  t.equal(w.clock.pending, 0)
  await t.rejects(w.authority.confirm(1), { errorClass: 'stale', code: 'LS_C_NOT_UNCONFIRMED' })
})

t.test('a rollback that fails is tried again until it succeeds, and told', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how(), signal)
  await w.authority.apply(zones('b'), how({ confirmWithinMs: 1000 }), signal)
  w.sink.fail = new LockstepError('unavailable', 'LS_E_SYSTEM', 'no')
  await w.clock.advance(30_000)
  t.ok(w.problems.length >= 3, `${w.problems.length} attempts`)
  t.equal(w.authority.history().filter(g => g.state === 'failed').length, 1, 'one line in the history')
  w.sink.fail = null
  await w.clock.advance(60_000)
  t.equal(w.sink.zones, 'a')
})

t.test('the agent dies before the deadline: restarted in time it goes on waiting, restarted late it rolls back', async t => {
  for (const late of [false, true]) {
    const w = await world(t)
    await w.authority.apply(zones('a'), how(), signal)
    await w.authority.apply(zones('b'), how({ confirmWithinMs: 60_000 }), signal)
    w.authority.close()
    await w.clock.advance(late ? 61_000 : 30_000)
    await w.restart()
    await w.authority.start(signal)
    t.equal(w.sink.zones, late ? 'a' : 'b')
    t.equal(w.authority.status().unconfirmed?.generation ?? null, late ? null : 2)
    if (late) continue
    await w.clock.advance(31_000)
    t.equal(w.sink.zones, 'a', 'the timer was armed again')
  }
})

t.test('an unconfirmed generation does not survive a reboot', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how(), signal)
  await w.authority.apply(zones('b'), how({ confirmWithinMs: 60_000 }), signal)
  await w.restart({ bootId: 'boot-2' })
  await w.authority.start(signal)
  t.equal(w.sink.zones, 'a')
})

t.test('an unconfirmed first generation rolls back to the startup text, or to nothing', async t => {
  const w = await world(t)
  await w.authority.apply(zones('b'), how({ confirmWithinMs: 1000 }), signal)
  await w.clock.advance(2000)
  t.equal(w.sink.zones, '')
  t.equal(w.sink.applied.length, 2)
})

t.test('startup and running are two: save, drift, restart, reboot, edit', async t => {
  const w = await world(t)
  writeFileSync(join(w.dir, 'startup.yaml'), zones('s'))
  t.match(await w.authority.start(signal), { info: { source: 'startup', generation: 1 } })
  t.equal(w.authority.status().drift, false)
  await w.authority.apply(zones('x'), how(), signal)
  t.equal(w.authority.status().drift, true)
  await w.restart()
  t.match(await w.authority.start(signal), { info: { generation: 2 } }, 'the agent restarts in the same boot: what ran runs on')
  t.equal(w.sink.zones, 'x')
  await w.restart({ bootId: 'boot-2' })
  await w.authority.start(signal)
  t.equal(w.sink.zones, 's', 'after a reboot the startup configuration holds')
  await w.authority.apply(zones('y'), how(), signal)
  await w.authority.save()
  t.equal(w.authority.text('startup'), zones('y'))
  t.equal(w.authority.status().drift, false)
  await w.restart({ bootId: 'boot-3' })
  t.match(await w.authority.start(signal), { info: { generation: 4 } }, 'saved: the same generation is resumed')
  writeFileSync(join(w.dir, 'startup.yaml'), zones('edited'))
  await w.restart({ bootId: 'boot-3' })
  await w.authority.start(signal)
  t.equal(w.sink.zones, 'edited', 'an edit of the startup file wins over what ran')
  writeFileSync(join(w.dir, 'startup.yaml'), zones('again'))
  await w.authority.reload(signal)
  t.equal(w.sink.zones, 'again')
})

t.test('rollback to any generation of the history, also out of an unconfirmed one', async t => {
  const w = await world(t)
  for (const name of ['a', 'b', 'c']) await w.authority.apply(zones(name), how(), signal)
  t.match((await w.authority.rollback(1, how({ comment: '' }), signal)).info, { generation: 4, source: 'rollback', comment: 'rollback to generation 1' })
  t.equal(w.sink.zones, 'a')
  await w.authority.apply(zones('d'), how({ confirmWithinMs: 60_000 }), signal)
  await w.authority.rollback(2, how(), signal)
  t.equal(w.sink.zones, 'b')
  t.equal(w.clock.pending, 0)
  await t.rejects(w.authority.rollback(99, how(), signal), { errorClass: 'stale', code: 'LS_E_NOT_FOUND' })
  t.equal(w.sink.applied.at(-1)?.desired.ids.zone['b'], 2, 'names keep their ids')
})

t.test('expectedGeneration and request ids', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how({ expectedGeneration: 0 }), signal)
  await t.rejects(w.authority.apply(zones('b'), how({ expectedGeneration: 0 }), signal), { errorClass: 'stale', code: 'LS_C_STALE' })
  const [one, two] = await Promise.all([w.authority.apply(zones('b'), how({ requestId: 'r1' }), signal), w.authority.apply(zones('b'), how({ requestId: 'r1' }), signal)])
  t.equal(one.info.generation, two.info.generation)
  t.equal(w.sink.applied.length, 2)
  await t.rejects(w.authority.apply(zones('c'), how({ requestId: 'r1' }), signal), { errorClass: 'invalid', code: 'LS_C_REQUEST_ID' })
  await w.clock.advance(601_000)
  await w.authority.apply(zones('c'), how({ requestId: 'r1' }), signal)
  t.equal(w.sink.zones, 'c', 'forgotten after ten minutes')
  w.sink.fail = new Error('no')
  await t.rejects(w.authority.apply(zones('d'), how({ requestId: 'r2' }), signal))
  w.sink.fail = null
  await w.authority.apply(zones('d'), how({ requestId: 'r2' }), signal)
  t.equal(w.sink.zones, 'd', 'a failure may be retried under its id')
})

t.test('a request id stands for one request of one author: not for a trial, not for another promise', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how({ requestId: 'r', dryRun: true }), signal)
  await w.authority.apply(zones('a'), how({ requestId: 'r' }), signal)
  t.equal(w.sink.zones, 'a', 'what was tried first is made')
  await t.rejects(w.authority.apply(zones('a'), how({ requestId: 'r', confirmWithinMs: 60_000 }), signal), { code: 'LS_C_REQUEST_ID' }, 'who wants it back by itself is not told that it stays')
  await w.authority.apply(zones('b'), how({ requestId: 'r', author: 'other' }), signal)
  t.equal(w.sink.zones, 'b', 'another author has ids of their own')
  await w.authority.rollback(1, how({ requestId: 'back', dryRun: true }), signal)
  await w.authority.rollback(1, how({ requestId: 'back' }), signal)
  t.equal(w.sink.zones, 'a')
})

t.test('one apply at a time, in order of arrival; a caller may give up while waiting', async t => {
  const w = await world(t)
  w.sink.during = settle
  const controller = new AbortController()
  const results = ['a', 'b', 'c'].map(name => w.authority.apply(zones(name), how(), name === 'b' ? controller.signal : signal))
  controller.abort()
  const settled = await Promise.allSettled(results)
  t.same(settled.map(s => s.status), ['fulfilled', 'rejected', 'fulfilled'])
  t.same(w.sink.applied.map(a => a.desired.zones[0]?.name), ['a', 'c'])
  const crowd = await Promise.allSettled(Array.from({ length: 30 }, () => w.authority.apply(zones('z'), how(), signal)))
  t.ok(crowd.some(s => s.status === 'rejected' && s.reason instanceof LockstepError && s.reason.errorClass === 'exhausted'))
  t.ok(crowd.some(s => s.status === 'fulfilled'))
})

/** Real files, of which operation number `stop` fails: once, or it and all that follow. */
function failing (stop: number, lasting: boolean): { readonly io: StoreIo, readonly begin: () => void, readonly end: () => void, readonly failed: () => string | null } {
  let count = -1
  let failed: string | null = null
  const wrap = <A extends unknown[], R>(name: string, run: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
    const now = count < 0 ? -1 : count++
    if (now === stop || (lasting && now > stop)) {
      failed ??= `${name} ${String(args.at(-1 - Number(name === 'write') * 2)).replace(/.*\//, '')}`
      throw new LockstepError('unavailable', 'LS_A_STATE', 'disk full')
    }
    return await run(...args)
  }
  const io: StoreIo = { ...fileIo, write: wrap('write', fileIo.write), rename: wrap('rename', fileIo.rename), syncDirectory: wrap('sync', fileIo.syncDirectory), remove: wrap('remove', fileIo.remove) }
  return { io, begin: () => { count = 0 }, end: () => { count = -1 }, failed: () => failed }
}

for (const lasting of [false, true]) {
  t.test(`the disk fails at any step of an apply${lasting ? ' and from then on' : ''}: the dataplane runs what the disk knows`, async t => {
    const met: string[] = []
    for (let stop = 0; ; stop++) {
      const { io, begin, end, failed } = failing(stop, lasting)
      const w = await world(t)
      w.authority.close()
      w.sink = new FakeSink()
      w.authority = new Authority({ sink: w.sink, store: await ConfigStore.open(w.dir, { io }), parse, clock: w.clock, bootId: 'boot-1', onProblem: what => { w.problems.push(what) } })
      await w.authority.apply(zones('a'), how(), signal)
      begin()
      const outcome = await w.authority.apply(zones('a', 'b'), how(), signal).then(() => 'a,b', (error: unknown) => { if (!(error instanceof LockstepError)) throw error; return 'a' })
      end()
      const what = failed()
      if (what === null) break
      met.push(what)
      t.equal(w.sink.zones, outcome, `${what}: what the caller was told`)
      t.equal(w.authority.text('running'), zones(...outcome.split(',')))
      t.equal(w.sink.applied.at(-1)?.generation, w.authority.status().running?.generation)
      const disk = await ConfigStore.open(w.dir)
      const found = await disk.text(disk.state.running ?? 0)
      // A rename that no disk confirms and no later write can undo: one whole generation all the same.
      if (lasting && met.at(-2) === 'rename state.json') t.ok([zones('a'), zones('a', 'b')].includes(found))
      else t.equal(found, zones(...outcome.split(',')), `${what}: on disk`)
      await w.authority.apply(zones('c'), how(), signal)
      t.equal(w.sink.zones, 'c', `${what}: and it goes on when there is room`)
    }
    for (const point of ['write 2.yaml.tmp', 'write ids.json.tmp', 'write state.json.tmp', 'rename state.json']) t.ok(met.includes(point), `${point} was met`)
    t.ok(met.length >= 9, met.join(', '))
  })
}

t.test('nothing ran before and the commit fails: the dataplane forwards nothing', async t => {
  const w = await world(t)
  const store = await ConfigStore.open(w.dir, { io: { ...fileIo, rename: async (from, to) => { if (to.endsWith('state.json')) throw new LockstepError('unavailable', 'LS_A_STATE', 'no'); await fileIo.rename(from, to) } } })
  w.authority.close()
  w.authority = new Authority({ sink: w.sink, store, parse, clock: w.clock, bootId: 'boot-1', onProblem: what => { w.problems.push(what) } })
  await t.rejects(w.authority.apply(zones('a'), how(), signal), { code: 'LS_A_STATE' })
  t.equal(w.sink.applied[0]?.desired.zones.length, 1)
  t.equal(w.sink.zones, '')
  t.equal(w.authority.status().running, null)
})

t.test('the dataplane took a generation and the agent died before the commit: the last committed one is applied again', async t => {
  const w = await world(t)
  await w.authority.apply(zones('a'), how(), signal)
  w.sink.during = async () => { w.sink.applied.push({ generation: 2, desired: (w.sink.applied[0] ?? (() => { throw new Error('none') })()).desired }); throw new Error('killed here') }
  await t.rejects(w.authority.apply(zones('b'), how(), signal))
  await w.restart()
  await w.authority.start(signal)
  t.equal(w.sink.zones, 'a')
  const { info } = await w.authority.apply(zones('c'), how(), signal)
  t.ok(info.generation > 2)
})

t.test('a generation of the peer runs under its number and with its ids; the same again changes nothing', async t => {
  const owner = await world(t)
  await owner.authority.apply(zones('b', 'a'), how(), signal)
  await owner.authority.apply(zones('a', 'c'), how({ comment: 'two' }), signal)
  const shared = owner.authority.shared()
  t.match(shared, { generation: 2, text: zones('a', 'c'), author: 'op', comment: 'two' })
  if (shared === null) return
  const peer = await world(t)
  await peer.authority.follow(shared, signal)
  t.match(peer.authority.status().running, { generation: 2, source: 'peer', author: 'op', comment: 'two' })
  t.same(peer.authority.ids(), owner.authority.ids(), 'the names that are gone keep their numbers too')
  await peer.authority.follow(shared, signal)
  t.equal(peer.authority.history().length, 1)
  await peer.authority.apply(zones('a'), how(), signal)
  t.equal(peer.authority.status().running?.generation, 3, 'its own go on behind')
})

t.test('a number of the peer that is taken is refused with the least that is free, and renumbering takes that one', async t => {
  const [owner, peer] = [await world(t), await world(t)]
  await owner.authority.apply(zones('a'), how(), signal)
  for (const name of ['x', 'y', 'z']) await peer.authority.apply(zones(name), how(), signal)
  const mine = owner.authority.shared()
  if (mine === null) return
  await t.rejects(peer.authority.follow(mine, signal), { code: 'LS_C_GENERATION', detail: { expected: '4 or higher' } })
  t.equal(peer.authority.status().running?.generation, 3, 'what runs there goes on')
  await owner.authority.renumber(4, signal)
  const again = owner.authority.shared()
  t.match(again, { generation: 4, text: zones('a') })
  await owner.authority.renumber(4, signal)
  t.equal(owner.authority.shared()?.generation, 4, 'once')
  if (again !== null) await peer.authority.follow(again, signal)
  t.match([owner.authority.status().running?.generation, peer.authority.status().running?.generation], [4, 4])
  t.same(peer.authority.ids().zone, owner.authority.ids().zone)
})

t.test('the same text under other ids: the ids of the peer hold', async t => {
  const [owner, peer] = [await world(t), await world(t)]
  await owner.authority.apply(zones('b'), how(), signal)
  await owner.authority.apply(zones('a', 'b'), how(), signal)
  await peer.authority.apply(zones('a'), how(), signal)
  await peer.authority.apply(zones('a', 'b'), how(), signal)
  t.notSame(peer.authority.ids().zone, owner.authority.ids().zone)
  const shared = owner.authority.shared()
  if (shared !== null) await peer.authority.follow(shared, signal)
  t.same(peer.authority.ids().zone, owner.authority.ids().zone)
  t.equal(peer.authority.status().running?.generation, 2)
})

t.test('ids that are none are refused', async t => {
  const { authority } = await world(t)
  await t.rejects(authority.follow({ generation: 1, text: zones('a'), author: 'op', comment: '', ids: { zone: { a: 'one' } }, overlay: noOverlay }, signal), { code: 'LS_C_IDS' })
  t.equal(authority.status().running, null)
})

t.test('a generation of the peer that failed here may be tried again under its number; another text may not', async t => {
  const peer = await world(t)
  const shared = { generation: 5, text: zones('a'), author: 'op', comment: '', ids: { zone: { a: 3 } }, overlay: noOverlay }
  peer.sink.fail = new Error('no such port')
  for (let i = 0; i < 3; i++) await t.rejects(peer.authority.follow(shared, signal), /no such port/)
  t.same(peer.authority.history().map(g => [g.generation, g.state]), [[5, 'failed']], 'one line')
  await t.rejects(peer.authority.follow({ ...shared, text: zones('b') }, signal), { code: 'LS_C_GENERATION' })
  peer.sink.fail = null
  await peer.authority.follow(shared, signal)
  t.same(peer.authority.history().map(g => [g.generation, g.state]), [[5, 'running']])
})

t.test('what waits to be confirmed is of this node alone, and keeps its number', async t => {
  const { authority } = await world(t)
  await authority.apply(zones('a'), how(), signal)
  await authority.apply(zones('b'), how({ confirmWithinMs: 5000 }), signal)
  t.equal(authority.shared(), null)
  await authority.renumber(9, signal)
  t.match(authority.status().unconfirmed, { generation: 2 })
  await authority.confirm(2)
  t.match(authority.shared(), { generation: 2, text: zones('b') })
})

t.test('in a pair what ran goes on after a reboot, unless its startup text was edited', async t => {
  const w = await world(t, { resumes: true })
  writeFileSync(join(w.dir, 'startup.yaml'), zones('a'))
  await (await w.restart()).start(signal)
  await w.authority.follow({ generation: 7, text: zones('p'), author: 'op', comment: '', ids: { zone: { p: 4 } }, overlay: noOverlay }, signal)
  await (await w.restart({ bootId: 'boot-2' })).start(signal)
  t.match(w.authority.status().running, { generation: 7, source: 'peer' })
  writeFileSync(join(w.dir, 'startup.yaml'), zones('edited'))
  await (await w.restart({ bootId: 'boot-3' })).start(signal)
  t.match(w.authority.status().running, { generation: 8, source: 'startup' })
})

const withVip = `${zones('a')}\nvips: {www: {address: 192.0.2.80, port: 80, pools: [{reals: [{address: 10.0.0.1, name: one}]}]}}\n`
const drain: OverlayChange = { kind: 'adjust', vip: 'www', real: 'one', weight: null, drained: true, owner: 'op', reason: 'kernel', ttlMs: null }
const reals = (ttlMs: number | null, ...addresses: string[]): OverlayChange => ({ kind: 'put-reals', vip: 'www', pool: '', reals: addresses.map(address => ({ address })), owner: 'ctl', reason: '', ttlMs })

t.test('what is put is in force at once, under the generation that runs, and kept over applies and restarts (D8)', async t => {
  const w = await world(t)
  await t.rejects(w.authority.change(drain, signal), { code: 'LS_E_NOT_FOUND' }, 'nothing runs')
  await w.authority.apply(withVip, how(), signal)
  t.match(await w.authority.change(drain, signal, true), { adjusted: [{ vip: 'www' }] }, 'tried')
  t.same(w.authority.overlay.adjusted, [])
  await t.rejects(w.authority.change(reals(null, 'nowhere'), signal, true), { code: 'LS_C_INVALID' })
  await w.authority.change(drain, signal)
  t.match(w.sink.applied.at(-1), { generation: 1, desired: { adjustments: [{ vip: 'www', real: 'one', drained: true }] } })
  t.equal(w.authority.history().length, 1)
  t.equal(w.authority.status().running?.generation, 1)
  await w.authority.change(reals(null, '10.0.0.9'), signal)
  const id = w.authority.ids().real['www/10.0.0.9:80']
  t.ok(id !== undefined && id > 0, 'reals that were put have ids')
  await w.authority.apply(withVip.replace('zones', '# another text\nzones'), how(), signal)
  t.match(w.sink.applied.at(-1), { generation: 2, desired: { adjustments: [{ drained: true }], vips: [{ pools: [{ reals: [{ name: 'one' }, { address: '10.0.0.9' }] }] }] } })
  await (await w.restart()).start(signal)
  t.match(w.sink.applied.at(-1), { desired: { adjustments: [{ drained: true }], vips: [{ pools: [{ reals: [{}, { address: '10.0.0.9' }] }] }] } })
  t.equal(w.authority.ids().real['www/10.0.0.9:80'], id)
})

t.test('what is put and refused, by the reader or the dataplane or the disk, leaves what was', async t => {
  let full = false
  const io: StoreIo = { ...fileIo, write: async (...a) => { if (full && a[0].includes('state.json')) throw new Error('no space'); await fileIo.write(...a) } }
  const w = await world(t)
  w.authority.close()
  w.authority = new Authority({ sink: w.sink, store: await ConfigStore.open(w.dir, { io }), parse, clock: w.clock, bootId: 'boot-1' })
  await w.authority.apply(withVip, how(), signal)
  await t.rejects(w.authority.change(reals(null, 'nowhere'), signal), { code: 'LS_C_INVALID' })
  w.sink.fail = new Error('no such port')
  await t.rejects(w.authority.change(drain, signal), /no such port/)
  w.sink.fail = null
  t.same(w.authority.overlay, noOverlay)
  full = true
  await t.rejects(w.authority.change(drain, signal), /no space/)
  full = false
  t.same(w.authority.overlay, noOverlay)
  t.match(w.sink.applied.at(-1), { desired: { adjustments: [] } }, 'the dataplane is as before')
})

t.test('what is put for a time ends by itself; put again it goes on without touching the dataplane', async t => {
  const w = await world(t)
  await w.authority.apply(withVip, how(), signal)
  await w.authority.change(reals(30_000, '10.0.0.9'), signal)
  const applies = w.sink.applied.length
  await w.clock.advance(20_000)
  await w.authority.change(reals(30_000, '10.0.0.9'), signal)
  t.equal(w.sink.applied.length, applies)
  await w.clock.advance(29_000)
  t.equal(w.authority.overlay.reals.length, 1)
  await w.clock.advance(1500)
  t.equal(w.authority.overlay.reals.length, 0)
  t.match(w.sink.applied.at(-1), { desired: { vips: [{ pools: [{ reals: [{ name: 'one' }] }] }] } })
})

t.test('in a pair it ends where the configuration is made, and the other node has the same', async t => {
  const owner = await world(t)
  let leads = false
  const peer = await world(t, { leads: async () => leads })
  await owner.authority.apply(withVip, how(), signal)
  const follow = async (): Promise<void> => {
    const shared = owner.authority.shared()
    if (shared !== null) await peer.authority.follow(shared, signal)
  }
  await follow()
  await owner.authority.change(reals(10_000, '10.0.0.9'), signal)
  await follow()
  t.same(peer.authority.overlay, owner.authority.overlay)
  t.same(peer.authority.ids().real, owner.authority.ids().real)
  await peer.clock.advance(20_000)
  t.equal(peer.authority.overlay.reals.length, 1, 'its word does not count')
  leads = true
  await peer.clock.advance(6000)
  t.equal(peer.authority.overlay.reals.length, 0)
})

const checked = (name: string): string => `${zones('a')}\nhealthchecks: {${name}: {type: tcp, port: 80}}\n`
const api = (healthcheck: string): OverlayChange => ({ kind: 'put-vip', vip: 'api', settings: { address: '192.0.2.9', port: 443, healthcheck }, owner: 'ctl', reason: '', ttlMs: null })

t.test('a VIP that cannot be is refused as it is put, before it has reals', async t => {
  const w = await world(t)
  await w.authority.apply(checked('tcp'), how(), signal)
  await t.rejects(w.authority.change(api('nothing'), signal), { code: 'LS_C_INVALID' })
  const change = api('tcp') as Extract<OverlayChange, { kind: 'put-vip' }>
  for (const settings of [{ address: 'nowhere' }, { address: '192.0.2.9', mode: 'foo' as 'nat' }, { address: '2001:db8:1::9', port: -1 }]) await t.rejects(w.authority.change({ ...change, settings }, signal), { code: 'LS_C_INVALID' })
  const applies = w.sink.applied.length
  await w.authority.change({ ...change, settings: { address: '2001:db8:1::9', port: 443 } }, signal)
  t.equal(w.authority.overlay.vips.length, 1)
  t.equal(w.sink.applied.length, applies, 'what waits for its first real does not touch the dataplane')
})

t.test('what was put keeps no rollback and no start from coming: it is dropped, and that is told', async t => {
  const w = await world(t)
  await w.authority.apply(checked('old'), how(), signal)
  await w.authority.apply(checked('new'), how({ confirmWithinMs: 10_000 }), signal)
  await w.authority.change(api('new'), signal)
  await w.authority.change({ kind: 'put-reals', vip: 'api', pool: '', reals: [{ address: '10.0.0.7' }], owner: 'ctl', reason: '', ttlMs: null }, signal)
  await w.clock.advance(11_000)
  t.match(w.sink.applied.at(-1)?.desired.healthChecks, [{ name: 'old' }])
  t.same(w.authority.overlay, noOverlay)
  t.match(w.problems, [/does not fit the configuration, and is dropped/])
  await w.authority.change(api('old'), signal)
  await w.authority.change({ kind: 'put-reals', vip: 'api', pool: '', reals: [{ address: '10.0.0.7' }], owner: 'ctl', reason: '', ttlMs: null }, signal)
  await t.rejects(w.authority.apply(checked('other'), how(), signal), { code: 'LS_C_INVALID' }, 'an apply is refused')
  writeFileSync(join(w.dir, 'startup.yaml'), checked('other'))
  await (await w.restart()).start(signal)
  t.match(w.sink.applied.at(-1)?.desired.healthChecks, [{ name: 'other' }])
  t.same(w.authority.overlay, noOverlay)
})

t.test('what ended while the agent was away is gone when it starts', async t => {
  const w = await world(t)
  await w.authority.apply(withVip, how(), signal)
  await w.authority.change(reals(30_000, '10.0.0.9'), signal)
  w.authority.close()
  await w.clock.advance(60_000)
  await (await w.restart()).start(signal)
  t.match(w.sink.applied.at(-1), { desired: { vips: [{ pools: [{ reals: [{ name: 'one' }] }] }] } })
  t.same(w.authority.overlay, noOverlay)
})

t.test('a peer\'s overlay that cannot be applied is not taken for applied', async t => {
  const [owner, peer] = [await world(t), await world(t)]
  await owner.authority.apply(withVip, how(), signal)
  const follow = async (): Promise<void> => {
    const shared = owner.authority.shared()
    if (shared !== null) await peer.authority.follow(shared, signal)
  }
  await follow()
  await owner.authority.change(drain, signal)
  peer.sink.fail = new Error('no such port')
  await t.rejects(follow(), /no such port/)
  t.same(peer.authority.overlay, noOverlay)
  peer.sink.fail = null
  await follow()
  t.match(peer.sink.applied.at(-1), { desired: { adjustments: [{ drained: true }] } })
  t.same(peer.authority.overlay, owner.authority.overlay)
})
