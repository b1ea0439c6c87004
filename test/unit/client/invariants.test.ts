/** What a reader of a watch may rely on, by the numbers of docs/design/0016-watch.md; 13 is property.test.ts. */
import t, { type Test } from 'tap'
import { getEventListeners } from 'node:events'
import { FollowerError, ProtocolError } from '../../../src/client/errors.js'
import { follow, type Follower } from '../../../src/client/follow.js'
import { frozen } from '../../../src/client/frozen.js'
import { mirror } from '../../../src/client/mirror.js'
import { watch, Watch, type Batch, type WatchOptions } from '../../../src/client/watch.js'
import { watchOne } from '../../../src/client/watch-one.js'
import { formatToken } from '../../../src/lib/watch/token.js'
import { ManualClock, promptly, Server, settled, type Message, type Thing } from './rig.js'

interface Rig { readonly server: Server, readonly clock: ManualClock, readonly options: WatchOptions<Thing>, readonly stop: AbortController }

function rig (t: Test, historyMax?: number): Rig {
  const clock = new ManualClock()
  const stop = new AbortController()
  t.teardown(async () => { stop.abort(); await settled() })
  return { clock, stop, server: new Server(clock, historyMax), options: { clock, backoff: promptly, signal: stop.signal } }
}

const lines = ({ changes }: Batch<Thing>): string[] => changes.map(c => c.kind === 'added' ? `+${c.key}=${c.next.n}` : c.kind === 'updated' ? `${c.key}:${c.prev.n}->${c.next.n}` : `-${c.key}=${c.prev.n}${c.finalStateUnknown ? '?' : ''}`)

/** Lines of a follower's calls; a batch ends with `.`. */
function told (server: Server, options: WatchOptions<Thing>, more: Follower<Thing> = {}): { readonly lines: string[], readonly over: Promise<unknown> } {
  const lines: string[] = []
  const over = follow(server.open, {
    added: (next, key) => { lines.push(`+${key}=${next.n}`) }, updated: (prev, next, key) => { lines.push(`${key}:${prev.n}->${next.n}`) },
    removed: (prev, key, unknown) => { lines.push(`-${key}=${prev.n}${unknown ? '?' : ''}`) }, synced: () => { lines.push('synced') }, batchDone: () => { lines.push('.') }, ...more
  }, options).catch((error: unknown) => error)
  return { lines, over }
}

t.test('1 added, deleted, added again equal, deleted: told each time', async (t) => {
  const { server, options } = rig(t)
  const { lines } = told(server, options)
  await settled()
  for (const act of [() => { server.put({ a: 1 }) }, () => { server.delete('a') }, () => { server.put({ a: 1 }) }, () => { server.delete('a') }]) { act(); await settled() }
  t.same(lines, ['synced', '.', '+a=1', '.', '-a=1', '.', '+a=1', '.', '-a=1', '.'])
})

t.test('2 gone and there again in one window, equal or not, is another object', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1, b: 1 })
  const watch = new Watch(server.open, options)
  t.same(lines((await watch.next()).value as Batch<Thing>), ['+a=1', '+b=1'])
  server.delete('a', 'b')
  server.put({ a: 2, b: 1 })
  t.same(lines((await watch.next()).value as Batch<Thing>), ['-a=1', '+a=2', '-b=1', '+b=1'])
})

t.test('3 order: what is there by key, what went by key, the end of the batch; no end of a batch that was none', async (t) => {
  const { server, options } = rig(t)
  server.put({ c: 1, a: 1, d: 1, x: 1 })
  const { lines } = told(server, options, { filter: (_, key) => key !== 'hidden' })
  await settled()
  server.put({ b: 1, c: 2, a: 2 }, ['x', 'd'])
  server.put({ hidden: 1 })
  await settled()
  server.put({ hidden: 2 })
  await settled()
  t.same(lines, ['+a=1', '+c=1', '+d=1', '+x=1', 'synced', '.', 'a:1->2', '+b=1', 'c:1->2', '-d=1', '-x=1', '.'])
})

