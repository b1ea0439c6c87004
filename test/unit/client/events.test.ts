/** The journal over connections that break: each event once, whenever they do; silence, refusals and the end. */
import t from 'tap'
import { credentials } from '@grpc/grpc-js'
import { ObjectsConnection, watchEvents, WatchRefused, type OpenEvents } from '../../../src/client/index.js'
import type { Event } from '../../../src/generated/proto/lockstep/v1/events.js'
import { withServer } from '../rpc/with-server.js'
import { ManualClock, promptly, settled } from './rig.js'
import { comesAbout } from '../../until.js'

const event = (n: number): Event => ({ id: `e-${n}`, atMs: 0n, area: 'agent', name: `n${n}`, level: 'info', object: '', fields: [] })

/** A journal of that many events, whose connections break after so many messages, of two events each. */
const breaking = (count: number, after: number, opened: string[]): OpenEvents => async function * (last) {
  opened.push(last)
  const from = last === '' ? 1 : Number(last.slice(2)) + 1
  yield []
  for (let n = from, told = 0; n <= count; n += 2, told++) {
    if (told === after) throw new Error('broken')
    yield n === count ? [event(n)] : [event(n), event(n + 1)]
  }
  throw new Error('broken')
}

t.test('whenever connections break, each event is told once and in order', async (t) => {
  for (let after = 1; after < 8; after++) {
    const abort = new AbortController()
    const told: string[] = []
    const opened: string[] = []
    for await (const events of watchEvents(breaking(11, after, opened), { signal: abort.signal, backoff: promptly })) {
      told.push(...events.map(({ name }) => name))
      if (told.length === 11) break
    }
    t.same(told, Array.from({ length: 11 }, (_, i) => `n${i + 1}`), `broken after ${after}`)
    t.equal(opened.length, Math.ceil(6 / after))
  }
})

t.test('from an event on; waits grow, and a silent connection is broken', async (t) => {
  const clock = new ManualClock()
  const abort = new AbortController()
  const opened: string[] = []
  const silent: OpenEvents = async function * (after, signal) {
    opened.push(after)
    yield []
    await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) })
  }
  const reading = watchEvents(silent, { signal: abort.signal, after: 'e-7', clock, stallMs: 1000, backoff: { leastMs: 100, mostMs: 400, healthyMs: 5000 } }).next()
  reading.catch(() => undefined)
  for (let i = 0; i < 4; i++) {
    await settled()
    await clock.advance(1000)
    await settled()
    await clock.advance(400)
  }
  await settled()
  t.same(opened, ['e-7', 'e-7', 'e-7', 'e-7', 'e-7'])
  t.same(clock.waits.filter(ms => ms < 1000), [75, 150, 300, 300])
  abort.abort(new Error('enough'))
  await t.rejects(reading, { message: 'enough' })
  await settled()
  t.equal(clock.waiting, 0, 'nothing stays behind')
})

t.test('of an agent: over its restart of the connection, and what it refuses', async (t) => {
  const { agent: { journal }, socketPath } = await withServer(t)
  const connection = new ObjectsConnection({ address: `unix:${socketPath}`, credentials: credentials.createInsecure() })
  t.teardown(() => { connection.close() })
  const abort = new AbortController()
  const told: Event[] = []
  const reading = (async () => { for await (const events of watchEvents(connection.openEvents({ areas: ['agent'] }), { signal: abort.signal, backoff: promptly })) told.push(...events) })()
  reading.catch(() => undefined)
  journal.note('config', 'other', '', {})
  journal.note('agent', 'mine', '', {})
  t.ok(await comesAbout(() => told.length > 0))
  t.same(told.map(({ name }) => name), ['mine'])
  abort.abort(new Error('enough'))
  await t.rejects(reading, { message: 'enough' })
  await t.rejects(watchEvents(connection.openEvents({ areas: ['kitchen'] })).next(), WatchRefused)
})
