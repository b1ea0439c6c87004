/** One copy for many readers. */
import t from 'tap'
import { CachingFetcher, type FetcherOptions } from '../../../../src/bgp/reporting/fetcher.js'
import { KeptLog, MovedClock, settled } from './world.js'

interface Call { readonly signal: AbortSignal, readonly resolve: (value: number) => void, readonly reject: (error: Error) => void }

function made (more: Partial<FetcherOptions<number>> = {}): { clock: MovedClock, log: KeptLog, calls: Call[], results: string[], fetcher: CachingFetcher<number> } {
  const clock = new MovedClock(0)
  const log = new KeptLog()
  const calls: Call[] = []
  const results: string[] = []
  const fetcher = new CachingFetcher<number>({
    what: 'users', clock, log, random: () => 1, onFetch: (result, tookMs) => { results.push(`${result} ${tookMs}`) },
    fetch: async signal => await new Promise<number>((resolve, reject) => { calls.push({ signal, resolve, reject }) }), ...more,
  })
  return { clock, log, calls, results, fetcher }
}

async function filled (world: ReturnType<typeof made>, value: number): Promise<void> {
  const reading = world.fetcher.get()
  await settled(2)
  world.calls.at(-1)?.resolve(value)
  await reading
}

t.test('a copy serves for its time, then it is fetched anew', async t => {
  const world = made()
  await filled(world, 1)
  await world.clock.move(4999)
  t.same(await world.fetcher.get(), { value: 1, ageMs: 4999 })
  t.equal(world.calls.length, 1)
  await world.clock.move(1)
  await filled(world, 2)
  t.same(await world.fetcher.get(), { value: 2, ageMs: 0 })
  t.equal(world.calls.length, 2)
})

t.test('readers that come together share one fetch', async t => {
  const world = made()
  const readers = Array.from({ length: 50 }, async () => await world.fetcher.get())
  await settled(2)
  t.equal(world.calls.length, 1)
  world.calls[0]?.resolve(7)
  t.same(new Set((await Promise.all(readers)).map(({ value }) => value)), new Set([7]))
})

t.test('a reader that leaves, the first one too, takes nothing from the others', async t => {
  const world = made()
  const leaving = new AbortController()
  const first = world.fetcher.get(leaving.signal)
  const second = world.fetcher.get()
  await settled(2)
  leaving.abort(new Error('gone'))
  await t.rejects(first, { message: 'gone' })
  t.notOk(world.calls[0]?.signal.aborted)
  world.calls[0]?.resolve(3)
  t.equal((await second).value, 3)
  await t.rejects(world.fetcher.get(leaving.signal), { message: 'gone' }, 'who has left before does not wait')
})

t.test('a fetch that hangs ends at its deadline, its signal with it, and the next one may begin', async t => {
  const world = made({ deadlineMs: 30_000 })
  const reading = world.fetcher.get()
  reading.catch(() => {})
  await world.clock.move(30_000)
  await t.rejects(reading, { message: 'users: no answer in 30000 ms' })
  t.ok(world.calls[0]?.signal.aborted)
  t.same(world.results, ['failed 30000'])
  await world.clock.move(1000)
  await filled(world, 4)
  t.equal((await world.fetcher.get()).value, 4)
})

t.test('while fetches fail a copy serves up to an age, and not beyond', async t => {
  const world = made({ staleMaxMs: 60_000, backOff: { leastMs: 1000, mostMs: 1000 } })
  await filled(world, 1)
  await world.clock.move(10_000)
  const failed = async (): ReturnType<typeof world.fetcher.get> => {
    const reading = world.fetcher.get()
    reading.catch(() => {})
    await settled(2)
    world.calls.at(-1)?.reject(new Error('no route'))
    return await reading
  }
  t.same(await failed(), { value: 1, ageMs: 10_000 })
  t.equal(world.fetcher.staleMs, 10_000)
  await world.clock.move(50_000)
  t.same(await failed(), { value: 1, ageMs: 60_000 })
  await world.clock.move(1000)
  await t.rejects(failed(), { message: 'no route' })
  t.same(world.results, ['success 0', 'stale 0', 'stale 0', 'failed 0'])
})

t.test('failing fetches are spaced, more and more', async t => {
  const world = made({ backOff: { leastMs: 1000, mostMs: 4000 } })
  const tries: number[] = []
  for (let i = 0; i < 200; i++) {
    const before = world.calls.length
    const reading = world.fetcher.get()
    reading.catch(() => {})
    await settled(2)
    if (world.calls.length > before) {
      tries.push(world.clock.now())
      world.calls.at(-1)?.reject(new Error('down'))
    }
    await t.rejects(reading, { message: 'down' })
    await world.clock.move(100)
  }
  t.same(tries, [0, 1000, 3000, 7000, 11_000, 15_000, 19_000])
})

t.test('an outage is told once at its begin and once at its end, each outage', async t => {
  const world = made({ backOff: { leastMs: 1000, mostMs: 1000 } })
  await filled(world, 1)
  for (const outage of [1, 2]) {
    for (let i = 0; i < 3; i++) {
      await world.clock.move(5000)
      const reading = world.fetcher.get()
      await settled(2)
      world.calls.at(-1)?.reject(new Error('down'))
      await reading
    }
    t.equal(world.log.of('warn').length, outage)
    t.equal(world.log.of('debug').length, 2 * outage)
    await world.clock.move(5000)
    await filled(world, 2)
    t.equal(world.log.of('info').length, outage)
  }
  t.equal(world.log.of('info')[0], 'info users: read again after 15 s, 3 reads were served by a copy')
})

t.test('after stop nothing is fetched to its end', async t => {
  const world = made()
  const reading = world.fetcher.get()
  reading.catch(() => {})
  await settled(2)
  world.fetcher.stop()
  await t.rejects(reading, { message: 'users: it stops' })
  t.equal(world.clock.waiting, 0, 'no timer is left')
})