t.test('4 changed and deleted in one revision: deleted; never seen: nothing', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1 })
  const { lines } = told(server, options)
  await settled()
  server.put({ a: 2, b: 1 }, ['a', 'b'])
  server.put({ c: 1 })
  server.delete('c')
  await settled()
  t.same(lines, ['+a=1', 'synced', '.', '-a=1', '.'])
})

t.test('5 what comes to pass a filter is new, what ceases to is gone as it last passed', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: -1, b: 5 })
  const { lines } = told(server, options, { filter: ({ n }) => n > 0 })
  await settled()
  for (const n of [-2, 3, 4, -4, -5]) { server.put({ a: n }); await settled() }
  t.same(lines, ['+b=5', 'synced', '.', '+a=3', '.', 'a:3->4', '.', '-a=4', '.'])
})

t.test('6 what is equal to a reader is no update, and the next one begins at the latest', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 10 })
  const store = mirror(server.open, { ...options, equals: (a, b) => Math.floor(a.n / 10) === Math.floor(b.n / 10) })
  const seen: string[] = []
  store.subscribe((batch) => { seen.push(...lines(batch)) })
  await store.waitSynced()
  server.put({ a: 15 })
  await settled()
  t.equal(store.current().get('a')?.n, 15, 'current has it')
  server.put({ a: 20 })
  await settled()
  t.same(seen, ['+a=10', 'a:15->20'])
  await store.close()
})

t.test('7 what a reader holds does not change later', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1 })
  const store = mirror(server.open, options)
  await store.waitSynced()
  const before = store.current()
  server.put({ a: 2, b: 1 })
  await settled()
  t.same([[...before], [...store.current()]], [[['a', { n: 1 }]], [['a', { n: 2 }], ['b', { n: 1 }]]])
  const held = store.current().get('a') as { n: number }
  t.throws(() => { held.n = 9 }, TypeError, 'and nobody writes into it')
  await store.close()
})

t.test('7 frozen with all that is in it, but for bytes', (t) => {
  const value = frozen({ list: [{ n: 1 }], bytes: Buffer.from('a'), none: null })
  t.throws(() => { (value.list[0] as { n: number }).n = 2 }, TypeError)
  t.throws(() => { value.list.push({ n: 2 }) }, TypeError)
  value.bytes[0] = 0
  t.end()
})

t.test('8 a reader that throws in a batch has not finished it: the token stays behind the one before', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1 })
  const none = watch(server.open, options)
  await t.rejects((async () => { for await (const batch of none) throw new Error(`no disk for ${batch.revision}`) })(), /no disk/)
  t.equal(none.token, '')
  const one = watch(server.open, options)
  const tokens: string[] = []
  await t.rejects((async () => {
    for await (const { token } of one) {
      tokens.push(token)
      if (tokens.length === 2) throw new Error('no disk')
      server.put({ a: 2 })
    }
  })(), /no disk/)
  t.not(tokens[0], tokens[1])
  t.equal(one.token, tokens[0])
})

t.test('23 a subscriber of a mirror that throws is told of, and the others go on', async (t) => {
  const { server, options } = rig(t)
  const errors: unknown[] = []
  const store = mirror(server.open, { ...options, onError: (error) => { errors.push(error) } })
  let told = 0
  store.subscribe(() => { throw new Error('mine') })
  store.subscribe(() => { told++ })
  await store.waitSynced()
  server.put({ a: 1 })
  await settled()
  t.match([told, errors, store.error, [...store.current().keys()]], [2, [/mine/, /mine/], null, ['a']])
  await store.close()
})

for (const phase of ['added', 'updated', 'removed', 'synced', 'batchDone'] as const) {
  t.test(`8 a follower that throws in ${phase}: its place is named, nothing follows, and nothing of the batch counts as finished`, async (t) => {
    const { server, options } = rig(t)
    server.put({ a: 1, b: 1, c: 1 })
    let armed = phase === 'added' || phase === 'synced' || phase === 'batchDone'
    let calls = 0
    const act = (): void => { calls++; if (armed) throw new Error('no disk') }
    const over = follow(server.open, { [phase]: act }, options).catch((error: unknown) => error)
    await settled()
    armed = true
    server.put({ a: 2, b: 2 }, ['c'])
    const error = await over
    t.ok(error instanceof FollowerError)
    t.match(error, { phase, message: /no disk/, key: phase === 'added' || phase === 'updated' ? 'a' : phase === 'removed' ? 'c' : null })
    t.equal(calls, 1)
    await settled()
    t.equal(server.live, 0, 'the stream is closed')
  })
}

t.test('9 nothing there: synced, once', async (t) => {
  const { server, options } = rig(t)
  const { lines } = told(server, options)
  await settled()
  server.progress()
  await settled()
  t.same(lines, ['synced', '.'])
})

t.test('10 a snapshot in parts is nothing until it is whole; what races with it is told once', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1, b: 1, c: 1 })
  const parts: Message[] = []
  let release: () => void = () => undefined
  const gate = new Promise<void>((resolve) => { release = resolve })
  const store = mirror<Thing>((token, signal) => (async function * () {
    for await (const messages of server.open(token, signal)) {
      for (const message of messages) {
        parts.push(message)
        yield [message]
        if (message.kind === 'put' && message.key === 'b') { server.put({ a: 2, d: 1 }, ['c']); await gate }
      }
    }
  })(), options)
  await settled()
  t.same([store.synced, store.revision, [...store.current()]], [false, 0, []])
  release()
  await store.waitSynced()
  await settled()
  t.same(Object.fromEntries([...store.current()].map(([key, { n }]) => [key, n])), server.things)
  t.equal(parts.filter(m => m.kind === 'synced').length, 1)
  await store.close()
})

t.test('11 a gap beyond the history: deletions are told as such, what did not change is not, and the old view stays meanwhile', async (t) => {
  const { server, options, clock } = rig(t, 2)
  server.put({ a: 1, b: 1, c: 1 })
  const store = mirror(server.open, { ...options, backoff: { leastMs: 100, mostMs: 100, healthyMs: 1 } })
  const seen: string[] = []
  await store.waitSynced()
  store.subscribe((batch) => { seen.push(`(${batch.cause})`, ...lines(batch)) })
  server.cutAfter = 0
  server.put({ a: 2 })
  await settled()
  server.delete('b')
  server.put({ x: 1, y: 1, z: 1 })
  t.same([...store.current().keys()], ['a', 'b', 'c'], 'served meanwhile')
  await clock.advance(200)
  t.same(seen, ['(expired)', 'a:1->2', '+x=1', '+y=1', '+z=1', '-b=1?'])
  t.match(store.status(), { snapshots: { initial: 1, expired: 1 }, connections: 2 })
  await store.close()
})

t.test('12 a gap within the history: what was missed, once, and no new snapshot', async (t) => {
  const { server, options, clock } = rig(t)
  server.put({ a: 1, b: 1 })
  const { lines } = told(server, options)
  await settled()
  server.cutAfter = 0
  server.put({ a: 2 })
  await settled()
  server.put({ c: 1 }, ['b'])
  await clock.advance(10)
  t.same(lines, ['+a=1', '+b=1', 'synced', '.', 'a:1->2', '+c=1', '-b=1', '.'])
  t.same(server.sent.filter(m => m.kind === 'hello'), [{ kind: 'hello', epoch: 'e1', resumed: false, rev: 0 }, { kind: 'hello', epoch: 'e1', resumed: true, rev: 1 }])
  t.equal(server.sent.filter(m => m.kind === 'begin').length, 1)
})

t.test('12 a token resumes in another process', async (t) => {
  const { server, options } = rig(t)
  server.put({ a: 1 })
  const first = new Watch(server.open, options)
  await first.next()
  t.equal(first.token, '', 'the batch is not finished')
  const next = first.next()
  await settled()
  const { token } = first
  const held = first.current()
  await first.return()
  t.match(await next, { done: true })
  server.put({ b: 1 }, ['a'])
  const second = new Watch(server.open, { ...options, resume: { token, held } })
  const { value } = await second.next()
  t.same([value?.cause, lines(value as Batch<Thing>)], ['resumed', ['+b=1', '-a=1']])
})

t.test('14 told twice or out of order is dropped; a gap is a fault, and everything is asked for anew', async (t) => {
  const { server, options, clock } = rig(t)
  server.put({ a: 1 })
  const { lines } = told(server, options)
  await settled()
  let old: Message | null = null
  server.rewrite = (message) => { if (message.kind !== 'put') return [message]; const twice = old === null ? [message, message] : [message, old]; old = message; return twice }
  server.put({ a: 2 })
  await settled()
  server.put({ a: 3 })
  await settled()
  t.same(lines.splice(0), ['+a=1', 'synced', '.', 'a:1->2', '.', 'a:2->3', '.'])
  server.rewrite = message => message.kind === 'put' || message.kind === 'commit' ? [] : [message]
  server.put({ a: 4 })
  await settled()
  server.rewrite = message => [message]
  server.put({ b: 1 })
  await settled()
  await clock.advance(10)
  t.same(lines, ['a:3->4', '+b=1', '.'])
  t.equal(server.tokens.at(-1), '', 'nothing is claimed to be known')
})

t.test('14 what a server does not say is a fault', async (t) => {
  const begin: Message[] = [{ kind: 'hello', epoch: 'e', resumed: false, rev: 0 }, { kind: 'begin', reason: 'initial' }]
  const whole: Message[] = [...begin, { kind: 'commit', rev: 1, prev: 0, token: 'x' }, { kind: 'synced' }]
  const wrong: ReadonlyArray<readonly [string, readonly Message[]]> = [
    ['no hello', [{ kind: 'synced' }]], ['hello twice', [...begin, begin[0] as Message]], ['begin twice', [...begin, begin[1] as Message]], ['synced at once', [...begin, { kind: 'synced' }]],
    ['resumed without a token', [{ kind: 'hello', epoch: 'e', resumed: true, rev: 0 }]], ['a change at once', [begin[0] as Message, { kind: 'put', key: 'a', rev: 1, createdRev: 1, value: { n: 1 } }]],
    ['a change after the end', [...begin, { kind: 'commit', rev: 1, prev: 0, token: 'x' }, { kind: 'put', key: 'a', rev: 1, createdRev: 1, value: { n: 1 } }]],
    ['progress before its changes', [...whole, { kind: 'put', key: 'a', rev: 2, createdRev: 2, value: { n: 1 } }, { kind: 'progress', rev: 2, prev: 1, token: 'x' }]],
    ['a commit from elsewhere', [...whole, { kind: 'commit', rev: 9, prev: 7, token: 'x' }]]
  ]
  for (const [what, messages] of wrong) {
    const { clock, options } = rig(t)
    let opened = 0
    const watch = new Watch<Thing>((_, signal) => (async function * () {
      if (opened++ > 0) { await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(new Error('over')) }) }) }
      yield messages
    })(), { ...options, backoff: { leastMs: 10, mostMs: 10, healthyMs: 1 } })
    const run = (async () => { for await (const _ of watch) { /* the snapshot, where there is one */ } })().catch(() => undefined)
    await settled()
    t.not(watch.status.problem, '', what)
    t.equal(watch.status.state, 'waiting', what)
    await clock.advance(10)
    t.equal(opened, 2, what)
    await watch.return()
    await run
  }
  t.ok(new ProtocolError('x') instanceof Error)
})

t.test('15 another life of the server, a token of another question, forged or cut: everything anew, without an error', async (t) => {
  const { server, options, clock } = rig(t)
  server.put({ a: 1, b: 1 })
  const { lines } = told(server, options)
  await settled()
  server.onCut = () => { server.restart(); server.delete('b') }
  server.cutAfter = 0
  server.put({ c: 1 })
  await settled()
  await clock.advance(10)
  t.same(lines, ['+a=1', '+b=1', 'synced', '.', '+c=1', '-b=1?', '.'], 'what is the same in another life is no change')
  const good = formatToken({ epoch: 'e2', rev: 1, scope: 'things' })
  for (const token of [formatToken({ epoch: 'e2', rev: 1, scope: 'other' }), formatToken({ epoch: 'e2', rev: 99, scope: 'things' }), good.slice(0, -3), `${good}AAAA`, 'x'.repeat(10_000), '\0']) {
    const watch = new Watch(server.open, { ...options, resume: { token, held: new Map() } })
    const { value } = await watch.next()
    t.match(value?.cause, /epoch|expired/, JSON.stringify(token.slice(0, 20)))
    await watch.return()
  }
})

t.test('16 a progress mark comes behind what it covers, and resumes; a reader whose keys are quiet stays resumable', async (t) => {
  const { server, options, clock } = rig(t, 4)
  server.keys = new Set(['quiet'])
  server.put({ quiet: 1 })
  const watch = new Watch(server.open, { ...options, stallMs: 1e9 })
  await watch.next()
  const next = watch.next()
  for (let i = 0; i < 20; i++) {
    server.put({ noise: i })
    server.progress()
    await settled()
  }
  server.cutAfter = 0
  server.progress()
  await settled()
  server.put({ quiet: 2 })
  await clock.advance(10)
  const { value } = await next
  t.same([value?.cause, lines(value as Batch<Thing>)], ['resumed', ['quiet:1->2']])
  server.put({ quiet: 3 })
  server.progress()
  await settled()
  const kinds = server.sent.slice(-2).map(m => m.kind)
  t.same(kinds, ['put', 'commit'], 'no mark before the change')
})

t.test('17 a slow reader: a million changes of a hundred keys wait as a hundred, and end with the newest', async (t) => {
  const { server, options } = rig(t)
  const watch = new Watch(server.open, options)
  await watch.next()
  const pending = watch.next()
  await settled()
  for (let i = 0; i < 10_000; i++) server.put(Object.fromEntries(Array.from({ length: 100 }, (_, k) => [`k${k}`, i])))
  const { value } = await pending
  t.equal(server.sent.filter(m => m.kind === 'put').length, 100)
  t.same([value?.changes.length, new Set(value?.changes.map(c => c.kind === 'added' ? c.next.n : -1))], [100, new Set([9999])])
  t.same(Object.fromEntries([...watch.current()].sort().map(([key, { n }]) => [key, n])), server.things)
})

t.test('18 aborted before, in a snapshot, in a call, in a back-off, after the end: at once, with the reason, and nothing stays open', async (t) => {
  const reason = new Error('enough')
  const before = new AbortController()
  before.abort(reason)
  const { server, clock } = rig(t)
  server.put({ a: 1, b: 1 })
  const base = { clock, backoff: { leastMs: 1000, mostMs: 1000, healthyMs: 1 } }
  await t.rejects(new Watch(server.open, { ...base, signal: before.signal }).next(), reason)
  t.equal(server.opened, 0)

  const middle = new AbortController()
  server.rewrite = (message) => { if (message.kind === 'put') middle.abort(reason); return [message] }
  await t.rejects(new Watch(server.open, { ...base, signal: middle.signal }).next(), reason)
  server.rewrite = message => [message]

  const call = new AbortController()
  const calls: string[] = []
  t.equal(await follow(server.open, { added: (_, key) => { calls.push(key); call.abort(reason) } }, { ...base, signal: call.signal }).catch((e: unknown) => e), reason)
  t.same(calls, ['a'])

  server.down = true
  const waiting = new AbortController()
  const lost = new Watch(server.open, { ...base, signal: waiting.signal })
  const next = lost.next()
  next.catch(() => undefined)
  await settled()
  t.equal(lost.status.state, 'waiting')
  waiting.abort(reason)
  await t.rejects(next, reason)
  t.equal((await lost.next()).done, true, 'after the end there is nothing')
  server.down = false

  for await (const _ of new Watch(server.open, base)) break
  await settled()
  t.same([server.live, clock.waiting], [0, 0])
  for (const signal of [middle.signal, call.signal, waiting.signal]) t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('19 silence beyond the limit is a broken connection, and is resumed', async (t) => {
  const { server, options, clock } = rig(t)
  server.put({ a: 1 })
  const { lines } = told(server, { ...options, stallMs: 45_000 })
  await settled()
  await clock.advance(44_000)
  server.progress()
  await settled()
  await clock.advance(44_000)
  t.equal(server.opened, 1, 'it said something')
  server.rewrite = () => []
  server.put({ a: 2 })
  await settled()
  server.rewrite = message => [message]
  await clock.advance(2000)
  t.equal(server.opened, 2)
  t.same(lines, ['+a=1', 'synced', '.', 'a:1->2', '.'])
})

t.test('20 waits grow, by chance differ, and are short again after a good connection; a server that closes at once does not make it spin', async (t) => {
  const { server, clock, stop } = rig(t)
  const backoff = { leastMs: 100, mostMs: 1600, healthyMs: 10_000 }
  server.down = true
  const watch = new Watch(server.open, { clock, backoff, signal: stop.signal, stallMs: 1e9 })
  const next = watch.next()
  next.catch(() => undefined)
  for (let i = 0; i < 6; i++) await clock.advance(2000)
  const waits = (): number[] => clock.waits.filter(ms => ms < 1e9)
  t.same(waits().slice(0, 6), [75, 150, 300, 600, 1200, 1200])
  clock.chance = 1
  await clock.advance(2000)
  t.equal(waits().at(-1), 1600, 'by chance')
  server.down = false
  await clock.advance(2000)
  await next
  await clock.advance(11_000)
  server.cutAfter = 0
  const again = watch.next()
  again.catch(() => undefined)
  server.put({ a: 1 })
  await settled()
  t.equal(waits().at(-1), 100, 'short again')
})

t.test('21 calls are awaited and never overlap; a slow one delays and loses nothing', async (t) => {
  const { server, options } = rig(t)
  let running = 0
  let most = 0
  const seen: number[] = []
  const { over } = told(server, options, {
    added: async (next) => { most = Math.max(most, ++running); await settled(); seen.push(next.n); running-- },
    updated: async (_, next) => { most = Math.max(most, ++running); await settled(); seen.push(next.n); running-- }
  })
  for (let n = 1; n <= 5; n++) { server.put({ [`k${n}`]: n, same: n }); await settled() }
  for (let i = 0; i < 30; i++) await settled()
  t.equal(most, 1)
  t.same([...new Set(seen)].sort(), [1, 2, 3, 4, 5])
  t.ok(over instanceof Promise)
})

t.test('22 one object: absent, there, changed, gone, there again; others are left out', async (t) => {
  const { server, options } = rig(t)
  server.put({ other: 1 })
  const seen: Array<number | undefined> = []
  const run = (async () => { for await (const value of watchOne(server.open, 'a', options)) seen.push(value?.n) })().catch(() => undefined)
  await settled()
  for (const act of [() => { server.put({ other: 2 }) }, () => { server.put({ a: 1 }) }, () => { server.put({ a: 2 }) }, () => { server.delete('a') }, () => { server.put({ a: 3 }) }]) { act(); await settled() }
  t.same(seen, [undefined, 1, 2, undefined, 3])
  t.ok(run instanceof Promise)
})

t.test('23 two readers with different filters are independent, and one that fails leaves the other alone', async (t) => {
  const { server, options } = rig(t)
  const even = told(server, options, { filter: ({ n }) => n % 2 === 0 })
  const odd = told(server, options, { filter: ({ n }) => n % 2 === 1, updated: () => { throw new Error('broken') } })
  await settled()
  for (const n of [1, 2, 3, 5, 4]) { server.put({ a: n }); await settled() }
  t.ok(await odd.over instanceof FollowerError)
  t.same(even.lines, ['synced', '.', '+a=2', '.', '-a=2', '.', '+a=4', '.'])
  t.equal(server.live, 1)
})

t.test('24 ten thousand readers that come and go leave nothing behind', async (t) => {
  const { server, options, clock, stop } = rig(t)
  server.put({ a: 1 })
  for (let i = 0; i < 10_000; i++) {
    const watch = new Watch(server.open, options)
    await watch.next()
    await watch.return()
  }
  t.same([server.live, clock.waiting, getEventListeners(stop.signal, 'abort').length], [0, 0, 0])
})
